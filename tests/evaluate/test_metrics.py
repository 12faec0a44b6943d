"""The figures must be right before anything is judged by them."""

from __future__ import annotations

import gzip
import json
import lzma
import math

import numpy as np
import pytest

from ctxzip import Budget, CompressedDocument, Compression, Document, InputError, Span
from ctxzip import evaluate as ev
from ctxzip.evaluate.advice import differences
from ctxzip.evaluate.baselines import BASELINES, Bm25
from ctxzip.evaluate.cases import Case
from ctxzip.kit.batch import BatchCompressor

TEXT = "Rain fell. The old pump was replaced on 14 May 2024 by Ines. Nobody came. It was red."
EVIDENCE = (TEXT.index("The old"), TEXT.index(" Nobody"))


def row(number: int, text: str = TEXT, **changes: object) -> dict[str, object]:
    document = {"title": f"Article {number % 3}", "text": text, "evidence": [list(EVIDENCE)]}
    return {
        "id": f"r{number}",
        "query": f"When was the pump {number} replaced?",
        "answers": ["14 May 2024"],
        "documents": [document],
    } | changes


def write(path, rows, opener=open) -> None:
    with opener(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in rows)


@pytest.mark.parametrize(
    ("name", "opener"), [("a.jsonl", open), ("a.jsonl.xz", lzma.open), ("a.jsonl.gz", gzip.open)]
)
def test_records_are_read(tmp_path, name, opener):
    write(tmp_path / name, [row(0), row(1, documents=[{"text": "ü", "title": None}])], opener)
    first, second = ev.load_records(tmp_path / name)
    assert first.documents == (Document(TEXT, title="Article 0"),)
    assert first.evidence == ((Span(*EVIDENCE),),)
    assert second.documents[0].text == "ü"
    assert second.evidence == ((),)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{not json", "Expecting property name"),
        ("[]", "object"),
        ("{}", "documents"),
        (json.dumps(row(0, id={})), "id={}"),
        (json.dumps(row(0, documents=[])), "empty"),
        (json.dumps(row(0, documents=[7])), "a string or an object"),
        (json.dumps(row(0, documents=[{"text": "ab", "evidence": [[0, 3]]}])), "outside"),
        (json.dumps(row(0, documents=[{"text": "ab", "evidence": [[1, 1]]}])), "outside"),
        (json.dumps(row(0, documents=[{"text": "ab", "evidence": [[1]]}])), "unpack"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, line, what):
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps(row(0)) + "\n\n" + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=what) as caught:
        list(ev.load_records(path))
    assert f"{path}, line 3" in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    for name, content in [
        ("none.jsonl", None),
        ("a.xz", b"no"),
        ("a.gz", b"no"),
        ("b", b"\xff\xfe"),
    ]:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            list(ev.load_records(tmp_path / name))


def test_evidence_is_kept_at_nine_words_of_ten():
    text = "one two three four five six seven eight nine ten"
    whole = (0, len(text))
    assert ev.evidence_kept(text, whole, [whole])
    assert ev.evidence_kept(text, whole, [(0, text.index(" ten"))])
    assert not ev.evidence_kept(text, whole, [(0, text.index(" nine"))])
    assert not ev.evidence_kept(text, whole, [])
    assert ev.evidence_kept(text, (4, 7), [(4, 7)])
    assert not ev.evidence_kept(text, (4, 7), [(0, 6)]), "a word that is cut is lost"
    assert ev.evidence_kept(text, (4, 7), [(5, 7), (0, 5)]), "spans that touch make a whole word"
    assert not ev.evidence_kept(text, (4, 7), [(4, 5), (6, 7)])


def test_evidence_in_rewritten_text():
    evidence = "The pump was replaced on 14 May by Ines, they say"
    assert ev.evidence_in_text(
        evidence, "In short: the PUMP was replaced (on 14 May, by Ines) they say"
    )
    assert ev.evidence_in_text(evidence, "the pump was replaced on 14 May by Ines say")
    assert not ev.evidence_in_text(evidence, "the pump was replaced on 14 May")
    backwards = " ".join(reversed(evidence.split()))
    assert not ev.evidence_in_text(evidence, backwards)
    assert not ev.evidence_in_text(evidence, "")


