"""More multi-hop questions: two of SQuAD made into one, bridging through a name they share.

    python models/mini/compose.py --data DIR --out composed.jsonl

Where the answer of one question is a name in another, which asks about another paragraph, a
description made from the first question stands in for the name: "Who composed the music of
Munich?" and "Which films have music by John Williams?" become "Which films have music by the
person who composed the music of Munich?". So MuSiQue begins, too (Trivedi et al., "MuSiQue:
Multihop Questions via Single-hop Question Composition", TACL 2022), but its questions were then
written by people; these are not always English. The others of the ten paragraphs are those that
BM25 ranks closest to the new question.

``train.py --composed FILE`` reads the output. No dev file is read, and no article held out.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prepare import Index, held_out, load
from run import DATA

from ctxzip.segment.function_words import function_words

DOCUMENTS = 10
ALIKE = 12  # questions that bridge through the same name, at most
_PART = r"[A-Z][\w.'-]*"
_BETWEEN = rf" (?:(?:of|the|de|and|van|von) )*{_PART}"
_NAME = re.compile(rf"{_PART}(?:{_BETWEEN})*")
_VERB = (
    r"(?:is|was|are|were|has|had|have|can|could|will|would|\w{3,}ed|won|wrote|made|began|became|"
    r"led|took|gave|held|ran|built|sang|fought|came|went|sold|found|said|got)"
)
# A question about a person or thing, and what it describes.
_DESCRIPTIONS = (
    (re.compile(r"Who (?:was|is|were|are) the (.+)"), "the {0}"),
    (re.compile(rf"Who ({_VERB} .+)"), "the person who {0}"),
    (re.compile(r"What (?:is|was) the name of (?:the )?(.+)"), "the {0}"),
    (re.compile(r"What (?:is|was|were|are) the (?!name)(.+)"), "the {0}"),
    (re.compile(rf"(?:What|Which) ((?!{_VERB} )\w+(?: (?!{_VERB} )\w+)?) ({_VERB} .+)"),
     "the {0} that {1}"),
)  # fmt: skip


def describe(question: str) -> str | None:
    """A question as a description of its answer, or None where it asks in another way."""
    plain = question.strip().rstrip("?").strip()
    for pattern, form in _DESCRIPTIONS:
        match = pattern.fullmatch(plain)
        if match:
            return form.format(*match.groups())
    return None


def bridges(records: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Composed questions, each with the records it was made of."""
    answering: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        answer = min(record["answers"], key=len, default="")
        if len(answer) > 4 and _NAME.fullmatch(answer) and describe(record["query"]):
            answering.setdefault(answer, []).append(record)
    common = function_words("en")
    used: Counter[object] = Counter()
    for record in records:
        query = record["query"]
        for match in _NAME.finditer(query, 1):
            name = match.group()
            # Before a noun it is an adjective: "the French army".
            behind = re.match(r" (\w+)", query[match.end() :])
            if name not in answering or (behind and behind.group(1).lower() not in common):
                continue
            for first in answering[name]:
                text = first["documents"][0]["text"]
                description = describe(first["query"]) or ""
                if (
                    text == record["documents"][0]["text"]
                    or any(name in answer for answer in record["answers"])
                    or name in description
                    or used[name] >= ALIKE
                    or used[first["id"]]
                    or used[record["id"]]
                ):
                    continue
                used.update((name, first["id"], record["id"]))
                before = re.sub(r"\b[Tt]he $", "", query[: match.start()])
                yield before + description + query[match.end() :], first, record


def compose(data: Path, rng: random.Random) -> Iterator[dict[str, Any]]:
    """Requests of ten paragraphs, two of them with evidence."""
    records = []
    for record in load(data, "squad_train"):
        document = record["documents"][0]
        if document["evidence"] and not held_out(document["title"], "squad"):
            records.append(record)
    rng.shuffle(records)
    documents = list({r["documents"][0]["text"]: r["documents"][0] for r in records}.values())
    pool = Index([f"{d['title']} {d['text']}" for d in documents])
    for query, first, second in bridges(records):
        gold = [first["documents"][0], second["documents"][0]]
        texts = [document["text"] for document in gold]
        close = (documents[i] for i in pool.ranked(query)[:50])
        rest = [{**d, "evidence": []} for d in close if d["text"] not in texts]
        chosen = gold + rest[: DOCUMENTS - len(gold)]
        yield {
            "set": "composed",
            "hold": False,
            "query": query,
            "documents": rng.sample(chosen, len(chosen)),
        }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    count = 0
    with options.out.open("w", encoding="utf-8") as out:
        for group in compose(options.data, random.Random(7)):
            out.write(json.dumps(group, ensure_ascii=False) + "\n")
            count += 1
    print(f"{count} questions")


if __name__ == "__main__":
    main()
