"""Turn the training sets into what `mini` is trained on.

    python models/mini/prepare.py --data DIR --out groups.jsonl

DIR holds ``squad_train``, ``qed_train``, ``2wiki_train``, ``hotpotqa_train``, ``musique_train``,
``qmsum_train`` and ``evidence_inference_train`` as ``.jsonl.xz``, one record a line:

    {"id", "query", "answers": [str], "documents": [{"title", "text", "evidence": [[start, end]]}]}

The originals: SQuAD 1.1 (CC BY-SA 4.0), QED (CC BY-SA 3.0), 2WikiMultihopQA (Apache-2.0), HotpotQA
(CC BY-SA 4.0), MuSiQue (CC BY 4.0), QMSum (MIT), Evidence Inference 2.0 (MIT). No dev file is read.

Each line of the output is a request, ``{"set", "hold", "query", "documents"}``:

- SQuAD: the gold paragraph, the two of its article that BM25 ranks closest to the question, and the
  closest one of another article; held out: nine others of the article instead.
- QED: the gold passage and the four (held out: nine) passages of other records closest to it.
- Multi-hop sets: the request as it is.
- Long documents: gold chunks of about 150 words with lexically close and random ones; held out: the
  whole document.

Held-out requests are never shown to the networks; the combiner is fitted on them. They are chosen
by a checksum of article, title, question or document, so that no document is on both sides.

"""

from __future__ import annotations

import argparse
import json
import lzma
import random
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ctxzip.score.lexical import spellings, stems
from ctxzip.segment import sentences
from ctxzip.segment.function_words import function_words

Group = dict[str, Any]
HELD_OUT = {"squad": 0.12, "qed": 0.12, "hop": 0.25, "long": 0.2}
CHUNK_WORDS = 150


class Index:
    """BM25 (k1=1.2, b=0.75) over stems without function words."""

    def __init__(self, texts: list[str]) -> None:
        counts = [Counter(content(text)) for text in texts]
        self.length = np.array([sum(c.values()) for c in counts], float)
        postings: dict[str, list[tuple[int, int]]] = {}
        for i, counted in enumerate(counts):
            for term, n in counted.items():
                postings.setdefault(term, []).append((i, n))
        self.postings = {t: np.array(p, float) for t, p in postings.items()}

    def ranked(self, query: str) -> list[int]:
        """Every text, best first."""
        n = len(self.length)
        score = np.zeros(n)
        norm = 1.2 * (0.25 + 0.75 * self.length / max(self.length.mean(), 1e-9))
        for term in set(content(query)):
            if term in self.postings:
                at, tf = self.postings[term][:, 0].astype(int), self.postings[term][:, 1]
                score[at] += (
                    np.log1p((n - len(at) + 0.5) / (len(at) + 0.5)) * tf * 2.2 / (tf + norm[at])
                )
        return np.argsort(-score, kind="stable").tolist()


def content(text: str) -> list[str]:
    """Stems of the content words of an English text."""
    common = function_words("en")
    return stems([w for w in spellings(text)[0] if w not in common], "en")


