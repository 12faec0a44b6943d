"""Texts, a question, and compressors that misbehave."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest
from langchain_core.documents import Document as Retrieved

from ctxzip import Budget, Compression, Document, ModelError, Request

TEXTS = (
    "The north pump failed on Monday evening. It was replaced on 12 March 2021 by the night crew. "
    "Nobody was hurt. The sky was blue over the harbour that week.",
    "The harbour café sells bread. Cheese is sold on Fridays. Prices rise every year. "
    "The owner has two dogs and a boat.",
    "Invoice 4711 covers the pump. It was paid in April. The bank charged nothing. "
    "The clerk filed it under repairs.",
)
QUERY = "When was the north pump replaced?"


class Throwing:
    """A compressor whose model is damaged."""

    name = "throwing"

    def compress(
        self, documents: Sequence[Document], *, query: str | None = None, budget: Budget
    ) -> Compression:
        raise ModelError("The model is damaged.")

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        raise ModelError("The model is damaged.")

    def warmup(self) -> None: ...

    def close(self) -> None: ...


class Hanging(Throwing):
    """A compressor that does not come back until it is let go."""

    name = "hanging"

    def __init__(self) -> None:
        self.go = threading.Event()

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        self.go.wait(20)
        return super().compress_many(requests)


@pytest.fixture
def throwing() -> Throwing:
    return Throwing()


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    one = Hanging()
    yield one
    one.go.set()


@pytest.fixture
def query() -> str:
    return QUERY


@pytest.fixture
def documents() -> list[Retrieved]:
    return [
        Retrieved(page_content=text, id=f"d{i}", metadata={"source": f"{i}.md", "rank": i})
        for i, text in enumerate(TEXTS)
    ]
