"""Images made to fit each other: lenses straightened, depth moved into the colour camera.

Depth is never interpolated across edges: rectification takes the nearest pixel, registration the nearest surface.
Maps and rays depend on the cameras alone and are cached by their values, so calibrations may arrive anew each frame.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import CalibrationError
from n3d_ros.geometry.arrays import Float32Array, FloatArray
from n3d_ros.geometry.camera import CameraIntrinsics, CameraModel, Distortion, pixel_rays
from n3d_ros.geometry.transforms import RigidTransform

CACHED_CAMERAS = 8  # maps kept; a node has two cameras, a test a few more
CRACK_TOLERANCE = 0.02  # of the depth: two sides of a one-pixel crack belong to one surface when they differ by less
MAX_SPLAT = 16  # pixels; 320x240 depth beside 4K colour needs 12
DENSITY_SLACK = 0.05  # a colour camera denser by up to this much leaves single cracks, which are closed instead


# ------------------------------------------------------------------------------------------------------- rectification


def rectify_rgb(rgb: NDArray[np.uint8], model: CameraModel) -> NDArray[np.uint8]:
    """The picture as the rectified pinhole camera would take it, bilinear, black where the lens saw nothing.

    Args:
        rgb: (H, W, 3) uint8, raw.
        model: the camera.

    Returns:
        (H', W', 3) uint8 of the rectified size; the argument itself when there is nothing to do.

    Raises:
        CalibrationError: the image is not of the camera's size.
    """
    _check_size(rgb, model)
    if not model.needs_rectification:
        return rgb
    maps = _rectification(*_key(model))
    rectified = cv2.remap(
        rgb, maps.fixed_uv, maps.fixed_fraction, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0
    )
    return np.asarray(rectified, dtype=np.uint8)


def rectify_depth(depth_m: Float32Array, model: CameraModel) -> Float32Array:
    """Depth as the rectified pinhole camera would measure it: the nearest pixel's, NaN where the lens saw nothing.

    Where rectification turns the camera (stereo), depth along the new axis is computed from that along the old.

    Args:
        depth_m: (H, W) float32 metres, raw, NaN for none.
        model: the camera.

    Returns:
        (H', W') float32 metres of the rectified size; the argument itself when there is nothing to do.

    Raises:
        CalibrationError: the image is not of the camera's size.
    """
    _check_size(depth_m, model)
    if not model.needs_rectification:
        return depth_m
    maps = _rectification(*_key(model))
    # OpenCV's nearest-neighbour remap rounds coordinates to 1/32 px first; indexing picks the true neighbour.
    rectified: Float32Array = np.take(depth_m.reshape(-1), maps.nearest)
    rectified[maps.outside] = np.nan
    if maps.axis_ratio is not None:
        rectified /= maps.axis_ratio
    return rectified


class _RectificationMaps:
    """Where each rectified pixel looks in the raw image, in the forms that colour and depth need."""

    def __init__(self, model: CameraModel) -> None:
        raw = model.intrinsics
        rays = pixel_rays(model.rectified_intrinsics) @ model.rectification
        with np.errstate(all="ignore"):  # absurd coefficients overflow
            map_u, map_v = model.rectification_map()
        # A lens polynomial may run off far outside its field of view; what looks there sees nothing.
        known = np.isfinite(map_u) & np.isfinite(map_v) & (rays[..., 2] > 0)
        map_u, map_v = (np.where(known, a, -10.0).astype(np.float32) for a in (map_u, map_v))
        limit = 30_000  # fixed-point maps are 16-bit
        self.fixed_uv, self.fixed_fraction = cv2.convertMaps(
            np.clip(map_u, -limit, limit), np.clip(map_v, -limit, limit), cv2.CV_16SC2
        )
        # Half-open on both ends: a pixel reaches half a pixel around its centre.
        self.outside: NDArray[np.bool_] = ~(
            (map_u >= -0.5) & (map_u < raw.width - 0.5) & (map_v >= -0.5) & (map_v < raw.height - 0.5)
        )
        columns = np.clip(np.floor(map_u + 0.5), 0, raw.width - 1).astype(np.intp)
        rows = np.clip(np.floor(map_v + 0.5), 0, raw.height - 1).astype(np.intp)
        self.nearest: NDArray[np.intp] = rows * raw.width + columns
        turned = not np.allclose(model.rectification, np.eye(3), atol=1e-9)
        self.axis_ratio: Float32Array | None = rays[..., 2].astype(np.float32) if turned else None


def _key(model: CameraModel) -> tuple[CameraIntrinsics, Distortion, tuple[float, ...], CameraIntrinsics]:
    rotation = tuple(model.rectification.reshape(-1).tolist())
    return model.intrinsics, model.distortion, rotation, model.rectified_intrinsics


@lru_cache(maxsize=CACHED_CAMERAS)
def _rectification(
    intrinsics: CameraIntrinsics, distortion: Distortion, rotation: tuple[float, ...], rectified: CameraIntrinsics
) -> _RectificationMaps:
    return _RectificationMaps(
        CameraModel(
            intrinsics=intrinsics,
            distortion=distortion,
            rectification=np.asarray(rotation).reshape(3, 3),
            rectified=rectified,
        )
    )


def _check_size(image: NDArray[Any], model: CameraModel) -> None:
    height, width = image.shape[:2]
    if (width, height) != (model.intrinsics.width, model.intrinsics.height):
        raise CalibrationError(
            f"Rectification: the image is {width}x{height} px, its calibration {model.intrinsics.width}x"
            f"{model.intrinsics.height}.",
            reason="calibration_size_mismatch",
        )


# --------------------------------------------------------------------------------------------------------- registration


def register_depth(
    depth_m: Float32Array,
    depth_intrinsics: CameraIntrinsics,
    color_intrinsics: CameraIntrinsics,
    color_T_depth: RigidTransform,
) -> Float32Array:
    """Depth as the colour camera would measure it, pixel by pixel of the colour image.

    Every measurement is projected into the colour image and covers as many pixels as its distance to its neighbours
    there (the ratio of the pixel densities); where several meet, the nearest stays. Cracks one pixel wide between two
    sides of one surface are closed with the farther side's depth; wider gaps and occlusions stay NaN.

    Args:
        depth_m: (H, W) float32 metres along the depth camera's axis, NaN for none, rectified.
        depth_intrinsics: of the depth image.
        color_intrinsics: of the rectified colour image.
        color_T_depth: takes points of the depth camera's optical frame to the colour camera's.

    Returns:
        (H', W') float32 metres along the colour camera's axis, of the colour image's size, NaN for none.

    Raises:
        CalibrationError: the depth is not of its camera's size, or the two cameras cannot belong together.
    """
    height, width = color_intrinsics.height, color_intrinsics.width
    u, v, z = _project(depth_m, depth_intrinsics, color_intrinsics, color_T_depth)
    spread = _splat_size(depth_intrinsics, color_intrinsics)
    # A splat of n pixels around u begins at round(u - (n - 1) / 2); the floor after adding one half rounds.
    with np.errstate(invalid="ignore"):
        u -= np.float32((spread - 1) / 2 - 0.5)
        v -= np.float32((spread - 1) / 2 - 0.5)
        inside = (u >= 1 - spread) & (u < width) & (v >= 1 - spread) & (v < height) & (z > 0)
    margin = spread - 1  # splats may begin left of and above the image
    stride = width + margin
    nearest = np.full((height + margin, stride), np.inf, dtype=np.float32)
    hits = np.flatnonzero(inside)  # taking by index costs half of taking by mask
    columns = (u.reshape(-1)[hits] + np.float32(margin)).astype(np.intp)
    rows = (v.reshape(-1)[hits] + np.float32(margin)).astype(np.intp)
    np.minimum.at(nearest.reshape(-1), rows * stride + columns, z.reshape(-1)[hits])
    if spread > 1:  # the nearest of all splats that reach a pixel begins in the n by n pixels up and left of it
        kernel = np.ones((spread, spread), dtype=np.uint8)
        spread_out = cv2.erode(nearest, kernel, anchor=(margin, margin), borderValue=math.inf)
        nearest = np.ascontiguousarray(spread_out[margin:, margin:], dtype=np.float32)
    return _closed_cracks(nearest)


def _project(
    depth_m: Float32Array, depth: CameraIntrinsics, color: CameraIntrinsics, color_T_depth: RigidTransform
) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Columns, rows and depth (three (H, W) float32) of all measurements in the colour camera."""
    if depth_m.shape != (depth.height, depth.width):
        raise CalibrationError(
            f"Depth is {depth_m.shape[1]}x{depth_m.shape[0]} px, its calibration {depth.width}x{depth.height}.",
            reason="calibration_size_mismatch",
        )
    rays = _rays_in_color(depth, color, tuple(color_T_depth.rotation.reshape(-1).tolist()))
    shift = (color.matrix @ color_T_depth.translation).astype(np.float32)
    z = rays[2] * depth_m
    z += shift[2]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        inverse = np.float32(1) / z
        u = rays[0] * depth_m
        u += shift[0]
        u *= inverse
        v = rays[1] * depth_m
        v += shift[1]
        v *= inverse
    return u, v, z


