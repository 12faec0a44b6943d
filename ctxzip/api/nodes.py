"""What a pipeline node writes beside each document: where the text came from and what it cost.

Pipeline nodes hand a framework's documents to :func:`compress_nodes`; what is the framework's own
(classes, callbacks, copies) stays with them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ctxzip.api.guard import Guard, Outcome, aligned
from ctxzip.errors import InputError
from ctxzip.types import Budget, CompressedDocument, Document, Request

__all__ = [
    "KEY",
    "Answer",
    "Form",
    "Node",
    "Scope",
    "acompress_nodes",
    "compose",
    "compress_nodes",
    "encoded",
    "traced",
]

KEY = "ctxzip"
Scope = Literal["all", "each"]
Form = Literal["dict", "json"]


@dataclass(frozen=True, slots=True)
class Node:
    """A framework's document as ctxzip needs it.

    Attributes:
        text: what may be shortened.
        id: its identifier, or None.
        title: informs scoring.
        offset: where ``text`` begins in the source that spans shall refer to.
        earlier: the provenance that an earlier compression left, or None.
    """

    text: str
    id: str | None = None
    title: str | None = None
    offset: int = 0
    earlier: object = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a node.

    Attributes:
        text: the compressed text.
        vanished: nothing of it was kept, though it had something to say.
        provenance: plain values for the metadata key ``ctxzip``.
        outcome: the compression that it was part of.
    """

    text: str
    vanished: bool
    provenance: dict[str, Any]
    outcome: Outcome


def compress_nodes(
    guard: Guard, nodes: Sequence[Node], query: str | None, budget: Budget, scope: Scope
) -> list[Answer]:
    """Compress nodes under one budget that they share, or each under its own.

    Raises:
        CtxzipError: see :meth:`ctxzip.api.guard.Guard.run`.
    """
    requests = _requests(nodes, query, budget, scope)
    return _answers(nodes, requests, guard.run(requests, count=True))


async def acompress_nodes(
    guard: Guard, nodes: Sequence[Node], query: str | None, budget: Budget, scope: Scope
) -> list[Answer]:
    """:func:`compress_nodes` without holding up the event loop."""
    requests = _requests(nodes, query, budget, scope)
    return _answers(nodes, requests, await guard.arun(requests, count=True))


def encoded(provenance: Mapping[str, Any], form: Form) -> object:
    """Provenance as a metadata value: a mapping, or a string for stores that take only those."""
    if form == "json":
        return json.dumps(provenance, ensure_ascii=False, separators=(",", ":"))
    return dict(provenance)


def compose(
    base: Sequence[tuple[int, int]], kept: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Spans of a text, as spans of the source that the text itself was cut from.

    Args:
        base: sorted spans of the source whose concatenation is the text.
        kept: sorted spans of the text.

    Returns:
        Sorted spans of the source; neighbours that touch are one.
    """
    found: list[tuple[int, int]] = []
    at = 0  # where in the text the current base span begins
    i = 0
    for start, end in kept:
        while i < len(base) and at + base[i][1] - base[i][0] <= start:
            at += base[i][1] - base[i][0]
            i += 1
        j, here = i, at
        while j < len(base) and here < end:
            left, right = base[j]
            a = left + max(start - here, 0)
            b = min(right, left + end - here)
            if found and found[-1][1] == a:
                found[-1] = (found[-1][0], b)
            elif b > a:
                found.append((a, b))
            here += right - left
            j += 1
    return found


def _requests(
    nodes: Sequence[Node], query: str | None, budget: Budget, scope: Scope
) -> list[Request]:
    asked = query if query is not None and query.strip() else None
    documents = tuple(Document(node.text, node.id, node.title) for node in nodes)
    if scope == "each":
        return [Request((document,), asked, budget) for document in documents]
    if scope != "all":
        raise InputError(f"budget_scope={scope!r} is neither 'all' nor 'each'.")
    return [Request(documents, asked, budget)] if documents else []


def _answers(
    nodes: Sequence[Node], requests: Sequence[Request], outcomes: Sequence[Outcome]
) -> list[Answer]:
    rest = iter(nodes)
    answers = []
    for request, outcome in zip(requests, outcomes, strict=True):
        results = aligned(request, outcome.compression)
        for result, tokens in zip(results, outcome.tokens, strict=True):
            answers.append(_answer(next(rest), result, outcome, tokens))
    return answers


def _answer(
    node: Node, result: CompressedDocument | None, outcome: Outcome, tokens: tuple[int, int]
) -> Answer:
    text = result.text if result is not None else ""
    provenance: dict[str, Any] = {
        "compressor": outcome.compression.compressor,
        "spans": _spans(node, result),
        "tokens_before": tokens[0],
        "tokens_after": tokens[1],
    }
    if result is not None and result.score is not None:
        provenance["score"] = result.score
    if outcome.reason is not None:
        provenance["fallback"] = outcome.reason
    return Answer(text, bool(node.text.strip()) and not text.strip(), provenance, outcome)


def _spans(node: Node, result: CompressedDocument | None) -> list[list[int]] | None:
    if result is None:
        return []
    return None if result.kept is None else traced(node, result.kept)


def traced(node: Node, kept: Sequence[tuple[int, int]]) -> list[list[int]] | None:
    """Spans of a node's text as spans of its source; None where the text was rewritten before."""
    base = _base(node)
    return None if base is None else [[a, b] for a, b in compose(base, kept)]


def _base(node: Node) -> list[tuple[int, int]] | None:
    """Where the node's text stands in its source; None where it was rewritten before."""
    whole = [(node.offset, node.offset + len(node.text))]
    earlier = node.earlier
    if isinstance(earlier, str):
        try:
            earlier = json.loads(earlier)
        except ValueError:
            return whole
    if not isinstance(earlier, Mapping) or "spans" not in earlier:
        return whole
    if earlier["spans"] is None:
        return None
    try:
        spans = [(int(a), int(b)) for a, b in earlier["spans"]]
    except (TypeError, ValueError):
        return whole
    # A text that was replaced since then has nothing to do with those spans.
    return spans if sum(b - a for a, b in spans) == len(node.text) else whole
