"""Who writes a summary: an encoder-decoder on this machine, or a chat LLM at an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ctxzip.backends.chat import Chat, ChatClient, ChatError
from ctxzip.errors import InputError
from ctxzip.kit.once import Once

if TYPE_CHECKING:
    from ctxzip.backends.torch.causal import Seq2SeqModel

__all__ = ["Abstractive", "ChatWriter", "Seq2SeqWriter", "Writer"]


@dataclass(frozen=True, slots=True)
class Abstractive:
    """Settings of compressor ``recomp-abstractive``.

    Attributes:
        beams: 1 for greedy search, which is what RECOMP's published command does.
        max_tokens: most tokens of a summary, as the model counts them; a ceiling lowers it.
        source_tokens: most tokens of question and documents; more are cut off the end.
        titles: put a document's title before its text. RECOMP's code takes all documents as one
            ready string, so titles and the line breaks between documents are ours.
        check: report numbers and names of a summary that its documents do not hold.
        allow_pickle: weights that are pickles may be read, not only safetensors.
    """

    beams: int = 1
    max_tokens: int = 512
    source_tokens: int = 1024
    titles: bool = True
    check: bool = False
    allow_pickle: bool = False

    def __post_init__(self) -> None:
        if self.beams < 1 or self.max_tokens < 1 or self.source_tokens < 1:
            raise InputError("beams, max_tokens and source_tokens must be at least 1.")


class Written(NamedTuple):
    """A summary, or the reason why there is none, and what the caller should know of it."""

    text: str | Exception
    notes: tuple[str, ...] = ()


class Writer(Protocol):
    """Writes a summary for each pair of question and text. Thread-safe."""

    def write(
        self, asked: Sequence[tuple[str, str]], limits: Sequence[int | None]
    ) -> list[Written]:
        """One for each, alone as in any company.

        Args:
            asked: question (may be empty) and text.
            limits: most tokens of each summary, roughly, or None.
        """
        ...

    def close(self) -> None:
        """Release what was loaded; a later call loads it again."""
        ...


class Seq2SeqWriter:
    """A T5 or another encoder-decoder with RECOMP's prompt."""

    def __init__(self, load: Callable[[], Seq2SeqModel], settings: Abstractive) -> None:
        self._model = Once.of(load)
        self._settings = settings

    def write(
        self, asked: Sequence[tuple[str, str]], limits: Sequence[int | None]
    ) -> list[Written]:
        """See :class:`Writer`."""
        most = self._settings.max_tokens
        texts, notes = self._model().generate(
            [f"Question: {q}\n Document: {text}\n Summary: " for q, text in asked],
            source_tokens=self._settings.source_tokens,
            new_tokens=[most if limit is None else max(1, min(most, limit)) for limit in limits],
            beams=self._settings.beams,
        )
        return list(map(Written, texts, notes))

    def close(self) -> None:
        """Release the weights; a later call loads them again."""
        self._model.close()


class ChatWriter:
    """Writes summaries through an endpoint. Thread-safe.

    Args:
        settings: see :class:`Chat`.
    """

    def __init__(self, settings: Chat) -> None:
        self._settings = settings
        self._client = ChatClient(settings)

    def write(
        self, asked: Sequence[tuple[str, str]], limits: Sequence[int | None]
    ) -> list[Written]:
        """A summary, or the reason why there is none, for each pair of question and text."""
        self._client.endpoint()
        most = self._settings.max_tokens
        tokens = [most if limit is None else max(1, min(most, limit)) for limit in limits]
        with ThreadPoolExecutor(min(self._settings.parallel, max(1, len(asked)))) as pool:
            return list(map(Written, pool.map(self._one, asked, tokens)))

    def close(self) -> None:
        """Nothing to release."""

    def _one(self, asked: tuple[str, str], tokens: int) -> str | Exception:
        question, text = asked
        messages = [
            {"role": "system", "content": self._settings.instruction},
            {"role": "user", "content": f"Question: {question}\n\nDocument:\n{text}"},
        ]
        try:
            return self._client.complete(messages, tokens).text
        except ChatError as error:
            return error
