"""Records of frames with known objects, made without any package of the extra [train]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from inference.geometric.raycasting import Box, Cylinder, look_at
from inference.language_model.scenes import SMALL_CAMERA, seen_box, true_box
from model_training.data.records import FrameRecord, ObjectRecord, QuestionRecord
from n3d_ros.errors import InputError
from n3d_ros.geometry.camera import CameraIntrinsics

NAMES = ("red box", "blue cylinder", "green box")


def png(values: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", values)[1].tobytes())


def tabletop_record(
    *, camera: CameraIntrinsics = SMALL_CAMERA, seed: int = 0, shift: float = 0.0, name: str | None = None
) -> FrameRecord:
    """A red box, a blue cylinder and a green box on a table, with masks and both kinds of boxes."""
    things = [
        Box(at=(0.0 + shift, 0.17, 0), size=(0.1, 0.14, 0.12), yaw=0.5, rgb=(200, 20, 20)),
        Cylinder(at=(-0.05, -0.15 + shift, 0), radius=0.05, height=0.14, rgb=(20, 20, 210)),
        Box(at=(0.12, -0.02, 0), size=(0.08, 0.1, 0.09), yaw=-0.3, rgb=(20, 160, 30)),
    ]
    view = look_at(things, camera=camera, seed=seed)
    millimetres = np.nan_to_num(view.frame.depth_m * 1000).round().astype(np.uint16)
    labels = np.where(view.owner >= 0, view.owner + 1, 0).astype(np.uint16)
    xyz = view.frame.point_map().xyz
    objects = []
    for k, (word, thing) in enumerate(zip(NAMES, things, strict=True)):
        rows, columns = np.nonzero(labels == k + 1)
        objects.append(
            ObjectRecord(
                id=k + 1,
                label=word,
                box=true_box(thing, view),
                visible_box=seen_box(xyz[labels == k + 1]),
                box_2d=(float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)),
                visible_pixels=len(rows),
                color=word.split()[0],
            )
        )
    return FrameRecord(
        id=name or f"tabletop-{seed}-{shift:g}",
        source="generated",
        split="train",
        image=png(np.ascontiguousarray(view.frame.rgb[..., ::-1])),
        depth_png=png(millimetres),
        labels_png=png(labels),
        intrinsics=view.frame.intrinsics,
        up=tuple(float(v) for v in view.up),
        objects=tuple(objects),
    )


def questions_about(record: FrameRecord) -> tuple[QuestionRecord, ...]:
    """One question of each kind."""
    frame = {"frame_id": record.id}
    return (
        QuestionRecord(id=f"{record.id}/a", kind="detection", object_ids=(1, 2, 3), **frame),
        QuestionRecord(id=f"{record.id}/b", kind="category", names=("blue cylinder",), object_ids=(2,), **frame),
        QuestionRecord(id=f"{record.id}/c", kind="category", names=("chair",), object_ids=(), **frame),
        QuestionRecord(id=f"{record.id}/d", kind="referring", names=("the box on the left",), object_ids=(1,), **frame),
        QuestionRecord(
            id=f"{record.id}/e",
            kind="reasoning",
            question="Which is taller, the red box or the blue cylinder?",
            object_ids=(1, 2),
            question_class="tall_short",
            reasoning="The red box is 0.12 m high, the blue cylinder 0.14 m.",
            answer="The blue cylinder is taller.",
            value_type="text",
            value="blue cylinder",
            **frame,
        ),
    )


def without_pixels(record: FrameRecord) -> FrameRecord:
    """The record as lifted data may come: no masks."""
    return replace(record, labels_png=b"")


RECORD = tabletop_record()


@dataclass(frozen=True)
class Known:
    """A source of some shards of three frames each; other processes can import it."""

    name: str = "a"
    shards: tuple[int, ...] = (0, 1, 2, 3)
    broken: tuple[int, ...] = ()
    about: str = "known"
    records: tuple[FrameRecord, ...] = field(default=(RECORD, RECORD, RECORD), repr=False)
    kinds: tuple[str, ...] = ("detection", "category", "referring", "reasoning")

    def pairs(self, shard: int) -> Iterator[tuple[FrameRecord, tuple[QuestionRecord, ...]]]:
        if shard in self.broken:
            raise InputError(f"shard {shard} is cut off")
        for row, record in enumerate(self.records):
            questions = tuple(one for one in questions_about(record) if one.kind in self.kinds)
            yield replace(record, id=f"{self.name}{shard}{row}"), questions
