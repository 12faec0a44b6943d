"""Measure `mini` on the dev sets.

    python models/mini/evaluate.py --data DIR [--backbone DIR] [--plot FILE] \
        [--parts relevance,keep,reliability,threshold,unanswerable] [--language-model DIR]

Requests are those of ``ctxzip.evaluate.build_requests`` (fixed seed). Evidence recall, all-
evidence and answer recall are averages over requests; intervals are paired bootstraps over
requests. With ``--backbone`` (the folder of all-MiniLM-L6-v2) the off-the-shelf bi-encoder, the
off-the-shelf situated embedding and off-the-shelf late interaction stand beside it.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure_keep import keep

from ctxzip.backends import bundle
from ctxzip.compressors.build import load_mini
from ctxzip.evaluate import (
    build_requests,
    column,
    evaluate,
    load_records,
    paired_bootstrap,
)
from ctxzip.evaluate.baselines import BASELINES
from ctxzip.kit.arrays import FloatArray
from ctxzip.pipeline import Pipeline
from ctxzip.score.base import ScoreRequest, UnitScores
from ctxzip.score.mini import features
from ctxzip.score.mini.scorer import MiniScorer
from ctxzip.segment import sentences
from ctxzip.segment.prepare import passage_of
from ctxzip.text.units import Passage, Words
from ctxzip.types import Budget, Document, Options, Request

SETS = {
    "hotpotqa_dev": (0.15, 0.30),
    "qed_dev": (0.05, 0.10),
    "squad_dev": (0.05, 0.10),
    "qmsum_dev": (0.30,),
    "evidence_inference_dev": (0.30,),
}
PARTS = ("relevance", "keep", "reliability", "threshold", "unanswerable")
CURVE = (0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
_WORD = re.compile(r"\w+")


class Remembering(MiniScorer):
    """The scorer, which reads every request once however many budgets and signals are measured."""

    _found: dict[tuple[Any, ...], Any]

    @classmethod
    def over(cls, scorer: MiniScorer) -> Remembering:
        """The same networks and combiner."""
        self = cls.__new__(cls)
        self.__dict__.update(scorer.__dict__)
        self._found = {}
        return self

    def units(self, requests: Sequence[ScoreRequest]) -> list[UnitScores]:
        """One by one: reading ahead would read again what is remembered."""
        return [super(Remembering, self).units([request])[0] for request in requests]

    def unit_features(self, request: ScoreRequest, cut: Any = None) -> Any:
        """The features, remembered by query and texts."""
        key = (request.query, *((p.document.title, p.text) for p in request.passages))
        if key not in self._found:
            self._found[key] = super().unit_features(request, cut)
        return self._found[key]

    def forget(self) -> None:
        """Free the memory."""
        self._found.clear()


class Signal:
    """A scorer that ranks by one feature of `mini`, for comparison."""

    calibrated = False
    words_first = False

    def __init__(self, scorer: MiniScorer, feature: str) -> None:
        self._scorer = scorer
        self._column = features.NAMES.index(feature)

    def units(self, requests: Sequence[ScoreRequest]) -> list[UnitScores]:
        """The feature, untouched."""
        result = []
        for request in requests:
            values = self._scorer.unit_features(request)[0][:, self._column]
            cuts = np.cumsum([len(p.units) for p in request.passages])[:-1]
            result.append(UnitScores(tuple(np.split(values, cuts))))
        return result

    def words(
        self, request: ScoreRequest, scores: UnitScores, words: Sequence[Words]
    ) -> list[FloatArray]:
        """Longer words first: no model."""
        return [(some.end - some.start).astype(np.float64) for some in words]

    def warmup(self) -> None:
        """Nothing to load."""

    def close(self) -> None:
        """Nothing to release."""


class BiEncoder(Signal):
    """The off-the-shelf bi-encoder: every sentence by itself, its title before it, mean pooling."""

    def __init__(self, scorer: MiniScorer) -> None:
        super().__init__(scorer, "situated")

    def units(self, requests: Sequence[ScoreRequest]) -> list[UnitScores]:
        """Each unit as a passage of its own."""
        result = []
        for request in requests:
            parts = []
            for passage in request.passages:
                alone = tuple(_alone(passage.document.title, text) for text in passage.unit_texts())
                values = (
                    self._scorer.unit_features(ScoreRequest(alone, request.query))[0]
                    if alone
                    else np.zeros((0, 99))
                )
                parts.append(values[:, features.NAMES.index("window")])
            result.append(UnitScores(tuple(parts)))
        return result


def _alone(title: str | None, text: str) -> Passage:
    units = sentences.Units.of([(0, len(text))])
    return Passage(Document(text, title=title), text, units)


def relevance(
    options: argparse.Namespace, methods: dict[str, Any], scorers: Sequence[Remembering]
) -> None:
    """A table for every set and budget."""
    for name in options.sets:
        ratios = SETS[name]
        records = build_requests(name, load_records(options.data / f"{name}.jsonl.xz"))
        records = records[: options.limit]
        for ratio in ratios:
            print(f"\n{name}, {len(records)} requests, {ratio:.0%} of the tokens\n")
            print(
                "| method | tokens kept | evidence recall | all evidence | answer recall "
                "| mini minus it (95%) |"
            )
            print("|---|---|---|---|---|---|", flush=True)
            mine: list[float] = []
            for method, compressor in methods.items():
                outcomes = evaluate(compressor, records, ratio)
                recall = column(outcomes, "evidence_recall")
                mine = mine or recall
                gain, low, high = paired_bootstrap(mine, recall)
                kept, all_evidence = (
                    float(np.mean(column(outcomes, f))) for f in ("tokens_kept", "all_evidence")
                )
                answers = [v for v in column(outcomes, "answer_recall") if not math.isnan(v)]
                answer = f"{np.mean(answers):.3f}" if answers else "-"
                versus = f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]" if method != "mini" else "-"
                print(
                    f"| {method} | {kept:.3f} | {np.mean(recall):.3f} | {all_evidence:.3f} "
                    f"| {answer} | {versus} |",
                    flush=True,
                )
        for scorer in scorers:
            scorer.forget()


def reliability(data: Path, scorer: MiniScorer, limit: int | None) -> None:
    """Whether the probability means what it says, over the sentences of three sets."""
    from combine import label

    edges = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0)
    probability: list[FloatArray] = []
    needed: list[FloatArray] = []
    for name in ("hotpotqa_dev", "qed_dev", "squad_dev"):
        for record in build_requests(name, load_records(data / f"{name}.jsonl.xz"))[:limit]:
            passages = tuple(passage_of(document) for document in record.documents)
            probability += scorer.units([ScoreRequest(passages, record.query)])[0].units
            needed.append(label(passages, [{"evidence": some} for some in record.evidence]))
    all_probability, all_needed = np.concatenate(probability), np.concatenate(needed)
    place = np.clip(np.searchsorted(edges, all_probability, side="right") - 1, 0, len(edges) - 2)
    print("\n| probability | sentences | mean probability | of these needed |\n|---|---|---|---|")
    for i in range(len(edges) - 1):
        chosen = place == i
        said, true = (float(values[chosen].mean()) for values in (all_probability, all_needed))
        print(f"| {edges[i]}-{edges[i + 1]} | {chosen.sum()} | {said:.3f} | {true:.3f} |")


def threshold(data: Path, compressor: Any, limit: int | None) -> None:
    """What a threshold keeps."""
    print("\n| set | threshold | tokens kept | evidence recall |\n|---|---|---|---|")
    for name in ("hotpotqa_dev", "qed_dev", "squad_dev"):
        records = build_requests(name, load_records(data / f"{name}.jsonl.xz"))[:limit]
        for floor in (0.02, 0.05, 0.1, 0.2, 0.35, 0.5):
            outcomes = evaluate(_Floored(compressor, floor), records, 1.0)
            kept, recall = (
                float(np.mean(column(outcomes, f))) for f in ("tokens_kept", "evidence_recall")
            )
            print(f"| {name} | {floor} | {kept:.3f} | {recall:.3f} |", flush=True)


class _Floored:
    """The same compressor with a threshold instead of a ratio."""

    def __init__(self, inner: Any, floor: float) -> None:
        self._inner, self._floor = inner, floor

    def compress_many(self, requests: Sequence[Request]) -> Any:
        """As asked, but by threshold."""
        return self._inner.compress_many(
            [Request(r.documents, r.query, Budget(threshold=self._floor)) for r in requests]
        )


def unanswerable(data: Path, compressor: Any, limit: int | None) -> None:
    """How much is dropped where the passage that answers was taken away."""
    print(
        "\n| set | threshold | tokens kept, answerable | tokens kept, unanswerable "
        "| everything dropped |"
    )
    print("|---|---|---|---|---|")
    for name in ("qed_dev", "squad_dev"):
        records = build_requests(name, load_records(data / f"{name}.jsonl.xz"))[:limit]
        for floor in (0.05, 0.1, 0.2, 0.5):
            budget = Budget(threshold=floor)
            whole = compressor.compress_many(
                [Request(r.documents, r.query, budget) for r in records]
            )
            rest = [
                tuple(d for d, spans in zip(r.documents, r.evidence, strict=True) if not spans)
                for r in records
            ]
            empty = compressor.compress_many(
                [
                    Request(documents, r.query, budget)
                    for documents, r in zip(rest, records, strict=True)
                ]
            )
            cells = [float(np.mean([c.ratio for c in some])) for some in (whole, empty)]
            gone = np.mean([not c.text for c in empty])
            print(
                f"| {name} | {floor} | {cells[0]:.3f} | {cells[1]:.3f} | {gone:.3f} |", flush=True
            )


def plot(data: Path, methods: dict[str, Any], limit: int | None, path: Path) -> None:
    """Tokens kept against evidence recall, a line per method."""
    import matplotlib.pyplot as plt

    names = ("hotpotqa_dev", "qed_dev", "squad_dev")
    figure, panels = plt.subplots(1, len(names), figsize=(13, 4), sharey=True)
    for axes, name in zip(panels, names, strict=True):
        records = build_requests(name, load_records(data / f"{name}.jsonl.xz"))[:limit]
        for method, compressor in methods.items():
            points = []
            for ratio in CURVE:
                outcomes = evaluate(compressor, records, ratio)
                points.append(
                    [np.mean(column(outcomes, f)) for f in ("tokens_kept", "evidence_recall")]
                )
            axes.plot(*np.array(points).T, marker=".", label=method)
        axes.set(title=name, xlabel="tokens kept", ylim=(0, 1.03))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("evidence recall")
    panels[-1].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def off_the_shelf(backbone: Path) -> MiniScorer:
    """The scorer with the weights of the original model."""
    from combine import TorchEncoder, no_combiner
    from safetensors.torch import load_file

    from ctxzip.backends.tokenizers import load_tokenizer
    from ctxzip.backends.torch.networks import (
        BackboneConfig,
        Branch,
        Trunk,
        load_layers,
        load_trunk,
    )

    weights, config = load_file(backbone / "model.safetensors"), BackboneConfig()
    trunk, late = Trunk(config).eval(), Branch(config).eval()
    load_trunk(trunk, weights)
    load_layers(late.layers, weights, config.trunk_layers)
    encoder = TorchEncoder({"trunk": trunk, "late": late})
    tokenize = load_tokenizer(backbone / "tokenizer.json")
    return MiniScorer(encoder, tokenize, no_combiner(), np.zeros(config.hidden, np.float32))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=beside)
    parser.add_argument("--bundle", type=Path, help="another bundle than the shipped one")
    parser.add_argument("--backbone", type=Path, help="folder of all-MiniLM-L6-v2, for its figures")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument(
        "--language-model", type=Path, help="folder of a causal one, for surprisal beside keep"
    )
    parser.add_argument("--limit", type=int, help="requests per set")
    parser.add_argument(
        "--sets", type=lambda s: s.split(","), default=list(SETS), help="of relevance"
    )
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    scorer = Remembering.over(load_mini(options.bundle))
    mini = Pipeline("mini", scorer, Options(granularity="auto"))
    scorers = [scorer]
    methods: dict[str, Any] = {"mini": mini, **BASELINES}
    networks = bundle.read(options.bundle or bundle.find("mini")).networks
    for name in ("situated", "late", "base", *(("cross",) if "cross" in networks else ())):
        methods[f"mini: {name} alone"] = Pipeline(name, Signal(scorer, name))
    if options.backbone:
        original = Remembering.over(off_the_shelf(options.backbone))
        scorers.append(original)
        methods["off the shelf: bi-encoder"] = Pipeline("bi", BiEncoder(original))
        for name in ("situated", "late", "window"):
            methods[f"off the shelf: {name}"] = Pipeline(name, Signal(original, name))
    parts = options.parts.split(",")
    if "relevance" in parts:
        relevance(options, methods, scorers)
    if "keep" in parts:
        keep(options.data, scorer, options.language_model)
    if "reliability" in parts:
        reliability(options.data, scorer, options.limit)
    if "threshold" in parts:
        threshold(options.data, mini, options.limit)
    if "unanswerable" in parts:
        unanswerable(options.data, mini, options.limit)
    if options.plot:
        chosen = {k: v for k, v in methods.items() if "alone" not in k}
        plot(options.data, chosen, options.limit, options.plot)
    print(json.dumps({"bundle": str(options.bundle or "shipped"), "limit": options.limit}))


if __name__ == "__main__":
    main()
