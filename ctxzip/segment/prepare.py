"""A request made ready: segmented, counted once, its protected spans found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from ctxzip.errors import InputError
from ctxzip.kit.arrays import IntArray
from ctxzip.segment import sentences, structure
from ctxzip.segment.layout import Layout, TextLayout
from ctxzip.text import protect, tokens
from ctxzip.text.units import Passage
from ctxzip.types import Document, Options, Request, check_text

__all__ = ["Prepared", "document_of", "passage_of", "prepare"]


@dataclass(slots=True, eq=False)
class Prepared:
    """One request, ready to be scored.

    Attributes:
        request: as the caller made it.
        options: as the caller made them.
        counter: counts tokens as the target LLM does.
        passages: clean texts with their units.
        layouts: how each passage's units become text again.
        hard: hard-protected spans of each clean text, int64, shape (m, 2).
        removed: where tags were cut out of each text, int64, shape (t, 2), in original offsets.
        starts: first character of each token of each clean text, or None for an opaque counter.
        prefixes: what is rendered before each document (its title), counted.
        tokens_before: tokens of the assembled input.
        ceiling: most tokens that the assembled output may have; None where only a threshold rules.
        seconds: time per stage so far.
    """

    request: Request
    options: Options
    counter: tokens.TokenCounter
    passages: tuple[Passage, ...]
    layouts: tuple[Layout, ...]
    hard: tuple[IntArray, ...]
    removed: tuple[IntArray, ...]
    starts: tuple[IntArray | None, ...]
    prefixes: tuple[str, ...]
    tokens_before: int
    ceiling: int | None
    seconds: dict[str, float]

    def assemble(self, texts: list[str]) -> str:
        """Non-empty documents, each after its title, joined by the separator."""
        return self.options.separator.join(
            [prefix + text for prefix, text in zip(self.prefixes, texts, strict=True) if text]
        )

    def cost(self, passage: int, lead: IntArray, end: IntArray) -> IntArray:
        """Tokens per unit, the whitespace before it included; they sum to nearly the whole count.

        Args:
            passage: index of the passage.
            lead: where the whitespace before each unit begins, int64, shape (n,).
            end: one past each unit's last character, int64, shape (n,).

        Returns:
            int64, shape (n,); never below 1, since no unit is free.
        """
        begins = self.starts[passage]
        if begins is not None:
            counted: IntArray = np.searchsorted(begins, end) - np.searchsorted(begins, lead)
            return np.maximum(counted, 1)
        text = self.passages[passage].text
        pairs = zip(lead.tolist(), end.tolist(), strict=True)
        return np.array([max(1, self.counter.count(text[a:b])) for a, b in pairs], np.int64)


def prepare(
    request: Request, options: Options, layout: Callable[[int, str], Layout] | None = None
) -> Prepared:
    """Segment, count and protect.

    Args:
        request: as the caller made it.
        options: as the caller made them.
        layout: segments one document, given its index and its clean text; sentences and members of
            JSON unless given.

    Raises:
        InputError: a document that is not text, or protection that does not fit the documents.
    """
    begun = perf_counter()
    seconds: dict[str, float] = {}

    def lap(stage: str) -> None:
        nonlocal begun
        now = perf_counter()
        seconds[stage] = seconds.get(stage, 0.0) + now - begun
        begun = now

    counter = tokens.resolve(options.tokenizer)
    lap("count")
    tagged = options.keep_tags and request.trusted
    cleaned = [_clean(document.text, tagged) for document in request.documents]
    texts = [text for text, _, _ in cleaned]
    _check_spans(options, len(texts))
    hard = tuple(_hard(i, *clean, options) for i, clean in enumerate(cleaned))
    lap("protect")
    prefixes = tuple(
        f"{document.title}\n" if options.titles and document.title else ""
        for document in request.documents
    )
    original = [document.text for document in request.documents]
    starts, before = _count(original, texts, prefixes, options, counter)
    lap("count")
    if layout is None:
        layouts = tuple(_layout(text, options.language) for text in texts)
    else:
        layouts = tuple(layout(i, text) for i, text in enumerate(texts))
    hard = tuple(map(_whole_if_torn, texts, layouts, hard))
    lap("segment")
    passages = tuple(
        Passage(document, text, layout.units)
        for document, text, layout in zip(request.documents, texts, layouts, strict=True)
    )
    return Prepared(
        request=request,
        options=options,
        counter=counter,
        passages=passages,
        layouts=layouts,
        hard=hard,
        removed=tuple(removed for _, _, removed in cleaned),
        starts=starts,
        prefixes=prefixes,
        tokens_before=before,
        ceiling=request.budget.ceiling(before),
        seconds=seconds,
    )


def document_of(item: object, i: int) -> Document:
    """The document that a string, a document or a mapping is; the ``i``-th of its prompt."""
    if isinstance(item, str):
        item = Document(item)
    elif isinstance(item, Mapping):
        item = _from_mapping(item, i)
    if not isinstance(item, Document):
        raise InputError(
            f"Document {i} is {type(item).__name__}, not text.",
            hint="Give strings, ctxzip.Document, or mappings with a 'text'.",
        )
    check_text(item.text, f"the text of document {i}")
    if item.title is not None:
        check_text(item.title, f"the title of document {i}")
    return item


def _from_mapping(item: Mapping[str, object], i: int) -> Document:
    if "text" not in item:
        raise InputError(f"Document {i} has no 'text'; its keys are {sorted(map(str, item))}.")
    identifier, title, metadata = item.get("id"), item.get("title"), item.get("metadata")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise InputError(
            f"The metadata of document {i} is {type(metadata).__name__}, not a mapping."
        )
    return Document(
        text=item["text"],  # type: ignore[arg-type]  # checked with all other texts
        id=None if identifier is None else str(identifier),
        title=title,  # type: ignore[arg-type]
        metadata=metadata if metadata is not None else {},
    )


def passage_of(document: Document, language: str | None = None) -> Passage:
    """A document with its units, as :func:`prepare` makes them."""
    return Passage(document, document.text, _layout(document.text, language).units)


def _clean(text: str, tagged: bool) -> tuple[str, IntArray, IntArray]:
    """The text without ``<keep>`` tags, what they protect, and where they stood."""
    if not tagged:
        nothing = np.zeros((0, 2), np.int64)
        return text, nothing, nothing
    return protect.strip_keep_tags(text)


def _check_spans(options: Options, n: int) -> None:
    if options.protect_spans and len(options.protect_spans) != n:
        raise InputError(
            f"protect_spans has {len(options.protect_spans)} entries for {n} documents.",
            hint="Give one sequence of (start, end) per document.",
        )


def _hard(i: int, text: str, kept: IntArray, removed: IntArray, options: Options) -> IntArray:
    spans = [(int(a), int(b)) for a, b in kept.tolist()]
    given = options.protect_spans[i] if options.protect_spans else ()
    for span in given:  # in the caller's own offsets, tags included
        gone = [np.clip(removed[:, 1], None, at) - np.clip(removed[:, 0], None, at) for at in span]
        spans.append((int(span[0] - gone[0].sum()), int(span[1] - gone[1].sum())))
    return protect.hard(text, options.protect, options.protect_patterns, spans)


def _whole_if_torn(text: str, layout: Layout, hard: IntArray) -> IntArray:
    """Hard spans of a JSON document; the whole of it where one reaches beyond a member."""
    if isinstance(layout, TextLayout) or not len(hard):
        return hard
    at = np.searchsorted(layout.units.end, hard[:, 0], side="right")
    inside = at < len(layout.units)
    inside[inside] &= layout.units.start[at[inside]] <= hard[inside, 0]
    inside[inside] &= layout.units.end[at[inside]] >= hard[inside, 1]
    return hard if inside.all() else np.array([[0, len(text)]], np.int64)


def _layout(text: str, language: str | None) -> Layout:
    if text[:64].lstrip()[:1] in ("{", "["):
        members = structure.json_members(text)
        if members is not None:
            return members
    return TextLayout(text, sentences.split(text, language))


def _count(
    original: list[str],
    texts: list[str],
    prefixes: tuple[str, ...],
    options: Options,
    counter: tokens.TokenCounter,
) -> tuple[tuple[IntArray | None, ...], int]:
    """One tokenization of the assembled input gives its size and the token starts of every text."""
    parts: list[str] = []
    at: list[int] = []
    length = 0
    for prefix, text in zip(prefixes, texts, strict=True):
        lead = (options.separator if text and parts else "") + (prefix if text else "")
        at.append(length + len(lead))
        if text:
            parts.append(lead + text)
            length += len(lead) + len(text)
    joined = "".join(parts)
    begins = counter.starts(joined)
    if begins is None:
        return (None,) * len(texts), counter.count(joined) if joined else 0
    before = len(begins)
    if original != texts:  # tags were cut out: the caller paid for them too
        before = counter.count(options.separator.join([t for t in original if t]))
    found = []
    for offset, text in zip(at, texts, strict=True):
        low, high = np.searchsorted(begins, [offset, offset + len(text)])
        found.append(begins[low:high] - offset)
    return tuple(found), before
