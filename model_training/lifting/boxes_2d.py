"""Labels and 2-D boxes as files state them, checked: what no image can hold is named, the rest is cut to the image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from model_training.lifting.annotations import Box2D
from n3d_ros.errors import InputError

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
    shared = max(min(a[2], b[2]) - max(a[0], b[0]), 0.0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0 else 0.0
