"""``ctxzip eval`` on data of one's own, with and without a reader."""

from __future__ import annotations

import csv
import json
import math
import re
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from ctxzip import InputError, Span
from ctxzip.cli import main
from ctxzip.evaluate import advice, cases, reader, records, statistics
from tests import checkpoints
from tests.endpoint import StubEndpoint

ITEMS = ["pump", "valve", "hose", "meter", "tank", "crane", "lorry", "boiler"]


def question(i: int) -> dict[str, object]:
    item = ITEMS[i % len(ITEMS)]
    noise = [f"Note {n}: the weather on site {i} was dry and nobody complained." for n in range(6)]
    fact = f"The {item} number {i} was replaced on {1 + i % 28} May by the night shift."
    return {
        "question": f"When was the {item} number {i} replaced?",
        "contexts": [" ".join([*noise[:3], fact]), " ".join(noise[3:])],
        "answer": f"{1 + i % 28} May",
        "evidence": [fact],
    }


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(question(i)) + "\n" for i in range(24)), encoding="utf-8")
    return path


@pytest.fixture
def stub(monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr("ctxzip.backends.chat.time.sleep", waits.append)
    started = []

    def start(answer):
        endpoint = StubEndpoint(answer)
        endpoint.waits = waits
        started.append(endpoint)
        return endpoint

    yield start
    for endpoint in started:
        endpoint.close()


def run(data, folder, *arguments):
    code = main(["eval", str(data), "-o", str(folder), *map(str, arguments)])
    return code, json.loads((folder / "results.json").read_text(encoding="utf-8"))


def from_context(prompt: str, _: int = 0) -> str:
    """What a reader that can only copy would say."""
    found = re.search(r"replaced on (\d+ May)", prompt)
    return found[1] if found else "unknown"


def test_the_others_are_compared_with_one(data, tmp_path, capsys):
    asked = ("-c", "lexical,bm25,lead", "-r", "0.3", "--against", "bm25")
    code, result = run(data, tmp_path / "out", *asked)
    assert code == 0
    assert result["against"] == "bm25"
    assert [one["arm"] for one in result["differences"]] == ["lexical", "lead"]
    lead = result["differences"][1]
    assert lead["low"] <= lead["mean"] <= lead["high"] < 0
    printed = capsys.readouterr().out
    assert f"lead at 0.3: {lead['mean']:+.3f} [{lead['low']:+.3f}, {lead['high']:+.3f}]" in printed
    assert main(["eval", str(data), "-c", "lexical", "--against", "bm25"]) == 1
    assert "--against bm25" in capsys.readouterr().err


# --- data ---------------------------------------------------------------------------------------


def test_simple_tables_and_lines_are_read_alike(tmp_path):
    wanted = [question(i) for i in range(3)]
    texts = {
        "a.jsonl": "\ufeff" + "\n".join(map(json.dumps, wanted)),
        "a.json": json.dumps(wanted),
        "ragas.jsonl": "\n".join(
            json.dumps({"user_input": q["question"], "retrieved_contexts": q["contexts"],
                        "reference": q["answer"], "evidence": q["evidence"]}) for q in wanted
        ),
    }  # fmt: skip
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with open(tmp_path / "a.csv", "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["Question", "context_1", "context_2", "answer", "evidence"])
        out.writerows([q["question"], *q["contexts"], q["answer"], *q["evidence"]] for q in wanted)
    with open(tmp_path / "b.tsv", "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, delimiter="\t")
        out.writerow(["question", "contexts", "answers", "evidence"])
        for q in wanted:  # as JSON, and as pandas writes lists
            cells = [json.dumps(q["contexts"]), repr([q["answer"]]), json.dumps(q["evidence"])]
            out.writerow([q["question"], *cells])
    read = {
        name: [(r.query, r.answers, [d.text for d in r.documents], r.evidence)
               for r in records.load_records(tmp_path / name)]
        for name in (*texts, "a.csv", "b.tsv")
    }  # fmt: skip
    first = read["a.jsonl"]
    assert all(rows == first for rows in read.values())
    query, answers, (text, _), (spans, none) = first[1]
    assert (query, answers) == ("When was the valve number 1 replaced?", ("2 May",))
    assert [text[a:b] for a, b in spans] == wanted[1]["evidence"]
    assert none == ()
    assert [r.id for r in records.load_records(tmp_path / "a.csv")] == [
        "line 2",
        "line 3",
        "line 4",
    ]


def test_semicolons_long_cells_and_quoted_line_breaks(tmp_path):
    long = "Rain fell.\n" * 30_000
    path = tmp_path / "a.csv"
    path.write_text(f'question;context;answer\nq1;"{long}";x\nq2;short;"a;b"\n', encoding="utf-8")
    limit = csv.field_size_limit()
    first, second = records.load_records(path)
    assert csv.field_size_limit() == limit, "a setting of the whole process"
    assert first.documents[0].text == long
    assert second.answers == ("a;b",)
    assert second.id == "line 30003"


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("a.csv", "question,text\nq,t\n", "line 1.*'question', 'text'.*Expected"),
        ("a.csv", "", "empty"),
        ("a.csv", "question,context\nq,t,more\n", "line 2: 3 cells, but the first line names 2"),
        ("a.csv", "question,context\nq1,t\n,t\n", "line 3: the field 'query' is missing"),
        ("a.csv", 'question,context\nq1,t\nq2,"open\n', "line 3: unexpected end of data"),
        ("a.jsonl", '{"question": "q"}\n', "line 1: the field 'documents' is missing.*question"),
        ("a.jsonl", '{"question": "q", "context": "c", "evidence": "d"}', "line 1.*stands in none"),
        ("a.jsonl", '{"question": "\\ud800", "context": "c"}', "line 1: .*surrogate"),
        ("a.jsonl", "[" * 100_000, "line 1: .*recursion"),
        ("a.json", '{"question": "q"}', "not a list"),
        ("a.json", "{", "is not JSON"),
        ("a.json", '[{"question": "q", "context": ""}, 7]', "entry 2: a record is an object"),
    ],
)
def test_malformed_data_are_named_with_their_place(tmp_path, name, text, what):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=re.compile(what, re.DOTALL)):
        list(records.load_records(path))


