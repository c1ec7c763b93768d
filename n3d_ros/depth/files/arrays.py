"""Depth as files for programs: 16-bit images of fixed unit, and numpy arrays without loss."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from n3d_ros.depth.views import ScaleSource, ViewDepth
from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import Float32Array

MILLIMETRE_M = 0.001  # per count of a depth image, REP-118
LARGEST_COUNT = 65535
RELATIVE_HEADROOM = 4.0  # times the far end of what the first frames show
METRIC_SUFFIX, RELATIVE_SUFFIX = "", "_relative"  # of folders and files: no reader takes relative depth for metres


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DepthImage:
    """Depth in 16 bits, and what did not fit.

    Args:
        counts: (H, W) uint16, 0: none.
        unit: of one count, in the unit of the depth.
        too_far: pixels beyond 65535 counts, written as none.
        too_near: pixels below half a count, written as none.
    """

    counts: NDArray[np.uint16]
    unit: float
    too_far: int
    too_near: int


def depth_image(depth: Float32Array, unit: float) -> DepthImage:
    """Depth rounded to counts; what does not fit is none, for a clipped distance would be a wrong one.

    Args:
        depth: (H, W) float32, NaN for none.
        unit: of one count, above 0.

    Returns:
        Counts.

    Raises:
        InputError: a unit that is not a number above 0.
    """
    if not (math.isfinite(unit) and unit > 0):
        raise InputError(f"Unit of the depth image: expected a number above 0, got {unit}.")
    counts = np.rint(np.asarray(depth, dtype=np.float64) / unit)
    known = np.isfinite(counts)
    too_far, too_near = known & (counts > LARGEST_COUNT), known & (counts < 1)
    kept = np.where(known & ~too_far & ~too_near, counts, 0)
    return DepthImage(
        counts=kept.astype(np.uint16),
        unit=unit,
        too_far=int(too_far.sum()),
        too_near=int(too_near.sum()),
    )


def relative_unit(far: float) -> float:
    """The count for depth without metres: fixed for a whole input, with room for what later frames show.

    Args:
        far: the far end of what the first frames show.

    Returns:
        A round unit.
    """
    digits = 10.0 ** math.floor(math.log10(far * RELATIVE_HEADROOM / LARGEST_COUNT))
    return float(f"{digits * math.ceil(far * RELATIVE_HEADROOM / LARGEST_COUNT / digits):.6g}")


def png_bytes(image: DepthImage, *, is_metric: bool) -> bytes:
    """The depth image as PNG; its text says what a count is.

    Args:
        image: counts.
        is_metric: whether the unit is metres.

    Returns:
        The file's bytes.
    """
    words = PngImagePlugin.PngInfo()
    words.add_text("Description", "z-depth along the optical axis; 0: none")
    words.add_text("Unit", f"{image.unit:g} m" if is_metric else f"{image.unit:g}, relative: not metres")
    stream = io.BytesIO()
    Image.fromarray(image.counts).save(stream, format="PNG", pnginfo=words, compress_level=4)
    return stream.getvalue()


def npz_bytes(view: ViewDepth, scale_source: ScaleSource) -> bytes:
    """Everything a model says of one image, without loss, as a compressed numpy archive.

    Args:
        view: what it says.
        scale_source: what makes it metric.

    Returns:
        The file's bytes, to be read with ``numpy.load``: ``depth_m`` or ``depth_relative`` and, where known,
        ``confidence``, ``sky``, ``K`` and ``world_T_camera``.
    """
    metric = scale_source is not ScaleSource.RELATIVE
    arrays: dict[str, NDArray[np.generic]] = {
        "depth_m" if metric else "depth_relative": view.depth_m,
        "scale_source": np.array(scale_source.value),
        "pose_source": np.array(view.pose_source.value),
        "intrinsics_estimated": np.array(view.intrinsics_estimated),
    }
    if view.confidence is not None:
        arrays["confidence"] = view.confidence
    if view.sky is not None:
        arrays["sky"] = view.sky
    if view.intrinsics is not None:
        arrays["K"] = view.intrinsics.matrix
    if view.world_T_camera is not None:
        arrays["world_T_camera"] = view.world_T_camera.matrix
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # no objects among them, so no pickle
    return stream.getvalue()
