"""Objects that the image's border cuts: how much farther they reach is not seen, and the uncertainty must say so."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from n3d_ros.detection import BoxUncertainty
from n3d_ros.geometry.boxes import Box3D

FloatArray = NDArray[np.float64]

_BORDER_PX = 4  # depth is missing at the very edge of most cameras' images
_CUT_SHARE = 0.2  # of the object's extent along the border that must lie at it; a corner that touches is not cut
_HIDDEN_SHARE = 0.5  # of the seen size: standard deviation of what lies outside, which may be nothing or as much again


def cut_sides(mask: NDArray[np.bool_]) -> FloatArray:
    """The sides of the image at which an object is cut off.

    Args:
        mask: (H, W) the object's pixels.

    Returns:
        (k, 3) unit directions from the object out of the image, camera optical frame (x right, y down); k = 0: none.
    """
    left, right = mask[:, :_BORDER_PX], mask[:, -_BORDER_PX:]
    top, bottom = mask[:_BORDER_PX], mask[-_BORDER_PX:]
    if not (left.any() or right.any() or top.any() or bottom.any()):  # most objects; spares two passes over the image
        return np.zeros((0, 3))
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    tall, wide = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    at_border = (
        ((-1.0, 0.0, 0.0), left.any(axis=1).sum() / tall),
        ((1.0, 0.0, 0.0), right.any(axis=1).sum() / tall),
        ((0.0, -1.0, 0.0), top.any(axis=0).sum() / wide),
        ((0.0, 1.0, 0.0), bottom.any(axis=0).sum() / wide),
    )
    return np.array([side for side, share in at_border if share >= _CUT_SHARE]).reshape(-1, 3)


def widened_for_cuts(uncertainty: BoxUncertainty, box: Box3D, sides: ArrayLike) -> BoxUncertainty:
    """The uncertainty of a box of which the image shows only a part.

    Args:
        uncertainty: of the seen part.
        box: fitted to the seen part, camera optical frame.
        sides: (k, 3) from ``cut_sides``.

    Returns:
        Size and centre less certain along those axes of the box that lead out of the image; unchanged for k = 0.
    """
    directions = np.asarray(sides, dtype=np.float64).reshape(-1, 3)
    if not len(directions):
        return uncertainty
    rotation = box.rotation
    outward = np.abs(directions @ rotation).max(axis=0)  # per axis of the box
    hidden = _HIDDEN_SHARE * outward * box.size
    # The seen end is known, so the centre moves by half of what the hidden end does.
    covariance = uncertainty.center_covariance_m2 + (rotation * (hidden / 2) ** 2) @ rotation.T
    return BoxUncertainty(
        center_covariance_m2=(covariance + covariance.T) / 2,
        size_stddev_m=np.hypot(uncertainty.size_stddev_m, hidden),
        yaw_stddev_rad=uncertainty.yaw_stddev_rad,
    )
