"""Promise 2 over requests of prose and code: what an error says is needed suffices, exactly."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from ctxzip import BudgetError, Compression, Document, Options

from .drawn import drawn
from .rows import Loaded
from .texts import FENCE, SENTENCES, TABLE, prose

CODE = [
    "def pump(pressure):\n    if pressure > 2.5:\n        raise ValueError\n    return 1\n",
    "class Valve:\n    limit = 8\n\n    def shut(self):\n        # not now\n        return 1\n",
    "import os\n\n\ndef harbour(x):\n    y = x + 1\n\n    return y\n\n\nprint(harbour(2))\n",
    "function hose(a) {\n  const b = a * 3;\n  return b;\n}\n",
]
PATHS = ["pump.py", "valve.py", "src/harbour.py", "hose.js"]


@st.composite
def requests(draw: st.DrawFn) -> tuple[list[Document], Options]:
    """Documents of both kinds in any order, and some of each protected."""
    found: list[Document] = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.integers(0, len(CODE) - 1))
        code = CODE[kind] * draw(st.integers(1, 4))
        found.append(Document(code, title=PATHS[kind]))
    for _ in range(draw(st.integers(1, 3))):
        text = draw(st.one_of(prose(1, 6), st.sampled_from([TABLE, FENCE, SENTENCES[0] * 3, ""])))
        found.append(Document(text, title=draw(st.sampled_from([None, "A report"]))))
    found = draw(st.permutations(found))
    spans = []
    for document in found:
        edges = st.integers(0, len(document.text))
        pairs = draw(st.lists(st.tuples(edges, edges).map(sorted), max_size=2))
        spans.append([(a, b) for a, b in pairs if a < b])
    options = Options(
        protect_spans=spans,
        protect=draw(st.sampled_from([(), ("pump",), ("return", "2.5 bar")])),
        titles=draw(st.booleans()),
        separator=draw(st.sampled_from(["\n\n", "", " --- "])),
        tokenizer=draw(st.sampled_from(["o200k_base", len, lambda text: len(text.split())])),
        min_per_document=draw(st.sampled_from([0, 0, 1])),
    )
    return found, options


def follows(row: Loaded, documents: list[Document], options: Options, ceiling: int) -> None:
    """Compress under a ceiling, or under the one that the error asks for; at that one exactly."""

    def under(tokens: int) -> Compression:
        result = row.compress(documents, query="pump", target_tokens=tokens, options=options)
        assert result.tokens_after <= tokens == result.ceiling
        return result

    try:
        result = under(ceiling)
    except BudgetError as error:
        caught = error
        with pytest.raises(BudgetError) as again:
            under(caught.needed - 1)
        assert caught.needed == again.value.needed > caught.ceiling == ceiling
        result = under(caught.needed)
    texts = [document.text for document in documents]
    row.check(result, texts, separator=options.separator, titles=options.titles)
    if row.facts.extractive:
        for document, spans in zip(result.documents, options.protect_spans, strict=True):
            kept = {at for start, end in document.kept or () for at in range(start, end)}
            assert all(kept.issuperset(range(*span)) for span in spans)
    for document, spans in zip(documents, options.protect_spans, strict=True):
        assert all(document.text[start:end] in result.text for start, end in spans)


@drawn(asked=requests(), ceiling=st.integers(0, 120))
def test_what_is_needed_suffices(row: Loaded, asked: tuple[list[Document], Options], ceiling: int):
    follows(row, *asked, ceiling)


def test_each_kind_fits_alone_but_not_both(row: Loaded):
    text = "The harbour was closed. Ships waited outside for the pilot to come on board. " * 40
    code = "def harbour(x):\n    y = x + 1\n    return y\n\n" * 60
    options = Options(protect_spans=([(0, 900)], [(0, 900)]))
    with pytest.raises(BudgetError) as caught:
        row.compress([text, code], query="harbour", target_tokens=400, options=options)
    assert 400 < caught.value.needed < 800
    result = row.compress(
        [text, code], query="harbour", target_tokens=caught.value.needed, options=options
    )
    assert text[:900] in result.text
    assert code[:900] in result.text


@pytest.mark.rows("unfloored")
def test_both_kinds_that_fit_are_returned_as_they_are(row: Loaded):
    some = [Document(CODE[0], title="pump.py"), Document("It runs. It is new."), Document("")]
    for ratio, target_tokens in ((1, None), (None, 9_000)):
        result = row.compress(some, ratio, target_tokens=target_tokens)
        assert [document.text for document in result.documents] == [d.text for d in some]
        assert result.tokens_after == result.tokens_before
