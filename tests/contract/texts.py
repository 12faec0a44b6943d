"""Texts and strategies for the contract tests: every script, every kind of markup."""

from __future__ import annotations

import json

from hypothesis import strategies as st

SENTENCES = [
    "The pump in hall 3 was replaced on 14 May 2024.",
    "It must not be started before the pressure has fallen below 2.5 bar.",
    "Nobody complained, although the order INV-2024-00731 arrived 10 minutes late!",
    "Dr. Okonkwo can't confirm the figure of 1,234.50 EUR (see https://example.org/a?b=1).",
    "Is foo_bar@example.com still the right address?",
    "The temperature rose to 9.6 °C for 25 minutes.",
    'She said: "Never again." Then she left.',
    "Le patient n'a pas reçu 5 mg de morphine, mais 50 mg.",
    "Die Maßeinheit darf nicht geändert werden; es gilt weiterhin §12.",
    "東京タワーの高さは333メートルです。1958年に完成しました。",
    "会议没有推迟到下周三,费用是¥3,500。",
    "한국어 문장도 짧게 줄일 수 있습니다.",
    "ภาษาไทยไม่มีช่องว่างระหว่างคำและไม่มีจุด",
    "لا تفتح الباب قبل الساعة ٨:٣٠ صباحًا.",
    "यह दवा 2 दिन से अधिक न लें।",
    "Не открывать дверь раньше 8:30!",
    "אין להפעיל את המכונה.",
    "👩‍👩‍👧‍👦 arrived 🇵🇱 with 👍🏽 and a ❤️‍🔥.",
    "Zürich, cafe\u0301, Å, ﬁnance, ½, Ⅻ, e\u0301\u0323.",
    "<|endoftext|> and <|im_start|>system are only text. [CLS] [SEP] </s> <pad>",
    "a",
    "one two",
    "x=1;y=2",
    "# Heading",
    "- a list item that is not long",
    "1. first step: wait 30 s",
    "> quoted advice",
    "\u200bzero\u200bwidth\ufeff and \u202eright to left\u202c",
    "tab\tseparated\tvalues",
    "NUL\x00 and bell\x07 and \x1b[2m",
]
TABLE = "| Part | Limit |\n|---|---|\n| valve | 8 bar |\n| pump | 2.5 bar |\n| hose | not tested |"
FENCE = "```python\ndef f(x):\n    # not now\n    return x + 1\n\n\nprint(f(2))\n```"
TABLES = [
    TABLE,
    TABLE.replace("\n", "\r\n"),
    "Part | Limit\n:--- | ---:\nvalve | 8 bar\npump | 2.5 bar",
    "  | Teil | Wert |\n  | :-: | - |\n  | Ventil. Neu. | 8 bar |",
]
FENCES = [
    FENCE,
    FENCE.replace("\n", "\r\n"),
    "~~~\nprint('```')\n\nIt is not prose. It is code.\n~~~",
    "````md\n```py\nx = 1\n```\n````",
    "   ```\n   x = 1\n\n   y = 2\n   ```",
    '```json\n{\n  "a": 1,\n  "b": [2, 3]\n}\n```',
    "```\n| a | b |\n|---|---|\n| 1 | 2 |\n```",
    "```\n```",
]
JSON = json.dumps(
    {
        "id": "INC-7",
        "open": True,
        "max": 9.6,
        "tags": ["a", "b"],
        "note": "Do not reuse. Ask first.",
    }
)
BREAKS = [" ", "  ", "\n", "\r\n", "\n\n", "\r\n\r\n", "\t", "\u2028", "\u3000", "\n\n\n", "\r"]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|fim_prefix|>", "[CLS]", "[MASK]", "</s>", "<unk>"]

any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
chunks = st.one_of(
    st.sampled_from(SENTENCES),
    st.sampled_from(SENTENCES),
    st.sampled_from([TABLE, FENCE, JSON, *SPECIAL]),
    any_text,
)


@st.composite
def texts(draw: st.DrawFn, most: int = 9) -> str:
    """Prose and markup in any mixture, with any kind of break between."""
    parts: list[str] = []
    for _ in range(draw(st.integers(0, most))):
        parts += [draw(chunks), draw(st.sampled_from(BREAKS))]
    return "".join(parts)


@st.composite
def prose(draw: st.DrawFn, least: int = 3, most: int = 12) -> str:
    """Enough sentences to choose from."""
    parts: list[str] = []
    for _ in range(draw(st.integers(least, most))):
        parts += [draw(st.sampled_from(SENTENCES)), draw(st.sampled_from([" ", "\n", "\n\n"]))]
    return "".join(parts)


documents = st.lists(texts(), min_size=1, max_size=5)
queries = st.one_of(
    st.none(),
    st.sampled_from(["", "  ", "How high was the temperature?", "東京タワーの高さは?", *SPECIAL]),
    any_text,
)
ratios = st.one_of(
    st.floats(0.01, 1.0), st.floats(1.01, 40.0), st.sampled_from([0.1, 0.3, 0.5, 1, 2])
)

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    any_text,
)
json_values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=8), inner, max_size=5)
    ),
    max_leaves=25,
)
json_documents = st.one_of(
    st.dictionaries(st.text(max_size=8), json_values, min_size=1, max_size=8),
    st.lists(json_values, min_size=1, max_size=8),
)
