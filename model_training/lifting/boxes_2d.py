"""Labels and 2-D boxes as files state them, checked: what no image can hold is named, the rest is cut to the image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from model_training.lifting.annotations import Box2D
from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import FloatArray

LEAST_INSIDE = 0.5  # share of a box's area within the image; with less the box is of another image
MAX_WORD_LENGTH = 60  # of a label; longer ones are sentences


def checked_box(values: Any, width: float, height: float, *, inset: str = "px") -> Box2D:
    """A box within an image.

    Args:
        values: left, top, right, bottom.
        width: of the image; 1 for shares; 0: unknown, and the box is not cut.
        height: of the image likewise.
        inset: unit, for messages.

    Returns:
        The box, cut to the image.

    Raises:
        InputError: with the rule that it breaks as its reason.
    """
    try:
        left, top, right, bottom = (float(value) for value in values)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"2-D box: expected four numbers, got {str(values)[:100]}.", reason="box_not_finite") from None
    if not all(map(math.isfinite, (left, top, right, bottom))):
        raise InputError(f"2-D box: expected finite numbers, got {values!r}.", reason="box_not_finite")
    area = max(right - left, 0) * max(bottom - top, 0)
    if area <= 0:
        raise InputError(
            f"2-D box: {right - left:g} x {bottom - top:g} {inset} has no area.", reason="box_without_area"
        )
    if not (width and height):
        return left, top, right, bottom
    cut = max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
    within = max(cut[2] - cut[0], 0) * max(cut[3] - cut[1], 0)
    if within < LEAST_INSIDE * area:
        raise InputError(
            f"2-D box: {within / area:.0%} of it lies within the image of {width:g} x {height:g} {inset}.",
            reason="box_outside",
        )
    return cut


def plain_words(name: str) -> str:
    """A name as tables of labels are asked for it.

    Args:
        name: such as "Coffee_Cup".

    Returns:
        Lower case, with single spaces.
    """
    return " ".join(name.lower().replace("_", " ").split())


def plain_label(name: Any, rename: Mapping[str, str]) -> str:
    """A label in words that a prompt and a box's line can hold.

    Args:
        name: as the file has it, such as "Cabinet/shelf" or "Coffee_cup".
        rename: other words, by ``plain_words`` of the label.

    Returns:
        Lower case, the first of several names.

    Raises:
        InputError: no word, or one that is left out; the reason is "unknown_label".
    """
    if not isinstance(name, str):
        raise InputError(f"Label: expected words, got {name!r}.", reason="unknown_label")
    words = plain_words(name)
    words = rename.get(words, words).split("/")[0]
    kept = " ".join("".join(c if c.isalnum() or c in " -'&" else " " for c in words).split())
    if not kept or len(kept) > MAX_WORD_LENGTH:
        raise InputError(f"Label: {name!r} has no word, or is left out.", reason="unknown_label")
    return kept


def overlap(a: Box2D, b: Box2D) -> float:
    """Intersection over union of two boxes.

    Args:
        a: left, top, right, bottom.
        b: likewise.

    Returns:
        0 to 1.
    """
    return float(overlaps(np.array([a], dtype=np.float64), b)[0])


def overlaps(boxes: FloatArray, other: Box2D) -> FloatArray:
    """Intersection over union of boxes with one box.

    Args:
        boxes: (N, 4) left, top, right, bottom.
        other: likewise.

    Returns:
        (N,) 0 to 1; 0 where neither has an area.
    """
    last = np.asarray(other, dtype=np.float64)
    sides = np.minimum(boxes[:, 2:], last[2:]) - np.maximum(boxes[:, :2], last[:2])
    shared = np.prod(np.maximum(sides, 0.0), axis=1)
    union = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) + np.prod(last[2:] - last[:2]) - shared
    found: FloatArray = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return found
