"""Depth cameras as noise models: clean z-depth in, what a sensor would report out.

Every model is a frozen dataclass with one method, ``apply``. What a depth camera gets wrong, in the order applied here:
edges wander sideways, range noise grows with distance, values are quantised, and pixels go missing where the projector
or the second camera cannot see, on grazing surfaces, outside the range and in small random patches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import InputError
from n3d_ros.geometry.camera import CameraIntrinsics

Depth = NDArray[np.float32]
Mask = NDArray[np.bool_]


class DepthNoise(Protocol):
    """Turns clean depth into a sensor's."""

    def apply(
        self,
        depth_m: Depth,
        intrinsics: CameraIntrinsics,
        rng: np.random.Generator,
        rgb: NDArray[np.uint8] | None = None,
    ) -> Depth:
        """Noisy depth (H, W) float32, metres, NaN where the sensor is silent.

        Args:
            depth_m: (H, W) float32 clean z-depth, NaN for none; not changed.
            intrinsics: the camera of the image.
            rng: source of chance.
            rgb: (H, W, 3) uint8 colour, for models in which dark surfaces matter.

        Returns:
            A new array.
        """


def correlated_noise(rng: np.random.Generator, shape: tuple[int, int], blur_px: float) -> Depth:
    """(H, W) float32 Gaussian noise of standard deviation 1, smooth over about ``blur_px``.

    Args:
        rng: source of chance.
        shape: H, W.
        blur_px: standard deviation of the blur; 0: independent pixels.

    Returns:
        The noise. A Gaussian blur of s pixels leaves 1 / (2 sqrt(pi) s) of the deviation, which is given back.
    """
    noise = rng.standard_normal(shape, dtype=np.float32)
    if blur_px <= 0:
        return noise
    blurred = cv2.GaussianBlur(noise, (0, 0), blur_px, borderType=cv2.BORDER_REFLECT)
    return (blurred / max(float(blurred.std()), 1e-9)).astype(np.float32)


def _gentler_slope(values: Depth, axis: int) -> Depth:
    """(H, W) float32: of the differences to the next and to the previous pixel along an axis, the smaller one."""
    step = np.diff(values, axis=axis)
    before, after = [(0, 0), (0, 0)], [(0, 0), (0, 0)]
    before[axis], after[axis] = (1, 0), (0, 1)
    backward, forward = np.pad(step, before, mode="edge"), np.pad(step, after, mode="edge")
    return np.where(np.abs(forward) < np.abs(backward), forward, backward).astype(np.float32)


def incidence_cosine(depth_m: Depth, intrinsics: CameraIntrinsics) -> Depth:
    """(H, W) float32: cosine between surface normal and viewing ray; near 0 on grazing surfaces.

    A plane is linear in inverse depth w: w = a u + b v + c, with normal (a fx, b fy, w - a (u - cx) - b (v - cy)).
    Slopes are taken towards the smoother neighbour, so that a depth edge does not look like a grazing surface.

    Args:
        depth_m: (H, W) z-depth, NaN for none.
        intrinsics: the camera.

    Returns:
        Cosines, 0 where depth is missing.
    """
    inverse = (1.0 / np.nan_to_num(depth_m, nan=1e3)).astype(np.float32)
    slope_u, slope_v = _gentler_slope(inverse, axis=1), _gentler_slope(inverse, axis=0)
    u = np.arange(intrinsics.width, dtype=np.float32)[None] - np.float32(intrinsics.cx)
    v = np.arange(intrinsics.height, dtype=np.float32)[:, None] - np.float32(intrinsics.cy)
    x, y = slope_u * np.float32(intrinsics.fx), slope_v * np.float32(intrinsics.fy)
    z = inverse - slope_u * u - slope_v * v
    ray_squared = (u / np.float32(intrinsics.fx)) ** 2 + (v / np.float32(intrinsics.fy)) ** 2 + 1
    cosine = inverse / np.sqrt((x * x + y * y + z * z) * ray_squared)
    return np.where(np.isfinite(depth_m), cosine, 0).astype(np.float32)


