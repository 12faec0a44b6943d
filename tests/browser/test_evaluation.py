"""The page of ``ctxzip eval`` in a real browser."""

from __future__ import annotations

import json

import pytest

from ctxzip.cli import main
from tests.browser.conftest import unfold


@pytest.fixture(scope="module")
def page_text(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("eval")
    rows = [
        {
            "question": f"When was <b>pump {i}</b> replaced?",
            "context": f"It rained <script>alert({i})</script> on site. Nobody came to hall {i}. "
            f"Pump {i} was replaced on {i} May. The gate was shut.",
            "answer": f"{i} May",
            "evidence": f"Pump {i} was replaced on {i} May.",
        }
        for i in range(1, 9)
    ]
    data = folder / "data.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    arguments = ["-c", "lexical,lead,random", "-r", "0.3,0.6", "-o", str(folder)]
    assert main(["eval", str(data), *arguments]) == 0
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible_and_quiet(open_page, page_text, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page(page_text, color_scheme=scheme, bypass_csp=True)
    unfold(page)
    found = axe.Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:120]) for one in found] == []


def test_curves_and_losses_are_seen(open_page, page_text):
    page = open_page(page_text, viewport={"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    charts = page.locator("svg.chart")
    assert charts.count() == 3
    for i in range(3):
        box = charts.nth(i).bounding_box()
        assert box["width"] > 250
        assert box["height"] > 100
    first = charts.first.locator("path.line").all()
    assert len({line.evaluate("line => getComputedStyle(line).stroke") for line in first}) == 3
    case = page.locator("details.doc").first
    case.locator("summary").click()
    lost = case.locator("mark").first
    assert lost.is_visible()
    assert "was replaced on" in lost.inner_text()
