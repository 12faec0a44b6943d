"""A page about a finished job: the distribution of ratios, and a sample of before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ctxzip.corpus.show.totals import Totals
from ctxzip.kit.disk import write_whole

__all__ = ["write"]

_STYLE = """
:root { color-scheme: light dark; --bar: #3b7dd8; --soft: #8884; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
td, th { padding: .2rem 1rem .2rem 0; text-align: left; vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1.5rem 0; } figcaption { margin-bottom: .5rem; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; border-left: 3px solid var(--soft);
  padding-left: 1rem; margin: 0 0 2rem; }
del { opacity: .55; } .note { opacity: .75; }
"""


def write(path: Path, manifest: Mapping[str, Any], totals: Totals, price: float | None) -> None:
    """Write the page, whole or not at all; it loads nothing from anywhere.

    Args:
        path: the HTML file.
        manifest: of the job.
        totals: of the job.
        price: of a million input tokens, or None.

    Raises:
        OutputError: it cannot be written.
    """
    write_whole(path, page(manifest, totals, price).encode())


def page(manifest: Mapping[str, Any], totals: Totals, price: float | None) -> str:
    """The page as HTML."""
    rows = [
        ("records", f"{totals['written']:,} of {totals['records']:,}"),
        ("left out, with a reason in errors.jsonl", f"{totals['failed']:,}"),
        ("tokens before", f"{totals['tokens_before']:,}"),
        ("tokens after", f"{totals['tokens_after']:,}"),
        ("saved", f"{totals.saved:,} ({1 - totals.ratio:.1%})"),
        ("texts that repeat another one", f"{totals['repeated'] + totals['cached']:,}"),
        ("work", f"{totals.seconds:,.0f} s of all workers together"),
    ]
    if price is not None:
        rows.append(("money saved each time all is read", f"{totals.saved / 1e6 * price:,.2f}"))
    settings = {k: v for k, v in manifest["settings"].items() if v not in (None, [], ())}
    made = ", ".join(f"{escape(k)} {v:,}" for k, v in sorted(totals.compressors.items()))
    state = "" if manifest["complete"] else "<p><strong>Not complete yet.</strong></p>"
    facts = "".join(f"<tr><td>{escape(k)}</td><td class=n>{escape(v)}</td></tr>" for k, v in rows)
    told = "".join(
        f"<tr><td>{escape(str(k))}</td><td>{escape(str(v))}</td></tr>"
        for k, v in settings.items()
        if k != "schema"
    )
    samples = "".join(_sample(sample) for _, sample in totals.samples)
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width'><title>A corpus, compressed</title>"
        f"<style>{_STYLE}</style><h1>A corpus, compressed</h1>{state}<table>{facts}</table>"
        f"<p>Made by: {made or 'nothing'}.</p>{_histogram(totals.bins)}"
        f"<h2>A sample of records</h2><p class=note>What is struck through was dropped.</p>"
        f"{samples or '<p>None.</p>'}<h2>Settings</h2>"
        f"<table>{told}</table><p class=note>ctxzip {escape(str(manifest['version']))}</p></html>"
    )


def _histogram(bins: Sequence[int]) -> str:
    """Bars as SVG, each with its numbers as a title."""
    if not sum(bins):
        return ""
    most, width, height = max(bins), 600 / len(bins), 160
    bars = []
    for i, count in enumerate(bins):
        size = count / most * height
        low, high = i / len(bins), (i + 1) / len(bins)
        bars.append(
            f"<rect x='{i * width:.1f}' y='{height - size:.1f}' width='{width - 2:.1f}'"
            f" height='{size:.1f}' fill='var(--bar)'>"
            f"<title>{low:.0%} to {high:.0%} kept: {count:,} records</title></rect>"
        )
    marks = "".join(
        f"<text x='{x * 6}' y='{height + 18}' font-size='12' fill='currentColor'"
        f" text-anchor='{anchor}'>{x}%</text>"
        for x, anchor in (
            (0, "start"),
            (25, "middle"),
            (50, "middle"),
            (75, "middle"),
            (100, "end"),
        )
    )
    return (
        "<figure><figcaption>Records by the fraction of their tokens that is kept</figcaption>"
        f"<svg viewBox='0 0 600 {height + 24}' width='100%' role='img'>"
        f"{''.join(bars)}{marks}</svg></figure>"
    )


def _sample(sample: Mapping[str, Any]) -> str:
    text, spans = str(sample["before"]), sample["spans"]
    counts = f"{sample['tokens_before']:,} tokens, {sample['tokens_after']:,} kept"
    if spans is None:
        body = f"<del>{escape(text)}</del>\n\n{escape(str(sample.get('after', '')))}"
    else:
        parts, at = [], 0
        for start, end in spans:
            parts.append(f"<del>{escape(text[at:start])}</del>" if start > at else "")
            parts.append(escape(text[start:end]))
            at = end
        parts.append(f"<del>{escape(text[at:])}</del>" if at < len(text) else "")
        body = "".join(parts)
    ending = " <span class=note>(goes on)</span>" if sample.get("cut") else ""
    return f"<p class=note>{counts}</p><div class=text>{body}{ending}</div>"