def parallax_shadow(depth_m: Depth, focal_px: float, baseline_m: float) -> Mask:
    """(H, W) bool: surfaces that a second eye at +x (baseline > 0) or -x does not see.

    A pixel u lands at u - d in the other eye, d = f b / z. Something at its other side that lands at the same place or
    beyond is nearer and hides it; so a pixel is hidden when a running extreme from that side reaches past it.

    Args:
        depth_m: (H, W) z-depth, NaN for none (hides nothing).
        focal_px: focal length along x.
        baseline_m: the other eye's x in the camera frame.

    Returns:
        Which pixels are hidden.
    """
    disparity = np.nan_to_num(focal_px * baseline_m / depth_m, nan=0.0)
    landing = np.arange(depth_m.shape[1], dtype=np.float32)[None] - disparity
    margin = 0.5  # px: neighbours on one surface must not hide each other
    if baseline_m > 0:  # nearer things shift to the left and hide what lies left of them
        nearest = np.minimum.accumulate(landing[:, ::-1], axis=1)[:, ::-1]
        hidden = landing[:, :-1] > nearest[:, 1:] + margin
        return np.pad(hidden, ((0, 0), (0, 1)))
    nearest = np.maximum.accumulate(landing, axis=1)
    hidden = landing[:, 1:] < nearest[:, :-1] - margin
    return np.pad(hidden, ((0, 0), (1, 0)))


def wander(depth_m: Depth, rng: np.random.Generator, sigma_px: float) -> Depth:
    """The depth image with every pixel taken from a little beside it, so that edges fray.

    Args:
        depth_m: (H, W).
        rng: source of chance.
        sigma_px: standard deviation of the shift.

    Returns:
        (H, W) values of the input, nearest neighbour: no value between foreground and background is invented.
    """
    height, width = depth_m.shape
    shift_u = correlated_noise(rng, depth_m.shape, 0.8) * np.float32(sigma_px)
    shift_v = correlated_noise(rng, depth_m.shape, 0.8) * np.float32(sigma_px)
    map_u = np.arange(width, dtype=np.float32)[None] + shift_u
    map_v = np.arange(height, dtype=np.float32)[:, None] + shift_v
    return cv2.remap(depth_m, map_u, map_v, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)


def grazing_holes(cosine: Depth, rng: np.random.Generator, start_deg: float, end_deg: float) -> Mask:
    """(H, W) bool: holes whose chance rises from none at ``start_deg`` of incidence to sure at ``end_deg``."""
    first, last = np.cos(np.radians(start_deg)), np.cos(np.radians(end_deg))
    chance = np.clip((first - cosine) / (first - last), 0, 1)
    holes: Mask = rng.random(cosine.shape, dtype=np.float32) < chance
    return holes


def patchy_holes(rng: np.random.Generator, shape: tuple[int, int], share: float, patch_px: float) -> Mask:
    """(H, W) bool: random small patches that together cover about ``share`` of the image."""
    if share <= 0:
        return np.zeros(shape, np.bool_)
    small = (max(int(shape[0] / patch_px), 2), max(int(shape[1] / patch_px), 2))
    coarse = rng.random(small, dtype=np.float32)
    threshold = np.quantile(coarse, 1 - min(4 * share, 0.9))  # the upscaled peaks above it cover about a quarter
    fine = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    peak: Mask = fine > threshold + 0.75 * (fine.max() - threshold) * 0.5
    return peak


@dataclass(frozen=True, slots=True, kw_only=True)
class NoNoise:
    """Clean depth."""

    def apply(
        self,
        depth_m: Depth,
        intrinsics: CameraIntrinsics,  # noqa: ARG002
        rng: np.random.Generator,  # noqa: ARG002
        rgb: NDArray[np.uint8] | None = None,  # noqa: ARG002
    ) -> Depth:
        """The depth as it is; see ``DepthNoise.apply``."""
        clean: Depth = depth_m.copy()
        return clean


