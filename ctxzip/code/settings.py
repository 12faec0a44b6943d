"""Settings of compressor ``longcodezip``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ctxzip.backends.chat import Chat
from ctxzip.errors import InputError

__all__ = ["LongCodeZip"]


@dataclass(frozen=True, slots=True)
class LongCodeZip:
    """Settings of compressor ``longcodezip``.

    Attributes:
        scorer: what ranks functions: ``"perplexity"`` (a causal language model, as in the paper),
            ``"lexical"`` (words of identifiers), ``"mini"`` (the shipped model beside the words),
            ``"embedding"`` (a bi-encoder beside the words), or ``"auto"``: perplexity where a model
            or an endpoint is given, else lexical.
        keep_signatures: imports, and the signatures of functions that kept code calls, stay where
            there is room for them.
        fine: compress inside functions too; False keeps whole functions only.
        fine_ratio: fraction of the functions chosen in the coarse stage that the fine stage keeps.
            The default is ours; the published code takes the rate again.
        beta: how much more of a relevant function stays than of another, in [0, 1].
        min_lines: functions of fewer lines stay whole.
        shortlist: with perplexity, the model reads only the functions that rank first by their
            words, up to this multiple of the budget in tokens; None reads all.
        compat: choose among functions and blocks as the published code does, for comparison; the
            ratio is then a goal and no ceiling, and it applies to functions and again to their
            blocks. What is a function is found by our parser, not by its regular expressions, and
            one model gives all perplexities, where its lines are read by a second one
            (Qwen2.5-Coder-0.5B-Instruct).
        endpoint: an OpenAI-compatible completions endpoint that returns the log-probabilities of
            the prompt (vLLM, llama.cpp), instead of a model on this machine.
    """

    scorer: Literal["auto", "perplexity", "lexical", "mini", "embedding"] = "auto"
    keep_signatures: bool = False
    fine: bool = True
    fine_ratio: float = 0.9
    beta: float = 0.5
    min_lines: int = 5
    shortlist: float | None = None
    compat: bool = False
    endpoint: Chat | None = None

    def __post_init__(self) -> None:
        if self.scorer not in ("auto", "perplexity", "lexical", "mini", "embedding"):
            raise InputError(
                f"scorer={self.scorer!r} is unknown.",
                hint='Use "auto", "perplexity", "lexical", "mini" or "embedding".',
            )
        if not 0 < self.fine_ratio <= 1:
            raise InputError(f"fine_ratio={self.fine_ratio!r} is not in (0, 1].")
        if not 0 <= self.beta <= 1:
            raise InputError(f"beta={self.beta!r} is not in [0, 1].")
        if self.min_lines < 0:
            raise InputError(f"min_lines={self.min_lines!r} is below 0.")
        if self.shortlist is not None and not self.shortlist >= 1:
            raise InputError(f"shortlist={self.shortlist!r} is below 1.")
