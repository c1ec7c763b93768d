"""The mask of every annotation of an image: its own outline, a file, or what a segmenter sees in its box."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
) -> Iterator[BoolArray | InputError]:
    """Masks of annotations, unpacked one by one.

    Args:
        annotations: of one image, boxes in pixels.
        rgb: (H, W, 3) uint8.
        config: where masks come from.
        segmenter: for annotations without an outline; None: they have no mask.

    Yields:
        For each annotation (H, W) bool, or an error with the rule that it breaks as its reason.
    """
    missing = [place for place, one in enumerate(annotations) if one.outline is None]
    if segmenter is None or not missing:
        yield from (_own_mask(one, rgb, config) for one in annotations)
        return
    seen = segmenter.masks(rgb, [annotations[place].box_2d for place in missing])
    found = dict(zip(missing, zip(seen.masks, seen.scores.tolist(), strict=True), strict=True))
    for place, one in enumerate(annotations):
        if place not in found:
            yield _own_mask(one, rgb, config)
            continue
        mask, score = found.pop(place)
        if score >= config.min_score:
            yield mask.unpacked()
        else:
            text = f"The segmenter expects an overlap of {score:.2f}, below {config.min_score}."
            yield InputError(text, reason="mask_unsure")


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
