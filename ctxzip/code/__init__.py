"""Source code: functions ranked, blocks chosen inside them, gaps marked in the language's syntax.

The way of a request is ``compressor.py``.
"""
