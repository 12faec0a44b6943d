"""Fit the combiner of `mini` on requests that its networks were not trained on, and calibrate it.

    python models/mini/combine.py --backbone DIR --weights weights.safetensors \
        --groups groups.jsonl --out combiner.json

Every request is used whole, with fewer of its passages, and now and then without the ones that
answer it (then nothing is needed). The combiner is a network of one hidden layer on standardised
features; members of two sizes share their input and are averaged, and a linear path is added; it
is written as one matrix after another. A linear path for the regions of long documents is fitted on
top. Loss: cross-entropy of each needed unit against the others
of its request, and binary cross-entropy. ``calibrate`` then fits two numbers on requests that were
kept back from the fit: P(needed) = sigmoid(logit / temperature + bias).
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from export import load_networks
from torch import nn
from torch.nn import functional

from ctxzip.backends.wordpieces import load_tokenizer
from ctxzip.score.base import ScoreRequest
from ctxzip.score.combiner import Combiner, combine
from ctxzip.score.features import NAMES
from ctxzip.score.mini import MiniScorer
from ctxzip.segment import sentences
from ctxzip.types import Document
from ctxzip.units import FloatArray, IntArray, Passage

LIMIT = {"squad": 400, "qed": 450, "qmsum": 200, "evidence_inference": 70}
WEIGHT = {
    "squad": 2.0, "qed": 2.0, "qmsum": 2.0, "2wiki": 0.6, "musique": 0.5, "numbered": 0.3,
}  # fmt: skip
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
EPOCHS = 12
SHAPES = ((8, 6, 0.2), (1, 2, 0.2))  # hidden units, members, weight decay
# The loss counts sentences, but what a meeting says about a question is of use as a whole: with
# twice the weights that it finds, .41 instead of .34 of the evidence of held-out meetings survives.
REGION_GAIN, REGION_EPOCHS = 2.0, 6


@dataclass
class Example:
    """Features (n, F) and labels (n,) of a request, and its weight in the loss."""

    features: FloatArray
    label: FloatArray
    weight: float
    kept_back: bool


class TorchEncoder:
    """The networks as the scorer wants them, run by torch, remembering what they read."""

    def __init__(self, networks: dict[str, nn.Module]) -> None:
        self._networks = networks
        self._known: dict[bytes, np.ndarray] = {}

    def has(self, name: str) -> bool:
        """Only what is needed here."""
        return name in ("trunk", "late")

    def states(self, windows: Sequence[IntArray]) -> Iterator[tuple[int, np.ndarray]]:
        """Token states, eight windows of about the same length at a time."""
        todo = [i for i, ids in enumerate(windows) if ids.tobytes() not in self._known]
        todo.sort(key=lambda i: len(windows[i]))
        for part in (todo[i : i + 8] for i in range(0, len(todo), 8)):
            ids = torch.zeros(len(part), len(windows[part[-1]]), dtype=torch.long)
            mask = torch.zeros_like(ids)
            for row, i in enumerate(part):
                ids[row, : len(windows[i])] = torch.from_numpy(windows[i])
                mask[row, : len(windows[i])] = 1
            with torch.no_grad():
                states = self._networks["late"](self._networks["trunk"](ids, mask), mask).numpy()
            for row, i in enumerate(part):
                self._known[windows[i].tobytes()] = states[row, : len(windows[i])]
        for i, ids in enumerate(windows):
            yield i, self._known[ids.tobytes()]

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


def examples(options: argparse.Namespace, importance: np.ndarray) -> list[Example]:
    """Read every request and compute its features, with the functions of the run time."""
    rng = random.Random(options.seed)
    encoder = TorchEncoder(load_networks(options.backbone, options.weights))
    tokenize = load_tokenizer(options.backbone / "tokenizer.json")
    scorer = MiniScorer(encoder, tokenize, no_combiner(), importance)
    found: dict[str, list[Example]] = {}
    for number, (name, query, documents) in enumerate(requests(options.groups, rng)):
        passages = tuple(
            Passage(Document(d["text"], title=d["title"]), d["text"], sentences.split(d["text"]))
            for d in documents
        )
        if not any(len(p.units) for p in passages):
            continue
        values = scorer.unit_features(ScoreRequest(passages, query))[0]
        back = np.random.default_rng(sum(query.encode())).random() < KEPT_BACK
        found.setdefault(name, []).append(
            Example(values, label(passages, documents), 1.0, bool(back))
        )
        if number % 50 == 49:
            encoder.forget()
    for name, some in found.items():
        for example in some:
            example.weight = WEIGHT.get(name, 1.0) * 400 / len(some)
    return [example for some in found.values() for example in some]


def no_combiner() -> Combiner:
    """For a scorer that is asked for features only."""
    none = np.zeros(0)
    return Combiner(none.astype(np.int64), none, none, ())


class Members(nn.Module):
    """Small networks side by side, with a common linear path."""

    def __init__(self, width: int, hidden: int, members: int) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(width, hidden) for _ in range(members))
        self.out = nn.ModuleList(nn.Linear(hidden, 1) for _ in range(members))
        self.linear = nn.Linear(width, 1)
        self.drop = nn.Dropout(0.1)
        nn.init.zeros_(self.linear.weight)
        nn.init.constant_(self.linear.bias, -2.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, F) → (n, members) logits."""
        x = self.drop(x)
        parts = [b(torch.relu(a(x))) for a, b in zip(self.hidden, self.out, strict=True)]
        return self.linear(x) + torch.cat(parts, dim=1)


