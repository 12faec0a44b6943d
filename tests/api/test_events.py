"""Events carry the numbers of a compression, to those who asked for them and nobody else."""

from __future__ import annotations

import pytest

from ctxzip import Document, MissingExtraError, Request, compress
from ctxzip.api import events
from ctxzip.api.guard import Guard

TEXT = "The pump failed. It was replaced on 12 March. Nobody was hurt. The sky was blue."


def run() -> None:
    Guard("lexical").run([Request((Document(TEXT), Document(TEXT)), "When was it replaced?")])


def test_subscribers_get_numbers_and_no_text() -> None:
    seen: list[events.CompressionEvent] = []
    stop = events.subscribe(seen.append)
    run()
    stop()
    stop()
    run()
    (event,) = seen
    numbers = event.numbers()
    assert numbers["documents"] == 2
    assert numbers["tokens_after"] <= numbers["ceiling"] < numbers["tokens_before"]
    assert numbers["seconds"] >= numbers["seconds_score"] > 0
    assert "replaced" not in str(numbers)


def test_a_hook_that_raises_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: events.CompressionEvent) -> None:
        raise RuntimeError("no room in the log")

    seen: list[events.CompressionEvent] = []
    stops = [events.subscribe(broken), events.subscribe(seen.append)]
    run()
    for stop in stops:
        stop()
    assert len(seen) == 1
    assert "no room in the log" in caplog.text


def test_tracing_without_opentelemetry_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.trace", None)
    with pytest.raises(MissingExtraError, match="opentelemetry"):
        events.trace()


def test_spans_carry_the_numbers() -> None:
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    stop = events.trace(tracer)
    with tracer.start_as_current_span("question") as parent:
        run()
    stop()
    run()
    inner, outer = exporter.get_finished_spans()
    assert (inner.name, outer.name) == ("ctxzip.compress", "question")
    assert inner.parent is not None
    assert inner.parent.span_id == parent.get_span_context().span_id
    assert inner.attributes is not None
    assert inner.attributes["ctxzip.compressor"] == "lexical"
    assert inner.end_time > inner.start_time
    assert "replaced" not in str(dict(inner.attributes))


def test_an_event_tells_of_any_compression() -> None:
    result = compress(TEXT, 0.5, compressor="lexical")
    event = events.event_of(result, 1, 0, 0.25)
    assert (event.tokens_before, event.tokens_after) == (result.tokens_before, result.tokens_after)
    assert event.stages == result.seconds
