"""Errors of ctxzip: each names the value that was wrong and says what to do about it."""

from __future__ import annotations

__all__ = ["BudgetError", "CtxzipError", "InputError", "MissingExtraError", "ModelError"]


class CtxzipError(Exception):
    """Base of every error that ctxzip raises on purpose.

    Args:
        message: what was wrong, with the offending value.
        hint: what to do about it; shown after the message.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message} {hint}")
        self.hint = hint


class InputError(CtxzipError, ValueError):
    """An argument or a document cannot be used as it is."""


class BudgetError(CtxzipError, ValueError):
    """The hard-protected text alone does not fit the ceiling.

    Attributes:
        needed: tokens that the hard-protected text takes.
        ceiling: tokens that the budget allows.
    """

    def __init__(self, message: str, *, needed: int, ceiling: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.needed = needed
        self.ceiling = ceiling

    @classmethod
    def for_protected(cls, needed: int, ceiling: int) -> BudgetError:
        """The error of a request whose hard-protected text alone takes ``needed`` tokens."""
        return cls(
            f"The hard-protected text alone takes {needed} tokens; the ceiling is {ceiling}.",
            needed=needed,
            ceiling=ceiling,
            hint=f"Allow at least {needed} tokens, or protect less.",
        )


class ModelError(CtxzipError, RuntimeError):
    """A model bundle or checkpoint is missing, damaged or of the wrong kind."""


class MissingExtraError(CtxzipError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package!r} is not installed.", hint=f'Install it with: pip install "ctxzip[{extra}]"'
        )
        self.package = package
        self.extra = extra
