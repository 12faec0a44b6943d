"""Words and patterns that ``protect.soft`` keeps: data, no code to speak of.

Every pattern begins with a literal or a small set of characters, for which Python's ``re`` skips
quickly, and none can run over the same text twice: repetitions are bounded or stop at the very
character with which the pattern begins.
"""

from __future__ import annotations

import re

__all__ = [
    "MEANING_WORDS",
    "NUMBER_PHRASES",
    "NUMBER_WORDS",
    "PATTERNS",
    "UNSPACED_PATTERNS",
]

# Without these a sentence says the opposite, or something where it said nothing.
_NEGATIONS = """
    not no never none nor neither nothing nobody nowhere cannot without except unless excluding
    only hardly barely scarcely rarely seldom non unlikely impossible false
    nicht kein keine keinen keinem keiner keines nie niemals niemand nichts ohne weder kaum außer
    ausser sofern nirgends
    ne pas jamais aucun aucune sans ni rien nul nulle sauf
    nunca jamás ningún ninguna ninguno nada nadie sin tampoco salvo excepto
    mai nessun nessuno nessuna niente nulla senza né neanche nemmeno neppure tranne
    não jamais nenhum nenhuma ninguém sem nem exceto
    niet geen nooit niets zonder noch tenzij behalve
    не нет ни никогда никто ничего нельзя без кроме
"""

# Duty, permission and possibility; "will" because contracts and standards oblige with it.
_MODALS = """
    must shall should may might can could would will ought
    muss müssen musste darf dürfen soll sollen sollte sollten kann können könnte könnten
    doit doivent peut peuvent pourrait pourraient devrait devraient faut
    debe deben puede pueden podría podrían debería deberían
    deve devono può possono potrebbe potrebbero dovrebbe dovrebbero
    devem pode podem poderia poderiam deveria deveriam
    moet moeten mag mogen kan kunnen
    должен должна должны можно может могут
"""

# "one" is left out, for it is mostly a pronoun.
_NUMBERS = """
    zero two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety
    hundred hundreds thousand thousands million millions billion billions trillion dozen dozens half
    quarter twice percent
"""

_CONTRACTIONS = """
    ain aren can couldn daren didn doesn don hadn hasn haven isn mayn mightn mustn needn oughtn shan
    shouldn wasn weren won wouldn
"""


def _forms(words: str) -> set[str]:
    return {form for word in words.split() for form in (word, word.capitalize(), word.upper())}


MEANING_WORDS = frozenset(
    _forms(_NEGATIONS + _MODALS + _NUMBERS)
    | _forms(" ".join(f"{stem}{mark}t" for stem in _CONTRACTIONS.split() for mark in "'’"))
)
"""Words that carry negation, exception, modality or number, as written in running text."""

_UNITS = (
    r"%|‰|percent(?:age)?|per|pct|bps|thousand|million|billion|trillion|dozen|hundred|mn|bn|"
    r"[ap]\.m\.|[ap]m|o['’]clock|BCE?|CE|AD|UTC|GMT|CET|E[SD]T|P[SD]T|"
    r"(?:milli|micro|nano|centi|deci|kilo|mega|giga)?(?:m(?:et(?:er|re))|gram|lit(?:er|re)|watt|"
    r"volt|byte|bit|joule|hertz|ton(?:ne)?|second)s?|"
    r"(?:minute|hour|day|week|month|quarter|year|decade|centur(?:y|ie)|mile|inch(?:e)?|yard|"
    r"pound|ounce|degree|dollar|euro|cent|point|time|fold|people|person|patient|employee|acre|"
    r"hectare|knot|calorie|pixel|token)s?|foot|feet|"
    r"[kKMGTPmcdnµμ]?(?:[mgLlWVAJBbsNF]|Hz|Pa|Wh|eV|mol|bit|bps|iB)(?:[²³23]|/\w{1,3})?|"
    r"mg/d[lL]|IU|ha|km/h|mph|kn|ft|in|lbs?|oz|rpm|px|pt|dpi|fps|°[CF]?|[KCF]|"
    r"USD|EUR|GBP|JPY|CHF|CNY|INR|[€$£¥]|"
    r"Prozent|Millionen|Milliarden|Mio|Mrd|Uhr|Jahre?n?|Euro|pour|millions?|milliards?|ans|"
    r"por|millones|años|anos|milhões|per|milioni|miliardi|anni|miljoen|miljard|jaar|"
    r"млн|млрд|тыс|руб|лет"
)
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|"
    r"Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_LABELS = """
    section sections sec figure figures fig table tables page pages chapter article appendix step
    part version type phase level volume vol grade stage clause paragraph no nr eq equation art p
    pp line item rule day week year question room gate flight size
"""
_QUALIFIERS = """
    about around approx approximately nearly almost over under below above between exactly minus
    plus only than least most since until before after
"""
_PHRASES = (
    "at least|at most|more than|less than|fewer than|greater than|higher than|lower than|up to|"
    "no more|no less|as of"
)

NUMBER_WORDS = frozenset((_LABELS + _QUALIFIERS).split())
"""Words that say which number the one after them is, or how exact it is."""

NUMBER_PHRASES = frozenset(_PHRASES.split("|"))
"""The same, of two words."""

PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"[0-9][)\]]?[ \u00a0\u202f]?(?:{_UNITS})(?!\w)",
        r"[0-9]{1,2}(?:\.|st|nd|rd|th|er|º)? (?:de |of )?[^\W\d_]{3,10}\.?,? (?:de |del )?[0-9]{4}",
        rf"{_MONTH} [0-9]",
        r"[A-Z]{1,5}(?:-[A-Z]{1,3})?[ \u00a0](?=[0-9])",
        r"[$€£¥₹₽₩§#№±<>≤≥≈][ \u00a0]?[0-9]",
        r"[NnHh](?<!\w.)(?:eeds?|eeded|as|ave|ad) to(?!\w)",
        r"[Nn](?<!\w.)['’][^\W\d_]+",
        r"https?://[^\s<>\"]+",
        r"`(?<!``)(?!`)[^`\n]+`",
        # Not the quotations of TeX and of treebanks, ``so'' and `` so ''; an empty string in code
        # stands behind an operator or a bracket.
        r"``(?<!```)(?!`)(?:[^`'\n]|'(?!')|(?<=[=(\[{+])''|(?<=[=(\[{+] )''|`(?!`))+``",
        r"</?[A-Za-z!][^<>\n]{0,200}>",
        r"\{(?:\{[^{}\n]{1,80}\}|%[^{}\n]{1,80}%|[A-Za-z_][\w.]{0,60})\}",
        r"\[\^?[0-9][^\[\]\n]{0,30}\]",
    )
)
"""Patterns that are kept: numbers with what belongs to them, addresses, code spans, and so on."""

UNSPACED_PATTERNS = (
    re.compile(
        r"[0-9０-９][ \u00a0]?[年月日時时点分秒歳岁円元万萬億亿兆千百人個个件名台回次倍割％%]+"
    ),
    re.compile(r"[不没沒無无未勿莫]|な[いくし]|なかった|ません|ではな|ไม่|ห้าม"),
)
"""More of them for Chinese, Japanese and Thai, which other texts are spared."""
