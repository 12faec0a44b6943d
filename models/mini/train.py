"""Train the branches of `mini` on a frozen trunk.

    python models/mini/train.py --backbone DIR --data DIR --groups groups.jsonl --out RUN

A step reads about 4,300 tokens of windows once, without any question, and learns from them:

- `late`: every question of the step against every unit of the step, cross-entropy with the
  evidence units as positives, once by late interaction (the largest cosine of each query token,
  weighted by a learned importance of the token) and once by the cosine of mean states. Units of
  other articles, of the same article and of the same request are the negatives.
- `keep`: binary cross-entropy per token, targets by ``keep_labels.py``. Besides, the weakest token
  of each answer: an answer survives whole or not at all. On SQuAD (about five questions a
  paragraph) and, weighted 0.4, QED.

``--heads late`` or ``--heads keep`` trains one branch alone, ``--init`` begins with earlier
weights; the shipped ones were made in such turns (see README.md). ``--signals``, ``--surprisal``
(written by keep_labels.py) and ``--composed`` (by compose.py) are for the comparisons there.

Embeddings and the lower three layers stay those of all-MiniLM-L6-v2: what they know is kept, and
the forward over them needs no gradient. The exported weights are an exponential moving average.

Resumes from RUN/state.safetensors where it exists; the curve is in RUN/curve.jsonl. Runs on a GPU
unchanged. On 2 CPU cores with bfloat16: about 3 seconds a step, and a trap: several processes that
compete for the cores slow a step down five times.

"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keep_labels
import numpy as np
import torch
from prepare import held_out, load
from run import Run, arguments, draw, earlier
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from ctxzip.backends.tokenizers import load_tokenizer
from ctxzip.backends.torch.networks import BackboneConfig, Branch, Trunk, load_layers, load_trunk
from ctxzip.score.mini.windows import Window, question, windows
from ctxzip.segment import sentences
from ctxzip.text.units import Passage
from ctxzip.types import Document

RATE = {"late": 1.5e-4, "keep": 2.5e-4, "importance": 1e-3}
SET_WEIGHT = {"squad": 0.3, "qed": 0.35, "hop": 0.35, "long": 0.15}
LOSS_WEIGHT = {"late": 1.0, "mean": 0.7, "keep": 3.0}
SCALE = 25.0  # of cosines by late interaction; 20 for mean states, as the base model was trained


@dataclass
class Batch:
    """What one step reads.

    Attributes:
        queries: the questions, and for each the kind of data set it is from.
        units: number of units so far.
        positive: pairs of question and unit.
        windows: windows, with the number of their passage's first unit.
        keep: for each window the keep target of each token of its body, or None.
        weight: weight of those targets.
        answers: for each window the answers in it, as ranges of tokens of its body.
    """

    queries: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    units: int = 0
    positive: list[tuple[int, int]] = field(default_factory=list)
    windows: list[tuple[Window, int]] = field(default_factory=list)
    keep: list[np.ndarray | None] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)
    answers: list[list[tuple[int, int]]] = field(default_factory=list)


class Source:
    """Draws batches from the prepared data."""

    def __init__(self, options: argparse.Namespace, seed: int) -> None:
        data: Path = options.data
        self.heads: Sequence[str] = options.heads
        self.signals: Sequence[str] = options.signals
        self.rng = random.Random(seed)
        self.tokenize = load_tokenizer(options.backbone / "tokenizer.json")
        self.surprisal = keep_labels.read(options.surprisal) if options.surprisal else {}
        self.articles: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for record in load(data, "squad_train"):
            document = record["documents"][0]
            known = not self.surprisal or document["text"] in self.surprisal
            if known and not held_out(document["title"], "squad"):
                texts = self.articles.setdefault(document["title"], {})
                texts.setdefault(document["text"], []).append(record)
        self.asked: dict[str, list[dict[str, Any]]] = {}
        for record in load(data, "qed_train"):
            self.asked.setdefault(record["documents"][0]["text"], []).append(record)
        self.groups: dict[str, list[dict[str, Any]]] = {}
        for path in filter(None, (options.groups, options.composed)):
            with path.open(encoding="utf-8") as lines:
                for group in map(json.loads, lines):
                    if not group["hold"] and group["set"] != "squad":
                        self.groups.setdefault(group["set"], []).append(group)
        self._blocks = self._squad_blocks()
        self._cursors = {name: self._cycle(some) for name, some in self.groups.items()}

    def _cycle(self, groups: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        while True:
            self.rng.shuffle(groups)
            yield from groups

    def _squad_blocks(self) -> Iterator[tuple[str, list[str]]]:
        while True:
            blocks = []
            for title, paragraphs in self.articles.items():
                texts = list(paragraphs)
                if self.rng.random() < 0.5:
                    self.rng.shuffle(texts)
                blocks += [(title, texts[i : i + 5]) for i in range(0, len(texts), 5)]
            self.rng.shuffle(blocks)
            yield from blocks

    def batch(self, step: int) -> Batch:
        """Ten SQuAD paragraphs, four QED groups, a multi-hop request, at times a long one.

        For `keep` alone twenty paragraphs and six groups.
        """
        batch, alone = Batch(), "late" not in self.heads
        for _ in range(4 if alone else 2):
            title, texts = next(self._blocks)
            for text in texts:
                records = self.articles[title][text]
                asked = [r for r in records if r["documents"][0]["evidence"]]
                chosen = self.rng.sample(asked, min(3, len(asked)))
                evidence = []
                for record in chosen:
                    evidence.append((len(batch.queries), record["documents"][0]["evidence"]))
                    batch.queries.append(record["query"])
                    batch.kinds.append("squad")
                self._add(batch, title, text, evidence, records)
        for _ in range(6 if alone else 4):
            self._group(batch, "qed", "qed", 1 if alone else 3)
        if alone:
            return batch
        name = self.rng.choices(("2wiki", "hotpotqa", "musique"), (0.66, 0.22, 0.12))[0]
        self._group(
            batch, "composed" if "composed" in self.groups and step % 2 else name, "hop", 10
        )
        if step % 2 == 0:
            self._group(batch, "evidence_inference" if step % 4 else "qmsum", "long", 5)
        return batch

    def _group(self, batch: Batch, name: str, kind: str, most: int) -> None:
        group = next(self._cursors[name])
        number = len(batch.queries)
        batch.queries.append(group["query"])
        batch.kinds.append(kind)
        gold = [d for d in group["documents"] if d["evidence"]]
        rest = [d for d in group["documents"] if not d["evidence"]]
        for document in (gold + rest)[: max(most, len(gold))]:
            records = self.asked.get(document["text"], []) if name == "qed" else []
            evidence = [(number, document["evidence"])]
            self._add(batch, document["title"], document["text"], evidence, records)

    def _add(
        self,
        batch: Batch,
        title: str,
        text: str,
        evidence: list[tuple[int, Any]],
        records: list[Any],
    ) -> None:
        units = sentences.split(text)
        title = title if self.rng.random() > 0.15 else ""
        first = batch.units
        batch.units += len(units)
        for number, spans in evidence:
            for a, b in spans:
                overlap = np.minimum(units.end, b) - np.maximum(units.start, a)
                inside = (overlap >= 0.5 * (units.end - units.start)) | (overlap >= 0.5 * (b - a))
                batch.positive += [(number, first + int(u)) for u in np.flatnonzero(inside)]
        target: np.ndarray | None = None
        answers: list[tuple[int, int]] = []
        known = self.surprisal.get(text)
        if records and (known or not self.surprisal):
            target, answers = keep_labels.targets(text, records, self.signals, known)
        for window in windows(Passage(Document(text, title=title), text, units), self.tokenize)[:2]:
            batch.windows.append((window, first))
            ranges = []
            if target is None:
                batch.keep.append(None)
            else:
                spans = zip(window.start.tolist(), window.end.tolist(), strict=True)
                batch.keep.append(
                    np.array([target[a:b].max(initial=0) for a, b in spans], np.float32)
                )
                for a, b in sorted(set(answers)):
                    inside = np.flatnonzero((window.start < b) & (window.end > a))
                    if len(inside):
                        ranges.append((int(inside[0]), int(inside[-1]) + 1))
            batch.answers.append(ranges)
            batch.weight.append(1.0 if len(records) > 1 else 0.4)


class Networks(nn.Module):
    """What is trained, beside the frozen trunk."""

    def __init__(self, original: Mapping[str, Tensor]) -> None:
        super().__init__()
        config = BackboneConfig()
        self.late = Branch(config)
        self.keep = Branch(config, logits=True)
        self.importance = nn.Linear(config.hidden, 1)
        self.scale = nn.Parameter(torch.tensor(math.log(SCALE)))
        load_layers(self.late.layers, original, config.trunk_layers)
        load_layers(self.keep.layers, original, config.trunk_layers)
        nn.init.zeros_(self.importance.weight)
        nn.init.zeros_(self.importance.bias)
        if self.keep.logit is not None:
            nn.init.normal_(self.keep.logit.weight, std=0.02)
            nn.init.constant_(self.keep.logit.bias, -1.0)

    def groups(self, factor: float) -> list[dict[str, Any]]:
        """Parameter groups with their learning rates; no decay on vectors."""
        result: list[dict[str, Any]] = []
        for name, base in RATE.items():
            rate = base * factor
            some = list(getattr(self, name).parameters())
            result.append(
                {"params": [p for p in some if p.ndim > 1], "base": rate, "weight_decay": 0.01}
            )
            result.append(
                {"params": [p for p in some if p.ndim <= 1], "base": rate, "weight_decay": 0.0}
            )
        rate = RATE["importance"] * factor
        result.append({"params": [self.scale], "base": rate, "weight_decay": 0.0})
        return result


def pad(rows: list[np.ndarray], device: torch.device) -> tuple[Tensor, Tensor]:
    """Rows of ids → (B, L) ids and mask."""
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.from_numpy(row)
        mask[i, : len(row)] = 1
    return ids.to(device), mask.to(device)


def losses(
    trunk: Trunk,
    networks: Networks,
    batch: Batch,
    asked: list[np.ndarray],
    device: torch.device,
    heads: Sequence[str],
) -> dict[str, Tensor]:
    """The losses of a step: ``late`` and ``mean`` over questions, ``keep`` over tokens."""
    cast = torch.autocast(device.type, torch.bfloat16)
    states, unit = [], []
    keep_sum = keep_weight = torch.zeros((), device=device)
    order = sorted(range(len(batch.windows)), key=lambda i: len(batch.windows[i][0].ids))
    size = -(-len(order) // 4)
    for part in (order[i : i + size] for i in range(0, len(order), size)):
        ids, mask = pad([batch.windows[i][0].ids for i in part], device)
        with torch.no_grad(), cast:
            below = trunk(ids, mask)
        if "late" in heads:
            with cast:
                late = networks.late(below, mask).float()
            for row, i in enumerate(part):
                window, first = batch.windows[i]
                states.append(late[row, window.body : len(window.ids) - 1])
                unit.append(torch.from_numpy(window.unit + first).to(device))
        if "keep" in heads:
            with cast:
                keep = networks.keep(below, mask).float()
            for row, i in enumerate(part):
                target, window = batch.keep[i], batch.windows[i][0]
                if target is not None:
                    logits = keep[row, window.body : len(window.ids) - 1]
                    loss = _keep_loss(logits, torch.from_numpy(target).to(device), batch.answers[i])
                    keep_sum = keep_sum + batch.weight[i] * loss
                    keep_weight = keep_weight + batch.weight[i] * len(target)
    result = {"keep": keep_sum / keep_weight} if "keep" in heads else {}
    if "late" not in heads:
        return result
    ids, mask = pad(asked, device)
    with torch.no_grad(), cast:
        below = trunk(ids, mask)
    with cast:
        query = networks.late(below, mask).float()
    late_scores, mean_scores, seen = _scores(
        networks, torch.cat(states), torch.cat(unit), query, mask, batch.units
    )
    positive = torch.zeros(batch.units, len(asked), dtype=torch.bool, device=device)
    for number, which in batch.positive:
        positive[which, number] = True
    result["late"] = _listwise(late_scores[seen], positive[seen], batch.kinds)
    result["mean"] = _listwise(mean_scores[seen], positive[seen], batch.kinds)
    return result


def _keep_loss(logits: Tensor, target: Tensor, answers: list[tuple[int, int]]) -> Tensor:
    """Cross-entropy of every token, and of the weakest one of each answer, summed."""
    total = functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")
    for start, end in answers:
        total = total + 0.4 * functional.softplus(-logits[start:end].min())
    return total


def _scores(
    networks: Networks, states: Tensor, unit: Tensor, query: Tensor, mask: Tensor, n: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Scores (n, queries) by late interaction and by mean states, and which units were read."""
    inner = mask.bool().clone()
    inner[:, 0] = False
    inner[torch.arange(len(mask)), mask.sum(1) - 1] = False
    weight = networks.importance(query).squeeze(-1).masked_fill(~inner, -1e4).softmax(1)[inner]
    owner = torch.arange(len(mask), device=mask.device)[:, None].expand_as(mask)[inner]
    near = functional.normalize(states, dim=-1) @ functional.normalize(query[inner], dim=-1).T
    best = torch.full((n, near.shape[1]), -1.0, device=near.device)
    best = best.scatter_reduce(0, unit[:, None].expand_as(near), near, "amax")
    late = torch.zeros(n, len(mask), device=near.device).index_add(1, owner, best * weight)
    count = torch.zeros(n, device=near.device).index_add(
        0, unit, torch.ones_like(unit, dtype=torch.float)
    )
    total = torch.zeros(n, states.shape[1], device=near.device).index_add(0, unit, states)
    pooled = (query * mask[..., None]).sum(1)
    mean = functional.normalize(total, dim=-1) @ functional.normalize(pooled, dim=-1).T
    return late * networks.scale.exp(), mean * 20.0, count > 0


