"""Compressors that write new text; the way of a request is ``compressor.py``."""
