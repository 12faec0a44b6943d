"""A loaded model is shared, and can be let go."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

import ctxzip
from ctxzip import Budget, Document, Guard
from ctxzip.compressors import shared, unload
from ctxzip.compressors.shared import MOST_IDLE, Lease

DOCUMENTS = [Document("The pump is new. It was bought in May. Nobody saw the valve.")]
BUDGET = Budget(ratio=0.5)


class Model:
    def __init__(self) -> None:
        self.open = True

    def close(self) -> None:
        self.open = False


@pytest.fixture(autouse=True)
def nothing_idle() -> Iterator[None]:
    gc.collect()
    unload()
    yield
    gc.collect()
    unload()


def lease(key: str) -> Lease[Model]:
    return Lease(key, Model, Model.close)


def test_equal_models_are_made_once_and_on_first_use():
    first, second = lease("a"), lease("a")
    assert first.made is None
    assert first() is second() is first()
    assert lease("b")() is not first()


def test_the_last_one_who_closes_releases():
    first, second = lease("a"), lease("a")
    model = first()
    second()
    first.close()
    assert model.open
    first.close()  # who is gone does not count twice
    assert model.open
    second.close()
    assert not model.open
    again = first()
    assert again is not model
    assert again.open


def test_who_has_not_used_it_closes_nothing():
    first = lease("a")
    model = first()
    lease("a").close()
    assert model.open


def test_what_was_dropped_stays_for_the_next_one():
    model = lease("a")()
    gc.collect()
    assert lease("a")() is model
    gc.collect()
    assert unload() == 1
    assert not model.open
    assert unload() == 0


def test_unloading_takes_nothing_that_is_in_use():
    used = lease("a")
    model = used()
    assert unload() == 0
    assert model.open
    used.close()
    assert not model.open


def test_of_what_nobody_uses_the_last_few_are_kept():
    models = [lease(f"idle {i}")() for i in range(MOST_IDLE + 3)]
    held = lease("held")
    held()
    assert [model.open for model in models] == [False] * 3 + [True] * MOST_IDLE
    lease("idle 3")()  # used again, so it goes last
    lease("one more")()
    lease("another")()
    assert models[3].open
    assert not models[4].open
    assert held().open


def test_threads_share_one_model():
    together = Barrier(8)

    def use(_: int) -> Model:
        mine = lease("a")
        together.wait(10)
        found = mine()
        together.wait(10)
        return found

    with ThreadPoolExecutor(8) as pool:
        assert len({id(model) for model in pool.map(use, range(8))}) == 1


def test_what_cannot_be_made_is_tried_again():
    answers = [ValueError("not yet"), Model()]

    def make() -> Model:
        answer = answers.pop(0)
        if isinstance(answer, ValueError):
            raise answer
        return answer

    mine = Lease("a", make)
    with pytest.raises(ValueError, match="not yet"):
        mine()
    assert mine().open


def loaded() -> list[object]:
    return [key[0] for key in shared._entries if isinstance(key, tuple)]


def test_closing_one_compressor_takes_the_model_from_no_other():
    first = ctxzip.load("mini")
    second = ctxzip.load("mini", options=ctxzip.Options(titles=True))
    assert first.scorer is second.scorer
    expected = first.compress(DOCUMENTS, query="Is the pump new?", budget=BUDGET).text
    scorer = second.scorer
    first.close()
    assert second.scorer is scorer
    assert scorer._encoder._sessions, "the other one still uses it"
    second.close()
    assert not scorer._encoder._sessions
    assert "mini" not in loaded()
    for one in (first, second):  # both work again, and share again
        assert one.compress(DOCUMENTS, query="Is the pump new?", budget=BUDGET).text == expected
    assert first.scorer is second.scorer


def test_a_call_by_name_leaves_the_model_for_the_next_call():
    ctxzip.compress(DOCUMENTS, 0.5, query="Is the pump new?", compressor="mini")
    assert loaded() == ["mini"]
    assert unload() == 1
    assert loaded() == []


def test_a_guard_releases_what_it_loaded():
    guard = Guard("mini")
    request = ctxzip.Request(tuple(DOCUMENTS), "Is the pump new?", BUDGET)
    guard.compress_many([request])
    other = ctxzip.load("mini")
    guard.close()
    assert loaded() == ["mini"], "the other one still uses it"
    other.close()
    assert loaded() == []
    assert guard.compress_many([request])[0].text
    guard.close()


def test_the_default_compressor_releases_its_model():
    default = ctxzip.load()
    default.compress(DOCUMENTS, query="Is the pump new?", budget=BUDGET)
    assert loaded() == ["mini"]
    default.close()
    assert loaded() == []
