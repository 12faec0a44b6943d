"""English prose of any length for benchmarks, without shipping any."""

from __future__ import annotations

import json
import lzma
import os
import random
import re
from pathlib import Path

__all__ = ["prose"]


def prose(words: int) -> tuple[str, str]:
    """At least ``words`` words of paragraphs, and where they come from.

    Real paragraphs (SQuAD) where the data folder is at hand (``CTXZIP_DATA``); otherwise new
    sentences of words drawn from Python's own reference manual, so that nothing repeats.
    """
    folder = Path(os.environ.get("CTXZIP_DATA", Path(__file__).parents[3] / "shared" / "data"))
    file = folder / "squad_train.jsonl.xz"
    paragraphs = _squad(file, words) if file.exists() else _manual(words)
    source = "SQuAD paragraphs" if file.exists() else "sentences drawn from Python's manual"
    return " ".join("\n\n".join(paragraphs).split(" ")[:words]), source


def _squad(file: Path, words: int) -> list[str]:
    seen: dict[str, None] = {}
    count = 0
    with lzma.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            for document in json.loads(line)["documents"]:
                if document["text"] not in seen:
                    seen[document["text"]] = None
                    count += document["text"].count(" ") + 1
            if count > words:
                break
    return list(seen)


def _manual(words: int) -> list[str]:
    from pydoc_data.topics import topics

    vocabulary = re.findall(r"[A-Za-z]{2,}", " ".join(topics.values()))
    draw = random.Random(7)
    paragraphs = []
    for _ in range(words // 90 + 1):
        sentences = [
            " ".join(draw.choices(vocabulary, k=draw.randint(8, 28))).capitalize() + "."
            for _ in range(5)
        ]
        paragraphs.append(" ".join(sentences))
    return paragraphs
