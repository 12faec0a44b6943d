"""Code and prose in one request: each goes to its own compressor, under one budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from types import MappingProxyType

import numpy as np

from ctxzip.code.score.base import CodeText
from ctxzip.code.score.words import LexicalCode
from ctxzip.code.segment import detect
from ctxzip.errors import BudgetError, InputError
from ctxzip.kit.batch import DEFAULT_RATIO, BatchCompressor
from ctxzip.kit.once import Once
from ctxzip.select.search import fit
from ctxzip.text import tokens
from ctxzip.types import (
    Budget,
    CompressedDocument,
    Compression,
    Document,
    Options,
    Request,
    Segment,
)

__all__ = ["Mixed", "is_code"]

_JOINT = 2  # tokens of the separator between two kinds
_FENCED = 0.5  # share of a document


def is_code(document: Document) -> bool:
    """Whether a document is source code: by its title or id as a path, its fences, its looks."""
    text = document.text
    if not text.strip():
        return False
    path = next((p for p in (document.title, document.id) if detect.by_path(p) is not None), None)
    if detect.detect(text, path) is not None:
        return True
    fenced = [f for f in detect.fences(text) if f.language is not None]
    return sum(f.end - f.start for f in fenced) > _FENCED * len(text)


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Documents of one kind, by their places in the request."""

    places: list[int]
    code: bool


class Mixed(BatchCompressor):
    """Sends documents of source code to one compressor and all others to another. Thread-safe.

    Args:
        name: the compressor's name, repeated in its results.
        code: makes the compressor of source code for given options.
        text: makes the compressor of everything else.
        options: what is rarely set.
        calibrated: the latter takes a threshold; with one it gets code too.
        routes: text is as welcome as code; otherwise it is a surprise, and the result says so.
    """

    def __init__(
        self,
        name: str,
        code: Callable[[Options], BatchCompressor],
        text: Callable[[Options], BatchCompressor],
        options: Options | None = None,
        *,
        calibrated: bool = False,
        routes: bool = False,
    ) -> None:
        self._calibrated = calibrated
        self.routes = routes
        self.name = name
        self.options = options if options is not None else Options()
        self._make = {True: code, False: text}
        # Those of the options that are meant for all requests.
        self._made = {
            kind: Once(partial(make, self.options), lambda compressor: compressor.close())
            for kind, make in self._make.items()
        }

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        """Compress several requests, those of one kind in common batches.

        Raises:
            BudgetError: hard-protected text alone exceeds a ceiling.
        """
        flags = [self._flags(request) for request in requests]
        done: dict[int, Compression] = {}
        for kind in (True, False):
            pure = [i for i, f in enumerate(flags) if all(f) is kind and any(f) is kind]
            if pure:
                found = self._compressor(kind, self.options).compress_many(
                    [requests[i] for i in pure]
                )
                for i, result in zip(pure, found, strict=True):
                    if kind and not result.text and result.ceiling:
                        done[i] = self._as_text(requests[i])
                    else:
                        done[i] = self._told(requests[i], result, kind)
        for i, request in enumerate(requests):
            if i not in done:
                done[i] = self._both(request, flags[i])
        return [done[i] for i in range(len(requests))]

    def _flags(self, request: Request) -> list[bool]:
        """Whether each document goes to the compressor of code; one False where there is none."""
        if request.budget.threshold is not None:
            if not self._calibrated:
                raise InputError(
                    f"threshold={request.budget.threshold!r} needs calibrated scores, which"
                    f" compressor {self.name!r} has none of.",
                    hint="Give a ratio or target_tokens, or choose another compressor.",
                )
            return [False]
        return [is_code(document) for document in request.documents] or [False]

    def _as_text(self, request: Request) -> Compression:
        """Code of which no statement fits, such as a minified file, as if it were text."""
        result = self._compressor(False, self.options).compress_many([request])[0]
        why = "no whole statement of the source code fits: compressed as text"
        return replace(
            result, path=(f"{self.name}: {why}", *result.path), notes=(*result.notes, why)
        )

    def _told(self, request: Request, result: Compression, code: bool) -> Compression:
        """With the reason why a compressor was chosen."""
        if code:
            why = f"{self.name}: {result.compressor}, because the text is source code"
            return replace(result, path=(why, *result.path))
        if self.routes or not any(d.text.strip() for d in request.documents):
            return result
        why = f"the text is not source code: compressed by {result.compressor}"
        notes = (*result.notes, why)
        return replace(result, path=(f"{self.name}: {why}", *result.path), notes=notes)

    def warmup(self) -> None:
        """Load what the first call would load."""
        for kind in (True, False):
            self._compressor(kind, self.options).warmup()

    def close(self) -> None:
        """Release what was loaded."""
        for compressor in self._made.values():
            compressor.close()

    def _compressor(self, code: bool, options: Options) -> BatchCompressor:
        """The compressor of one kind."""
        return self._made[code]() if options == self.options else self._make[code](options)

    def _both(self, request: Request, flags: list[bool]) -> Compression:
        """One request with documents of both kinds.

        What must stay of each kind is asked for first; of the rest the text gets its share and code
        the room that is left.
        """
        counter = tokens.resolve(self.options.tokenizer)
        before = counter.count(_joined([d.text for d in request.documents], request, self.options))
        budget = request.budget
        if budget.ratio is None and budget.tokens is None:
            budget = replace(budget, ratio=DEFAULT_RATIO)
        ceiling = budget.ceiling(before)
        if ceiling is not None and ceiling >= before:  # as it is, whatever it is
            return self._compressor(False, self.options).compress_many([request])[0]
        room = before if ceiling is None else min(before, ceiling)
        groups = [
            _Group([i for i, code in enumerate(flags) if code is kind], kind)
            for kind in (False, True)
        ]
        text_floor, code_floor = (self._floor(request, group) for group in groups)
        reserved = code_floor + _JOINT if code_floor else 0
        share = _share(request, groups[0].places, counter)

        @cache
        def choose(total: int) -> Compression:
            wanted = max(text_floor, min(int(total * share), total - reserved))
            text = self._group(request, groups[0], wanted)
            left = max(code_floor, total - text.tokens_after - _JOINT)
            code = self._group(request, groups[1], left)
            return self._merged(request, groups, (text, code), before, ceiling)

        # Every try is a compression of both: the first one that fits is taken.
        fitted = fit(
            choose, lambda merged: merged.tokens_after, room, slack=room, most=before, settle=True
        )
        if fitted is None:
            raise BudgetError.for_protected(choose(0).tokens_after, room)
        return fitted.selected

    def _floor(self, request: Request, group: _Group) -> int:
        """Tokens of what must stay of one kind."""
        options = self.options
        tagged = options.keep_tags and request.trusted
        if not (options.protect or options.protect_patterns or options.protect_spans or tagged):
            return 0
        asked, options = self._part(request, group)
        return self._compressor(group.code, options).floor(asked)

    def _group(self, request: Request, group: _Group, room: int) -> Compression:
        asked, options = self._part(request, group, room)
        return self._compressor(group.code, options).compress_many([asked])[0]

    def _part(
        self, request: Request, group: _Group, room: int | None = None
    ) -> tuple[Request, Options]:
        """The documents of one kind as a request of their own, and its options."""
        options = replace(self.options, drop_empty=False)
        if options.protect_spans:
            spans = [options.protect_spans[i] for i in group.places]
            options = replace(options, protect_spans=spans)
        documents = tuple(request.documents[i] for i in group.places)
        return Request(documents, request.query, Budget(tokens=room), request.trusted), options

    def _merged(
        self,
        request: Request,
        groups: Sequence[_Group],
        results: Sequence[Compression],
        before: int,
        ceiling: int | None,
    ) -> Compression:
        """The documents of both in the order of the request."""
        options = self.options
        found = _placed(groups, results)
        parts: list[Segment] = []
        texts: list[str] = []
        at = 0
        for place in range(len(request.documents)):
            _, own = found[place]
            if not own:
                continue
            if at and options.separator:
                parts.append(Segment(at, at + len(options.separator), -1, -1))
                texts.append(options.separator)
                at = parts[-1].end
            result = results[0] if place in groups[0].places else results[1]
            for segment in own:
                texts.append(result.text[segment.start : segment.end])
                length = segment.end - segment.start
                parts.append(Segment(at, at + length, place, segment.source_start))
                at += length
        text = "".join(texts)
        counter = tokens.resolve(options.tokenizer)
        documents = [found[i][0] for i in range(len(request.documents))]
        if options.drop_empty:
            documents = [d for d in documents if d.text or not d.source.text]
        return Compression(
            text=text,
            documents=tuple(documents),
            tokens_before=before,
            tokens_after=counter.count(text) if text else 0,
            tokenizer=counter.name,
            compressor=" + ".join(dict.fromkeys(result.compressor for result in results)),
            path=(
                f"{self.name}: {len(groups[1].places)} documents are code,"
                f" {len(groups[0].places)} are not; one budget",
                *(line for result in results for line in result.path),
            ),
            notes=tuple(note for result in results for note in _notes(result)),
            ceiling=ceiling,
            segments=tuple(parts),
            seconds=MappingProxyType(_seconds(results)),
        )


