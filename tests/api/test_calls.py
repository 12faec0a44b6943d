"""The one-line door."""

import asyncio
import subprocess
import sys
import threading
import time

import pytest

import ctxzip
from ctxzip import BudgetError, Document, InputError, Options

PROSE = (
    "The night shift replaced valve V-221 on 3 May 2021 after a leak. The cafeteria opens at noon. "
    "Operators must not restart the pump before the pressure falls below 2.5 bar. Paint is blue. "
    "The manual is kept in cabinet 7. Visitors sign in at the gate and receive a yellow badge."
)
QUESTION = "When was the valve replaced?"


def test_import_is_light():
    heavy = ["torch", "transformers", "onnxruntime", "faiss", "spacy", "pandas", "tiktoken"]
    code = f"import sys, ctxzip; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_every_public_name_resolves():
    for name in ctxzip.__all__:
        assert getattr(ctxzip, name) is not None
    assert set(ctxzip.__all__) <= set(dir(ctxzip))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = ctxzip.nonsense


def test_without_a_budget_half_stays():
    result = ctxzip.compress(PROSE)
    assert 0 < result.tokens_after <= result.tokens_before // 2


@pytest.mark.parametrize("ratio", [0.25, 4])
def test_a_factor_means_the_same_as_its_fraction(ratio):
    assert ctxzip.compress(PROSE, ratio, query=QUESTION) == ctxzip.compress(
        PROSE, 0.25, query=QUESTION
    )


def test_the_answer_is_kept_and_can_be_traced():
    documents = [Document("Nothing here. It rained.", id="a"), Document(PROSE, id="b")]
    result = ctxzip.compress(documents, 0.4, query=QUESTION)
    assert "3 May 2021" in result.text
    where = result.locate(result.text.index("3 May 2021"))
    assert where is not None
    document, offset = where
    assert documents[document].id == "b"
    assert documents[document].text[offset:].startswith("3 May 2021")


def test_what_fits_is_returned_as_it_is_with_a_note():
    result = ctxzip.compress("  Short text.\n", target_tokens=100)
    assert result.text == "  Short text.\n"
    assert "already fits" in result.notes[0]


def test_ratio_one_changes_nothing():
    assert ctxzip.compress(PROSE, 1.0).text == PROSE


def test_several_shapes_of_input_mean_the_same():
    metadata = {"source": "x"}
    as_mapping = {"text": PROSE, "id": 7, "title": "Log", "metadata": metadata}
    as_document = Document(PROSE, "7", "Log", metadata)
    a, b = (ctxzip.compress([one], 0.5, query=QUESTION) for one in (as_mapping, as_document))
    assert a == b
    assert a.documents[0].source.metadata is metadata


@pytest.mark.parametrize(
    ("prompt", "arguments", "says"),
    [
        (PROSE, {"ratio": 0}, "ratio=0"),
        (PROSE, {"ratio": -1.5}, "ratio=-1.5"),
        (PROSE, {"ratio": float("nan")}, "ratio=nan"),
        (PROSE, {"ratio": True}, "ratio=True"),
        (PROSE, {"ratio": 0.5, "target_tokens": 10}, "Two ceilings"),
        (PROSE, {"target_tokens": -1}, "target_tokens=-1"),
        (PROSE, {"target_tokens": 1.5}, "target_tokens=1.5"),
        (PROSE, {"threshold": 2}, "threshold=2"),
        (PROSE, {"compressor": "lexcial"}, "Nearest: .*lexical"),
        (PROSE, {"compressor": 3}, "compressor=3"),
        (PROSE, {"query": b"x"}, "query is bytes"),
        (b"bytes", {}, "prompt is bytes"),
        (7, {}, "prompt is int"),
        ([None], {}, "Document 0 is NoneType"),
        (["a", 3], {}, "Document 1 is int"),
        ([{"id": "x"}], {}, "Document 0 has no 'text'"),
        ([{"text": None}], {}, "the text of document 0 is NoneType"),
        ([{"text": "a", "metadata": 3}], {}, "metadata of document 0 is int"),
        ("a\ud800b", {}, "lone surrogate at character 1"),
        (PROSE, {"options": Options(tokenizer="o200k_bsae")}, "o200k_base"),
        (PROSE, {"options": Options(protect=[""])}, "protect|literal"),
        (PROSE, {"options": Options(protect_patterns=["("])}, r"\("),
        (PROSE, {"options": Options(protect_spans=[[(0, 9999)]])}, "9999"),
        (PROSE, {"options": Options(protect_spans=[[], []])}, "2 entries for 1"),
    ],
)
def test_bad_input_is_named(prompt, arguments, says):
    with pytest.raises(InputError, match=says):
        ctxzip.compress(prompt, **arguments)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"protect": "abc"}, "one string"),
        ({"protect_patterns": "abc"}, "one pattern"),
        ({"granularity": "letter"}, "letter"),
        ({"min_per_document": -1}, "min_per_document=-1"),
        ({"separator": None}, "separator=None"),
    ],
)
def test_bad_options_are_named(arguments, says):
    with pytest.raises(InputError, match=says):
        Options(**arguments)


