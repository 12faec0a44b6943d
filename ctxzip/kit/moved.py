"""Where modules of earlier versions are now.

``import ctxzip.guard`` still works. For a module that was never meant for others, the ImportError
says where its content is.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.abc import Loader
else:
    Loader = object  # importlib.abc takes a third of the time of ``import ctxzip``

__all__ = ["install"]

# Documented once, and imported by packages that build on ctxzip.
_STILL = {
    "ctxzip.events": "ctxzip.api.events",
    "ctxzip.guard": "ctxzip.api.guard",
    "ctxzip.messages": "ctxzip.api.messages",
    "ctxzip.provenance": "ctxzip.api.nodes",
    "ctxzip.tokens": "ctxzip.text.tokens",
}
_GONE = {
    "ctxzip.assemble": "ctxzip.render.result",
    "ctxzip.auto": "ctxzip.compressors.by_language",
    "ctxzip.base": "ctxzip.kit.batch",
    "ctxzip.baselines": "ctxzip.evaluate.baselines",
    "ctxzip.batching": "ctxzip.api.lanes",
    "ctxzip.bundle": "ctxzip.backends.bundle",
    "ctxzip.chat": "ctxzip.Chat",
    "ctxzip.choose": "ctxzip.select.whole",
    "ctxzip.compat": "ctxzip.compressors.llmlingua2",
    "ctxzip.export": "ctxzip.compressors.export",
    "ctxzip.index_cli": "ctxzip.corpus.index",
    "ctxzip.inputs": "ctxzip.api.read_files",
    "ctxzip.knapsack": "ctxzip.code.select.knapsack",
    "ctxzip.labels": "ctxzip.api.word_labels",
    "ctxzip.lexicon": "ctxzip.text.protected_words",
    "ctxzip.mixed": "ctxzip.compressors.by_kind",
    "ctxzip.narrow": "ctxzip.select.partial",
    "ctxzip.prepare": "ctxzip.segment.prepare",
    "ctxzip.protect": "ctxzip.text.protect",
    "ctxzip.rewrite": "ctxzip.compressors.rewriting",
    "ctxzip.table": "ctxzip.select.word_table",
    "ctxzip.units": "ctxzip.text.units",
    "ctxzip.vocabulary": "ctxzip.text.vocabulary",
}


class _Moved(Loader):
    """Finds the modules of the tables, and nothing else."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """See :class:`importlib.abc.MetaPathFinder`.

        Raises:
            ImportError: the module is gone; it names the place of what it held.
        """
        if fullname in _GONE:
            raise ImportError(f"{fullname} is now {_GONE[fullname]}.", name=fullname)
        return ModuleSpec(fullname, self) if fullname in _STILL else None

    def create_module(self, spec: ModuleSpec) -> None:
        """See :class:`importlib.abc.Loader`: nothing special."""

    def exec_module(self, module: ModuleType) -> None:
        """Put the module of today in the place of its old name."""
        sys.modules[module.__name__] = importlib.import_module(_STILL[module.__name__])


def install() -> None:
    """Ask this module for what no other finder finds."""
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        sys.meta_path.append(_Moved())
