"""How far a depth camera's points scatter: a model with three numbers per kind of camera."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from n3d_ros.errors import ConfigurationError, InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthNoise:
    """Standard deviation of a depth pixel, along its ray and across it.

    Along the ray ``constant_m + linear * z + quadratic_per_m * z**2`` with z the depth in metres: triangulating cameras
    (stereo, structured light) are quadratic, because disparity noise is constant; time of flight is nearly linear.

    Args:
        constant_m: metres, at least 0.
        linear: metres per metre, at least 0.
        quadratic_per_m: metres per square metre, at least 0.
        lateral_rad: radians by which the outline of an object jitters in the image, at least 0; about one pixel.
        name: what the numbers stand for.
    """

    constant_m: float = 0.0
    linear: float = 0.0
    quadratic_per_m: float = 0.0
    lateral_rad: float = 1.0 / 525.0
    name: str = "custom"

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            InputError: a number that is negative or not finite, or all along-ray terms zero.
        """
        values = (self.constant_m, self.linear, self.quadratic_per_m, self.lateral_rad)
        if not all(math.isfinite(value) and value >= 0 for value in values):
            raise InputError(f"DepthNoise: expected finite numbers of at least 0, got {values}.")
        if self.constant_m + self.linear + self.quadratic_per_m <= 0:
            raise InputError("DepthNoise: expected at least one along-ray term above 0, got none.")

    def stddev_m(self, depth_m: ArrayLike) -> NDArray[np.float64]:
        """Standard deviation along the ray.

        Args:
            depth_m: (...) metres.

        Returns:
            (...) float64 metres.
        """
        depth = np.asarray(depth_m, dtype=np.float64)
        stddev: NDArray[np.float64] = self.constant_m + depth * (self.linear + depth * self.quadratic_per_m)
        return stddev

    def at(self, depth_m: float) -> float:
        """Standard deviation along the ray, metres, at one depth in metres.

        Args:
            depth_m: metres.

        Returns:
            Metres.
        """
        return self.constant_m + depth_m * (self.linear + depth_m * self.quadratic_per_m)


KINECT_V1 = DepthNoise(quadratic_per_m=1.425e-3, lateral_rad=0.9 / 525.0, name="kinect_v1")
"""Structured light. Along: Khoshelham and Elberink, Sensors 12(2), 2012: 1.425e-3 z^2. Across: 0.8 to 0.9 px, Nguyen,
Izadi and Lovell, 3DIMPVT 2012 (their along-ray model, 1.2 mm + 1.9 mm (z - 0.4)^2, is within 1 mm of this to 2 m)."""

STEREO = DepthNoise(quadratic_per_m=2.5e-3, lateral_rad=1.5 / 640.0, name="stereo")
"""Active stereo with about 50 mm baseline, f = 640 px: z^2 e / (f b) with a subpixel error e of 0.08 px, the figure
Intel gives for a textured target in its D400 tuning guide; outlines jitter by more than a pixel, being as wide as a
window."""

TIME_OF_FLIGHT = DepthNoise(constant_m=1.0e-3, linear=1.0e-3, lateral_rad=1.0 / 505.0, name="tof")
"""Continuous-wave time of flight: 1 to 3 mm random error at 1 to 2 m, between the figures reported for Kinect v2 and
Azure Kinect on diffuse targets; systematic error (at most 11 mm + 0.1 % of the distance by data sheet) is not in it."""

DEPTH_NOISE: Mapping[str, DepthNoise] = MappingProxyType(
    {preset.name: preset for preset in (KINECT_V1, STEREO, TIME_OF_FLIGHT)}
)
"""Presets by name."""


def depth_noise(name: str) -> DepthNoise:
    """The preset of that name.

    Args:
        name: a key of ``DEPTH_NOISE``.

    Returns:
        The preset.

    Raises:
        ConfigurationError: there is none of that name.
    """
    try:
        return DEPTH_NOISE[name]
    except KeyError:
        raise ConfigurationError(f"Depth noise: expected one of {sorted(DEPTH_NOISE)}, got {name!r}.") from None
