"""Offline: compress a whole corpus, resumably, on one machine or a Ray cluster.

``ctxzip corpus compress`` is the door; :mod:`ctxzip.corpus.job` is where to start reading.
"""
