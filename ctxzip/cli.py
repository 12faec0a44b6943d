"""The command line: parses, calls, prints."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import ctxzip
from ctxzip.corpus import cli as corpus_cli
from ctxzip.corpus import index as index_cli
from ctxzip.errors import CtxzipError, InputError
from ctxzip.evaluate import command as eval_command
from ctxzip.kit.disk import write_whole
from ctxzip.serve import command as serve_cli

__all__ = ["main"]

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT

_EPILOG = """\
examples:
  ctxzip compress handbook.md --query "How long is the warranty?" --ratio 0.3
  ctxzip compress src/ --query "Where is the retry delay computed?" --target-tokens 4000
  cat a.txt b.txt | ctxzip compress --target-tokens 500
  ctxzip compress *.md --query "..." --ratio 0.2 --json > result.json
  ctxzip compress *.md --query "..." --ratio 0.2 --report page.html --show

The text goes to standard output, a one-line summary to standard error.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 if it worked, 1 for input that cannot be compressed, 2 for wrong usage, 130 after Ctrl-C.
    """
    try:
        arguments = _parser().parse_args(argv)
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except CtxzipError as error:
        _say(f"ctxzip: {error}")
        return EXIT_ERROR
    except KeyboardInterrupt:
        _say("ctxzip: interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def script() -> NoReturn:
    """Entry point of the ``ctxzip`` command."""
    sys.exit(main())


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ctxzip", description="Send an LLM less text and get the same answer."
    )
    parser.add_argument("--version", action="version", version=f"ctxzip {ctxzip.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_compress(commands)
    _add_export(commands)
    index_cli.add_index(corpus_cli.add(commands))
    serve_cli.add(commands)
    eval_command.add(commands)
    listing = commands.add_parser("compressors", help="list what is installed and what each needs")
    listing.set_defaults(run=_list)
    return parser


def _add_compress(commands: Any) -> None:
    compress = commands.add_parser(
        "compress",
        help="shorten files or standard input",
        description="Shorten text under a budget. Several files share it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    compress.set_defaults(run=_compress)
    compress.add_argument(
        "files",
        nargs="*",
        metavar="PATH",
        help="files, directories of source code, globs; - is standard input (the default)",
    )
    compress.add_argument("-q", "--query", help="the question that the text shall answer")
    _add_budget(compress)
    _add_options(compress)
    _add_output(compress)


def _add_budget(compress: argparse.ArgumentParser) -> None:
    ceiling = compress.add_mutually_exclusive_group()
    ceiling.add_argument(
        "-r", "--ratio", type=float, metavar="R",
        help="fraction of tokens to keep (0.3), or a compression factor (4); default 0.5",
    )  # fmt: skip
    ceiling.add_argument(
        "-t", "--target-tokens", type=int, metavar="N", help="hard ceiling in tokens"
    )
    compress.add_argument(
        "--threshold",
        type=float,
        metavar="P",
        help="drop what is less useful than this probability",
    )
    compress.add_argument(
        "-c",
        "--compressor",
        default="auto",
        metavar="NAME",
        help='see "ctxzip compressors"; default auto',
    )
    compress.add_argument(
        "--index", metavar="DIR", help='embeddings that "ctxzip corpus index" made'
    )
    compress.add_argument(
        "--model", metavar="NAME", help="the compressor's checkpoint, or a folder"
    )


def _add_options(compress: argparse.ArgumentParser) -> None:
    compress.add_argument(
        "--titles", action="store_true", help="put the path of every source file above it; counted"
    )
    compress.add_argument("--max-bytes", type=int, metavar="N", help="skip files that are larger")
    compress.add_argument(
        "--tokenizer",
        default="o200k_base",
        metavar="NAME",
        help="encoding or OpenAI model that counts tokens; default o200k_base",
    )
    compress.add_argument(
        "--granularity",
        choices=["auto", "sentence", "word"],
        default="auto",
        help="what is dropped",
    )
    compress.add_argument(
        "--protect",
        action="append",
        default=[],
        metavar="TEXT",
        help="text that must survive; may be repeated",
    )
    compress.add_argument(
        "--keep-tags",
        action="store_true",
        help="honour <keep>...</keep> in the input, which must be your own text",
    )


def _add_output(compress: argparse.ArgumentParser) -> None:
    compress.add_argument(
        "--json", action="store_true", help="print the result with spans and counts as JSON"
    )
    compress.add_argument("-o", "--output", metavar="FILE", help="write there, whole or not at all")
    compress.add_argument("--report", metavar="FILE", help="write a page that shows what was kept")
    compress.add_argument(
        "--show", action="store_true", help="print the whole text, with what was dropped dimmed"
    )


def _add_export(commands: Any) -> None:
    parser = commands.add_parser(
        "export",
        help="make an ONNX folder of a checkpoint",
        description="Write an encoder checkpoint as ONNX, check it against PyTorch, and say how it"
        " compares. The folder then works as model= without PyTorch.",
    )
    parser.set_defaults(run=_export)
    parser.add_argument("model", metavar="MODEL", help="folder or hub name")
    parser.add_argument(
        "--head",
        required=True,
        choices=["token", "sentence", "embedding"],
        help="token: LLMLingua-2 and other token classifiers; sentence: sequence classifiers;"
        " embedding: bi-encoders",
    )
    parser.add_argument("--int8", action="store_true", help="store weights in 8 bits")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="a new folder")


def _export(arguments: argparse.Namespace) -> int:
    from ctxzip.compressors.export import export

    done = export(arguments.model, arguments.head, Path(arguments.output), int8=arguments.int8)
    agreement = {
        "token": f"{done.agreement:.2%} of the keep decisions equal",
        "sentence": f"{done.agreement:.2%} of the labels equal",
        "embedding": f"smallest cosine {done.agreement:.6f}",
    }[arguments.head]
    print(
        f"{done.folder}: {done.size / 2**20:.1f} MiB (PyTorch {done.source_size / 2**20:.1f} MiB)"
    )
    print(f"largest difference from PyTorch on sample texts: {done.difference:.2g}; {agreement}")
    print(f"speed: {done.speed_up:.2f} times PyTorch's on this machine")
    return 0


def _compress(arguments: argparse.Namespace) -> int:
    if arguments.show and arguments.json:
        raise InputError("--show and --json exclude each other.")
    documents, skipped = _documents(arguments)
    options = ctxzip.Options(
        tokenizer=arguments.tokenizer,
        protect=tuple(arguments.protect),
        keep_tags=arguments.keep_tags,
        granularity=arguments.granularity,
        titles=arguments.titles,
    )
    if arguments.keep_tags and len(documents) > 1:
        raise InputError(
            "--keep-tags works on one text at a time.", hint=f"Got {len(documents)} files."
        )
    # One text is the caller's prompt; only there are <keep> tags honoured.
    prompt = documents[0].text if arguments.keep_tags else documents
    result = ctxzip.compress(
        prompt,
        arguments.ratio,
        query=arguments.query,
        target_tokens=arguments.target_tokens,
        threshold=arguments.threshold,
        compressor=_compressor(arguments, options),
        options=options,
        index=arguments.index,
    )
    text = result.text
    if arguments.json:
        text = json.dumps(_record(result), ensure_ascii=False, indent=2)
    elif arguments.show:
        text = _shown(result, arguments.output)
    if arguments.report:
        from ctxzip import report

        _write(report.html(result, query=arguments.query), arguments.report)
    _write(text if text.endswith("\n") or not text else text + "\n", arguments.output)
    for line in skipped:
        _say(f"ctxzip: skipped: {line}")
    for note in result.notes:
        _say(f"ctxzip: note: {note}")
    saved = result.tokens_before - result.tokens_after
    _say(
        f"ctxzip: {result.tokens_before:,} -> {result.tokens_after:,} tokens "
        f"({result.ratio:.0%} kept, {saved:,} saved; {result.tokenizer}) "
        f"by {result.compressor} in {sum(result.seconds.values()):.2f} s"
    )
    return 0


def _shown(result: ctxzip.Compression, output: str | None) -> str:
    from ctxzip import report

    plain = output is not None or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return report.terminal(result, colour=sys.stdout.isatty() and not plain)


def _documents(arguments: argparse.Namespace) -> tuple[list[ctxzip.Document], list[str]]:
    """What is to be compressed, and a line about everything that was left out."""
    from ctxzip.api.source_files import decoded

    documents, skipped = [], []
    paths = [name for name in arguments.files if name != "-"]
    if len(paths) < len(arguments.files) or not paths:
        text = decoded(sys.stdin.buffer.read(), "standard input")
        documents.append(ctxzip.Document(text))
    if paths:
        found = ctxzip.read_files(paths, max_bytes=arguments.max_bytes)
        documents += found.documents
        skipped = [f"{why if name in why else f'{name} {why}'}" for name, why in found.skipped]
    return documents, skipped


def _compressor(arguments: argparse.Namespace, options: ctxzip.Options) -> Any:
    """The name of a compressor, or the compressor where a checkpoint is named."""
    if arguments.model is None:
        return arguments.compressor
    return ctxzip.load(arguments.compressor, model=arguments.model, options=options)


def _write(text: str, output: str | None) -> None:
    """To standard output, or to a file that is either written whole or left as it was."""
    if output is None:
        # Bytes, so that neither the terminal's encoding nor its newlines change the text.
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
        return
    write_whole(Path(output), text.encode())


def _record(result: ctxzip.Compression) -> dict[str, object]:
    """A result as plain JSON values."""
    return {
        "text": result.text,
        "tokens_before": result.tokens_before,
        "tokens_after": result.tokens_after,
        "ratio": result.ratio,
        "ceiling": result.ceiling,
        "tokenizer": result.tokenizer,
        "compressor": result.compressor,
        "path": result.path,
        "notes": result.notes,
        "seconds": dict(result.seconds),
        "documents": [
            {
                "id": document.source.id,
                "title": document.source.title,
                "text": document.text,
                "score": document.score,
                "kept": document.kept,
            }
            for document in result.documents
        ],
        "segments": [segment._asdict() for segment in result.segments],
    }


def _list(arguments: argparse.Namespace) -> int:
    rows = ctxzip.list_compressors()
    width = max(len(row.name) for row in rows)
    for row in rows:
        state = (
            "ready"
            if row.available
            else f'needs {", ".join(row.needs)}: pip install "ctxzip[{row.extra}]"'
        )
        print(f"{row.name:<{width}}  {row.summary}  [{state}]")
    return 0


if __name__ == "__main__":
    script()
