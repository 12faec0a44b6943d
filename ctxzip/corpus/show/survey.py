"""What ``ctxzip corpus stats`` and ``ctxzip corpus prune`` print."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from ctxzip.corpus.commands import fields_of
from ctxzip.corpus.prune.rows import Rules
from ctxzip.corpus.prune.rows import prune as run_prune
from ctxzip.corpus.settings import Resources, Settings
from ctxzip.corpus.show import stats as measuring
from ctxzip.corpus.show.progress import clock
from ctxzip.errors import InputError

__all__ = ["prune", "stats"]


def stats(arguments: argparse.Namespace) -> int:
    """``ctxzip corpus stats``."""
    try:
        ratios = [float(part) for part in arguments.ratios.split(",") if part.strip()]
    except ValueError:
        raise InputError(
            f"--ratios {arguments.ratios!r} is not a list of numbers.", hint="For example 0.7,0.5"
        ) from None
    settings = Settings(
        compressor=arguments.compressor,
        model=arguments.model,
        tokenizer=arguments.tokenizer,
        fields=fields_of(arguments),
    )
    found = measuring.measure(
        arguments.input,
        settings,
        ratios,
        sample=arguments.sample,
        exact=arguments.exact,
        resources=Resources(threads=arguments.threads),
    )
    if arguments.json:
        print(json.dumps(asdict(found), indent=2))
        return 0
    about = "" if found.exact else "about "
    share = (found.duplicates + found.near) / found.records
    print(f"{found.records:,} records in {found.files:,} files, {found.failed:,} unreadable")
    print(f"{about}{found.tokens:,} tokens ({settings.tokenizer}), {found.characters:,} characters")
    print(f"tokens of a record: median {found.median:,}, longest {found.longest:,}"
          f" ({'all' if found.exact else 'of the sample'})")  # fmt: skip
    print(f"{found.duplicates:,} duplicates and about {found.near:,} near-duplicates ({share:.1%})")
    print(
        f"\ncompressor {settings.compressor}, measured on {found.sample:,} records, one worker:\n"
    )
    money = arguments.price is not None
    print("  ratio   kept    tokens saved   time" + ("   money a full read" if money else ""))
    for saving in found.savings:
        price = f"   {saving.tokens / 1e6 * arguments.price:,.2f}" if money else ""
        kept, took = f"{saving.ratio:<6g} {saving.kept:6.1%}", clock(saving.seconds)
        print(f"  {kept} {saving.tokens:15,}   {took}{price}")
    return 0


def prune(arguments: argparse.Namespace) -> int:
    """``ctxzip corpus prune``."""
    if arguments.output is None and not arguments.dry_run:
        raise InputError("Where to?", hint="Name a new folder with -o, or look with --dry-run.")
    rules = Rules(
        None if arguments.keep_similar else arguments.similarity,
        arguments.boilerplate,
        arguments.min_words,
    )
    done = run_prune(
        arguments.input,
        None if arguments.dry_run else Path(arguments.output),
        rules,
        fields_of(arguments),
        listing=Path(arguments.list) if arguments.list else None,
    )
    would = "would be " if arguments.dry_run else ""
    print(f"{done.records:,} records, {done.kept:,} {would}kept, {done.failed:,} unreadable",
          file=sys.stderr)  # fmt: skip
    for kind, count in sorted(done.tokens.items()):
        what = f"in {done.trimmed:,}" if kind == "repeated lines" else f"{done.dropped[kind]:,}"
        print(f"\n{kind}: {what} records, {count:,} tokens", file=sys.stderr)
        for example in done.examples[kind]:
            print(f"  - {example}", file=sys.stderr)
    return 0
