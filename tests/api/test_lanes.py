"""Requests that arrive together are compressed together, and nobody's fate is another's."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from ctxzip import Budget, Compression, Document, InputError, Options, Request, load
from ctxzip.api.lanes import MOST_THREADS, Lane, LaneBusyError, lane_of
from ctxzip.kit.batch import BatchCompressor

TEXT = "The pump failed on Monday. It was replaced on 12 March. Nobody was hurt. The sky was blue."


def request(text: str = TEXT, query: str | None = "When was it replaced?") -> Request:
    return Request((Document(text),), query, Budget(ratio=0.5))


class Recorder(BatchCompressor):
    """The lexical compressor, with a diary of its batches."""

    name = "recorder"
    side_by_side = True

    def __init__(self, seconds: float = 0.0) -> None:
        self.inner = load("lexical")
        self.seconds = seconds
        self.batches: list[int] = []

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        self.batches.append(len(requests))
        if any(r.query == "bad" for r in requests):
            raise ValueError("bad request")
        time.sleep(self.seconds)
        return self.inner.compress_many(requests)


class Hanging(Recorder):
    """Hangs until it is let go."""

    name = "hanging"

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        self.batches.append(len(requests))
        self.go.wait(20)
        return self.inner.compress_many(requests)


def itself(request: Request, compression: Compression) -> Compression:
    return compression


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for what other threads do; generous, since the machine may be busy."""
    for _ in range(2000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("It did not happen within twenty seconds.")


def test_patient_requests_share_a_batch_and_get_what_they_would_get_alone() -> None:
    recorder = Recorder()
    lane = Lane(recorder, Options(), 0.6)
    asked = [request(f"{TEXT} Line {i} has {i * 7} bolts.") for i in range(12)]
    tickets = [lane.submit([one], patient=True, then=itself)[0] for one in asked]
    together = [ticket.future.result(10) for ticket in tickets]
    assert together == [load("lexical").compress_many([one])[0] for one in asked]
    assert len(recorder.batches) < 4


def test_two_free_threads_share_what_is_queued() -> None:
    recorder = Recorder(0.2)
    lane = Lane(recorder, Options(), 0.3)
    asked = [request(f"{TEXT} Line {i} has {i * 7} bolts.") for i in range(16)]
    tickets = lane.submit(asked, patient=True, then=itself)
    together = [ticket.future.result(10) for ticket in tickets]
    assert together == load("lexical").compress_many(asked)
    assert recorder.batches == [4, 4, 4, 4]


def test_what_only_takes_turns_at_the_interpreter_gets_one_batch() -> None:
    recorder = Recorder(0.1)
    recorder.side_by_side = False
    lane = Lane(recorder, Options(), 0.3)
    asked = [request(f"{TEXT} Line {i} has {i * 7} bolts.") for i in range(16)]
    lane.submit(asked[:1], patient=False, then=itself)[0].future.result(10)
    tickets = lane.submit(asked, patient=True, then=itself)
    assert [t.future.result(10) for t in tickets] == load("lexical").compress_many(asked)
    assert recorder.batches == [1, 16]


def test_a_huge_request_does_not_hold_up_a_small_one() -> None:
    hanging = Hanging()
    hanging.side_by_side = False
    lane = Lane(hanging, Options(), 0.0)
    huge = lane.submit([request()], patient=False, then=itself)
    wait_until(lambda: len(hanging.batches) == 1)
    small = lane.submit([request()], patient=False, then=itself)
    wait_until(lambda: len(hanging.batches) == 2)
    hanging.go.set()
    assert huge[0].future.result(10) == small[0].future.result(10)


def test_a_request_in_a_hurry_does_not_wait_for_the_window() -> None:
    lane = Lane(Recorder(), Options(), 60.0)
    begun = time.monotonic()
    lane.submit([request()], patient=False, then=itself)[0].future.result(10)
    waiting = lane.submit([request()], patient=True, then=itself)[0]
    lane.submit([request()], patient=False, then=itself)[0].future.result(10)
    waiting.future.result(10)
    assert time.monotonic() - begun < 15


def test_one_bad_request_does_not_spoil_the_batch() -> None:
    recorder = Recorder()
    lane = Lane(recorder, Options(), 0.0)
    good, bad, other = lane.submit(
        [request(), request(query="bad"), request()], patient=False, then=itself
    )
    assert good.future.result(10) == other.future.result(10)
    with pytest.raises(ValueError, match="bad request"):
        bad.future.result(10)
    assert recorder.batches[0] == 3


def test_stuck_threads_are_bounded_and_then_work_is_refused() -> None:
    hanging = Hanging()
    lane = Lane(hanging, Options(), 0.0)
    for i in range(MOST_THREADS):
        tickets = lane.submit([request()], patient=False, then=itself)
        wait_until(lambda i=i: len(hanging.batches) > i)  # type: ignore[misc]
        lane.abandon(tickets)
    assert lane.stuck == MOST_THREADS
    threads = threading.active_count()
    with pytest.raises(LaneBusyError, match="hang"):
        lane.submit([request()], patient=False, then=itself)
    assert threading.active_count() == threads
    hanging.go.set()
    wait_until(lambda: not lane.stuck)
    assert lane.submit([request()], patient=False, then=itself)[0].future.result(10).text


def test_requests_given_up_before_they_began_are_never_made() -> None:
    hanging = Hanging()
    lane = Lane(hanging, Options(), 0.0)
    first = lane.submit([request()], patient=False, then=itself)
    wait_until(lambda: len(hanging.batches) == 1)
    first += lane.submit([request()], patient=False, then=itself)
    wait_until(lambda: len(hanging.batches) == 2)
    late = lane.submit([request(query="late")], patient=False, then=itself)
    lane.abandon(late)
    hanging.go.set()
    assert all(ticket.future.result(10) for ticket in first)
    assert late[0].future.cancelled()
    assert sum(hanging.batches) == 2


def test_many_threads_get_what_they_asked_for() -> None:
    lane = Lane("lexical", Options(), 0.002)
    asked = [request(f"{TEXT} Part {i} costs {i} euros.") for i in range(24)]
    expected = [load("lexical").compress_many([one])[0] for one in asked]
    found: dict[int, Compression] = {}

    def ask(i: int) -> None:
        found[i] = lane.submit([asked[i]], patient=bool(i % 2), then=itself)[0].future.result(30)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(asked))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[i] for i in range(len(asked))] == expected


