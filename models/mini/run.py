"""A training run: learning rates by the time spent, averaged weights, a curve, and a checkpoint."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SUSPENDED = 15.0  # seconds; a longer step was a suspended process, which is not charged


def arguments(description: str | None, minutes: float) -> argparse.ArgumentParser:
    """The options that every training script has; ``minutes`` is a default."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--backbone", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--groups", type=Path, required=True, help="written by prepare.py")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=minutes)
    parser.add_argument("--seed", type=int, default=0)
    return parser


def earlier(path: Path) -> dict[str, Tensor]:
    """Weights to begin with, by network and parameter: of a training run, or of a bundle.

    A bundle's are rounded to 8 bits; only the scale of the loss is not in it.

    Args:
        path: a file that ``train.py`` or ``train_cross.py`` wrote, or a bundle's folder.
    """
    if not path.is_dir():
        return load_file(path)
    from ctxzip.backends import bundle
    from ctxzip.backends.torch.mini import weights_of

    found = bundle.read(path)
    result = {
        f"{name}.{parameter}": value.contiguous()
        for name, file in found.networks.items()
        if name != "trunk"
        for parameter, value in weights_of(path / file).items()
    }
    result["importance.weight"] = torch.tensor([found.manifest["query_importance"]])
    return result


class Run:
    """The loop around a network. Resumes from OUT/state.safetensors where it exists.

    Args:
        out: folder of checkpoint, curve (``curve.jsonl``) and weights; it is made.
        network: what is trained.
        optimizer: over its parameters; each group has its highest learning rate as ``base``.
        minutes: how long; the learning rate falls to almost nothing by then.
        warmup: steps in which it rises.
        memory: of the moving average of the weights.
        every: steps between checkpoints.
    """

    def __init__(
        self,
        out: Path,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        minutes: float,
        warmup: int,
        memory: float,
        every: int,
    ) -> None:
        self.out, self.network, self.optimizer = out, network, optimizer
        self.minutes, self.warmup, self.memory, self.every = minutes, warmup, memory, every
        self.average = {k: v.detach().clone() for k, v in network.state_dict().items()}
        self.steps, self.spent = 0, 0.0
        out.mkdir(parents=True, exist_ok=True)
        self._resume()
        self._last = time.monotonic()

    def goes_on(self) -> bool:
        """Whether another step is due; sets its learning rates."""
        done = self.spent / (self.minutes * 60)
        factor = min(1.0, (self.steps + 1) / self.warmup) * max(0.02, 1 - done)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * factor
        return done < 1

    def learn(
        self, losses: Mapping[str, Tensor], weights: Mapping[str, float], clip: Sequence[nn.Module]
    ) -> None:
        """One step down the weighted sum of the losses.

        Args:
            losses: by name.
            weights: of each; 1 where there is none.
            clip: modules whose gradients are clipped to length 1, each by itself.
        """
        self.optimizer.zero_grad()
        torch.stack([weights.get(k, 1.0) * loss for k, loss in losses.items()]).sum().backward()
        for module in clip:
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        self.optimizer.step()
        self.steps += 1
        decay = min(self.memory, self.steps / (self.steps + 20))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                self.average[name].lerp_(value, 1 - decay)
        self.pause()
        values = {name: round(float(loss.detach()), 5) for name, loss in losses.items()}
        self.note({"step": self.steps, "seconds": round(self.spent, 1), **values})
        if self.steps % self.every == 0 or self.spent >= self.minutes * 60:
            self._save()

    def note(self, row: Mapping[str, float]) -> None:
        """Add a line to the curve; those of checkpoints are printed, too."""
        with (self.out / "curve.jsonl").open("a") as curve:
            curve.write(json.dumps(row) + "\n")
        if self.steps % self.every == 0:
            print(json.dumps(row), flush=True)

    def pause(self, *, charged: bool = True) -> None:
        """Count the time since the last call, or leave it out."""
        now = time.monotonic()
        self.spent += min(now - self._last, SUSPENDED) if charged else 0.0
        self._last = now

    def weights(self, prefix: str = "") -> dict[str, Tensor]:
        """The averaged weights, to be saved."""
        return {prefix + k: v.cpu().contiguous() for k, v in self.average.items()}

    def _save(self) -> None:
        tensors = {f"model.{k}": v for k, v in self.network.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{k}": torch.as_tensor(v) for k, v in state.items()}
        tensors = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
        facts = {"step": str(self.steps), "spent": str(self.spent)}
        save_file(tensors, self.out / "state.new", metadata=facts)
        (self.out / "state.new").replace(self.out / "state.safetensors")

    def _resume(self) -> None:
        path = self.out / "state.safetensors"
        if not path.exists():
            return
        with safe_open(path, "pt") as file:
            facts = file.metadata()
        tensors = load_file(path)
        self.network.load_state_dict(
            {k[6:]: v for k, v in tensors.items() if k.startswith("model.")}
        )
        for name, value in self.average.items():
            value.copy_(tensors[f"average.{name}"])
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer."):
                _, number, name = key.split(".", 2)
                state.setdefault(int(number), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        self.steps, self.spent = int(facts["step"]), float(facts["spent"])


def draw(out: Path) -> None:
    """The curve as ``curve.png``: every loss, averaged over forty steps."""
    import matplotlib.pyplot as plt
    import numpy as np

    rows = [json.loads(line) for line in (out / "curve.jsonl").read_text().splitlines()]
    rows = [row for row in rows if "seconds" in row]
    figure, axes = plt.subplots(figsize=(7, 4))
    names = dict.fromkeys(name for row in rows for name in row)
    for name in (name for name in names if name not in ("step", "seconds")):
        values = np.array([row[name] for row in rows if name in row])
        window = min(40, len(values))
        axes.plot(np.convolve(values, np.ones(window) / window, "valid"), label=name)
    axes.set(xlabel="step", ylabel="loss, mean of 40 steps", title="Training of mini")
    axes.legend()
    figure.tight_layout()
    figure.savefig(out / "curve.png", dpi=120)
