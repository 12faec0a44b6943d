"""What the service is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field

from ctxzip.api.guard import OnError
from ctxzip.compressors import DEFAULT
from ctxzip.errors import InputError

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits and choices of one service.

    Attributes:
        compressors: names that requests may choose from; the first is the default.
        threads: threads of the shipped model's networks; by default what the container allows.
        body_bytes: largest request body; over it the answer is 413.
        queue: requests that may wait or run at the same time; beyond it the answer is 429.
        timeout: seconds that a compression may take, waiting included; then the answer is 503.
        body_seconds: seconds in which a request's body must have arrived; then 408.
        drain_seconds: seconds that requests in flight get when the service is told to stop.
        on_error: ``"raise"`` answers 503 where the compressor fails or is too slow,
            ``"fallback"`` answers with the lexical compressor's result and says so.
        api_key: what callers have to show, or None for no key.
        playground: serve the playground at ``/``.

    Raises:
        InputError: a value is out of range.
    """

    compressors: tuple[str, ...] = (DEFAULT,)
    threads: int | None = None
    body_bytes: int = 4 * 2**20
    queue: int = 128
    timeout: float = 30.0
    body_seconds: float = 10.0
    drain_seconds: float = 30.0
    on_error: OnError = "raise"
    api_key: str | None = field(default=None, repr=False)
    playground: bool = False

    def __post_init__(self) -> None:
        for name in ("body_bytes", "queue", "timeout", "body_seconds", "drain_seconds"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name}={getattr(self, name)!r} is not a positive number.")
        if not self.compressors:
            raise InputError("The service needs at least one compressor.")
        if self.api_key is not None and not self.api_key:
            raise InputError(
                "The API key is empty.", hint="Set one, or leave CTXZIP_API_KEY unset for none."
            )
