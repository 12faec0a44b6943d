"""Small corpora."""

import json
import random
import re

import pytest

WORDS = re.findall(
    r"\w+",
    "valve pump pressure engineer replaced inspection report seal bearing during warranty shift "
    "manual cabinet visitor gate yellow badge cafeteria noon paint blue motor oil filter sensor "
    "alarm reading below above limit maintenance schedule winter turbine cooling water tank",
)


def passage(draw, sentences=4):
    """Sentences that no other passage has."""
    return " ".join(
        "The " + " ".join(draw.choices(WORDS, k=draw.randint(5, 12)))
        + f" took {draw.randint(2, 9999)} minutes."
        for _ in range(sentences)
    )  # fmt: skip


def records(count, seed=1):
    """Distinct records."""
    draw = random.Random(seed)
    return [{"id": f"r{i}", "text": passage(draw), "tag": [i, None]} for i in range(count)]


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read_lines(folder, pattern="part-*.jsonl"):
    return [
        json.loads(line)
        for path in sorted(folder.glob(pattern))
        for line in path.read_text("utf-8").splitlines()
    ]


def output_of(folder):
    """Everything that must be the same for the same job, by file name."""
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.name.startswith("part-") or path.name == "errors.jsonl"
    }


@pytest.fixture
def corpus(tmp_path):
    return write_lines(tmp_path / "in.jsonl", records(60))
