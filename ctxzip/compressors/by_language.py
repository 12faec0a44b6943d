"""``compressor="auto"``: the shipped model where it fits, the lexical path where it does not."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

from ctxzip.errors import MissingExtraError, ModelError
from ctxzip.kit.batch import BatchCompressor
from ctxzip.kit.once import Once
from ctxzip.segment.language import guess
from ctxzip.types import Compression, Compressor, Options, Request

__all__ = ["Auto"]

_SAMPLE = 1500


class Auto(BatchCompressor):
    """Sends each request to the model or to the fallback, and says why. Thread-safe.

    Args:
        model: makes the model's compressor; may raise ModelError.
        fallback: needs nothing and takes every language.
        languages: ISO 639-1 codes that the model knows.
        options: those of both.
    """

    name = "auto"
    routes = True

    def __init__(
        self,
        model: Callable[[], Compressor],
        fallback: Compressor,
        languages: Sequence[str],
        options: Options,
    ) -> None:
        self.options = options
        self._model = Once(lambda: _warm(model()), lambda compressor: compressor.close())
        self._fallback = fallback
        self._languages = frozenset(languages)

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        """Compress several requests, those for the model in common batches."""
        reasons = [self._against(request) for request in requests]
        model, broken = self._loaded() if None in reasons else (None, None)
        done: dict[int, Compression] = {}
        for compressor, chosen in (
            (model, [i for i, why in enumerate(reasons) if why is None and model is not None]),
            (self._fallback, [i for i, why in enumerate(reasons) if why or model is None]),
        ):
            if compressor is None or not chosen:
                continue
            results = compressor.compress_many([requests[i] for i in chosen])
            for i, result in zip(chosen, results, strict=True):
                why = reasons[i] or broken or "the text is in a language that the model knows"
                path = (f"auto: {compressor.name}, because {why}", *result.path)
                notes = (*result.notes, why) if compressor is self._fallback else result.notes
                done[i] = replace(result, path=path, notes=notes)
        return [done[i] for i in range(len(requests))]

    def warmup(self) -> None:
        """Load the model, if it can be loaded."""
        self._loaded()

    def close(self) -> None:
        """Release the model."""
        self._model.close()

    def _against(self, request: Request) -> str | None:
        """Why the model should not read a request; None where it should."""
        known = 0
        foreign: dict[str, int] = {}
        for document in request.documents:
            language = self.options.language or guess(document.text[:_SAMPLE])
            if language in self._languages:
                known += len(document.text)
            else:
                foreign[language] = foreign.get(language, 0) + len(document.text)
        if sum(foreign.values()) <= known:
            return None
        language = max(foreign, key=foreign.__getitem__)
        return f"most of the text seems to be in {language!r}, which the model does not know"

    def _loaded(self) -> tuple[Compressor | None, str | None]:
        """The model, or why there is none; warns once per process and reason."""
        try:
            return self._model(), None
        except (ModelError, MissingExtraError) as error:
            why = f"the model cannot be loaded: {error}"
            _warn(why)
            return None, why


def _warm(compressor: Compressor) -> Compressor:
    compressor.warmup()
    return compressor


_warned: set[str] = set()


def _warn(why: str) -> None:
    if why not in _warned:
        _warned.add(why)
        warnings.warn(f"ctxzip goes on without its model, because {why}", stacklevel=4)