def test_bad_lines_are_skipped_when_asked(tmp_path, data, capsys):
    good = data.read_bytes().splitlines()
    lines = [good[0], b"{not json", good[1], b"\xff\xfe\x00", b'{"question": 3, "context": "c"}']
    data.write_bytes(b"\n".join([*lines, *good[2:]]) + b"\n")
    assert main(["eval", str(data), "-o", str(tmp_path / "o")]) == 1
    said = capsys.readouterr().err
    assert "line 2: Expecting property name" in said
    assert "2 further lines" in said
    assert "--skip-bad" in said
    code, found = run(data, tmp_path / "o", "--skip-bad", "-c", "bm25", "-r", "0.5")
    assert code == 0
    assert found["setup"]["questions"] == 24
    assert [re.search(r"line (\d+)", line)[1] for line in found["skipped"]] == ["2", "4", "5"]
    assert "line 4: not UTF-8" in capsys.readouterr().err
    data.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    assert main(["eval", str(data), "--skip-bad", "-o", str(tmp_path / "o")]) == 1
    assert "no usable question" in capsys.readouterr().err


# --- without a reader -----------------------------------------------------------------------------


def test_what_is_kept_is_measured_and_recommended(data, tmp_path, capsys):
    code, found = run(data, tmp_path / "o", "-c", "lexical,random", "-r", "0.2,0.4,0.9")
    assert code == 0
    out = capsys.readouterr().out
    rows = {(row["compressor"], row["ratio"]): row for row in found["rows"]}
    assert set(rows) == {("full text", 1.0)} | {
        (name, ratio) for name in ("lexical", "random") for ratio in (0.2, 0.4, 0.9)
    }
    for (name, ratio), row in rows.items():
        assert row["tokens_kept"]["mean"] <= ratio
        for metric in ("evidence_recall", "all_evidence", "answer_recall"):
            assert 0 <= row[metric]["low"] <= row[metric]["mean"] <= row[metric]["high"] <= 1
        assert row["failed"] == 0
        assert name in out
    assert rows["lexical", 0.4]["evidence_recall"]["mean"] == 1
    assert rows["random", 0.2]["evidence_recall"]["mean"] < 0.8
    # 24 questions cannot show 95%, however well they went.
    assert found["recommendation"]["best"] is None
    assert "more questions may settle it" in out
    _, found = run(
        data, tmp_path / "o", "-c", "lexical,random", "-r", "0.2,0.4,0.9", "--quality", "0.8"
    )
    best = found["recommendation"]["best"]
    assert best["compressor"] == "lexical"
    assert best["at_least"] >= 0.8
    assert f"Recommended: lexical at ratio {best['ratio']:g}" in capsys.readouterr().out


