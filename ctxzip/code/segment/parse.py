"""Source text → tree of what can be left out, by tree-sitter where there is a grammar."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from ctxzip.code.segment.detect import Fence, fences
from ctxzip.code.segment.grammar import LANGUAGES, Language, comment_of, parse
from ctxzip.code.segment.indentation import by_indentation
from ctxzip.code.segment.tree import Builder, CodeNode, CodeTree, NodeKind, line_starts
from ctxzip.errors import MissingExtraError

if TYPE_CHECKING:
    from tree_sitter import Node, Tree

__all__ = ["errors", "segment", "segment_fenced"]

_DEEPEST = 40
CPP = next(language for language in LANGUAGES if language.name == "cpp")
_MOST_BROKEN = 0.2


def segment(text: str, language: Language | None) -> CodeTree:
    """Segment one source text.

    Args:
        text: the source.
        language: what it is in; None for a language without a grammar.

    Returns:
        A tree whose nodes cover every line. Where there is no grammar, or more than a fifth of the
        lines do not parse, it was made by indentation and ``note`` says why.
    """
    starts = line_starts(text)
    lines = text.split("\n")[: len(starts) - 1]
    builder = Builder(lines)
    note = _into(builder, text, 0, len(lines), language)
    tree = CodeTree(text, starts, builder.nodes, language, note is None, note)
    if language is None:
        tree.note = None
    return tree


def segment_fenced(text: str) -> CodeTree:
    """Segment a text of fenced code blocks: each by its tag, prose between them by paragraph."""
    starts = line_starts(text)
    lines = text.split("\n")[: len(starts) - 1]
    builder = Builder(lines)
    group = builder.group()
    rows = {int(start): row for row, start in enumerate(starts.tolist())}
    at, notes, found = 0, [], None
    for fence in fences(text):
        opened = rows[fence.start]
        _paragraphs(builder, at, opened, group)
        at = rows[fence.end]
        notes.append(_fence(builder, text, rows, fence, group))
        found = found or fence.language
    _paragraphs(builder, at, len(lines), group)
    broken = next((note for note in notes if note), None)
    return CodeTree(text, starts, builder.nodes, found, broken is None, broken)


def _paragraphs(builder: Builder, at: int, end: int, group: int) -> None:
    while (at := builder.blanks(at, end)) < end:
        stop = at
        while stop < end and builder.lines[stop].strip():
            stop += 1
        index = builder.add(
            CodeNode(at, stop, builder.blanks(stop, end), "text", group=group, head=at)
        )
        builder.close(index)
        at = stop


def _fence(
    builder: Builder, text: str, rows: dict[int, int], fence: Fence, group: int
) -> str | None:
    first, end = rows[fence.start], rows[fence.end]
    stop = end
    end = builder.blanks(end, len(builder.lines))
    index = builder.add(CodeNode(first, stop, end, "fence", group=group, head=first))
    body = rows.get(fence.body, stop)
    inside = text[fence.body : fence.stop]
    last = body + len(inside.split("\n")) - 1
    note = None
    if inside.strip():
        note = _into(builder, inside, body, last, fence.language, index)
    builder.close(index)
    return note if fence.language is not None else None


def _into(
    builder: Builder,
    text: str,
    first: int,
    end: int,
    language: Language | None,
    parent: int = -1,
) -> str | None:
    """Add the nodes of a text that stands in some lines; says why it was not parsed."""
    why = "its language has no grammar here"
    if language is not None:
        source = text.encode("utf-8", "replace")
        try:
            tree = parse(source, language)
        except MissingExtraError as error:
            why = str(error)
        else:
            broken = _broken(tree)
            if broken and language.name == "c":  # a header may be for both
                other = parse(source, CPP)
                if _broken(other) < broken:
                    tree, language, broken = other, CPP, _broken(other)
            if broken <= _MOST_BROKEN * max(1, end - first):
                _Reader(builder, source, first, language).read(tree.root_node, end, parent)
                return None
            why = f"{broken} of its {end - first} lines do not parse as {language.name}"
    pattern = language.marker if language is not None else comment_of(text)
    by_indentation(builder, first, end, pattern, parent)
    return why


def errors(text: str, language: Language) -> int:
    """How many places of a text its grammar cannot read.

    Raises:
        MissingExtraError: the grammar is not installed.
    """
    return sum(1 for _ in _faults(parse(text.encode("utf-8", "replace"), language).root_node))


def _faults(root: Node) -> Iterator[Node]:
    stack = [root]
    while stack:
        node = stack.pop()
        if node.is_error or node.is_missing:
            yield node
        elif node.has_error:
            stack.extend(node.children)


def _broken(tree: Tree) -> int:
    """Lines that lie in what cannot be parsed."""
    return sum(1 + n.end_point.row - n.start_point.row for n in _faults(tree.root_node))


class _Member(NamedTuple):
    """Statements of one block that stand on lines of their own, with what is attached to them."""

    nodes: list[Node]
    first: int
    stop: int


class _Reader:
    """Reads one syntax tree into a builder."""

    def __init__(self, builder: Builder, source: bytes, shift: int, language: Language) -> None:
        self._builder = builder
        self._lines = source.split(b"\n")
        self._shift = shift
        self._language = language

    def read(self, root: Node, end: int, parent: int) -> None:
        """Add everything below the root."""
        builder = self._builder
        before = len(builder.nodes)
        self._block(root, parent, 0 if parent < 0 else builder.nodes[parent].depth + 1)
        # Lines that belong to no statement of their own are one that stays.
        at, group = self._shift, builder.group()
        loose: list[CodeNode] = []
        outer = [n for n in builder.nodes[before:] if n.parent == parent]
        for first, stop in [*((n.first, n.end) for n in outer), (end, end)]:
            held = builder.blanks(at, first)
            if held < first:
                loose.append(
                    CodeNode(
                        held, first, first, "code", parent=parent, group=group, pinned=True,
                        depth=outer[0].depth if outer else 0, marker=self._language.marker,
                        head=held,
                    )
                )  # fmt: skip
            at = stop
        if loose:
            _insert(builder, before, loose)

    def _block(self, block: Node, parent: int, depth: int) -> None:
        members = self._members(block)
        if not members:
            return
        builder, group = self._builder, self._builder.group()
        last = self._rows(block)[1] + 1
        indent = ""
        for k, member in enumerate(members):
            first, stop = member.first + self._shift, member.stop + self._shift
            limit = members[k + 1].first if k + 1 < len(members) else max(last, member.stop)
            core = self._core(member.nodes[-1])
            if not k:
                indent = builder.indent(first)
            index = builder.add(
                CodeNode(
                    first, stop, builder.blanks(stop, limit + self._shift), self._kind(core),
                    self._name(core, member.nodes[-1]), parent, group, depth, 0, indent,
                    self._language.marker, self._pinned(member),
                    k == 0 and parent >= 0 and self._is_docstring(member.nodes[-1]),
                    self._rows(member.nodes[-1])[0] + self._shift,
                )
            )  # fmt: skip
            if depth < _DEEPEST and stop - first > 1:
                for node in member.nodes:
                    for inner in self._inner(node):
                        self._block(inner, index, depth + 1)
            builder.close(index)

    def _members(self, block: Node) -> list[_Member]:
        """What a block holds, cut where lines can be cut; comments go with what they stand over."""
        found: list[_Member] = []
        run: list[Node] = []
        clean = True
        named = [child for child in block.children if child.is_named]
        for child, after in zip(named, [*named[1:], None], strict=False):
            first, last = self._rows(child)
            if not run:
                clean = not self._lines[first][: child.start_point.column].strip()
            run.append(child)
            follows = after is not None and self._rows(after)[0]
            if follows is not False and follows <= last:
                continue  # shares its last line
            attaches = "comment" in child.type or child.type in self._language.attached
            if after is not None and attaches and follows == last + 1:
                continue
            if clean and self._ends(child):
                found.append(_Member(run, self._rows(run[0])[0], last + 1))
            run = []
        return found

    def _ends(self, node: Node) -> bool:
        """Whether nothing but punctuation or a comment follows on the node's last line."""
        end = node.end_point
        if end.column == 0:
            return True
        rest = self._lines[end.row][end.column :].strip().lstrip(b";,").strip()
        return not rest or rest.startswith((b"//", b"#", b"/*"))

    @staticmethod
    def _rows(node: Node) -> tuple[int, int]:
        """First and last line of a node."""
        first, end = node.start_point.row, node.end_point
        return first, end.row - 1 if end.column == 0 and end.row > first else end.row

    def _inner(self, node: Node) -> list[Node]:
        """The nearest blocks inside a node that reach over several lines, in order."""
        found, stack = [], [node]
        while stack:
            at = stack.pop()
            if at is not node and at.type in self._language.blocks:
                found.append(at)
            elif at.end_point.row > at.start_point.row:
                stack.extend(
                    c for c in reversed(at.children) if c.end_point.row > c.start_point.row
                )
        if node.type in self._language.blocks:  # a container whose children are its statements
            return [node]
        return found

    def _core(self, node: Node) -> Node:
        """The definition inside its decorators, exports or templates."""
        seen = node
        for _ in range(6):
            if seen.type in self._language.functions or seen.type in self._language.classes:
                return seen
            if seen.type not in self._language.wrappers:
                return node
            inner = [c for c in seen.named_children if c.end_point.row > c.start_point.row]
            if not inner:
                return node
            seen = inner[-1]
        return node

    def _kind(self, core: Node) -> NodeKind:
        if core.type in self._language.functions:
            return "function"
        several = core.end_point.row > core.start_point.row
        return "class" if several and core.type in self._language.classes else "code"

    def _name(self, core: Node, outer: Node) -> str:
        if self._kind(core) == "code":
            return ""
        at: Node | None = core.child_by_field_name("name")
        node = core
        while at is None and (declarator := node.child_by_field_name("declarator")) is not None:
            node = declarator
            if not declarator.child_by_field_name("declarator"):
                at = declarator
        while at is None and node != outer and node.parent is not None:
            node = node.parent  # an arrow function is named by what it is assigned to
            at = node.child_by_field_name("name") or node.child_by_field_name("left")
            at = at or node.child_by_field_name("property")
        at = at or core.child_by_field_name("type")
        text = at.text if at is not None else None
        return text.decode("utf-8", "replace").split("(")[0].strip() if text else ""

    def _pinned(self, member: _Member) -> bool:
        return any(node.type in self._language.pinned for node in member.nodes)

    def _is_docstring(self, node: Node) -> bool:
        if self._language.string is None or node.type != "expression_statement":
            return False
        children = node.named_children
        return len(children) == 1 and children[0].type == self._language.string


def _insert(builder: Builder, before: int, loose: list[CodeNode]) -> None:
    """Put leaves among the nodes from an index on, keeping source order and the links."""
    old = builder.nodes[before:]
    merged = sorted([*old, *loose], key=lambda node: (node.first, node.depth))
    place = {id(node): before + i for i, node in enumerate(merged)}
    parents = {id(node): node.parent for node in old}
    for node in old:
        if parents[id(node)] >= before:
            node.parent = place[id(old[parents[id(node)] - before])]
    builder.nodes[before:] = merged
    for i, node in enumerate(merged, before):
        following = before + len(merged)
        for j in range(i + 1, before + len(merged)):
            if builder.nodes[j].first >= node.end or builder.nodes[j].parent < i:
                following = j
                break
        node.skip = following
