"""Which objects of a frame are asked for, which count neither way, and the groups that results are told by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from model_training.data.records import FrameRecord, ObjectRecord, QuestionRecord
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.scene.nouns_alike import singular, words_of
from n3d_ros.settings import check, number

DISTANCE_BANDS_M = (1.0, 2.0, 4.0)  # ends of the bands: tabletops, rooms, halls
_ARTICLES = ("the", "a", "an")
SIZE_BANDS_M = (0.1, 0.25, 0.6)  # of the longest side: small things, cups to monitors, chairs, furniture


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedFor:
    """What makes an object count, where a data set's own detection question does not say."""

    min_pixels: int = number(
        100, "objects that fewer pixels show count neither way", unit="px", minimum=0, maximum=10_000_000
    )
    min_visible: float = number(
        0.2, "objects of which a smaller share is visible count neither way", minimum=0.0, maximum=1.0
    )
    ignore_furniture: bool = field(
        default=False, metadata={"meaning": "tables, shelves and what else carries objects count neither way"}
    )

    def __post_init__(self) -> None:
        """Refuses values out of range.

        Raises:
            ConfigurationError: naming the field.
        """
        check(self, "asked_for")


def asked_objects(
    record: FrameRecord, questions: Sequence[QuestionRecord], rule: AskedFor
) -> tuple[tuple[ObjectRecord, ...], tuple[ObjectRecord, ...]]:
    """The objects to be found, and the others, which count neither way.

    Args:
        record: the frame.
        questions: about it; a detection question names what is to be found.
        rule: what counts where there is no such question; furniture may be ignored in any case.

    Returns:
        Asked for, ignored.
    """
    detection = next((one for one in questions if one.kind == "detection"), None)
    named = None if detection is None else set(detection.object_ids)
    asked = [one for one in record.objects if (_counts(one, rule) if named is None else one.id in named)]
    if rule.ignore_furniture:
        asked = [one for one in asked if one.role != "furniture"]
    ids = {one.id for one in asked}
    return tuple(asked), tuple(one for one in record.objects if one.id not in ids)


def _counts(one: ObjectRecord, rule: AskedFor) -> bool:
    if 0 < one.visible_pixels < rule.min_pixels:
        return False
    return one.visible_fraction is None or one.visible_fraction >= rule.min_visible


def same_class(first: str, second: str) -> bool:
    """Whether two labels name one class: the same words, in any case, of one thing or several.

    Args:
        first: a label.
        second: another.

    Returns:
        True for "Coffee mugs" and "coffee mug", not for "mug" and "coffee mug".
    """
    return class_name(first) == class_name(second)


def class_name(label: str) -> str:
    """A label as classes are told apart by it.

    Args:
        label: in words.

    Returns:
        Lower case words in the singular, one blank between, without an article before them.
    """
    words = words_of(label)
    if len(words) > 1 and words[0] in _ARTICLES:
        words = words[1:]
    return " ".join(singular(word) for word in words) or label.strip().lower()


def distance_band(box: Box3D) -> str:
    """How far from the camera a box is.

    Args:
        box: camera optical frame.

    Returns:
        Such as "1 to 2 m".
    """
    return _band(math.dist(box.center.tolist(), (0.0, 0.0, 0.0)), DISTANCE_BANDS_M)


def size_band(box: Box3D) -> str:
    """How large a box is, by its longest side.

    Args:
        box: of any frame.

    Returns:
        Such as "0.1 to 0.25 m".
    """
    return _band(float(box.size.max()), SIZE_BANDS_M)


def band_order(bands: Sequence[float]) -> list[str]:
    """The names of all bands, ascending.

    Args:
        bands: their ends, metres.

    Returns:
        Names as ``distance_band`` and ``size_band`` give them.
    """
    inner = [f"{low:g} to {high:g} m" for low, high in pairwise(bands)]
    return [f"below {bands[0]:g} m", *inner, f"{bands[-1]:g} m and more"]


def _band(value_m: float, bands: Sequence[float]) -> str:
    return band_order(bands)[sum(value_m >= end for end in bands)]
