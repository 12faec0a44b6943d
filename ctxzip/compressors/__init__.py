"""Every compressor by name; ``table.py`` has a row for each."""

from ctxzip.compressors.table import CompressorInfo, list_compressors, load, load_embedder

__all__ = ["CompressorInfo", "list_compressors", "load", "load_embedder"]
