"""Numbers that stay with a thing: from frame to frame as the node's scene follows it, from run to run by its place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from model_training.robots.work_folder import FoundFrame
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.ros.bag_pass import BagLook

SAME_THING_SHARE = 0.5  # of the larger box's diagonal: boxes of one thing lie closer
FRAMES_TRIED = 20  # of an earlier run, those nearest in time, until one has a thing at that place


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Seen:
    """What an earlier run found in a frame, in a frame in which things that stand still stay where they are."""

    stamp_ns: int
    fixed_frame: str
    boxes: tuple[tuple[int, Box3D], ...]


class Numbers:
    """Gives numbers to things.

    Args:
        known: frames of earlier runs.
    """

    def __init__(self, known: Iterable[FoundFrame] = ()) -> None:
        frames = list(known)
        self._next = 1 + max([0, *(one.number for frame in frames for one in frame.objects)])
        self._numbers: dict[int, int] = {}
        self._seen = [
            _Seen(
                stamp_ns=frame.stamp_ns,
                fixed_frame=frame.fixed_frame,
                boxes=tuple((one.number, one.box.transformed(frame.fixed_T_camera)) for one in frame.objects),
            )
            for frame in frames
            if frame.fixed_T_camera is not None
        ]

    def of(self, look: BagLook, things: Sequence[int | None]) -> list[int]:
        """The numbers of a look's detections.

        Args:
            look: the look.
            things: of each detection the id of the scene's object, None when it is none.

        Returns:
            Numbers, each once.
        """
        known = {thing: self._numbers[thing] for thing in things if thing is not None and thing in self._numbers}
        taken = set(known.values())
        numbers = []
        for thing, one in zip(things, look.outcome.detections, strict=True):
            number = None if thing is None else known.get(thing)
            if number is None:
                number = self._at_its_place(look, one.box, taken) or self._new()
                taken.add(number)
                if thing is not None:
                    self._numbers[thing] = number
            numbers.append(number)
        return numbers

    def _new(self) -> int:
        """A number that no thing has."""
        number, self._next = self._next, self._next + 1
        return number

    def _at_its_place(self, look: BagLook, box: Box3D, taken: set[int]) -> int | None:
        """The number that a thing at this place had in an earlier run, in the frame nearest in time that has one."""
        outcome = look.outcome
        if not self._seen or outcome.scene is None or outcome.scene_T_camera is None:
            return None
        fixed = box.transformed(outcome.scene_T_camera)
        for seen in sorted(self._seen, key=lambda one: abs(one.stamp_ns - outcome.stamp_ns))[:FRAMES_TRIED]:
            if seen.fixed_frame != outcome.scene.frame_id:
                continue
            near = [(_apart(fixed, other), number) for number, other in seen.boxes if number not in taken]
            if near and min(near)[0] <= SAME_THING_SHARE:
                return min(near)[1]
        return None


def followed(look: BagLook) -> list[int | None]:
    """Which of the scene's objects each detection was taken for.

    Args:
        look: the look.

    Returns:
        Ids; None where no object of the scene is near.
    """
    outcome = look.outcome
    found: list[int | None] = [None] * len(outcome.detections)
    if outcome.output_T_camera is None or not look.objects or not outcome.detections:
        return found
    camera_T_output = outcome.output_T_camera.inverse()
    known = [one.box.transformed(camera_T_output) for one in look.objects]
    cost = np.array([[_apart(one.box, other) for other in known] for one in outcome.detections])
    for row, column in zip(*linear_sum_assignment(cost), strict=True):
        if cost[row, column] <= SAME_THING_SHARE:
            found[int(row)] = look.objects[int(column)].id
    return found


def _apart(one: Box3D, other: Box3D) -> float:
    """Distance of two centres, as a share of the larger diagonal."""
    reach = max(float(np.linalg.norm(one.size)), float(np.linalg.norm(other.size)))
    return float(np.linalg.norm(one.center - other.center)) / reach
