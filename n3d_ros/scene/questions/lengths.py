"""Numbers and measures in words: "half a metre", "20 by 30 by 10 cm", "5 minutes", "two"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from n3d_ros.scene.questions.patterns import Lexeme
from n3d_ros.scene.questions.words import Word

_UNITS_M: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("m", "metre", "metres", "mtr"), ("m", 1.0)),
    **dict.fromkeys(("cm", "cms", "centimetre", "centimetres"), ("cm", 0.01)),
    **dict.fromkeys(("mm", "mms", "millimetre", "millimetres"), ("mm", 0.001)),
    **dict.fromkeys(("dm", "decimetre", "decimetres"), ("cm", 0.1)),
    **dict.fromkeys(("km", "kilometre", "kilometres"), ("m", 1000.0)),
    **dict.fromkeys(("inch", "inches", "in"), ("in", 0.0254)),
    **dict.fromkeys(("ft", "foot", "feet"), ("ft", 0.3048)),
    **dict.fromkeys(("yard", "yards", "yd"), ("ft", 0.9144)),
}
"""Unit -> the unit that an answer uses, and metres."""
_UNITS_M2 = {"m2": 1.0, "sqm": 1.0, "cm2": 1e-4}
_UNITS_M3 = {
    "l": 1e-3,
    "litre": 1e-3,
    "litres": 1e-3,
    "ml": 1e-6,
    "millilitre": 1e-6,
    "millilitres": 1e-6,
    "m3": 1.0,
    "cm3": 1e-6,
}
_UNITS_S = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("day", "days"), 86400.0),
}
_SMALL = dict(
    zip(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ],
        range(20),
        strict=True,
    )
)
_TENS = dict(
    zip(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], range(20, 100, 10), strict=True)
)
MAX_NUMBER = 1e9  # beyond it nothing here is meant


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """A length.

    Args:
        metres: how long.
        unit: as answers write it.
        power: 2 for an area, 3 for a volume.
    """

    metres: float
    unit: str = "m"
    power: int = 1


def unit_of(word: str) -> str | None:
    """The unit that a word names, as answers write it; None when it names none."""
    known = _UNITS_M.get(word)
    if known is None and word in _UNITS_M3:
        return "ml" if word.startswith("m") and word != "m3" else "l" if word.startswith("l") else None
    return None if known is None else known[0]


def number_at(words: Sequence[Word], at: int) -> tuple[int, float] | None:
    """The number at a place.

    Args:
        words: of the question.
        at: where it begins.

    Returns:
        The place behind it and its value; None when there is none.
    """
    if at >= len(words):
        return None
    word = words[at]
    following = words[at + 1].plain if at + 1 < len(words) else ""
    if word.kind == "number" or (word.kind == "word" and word.plain in _SMALL and word.plain != "one"):
        value = float(word.plain) if word.kind == "number" else float(_SMALL[word.plain])
        if following in ("hundred", "thousand"):
            return at + 2, value * (100 if following == "hundred" else 1000)
        return (at + 1, value) if value <= MAX_NUMBER else None
    if word.plain in _TENS:
        ones = _SMALL.get(following.removeprefix("-"), 0)
        return (at + 2, _TENS[word.plain] + ones) if 0 < ones < 10 else (at + 1, float(_TENS[word.plain]))
    tens, _, ones_word = word.plain.partition("-")
    if tens in _TENS and 0 < _SMALL.get(ones_word, 0) < 10:
        return at + 1, float(_TENS[tens] + _SMALL[ones_word])
    if word.plain == "one":
        return at + 1, 1.0
    if word.plain in ("a", "the") and following in ("dozen", "hundred", "thousand"):
        return at + 2, {"dozen": 12.0, "hundred": 100.0, "thousand": 1000.0}[following]
    if word.plain == "a" and following == "couple":
        return at + (3 if at + 2 < len(words) and words[at + 2].plain == "of" else 2), 2.0
    return None


def _amount_at(words: Sequence[Word], at: int) -> tuple[int, float] | None:
    """A number as it stands before a unit: "half a", "a", "two and a half", "a quarter of a", "one"."""

    def plain(k: int) -> str:
        return words[k].plain if k < len(words) else ""

    start = at + (plain(at) == "a" and plain(at + 1) in ("half", "quarter"))
    if plain(start) in ("half", "quarter"):
        share = 0.5 if plain(start) == "half" else 0.25
        end = start + 1
        end += plain(end) == "of"
        return end + (plain(end) in ("a", "an")), share
    if plain(at) == "three" and plain(at + 1) == "quarters":
        return at + 2 + 2 * (plain(at + 2) == "of"), 0.75
    if (found := number_at(words, at)) is not None:
        end, value = found
        if [plain(end), plain(end + 1), plain(end + 2)] == ["and", "a", "half"]:
            return end + 3, value + 0.5
        return end, value
    return (at + 1, 1.0) if plain(at) in ("a", "an") else None


def measure_at(words: Sequence[Word], at: int) -> tuple[int, Lexeme] | None:
    """The measure at a place: a length, an area, a volume, several lengths, or a time.

    Args:
        words: of the question.
        at: where it begins.

    Returns:
        The place behind it and a lexeme of kind "length" (a ``Length``), "lengths" (a tuple of metres) or "duration"
        (seconds); None when there is none.
    """
    rows = _row_at(words, at)
    if rows is None:
        return None
    end, amounts, unit = rows
    if len(amounts) > 1:
        known = _UNITS_M.get(unit or "")
        if known is None:
            return None
        return end, Lexeme(word="lengths:", kind="lengths", value=tuple(amount * known[1] for amount in amounts))
    if unit is None:
        return None
    amount = amounts[0]
    if unit in _UNITS_S:
        return _half_more(words, end, amount, _UNITS_S[unit], "duration")
    for units, power in ((_UNITS_M2, 2), (_UNITS_M3, 3)):
        if unit in units:
            return end, Lexeme(word="length:", kind="length", value=Length(metres=amount * units[unit], power=power))
    if unit == "in" and end < len(words) and words[end].plain in ("the", "a", "this", "your", "my", "which", "total"):
        return None  # "are there 2 in the box"
    return _half_more(words, end, amount, _UNITS_M[unit][1], "length", unit=_UNITS_M[unit][0])


def _half_more(
    words: Sequence[Word], end: int, amount: float, factor: float, kind: str, unit: str = "m"
) -> tuple[int, Lexeme]:
    """Such as "a metre and a half" and "1 m 20 cm"."""
    total = amount * factor
    if [word.plain for word in words[end : end + 3]] == ["and", "a", "half"]:
        end, total = end + 3, total + factor / 2
    elif kind == "length" and end + 1 < len(words) and words[end].kind == "number":
        smaller = _UNITS_M.get(words[end + 1].plain)
        if smaller is not None and smaller[1] < factor and words[end + 1].plain != "in":
            end, total = end + 2, total + float(words[end].plain) * smaller[1]
    value = Length(metres=total, unit=unit) if kind == "length" else total
    return end, Lexeme(word=f"{kind}:", kind=kind, value=value)


def _row_at(words: Sequence[Word], at: int) -> tuple[int, list[float], str | None] | None:
    """Amounts with "by" or "x" between them, and the unit behind the last: "20 x 30 cm", "20 cm by 30 cm"."""
    first = _amount_at(words, at)
    if first is None:
        return None
    end, amounts = first[0], [first[1]]
    unit, end = _unit_at(words, end)
    if unit is not None and unit in (_UNITS_M2.keys() | _UNITS_M3.keys() | _UNITS_S.keys()):
        return end, amounts, unit
    while len(amounts) < 3:
        parted = _row_part(words, end)
        following = _amount_at(words, parted) if parted is not None else None
        if following is None or words[parted or 0].plain in ("a", "an"):
            break
        new_unit, new_end = _unit_at(words, following[0])
        if new_unit is not None and new_unit not in _UNITS_M:
            break
        if unit is not None and new_unit is not None and unit != new_unit:
            amounts = [amount * _UNITS_M[unit][1] / _UNITS_M[new_unit][1] for amount in amounts]
        amounts.append(following[1])
        unit, end = new_unit or unit, new_end
    if len(amounts) > 1 and unit is None:
        return None
    return end, amounts, unit


def _row_part(words: Sequence[Word], at: int) -> int | None:
    """The place behind a "by" or "x"; also inside "x30"."""
    return at + 1 if at < len(words) and words[at].plain in ("by", "x", "times") else None


def _unit_at(words: Sequence[Word], at: int) -> tuple[str | None, int]:
    """The unit at a place, if any, and the place behind it."""
    if at >= len(words):
        return None, at
    plain = words[at].plain
    if plain == "-" and at + 1 < len(words) and words[at + 1].plain in _UNITS_M:
        return words[at + 1].plain, at + 2
    following = words[at + 1].plain if at + 1 < len(words) else ""
    if plain in ("square", "cubic") and following in _UNITS_M:
        power = 2 if plain == "square" else 3
        name = "m2" if power == 2 else "m3"
        if _UNITS_M[following][1] == 0.01:
            return f"c{name}", at + 2
        return (name, at + 2) if _UNITS_M[following][1] == 1.0 else (None, at)
    known = plain in _UNITS_M or plain in _UNITS_M2 or plain in _UNITS_M3 or plain in _UNITS_S
    return (plain, at + 1) if known else (None, at)
