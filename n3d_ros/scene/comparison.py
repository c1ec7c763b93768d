"""Two answers to one question side by side: the one that code computes and the one in a model's own words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from n3d_ros.scene.phrases import singular, words_of
from n3d_ros.scene.query import ValueType

NUMBER_TOLERANCE = 0.25  # share of the computed number; the benchmark of the model's authors counts the same as right
_METRES = {
    "mm": 0.001,
    "millimeter": 0.001,
    "millimetre": 0.001,
    "cm": 0.01,
    "centimeter": 0.01,
    "centimetre": 0.01,
    "m": 1.0,
    "meter": 1.0,
    "metre": 1.0,
    "inch": 0.0254,
    "inche": 0.0254,  # the singular of "inches" by its ending
    "foot": 0.3048,
    "feet": 0.3048,
}
_UNITS = "|".join(sorted(_METRES, key=len, reverse=True))
_NUMBER = re.compile(rf"(?<![\w.])(-?\d+(?:\.\d+)?)(?:\s*({_UNITS})s?\b)?(?![\w])", re.IGNORECASE)
_COUNTS = {
    word: n
    for n, word in enumerate(
        ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    )
}
_HOUR = re.compile(rf"\b(\d{{1,2}}|{'|'.join(list(_COUNTS)[1:])})[\s-]*o\W{{0,2}}clock")
SAME = "about the same"  # what a comparison within the error comes to
_SAME_WORDS = frozenset({"same", "equal", "equally", "identical"})
_SIDE_WORDS = {
    "left": frozenset({"left"}),
    "right": frozenset({"right"}),
    "front": frozenset({"front", "nearer", "closer"}),
    "behind": frozenset({"behind", "farther", "further"}),
    "above": frozenset({"above", "higher", "over"}),
    "below": frozenset({"below", "lower", "under", "underneath", "beneath"}),
}
_YES, _NO = frozenset({"yes", "yeah", "true", "correct"}), frozenset({"no", "not", "none", "false", "incorrect"})


class Agreement(Enum):
    """How two answers compare; the value is a sentence's end."""

    AGREE = "agrees with the boxes"
    DIFFER = "differs from the boxes"
    UNKNOWN = "cannot be compared with the boxes"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenValue:
    """The value that an answer in words comes to.

    Args:
        value: bool, number or words.
        value_type: BOOLEAN, NUMBER, COUNT or TEXT.
        unit: "m", "1" (a count), or empty.
    """

    value: bool | float | str
    value_type: ValueType
    unit: str = ""


def spoken_value(text: str) -> SpokenValue:
    """The value of an answer in words.

    Args:
        text: such as "Yes, it is." or "The distance is 0.42 meters."

    Returns:
        Yes or no when it begins so; the last length in metres, else a lone number; else the words themselves.
    """
    if (said := _yes_or_no(text)) is not None:
        return SpokenValue(value=said, value_type=ValueType.BOOLEAN)
    if lengths := _lengths_m(text):
        return SpokenValue(value=lengths[-1], value_type=ValueType.NUMBER, unit="m")
    plain = _plain_numbers(text)
    if len(plain) == 1:
        is_count = plain[0] == int(plain[0]) and plain[0] >= 0
        kind = ValueType.COUNT if is_count else ValueType.NUMBER
        return SpokenValue(value=plain[0], value_type=kind, unit="1" if is_count else "")
    return SpokenValue(value=text.strip(), value_type=ValueType.TEXT)


def agreement(value: object, value_type: ValueType, text: str, *, words: str = "", unit: str = "m") -> Agreement:
    """Whether an answer in words says the same as a computed value.

    Args:
        value: computed; metres where it is a length.
        value_type: its kind.
        text: the other answer.
        words: the computed value in words; tells the clock hour of a ``DIRECTION``.
        unit: of a number; only lengths, ratios and counts are looked for in the text.

    Returns:
        AGREE: the same yes or no, the same count, a number within ``NUMBER_TOLERANCE``, the same clock hour, the same
        word, or a name without its number. UNKNOWN: one of the two comes to no value of the kind.
    """
    same: bool | None = None
    if value_type is ValueType.BOOLEAN:
        said = _yes_or_no(text)
        same = None if said is None else said == bool(value)
    elif value_type is ValueType.COUNT and isinstance(value, (int, float)):
        counts = _plain_numbers(text)
        same = None if not counts else float(value) in counts
    elif value_type is ValueType.NUMBER and isinstance(value, (int, float)) and unit in ("m", "1", ""):
        numbers = _lengths_m(text) or _plain_numbers(text)
        same = None if not numbers else abs(numbers[-1] - value) <= NUMBER_TOLERANCE * abs(value)
    elif value_type is ValueType.DIRECTION:
        mine, theirs = _clock_hours(words), _clock_hours(text)
        same = None if not mine or not theirs else mine[-1] == theirs[-1]
    elif value_type is ValueType.TEXT and isinstance(value, str):
        same = _says(value, text)
    return Agreement.UNKNOWN if same is None else Agreement.AGREE if same else Agreement.DIFFER


def _says(value: str, text: str) -> bool | None:
    """Whether a text has the words of a value; ids ("mug 3") are ours alone, and a side has several words."""
    given = {singular(word) for word in words_of(text)}
    wanted = {singular(word) for word in words_of(value) if not word.isdigit()} - {"and"}
    if value == SAME:
        return bool(given & _SAME_WORDS) if given else None
    sides = _SIDE_WORDS.get(value)
    if sides is not None and given:
        return bool(given & sides)
    return None if not wanted or not given else wanted <= given


def _clock_hours(text: str) -> list[int]:
    """The hours of a clock face that a text names, with figures or words."""
    found = _HOUR.findall(text.lower())
    hours = [int(hour) if hour.isdigit() else int(_COUNTS[hour]) for hour in found]
    return [hour for hour in hours if 1 <= hour <= 12]


def _yes_or_no(text: str) -> bool | None:
    """What an answer begins with; None when neither."""
    first = next(iter(words_of(text)), "")
    return True if first in _YES else False if first in _NO else None


def _lengths_m(text: str) -> list[float]:
    """The numbers that have a unit of length, in metres."""
    return [float(match[1]) * _METRES[match[2].lower()] for match in _NUMBER.finditer(text) if match[2] is not None]


def _plain_numbers(text: str) -> list[float]:
    """The numbers without a unit of length, words for small ones among them."""
    spoken = [(match.start(), float(match[1])) for match in _NUMBER.finditer(text) if match[2] is None]
    words = re.finditer(r"[a-z]+", text.lower())
    spoken += [(match.start(), float(_COUNTS[match[0]])) for match in words if match[0] in _COUNTS]
    return [number for _, number in sorted(spoken)]
