"""Every compressor by name; ``table.py`` has a row for each."""

from ctxzip.compressors.shared import unload
from ctxzip.compressors.table import (
    DEFAULT,
    FALLBACK,
    CompressorInfo,
    fallback_of,
    list_compressors,
    load,
    load_embedder,
    load_indexed,
    row_of,
    tuned,
)

__all__ = [
    "DEFAULT",
    "FALLBACK",
    "CompressorInfo",
    "fallback_of",
    "list_compressors",
    "load",
    "load_embedder",
    "load_indexed",
    "row_of",
    "tuned",
    "unload",
]
