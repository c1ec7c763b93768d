"""Frames written by hand, in the model's own axes: x left, y up, z forward, metres; answers follow by eye."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from model_training.data.records import FrameRecord, ObjectRecord
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.camera import CameraIntrinsics

BLACK = cv2.imencode(".png", np.zeros((480, 640, 3), np.uint8))[1].tobytes()
CAMERA = CameraIntrinsics(fx=500.0, fy=500.0, cx=319.5, cy=239.5, width=640, height=480)


def thing(
    number: int,
    label: str,
    center: Sequence[float] | None,
    size: Sequence[float] = (0.1, 0.1, 0.1),
    *,
    full: Box3D | None = None,
    **changes: Any,
) -> ObjectRecord:
    """An object with a visible box; ``center`` None: only its place in the image is known."""
    visible = None
    if center is not None:
        visible = Box3D.axis_aligned(np.array(center) * [-1.0, -1.0, 1.0], np.array(size))
    else:
        changes.setdefault("box_2d", (10.0, 10.0, 50.0, 50.0))
    values = {"visible_pixels": 900, "visible_fraction": 1.0} | changes
    return ObjectRecord(id=number, label=label, box=full, visible_box=visible, **values)


def frame(*objects: ObjectRecord, name: str = "hand-0", up: tuple[float, float, float] | None = None) -> FrameRecord:
    """A frame with these objects, before a black wall."""
    return FrameRecord(
        id=name,
        source="generated",
        split="train",
        image=BLACK,
        depth_png=b"",
        intrinsics=CAMERA,
        up=up,
        objects=objects,
    )


def kitchen(name: str = "kitchen-0") -> FrameRecord:
    """A table with a red and a blue mug, a bowl with an apple in it, a bottle and a book, from left to right:

    bottle (0.6 m left, 1.0 m away, 0.30 tall), red mug (0.35 left, 0.8 away), bowl (0.0, 1.1) with the apple,
    blue mug (0.3 right, 1.4 away), book (0.55 right, 0.9 away, 0.03 thick).
    """
    table = -0.3  # its top, metres above the camera
    return frame(
        thing(1, "table", (0.0, table - 0.35, 1.2), (1.8, 0.7, 1.2), role="furniture", color="brown", material="wood"),
        thing(2, "bottle", (0.6, table + 0.15, 1.0), (0.08, 0.3, 0.08), color="green", material="glass",
              shape="cylinder", supported_by=1),
        thing(3, "mug", (0.35, table + 0.05, 0.8), (0.09, 0.1, 0.09), color="red", material="metal", supported_by=1),
        thing(4, "bowl", (0.0, table + 0.04, 1.1), (0.25, 0.08, 0.25), color="white", shape="bowl", supported_by=1),
        thing(5, "apple", (0.0, table + 0.06, 1.1), (0.07, 0.07, 0.07), color="red", shape="ball", inside_of=4),
        thing(6, "mug", (-0.3, table + 0.05, 1.4), (0.09, 0.1, 0.09), color="blue", material="ceramic", supported_by=1),
        thing(7, "book", (-0.55, table + 0.015, 0.9), (0.2, 0.03, 0.15), color="blue", shape="flat", supported_by=1),
        name=name, up=(0.0, -1.0, 0.0),
    )  # fmt: skip


def random_frame(rng: np.random.Generator, name: str, count: int | None = None) -> FrameRecord:
    """Things anywhere before the camera, of any size: what is asked about them has no rhyme but their boxes."""
    labels = np.array(["mug", "chair", "lamp", "dog", "sofa", "bottle", "backpack", "bicycle", "monitor", "plant"])
    colors = np.array(["red", "green", "blue", "white", "black"])
    many = int(rng.integers(3, 8)) if count is None else count
    things = []
    for number in range(1, many + 1):
        z = rng.uniform(1.0, 5.0)
        center = (rng.uniform(-0.5, 0.5) * z, rng.uniform(-0.4, 0.4) * z, z)
        size = rng.uniform(0.08, 1.0, 3).tolist()
        things.append(thing(number, str(rng.choice(labels)), center, size, color=str(rng.choice(colors))))
    return frame(*things, name=name)
