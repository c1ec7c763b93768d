"""The words of a question, evened out: case, apostrophes, contractions, British and American spelling, id names.

``Word.plain`` is what the grammar reads, ``Word.said`` what the asker wrote.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_QUOTES = str.maketrans(
    {
        "\u2019": "'",
        "\u2018": "'",
        "\u00b4": "'",
        "`": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u00d7": "x",
        "\u2026": "...",
    }
)
_TOKEN = re.compile(
    r"(?P<id>\d{1,9})_(?=[^\W\d_])"  # "3_coffee table", the reference's names
    r"|(?P<time>\d{1,2}:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:\s?[ap]\.?m\b\.?)?|\d{1,2}\s?[ap]\.?m\b\.?)(?![\d:])"
    r"|(?P<number>\d+(?:\.\d+)?)(?=(?:x\d|[^\d.]|\.(?!\d)|$))"
    r"|(?P<word>[^\W\d_][^\W_]*(?:[-/.&'][^\W_]+)*'?)"
    r"|(?P<mark>[,;:?!.()\"\[\]<>#=-]|\.\.\.)",
    re.IGNORECASE,
)  # fmt: skip
_CONTRACTIONS = {
    "whats": "what is", "wheres": "where is", "whos": "who is", "hows": "how is", "theres": "there is",
    "isnt": "is not", "arent": "are not", "wasnt": "was not", "werent": "were not", "aint": "is not",
    "dont": "do not", "doesnt": "does not", "didnt": "did not", "cant": "can not", "cannot": "can not",
    "couldnt": "could not", "wont": "will not", "wouldnt": "would not", "hasnt": "has not", "havent": "have not",
    "im": "i am", "youre": "you are", "id": "i would", "ive": "i have", "youve": "you have", "lets": "let us",
    "whatre": "what are", "wherere": "where are", "its'": "its",
}  # fmt: skip
_ENDINGS = {"n't": "not", "'re": "are", "'ve": "have", "'ll": "will", "'d": "would", "'m": "am"}
_ASKING = frozenset(("what", "where", "which", "who", "how", "there", "it", "that", "when", "here", "he", "she", "one"))
_SPELLING = {
    "color": "colour", "colors": "colours", "colored": "coloured", "gray": "grey", "center": "centre",
    "centers": "centres", "meter": "metre", "meters": "metres", "centimeter": "centimetre",
    "centimeters": "centimetres", "millimeter": "millimetre", "millimeters": "millimetres", "liter": "litre",
    "liters": "litres", "leftwards": "left", "rightwards": "right", "lefthand": "left-hand",
    "righthand": "right-hand", "favorite": "favourite", "mom": "mum", "ok": "okay", "pls": "please", "plz": "please",
    "u": "you", "metric": "metric", "farer": "farther", "closet": "closet", "towards": "toward",
    "heigth": "height", "hight": "height", "lenght": "length", "widht": "width", "wich": "which", "wher": "where",
    "whare": "where", "distence": "distance", "distane": "distance", "betwen": "between", "beetween": "between",
    "infront": "in front", "ontop": "on top", "atleast": "at least", "nextto": "next to", "thier": "their",
    "taler": "taller", "biger": "bigger", "bigest": "biggest", "larges": "largest", "tabel": "table",
    "behing": "behind", "leftside": "left side", "rightside": "right side", "foward": "forward", "teh": "the",
    "wat": "what", "waht": "what", "howmany": "how many", "thats": "that is", "diference": "difference",
}  # fmt: skip
"""American -> British, and slips of the keyboard that are no words of their own."""
_SPLIT = re.compile(
    r"(left|right|top|bottom|front|back|far|near|side|hand|most|two|three|four|second|third|point|of|in|between|on|"
    r"clock|how|free)(?:-(?:left|right|hand|side|most|of|view|thirds?|largest|biggest|smallest|tallest|front|between|"
    r"top|wise|direction|position|many|far|tall|wide|space|hour))+"
)  # hyphens between words that the grammar knows: "left-hand", "point-of-view"


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word, number or mark.

    Args:
        plain: evened out: lower case, contractions taken apart, one spelling.
        said: as written; empty for the second half of a contraction.
        kind: "word", "number", "id" (the number of ``3_mug``), "time" or "mark".
    """

    plain: str
    said: str
    kind: str = "word"


def words_in(text: str) -> tuple[Word, ...]:
    """The words of a text.

    Args:
        text: anything.

    Returns:
        Words, numbers and marks in order; characters that are none of these are left out.
    """
    even = re.sub(r"(?i)\bo\s?'\s?clock\b", "oclock", unicodedata.normalize("NFC", text).translate(_QUOTES))
    even = re.sub(r"\s*[\u2013\u2014]\s*", " - ", even)
    even = re.sub(r"(?<=\s)/(?=\s)", " or ", re.sub(r"(?<=\s)&(?=\s)", "and", even))
    even = re.sub(r"(?<=\d)\s?[xX*]\s?(?=\d)", " x ", even)
    found = list[Word]()
    for match in _TOKEN.finditer(even):
        kind = match.lastgroup or "mark"
        said = match["id"] or match[0]
        if kind == "word":
            found += _evened(said)
        else:
            found.append(Word(plain=said, said=said, kind=kind))
    return tuple(found)


def _evened(said: str) -> list[Word]:
    """One written word as one or more plain ones."""
    plain = said.lower()
    if plain.count("-") and _SPLIT.fullmatch(plain):
        return [word for part in said.split("-") for word in _evened(part)]
    for ending, rest in _ENDINGS.items():
        if plain.endswith(ending) and len(plain) > len(ending):
            stem = said[: -len(ending)] + ("n" if plain == "can't" else "")
            stem = {"wo": "will", "ca": "can", "ai": "is"}.get(stem.lower(), stem)
            return [*_evened(stem), Word(plain=rest, said=said[-len(ending) :])]
    if plain.endswith("'s"):
        stem = said[:-2]
        ending = "is" if stem.lower() in _ASKING else "'s"
        return [*_evened(stem), Word(plain=ending, said=said[-2:])]
    if plain.endswith("'"):
        stem = said[:-1]
        return [*_evened(stem), Word(plain="'s", said="'")] if plain.endswith("s'") else _evened(stem)
    if said == "r":  # "how many mugs r there"; a thing may be called R
        return [Word(plain="are", said=said)]
    even = _CONTRACTIONS.get(plain) or _SPELLING.get(plain) or plain
    first, *others = even.split()
    return [Word(plain=first, said=said), *(Word(plain=other, said="") for other in others)]