def test_the_files_agree_with_one_another(data, tmp_path):
    _, found = run(data, tmp_path / "o", "-c", "lead", "-r", "0.1,0.5")
    with open(tmp_path / "o" / "summary.csv", encoding="utf-8", newline="") as file:
        summary = list(csv.DictReader(file))
    with open(tmp_path / "o" / "cases.csv", encoding="utf-8", newline="") as file:
        each = list(csv.DictReader(file))
    assert len(summary) == len(found["rows"]) == 3
    assert len(each) == len(found["cases"]) == 3 * 24
    for line, row in zip(summary, found["rows"], strict=True):
        assert float(line["evidence_recall_low"]) == row["evidence_recall"]["low"]
        some = [
            float(case["evidence_recall"])
            for case in each
            if (case["compressor"], float(case["ratio"])) == (row["compressor"], row["ratio"])
        ]
        assert sum(some) / 24 == pytest.approx(row["evidence_recall"]["mean"])
    lost = [case for case in found["cases"] if case["values"]["evidence_recall"] == 0]
    assert lost
    assert all(case["lost_evidence"] for case in lost)
    page = (tmp_path / "o" / "report.html").read_text(encoding="utf-8")
    assert page.count("class='chart'") == 3
    worst = [case for case in lost if case["ratio"] == 0.5][:10]
    assert page.count("<details class='doc'>") == len(worst) > 0
    for case in worst:
        i = int(case["id"].split()[-1]) - 1
        assert question(i)["question"] in page
        assert f"<mark>{question(i)['evidence'][0]}</mark>" in page


def test_a_second_run_measures_nothing_again(data, tmp_path, monkeypatch):
    _, first = run(data, tmp_path / "o", "-c", "lexical,bm25", "-r", "0.3,0.5")

    def refuse(self, requests):
        raise AssertionError("measured again")

    monkeypatch.setattr("ctxzip.pipeline.Pipeline.compress_many", refuse)
    monkeypatch.setattr("ctxzip.evaluate.baselines.Baseline.compress_many", refuse)
    _, second = run(data, tmp_path / "o", "-c", "lexical,bm25", "-r", "0.3,0.5")
    assert second["rows"] == first["rows"]
    assert second["cases"] == first["cases"]
    with pytest.raises(AssertionError, match="measured again"):
        run(data, tmp_path / "o", "-c", "lexical,bm25", "-r", "0.3,0.5,0.6")
    changed = question(0) | {"contexts": ["Something else."], "evidence": []}
    data.write_text(json.dumps(changed), encoding="utf-8")
    with pytest.raises(AssertionError, match="measured again"):
        run(data, tmp_path / "o", "-c", "lexical", "-r", "0.3")


