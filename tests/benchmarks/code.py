r"""Source code: does the function that a question means survive, at what cost, how fast.

    python -m tests.benchmarks.code                       # finding, words of identifiers
    python -m tests.benchmarks.code --scorer mini
    python -m tests.benchmarks.code --model FOLDER --questions 20 --shortlist 2
    python -m tests.benchmarks.code --speed
    python -m tests.benchmarks.code --cost FOLDER --reference PATH/TO/LongCodeZip
    python -m tests.benchmarks.code --beside FOLDER --reference PATH/TO/LongCodeZip \
                                    --questions 5 --sizes 3500 4500

Finding is in the manner of RepoQA (Liu et al., 2024): the question is a function's docstring, taken
out of the code; the context is its file among others of its package, 8,000 to 16,000 tokens; the
function counts as found if all its lines are in the result at a fifth of the tokens. The packages
are those that the tests install anyway; none of them was looked at while the method was made.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import random
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ctxzip
from ctxzip import Document, LongCodeZip
from ctxzip.text import tokens

PACKAGES = ("hypothesis", "_pytest", "pip", "networkx", "jinja2")
LEAST_WORDS, LEAST_LINES = 15, 5


class Case(NamedTuple):
    """One question, its context, and the function that it means."""

    question: str
    documents: list[Document]
    gold: str
    size: int


def sources(package: str) -> list[Path]:
    """The files of an installed package, its tests aside."""
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or []) if spec is not None else []
    root = Path(places[0]) if places else None
    if root is None:
        return []
    files = sorted(root.rglob("*.py"))
    return [f for f in files if "test" not in str(f.relative_to(root)).lower()]


def documented(text: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions with a docstring."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [n for n in ast.walk(ast.parse(text)) if isinstance(n, kinds) and ast.get_docstring(n)]


def without_docstrings(text: str, keep: bool, gold: int) -> tuple[str, str]:
    """A text without docstrings of functions, and the function that begins at line ``gold``."""
    lines: list[str | None] = list(text.splitlines(keepends=True))
    place = (0, 0)
    for node in documented(text):
        if node.lineno == gold:
            place = (node.lineno - 1, node.end_lineno or 0)
        elif keep:
            continue
        doc = node.body[0]
        for row in range(doc.lineno - 1, doc.end_lineno or 0):
            lines[row] = None
        if len(node.body) == 1:
            lines[doc.lineno - 1] = f"{' ' * doc.col_offset}pass\n"
    function = "".join(line for line in lines[slice(*place)] if line is not None)
    return "".join(line for line in lines if line is not None), function


def candidates(packages: Sequence[str], seed: int) -> Iterator[tuple[str, Path, int, str]]:
    """Functions that can be asked for, in random order: package, file, line, docstring."""
    found = []
    for package in packages:
        for file in sources(package):
            try:
                nodes = documented(file.read_text("utf-8"))
            except (SyntaxError, UnicodeDecodeError):
                continue
            for node in nodes:
                doc = node.body[0]
                rest = (node.end_lineno or 0) - (doc.end_lineno or 0)
                question = ast.get_docstring(node) or ""
                if len(question.split()) >= LEAST_WORDS and rest >= LEAST_LINES:
                    found.append((package, file, node.lineno, question))
    random.Random(seed).shuffle(found)
    yield from found


def cases(
    packages: Sequence[str], n: int, *, seed: int, keep: bool, sizes: tuple[int, int]
) -> list[Case]:
    """Questions with their contexts.

    Args:
        packages: importable names.
        n: how many.
        seed: of the choice.
        keep: other functions keep their docstrings.
        sizes: least and most tokens of a context.
    """
    count = tokens.resolve("o200k_base").count
    found: list[Case] = []
    for package, file, line, question in candidates(packages, seed):
        if len(found) == n:
            break
        rng = random.Random(f"{seed} {file} {line}")
        others = [other for other in sources(package) if other != file]
        rng.shuffle(others)
        wanted = rng.uniform(*sizes)
        documents, total, gold = [], 0, ""
        for path in (file, *others):
            try:
                text, function = without_docstrings(
                    path.read_text("utf-8"), keep, line if path == file else 0
                )
            except (SyntaxError, UnicodeDecodeError):
                continue
            size = count(text)
            if total + size > sizes[1]:
                if path == file:
                    break
                continue
            gold = gold or function
            documents.append(Document(text, id=str(path.relative_to(path.parents[1]))))
            total += size
            if total >= wanted:
                break
        if total >= sizes[0] and gold:
            rng.shuffle(documents)
            found.append(Case(question, documents, gold.strip("\n"), total))
    return found


def finding(asked: Sequence[Case], compressor: Any, factor: float) -> None:
    """Print how often the function survives whole."""
    whole = parsed = files = 0
    kept, begun = 0.0, time.perf_counter()
    for i, case in enumerate(asked, 1):
        result = ctxzip.compress(case.documents, factor, query=case.question, compressor=compressor)
        whole += case.gold in result.text
        kept += result.ratio
        for document in result.documents:
            files += 1
            try:
                ast.parse(document.text)
                parsed += 1
            except SyntaxError:
                print("does not parse:", document.source.id)
        if i % 10 == 0 or i == len(asked):
            print(
                f"{i} questions, {sum(c.size for c in asked[:i]) / i:,.0f} tokens each: found whole"
                f" {whole / i:.3f}, kept {kept / i:.3f} of the tokens, {parsed} of {files} files"
                f" parse, {(time.perf_counter() - begun) / i:.2f} s each",
                flush=True,
            )


def speed() -> None:
    """Print the time for one megabyte of source."""
    files = [f for package in ("networkx", "pip", "hypothesis") for f in sources(package)]
    documents, size = [], 0
    for file in files:
        text = file.read_text("utf-8", "replace")
        documents.append(Document(text, id=str(file)))
        size += len(text)
        if size >= 1_000_000:
            break
    for query in ("Find the shortest path between two nodes of a weighted graph.", None):
        for run in ("first", "second"):
            begun, used = time.perf_counter(), time.process_time()
            result = ctxzip.compress(
                documents, 0.2, query=query, compressor=ctxzip.load("longcodezip")
            )
            spent, used = time.perf_counter() - begun, time.process_time() - used
            stages = {name: round(seconds, 2) for name, seconds in result.seconds.items()}
            print(
                f"{size:,} characters, {run} call, query {query is not None}: {spent:.2f} s,"
                f" {used:.2f} s of processor time"
            )
            print("  ", stages, result.tokens_before, "->", result.tokens_after, "tokens")


class Both:
    """ctxzip and the reference with the same language model.

    Args:
        folder: the model.
        reference: checkout of LongCodeZip.
    """

    def __init__(self, folder: Path, reference: Path) -> None:
        from ctxzip.backends.torch.causal import CausalModel
        from ctxzip.backends.torch.likelihood import TorchLikelihood
        from ctxzip.backends.torch.loading import Placement
        from ctxzip.code.compressor import CodeCompressor
        from ctxzip.code.score.perplexity import PerplexityCode
        from tests.parity.make_canonical_code import published

        placement = Placement(device="cpu", dtype="float32")
        self._model = model = TorchLikelihood(CausalModel(str(folder), placement))
        scorer = PerplexityCode(lambda: model)
        settings = LongCodeZip(scorer="perplexity")
        self._ours = CodeCompressor("longcodezip", scorer, settings=settings)
        self._theirs, self._read = published(reference, folder)

    def ours(self, text: str, question: str, ratio: float) -> tuple[str, int, float]:
        """Output, tokens through the model, seconds."""
        before, begun = self._model.tokens_read, time.perf_counter()
        result = ctxzip.compress(
            [Document(text, id="a.py")], ratio, query=question, compressor=self._ours
        )
        assert result.tokens_after <= (result.ceiling or 0)
        return result.text, self._model.tokens_read - before, time.perf_counter() - begun

    def theirs(
        self, text: str, question: str, rate: float, fine: float | None
    ) -> tuple[str, int, float]:
        """The same of the reference; ``fine`` None is its default."""
        self._read.clear()
        begun = time.perf_counter()
        found = self._theirs.compress_code_file(text, query=question, rate=rate, fine_ratio=fine)
        return found["compressed_code"], sum(self._read), time.perf_counter() - begun


def cost(both: Both, sizes: tuple[int, int], files: int) -> None:
    """Print tokens read and seconds, ours and the reference's, both by default to a half."""
    ratios = []
    for case in cases(PACKAGES, files, seed=7, keep=False, sizes=sizes):
        text = "\n".join(document.text for document in case.documents)
        # A question as people ask it. Behind every part both read all of it, so with a long one
        # both read little else.
        question = case.question.split("\n\n")[0]
        print(f"{question!r}, {case.size} tokens")
        _, mine, quick = both.ours(text, question, 0.5)
        print(f"ctxzip: {mine:,} tokens through the model, {quick:.1f} s", flush=True)
        _, read, slow = both.theirs(text, question, 0.5, None)
        ratios.append((read / mine, slow / quick))
        print(
            f"reference: {read:,} tokens, {slow:.1f} s: {read / mine:.1f} times fewer tokens,"
            f" {slow / quick:.1f} times less time",
            flush=True,
        )
    fewer, faster = map(statistics.median, zip(*ratios, strict=True))
    print(f"medians: {fewer:.1f} times fewer tokens, {faster:.1f} times less time")


