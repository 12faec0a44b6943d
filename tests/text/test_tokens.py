"""Counting tokens: exact against the tokenizers themselves, offline, and where tokens start."""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import socket
import subprocess
import sys
import textwrap
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiktoken
import tiktoken_ext.openai_public
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from ctxzip.errors import InputError
from ctxzip.text import vocabulary
from ctxzip.text.tokens import TokenCounter, resolve

# SHA-256 of the files that tiktoken downloads, as it publishes them.
PUBLISHED = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}
ENCODINGS = {name: vocabulary.load(name)[0] for name in PUBLISHED}
PROSE = (
    "The committee met on 12 March 2024; it didn't agree. Zwölf Boxkämpfer jagen Viktor quer über "
    "den Sylter Deich. 敏捷的棕色狐狸跳过了懒狗。いろはにほへと 😀👩‍👩‍👧 "
    "<|endoftext|>\r\n\r\n\tdef f(x): return x\n"
)
TEXTS = st.text(
    st.one_of(
        st.sampled_from("ab ZÉ12\n\r\t<|>'的か😀e\u0301\u200d\ud800\udc00"),
        st.characters(exclude_categories=()),
    ),
    max_size=80,
)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def byte_level() -> tokenizers.Tokenizer:
    """A byte-level BPE tokenizer with a special token, which truncates and pads."""
    from tokenizers import decoders, models, pre_tokenizers, trainers

    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([PROSE] * 5, trainer)
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=32)
    return tokenizer


@pytest.mark.parametrize("name", PUBLISHED)
def test_shipped_vocabulary_is_the_published_one(name: str) -> None:
    ranks, lengths = vocabulary._read_vocabulary(name)
    lines = (base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks.items())
    assert hashlib.sha256(b"".join(lines)).hexdigest() == PUBLISHED[name]
    assert lengths.tolist() == [len(token) for token in ranks]


@pytest.mark.parametrize("name", [*PUBLISHED, "o200k_harmony"])
def test_pattern_and_special_tokens_are_those_of_tiktoken(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_download(*_: object, expected_hash: str) -> dict[bytes, int]:
        assert expected_hash in PUBLISHED.values()
        return {}

    monkeypatch.setattr(tiktoken_ext.openai_public, "load_tiktoken_bpe", no_download)
    published = getattr(tiktoken_ext.openai_public, name)()
    _, pattern, special = vocabulary._SHIPPED[name]
    assert pattern == published["pat_str"]
    assert special.items() <= published["special_tokens"].items()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("o200k_base", "hello world", [24912, 2375]),
        ("cl100k_base", "hello world", [15339, 1917]),
        ("o200k_base", "<|endoftext|>", [27, 91, 419, 1440, 919, 91, 29]),
    ],
)
def test_token_ids_are_the_known_ones(name: str, text: str, expected: list[int]) -> None:
    assert ENCODINGS[name].encode_ordinary(text) == expected
    assert resolve(name).count(text) == len(expected)


@pytest.mark.parametrize("name", PUBLISHED)
@given(text=TEXTS)
def test_starts_are_where_tokens_start(name: str, text: str) -> None:
    counter = resolve(name)
    starts = counter.starts(text)
    assert starts is not None
    assert starts.dtype == np.int64
    assert len(starts) == counter.count(text)
    readable = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)
    encoding = ENCODINGS[name]
    at_byte = 0
    for start, token in zip(starts.tolist(), encoding.encode_ordinary(readable), strict=True):
        assert start == len(readable.encode()[:at_byte].decode(errors="ignore"))
        at_byte += len(encoding.decode_single_token_bytes(token))


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize(
    "unit", ["a", " ", "\t", "\u00a0", "\n", "^", "0", "的", "😀", "\u0301", "\ud800", "ab1 "]
)
def test_long_runs_are_counted_quickly(name: str, unit: str) -> None:
    counter = resolve(name)
    text = (unit * 300_000)[:300_000]
    starts = counter.starts(text)
    assert starts is not None
    assert len(starts) == counter.count(text) > 0
    assert (np.diff(starts) >= 0).all()
    assert 0 <= starts[0] <= starts[-1] < len(text)


def test_cuts_in_long_runs_change_little() -> None:
    encoding = ENCODINGS["o200k_base"]
    counter = resolve(encoding)
    for unit in ("a", " ", "acgt", "=-", "ha", "的"):
        for length in (900, 1100, 5000, 20_000):
            text = "x " + (unit * length)[:length] + " y"
            exact = len(encoding.encode_ordinary(text))
            assert exact - 2 <= counter.count(text) <= exact + 2 * (length // 1024)


def test_long_ordinary_text_is_counted_exactly() -> None:
    text = PROSE * 500
    encoding = ENCODINGS["o200k_base"]
    assert resolve("o200k_base").count(text) == len(encoding.encode_ordinary(text))


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4o", "o200k_base"),
        ("gpt-4o-mini", "o200k_base"),
        ("openai/gpt-5", "o200k_base"),
        ("o3", "o200k_base"),
        ("gpt-4", "cl100k_base"),
        ("gpt-oss-120b", "o200k_harmony"),
    ],
)
def test_model_names(model: str, encoding: str) -> None:
    assert resolve(model).name == encoding
    assert resolve(model) is resolve(encoding)


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"'o200k'.*o200k_base"):
        resolve("o200k")
    with pytest.raises(InputError, match=r"claude.*margin"):
        resolve("claude-sonnet")