def test_a_run_that_is_broken_off_goes_on(data, tmp_path):
    rows = [question(i) | {"contexts": [question(i)["contexts"][0] * 40]} for i in range(120)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    folder = tmp_path / "o"
    command = [sys.executable, "-m", "ctxzip", "eval", str(data), "-o", str(folder)]
    command += ["-c", "lexical", "-r", "0.2,0.4,0.6"]
    begun = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs these tests in the background hands down that SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )

    def stored() -> int:
        try:
            with sqlite3.connect(folder / "results.sqlite") as connection:
                return connection.execute("SELECT count(*) FROM results").fetchone()[0]
        except sqlite3.Error:
            return 0

    deadline = time.monotonic() + 60
    while not stored() and time.monotonic() < deadline and begun.poll() is None:
        time.sleep(0.02)
    begun.send_signal(signal.SIGINT)
    said = begun.communicate()[1]
    before = stored()
    assert begun.returncode == 130, said
    assert "goes on from there" in said
    assert 0 < before < 360
    assert main([*command[3:]]) == 0
    assert stored() == 360


def test_a_request_that_is_refused_fails_alone(data, tmp_path, monkeypatch, capsys):
    from ctxzip.pipeline import Pipeline

    real = Pipeline.compress_many

    def moody(self, requests):
        if any("number 5 " in request.query for request in requests):
            raise InputError("I do not like number 5.")
        return real(self, requests)

    monkeypatch.setattr(Pipeline, "compress_many", moody)
    code, found = run(data, tmp_path / "o", "-c", "lexical", "-r", "0.5")
    assert code == 0
    [failed] = [case for case in found["cases"] if case["failed"]]
    assert failed["id"] == "line 6"
    assert failed["values"] == {}
    assert found["rows"][1]["failed"] == 1
    assert "1 of 48 cases failed" in capsys.readouterr().err


def test_questions_among_others(tmp_path):
    path = tmp_path / "one.jsonl"
    rows = [question(i) for i in range(12)]
    path.write_text(
        "\n".join(json.dumps(r | {"contexts": r["contexts"][:1]}) for r in rows), encoding="utf-8"
    )
    _, found = run(path, tmp_path / "o", "-c", "bm25", "-r", "0.5", "--among", "5", "-n", "7")
    assert found["setup"]["questions"] == 7
    assert found["setup"]["documents"] == 35


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["-r", "0.3,x"], "--ratios"),
        (["-r", "0"], "positive"),
        (["-c", "lexcial"], "lexical"),
        (["--quality", "95"], "--quality 95"),
        (["--metric", "speed"], "evidence_recall"),
        (["--metric", "f1"], "applies to none"),
        (["--price", "1,2,3,4"], "--price"),
        (["--limit", "0"], "--limit"),
        (["--reader", "m"], "--base-url"),
        (["--reader", "m", "--base-url", "ftp://x"], "http"),
        (["--prompt", "nowhere.txt"], "nowhere.txt"),
        (["--reader-hf", "no/such/folder"], "no/such/folder"),
    ],
)
def test_wrong_arguments_are_explained(data, tmp_path, capsys, monkeypatch, arguments, what):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main(["eval", str(data), "-o", str(tmp_path / "o"), "-c", "bm25", *arguments]) == 1
    said = capsys.readouterr().err
    assert what in said
    assert "Traceback" not in said


def test_a_damaged_store_is_named(data, tmp_path, capsys):
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "results.sqlite").write_bytes(b"not a database" * 100)
    assert main(["eval", str(data), "-o", str(tmp_path / "o")]) == 1
    assert "Delete the file" in capsys.readouterr().err


# --- with a reader --------------------------------------------------------------------------------


