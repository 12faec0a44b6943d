"""The service's answers: the library's results, and for everything else the right status."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import ctxzip
from ctxzip import Budget, Compression, Document, Request
from ctxzip.serve import admission as admissions
from ctxzip.serve import page
from ctxzip.serve.app import create_app
from ctxzip.serve.middleware import Middleware
from ctxzip.serve.settings import Settings
from tests.serve.asgi import JSON, Client, get, post

TEXT = (
    "The pump failed on Monday. It was replaced on 12 March 😀 by crew B. Nobody was hurt. "
    "The sky was blue. The canteen was closed for a week."
)
QUERY = "When was the pump replaced?"
ASKED = {"documents": [TEXT], "query": QUERY, "ratio": 0.5}


class Slow:
    """The lexical compressor, which waits until it is let go, and counts its batches."""

    name = "slow"

    def __init__(self) -> None:
        self.inner = ctxzip.load("lexical")
        self.go = threading.Event()
        self.batches: list[int] = []

    def compress(
        self, documents: Sequence[Document], *, query: str | None = None, budget: Budget
    ) -> Compression:
        return self.inner.compress(documents, query=query, budget=budget)

    def compress_many(self, requests: Sequence[Request]) -> list[Compression]:
        self.batches.append(len(requests))
        self.go.wait(20)
        return self.inner.compress_many(requests)

    def warmup(self) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    compressor = Slow()
    monkeypatch.setattr(admissions, "load", lambda name, **given: compressor)
    monkeypatch.setattr(admissions, "tuned", lambda name, **given: None)
    return compressor


@pytest.fixture(scope="module")
def app() -> Middleware:
    return create_app(Settings(compressors=("lexical",), playground=True))


async def until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("It did not happen within ten seconds.")


def test_documents_are_compressed_as_the_library_does_it(app: Middleware) -> None:
    documents = [{"text": TEXT, "id": "a"}, "The valve was not replaced. It is old. It leaks."]
    answer = asyncio.run(post(app, {**ASKED, "documents": documents, "units": True}))
    alone = ctxzip.compress(documents, 0.5, query=QUERY, compressor="lexical")
    assert answer.status == 200
    found = answer.json()
    assert found["text"] == alone.text
    assert (found["tokens_before"], found["tokens_after"]) == (
        alone.tokens_before,
        alone.tokens_after,
    )
    assert [one["id"] for one in found["documents"]] == ["a", None]
    for one, text in zip(found["documents"], (TEXT, documents[1]), strict=True):
        assert "".join(text[a:b] for a, b in one["kept"]) == one["text"]
        units = [(u["start"], u["end"]) for u in one["units"]]
        assert units == sorted(units)
        assert units[0][0] == 0
        assert units[-1][1] == len(text)


def test_a_conversation_keeps_its_structure(app: Middleware) -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "x", "odd": "\ud800"}]}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": TEXT * 3},
        call,
        {"role": "user", "content": QUERY},
    ]
    answer = asyncio.run(post(app, {"messages": messages, "ratio": 0.4}, "/v1/compress/messages"))
    assert answer.status == 200
    found = answer.json()
    assert [m["role"] for m in found["messages"]] == ["system", "user", "assistant", "user"]
    assert found["messages"][2] == call
    assert found["shortened"] == [1]
    assert found["tokens_after"] <= 0.4 * found["tokens_before"]
    alone = ctxzip.compress_messages(messages, 0.4, compressor="lexical")
    assert found["messages"] == alone.messages


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"documents": ["a"], "ratoi": 0.5}, "ratoi"),
        ({"documents": ["a"], "ratio": "0.5"}, "ratio"),
        ({"documents": ["a"], "ratio": -1}, "ratio=-1"),
        ({"documents": ["a"], "ratio": 0.5, "target_tokens": 3}, "Two ceilings"),
        ({"documents": [7]}, "documents"),
        ({"documents": ["\ud800 and more"]}, "surrogate"),
        ({"query": "a"}, "documents"),
        ({**ASKED, "threshold": 0.5}, "calibrated"),
        ({**ASKED, "compressor": "mini"}, "not offered"),
        ({**ASKED, "options": {"tokenizer": "no-such"}}, "no-such"),
        ({**ASKED, "options": {"separator": "\ud800"}}, "surrogate"),
        ([], "body"),
    ],
)
def test_what_cannot_be_used_is_422_and_says_why(app: Middleware, body: object, says: str) -> None:
    answer = asyncio.run(post(app, body))
    assert answer.status == 422
    assert says in json.dumps(answer.json()["error"])


def test_a_budget_that_protection_breaks_says_what_is_needed(app: Middleware) -> None:
    body = {**ASKED, "ratio": None, "target_tokens": 1, "options": {"protect": ["12 March"]}}
    answer = asyncio.run(post(app, body))
    assert answer.status == 422
    error = answer.json()["error"]
    assert error["type"] == "budget"
    assert error["needed"] > error["ceiling"] == 1


def test_what_is_no_json_is_422_and_what_does_not_claim_to_be_is_415(app: Middleware) -> None:
    send = Client(app).send
    broken = asyncio.run(send("POST", "/v1/compress", [b'{"documents": ["a'], [JSON]))
    assert broken.status == 422
    assert "not JSON" in broken.json()["error"]["message"]
    deep = asyncio.run(send("POST", "/v1/compress", [b"[" * 200_000], [JSON]))
    assert deep.status in (400, 422)
    assert asyncio.run(send("POST", "/v1/compress", [b"{}"])).status == 415
    assert asyncio.run(get(app, "/v1/compress")).status == 405
    assert asyncio.run(get(app, "/nowhere")).status == 404


def test_a_body_over_the_limit_is_413_declared_or_not() -> None:
    app = create_app(Settings(compressors=("lexical",), body_bytes=2000))
    send = Client(app).send
    big = [b"x" * 1000] * 5
    for headers in ([JSON], [JSON, ("content-length", "5000")], [JSON, ("expect", "100-continue")]):
        answer = asyncio.run(send("POST", "/v1/compress", big, headers))
        assert answer.status == 413
        assert answer.headers["connection"] == "close"
    assert asyncio.run(post(app, ASKED)).status == 200


def test_a_body_that_does_not_arrive_is_408() -> None:
    app = create_app(Settings(compressors=("lexical",), body_seconds=0.2))
    parts = [b'{"documents"', b": []}"]
    answer = asyncio.run(Client(app).send("POST", "/v1/compress", parts, [JSON], pause=0.15))
    assert answer.status == 408


def test_without_the_key_nothing_but_health_is_told() -> None:
    app = create_app(Settings(compressors=("lexical",), api_key="schlüssel"))
    for path in ("/metrics", "/openapi.json"):
        assert asyncio.run(get(app, path)).status == 401
        assert asyncio.run(get(app, path, ("x-api-key", "schlüssel"))).status == 200
    assert asyncio.run(get(app, "/healthz")).status == 200
    assert asyncio.run(post(app, ASKED)).status == 401
    assert (
        asyncio.run(post(app, ASKED, "/v1/compress", ("authorization", "Bearer no"))).status == 401
    )
    right = ("authorization", "Bearer schlüssel")
    assert asyncio.run(post(app, ASKED, "/v1/compress", right)).status == 200


def test_concurrent_requests_share_batches(slow: Slow) -> None:
    async def scene() -> None:
        app = create_app(Settings(compressors=("slow",)))
        asking = [
            asyncio.create_task(post(app, {**ASKED, "documents": [f"{TEXT} Line {i}."]}))
            for i in range(12)
        ]
        await until(lambda: len(slow.batches) > 0)
        slow.go.set()
        answers = await asyncio.gather(*asking)
        for i, answer in enumerate(answers):
            alone = ctxzip.compress(f"{TEXT} Line {i}.", 0.5, query=QUERY, compressor="lexical")
            assert answer.json()["text"] == alone.text
        assert sum(slow.batches) == 12
        assert len(slow.batches) < 7

    asyncio.run(scene())


def test_a_full_queue_is_429_and_a_slow_compressor_503(slow: Slow) -> None:
    async def scene() -> None:
        app = create_app(Settings(compressors=("slow",), queue=2, timeout=1.0))
        asking = [asyncio.create_task(post(app, ASKED)) for _ in range(2)]
        await until(lambda: len(slow.batches) > 0)
        refused = await post(app, ASKED)
        assert refused.status == 429
        assert refused.headers["retry-after"] == "1"
        late = await asyncio.gather(*asking)
        assert [answer.status for answer in late] == [503, 503]
        assert late[0].json()["error"]["type"] == "timeout"
        slow.go.set()
        assert (await post(app, ASKED)).status == 200

    asyncio.run(scene())


def test_with_a_fallback_a_slow_compressor_is_replaced_and_the_answer_says_so(slow: Slow) -> None:
    app = create_app(Settings(compressors=("slow",), timeout=0.2, on_error="fallback"))
    slow.batches.clear()
    desks_load = ctxzip.load("lexical")
    answer = asyncio.run(post(app, ASKED))
    slow.go.set()
    assert answer.status == 200
    assert answer.json()["fallback"] == "timeout"
    alone = desks_load.compress([Document(TEXT)], query=QUERY, budget=Budget(ratio=0.5))
    assert answer.json()["text"] == alone.text


def test_threads_that_hang_for_good_make_the_service_unwell(slow: Slow) -> None:
    async def scene() -> None:
        app = create_app(Settings(compressors=("slow",), timeout=0.1))
        for _ in range(8):
            assert (await post(app, ASKED)).status == 503
        health = await get(app, "/healthz")
        assert (health.status, health.json()["status"]) == (503, "stuck")
        slow.go.set()

    asyncio.run(scene())


def test_a_client_that_leaves_frees_its_place_and_harms_nobody(slow: Slow) -> None:
    async def scene() -> None:
        app = create_app(Settings(compressors=("slow",), queue=2))
        leaving = Client(app)
        body = [json.dumps(ASKED).encode()]
        left = asyncio.create_task(leaving.send("POST", "/v1/compress", body, [JSON]))
        staying = asyncio.create_task(post(app, ASKED))
        await until(lambda: len(slow.batches) > 0)
        leaving.gone.set()
        await left
        assert (await get(app, "/healthz")).json()["in_flight"] == 1
        slow.go.set()
        assert (await staying).status == 200
        assert ("/v1/compress", "499") in counted(await get(app, "/metrics"))

    asyncio.run(scene())


def test_kinds_of_options_at_work_are_bounded(slow: Slow) -> None:
    async def scene() -> None:
        app = create_app(Settings(compressors=("slow",)))
        asking = [
            asyncio.create_task(post(app, {**ASKED, "options": {"reserve": i}}))
            for i in range(1, 9)
        ]
        while (await get(app, "/healthz")).json()["in_flight"] < 8:
            await asyncio.sleep(0.01)
        assert (await post(app, {**ASKED, "options": {"reserve": 20}})).status == 429
        slow.go.set()
        assert [answer.status for answer in await asyncio.gather(*asking)] == [200] * 8
        assert (await post(app, {**ASKED, "options": {"reserve": 20}})).status == 200

    asyncio.run(scene())


def counted(answer: Any) -> dict[tuple[str, str], float]:
    return {
        (sample.labels["path"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
        if sample.name == "ctxzip_requests_total"
    }


def test_metrics_count_requests_and_tokens() -> None:
    app = create_app(Settings(compressors=("lexical",)))
    found = asyncio.run(post(app, ASKED)).json()
    asyncio.run(post(app, {}))
    asyncio.run(get(app, "/some/strange/path"))
    answer = asyncio.run(get(app, "/metrics"))
    numbers = counted(answer)
    assert numbers["/v1/compress", "200"] == 1
    assert numbers["/v1/compress", "422"] == 1
    assert numbers["other", "404"] == 1
    text = answer.body.decode()
    assert f'ctxzip_tokens_before_total{{compressor="lexical"}} {found["tokens_before"]}.0' in text
    assert f'ctxzip_tokens_after_total{{compressor="lexical"}} {found["tokens_after"]}.0' in text
    assert "ctxzip_in_flight 0.0" in text


def test_the_openapi_document_describes_what_is_there(app: Middleware) -> None:
    document = asyncio.run(get(app, "/openapi.json")).json()
    assert set(document["paths"]) == {
        "/v1/compress",
        "/v1/compress/messages",
        "/healthz",
        "/metrics",
    }
    responses = document["paths"]["/v1/compress"]["post"]["responses"]
    assert {"200", "401", "408", "413", "415", "422", "429", "503"} <= set(responses)
    fields = document["components"]["schemas"]["CompressOut"]["properties"]
    answer = asyncio.run(post(app, {**ASKED, "units": True})).json()
    assert set(answer) == set(fields)
    schema = document["components"]["schemas"]["CompressIn"]["properties"]
    example = {name: value["examples"][0] for name, value in schema.items() if "examples" in value}
    assert asyncio.run(post(app, example)).status == 200


def test_the_playground_needs_nothing_from_elsewhere(app: Middleware) -> None:
    answer = asyncio.run(get(app, "/"))
    assert answer.status == 200
    html = answer.body.decode()
    assert "//" not in html.replace("// ", "")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert policy.count("sha256-") == 2
    assert page.html() == html
    assert asyncio.run(get(create_app(Settings(compressors=("lexical",))), "/")).status == 404
