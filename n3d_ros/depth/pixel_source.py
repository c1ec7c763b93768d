"""Where one pixel's depth comes from: the values of the mask that goes with fused depth."""

from __future__ import annotations

from enum import IntEnum


class PixelSource(IntEnum):
    """Where one pixel's depth comes from; the values of the mask that goes with fused depth."""

    NONE = 0
    SENSOR = 1
    MODEL = 2
