"""The picture of the README: ``python -m tests.browser.picture [FILE]``, or ``make picture``.

A report of examples/sample.json, as headless Chromium draws it.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

import ctxzip
from ctxzip.report import html
from tests.browser.conftest import ARGUMENTS, NAMES

ROOT = Path(__file__).parents[2]
RATIO = 0.2
COLOURS = 128  # a page of text needs no more, and the file is less than half the size
SIZE = {"width": 960, "height": 860}


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "examples" / "report.png"
    sample = json.loads((ROOT / "examples" / "sample.json").read_text(encoding="utf-8"))
    question, documents = sample["question"], sample["documents"]
    ctxzip.compress(documents, RATIO, query=question)  # loads the model: the time shown is without
    result = ctxzip.compress(
        documents, RATIO, query=question, options=ctxzip.Options(protect=["duty pharmacist"])
    )
    found = next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as run:
        browser = run.chromium.launch(executable_path=found, args=ARGUMENTS)
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.set_content(html(result, query=question))
        drawn = page.screenshot()
        browser.close()
    Image.open(io.BytesIO(drawn)).convert("RGB").quantize(COLOURS).save(target, optimize=True)
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