def test_a_reader_answers_from_full_and_compressed_text(data, tmp_path, stub, capsys):
    endpoint = stub(from_context)
    arguments = ["-c", "lexical,lead", "-r", "0.3", "--reader", "m", "--base-url", endpoint.url]
    code, found = run(data, tmp_path / "o", *arguments, "--price", "10,20,3.6", "--parallel", "4")
    assert code == 0
    assert found["recommendation"]["metric"] == "f1"
    full, lexical, lead = found["rows"]
    assert full["exact_match"]["mean"] == full["f1"]["mean"] == full["agreement"]["mean"] == 1
    assert lexical["f1"]["mean"] > lead["f1"]["mean"]
    for row in (lexical, lead):
        assert row["agreement"]["mean"] == pytest.approx(row["f1"]["mean"])
        # 100 tokens read, 7 written, and an hour of the machine is a thousandth a second.
        assert row["cost"]["mean"] == pytest.approx(
            (100 * 10 + 7 * 20) / 1e6 + 0.001 * row["seconds"]["mean"]
        )
    assert endpoint.most > 1, "requests are made at the same time"
    assert all(body["temperature"] == 0 and body["max_tokens"] == 64 for body in endpoint.bodies)
    asked = endpoint.asked.total()
    assert asked == len(endpoint.asked) <= 72
    _, again = run(data, tmp_path / "o", *arguments)
    assert endpoint.asked.total() == asked, "answers are remembered"
    assert again["cases"][0]["answer"] == "1 May"
    page = (tmp_path / "o" / "report.html").read_text(encoding="utf-8")
    assert "from the compressed text</dt><dd>unknown" in page
    assert "agreement" in capsys.readouterr().out


def test_busy_endpoints_are_asked_again_and_later(data, tmp_path, stub):
    def busy(prompt: str, time: int) -> object:
        if time == 1:
            return 429, {"Retry-After": "7"}, {"error": {"message": "slow down"}}
        if time == 2:
            return 503, {}, b"<html>"
        return from_context(prompt)

    endpoint = stub(busy)
    arguments = ["-c", "lexical", "-r", "0.3", "--reader", "m", "--base-url", endpoint.url]
    code, found = run(data, tmp_path / "o", *arguments, "-n", "6")
    assert code == 0
    assert not any(case["failed"] for case in found["cases"])
    assert set(endpoint.asked.values()) == {3}
    assert endpoint.waits.count(7.0) == len(endpoint.asked), "as long as it asked for"
    later = {wait for wait in endpoint.waits if wait != 7.0}
    assert later == {1.0}, "and then longer than at first"


def test_a_failed_answer_is_no_wrong_answer(data, tmp_path, stub, capsys):
    broken = {"on": True}

    def sometimes(prompt: str, _: int) -> object:
        if broken["on"] and "number 3 replaced?" in prompt:
            return 500, {}, {"error": "out of memory"}
        return from_context(prompt)

    endpoint = stub(sometimes)
    arguments = ["-c", "lexical", "-r", "0.4", "--reader", "m", "--base-url", endpoint.url]
    arguments += ["--retries", "2"]
    code, found = run(data, tmp_path / "o", *arguments)
    assert code == 0
    failed = [case for case in found["cases"] if case["failed"]]
    assert [case["id"] for case in failed] == ["line 4", "line 4"]
    for case in failed:
        assert case["answer"] is None
        assert "out of memory" in case["failed"]
        assert not {"exact_match", "f1", "agreement", "cost"} & case["values"].keys()
        assert case["values"]["evidence_recall"] == 1, "what needs no reader is known"
    assert all(row["failed"] == 1 and row["f1"]["mean"] == 1 for row in found["rows"])
    assert "cases failed and count for nothing" in capsys.readouterr().err
    broken["on"] = False
    before = endpoint.asked.total()
    _, found = run(data, tmp_path / "o", *arguments)
    assert not any(case["failed"] for case in found["cases"])
    assert endpoint.asked.total() == before + 2, "only what failed is asked again"


def test_an_endpoint_that_never_answers_is_given_up(data, tmp_path, stub, capsys):
    endpoint = stub(lambda prompt, time: (401, {}, {"error": {"message": "wrong key"}}))
    arguments = ["-c", "lexical", "-r", "0.2,0.4,0.6", "--reader", "m", "--base-url", endpoint.url]
    code, found = run(data, tmp_path / "o", *arguments, "--parallel", "2")
    assert code == 1
    assert all(case["failed"] for case in found["cases"])
    assert endpoint.asked.total() <= reader.GIVE_UP + 4
    assert "wrong key" in capsys.readouterr().err
    assert found["recommendation"]["metric"] == "evidence_recall"