def beside(both: Both, sizes: tuple[int, int], questions: int, factor: float) -> None:
    """Print how often the function survives whole, ours and the reference's.

    The reference multiplies the rates of its two stages: functions to a quarter, lines of them to
    four fifths come to a fifth of the tokens.
    """
    count = tokens.resolve("o200k_base").count
    whole, left, through = [0, 0], [0.0, 0.0], [0, 0]
    for i, case in enumerate(cases(PACKAGES, questions, seed=3, keep=False, sizes=sizes), 1):
        text = "\n".join(document.text for document in case.documents)
        found = (
            both.ours(text, case.question, 1 / factor),
            both.theirs(text, case.question, 1 / factor / 0.8, 0.8),
        )
        for k, (output, read, _) in enumerate(found):
            whole[k] += case.gold in output
            left[k] += count(output) / count(text)
            through[k] += read
        for k, name in enumerate(("ctxzip   ", "reference")):
            print(
                f"{i} questions, {name}: found whole {whole[k] / i:.2f}, kept {left[k] / i:.3f} of"
                f" the tokens, {through[k] / i:,.0f} tokens through the model",
                flush=True,
            )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--packages", default=",".join(PACKAGES))
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--factor", type=float, default=5.0)
    parser.add_argument("--sizes", type=int, nargs=2, default=(8000, 16000))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep-docstrings", action="store_true", help="of the other functions")
    parser.add_argument("--scorer", default="auto")
    parser.add_argument("--model", help="a causal language model")
    parser.add_argument("--shortlist", type=float)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--cost", type=Path, metavar="FOLDER")
    parser.add_argument("--files", type=int, default=6, help="of --cost")
    parser.add_argument("--beside", type=Path, metavar="FOLDER")
    parser.add_argument("--reference", type=Path)
    arguments = parser.parse_args()
    if arguments.speed:
        return speed()
    if arguments.cost is not None or arguments.beside is not None:
        if arguments.reference is None:
            sys.exit("--cost and --beside need --reference")
        both = Both(arguments.cost or arguments.beside, arguments.reference)
        if arguments.cost is not None:
            return cost(both, (2700, 3100), arguments.files)
        return beside(both, tuple(arguments.sizes), arguments.questions, arguments.factor)
    asked = cases(
        arguments.packages.split(","), arguments.questions, seed=arguments.seed,
        keep=arguments.keep_docstrings, sizes=tuple(arguments.sizes),
    )  # fmt: skip
    settings = LongCodeZip(scorer=arguments.scorer, shortlist=arguments.shortlist)
    compressor = ctxzip.load("longcodezip", model=arguments.model, settings=settings)
    return finding(asked, compressor, arguments.factor)


if __name__ == "__main__":
    main()