@dataclass(frozen=True, slots=True, kw_only=True)
class StructuredLight:
    """A speckle projector and an infrared camera: Kinect v1, Xtion, Astra, Structure.

    Sources: Khoshelham and Elberink, Sensors 12 (2012) 1437, eq. 9: deviation 1.425e-3 z^2 m, hence 0.062 px of
    disparity at f = 580 px and b = 75 mm; disparity in eighths of a pixel. Nguyen, Izadi and Lovell, 3DIMPVT 2012:
    lateral noise about 0.8 px, and no measurement beyond about 70 degrees of incidence. The shadow beside objects is
    the projector's.

    Args:
        focal_px: of the infrared camera, pixels, at its own 640 px width.
        baseline_m: projector's x in the camera frame; its shadow falls on the other side of objects.
        disparity_stddev_px: range noise.
        disparity_step_px: quantisation.
        blur_px: how far neighbouring pixels share their noise (the correlation window).
        lateral_stddev_px: how far edges wander.
        grazing_deg: incidence at which holes begin and become sure.
        hole_share: share of pixels in random holes.
        range_m: nearest and farthest measurement.
    """

    focal_px: float = 580.0
    baseline_m: float = 0.075
    disparity_stddev_px: float = 0.062
    disparity_step_px: float = 0.125
    blur_px: float = 1.2
    lateral_stddev_px: float = 0.55
    grazing_deg: tuple[float, float] = (72.0, 86.0)
    hole_share: float = 0.004
    range_m: tuple[float, float] = (0.45, 8.0)

    def apply(
        self,
        depth_m: Depth,
        intrinsics: CameraIntrinsics,
        rng: np.random.Generator,
        rgb: NDArray[np.uint8] | None = None,  # noqa: ARG002
    ) -> Depth:
        """Noisy depth; see ``DepthNoise.apply``."""
        holes = parallax_shadow(depth_m, intrinsics.fx, self.baseline_m)
        holes |= grazing_holes(incidence_cosine(depth_m, intrinsics), rng, *self.grazing_deg)
        holes |= patchy_holes(rng, depth_m.shape, self.hole_share, 6.0)
        depth = wander(depth_m, rng, self.lateral_stddev_px)
        factor = np.float32(self.focal_px * self.baseline_m)
        disparity = factor / depth
        disparity += correlated_noise(rng, depth.shape, self.blur_px) * np.float32(self.disparity_stddev_px)
        disparity = np.round(disparity / self.disparity_step_px) * np.float32(self.disparity_step_px)
        return _with_holes(_from_disparity(disparity, factor), holes, self.range_m)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveStereo:
    """Two infrared cameras and a texture projector: RealSense D400, OAK-D Pro, Gemini 2.

    Sources: Intel, "Best-known-methods for tuning RealSense D400" (RMS = z^2 * subpixel / (f b), subpixel about 0.08 px
    with the projector on); D435 data sheet (baseline 50 mm, disparity in 1/32 px). Block matching smears edges over
    about half its window (foreground fattening), and noise is smooth over the window, which shows as the waves such
    clouds have.

    Args:
        baseline_m: the other camera's x in the camera frame (the right one).
        disparity_stddev_px: range noise at the image's own focal length.
        disparity_step_px: quantisation.
        blur_px: how far neighbouring pixels share their noise.
        fattening_px: growth of foreground over background.
        lateral_stddev_px: how far edges wander.
        grazing_deg: incidence at which holes begin and become sure.
        hole_share: share of pixels in random holes.
        range_m: nearest and farthest measurement.
    """

    baseline_m: float = 0.05
    disparity_stddev_px: float = 0.07
    disparity_step_px: float = 1 / 32
    blur_px: float = 2.2
    fattening_px: int = 1
    lateral_stddev_px: float = 0.8
    grazing_deg: tuple[float, float] = (76.0, 87.0)
    hole_share: float = 0.006
    range_m: tuple[float, float] = (0.3, 8.0)

    def apply(
        self,
        depth_m: Depth,
        intrinsics: CameraIntrinsics,
        rng: np.random.Generator,
        rgb: NDArray[np.uint8] | None = None,  # noqa: ARG002
    ) -> Depth:
        """Noisy depth; see ``DepthNoise.apply``."""
        holes = parallax_shadow(depth_m, intrinsics.fx, self.baseline_m)
        holes |= grazing_holes(incidence_cosine(depth_m, intrinsics), rng, *self.grazing_deg)
        holes |= patchy_holes(rng, depth_m.shape, self.hole_share, 9.0)
        factor = np.float32(intrinsics.fx * self.baseline_m)
        disparity = factor / wander(depth_m, rng, self.lateral_stddev_px)
        if self.fattening_px:
            side = 2 * self.fattening_px + 1
            grown = cv2.dilate(np.nan_to_num(disparity), np.ones((side, side), np.uint8))
            disparity = np.where(grown - disparity > 1.0, grown, disparity).astype(np.float32)
        disparity += correlated_noise(rng, depth_m.shape, self.blur_px) * np.float32(self.disparity_stddev_px)
        disparity = np.round(disparity / self.disparity_step_px) * np.float32(self.disparity_step_px)
        return _with_holes(_from_disparity(disparity, factor), holes, self.range_m)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeOfFlight:
    """Modulated infrared: Azure Kinect, Femto, Kinect v2, Blaze.

    Sources: Microsoft, Azure Kinect DK hardware specification (random error up to 17 mm, systematic below 11 mm + 0.1 %
    of the distance); Tolgyessy et al., Sensors 21 (2021) 413 (deviation near 1 mm at 1 m, growing with distance and on
    dark targets); Hansard et al., Time-of-Flight Cameras, 2012 (flying pixels between foreground and background). The
    sensor sees one viewpoint, so there is no parallax shadow; noise grows with the square root of the lost light.

    Args:
        stddev_m: range noise of a white surface at 1 m.
        growth: exponent of the noise over distance.
        wiggle_m: amplitude of the systematic error along the distance.
        wiggle_period_m: its period.
        flying_px: how far foreground and background mix.
        flying_kept: share of mixed pixels the sensor does not filter out.
        grazing_deg: incidence at which holes begin and become sure.
        range_m: nearest and farthest measurement.
    """

    stddev_m: float = 0.0012
    growth: float = 1.5
    wiggle_m: float = 0.002
    wiggle_period_m: float = 0.75
    flying_px: int = 1
    flying_kept: float = 0.25
    grazing_deg: tuple[float, float] = (80.0, 88.0)
    range_m: tuple[float, float] = (0.3, 5.5)

    def apply(
        self,
        depth_m: Depth,
        intrinsics: CameraIntrinsics,
        rng: np.random.Generator,
        rgb: NDArray[np.uint8] | None = None,
    ) -> Depth:
        """Noisy depth; see ``DepthNoise.apply``."""
        cosine = incidence_cosine(depth_m, intrinsics)
        holes = grazing_holes(cosine, rng, *self.grazing_deg)
        filled = np.nan_to_num(depth_m, nan=self.range_m[1] * 2).astype(np.float32)
        side = 2 * self.flying_px + 1
        kernel = np.ones((side, side), np.uint8)
        step = cv2.dilate(filled, kernel) - cv2.erode(filled, kernel)
        mixed = step > 0.03 + 0.1 * (1 - cosine) * filled
        kept = rng.random(depth_m.shape, dtype=np.float32) < self.flying_kept
        depth = np.where(mixed & kept, cv2.blur(filled, (side, side)), filled)
        holes |= mixed & ~kept
        light = np.maximum(cosine, 0.1)
        if rgb is not None:  # infrared albedo is not colour, but black paint is usually dark there too
            light = light * (0.15 + 0.85 * cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255)
        sigma = self.stddev_m * depth**self.growth / np.sqrt(light)
        depth = depth + correlated_noise(rng, depth.shape, 0.5) * sigma
        depth += self.wiggle_m * np.sin(2 * np.pi * depth / self.wiggle_period_m)
        depth = np.where(np.isfinite(depth_m), depth, np.nan).astype(np.float32)
        return _with_holes(depth, holes | (sigma > 0.05), self.range_m)


