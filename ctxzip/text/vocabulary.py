"""The vocabularies that ``tokens`` counts with: two are shipped, older ones may be in a cache."""

from __future__ import annotations

import difflib
import hashlib
import importlib.resources
import os
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ctxzip.errors import InputError, ModelError

if TYPE_CHECKING:
    import tiktoken

__all__ = ["encoding_name", "load"]

# As in tiktoken_ext/openai_public.py, which gives them only together with a download.
_CL100K_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
_O200K_PATTERN = "|".join(
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
_CL100K_SPECIAL = {
    "<|endoftext|>": 100257,
    "<|fim_prefix|>": 100258,
    "<|fim_middle|>": 100259,
    "<|fim_suffix|>": 100260,
    "<|endofprompt|>": 100276,
}
_O200K_SPECIAL = {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}

# o200k_harmony (gpt-oss) differs in special tokens only, and those count as ordinary text here.
_SHIPPED: dict[str, tuple[str, str, dict[str, int]]] = {
    "cl100k_base": ("cl100k_base", _CL100K_PATTERN, _CL100K_SPECIAL),
    "o200k_base": ("o200k_base", _O200K_PATTERN, _O200K_SPECIAL),
    "o200k_harmony": ("o200k_base", _O200K_PATTERN, _O200K_SPECIAL),
}

# Older encodings: what tiktoken's cache must hold (file name, SHA-256) for them to work offline.
_P50K = (
    "ec7223a39ce59f226a68acc30dc1af2788490e15",
    "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069",
)
_R50K = (
    "0ea1e91bbb3a60f729a8dc8f777fd2fc07cd8df4",
    "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
)
_GPT2 = (
    (
        "6d1cbeee0f20b3d9449abfede4726ed8212e3aee",
        "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
    ),
    (
        "6c7ea1a7e38e3a7f062df639a5b80947f075ffe6",
        "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    ),
)
_CACHED: dict[str, tuple[tuple[str, str], ...]] = {
    "p50k_base": (_P50K,),
    "p50k_edit": (_P50K,),
    "r50k_base": (_R50K,),
    "gpt2": _GPT2,
}


def encoding_name(name: str) -> str:
    """The encoding that ``name``, of an encoding or a model, stands for.

    Raises:
        InputError: neither ctxzip nor tiktoken knows the name.
    """
    from tiktoken import model

    if name in _SHIPPED or name in _CACHED:
        return name
    bare = name.rpartition("/")[2] if name.startswith(("openai/", "azure/")) else name
    try:
        return model.encoding_name_for_model(bare)
    except KeyError:
        pass
    known = [*_SHIPPED, *_CACHED, *model.MODEL_TO_ENCODING]
    near = difflib.get_close_matches(bare.lower(), known, n=3)
    raise InputError(
        f"tokenizer={name[:80]!r} is not known" + (f"; near: {', '.join(near)}." if near else "."),
        hint="Name a tiktoken encoding or an OpenAI model, or give a tokenizers.Tokenizer or a "
        'function str -> int. For a model whose tokenizer is not public, use "o200k_base" and '
        "margin=0.05.",
    )


def load(name: str) -> tuple[tiktoken.Encoding, npt.NDArray[np.uint8] | None]:
    """The encoding called ``name``, without the network.

    Returns:
        The encoding, and the bytes of each token by rank (uint8, shape (tokens,)) where they are
        known without asking it.

    Raises:
        InputError: its vocabulary is neither shipped nor in the cache of tiktoken.
        ModelError: the shipped file is damaged.
    """
    import tiktoken

    if name not in _SHIPPED:
        if not _in_tiktoken_cache(name):
            raise InputError(
                f"The vocabulary of {name!r} is not on this machine, and ctxzip downloads none.",
                hint=f"Run tiktoken.get_encoding({name!r}) once with a network, so that it is in "
                'the cache of tiktoken, or use "o200k_base" or "cl100k_base".',
            )
        return tiktoken.get_encoding(name), None
    file, pattern, special = _SHIPPED[name]
    ranks, lengths = _read_vocabulary(file)
    encoding = tiktoken.Encoding(
        name, pat_str=pattern, mergeable_ranks=ranks, special_tokens=special
    )
    return encoding, lengths


def _read_vocabulary(name: str) -> tuple[dict[bytes, int], npt.NDArray[np.uint8]]:
    """Token bytes by rank, and their lengths; the format stands in ``ctxzip/data/README.md``."""
    file = importlib.resources.files("ctxzip") / "data" / f"{name}.bpe.z"
    try:
        raw = zlib.decompress(file.read_bytes())
    except (OSError, zlib.error) as error:
        raise ModelError(
            f"The shipped vocabulary {name!r} cannot be read: {error}.", hint="Reinstall ctxzip."
        ) from error
    count = int.from_bytes(raw[:4], "little")
    lengths = np.frombuffer(raw, np.uint8, count, offset=4)
    ends = (np.cumsum(lengths, dtype=np.int64) + 4 + count).tolist()
    starts = [4 + count, *ends[:-1]]
    ranks = {raw[a:b]: rank for rank, (a, b) in enumerate(zip(starts, ends, strict=True))}
    return ranks, lengths


def _in_tiktoken_cache(name: str) -> bool:
    """Whether tiktoken would find the encoding's files without the network."""
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if folder == "":  # tiktoken's way to switch its cache off
        return False
    cache = Path(folder or Path(tempfile.gettempdir(), "data-gym-cache"))
    for file, digest in _CACHED[name]:
        try:
            data = (cache / file).read_bytes()
        except OSError:
            return False
        if hashlib.sha256(data).hexdigest() != digest:
            return False
    return True
