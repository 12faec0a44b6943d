"""Perplexities: equal to one pass per prefix, whatever the batch, by a model or an endpoint."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ctxzip
from ctxzip import Chat, Document, LongCodeZip, ModelError
from ctxzip.code.score.base import CodeText
from ctxzip.code.score.perplexity import PerplexityCode, numbered_lines, perplexity, spikes
from ctxzip.code.score.words import ByWords
from ctxzip.code.select.knapsack import adaptive_rates, knapsack
from tests import checkpoints

pytest.importorskip("torch")
pytest.importorskip("transformers")

TEXT = (
    "def pump(valve, x):\n    the = valve.was(x)\n\n    if the in (1, 2):\n        return the[0]\n"
    "\n\n"
    "    # of and in\n    pump_of = [the, valve]\n    return pump_of\n"
)
QUERY = "Which valve of the pump was in?"


def loaded(folder: Path) -> Any:
    """Likelihoods by a checkpoint."""
    from ctxzip.backends.torch.causal import CausalModel
    from ctxzip.backends.torch.likelihood import TorchLikelihood
    from ctxzip.backends.torch.loading import Placement

    return TorchLikelihood(CausalModel(str(folder), Placement(device="cpu", dtype="float32")))


@pytest.fixture(scope="module", params=["llama", "by_formula"])
def likelihood(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("lm") / request.param
    if request.param == "llama":
        checkpoints.llama(folder)
    else:
        checkpoints.by_formula(folder, "causal")
    return loaded(folder)


def plainly(likelihood: Any, context: str, target: str) -> list[float]:
    """Negative log-likelihoods of a target's tokens, by a pass over context and target alone."""
    import torch

    model, tokenizer = likelihood.model.model, likelihood.model.tokenizer
    start = len(tokenizer(context)["input_ids"]) if context else 1
    ids = torch.tensor([tokenizer(context + target)["input_ids"]])
    with torch.no_grad():
        logits = torch.log_softmax(model(ids).logits[0].double(), -1)
    return [-float(logits[at - 1, ids[0, at]]) for at in range(max(1, start), ids.shape[1])]


def test_a_question_behind_contexts_of_any_length(likelihood: Any):
    contexts = [None, "valve", TEXT, TEXT * 8, "x = 1\n", TEXT]
    found, notes = likelihood.question(QUERY, contexts)
    assert notes == ()
    for context, values in zip(contexts, found, strict=True):
        expected = plainly(likelihood, "" if context is None else context + "\n\n", QUERY)
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5)
    alone, _ = likelihood.question(QUERY, [TEXT])
    np.testing.assert_allclose(alone[0], found[2], rtol=1e-5)


# Not those that look at a few tokens only, or to which positions are nothing.
TOGETHER = {"qwen2", "qwen3", "gpt2", "gpt_neox", "phi3"}


@pytest.mark.parametrize("kind", sorted(checkpoints.CAUSAL.keys() - {"mamba"}))
def test_architectures_read_together_what_they_can(kind: str, tmp_path: Path):
    from ctxzip.backends.torch.readings import TorchReadings

    likelihood = loaded(checkpoints.causal(tmp_path / "lm", kind))
    assert likelihood.model.full == (kind in TOGETHER)
    contexts = [None, "x = 1\n", TEXT, TEXT * 3, "valve = 2\n" * 3]
    readings = TorchReadings(likelihood, QUERY, contexts)
    for context, values in zip(contexts, readings.question, strict=True):
        expected = plainly(likelihood, "" if context is None else context + "\n\n", QUERY)
        np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-4)
    seeing = readings.seeing(2, [[(0, len(TEXT))], [(0, 20), (60, 90)]])
    np.testing.assert_allclose(seeing[0], readings.question[2], rtol=1e-3, atol=1e-4)
    _, losses = readings.surprisal(2)
    expected = plainly(likelihood, "", TEXT)
    np.testing.assert_allclose(losses, expected[: len(losses)], rtol=1e-3, atol=1e-4)
    # Lines that end beyond the window are read from the left end of it on.
    lines = numbered_lines(TEXT)
    whole = likelihood.lines(lines)
    likelihood.model.window = likelihood.size("\n".join(lines[:3]))
    cut = likelihood.lines(lines)
    np.testing.assert_allclose(cut[:3], whole[:3], rtol=1e-4)
    assert np.isfinite(cut).tolist() == np.isfinite(whole).tolist()
    assert not np.allclose(cut[3:], whole[3:], rtol=1e-3)


