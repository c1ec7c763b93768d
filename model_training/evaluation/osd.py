"""The modified Object Segmentation Database: real frames in which every pixel's object is known, and no box is.

A folder holds ``NAME_color.png``, ``NAME_depth.png`` (16-bit millimetres, 0: none) and ``NAME_label.png`` (0: no depth,
1: what carries the objects, from 2 on one number per object). Boxes are compared by the measured points inside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model_training.data.pictures import encode_png, mask_box, visible_box
from model_training.data.records import FrameRecord, ObjectRecord
from model_training.evaluation.cases import Case
from model_training.evaluation.contents import contents_digest
from n3d_ros.errors import ConfigurationError, InputError
from n3d_ros.geometry.camera import CameraIntrinsics, unproject

FIRST_OBJECT = 2  # labels: 0 no depth, 1 what carries, then objects
MIN_LABEL_POINTS = 300  # smaller objects are not asked for
KINECT_FOCAL_PX = 525.0  # Kinect v1, as the database's authors give it
LABEL = "object"
MAX_FILE_BYTES = 64_000_000


class OsdCases:
    """The frames of a folder.

    Args:
        folder: with the three files per frame.
        focal_px: of the camera, whose principal point is the image's middle.
    """

    measures: tuple[str, ...] = ("points", "visible")
    open_classes: bool = True

    def __init__(self, folder: Path, *, focal_px: float = KINECT_FOCAL_PX) -> None:
        self._folder, self._focal_px = folder, focal_px
        self._names = frame_names(folder)
        self._skipped = Counter[str]()
        self.name = f"real frames of {folder.name} (Object Segmentation Database)"

    def identity(self) -> Mapping[str, Any]:
        """Folder, names, contents and camera."""
        files = [self._folder / f"{name}_{kind}.png" for name in self._names for kind in ("color", "depth", "label")]
        return {
            "osd": str(self._folder.resolve()),
            "frames": list(self._names),
            "contents": contents_digest(files),
            "focal_px": self._focal_px,
        }

    def count(self) -> int:
        """How many frames there are."""
        return len(self._names)

    def cases(self, *, images: bool = True) -> Iterator[Case]:  # noqa: ARG002
        """The frames; those whose files cannot be read are counted and left out.

        Args:
            images: they are needed for scoring, too.

        Yields:
            Cases without questions.
        """
        self._skipped.clear()
        for name in self._names:
            try:
                record = osd_record(self._folder, name, self._focal_px)
            except InputError as error:
                self._skipped[error.message] += 1
                continue
            yield Case(record=record)

    def skipped(self) -> Mapping[str, int]:
        """Frames that cannot be read, by reason."""
        return self._skipped


def frame_names(folder: Path) -> tuple[str, ...]:
    """Names of the frames in a folder.

    Args:
        folder: with files NAME_depth.png.

    Returns:
        Names, in the order of their numbers.

    Raises:
        ConfigurationError: there are none.
    """
    names = [path.name.removesuffix("_depth.png") for path in folder.glob("*_depth.png")]
    if not names:
        raise ConfigurationError(
            f"{folder}: expected files NAME_color.png, NAME_depth.png, NAME_label.png; none there."
        )
    return tuple(sorted(names, key=lambda name: (int("".join(filter(str.isdigit, name)) or 0), name)))


def osd_record(folder: Path, name: str, focal_px: float = KINECT_FOCAL_PX) -> FrameRecord:
    """One frame of the database.

    Args:
        folder: of the files.
        name: of the frame.
        focal_px: of the camera.

    Returns:
        The frame with the objects asked for: mask, 2-D box, and the box around what is seen.

    Raises:
        InputError: a file is missing, or is not what it should be.
    """
    color_file, depth_file, label_file = (folder / f"{name}_{kind}.png" for kind in ("color", "depth", "label"))
    image, depth_png = _bytes(color_file), _bytes(depth_file)
    depth, labels = _picture(depth_png, depth_file), _picture(_bytes(label_file), label_file)
    if depth.dtype != np.uint16 or depth.shape != labels.shape:
        raise InputError(f"{folder / name}: expected 16-bit depth and labels of one size, got {depth.shape}.")
    height, width = depth.shape
    camera = CameraIntrinsics(
        fx=focal_px, fy=focal_px, cx=(width - 1) / 2, cy=(height - 1) / 2, width=width, height=height
    )
    points = unproject(np.where(depth > 0, depth / 1000.0, np.nan), camera)
    return FrameRecord(
        id=name,
        source="osd",
        split="held_out",
        image=image,
        depth_png=depth_png,
        intrinsics=camera,
        objects=tuple(_objects(labels, points)),
        labels_png=encode_png(labels.astype(np.uint16)),
        licence="as the database's authors state it",
    )


def _objects(labels: NDArray[Any], points: NDArray[np.float32]) -> Iterator[ObjectRecord]:
    for number in np.unique(labels):
        mask = labels == number
        if number < FIRST_OBJECT or mask.sum() < MIN_LABEL_POINTS:
            continue
        yield ObjectRecord(
            id=int(number),
            label=LABEL,
            visible_box=visible_box(points[mask]),
            box_2d=mask_box(mask),
            visible_pixels=int(mask.sum()),
        )


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"{path}: expected at most {MAX_FILE_BYTES} bytes.")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: expected a file that can be read ({error.strerror}).") from error


def _picture(data: bytes, path: Path) -> NDArray[Any]:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.ndim != 2:
        raise InputError(f"{path}: expected an image of one channel.")
    return np.asarray(picture)
