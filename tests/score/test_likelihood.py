"""``exit`` on a tiny language model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import ctxzip
from ctxzip import Document, InputError, ModelError, Options
from ctxzip.backends.torch.causal import CausalModel
from ctxzip.backends.torch.loading import Placement
from ctxzip.compressors import load
from ctxzip.score.base import ScoreRequest
from ctxzip.score.likelihood import Exit, LikelihoodScorer, _Prompts
from ctxzip.segment.prepare import prepare
from ctxzip.types import Request
from tests import checkpoints
from tests.contract.promises import check

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

QUERY = "When was the pump installed?"


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.llama(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def model(folder: Path) -> CausalModel:
    return CausalModel(str(folder), Placement(device="cpu"))


def asked(*documents: Document) -> ScoreRequest:
    prepared = prepare(Request(documents, QUERY), Options())
    return ScoreRequest(prepared.passages, QUERY)


def one_by_one(model: CausalModel, request: ScoreRequest) -> tuple[np.ndarray, int]:
    """P("Yes") by one whole forward per sentence, and how many tokens that takes."""
    prompts = _Prompts(model, Exit(), QUERY)
    found, tokens = [], 0
    for i, passage in enumerate(request.passages):
        texts = passage.unit_texts()
        for part in prompts.parts(i, passage):
            for ids in prompts.ids(part.context, [texts[k] for k in part.units]):
                with torch.inference_mode():
                    logits = model.model(input_ids=torch.from_numpy(ids)[None]).logits[0, -1]
                found.append(float(logits[prompts.answers].softmax(-1)[0]))
                tokens += len(ids)
    return np.array(found), tokens


def document(sentences: int) -> Document:
    rng = np.random.default_rng(sentences)
    nouns = ["pump", "valve", "hose", "report", "committee", "train", "street", "engineer"]
    text = " ".join(
        f"The {nouns[rng.integers(8)]} of the {nouns[rng.integers(8)]} was inspected in May by"
        f" the {nouns[rng.integers(8)]}, number {i}, and approved twice a year."
        for i in range(sentences)
    )
    return Document(text, title="The yearly report")


@pytest.mark.parametrize(("sentences", "fewer"), [(10, 3.5), (20, 6.0)])
def test_a_shared_prefix_gives_the_same_scores_from_fewer_tokens(
    model: CausalModel, sentences: int, fewer: float
):
    request = asked(document(sentences))
    expected, tokens = one_by_one(model, request)
    before = model.tokens_read
    scores = LikelihoodScorer(lambda: model).units([request])[0]
    np.testing.assert_allclose(scores.units[0], expected, atol=1e-4)
    assert np.ptp(expected) > 0.01, "the weights are wide enough to tell sentences apart"
    assert tokens / (model.tokens_read - before) > fewer


@pytest.mark.parametrize("kind", sorted(checkpoints.CAUSAL.keys() - {"mamba", "jamba"}))
def test_a_shared_prefix_in_other_architectures(kind: str, tmp_path: Path):
    folder = checkpoints.causal(tmp_path / "lm", kind)
    model = CausalModel(str(folder), Placement(device="cpu", dtype="float32"))
    request = asked(document(5))
    expected, _ = one_by_one(model, request)
    scores = LikelihoodScorer(lambda: model).units([request])[0]
    np.testing.assert_allclose(scores.units[0], expected, atol=1e-4)


def test_a_state_that_cannot_be_shared_is_said(tmp_path: Path):
    model = CausalModel(str(checkpoints.causal(tmp_path / "lm", "jamba")), Placement(device="cpu"))
    with pytest.raises(ModelError, match="keeps a state"):
        LikelihoodScorer(lambda: model).units([asked(document(5))])


def test_sentences_are_read_in_their_own_document(model: CausalModel):
    one, two = document(4), Document("The café menu lists naïve melons. No hose was sold.")
    scorer = LikelihoodScorer(lambda: model)
    together = scorer.units([asked(one, two)])[0]
    np.testing.assert_array_equal(together.units[0], scorer.units([asked(one)])[0].units[0])
    np.testing.assert_array_equal(together.units[1], scorer.units([asked(two)])[0].units[0])


def test_the_threshold_is_one_half_unless_told_otherwise(folder: Path):
    compressor = load("exit", model=str(folder), device="cpu")
    documents = [document(8), document(5)]
    result = ctxzip.compress(documents, query=QUERY, compressor=compressor)
    check(result, [one.text for one in documents])
    for one in result.documents:
        assert [unit.kept for unit in one.units] == [unit.score >= 0.5 for unit in one.units]
    everything = ctxzip.compress(documents, query=QUERY, threshold=0.0, compressor=compressor)
    assert everything.text == "\n\n".join(one.text for one in documents)


@pytest.mark.parametrize("ratio", [0.1, 0.4, 0.9])
def test_a_ceiling_holds(folder: Path, ratio: float):
    compressor = load("exit", model=str(folder), device="cpu")
    texts = checkpoints.texts(4, seed=4)
    result = ctxzip.compress(texts, ratio, query=QUERY, threshold=0.0, compressor=compressor)
    check(result, texts, count=ctxzip.text.tokens.resolve("o200k_base").count)


def test_a_long_document_is_read_in_parts(tmp_path: Path):
    folder = checkpoints.llama(tmp_path / "short", positions=512)
    compressor = load("exit", model=str(folder), device="cpu")
    result = ctxzip.compress(document(40), query=QUERY, threshold=0.0, compressor=compressor)
    assert any("parts" in note for note in result.notes)
    with pytest.raises(InputError, match="do not fit"):
        ctxzip.compress(document(40), query=QUERY * 60, compressor=compressor)


def test_special_tokens_in_a_document_are_text(model: CausalModel):
    plain = _Prompts(model, Exit(), "{context} </s>?").ids("a </s><s> b {query}", ["</s> c"])
    assert 2 not in plain[0][1:-1].tolist()
    assert 0 not in plain[0][1:].tolist()


def test_a_query_is_needed(folder: Path):
    with pytest.raises(InputError, match="query"):
        ctxzip.compress("One. Two.", 0.5, compressor=load("exit", model=str(folder), device="cpu"))


def test_answers_are_single_tokens(folder: Path):
    compressor = load("exit", model=str(folder), device="cpu", settings=Exit(yes="Certainly not"))
    with pytest.raises(ModelError, match="tokens"):
        ctxzip.compress("One. Two.", query=QUERY, compressor=compressor)


@pytest.mark.parametrize("template", ["{query} {context}", "{sentence} {context} {query}"])
def test_templates_are_checked(template: str):
    with pytest.raises(InputError):
        Exit(template=template)


def test_an_adapter_is_merged_and_one_that_does_not_fit_is_refused(folder: Path, tmp_path: Path):
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(folder)
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    peft.get_peft_model(base, config).save_pretrained(tmp_path / "adapter")
    compressor = load(
        "exit", model=str(folder), device="cpu", settings=Exit(adapter=str(tmp_path / "adapter"))
    )
    plain = load("exit", model=str(folder), device="cpu")
    one, other = (
        ctxzip.compress(document(3), query=QUERY, threshold=0.0, compressor=c)
        for c in (compressor, plain)
    )
    assert [u.score for u in one.documents[0].units] != [u.score for u in other.documents[0].units]
    with pytest.raises(ModelError):
        load("exit", model=str(folder), device="cpu", settings=Exit(adapter=str(tmp_path))).warmup()