def test_a_model_without_a_cache_is_refused(tmp_path: Path):
    with pytest.raises(ModelError, match="keeps no keys and values"):
        loaded(checkpoints.causal(tmp_path / "lm", "mamba"))


def test_a_model_that_sees_the_future_is_refused(tmp_path: Path):
    import transformers

    folder = checkpoints.bert(tmp_path / "lm", head="")
    config = transformers.AutoConfig.from_pretrained(folder)
    transformers.BertLMHeadModel(config).save_pretrained(folder)
    with pytest.raises(ModelError, match="BertLMHeadModel"):
        loaded(folder)


@pytest.mark.parametrize("full", [True, False])
def test_short_contexts_are_read_in_one_sequence_without_padding(
    likelihood: Any, full: bool, monkeypatch: pytest.MonkeyPatch
):
    from ctxzip.backends.torch.causal import CausalModel

    monkeypatch.setattr(CausalModel, "full", full)
    contexts = ["x = 1\n" * n for n in (1, 2, 4, 5, 7, 30)]
    before, notes = likelihood.tokens_read, []
    rows = likelihood.rows(QUERY, contexts, notes)
    found = likelihood.read_rows(rows, notes)
    read = likelihood.tokens_read - before
    # The last token of a row predicts nothing and is not read.
    assert (read == sum(len(row.ids) - 1 for row in rows)) == full
    for context, values in zip(contexts, found, strict=True):
        expected = plainly(likelihood, context + "\n\n", QUERY)
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5)


def test_of_a_long_question_a_stretch_is_asked(likelihood: Any):
    from ctxzip.backends.torch.readings import _ASKED, TorchReadings

    said = [f"What was there {i} times before is here no more {i * i}. " for i in range(18)]
    query = "".join([*said[:9], QUERY + " ", *said[9:]])
    readings = TorchReadings(likelihood, query, [None, TEXT])
    asked = readings._asked(1)
    whole = readings._rows[1].ids[readings._rows[1].start :]
    assert len(asked) == _ASKED < len(whole)
    at = next(i for i in range(len(whole)) if (whole[i : i + _ASKED] == asked).all())
    gain = readings.question[0][-len(whole) :] - readings.question[1][-len(readings.question[0]) :]
    lost = len(whole) - len(gain)
    own = gain[max(0, at - lost) : at - lost + _ASKED].sum()
    assert own >= max(gain[i : i + _ASKED].sum() for i in range(len(gain) - _ASKED)) - 1e-6
    before = likelihood.tokens_read
    found = readings.seeing(1, [[(0, 10)], [(0, len(TEXT))]])
    assert [len(values) for values in found] == [_ASKED, _ASKED]
    assert likelihood.tokens_read - before <= 2 * (_ASKED + 4)


def test_lines_take_one_pass_and_equal_one_pass_each(likelihood: Any):
    lines = numbered_lines(TEXT)
    assert len(lines) == TEXT.count("\n") + 1
    before = likelihood.tokens_read
    found = likelihood.lines(lines)
    read = likelihood.tokens_read - before
    assert read < 1.6 * likelihood.size("\n".join(lines))
    for i, (line, value) in enumerate(zip(lines, found, strict=True)):
        context = "\n".join(lines[:i]) + "\n" if i else ""
        expected = plainly(likelihood, context, line) if line else []
        if not line:
            assert value == 0.0
        elif expected:
            assert value == pytest.approx(np.mean(expected) / math.log(2), rel=1e-5)


