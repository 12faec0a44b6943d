"""The shipped model: canonical values, batches, long queries, damaged bundles."""

import json
import shutil

import numpy as np
import pytest

import ctxzip
from ctxzip import Document, ModelError, Options
from ctxzip.backends import bundle
from ctxzip.compressors.build import load_mini
from ctxzip.score.base import ScoreRequest
from ctxzip.score.mini import features
from ctxzip.score.mini.scorer import SHORTLIST, Mini
from ctxzip.segment import words as word_segmenter
from ctxzip.segment.sentences import split
from ctxzip.text.units import Passage, Words

FOLDER = bundle.find("mini")
CANONICAL = json.loads((FOLDER / "canonical.json").read_text(encoding="utf-8"))
QUESTION = CANONICAL["query"]


def passage(text, title=None):
    return Passage(Document(text, title=title), text, split(text))


def request(query=QUESTION):
    some = tuple(passage(p["text"], p["title"]) for p in CANONICAL["passages"])
    return ScoreRequest(some, query)


@pytest.fixture(scope="module")
def scorer():
    return load_mini()


def test_canonical_probabilities(scorer):
    scores = scorer.units([request()])[0]
    near = pytest.approx
    for found, starts, expected in zip(
        scores.units, CANONICAL["units"], CANONICAL["probability"], strict=True
    ):
        assert len(found) == len(starts)
        assert found.tolist() == near(expected, abs=CANONICAL["tolerance"])
    assert [p.units.start.tolist() for p in request().passages] == CANONICAL["units"]


def test_canonical_words(scorer):
    asked = request(None)
    words = []
    for one, (starts, ends) in zip(asked.passages, CANONICAL["words"], strict=True):
        start, end = np.array(starts), np.array(ends)
        unit = np.searchsorted(one.units.start, start, side="right") - 1
        words.append(Words(start, end, unit, np.zeros(len(start), bool)))
    found = scorer.words(asked, scorer.units([asked])[0], words)
    for logits, expected in zip(found, CANONICAL["keep_log_odds"], strict=True):
        assert logits.tolist() == pytest.approx(expected, abs=CANONICAL["tolerance"])


def test_scores_do_not_depend_on_the_batch():
    others = [ScoreRequest((passage("Rain fell. " * n),), "When did it rain?") for n in (1, 9, 40)]
    alone = load_mini(settings=Mini(cache_bytes=0)).units([request()])[0]
    among = load_mini().units([*others, request()])[-1]
    for a, b in zip(alone.units, among.units, strict=True):
        assert a == pytest.approx(b, abs=1e-5)


def test_a_passage_outranks_what_does_not_answer(scorer):
    scores = scorer.units([request()])[0]
    assert scores.passages is not None
    assert int(np.argmax(scores.passages)) == 0


def test_a_threshold_drops_everything_where_nothing_answers():
    documents = [Document(p["text"], title=p["title"]) for p in CANONICAL["passages"]]
    result = ctxzip.compress(documents, query="Who won the chess final?", threshold=0.5)
    assert result.text == ""
    answered = ctxzip.compress(documents, query=QUESTION, threshold=0.25)
    assert "3 May 1961" in answered.text
    assert answered.tokens_after < 0.6 * answered.tokens_before


def test_a_query_longer_than_the_window_is_shortened_with_a_note():
    texts = [p["text"] for p in CANONICAL["passages"]]
    result = ctxzip.compress(texts, 0.5, query="When was it opened? " * 400, compressor="mini")
    assert any("query" in note for note in result.notes)
    short = ctxzip.compress(texts, 0.5, query=QUESTION, compressor="mini")
    assert not any("query" in note for note in short.notes)


def test_without_a_query_words_go_and_repeated_sentences_first():
    text = "The bridge was opened on 3 May 1961 by the mayor of the town."
    result = ctxzip.compress([text, text, "Tolls of 2 EUR are due at the gate."], 0.6)
    assert result.compressor == "mini"
    assert result.documents[0].text
    assert "1961" in result.documents[0].text
    assert not result.documents[1].text


def last_words(scorer, text, language=None):
    """The words that go before all others, in the order of the text."""
    asked = ScoreRequest((passage(text),), None, language)
    start, end = word_segmenter.split(text)
    unit = np.searchsorted(asked.passages[0].units.start, start, side="right") - 1
    words = Words(start, end, unit, np.zeros(len(start), bool))
    value = scorer.words(asked, scorer.units([asked])[0], [words])[0]
    return [text[a:b] for a, b, v in zip(start, end, value, strict=True) if v <= -20]


