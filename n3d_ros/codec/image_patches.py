"""Images as the vision tower takes them: resized as the reference does, then cut into normalised patches.

The path is N3D-VLM's ``demo.py`` (long side 640, LANCZOS), then Qwen2-VL's image processor (sides to multiples of 28,
BICUBIC, CLIP's mean and deviation, the frame doubled in time, patches in 2x2 blocks). Pillow does both resamplings on
8-bit values, as there; torchvision is not needed.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import Float32Array

LONG_SIDE_PX = 640  # demo.py
PATCH_PX = 14  # Qwen2.5-VL, patch_size
MERGE = 2  # Qwen2.5-VL, spatial_merge_size: 2x2 patches become one visual token
TEMPORAL = 2  # Qwen2.5-VL, temporal_patch_size: a single image is shown twice
BLOCK_PX = PATCH_PX * MERGE
MIN_PIXELS = 3136  # Qwen2-VL's image processor: 4 tokens
MAX_PIXELS = 12_845_056  # Qwen2-VL's image processor: 16384 tokens
MAX_FRAME_PIXELS = 2**26  # 8192 x 8192; no camera on a robot has more, and resampling takes 4 bytes per pixel
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)  # red green blue, of values 0 to 1
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
PATCH_VALUES = 3 * TEMPORAL * PATCH_PX * PATCH_PX

_LEVELS = (
    (np.arange(256, dtype=np.float32)[None] / 255 - np.array(CLIP_MEAN, dtype=np.float32)[:, None])
    / np.array(CLIP_STD, dtype=np.float32)[:, None]
).astype(np.float32)
"""(3, 256) float32: what each 8-bit value of each colour becomes."""


def long_side_size(width: int, height: int, long_side: int = LONG_SIDE_PX) -> tuple[int, int]:
    """Width and height with the longer one at ``long_side``; the shorter is cut off, not rounded.

    Args:
        width: pixels.
        height: pixels.
        long_side: pixels.

    Returns:
        Width and height, at least 1.
    """
    if width >= height:
        return long_side, max(1, int(height * long_side / width))
    return max(1, int(width * long_side / height)), long_side


def resize_long_side(rgb: NDArray[np.uint8], long_side: int = LONG_SIDE_PX) -> NDArray[np.uint8]:
    """The image with its longer side at ``long_side`` (LANCZOS); the same array if it is already.

    Args:
        rgb: (H, W, 3) uint8.
        long_side: pixels.

    Returns:
        (H', W', 3) uint8.

    Raises:
        InputError: more than ``MAX_FRAME_PIXELS``.
    """
    height, width = rgb.shape[:2]
    if height * width > MAX_FRAME_PIXELS:
        raise InputError(
            f"Image: expected at most {MAX_FRAME_PIXELS} pixels, got {width}x{height}; "
            "publish a smaller image or a region of interest."
        )
    return _resized(rgb, long_side_size(width, height, long_side), Image.Resampling.LANCZOS)


def patch_size(
    width: int, height: int, *, min_pixels: int = MIN_PIXELS, max_pixels: int = MAX_PIXELS
) -> tuple[int, int]:
    """Width and height at which an image is cut into patches: multiples of 28 near its own.

    Halves are rounded to even multiples. An image outside the bounds is scaled, its shape kept as well as multiples of
    28 allow. Unlike Qwen's processor, strips longer than 200 times their width are taken too.

    Args:
        width: pixels.
        height: pixels.
        min_pixels: least area.
        max_pixels: largest area.

    Returns:
        Width and height, each a multiple of 28 and at least 28.
    """
    new_width, new_height = round(width / BLOCK_PX) * BLOCK_PX, round(height / BLOCK_PX) * BLOCK_PX
    if new_width * new_height > max_pixels:
        shrink = math.sqrt(width * height / max_pixels)
        new_width = max(BLOCK_PX, math.floor(width / shrink / BLOCK_PX) * BLOCK_PX)
        new_height = max(BLOCK_PX, math.floor(height / shrink / BLOCK_PX) * BLOCK_PX)
    elif new_width * new_height < min_pixels:
        grow = math.sqrt(min_pixels / (width * height))
        new_width = math.ceil(width * grow / BLOCK_PX) * BLOCK_PX
        new_height = math.ceil(height * grow / BLOCK_PX) * BLOCK_PX
    return new_width, new_height


def image_patches(
    rgb: NDArray[np.uint8], *, min_pixels: int = MIN_PIXELS, max_pixels: int = MAX_PIXELS
) -> tuple[Float32Array, tuple[int, int]]:
    """The patches of an image, and how many rows and columns of them there are.

    Args:
        rgb: (H, W, 3) uint8, after ``resize_long_side``.
        min_pixels: least area of what is cut.
        max_pixels: largest area of what is cut.

    Returns:
        (P, 1176) float32, read-only: per patch colour, time, row, column; the patches of a 2x2 block follow each other,
        blocks in reading order. And the grid (rows, columns), P = rows columns.
    """
    height, width = rgb.shape[:2]
    new_width, new_height = patch_size(width, height, min_pixels=min_pixels, max_pixels=max_pixels)
    image = _resized(rgb, (new_width, new_height), Image.Resampling.BICUBIC)
    rows, columns = new_height // PATCH_PX, new_width // PATCH_PX
    # Axes: block row, block column, row in block, column in block, pixel row, pixel column, colour.
    blocks = image.reshape(rows // MERGE, MERGE, PATCH_PX, columns // MERGE, MERGE, PATCH_PX, 3)
    blocks = np.ascontiguousarray(blocks.transpose(6, 0, 3, 1, 4, 2, 5)).reshape(3, rows * columns, -1)
    values = np.empty((rows * columns, 3, TEMPORAL, PATCH_PX * PATCH_PX), dtype=np.float32)
    for color in range(3):
        # The table gives the processor's own arithmetic, once per level instead of once per pixel.
        values[:, color] = _LEVELS[color].take(blocks[color])[:, None]
    patches = values.reshape(rows * columns, PATCH_VALUES)
    patches.flags.writeable = False
    return patches, (rows, columns)


def _resized(rgb: NDArray[np.uint8], size: tuple[int, int], resample: Image.Resampling) -> NDArray[np.uint8]:
    """The image at (width, height), resampled by Pillow one axis after the other.

    Between the two passes values are rounded to 8 bits, so their order shows. Pillow up to 12 goes along the rows
    first; Pillow 13 begins with the columns where the height shrinks by more than twice the pixels of the width. That
    rule is kept here whichever Pillow is installed; for pictures of ordinary shape it is the old order when shrinking.
    """
    height, width = rgb.shape[:2]
    if (width, height) == size:
        return rgb
    columns_first = size[1] < height and height - size[1] > 2 * (width - size[0])
    between = (width, size[1]) if columns_first else (size[0], height)
    image = Image.fromarray(np.ascontiguousarray(rgb))
    return np.asarray(image.resize(between, resample).resize(size, resample))
