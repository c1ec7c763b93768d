"""Images and masks as records hold them: encoded pictures, depth in millimetres, boxes around visible pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from model_training.data.records import DEPTH_UNITS_PER_M
from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import Box3D

MAX_DEPTH_M = 65.0  # the largest whole metres that 16 bits hold
THINNEST_M = 0.001  # a surface seen face on has no thickness, and a box needs one
PNG_LEVEL = 1  # of zlib: the files are 10 % larger than at the default and written four times as fast


def depth_to_millimetres(depth_m: NDArray[np.float32]) -> NDArray[np.uint16]:
    """(H, W) uint16 millimetres, 0 where there is no depth.

    Args:
        depth_m: (H, W) float32 metres, NaN for none.

    Returns:
        Rounded to the nearest millimetre; beyond 65 m counts as none.
    """
    known = np.nan_to_num(depth_m, nan=0.0)
    known = np.where(known > MAX_DEPTH_M, 0.0, known)
    return np.round(known * DEPTH_UNITS_PER_M).astype(np.uint16)


def visible_box(points: NDArray[np.floating]) -> Box3D | None:
    """The tightest box along the camera's axes around points.

    Args:
        points: (N, 3) metres, camera optical frame; rows with NaN do not count.

    Returns:
        The box, at least ``THINNEST_M`` thick; None without points.
    """
    known = points[np.isfinite(points).all(axis=1)]
    if len(known) == 0:
        return None
    columns = np.ascontiguousarray(known.T)  # along memory: ten times as fast as by axis
    low: FloatArray = columns.min(axis=1).astype(np.float64)
    high: FloatArray = columns.max(axis=1).astype(np.float64)
    return Box3D.axis_aligned((low + high) / 2, np.maximum(high - low, THINNEST_M))


def mask_box(mask: NDArray[np.bool_]) -> tuple[float, float, float, float] | None:
    """Left, top, right, bottom of a mask's pixels, counted from the image's corner.

    Args:
        mask: (H, W) bool.

    Returns:
        The borders; None for an empty mask.
    """
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if len(columns) == 0:
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def encode_jpeg(rgb: NDArray[np.uint8], quality: int) -> bytes:
    """JPEG bytes of a colour image.

    Args:
        rgb: (H, W, 3) uint8.
        quality: 10 to 100.

    Returns:
        The file's bytes.

    Raises:
        InputError: OpenCV cannot encode it.
    """
    done, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise InputError(f"Colour image of {rgb.shape}: could not be encoded as JPEG.")
    return bytes(data)


def encode_png(picture: NDArray[np.uint16]) -> bytes:
    """PNG bytes of a 16-bit image.

    Args:
        picture: (H, W) uint16.

    Returns:
        The file's bytes.

    Raises:
        InputError: OpenCV cannot encode it.
    """
    done, data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])
    if not done:
        raise InputError(f"Image of {picture.shape}, {picture.dtype}: could not be encoded as PNG.")
    return bytes(data)
