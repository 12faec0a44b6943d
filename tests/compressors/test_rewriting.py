"""Summaries: RECOMP's abstractive compressor on a tiny T5, and a chat endpoint on this machine."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import ctxzip
from ctxzip import BudgetError, InputError, ModelError, Options
from ctxzip.backends.chat import Chat
from ctxzip.compressors import load
from ctxzip.compressors.rewriting.check import unsupported
from ctxzip.compressors.rewriting.writers import Abstractive
from tests import checkpoints

QUERY = "When was the pump installed?"
TEXT = (
    "The pump was installed in May 2019 by Ada Novak. Pressure must not exceed 4.5 bar. Nobody had"
    " read the committee's report. Roads were closed overnight, and the trains ran late."
)


class Endpoint(ThreadingHTTPServer):
    """Answers chat completions as a test tells it to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[Any] = []
        self.seen: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        self.server.seen.append(json.loads(self.rfile.read(size)))
        self.server.keys.append(self.headers.get("Authorization"))
        answer = self.server.answers.pop(0) if self.server.answers else "A summary."
        if isinstance(answer, float):
            time.sleep(answer)
            answer = "late"
        status, body = 200, b""
        if isinstance(answer, int):
            status = answer
        elif isinstance(answer, bytes):
            body = answer
        else:
            body = json.dumps({"choices": [{"message": {"content": answer}}]}).encode()
        try:
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            return

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def chat(endpoint: Endpoint, options: Options | None = None, **settings: Any) -> ctxzip.Compressor:
    chosen = Chat(model="m", base_url=endpoint.url, **settings)
    return load("chat-summary", options=options, settings=chosen)


def test_a_summary_is_rewritten_text(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    endpoint.answers = ["Installed in May 2019."]
    result = ctxzip.compress([TEXT, "More."], query=QUERY, compressor=chat(endpoint))
    assert result.text == "Installed in May 2019."
    assert len(result.documents) == 1
    assert result.documents[0].kept is None
    assert [source.text for source in result.documents[0].sources] == [TEXT, "More."]
    assert result.locate(3) is None
    assert endpoint.keys == ["Bearer secret"]
    assert QUERY in endpoint.seen[0]["messages"][1]["content"]
    assert endpoint.seen[0]["temperature"] == 0


@pytest.mark.parametrize("empty", ["", "  \n", None])
def test_an_empty_summary_is_a_result(endpoint: Endpoint, empty: str | None):
    endpoint.answers = [empty]
    result = ctxzip.compress(TEXT, query=QUERY, compressor=chat(endpoint))
    assert (result.text, result.tokens_after) == ("", 0)
    assert any("empty" in note for note in result.notes)


def test_a_ceiling_is_checked_after(endpoint: Endpoint):
    endpoint.answers = ["One short sentence. " * 8 + "The end."]
    result = ctxzip.compress(TEXT, target_tokens=12, query=QUERY, compressor=chat(endpoint))
    assert result.tokens_after <= 12
    assert result.text == "One short sentence. One short sentence. One short sentence."
    assert endpoint.seen[0]["max_tokens"] == 12
    endpoint.answers = ["pressure " * 40]
    result = ctxzip.compress(TEXT, target_tokens=5, query=QUERY, compressor=chat(endpoint))
    assert result.text == "pressure pressure pressure pressure pressure"


def test_it_is_never_longer_than_the_input(endpoint: Endpoint):
    endpoint.answers = ["A very long summary indeed. " * 50]
    assert ctxzip.compress(TEXT, query=QUERY, compressor=chat(endpoint)).text == TEXT


def test_protected_text_survives(endpoint: Endpoint):
    endpoint.answers = ["It was installed in spring, says the report of the committee."] * 2
    options = Options(protect=["4.5 bar"])
    result = ctxzip.compress(
        TEXT, target_tokens=16, query=QUERY, compressor=chat(endpoint, options)
    )
    assert "4.5 bar" in result.text
    assert result.tokens_after <= 16
    with pytest.raises(BudgetError):
        ctxzip.compress(TEXT, target_tokens=2, query=QUERY, compressor=chat(endpoint, options))


def test_what_was_invented_is_reported(endpoint: Endpoint):
    endpoint.answers = ["The pump was installed by Ada Zweig in 2020, not exceeding 4.5 bar."]
    result = ctxzip.compress(TEXT, query=QUERY, compressor=chat(endpoint, check=True))
    assert any("Zweig, 2020" in note for note in result.notes)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([400], "400"),
        ([503, 503], "503"),
        ([302], "302"),
        ([b"<html>"], "not a chat completion"),
        ([b'{"choices": []}'], "not a chat completion"),
        ([2.0, 2.0], "no answer within"),
    ],
)
def test_a_failure_gives_the_extractive_result(endpoint: Endpoint, answers: list[Any], reason: str):
    endpoint.answers = list(answers)
    result = ctxzip.compress(
        TEXT, 0.5, query=QUERY, compressor=chat(endpoint, retries=1, timeout=0.5)
    )
    assert result.documents[0].kept is not None
    assert "installed in May 2019" in result.text
    assert any(reason in note for note in result.notes)
    assert len(endpoint.seen) == len(answers)