def test_answers_are_normalised():
    assert ev.normalise_answer(" The  Quick, (brown) fox! ") == "quick brown fox"
    assert ev.answer_kept(["the Eiffel Tower"], "It is an Eiffel tower.")
    assert ev.answer_kept(["x", "1,234"], "It costs 1234 EUR")
    assert not ev.answer_kept(["no"], "We know"), "whole words"
    assert not ev.answer_kept(["the", "!"], "the !"), "an answer of nothing is never kept"
    assert not ev.answer_kept([], "anything")


def test_the_bootstrap():
    generator = np.random.default_rng(3)
    base = generator.random(200)
    better = base + generator.normal(0.1, 0.2, 200)
    difference, low, high = ev.paired_bootstrap(better.tolist(), base.tolist())
    assert difference == pytest.approx((better - base).mean())
    assert low < difference < high
    standard_error = (better - base).std() / math.sqrt(200)
    assert high - low == pytest.approx(2 * 1.96 * standard_error, rel=0.1)
    assert (difference, low, high) == ev.paired_bootstrap(better.tolist(), base.tolist())
    assert ev.paired_bootstrap([1.0, 0.0], [1.0, 0.0]) == (0, 0, 0)
    with pytest.raises(InputError, match="pairs"):
        ev.paired_bootstrap([1.0], [])
    with pytest.raises(InputError, match="pairs"):
        ev.paired_bootstrap([], [])


def pool(n: int) -> list[ev.Record]:
    words = ["valve", "pump", "hose", "meter", "tank", "crane", "lorry"]
    return [
        ev.Record(
            f"r{i}",
            f"Where is the {words[i % 7]} {i}?",
            ("hall",),
            (Document(f"The {words[i % 7]} {i} is in hall {i * 7}. It is new.", title=f"{i % 3}"),),
            ((Span(0, 10),),) if i % 10 else ((),),
        )
        for i in range(n)
    ]


@pytest.mark.parametrize("name", ["qed_dev", "squad_dev"])
def test_requests_are_built_the_same_whatever_the_order(name):
    records = pool(60)
    requests = ev.build_requests(name, records)
    assert requests == ev.build_requests(name, records[::-1])
    assert requests != ev.build_requests(name, records, seed=1)
    assert len(requests) == 54, "records without evidence are left out"
    gold_at = set()
    for request in requests:
        assert len(request.documents) == len({d.text for d in request.documents}) == 10
        assert [len(spans) for spans in request.evidence].count(1) == 1
        gold = next(i for i, spans in enumerate(request.evidence) if spans)
        assert (
            request.documents[gold] == next(r for r in records if r.id == request.id).documents[0]
        )
        gold_at.add(gold)
        if name == "squad_dev":
            assert len({document.title for document in request.documents}) == 1
    assert len(gold_at) == 10, "the gold passage stands anywhere"
    if name == "qed_dev":
        close = sum("valve" in d.text for r in requests if "valve" in r.query for d in r.documents)
        assert close >= 60, "passages that share the question's words"


def test_requests_of_several_documents_are_used_as_they_are():
    several = ev.Record("x", "q", (), (Document("a"), Document("b")), ((), (Span(0, 1),)))
    without = ev.Record("y", "q", (), (Document("a"), Document("b")), ((), ()))
    assert ev.build_requests("hotpotqa_dev", [several, without]) == [several]


def test_bm25_prefers_rare_words_and_short_texts():
    index = Bm25(
        ["the pump is old", "the valve is old", "the pump is old and " + "green " * 30, ""]
    )
    scores = index.scores("Old PUMP?")
    assert scores[0] > scores[2] > scores[1] > scores[3] == 0
    assert index.scores("zeppelin").tolist() == [0, 0, 0, 0]
    # By hand: idf = ln(1 + 1.5/1.5 ...) for "valve", in one of two texts of equal length.
    pair = Bm25(["valve shut", "pump shut"])
    assert pair.scores("valve")[0] == pytest.approx(math.log(1 + 1.5 / 1.5) * 2.5 / 2.5)


