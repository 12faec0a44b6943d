"""Sentence embeddings made before the question; start reading at :mod:`ctxzip.index.sentences`."""

from ctxzip.index.opening import opened
from ctxzip.index.sentences import Change, SentenceIndex

__all__ = ["Change", "SentenceIndex", "opened"]
