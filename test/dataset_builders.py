"""Small data sets to test with, and stages that other processes can import."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from model_training.data.folder import DatasetFolder
from model_training.data.records import FrameRecord, ObjectRecord, QuestionRecord
from model_training.data.reports import ShardReport
from n3d_ros.errors import GroundingError, InputError
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.camera import CameraIntrinsics

CAMERA = CameraIntrinsics(fx=40.0, fy=40.0, cx=31.5, cy=23.5, width=64, height=48)
LABELS = ("mug", "bowl", "book")


def png(values: Any) -> bytes:
    """PNG bytes."""
    return bytes(cv2.imencode(".png", np.asarray(values))[1].tobytes())


def object_record(number: int, **changes: Any) -> ObjectRecord:
    """An object in front of the camera, 1 m away, the further right the higher its number."""
    x = -0.3 + 0.3 * (number - 1)
    box = Box3D(center=[x, 0.0, 1.0], size=[0.2, 0.2, 0.2], orientation_xyzw=[0, 0, 0, 1])
    left = 31.5 + 40 * x - 4
    record = ObjectRecord(
        id=number,
        label=LABELS[(number - 1) % 3],
        box=box,
        visible_box=box,
        box_2d=(left, 20.0, left + 8, 28.0),
        visible_pixels=64,
        visible_fraction=0.9,
    )
    return replace(record, **changes)


def frame_record(name: str, *, objects: int = 3, seed: int = 0, **changes: Any) -> FrameRecord:
    """A frame of 64x48 px with a few objects; half of its depth is known."""
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 255, (48, 64, 3), np.uint8)
    depth = np.full((48, 64), 1000, np.uint16)
    depth[:, 32:] = 0
    ids = np.zeros((48, 64), np.uint16)
    found = [object_record(number) for number in range(1, objects + 1)]
    for one in found:
        left, top, right, bottom = (round(v) for v in one.box_2d or (0, 0, 0, 0))
        ids[top:bottom, left:right] = one.id
    record = FrameRecord(
        id=name,
        source="generated",
        split="train",
        image=bytes(cv2.imencode(".jpg", picture)[1].tobytes()),
        depth_png=png(depth),
        labels_png=png(ids),
        intrinsics=CAMERA,
        up=(0.0, -1.0, 0.0),
        objects=tuple(found),
        provenance=json.dumps({"seed": seed}),
    )
    return replace(record, **changes)


def question_record(frame: str, number: int = 0, **changes: Any) -> QuestionRecord:
    """A question about the first two objects of a frame."""
    record = QuestionRecord(
        id=f"{frame}/q{number}",
        frame_id=frame,
        kind="reasoning",
        question="Is the mug left of the bowl?",
        object_ids=(1, 2),
        question_class="left_right",
        reasoning="The mug is at -0.30 m, the bowl at 0.00 m.",
        answer="Yes, the mug is left of the bowl.",
        value_type="boolean",
        value="yes",
    )
    return replace(record, **changes)


def frame_id(shard: int, row: int) -> str:
    """Id of a frame of the stages here."""
    return f"s{shard:03d}/{row:03d}"


@dataclass(frozen=True, kw_only=True)
class MakeFrames:
    """A stage whose frames' ids say which shard and row they are.

    Args:
        folder: to write into.
        rows: frames per shard.
        pause_s: between two frames.
        begun: folder in which a worker leaves its process number while it makes a shard; None: it does not.
        failing: shards that fail with an error that says the input is bad.
        rejecting: shards in which one more input is bad.
        broken: shards that end their process, as a crash in a driver would.
    """

    folder: DatasetFolder
    rows: int = 4
    pause_s: float = 0.0
    begun: Path | None = None
    failing: tuple[int, ...] = ()
    rejecting: tuple[int, ...] = ()
    broken: tuple[int, ...] = ()

    def run(self, number: int) -> ShardReport:
        if self.begun is not None:
            (self.begun / f"{number}-{os.getpid()}-{time.monotonic_ns()}").touch()
        if number in self.failing:
            raise InputError(f"shard {number} has no readable input")
        rejects = {"bad_input": 1} if number in self.rejecting else {}
        return self.folder.write_frames(number, self._frames(number), rejects)

    def _frames(self, number: int) -> Any:
        if number in self.broken:
            os._exit(1)
        for row in range(self.rows):
            time.sleep(self.pause_s)
            yield frame_record(frame_id(number, row), seed=number * self.rows + row)


def expected_ids(shards: int, rows: int) -> list[str]:
    """Ids of everything that ``MakeFrames`` makes, in order."""
    return [frame_id(shard, row) for shard in range(shards) for row in range(rows)]


@dataclass(frozen=True, kw_only=True)
class SwallowInterrupts(MakeFrames):
    """A stage in which a library drops Ctrl-C, or tells it as an error of its own.

    Args:
        as_error: told as an error.
    """

    as_error: bool = False

    def run(self, number: int) -> ShardReport:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        if self.as_error:
            raise InputError("interrupted system call")
        return MakeFrames.run(self, number)


def no_depth(_number: int) -> ShardReport:
    """Work that never succeeds."""
    raise GroundingError("nothing has depth here")
