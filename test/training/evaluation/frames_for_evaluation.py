"""Small frames with objects of known boxes, made by hand."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike

from builders import make_box
from model_training.data.records import FrameRecord, ObjectRecord, QuestionRecord
from model_training.evaluation.found import FoundObject
from model_training.evaluation.overlap import hull
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.camera import CameraIntrinsics

CAMERA = CameraIntrinsics(fx=100.0, fy=100.0, cx=49.5, cy=39.5, width=100, height=80)
"""The principal point is the middle of the image: 50, 40 counted from its corner."""


def cube(x: float, y: float, z: float, side: float = 0.2) -> Box3D:
    """A cube along the camera's axes."""
    return Box3D.axis_aligned((x, y, z), (side, side, side))


def thing(number: int, label: str, box: Box3D | None = None, **changes: Any) -> ObjectRecord:
    """An object whose whole box is what is seen of it, unless told otherwise."""
    shown = changes.pop("visible_box", None if box is None else hull(box))
    return ObjectRecord(id=number, label=label, box=box, visible_box=shown, **changes)


def found(label: str, box: Box3D, score: float | None = None, **changes: Any) -> FoundObject:
    """A found object, seen whole."""
    return FoundObject(label=label, box=box, visible_box=changes.pop("visible_box", hull(box)), score=score, **changes)


def frame_record(
    *objects: ObjectRecord,
    name: str = "frame-1",
    depth_m: ArrayLike | float = 2.0,
    labels: np.ndarray | None = None,
    **changes: Any,
) -> FrameRecord:
    """A gray frame of constant depth."""
    size = (CAMERA.height, CAMERA.width)
    depth = np.broadcast_to(np.asarray(depth_m, dtype=np.float64), size)
    return FrameRecord(
        id=name,
        source=changes.pop("source", "generated"),
        split=changes.pop("split", "held_out"),
        image=encoded(np.full((*size, 3), 128, np.uint8)),
        depth_png=encoded(np.round(depth * 1000).astype(np.uint16)),
        intrinsics=CAMERA,
        objects=objects,
        labels_png=b"" if labels is None else encoded(labels.astype(np.uint16)),
        **changes,
    )


def encoded(picture: np.ndarray) -> bytes:
    """PNG bytes."""
    done, data = cv2.imencode(".png", picture)
    assert done
    return bytes(data.tobytes())


def question(number: int, text: str, value: str, **changes: Any) -> QuestionRecord:
    """A reasoning question about ``frame-1``."""
    defaults = {"frame_id": "frame-1", "kind": "reasoning", "value_type": "boolean"} | changes
    return QuestionRecord(id=f"{defaults['frame_id']}-q{number}", question=text, value=value, **defaults)


def turned(box: Box3D, angle_rad: float) -> Box3D:
    """A box turned further about its z axis."""
    return make_box(box.center, box.size, axis=(0.0, 0.0, 1.0), angle_rad=angle_rad)
