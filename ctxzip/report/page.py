"""A result as one self-contained page, and as a fragment for notebooks."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from html import escape
from importlib import resources
from itertools import groupby

from ctxzip.report.marks import Counts, Piece, Shades, counts_of, pieces, visible
from ctxzip.types import CompressedDocument, Compression, ScoredUnit, Span

__all__ = ["document_body", "fragment", "html", "shell"]

_BLOCK = 4000  # characters after which a block ends with the next line
_LONGEST_BLOCK = 16_000  # or with the next unit, where there is no line
_FEW = 12  # documents that are listed without being asked
_NOTEBOOK = 20_000  # characters of the sources that a notebook shows


def html(compression: Compression, *, query: str | None = None, tokenizer: object = None) -> str:
    """A page that shows what was kept, dropped and protected.

    It needs no network, runs nothing that the documents hold, follows the light or dark setting of
    the reader, and can be printed.

    Args:
        compression: the result to show.
        query: the question that it was made for.
        tokenizer: what counted its tokens, where ``compression.tokenizer`` is not a name that
            :func:`ctxzip.text.tokens.resolve` knows; otherwise documents are measured in
            characters.
    """
    counts = counts_of(compression, tokenizer)
    saved = compression.tokens_before - compression.tokens_after
    title = f"{compression.ratio:.0%} kept, {saved:,} tokens saved"
    main = [
        _head(compression, query),
        _overview(compression, counts),
        _documents(compression, counts),
        _sent(compression),
    ]
    return shell(title, "".join(main), toolbar=_TOOLBAR)


def fragment(compression: Compression) -> str:
    """The same in short, for a notebook: no script, and at most 20,000 characters of text."""
    shades = Shades(compression.documents)
    parts, room = [], _NOTEBOOK
    for number, document in enumerate(compression.documents, 1):
        if room <= 0:
            left = len(compression.documents) - number + 1
            parts.append(f"<p>… and {left:,} more documents.</p>")
            break
        body, used = [], 0
        for block, size in _blocks(document, shades, hints=True):
            if used and used + size > room:
                body.append("<p>…</p>")
                break
            body.append(block)
            used += size
        room -= used
        parts.append(f"<p><b>{_name(document, number)}</b></p>{''.join(body)}")
    return (
        f"<style>{_asset('notebook.css')}</style><div class='ctxzip'>"
        f"<p><b>{compression.tokens_before:,} → {compression.tokens_after:,} tokens</b>"
        f" ({compression.ratio:.0%} kept) by {escape(compression.compressor)}</p>"
        f"{''.join(parts)}</div>"
    )


def shell(title: str, main: str, *, toolbar: str = "") -> str:
    """A page around ``main``. Its policy lets run what ctxzip wrote and nothing else."""
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}';"
        " base-uri 'none'; form-action 'none'"
    )
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>ctxzip: {escape(title)}</title><style>{style}</style></head>"
        f'<body><a class="skip" href="#main">Skip to the text</a>'
        f'<header class="bar"><b>ctxzip</b>{toolbar}'
        '<button type="button" id="theme" title="Light or dark (t)">Theme</button></header>'
        f'<main id="main" tabindex="-1">{main}</main>'
        '<div id="tip" role="status" aria-live="polite" hidden></div>'
        f"<script>{script}</script></body></html>\n"
    )


_TOOLBAR = (
    '<fieldset id="mode"><legend>Dropped text</legend>'
    '<label><input type="radio" name="mode" value="dim" checked>dimmed</label>'
    '<label><input type="radio" name="mode" value="fold">folded</label>'
    '<label><input type="radio" name="mode" value="hide">hidden</label></fieldset>'
    '<button type="button" id="previous" title="Previous (k)">↑ previous</button>'
    '<button type="button" id="next" title="Next (j)">↓ next</button>'
)


@cache
def _asset(name: str) -> str:
    return resources.files("ctxzip.report").joinpath(name).read_text(encoding="utf-8").strip()


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _shown(text: str) -> str:
    return escape(visible(text))


def _head(compression: Compression, query: str | None) -> str:
    saved = compression.tokens_before - compression.tokens_after
    seconds = sum(compression.seconds.values())
    tiles = [
        ("before", f"{compression.tokens_before:,}", "tokens"),
        ("after", f"{compression.tokens_after:,}", "tokens"),
        ("kept", f"{compression.ratio:.1%}", f"{saved:,} saved"),
        ("time", _time(seconds), escape(compression.compressor)),
    ]
    asked = f"<h1>{_shown(query)}</h1>" if query else "<h1>What was kept</h1>"
    cells = "".join(f"<div><dt>{a}</dt><dd>{b}</dd><dd>{c}</dd></div>" for a, b, c in tiles)
    lines = "".join(f"<li>{_shown(line)}</li>" for line in (*compression.path, *compression.notes))
    stages = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{_time(spent)}</td>"
        f"<td>{_bar(spent / seconds if seconds else 0)}</td></tr>"
        for name, spent in compression.seconds.items()
    )
    return (
        f"{asked}<dl class='tiles'>{cells}</dl>"
        f"<details class='how'><summary>How, and where the time went</summary><ul>{lines}</ul>"
        f"<table><caption>Time of each stage</caption>{stages}</table>"
        f"<p>Tokens as {_shown(compression.tokenizer)} counts them"
        + (
            f", under a ceiling of {compression.ceiling:,}"
            if compression.ceiling is not None
            else ""
        )
        + ".</p></details>"
        "<p class='legend'><span class='s0'>kept</span> <span class='s4'>kept, most useful</span>"
        " <span class='p'>protected</span> <del>dropped</del> <span class='hint'>Point at the text"
        " for its score, or go through it with j and k.</span></p>"
    )


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def _bar(share: float) -> str:
    width = max(0.0, min(100.0, share * 100))
    return (
        '<svg class="share" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="all" width="100" height="8"/><rect width="{width:.1f}" height="8"/></svg>'
    )


def _name(document: CompressedDocument, number: int) -> str:
    source = document.source
    named = " · ".join(_shown(part) for part in (source.id, source.title) if part)
    return named or f"Document {number}"


def _overview(compression: Compression, counts: Sequence[Counts]) -> str:
    if len(counts) < 2:
        return ""
    rows = "".join(
        f"<tr><th scope='row'><a href='#d{i}'>{_name(document, i)}</a></th>"
        f"<td>{count.before:,}</td><td>{count.after:,}</td>"
        f"<td>{_bar(count.after / count.before if count.before else 0)}</td></tr>"
        for i, (document, count) in enumerate(zip(compression.documents, counts, strict=True), 1)
    )
    return (
        f"<details class='overview'{' open' if len(counts) <= _FEW else ''}>"
        "<summary>The documents at a glance</summary><table>"
        f"<thead><tr><th scope='col'>document</th><th scope='col'>{counts[0].unit} before</th>"
        f"<th scope='col'>after</th><th scope='col'>kept</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></details>"
    )


def _documents(compression: Compression, counts: Sequence[Counts]) -> str:
    shades = Shades(compression.documents)
    parts = []
    for i, (document, count) in enumerate(zip(compression.documents, counts, strict=True), 1):
        score = "" if document.score is None else f" · score {document.score:.2f}"
        share = count.after / count.before if count.before else 0
        parts.append(
            f"<details class='doc' id='d{i}' open><summary><h2>{_name(document, i)}</h2>"
            f"<span>{count.before:,} → {count.after:,} {count.unit}{score}</span>{_bar(share)}"
            f"</summary>{document_body(document, shades)}</details>"
        )
    return "".join(parts)


def document_body(document: CompressedDocument, shades: Shades, lost: Sequence[Span] = ()) -> str:
    """The marked text of one document; ``lost`` are spans that should have been kept."""
    return "".join(block for block, _ in _blocks(document, shades, lost=lost))


def _blocks(
    document: CompressedDocument,
    shades: Shades,
    *,
    lost: Sequence[Span] = (),
    hints: bool = False,
) -> Iterator[tuple[str, int]]:
    """Blocks of a few thousand characters, so that a browser draws only those in sight."""
    if document.kept is None:
        yield from _rewritten(document)
        return
    text, units = document.source.text, document.units
    parts: list[str] = []
    begun, struck = 0, False
    for (index, _), group in groupby(pieces(document, lost), key=_together):
        some = list(group)
        start, kept = some[0].start, any(piece.kept for piece in some)
        size = start - begun
        full = size >= _LONGEST_BLOCK or (size >= _BLOCK and text[start - 1] == "\n")
        if struck and (kept or full):
            parts.append("</del>")
        if full:
            yield _block(parts, size), size
            parts, begun = [], start
        if not kept and (full or not struck):
            parts.append("<del>")
        struck = not kept
        inner = "".join(_marked(text, piece, kept) for piece in some)
        if index >= 0:
            parts.append(f"{_opening(units[index], shades, hints)}{inner}</span>")
        elif kept and not units and inner.strip():
            parts.append(f"<span class='s4'>{inner}</span>")
        else:
            parts.append(inner)
    if struck:
        parts.append("</del>")
    if parts:
        yield _block(parts, len(text) - begun), len(text) - begun


def _together(piece: Piece) -> tuple[int, bool]:
    """Pieces of a unit stand together; between units, what was kept and what was not."""
    return piece.unit, piece.unit < 0 and piece.kept


def _rewritten(document: CompressedDocument) -> Iterator[tuple[str, int]]:
    size = len(document.text)
    yield _block([f"<span class='s4'>{_shown(document.text)}</span>"], size), size
    size = sum(len(source.text) for source in document.sources)
    before = "".join(
        _block([f"<del>{_shown(source.text)}</del>"], len(source.text))
        for source in document.sources
    )
    yield f"<details><summary>Before it was rewritten</summary>{before}</details>", size


def _block(parts: Sequence[str], size: int) -> str:
    kind = "b l" if size >= _BLOCK // 2 else "b"
    return f"<div class='{kind}' dir='auto'>{''.join(parts)}</div>"


def _opening(unit: ScoredUnit, shades: Shades, hints: bool) -> str:
    marks = "u"
    if unit.kept:
        marks += " p" if unit.protected else f" s{shades.of(unit.score)}"
    score = f"{unit.score:.3g}"
    return f"<span class='{marks}' {'title' if hints else 'data-s'}='{score}'>"


def _marked(text: str, piece: Piece, inside_kept: bool) -> str:
    shown = _shown(text[piece.start : piece.end])
    if piece.lost:
        shown = f"<mark>{shown}</mark>"
    return f"<del>{shown}</del>" if inside_kept and not piece.kept else shown


def _sent(compression: Compression) -> str:
    if not compression.text:
        return "<p>Nothing is left to be sent.</p>"
    parts, at = [], 0
    for segment in compression.segments:
        if segment.source_start < 0 and segment.end > segment.start:
            parts.append(_shown(compression.text[at : segment.start]))
            inserted = _shown(compression.text[segment.start : segment.end])
            parts.append(f"<ins>{inserted}</ins>" if inserted.strip() else inserted)
            at = segment.end
    parts.append(_shown(compression.text[at:]))
    return (
        "<details class='sent'><summary>The text as it is sent</summary>"
        "<button type='button' id='copy'>Copy</button>"
        f"<pre dir='auto'>{''.join(parts)}</pre></details>"
    )
