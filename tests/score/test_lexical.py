"""BM25, salience, redundancy and languages."""

import math
from collections import Counter

import numpy as np
import pytest

from ctxzip.score.base import ScoreRequest
from ctxzip.score.lexical import (
    K1,
    B,
    LexicalScorer,
    bm25,
    index_request,
    query_terms,
    spellings,
    stems,
)
from ctxzip.score.repeats import repeats
from ctxzip.segment.function_words import LANGUAGES, detect, function_words
from ctxzip.segment.sentences import split
from ctxzip.text.units import Passage
from ctxzip.types import Document


def request(*texts, query=None, titles=None):
    titles = titles or [None] * len(texts)
    passages = tuple(
        Passage(Document(text, title=title), text, split(text))
        for text, title in zip(texts, titles, strict=True)
    )
    return ScoreRequest(passages, query)


def textbook_bm25(query, places):
    """Robertson and Zaragoza (2009), equation 3.15, with the idf that cannot be negative."""
    n, mean = len(places), sum(map(len, places)) / len(places)
    score = []
    for place in places:
        counts, total = Counter(place), 0.0
        for term in set(query):
            df = sum(term in other for other in places)
            idf = math.log(1 + (n - df + 0.5) / (df + 0.5))
            tf = counts[term]
            total += idf * tf * (K1 + 1) / (tf + K1 * (1 - B + B * len(place) / mean))
        score.append(total)
    return score


def test_bm25_is_the_textbook_formula():
    rng = np.random.default_rng(5)
    places = [rng.integers(0, 12, rng.integers(1, 15)).tolist() for _ in range(20)]
    term = np.concatenate(places)
    place = np.repeat(np.arange(20), list(map(len, places)))
    length = np.array(list(map(len, places)), np.float64)
    query = np.array([1, 4, 7])
    assert bm25(query, term, place, length) == pytest.approx(textbook_bm25(query, places))


def test_words_are_lower_cased_with_their_offsets():
    text = "Don't stop: INV-7 costs 5 €, İstanbul!"
    words, at = spellings(text)
    assert words[:2] == ["don't", "stop"]
    assert [text[a] for a in at.tolist()] == ["D", "s", "I", "7", "c", "5", "İ"]
    assert len(words) == len(at)


def test_unspaced_scripts_are_cut_into_words_and_the_rest_is_not():
    words, at = spellings("The 阀门更换 was done")
    assert words[0] == "the"
    assert words[-2:] == ["was", "done"]
    assert "".join(words[1:-2]) == "阀门更换"
    assert len(words) > 4
    assert at.tolist() == sorted(at.tolist())


def test_stems_join_inflections():
    assert len(set(stems(["replaced", "replace", "replacing"], "en"))) == 1
    assert stems(["whatever"], None) == ["whatever"]
    assert stems(["whatever"], "xx") == ["whatever"]


def test_a_query_of_function_words_only_is_still_a_query():
    asked = request("Who is it? It is me. The pump runs.", query="who is it")
    index = index_request(asked)
    assert len(query_terms("who is it", index)) > 0
    assert len(query_terms("the pump", index)) == 1
    assert len(query_terms("zebra", index)) == 0


def test_the_best_sentence_stands_in_the_titled_passage():
    asked = request(
        "It was replaced on 3 May. Nobody noticed.",
        "It was replaced on 9 June. Nobody cared.",
        query="When was the valve replaced?",
        titles=["Valve", "Cafeteria door"],
    )
    scores = LexicalScorer().units([asked])[0]
    assert scores.units[0][0] == max(s.max() for s in scores.units)
    assert scores.passages is not None
    assert scores.passages[0] > scores.passages[1]


def test_repeats_need_the_same_numbers_and_negations():
    words = [[0, 1, 2, 3, 4, 5, 6, 7, 8], [0, 1, 2, 3, 4, 5, 6, 7, 8], [0, 1, 2, 3, 4, 5, 6, 7, 9]]
    term = np.concatenate(words)
    unit = np.repeat(np.arange(3), 9)
    plain, telling = np.zeros(10, bool), np.zeros(10, bool)
    telling[9] = True
    assert repeats(term, unit, 3, plain).tolist() == [False, True, True]
    assert repeats(term, unit, 3, telling).tolist() == [False, True, False]
    assert repeats(np.zeros(0, np.int64), np.zeros(0, np.int64), 3, plain).tolist() == [False] * 3


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "the pump of the upper deck is out of order and it has been for a week"),
        ("de", "die Pumpe auf dem oberen Deck ist seit einer Woche nicht in Ordnung"),
        ("fr", "la pompe du pont supérieur est en panne depuis une semaine"),
        (
            "es",
            "la bomba de la cubierta superior está averiada desde hace una semana y no hay otra",
        ),
        ("it", "la pompa del ponte superiore è guasta da una settimana e non ce ne sono altre"),
        ("pt", "a bomba do convés superior está avariada há uma semana e não há outra"),
        ("nl", "de pomp op het bovendek is al een week kapot en er is geen andere"),
        ("ru", "насос на верхней палубе не работает уже неделю и другого у нас нет"),
        (None, "Xyzzy plugh foo bar baz quux corge grault garply waldo fred thud"),
    ],
)
def test_the_language_is_told_by_its_function_words(language, text):
    assert detect(text.lower().split()) == language


def test_function_words_are_lower_case_and_leave_negations_alone():
    for language in LANGUAGES:
        words = function_words(language)
        assert words
        assert all(word == word.lower() for word in words)
    assert not {"not", "no", "never", "must", "may"} & function_words("en")
    assert function_words("xx") == frozenset()
