"""Tags of HTML as tokens, and which of them hold no content of the page."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["BLOCK", "HEADINGS", "Token", "kept_attributes", "noise", "tokens"]

_BLOCK = """
address article aside blockquote body br caption center col colgroup dd details dialog dir div dl
dt fieldset figcaption figure footer form frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html
legend li main menu nav ol optgroup option p pre search section select summary table tbody td tfoot
th thead title tr ul
"""
BLOCK = frozenset(_BLOCK.split())
HEADINGS = {f"h{i}": i for i in range(1, 7)}
_NO_CONTENT = "area base basefont br col embed frame hr img input link meta param source track wbr"
_VOID = frozenset(_NO_CONTENT.split())
_NO_TEXT = "audio canvas datalist iframe map noscript object script style svg template video"
_SILENT = frozenset(_NO_TEXT.split())
_TAG = re.compile(
    r"""<(?:(?P<close>/?)(?P<name>[a-zA-Z][\w:-]*)"""
    r"""(?P<attributes>(?:[^<>"']++|"(?:[^"<>]*+"|[^"]{0,1000}+")|'(?:[^'<>]*+'|[^']{0,1000}+'))*+|[^<>]*+)>"""
    r"""|(?P<comment>!--)|![a-zA-Z\[][^<>]*+(?:\[[^\]]*+\][^<>]*+)?>|\?[^<>]*+>)"""
)
_END = {
    name: re.compile(rf"</{name}\b[^<>]*+>", re.IGNORECASE)
    for name in ("script", "style", "textarea")
}
_HIDDEN = re.compile(
    r"\shidden(?=[\s/]|$|=)|display\s*:\s*none|aria-hidden\s*=\s*[\"']?true"
    r"|role\s*=\s*[\"']?(?:navigation|search)\b",
    re.IGNORECASE,
)
_CONSENT = re.compile(r"(?:id|class)\s*=\s*[\"'][^\"']*(?:cookie|consent|gdpr)", re.IGNORECASE)
_SPAN = re.compile(
    r"\s(?:col|row)span\s*=\s*(?:\"(?!1\")\d+\"|'(?!1')\d+'|(?!1[\s/>])\d+)", re.IGNORECASE
)


@dataclass(slots=True)
class Token:
    """A tag; or a whole comment, declaration, script or style sheet, whose name is "".

    Attributes:
        name: in lower case.
        start: of the tag.
        end: one past it.
        closes: ``</name>``.
        named: where the name ends; attributes follow.
        mate: for an opening tag the index of the one that closes it, -1 if none does.
    """

    name: str
    start: int
    end: int
    closes: bool = False
    named: int = 0
    mate: int = -1


def tokens(text: str, start: int, end: int) -> list[Token]:
    """All the tags of ``text[start:end]``, opening ones with the number of their mate."""
    found: list[Token] = []
    opened: dict[str, list[int]] = {}
    unclosed: set[str] = set()
    at = start
    search = _TAG.search
    while (match := search(text, at, end)) is not None:
        a, at = match.span()
        slash, name, comment = match.group("close", "name", "comment")
        if name is None:
            if comment:
                stop = -1 if "!" in unclosed else text.find("-->", at, end)
                if stop < 0:
                    unclosed.add("!")
                else:
                    at = stop + 3
            found.append(Token("", a, at))
            continue
        name = name.lower()
        if slash:
            mates = opened.get(name)
            if mates:
                found[mates.pop()].mate = len(found)
            found.append(Token(name, a, at, True))
            continue
        if name in _END and name not in unclosed:
            closing = _END[name].search(text, at, end)
            if closing is None:
                unclosed.add(name)
            elif name != "textarea":
                at = closing.end()
                found.append(Token("", a, at))
                continue
        if name not in _VOID and text[at - 2] != "/":
            opened.setdefault(name, []).append(len(found))
        found.append(Token(name, a, at, False, a + 1 + len(name)))
    return found


def noise(text: str, token: Token, inside: str) -> bool:
    """Whether an element has no content of the page: navigation, hidden, cookie banners.

    Args:
        text: the source.
        token: its opening tag.
        inside: name of the element that it stands in, as far as that has structure.
    """
    name = token.name
    if name in _SILENT or name == "nav":
        return True
    if name == "footer":
        return inside in ("", "body")
    if token.end - token.named < 8:
        return False
    if name in ("body", "html", "main", "article"):
        return False
    attributes = text[token.named : token.end - 1]
    if _HIDDEN.search(attributes):
        return True
    return name in ("div", "section", "aside", "dialog", "form") and bool(
        _CONSENT.search(attributes)
    )


def kept_attributes(text: str, token: Token) -> list[tuple[int, int]]:
    """Spans of the attributes that say which columns and rows a cell covers."""
    if token.end - token.named < 9:
        return []
    return [match.span() for match in _SPAN.finditer(text, token.named, token.end)]
