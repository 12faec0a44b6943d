"""A result on a terminal: dropped text dimmed."""

from __future__ import annotations

from ctxzip.report.marks import counts_of, pieces, visible
from ctxzip.types import CompressedDocument, Compression

__all__ = ["terminal"]

_BOLD, _DIM, _UNDERLINED, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[4m", "\x1b[0m"


def terminal(compression: Compression, *, colour: bool = True) -> str:
    """The documents with what was kept, dropped and protected.

    Args:
        compression: the result to show.
        colour: dim what was dropped and underline what was protected, with ANSI codes; otherwise
            dropped text stands in ``[-...-]``, as wdiff writes it.
    """
    parts = []
    for document, counts in zip(compression.documents, counts_of(compression), strict=True):
        source = document.source
        name = " · ".join(visible(part) for part in (source.id, source.title) if part)
        share = f"{counts.before:,} → {counts.after:,} {counts.unit}"
        if document.score is not None:
            share += f" · score {document.score:.2f}"
        line = " · ".join(part for part in (name, share) if part)
        bold, plain = (_BOLD, _PLAIN) if colour else ("", "")
        parts.append(f"{bold}── {line}{plain}\n{_body(document, colour)}\n")
    return "\n".join(parts)


def _body(document: CompressedDocument, colour: bool) -> str:
    if document.kept is None:
        return visible(document.text) + "\n(rewritten)"
    text = document.source.text
    units = document.units
    done = []
    for piece in pieces(document):
        part = visible(text[piece.start : piece.end])
        protected = piece.unit >= 0 and units[piece.unit].protected
        if not part.strip() or (piece.kept and not (protected and colour)):
            done.append(part)
        elif piece.kept:
            done.append(f"{_UNDERLINED}{part}{_PLAIN}")
        elif colour:
            # One code a line: pagers and multiplexers forget it at a line's end.
            done.append(
                "\n".join(f"{_DIM}{line}{_PLAIN}" if line else "" for line in part.split("\n"))
            )
        else:
            done.append(f"[-{part}-]")
    return "".join(done).rstrip("\n")
