"""From the arguments of ``ctxzip eval`` to everything that an evaluation finds out."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import ctxzip
from ctxzip.backends.chat import Chat
from ctxzip.compressors import load
from ctxzip.errors import CtxzipError, InputError
from ctxzip.evaluate import advice
from ctxzip.evaluate.baselines import BASELINES, SEED, digest
from ctxzip.evaluate.cases import Arm, Case, compress_all, full_cases
from ctxzip.evaluate.output import Run
from ctxzip.evaluate.progress import Progress
from ctxzip.evaluate.reader import (
    PROMPT,
    EndpointReader,
    LocalReader,
    Prices,
    Reader,
    add_costs,
    check_prompt,
    read_all,
)
from ctxzip.evaluate.records import Record, load_records
from ctxzip.evaluate.requests import among
from ctxzip.evaluate.store import Store, code, files, key
from ctxzip.text import tokens
from ctxzip.types import Budget, Options

__all__ = ["measure", "say"]


def measure(arguments: argparse.Namespace, folder: Path) -> tuple[Run, float]:
    """Do what the arguments say; files go into ``folder``.

    Returns:
        What was found out, and the seconds that it took.
    """
    started = time.perf_counter()
    _check(arguments)
    ratios, prices = _ratios(arguments.ratios), _prices(arguments.price)
    reader, prompt = _reader(arguments), _prompt(arguments.prompt)
    counter = tokens.resolve(arguments.tokenizer)
    arms = _arms(arguments)
    records, skipped = _records(arguments)
    _make(folder)
    store = Store(folder / "results.sqlite")
    progress = Progress()
    replies = None
    try:
        cases = full_cases(records, counter)
        cases += compress_all(records, arms, ratios, store, progress)
        if reader is not None:
            replies = read_all(records, cases, reader, store, progress, prompt=prompt)
    except KeyboardInterrupt:
        progress.end()
        say(f"ctxzip: what is done is in {folder}; the same command goes on from there")
        raise
    finally:
        store.close()
    progress.end()
    if prices != Prices():
        add_costs(records, cases, prices, counter, replies, prompt=prompt)
    setup = _setup(arguments, arms, records, reader)
    return _judged(arguments, records, cases, setup, skipped), time.perf_counter() - started


def _check(arguments: argparse.Namespace) -> None:
    """Raise for what would only be noticed when all is done."""
    if not 0 < arguments.quality <= 1:
        raise InputError(f"--quality {arguments.quality:g} is not a share in (0, 1].")
    usable = [name for name, metric in advice.METRICS.items() if metric.quality]
    if arguments.metric is not None and arguments.metric not in usable:
        raise InputError(
            f"--metric {arguments.metric} is unknown.", hint=f"Use one of {', '.join(usable)}."
        )


def _judged(
    arguments: argparse.Namespace,
    records: Sequence[Record],
    cases: Sequence[Case],
    setup: dict[str, object],
    skipped: Sequence[str],
) -> Run:
    """What follows from the cases."""
    metric, quality = arguments.metric or advice.default_metric(cases), arguments.quality
    if metric is not None and not any(metric in case.values for case in cases):
        raise InputError(f"--metric {metric} applies to none of the questions.")
    against = arguments.against
    return Run(
        records=records,
        cases=cases,
        rows=advice.summarise(cases),
        advice=[] if metric is None else advice.advise(cases, metric, quality),
        metric=metric,
        quality=quality,
        setup=setup,
        skipped=skipped,
        differences=[]
        if metric is None or against is None
        else advice.differences(cases, metric, against),
        against=against,
    )


def _ratios(text: str) -> list[float]:
    try:
        ratios = [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--ratios {text} is not a list of numbers, such as 0.1,0.3.") from None
    fractions = [r if r <= 1 else 1 / r for r in ratios if Budget(ratio=r)]
    return sorted(set(fractions))


def _prices(text: str) -> Prices:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if not 1 <= len(values) <= 3 or not all(0 <= value < float("inf") for value in values):
        raise InputError(f"--price {text} is not one to three prices, such as 2.5,10,0.2.")
    return Prices(*values)


def _arms(arguments: argparse.Namespace) -> list[Arm]:
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
    if arguments.against not in (None, *(arm.name for arm in arms)):
        raise InputError(f"--against {arguments.against} is not one of the --compressors.")
    return arms


def _records(arguments: argparse.Namespace) -> tuple[list[Record], list[str]]:
    if arguments.limit is not None and arguments.limit < 1:
        raise InputError(f"--limit {arguments.limit} leaves no question.")
    skipped: list[str] = []
    records = [r for path in arguments.data for r in load_records(path, skipped=skipped)]
    if skipped and not arguments.skip_bad:
        others = f" So are {len(skipped) - 1} further lines." if len(skipped) > 1 else ""
        raise InputError(f"{skipped[0]}{others}", hint="--skip-bad leaves malformed lines out.")
    for line in skipped[:5]:
        say(f"ctxzip: skipped {line}")
    if len(skipped) > 5:
        say(f"ctxzip: skipped {len(skipped) - 5} further lines; results.json names them")
    if not records:
        raise InputError(f"{', '.join(arguments.data)}: no usable question in it.")
    if arguments.among is not None:
        return among(records, arguments.among, chosen=arguments.limit), skipped
    if arguments.limit is not None and arguments.limit < len(records):
        drawn = sorted(range(len(records)), key=lambda i: digest(SEED, records[i].id, i))
        records = [records[i] for i in sorted(drawn[: arguments.limit])]
    return records, skipped


def _reader(arguments: argparse.Namespace) -> Reader | None:
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
    if name is None:
        return PROMPT
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--prompt {name} cannot be read: {error}.") from error
    check_prompt(text)
    return text


def _setup(
    arguments: argparse.Namespace,
    arms: Sequence[Arm],
    records: Sequence[Record],
    reader: Reader | None,
) -> dict[str, object]:
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


def say(line: str) -> None:
    """To standard error: the results alone go to standard output."""
    print(line, file=sys.stderr, flush=True)
