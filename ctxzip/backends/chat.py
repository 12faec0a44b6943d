"""A chat LLM behind an OpenAI-compatible endpoint, with the standard library alone."""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ctxzip.errors import InputError, ModelError

__all__ = ["Chat", "ChatClient", "ChatError", "Completion"]

T = TypeVar("T")
_SYSTEM = (
    "Summarise the document so that the question can be answered from your summary alone. Use only "
    "what the document says, keep numbers and names as they stand, and write nothing else. If the "
    "document says nothing about the question, answer with an empty message."
)
_AGAIN = (408, 409, 425, 429, 500, 502, 503, 504)
_LONGEST_ANSWER = 2**22
_LONGEST_REFUSAL = 2**14
_LONGEST_WAIT = 30.0  # seconds that a busy endpoint may ask for


class ChatError(ModelError):
    """The endpoint did not answer."""


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


@dataclass(frozen=True, slots=True)
class Completion:
    """What an endpoint answered.

    Attributes:
        text: the message, stripped.
        prompt_tokens: as the endpoint counted them, or None where it did not say.
        completion_tokens: likewise.
    """

    text: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class ChatClient:
    """Asks an OpenAI-compatible endpoint, again and later where it is busy. Thread-safe.

    Args:
        settings: see :class:`Chat`; ``parallel`` and ``instruction`` are the caller's business.
        purpose: what the endpoint is for; stands in error messages.
    """

    def __init__(self, settings: Chat, purpose: str = "chat-summary") -> None:
        self._settings = settings
        self._purpose = purpose
        self._opener = urllib.request.build_opener(_NoRedirect)

    def endpoint(self, path: str = "/chat/completions") -> tuple[str, str]:
        """Address and model.

        Args:
            path: what is asked for, below the base address.

        Raises:
            ModelError: neither the settings nor the environment name them.
        """
        base = self._settings.base_url or os.environ.get("OPENAI_BASE_URL")
        model = self._settings.model or os.environ.get("OPENAI_MODEL")
        if not base or not model:
            raise ModelError(
                f"{self._purpose} has no {'model' if base else 'endpoint'}.",
                hint="Give settings=ctxzip.Chat(base_url=..., model=...), or set OPENAI_BASE_URL"
                " and OPENAI_MODEL.",
            )
        if not base.startswith(("http://", "https://")):
            raise ModelError(f"OPENAI_BASE_URL={base!r} is not an http(s) address.")
        return base.rstrip("/") + path, model

    def complete(self, messages: Sequence[Mapping[str, str]], max_tokens: int) -> Completion:
        """The endpoint's answer, greedily decoded.

        Raises:
            ChatError: there was none after all attempts; it says why.
            ModelError: there is no endpoint.
        """
        body = {"temperature": 0, "max_tokens": max_tokens, "messages": list(messages)}
        return self.request("/chat/completions", body, _completion)

    def request(self, path: str, body: Mapping[str, Any], read: Callable[[bytes], T]) -> T:
        """What the endpoint answers to a request.

        Args:
            path: what is asked for, below the base address.
            body: of the request, without the model.
            read: makes something of the answer; ChatError where it is not what it should be.

        Raises:
            ChatError: there was none after all attempts; it says why.
            ModelError: there is no endpoint.
        """
        url, model = self.endpoint(path)
        reason, wait = "", 0.0
        for attempt in range(self._settings.retries + 1):
            if attempt:
                time.sleep(max(wait, min(0.25 * 2**attempt, 4.0)))
            try:
                return read(self._post(url, {"model": model, **body}))
            except urllib.error.HTTPError as error:
                reason = f"the endpoint answered {error.code} {error.reason}{_detail(error)}"
                wait = _asked_to_wait(error)
                if error.code not in _AGAIN:
                    break
            except (TimeoutError, socket.timeout):  # noqa: UP041
                reason = f"no answer within {self._settings.timeout:g} s"
            except (OSError, http.client.HTTPException) as error:
                reason = f"the connection failed ({getattr(error, 'reason', None) or error})"
            except ChatError as error:
                reason = str(error)
                break
        raise ChatError(reason)

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


def _asked_to_wait(error: urllib.error.HTTPError) -> float:
    """Seconds that a busy endpoint asks for, as far as that is bearable."""
    try:
        seconds = float(error.headers.get("Retry-After", 0))
    except (TypeError, ValueError):
        return 0.0
    return min(seconds, _LONGEST_WAIT) if seconds > 0 else 0.0


def _detail(error: urllib.error.HTTPError) -> str:
    """What the endpoint says of its refusal, in a line."""
    try:
        said = json.loads(error.read(_LONGEST_REFUSAL))["error"]
        message = said["message"] if isinstance(said, dict) else said
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return ""
    return f": {' '.join(str(message).split())[:200]}"


def _completion(data: bytes) -> Completion:
    try:
        answer = json.loads(data)
        content = answer["choices"][0]["message"].get("content")
        usage = answer.get("usage") or {}
        counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ChatError(f"the endpoint's answer is not a chat completion ({error})") from None
    if content is not None and not isinstance(content, str):
        raise ChatError("the endpoint's answer holds no text")
    text = content or ""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ChatError("the endpoint's answer is not valid Unicode")
    spent = [count if isinstance(count, int) else None for count in counts]
    return Completion(text.strip(), *spent)
