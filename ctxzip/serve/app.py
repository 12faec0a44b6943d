"""The routes. What is asked at the same time is compressed in common batches."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

import ctxzip
from ctxzip.api.arguments import budget_of, request_of
from ctxzip.api.guard import CompressionTimeoutError
from ctxzip.api.lanes import LaneBusyError
from ctxzip.api.messages import plan
from ctxzip.errors import BudgetError, CtxzipError, InputError
from ctxzip.serve import page, schema
from ctxzip.serve.admission import Admission, BusyError
from ctxzip.serve.metrics import Metrics
from ctxzip.serve.middleware import GONE, Middleware
from ctxzip.serve.settings import Settings

__all__ = ["create_app"]

T = TypeVar("T")
_log = logging.getLogger("ctxzip")

_KINDS: tuple[tuple[type[Exception], int, str], ...] = (
    (RequestValidationError, 422, "invalid"),
    (InputError, 422, "invalid"),
    (BudgetError, 422, "budget"),
    (BusyError, 429, "busy"),
    (CompressionTimeoutError, 503, "timeout"),
    (LaneBusyError, 503, "stuck"),
    (CtxzipError, 500, "failed"),
)
_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": schema.ErrorOut, "description": text}
    for status, text in {
        401: "The API key is missing or wrong.",
        408: "The body took too long to arrive.",
        413: "The body is too large.",
        415: "The body is not JSON.",
        422: "A field or its value cannot be used; nothing is to be gained by trying again.",
        429: "Too many requests; try again after Retry-After seconds.",
        503: "The compressor was too slow or hangs; try again after Retry-After seconds.",
    }.items()
}


def create_app(settings: Settings | None = None) -> Middleware:
    """The service as an ASGI application, for any ASGI server.

    Args:
        settings: limits and choices.

    Raises:
        InputError: a compressor is unknown.
        MissingExtraError: a compressor's packages are not installed.
    """
    settings = settings if settings is not None else Settings()
    metrics = Metrics()
    admission = Admission(settings, metrics)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(admission.warmup)
        yield
        await asyncio.to_thread(admission.close)

    app = FastAPI(
        title="ctxzip",
        version=ctxzip.__version__,
        summary="Send an LLM less text and get the same answer.",
        docs_url=None,  # these pages load their scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    _compress_routes(app, admission)
    _other_routes(app, admission, settings, metrics)
    for kind in (Exception, CtxzipError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _failed)
    return Middleware(app, settings, metrics)


class _Json(JSONResponse):
    """Answers with what the client sent, which may be what only JSON can say."""

    def render(self, content: Any) -> bytes:
        try:
            return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        except UnicodeEncodeError:  # half a surrogate pair outside of the texts, in a tool call say
            return json.dumps(content, separators=(",", ":")).encode()


def _compress_routes(app: FastAPI, admission: Admission) -> None:
    @app.post("/v1/compress", responses={**_RESPONSES, 200: {"model": schema.CompressOut}})
    async def compress(body: schema.CompressIn, request: Request) -> Response:
        """Shorten documents that share a budget; half of the tokens stay where none is given."""
        options = body.options.options()
        budget = budget_of(body.ratio, body.target_tokens, body.threshold, options)
        sent = body.texts()
        asked = request_of(sent, body.query, budget)
        with admission.admit(body.compressor, options) as guard:
            (outcome,) = await _unless_gone(request, guard.arun([asked]))
        found = schema.result_out(outcome.compression, sent, outcome.fallback, body.units)
        return _Json(found)

    @app.post("/v1/compress/messages", responses={**_RESPONSES, 200: {"model": schema.MessagesOut}})
    async def messages(body: schema.MessagesIn, request: Request) -> Response:
        """Shorten a conversation; system messages, the question and tool calls stay untouched."""
        options = body.options.options()
        with admission.admit(body.compressor, options) as guard:
            planned = await asyncio.to_thread(
                plan,
                body.messages,
                body.ratio,
                query=body.query,
                target_tokens=body.target_tokens,
                options=options,
            )
            outcomes = await _unless_gone(request, guard.arun(planned.requests))
        done = planned.finish([outcome.compression for outcome in outcomes])
        return _Json(schema.messages_out(done))


def _other_routes(app: FastAPI, admission: Admission, settings: Settings, metrics: Metrics) -> None:
    @app.get("/healthz", responses={200: {"model": schema.HealthOut}, 503: {}})
    async def healthz() -> Response:
        """Whether the service can work; 503 once a compressor hangs for good."""
        status = "stuck" if admission.stuck else "ok"
        health = schema.HealthOut(
            status=status,
            version=ctxzip.__version__,
            compressors=list(settings.compressors),
            in_flight=admission.in_flight,
        )
        return JSONResponse(health.model_dump(), 200 if status == "ok" else 503)

    @app.get("/metrics")
    async def numbers() -> Response:
        """Numbers for Prometheus."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    if settings.playground:

        @app.get("/", include_in_schema=False)
        async def playground() -> Response:
            return HTMLResponse(page.html(), headers=page.headers())


async def _unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, which is cancelled when the client leaves."""
    doing = asyncio.create_task(work)
    watching = asyncio.create_task(_left(request))
    try:
        await asyncio.wait((doing, watching), return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        raise HTTPException(GONE)
    finally:
        watching.cancel()
        doing.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _failed(request: Request, error: Exception) -> Response:
    """Every error in one form."""
    status, kind, headers = _status(error)
    message = str(error)
    content: dict[str, Any] = {"type": kind, "message": message}
    if isinstance(error, RequestValidationError):
        # Without the offending values: they may be long, and no valid Unicode.
        details = [{"where": list(e["loc"]), "what": e["msg"]} for e in error.errors()]
        first = details[0]
        where = ".".join(str(part) for part in first["where"][1:])
        content["message"] = f"{where or 'body'}: {first['what']}"
        if error.errors()[0]["type"] == "json_invalid":
            content["message"] = f"The body is not JSON (at character {where})."
        content["details"] = details
    elif isinstance(error, HTTPException):
        content["message"] = str(error.detail)
    elif isinstance(error, BudgetError):
        content |= {"needed": error.needed, "ceiling": error.ceiling}
    elif status == 500:
        _log.error("A request failed.", exc_info=error)
        content["message"] = "The service failed; its log says why."
    return JSONResponse({"error": content}, status, headers)


def _status(error: Exception) -> tuple[int, str, Mapping[str, str] | None]:
    if isinstance(error, HTTPException):
        return error.status_code, "http", error.headers
    for kind, status, name in _KINDS:
        if isinstance(error, kind):
            return status, name, {"Retry-After": "1"} if status in (429, 503) else None
    return 500, "internal", None
