"""A run as pictures: which curves are drawn, and what the model says beside what is true."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from model_training.curves import Picture
from model_training.depth.metrics import SceneGuess, SceneTruth

CURVES = {
    "train": ("total", "depth", "local_depth", "gradient", "normal", "ray", "point", "camera", "sky", "objects"),
    "validation": (
        "delta1", "abs_rel", "delta1_affine", "delta1_raw", "rotation_deg", "translation_deg", "auc30",
    ),
}  # fmt: skip
"""What of a log is drawn."""

ERROR_FULL = 0.25  # relative error that is drawn in the strongest colour
TILE_WIDTH = 224


def depth_colors(depth_m: NDArray[np.float32], low: float, high: float) -> Picture:
    """(H, W, 3) BGR, near is warm, none is black.

    Args:
        depth_m: (H, W), NaN for none.
        low: depth of the warmest colour.
        high: depth of the coldest.

    Returns:
        The picture.
    """
    share = np.clip((depth_m - low) / max(high - low, 1e-6), 0, 1)
    picture = cv2.applyColorMap(np.nan_to_num(255 * (1 - share)).astype(np.uint8), cv2.COLORMAP_TURBO)
    picture[~np.isfinite(depth_m)] = 0
    return np.asarray(picture, np.uint8)


def sample_sheet(
    images: Sequence[NDArray[np.uint8]], guesses: Sequence[SceneGuess], truths: Sequence[SceneTruth]
) -> Picture:
    """For every view a row: colour, true depth, predicted depth after one scale for the scene, relative error.

    Args:
        images: (V, H, W, 3) uint8 RGB for each scene.
        guesses: of a model.
        truths: in the same order.

    Returns:
        BGR picture; red is an error of a quarter or more.
    """
    rows = []
    for rgb, guess, truth in zip(images, guesses, truths, strict=True):
        known = np.isfinite(truth.depth_m)
        scale = float(np.median(truth.depth_m[known]) / np.median(guess.depth[known]))
        low, high = np.percentile(truth.depth_m[known], [1, 99])
        for k in range(len(rgb)):
            error = np.abs(guess.depth[k] * scale - truth.depth_m[k]) / truth.depth_m[k]
            tiles = [
                np.ascontiguousarray(rgb[k, ..., ::-1]),
                depth_colors(truth.depth_m[k], low, high),
                depth_colors((guess.depth[k] * scale).astype(np.float32), low, high),
                depth_colors((ERROR_FULL - error).astype(np.float32), 0.0, ERROR_FULL),
            ]
            size = (TILE_WIDTH, round(rgb.shape[1] * TILE_WIDTH / rgb.shape[2]))
            rows.append(np.hstack([cv2.resize(t, size, interpolation=cv2.INTER_NEAREST) for t in tiles]))
    return np.asarray(np.vstack(rows), np.uint8)
