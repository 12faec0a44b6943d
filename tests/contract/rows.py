"""Every compressor under contract: how a test loads it, and what can be asked of it.

Weights are tiny and random, so they keep every promise and find no answer. A new row of
``ctxzip.list_compressors()`` needs a row here; ``test_rows.py`` says so.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ctxzip
from ctxzip import Compression, Compressor, LongCodeZip, Options
from ctxzip.backends.chat import Chat
from ctxzip.compressors.rewriting.writers import Abstractive
from tests import checkpoints
from tests.endpoint import StubEndpoint
from tests.networks import stub_mini

from . import promises

QUESTION = "Which pump was replaced?"
Checkpoint = Callable[[Path], Path]

__all__ = ["ROWS", "Loaded", "Machine", "Row"]


class Machine:
    """Tiny checkpoints and an endpoint, made on first use and kept for the session.

    Args:
        root: a folder for the checkpoints.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[Checkpoint, str] = {}
        self._endpoint: StubEndpoint | None = None

    def checkpoint(self, make: Checkpoint) -> str:
        """The folder of a checkpoint."""
        if make not in self._folders:
            self._folders[make] = str(make(self._root / str(len(self._folders))))
        return self._folders[make]

    @property
    def endpoint(self) -> StubEndpoint:
        if self._endpoint is None:
            self._endpoint = StubEndpoint(_summary)
        return self._endpoint

    @property
    def address(self) -> tuple[str, int] | None:
        """Where the endpoint listens, where there is one."""
        return None if self._endpoint is None else self._endpoint.address

    def close(self) -> None:
        if self._endpoint is not None:
            self._endpoint.close()


def _summary(prompt: str, _: int) -> object:
    """What an LLM may answer; the same to the same prompt."""
    document = prompt.partition("Document:\n")[2]
    words = document.split()
    return [
        "",
        " \n ",
        " ".join(words[: len(words) // 3]),
        " ".join(words[len(words) // 2 :]),
        f"{document}\n{document}",
        "The pump <|endoftext|> in 東京 was not started. It runs at 2.5 bar 👩‍👩‍👧‍👦. " * 3,
        (400, {}, {"error": {"message": "no such model"}}),
    ][zlib.crc32(prompt.encode()) % 7]


@dataclass(frozen=True, slots=True)
class Row:
    """One compressor, and which promises are not for it.

    Attributes:
        name: of ``ctxzip.list_compressors()``, or ``"auto"``.
        make: loads it with options.
        variant: what differs where a name has several rows.
        extractive: it keeps slices of the source. What rewrites writes one text instead, which is
            held to the promises on length, ceiling, protected text, isolation and input, and to
            none on spans and structure.
        answers: its scores mean something, so that what answers a question is found.
        asks: it has no use for a text without a question, and says so.
        refuses_long: it says so where a question does not fit its model, which reads it whole.
        calibrated: it takes a threshold.
        floor: it has a threshold of its own: what that rules out goes, however much room is left.
        hands_on: kinds of text that it hands on to another row, which is under contract itself.
        shorter: by how much texts that take long are cut for it; None where it only hands them on.
        examples: how many drawn examples it is tried on.
        stands_in: it takes the place of a slower row where texts are many or long.
    """

    name: str
    make: Callable[[Machine, Options], Compressor]
    variant: str = ""
    extractive: bool = True
    answers: bool = False
    asks: bool = False
    refuses_long: bool = False
    calibrated: bool = False
    floor: bool = False
    hands_on: frozenset[str] = frozenset()
    shorter: int | None = 40
    examples: int = 5
    stands_in: bool = False

    @property
    def uncalibrated(self) -> bool:
        return not self.calibrated

    @property
    def unfloored(self) -> bool:
        return not self.floor

    @property
    def tries_long(self) -> bool:
        return self.shorter is not None

    @property
    def fills(self) -> bool:
        """What is left of a ceiling has no room for another unit."""
        return self.extractive and not self.floor

    def __str__(self) -> str:
        return f"{self.name}-{self.variant}" if self.variant else self.name


class Loaded:
    """A row on this machine: the ways to call it, and the check that is right for it."""

    def __init__(self, row: Row, machine: Machine) -> None:
        self.facts = row
        self._machine = machine

    def load(self, options: Options | None = None) -> Compressor:
        return self.facts.make(self._machine, options if options is not None else Options())

    def question(self, query: str | None) -> str | None:
        """The question, or another one where this row needs one."""
        return QUESTION if self.facts.asks and not (query or "").strip() else query

    def compress(
        self,
        prompt: object,
        ratio: float | None = None,
        *,
        query: str | None = None,
        options: Options | None = None,
        **budget: Any,
    ) -> Compression:
        compressor, query = self.load(options), self.question(query)
        return ctxzip.compress(prompt, ratio, query=query, compressor=compressor, **budget)

    def compress_many(
        self, prompts: Sequence[object], ratio: float, queries: Sequence[str | None]
    ) -> list[Compression]:
        asked = [self.question(query) for query in queries]
        return ctxzip.compress_many(prompts, ratio, queries=asked, compressor=self.load())

    def check(self, result: Compression, texts: Sequence[str], **more: Any) -> None:
        """Promises 1 to 3, as far as they are for this row."""
        promises.check(result, texts, rewritten=not self.facts.extractive, **more)


def _row(
    name: str, checkpoint: Checkpoint | None = None, settings: object = None, **facts: Any
) -> Row:
    """A row as a user loads it, with the folder of a checkpoint where it needs one."""

    def make(machine: Machine, options: Options) -> Compressor:
        model = {} if checkpoint is None else {"model": machine.checkpoint(checkpoint)}
        return ctxzip.load(name, options=options, settings=settings, **model)

    return Row(name, make, **facts)


def _chat(machine: Machine, options: Options) -> Compressor:
    chat = Chat(model="m", base_url=machine.endpoint.url, retries=0)
    return ctxzip.load("chat-summary", options=options, settings=chat)


EVERY = frozenset({"prose", "code"})
ROWS = (
    _row("auto", answers=True, calibrated=True, hands_on=EVERY, shorter=None, examples=3),
    _row("lexical", answers=True, shorter=1, examples=25),
    _row("mini", answers=True, calibrated=True, shorter=64, examples=2),
    Row(
        "mini",
        lambda _, options: stub_mini(options),
        "stub-networks",
        calibrated=True,
        shorter=8,
        examples=15,
        stands_in=True,
    ),
    _row("llmlingua2", checkpoints.bert, calibrated=True),
    _row("recomp-extractive", partial(checkpoints.bert, head=""), asks=True),
    _row("exit", checkpoints.llama, asks=True, refuses_long=True, calibrated=True, floor=True),
    _row(
        "recomp-abstractive",
        checkpoints.t5,
        Abstractive(max_tokens=6),
        extractive=False,
        examples=4,
    ),
    _row(
        "longcodezip",
        answers=True,
        hands_on=frozenset({"prose"}),
        shorter=1,
        examples=20,
    ),
    _row(
        "longcodezip",
        checkpoints.llama,
        LongCodeZip(scorer="perplexity"),
        variant="perplexity",
        hands_on=frozenset({"prose"}),
        shorter=None,
        examples=4,
    ),
    Row("chat-summary", _chat, extractive=False),
)