def test_an_older_encoding_needs_tiktokens_cache(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    with pytest.raises(InputError, match=r"p50k_base.*not on this machine"):
        resolve("p50k_base")
    damaged = tmp_path / "ec7223a39ce59f226a68acc30dc1af2788490e15"
    damaged.write_bytes(b"IQ== 0\n")
    with pytest.raises(InputError, match="p50k_base"):
        resolve("p50k_base")
    assert damaged.exists()


def test_environment_stays_untouched() -> None:
    before = dict(os.environ)
    resolve("gpt-4o").count(PROSE)
    assert dict(os.environ) == before


def test_a_tiktoken_encoding() -> None:
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"ab": 256, b" ab": 257}
    encoding = tiktoken.Encoding(
        "tiny", pat_str=r"\s?\S+|\s", mergeable_ranks=ranks, special_tokens={"<|s|>": 300}
    )
    counter = resolve(encoding)
    assert counter.name == "tiny"
    assert counter.starts("ab é<|s|>").tolist() == [0, 2, 3, 3, 4, 5, 6, 7, 8]  # type: ignore[union-attr]
    assert resolve(encoding) is counter


def test_a_hugging_face_tokenizer_is_not_changed(byte_level: tokenizers.Tokenizer) -> None:
    before = byte_level.to_str()
    counter = resolve(byte_level)
    assert counter.count(PROSE) > 32
    assert byte_level.to_str() == before
    assert byte_level.truncation is not None
    assert byte_level.padding is not None
    assert not byte_level.encode_special_tokens
    assert resolve(byte_level) is counter


def test_special_token_text_counts_as_ordinary(byte_level: tokenizers.Tokenizer) -> None:
    assert byte_level.encode("<|endoftext|>", add_special_tokens=False).tokens[1:] == ["[PAD]"] * 31
    assert resolve(byte_level).count("<|endoftext|>") > 1


@given(text=TEXTS)
def test_hugging_face_starts(byte_level: tokenizers.Tokenizer, text: str) -> None:
    counter = resolve(byte_level)
    starts = counter.starts(text)
    assert starts is not None
    assert len(starts) == counter.count(text)
    assert (np.diff(starts) >= 0).all()
    if text:
        assert starts[0] == 0
        assert starts[-1] < len(text)


def test_hugging_face_in_pieces(byte_level: tokenizers.Tokenizer) -> None:
    counter = resolve(byte_level)
    text = PROSE * 2000
    starts = counter.starts(text)
    assert starts is not None
    assert len(starts) == counter.count(text) == 2000 * counter.count(PROSE)
    assert np.array_equal(np.unique(starts // len(PROSE)), np.arange(2000))
    assert counter.count("a" * 300_000) > 0


def test_a_fast_tokenizer_of_transformers(byte_level: tokenizers.Tokenizer) -> None:
    wrapper = SimpleNamespace(backend_tokenizer=byte_level, name_or_path="some/model")
    counter = resolve(wrapper)
    assert counter.name == "tokenizer of some/model"
    assert counter.count(PROSE) == resolve(byte_level).count(PROSE)


def test_a_tokenizer_with_parts_in_python_is_refused() -> None:
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.PreTokenizer.custom(object())
    with pytest.raises(InputError, match="cannot be copied"):
        resolve(tokenizer)


def words(text: str) -> int:
    return len(text.split())


def test_a_function() -> None:
    counter = resolve(words)
    assert counter.name.endswith("words")
    assert counter.count("three little words") == 3
    assert counter.starts("three little words") is None
    assert resolve(len).name == "len"
    assert resolve(functools.partial(words)).count("a b") == 2
    assert resolve(lambda text: np.int64(len(text))).count("ab") == 2


@pytest.mark.parametrize("result", [-1, 2.0, "3", None, True, [1, 2]])
def test_a_function_that_does_not_count(result: object) -> None:
    counter = resolve(lambda text: result)
    with pytest.raises(InputError, match="gave"):
        counter.count("text")


def test_a_counter_is_taken_as_it_is() -> None:
    class Bytes:
        name = "bytes"

        def count(self, text: str) -> int:
            return len(text.encode())

        def starts(self, text: str) -> None:
            return None

    counter = Bytes()
    assert isinstance(counter, TokenCounter)
    assert resolve(counter) is counter


@pytest.mark.parametrize("value", [None, 3, int, b"o200k_base", ["o200k_base"]])
def test_what_is_no_tokenizer(value: object) -> None:
    with pytest.raises(InputError, match="tokenizer="):
        resolve(value)


def test_threads_share_one_counter() -> None:
    code = textwrap.dedent(
        """
        from concurrent.futures import ThreadPoolExecutor
        from ctxzip.tokens import resolve
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(resolve, ["cl100k_base"] * 8))
        assert len(set(map(id, found))) == 1
        """
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_import_is_light() -> None:
    code = (
        "import sys, ctxzip.text.tokens\n"
        "print([m for m in ('tiktoken', 'tokenizers', 'regex') if m in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, timeout=60
    )
    assert shown.stdout.strip() == b"[]"