def test_a_budget_below_the_protected_text_says_what_is_needed():
    options = Options(protect=["V-221", "yellow badge"])
    with pytest.raises(BudgetError, match="at least") as caught:
        ctxzip.compress(PROSE, target_tokens=2, options=options)
    enough = ctxzip.compress(PROSE, target_tokens=caught.value.needed, options=options)
    assert enough.tokens_after <= caught.value.needed
    assert "V-221" in enough.text
    assert "yellow badge" in enough.text


def test_threshold_is_refused_without_calibrated_scores():
    with pytest.raises(InputError, match="calibrated"):
        ctxzip.compress(PROSE, threshold=0.5, compressor="lexical")


def test_keep_tags_are_honoured_in_a_prompt_and_never_in_documents():
    tagged = PROSE.replace("Paint is blue.", "<keep>Paint is blue.</keep>")
    options = Options(keep_tags=True)
    trusted = ctxzip.compress(tagged, 0.4, query=QUESTION, options=options)
    assert "Paint is blue." in trusted.text
    assert "keep>" not in trusted.text
    kept = trusted.documents[0].kept
    assert kept is not None
    assert "".join(tagged[a:b] for a, b in kept) == trusted.text
    retrieved = ctxzip.compress([tagged], 0.2, query=QUESTION, options=options)
    assert "Paint is blue." not in retrieved.text


def test_reserve_and_margin_lower_the_ceiling():
    for options, ceiling in (
        (Options(reserve=10), 30),
        (Options(margin=0.1), 36),
        (Options(reserve=10, margin=0.1), 26),
    ):
        result = ctxzip.compress(PROSE, target_tokens=40, options=options)
        assert result.ceiling == ceiling
        assert result.tokens_after <= ceiling


def test_titles_are_rendered_on_demand_and_counted():
    documents = [Document(PROSE, title="Shift log"), Document("Nothing.", title="Empty talk")]
    options = Options(titles=True)
    result = ctxzip.compress(documents, 0.5, query=QUESTION, options=options)
    assert result.text.startswith("Shift log\n")
    assert result.tokens_before > ctxzip.compress(documents, 0.5, query=QUESTION).tokens_before
    assert result.locate(0) is None


def test_documents_that_vanish_can_be_left_out():
    documents = [Document("It rained all day.", id="a"), Document(PROSE, id="b")]
    kept = ctxzip.compress(documents, 0.3, query=QUESTION)
    dropped = ctxzip.compress(documents, 0.3, query=QUESTION, options=Options(drop_empty=True))
    assert [d.source.id for d in kept.documents] == ["a", "b"]
    assert [d.source.id for d in dropped.documents] == ["b"]
    assert kept.text == dropped.text


def test_every_document_keeps_its_minimum():
    documents = [PROSE, "It rained. It snowed.", "Trains run late. Buses do not."]
    result = ctxzip.compress(documents, 0.5, query=QUESTION, options=Options(min_per_document=1))
    assert all(document.text for document in result.documents)


def test_many_are_the_same_as_one_by_one():
    prompts = [PROSE, "", ["It rained. It snowed all week.", PROSE], "One."]
    queries = [QUESTION, None, "What was the weather?", None]
    together = ctxzip.compress_many(prompts, 0.5, queries=queries)
    alone = [ctxzip.compress(p, 0.5, query=q) for p, q in zip(prompts, queries, strict=True)]
    assert together == alone
    assert ctxzip.compress_many([], 0.5) == []
    with pytest.raises(InputError, match="1 queries for 2 prompts"):
        ctxzip.compress_many(["a", "b"], queries=["q"])
    with pytest.raises(InputError, match="one str"):
        ctxzip.compress_many("abc")


def test_options_beside_a_compressor_object_are_refused():
    compressor = ctxzip.load("lexical", options=Options(reserve=5))
    assert ctxzip.compress(PROSE, target_tokens=40, compressor=compressor).tokens_after <= 40
    with pytest.raises(InputError, match=r"ctxzip\.load"):
        ctxzip.compress(PROSE, 0.5, compressor=compressor, options=Options(titles=True))


def test_the_event_loop_goes_on_while_text_is_compressed():
    text = PROSE * 1000
    longest = 0.0

    async def watch(stop: asyncio.Event) -> None:
        nonlocal longest
        while not stop.is_set():
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - before)

    async def main() -> ctxzip.Compression:
        stop = asyncio.Event()
        watcher = asyncio.create_task(watch(stop))
        result = await ctxzip.acompress(text, 0.5, compressor="lexical")
        stop.set()
        await watcher
        return result

    started = time.perf_counter()
    result = asyncio.run(main())
    whole = time.perf_counter() - started
    assert result.tokens_after <= result.tokens_before // 2
    assert longest < max(0.5, whole / 2)


def test_threads_share_a_compressor():
    compressor = ctxzip.load()
    expected = compressor.compress([Document(PROSE)], query=QUESTION, budget=ctxzip.Budget(0.5))
    found = []

    def work() -> None:
        found.extend(
            compressor.compress([Document(PROSE)], query=QUESTION, budget=ctxzip.Budget(0.5))
            for _ in range(10)
        )

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    assert all(one == expected for one in found)
