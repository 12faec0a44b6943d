"""A headless Chromium of this machine, driven by playwright.

``apt-get install chromium`` brings one; CTXZIP_CHROMIUM names another. Where there is none these
tests are skipped. One browser per module: while playwright's event loop runs, no other test of the
same process could start one.
"""

from __future__ import annotations

import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox",  # it reads nothing but pages that these tests wrote
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser():
    found = os.environ.get("CTXZIP_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as run:
        started = run.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def open_page(browser, tmp_path):
    """Opens a page that is given as a string; the test fails if it says or asks for anything."""
    contexts, complaints = [], []

    def opened(text: str, **settings):
        path = tmp_path / f"page{len(contexts)}.html"
        path.write_text(text, encoding="utf-8")
        context = browser.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.on(
            "request",
            lambda request: request.url == path.as_uri() or complaints.append(request.url),
        )
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def unfold(page):
    """Open everything and lay it out, so that axe may look at it.

    axe looks once where everything lies. Blocks that are laid out only when they come into sight
    would move underneath it, and it would compare letters with the colour of another line.
    """
    page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    lay_out(page)


def lay_out(page):
    """Lay everything out at once, so that nothing moves between a look and a click."""
    page.add_style_tag(content="* { content-visibility: visible !important }")