def test_a_context_is_never_taken_for_a_place(tmp_path, stub):
    path = tmp_path / "a.jsonl"
    row = {"question": "What is {context}?", "context": "It is {question}. {0} {}", "answer": "x"}
    path.write_text(json.dumps(row), encoding="utf-8")
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("Q: {question} -- {context} {braces}", encoding="utf-8")
    endpoint = stub(from_context)
    arguments = ["-c", "lexical", "-r", "1", "--reader", "m", "--base-url", endpoint.url]
    run(path, tmp_path / "o", *arguments, "--prompt", prompt)
    assert set(endpoint.asked) == {"Q: What is {context}? -- It is {question}. {0} {} {braces}"}
    prompt.write_text("no place for a {context}", encoding="utf-8")
    assert main(["eval", str(path), "-o", str(tmp_path / "o"), *arguments, "--prompt", str(prompt)])


def test_prices_without_a_reader(data, tmp_path):
    _, found = run(data, tmp_path / "o", "-c", "bm25", "-r", "0.3", "--price", "10")
    full, short = found["rows"]
    assert short["cost"]["mean"] < full["cost"]["mean"]


# --- the statistics -----------------------------------------------------------------------------


def test_the_lower_bound_is_not_fooled_by_a_handful():
    ones = [1.0] * 59
    assert statistics.lower_bound(ones, ones, 0.05) == pytest.approx(0.95, abs=0.004)
    assert statistics.lower_bound([1.0] * 5, [1.0] * 5, 0.05) < 0.6
    assert statistics.lower_bound([1.0] * 1000, [1.0] * 1000, 0.05) > 0.994
    assert statistics.lower_bound([0.0] * 50, [0.0] * 50, 0.05) == 0, "nothing shows nothing"
    with pytest.raises(InputError):
        statistics.lower_bound([], [], 0.05)


def test_a_quality_at_the_edge_is_certified_by_chance_alone():
    import numpy as np

    generator = np.random.default_rng(7)
    drawn = generator.random((300, 40)) < 0.9  # exactly the quality asked for
    wrong = [
        statistics.lower_bound(row.astype(float).tolist(), [1.0] * 40, 0.05, seed=i) > 0.9
        for i, row in enumerate(drawn)
    ]
    assert np.mean(wrong) < 0.09, "5%, and what 300 draws leave open"


def test_intervals_cover_what_is_missing_too():
    import numpy as np

    values = np.array([[1.0, math.nan, 0.5]] * 30 + [[0.0, math.nan, math.nan]] * 10)
    mean, low, high = statistics.intervals(values)
    assert mean[0] == 0.75
    assert low[0] == pytest.approx(0.75 - 1.96 * math.sqrt(0.75 * 0.25 / 40), abs=0.03)
    assert high[0] > 0.85
    assert np.isnan([mean[1], low[1], high[1]]).all()
    assert mean[2] == low[2] == high[2] == 0.5


def case(i: int, arm: str, ratio: float, value: float) -> cases.Case:
    return cases.Case(i, arm, ratio, values={"f1": value, "tokens_kept": ratio})


def test_advice_goes_down_until_it_fails():
    full = [case(i, cases.FULL, 1.0, 0.8) for i in range(200)]
    good = [case(i, "a", ratio, 0.8) for i in range(200) for ratio in (0.5, 0.1)]
    gap = [case(i, "a", 0.3, 0.4) for i in range(200)]
    [found] = advice.advise([*full, *good, *gap], "f1", 0.95)
    assert found.ratio == 0.5, "0.1 lies behind a ratio that failed"
    [found] = advice.advise([*full, *good], "f1", 0.95)
    assert found.ratio == 0.1
    assert found.kept == pytest.approx(1.0)
    assert 0.95 <= found.bound < 1
    [found] = advice.advise([*full, *gap], "f1", 0.95)
    assert found.ratio is None
    assert "50.0%" in found.reason
    hopeless = [case(i, cases.FULL, 1.0, 0.0) for i in range(200)]
    [found] = advice.advise([*hopeless, *[case(i, "a", 0.5, 0.0) for i in range(200)]], "f1", 0.95)
    assert found.ratio is None, "a reader that knows nothing loses nothing, and shows nothing"


