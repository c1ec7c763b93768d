"""Other names of a thing find it; the very word goes before them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from n3d_ros.scene.nouns_alike import SAME_NAMES, singular
from n3d_ros.scene.phrases import Phrase, select


@dataclass(frozen=True)
class Seen:
    label: str
    color: str | None = None
    shape: str | None = None


def chosen(text: str, *labels: str) -> list[str]:
    phrase = Phrase.parse(text)
    assert phrase is not None
    return [one.label for one in select(phrase, [Seen(label) for label in labels]).objects]


@pytest.mark.parametrize(
    ("asked", "label"),
    [
        ("couch", "sofa"), ("the settees", "leather sofa"), ("telly", "television"), ("TVs", "flat screen TV"),
        ("screen", "monitor"), ("fridge", "refrigerator"), ("trash can", "bin"), ("bin", "trash can"),
        ("cell phone", "phone"), ("mobile", "cell phone"), ("bike", "red bicycle"),
    ],
)  # fmt: skip
def test_another_name_finds_the_thing(asked: str, label: str) -> None:
    assert chosen(asked, label, "lamp") == [label]


def test_the_very_word_goes_before_another_name() -> None:
    assert chosen("screen", "monitor", "screen") == ["screen"]
    assert chosen("sofa", "couch", "sofa") == ["sofa"]


@pytest.mark.parametrize(
    ("asked", "label"), [("television", "tv stand"), ("cup", "mug"), ("couch", "chair"), ("bin", "tin can")]
)
def test_what_only_looks_alike_is_not_taken(asked: str, label: str) -> None:
    assert chosen(asked, label, "lamp") == []


def test_each_name_belongs_to_one_group() -> None:
    assert all(tuple(singular(word) for word in name) == name for name in SAME_NAMES)