def fit(data: Sequence[Example], seed: int) -> Combiner:
    """Fit the combiner on the features that vary."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    values = np.concatenate([e.features for e in data])
    varies = np.ptp(values, axis=0) > 0
    columns = np.flatnonzero(varies & ["_region_" not in name for name in NAMES])
    values = values[:, columns]
    share = np.concatenate([np.full(len(e.label), 1 / len(e.label)) for e in data])
    share /= share.sum()
    mean = share @ values
    scale = np.sqrt(share @ (values - mean) ** 2) + 1e-3
    rows = [
        (
            torch.from_numpy(np.clip((e.features[:, columns] - mean) / scale, -6, 6)).float(),
            torch.from_numpy(e.label).float(),
            e.weight,
        )
        for e in data
    ]
    parts = []
    for hidden, members, decay in SHAPES:
        net = Members(values.shape[1], hidden, members)
        _optimise(net, rows, decay, rng)
        parts.append(_merged(net.eval()))
    first = np.concatenate([w for (w, _), _ in parts], axis=1)
    first_bias = np.concatenate([b for (_, b), _ in parts])
    second = np.concatenate([w / len(parts) for _, (w, _) in parts])
    second_bias = np.mean([b for _, (_, b) in parts], axis=0)
    return Combiner(columns, mean, scale, ((first, first_bias), (second, second_bias)))


def with_regions(combiner: Combiner, data: Sequence[Example], seed: int) -> Combiner:
    """Add a linear path for the regions of long documents, fitted with the rest as it is.

    Regions are 0 in short passages, so nothing changes there.
    """
    columns = np.array([i for i, name in enumerate(NAMES) if "_region_" in name])
    rows = [
        (
            torch.from_numpy(combine(combiner, e.features)).float(),
            torch.from_numpy(np.clip(e.features[:, columns], -6, 6)).float(),
            torch.from_numpy(e.label).float(),
            e.weight,
        )
        for e in data
    ]
    path = torch.zeros(len(columns), requires_grad=True)
    optimizer = torch.optim.Adam([path], lr=0.05)
    rng, step = random.Random(seed), 0
    for _ in range(REGION_EPOCHS):
        rng.shuffle(rows)
        for i in range(0, len(rows) - 15, 16):
            for group in optimizer.param_groups:
                group["lr"] = 0.05 * (1 - step / (REGION_EPOCHS * (len(rows) // 16)))
            part = rows[i : i + 16]
            logits = torch.cat([z + x @ path for z, x, _, _ in part])[:, None]
            y = torch.cat([y for _, _, y, _ in part])
            weight = torch.tensor([w for _, _, _, w in part])
            loss = _loss(logits, y, _owners([y for _, _, y, _ in part]), weight) / len(part)
            optimizer.zero_grad()
            (loss + 1e-3 * (path**2).sum()).backward()
            optimizer.step()
            step += 1
    found = REGION_GAIN * path.detach().numpy().astype(np.float64)[:, None]
    (first, first_bias), (second, second_bias) = combiner.layers
    first = np.block(
        [
            [first, np.zeros((len(first), 2))],
            [np.zeros((len(columns), first.shape[1])), found, -found],
        ]
    )
    return replace(
        combiner,
        columns=np.concatenate([combiner.columns, columns]),
        mean=np.concatenate([combiner.mean, np.zeros(len(columns))]),
        scale=np.concatenate([combiner.scale, np.ones(len(columns))]),
        layers=(
            (first, np.concatenate([first_bias, np.zeros(2)])),
            (np.concatenate([second, [[1.0], [-1.0]]]), second_bias),
        ),
    )


def _owners(labels: Sequence[torch.Tensor]) -> torch.Tensor:
    """The number of its request for every unit."""
    return torch.repeat_interleave(
        torch.arange(len(labels)), torch.tensor([len(y) for y in labels])
    )


Row = tuple[torch.Tensor, torch.Tensor, float]
Layers = tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]


def _optimise(net: Members, rows: list[Row], decay: float, rng: random.Random) -> None:
    """AdamW over all rows, sixteen requests a step."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=decay)
    steps, step = EPOCHS * (len(rows) // 16), 0
    for _ in range(EPOCHS):
        rng.shuffle(rows)
        for i in range(0, len(rows) - 15, 16):
            for group in optimizer.param_groups:
                group["lr"] = 2e-3 * max(0.02, 1 - step / steps)
            part = rows[i : i + 16]
            owner = _owners([y for _, y, _ in part])
            weight = torch.tensor([w for _, _, w in part])
            y = torch.cat([y for _, y, _ in part])
            loss = _loss(net(torch.cat([x for x, _, _ in part])), y, owner, weight) / len(part)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1


def _loss(
    logits: torch.Tensor, y: torch.Tensor, owner: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Sum over requests: logits (n, members), labels and request of each unit (n,)."""
    requests, members = len(weight), logits.shape[1]
    target = y[:, None].expand_as(logits)
    each = functional.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(1)
    needed = torch.zeros(requests).index_add(0, owner, y)
    binary = torch.zeros(requests).index_add(0, owner, each) / (4 * needed.clamp(min=1))
    negative = torch.where(y[:, None] > 0, -1e4, logits)
    top = torch.full((requests, members), -1e4)
    top = top.scatter_reduce(0, owner[:, None].expand_as(negative), negative, "amax").detach()
    total = torch.zeros(requests, members).index_add(0, owner, (negative - top[owner]).exp())
    rest = (top + total.clamp(min=1e-9).log())[owner]
    ranked = ((torch.logaddexp(logits, rest) - logits).mean(1)) * y
    listwise = torch.zeros(requests).index_add(0, owner, ranked) / needed.clamp(min=1)
    total_loss: torch.Tensor = (weight * (0.5 * binary + listwise)).sum()
    return total_loss


def _merged(net: Members) -> Layers:
    """The members as one hidden layer; the linear path as a pair of opposite rectified units."""
    n = len(net.hidden)
    with torch.no_grad():
        path = net.linear.weight.T
        first = torch.cat([*(a.weight.T for a in net.hidden), path, -path], dim=1)
        first_bias = torch.cat([*(a.bias for a in net.hidden), torch.zeros(2)])
        second = torch.cat([*(b.weight.T / n for b in net.out), torch.tensor([[1.0], [-1.0]])])
        second_bias = net.linear.bias + sum(b.bias for b in net.out) / n
    double = np.float64
    return (
        (first.numpy().astype(double), first_bias.numpy().astype(double)),
        (second.numpy().astype(double), second_bias.numpy().astype(double)),
    )


def calibrate(combiner: Combiner, data: Sequence[Example]) -> Combiner:
    """Temperature and bias by maximum likelihood, every request weighted alike."""
    logit = torch.from_numpy(np.concatenate([combine(combiner, e.features) for e in data]))
    y = torch.from_numpy(np.concatenate([e.label for e in data]))
    share = torch.from_numpy(
        np.concatenate([np.full(len(e.label), e.weight / len(e.label)) for e in data])
    )
    slope, bias = torch.ones(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([slope, bias], max_iter=100)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        each = functional.binary_cross_entropy_with_logits(
            logit * slope + bias, y, reduction="none"
        )
        loss = (each * share).sum() / share.sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return replace(combiner, temperature=1 / slope.item(), bias=bias.item())


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
    from safetensors.torch import load_file

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--backbone", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--groups", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    importance = load_file(options.weights)["importance.weight"][0].numpy()
    data = examples(options, importance)
    fitted = [e for e in data if not e.kept_back]
    combiner = with_regions(fit(fitted, options.seed), fitted, options.seed)
    combiner = calibrate(combiner, [e for e in data if e.kept_back])
    write(combiner, importance, options.out)
    print(
        f"{len(data)} requests, temperature {combiner.temperature:.3f}, bias {combiner.bias:+.3f}"
    )


if __name__ == "__main__":
    main()