def test_failed_cases_are_left_out_in_pairs():
    full = [case(i, cases.FULL, 1.0, 1.0) for i in range(100)]
    short = [case(i, "a", 0.5, 1.0) for i in range(100)]
    full[0].values.clear()
    short[1].values.clear()
    [found] = advice.advise([*full, *short], "f1", 0.9)
    assert found.ratio == 0.5
    assert found.kept == 1


def test_f1_and_exact_match_as_squad_does():
    from ctxzip.evaluate.metrics import answer_kept, exact_match, f1

    assert exact_match("The Eiffel Tower!", ["tower", "eiffel tower"]) == 1
    assert exact_match("Eiffel", ["eiffel tower"]) == 0
    assert f1("the old eiffel tower", ["eiffel tower"]) == pytest.approx(2 * 2 / 5)
    assert f1("", [""]) == 1
    assert f1("", ["x"]) == f1("x", []) == 0
    assert f1("五月三日", ["三日"]) == pytest.approx(2 * 2 / 6), "no spaces: by characters"
    assert answer_kept(["五月三日"], "泵在五月三日更换。")
    assert not answer_kept(["no"], "know")
    assert f1("a b b", ["b b c"]) == pytest.approx(2 * 2 / 5), "words count as often as they stand"


def test_evidence_that_was_lost_is_where_it_stood():
    text = "The pump is old. It was replaced in May."
    record = records.Record("x", "q", (), (records.Document(text),), ((Span(17, 40),),))
    kept = cases.Kept("The pump is old.", ((Span(0, 16),),), 10, 5, 0, 0.1)
    assert cases.evidence_of(record, kept) == [(False, 0, Span(17, 40))]
    assert cases.judge(record, kept)["evidence_recall"] == 0


def test_a_summary_that_failed_is_not_judged_by_its_stand_in(data, tmp_path, stub, monkeypatch):
    endpoint = stub(lambda prompt, _: (400, {}, {"error": {"message": "no such model"}}))
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
    monkeypatch.setenv("OPENAI_MODEL", "m")
    _, found = run(data, tmp_path / "o", "-c", "chat-summary", "-r", "0.5", "-n", "3")
    row = next(row for row in found["rows"] if row["compressor"] == "chat-summary")
    assert row["failed"] == 3
    assert "evidence_recall" not in row
    assert all("no such model" in c["failed"] for c in found["cases"] if c["failed"])


# --- a model on this machine ----------------------------------------------------------------------


def test_a_model_on_this_machine_reads(data, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    model = checkpoints.llama(tmp_path / "llama", positions=2048)
    arguments = ["-c", "lexical", "-r", "0.3", "-n", "2", "--max-tokens", "5"]
    code, found = run(data, tmp_path / "o", *arguments, "--reader-hf", model, "--price", "1")
    assert code == 0
    assert not any(case["failed"] for case in found["cases"])
    assert all(case["answer"] is not None for case in found["cases"])
    assert all(row["cost"]["mean"] > 0 for row in found["rows"])
    read = reader.LocalReader(str(model), max_tokens=5)
    prompts = ["One pump.", "Two old pumps.", "One pump."]
    replies = dict(read.read(prompts))
    assert replies[0] == replies[2], "greedy, whatever the batch"
    assert replies[0].completion_tokens <= 5
    assert replies[1].prompt_tokens > replies[0].prompt_tokens


def test_a_prompt_beyond_the_models_window_fails_and_is_not_cut(data, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    model = checkpoints.llama(tmp_path / "llama", positions=64)
    arguments = ["-c", "lexical", "-r", "0.1", "-n", "2", "--max-tokens", "2"]
    _, found = run(data, tmp_path / "o", *arguments, "--reader-hf", model)
    full = [case for case in found["cases"] if case["compressor"] == "full text"]
    assert all("reads 64 in all" in case["failed"] for case in full)
