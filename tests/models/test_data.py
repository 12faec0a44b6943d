"""What the models in ``models/`` learn from."""

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def mini(monkeypatch):
    """The scripts of ``mini`` import one another as they lie."""
    monkeypatch.syspath_prepend(str(ROOT / "models" / "mini"))


TEXT = "The Orava bridge was not built by Lena Novak. It opened in 1961, and the toll stayed."
RECORD = {
    "query": "Who built the bridge over the Orava?",
    "answers": ["Lena Novak"],
    "documents": [{"title": "Orava", "text": TEXT, "evidence": [[0, 45]]}],
}


def test_keep_learns_from_answers_questions_names_numbers_and_negations(mini):
    import keep_labels

    target, answers = keep_labels.targets(TEXT, [RECORD])
    assert [TEXT[a:b] for a, b in answers] == ["Lena Novak"]
    found = {
        word: float(target[TEXT.index(word) : TEXT.index(word) + len(word)].min())
        for word in ("Lena Novak", "bridge", "not", "1961", "toll")
    }
    assert found["Lena Novak"] == 1
    weight = keep_labels.WEIGHT
    assert found["bridge"] == pytest.approx(weight["shared"])
    assert found["not"] == pytest.approx(weight["negations"])
    assert found["1961"] == pytest.approx(weight["names"])
    assert found["toll"] == 0


def test_surprising_content_words_count_by_their_rank(mini):
    import keep_labels

    from ctxzip.segment import words

    start, end = words.split(TEXT)
    surprisal = [float("toll" in TEXT[a:b]) for a, b in zip(start, end, strict=True)]
    target, answers = keep_labels.targets(TEXT, [RECORD], ("surprisal",), surprisal)
    assert not answers
    assert target[TEXT.index("toll")] == pytest.approx(keep_labels.WEIGHT["surprisal"])
    assert target[TEXT.index(" toll")] == 0
    assert np.all(target[: TEXT.index("toll")] < keep_labels.WEIGHT["surprisal"])


@pytest.mark.parametrize(
    ("question", "description"),
    [
        ("Who composed the music of Munich?", "the person who composed the music of Munich"),
        ("What is the capital of Orava?", "the capital of Orava"),
        ("Which country won the match?", "the country that won the match"),
        ("How long is it?", None),
    ],
)
def test_a_question_becomes_a_description_of_its_answer(mini, question, description):
    import compose

    assert compose.describe(question) == description


def test_two_questions_are_joined_where_one_asks_about_the_answer_of_the_other(mini):
    import compose

    def record(number, query, answer, text):
        document = {"title": str(number), "text": text, "evidence": [[0, len(text)]]}
        return {"id": number, "query": query, "answers": [answer], "documents": [document]}

    records = [
        record(1, "Who composed the music of Munich?", "John Williams", "John Williams wrote it."),
        record(2, "Which films have music by John Williams?", "Jaws", "Jaws has his music."),
        record(3, "How many films are there?", "Two", "There are two."),
    ]
    ((query, first, second),) = compose.bridges(records)
    assert query == "Which films have music by the person who composed the music of Munich?"
    assert (first["id"], second["id"]) == (1, 2)
