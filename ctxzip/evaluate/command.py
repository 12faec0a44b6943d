"""``ctxzip eval``: compare compressors and ratios on one's own questions."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctxzip.errors import CtxzipError, InputError
from ctxzip.kit.disk import write_whole

if TYPE_CHECKING:
    from ctxzip.evaluate.cases import Arm, Case
    from ctxzip.evaluate.output import Run
    from ctxzip.evaluate.reader import Prices, Reader, Reply
    from ctxzip.evaluate.records import Record

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
    _add_reader(parser)


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

    folder = Path(arguments.output)
    run, seconds = measure(arguments, folder)
    _write(folder, run, page(run))
    _print(run, folder, seconds)
    return 1 if all(case.failed for case in run.cases) else 0


def measure(arguments: argparse.Namespace, folder: Path) -> tuple[Run, float]:
    """Do what the arguments say; files go into ``folder``."""
    from ctxzip.evaluate import advice
    from ctxzip.evaluate.cases import compress_all, full_cases
    from ctxzip.evaluate.output import Run
    from ctxzip.evaluate.progress import Progress
    from ctxzip.evaluate.store import Store
    from ctxzip.text import tokens

    started = time.perf_counter()
    ratios = _ratios(arguments.ratios)
    quality, metric = arguments.quality, arguments.metric
    if not 0 < quality <= 1:
        raise InputError(f"--quality {quality:g} is not a share in (0, 1].")
    usable = [name for name, one in advice.METRICS.items() if one.quality]
    if metric is not None and metric not in usable:
        raise InputError(f"--metric {metric} is unknown.", hint=f"Use one of {', '.join(usable)}.")
    prices = _prices(arguments.price)
    reader = _reader(arguments)
    prompt = _prompt(arguments.prompt)
    counter = tokens.resolve(arguments.tokenizer)
    arms = _arms(arguments)
    records, skipped = _records(arguments)
    _make(folder)
    store = Store(folder / "results.sqlite")
    progress = Progress()
    try:
        cases = full_cases(records, counter)
        cases += compress_all(records, arms, ratios, store, progress)
        replies = None
        if reader is not None:
            from ctxzip.evaluate.reader import read_all

            replies = read_all(records, cases, reader, store, progress, prompt=prompt)
    except KeyboardInterrupt:
        progress.end()
        _say(f"ctxzip: what is done is in {folder}; the same command goes on from there")
        raise
    finally:
        store.close()
    progress.end()
    _cost(records, cases, prices, counter, replies, prompt)
    chosen = metric or advice.default_metric(cases)
    if chosen is not None and not any(chosen in case.values for case in cases):
        raise InputError(f"--metric {chosen} applies to none of the questions.")
    found = [] if chosen is None else advice.advise(cases, chosen, quality)
    setup = _setup(arguments, arms, records, reader)
    run = Run(records, cases, advice.summarise(cases), found, chosen, quality, setup, skipped)
    return run, time.perf_counter() - started


def _cost(
    records: Sequence[Record],
    cases: Sequence[Case],
    prices: Prices,
    counter: Any,
    replies: dict[str, Reply] | None,
    prompt: str,
) -> None:
    from ctxzip.evaluate.reader import Prices, add_costs

    if prices != Prices():
        add_costs(records, cases, prices, counter, replies, prompt=prompt)


def _ratios(text: str) -> list[float]:
    from ctxzip.types import Budget

    try:
        ratios = [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--ratios {text} is not a list of numbers, such as 0.1,0.3.") from None
    fractions = [r if r <= 1 else 1 / r for r in ratios if Budget(ratio=r)]
    return sorted(set(fractions))


def _prices(text: str) -> Prices:
    from ctxzip.evaluate.reader import Prices

    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if not 1 <= len(values) <= 3 or not all(0 <= value < float("inf") for value in values):
        raise InputError(f"--price {text} is not one to three prices, such as 2.5,10,0.2.")
    return Prices(*values)


def _arms(arguments: argparse.Namespace) -> list[Arm]:
    from ctxzip.compressors import load
    from ctxzip.evaluate.baselines import BASELINES
    from ctxzip.evaluate.cases import Arm
    from ctxzip.evaluate.store import code, files, key
    from ctxzip.types import Options

    options = Options(granularity=arguments.granularity, tokenizer=arguments.tokenizer)
    items = list(dict.fromkeys(part.strip() for part in arguments.compressors.split(",")))
    names = [item.partition("=")[0] for item in items]
    arms = []
    for item, name in zip(items, names, strict=True):
        model = item.partition("=")[2] or None
        identity = key(
            code(), name, model, files(model or ""), arguments.granularity, arguments.tokenizer
        )
        method = BASELINES[name] if item in BASELINES else load(name, model=model, options=options)
        arms.append(Arm(name if names.count(name) == 1 else item, method, identity))
    return arms


def _records(arguments: argparse.Namespace) -> tuple[list[Record], list[str]]:
    from ctxzip.evaluate.baselines import SEED, digest
    from ctxzip.evaluate.records import load_records
    from ctxzip.evaluate.requests import among

    if arguments.limit is not None and arguments.limit < 1:
        raise InputError(f"--limit {arguments.limit} leaves no question.")
    skipped: list[str] = []
    records = [r for path in arguments.data for r in load_records(path, skipped=skipped)]
    if skipped and not arguments.skip_bad:
        more = f" So are {len(skipped) - 1} further lines." if len(skipped) > 1 else ""
        raise InputError(f"{skipped[0]}{more}", hint="--skip-bad leaves malformed lines out.")
    for line in skipped[:5]:
        _say(f"ctxzip: skipped {line}")
    if len(skipped) > 5:
        _say(f"ctxzip: skipped {len(skipped) - 5} further lines; results.json names them")
    if not records:
        raise InputError(f"{', '.join(arguments.data)}: no usable question in it.")
    if arguments.among is not None:
        return among(records, arguments.among, chosen=arguments.limit), skipped
    if arguments.limit is not None and arguments.limit < len(records):
        drawn = sorted(range(len(records)), key=lambda i: digest(SEED, records[i].id, i))
        records = [records[i] for i in sorted(drawn[: arguments.limit])]
    return records, skipped


def _reader(arguments: argparse.Namespace) -> Reader | None:
    from ctxzip.backends.chat import Chat
    from ctxzip.evaluate.reader import EndpointReader, LocalReader

    if arguments.reader_hf is not None:
        return LocalReader(arguments.reader_hf, max_tokens=arguments.max_tokens)
    if arguments.reader is None:
        return None
    settings = Chat(
        model=arguments.reader,
        base_url=arguments.base_url,
        key_variable=arguments.key_variable,
        timeout=arguments.timeout,
        retries=arguments.retries,
        max_tokens=arguments.max_tokens,
        parallel=arguments.parallel,
    )
    try:
        return EndpointReader(settings)
    except CtxzipError as error:
        raise InputError(
            "--reader needs an endpoint.",
            hint="Give --base-url http://.../v1, or set OPENAI_BASE_URL.",
        ) from error


def _prompt(name: str | None) -> str:
    from ctxzip.evaluate.reader import PROMPT, check_prompt

    if name is None:
        return PROMPT
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--prompt {name} cannot be read: {error}.") from error
    check_prompt(text)
    return text


def _setup(
    arguments: argparse.Namespace, arms: Sequence[Arm], records: Sequence[Record], reader: Any
) -> dict[str, object]:
    import ctxzip

    return {
        "made": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "ctxzip": ctxzip.__version__,
        "data": [Path(name).name for name in arguments.data],
        "questions": len(records),
        "documents": sum(len(record.documents) for record in records),
        "among": arguments.among,
        "compressors": [arm.name for arm in arms],
        "ratios": arguments.ratios,
        "granularity": arguments.granularity,
        "tokenizer": arguments.tokenizer,
        "reader": None if reader is None else reader.name,
        "price": None if arguments.price == "0,0,0" else arguments.price,
    }


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--output {folder} cannot be made: {error.strerror}.") from error


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
    from ctxzip.evaluate.output import sentence, table

    print(table(run))
    print(f"\n{sentence(run)}")
    sys.stdout.flush()
    reasons = list(dict.fromkeys(case.failed for case in run.cases if case.failed))
    if reasons:
        failed = sum(case.failed is not None for case in run.cases)
        _say(f"ctxzip: {failed} of {len(run.cases)} cases failed and count for nothing:")
        for reason in reasons[:3]:
            _say(f"ctxzip:   {reason}")
        _say("ctxzip: the same command asks again for those alone")
    page = folder / "report.html"
    _say(f"ctxzip: questions: {len(run.records)}; time: {seconds:.0f} s; see {page}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
