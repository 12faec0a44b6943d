"""``ctxzip corpus``: the parsers of its commands; what they run is imported when it runs."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

__all__ = ["add"]


def add(commands: Any) -> None:
    """Register ``corpus`` and its commands."""
    corpus = commands.add_parser(
        "corpus",
        help="compress, prune and measure a whole corpus, offline",
        description="Work on a whole corpus before any question is asked.",
    )
    subcommands = corpus.add_subparsers(title="commands", required=True, metavar="COMMAND")
    if importlib.util.find_spec("ctxzip.index_cli") is not None:
        importlib.import_module("ctxzip.index_cli").add_index(subcommands)
