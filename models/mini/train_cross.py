"""Train the cross-encoder of `mini`: question and window read together, on cached trunk states.

    python models/mini/train_cross.py --backbone DIR --data DIR --groups groups.jsonl \\
                                      --init RUN/weights.safetensors --out RUN_CROSS

The network begins near the late interaction of `late`, see ``CrossBranch``. A step reads some
requests, each window of them with its question, and learns from three things, each a cross-entropy
over the whole request:

- the units, by their relevance, evidence against all others;
- the windows, by a logit read at the question's ``[CLS]``, those with evidence against the others;
- the tokens, by a second logit: any token of an answer against all others (where a record has
  answers), as an extractive reader would be trained.

Most questions are read with the one passage that answers them, which teaches it to read for few
tokens; the others with passages that look alike, which keeps the logits of passages comparable
(Clark and Gardner, "Simple and Effective Multi-Paragraph Reading Comprehension", ACL 2018).

Units and windows are also judged one by one, so that the logits of a request that nothing answers
are low. The frozen trunk reads every window once; its states stay in memory (about 4 GB).

Resumes from OUT/state.safetensors where it exists; the curve is in OUT/curve.jsonl.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from prepare import held_out, load
from run import Run, arguments, draw, earlier
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from train import pad

from ctxzip.backends.tokenizers import load_tokenizer
from ctxzip.backends.torch.networks import BackboneConfig, CrossBranch, Trunk, load_trunk
from ctxzip.score.mini.windows import question, windows
from ctxzip.segment import sentences
from ctxzip.text.units import Passage
from ctxzip.types import Document

RATE = {"layers": 2e-4, "heads": 1e-3}
CHECKED = 400  # steps between checkpoints, and between looks at held-out requests
ROWS_TOKENS = 4_096  # tokens of question and window that are read at once
DROP = 0.1  # of the trunk's states, while training
UNTITLED = 0.1
ALONE = (("squad", 14), ("qed", 4))  # questions of a step, with the passage that answers them
# Other requests of a step: set, how many, and how many documents of each are read.
STEP = (("squad", 3, 3), ("qed", 2, 4))
HOPS = ((("2wiki", "hotpotqa", "musique"), (0.66, 0.22, 0.12)), 1, 7)  # every other step
LONG = ((("qmsum", "evidence_inference"), (0.5, 0.5)), 1, 5)  # every fourth step


@dataclass(frozen=True, slots=True)
class Row:
    """A window of a request.

    Attributes:
        ids: its token ids.
        body: index of the first token of its text.
        unit: unit of each token of the text, counted over the request.
        answer: whether each of them lies in an answer.
    """

    ids: np.ndarray
    body: int
    unit: np.ndarray
    answer: np.ndarray


@dataclass(frozen=True, slots=True)
class Example:
    """A question, windows, and which units are needed."""

    query: np.ndarray
    rows: list[Row]
    needed: np.ndarray


# Of a window's n tokens of text: relevance (n,), answer logits (n,), similarities (n, Q), and the
# logit of the window.
Read: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor]


class Examples:
    """Requests as the cross-encoder reads them."""

    def __init__(self, data: Path, groups: Path, tokenizer: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.tokenize = load_tokenizer(tokenizer)
        self.answers: dict[str, list[str]] = {}
        for name in ("squad_train", "qed_train"):
            for record in load(data, name):
                self.answers.setdefault(record["query"], []).extend(filter(None, record["answers"]))
        self.groups: dict[str, list[dict[str, Any]]] = {}
        self.held_out: dict[str, list[dict[str, Any]]] = {}
        with groups.open(encoding="utf-8") as lines:
            for line in lines:
                group = json.loads(line)
                some = self.held_out if group["hold"] else self.groups
                some.setdefault(group["set"], []).append(group)
        self._data = data
        self._cursors = {name: self._cycle(some) for name, some in self.groups.items()}
        self._alone = {name: self._cycle(self.answered(name)) for name, _ in ALONE}

    def _cycle(self, groups: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        while True:
            self.rng.shuffle(groups)
            yield from groups

    def answered(self, name: str, *, held: bool = False) -> list[dict[str, Any]]:
        """Every question of a set, held out or not, with the one passage that answers it."""
        found = []
        for record in load(self._data, f"{name}_train"):
            document = record["documents"][0]
            if document["evidence"] and held_out(document["title"], name) == held:
                found.append({"query": record["query"], "documents": [document]})
        return found

    def step(self, number: int) -> list[Example]:
        """The requests of a step."""
        chosen = list(STEP)
        for (names, weights), n, most in (HOPS,) * (number % 2 == 0) + (LONG,) * (number % 4 == 1):
            chosen.append((self.rng.choices(names, weights)[0], n, most))
        drawn = [(self._alone[name], n, 1) for name, n in ALONE]
        drawn += [(self._cursors[name], n, most) for name, n, most in chosen]
        return [self.example(next(some), most) for some, n, most in drawn for _ in range(n)]

    def example(self, group: dict[str, Any], most: int) -> Example:
        """A request of at most ``most`` documents, those with evidence among them."""
        gold = [d for d in group["documents"] if d["evidence"]]
        rest = [d for d in group["documents"] if not d["evidence"]]
        rest = self.rng.sample(rest, min(len(rest), max(1, most - len(gold))))
        answers = self.answers.get(group["query"], [])
        rows: list[Row] = []
        needed: list[np.ndarray] = []
        for document in gold + rest:
            first = sum(map(len, needed))
            some, mine = self._rows(document, answers, first)
            rows += some
            needed.append(mine)
        return Example(question(group["query"], self.tokenize)[0], rows, np.concatenate(needed))

    def _rows(
        self, document: dict[str, Any], answers: Sequence[str], first: int
    ) -> tuple[list[Row], np.ndarray]:
        text, units = document["text"], sentences.split(document["text"])
        # The same choice each time, so that the trunk's states can be remembered.
        known = sum(text[:40].encode()) % 100 >= UNTITLED * 100
        title = document["title"] if known else ""
        needed = np.zeros(len(units), bool)
        answer = np.zeros(len(text), bool)
        for a, b in document["evidence"]:
            overlap = np.minimum(units.end, b) - np.maximum(units.start, a)
            needed |= (overlap >= 0.5 * (units.end - units.start)) | (overlap >= 0.5 * (b - a))
            for wanted in answers:
                at = text.find(wanted, a, b)
                if at >= 0:
                    answer[at : at + len(wanted)] = True
        passage = Passage(Document(text, title=title), text, units)
        return [
            Row(
                w.ids,
                w.body,
                w.unit + first,
                np.array([answer[a:b].any() for a, b in zip(w.start, w.end, strict=True)], bool),
            )
            for w in windows(passage, self.tokenize)[:2]
        ], needed


class Reader:
    """The frozen trunk, and its states of windows that it has read."""

    def __init__(self, trunk: Trunk, device: torch.device) -> None:
        self.trunk, self.device = trunk, device
        self._known: dict[bytes, Tensor] = {}

    def states(self, rows: Sequence[np.ndarray]) -> list[Tensor]:
        """(L, H) bfloat16 of each row of ids."""
        keys = [row.tobytes() for row in rows]
        new = [i for i, key in enumerate(keys) if key not in self._known]
        new = list({keys[i]: i for i in new}.values())
        new.sort(key=lambda i: len(rows[i]))
        for a in range(0, len(new), 16):
            part = new[a : a + 16]
            ids, mask = pad([rows[i] for i in part], self.device)
            with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16):
                read = self.trunk(ids, mask).to(torch.bfloat16)
            for row, i in enumerate(part):
                self._known[keys[i]] = read[row, : len(rows[i])].clone()
        return [self._known[key] for key in keys]


def read(reader: Reader, network: CrossBranch, examples: Sequence[Example]) -> list[list[Read]]:
    """What the network says of each window of each request."""
    device = reader.device
    pairs = [(e, r) for e, example in enumerate(examples) for r in range(len(example.rows))]
    pairs.sort(key=lambda p: len(examples[p[0]].rows[p[1]].ids))
    asked = reader.states([example.query for example in examples])
    result: list[list[Any]] = [[None] * len(example.rows) for example in examples]
    at = 0
    while at < len(pairs):
        stop = at + 1
        while stop < len(pairs):
            width = len(examples[pairs[stop][0]].rows[pairs[stop][1]].ids) + 24
            if width * (stop + 1 - at) > ROWS_TOKENS:
                break
            stop += 1
        part, at = pairs[at:stop], stop
        given = reader.states([examples[e].rows[r].ids for e, r in part])
        query, query_mask = stack([asked[e] for e, _ in part], device)
        window, mask = stack(given, device)
        if network.training:
            query, window = functional.dropout(query, DROP), functional.dropout(window, DROP)
        with torch.autocast(device.type, torch.bfloat16):
            token, similar, whole = network(query, query_mask, window, mask)
        token, similar, whole = token.float(), similar.float(), whole.float()
        for i, (e, r) in enumerate(part):
            row = examples[e].rows[r]
            text = slice(row.body, len(row.ids) - 1)
            result[e][r] = (token[i, text, 0], token[i, text, 1], similar[i, text], whole[i])
    return result


def stack(states: Sequence[Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    """Rows of states → (B, L, H) states and a mask."""
    length = max(len(s) for s in states)
    result = torch.zeros(len(states), length, states[0].shape[1], device=device)
    mask = torch.zeros(len(states), length, dtype=torch.long, device=device)
    for i, s in enumerate(states):
        result[i, : len(s)] = s
        mask[i, : len(s)] = 1
    return result, mask


def unit_logits(example: Example, parts: Sequence[Read]) -> Tensor:
    """The relevance of each unit; -30 for units that no window holds.

    The mean relevance of its tokens, and for each query token the largest similarity.
    """
    unit = torch.from_numpy(np.concatenate([row.unit for row in example.rows]))
    value = torch.cat([part[0] for part in parts])
    size = len(example.query)
    similar = torch.cat([part[2][:, :size] for part in parts])
    unit, n = unit.to(value.device), len(example.needed)
    count = torch.zeros(n, device=value.device).index_add(0, unit, torch.ones_like(value))
    total = torch.zeros(n, device=value.device).index_add(0, unit, value)
    best = torch.full((n, size), -1e4, device=value.device)
    best = best.scatter_reduce(0, unit[:, None].expand_as(similar), similar, "amax").sum(1)
    return torch.where(count > 0, total / count.clamp(min=1) + best, -30.0)


def losses(examples: Sequence[Example], read_: Sequence[Sequence[Read]]) -> dict[str, Tensor]:
    """The losses of a step, each a mean over its requests."""
    found: dict[str, list[Tensor]] = {"units": [], "windows": [], "tokens": []}
    for example, parts in zip(examples, read_, strict=True):
        needed = torch.from_numpy(example.needed)
        found["units"].append(_choice(unit_logits(example, parts), needed))
        holds = torch.tensor([bool(example.needed[row.unit].any()) for row in example.rows])
        if not holds.all():
            found["windows"].append(_choice(torch.stack([p[3] for p in parts]), holds))
        token = torch.cat([p[1] for p in parts])
        answer = torch.from_numpy(np.concatenate([row.answer for row in example.rows]))
        answer = answer.to(token.device)
        if answer.any():
            inside = torch.logsumexp(token.masked_fill(~answer, -1e4), 0)
            found["tokens"].append(torch.logsumexp(token, 0) - inside)
    return {name: torch.stack(some).mean() for name, some in found.items() if some}


def _choice(score: Tensor, positive: Tensor) -> Tensor:
    """Cross-entropy of each positive against all negatives, and of each item by itself."""
    positive = positive.to(score.device)
    each = functional.binary_cross_entropy_with_logits(score, positive.float(), reduction="none")
    count = positive.sum().clamp(min=1)
    loss = 0.25 * each.sum() / count
    if positive.any():
        negative = torch.logsumexp(score.masked_fill(positive, -1e4), 0)
        loss = loss + ((torch.logaddexp(score, negative) - score) * positive).sum() / count
    return loss


def check(
    reader: Reader, network: CrossBranch, examples: dict[str, list[Example]]
) -> dict[str, float]:
    """Held-out requests: how often the first unit is a needed one, by relevance and by answer."""
    network.eval()
    result = {}
    for name, some in examples.items():
        hits = []
        for example in some:
            with torch.no_grad():
                parts = read(reader, network, [example])[0]
            unit = np.concatenate([row.unit for row in example.rows])
            answer = np.full(len(example.needed), -np.inf)
            np.logaddexp.at(answer, unit, torch.cat([part[1] for part in parts]).cpu().numpy())
            relevant = int(unit_logits(example, parts).argmax())
            hits.append(example.needed[[relevant, int(answer.argmax())]])
        result[f"first_{name}"], result[f"answer_{name}"] = np.mean(hits, axis=0).tolist()
    return result


def begin(trained: dict[str, Tensor]) -> CrossBranch:
    """A network that begins as the late interaction of earlier weights, or goes on from its own."""
    network = CrossBranch(BackboneConfig())
    mine = {k.removeprefix("late."): v for k, v in trained.items() if k.startswith("late.layers.")}
    mine |= {k: v for k, v in trained.items() if k.startswith("importance.")}
    network.load_state_dict(mine, strict=False)
    cross = {k.removeprefix("cross."): v for k, v in trained.items() if k.startswith("cross.")}
    if cross:
        network.load_state_dict(cross)
        return network
    with torch.no_grad():  # most units are not needed, and cosines are about .5 at the start
        nn.init.zeros_(network.logit.weight)
        network.logit.bias.copy_(torch.tensor([-14.0, 0.0]))
        network.passage.bias.fill_(-1.5)
    return network


def groups(network: CrossBranch) -> list[dict[str, Any]]:
    """Parameter groups with their learning rates; no decay on vectors and heads."""
    layers = list(network.layers.parameters())
    heads = [p for n, p in network.named_parameters() if not n.startswith("layers.")]
    wide, rest = [p for p in layers if p.ndim > 1], [p for p in layers if p.ndim < 2]
    return [
        {"params": wide, "base": RATE["layers"], "weight_decay": 0.01},
        {"params": rest, "base": RATE["layers"], "weight_decay": 0.0},
        {"params": heads, "base": RATE["heads"], "weight_decay": 0.0},
    ]


def train(options: argparse.Namespace) -> None:
    """The loop."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(options.seed)
    torch.set_flush_denormal(True)
    trunk = Trunk(BackboneConfig())
    load_trunk(trunk, load_file(options.backbone / "model.safetensors"))
    reader = Reader(trunk.requires_grad_(False).eval().to(device), device)
    network = begin(earlier(options.init)).to(device)
    run = Run(
        options.out,
        network,
        torch.optim.AdamW(groups(network), lr=0.0, betas=(0.9, 0.98)),
        minutes=options.minutes,
        warmup=100,
        memory=0.995,
        every=CHECKED,
    )
    tokenizer = options.backbone / "tokenizer.json"
    source = Examples(options.data, options.groups, tokenizer, options.seed + run.steps)
    apart = {name: source.held_out[name] for name in ("squad", "qed", "2wiki", "hotpotqa")}
    apart |= {f"{name}_alone": source.answered(name, held=True) for name, _ in ALONE}
    held = {
        name: [source.example(one, 10) for one in random.Random(0).sample(some, min(60, len(some)))]
        for name, some in apart.items()
    }
    while run.goes_on():
        examples = source.step(run.steps)
        run.learn(losses(examples, read(reader, network.train(), examples)), {}, (network,))
        if run.steps % CHECKED == 0:
            current = {k: v.clone() for k, v in network.state_dict().items()}
            network.load_state_dict(run.average)
            run.note(check(reader, network, held))
            network.load_state_dict(current)
            run.pause(charged=False)
    save_file(run.weights("cross."), options.out / "weights.safetensors")


def main() -> None:
    """The command."""
    parser = arguments(__doc__, minutes=80.0)
    parser.add_argument(
        "--init",
        type=Path,
        required=True,
        help="weights of train.py or of this script, or a bundle",
    )
    options = parser.parse_args()
    train(options)
    draw(options.out)


if __name__ == "__main__":
    main()
