"""Chat messages."""

from copy import deepcopy

import pytest

import ctxzip
from ctxzip import BudgetError, InputError
from ctxzip.text import tokens

LONG = (
    "The night shift replaced valve V-221 on 3 May 2021 after a leak. The cafeteria opens at noon. "
    "Paint is blue. The manual is kept in cabinet 7. Visitors receive a yellow badge at the gate. "
) * 4
COUNT = tokens.resolve("o200k_base").count

CALL = {"id": "c1", "function": {"name": "f", "arguments": "{}"}}
CHAT = [
    {"role": "system", "content": "You are a careful assistant. " + LONG},
    {"role": "user", "content": "Hello, here is the log. " + LONG},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": LONG * 2},
    {"role": "assistant", "content": "Thanks.", "name": "bot"},
    {"role": "user", "content": "When was valve V-221 replaced?"},
]

IMAGE = {"type": "image", "source": {"data": "xyz"}}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": LONG}]}
USE = {"type": "tool_use", "id": "t", "name": "f", "input": {"q": LONG}}
BLOCKS = [
    {"role": "user", "content": [{"type": "text", "text": LONG}, IMAGE]},
    {"role": "assistant", "content": [USE]},
    {"role": "user", "content": [RESULT]},
    {"role": "user", "content": [{"type": "text", "text": "When was valve V-221 replaced?"}]},
]


def is_text(key, value):
    return key in ("text", "content") and isinstance(value, str)


def structure(value):
    """A message without the texts that may change."""
    if isinstance(value, dict):
        return {k: "text" if is_text(k, v) else structure(v) for k, v in value.items()}
    return [structure(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("chat", [CHAT, BLOCKS])
@pytest.mark.parametrize("ratio", [0.9, 0.6, 0.45])
def test_structure_stays_and_the_ceiling_holds(chat, ratio):
    original = deepcopy(chat)
    result = ctxzip.compress_messages(chat, ratio)
    assert chat == original
    assert structure(result.messages) == structure(chat)
    assert result.messages[-1] == chat[-1]
    assert result.tokens_after <= ratio * result.tokens_before
    assert result.query == "When was valve V-221 replaced?"


def test_counts_are_those_of_the_messages():
    result = ctxzip.compress_messages(CHAT, 0.6)
    texts = [m["content"] for m in result.messages if isinstance(m["content"], str)]
    assert result.tokens_after == sum(map(COUNT, texts))
    assert result.tokens_before == sum(COUNT(m["content"]) for m in CHAT if m["content"])


def test_system_messages_and_short_ones_stay_and_the_fact_survives():
    result = ctxzip.compress_messages(CHAT, 0.5)
    assert result.messages[0] == CHAT[0]
    assert result.messages[4] == CHAT[4]
    assert "3 May 2021" in result.messages[3]["content"]


def test_old_contents_give_way_first():
    chat = [{"role": "user", "content": LONG}, {"role": "assistant", "content": LONG}, CHAT[-1]]
    result = ctxzip.compress_messages(chat, 0.6)
    old, new = (COUNT(m["content"]) for m in result.messages[:2])
    assert old < new


def test_what_fits_is_untouched():
    result = ctxzip.compress_messages(CHAT, target_tokens=100_000)
    assert result.messages == CHAT
    assert "already fits" in result.notes[0]


def test_untouchable_text_above_the_ceiling_says_what_is_needed():
    with pytest.raises(BudgetError, match="System messages and the question") as caught:
        ctxzip.compress_messages(CHAT, target_tokens=10)
    result = ctxzip.compress_messages(CHAT, target_tokens=caught.value.needed)
    assert result.tokens_after <= caught.value.needed


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ("hello", "one str"),
        ([{"content": "x"}], "Message 0"),
        (["x"], "Message 0"),
        ([{"role": "user", "content": "a\udc00"}], "lone surrogate"),
    ],
)
def test_bad_messages_are_named(messages, says):
    with pytest.raises(InputError, match=says):
        ctxzip.compress_messages(messages, 0.5)


def test_no_messages():
    assert ctxzip.compress_messages([], 0.5).messages == []
