"""Kept units become exact slices."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ctxzip.segment.layout import TextLayout
from ctxzip.text.spans import merge, overlapping, pieces
from ctxzip.text.units import Units


def units_of(text):
    """Every run of non-blank characters."""
    spans, at = [], 0
    for word in text.split():
        at = text.index(word, at)
        spans.append((at, at + len(word)))
        at += len(word)
    return Units.of(spans)


def rendered(text, keep):
    units = units_of(text)
    mask = np.isin(np.arange(len(units)), np.array(keep, np.int64))
    return pieces(text, TextLayout(text, units).spans(mask))


def test_neighbours_keep_the_space_between_them():
    assert rendered("a  b\tc", [0, 1]) == "a  b"


def test_a_dropped_unit_leaves_one_break_the_strongest():
    assert rendered("a b c", [0, 2]) == "a c"
    assert rendered("a\n\nb c", [0, 2]) == "a\n\nc"
    assert rendered("a b\nc d", [0, 3]) == "a\nd"
    assert rendered("a\r\n\r\nb c", [0, 2]) == "a\r\n\r\nc"


def test_edges_are_not_rendered():
    assert rendered("  a b  ", [0]) == "a"


def test_nothing_selected_is_nothing():
    assert rendered("a b", []) == ""


@given(st.text(alphabet="ab \n\t", max_size=60), st.data())
def test_slices_are_ordered_disjoint_and_hold_exactly_the_selected_words(text, data):
    units = units_of(text)
    mask = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(units), max_size=len(units))), bool
    )
    spans = TextLayout(text, units).spans(mask)
    pairs = spans.tolist()
    assert all(a < b for a, b in pairs)
    assert all(b < c for (_, b), (c, _) in pairwise(pairs))
    words = [text[a:b] for a, b, keep in zip(units.start, units.end, mask, strict=True) if keep]
    assert pieces(text, spans).split() == words


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8)).map(lambda t: (t[0], sum(t)))))
def test_merge_covers_the_same_characters_with_gaps_between(pairs):
    spans = np.array(pairs, np.int64).reshape(-1, 2)
    merged = merge(spans).tolist()
    assert {c for a, b in pairs for c in range(a, b)} == {c for a, b in merged for c in range(a, b)}
    assert all(b < c for (_, b), (c, _) in pairwise(merged))


@given(
    st.lists(st.integers(0, 40), min_size=2, max_size=20, unique=True).map(sorted),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9))),
)
def test_overlapping_is_what_a_loop_would_say(edges, others):
    edges = edges[: len(edges) // 2 * 2]
    units = Units.of(list(zip(edges[::2], edges[1::2], strict=True)))
    spans = np.array([(a, a + n) for a, n in others], np.int64).reshape(-1, 2)
    expected = [
        any(max(s, a) < min(e, a + n) for a, n in others)
        for s, e in zip(units.start, units.end, strict=True)
    ]
    assert overlapping(units, spans).tolist() == expected
