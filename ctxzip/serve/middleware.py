"""What stands before the routes: the key, the size of a body, the time it may take to arrive."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from ctxzip.serve.metrics import Metrics
from ctxzip.serve.settings import Settings

__all__ = ["GONE", "Middleware", "problem"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

GONE = 499  # nginx' number for a client that left; it is only counted, never sent
_OPEN = ("/", "/healthz")
_PATHS = ("/", "/healthz", "/metrics", "/openapi.json", "/v1/compress", "/v1/compress/messages")
# Of a body that is too large so much more is read and thrown away: a client that is still sending
# would see its connection break instead of the answer.
_DISCARDED = 8
# Bodies of this many times the largest one may be on their way in at the same time.
_ARRIVING = 32


class Middleware:
    """An ASGI application around another. Bodies are read here, whole, before the routes run.

    Args:
        app: what answers.
        settings: the limits.
        metrics: where answers are counted.
    """

    def __init__(self, app: App, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._arriving = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = GONE

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._answer(scope, receive, counted)
        finally:
            path = scope["path"] if scope["path"] in _PATHS else "other"
            self._metrics.requests.labels(path, str(status)).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - begun)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        if not self._allowed(scope["path"], headers):
            extra = [(b"www-authenticate", b"Bearer")]
            text = "Send the API key as 'Authorization: Bearer KEY' or as 'X-API-Key: KEY'."
            await problem(send, 401, "unauthorized", text, extra)
            return
        if scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        if headers.get(b"content-type", b"").partition(b";")[0].strip() != b"application/json":
            # Also what keeps other web pages out: they cannot send this type unasked.
            text = "Send JSON with 'Content-Type: application/json'."
            await problem(send, 415, "unsupported_media_type", text)
            return
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                body = await self._body(headers, receive, send)
        except TimeoutError:
            text = f"The body did not arrive within {self._settings.body_seconds:g} seconds."
            await problem(send, 408, "timeout", text, [(b"connection", b"close")])
            return
        if body is not None:
            await self._app(scope, _replayed(body, receive), send)

    def _allowed(self, path: str, headers: dict[bytes, bytes]) -> bool:
        key = self._settings.api_key
        if key is None or path in _OPEN:
            return True
        scheme, _, bearer = headers.get(b"authorization", b"").partition(b" ")
        given = bearer.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")
        return hmac.compare_digest(given, key.encode())

    async def _body(
        self, headers: dict[bytes, bytes], receive: Receive, send: Send
    ) -> bytes | None:
        """The body, or None where an answer was given or the client has left."""
        limit = self._settings.body_bytes
        declared = headers.get(b"content-length", b"")
        announced = int(declared) if declared.isdigit() else 0
        parts: list[bytes] = []
        size = 0
        too_large = announced > limit
        crowded = False
        close = [(b"connection", b"close")]
        waits = headers.get(b"expect", b"").lower() == b"100-continue"
        try:
            while not (too_large and (waits or announced > _DISCARDED * limit)):
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                part = message.get("body", b"")
                size += len(part)
                crowded = crowded or self._arriving + len(part) > _ARRIVING * limit
                too_large = too_large or size > limit
                if too_large or crowded:
                    self._arriving -= sum(map(len, parts))
                    parts.clear()
                else:
                    parts.append(part)
                    self._arriving += len(part)
                if not message.get("more_body", False) or size > _DISCARDED * limit:
                    break
        finally:
            self._arriving -= sum(map(len, parts))
        if too_large:
            text = f"The body is larger than {limit:,} bytes."
            await problem(send, 413, "too_large", text, close)
        elif crowded:
            again = (b"retry-after", b"1")
            await problem(send, 429, "busy", "Too much is arriving at once.", [*close, again])
        else:
            return b"".join(parts)
        return None


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that hands out the body and then waits for the client to leave."""
    pending = [body]

    async def replay() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return replay


async def problem(
    send: Send, status: int, kind: str, text: str, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    """Send an error of our form."""
    body = json.dumps({"error": {"type": kind, "message": text}}).encode()
    every = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *(headers or []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": every})
    await send({"type": "http.response.body", "body": body})
