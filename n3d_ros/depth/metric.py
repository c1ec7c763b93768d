"""From a metric network's numbers to metres."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from n3d_ros.errors import CalibrationError
from n3d_ros.geometry.arrays import Float32Array, FloatArray

CANONICAL_FOCAL_PX = 300.0  # metric networks answer as if every camera had it


def focal_px(matrices: ArrayLike) -> FloatArray:
    """The focal length of cameras, the mean of both axes.

    Args:
        matrices: (S, 3, 3) camera matrices of the images *as the network sees them*. The focal length of the camera's
            full image would make everything too far by the factor between the two sizes.

    Returns:
        (S,) float64, pixels.

    Raises:
        CalibrationError: focal lengths that are not finite or not above 0.
    """
    k = np.asarray(matrices, dtype=np.float64)
    focal: FloatArray = (k[:, 0, 0] + k[:, 1, 1]) / 2
    if not (np.isfinite(focal) & (focal > 0)).all():
        raise CalibrationError(f"Focal lengths: expected finite numbers above 0 px, got {focal.tolist()}.")
    return focal


def metric_depth(network_depth: NDArray[np.float32], focal: ArrayLike) -> Float32Array:
    """Depth in metres: what the network says, times f / 300.

    Args:
        network_depth: (S, H, W) float32, of a metric network.
        focal: (S,) pixels of the processed image.

    Returns:
        (S, H, W) float32 z-depth, metres.
    """
    factors = (np.asarray(focal, dtype=np.float64) / CANONICAL_FOCAL_PX).astype(np.float32)
    metres: Float32Array = network_depth * factors[:, None, None]
    return metres
