"""A guarded compressor answers in time or says why not, and never exceeds a ceiling."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from ctxzip import (
    Budget,
    BudgetError,
    Compression,
    Compressor,
    Document,
    InputError,
    ModelError,
    Options,
    Request,
    compress,
    load,
)
from ctxzip.api.events import CompressionEvent
from ctxzip.api.guard import CompressionTimeoutError, Guard
from ctxzip.api.lanes import MOST_THREADS

TEXT = (
    "The north pump failed on Monday evening. It was replaced on 12 March 2021 by the night crew. "
    "Nobody was hurt. The sky was blue over the harbour that week. Invoices went out late."
)
QUERY = "When was the pump replaced?"


class Throwing:
    name = "throwing"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error or ModelError("The model is damaged.")

    def compress(
        self, documents: Sequence[Document], *, query: str | None = None, budget: Budget
    ) -> Compression:
        raise self.error

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        raise self.error

    def warmup(self) -> None: ...

    def close(self) -> None: ...


class Hanging(Throwing):
    name = "hanging"

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.calls = 0

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        self.calls += 1
        self.go.wait(20)
        raise self.error


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    one = Hanging()
    yield one
    one.go.set()


def ask(budget: Budget | None = None, text: str = TEXT) -> list[Request]:
    return [Request((Document(text),), QUERY, budget or Budget(ratio=0.5))]


def lexical(budget: Budget) -> Compression:
    return load("lexical").compress([Document(TEXT)], query=QUERY, budget=budget)


def test_a_guard_gives_what_its_compressor_gives() -> None:
    guard = Guard("lexical")
    assert isinstance(guard, Compressor)
    assert guard.run(ask())[0].compression == lexical(Budget(ratio=0.5))
    assert asyncio.run(guard.arun(ask()))[0].compression == lexical(Budget(ratio=0.5))
    assert compress(TEXT, 0.5, query=QUERY, compressor=guard).tokens_after > 0
    assert guard.run([]) == []


@pytest.mark.parametrize("budget", [Budget(ratio=0.5), Budget(tokens=15), Budget()])
def test_an_error_falls_back_to_lexical_under_the_same_ceiling(
    budget: Budget, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = Guard(Throwing()).run(ask(budget))[0]
    assert outcome.fallback == "error"
    assert "ModelError: The model is damaged." in (outcome.reason or "")
    assert outcome.compression.text == lexical(budget).text
    assert any("damaged" in note for note in outcome.compression.notes)
    assert "fell back to lexical" in outcome.compression.path[0]
    assert "falling back" in caplog.text


def test_a_hung_compressor_is_given_up_in_time(hanging: Hanging) -> None:
    begun = time.monotonic()
    outcome = Guard(hanging, timeout=0.1).run(ask(Budget(tokens=20)))[0]
    assert time.monotonic() - begun < 10
    assert outcome.fallback == "timeout"
    assert outcome.compression.tokens_after <= 20


def test_a_hung_compressor_is_given_up_in_time_by_coroutines_too(hanging: Hanging) -> None:
    async def main() -> list[str | None]:
        guard = Guard(hanging, timeout=0.1)
        outcomes = await asyncio.gather(*(guard.arun(ask()) for _ in range(5)))
        return [outcome[0].fallback for outcome in outcomes]

    assert asyncio.run(main()) == ["timeout"] * 5
    assert hanging.calls <= MOST_THREADS


def test_when_every_thread_hangs_the_fallback_comes_at_once(hanging: Hanging) -> None:
    guard = Guard(hanging, timeout=0.05)
    for _ in range(100):  # on a busy machine a thread may begin too late to hang
        assert guard.run(ask())[0].fallback in ("timeout", "busy")
        if hanging.calls == MOST_THREADS:
            break
    before = threading.active_count()
    patient = Guard(hanging, timeout=30)
    begun = time.monotonic()
    assert patient.run(ask())[0].fallback == "busy"
    assert asyncio.run(patient.arun(ask()))[0].fallback == "busy"
    assert time.monotonic() - begun < 15
    assert sum(t.name == "ctxzip-lane" for t in threading.enumerate()) <= before
    assert hanging.calls == MOST_THREADS


def test_originals_only_where_no_ceiling_forbids_them(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Guard(Throwing()).run(ask(Budget(threshold=0.5)))[0]
    assert outcome.compression.text == TEXT
    assert outcome.compression.compressor == "originals"
    assert outcome.compression.documents[0].kept == ((0, len(TEXT)),)

    def broken(*_: object) -> None:
        raise RuntimeError("lexical is broken too")

    monkeypatch.setattr("ctxzip.pipeline.Pipeline.compress_many", broken)
    assert Guard(Throwing()).run(ask(Budget()))[0].compression.text == TEXT
    with pytest.raises(ModelError, match="damaged"):
        Guard(Throwing()).run(ask(Budget(tokens=20)))


def test_on_error_raise_raises(hanging: Hanging) -> None:
    with pytest.raises(ModelError, match="damaged"):
        Guard(Throwing(), on_error="raise").run(ask())
    with pytest.raises(ModelError, match="damaged"):
        asyncio.run(Guard(Throwing(), on_error="raise").arun(ask()))
    with pytest.raises(CompressionTimeoutError, match=r"'hanging' did not answer within 0\.05"):
        Guard(hanging, on_error="raise", timeout=0.05).run(ask())


def test_what_the_caller_did_wrong_is_never_hidden() -> None:
    guard = Guard("lexical", Options(protect=["night crew"]))
    with pytest.raises(BudgetError):
        guard.run(ask(Budget(tokens=1)))
    with pytest.raises(InputError, match="threshold"):
        Guard("lexical").run(ask(Budget(threshold=0.5)))
    with pytest.raises(InputError, match="needs a query"):
        Guard(Throwing(InputError("It needs a query."))).run(ask())
    with pytest.raises(InputError, match="surrogate"):
        guard.run(ask(text="a \ud800 b"))
    with pytest.raises(InputError, match="no-such"):
        Guard("no-such").check()


def test_bad_settings_are_refused() -> None:
    for bad in ({"timeout": 0}, {"window": 2.0}, {"on_error": "ignore"}):
        with pytest.raises(InputError):
            Guard(**bad)  # type: ignore[arg-type]


def test_a_cancelled_coroutine_leaves_nothing_behind(hanging: Hanging) -> None:
    async def main() -> None:
        task = asyncio.create_task(Guard(hanging, timeout=30).arun(ask()))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_concurrent_coroutines_get_what_one_after_another_gets() -> None:
    texts = [f"{TEXT} Pump {i} weighs {i} kg." for i in range(16)]
    guard = Guard("lexical")

    async def main() -> list[Compression]:
        found = await asyncio.gather(*(guard.arun(ask(text=text)) for text in texts))
        return [outcomes[0].compression for outcomes in found]

    assert asyncio.run(main()) == [guard.run(ask(text=text))[0].compression for text in texts]


def test_guards_can_be_copied_and_pickled() -> None:
    guard = Guard("lexical", Options(protect=["12 March"]), timeout=3)
    for other in (pickle.loads(pickle.dumps(guard)), copy.deepcopy(guard)):
        assert other == guard
        assert other.run(ask())[0].compression == guard.run(ask())[0].compression


def test_the_hook_sees_every_compression() -> None:
    seen: list[CompressionEvent] = []
    Guard("lexical", hook=seen.append).run([*ask(), *ask()])
    Guard(Throwing(), hook=seen.append).run(ask())
    assert [event.fallback for event in seen] == [None, None, "error"]
    assert all(event.tokens_before > event.tokens_after > 0 for event in seen)
