"""Changes of a set of views that keep its truth true: size, crop, quarter turns."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model_training.depth.view_set import ViewSet


def quarter_turned(views: ViewSet, turns: int) -> ViewSet:
    """The views as a camera turned about its optical axis would have taken them.

    Args:
        views: any.
        turns: quarter turns of the image, counter-clockwise.

    Returns:
        New views with their cameras.
    """
    for _ in range(turns % 4):
        width = views.rgb.shape[2]
        fx, fy, cx, cy = views.intrinsics.T
        # Counter-clockwise, the pixel (u, v) goes to (v, width - 1 - u): x' = y and y' = -x in the camera.
        new_T_old = np.array([[0.0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        views = ViewSet(
            name=views.name,
            rgb=np.rot90(views.rgb, axes=(1, 2)),
            depth_mm=np.rot90(views.depth_mm, axes=(1, 2)),
            sky=np.rot90(views.sky, axes=(1, 2)),
            objects=np.rot90(views.objects, axes=(1, 2)),
            intrinsics=np.stack([fy, fx, cy, width - 1 - cx], axis=1),
            world_T_camera=views.world_T_camera @ new_T_old.T,
        )
    return views


def resized_to_cover(views: ViewSet, height: int, width: int, rng: np.random.Generator | None) -> ViewSet:
    """The views at a size, their aspect kept: scaled until they cover it, then cropped.

    Depth and masks take the nearest pixel, since a mean across an edge would be a point in the air.

    Args:
        views: any.
        height: pixels.
        width: pixels.
        rng: draws the crop, the same for all views; None: the middle.

    Returns:
        New views with their calibrations.
    """
    old_height, old_width = views.rgb.shape[1:3]
    if (old_height, old_width) == (height, width):
        return views
    scale = max(height / old_height, width / old_width)
    tall, wide = max(round(old_height * scale), height), max(round(old_width * scale), width)
    spare = (tall - height, wide - width)
    top, left = (s // 2 if rng is None else int(rng.integers(s + 1)) for s in spare)
    cut = (slice(None), slice(top, top + height), slice(left, left + width))
    sx, sy = wide / old_width, tall / old_height
    fx, fy, cx, cy = views.intrinsics.T
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR

    def scaled(images: NDArray[Any], interpolation: int) -> NDArray[Any]:
        return np.stack([cv2.resize(image, (wide, tall), interpolation=interpolation) for image in images])[cut]

    return ViewSet(
        name=views.name,
        rgb=np.asarray(scaled(views.rgb, smooth), np.uint8),
        depth_mm=np.asarray(scaled(views.depth_mm, cv2.INTER_NEAREST), np.uint16),
        sky=scaled(views.sky.astype(np.uint8), cv2.INTER_NEAREST) > 0,
        objects=scaled(views.objects.astype(np.uint8), cv2.INTER_NEAREST) > 0,
        # The image's borders are what scaling keeps, half a pixel outside the outermost centres.
        intrinsics=np.stack([fx * sx, fy * sy, (cx + 0.5) * sx - 0.5 - left, (cy + 0.5) * sy - 0.5 - top], axis=1),
        world_T_camera=views.world_T_camera,
    )
