"""Sentences judged by a causal language model: EXIT.

Hwang et al., "EXIT: Context-Aware Extractive Compression for Enhancing Retrieval-Augmented
Generation" (2024, arXiv 2412.12559). A sentence is read after the query and its own whole document,
and the model answers whether it is useful; its score is P("Yes") against "No". Query and document
are the same for all sentences of a document, so they are read once and their cache is shared.

The context is the sentence's own document because the adapter was trained on that. The inference
code released with the paper (commit caa96ea) passes all retrieved documents, joined; a later
rewrite of it (4c0141a) passes each sentence's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ctxzip.errors import InputError
from ctxzip.kit.arrays import FloatArray, IntArray
from ctxzip.kit.once import Once
from ctxzip.score.base import ScoreRequest, UnitScores
from ctxzip.score.fallback import LexicalWords
from ctxzip.text.units import Passage, Words

if TYPE_CHECKING:
    from ctxzip.backends.torch.causal import CausalModel

__all__ = ["Exit", "LikelihoodScorer"]

_BODY = (
    "Query:\n{query}\nFull context:\n{context}\nSentence:\n{sentence}\n"
    'Is this sentence useful in answering the query? Answer only "Yes" or "No".'
)
_GEMMA = f"<start_of_turn>user\n{_BODY}<end_of_turn>\n<start_of_turn>model\n"


@dataclass(frozen=True, slots=True)
class Exit:
    """Settings of compressor ``exit``.

    Attributes:
        adapter: folder or hub name of a LoRA adapter on the model, or None.
        template: the prompt with ``{query}``, ``{context}`` and ``{sentence}``; by default Gemma's
            as published, or the same text in the checkpoint's own chat template.
        yes: the answer whose probability is the score; one token.
        no: the other answer; one token.
        allow_pickle: weights that are pickles may be read, not only safetensors.
    """

    adapter: str | None = None
    template: str | None = None
    yes: str = "Yes"
    no: str = "No"
    allow_pickle: bool = False

    def __post_init__(self) -> None:
        if self.template is not None:
            for name in ("{query}", "{context}", "{sentence}"):
                if self.template.count(name) != 1:
                    raise InputError(
                        f"The template holds {name} {self.template.count(name)} times."
                    )
            if self.template.index("{sentence}") < self.template.index("{context}"):
                raise InputError(
                    "The template asks for the sentence before its context, so nothing is shared.",
                    hint="Put {sentence} last.",
                )


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Units of one passage that are read with one context."""

    passage: int
    units: range
    context: str


class LikelihoodScorer:
    """P("Yes") for every unit.

    Args:
        load: makes the language model; called once, on first use.
        settings: see :class:`Exit`.
    """

    calibrated = True
    words_first = False

    def __init__(self, load: Callable[[], CausalModel], settings: Exit | None = None) -> None:
        self._model = Once.of(load)
        self._settings = settings if settings is not None else Exit()
        self._words = LexicalWords()

    @property
    def model(self) -> CausalModel:
        """The language model, loaded on first use."""
        return self._model()

    def units(self, requests: Sequence[ScoreRequest]) -> list[UnitScores]:
        """See :class:`ctxzip.score.base.Scorer`.

        Raises:
            InputError: a request without a query, or one that is too long for the model.
        """
        for request in requests:
            if not (request.query and request.query.strip()):
                raise InputError(
                    "exit asks whether a sentence answers a query, and there is none.",
                    hint='Give query=..., or use compressor="auto".',
                )
        return [self._request(request) for request in requests]

    def _request(self, request: ScoreRequest) -> UnitScores:
        prompts = _Prompts(self.model, self._settings, str(request.query))
        scores = [np.zeros(len(passage.units)) for passage in request.passages]
        notes: list[str] = []
        for i, passage in enumerate(request.passages):
            parts = prompts.parts(i, passage)
            if len(parts) > 1:
                notes.append(
                    f"document {i} is longer than the model's {self.model.window} tokens: its"
                    f" sentences were read in {len(parts)} parts"
                )
            texts = passage.unit_texts()
            for part in parts:
                asked = [texts[k] for k in part.units]
                sentences = prompts.sentences(part.context, asked)
                if sentences != asked:
                    notes.append(
                        f"a sentence of document {i} is too long for the model and was cut"
                    )
                found, added = self._yes(prompts, part.context, sentences)
                scores[i][part.units.start : part.units.stop] = found
                notes += added
        best = np.array([float(values.max()) if len(values) else 0.0 for values in scores])
        return UnitScores(units=tuple(scores), passages=best, notes=tuple(dict.fromkeys(notes)))

    def _yes(
        self, prompts: _Prompts, context: str, sentences: list[str]
    ) -> tuple[FloatArray, tuple[str, ...]]:
        """P("Yes") of sentences that share a context."""
        ids = prompts.ids(context, sentences)
        shared = _shared(ids)
        logits, notes = self.model.continuations(
            ids[0][:shared], [row[shared:] for row in ids], prompts.answers
        )
        gap = logits[:, 1].astype(np.float64) - logits[:, 0]
        return 1 / (1 + np.exp(np.clip(gap, -500, 500))), notes

    def words(
        self, request: ScoreRequest, scores: UnitScores, words: Sequence[Words]
    ) -> list[FloatArray]:
        """Words within the order of their sentences; only asked where no sentence fits."""
        return self._words(request, scores, words)

    def warmup(self) -> None:
        """Load the checkpoint."""
        _ = self.model

    def close(self) -> None:
        """Release the weights; a later call loads them again."""
        self._model.close()


