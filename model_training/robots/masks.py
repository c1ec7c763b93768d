"""Which pixels show which object: the grounder's own masks where its box was left alone, else the points in the box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model_training.robots.editing import EditedObject
from n3d_ros.geometry.arrays import BoolArray, FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.refine.noise import KINECT_V1

LEAST_PIXELS = 8  # fewer points make no visible box: a speck of noise
SLACK_M = (
    0.003  # beyond each side, with twice the depth's scatter: a fitted side runs through its points, not around them
)
SLACK_SCATTERS = 2.0
BASE_M = 0.004  # the lowest points of a box are what it stands on
BASE_SHARE = 0.25  # of the height at most: a plate must not vanish


def object_labels(
    objects: Sequence[EditedObject], points: NDArray[np.floating], found: NDArray[np.uint16] | None, up: FloatArray
) -> NDArray[np.uint16]:
    """The object that each pixel shows.

    Args:
        objects: of the frame.
        points: (H, W, 3) metres, camera optical frame, NaN where there is no depth.
        found: (H, W) numbers that the grounder marked; None: it marked none.
        up: (3,) the vertical, camera optical frame.

    Returns:
        (H, W) uint16 ids, 0 for none; where boxes overlap, the smaller one has the pixel.
    """
    labels = np.zeros(points.shape[:2], np.uint16)
    for one in sorted(objects, key=lambda each: -each.box.volume):
        own = found == one.id if found is not None and not one.is_moved and _has_mask(one) else None
        labels[points_in(one.box, points, up) if own is None or not own.any() else own] = one.id
    return labels


def _has_mask(one: EditedObject) -> bool:
    """Whether the grounder marked its pixels."""
    return one.found is not None and one.found.has_mask


def points_in(box: Box3D, points: NDArray[np.floating], up: FloatArray) -> BoolArray:
    """The pixels whose points lie in a box, without those of what it stands on.

    Args:
        box: camera optical frame.
        points: (H, W, 3) metres, NaN where there is no depth.
        up: (3,) the vertical.

    Returns:
        (H, W) bool.
    """
    scatter = KINECT_V1.at(float(np.linalg.norm(box.center)))
    slack = SLACK_M + SLACK_SCATTERS * scatter
    reach = float(np.linalg.norm(box.size / 2 + slack))
    inside = np.zeros(points.shape[:2], bool)
    with np.errstate(invalid="ignore"):  # NaN compares as outside
        rows, columns = np.nonzero((np.abs(points - box.center) <= reach).all(axis=-1))
    local = box.local(points[rows, columns])
    within = (np.abs(local) <= box.size / 2 + slack).all(axis=1)
    along = up @ box.rotation
    axis = int(np.abs(along).argmax())
    height = box.size[axis]
    base = min(BASE_M + SLACK_SCATTERS * scatter, BASE_SHARE * height)
    within &= np.sign(along[axis]) * local[:, axis] > base - height / 2
    inside[rows[within], columns[within]] = True
    return inside
