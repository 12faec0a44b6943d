"""Property tests over rows: each row is tried on as many drawn examples as it can afford."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

from .texts import Kind

__all__ = ["drawn"]

# `CTXZIP_EXAMPLES=2000 pytest tests/contract` looks harder, at other examples every time.
EXAMPLES = int(os.environ.get("CTXZIP_EXAMPLES", "0"))
HANDED_ON = 2
Drawn = SearchStrategy[Any] | Callable[[Kind], SearchStrategy[Any]]


def drawn(
    share: float = 1.0, **strategies: Drawn
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Hypothesis' ``given`` for a test of ``row``, and of ``kind`` where it has that argument.

    Args:
        share: of the examples that a row can afford, where one of them costs more.
        strategies: by argument; a function is asked with the kind.
    """

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(test)
        fixtures = [p for name, p in signature.parameters.items() if name not in strategies]

        def run(**fixed: Any) -> None:
            row, kind = fixed["row"].facts, fixed.get("kind")
            few = kind is not None and kind.name in row.hands_on
            most = HANDED_ON if few else max(2, round(share * row.examples))
            chosen = {
                name: one if isinstance(one, SearchStrategy) else one(kind)
                for name, one in strategies.items()
            }

            @settings(
                max_examples=EXAMPLES or most,
                deadline=None,
                derandomize=not EXAMPLES,
                database=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
            )
            @given(**chosen)
            def example(**values: Any) -> None:
                test(**fixed, **values)

            example()

        run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
        run.__signature__ = signature.replace(parameters=fixtures)  # type: ignore[attr-defined]
        run.drawn = True  # type: ignore[attr-defined]
        return run

    return decorate