def _placed(
    groups: Sequence[_Group], results: Sequence[Compression]
) -> dict[int, tuple[CompressedDocument, list[Segment]]]:
    """Documents and their segments by their places in the request."""
    return {
        place: (document, [s for s in result.segments if s.document == k])
        for group, result in zip(groups, results, strict=True)
        for k, (place, document) in enumerate(zip(group.places, result.documents, strict=True))
    }


def _seconds(results: Sequence[Compression]) -> dict[str, float]:
    """The time that all of them spent in each stage."""
    stages = dict.fromkeys(stage for result in results for stage in result.seconds)
    return {stage: sum(r.seconds.get(stage, 0.0) for r in results) for stage in stages}


def _notes(result: Compression) -> tuple[str, ...]:
    """What is to be said of one kind; that it fits its share whole concerns nobody."""
    whole = result.ceiling is not None and result.ceiling >= result.tokens_before > 0
    return () if whole else result.notes


def _joined(texts: Sequence[str], request: Request, options: Options) -> str:
    """The assembled input, as the compressors count it."""
    titles = [f"{d.title}\n" if options.titles and d.title else "" for d in request.documents]
    return options.separator.join([p + t for p, t in zip(titles, texts, strict=True) if t])


def _share(request: Request, places: list[int], counter: tokens.TokenCounter) -> float:
    """The share of the budget that the documents at some places begin with.

    By their tokens; with a question by how well they answer it too, on one scale for both kinds.
    """
    size = np.array([counter.count(d.text) for d in request.documents], np.float64)
    weight = size
    if request.query and request.query.strip():
        parts = [CodeText(d.text, around=d.title or "") for d in request.documents]
        found = LexicalCode().rank(request.query, parts, 0).scores
        weight = size * (0.25 + found / max(float(found.max()), 1e-9))
    return float(weight[places].sum() / max(float(weight.sum()), 1e-9))
