"""``auto``: the model where it fits, the lexical path where it does not."""

import warnings

import pytest

import ctxzip
from ctxzip import Budget, Document, ModelError, Options, Request
from ctxzip.compressors import by_language
from ctxzip.compressors.by_language import Auto

ENGLISH = "The valve was replaced on 3 May 2021 by the night shift. The cafeteria opens at noon."
GERMAN = "Das Ventil wurde am 3. Mai 2021 von der Nachtschicht ersetzt. Die Kantine ist zu."
CHINESE = "阀门于2021年5月3日由夜班更换。食堂中午开门。"


class Named:
    """A compressor that leaves its name in the result."""

    def __init__(self, name):
        self.name = name
        self.batches = []
        self._inner = ctxzip.load("lexical")

    def compress(self, documents, *, query=None, budget):
        return self.compress_many([Request(tuple(documents), query, budget)])[0]

    def compress_many(self, requests):
        self.batches.append(len(requests))
        return self._inner.compress_many(requests)

    def warmup(self):
        pass

    def close(self):
        pass


def request(text):
    return Request((Document(text),), None, Budget(0.6))


def test_each_request_goes_where_it_is_understood_and_order_stays():
    model, fallback = Named("model"), Named("fallback")
    router = Auto(lambda: model, fallback, ["en"], Options())
    texts = [ENGLISH, CHINESE, ENGLISH + " Yes.", GERMAN]
    results = router.compress_many([request(text) for text in texts])
    assert [r.documents[0].source.text for r in results] == texts
    assert [r.path[0].split(",")[0] for r in results] == [
        "auto: model",
        "auto: fallback",
        "auto: model",
        "auto: fallback",
    ]
    assert (model.batches, fallback.batches) == ([2], [2])
    assert "'zh'" in results[1].notes[-1]
    assert "'de'" in results[3].notes[-1]
    assert results[0].notes == ()


def test_the_language_that_the_caller_names_counts():
    router = Auto(lambda: Named("model"), Named("fallback"), ["en"], Options(language="fr"))
    assert router.compress_many([request(ENGLISH)])[0].path[0].startswith("auto: fallback")


def test_a_model_that_cannot_be_loaded_is_said_once_and_replaced():
    def broken():
        raise ModelError("No such network.")

    by_language._warned.clear()
    router = Auto(broken, Named("fallback"), ["en"], Options())
    with pytest.warns(UserWarning, match="No such network"):
        result = router.compress([Document(ENGLISH)], budget=Budget(0.6))
    assert "No such network" in result.notes[-1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert router.compress([Document(ENGLISH)], budget=Budget(0.6)) == result


def test_no_model_is_loaded_for_text_that_it_does_not_know():
    def unwanted():
        raise AssertionError

    router = Auto(unwanted, Named("fallback"), ["en"], Options())
    assert router.compress([Document(CHINESE)], budget=Budget(0.6)).text