def _from_disparity(disparity: Depth, factor: np.float32) -> Depth:
    """Metres from pixels of disparity, NaN where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(disparity > 0, factor / disparity, np.nan).astype(np.float32)


def _with_holes(depth_m: Depth, holes: Mask, range_m: tuple[float, float]) -> Depth:
    """The depth with holes and values out of range as NaN."""
    with np.errstate(invalid="ignore"):
        bad = holes | (depth_m < range_m[0]) | (depth_m > range_m[1])
    depth_m[bad] = np.nan
    return depth_m


DEPTH_NOISE: Mapping[str, DepthNoise] = MappingProxyType(
    {
        "none": NoNoise(),
        "structured_light": StructuredLight(),
        "active_stereo": ActiveStereo(),
        "time_of_flight": TimeOfFlight(),
    }
)
"""Noise models by name, for ``SceneSpec.depth_noise``."""


def depth_noise(name: str) -> DepthNoise:
    """The model of that name.

    Args:
        name: a key of ``DEPTH_NOISE``.

    Returns:
        The model.

    Raises:
        InputError: no such model.
    """
    if name not in DEPTH_NOISE:
        raise InputError(f"Depth noise: expected one of {', '.join(DEPTH_NOISE)}, got {name!r}.")
    return DEPTH_NOISE[name]
