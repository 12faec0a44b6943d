"""``ctxzip eval``: compare compressors and ratios on one's own questions."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctxzip.kit.disk import write_whole

if TYPE_CHECKING:
    from ctxzip.evaluate.output import Run

__all__ = ["add"]

_EPILOG = """\
DATA is a file of JSON lines (.jsonl), a JSON list (.json) or a table (.csv, .tsv), plain, .gz or
.xz, with a question, its context or contexts, and its answer or answers:

  question,context_1,context_2,answer
  When was V-221 replaced?,"The night shift ...","Visitors ...",3 May 2021

or {"query", "documents": [{"text", "evidence": [[start, end]]}], "answers": [...]} a line.

examples:
  ctxzip eval questions.csv
  ctxzip eval questions.jsonl --compressors mini,lexical,bm25 --ratios 0.1,0.2,0.3,0.5
  OPENAI_BASE_URL=http://localhost:8000/v1 ctxzip eval questions.csv --reader my-model
  ctxzip eval questions.jsonl --compressors mini,lexical,bm25 --against bm25
  ctxzip eval questions.csv --compressors mini,recomp-extractive=./my-encoder --quality 0.98

DIR gets report.html, results.json, summary.csv and cases.csv, and results.sqlite, with which a run
that was broken off goes on where it stopped.
"""


def add(commands: Any) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "eval",
        help="what compression loses on your own questions",
        description="Compare compressors and ratios on your own questions: what evidence and which"
        " answers survive, with 95% intervals, and how far you can go.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_run)
    _add_questions(parser)
    _add_goal(parser)
    _add_reader(parser)


def _add_questions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", nargs="+", metavar="DATA", help="questions; see below")
    parser.add_argument(
        "-c",
        "--compressors",
        default="auto,lexical,bm25",
        metavar="NAMES",
        help="comma-separated; NAME=MODEL for a checkpoint; bm25, lead and random are baselines;"
        " default auto,lexical,bm25",
    )
    parser.add_argument(
        "-r",
        "--ratios",
        default="0.1,0.2,0.3,0.5",
        metavar="R,R,...",
        help="fractions to keep, or factors above 1; default 0.1,0.2,0.3,0.5",
    )
    parser.add_argument(
        "-o", "--output", default="ctxzip-eval", metavar="DIR", help="default %(default)s"
    )
    parser.add_argument("-n", "--limit", type=int, metavar="N", help="use N questions, drawn by id")
    parser.add_argument(
        "--among",
        type=int,
        metavar="N",
        help="put each question's documents among those of others that look like it (by BM25), N"
        " in all; for data with one passage a question",
    )
    parser.add_argument("--skip-bad", action="store_true", help="leave malformed lines out")
    parser.add_argument(
        "--granularity",
        choices=["auto", "sentence", "word"],
        default="auto",
        help="what is dropped",
    )
    parser.add_argument(
        "--tokenizer", default="o200k_base", metavar="NAME", help="default o200k_base"
    )


def _add_goal(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--metric", help="what the recommendation is based on; by default the best that is known"
    )
    parser.add_argument(
        "--quality",
        type=float,
        default=0.95,
        metavar="Q",
        help="share of the full text's quality that must stay, with 95%% confidence; default 0.95",
    )
    parser.add_argument(
        "--against",
        metavar="NAME",
        help="one of the compressors: say what the others gain over it, question by question",
    )


def _add_reader(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("reader", "an LLM that answers from full and compressed text")
    reader = group.add_mutually_exclusive_group()
    reader.add_argument(
        "--reader", metavar="MODEL", help="a model at an OpenAI-compatible endpoint"
    )
    reader.add_argument(
        "--reader-hf", metavar="MODEL", help="a Hugging Face folder, .gguf file or hub name"
    )
    group.add_argument("--base-url", metavar="URL", help="endpoint; default OPENAI_BASE_URL")
    group.add_argument(
        "--key-variable",
        default="OPENAI_API_KEY",
        metavar="NAME",
        help="environment variable that holds the key; default OPENAI_API_KEY",
    )
    group.add_argument("--prompt", metavar="FILE", help="with {context} and {question} in it")
    group.add_argument(
        "--max-tokens", type=int, default=64, metavar="N", help="of an answer; default 64"
    )
    group.add_argument(
        "--parallel", type=int, default=8, metavar="N", help="requests at a time; default 8"
    )
    group.add_argument(
        "--timeout", type=float, default=60.0, metavar="S", help="of a request; default 60"
    )
    group.add_argument(
        "--retries", type=int, default=4, metavar="N", help="of a request; default 4"
    )
    group.add_argument(
        "--price",
        default="0,0,0",
        metavar="IN,OUT,HOUR",
        help="what a million tokens read and written cost, and an hour of this machine",
    )


def _run(arguments: argparse.Namespace) -> int:
    from ctxzip.evaluate.page import page
    from ctxzip.evaluate.run import measure

    folder = Path(arguments.output)
    run, seconds = measure(arguments, folder)
    _write(folder, run, page(run))
    _print(run, folder, seconds)
    return 1 if all(case.failed for case in run.cases) else 0


def _write(folder: Path, run: Run, html: str) -> None:
    from ctxzip.evaluate.output import cases_csv, summary_csv, to_json

    for name, text in (
        ("results.json", to_json(run)),
        ("summary.csv", summary_csv(run)),
        ("cases.csv", cases_csv(run)),
        ("report.html", html),
    ):
        write_whole(folder / name, text.encode())


def _print(run: Run, folder: Path, seconds: float) -> None:
    from ctxzip.evaluate.output import compared, sentence, table
    from ctxzip.evaluate.run import say

    print(table(run))
    if apart := compared(run):
        print(f"\n{apart}")
    print(f"\n{sentence(run)}")
    sys.stdout.flush()
    reasons = list(dict.fromkeys(case.failed for case in run.cases if case.failed))
    if reasons:
        failed = sum(case.failed is not None for case in run.cases)
        say(f"ctxzip: {failed} of {len(run.cases)} cases failed and count for nothing:")
        for reason in reasons[:3]:
            say(f"ctxzip:   {reason}")
        say("ctxzip: the same command asks again for those alone")
    page = folder / "report.html"
    say(f"ctxzip: questions: {len(run.records)}; time: {seconds:.0f} s; see {page}")
