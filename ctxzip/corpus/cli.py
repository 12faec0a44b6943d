"""``ctxzip corpus``: the parsers of its commands; what they run is imported when it runs."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["add"]

_COMPRESS = """\
examples:
  ctxzip corpus compress docs/ -o out --ratio 0.5
  ctxzip corpus compress wiki.jsonl.zst -o out --ratio 0.4 --workers 8 --report out.html
  ctxzip corpus compress data.parquet -o out --format parquet --engine ray --workers 64

Run the same command again to go on after a stop, a crash or a kill.
Exit codes: 0 done, 1 an error, 2 wrong usage, 3 done with errors under --strict, 130 stopped.
"""


def add(commands: Any) -> Any:
    """Register ``corpus`` and its commands; returns where others can be added."""
    corpus = commands.add_parser(
        "corpus",
        help="compress, prune and measure a whole corpus, offline",
        description="Work on a whole corpus before any question is asked.",
    )
    subcommands = corpus.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_compress(subcommands)
    _add_stats(subcommands)
    _add_prune(subcommands)
    return subcommands


def _add_compress(commands: Any) -> None:
    parser = commands.add_parser(
        "compress",
        help="shorten every record of a corpus, resumably",
        description="Shorten every record under a budget of its own and write shards.",
        epilog=_COMPRESS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_compress)
    _add_input(parser)
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="folder of the result")
    _add_budget(parser)
    _add_output(parser)
    _add_machine(parser)
    parser.add_argument(
        "--incremental",
        action="store_true",
        help="input or settings changed: make again only what changed",
    )
    parser.add_argument(
        "--strict", action="store_true", help="exit with 3 if any record was left out"
    )
    parser.add_argument("--report", metavar="FILE", help="write a page about the result (HTML)")
    parser.add_argument(
        "--price",
        type=float,
        metavar="USD",
        help="price of a million input tokens, to show the money saved",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress and no summary")


def _add_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input",
        nargs="+",
        metavar="INPUT",
        help="JSONL, CSV (also .gz, .bz2, .xz, .zst), Parquet, text and markdown files, folders"
        " of them, and folders of datasets.save_to_disk",
    )
    parser.add_argument("--text-field", default="text", metavar="NAME", help="default: text")
    parser.add_argument("--id-field", default="id", metavar="NAME", help="default: id")
    parser.add_argument("--title-field", metavar="NAME", help="a title that informs scoring")
    parser.add_argument(
        "--include", metavar="PATTERN", help="of folders, only files that fit (*.md)"
    )
    parser.add_argument(
        "--max-record-mb",
        type=float,
        default=8,
        metavar="MB",
        help="longer records are left out: a megabyte takes some 130 MB of memory; default 8",
    )


def _add_budget(parser: argparse.ArgumentParser) -> None:
    ceiling = parser.add_mutually_exclusive_group()
    ceiling.add_argument(
        "-r", "--ratio", type=float, metavar="R",
        help="fraction of each record's tokens to keep (0.3), or a factor (4); default 0.5",
    )  # fmt: skip
    ceiling.add_argument(
        "-t", "--target-tokens", type=int, metavar="N", help="ceiling in tokens on each record"
    )
    parser.add_argument(
        "--threshold", type=float, metavar="P",
        help="drop what is less useful than this probability",
    )  # fmt: skip
    parser.add_argument(
        "-c", "--compressor", default="auto", metavar="NAME",
        help='see "ctxzip compressors"; default auto',
    )  # fmt: skip
    parser.add_argument("--model", metavar="MODEL", help="a folder or a hub name for it")
    parser.add_argument("--tokenizer", default="o200k_base", metavar="NAME")
    parser.add_argument("--granularity", choices=["auto", "sentence", "word"], default="auto")
    parser.add_argument("--language", metavar="CODE", help="ISO 639-1 code, where it is known")
    parser.add_argument(
        "--protect", action="append", default=[], metavar="TEXT",
        help="text that must survive; may be repeated",
    )  # fmt: skip


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format", choices=["jsonl", "jsonl.gz", "jsonl.zst", "parquet"], default="jsonl"
    )
    parser.add_argument(
        "--shard-mb",
        type=float,
        default=2,
        metavar="MB",
        help="records in a shard, the unit of resuming; default 2",
    )
    parser.add_argument(
        "--cache", metavar="FILE", help="cache of compressed chunks; default in OUT"
    )
    parser.add_argument("--no-cache", action="store_true", help="compress every chunk anew")
    parser.add_argument(
        "--cache-mb", type=float, default=1024, metavar="MB", help="its largest size; default 1024"
    )


def _add_machine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-w", "--workers", type=int, metavar="N",
        help="worker processes, or Ray actors; default: one per processor, or per device",
    )  # fmt: skip
    parser.add_argument(
        "--devices", metavar="LIST", help="where models run, in turn: cuda:0,cuda:1; default auto"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="threads of a model, per worker")
    parser.add_argument("--engine", choices=["local", "ray"], default="local")
    parser.add_argument(
        "--ray-address", metavar="ADDRESS", help="a running cluster; default: one on this machine"
    )
    parser.add_argument(
        "--cpus", type=float, default=1, metavar="N", help="CPUs of a Ray actor; may be a fraction"
    )
    parser.add_argument(
        "--gpus", type=float, default=0, metavar="N", help="GPUs of a Ray actor; may be a fraction"
    )


def _add_stats(commands: Any) -> None:
    parser = commands.add_parser(
        "stats",
        help="count a corpus, and say what compressing it would save and take",
        description="Read a corpus once and compress a sample of it.",
    )
    parser.set_defaults(run=_stats)
    _add_input(parser)
    parser.add_argument("-c", "--compressor", default="auto", metavar="NAME", help="default auto")
    parser.add_argument("--model", metavar="MODEL", help="a folder or a hub name for it")
    parser.add_argument("--tokenizer", default="o200k_base", metavar="NAME")
    parser.add_argument(
        "--ratios", default="0.7,0.5,0.3", metavar="LIST", help="default: 0.7,0.5,0.3"
    )
    parser.add_argument(
        "--sample", type=int, default=200, metavar="N", help="records to compress; default 200"
    )
    parser.add_argument("--exact", action="store_true", help="count the tokens of every record")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of a model")
    parser.add_argument("--price", type=float, metavar="USD", help="of a million input tokens")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_prune(commands: Any) -> None:
    parser = commands.add_parser(
        "prune",
        help="drop duplicates, boilerplate and passages that say nothing",
        description="Copy a corpus without what it repeats. Everything dropped is listed in"
        " OUT/dropped.jsonl with its reason.",
    )
    parser.set_defaults(run=_prune)
    _add_input(parser)
    parser.add_argument("-o", "--output", metavar="OUT", help="a new folder")
    parser.add_argument("--dry-run", action="store_true", help="only show what would go")
    parser.add_argument(
        "--list", metavar="FILE", help="list what goes there (also in a dry run), as JSON lines"
    )
    parser.add_argument(
        "--similarity", type=float, default=0.85, metavar="S",
        help="near-duplicates share so much of their three-word shingles, and all numbers and"
        " negations; default 0.85",
    )  # fmt: skip
    parser.add_argument("--keep-similar", action="store_true", help="keep near-duplicates")
    parser.add_argument(
        "--boilerplate", type=int, default=10, metavar="N",
        help="lines that stand in N documents and more are boilerplate; 0 keeps them; default 10",
    )  # fmt: skip
    parser.add_argument(
        "--min-words", type=int, default=3, metavar="N",
        help="passages with fewer words go; 0 keeps all that say nothing; default 3",
    )  # fmt: skip


def _stats(arguments: argparse.Namespace) -> int:
    from ctxzip.corpus.show import survey

    return survey.stats(arguments)


def _prune(arguments: argparse.Namespace) -> int:
    from ctxzip.corpus.show import survey

    return survey.prune(arguments)


def _compress(arguments: argparse.Namespace) -> int:
    from ctxzip.corpus import commands

    return commands.compress(arguments)