def _listwise(score: Tensor, positive: Tensor, kinds: list[str]) -> Tensor:
    """Cross-entropy of each positive against all negatives; kinds of data weighted as set."""
    negative = torch.logsumexp(score.masked_fill(positive, -1e4), 0)
    loss = ((torch.logaddexp(score, negative) - score) * positive).sum(0)
    loss = loss / positive.sum(0).clamp(min=1)
    total = torch.zeros((), device=score.device)
    for kind, weight in SET_WEIGHT.items():
        mine = torch.tensor([k == kind for k in kinds], device=score.device) & positive.any(0)
        if mine.any():
            total = total + weight * loss[mine].mean()
    return total


def train(options: argparse.Namespace) -> None:
    """The loop."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(options.seed)
    torch.set_flush_denormal(True)
    original = load_file(options.backbone / "model.safetensors")
    trunk = Trunk(BackboneConfig())
    load_trunk(trunk, original)
    trunk.requires_grad_(False).eval().to(device)
    networks = Networks(original).to(device)
    if options.init:
        networks.load_state_dict(earlier(options.init), strict=False)
    optimizer = torch.optim.AdamW(networks.groups(options.rate), lr=0.0, betas=(0.9, 0.98))
    run = Run(
        options.out,
        networks,
        optimizer,
        minutes=options.minutes,
        warmup=40,
        memory=0.99,
        every=100,
    )
    source = Source(options, options.seed + run.steps)
    while run.goes_on():
        batch = source.batch(run.steps)
        asked = [question(query, source.tokenize)[0] for query in batch.queries]
        parts = losses(trunk, networks, batch, asked, device, options.heads)
        run.learn(parts, LOSS_WEIGHT, (networks.late, networks.keep, networks.importance))
    save_file(run.weights(), options.out / "weights.safetensors")


def main() -> None:
    """The command."""
    parser = arguments(__doc__, minutes=45.0)
    parser.add_argument("--init", type=Path, help="weights to begin with; default the backbone's")
    parser.add_argument(
        "--heads", type=lambda s: s.split(","), default=["late", "keep"], help="what to train"
    )
    parser.add_argument(
        "--signals",
        type=lambda s: s.split(","),
        default=keep_labels.SIGNALS,
        help="what keep learns from; beside the default, surprisal",
    )
    parser.add_argument("--surprisal", type=Path, help="keep then learns from its paragraphs alone")
    parser.add_argument("--composed", type=Path, help="every other multi-hop request is one of it")
    parser.add_argument("--rate", type=float, default=1.0, help="factor of the learning rates")
    options = parser.parse_args()
    train(options)
    draw(options.out)


if __name__ == "__main__":
    main()
