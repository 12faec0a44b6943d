"""The formats that are read, in the order in which they are tried."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple, Protocol, cast

from ctxzip.segment.tree import Builder, Style

__all__ = ["FORMATS", "Format", "Reader", "find", "matching"]


class Reader(Protocol):
    """What a module of a format holds."""

    STYLE: Style

    def fits(self, text: str, start: int, end: int, hint: str = "") -> bool:
        """Whether a region looks like this format."""

    def read(self, out: Builder, start: int, end: int, parent: int = -1) -> bool:
        """Add the parts of a region below ``parent``; False, with nothing added, if it is not."""


class Format(NamedTuple):
    """One format.

    Attributes:
        name: what it is called in results.
        module: its reader, in this package.
        names: extensions of files and tags of fences that announce it, in lower case.
    """

    name: str
    module: str
    names: frozenset[str]

    def reader(self) -> Reader:
        """Its reader, imported when first used."""
        return _reader(self.module)


@cache
def _reader(module: str) -> Reader:
    return cast(Reader, importlib.import_module(f"ctxzip.segment.formats.{module}"))


@cache
def _there(module: str) -> bool:
    return importlib.util.find_spec(f"ctxzip.segment.formats.{module}") is not None


def _format(name: str, names: str = "", module: str = "") -> Format:
    return Format(name, module or name, frozenset(f"{name} {names}".split()))


# What can be told apart for certain comes first, what has the fewest rules last.
FORMATS = (
    _format("jsonl", "ndjson jsonlines"),
    _format("json", "json5 jsonc geojson ipynb webmanifest"),
    _format("diff", "patch udiff"),
    _format("subtitles", "srt vtt webvtt"),
    _format("html", "htm xhtml vue svelte"),
    _format("xml", "svg rss atom xsd xsl xslt plist pom wsdl"),
    _format("email", "eml mbox"),
    _format("shell", "console shell-session shellsession terminal"),
    _format("trace", "traceback stacktrace pytb py3tb"),
    _format("testlog", "tap junit"),
    _format("log"),
    _format("transcript", "chat irc"),
    _format("sql", "mysql postgres postgresql psql sqlite plsql tsql"),
    _format("toml"),
    _format("ini", "cfg conf properties env dotenv editorconfig"),
    _format("mdtable"),
    _format("csv", "tsv"),
    _format("columns"),
    _format("grep"),
    _format("pyrepr", "repr"),
    _format("yaml", "yml"),
    _format("markdown", "md mdx mkd rmd qmd mdown rst myst"),
    _format("keyvalue"),
    _format("snippet"),
)


def matching(text: str, start: int, end: int, hint: str = "") -> Iterator[Format]:
    """The formats that a region may have, the likeliest first.

    Args:
        text: the text that the region lies in.
        start: first character of the region.
        end: one past its last.
        hint: an extension or the tag of a fence in lower case, or "".
    """
    named = [row for row in FORMATS if hint and hint in row.names and _there(row.module)]
    for row in named:
        if row.reader().fits(text, start, end, hint):
            yield row
    for row in FORMATS:
        if row not in named and _there(row.module) and row.reader().fits(text, start, end, hint):
            yield row


def find(text: str, start: int, end: int, hint: str = "") -> Format | None:
    """The likeliest format of a region, or None; see :func:`matching`."""
    return next(matching(text, start, end, hint), None)
