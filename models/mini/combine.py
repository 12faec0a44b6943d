"""Fit the combiner of `mini` on requests that its networks were not trained on, and calibrate it.

    python models/mini/combine.py --backbone DIR --weights weights.safetensors \
        --cross cross.safetensors --groups groups.jsonl --out combiner.json

Every request is used whole, with fewer of its passages, and now and then without the ones that
answer it (then nothing is needed). The combiner is a network of one hidden layer on standardised
features; members of two sizes share their input and are averaged, and a linear path is added; it
is written as one matrix after another. A linear path for the regions of long documents is fitted on
top. Loss: cross-entropy of each needed unit against the others
of its request, and binary cross-entropy. Two numbers are then fitted on requests that were kept
back from the fit, or with ``--calibrate DIR`` on the dev sets of HotpotQA, QED and SQuAD, as they
are measured: P(needed) = sigmoid(logit / temperature + bias).
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from export import load_networks
from fit import Example, calibrate, fit, with_regions
from run import earlier
from torch import nn
from train import pad
from train_cross import stack

from ctxzip.backends.encoder import CrossReading
from ctxzip.backends.tokenizers import load_tokenizer
from ctxzip.evaluate import build_requests, load_records
from ctxzip.kit.arrays import FloatArray, IntArray
from ctxzip.score.base import ScoreRequest
from ctxzip.score.mini.combiner import Combiner
from ctxzip.score.mini.features import NAMES
from ctxzip.score.mini.scorer import MiniScorer
from ctxzip.segment import sentences
from ctxzip.text.units import Passage
from ctxzip.types import Document

LIMIT = {"squad": 1000, "qed": 790, "qmsum": 200, "evidence_inference": 70}
WEIGHT = {
    "squad": 2.0, "qed": 2.0, "2wiki": 0.6, "musique": 0.5, "numbered": 0.3,
    "qmsum": 0.4, "evidence_inference": 0.3,
}  # fmt: skip
REGION_WEIGHT = WEIGHT | {"qmsum": 2.0, "evidence_inference": 1.0}  # for the path of regions
KEPT_BACK = 0.15
NUMBERED = 120
RECORDS = (  # thing, what is said of it (name, place, number), and a question
    ("pump", "The {0} in the {1} was serviced after {2} hours.", "When was {} serviced?"),
    ("invoice", "For {0}, sent from the {1}, {2} euros are due.", "How much is due for {}?"),
    ("room", "{0} near the {1} seats {2} people.", "How many people does {} seat?"),
    ("error", "{0} means that the {1} lost its connection for {2} seconds.", "What does {} mean?"),
    ("order", "The {0} left the {1} in {2} boxes.", "Where did {} leave from?"),
    ("flight", "{0} departs from the {1} with {2} passengers.", "Where does {} depart from?"),
    ("employee", "{0} works in the {1} since {2} months.", "Where does {} work?"),
    ("article", "Under {0} the {1} pays {2} percent.", "What does {} require?"),
)
PLACES = (
    "north hall", "warehouse", "old harbour", "east wing", "laboratory", "ministry",
    "control room", "second floor", "workshop", "main gate", "library", "depot",
)  # fmt: skip


class TorchEncoder:
    """The networks as the scorer wants them, run by torch, remembering what they read."""

    def __init__(self, networks: dict[str, nn.Module]) -> None:
        self._networks = networks
        self._known: dict[tuple[str, bytes], np.ndarray] = {}

    def has(self, name: str) -> bool:
        """Only what is needed here."""
        return name in self._networks and name != "keep"

    def states(self, windows: Sequence[IntArray]) -> Iterator[tuple[int, np.ndarray]]:
        """Token states, eight windows of about the same length at a time."""
        todo = [i for i, ids in enumerate(windows) if ("late", ids.tobytes()) not in self._known]
        todo.sort(key=lambda i: len(windows[i]))
        for part in (todo[i : i + 8] for i in range(0, len(todo), 8)):
            ids, mask = pad([windows[i] for i in part], torch.device("cpu"))
            with torch.no_grad():
                below = self._networks["trunk"](ids, mask)
                states = self._networks["late"](below, mask).numpy()
            for row, i in enumerate(part):
                key, size = windows[i].tobytes(), len(windows[i])
                self._known["late", key] = states[row, :size]
                self._known["trunk", key] = below[row, :size].numpy()
        for i, ids in enumerate(windows):
            yield i, self._known["late", ids.tobytes()]

    def cross(
        self, pairs: Sequence[tuple[IntArray, IntArray]]
    ) -> Iterator[tuple[int, CrossReading]]:
        """Windows that were read before, with queries."""
        order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][1]))
        for part in (order[i : i + 8] for i in range(0, len(order), 8)):
            given = []
            for side in (0, 1):
                rows = [self._known["trunk", pairs[i][side].tobytes()] for i in part]
                given += stack([torch.from_numpy(row) for row in rows], torch.device("cpu"))
            with torch.no_grad():
                read = [output.numpy() for output in self._networks["cross"](*given)]
            for row, i in enumerate(part):
                query, size = len(pairs[i][0]), len(pairs[i][1])
                logits, similar = read[0][row, :size], read[1][row, :size, :query]
                yield i, CrossReading(*logits.T, similar, float(read[2][row]))

    def forget(self) -> None:
        """Free the memory."""
        self._known.clear()

    def keep(self, windows: Sequence[IntArray]) -> Iterator[tuple[int, np.ndarray]]:
        """Not needed here."""
        raise NotImplementedError

    def warmup(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


def numbered(rng: random.Random) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Questions about one of many records that differ by a number or an id: only it tells them.

    Nothing of the kind is among the data sets, and embeddings hardly see the difference.
    """
    for _ in range(NUMBERED):
        thing, fact, asked = rng.choice(RECORDS)
        form = rng.choice(("{}", "{}", "A-{}", "{}B", "2024-{}", "XK{}"))
        start, step, n = rng.randint(1, 900), rng.choice((1, 1, 1, 7)), rng.randint(12, 70)
        ids = [form.format(start + step * i) for i in range(n)]
        rng.shuffle(ids)
        gold = rng.choice(ids)
        sentences_of = [
            fact.format(f"{thing} {i}", rng.choice(PLACES), rng.randint(2, 99)) for i in ids
        ]
        documents, size = [], rng.randint(4, n)
        for at in range(0, n, size):
            text, evidence = "", []
            for number, sentence in zip(ids[at : at + size], sentences_of[at:], strict=False):
                if number == gold:
                    evidence = [[len(text), len(text) + len(sentence)]]
                text += sentence + " "
            title = rng.choice(("", f"{thing} log", "Records"))
            documents.append({"title": title, "text": text.strip(), "evidence": evidence})
        yield (
            rng.choice((asked, "What of {}?", "What is known about {}?")).format(f"{thing} {gold}"),
            documents,
        )


