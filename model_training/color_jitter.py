"""Colours as other cameras would have seen them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_GREY_NOISE = 8.0  # deviation at full strength, grey levels
MOST_CHANGE = 0.5  # of brightness, contrast and saturation at full strength
VIEW_SHARE = 0.2  # of the strength that differs between views of one scene: exposure follows what a camera looks at


def jittered(rgb: NDArray[np.uint8], strength: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Images with other brightness, contrast and saturation, mostly common to all views, and noise.

    Args:
        rgb: (V, H, W, 3).
        strength: 0 to 1.
        rng: source of chance.

    Returns:
        New images.
    """
    if strength == 0:
        return rgb
    common, own = rng.uniform(-1, 1, (1, 3)), rng.uniform(-1, 1, (len(rgb), 3))
    change = 1 + MOST_CHANGE * strength * ((1 - VIEW_SHARE) * common + VIEW_SHARE * own)
    brightness, contrast, saturation = (change[:, k, None, None, None].astype(np.float32) for k in range(3))
    values = rgb.astype(np.float32)
    grey = values.mean(axis=-1, keepdims=True)
    values = grey + (values - grey) * saturation
    middle = values.mean(axis=(1, 2, 3), keepdims=True)
    values = (middle + (values - middle) * contrast) * brightness
    noise = rng.standard_normal(values.shape, dtype=np.float32)
    values += noise * np.float32(MOST_GREY_NOISE * strength * rng.uniform())
    return np.asarray(np.clip(np.round(values), 0, 255), np.uint8)
