"""What a page says, read with the standard library's parser: facts under what they stand under."""

from __future__ import annotations

import html.parser
import re

__all__ = ["Page", "page"]

_VOID = {"br", "hr", "img", "input", "meta", "link", "col"}
_SILENT = {"script", "style", "nav", "noscript", "svg", "head"}
_IMPLIED = {
    "li": {"li"}, "option": {"option"}, "dt": {"dt", "dd"}, "dd": {"dt", "dd"},
    "td": {"td", "th"}, "th": {"td", "th"}, "tr": {"tr", "td", "th"}, "p": {"p"},
}  # fmt: skip
_SCOPE = {"ul", "ol", "dl", "table", "select"}


class Page(html.parser.HTMLParser):
    """Facts of a page: items, rows, lines of code and headings with the headings above them.

    Attributes:
        facts: ``(kind, headings, lists, text)`` in the order of the page.
        words: all the words of the text.
        stray: tags that close what is not open, and text that looks like a torn tag.
    """

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[tuple[int, str]] = []
        self.items: list[str] = []
        self.row: list[str] = []
        self.header: tuple[str, ...] = ()
        self.facts: list[tuple[str, tuple[str, ...], tuple[str, ...], str]] = []
        self.words: list[str] = []
        self.stray: list[str] = []
        self.text = self.code = ""
        self.skipped: list[str] = []
        self.cells: list[bool] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if self.skipped or tag in _SILENT:
            if tag not in _VOID:
                self.skipped.append(tag)
            return
        if tag in _VOID:
            self.text += " "
            return
        while self.open and self.open[-1] in _IMPLIED.get(tag, ()):
            self._ended(self.open.pop())
        if tag in ("ul", "ol", "table", "p", "div"):
            self.text += " "
        if tag in ("li", "option", "dd", "dt"):
            self.items.append("")
        if tag == "tr":
            self.row = []
            self.cells = []
        if tag in ("td", "th"):
            self.row.append("")
            self.cells.append(tag == "th")
        if tag == "table":
            self.header = ()
        if re.fullmatch("h[1-6]|summary|pre|title", tag):
            self.text = ""
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.skipped:
            if tag in self.skipped:
                while self.skipped.pop() != tag:
                    pass
            elif tag == "head":
                self.skipped.clear()
            return
        if tag not in self.open:
            self.stray.append(tag)
            return
        while (closed := self.open.pop()) != tag:
            self._ended(closed)
        self._ended(tag)

    def _ended(self, tag: str) -> None:
        path = tuple(text for _, text in self.headings)
        if match := re.fullmatch(r"h([1-6])", tag):
            level = int(match[1])
            while self.headings and self.headings[-1][0] >= level:
                self.headings.pop()
            self.headings.append((level, " ".join(self.text.split())))
        elif tag in ("li", "option", "dd", "dt") and self.items:
            self.items.pop()
        elif tag == "pre":
            lines = [line.rstrip() for line in self.code.split("\n") if line.strip()]
            self.facts += [("code", path, (), line) for line in lines if "…" not in line]
            self.code = ""
        elif tag == "tr" and self.row:
            cells = tuple(" ".join(cell.split()) for cell in self.row)
            if all(self.cells):
                self.header = cells
            else:
                self.facts.append(("row", path, self.header, " | ".join(cells)))
            self.row = []

    def handle_data(self, data: str) -> None:
        if self.skipped:
            return
        words = data.split()
        self.words += words
        self.text += data
        path = tuple(text for _, text in self.headings)
        if any(tag in ("td", "th") for tag in self.open) and self.row:
            self.row[-1] += data
        elif "pre" in self.open:
            self.code += data
        elif self.items and words:
            first = not self.items[-1]
            if first:
                self.items[-1] = words[0]
            self.facts += [("item", path, tuple(self.items), word) for word in words]
        elif words and not re.fullmatch("h[1-6]|summary|title", (self.open or [""])[-1]):
            self.facts += [("text", path, (), word) for word in words]


def page(text: str) -> Page:
    """The facts of a page or of a piece of one."""
    parser = Page()
    parser.feed(text)
    parser.close()
    return parser
