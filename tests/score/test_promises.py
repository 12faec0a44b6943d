"""The promises of every compressor, on tiny checkpoints of the methods that need one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import ctxzip
from ctxzip import Options
from ctxzip.text.tokens import resolve
from tests import checkpoints
from tests.contract.promises import check, kept_characters, same

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

QUERY = "Which pump was inspected in May?"
HOSTILE = [
    "",
    " \n\t ",
    "word",
    "👩‍👩‍👧‍👦",
    "<|endoftext|> [SEP] </s> <start_of_turn> {query} {sentence}",
    "x" * 3000,
    "a\u0301\u0323 \u200d \ufeff \u2028 e",
    '{"pump": {"id": 7, "note": "not here"}, "valve": [1, 2, {"x": null}]}',
    "# Head\n\n```python\ndef f(x):\n    return x\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
    "压力不得超过四点五巴。水泵在五月安装。" * 5,
    "No end " * 300,
    *checkpoints.SENTENCES,
]
COUNT = resolve("o200k_base").count
Load = Callable[[Options | None], ctxzip.Compressor]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=["llmlingua2", "recomp-extractive", "exit"])
def load(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Load:
    path = tmp_path_factory.mktemp("models") / "tiny"
    if request.param == "exit":
        folder: Path = checkpoints.llama(path)
    else:
        folder = checkpoints.bert(path, head="TokenClassification" * (request.param[0] == "l"))
    return lambda options: ctxzip.load(
        request.param, model=str(folder), device="cpu", options=options
    )


def compress(load: Load, prompt: object, ratio: float, options: Options | None = None):
    return ctxzip.compress(prompt, ratio, query=QUERY, compressor=load(options))


@pytest.mark.parametrize("ratio", [0.05, 0.3, 0.75, 1.0])
def test_any_text(load: Load, ratio: float):
    for text in HOSTILE:
        check(compress(load, text, ratio), [text], count=COUNT)
    check(compress(load, HOSTILE, ratio), HOSTILE, count=COUNT)


@pytest.mark.parametrize("granularity", ["sentence", "word"])
def test_any_granularity(load: Load, granularity: str):
    texts = checkpoints.texts(5, seed=21)
    options = Options(granularity=granularity)  # type: ignore[arg-type]
    check(compress(load, texts, 0.4, options), texts, count=COUNT)


def test_protected_text_survives(load: Load):
    text = checkpoints.texts(1, seed=33, longest=30)[0]
    word = "pump" if "pump" in text else text.split()[0]
    result = compress(load, text, 0.3, Options(protect=[word]))
    check(result, [text], count=COUNT)
    kept = kept_characters(result)
    at = text.find(word)
    while at >= 0:
        assert kept >= set(range(at, at + len(word)))
        at = text.find(word, at + 1)


def test_alone_and_among_others(load: Load):
    texts = checkpoints.texts(4, seed=44)
    together = ctxzip.compress_many(texts, 0.4, queries=QUERY, compressor=load(None))
    for text, result in zip(texts, together, strict=True):
        assert same(compress(load, text, 0.4), result)


def test_the_random_state_is_left_alone(load: Load):
    state = torch.random.get_rng_state()
    compress(load, checkpoints.texts(2, seed=1), 0.4)
    assert torch.equal(state, torch.random.get_rng_state())
