"""The one-line door: ``compress`` and its siblings."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ctxzip.api.arguments import Prompt, budget_of, compressor_of, options_of, request_of
from ctxzip.compressors import row_of
from ctxzip.errors import InputError
from ctxzip.types import (
    Compression,
    Compressor,
    Document,
    Options,
)

if TYPE_CHECKING:
    from ctxzip.index import SentenceIndex

__all__ = ["acompress", "compress", "compress_many"]


def compress(
    prompt: Prompt,
    ratio: float | None = None,
    *,
    query: str | None = None,
    target_tokens: int | None = None,
    threshold: float | None = None,
    compressor: str | Compressor = "auto",
    options: Options | None = None,
    index: SentenceIndex | str | os.PathLike[str] | None = None,
) -> Compression:
    """Shorten text so that it answers as well.

    Args:
        prompt: a string, a document, or several: strings, :class:`Document` or mappings with the
            keys ``text`` and optionally ``id``, ``title``, ``metadata``. Several share the budget.
        ratio: fraction of tokens to keep in (0, 1], or above 1 a compression factor.
        query: the question that the text shall answer.
        target_tokens: hard ceiling in tokens on the whole result.
        threshold: calibrated probability below which text is dropped.
        compressor: a name that :func:`ctxzip.list_compressors` lists, ``"auto"``, or a compressor.
        options: what is rarely set.
        index: sentence embeddings made before the question, or their folder. Sentences are then
            chosen by similarity (``recomp-extractive``), and only the query is encoded.

    Returns:
        The compressed text with its spans, tokens and provenance. Without any budget half of the
        tokens stay.

    Raises:
        InputError: an argument cannot be used; the message names it.
        BudgetError: hard-protected text alone exceeds the ceiling.
    """
    options = options_of(compressor, options)
    budget = budget_of(ratio, target_tokens, threshold, options)
    request = request_of(prompt, query, budget)
    return _chosen(compressor, options, index).compress_many([request])[0]


def compress_many(
    prompts: Iterable[Prompt],
    ratio: float | None = None,
    *,
    queries: Sequence[str | None] | str | None = None,
    target_tokens: int | None = None,
    threshold: float | None = None,
    compressor: str | Compressor = "auto",
    options: Options | None = None,
    index: SentenceIndex | str | os.PathLike[str] | None = None,
) -> list[Compression]:
    """Compress several prompts, each under its own budget of the given size, in common batches.

    Args:
        prompts: each as for :func:`compress`.
        ratio: as for :func:`compress`.
        queries: one per prompt, or one for all.
        target_tokens: as for :func:`compress`.
        threshold: as for :func:`compress`.
        compressor: as for :func:`compress`.
        options: as for :func:`compress`.
        index: as for :func:`compress`.

    Returns:
        One result per prompt, in order, each the same as :func:`compress` gives.

    Raises:
        InputError: as for :func:`compress`, or as many queries as prompts are not given.
        BudgetError: as for :func:`compress`.
    """
    if isinstance(prompts, str | Mapping | Document) or not isinstance(prompts, Iterable):
        raise InputError(
            f"prompts is one {type(prompts).__name__}.", hint="Give a sequence, or use compress()."
        )
    prompts = list(prompts)
    asked = [queries] * len(prompts) if queries is None or isinstance(queries, str) else queries
    if len(asked) != len(prompts):
        raise InputError(f"{len(asked)} queries for {len(prompts)} prompts.")
    options = options_of(compressor, options)
    budget = budget_of(ratio, target_tokens, threshold, options)
    requests = [request_of(p, q, budget) for p, q in zip(prompts, asked, strict=True)]
    return _chosen(compressor, options, index).compress_many(requests)


async def acompress(
    prompt: Prompt,
    ratio: float | None = None,
    *,
    query: str | None = None,
    target_tokens: int | None = None,
    threshold: float | None = None,
    compressor: str | Compressor = "auto",
    options: Options | None = None,
    index: SentenceIndex | str | os.PathLike[str] | None = None,
) -> Compression:
    """:func:`compress` in a worker thread, so that the event loop goes on."""
    return await asyncio.to_thread(
        compress,
        prompt,
        ratio,
        query=query,
        target_tokens=target_tokens,
        threshold=threshold,
        compressor=compressor,
        options=options,
        index=index,
    )


def _chosen(
    compressor: str | Compressor,
    options: Options,
    index: SentenceIndex | str | os.PathLike[str] | None,
) -> Compressor:
    """The compressor that the caller means, with the index where there is one."""
    if index is None:
        return compressor_of(compressor, options)
    if not isinstance(compressor, str) or not row_of(compressor).indexed:
        raise InputError(
            f"index= is for compressor 'recomp-extractive', not for {compressor!r}.",
            hint="Leave compressor= out, or load the compressor with"
            " settings=ctxzip.Recomp(index=...).",
        )
    from ctxzip.index import opened

    return opened(index).compressor(options)
