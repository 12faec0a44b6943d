"""Which fields identify a record among its siblings, and an object for what lies inside it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

__all__ = ["describes", "identity"]

_ID = re.compile(
    r"(?:^|_|-|\.|\b)(?:id|ids|name|key|title|uuid|code|number|no|slug|email|user|player|team|rank"
    r"|year|date|time|path|file|host)$",
    re.IGNORECASE,
)
_OWNER = re.compile(
    r"(?:^|[_\-. ]|(?<=[a-z])(?=[A-Z]))(?:id|name|key|title|uuid|guid|slug|sku|code|label|e-?mail"
    r"|user|login|customer|client|owner|author|account|patient|employee|person|company|order|invoice"
    r"|product|device|host|hostname|mount|volume|path|file|filename|url|repo|repository|package|module"
    r"|service|instance|node|pod|container|cluster|kind|team|player|city|country|symbol)$",
    re.IGNORECASE,
)
_BEST = re.compile(
    r"(?:^|_|-|\.|\b|(?<=[a-z]))(?:name|title|id|key|sku|slug|uuid|code)$", re.IGNORECASE
)
_LONG = 120  # a value that is longer identifies nothing for the reader

Fields = Mapping[str, str]


def identity(records: Sequence[Fields]) -> list[str]:
    """The fields that tell one record from its siblings, at most two.

    A field that every record has, with a different value in each, and a name like ``id``; else the
    first such field; without any, the first whose name says that it identifies, else the first.

    Args:
        records: the scalars of each record, as they are written, by key.
    """
    records = [record for record in records if record]
    if not records:
        return []
    first = records[0]
    if len(records) == 1:
        return describes(first, most=1)
    unique = [key for key in first if _unique(records, key)]
    named = [key for key in unique if _identifies(key)]
    short = [key for key in named if len(first[key]) <= _LONG] or named
    best = [key for key in short if _best(key)]
    if named:
        return (best or short)[:1]
    if unique:
        owner = [key for key in unique if _owns(key) and key != unique[0]]
        return [unique[0], *owner[:1]]
    return describes(first, most=2) or list(first)[:1]


def describes(fields: Fields, most: int = 3) -> list[str]:
    """The fields of one object that say what or whose it is, by their names."""
    found = [key for key, value in fields.items() if _owns(key) and 0 < len(value) <= _LONG]
    if len(found) > most:
        found.sort(key=lambda key: not _best(key))
    return found[:most]


@lru_cache(4096)
def _identifies(key: str) -> bool:
    return _ID.search(key) is not None


@lru_cache(4096)
def _owns(key: str) -> bool:
    return _OWNER.search(key) is not None


@lru_cache(4096)
def _best(key: str) -> bool:
    return _BEST.search(key) is not None


def _unique(records: Sequence[Fields], key: str) -> bool:
    seen: set[str] = set()
    for record in records:
        value = record.get(key, "").strip("\"'")
        if not value or value in ("null", "None", "~") or value in seen:
            return False
        seen.add(value)
    return True
