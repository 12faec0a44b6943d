"""Unified diffs: ``diff -u``, ``git diff``, ``git show``, ``git log -p``, ``git format-patch``.

A commit holds files, a file holds hunks, a hunk holds changes. Lines that are removed and the lines
that stand in their place are one part, so that the new value is never read without the old one.
"""

from __future__ import annotations

import re

from ctxzip.segment.formats.lines import lines
from ctxzip.segment.tree import LINES, Builder
from ctxzip.text.units import Kind

__all__ = ["STYLE", "fits", "read"]

STYLE = LINES

_GROUP = 40  # lines of a change that are one part at most
_FILE = re.compile(r"(?:diff --(?:git|cc|combined) |Index: \S|diff -\S* )")
_OLD = re.compile(r"--- \S")
_NEW = re.compile(r"\+\+\+ \S")
_HUNK = re.compile(
    r"@@+ -\d+(?:,\d+)? (?:-\d+(?:,\d+)? )*\+\d+(?:,\d+)? @@+ ?(?P<place>.*)|@@ (?P<bare>.*)@@|@@$"
)
_COUNTS = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_COMMIT = re.compile(r"(?:\* )?commit [0-9a-f]{7,64}\b|From [0-9a-f]{40} ")
_META = re.compile(
    r"(?:Author|AuthorDate|Commit|CommitDate|Date|Merge|From|To|Cc|Subject|Reflog|Message-I[Dd]"
    r"|Tag|Tagger"
    r"|MIME-Version|Content-\S+|X-\S+|In-Reply-To|References|Signed-off-by): "
)
_EXTENDED = re.compile(
    r"(?:index |new file|deleted file|old mode|new mode|mode |similarity|dissimilarity|rename "
    r"|copy |Binary files"
    r"|GIT binary|={20,})"
)
_STAT = re.compile(
    r"\S.* \| +(?:\d+ [+-]*|Bin .*)$|\d+ files? changed|(?:create|delete|rename) mode |rename "
)
_PATH = re.compile(r"diff --git (?:\"?a/)?(.+?)\"? (?:\"?b/).*|(?:diff --\w+|Index:) (.*)")


def fits(text: str, start: int, end: int, hint: str = "") -> bool:
    """A file header with a hunk behind it, or a log of commits."""
    part = text[start : min(end, start + 60000)]
    if re.search(r"^@@+ -\d+(?:,\d+)? [-+,\d ]*\+\d+(?:,\d+)? @@", part, re.M):
        if re.search(r"^(?:diff --|--- \S.*\n\+\+\+ \S|Index: )", part, re.M):
            return _mostly(part)
        return part.lstrip().startswith("@@ -")
    if hint in ("diff", "patch"):
        return re.search(r"^[-+ ]", part, re.M) is not None and "@@" in part
    if part.lstrip().startswith("diff --git "):
        return True
    first = part.lstrip()[:200]
    return (
        re.match(r"(?:\* )?commit [0-9a-f]{40}\b[^\n]*\n(?:Merge: .*\n)?Author: ", first)
        is not None
    )


def _mostly(part: str) -> bool:
    """Most lines are those of a diff: a page that quotes one is something else."""
    found = [line for line in part.split("\n") if line.strip()]
    fenced = sum(line.startswith(("```", "~~~")) for line in found)
    inside = sum(
        line[0] in "+-@ \\" or bool(_FILE.match(line) or _EXTENDED.match(line)) for line in found
    )
    return not fenced and inside * 3 >= len(found)


def read(out: Builder, start: int, end: int, parent: int = -1) -> bool:
    """Add the commits, files, hunks and changes of a region."""
    found = list(lines(out.text, start, end))
    if not found:
        return False
    reader = _Reader(out, found, parent)
    at = 0
    while at < len(found):
        at = reader.step(at)
    return True


