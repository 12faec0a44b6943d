"""XML data: elements as a tree, those that repeat as records with what identifies them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from ctxzip.segment import sentences
from ctxzip.segment.formats import html
from ctxzip.segment.formats.lines import lines
from ctxzip.segment.formats.xml_nodes import CLOSE, LEAF, OPEN, PROLOG, TEXT, Nodes, parse
from ctxzip.segment.tree import Builder, Style
from ctxzip.text.units import Kind

__all__ = ["STYLE", "fits", "read"]

STYLE = Style("<!-- ", " -->")

_NAMES = "xml rss atom xsd xsl xslt wsdl plist svg pom csproj xaml kml gpx"
_HINTS = frozenset(_NAMES.split())
_TAGS = """
a article audio b blockquote body br button center code details div dl em footer form h1 h2 h3 h4 h5
h6 head header hr html i iframe img input kbd label li main nav ol p picture pre s script section
small span strong style sub summary sup table td th tr u ul video
"""
_HTML = frozenset(_TAGS.split())
_FIRST = re.compile(
    r"\s*(?:<!--(?:[^-]++|-(?!->))*+-->\s*)*+<([A-Za-z_][\w:.\-]*+)"
    r"(?:\s++[\w:.\-]++\s*+=\s*+(?:\"[^\"<]*+\"|'[^'<]*+'))*+\s*+/?>\s*+"
)
_ATTRIBUTE = re.compile(r"([\w:.\-]++)\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)')")
_IDENTITY = re.compile(
    r"(?:^|[_.:\-]|(?<=[a-z])(?=[A-Z]))(?:id|name|key|title|uuid|guid|code|number|no|slug|email|user"
    r"|path|file|host|url|link|loc|date|time|year|sku|isbn)$",
    re.IGNORECASE,
)
_DEPTH = 200
_LONG = 600  # characters of an element that is divided into sentences
_READ = 4_000  # more characters of a record than any model reads


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """Whether this begins as XML and is no HTML."""
    if text.startswith("<?xml", start) or text[start : start + 200].lstrip().startswith("<?xml"):
        return not html.fits(text, start, end)
    first = _FIRST.match(text, start, min(end, start + 65_536))
    if first is None:
        return False
    if hint in _HINTS:
        return True
    name = first[1]
    if name.lower() in _HTML and "xmlns" not in first[0]:
        return False
    tail = text[max(start, end - 300) : end].rstrip()
    if re.search(r"</[\w:.\-]+\s*>$|/>$|-->$", tail):
        return True
    body = text[first.end() : min(end, first.end() + 4000)]
    return body.startswith("<") and body.count("</") > 2 and "\n\n" not in body


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add the elements; what does not nest any more is read as lines."""
    nodes = parse(out.text, start, end)
    if not any(kind in (OPEN, LEAF) for kind in nodes.kind):
        return False
    _Reader(out, nodes, parent).run()
    if out.text[nodes.stop : end].strip():
        out.notes.append("The XML was read up to a tag that does not match; the rest as lines.")
        for _, first, stop in lines(out.text, nodes.stop, end):
            out.add(first, stop, Kind.LINE, parent)
    return True


