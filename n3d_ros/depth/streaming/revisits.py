"""Places seen again: frames far apart in the film whose images look alike.

Images are compared as small grey pictures, which finds the same place from about the same viewpoint. Whether it is the
same place is not decided here but by estimating both stretches together.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.geometry.arrays import Float32Array, FloatArray

THUMBNAIL = (24, 18)  # columns, rows: coarse enough for half a metre of parallax indoors
MIN_CONTRAST = 2.0  # standard deviation of grey levels; a wall or a dark room is no place
APART_FRAMES = 25  # between two revisits that both count, as in DA3-Streaming
CROWD = 9  # cells of APART_FRAMES squared that one revisit can keep others out of: its own and those around it


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

    A place is seen again once it was out of sight: a camera that stands still, however long, has been nowhere. Memory
    grows with the number of frames and not with that of their pairs, which are looked at one stretch against all.

    Args:
        descriptors: (N, 432), one per frame.
        min_gap: frames in between that must show something else.
        min_likeness: correlation below which two frames are different places.
        most: revisits returned.

    Returns:
        Likeliest first; of those near each other in both stretches only the likeliest.
    """
    best = np.zeros((0, 3))  # likeness, earlier, later
    for start in range(0, len(descriptors), APART_FRAMES):
        best = np.concatenate([best, _best_of_each_column(descriptors, start, min_gap, min_likeness)])
        order = np.lexsort((best[:, 2], best[:, 1], -best[:, 0]))
        best = best[order[: CROWD * most]]
    kept: list[Revisit] = []
    for likeness, earlier, later in best.tolist():
        if len(kept) == most:
            break
        if all(max(abs(earlier - other.earlier), abs(later - other.later)) >= APART_FRAMES for other in kept):
            kept.append(Revisit(earlier=int(earlier), later=int(later), likeness=likeness))
    return tuple(kept)


def _best_of_each_column(descriptors: Float32Array, start: int, min_gap: int, min_likeness: float) -> FloatArray:
    """Of ``APART_FRAMES`` frames and as many later ones at a time the best pair: (P, 3) likeness, earlier, later."""
    likeness = np.triu(descriptors[start : start + APART_FRAMES] @ descriptors[start:].T)
    alike = likeness >= min_likeness
    if not alike[:, min_gap:].any():
        return np.zeros((0, 3))
    out_of_sight = np.cumsum(np.triu(~alike), axis=1, dtype=np.int32)
    alike &= out_of_sight >= min_gap
    columns = -(-likeness.shape[1] // APART_FRAMES)
    cells = np.full((len(likeness), columns * APART_FRAMES), -np.inf, dtype=np.float32)
    cells[:, : likeness.shape[1]] = np.where(alike, likeness, -np.inf)
    cells = cells.reshape(len(likeness), columns, APART_FRAMES).transpose(1, 0, 2).reshape(columns, -1)
    place, row_of_best = cells.argmax(axis=1), np.arange(columns)
    found = cells[row_of_best, place]
    earlier, later = start + place // APART_FRAMES, start + row_of_best * APART_FRAMES + place % APART_FRAMES
    pairs: FloatArray = np.stack([found.astype(np.float64), earlier, later], axis=1)[np.isfinite(found)]
    return pairs