@pytest.mark.parametrize("way", ["kept", "forgotten", "another head", "sliding"])
def test_the_inside_of_what_was_read_costs_little(
    likelihood: Any, way: str, monkeypatch: pytest.MonkeyPatch
):
    from ctxzip.backends.torch.causal import CausalModel
    from ctxzip.backends.torch.readings import TorchReadings
    from ctxzip.backends.torch.states import LIMIT

    if way == "another head":
        monkeypatch.setattr(likelihood, "bare_head", False)
    if way == "sliding":
        monkeypatch.setattr(CausalModel, "full", False)
    contexts = [None, TEXT, "x = 1\n", TEXT * 2]
    readings = TorchReadings(likelihood, QUERY, contexts, 0 if way == "forgotten" else LIMIT)
    before = likelihood.tokens_read
    starts, losses = readings.surprisal(3)
    free = likelihood.tokens_read == before
    cut, end = TEXT.index("    if the"), TEXT.index("    # of and")
    parts = [[(0, cut)], [(0, cut), (end, len(TEXT))], [(0, 2 * len(TEXT))]]
    seeing = readings.seeing(3, parts)
    read = likelihood.tokens_read - before
    question = likelihood.size(QUERY)
    assert (free and read <= len(parts) * (question + 4)) == (way == "kept")
    expected = plainly(likelihood, "", TEXT * 2)
    np.testing.assert_allclose(losses, expected[: len(losses)], rtol=1e-4, atol=1e-5)
    assert len(losses) >= len(expected) - 2
    assert (np.diff(starts) >= 0).all()
    assert starts[-1] < 2 * len(TEXT)
    np.testing.assert_allclose(seeing[2], readings.question[3], rtol=1e-4, atol=1e-5)
    # What is seen was read in its context where it was kept, and else is read again by itself.
    close = {"sliding": 1e-4}.get(way, 0.5)
    for some, values in zip(parts[:2], seeing, strict=False):
        expected = plainly(likelihood, "".join(TEXT[a:b] for a, b in some) + "\n\n", QUERY)
        assert np.mean(values) == pytest.approx(np.mean(expected), rel=close)
        assert len(values) == len(expected)
    assert not np.allclose(seeing[0], seeing[1], rtol=1e-3)
    again, _ = likelihood.question(QUERY, contexts)
    for one, other in zip(readings.question, again, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_blocks_end_at_blank_lines_and_are_judged_beside_the_header(likelihood: Any):
    other = "x = 1\nvalve = 2\n"
    parts = [CodeText(TEXT, "pump"), CodeText(other), CodeText("\n")]
    ranked = PerplexityCode(lambda: likelihood).rank(QUERY, parts, 100)
    assert ranked.scores[2] == -math.inf
    ends = ranked.inside.boundaries(0)
    lines = TEXT.split("\n")
    assert ends is not None
    assert {i for i, line in enumerate(lines) if not line} <= set(ends) < set(range(len(lines)))
    places = [TEXT.index(some) for some in ("    the =", "    if the", "    # of and")]
    spans = [[(a, b)] for a, b in zip(places, [*places[1:], len(TEXT)], strict=True)]
    before = likelihood.tokens_read
    values = ranked.inside.blocks(0, [TEXT[a:b] for [(a, b)] in spans], spans)
    assert likelihood.tokens_read - before <= 4 * (likelihood.size(QUERY) + 4)
    assert values.min() == 0
    assert len(set(values.tolist())) == 3
    before = likelihood.tokens_read
    assert ranked.inside.blocks(0, [TEXT], [[(0, len(TEXT))]]).tolist() == [1]
    assert likelihood.tokens_read == before
    # What the model did not read is judged by its words.
    short = PerplexityCode(lambda: likelihood, shortlist=1).rank(QUERY, parts, 1)
    unread = [i for i in (0, 1) if short.inside.boundaries(i) is None]
    assert len(unread) == 1
    found = short.inside.blocks(unread[0], ["x = 1\n", "valve = 2\n"], [[(0, 6)], [(6, 16)]])
    assert found.tolist() == ByWords(QUERY).blocks(0, ["x = 1\n", "valve = 2\n"], []).tolist()


def test_the_memory_keeps_what_makes_the_question_likely():
    from ctxzip.backends.torch.states import Memory, State

    memory = Memory(10, limit=1000)
    made = []

    def make(number: int) -> Any:
        made.append(number)
        return State(number, None)

    for number, surprise, tokens in [(0, 3.0, 60), (1, 2.0, 60), (2, 2.5, 30), (3, 1.0, 100)]:
        memory.offer(number, surprise, tokens, lambda number=number: make(number))
        kept = [i for i in range(4) if memory.get(i) is not None]
        assert kept == {0: [0], 1: [1], 2: [1, 2], 3: [3]}[number]
    memory.offer(4, 0.5, 101, lambda: make(4))
    memory.offer(5, 9.0, 1, lambda: make(5))
    assert memory.get(3) is not None
    assert made == [0, 1, 2, 3]
    memory.offer(3, 1.0, 90, lambda: make(3))  # again, after a batch that did not fit
    memory.offer(6, 2.0, 10, lambda: make(6))
    assert made == [0, 1, 2, 3, 3, 6]


def test_spikes_are_at_least_both_neighbours_and_clearly_above_one():
    assert spikes([1, 5, 1, 1.2, 1, 6, 6, 1]) == [1, 5, 6]
    assert spikes([math.inf, 1, 0.4]) == [1]
    assert spikes([]) == spikes([3.0]) == []
    assert perplexity(np.array([math.log(4), math.log(4)])) == pytest.approx(4)


def test_a_context_longer_than_the_window_is_cut_and_said(likelihood: Any):
    found, notes = likelihood.question(QUERY, [TEXT * 40])
    assert len(found[0])
    assert "longer than the model's" in notes[0]


def test_a_model_ranks_and_cuts_under_the_ceiling(likelihood: Any):
    from ctxzip.code.compressor import CodeCompressor

    text = "\n\n".join(TEXT.replace("pump(", f"pump{i}(") for i in range(9))
    compressor = CodeCompressor("longcodezip", PerplexityCode(lambda: likelihood))
    results = [
        ctxzip.compress([Document(text, id="a.py")], ratio, query=QUERY, compressor=compressor)
        for ratio in (0.15, 0.4)
    ]
    for result in results:
        assert 0 < result.tokens_after <= result.ceiling
        compile(result.text, "a.py", "exec")
    scores = [unit.score for unit in results[0].documents[0].units]
    assert len(set(scores)) > 3
    short = PerplexityCode(lambda: likelihood, shortlist=1.5)
    compressor = CodeCompressor("longcodezip", short, settings=LongCodeZip(fine=False))
    before = likelihood.tokens_read
    result = ctxzip.compress([Document(text, id="a.py")], 0.2, query=QUERY, compressor=compressor)
    assert "the model read" in result.notes[0]
    assert likelihood.tokens_read - before < likelihood.size(text)


def test_no_question_no_model(tmp_path: Path):
    compressor = ctxzip.load("longcodezip", model=str(tmp_path / "missing"))
    result = ctxzip.compress([Document(TEXT * 3, id="a.py")], 0.5, compressor=compressor)
    assert "needs a question" in result.notes[0]
    with pytest.raises(ctxzip.ModelError, match="missing"):
        ctxzip.compress([Document(TEXT * 3, id="a.py")], 0.5, query="a", compressor=compressor)


class _Server(BaseHTTPRequestHandler):
    """Every word is a token; a word that stood before is likely."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        tokens, offsets, values, at = [], [], [], 0
        for word in [*body["prompt"].replace("\n", " \n").split(" "), " next"]:
            piece = word if not at else " " + word
            tokens.append(piece)
            offsets.append(at)
            values.append(None if not at else -1.0 if piece in tokens[:-1] else -3.0)
            at += len(piece)
        answer = {"tokens": tokens, "token_logprobs": values, "text_offset": offsets}
        if body["model"] == "silent":
            answer = None
        data = json.dumps({"choices": [{"logprobs": answer}]}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()


def test_an_endpoint_with_prompt_log_probabilities(endpoint: str):
    functions = [
        "def first():\n    # nothing that helps\n    return 1\n",
        "def second():\n    # Which valve of the pump was in?\n    return 2\n",
        "def third():\n    # some other words\n    return 3\n",
    ]
    chat = Chat(base_url=endpoint, model="words")
    compressor = ctxzip.load("longcodezip", settings=LongCodeZip(endpoint=chat))
    documents = [Document("\n\n".join(functions), id="a.py")]
    result = ctxzip.compress(documents, 0.7, query="Which valve of the pump was in?",
                             compressor=compressor)  # fmt: skip
    assert "def second" in result.text
    assert "def third" not in result.text
    silent = LongCodeZip(endpoint=Chat(base_url=endpoint, model="silent"))
    compressor = ctxzip.load("longcodezip", settings=silent)
    with pytest.raises(ctxzip.ModelError, match="log-likelihoods"):
        ctxzip.compress(documents, 0.7, query="Which?", compressor=compressor)


def test_the_knapsack_is_exact_with_nesting_and_markers():
    rng = np.random.default_rng(3)
    for _ in range(40):
        n = int(rng.integers(1, 9))
        skip = [0] * n
        for i in reversed(range(n)):
            skip[i] = i + 1
            while skip[i] < n and rng.random() < 0.4:
                skip[i] = skip[skip[i]]
        value, cost = rng.random(n).round(3), rng.integers(1, 9, n)
        capacity, marker = int(rng.integers(0, 30)), int(rng.integers(0, 3))
        taken = knapsack(value.tolist(), cost.tolist(), skip, capacity, marker=marker)
        best, fits = _by_trying(value, cost, skip, capacity, marker)
        assert fits(taken.tolist()) or not taken.any()
        assert value[taken].sum() == pytest.approx(best)


def _by_trying(value: Any, cost: Any, skip: list[int], capacity: int, marker: int) -> Any:
    """The best value over all sets, and whether a set is allowed."""
    n = len(skip)
    parent = [max((j for j in range(i) if skip[j] > i), default=-1) for i in range(n)]

    def fits(taken: list[bool]) -> bool:
        if any(t and p >= 0 and not taken[p] for t, p in zip(taken, parent, strict=True)):
            return False
        price = int(cost[np.array(taken, bool)].sum())
        gone = [i for i in range(n) if not taken[i] and (parent[i] < 0 or taken[parent[i]])]
        for i in gone:
            before = [j for j in gone if skip[j] == i and parent[j] == parent[i]]
            price += 0 if before else marker
        return price <= capacity

    sets = ([bool(bits >> i & 1) for i in range(n)] for bits in range(2**n))
    return max((value[np.array(s)].sum() for s in sets if fits(s)), default=0.0), fits


def test_adaptive_rates_meet_the_target_and_prefer_what_scores_high():
    rates = adaptive_rates([3, 40, 40, 20], [0, 5, 1, 3], 53, beta=0.5, small=5)
    assert rates[0] == 1.0
    assert rates[1] > rates[3] > rates[2]
    assert sum(r * n for r, n in zip(rates, [3, 40, 40, 20], strict=True)) == pytest.approx(
        53, abs=1
    )
    assert adaptive_rates([10, 10], [1, 1], 10, beta=0.5, small=5) == [0.5, 0.5]
    assert adaptive_rates([10, 10], [1, 2], 40, beta=0.5, small=5) == [1.0, 1.0]