class _Reader:
    def __init__(self, out: Builder, nodes: Nodes, parent: int) -> None:
        self.out, self.nodes, self.text = out, nodes, out.text
        n = len(nodes)
        self.repeated = _repeated(nodes)
        self.identities = _identities(out.text, nodes, self.repeated)
        self.mixed = {nodes.parent[i] for i in range(n) if nodes.kind[i] == TEXT}
        self.part = [parent] * (n + 1)  # the last is for nodes without a parent
        roots = [i for i in range(n) if nodes.parent[i] < 0 and nodes.kind[i] in (OPEN, LEAF)]
        self.root = roots[0] if len(roots) == 1 else -1
        self.said: dict[int, list[str]] = {}  # readings of what stands in an element
        self.preserve = out.text.find("xml:space", nodes.start[0], nodes.stop) >= 0

    def run(self) -> None:
        nodes = self.nodes
        i, n = 0, len(nodes)
        last = -1  # end of the last part
        while i < n:
            if last >= 0 and not self.preserve:
                self._blanks(last, i)
            kind = nodes.kind[i]
            below = self.part[nodes.parent[i]]
            until = i
            if kind == OPEN and (self._opaque(i) or self._folded(i)):
                until = self._fold(i, below)
            elif kind == OPEN:
                self._element(i, below)
            elif kind == LEAF:
                self._leaf(i, below)
            elif kind == CLOSE:
                self._closed(i)
            else:
                self._aside(i, below)
            last = nodes.end[until]
            i = until + 1

    def _blanks(self, low: int, i: int) -> None:
        """Between elements a new line stays, between the fields of a record nothing."""
        nodes, high = self.nodes, self.nodes.start[i]
        if high <= low:
            return
        parent = nodes.parent[i]
        if parent in self.mixed and parent >= 0:
            return
        flat = nodes.kind[i] == LEAF or (nodes.kind[i] == CLOSE and nodes.kind[i - 1] == LEAF)
        record = parent >= 0 and parent in self.repeated
        at = -1 if flat and record else self.text.find("\n", low, high)
        self.out.drop(low, high if at < 0 else at)
        if at >= 0:
            self.out.drop(at + 1, high)

    def _kind(self, i: int) -> Kind:
        nodes = self.nodes
        if i not in self.repeated:
            return Kind.FIELD if nodes.kind[i] == LEAF else Kind.ENTRY
        if nodes.kind[i] == LEAF and nodes.body[i] and nodes.body[i] - nodes.inner[i] < 3:
            return Kind.ITEM
        return Kind.RECORD

    def _element(self, i: int, below: int) -> None:
        nodes = self.nodes
        attributes = _attributes(self.text, nodes.inner[i], nodes.end[i])
        root = i == self.root
        self.part[i] = self.out.add(
            nodes.start[i],
            nodes.end[i],
            self._kind(i),
            below,
            always=root,
            whole=not root,
            content=bool(attributes) and not root,
            label=_label(nodes.name[i], attributes),
            style=STYLE,
        )
        self.said[i] = attributes

    def _leaf(self, i: int, below: int) -> None:
        nodes, text = self.nodes, self.text
        start, end, body = nodes.start[i], nodes.end[i], nodes.body[i]
        name = nodes.name[i]
        if body and end - body > _LONG:
            self._long(i, below)
            return
        stop = body - 1 if body else end
        said = []
        if stop - nodes.inner[i] > 3:
            said = _attributes(text, nodes.inner[i], stop)
        if body:
            content = text[body : text.rindex("</", body, end)].strip()
            said = [f"{name}: {_plain(content)}", *said]
        reading = "; ".join(said) if body else "; ".join([name, *said])
        self.out.add(
            start,
            end,
            self._kind(i),
            below,
            always=i in self.identities,
            content=bool(said),
            reading=reading,
        )
        self._tell(nodes.parent[i], reading)

    def _long(self, i: int, below: int) -> None:
        """An element of much text: its tag, sentences, its closing tag."""
        nodes, text = self.nodes, self.text
        low, end = nodes.body[i], nodes.end[i]
        high = text.rindex("</", low, end)
        opened = text.find("<![CDATA[", low, high)
        if opened >= 0 and not text[low:opened].strip():
            low = opened + 9
            high = text.rindex("]]>", low, high)
        if not text[low:high].strip():
            self.out.add(nodes.start[i], end, self._kind(i), below)
            return
        part = self.out.add(
            nodes.start[i], low, self._kind(i), below, whole=True, content=False,
            label=nodes.name[i], style=STYLE,
        )  # fmt: skip
        if not (
            opened >= 0 and html.fits(text, low, high) and html.read(self.out, low, high, part)
        ):
            self._sentences(low, high, part, markup=opened < 0)
        self.out.add(high, end, Kind.CLOSER, part, always=True, content=False)
        self._tell(nodes.parent[i], _plain(text[low : min(high, low + 500)]))

    def _sentences(self, low: int, high: int, part: int, markup: bool = True) -> None:
        """Sentences, none of which ends inside of an element."""
        text = self.text
        units = sentences.split(text[low:high])
        start = -1
        depth = 0
        for a, b in zip((units.start + low).tolist(), (units.end + low).tolist(), strict=True):
            start = a if start < 0 else start
            piece = text[a:b]
            if markup and "<" in piece:
                depth += (
                    len(re.findall(r"<[^/!?<>][^<>]*+>", piece))
                    - piece.count("/>")
                    - piece.count("</")
                )
            if not markup or (depth <= 0 and piece.rfind("<") <= piece.rfind(">")):
                self.out.add(start, b, Kind.SENTENCE, part)
                start = -1
        if start >= 0:
            self.out.add(start, low + int(units.end[-1]), Kind.SENTENCE, part)

    def _opaque(self, i: int) -> bool:
        nodes = self.nodes
        return nodes.mate[i] >= 0 and (nodes.depth[i] >= _DEPTH or nodes.name[i].endswith("svg"))

    def _folded(self, i: int) -> bool:
        """Whether an element is text with elements inside it, no data beside text."""
        nodes = self.nodes
        if i not in self.mixed or nodes.mate[i] < 0:
            return False
        inside = range(i + 1, nodes.mate[i])
        if nodes.end[nodes.mate[i]] - nodes.start[i] <= _LONG:
            return True
        size = sum(nodes.end[k] - nodes.start[k] for k in inside[:200] if nodes.kind[k] == TEXT)
        span = nodes.end[min(inside[-1], i + 200)] - nodes.end[i]
        return size * 2 > span

    def _fold(self, i: int, below: int) -> int:
        """An element as one, or as its sentences; returns the number of its closing tag."""
        nodes = self.nodes
        mate = nodes.mate[i]
        start, end = nodes.start[i], nodes.end[mate]
        if end - start <= _LONG or self._opaque(i):
            said = _plain(self.text[nodes.end[i] : min(nodes.start[mate], nodes.end[i] + _READ)])
            reading = f"{nodes.name[i]}: {said}"
            self.out.add(start, end, self._kind(i), below, reading=reading)
            self._tell(nodes.parent[i], reading)
            return mate
        part = self.out.add(
            start, nodes.end[i], self._kind(i), below, whole=True, content=False,
            label=nodes.name[i], style=STYLE,
        )  # fmt: skip
        self._sentences(nodes.end[i], nodes.start[mate], part)
        self.out.add(nodes.start[mate], end, Kind.CLOSER, part, always=True, content=False)
        return mate

    def _closed(self, i: int) -> None:
        nodes = self.nodes
        opened = nodes.parent[i]
        part = self.part[opened]
        said = self.said.pop(opened, [])
        if said and nodes.end[i] - nodes.start[opened] < _READ:
            reading = "; ".join(said)
            self.out.readings[part] = reading
            self._tell(nodes.parent[opened], reading)
        self.out.add(nodes.start[i], nodes.end[i], Kind.CLOSER, part, always=True, content=False)

    def _aside(self, i: int, below: int) -> None:
        nodes = self.nodes
        start, end = nodes.start[i], nodes.end[i]
        if nodes.kind[i] == PROLOG:
            self.out.add(start, end, Kind.HEAD, below, always=True, content=False)
        elif nodes.kind[i] == TEXT:
            self.out.add(start, end, Kind.SENTENCE, below)
        else:
            self.out.add(start, end, Kind.LINE, below)

    def _tell(self, parent: int, reading: str) -> None:
        if parent >= 0 and parent in self.said:
            self.said[parent].append(reading)