def _shared(ids: Sequence[IntArray]) -> int:
    """Length of the longest common prefix that leaves every row at least one token."""
    shared = min(map(len, ids)) - 1
    for row in ids[1:]:
        differs = np.flatnonzero(row[:shared] != ids[0][:shared])
        if len(differs):
            shared = int(differs[0])
    return max(shared, 1)


class _Prompts:
    """The prompts of one request."""

    def __init__(self, model: CausalModel, settings: Exit, query: str) -> None:
        from ctxzip.backends.torch.causal import single_token

        self._window = model.window
        self._tokenizer: Any = model.tokenizer
        self._special = [str(token) for token in model.tokenizer.all_special_tokens]
        self._special += ["<start_of_turn>", "<end_of_turn>"]
        self._template = settings.template or _template(model.tokenizer)
        self._query = self._plain(query)
        self.answers = [
            single_token(model.tokenizer, word, model.name) for word in (settings.yes, settings.no)
        ]
        first = getattr(model.tokenizer, "bos_token", None)
        self._framed = not (first and self._template.startswith(first))

    def _plain(self, text: str) -> str:
        """A text in which the names of special tokens are ordinary text."""
        for token in self._special:
            if token and token in text:
                text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    def ids(self, context: str, sentences: Sequence[str]) -> list[IntArray]:
        """Token ids of the prompt of each sentence."""
        before, after = self._template.split("{sentence}")
        given = {"{query}": self._query, "{context}": self._plain(context)}
        # In one pass: a document may hold the name of another slot.
        before = re.sub(r"\{query\}|\{context\}", lambda slot: given[slot.group()], before)
        prompts = [before + self._plain(sentence.strip()) + after for sentence in sentences]
        found = self._tokenizer(prompts, add_special_tokens=self._framed)["input_ids"]
        return [np.array(row, np.int64) for row in found]

    def _size(self, text: str) -> int:
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _most(self, fixed: int) -> int:
        """Most tokens of one sentence, where it stands by itself.

        Raises:
            InputError: the query leaves no room.
        """
        most = (self._window - fixed) // 3
        if most < 16:
            raise InputError(
                f"The query and the title do not fit the {self._window} tokens of the model.",
                hint="Shorten the query, or choose another compressor.",
            )
        return most

    def sentences(self, context: str, texts: Sequence[str]) -> list[str]:
        """Sentences as they are asked about: what is longer than any sentence is cut."""
        most = self._window - len(self.ids(context, [""])[0]) - 8
        return [self._cut(text, most) for text in texts]

    def _cut(self, text: str, most: int) -> str:
        """The first ``most`` tokens of a text."""
        if len(text.encode()) <= most:  # no token is shorter than a byte
            return text
        ends = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        offsets = ends["offset_mapping"]
        return text if len(offsets) <= most else text[: offsets[max(most, 1) - 1][1]]

    def parts(self, i: int, passage: Passage) -> list[_Part]:
        """The passage as one context, or as several where the model cannot read it whole."""
        n = len(passage.units)
        if not n:
            return []
        texts = passage.unit_texts()
        title = (passage.document.title or "").strip()
        head = f"{title}\n" if title else ""
        body = passage.text.strip()
        fixed = len(self.ids(head, [""])[0]) + 8
        longest = max(self._size(text) for text in texts)
        if fixed + longest + self._size(body) <= self._window:
            return [_Part(i, range(n), head + body)]
        room = self._window - fixed - min(longest, self._most(fixed))
        found: list[_Part] = []
        at = 0
        while at < n:
            to, used = at, 0
            while to < n and used + self._size(texts[to]) + 1 <= room:
                used += self._size(texts[to]) + 1
                to += 1
            to = max(to, at + 1)
            start, end = int(passage.units.start[at]), int(passage.units.end[to - 1])
            found.append(_Part(i, range(at, to), head + self._cut(passage.text[start:end], room)))
            at = to
        return found


def _template(tokenizer: Any) -> str:
    """Gemma's turns where the tokenizer has them, else its chat template, else plain text."""
    if tokenizer.convert_tokens_to_ids("<start_of_turn>") not in (None, tokenizer.unk_token_id):
        return _GEMMA
    if getattr(tokenizer, "chat_template", None):
        rendered: str = tokenizer.apply_chat_template(
            [{"role": "user", "content": _BODY}], tokenize=False, add_generation_prompt=True
        )
        return rendered
    return f"{_BODY}\nAnswer: "
