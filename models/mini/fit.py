"""The combiner of `mini` as a fit: members, the path for regions, calibration. See combine.py."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ctxzip.kit.arrays import FloatArray
from ctxzip.score.mini.combiner import Combiner, combine
from ctxzip.score.mini.features import NAMES

EPOCHS = 12
SHAPES = ((8, 6, 0.2), (1, 2, 0.2)) * 3  # hidden units, members, weight decay
# The loss counts sentences, but what a meeting says about a question is of use as a whole: with
# twice the weights that it finds, .41 instead of .34 of the evidence of held-out meetings survives.
REGION_GAIN, REGION_EPOCHS = 2.0, 6


@dataclass
class Example:
    """Features (n, F) and labels (n,) of a request, and its weights in the losses."""

    features: FloatArray
    label: FloatArray
    weight: float
    region_weight: float
    kept_back: bool


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
            e.region_weight,
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
