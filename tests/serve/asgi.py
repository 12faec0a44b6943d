"""An ASGI client for tests: one call, no socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from ctxzip.serve.middleware import Message, Middleware, Scope

JSON = ("content-type", "application/json")


class Answer(NamedTuple):
    """What came back; status 0 where nothing did."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Sends a request in parts and listens to the answer.

    Attributes:
        gone: set to leave before the answer.
    """

    def __init__(self, app: Middleware) -> None:
        self.app = app
        self.gone = asyncio.Event()

    async def send(
        self,
        method: str,
        path: str,
        parts: Sequence[bytes] = (b"",),
        headers: Sequence[tuple[str, str]] = (),
        pause: float = 0.0,
    ) -> Answer:
        """Send; ``pause`` seconds lie between the parts of the body."""
        waiting = list(parts)
        heard: list[Message] = []

        async def receive() -> Message:
            if waiting:
                await asyncio.sleep(pause)
                part = waiting.pop(0)
                return {"type": "http.request", "body": part, "more_body": bool(waiting)}
            await self.gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            heard.append(message)

        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(k.encode(), v.encode()) for k, v in headers],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        await self.app(scope, receive, send)
        start = next((m for m in heard if m["type"] == "http.response.start"), None)
        if start is None:
            return Answer(0, {}, b"")
        found = {k.decode(): v.decode() for k, v in start["headers"]}
        body = b"".join(m.get("body", b"") for m in heard if m["type"] == "http.response.body")
        return Answer(start["status"], found, body)


async def post(
    app: Middleware, body: object, path: str = "/v1/compress", *more: tuple[str, str]
) -> Answer:
    """Send JSON."""
    return await Client(app).send("POST", path, [json.dumps(body).encode()], [JSON, *more])


async def get(app: Middleware, path: str, *headers: tuple[str, str]) -> Answer:
    """Ask for a page."""
    return await Client(app).send("GET", path, (b"",), headers)
