"""No public name is lost: those of the release before, and how each is called.

``public_names.txt`` was written by ``python tests/api/test_public_names.py`` in a checkout of that
release, and is written again when a release is made.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

KNOWN = Path(__file__).with_name("public_names.txt")
PACKAGES = ("ctxzip", "ctxzip.api", "ctxzip.compressors", "ctxzip.index")


def _called(value: object) -> list[str] | None:
    """Parameters as ``kind name``, and ``= default`` where there is one; None for no function."""
    if not callable(value) or (inspect.isclass(value) and issubclass(value, BaseException)):
        return None
    try:
        found = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return None
    return [
        f"{p.kind.name.lower()} {p.name}"
        + ("" if p.default is inspect.Parameter.empty else f" = {p.default!r}")
        for p in found
    ]


def _shown(name: str, parameters: list[str] | None) -> str:
    return name if parameters is None else f"{name}\t" + "\t".join(parameters)


def lines() -> Iterator[str]:
    """A line for every public name, and for every public method of a public class."""
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in sorted(module.__all__):
            value = getattr(module, name)
            yield _shown(f"{package}.{name}", _called(value))
            if package == "ctxzip" and inspect.isclass(value):
                for member in sorted(vars(value)):
                    if not member.startswith("_"):
                        found = _called(getattr(value, member))
                        yield _shown(f"{package}.{name}.{member}", found)


def test_no_public_name_is_lost():
    now = {line.partition("\t")[0] for line in lines()}
    before = [line.partition("\t")[0] for line in KNOWN.read_text("utf-8").splitlines()]
    assert len(before) > 150
    assert [name for name in before if name not in now] == []


def test_what_was_called_so_still_works():
    """Parameters keep their order, kind and default; new ones have a default and come after."""
    now = {line.partition("\t")[0]: line.split("\t")[1:] for line in lines()}
    for line in KNOWN.read_text("utf-8").splitlines():
        name, *before = line.split("\t")
        after = now[name]
        assert after[: len(before)] == before, name
        assert all(" = " in added for added in after[len(before) :]), name


if __name__ == "__main__":
    KNOWN.write_text("\n".join(lines()) + "\n", encoding="utf-8")
