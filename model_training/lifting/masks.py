"""The mask of every annotation of an image: its own outline, a file, or what a segmenter sees in its box."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model_training.lifting.annotations import Annotation2D, Box2D
from model_training.lifting.config import MaskConfig
from model_training.lifting.outlines import MaskFile
from model_training.lifting.sam2 import BoxMasks, load_sam2
from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import BoolArray

NO_MASK = "No outline is given; name a segmenter (--segmenter) that finds one in the box."


class Segmenter(Protocol):
    """Finds masks in boxes."""

    def masks(self, rgb: NDArray[np.uint8], boxes: Sequence[Box2D]) -> BoxMasks:
        """The masks of the things in boxes.

        Args:
            rgb: (H, W, 3) uint8.
            boxes: left, top, right, bottom, pixels.

        Returns:
            One mask per box.
        """
        ...


def segmenter_of(config: MaskConfig) -> Segmenter | None:
    """The segmenter that a configuration names, loaded; None when it names none.

    Args:
        config: where masks come from.

    Returns:
        The segmenter; the same one every time in a process.
    """
    return load_sam2(config.segmenter, config.device) if config.segmenter else None


def masks_of(
    annotations: Sequence[Annotation2D],
    rgb: NDArray[np.uint8],
    config: MaskConfig,
    segmenter: Segmenter | None,
) -> list[BoolArray | InputError]:
    """Masks of annotations.

    Args:
        annotations: of one image, boxes in pixels.
        rgb: (H, W, 3) uint8.
        config: where masks come from.
        segmenter: for annotations without an outline; None: they have no mask.

    Returns:
        For each annotation (H, W) bool, or an error with the rule that it breaks as its reason.
    """
    found: list[BoolArray | InputError] = [_own_mask(one, rgb, config) for one in annotations]
    missing = [place for place, one in enumerate(annotations) if one.outline is None]
    if segmenter is None or not missing:
        return found
    seen = segmenter.masks(rgb, [annotations[place].box_2d for place in missing])
    for place, mask, score in zip(missing, seen.masks, seen.scores.tolist(), strict=True):
        if score >= config.min_score:
            found[place] = mask
        else:
            text = f"The segmenter expects an overlap of {score:.2f}, below {config.min_score}."
            found[place] = InputError(text, reason="mask_unsure")
    return found


def _own_mask(one: Annotation2D, rgb: NDArray[np.uint8], config: MaskConfig) -> BoolArray | InputError:
    """The mask of an annotation's outline."""
    height, width = rgb.shape[:2]
    try:
        if one.outline is None:
            return InputError(NO_MASK, reason="no_mask")
        if isinstance(one.outline, MaskFile):
            if not config.folder:
                return InputError(f"{one.outline.name}: no folder of masks is named (--masks).", reason="no_mask")
            return one.outline.read(Path(config.folder).expanduser(), width, height)
        return one.outline.mask(width, height)
    except InputError as error:
        return InputError(error.message, reason="mask_broken")