@lru_cache(maxsize=CACHED_CAMERAS)
def _rays_in_color(depth: CameraIntrinsics, color: CameraIntrinsics, rotation: tuple[float, ...]) -> Float32Array:
    """(3, H, W) float32: homogeneous colour pixel of every depth pixel's ray at depth 1, without the translation."""
    to_pixels: FloatArray = color.matrix @ np.asarray(rotation).reshape(3, 3)
    rays = pixel_rays(depth) @ to_pixels.T
    return np.ascontiguousarray(np.moveaxis(rays, -1, 0), dtype=np.float32)


def _splat_size(depth: CameraIntrinsics, color: CameraIntrinsics) -> int:
    """Pixels a side that one depth pixel covers in the colour image."""
    ratio = max(color.fx / depth.fx, color.fy / depth.fy)
    if ratio > MAX_SPLAT:
        raise CalibrationError(
            f"Registration: colour (fx {color.fx:.4g} px) has more than {MAX_SPLAT} times the pixel density of depth "
            f"(fx {depth.fx:.4g} px); one of the two calibrations is wrong."
        )
    return max(1, math.ceil(ratio - DENSITY_SLACK))


def _closed_cracks(nearest: Float32Array) -> Float32Array:
    """The same array with NaN for infinity, and cracks of one pixel closed where both sides of it agree."""
    height, width = nearest.shape
    flat = nearest.reshape(-1)
    empty = np.flatnonzero(np.isinf(flat))
    row, column = np.divmod(empty, width)
    pairs = []
    for inner, offset in (
        ((column > 0) & (column < width - 1), 1),
        ((row > 0) & (row < height - 1), width),
    ):
        at = empty[inner]
        first, second = flat[at - offset], flat[at + offset]
        far, near = np.maximum(first, second), np.minimum(first, second)
        with np.errstate(invalid="ignore"):  # infinity minus infinity: a wider gap
            closed = far - near <= CRACK_TOLERANCE * near
        pairs.append((at[closed], far[closed]))
    flat[empty] = np.nan
    for at, depth in reversed(pairs):  # where both directions agree, left and right decide
        flat[at] = depth
    return nearest
