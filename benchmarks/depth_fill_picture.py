"""A picture of one frame before and after its holes were filled, for people to look at."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.depth_holes import Depth, Mask
from n3d_ros.depth.filling import Filled
from n3d_ros.depth.pixel_source import PixelSource

ENDS = (1.0, 99.0)  # percentiles of depth that the colours span
HOLE = (40, 40, 40)  # of depth that is not there
SOURCE_COLORS = {PixelSource.NONE: HOLE, PixelSource.SENSOR: (200, 200, 200), PixelSource.MODEL: (255, 140, 0)}
LARGEST_ERROR = 0.05  # relative error that has the brightest colour
CAPTION_PX = 26


def colored(
    values: NDArray[np.float64], low: float, high: float, *, colormap: int = cv2.COLORMAP_TURBO
) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of values from low to high; NaN dark."""
    known = np.isfinite(values)
    scaled = np.clip((np.nan_to_num(values) - low) / max(high - low, 1e-9), 0, 1)
    picture = cv2.cvtColor(cv2.applyColorMap((255 * scaled).astype(np.uint8), colormap), cv2.COLOR_BGR2RGB)
    picture[~known] = HOLE
    return np.asarray(picture, np.uint8)


def write_picture(
    folder: Path, name: str, rgb: NDArray[np.uint8], true_m: Depth, cut_m: Depth, hole: Mask, filled: Filled
) -> Path:
    """Colour, depth with holes, filled depth; the truth, where each pixel is from, and the error in the cut holes.

    Args:
        folder: made when it is not there.
        name: of the file, without its ending.
        rgb: (H, W, 3) uint8.
        true_m: (H, W) the depth that is compared with.
        cut_m: (H, W) what was filled.
        hole: (H, W) what was cut.
        filled: the result.

    Returns:
        The file.
    """
    low, high = np.nanpercentile(1 / true_m, ENDS)
    error = np.where(hole, np.abs(filled.depth_m / true_m - 1), np.nan)
    source = np.zeros((*hole.shape, 3), np.uint8)
    for value, color in SOURCE_COLORS.items():
        source[filled.source == value] = color
    tiles = {
        "colour": rgb,
        "depth with holes": colored(1 / cut_m, low, high),
        "filled": colored(1 / filled.depth_m, low, high),
        "truth": colored(1 / true_m, low, high),
        "grey sensor, orange model, dark none": source,
        f"error in the cut holes, 0 to {LARGEST_ERROR:.0%}": colored(
            error, 0, LARGEST_ERROR, colormap=cv2.COLORMAP_HOT
        ),
    }
    captioned = [_with_caption(tile, text) for text, tile in tiles.items()]
    rows = [np.concatenate(captioned[start : start + 3], axis=1) for start in (0, 3)]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    cv2.imwrite(str(path), cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR))
    return path


def _with_caption(tile: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """A tile under its name."""
    bar = np.full((CAPTION_PX, tile.shape[1], 3), 255, np.uint8)
    cv2.putText(bar, text, (8, CAPTION_PX - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([bar, tile])