def test_articles_make_room_for_other_words(scorer):
    text = "The cat saw a dog near an\nold mill. A hen watched the two, and the $5 went."
    assert last_words(scorer, text) == ["The", "a", "an", "A", "the", "the"]
    assert last_words(scorer, text, "de") == []
    text = (
        "Vitamin A was found in The Hague; see (a) and (an) below, at 5 a.m. with the-one, a = 5."
    )
    assert last_words(scorer, text) == []


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / "late.onnx").unlink(), "late.onnx"),
        (lambda f: (f / "late.onnx").write_bytes(b"x" * 10), "late.onnx has 10 bytes"),
        (lambda f: (f / "manifest.json").write_text("{"), "manifest.json cannot be read"),
        (lambda f: (f / "manifest.json").unlink(), "manifest.json"),
    ],
)
def test_a_damaged_bundle_is_named(tmp_path, damage, says):
    folder = tmp_path / "bundle"
    shutil.copytree(FOLDER, folder)
    damage(folder)
    with pytest.raises(ModelError, match=says):
        ctxzip.load("mini", model=str(folder))


def test_a_wrong_checksum_and_an_unknown_format_are_named(tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(FOLDER, folder)
    data = bytearray((folder / "keep.onnx").read_bytes())
    data[1000] ^= 1
    (folder / "keep.onnx").write_bytes(data)
    with pytest.raises(ModelError, match=r"keep\.onnx has the wrong checksum"):
        load_mini(folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["format_version"] = 99
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(ModelError, match="format version 99"):
        load_mini(folder)


def test_other_languages_go_to_the_lexical_path():
    text = "Das Ventil wurde am 3. Mai 2021 von der Nachtschicht ersetzt. Die Kantine ist zu."
    result = ctxzip.compress(text, 0.6, query="Wann wurde das Ventil ersetzt?")
    assert result.compressor == "lexical"
    assert "'de'" in result.path[0]
    english = ctxzip.compress(text, 0.6, options=Options(language="en"))
    assert english.compressor == "mini"


def test_pytorch_runs_the_same_bundle():
    texts = [
        "The harbour bridge was opened on 3 May 1961. The toll was never abolished.",
        "Nobody swims in the harbour in winter. The bridge is 300 metres long, and not painted.",
    ]
    onnx = ctxzip.load("mini")
    torch = ctxzip.load("mini", backend="torch", device="cpu")
    for query in ("When was the bridge opened?", None):
        a, b = (
            c.compress(
                [ctxzip.Document(t) for t in texts], query=query, budget=ctxzip.Budget(ratio=0.6)
            )
            for c in (onnx, torch)
        )
        assert a.text == b.text
        for one, other in zip(a.documents, b.documents, strict=True):
            for unit, same in zip(one.units, other.units, strict=True):
                assert unit.score == pytest.approx(same.score, abs=1e-4)
    half = ctxzip.load("mini", backend="torch", device="cpu", dtype="bfloat16")
    result = half.compress([ctxzip.Document(t) for t in texts], query="When was the bridge opened?")
    assert "1961" in result.text


def test_a_device_that_is_not_there_or_cannot_be_is_refused():
    with pytest.raises(ctxzip.InputError, match="runs on the CPU"):
        ctxzip.load("mini", backend="onnx", device="cuda")
    with pytest.raises(ctxzip.InputError, match="unknown"):
        ctxzip.load("mini", device="tpu").warmup()


def test_a_number_tells_which_of_many_like_sentences_is_meant():
    text = " ".join(
        f"Pump {i} was serviced in March and runs at {i % 7 + 2}.5 bar." for i in range(1, 121)
    )
    for asked in (3, 57, 118):
        result = ctxzip.compress(text, 0.1, query=f"What of pump {asked}?", compressor="mini")
        assert f"Pump {asked} was serviced" in result.text


def counted(compressor):
    """The shapes of what goes through each network of a compressor."""
    encoder, seen = compressor.scorer._encoder, []
    run = encoder._run

    def watch(name, **inputs):
        seen.append((name, next(iter(inputs.values())).shape[:2]))
        return run(name, **inputs)

    encoder._run = watch
    return seen


def asked(texts, query, ratio):
    return [ctxzip.Request((Document(t),), query, ctxzip.Budget(ratio=ratio)) for t in texts]


@pytest.mark.parametrize("cache_bytes", [0, 2**16])
def test_without_a_query_every_window_is_read_once(cache_bytes):
    settings = Mini(threads=1, cache_bytes=cache_bytes)
    compressor = ctxzip.load("mini", settings=settings)
    seen = counted(compressor)
    texts = [
        f"Pump {i} was replaced in May. The new one is louder than pump {i}." for i in range(9)
    ]
    results = compressor.compress_many(asked(texts, None, 0.5))
    assert all(0 < r.tokens_after <= r.ceiling for r in results)
    rows = {name: sum(shape[0] for n, shape in seen if n == name) for name in ("trunk", "keep")}
    assert rows == {"trunk": 9, "keep": 9}


def test_words_of_several_requests_are_read_together():
    texts = [
        f"The feed pump P-{i} was taken out of service on 3 March when it shook at night."
        f" Crew {i} replaced the bearing on 5 March and the pump went back into service at 14:20."
        f" It must not be run above 2,950 rpm until somebody has measured alignment {i} again."
        for i in range(6)
    ]
    query = "When did the pump go back into service?"
    options = Options(granularity="word")
    alone = ctxzip.load("mini", settings=Mini(threads=1, cache_bytes=0), options=options)
    expected = [alone.compress_many([one])[0] for one in asked(texts, query, 0.6)]
    together = ctxzip.load("mini", settings=Mini(threads=1), options=options)
    seen = counted(together)
    found = together.compress_many(asked(texts, query, 0.6))
    assert [one.text for one in found] == [one.text for one in expected]
    read = [shape for name, shape in seen if name == "keep"]
    assert read
    assert len(read) < sum(shape[0] for shape in read)


def test_a_region_of_a_long_document_stands_out_and_a_short_one_has_none(scorer):
    weather = [f"It rained on day {i} and the streets were wet." for i in range(250)]
    pump = [f"Crew {i} took the feed pump apart and cleaned its bearing." for i in range(60)]
    long = passage(" ".join([*weather[:150], *pump, *weather[150:]]))
    short = passage(" ".join([*weather[:20], *pump[:9]]))
    found = scorer.unit_features(ScoreRequest((long, short), "What did they do to the pump?"))[0]
    for name in ("base", "late_weighted"):
        near, far = (found[:, features.NAMES.index(f"{name}_region_{n}")] for n in (30, 80))
        assert 165 <= near.argmax() < 195
        assert near[180] > far[180] > 0 > far[0]
        assert abs(near[310:]).max() < 1e-9
        assert abs(far[310:]).max() < 1e-9
        assert near[160:200].min() > np.delete(near[:310], np.arange(120, 240)).max()


def test_a_stretch_about_the_question_stays_whole():
    talk = [f"Speaker {i % 4}: on point {i} of the budget we agreed last week." for i in range(400)]
    asked = [
        "Speaker 1: now the remote control itself.",
        "Speaker 2: the case could be made of rubber.",
        "Speaker 3: I would like that, it feels soft.",
        "Speaker 0: right.",
        "Speaker 1: and what about its buttons?",
        "Speaker 2: the remote control needs only two of them, and a wheel.",
        "Speaker 3: okay, yes.",
        "Speaker 0: so the remote control will be rubber with a wheel.",
    ] * 3
    text = " ".join([*talk[:250], *asked, *talk[250:]])
    query = "Summarize the discussion about the design of the remote control."
    result = ctxzip.compress(text, 0.3, query=query, compressor="mini")
    assert " ".join(asked) in result.text


@pytest.fixture(scope="module")
def without_cross(tmp_path_factory):
    """The shipped bundle less its cross-encoder."""
    folder = tmp_path_factory.mktemp("without") / "bundle"
    shutil.copytree(FOLDER, folder)
    (folder / "cross.onnx").unlink()
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    del manifest["networks"]["cross"], manifest["files"]["cross.onnx"]
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def crossed(scorer, some):
    columns = [i for i, name in enumerate(features.NAMES) if name.startswith(("cross", "read"))]
    return scorer.unit_features(some)[0][:, columns]


def test_a_bundle_may_do_without_a_cross_encoder(without_cross):
    scorer = load_mini(without_cross)
    assert not crossed(scorer, request()).any()
    assert int(np.argmax(scorer.units([request()])[0].passages)) == 0


def test_the_cross_encoder_says_the_same_everywhere(scorer):
    onnx = crossed(scorer, request())
    assert np.ptp(onnx, axis=0)[:2].min() > 0
    none_kept = load_mini(settings=Mini(cache_bytes=0))
    assert crossed(none_kept, request()) == pytest.approx(onnx, abs=1e-4)
    pytest.importorskip("torch")
    torch = crossed(load_mini(backend="torch", device="cpu"), request())
    assert torch == pytest.approx(onnx, abs=1e-3)


def test_the_cross_encoder_reads_the_most_promising_windows_only():
    compressor = ctxzip.load("mini", settings=Mini(threads=1))
    seen = counted(compressor)
    texts = [
        f"Pump {i} was replaced on {i} May, and it ran well until the autumn." for i in range(40)
    ]
    some = ScoreRequest(tuple(passage(text) for text in texts), "When was pump 7 replaced?")
    values, _, _ = compressor.scorer.unit_features(some)
    assert sum(shape[0] for name, shape in seen if name == "cross") == SHORTLIST
    read = values[:, features.NAMES.index("read")]
    assert read.sum() == SHORTLIST
    assert read[7] == 1
