"""A grounder of open vocabulary without a model: it finds what it is told to, box after box, and takes its time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from n3d_ros.detection import Detection3D
from n3d_ros.errors import BackendError, CancelledError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult, OnProgress, Reasoning

STEPS_PER_BOX = 5
STEP_S = 0.01
EVERYTHING = ("mug", "laptop")
RAW_GROWTH = 1.25  # of a box before it is "fitted"
THOUGHT = "The mug is at x 0.1.\nThe laptop is at x 0.4."


class TalkingGrounder:
    """One box per name asked for, in a row from left to right. "many NAME" is many of them, "endless" ends never."""

    name = "talking"
    device = "cpu"
    open_vocabulary = True
    facts = ("model: talking, made for tests", "licence: none")

    def __init__(self, *, step_s: float = STEP_S, answer: str = "Yes, there is.") -> None:
        self.step_s = step_s
        self.answer = answer
        self.requests: list[GroundingRequest] = []
        self.sure_boxes = 0  # written before the clock is looked at, however slow the machine
        self.steps = 0
        self.reasoned: list[tuple[str, tuple[Detection3D, ...]]] = []
        self.is_closed = False

    def ground(
        self,
        frame: RgbdFrame,
        request: GroundingRequest,
        *,
        on_detection: Callable[[Detection3D], None] | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> GroundingResult:
        self.requests.append(request)
        if frame.frame_id == "warm_up":
            return GroundingResult(detections=())
        names = (request.phrase,) if request.phrase else request.nouns or EVERYTHING
        if "exhaust" in names:
            raise BackendError("CUDA out of memory: 9 GB more are needed.", reason="out_of_memory")
        found: list[Detection3D] = []
        wanted = [(word, i) for word in names for i in range({"many": 3, "endless": 100_000}.get(word.split()[0], 1))]
        for number, (name, _) in enumerate(wanted[:100_000]):
            for _ in range(STEPS_PER_BOX):
                if is_cancelled is not None and is_cancelled():
                    raise CancelledError("Stopped.")
                is_late = request.deadline_s is not None and time.monotonic() >= request.deadline_s
                if is_late and len(found) >= self.sure_boxes:
                    return self._result(found, partial=True)
                self.steps += 1
                time.sleep(self.step_s)
            if len(found) < request.max_objects:
                found.append(box_of(name.split()[-1] if " " in name else name, number % 8))
                if on_detection is not None:
                    on_detection(found[-1])
        return self._result(found)

    @staticmethod
    def _result(found: list[Detection3D], *, partial: bool = False) -> GroundingResult:
        raw = tuple(
            Detection3D(label=one.label, box=Box3D.axis_aligned(one.box.center, one.box.size * RAW_GROWTH))
            for one in found
        )
        return GroundingResult(detections=tuple(found), raw_detections=raw, partial=partial)

    def reason(
        self,
        frame: RgbdFrame,
        question: str,
        detections: tuple[Detection3D, ...],
        *,
        deadline_s: float | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> Reasoning:
        self.reasoned.append((question, detections))
        return Reasoning(answer=self.answer, thought=THOUGHT)

    def close(self) -> None:
        self.is_closed = True


def box_of(label: str, place: int) -> Detection3D:
    """A box on a row 1 m before the camera."""
    box = Box3D.axis_aligned(np.array([-0.35 + 0.1 * place, 0.0, 1.0]), np.array([0.08, 0.08, 0.08]))
    return Detection3D(label=label, box=box, score=0.7, point_count=50)


def make_model(config: Any, on_progress: OnProgress) -> TalkingGrounder:
    """The grounder; the model's name says how its loading goes."""
    model = config.language_model.model
    if model == "missing":
        raise BackendError("missing: expected a folder or a hub id, nothing of that name is there.")
    if model == "broken":
        raise RuntimeError("invalid header in shard 2")
    if model == "huge":
        raise MemoryError
    if model == "slow":
        for shard in range(1, 5):
            on_progress(f"loading the model: shard {shard} of 4", shard / 4 - 0.05)
            # longer than from one /diagnostics to the next, and in the third shard for one that is told of late
            time.sleep(5.0 if shard == 3 else 1.2)
    return TalkingGrounder(answer="No, none at all." if model == "contrary" else "Yes, there is.")
