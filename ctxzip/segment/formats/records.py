"""What identifies the records that a reader of lines wrote, and which parts are best kept whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ctxzip.segment.formats.identity import describes, identity
from ctxzip.segment.tree import Builder
from ctxzip.text.units import Kind

__all__ = ["Records", "settle"]

_SECTION = 2000  # characters of a section of scalars that is best kept whole
_QUOTES = "\"'"
_Paths = dict[str, tuple[str, tuple[int, ...]]]


@dataclass(slots=True, eq=False)
class Records:
    """What a reader knows about its parts.

    Attributes:
        fields: key and value of each part that is a scalar of a mapping.
        keys: key of each part that holds others.
        groups: records that are siblings in one list.
        objects: whether an object whose members are all objects holds records.
    """

    fields: dict[int, tuple[str, str]] = field(default_factory=dict)
    keys: dict[int, str] = field(default_factory=dict)
    groups: dict[object, list[int]] = field(default_factory=dict)
    objects: bool = True


def settle(out: Builder, base: int, records: Records) -> None:
    """Mark what always comes along and what is best kept whole among the parts from ``base`` on."""
    children: dict[int, list[int]] = {}
    for i in range(base, len(out.start)):
        if out.kind[i] != Kind.CLOSER:
            children.setdefault(out.parent[i], []).append(i)
    for group in records.groups.values():
        _identify(out, records, children, group)
    heads = [i for i in children if i >= base]
    listed = {i for group in records.groups.values() for i in group}
    for above, below in children.items():
        inner = [i for i in below if i in children]
        if above >= base and len(below) > len(inner) and inner and not listed.issuperset(below):
            fields = {k: v for k, (v, _) in _scalars(records, [above, *below]).items()}
            for name in describes(fields):
                part = _scalars(records, [above, *below])[name][1][0]
                out.always[part] = out.always[part] or part != above
        if records.objects and above >= base and len(inner) == len(below) >= 2:
            for i in inner:
                if i not in listed and out.kind[i] == Kind.HEAD:
                    out.kind[i] = Kind.RECORD
    for i in heads:
        flat = all(j not in children for j in children[i])
        long = out.end[children[i][-1]] - out.start[i] > _SECTION
        out.whole[i] = out.whole[i] or out.kind[i] == Kind.RECORD or (flat and not long)


def _scalars(records: Records, parts: Iterable[int]) -> _Paths:
    found: _Paths = {}
    for i in parts:
        if i in records.fields:
            key, value = records.fields[i]
            found.setdefault(key, (value.strip(_QUOTES), (i,)))
    return found


def _identify(
    out: Builder, records: Records, children: dict[int, list[int]], group: list[int]
) -> None:
    """Fields that identify each record among its siblings are always kept with it."""
    every = [_scalars(records, (i, *children.get(i, ()))) for i in group]
    names = identity([_values(fields) for fields in every]) if len(every) > 1 else []
    if not names or len({fields.get(names[0], ("",))[0] for fields in every}) < len(every):
        for i, fields in zip(group, every, strict=True):
            for j in children.get(i, ()):
                for name, (value, path) in _scalars(records, children.get(j, ())).items():
                    fields[f"{records.keys.get(j, '')}.{name}"] = (value, (j, *path))
        names = identity([_values(fields) for fields in every])
    for i, fields in zip(group, every, strict=True):
        for name in names if any(x in fields for x in names) else list(fields)[:1]:
            if name in fields:
                value, path = fields[name]
                for j in path:
                    if j != i:
                        out.always[j] = True
                if not out.labels[i]:
                    out.labels[i] = value[:80]


def _values(fields: _Paths) -> dict[str, str]:
    return {key: value for key, (value, _) in fields.items()}
