"""The numbers at ``/metrics``, in Prometheus' format. Never a character of the texts."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from ctxzip.api.events import CompressionEvent

__all__ = ["Metrics"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Counters of one service, in a registry of their own."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._registry = registry
        self.requests = Counter(
            "ctxzip_requests", "Answers by path and status; 499 is a client that went away.",
            ["path", "status"], registry=registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "ctxzip_request_seconds", "Seconds from the first byte to the answer.",
            ["path"], buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.in_flight = Gauge(
            "ctxzip_in_flight", "Requests that wait for a compression or are in one.",
            registry=registry,
        )  # fmt: skip
        self._compressions = Counter(
            "ctxzip_compressions", "Compressions; fallback says why another compressor answered.",
            ["compressor", "fallback"], registry=registry,
        )  # fmt: skip
        self._before = Counter(
            "ctxzip_tokens_before", "Tokens that came in.", ["compressor"], registry=registry
        )
        self._after = Counter(
            "ctxzip_tokens_after", "Tokens that went out.", ["compressor"], registry=registry
        )
        self._stages = Counter(
            "ctxzip_stage_seconds", "Seconds per stage of the compressors.",
            ["stage"], registry=registry,
        )  # fmt: skip

    def record(self, event: CompressionEvent) -> None:
        """Count one compression; a hook for :class:`ctxzip.Guard`."""
        self._compressions.labels(event.compressor, event.fallback or "").inc()
        self._before.labels(event.compressor).inc(event.tokens_before)
        self._after.labels(event.compressor).inc(event.tokens_after)
        for stage, seconds in event.stages.items():
            self._stages.labels(stage).inc(seconds)

    def text(self) -> bytes:
        """Everything, as a scraper reads it."""
        return generate_latest(self._registry)
