"""Summaries by a chat LLM behind an OpenAI-compatible endpoint, with the standard library alone."""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ctxzip.errors import InputError, ModelError

__all__ = ["Chat", "ChatError", "ChatWriter"]

_SYSTEM = (
    "Summarise the document so that the question can be answered from your summary alone. Use only "
    "what the document says, keep numbers and names as they stand, and write nothing else. If the "
    "document says nothing about the question, answer with an empty message."
)
_AGAIN = (408, 409, 425, 429, 500, 502, 503, 504)
_LONGEST_ANSWER = 2**22


class ChatError(ModelError):
    """The endpoint did not give a summary."""


@dataclass(frozen=True, slots=True)
class Chat:
    """Settings of compressor ``chat-summary``.

    Attributes:
        model: the model's name at the endpoint; the variable ``OPENAI_MODEL`` unless given.
        base_url: such as ``"http://localhost:8000/v1"``; ``OPENAI_BASE_URL`` unless given.
        key_variable: environment variable that holds the key; none is sent where it is not set.
        timeout: seconds for one attempt.
        retries: further attempts after a time-out, a refused connection or a busy endpoint.
        max_tokens: most tokens of a summary; a ceiling lowers it.
        parallel: requests at a time.
        check: report numbers and names of a summary that its documents do not hold.
        instruction: the system message.
    """

    model: str | None = None
    base_url: str | None = None
    key_variable: str = "OPENAI_API_KEY"
    timeout: float = 30.0
    retries: int = 2
    max_tokens: int = 512
    parallel: int = 4
    check: bool = False
    instruction: str = _SYSTEM

    def __post_init__(self) -> None:
        if self.timeout <= 0 or self.retries < 0 or self.parallel < 1 or self.max_tokens < 1:
            raise InputError("timeout, retries, parallel and max_tokens must be positive.")
        if self.base_url is not None and not self.base_url.startswith(("http://", "https://")):
            raise InputError(f"base_url={self.base_url!r} is not an http(s) address.")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would send the key to another host."""

    def redirect_request(self, *_: Any) -> None:
        return None


class ChatWriter:
    """Writes summaries through an endpoint. Thread-safe.

    Args:
        settings: see :class:`Chat`.
    """

    def __init__(self, settings: Chat) -> None:
        self._settings = settings
        self._opener = urllib.request.build_opener(_NoRedirect)

    def write(
        self, asked: Sequence[tuple[str, str]], limits: Sequence[int | None]
    ) -> tuple[list[str | Exception], tuple[str, ...]]:
        """A summary, or the reason why there is none, for each pair of question and text."""
        self._endpoint()
        most = self._settings.max_tokens
        tokens = [most if limit is None else max(1, min(most, limit)) for limit in limits]
        with ThreadPoolExecutor(min(self._settings.parallel, max(1, len(asked)))) as pool:
            found = list(pool.map(self._one, asked, tokens))
        return found, ()

    def _endpoint(self) -> tuple[str, str]:
        """Address and model.

        Raises:
            ModelError: neither the settings nor the environment name them.
        """
        base = self._settings.base_url or os.environ.get("OPENAI_BASE_URL")
        model = self._settings.model or os.environ.get("OPENAI_MODEL")
        if not base or not model:
            raise ModelError(
                f"chat-summary has no {'model' if base else 'endpoint'}.",
                hint="Give settings=ctxzip.Chat(base_url=..., model=...), or set OPENAI_BASE_URL"
                " and OPENAI_MODEL.",
            )
        if not base.startswith(("http://", "https://")):
            raise ModelError(f"OPENAI_BASE_URL={base!r} is not an http(s) address.")
        return base.rstrip("/") + "/chat/completions", model

    def _one(self, asked: tuple[str, str], tokens: int) -> str | Exception:
        url, model = self._endpoint()
        question, text = asked
        body = {
            "model": model,
            "temperature": 0,
            "max_tokens": tokens,
            "messages": [
                {"role": "system", "content": self._settings.instruction},
                {"role": "user", "content": f"Question: {question}\n\nDocument:\n{text}"},
            ],
        }
        reason = ""
        for attempt in range(self._settings.retries + 1):
            if attempt:
                time.sleep(min(0.25 * 2**attempt, 4.0))
            try:
                return _content(self._post(url, body))
            except urllib.error.HTTPError as error:
                reason = f"the endpoint answered {error.code} {error.reason}"
                if error.code not in _AGAIN:
                    break
            except (TimeoutError, socket.timeout):  # noqa: UP041
                reason = f"no answer within {self._settings.timeout:g} s"
            except (OSError, http.client.HTTPException) as error:
                reason = f"the connection failed ({getattr(error, 'reason', None) or error})"
            except ChatError as error:
                reason = str(error)
                break
        return ChatError(reason)

    def _post(self, url: str, body: dict[str, Any]) -> bytes:
        headers = {"Content-Type": "application/json"}
        key = os.environ.get(self._settings.key_variable)
        if key:
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(  # noqa: S310
            url, json.dumps(body).encode(), headers, method="POST"
        )
        with self._opener.open(request, timeout=self._settings.timeout) as answer:
            data: bytes = answer.read(_LONGEST_ANSWER)
        return data


def _content(data: bytes) -> str:
    try:
        message = json.loads(data)["choices"][0]["message"]
        content = message.get("content")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ChatError(f"the endpoint's answer is not a chat completion ({error})") from None
    if content is None:
        return ""
    if not isinstance(content, str):
        raise ChatError("the endpoint's answer holds no text")
    content.encode("utf-8", "strict")
    return content.strip()
