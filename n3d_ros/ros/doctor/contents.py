"""What images and calibrations hold, as facts: decoded as the node decodes them, with the error when they cannot be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from n3d_ros.errors import N3dError
from n3d_ros.ros.conversions import camera_info_to_model
from n3d_ros.ros.doctor.snapshot import IMAGE_ROLES, Calibration, Picture
from n3d_ros.ros.frame_assembly import FrameAssembler, TransformLookup
from n3d_ros.ros.image_codec import (
    compressed_to_raw_depth,
    compressed_to_rgb,
    depth_in_metres,
    image_to_raw_depth,
    image_to_rgb,
)
from n3d_ros.ros.plain_text import plain

MEDIAN_STEP = 4  # every fourth row and column is enough for a median


def picture_of(message: Any, role: str, *, byte_count: int, unit_m: float = 0.0) -> Picture:
    """An image as facts.

    Args:
        message: ``sensor_msgs/Image`` or ``CompressedImage``.
        role: "color" or "depth".
        byte_count: of the serialised message.
        unit_m: metres per unit of depth; 0: by encoding.

    Returns:
        The facts, with the error when it cannot be read.
    """
    is_compressed = hasattr(message, "format")
    facts: dict[str, Any] = {
        "encoding": plain(str(message.format if is_compressed else message.encoding), 64),
        "is_compressed": is_compressed,
        "frame_id": plain(str(message.header.frame_id), 256),
        "byte_count": byte_count,
    }
    width, height = (0, 0) if is_compressed else (int(message.width), int(message.height))
    try:
        if role == "color":
            rgb = (compressed_to_rgb if is_compressed else image_to_rgb)(message)
            return Picture(width=rgb.shape[1], height=rgb.shape[0], **facts)
        raw = (compressed_to_raw_depth if is_compressed else image_to_raw_depth)(message)
    except N3dError as error:
        return Picture(width=width, height=height, error=plain(error.message), **facts)
    sample = depth_in_metres(raw[::MEDIAN_STEP, ::MEDIAN_STEP], unit_m or None)
    known = sample[np.isfinite(sample)]
    median = float(np.median(known)) if known.size else None
    share = known.size / max(1, sample.size)
    return Picture(width=raw.shape[1], height=raw.shape[0], median_depth_m=median, depth_share=share, **facts)


def calibration_of(message: Any) -> Calibration:
    """A CameraInfo as facts.

    Args:
        message: ``sensor_msgs/CameraInfo``.

    Returns:
        The facts, with the error when it cannot be used.
    """
    error = ""
    try:
        camera_info_to_model(message)
    except N3dError as failure:
        error = plain(failure.message)
    return Calibration(
        width=int(message.width),
        height=int(message.height),
        k=tuple(map(float, message.k)),
        d=tuple(map(float, message.d)),
        model=plain(str(message.distortion_model), 64),
        frame_id=plain(str(message.header.frame_id), 256),
        error=error,
    )


def unreadable(role: str, why: str) -> dict[str, Any]:
    """What is known of a topic whose messages cannot even be taken apart.

    Args:
        role: of the topic.
        why: sentence.

    Returns:
        A field of ``Heard`` with its value.
    """
    if role in IMAGE_ROLES:
        return {"picture": Picture(width=0, height=0, encoding="", error=plain(why))}
    return {"calibration": Calibration(width=0, height=0, k=(1.0,) * 9, error=plain(why))}


def nearest_pair(
    colors: Sequence[tuple[int, bytes]], depths: Sequence[tuple[int, bytes]]
) -> tuple[bytes, bytes] | None:
    """The colour and the depth image whose stamps are nearest, the newest of those equally near.

    Args:
        colors: (stamp, raw message), oldest first.
        depths: the same.

    Returns:
        Raw messages; None when one of the two is missing.
    """
    pairs = [(abs(a - b), -a, color, depth) for a, color in colors for b, depth in depths]
    if not pairs:
        return None
    _, _, color, depth = min(pairs, key=lambda pair: pair[:2])
    return color, depth


def assembled(
    messages: Sequence[Any], infos: Sequence[Any], lookup: TransformLookup, make: Callable[[], FrameAssembler]
) -> tuple[str, str]:
    """What becomes of a pair of images put together as the node does it.

    Args:
        messages: colour and depth.
        infos: their calibrations, None where none came.
        lookup: tf.
        make: makes the assembler with the node's settings.

    Returns:
        (why it was refused, its reason), both empty when it was not.
    """
    try:
        make().assemble(messages[0], messages[1], infos[0], infos[1], lookup)
    except N3dError as error:
        return plain(error.message), error.reason
    except Exception as error:  # a fault of ours, which the node would have as well
        return plain(f"{type(error).__name__}: {error}"), "internal_error"
    return "", ""
