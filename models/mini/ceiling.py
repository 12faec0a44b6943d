"""What a perfect choice of sentences would keep of the dev sets, beside the figures of `mini`.

    python models/mini/ceiling.py --data DIR

Three choices through the same pipeline and budgets as in ``evaluate.py``, none of which a model
can make: by the labels of the evidence; sentences of the passages with evidence that hold an
answer, whichever of them; sentences of any passage that hold one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from combine import label
from evaluate import SETS, Signal
from run import DATA

from ctxzip.evaluate import Record, answer_kept, build_requests, column, evaluate, load_records
from ctxzip.kit.arrays import FloatArray, split_like
from ctxzip.pipeline import Pipeline
from ctxzip.score.base import ScoreRequest, UnitScores

Choice = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]
# From the labels of each unit, whether it holds an answer, and whether its passage has evidence.
CHOICES: dict[str, Choice] = {
    "the evidence": lambda needed, _, __: needed,
    "holds an answer, in a passage with evidence": lambda _, answers, gold: answers * gold,
    "holds an answer": lambda _, answers, __: answers,
}


class Knowing(Signal):
    """Scores by what the records say; equals in an order drawn by the question."""

    def __init__(self, records: Sequence[Record], choice: Choice) -> None:
        self._records = {self._key(r.query, [d.text for d in r.documents]): r for r in records}
        self._choice = choice

    @staticmethod
    def _key(query: str | None, texts: Sequence[str]) -> tuple[str | None, ...]:
        return (query, *texts)

    def units(self, requests: Sequence[ScoreRequest]) -> list[UnitScores]:
        """1 for what is chosen, 0 for the rest."""
        result = []
        for request in requests:
            texts = [passage.document.text for passage in request.passages]
            record = self._records[self._key(request.query, texts)]
            needed = label(request.passages, [{"evidence": some} for some in record.evidence])
            answers = [
                float(answer_kept(record.answers, text))
                for passage in request.passages
                for text in passage.unit_texts()
            ]
            gold = np.repeat(
                [float(bool(some)) for some in record.evidence],
                [len(passage.units) for passage in request.passages],
            )
            value = self._choice(needed, np.array(answers), gold)
            value = value + 0.01 * np.random.default_rng(len(request.query or "")).random(
                len(value)
            )
            result.append(UnitScores(tuple(split_like(value, [p.units for p in request.passages]))))
        return result


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    asked = [(name, ratio) for name in ("qed_dev", "squad_dev") for ratio in SETS[name]]
    print("| chosen | " + " | ".join(f"{name} {ratio:.0%}" for name, ratio in asked) + " |")
    print("|---|" + "---|" * len(asked))
    for said, choice in CHOICES.items():
        cells = []
        for name, ratio in asked:
            records = build_requests(name, load_records(options.data / f"{name}.jsonl.xz"))
            outcomes = evaluate(Pipeline("ceiling", Knowing(records, choice)), records, ratio)
            cells.append(f"{np.mean(column(outcomes, 'evidence_recall')):.3f}")
        print(f"| {said} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
