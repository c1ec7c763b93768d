"""Photographs as files, and the frame that is made of one: images encoded, ids painted, everything of one size."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model_training.data.pictures import depth_to_millimetres, encode_jpeg, encode_png
from model_training.data.records import FrameRecord, ObjectRecord
from model_training.lifting.annotations import AnnotatedImage
from model_training.lifting.config import LiftConfig
from model_training.lifting.depths import ImageDepth
from model_training.lifting.outlines import inside
from model_training.lifting.packed_mask import PackedMask
from n3d_ros.depth.files.images import read_picture
from n3d_ros.errors import InputError
from n3d_ros.geometry.camera import CameraIntrinsics

MAX_IMAGE_BYTES = 128 * 2**20
JPEG_QUALITY = 92  # of images that cannot be kept as they are
KEPT_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")  # JPEG, PNG: what a file holds, whatever its name ends in
SOURCE = "lifted"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Photograph:
    """An image as its file has it.

    Args:
        rgb: (H, W, 3) uint8.
        encoded: bytes of the file, where they can be kept; empty: to be encoded anew.
    """

    rgb: NDArray[np.uint8]
    encoded: bytes


def read_photograph(image: AnnotatedImage, folder: Path) -> Photograph:
    """The image of an entry.

    Args:
        image: its entry.
        folder: of images. Objects365 names a path with several folders: its last two, and the name alone, are tried.

    Returns:
        The photograph.

    Raises:
        InputError: no such file, no image, or another size than its entry states, with the rule as reason.
    """
    path = _found(image.file_name, folder)
    try:
        if path.stat().st_size > MAX_IMAGE_BYTES:
            raise InputError(f"{path.name}: a file of more than {MAX_IMAGE_BYTES >> 20} MB.")
        picture = read_picture(path)
        # What was turned, flattened or brought to eight bits is no longer what the file's bytes hold.
        data = b"" if picture.notes else path.read_bytes()
        encoded = data if data.startswith(KEPT_BEGINNINGS) else b""
    except (InputError, OSError) as error:
        raise InputError(f"{image.file_name}: {error}", reason="image_broken") from error
    height, width = picture.rgb.shape[:2]
    if (image.width and image.width != width) or (image.height and image.height != height):
        raise InputError(
            f"{image.file_name}: {width}x{height} px, its entry says {image.width}x{image.height}; were images made "
            "smaller or turned after they were annotated?",
            reason="image_size",
        )
    return Photograph(rgb=picture.rgb, encoded=encoded)


def _found(name: str, folder: Path) -> Path:
    """Where an image lies."""
    try:
        inside(folder, name)
    except InputError as error:
        raise InputError(error.message, reason="image_missing") from error
    parts = Path(name).parts
    for count in (len(parts), 2, 1):
        path = folder.joinpath(*parts[-count:])
        try:
            if path.is_file():
                return path
        except OSError as error:
            raise InputError(f"{name[:100]}: {error.strerror or error}.", reason="image_missing") from error
    raise InputError(f"{name}: there is no such file in {folder}.", reason="image_missing")


def frame_of_objects(
    image: AnnotatedImage,
    photograph: Photograph,
    depth: ImageDepth,
    objects: Sequence[tuple[ObjectRecord, PackedMask]],
    config: LiftConfig,
    annotations: Mapping[str, str],
) -> FrameRecord:
    """The frame of an image and its believed objects.

    Args:
        image: its entry.
        photograph: its pixels.
        depth: of the same size.
        objects: records and masks.
        config: split, size, licence.
        annotations: ids of annotations by ids of objects.

    Returns:
        The frame, made smaller where the configuration says so.
    """
    labels: NDArray[np.uint16] = np.zeros(photograph.rgb.shape[:2], dtype=np.uint16)
    for record, mask in sorted(objects, key=lambda one: -one[1].count):  # small things lie on large ones
        labels[mask.unpacked()] = record.id
    width, height = _size(photograph.rgb, config.max_side_px)
    small = (width, height) != (photograph.rgb.shape[1], photograph.rgb.shape[0])
    rgb, metres, camera = photograph.rgb, depth.depth_m, depth.camera.intrinsics
    if small:
        rgb = np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        metres = np.asarray(cv2.resize(metres, (width, height), interpolation=cv2.INTER_NEAREST), np.float32)
        labels = np.asarray(cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST), np.uint16)
        camera = camera.resized(width, height)
    counts = np.bincount(labels.ravel(), minlength=len(objects) + 1)
    return FrameRecord(
        id=f"{SOURCE}/{_plain(image.file_name)}",
        source=SOURCE,
        split=config.split,
        image=photograph.encoded if photograph.encoded and not small else encode_jpeg(rgb, JPEG_QUALITY),
        depth_png=encode_png(depth_to_millimetres(metres)),
        intrinsics=camera,
        up=depth.camera.up,
        objects=tuple(_sized(record, int(counts[record.id]), photograph.rgb, camera) for record, _mask in objects),
        labels_png=encode_png(labels),
        licence=image.licence or config.licence,
        provenance=json.dumps(_provenance(image, depth, annotations), sort_keys=True),
    )


def _provenance(image: AnnotatedImage, depth: ImageDepth, annotations: Mapping[str, str]) -> dict[str, Any]:
    """Where everything comes from, JSON-ready."""
    return {
        "image": image.file_name,
        "image_id": image.id,
        "depth": depth.source,
        "camera": depth.camera.source,
        "annotations": dict(annotations),
        "notes": list(depth.notes),
    }


def _size(rgb: NDArray[np.uint8], max_side: int) -> tuple[int, int]:
    """Width and height of the frame."""
    height, width = rgb.shape[:2]
    if not max_side or max(width, height) <= max_side:
        return width, height
    scale = max_side / max(width, height)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _sized(record: ObjectRecord, pixels: int, rgb: NDArray[np.uint8], camera: CameraIntrinsics) -> ObjectRecord:
    """The record in the frame's pixels."""
    if record.box_2d is None:
        return replace(record, visible_pixels=pixels)
    across, down = camera.width / rgb.shape[1], camera.height / rgb.shape[0]
    left, top, right, bottom = record.box_2d
    box = (left * across, top * down, right * across, bottom * down)
    return replace(record, visible_pixels=pixels, box_2d=box)


def _plain(name: str) -> str:
    """A file's name in the letters that ids are made of; names that differ stay different."""
    plain = re.sub(r"[^A-Za-z0-9_./-]", "_", name)
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
