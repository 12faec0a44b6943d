"""Sentence and word segmenters compared on accuracy and speed.

    python tests/benchmarks/segmenting.py [--data DIR] [--write]

The hand-written gold of tests/segment is always measured. ``--data`` names a folder of JSON Lines
(``*_dev.jsonl.xz``: documents with a text and evidence offsets, which are sentence boundaries in
most sets): the share of evidence spans that are a run of whole units. ``--write`` puts the tables
into segmenting.md. Competitors that are not installed are left out:

    pip install nupunkt pysbd blingfire syntok spacy budoux jieba rjieba pythainlp uniseg
"""

from __future__ import annotations

import argparse
import importlib
import json
import lzma
import platform
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ctxzip.segment import sentences, words  # noqa: E402
from tests.segment import gold  # noqa: E402

Spans = list[tuple[int, int]]
Splitter = Callable[[str, str], Spans]

SETS = ("qed_dev", "hotpotqa_dev", "squad_dev", "evidence_inference_dev")
MAX_CHARACTERS = 500_000  # of each set; the slowest take five seconds for as much


def located(text: str, pieces: Iterable[str]) -> Spans:
    """Offsets of pieces that a library gives back as strings, whitespace changed or not."""
    spans, position = [], 0
    for piece in pieces:
        found = text.find(piece.strip(), position) if piece.strip() else -1
        if found >= 0:
            position = found + len(piece.strip())
            spans.append((found, position))
    return spans


def ctxzip_sentences() -> Splitter:
    def split(text: str, language: str) -> Spans:
        units = sentences.split(text, language)
        return list(zip(units.start.tolist(), units.end.tolist(), strict=True))

    return split


def sentencex_sentences() -> Splitter:
    module = importlib.import_module("sentencex")
    return lambda text, language: [
        (b["start_index"], b["end_index"]) for b in module.get_sentence_boundaries(language, text)
    ]


def nupunkt_sentences() -> Splitter:
    module = importlib.import_module("nupunkt")
    return lambda text, language: located(text, module.sent_tokenize(text))


def pysbd_sentences() -> Splitter:
    module = importlib.import_module("pysbd")

    def split(text: str, language: str) -> Spans:
        try:
            segmenter = module.Segmenter(language=language, clean=False)
        except ValueError:
            segmenter = module.Segmenter(language="en", clean=False)
        return located(text, segmenter.segment(text))

    return split


def blingfire_sentences() -> Splitter:
    module = importlib.import_module("blingfire")
    return lambda text, language: located(text, module.text_to_sentences(text).split("\n"))


def syntok_sentences() -> Splitter:
    module = importlib.import_module("syntok.segmenter")
    return lambda text, language: [
        (sentence[0].offset, sentence[-1].offset + len(sentence[-1].value))
        for paragraph in module.analyze(text)
        for sentence in paragraph
        if sentence
    ]


def spacy_sentences() -> Splitter:
    module = importlib.import_module("spacy")
    pipelines: dict[str, Any] = {}

    def split(text: str, language: str) -> Spans:
        if language not in pipelines:
            pipelines[language] = module.blank("xx")
            pipelines[language].add_pipe("sentencizer")
            pipelines[language].max_length = 10**9
        return [(s.start_char, s.end_char) for s in pipelines[language](text).sents]

    return split


def icu_sentences() -> Splitter:
    module = importlib.import_module("icu4py.breakers")
    return lambda text, language: list(
        module.SentenceBreaker(text, f"{language}@ss=standard").segments()
    )


def ctxzip_words() -> Splitter:
    def split(text: str, language: str) -> Spans:
        starts, ends = words.split(text, language=language)
        return list(zip(starts.tolist(), ends.tolist(), strict=True))

    return split


def icu_words() -> Splitter:
    module = importlib.import_module("icu4py.breakers")
    return lambda text, language: list(module.WordBreaker(text, language).segments())


def budoux_words() -> Splitter:
    module = importlib.import_module("budoux")
    parsers = {
        "ja": module.load_default_japanese_parser(),
        "zh": module.load_default_simplified_chinese_parser(),
        "th": module.load_default_thai_parser(),
    }
    return lambda text, language: located(text, parsers[language].parse(text))


def jieba_words() -> Splitter:
    module = importlib.import_module("jieba")
    module.setLogLevel(60)
    return lambda text, language: located(text, module.cut(text))


def rjieba_words() -> Splitter:
    module = importlib.import_module("rjieba")
    return lambda text, language: located(text, module.cut(text))


def pythainlp_words() -> Splitter:
    module = importlib.import_module("pythainlp.tokenize")
    return lambda text, language: located(text, module.word_tokenize(text))


def uniseg_words() -> Splitter:
    module = importlib.import_module("uniseg.wordbreak")
    return lambda text, language: located(text, module.words(text))


SENTENCES = {
    "ctxzip": ctxzip_sentences,
    "sentencex": sentencex_sentences,
    "nupunkt": nupunkt_sentences,
    "pysbd": pysbd_sentences,
    "blingfire": blingfire_sentences,
    "syntok": syntok_sentences,
    "spaCy sentencizer": spacy_sentences,
    "ICU (icu4py), suppressions": icu_sentences,
}
WORDS = {
    "ctxzip": (ctxzip_words, ("zh", "ja", "th")),
    "ICU (icu4py)": (icu_words, ("zh", "ja", "th")),
    "budoux": (budoux_words, ("zh", "ja", "th")),
    "jieba": (jieba_words, ("zh",)),
    "rjieba": (rjieba_words, ("zh",)),
    "pythainlp": (pythainlp_words, ("th",)),
    "uniseg": (uniseg_words, ("zh", "ja", "th")),
}