class _Reader:
    """Reads line by line; each method returns the line behind what it has read."""

    def __init__(self, out: Builder, found: list[tuple[int, int, int]], parent: int) -> None:
        self.out, self.text, self.lines, self.top = out, out.text, found, parent
        self.commit = parent
        self.file = parent
        self.named = False  # a file header is open

    def line(self, at: int) -> str:
        """A line with its indentation, which in a diff means that it is unchanged."""
        low, _, stop = self.lines[at]
        return self.text[low:stop]

    def step(self, at: int) -> int:
        line = self.line(at)
        if _COMMIT.match(line):
            return self._commit(at)
        if _FILE.match(line) or self._is_pair(at):
            return self._file(at)
        if line.startswith("@@") and _HUNK.match(line):
            return self._hunk(at)
        self.file = self.commit
        self.named = False
        if self.commit != self.top and _STAT.match(line.strip()):
            self._add(at, at + 1, Kind.ENTRY, self.commit)
        else:
            self._add(at, at + 1, Kind.LINE, self.commit)
        return at + 1

    def _is_pair(self, at: int) -> bool:
        return (
            at + 1 < len(self.lines)
            and _OLD.match(self.line(at)) is not None
            and _NEW.match(self.line(at + 1)) is not None
        )

    def _add(self, at: int, stop: int, kind: Kind, parent: int) -> int:
        return self.out.add(self.lines[at][1], self.lines[stop - 1][2], kind, parent)

    def _commit(self, at: int) -> int:
        """The header of a commit, and its message; the subject always comes along."""
        n, stop = len(self.lines), at + 1
        while stop < n and stop < at + 40 and _META.match(self.line(stop)):
            stop += 1
            mail = self.line(at).startswith("From ")
            while mail and stop < n and self.line(stop)[:1] in " \t":
                stop += 1  # a folded header
        subject = stop if stop < n and self.line(stop).startswith("    ") else -1
        label = self.line(subject).strip()[:80] if subject >= 0 else ""
        self.commit = self.out.add(
            self.lines[at][1],
            self.lines[stop - 1][2],
            Kind.ENTRY,
            self.top,
            whole=True,
            label=label,
        )
        self.file, self.named = self.commit, False
        if subject >= 0:
            low, stop_at = self.lines[subject][1:]
            self.out.add(low, stop_at, Kind.LINE, self.commit, always=True)
            stop += 1
        return stop

    def _file(self, at: int) -> int:
        """``diff --git`` to ``+++`` as one part."""
        n, stop = len(self.lines), at + 1
        path = _PATH.match(self.line(at))
        label = next((group for group in path.groups() if group), "") if path else ""
        while stop < n and _EXTENDED.match(self.line(stop)):
            stop += 1
        if self._is_pair(at):
            stop = at
        if stop < n and self._is_pair(stop):
            new, old = self.line(stop + 1)[4:], self.line(stop)[4:]
            name = (old if new.startswith("/dev/null") else new).split("\t")[0].strip()
            label = label or re.sub(r"^[ab]/", "", name)
            stop += 2
        holds = stop < n and self.line(stop).startswith("@@")
        self.file = self.out.add(
            self.lines[at][1],
            self.lines[stop - 1][2],
            Kind.ENTRY,
            self.commit,
            whole=True,
            content=not holds,
            label=label,
        )
        self.named = True
        return stop

    def _hunk(self, at: int) -> int:
        """A hunk header and what it counts, or, where that is wrong, what looks like its lines."""
        line = self.line(at)
        place = _HUNK.match(line)
        label = (place["place"] or place["bare"] or "").strip() if place else ""
        _, first, stop_at = self.lines[at]
        hunk = self.out.add(
            first, stop_at, Kind.HUNK, self.file, whole=True, content=False, label=label[:80]
        )
        stop = self._counted(at, line) or self._looks(at)
        self._changes(at + 1, stop, hunk, len(line) - len(line.lstrip("@")) - 1)
        return stop

    def _counted(self, at: int, line: str) -> int:
        """The line behind a hunk by the counts of its header; 0 where they do not hold."""
        counts = _COUNTS.match(line)
        if counts is None:
            return 0
        old, new = (int(group) if group else 1 for group in counts.groups())
        at += 1
        last = self.lines[at - 1][2]
        while old > 0 or new > 0:
            if at >= len(self.lines):
                return 0
            low, _, stop = self.lines[at]
            blank = self.text.count("\n", last, low) - 1  # unchanged lines that hold nothing
            old, new, last = old - blank, new - blank, stop
            if old <= 0 and new <= 0:
                break
            mark = self.text[low]
            if mark not in " +-\\\t":
                return 0
            old -= mark in " -\t"
            new -= mark in " +\t"
            at += 1
        if at < len(self.lines) and self.line(at).startswith("\\"):
            at += 1
        following = self.line(at) if at < len(self.lines) else ""
        if following[:1] in ("+", "-", " ") and following[:3] not in ("-- ", "--", "---"):
            return at if following[:1] == " " and _STAT.match(following.strip()) else 0
        return at

    def _looks(self, at: int) -> int:
        at += 1
        while at < len(self.lines):
            line = self.line(at)
            if line[0] not in " +-\\\t" or self._is_pair(at) or line in ("--", "-- "):
                break
            at += 1
        return at

    def _changes(self, at: int, stop: int, hunk: int, columns: int) -> None:
        """The lines of a hunk: those removed and those that replace them together."""
        while at < stop:
            end = at + 1
            if self._mark(at, columns) == "-":
                while end < stop and self._follows(end, "-"):
                    end += 1
                added = end
                while added < stop and self._follows(added, "+"):
                    added += 1
                if added > end:
                    self._replaced(at, end, added, hunk)
                    at = added
                    continue
            at = self._each(at, end, stop, hunk)

    def _each(self, at: int, end: int, stop: int, hunk: int) -> int:
        """Each line for itself, with a note that it ends without a line break."""
        while at < end:
            after = at + 1
            while after < stop and self.text[self.lines[after][0]] == "\\":
                after += 1
            mark = self.text[self.lines[at][1] : self.lines[at][2]]
            part = self._add(at, after, Kind.LINE, hunk)
            self.out.content[part] = mark not in ("+", "-")
            at = after
        return at

    def _mark(self, at: int, columns: int) -> str:
        low = self.lines[at][0]
        if columns == 1:
            return self.text[low]
        marks = self.text[low : low + columns]
        return "+" if "+" in marks else "~" if "-" in marks else marks[:1]

    def _follows(self, at: int, mark: str) -> bool:
        """The line is of this mark, and no unchanged line that holds nothing stands before it."""
        low, before = self.lines[at][0], self.lines[at - 1][2]
        return self.text[low] in (mark, "\\") and self.text.count("\n", before, low) == 1

    def _replaced(self, at: int, added: int, stop: int, hunk: int) -> None:
        if stop - at <= _GROUP:
            self._add(at, stop, Kind.LINE, hunk)
            return
        if added - at > _GROUP:
            for i in range(at, stop):
                self._add(i, i + 1, Kind.LINE, hunk)
            return
        removed = self.out.add(
            self.lines[at][1], self.lines[added - 1][2], Kind.LINE, hunk, whole=True
        )
        for i in range(added, stop):
            self._add(i, i + 1, Kind.LINE, removed)