def load(data: Path, name: str) -> list[dict[str, Any]]:
    """The records of a data set."""
    with lzma.open(data / f"{name}.jsonl.xz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def held_out(key: str, kind: str) -> bool:
    """Whether a request with this key belongs to the combiner."""
    return zlib.crc32(key.encode()) % 1000 < HELD_OUT[kind] * 1000


def _plain(title: str, text: str) -> dict[str, Any]:
    return {"title": title, "text": text, "evidence": []}


def squad(data: Path, rng: random.Random) -> Iterator[Group]:
    """One question a paragraph."""
    articles: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for record in load(data, "squad_train"):
        document = record["documents"][0]
        articles.setdefault(document["title"], {}).setdefault(document["text"], []).append(record)
    everything = [(title, text) for title, texts in articles.items() for text in texts]
    pool = Index([f"{title} {text}" for title, text in everything])
    for title, paragraphs in articles.items():
        texts = list(paragraphs)
        if len(texts) < 6:
            continue
        index, hold = Index(texts), held_out(title, "squad")
        for i, text in enumerate(texts):
            asked = [r for r in paragraphs[text] if r["documents"][0]["evidence"]]
            if not asked:
                continue
            record = rng.choice(asked)
            query = record["query"]
            others = [j for j in index.ranked(query) if j != i]
            chosen = rng.sample(others, min(9, len(others))) if hold else others[:2]
            documents = [_plain(title, texts[j]) for j in chosen]
            if not hold:
                far = (everything[j] for j in pool.ranked(query) if everything[j][0] != title)
                documents.append(_plain(*next(far)))
            documents.append(record["documents"][0])
            yield {"set": "squad", "hold": hold, "query": query, "documents": documents}


def qed(data: Path) -> Iterator[Group]:
    """The gold passage among lexically close ones."""
    records = load(data, "qed_train")
    unique = {r["documents"][0]["text"]: r["documents"][0] for r in records}
    passages = list(unique.values())
    pool = Index([f"{p['title']} {p['text']}" for p in passages])
    for record in records:
        gold = record["documents"][0]
        if not gold["evidence"]:
            continue
        hold = held_out(gold["title"], "qed")
        close = [passages[i] for i in pool.ranked(record["query"])[:30]]
        close = [p for p in close if p["text"] != gold["text"]][: 9 if hold else 4]
        documents = [*(_plain(p["title"], p["text"]) for p in close), gold]
        yield {"set": "qed", "hold": hold, "query": record["query"], "documents": documents}


def hops(data: Path) -> Iterator[Group]:
    """The multi-hop sets as they are."""
    for name in ("2wiki", "hotpotqa", "musique"):
        for record in load(data, f"{name}_train"):
            hold = held_out(record["query"], "hop")
            yield {
                "set": name,
                "hold": hold,
                "query": record["query"],
                "documents": record["documents"],
            }


def long_documents(data: Path, rng: random.Random) -> Iterator[Group]:
    """Chunks of meetings and articles; the whole document where it is held out."""
    for name in ("qmsum", "evidence_inference"):
        for record in load(data, f"{name}_train"):
            document, query = record["documents"][0], record["query"]
            group: Group = {
                "set": name,
                "hold": held_out(document["title"], "long"),
                "query": query,
            }
            if group["hold"]:
                yield {**group, "documents": [document]}
                continue
            chunks = list(_chunks(document))
            gold = [c for c in chunks if c["evidence"]]
            rest = [c for c in chunks if not c["evidence"]]
            if gold and rest:
                hard = Index([c["text"] for c in rest]).ranked(query)[:8]
                picked = dict.fromkeys(rng.sample(hard, min(3, len(hard))))
                picked |= dict.fromkeys(rng.sample(range(len(rest)), min(2, len(rest))))
                negative = [rest[i] for i in list(picked)[:4]]
                yield {**group, "documents": rng.sample(gold, min(3, len(gold))) + negative}


def _chunks(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    text, units = document["text"], sentences.split(document["text"])
    begin = words = 0
    for i in range(len(units)):
        words += len(text[units.start[i] : units.end[i]].split())
        if words < CHUNK_WORDS and i + 1 < len(units):
            continue
        a, b = int(units.start[begin]), int(units.end[i])
        spans = ((max(a, x) - a, min(b, y) - a) for x, y in document["evidence"])
        yield {"title": "", "text": text[a:b], "evidence": [[x, y] for x, y in spans if y - x > 8]}
        begin, words = i + 1, 0


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=beside)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rng = random.Random(7)
    counts: Counter[tuple[str, bool]] = Counter()
    with options.out.open("w", encoding="utf-8") as out:
        sources = [squad(options.data, rng), qed(options.data), hops(options.data)]
        for groups in (*sources, long_documents(options.data, rng)):
            for group in groups:
                rng.shuffle(group["documents"])
                counts[group["set"], group["hold"]] += 1
                out.write(json.dumps(group, ensure_ascii=False) + "\n")
    for (name, hold), n in sorted(counts.items()):
        print(f"{name:20} {'held out' if hold else 'networks':10} {n}")


if __name__ == "__main__":
    main()
