"""Coordinates of the working pixels in a frame that stands upright."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def ground_axes(up: FloatArray) -> FloatArray:
    """Two horizontal unit vectors.

    Args:
        up: (3,) unit vector against gravity, camera optical frame.

    Returns:
        (2, 3): the camera's right made horizontal (its forward where right is upright), and the one 90 degrees from it.
    """
    right = np.array([1.0, 0.0, 0.0]) if abs(up[0]) < 0.9 else np.array([0.0, 0.0, 1.0])
    first = right - up * (right @ up)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(up, first)])