SENTENCES = [f"The pump number {i} stands in hall {i * 3}." for i in range(30)]


@pytest.mark.parametrize("name", list(BASELINES))
def test_baselines_keep_to_the_budget(name):
    documents = [Document(" ".join(SENTENCES[i : i + 10])) for i in (0, 10, 20)]
    for ratio in (0.01, 0.1, 0.3, 0.7, 1.0):
        budget = Budget(ratio=ratio)
        result = BASELINES[name].compress(documents, query="Where is pump 17?", budget=budget)
        assert result.tokens_after <= ratio * result.tokens_before + 1e-6
        assert result == BASELINES[name].compress(
            documents, query="Where is pump 17?", budget=budget
        )
        kept = [
            document.source.text[a:b]
            for document in result.documents
            for a, b in document.kept or ()
        ]
        assert kept == [sentence for sentence in SENTENCES if sentence in kept], "source order"
    assert len(kept) == 30
    if name == "bm25":
        tight = BASELINES[name].compress(documents, query="pump 17", budget=Budget(ratio=0.05))
        assert tight.text == SENTENCES[17]
    if name == "lead":
        some = BASELINES[name].compress(documents, query="pump 17", budget=Budget(ratio=0.11))
        assert some.text == "\n\n".join([SENTENCES[0], SENTENCES[10], SENTENCES[20]])


class Fixed(BatchCompressor):
    """Keeps the first ten characters of each document, or rewrites everything."""

    name = "fixed"

    def __init__(self, rewrite: str | None = None) -> None:
        self.rewrite = rewrite

    def compress_many(self, requests):
        return [self._one(request.documents) for request in requests]

    def _one(self, documents):
        if self.rewrite is not None:
            parts = (CompressedDocument(documents, self.rewrite, None),)
        else:
            parts = tuple(CompressedDocument((d,), d.text[:10], (Span(0, 10),)) for d in documents)
        text = "\n\n".join(part.text for part in parts)
        return Compression(text, parts, 100, 25, "o200k_base", "fixed")


def test_outcomes_of_spans_and_of_rewritten_text():
    record = ev.Record(
        "x",
        "q",
        ("14 May 2024",),
        (Document("Red pump. Nothing."), Document(TEXT)),
        ((Span(0, 9),), (Span(*EVIDENCE),)),
    )
    [case] = ev.evaluate(Fixed(), [record], 0.3)
    values = case.values
    assert [values[n] for n in ("evidence_recall", "all_evidence", "answer_recall")] == [0.5, 0, 0]
    assert values["tokens_kept"] == 0.25
    [case] = ev.evaluate(Fixed(TEXT[slice(*EVIDENCE)] + " Red pump!"), [record], 0.3)
    values = case.values
    assert [values[n] for n in ("evidence_recall", "all_evidence", "answer_recall")] == [1, 1, 1]
    unanswered = ev.Record("y", "q", ("yes",), record.documents, record.evidence)
    [case] = ev.evaluate(Fixed(), [unanswered], 0.3)
    assert "answer_recall" not in case.values, "what the input lacks cannot be lost"


def test_differences_are_paired():
    cases = [
        Case(i, arm, 0.3, values={"evidence_recall": value})
        for arm, values in {"ours": [1.0, 0.5] * 20, "bm25": [0.25] * 40}.items()
        for i, value in enumerate(values)
    ]
    cases.append(Case(40, "ours", 0.3))  # the metric does not apply to it
    [difference] = differences(cases, "evidence_recall", "bm25")
    assert (difference.arm, difference.ratio, difference.questions) == ("ours", 0.3, 40)
    assert difference.mean == 0.5
    assert 0.4 < difference.low < 0.5 < difference.high < 0.6
