"""The report in a real browser: nothing runs that should not, and everybody can use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ctxzip
from ctxzip import Options
from ctxzip.report import fragment, html
from tests.browser.conftest import lay_out, unfold

ROOT = Path(__file__).parents[2]
SAMPLE = json.loads((ROOT / "examples" / "sample.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def sample() -> str:
    result = ctxzip.compress(
        SAMPLE["documents"],
        0.3,
        query=SAMPLE["question"],
        compressor="lexical",
        options=Options(protect=["duty pharmacist"]),
    )
    return html(result, query=SAMPLE["question"])


def test_scripts_of_a_document_are_shown_and_not_run(open_page):
    evil = (
        "<script>document.title = 'owned'; alert(1)</script>"
        "<img src=x onerror=\"document.title='owned'\"> </pre></div></main>"
        "<svg onload=alert(2)> Valve V-221 was replaced on 3 May. It works."
    )
    result = ctxzip.compress(
        [{"text": evil, "title": evil, "id": "\"'><script>alert(3)</script>"}],
        0.5,
        query=evil,
        compressor="lexical",
    )
    page = open_page(html(result, query=evil))
    assert page.title().startswith("ctxzip")
    assert page.locator(".b").first.inner_text().strip() == evil
    assert page.locator("img, svg[onload]").count() == 0
    notebook = open_page(fragment(result))
    assert evil in notebook.locator(".b").first.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible_by_axes_rules_in_both_colours(open_page, sample, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page(sample, color_scheme=scheme, bypass_csp=True)
    unfold(page)
    found = axe.Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:120]) for one in found] == []
    lightness = page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).reduce((a, b) => a + +b, 0)"
    )
    assert (lightness > 600) == (scheme == "light")


def test_everything_by_keyboard(open_page, sample):
    page = open_page(sample, viewport={"width": 1000, "height": 700})
    page.keyboard.press("j")
    tip = page.locator("#tip")
    assert "score" in tip.inner_text()
    first = page.locator(".u.here").inner_text()
    for _ in range(30):
        page.keyboard.press("j")
    assert page.locator(".u.here").count() == 1
    box = page.locator(".u.here").bounding_box()
    assert 0 <= box["y"] <= 700, "what is chosen is in sight"
    for _ in range(30):
        page.keyboard.press("k")
    assert page.locator(".u.here").inner_text() == first
    page.keyboard.press("Escape")
    assert page.locator(".u.here").count() == 0
    dropped = page.locator(".b del").first
    page.keyboard.press("d")
    assert page.locator("input[value=fold]").is_checked()
    page.keyboard.press("d")
    assert not dropped.is_visible()
    page.keyboard.press("d")
    assert dropped.is_visible()
    assert page.locator("#main").get_attribute("class") in (None, "")
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    # From the top of the page: where focus goes on after a key differs between browsers.
    fresh = open_page(sample)
    fresh.keyboard.press("Tab")
    assert fresh.evaluate("document.activeElement.className") == "skip"


def test_scores_on_hover(open_page, sample):
    page = open_page(sample)
    unit = page.locator(".doc .u").first
    unit.hover()
    assert f"score {unit.get_attribute('data-s')}" in page.locator("#tip").inner_text()
    assert "kept" in page.locator("#tip").inner_text()
    page.locator("h1").hover()
    assert not page.locator("#tip").is_visible()


def test_a_narrow_screen_does_not_scroll_sideways(open_page, sample):
    page = open_page(sample, viewport={"width": 340, "height": 700})
    page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= 340


def test_it_can_be_printed(open_page, sample):
    page = open_page(sample, color_scheme="dark")
    page.locator(".doc").first.evaluate("one => { one.open = false; }")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert not page.locator("header").is_visible()
    assert page.locator(".doc .b").first.is_visible(), "closed documents are printed, too"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.pdf(print_background=True).count(b"/Type /Page") >= 2


def test_the_text_as_it_is_sent_can_be_copied(open_page, sample):
    page = open_page(sample, bypass_csp=True)
    lay_out(page)
    page.locator(".sent summary").click()
    page.locator("#copy").click()
    page.wait_for_function("document.getElementById('copy').textContent !== 'Copy'")
    page.wait_for_timeout(50)


@pytest.mark.parametrize("granularity", ["sentence", "word"])
def test_a_million_characters_stay_usable(open_page, granularity):
    text = "".join(
        f"Pump {i} stands in hall {i % 97} and was checked twice. " + "\n" * (i % 7 == 0)
        for i in range(19_000)
    )
    assert len(text) > 1_000_000 * 0.95
    result = ctxzip.compress(
        text,
        0.4,
        query="Where is pump 77?",
        compressor="lexical",
        options=Options(granularity=granularity),
    )
    page = open_page(html(result))
    page.set_default_timeout(10_000)
    for _ in range(3):
        page.keyboard.press("j")
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight / 2)")
    page.keyboard.press("d")
    # Two frames: the browser has drawn what these keys asked for.
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.locator("input[value=fold]").is_checked()
    assert page.evaluate("document.querySelector('.doc').textContent.length") > 900_000
