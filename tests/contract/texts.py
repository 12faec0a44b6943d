"""Texts and strategies for the contract tests: every script, every kind of markup, source code.

A kind of text is an entry of ``KINDS``; every drawn test on length, spans, protection and isolation
goes over all of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from ctxzip import Document

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


# --- source code ------------------------------------------------------------------------------

PYTHON = [
    "import os\nfrom pump.hall import Valve, close_all\n",
    "LIMIT = 2.5  # bar; must not be exceeded\nRETRIES: int = 10",
    "def start(valve, speed=3):\n    # not before the pressure has fallen\n    valve.open()\n"
    '    if valve.pressure > LIMIT:\n        raise ValueError(f"{valve.id} is at {speed}")\n'
    "    for step in range(speed):\n        valve.turn(step)\n        valve.wait(0.5)\n"
    "    return valve.state",
    "def stop(valve):\n\tvalve.close()\n\treturn None",
    'class Pump(Machine):\n    """A pump in hall 3.\n\n    It is new since 14 May 2024.\n    """\n'
    '\n    name = "INV-2024-00731"\n\n    def __init__(self, hall):\n        self.hall = hall\n'
    "        self.valves = []\n\n    @property\n    def running(self):\n"
    "        return any(valve.is_open for valve in self.valves)\n\n"
    "    async def drain(self):\n        while self.running:\n            await sleep(1)\n"
    "        # 東京 never answers\n        return len(self.valves)",
    "@cached(ttl=60)\ndef température(café, *, e=None, **rest):\n    try:\n"
    "        return café[e]\n    except KeyError:\n        return rest",
    'TABLE = {\n    "hall": 3,\n    "limits": [2.5, 8, 10],\n    "note": """not\n\ntested""",\n}',
    "def one(x): return x + 1",
    "if __name__ == '__main__':\n    start(Valve(7))\n    print('done')",
    "x = 1",
    "# a comment that nobody needs, <|endoftext|>",
    "def broken(:\n    return ]",
]
SCRIPT = [
    "import { log } from './log.js';",
    "// not now\nexport function add(x, y) {\n  const sum = x + y;\n  if (sum > 3) {\n"
    "    log(sum);\n    save(sum);\n  }\n  return sum;\n}",
    "class Box {\n  open() {\n    this.lid = null;\n    return this;\n  }\n\n"
    "  close() {\n    this.lid = 'INV-2024-00731';\n    return this;\n  }\n}",
    "const wait = async (ms) => {\n  await sleep(ms);\n  return ms;\n};",
    "var a=1;function f(x){return x+a};f(2);",
]


@st.composite
def code(draw: st.DrawFn, least: int = 1, most: int = 6) -> str:
    """A file of one language, with any end of line."""
    pieces = draw(st.sampled_from([PYTHON, PYTHON, SCRIPT]))
    chosen = draw(st.lists(st.sampled_from(pieces), min_size=least, max_size=most))
    text = draw(st.sampled_from(["\n\n\n", "\n\n", "\n"])).join(chosen)
    text += draw(st.sampled_from(["\n", "", "\n\n"]))
    return text.replace("\n", draw(st.sampled_from(["\n", "\n", "\r\n"])))


def file_of(text: str) -> Document:
    """A document whose name says in which language it is."""
    return Document(text, id="a.js" if any(p in text for p in ("function", "=> {")) else "a.py")


# --- kinds ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of text that every compressor is held to the promises on.

    Attributes:
        name: stands in the names of the tests.
        text: draws one text, the empty one included.
        long: draws a text with something to choose from.
        samples: a few texts that are always tried.
        question: about the samples.
        literals: what may stand in a text, and may be protected.
        files: a text is handed over as a document with a file's name.
    """

    name: str
    text: st.SearchStrategy[str]
    long: st.SearchStrategy[str]
    samples: Sequence[str]
    question: str
    literals: Sequence[str]
    files: bool = False

    @property
    def several(self) -> st.SearchStrategy[list[str]]:
        """Draws the texts of one request."""
        return st.lists(self.text, min_size=1, max_size=5)

    def document(self, text: str, **more: object) -> Document:
        """A text as it is handed over."""
        return Document(text, id=file_of(text).id if self.files else None, **more)

    def prompt(self, texts: Sequence[str]) -> list[Document]:
        """Several texts as they are handed over."""
        return [self.document(text) for text in texts]


PROSE = Kind(
    "prose",
    texts(),
    prose(),
    samples=[" ".join(SENTENCES[:9]), " ".join(SENTENCES[9:18])],
    question="Which limit has the pump, and when was it replaced?",
    literals=[
        "INV-2024-00731",
        "2.5 bar",
        "東京",
        "n't",
        "👩‍👩‍👧‍👦",
        "<|endoftext|>",
        "e\u0301",
        "x=1;y",
        "  ",
    ],
)
CODE = Kind(
    "code",
    code(0),
    code(2),
    samples=["\n\n\n".join(PYTHON[:6]) + "\n", "\n\n".join(SCRIPT) + "\n"],
    question="How is the valve opened?",
    literals=[
        "valve.pressure > LIMIT",
        "2.5",
        "東京",
        "return",
        "self.",
        "}\n",
        "    ",
        "<|endoftext|>",
    ],
    files=True,
)
KINDS = (PROSE, CODE)
