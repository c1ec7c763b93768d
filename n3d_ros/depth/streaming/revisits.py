"""Places seen again: frames far apart in the film whose images look alike.

Images are compared as small grey pictures, which finds the same place from about the same viewpoint. Whether it is the
same place is not decided here but by estimating both stretches together.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.geometry.arrays import Float32Array

THUMBNAIL = (24, 18)  # columns, rows: coarse enough for half a metre of parallax indoors
MIN_CONTRAST = 2.0  # standard deviation of grey levels; a wall or a dark room is no place
APART_FRAMES = 25  # between two revisits that both count, as in DA3-Streaming
ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Revisit:
    """Two frames that look alike.

    Args:
        earlier: index of the first one.
        later: index of the second one.
        likeness: correlation of the pictures, at most 1.
    """

    earlier: int
    later: int
    likeness: float


def descriptor(rgb: NDArray[np.uint8]) -> Float32Array:
    """A small grey picture, lightness and contrast taken out.

    Args:
        rgb: (H, W, 3) uint8.

    Returns:
        (432,) float32 of length 1; zero for images without contrast.
    """
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)
    small -= small.mean()
    if float(small.std()) < MIN_CONTRAST:
        return np.zeros(small.size, dtype=np.float32)
    picture: Float32Array = (small / np.linalg.norm(small)).ravel()
    return picture


def revisits(descriptors: Float32Array, *, min_gap: int, min_likeness: float, most: int) -> tuple[Revisit, ...]:
    """The likeliest places seen again.

    Args:
        descriptors: (N, 432), one per frame.
        min_gap: frames that must lie between.
        min_likeness: correlation below which two frames are different places.
        most: revisits returned.

    Returns:
        Likeliest first; of those near each other in both stretches only the likeliest.
    """
    found = []
    for start in range(0, len(descriptors), ROWS_AT_ONCE):
        block = descriptors[start : start + ROWS_AT_ONCE] @ descriptors.T
        earlier, later = np.nonzero(block >= min_likeness)
        far = later - (earlier + start) > min_gap
        pairs = zip(earlier[far].tolist(), later[far].tolist(), strict=True)
        found += [Revisit(earlier=start + i, later=j, likeness=float(block[i, j])) for i, j in pairs]
    found.sort(key=lambda revisit: (-revisit.likeness, revisit.earlier, revisit.later))
    kept: list[Revisit] = []
    for candidate in found:
        if len(kept) == most:
            break
        if all(
            max(abs(candidate.earlier - other.earlier), abs(candidate.later - other.later)) >= APART_FRAMES
            for other in kept
        ):
            kept.append(candidate)
    return tuple(kept)
