from __future__ import annotations

import email
import email.policy
import mailbox
import time
from pathlib import Path

import pytest

from ctxzip.segment.formats import email as mail
from ctxzip.segment.tree import Tree
from tests.segment.formats.harness import everything, outputs, tree_of

BUDGET = """\
Received: from mx.example.org (10.0.0.1) by mail.example.net;
 Mon, 3 Nov 2025 10:00:03 +0000
From: Ann Lee <ann@example.org>
To: Bob Ray <bob@example.net>
Subject: Re: Budget for
 the third quarter
Date: Mon, 3 Nov 2025 10:00:00 +0000
Message-ID: <abc.123@example.org>
X-Spam-Score: 0.1

Hi Bob,

thanks for asking. The budget is 5,000 EUR. It is split:

- travel 1,000
- food 500

> Can we spend more?
No.

> Can we hire?
No. Ask again in May.

Best,
Ann
--\x20
Ann Lee
Phone 555-0101

On Sun, Nov 2, 2025 at 9:00 AM Bob Ray <bob@example.net>
wrote:
> Hi Ann,
>
> what is the budget? I need it soon.
> On Sat, Nov 1, 2025, Carl <carl@example.org> wrote:
>> The old budget was 3,000. It was too low.
"""

FORWARDED = """\
From: Ann Lee <ann@example.org>
Subject: Fwd: Old numbers
Date: Tue, 4 Nov 2025 08:00:00 +0000

See below.

---------- Forwarded message ---------
From: Carl Orr <carl@example.org>
Date: Sat, 1 Nov 2025
Subject: Old numbers
To: Bob Ray <bob@example.net>

The old budget was 3,000.

-----Original Message-----
From: Dora Poe <dora@example.org>
Sent: Friday, 31 Oct 2025
To: Carl Orr <carl@example.org>
Subject: Numbers?

Which budget did we have? Please answer today.
"""

MBOX = """\
From ann@example.org Mon Nov  3 10:00:00 2025
From: ann@example.org
Subject: One
Date: Mon, 3 Nov 2025 10:00:00 +0000

Yes. We can.

From bob@example.org Mon Nov  3 11:00:00 2025
From: bob@example.org
Subject: Two
Date: Mon, 3 Nov 2025 11:00:00 +0000

No. We can't.
"""


def read(text: str) -> Tree:
    return tree_of(text, mail.read, mail.STYLE)


def chain(text: str, words: str) -> list[str]:
    tree = read(text)
    at = next(i for i in range(len(tree)) if text.index(words) < tree.end[i])
    found = []
    while (at := int(tree.parent[at])) >= 0:
        found.append(text[tree.start[at] : tree.end[at]].partition("\n")[0])
    return found


@pytest.mark.parametrize("text", [BUDGET, FORWARDED, MBOX])
def test_all_of_it_is_the_source(text: str) -> None:
    assert mail.fits(text, 0, len(text))
    assert everything(text, mail.read, mail.STYLE).strip() == text.strip()


def test_a_message_keeps_sender_date_and_subject() -> None:
    whole = email.message_from_string(BUDGET, policy=email.policy.default)
    for output in outputs(BUDGET, mail.read, mail.STYLE, n=20):
        message = email.message_from_string(output, policy=email.policy.default)
        for name in ("From", "Date", "Subject"):
            assert message[name] == whole[name]
        assert set(message.keys()) <= set(whole.keys())


@pytest.mark.parametrize(
    ("text", "words", "above"),
    [
        (BUDGET, "travel", ["It is split:", "From: Ann Lee <ann@example.org>"]),
        (BUDGET, "No.\n", ["> Can we spend more?", "From: Ann Lee <ann@example.org>"]),
        (BUDGET, "Ask again", ["> Can we hire?", "From: Ann Lee <ann@example.org>"]),
        (BUDGET, "Phone", ["--", "From: Ann Lee <ann@example.org>"]),
        (
            BUDGET,
            "I need it",
            [
                "> what is the budget?",
                "On Sun, Nov 2, 2025 at 9:00 AM Bob Ray <bob@example.net>",
                "From: Ann Lee <ann@example.org>",
            ],
        ),
        (
            BUDGET,
            ">> The old",
            [
                "> On Sat, Nov 1, 2025, Carl <carl@example.org> wrote:",
                "On Sun, Nov 2, 2025 at 9:00 AM Bob Ray <bob@example.net>",
                "From: Ann Lee <ann@example.org>",
            ],
        ),
        (
            FORWARDED,
            "Please answer",
            [
                "From: Dora Poe <dora@example.org>",
                "-----Original Message-----",
                "From: Carl Orr <carl@example.org>",
                "---------- Forwarded message ---------",
                "From: Ann Lee <ann@example.org>",
            ],
        ),
        (MBOX, "We can't", ["From bob@example.org Mon Nov  3 11:00:00 2025"]),
    ],
)
def test_what_belongs_to_what(text: str, words: str, above: list[str]) -> None:
    assert chain(text, words) == above


def test_messages_of_an_mbox_are_not_mixed(tmp_path: Path) -> None:
    for output in outputs(MBOX, mail.read, mail.STYLE, n=20):
        path = tmp_path / "box"
        path.write_text(output + "\n\n")
        for message in mailbox.mbox(path):
            body = message.get_payload()
            assert (
                message["From"]
                == {"One": "ann@example.org", "Two": "bob@example.org"}[message["Subject"]]
            )
            assert ("can't" in body) <= (message["Subject"] == "Two")
            assert ("Yes" in body) <= (message["Subject"] == "One")


def test_encoded_parts_are_no_content() -> None:
    blob = "\n".join(["QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2"] * 5)
    text = (
        'From: a@b.org\nSubject: x\nContent-Type: multipart/mixed; boundary="zz"\n\n--zz\n'
        "Content-Type: text/plain\n\nHello there.\n\n--zz\nContent-Type: image/png\n"
        f"Content-Transfer-Encoding: base64\n\n{blob}\n--zz--\n"
    )
    tree = read(text)
    kept = [text[tree.start[i] : tree.end[i]] for i in range(len(tree)) if tree.content[i]]
    assert kept == ["Hello there."]
    assert everything(text, mail.read, mail.STYLE).strip() == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "from: x\nto: y\n",
        "# Title\n\n- a\n- b\n",
        "Name: Ann\nCity: Rome\n",
        "On Monday he wrote: nothing.\n\nThen he left.",
        "> A quote.\n\nText.",
        "",
    ],
)
def test_other_texts_are_not_taken(text: str) -> None:
    assert not mail.fits(text, 0, len(text)) or text.startswith("from")


def test_a_thread_without_headers_is_taken() -> None:
    text = "Yes.\n\nOn Mon, 3 Nov 2025, Bob <b@x.org> wrote:\n> Can we?\n"
    assert mail.fits(text, 0, len(text))
    assert chain(text, "> Can we?") == ["On Mon, 3 Nov 2025, Bob <b@x.org> wrote:"]


@pytest.mark.parametrize(
    "piece",
    [
        "> a\n",
        "> > a\n\n",
        "On a wrote\n",
        "From: a\nSubject: b\n\n",
        "--\n",
        "____________\n",
        "Subject: x\n a\n",
    ],
)
def test_time_is_linear(piece: str) -> None:
    def seconds(n: int) -> float:
        text = "From: a\nSubject: b\n\n" + piece * n
        begin = time.process_time()
        mail.fits(text, 0, len(text))
        read(text)
        return (time.process_time() - begin) / n

    seconds(100)
    small, large = max(seconds(500) for _ in range(2)), min(seconds(4000) for _ in range(2))
    assert large < 4 * small