def _plain(content: str) -> str:
    if "<![CDATA[" in content:
        content = content.replace("<![CDATA[", "").replace("]]>", "")
    elif "<" in content:
        content = re.sub(r"<[^<>]*+>", "", content)
    return " ".join(content.split())


def _attributes(text: str, start: int, end: int) -> list[str]:
    """``name: value`` of every attribute but declarations."""
    return [
        f"{name}: {a or b}"
        for name, a, b in _ATTRIBUTE.findall(text, start, end)
        if not name.startswith("xmlns") and not name.startswith("xsi:")
    ]


def _label(name: str, attributes: Sequence[str]) -> str:
    named = [value for value in attributes if _IDENTITY.search(value.partition(": ")[0])]
    return f"{name} {named[0].partition(': ')[2]}"[:200] if named else name


def _repeated(nodes: Nodes) -> set[int]:
    """Elements that have a sibling of the same name."""
    elements = [i for i, kind in enumerate(nodes.kind) if kind in (OPEN, LEAF)]
    keys = list(
        zip(
            map(nodes.parent.__getitem__, elements),
            map(nodes.name.__getitem__, elements),
            strict=True,
        )
    )
    count = Counter(keys)
    return {i for i, key in zip(elements, keys, strict=True) if count[key] > 1}


def _identities(text: str, nodes: Nodes, repeated: set[int]) -> set[int]:
    """The field that identifies each record, unless its tag does."""
    groups: dict[tuple[int, str], dict[int, dict[str, int]]] = {}
    for i, kind in enumerate(nodes.kind):
        record = nodes.parent[i]
        if kind == LEAF and record in repeated and nodes.body[i]:
            key = (nodes.parent[record], nodes.name[record])
            groups.setdefault(key, {}).setdefault(record, {}).setdefault(nodes.name[i], i)
    found: set[int] = set()
    for records in groups.values():
        first = next(iter(records))
        if any(
            _IDENTITY.search(name)
            for name, _, _ in _ATTRIBUTE.findall(text, nodes.inner[first], nodes.end[first])
        ):
            continue
        name = _identifying(text, nodes, list(records.values()))
        found.update(fields[name] for fields in records.values() if name in fields)
    return found


def _identifying(text: str, nodes: Nodes, records: list[dict[str, int]]) -> str:
    """The field that differs in every record, one with the name of an identity first."""
    fallback = ""
    named = [name for name in records[0] if _IDENTITY.search(name)]
    for name in [*named, *[name for name in records[0] if name not in named]]:
        values = {
            text[nodes.body[fields[name]] : nodes.end[fields[name]]]
            for fields in records
            if name in fields
        }
        if len(values) == len(records) and not any(v.startswith("</") for v in values):
            return name
        fallback = fallback or name
    return fallback
