"""``ctxzip serve`` and ``ctxzip play``."""

from __future__ import annotations

import argparse
import gc
import ipaddress
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctxzip.errors import InputError, MissingExtraError
from ctxzip.kit.extras import missing

if TYPE_CHECKING:
    from ctxzip.serve.settings import Settings

__all__ = ["add"]

_PACKAGES = {"fastapi": "fastapi", "uvicorn": "uvicorn", "prometheus_client": "prometheus-client"}
_CONNECTIONS = 1000
_SERVE = """\
example:
  ctxzip serve --port 8000
  curl -s localhost:8000/v1/compress -H 'Content-Type: application/json' \\
    -d '{"documents": ["..."], "query": "...", "ratio": 0.3}'

/openapi.json describes the requests, /metrics has numbers for Prometheus, /healthz says whether
all is well. SIGTERM and Ctrl-C let the requests in flight finish. The API key, where one is wanted,
is taken from the environment variable CTXZIP_API_KEY or from --api-key-file.
"""


def add(commands: Any) -> None:
    """Register ``serve`` and ``play``."""
    serve = commands.add_parser(
        "serve",
        help="compress over HTTP",
        description="An HTTP service: what is asked at the same time is compressed together.",
        epilog=_SERVE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.set_defaults(run=_serve)
    _common(serve, 8000)
    serve.add_argument("--host", default="127.0.0.1", help="address to listen at; this machine only"
                       " unless told otherwise")  # fmt: skip
    serve.add_argument("--playground", action="store_true", help="serve the playground at / too")
    serve.add_argument("--fallback", action="store_true", help="where the compressor fails or is"
                       " too slow, answer with lexical's result instead of 503")  # fmt: skip
    serve.add_argument("--api-key-file", metavar="FILE", help="callers must show what it holds")
    serve.add_argument("--max-body", type=int, default=4 * 2**20, metavar="BYTES",
                       help="largest request body; default 4 MiB")  # fmt: skip
    serve.add_argument("--queue", type=int, default=128, metavar="N",
                       help="requests in work or waiting; more get 429; default 128")  # fmt: skip
    serve.add_argument("--timeout", type=float, default=30.0, metavar="S",
                       help="seconds for a request, waiting included; default 30")  # fmt: skip
    serve.add_argument("--drain", type=float, default=30.0, metavar="S",
                       help="seconds for requests in flight after SIGTERM; default 30")  # fmt: skip
    play = commands.add_parser(
        "play",
        help="try it in the browser",
        description="A local page: paste text and a question, move the ratio, see what stays.",
    )
    play.set_defaults(run=_play)
    _common(play, 8020)
    play.add_argument("--no-browser", action="store_true", help="do not open a browser")


def _common(parser: argparse.ArgumentParser, port: int) -> None:
    parser.add_argument(
        "-c", "--compressor", action="append", metavar="NAME",
        help="may be repeated: requests choose, the first is the default; default auto",
    )  # fmt: skip
    parser.add_argument(
        "-p", "--port", type=int, default=port, help=f"default {port}; 0 takes a free one"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="threads of the shipped model")


def _serve(arguments: argparse.Namespace) -> int:
    _require()
    from ctxzip.compressors import DEFAULT
    from ctxzip.serve.settings import Settings

    settings = Settings(
        compressors=_names(arguments, (DEFAULT,)),
        threads=arguments.threads,
        body_bytes=arguments.max_body,
        queue=arguments.queue,
        timeout=arguments.timeout,
        drain_seconds=arguments.drain,
        on_error="fallback" if arguments.fallback else "raise",
        api_key=_key(arguments.api_key_file),
        playground=arguments.playground,
    )
    if settings.api_key is None and not _is_loopback(arguments.host):
        _say(f"warning: {arguments.host} is open to other machines and no API key is set.")
    return _run(settings, _bound(arguments.host, arguments.port))


def _play(arguments: argparse.Namespace) -> int:
    _require()
    from ctxzip.compressors import DEFAULT, list_compressors, row_of
    from ctxzip.serve.settings import Settings

    offline = [info.name for info in list_compressors() if row_of(info.name).offline]
    settings = Settings(
        compressors=_names(arguments, (DEFAULT, *offline)),
        threads=arguments.threads,
        playground=True,
        on_error="fallback",
    )
    listening = _bound("127.0.0.1", arguments.port)
    if not arguments.no_browser:
        import webbrowser

        webbrowser.open(_url(listening))  # the socket listens already; the page waits for us
    return _run(settings, listening)


def _run(settings: Settings, listening: socket.socket) -> int:
    import uvicorn

    from ctxzip.serve.admission import warm
    from ctxzip.serve.app import create_app

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                _say(f"listening at {_url(listening)}")

    app = create_app(settings)
    for name in settings.compressors:
        warm(name, settings.threads)  # what is missing is said here, without a traceback
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=max(1, round(settings.drain_seconds)),
        timeout_keep_alive=30,
        server_header=False,
    )
    server = Server(config)
    # The frameworks' objects live as long as the process; collecting garbage among them takes
    # tens of milliseconds in which nothing else runs.
    gc.collect()
    gc.freeze()
    # Once it has stopped in good order uvicorn raises the signals again that it was stopped by.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    with listening:
        server.run(sockets=[listening])
    if server.started:
        _say("stopped")
    return 0 if server.started else 1


def _require() -> None:
    for module in missing(_PACKAGES):
        raise MissingExtraError(_PACKAGES[module], "serve")


def _names(arguments: argparse.Namespace, default: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(arguments.compressor or default))


def _key(file: str | None) -> str | None:
    if file is None:
        return os.environ.get("CTXZIP_API_KEY")
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The API key file {file!r} cannot be read: {error}.") from None


def _bound(host: str, port: int) -> socket.socket:
    """A listening socket, or an error that says why there is none."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(1024)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"Cannot listen at {host}, port {port}: {reason}.", hint="Choose another --port."
        ) from None
    return listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _say(line: str) -> None:
    print(f"ctxzip: {line}", file=sys.stderr, flush=True)
