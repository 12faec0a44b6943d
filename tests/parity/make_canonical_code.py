"""Compute ``canonical_code.json`` with LongCodeZip's own code, which is not part of this project.

    git clone https://github.com/YerbaPage/LongCodeZip
    python -m tests.parity.make_canonical_code PATH/TO/LongCodeZip
    python -m tests.parity.make_canonical_code PATH/TO/LongCodeZip --model FOLDER

Made with its version 0.1 on the tiny checkpoint that ``tests.checkpoints.by_formula`` writes; with
``--model`` the same comparison is made on other weights and printed. The functions are handed to
it ready cut, because its regular expressions lose decorators and asynchronous functions; its second
model is the first one, in float32, instead of one that it downloads.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import math
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

from ctxzip.code.published import Reference
from ctxzip.code.score.perplexity import PerplexityCode
from tests import checkpoints

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
QUERY = "Which spans of the text must survive, and how are they found and merged?"
RATE = 0.75
MIN_LINES = 2
MODULES = (
    "units",
    "protect",
    "select",
    "render",
    "tokens",
    "knapsack",
    "api",
    "auto",
    "rewrite",
    "cli",
)
MOST_LINES = 26


def functions() -> list[str]:
    """Functions of this project, as its files hold them now, with blank lines between statements.

    Blank lines are where the published code finds most boundaries.
    """
    found = []
    for module in MODULES:
        text = (ROOT / "ctxzip" / f"{module}.py").read_text("utf-8")
        lines = text.splitlines(keepends=True)
        for node in ast.parse(text).body:
            long = getattr(node, "end_lineno", 0) - getattr(node, "lineno", 0)
            if isinstance(node, ast.FunctionDef) and 4 <= long <= MOST_LINES:
                some = lines[node.lineno - 1 : node.end_lineno]
                opening = ("if ", "for ", "return ", "while ", "with ", "try:")
                spaced = [f"\n\n{x}" if x.lstrip().startswith(opening) else x for x in some]
                found.append("".join(spaced))
    return found[:36]


def published(repository: Path, folder: Path) -> tuple[Any, list[int]]:
    """Their compressor on some weights, and a list that gets the tokens of every model call."""
    code = _module(repository / "longcodezip" / "__init__.py")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    chunker = code.EntropyChunking.__new__(code.EntropyChunking)
    chunker.model, chunker.tokenizer, chunker.device = model, tokenizer, torch.device("cpu")
    zip_ = code.LongCodeZip.__new__(code.LongCodeZip)
    zip_.model, zip_.tokenizer, zip_.device = model, tokenizer, "cpu"
    zip_.entropy_chunking = chunker
    kinds = ("token_length", "encodings", "perplexity", "conditional_ppl", "context_rankings")
    zip_.cache = {kind: {} for kind in kinds}
    zip_.max_cache_size, zip_.context_idxs = 100_000, []
    zip_.max_position_embeddings = model.config.max_position_embeddings
    read: list[int] = []
    forward = model.forward

    def counted(*given: Any, **named: Any) -> Any:
        ids = named.get("input_ids", given[0] if given else None)
        read.append(ids.numel())
        return forward(*given, **named)

    model.forward = counted
    return zip_, read


def theirs(repository: Path, folder: Path, texts: list[str], query: str) -> list[dict[str, Any]]:
    """What the published code decides."""
    zip_, _ = published(repository, folder)
    chunker = zip_.entropy_chunking
    zip_.split_code_by_functions = lambda text, language: list(texts)
    read: list[tuple[list[float], list[int]]] = []
    values: list[list[float]] = []
    cut, select = chunker.chunk_text_adaptive, zip_._knapsack_block_selection

    def watched_cut(*given: Any, **named: Any) -> Any:
        result = cut(*given, **named)
        read.append((result[2], result[3]))
        return result

    def watched_select(**named: Any) -> Any:
        values.append(named["block_importances"])
        return select(**named)

    chunker.chunk_text_adaptive, zip_._knapsack_block_selection = watched_cut, watched_select
    done = zip_.compress_code_file(
        "".join(texts), query=query, rate=RATE, min_lines_for_fine_grained=MIN_LINES
    )
    scores = dict(done["demonstrations_sort"])
    record: list[dict[str, Any]] = []
    for i in range(len(texts)):
        one: dict[str, Any] = {"score": scores[i], "selected": i in done["selected_functions"]}
        if one["selected"]:
            info = done["function_compressions"][i]
            one["rate"] = info["individual_fine_ratio"]
            perplexities, one["boundaries"] = read.pop(0)
            one["lines"] = [v if math.isfinite(v) else None for v in perplexities]
            one["kept"] = sorted(info["selected_blocks"]) if "selected_blocks" in info else None
            if one["kept"] is not None:
                one["values"] = [v if math.isfinite(v) else None for v in values.pop(0)]
        record.append(one)
    return record


def ours(folder: Path, texts: list[str], query: str) -> list[dict[str, Any]]:
    """What ctxzip decides with ``compat=True``."""
    from ctxzip.backends.torch.causal import CausalModel
    from ctxzip.backends.torch.likelihood import TorchLikelihood
    from ctxzip.backends.torch.loading import Placement

    placement = Placement(device="cpu", dtype="float32")
    scorer = PerplexityCode(lambda: TorchLikelihood(CausalModel(str(folder), placement)))
    record = []
    for one in Reference(scorer, min_lines=MIN_LINES).decide(texts, query, RATE):
        found: dict[str, Any] = {"score": one.score, "selected": one.selected}
        if one.selected:
            found["rate"] = one.rate
            found["boundaries"] = list(one.boundaries)
            found["lines"] = [v if math.isfinite(v) else None for v in one.line_perplexities]
            found["kept"] = None if one.kept is None else list(one.kept)
            if one.kept is not None:
                found["values"] = [v if math.isfinite(v) else None for v in one.values]
        record.append(found)
    return record


def differences(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> dict[str, float]:
    """Largest relative differences of the numbers, and how many choices differ."""
    worst = {"score": 0.0, "lines": 0.0, "values": 0.0, "rate": 0.0, "choices": 0.0}
    for one, other in zip(a, b, strict=True):
        same = all(one.get(key) == other.get(key) for key in ("selected", "boundaries", "kept"))
        worst["choices"] += not same
        for key in ("score", "rate", "lines", "values"):
            x, y = one.get(key), other.get(key)
            if x is None or y is None:
                worst["choices"] += x is not y
                continue
            pairs = zip(x, y, strict=True) if isinstance(x, list) else [(x, y)]
            for p, q in pairs:
                if p is None or q is None:
                    worst["choices"] += p is not q
                else:
                    worst[key] = max(worst[key], abs(p - q) / max(1.0, abs(p)))
    return worst


def _module(path: Path) -> Any:
    """Their module; the logger and the progress bars that it imports are stubbed if missing."""
    for name, attribute in (("loguru", "logger"), ("tqdm", "tqdm")):
        if importlib.util.find_spec(name) is None:
            stub: Any = types.ModuleType(name)
            setattr(stub, attribute, _Silent())
            sys.modules[name] = stub
    spec = importlib.util.spec_from_file_location("published_longcodezip", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


class _Silent:
    """A logger that says nothing, and a progress bar that shows nothing."""

    def __call__(self, items: Any = None, **_: Any) -> Any:
        silent = _Silent()
        silent.items = items  # type: ignore[attr-defined]
        return silent

    def __iter__(self) -> Any:
        return iter(self.items)  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repository", type=Path)
    parser.add_argument("--model", type=Path, help="weights to compare on; nothing is written")
    arguments = parser.parse_args()
    texts = functions()
    if arguments.model is not None:
        reference = theirs(arguments.repository, arguments.model, texts, QUERY)
        print(len(texts), "functions;", differences(reference, ours(arguments.model, texts, QUERY)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = checkpoints.by_formula(Path(scratch) / "causal", "causal")
        record = {"query": QUERY, "functions": texts}
        record["decisions"] = theirs(arguments.repository, folder, texts, QUERY)
        print(
            len(texts), "functions;", differences(record["decisions"], ours(folder, texts, QUERY))
        )
    (HERE / "canonical_code.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
