"""One RGB-D frame as the language model takes it, and what turns its numbers back into metres.

The reference makes its points with a monocular depth network at the size of the picture it shows the model; here they
come from the sensor's depth:

1. the picture's long side becomes 640 px (``image_patches``); a 640x480 camera needs no resampling;
2. depth is *sampled* at the map's pixel centres: the source pixel under the centre, or where that has none, one of
   four around it within the same map pixel. Nothing is averaged, so no points appear between an object and the wall
   behind it, and holes larger than a map pixel stay holes (validity 0, xyz NaN; the position code fills them with the
   scene's mean, as it was trained to);
3. each map pixel's point lies on its own ray, in the model's axes (x left, y up, z forward);
4. points are shifted to their per-axis minimum and divided by their mean distance from it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from n3d_ros.codec.box_code import DEPTH_RANGE
from n3d_ros.codec.image_patches import LONG_SIDE_PX, image_patches, resize_long_side
from n3d_ros.codec.input_options import InputOptions
from n3d_ros.codec.model_input import DecodeContext, ImageInput
from n3d_ros.errors import GroundingError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.arrays import BoolArray, Float32Array
from n3d_ros.geometry.camera import CameraIntrinsics, unproject
from n3d_ros.geometry.point_map import PointNormalization
from n3d_ros.geometry.transforms import MODEL_T_OPTICAL

logger = logging.getLogger(__name__)

MIN_VALID_PIXELS = 16  # of the frame; fewer give no scale worth the name
ROBUST_PERCENTILES = (2.0, 98.0)  # of depth; up to this share of outliers on either side moves nothing
ROBUST_MARGIN = 0.25  # of the ratio between the two depths, in logarithms, on either side
ROBUST_MIN_RATIO = 1.1  # least margin, where all is at one depth
SURFACE_PX = 5  # what fills a window of this side is a surface, however far from the rest it lies


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SceneNormalization:
    """How a scene's points were normalised, and why so.

    Args:
        normalization: metres to model units, in the model's axes.
        method: "mean" or "robust".
        depth_percentiles_m: the depths at ``ROBUST_PERCENTILES``, metres; None for "mean".
        depth_fence_m: single points outside these depths did not count, metres; None for "mean".
        excluded_share: share of the valid points that did not count, 0 to 1.
        specks: (H, W) bool, the points that did not count; None for "mean" or when there were none.
    """

    normalization: PointNormalization
    method: str
    depth_percentiles_m: tuple[float, float] | None = None
    depth_fence_m: tuple[float, float] | None = None
    excluded_share: float = 0.0
    specks: BoolArray | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameExtents:
    """What of a frame the model's numbers can express.

    Args:
        max_depth_m: objects whose centre is farther are placed here, metres.
        max_size_m: longer sides of boxes are cut to this, metres.
        share_beyond_depth: share of the valid points that are farther, 0 to 1.
    """

    max_depth_m: float
    max_size_m: float
    share_beyond_depth: float


def encode_frame(frame: RgbdFrame, options: InputOptions | None = None) -> tuple[ImageInput, DecodeContext]:
    """What the model takes in for a frame, and what brings its numbers back to metres.

    Args:
        frame: rectified colour and registered depth.
        options: None for the defaults.

    Returns:
        Patches with points, and the frame's own camera with the scene's normalisation.

    Raises:
        GroundingError: no depth, or too little (code NO_DEPTH).
        InputError: an image too large.
    """
    chosen = options or InputOptions()
    picture = resize_long_side(frame.rgb, chosen.long_side)
    patches, grid = image_patches(picture, min_pixels=chosen.min_pixels, max_pixels=chosen.max_pixels)
    xyz, valid = model_point_map(frame, chosen.long_side)
    scene = measure_scene(xyz, valid, method=chosen.normalization)
    if scene.excluded_share:
        logger.debug(
            "%.2f %% of the points are specks outside %s m (percentiles %s m) and did not count for the scale.",
            100 * scene.excluded_share,
            scene.depth_fence_m,
            scene.depth_percentiles_m,
        )
    shown = valid if scene.specks is None else valid & ~scene.specks  # a speck would mislead its patch more than a hole
    points = normalized_points(xyz, shown, scene.normalization)
    context = DecodeContext(intrinsics=frame.intrinsics, normalization=scene.normalization)
    return ImageInput(pixel_values=patches, grid=grid, points=points), context


def model_point_map(frame: RgbdFrame, long_side: int = LONG_SIDE_PX) -> tuple[Float32Array, BoolArray]:
    """The frame's points at the model's size, in the model's axes.

    The longer side becomes ``long_side`` and the shorter is *rounded*, as the reference makes its point maps; its
    pictures' shorter side is cut off, so that the map may have one row more than the picture.

    Args:
        frame: colour and depth.
        long_side: pixels.

    Returns:
        xyz (H, W, 3) float32 metres, x left, y up, z forward, NaN where there is no depth; valid (H, W) bool.

    Raises:
        GroundingError: fewer than ``MIN_VALID_PIXELS`` pixels with depth.
    """
    count = int(np.count_nonzero(np.isfinite(frame.depth_m)))
    if count < MIN_VALID_PIXELS:
        raise GroundingError(
            f"Depth: expected at least {MIN_VALID_PIXELS} pixels with depth, got {count} of {frame.depth_m.size}. "
            "Check the depth topic, its registration to the colour image and the sensor's range."
        )
    camera = frame.intrinsics
    depth = sampled_depth(frame.depth_m, *_map_size(camera, long_side))
    height, width = depth.shape
    xyz = unproject(depth, camera if depth.shape == frame.depth_m.shape else camera.resized(width, height))
    valid = np.isfinite(depth)
    # The change of axes is a half turn, so its matrix is diagonal; products with the diagonal are exact in float32.
    xyz *= np.diag(MODEL_T_OPTICAL.rotation).astype(np.float32)
    return xyz, valid


def sampled_depth(depth_m: Float32Array, width: int, height: int) -> Float32Array:
    """Depth at another size, each value one that was measured.

    Taken is the source pixel that holds the new pixel's centre. When shrinking, a hole there looks a quarter of the
    new pixel's side towards each of its corners in turn.

    Args:
        depth_m: (H, W) float32 metres, NaN for none.
        width: pixels.
        height: pixels.

    Returns:
        (height, width) float32, NaN where nothing was found; the same array if it has this size already.
    """
    if depth_m.shape == (height, width):
        return depth_m
    source_height, source_width = depth_m.shape
    sampled: Float32Array = depth_m[np.ix_(_centers(source_height, height, 0.0), _centers(source_width, width, 0.0))]
    if source_height <= height and source_width <= width:
        return sampled
    for row, column in ((-0.25, -0.25), (-0.25, 0.25), (0.25, -0.25), (0.25, 0.25)):
        holes = np.isnan(sampled)
        if not holes.any():
            break
        beside = depth_m[np.ix_(_centers(source_height, height, row), _centers(source_width, width, column))]
        sampled[holes] = beside[holes]
    return sampled


def valid_points(xyz: Float32Array, valid: BoolArray) -> Float32Array:
    """The valid points of a map, row by row.

    Args:
        xyz: (H, W, 3) float32.
        valid: (H, W) bool.

    Returns:
        (N, 3) float32; its columns are contiguous.
    """
    points: Float32Array = np.stack([xyz[..., axis][valid] for axis in range(3)]).T
    return points


def measure_scene(xyz: Float32Array, valid: BoolArray, *, method: str = "mean") -> SceneNormalization:
    """The normalisation of a scene's points.

    "mean" is the reference's: per-axis minimum and mean distance from that corner, of all valid points. One wrong point
    moves the corner, and with it every number. "robust" leaves out specks: points whose depth lies well beyond its 2nd
    or 98th percentile and that belong to no patch of such points of ``SURFACE_PX`` squared pixels; then it does the
    same. A sensor's x and y are its depth times a bounded ray, so depth alone decides. A small thing close to the
    camera and a window far behind the room are patches and count. A scene without specks is normalised exactly as by
    "mean". ``encode_frame`` shows the model specks as holes, which it knows: one of them would move its whole patch.

    Args:
        xyz: (H, W, 3) metres, x left, y up, z forward; anything where invalid.
        valid: (H, W) bool.
        method: "mean" or "robust".

    Returns:
        The normalisation and what it rests on.

    Raises:
        GroundingError: no valid points, or all in one place.
    """
    if method != "robust" or not valid.any():
        return SceneNormalization(normalization=_corner_and_mean_distance(valid_points(xyz, valid)), method=method)
    depth = xyz[..., 2]
    measured = depth[valid]
    low, high = (float(quantile) for quantile in np.percentile(measured, ROBUST_PERCENTILES))
    ratio = max(ROBUST_MIN_RATIO, (high / low) ** ROBUST_MARGIN)
    fence = (low / ratio, high * ratio)
    near, far = valid & (depth < fence[0]), valid & (depth > fence[1])
    specks: BoolArray = (near & ~_opened(near)) | (far & ~_opened(far))
    return SceneNormalization(
        normalization=_corner_and_mean_distance(valid_points(xyz, valid & ~specks)),
        method=method,
        depth_percentiles_m=(low, high),
        depth_fence_m=fence,
        excluded_share=float(np.count_nonzero(specks)) / len(measured),
        specks=specks if specks.any() else None,
    )


def normalized_points(xyz: Float32Array, valid: BoolArray, normalization: PointNormalization) -> Float32Array:
    """The point map as the vision tower takes it.

    Args:
        xyz: (H, W, 3) metres, x left, y up, z forward; anything where invalid.
        valid: (H, W) bool.
        normalization: of this scene.

    Returns:
        (H, W, 4) float32, read-only: normalised x, y, z, and 1 where valid; NaN and 0 where not.
    """
    points = np.empty((*valid.shape, 4), dtype=np.float32)
    # float32 throughout, as the reference computes: shifted first, then scaled. Axis by axis it is much faster.
    for axis, offset in enumerate(normalization.offset_m.astype(np.float32)):
        shifted = np.where(valid, xyz[..., axis], np.float32(np.nan)) - offset
        np.multiply(shifted, np.float32(normalization.scale_per_m), out=points[..., axis])
    points[..., 3] = valid
    points.flags.writeable = False
    return points


def frame_extents(image: ImageInput, context: DecodeContext) -> FrameExtents:
    """How far and how large the model can say things are in a frame.

    Args:
        image: as ``encode_frame`` made it.
        context: of the same frame.

    Returns:
        The limits in metres, and how much of the frame lies beyond.
    """
    depth = image.points[..., 2][image.points[..., 3] > 0]
    beyond = int(np.count_nonzero(depth > DEPTH_RANGE))
    return FrameExtents(
        max_depth_m=context.max_depth_m,
        max_size_m=context.max_size_m,
        share_beyond_depth=beyond / len(depth) if len(depth) else 0.0,
    )


def _corner_and_mean_distance(points: Float32Array) -> PointNormalization:
    """``PointNormalization.corner_and_mean_distance`` in float32: as the reference computes, and much faster."""
    offset = np.array([column.min() for column in points.T]) if len(points) else np.zeros(3, dtype=np.float32)
    squares = np.zeros(len(points), dtype=np.float32)
    for column, corner in zip(points.T, offset, strict=True):
        squares += np.square(column - corner)
    mean = float(np.sqrt(squares).mean(dtype=np.float64)) if len(points) else 0.0
    if not mean > 0:
        raise GroundingError(
            f"Depth: expected points in more than one place, got {len(points)} that give no scale. "
            "Check the depth image: a sensor that reports one constant value is not measuring."
        )
    return PointNormalization(offset_m=offset.astype(np.float64), scale_per_m=1 / mean)


def _opened(mask: BoolArray) -> BoolArray:
    """The pixels of a mask that lie in some square of ``SURFACE_PX`` pixels a side that is all in the mask."""
    if not mask.any() or min(mask.shape) < SURFACE_PX:
        return np.zeros_like(mask)
    whole = mask
    for axis in (0, 1):
        length = mask.shape[axis] - SURFACE_PX + 1
        whole = np.logical_and.reduce([whole.take(range(k, k + length), axis=axis) for k in range(SURFACE_PX)])
    opened = np.zeros_like(mask)
    rows, columns = whole.shape
    for row in range(SURFACE_PX):
        for column in range(SURFACE_PX):
            opened[row : row + rows, column : column + columns] |= whole
    return opened


def _map_size(camera: CameraIntrinsics, long_side: int) -> tuple[int, int]:
    """Width and height of the point map."""
    scale = long_side / max(camera.width, camera.height)
    return max(1, round(camera.width * scale)), max(1, round(camera.height * scale))


def _centers(source: int, target: int, shift: float) -> NDArray[np.intp]:
    """(target,) source indices under the new pixels' centres, moved by a share of a new pixel."""
    places = np.floor((np.arange(target) + 0.5 + shift) * source / target)
    return np.minimum(places, source - 1).astype(np.intp)