def requests(groups: Path, rng: random.Random) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """Name of the set, query and documents.

    Only requests that the networks never saw: on the others their signals look better than they
    are, and a combiner fitted on them trusts the wrong ones (two to four points on HotpotQA).
    """
    yield from (("numbered", *made) for made in numbered(rng))
    by_set: dict[str, list[dict[str, Any]]] = {}
    with groups.open(encoding="utf-8") as lines:
        for line in lines:
            group = json.loads(line)
            if group["hold"]:
                by_set.setdefault(group["set"], []).append(group)
    for name, some in by_set.items():
        rng.shuffle(some)
        if name in ("qmsum", "evidence_inference"):  # questions about one document together
            some.sort(key=lambda group: group["documents"][0]["text"])
        for group in some[: LIMIT.get(name)]:
            documents = group["documents"]
            yield name, group["query"], documents
            gold = [d for d in documents if d["evidence"]]
            rest = [d for d in documents if not d["evidence"]]
            if not gold or not rest:
                continue
            sizes = (
                [rng.randint(2, 6)]
                if name in ("squad", "qed")
                else [rng.randint(2, 4), rng.randint(4, 7)]
            )
            for size in sizes:
                chosen = gold + rng.sample(rest, min(size, len(rest)))
                yield name, group["query"], [d for d in documents if d in chosen]
            if rng.random() < 0.5:
                yield name, group["query"], rng.sample(rest, min(len(rest), rng.randint(3, 9)))


