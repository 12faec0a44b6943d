"""A guess at the language of a text, for abbreviations and stop words: by script, then by words."""

from __future__ import annotations

import re

__all__ = ["guess"]

_SCRIPTS = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("zh", re.compile("[\u3400-\u9fff]")),
    ("ko", re.compile("[\uac00-\ud7a3]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
    ("lo", re.compile("[\u0e80-\u0eff]")),
    ("my", re.compile("[\u1000-\u109f]")),
    ("km", re.compile("[\u1780-\u17ff]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("hi", re.compile("[\u0900-\u097f]")),
    ("bn", re.compile("[\u0980-\u09ff]")),
    ("ta", re.compile("[\u0b80-\u0bff]")),
    ("hy", re.compile("[\u0530-\u058f]")),
    ("ka", re.compile("[\u10a0-\u10ff]")),
    ("am", re.compile("[\u1200-\u137f]")),
)
_COMMON = {
    "en": "the of and to in is was that for with it as on by are from this be an which at",
    "de": "der die und das ist nicht ein eine mit den von zu auf für im sich des dem wird auch",
    "fr": "le la les des et est une un du dans pour que qui pas sur au par avec ce il",
    "es": "el la los las de y es una un en que por con para del se no su al como",
    "it": "il la di che e è un una per non con del della sono si le dei nel gli da",
    "pt": "o a os as de e é um uma em que por com para do da não se dos ao",
    "nl": "de het een en van is dat niet op te met voor zijn aan er bij ook door wordt naar",
    "pl": "i w na z się nie do jest to że o jak po od za ale przez był dla są",
    "sv": "och att det som en på är av för med den till inte ett har de om var sig från",
}
_WORDS = {name: frozenset(words.split()) for name, words in _COMMON.items()}
_ANY = frozenset().union(*_WORDS.values())
_TOKEN = re.compile(r"[^\W\d_]+")


def guess(text: str) -> str:
    """Guess the ISO 639-1 code from the first characters; ``"en"`` where nothing speaks against."""
    sample = text[:1500]
    if not sample.isascii():
        counts = {name: len(pattern.findall(sample)) for name, pattern in _SCRIPTS}
        name = max(counts, key=counts.__getitem__)
        if counts[name] * 4 > len(sample):
            # Japanese may hold more Chinese characters than its own.
            return "ja" if name == "zh" and counts["ja"] * 20 > counts["zh"] else name
    tokens = [token for token in _TOKEN.findall(sample.lower()) if token in _ANY]
    hits = {name: sum(token in words for token in tokens) for name, words in _WORDS.items()}
    name = max(hits, key=hits.__getitem__)
    return name if hits[name] > max(2, hits["en"]) else "en"
