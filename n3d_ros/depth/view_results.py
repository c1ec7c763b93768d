"""One view's result at camera resolution, out of the network's pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from n3d_ros.depth.output import confidence_at_camera, depth_at_camera, mask_at_camera
from n3d_ros.depth.preprocess import ImageMap
from n3d_ros.depth.sky import far_depth
from n3d_ros.depth.views import PoseSource, ViewDepth
from n3d_ros.errors import BackendError
from n3d_ros.geometry.arrays import BoolArray, Float32Array
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform

SMALLEST = np.float32(1e-37)  # the inverse of a smaller depth is no float32, and inverses are what is interpolated


def usable_depth(depth: Float32Array) -> Float32Array:
    """Depth with NaN where a network gave no finite number above 0, or one too small to work with.

    Args:
        depth: (S, H, W) float32.

    Returns:
        (S, H, W) float32.

    Raises:
        BackendError: it gave nothing else.
    """
    with np.errstate(invalid="ignore"):
        usable = np.isfinite(depth) & (depth > SMALLEST)
    if not usable.any():
        raise BackendError(
            "Depth: the network gave no finite depth at all; in float16 numbers may overflow: use bfloat16 or float32."
        )
    return depth if usable.all() else np.where(usable, depth, np.float32(np.nan))


def sky_depth(depth: Float32Array, sky: BoolArray, *, fill: str, limit: float = np.inf) -> np.float32:
    """What sky pixels hold.

    Args:
        depth: (S, H, W) float32.
        sky: (S, H, W) bool.
        fill: "none" for NaN, "far" for the far end of what is not sky.
        limit: most that the far end may be.

    Returns:
        A depth or NaN.
    """
    far = far_depth(depth, sky | np.isnan(depth)) if fill == "far" else None
    held: np.float32 = np.float32(np.nan if far is None else min(far, limit))
    return held


def view_result(
    *,
    image_map: ImageMap,
    depth: Float32Array,
    confidence: Float32Array | None = None,
    sky: BoolArray | None = None,
    given: CameraIntrinsics | None = None,
    estimated: CameraIntrinsics | None = None,
    pose: tuple[RigidTransform | None, PoseSource] = (None, PoseSource.NONE),
    agreement: float | None = None,
) -> ViewDepth:
    """The result of one view.

    Args:
        image_map: where the network's image lies in the camera's.
        depth: (H, W) float32 of the network's size, scaled, NaN where there is none.
        confidence: (H, W) float32 likewise; None without.
        sky: (H, W) bool likewise; None without.
        given: the camera's calibration; None when unknown.
        estimated: the network's estimate of it, used where none is given.
        pose: of the camera, and where it comes from.
        agreement: of the view; None or NaN without.

    Returns:
        The result at camera resolution.
    """
    if confidence is not None and sky is not None:
        confidence = np.where(sky, np.float32(1), confidence)  # nothing is known there, whatever the network says
    return ViewDepth(
        depth_m=depth_at_camera(depth, image_map),
        confidence=None if confidence is None else confidence_at_camera(confidence, image_map),
        sky=None if sky is None else mask_at_camera(sky, image_map),
        intrinsics=given or estimated,
        intrinsics_estimated=given is None and estimated is not None,
        world_T_camera=pose[0],
        pose_source=pose[1],
        agreement=None if agreement is None or np.isnan(agreement) else float(agreement),
    )


def named(views: Sequence[int]) -> str:
    """Views in words.

    Args:
        views: their numbers, one or more.

    Returns:
        Such as "view 2" or "views 0, 3".
    """
    return f"view{'s' if len(views) > 1 else ''} {', '.join(map(str, views))}"


def crop_notes(maps: Sequence[ImageMap], *, filled: Sequence[int] = ()) -> tuple[str, ...]:
    """What was not seen because images were cropped.

    Args:
        maps: of all views.
        filled: views whose unseen part has the depth of another network.

    Returns:
        No sentence, one or two.
    """
    cropped = [i for i, image_map in enumerate(maps) if image_map.is_cropped]
    how = "cropped around the centre to one size for the network"
    notes = []
    if lost := [i for i in cropped if i not in filled]:
        least = min(maps[i].seen_share for i in lost)
        notes.append(f"Images are {how} ({named(lost)}); at least {least:.0%} of each is seen, the rest has no depth.")
    if filled:
        least = min(maps[i].seen_share for i in filled)
        notes.append(
            f"Images are {how} ({named(filled)}); it sees at least {least:.0%} of each, outside it depth is the metric "
            "model's alone, with the least confidence."
        )
    return tuple(notes)
