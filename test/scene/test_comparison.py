"""The computed answer beside the one in a model's own words, and names given as they were asked for."""

from __future__ import annotations

from typing import Any

import pytest

from n3d_ros.scene.asked import asked_name
from n3d_ros.scene.comparison import Agreement, agreement, spoken_value
from n3d_ros.scene.query import ValueType


@pytest.mark.parametrize(
    ("value", "kind", "text", "how"),
    [
        (True, ValueType.BOOLEAN, "Yes, the mug is there.", Agreement.AGREE),
        (True, ValueType.BOOLEAN, "No.", Agreement.DIFFER),
        (False, ValueType.BOOLEAN, "The mug.", Agreement.UNKNOWN),
        (0.40, ValueType.NUMBER, "The distance is 0.5 meters.", Agreement.AGREE),
        (0.40, ValueType.NUMBER, "It is 41 cm away.", Agreement.AGREE),
        (0.40, ValueType.NUMBER, "It is 0.51 m away.", Agreement.DIFFER),
        (0.40, ValueType.NUMBER, "Quite far.", Agreement.UNKNOWN),
        (3.0, ValueType.COUNT, "There are three mugs.", Agreement.AGREE),
        (4.0, ValueType.COUNT, "There are 3 mugs.", Agreement.DIFFER),
        (0.0, ValueType.COUNT, "There are no mugs.", Agreement.AGREE),
        ("left", ValueType.TEXT, "It is on the Left.", Agreement.AGREE),
        ("left", ValueType.TEXT, "It is on the right.", Agreement.DIFFER),
        ((0.0, 1.0, 2.0), ValueType.POSITION, "At the left.", Agreement.UNKNOWN),
        ("red box 3", ValueType.TEXT, "The red box is taller.", Agreement.AGREE),
        ("red box 3", ValueType.TEXT, "The mug is taller.", Agreement.DIFFER),
        ("mug 1 and bowl 2", ValueType.TEXT, "The bowl, and the mug.", Agreement.AGREE),
        ("behind", ValueType.TEXT, "It is farther away.", Agreement.AGREE),
        ("above", ValueType.TEXT, "It is lower than the box.", Agreement.DIFFER),
        ("about the same", ValueType.TEXT, "They are equally tall.", Agreement.AGREE),
        ("about the same", ValueType.TEXT, "The mug is taller.", Agreement.DIFFER),
    ],
)
def test_answers_are_compared_by_value(value: Any, kind: ValueType, text: str, how: Agreement) -> None:
    assert agreement(value, kind, text) is how


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("It is at 2 o'clock.", Agreement.AGREE),
        ("At two o\u2019clock from the mug.", Agreement.AGREE),
        ("First 5 o'clock, no: 2 o'clock.", Agreement.AGREE),
        ("You will find it at 10 o'clock.", Agreement.DIFFER),
        ("To the right.", Agreement.UNKNOWN),
    ],
)
def test_clock_hours_are_compared(text: str, how: Agreement) -> None:
    assert agreement((1.0, 0.0, 0.0), ValueType.DIRECTION, text, words="2 o'clock") is how


def test_volumes_are_not_compared_with_lengths() -> None:
    assert agreement(0.002, ValueType.NUMBER, "2 litres", unit="m^3") is Agreement.UNKNOWN


@pytest.mark.parametrize(
    ("text", "value", "kind", "unit"),
    [
        ("Yes, it is.", True, ValueType.BOOLEAN, ""),
        ("no", False, ValueType.BOOLEAN, ""),
        ("The mug is 0.42 meters away.", 0.42, ValueType.NUMBER, "m"),
        ("It measures 12 by 30 cm.", 0.30, ValueType.NUMBER, "m"),
        ("There are 3 mugs.", 3.0, ValueType.COUNT, "1"),
        ("The ratio is 1.5.", 1.5, ValueType.NUMBER, ""),
        ("The laptop.", "The laptop.", ValueType.TEXT, ""),
    ],
)
def test_words_come_to_a_value(text: str, value: Any, kind: ValueType, unit: str) -> None:
    spoken = spoken_value(text)
    assert spoken.value == pytest.approx(value)
    assert (spoken.value_type, spoken.unit) == (kind, unit)


@pytest.mark.parametrize(
    ("label", "nouns", "color", "name"),
    [
        ("mug", (), None, "mug"),
        ("Mug", ("mugs",), None, "Mug"),
        ("orange/tangerine", ("tangerine",), None, "orange/tangerine"),
        ("Hotair ballon", ("hot air balloons",), None, "hot air balloon"),
        ("mug", ("red mug",), None, "red mug"),
        ("mug", ("red mug", "laptop"), None, "red mug"),
        ("laptop", ("red mug", "laptop"), None, "laptop"),
        ("mug", ("red mug", "blue mug"), None, "mug"),
        ("mug", ("red mug", "blue mug"), "blue", "mug"),
        ("cup", ("red mug", "laptop"), None, "cup"),
    ],
)
def test_what_was_found_is_called_as_it_was_asked_for(
    label: str, nouns: tuple[str, ...], color: str | None, name: str
) -> None:
    assert asked_name(label, nouns, color=color) == name
