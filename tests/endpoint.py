"""A stub of an OpenAI-compatible endpoint on this machine."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["StubEndpoint"]

Reply = "tuple[int, dict[str, str], dict[str, object] | bytes]"


class StubEndpoint:
    """Answers as ``answer`` says: from the prompt and how often it came, a text or an HTTP reply.

    Attributes:
        asked: how often each prompt came.
        most: most requests that were in progress at a time.
        address: host and port.
        url: what ``Chat(base_url=)`` takes.
    """

    def __init__(self, answer: Callable[[str, int], object]) -> None:
        self.asked: Counter[str] = Counter()
        self.bodies: list[dict[str, object]] = []
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                prompt = body["messages"][-1]["content"]
                with stub._lock:
                    stub.asked[prompt] += 1
                    stub.bodies.append(body)
                    stub._now += 1
                    stub.most = max(stub.most, stub._now)
                try:
                    self._reply(answer(prompt, stub.asked[prompt]))
                finally:
                    with stub._lock:
                        stub._now -= 1

            def _reply(self, found: object) -> None:
                status, headers = 200, {}
                if isinstance(found, tuple):
                    status, headers, found = found
                elif isinstance(found, str):
                    usage = {"prompt_tokens": 100, "completion_tokens": 7}
                    choice = {"message": {"role": "assistant", "content": found}}
                    found = {"choices": [choice], "usage": usage}
                data = found if isinstance(found, bytes) else json.dumps(found).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = ("127.0.0.1", int(self._server.server_address[1]))
        self.url = f"http://127.0.0.1:{self.address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
