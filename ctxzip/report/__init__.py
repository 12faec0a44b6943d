"""What a compression kept, for people: a page, a terminal, a notebook.

>>> from ctxzip import report
>>> Path("page.html").write_text(report.html(result, query=question), encoding="utf-8")
"""

from __future__ import annotations

from ctxzip.report.page import fragment, html
from ctxzip.report.terminal import terminal

__all__ = ["fragment", "html", "terminal"]