def test_it_tries_again(endpoint: Endpoint):
    endpoint.answers = [503, "Installed in May."]
    assert ctxzip.compress(TEXT, query=QUERY, compressor=chat(endpoint)).text == "Installed in May."


def test_nobody_at_the_endpoint():
    compressor = load(
        "chat-summary", settings=Chat(model="m", base_url="http://127.0.0.1:9", retries=0)
    )
    result = ctxzip.compress(TEXT, 0.5, query=QUERY, compressor=compressor)
    assert any("connection failed" in note for note in result.notes)


def test_an_endpoint_must_be_named(monkeypatch: pytest.MonkeyPatch):
    for name in ("OPENAI_BASE_URL", "OPENAI_MODEL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ModelError, match="OPENAI_BASE_URL"):
        ctxzip.compress(TEXT, 0.5, compressor="chat-summary")
    with pytest.raises(InputError, match="http"):
        Chat(base_url="file:///etc/passwd")


def test_requests_keep_their_order(endpoint: Endpoint):
    texts = [
        f"Text {i} says that valve {i} was replaced, and that nobody saw it." for i in range(6)
    ]
    results = ctxzip.compress_many(texts, queries=QUERY, compressor=chat(endpoint))
    assert [result.documents[0].sources[0].text for result in results] == texts
    for result in results:
        assert result.text == "A summary."


def test_unsupported_numbers_and_names():
    source = "In 2019 Ada Novak paid 1,200 francs to the Zagreb office."
    assert unsupported("Ada Novak paid 1200 francs.", source) == []
    assert unsupported("However, Novak's office paid Berlin 1300 francs.", source) == [
        "Berlin",
        "1300",
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    return checkpoints.t5(tmp_path_factory.mktemp("models") / "t5")


def summarizer(folder: Path, **settings: Any) -> ctxzip.Compressor:
    return load(
        "recomp-abstractive", model=str(folder), device="cpu", settings=Abstractive(**settings)
    )


@pytest.mark.parametrize("beams", [1, 3])
def test_the_summary_is_what_the_model_generates(folder: Path, beams: int):
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSeq2SeqLM.from_pretrained(folder)
    inputs = tokenizer(
        f"Question: {QUERY}\n Document: {TEXT}\n Summary: ", return_tensors="pt", truncation=True
    )
    expected = tokenizer.decode(
        model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            max_new_tokens=12,
            num_beams=beams,
            do_sample=False,
        )[0],
        skip_special_tokens=True,
    ).strip()
    result = ctxzip.compress(
        TEXT, query=QUERY, compressor=summarizer(folder, beams=beams, max_tokens=12)
    )
    assert result.text == expected
    assert result.documents[0].kept is None


def test_requests_are_batched_and_alike(folder: Path):
    compressor = summarizer(folder, max_tokens=8)
    texts = [TEXT, TEXT.replace("May", "July"), TEXT[:60]]
    together = ctxzip.compress_many(texts, queries=QUERY, compressor=compressor)
    for text, result in zip(texts, together, strict=True):
        assert ctxzip.compress(text, query=QUERY, compressor=compressor).text == result.text


def test_long_sources_are_cut_with_a_note(folder: Path):
    compressor = summarizer(folder, max_tokens=4, source_tokens=20)
    result = ctxzip.compress(TEXT, query=QUERY, compressor=compressor)
    assert any("20 tokens" in note for note in result.notes)


def test_a_checkpoint_of_another_kind_is_refused(folder: Path, tmp_path: Path):
    other = checkpoints.bert(tmp_path / "bert")
    with pytest.raises(ModelError, match="ForConditionalGeneration"):
        ctxzip.compress(TEXT, query=QUERY, compressor=summarizer(other))