def test_the_same_arguments_share_a_lane() -> None:
    recorder = Recorder()
    lane = lane_of(recorder, Options(), 0.01)
    assert lane_of(recorder, Options(), 0.01) is lane
    assert lane_of(recorder, Options(protect=["x"]), 0.01) is not lane
    assert lane_of(Recorder(), Options(), 0.01) is not lane


def test_an_unknown_name_reaches_whoever_asked() -> None:
    lane = Lane("no such thing", Options(), 0.0)
    with pytest.raises(InputError, match="no such thing"):
        lane.submit([request()], patient=False, then=itself)[0].future.result(10)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_starts_its_own_threads() -> None:
    lane = lane_of("lexical", Options(), 0.001)
    lane.submit([request()], patient=False, then=itself)[0].future.result(10)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            result = lane.submit([request()], patient=False, then=itself)[0].future.result(10)
            code = 0 if result.text else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_what_is_made_of_a_result_is_made_in_the_lane_and_its_error_reaches_the_caller() -> None:
    lane = Lane("lexical", Options(), 0.0)

    def broken(request: Request, compression: Compression) -> str:
        raise KeyError(threading.current_thread().name)

    with pytest.raises(KeyError, match="ctxzip-lane"):
        lane.submit([request()], patient=False, then=broken)[0].future.result(10)
    assert lane.submit([request()], patient=False, then=itself)[0].future.result(10).text