def trimmed(text: str, spans: Spans) -> Spans:
    result = []
    for start, end in spans:
        piece = text[start:end]
        if piece.strip():
            begin = start + len(piece) - len(piece.lstrip())
            result.append((begin, begin + len(piece.strip())))
    return result


def f1(found: set[Any], expected: set[Any]) -> float:
    return 2 * len(found & expected) / max(1, len(found) + len(expected))


def gold_spans(case: gold.Case) -> Spans:
    return located(case.text, case.pieces)


def sentence_f1(split: Splitter, languages: str) -> float:
    """F1 of whole units over the hand-written cases of English, or of the other languages."""
    found, expected = set(), set()
    for case in gold.sentences():
        language = case.name[:2]
        if (language == "en") == (languages == "en"):
            spans = trimmed(case.text, split(case.text, language))
            found |= {(case.name, *span) for span in spans}
            expected |= {(case.name, *span) for span in gold_spans(case)}
    return f1(found, expected)


def documents(path: Path) -> dict[str, set[tuple[int, int]]]:
    texts: dict[str, set[tuple[int, int]]] = {}
    with lzma.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            for document in json.loads(line)["documents"]:
                spans = texts.setdefault(document["text"], set())
                spans.update((a, b) for a, b in document["evidence"])
    result, size = {}, 0
    for text, spans in texts.items():
        if size < MAX_CHARACTERS:
            result[text] = spans
            size += len(text)
    return result


def evidence_share(split: Splitter, texts: dict[str, set[tuple[int, int]]]) -> tuple[float, float]:
    """Share of evidence spans that whole units make up exactly, and seconds per MB."""
    begin = time.process_time()
    results = [split(text, "en") for text in texts]
    seconds = time.process_time() - begin
    hits = total = 0
    for (text, evidence), spans in zip(texts.items(), results, strict=True):
        units = trimmed(text, spans)
        starts, ends = {a for a, _ in units}, {b for _, b in units}
        for start, end in trimmed(text, list(evidence)):
            total += 1
            hits += start in starts and end in ends
    return hits / max(1, total), seconds / sum(map(len, texts)) * 1e6


def word_f1(split: Splitter, language: str) -> float:
    """F1 of the boundaries between words; where punctuation is attached is left out."""
    found, expected = set(), set()
    for number, case in enumerate(gold.words()):
        if case.name == language:
            inner = {(number, b) for _, b in gold_spans(case) if case.text[b : b + 1].isalnum()}
            spans = split(case.text, language)
            expected |= inner
            found |= {(number, b) for _, b in spans if case.text[b : b + 1].isalnum()}
    return f1(found, expected)


def word_speed(split: Splitter, language: str) -> float:
    """Seconds per million characters."""
    lines = [case.text for case in gold.words() if case.name == language]
    text = "\n".join(lines) * 300
    begin = time.process_time()
    split(text, language)
    return (time.process_time() - begin) / len(text) * 1e6


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def sentence_table(data: Path | None) -> str:
    sets = [name for name in SETS if data and (data / f"{name}.jsonl.xz").exists()]
    texts = {name: documents(data / f"{name}.jsonl.xz") for name in sets} if data else {}
    header = ["splitter", "F1 English and markdown", "F1 other languages", *sets]
    rows = []
    for name, make in SENTENCES.items():
        try:
            split = make()
        except ImportError:
            continue
        row = [name, f"{sentence_f1(split, 'en'):.3f}", f"{sentence_f1(split, 'other'):.3f}"]
        speeds = []
        for chosen in sets:
            share, seconds = evidence_share(split, texts[chosen])
            row.append(f"{share:.3f}")
            speeds.append(seconds)
        rows.append([*row, *([f"{sum(speeds) / len(speeds):.3f}"] if speeds else [])])
    return table(header + (["s/MB"] if sets else []), rows)


def word_table() -> str:
    languages = ("zh", "ja", "th")
    header = ["segmenter", *(f"F1 {name}" for name in languages)]
    header += [f"s/M characters {name}" for name in languages]
    rows = []
    for name, (make, known) in WORDS.items():
        try:
            split = make()
        except ImportError:
            continue
        scores = [f"{word_f1(split, x):.3f}" if x in known else "" for x in languages]
        speeds = [f"{word_speed(split, x):.2f}" if x in known else "" for x in languages]
        rows.append([name, *scores, *speeds])
    return table(header, rows)


def english_words(data: Path | None) -> str:
    """Seconds per MB of English, where there is data to measure it on."""
    path = data / "squad_dev.jsonl.xz" if data else None
    if path is None or not path.exists():
        return ""
    text = "\n\n".join(documents(path))
    best = {}
    for name, function in (("sentences.split", sentences.split), ("words.split", words.split)):
        times = []
        for _ in range(5):
            begin = time.process_time()
            function(text)
            times.append(time.process_time() - begin)
        best[name] = f"{min(times) / len(text) * 1e6:.3f}"
    return table(["English prose, as one text", "s/MB"], [[k, v] for k, v in best.items()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    tables = [sentence_table(arguments.data), word_table(), english_words(arguments.data)]
    text = "\n".join(part for part in tables if part)
    print(text)
    if arguments.write:
        path = Path(__file__).with_suffix(".md")
        notes = path.read_text(encoding="utf-8").split("<!-- tables -->")[0]
        where = f"Python {platform.python_version()}, {platform.machine()}, one core."
        path.write_text(f"{notes}<!-- tables -->\n\n{where}\n\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
