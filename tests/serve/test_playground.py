"""The playground in a real browser, under its own content security policy."""

from __future__ import annotations

import html
import http.client
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.benchmarks.serving import serving

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


def dom(browser: str, folder: Path, url: str) -> str:
    """The page after its scripts have run."""
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={folder}",
        "--virtual-time-budget=15000",
        "--dump-dom",
        url,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_the_page_shows_what_the_service_answers(tmp_path: Path) -> None:
    assert BROWSER is not None
    with serving("--compressor", "lexical", "--playground") as server:
        page = dom(BROWSER, tmp_path, f"http://127.0.0.1:{server.port}/")
        articles = re.findall(r"<article>(.*?)</article>", page, re.DOTALL)
        pieces = [
            [(tag, html.unescape(text)) for tag, text in re.findall(
                r"<(mark|del)[^>]*>(.*?)</\1>", article, re.DOTALL)]
            for article in articles
        ]  # fmt: skip
        documents = ["".join(text for _, text in some) for some in pieces]
        assert len(documents) == 2
        assert "all week 🌤. Inspection showed" in documents[0]
        assert documents[1].endswith("who asked to see it.")
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        asked = {
            "documents": documents,
            "query": "When was valve V-221 replaced, and why?",
            "ratio": 0.4,
        }
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/v1/compress", json.dumps(asked), headers)
        answer = json.loads(connection.getresponse().read())
    kept = ["".join(text for tag, text in some if tag == "mark") for some in pieces]
    assert kept == [document["text"] for document in answer["documents"]]
    assert f"{answer['tokens_before']} → {answer['tokens_after']} tokens" in page
