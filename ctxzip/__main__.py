"""``python -m ctxzip``."""

from ctxzip.cli import script

script()