def label(passages: Sequence[Passage], documents: Sequence[dict[str, Any]]) -> FloatArray:
    """1 for a unit of which half is evidence, or that holds half of an evidence span."""
    parts = []
    for passage, document in zip(passages, documents, strict=True):
        needed = np.zeros(len(passage.units))
        for a, b in document["evidence"]:
            overlap = np.minimum(passage.units.end, b) - np.maximum(passage.units.start, a)
            size = passage.units.end - passage.units.start
            needed[(overlap >= 0.5 * size) | (overlap >= 0.5 * (b - a))] = 1.0
        parts.append(needed)
    return np.concatenate(parts)


class Features:
    """Reads requests and computes their features, with the functions of the run time."""

    def __init__(self, options: argparse.Namespace, importance: np.ndarray) -> None:
        networks = load_networks(options.backbone, options.weights, options.cross)
        self._encoder = TorchEncoder(networks)
        tokenize = load_tokenizer(options.backbone / "tokenizer.json")
        self._scorer = MiniScorer(self._encoder, tokenize, no_combiner(), importance)
        self._read = 0

    def example(self, query: str, documents: list[dict[str, Any]]) -> Example | None:
        """A request of weight 1; None where no document holds a unit."""
        passages = tuple(
            Passage(Document(d["text"], title=d["title"]), d["text"], sentences.split(d["text"]))
            for d in documents
        )
        if not any(len(p.units) for p in passages):
            return None
        values = self._scorer.unit_features(ScoreRequest(passages, query))[0]
        self._read += 1
        if self._read % 50 == 0:
            self._encoder.forget()
        back = np.random.default_rng(sum(query.encode())).random() < KEPT_BACK
        return Example(values, label(passages, documents), 1.0, 1.0, bool(back))


def measured(data: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The requests of three dev sets as ``evaluate.py`` makes them."""
    for name in ("hotpotqa_dev", "qed_dev", "squad_dev"):
        for record in build_requests(name, load_records(data / f"{name}.jsonl.xz")):
            yield (
                record.query,
                [
                    {"title": document.title, "text": document.text, "evidence": evidence}
                    for document, evidence in zip(record.documents, record.evidence, strict=True)
                ],
            )


def examples(options: argparse.Namespace, features: Features) -> list[Example]:
    """What the combiner is fitted on, weighted by its set."""
    found: dict[str, list[Example]] = {}
    for name, query, documents in requests(options.groups, random.Random(options.seed)):
        example = features.example(query, documents)
        if example is not None:
            found.setdefault(name, []).append(example)
    for name, some in found.items():
        for example in some:
            example.weight = WEIGHT.get(name, 1.0) * 400 / len(some)
            example.region_weight = REGION_WEIGHT.get(name, 1.0) * 400 / len(some)
    return [example for some in found.values() for example in some]


def no_combiner() -> Combiner:
    """For a scorer that is asked for features only."""
    none = np.zeros(0)
    return Combiner(none.astype(np.int64), none, none, ())


def write(combiner: Combiner, importance: np.ndarray, path: Path) -> None:
    """The part of the manifest that ``export.py`` copies."""
    content = {
        "features": [NAMES[i] for i in combiner.columns],
        "combiner": {
            "mean": combiner.mean.round(6).tolist(),
            "scale": combiner.scale.round(6).tolist(),
            "layers": [
                {"weight": w.round(5).tolist(), "bias": b.round(5).tolist()}
                for w, b in combiner.layers
            ],
            "temperature": combiner.temperature,
            "bias": combiner.bias,
        },
        "query_importance": importance.astype(float).round(6).tolist(),
    }
    path.write_text(json.dumps(content))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--backbone", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True, help="of train.py, or a bundle")
    parser.add_argument("--cross", type=Path, help="written by train_cross.py")
    parser.add_argument("--groups", type=Path, required=True)
    parser.add_argument("--calibrate", type=Path, help="folder of the dev sets")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    importance = earlier(options.weights)["importance.weight"][0].numpy()
    features = Features(options, importance)
    data = examples(options, features)
    fitted = [e for e in data if not e.kept_back]
    combiner = with_regions(fit(fitted, options.seed), fitted, options.seed)
    back: list[Example | None] = [e for e in data if e.kept_back]
    if options.calibrate:
        back = [features.example(*asked) for asked in measured(options.calibrate)]
    combiner = calibrate(combiner, [e for e in back if e is not None])
    write(combiner, importance, options.out)
    print(
        f"{len(data)} requests, temperature {combiner.temperature:.3f}, bias {combiner.bias:+.3f}"
    )


if __name__ == "__main__":
    main()
