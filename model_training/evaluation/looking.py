"""Who finds the boxes: one of the node's grounders, a guess from priors, or the truth itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from model_training.data.records import FrameRecord, ObjectRecord
from model_training.evaluation.found import Found, found_of
from model_training.evaluation.overlap import hull
from n3d_ros.detection import Detection3D
from n3d_ros.errors import GroundingError, InputError, QueryError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.arrays import BoolArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.inference.grounder import (
    Grounder,
    GroundingRequest,
    GroundingResult,
    Reasoner,
    Reasoning,
    facts_of,
    is_open_vocabulary,
)
from n3d_ros.scene.query import nouns_of

REGION_PERCENT = 10.0  # of the points of a rectangle left out at either end of the depth: it shows background too


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """What one look gave.

    Args:
        found: objects, time, problem.
        raw: the boxes as the grounder said them, for its own reasoning.
        ids: numbers of the objects, where they are those of the truth; empty: none.
    """

    found: Found
    raw: tuple[Detection3D, ...] = ()
    ids: tuple[int, ...] = ()


class Looker(Protocol):
    """Finds objects in frames."""

    name: str
    facts: tuple[str, ...]
    open_vocabulary: bool
    """Whether questions are put to it one by one, as the node does, and not to one look at everything."""
    finds_words: bool
    """Whether words can be looked for."""

    def look(self, record: FrameRecord, *, phrase: str | None = None, question: str | None = None) -> Look:
        """The objects of a frame.

        Args:
            record: the frame.
            phrase: words to look for; None: everything.
            question: for which objects are wanted; None: none.

        Returns:
            What was found, or why nothing could be.
        """
        ...

    def reason(self, record: FrameRecord, question: str, look: Look) -> Reasoning | None:
        """The model's own answer.

        Args:
            record: the frame.
            question: in words.
            look: what was found for it.

        Returns:
            Its thought and answer; None: there is no model that speaks.
        """
        ...

    def close(self) -> None:
        """Frees what it holds."""
        ...


class GrounderLooker:
    """A grounder of the node.

    Args:
        grounder: ready to use; closed with this.
        with_up: whether it is told where up is, as a robot's tf does.
        seconds: after so many a look, or an answer, ends with what is there; 0: no limit.
    """

    finds_words = True

    def __init__(self, grounder: Grounder, *, with_up: bool = True, seconds: float = 0.0) -> None:
        self.name, self.facts = grounder.name, facts_of(grounder)
        self.open_vocabulary = is_open_vocabulary(grounder)
        self._grounder, self._with_up, self._seconds = grounder, with_up, seconds
        self._frame: tuple[str, RgbdFrame] | None = None

    def look(self, record: FrameRecord, *, phrase: str | None = None, question: str | None = None) -> Look:
        """See ``Looker.look``.

        Args:
            record: the frame.
            phrase: words to look for; None: everything.
            question: for which objects are wanted; None: none.

        Returns:
            What was found.
        """
        started = time.perf_counter()
        try:
            frame = self._frame_of(record)
            request = GroundingRequest(
                phrase=phrase,
                question=question,
                nouns=nouns_of(question) if question is not None and self.open_vocabulary else (),
                up=np.array(record.up) if self._with_up and record.up is not None else None,
                deadline_s=self._deadline_s(),
            )
            result = self._grounder.ground(frame, request)
        except (GroundingError, QueryError, InputError) as error:
            return Look(found=Found(ms=1e3 * (time.perf_counter() - started), problem=error.message))
        ms = 1e3 * (time.perf_counter() - started)
        return Look(found=found_of(result, frame, ms), raw=result.raw_detections or result.detections)

    def reason(self, record: FrameRecord, question: str, look: Look) -> Reasoning | None:
        """See ``Looker.reason``.

        Args:
            record: the frame.
            question: in words.
            look: what was found for it.

        Returns:
            Thought and answer; None: this grounder does not speak.
        """
        if not isinstance(self._grounder, Reasoner):
            return None
        try:
            return self._grounder.reason(self._frame_of(record), question, look.raw, deadline_s=self._deadline_s())
        except (GroundingError, QueryError, InputError) as error:
            return Reasoning(answer="", notes=(error.message,))

    def close(self) -> None:
        """Frees the grounder."""
        self._grounder.close()

    def _deadline_s(self) -> float | None:
        """When what begins now has to end."""
        return time.monotonic() + self._seconds if self._seconds > 0 else None

    def _frame_of(self, record: FrameRecord) -> RgbdFrame:
        """The frame, the very same object for the same record: models keep what they computed for it."""
        if self._frame is None or self._frame[0] != record.id:
            self._frame = (record.id, record.frame())
        return self._frame[1]


class TrueBoxes:
    """The truth: how good everything after grounding is.

    Args:
        reasoner: a grounder whose model reasons about the true boxes; None: none does. Closed with this.
    """

    name = "true boxes"
    facts: tuple[str, ...] = ()
    open_vocabulary = True
    finds_words = False

    def __init__(self, reasoner: GrounderLooker | None = None) -> None:
        self._reasoner = reasoner

    def look(
        self,
        record: FrameRecord,
        *,
        phrase: str | None = None,  # noqa: ARG002
        question: str | None = None,  # noqa: ARG002
    ) -> Look:
        """Everything in the frame that has a box in front of the camera.

        Args:
            record: the frame.
            phrase: not looked at.
            question: not looked at.

        Returns:
            The true objects, with their own ids.
        """
        started = time.perf_counter()
        shown = [(one, boxes) for one in record.objects if (boxes := _true_boxes(record, one)) is not None]
        detections = [_true_detection(one, boxes[0]) for one, boxes in shown]
        seen = [_true_detection(one, boxes[1]) for one, boxes in shown]
        result = GroundingResult(detections=tuple(detections), raw_detections=tuple(seen))
        found = found_of(result, None, 1e3 * (time.perf_counter() - started))
        return Look(found=found, raw=tuple(seen), ids=tuple(one.id for one, _ in shown))

    def reason(self, record: FrameRecord, question: str, look: Look) -> Reasoning | None:
        """A model's answer about the true boxes.

        Args:
            record: the frame.
            question: in words.
            look: the true objects.

        Returns:
            Thought and answer; None: there is no model.
        """
        return None if self._reasoner is None else self._reasoner.reason(record, question, look)

    def close(self) -> None:
        """Frees the model."""
        if self._reasoner is not None:
            self._reasoner.close()


def _true_detection(one: ObjectRecord, box: Box3D) -> Detection3D:
    return Detection3D(label=one.label, box=box, color=one.color or None, shape=one.shape or None)


def _true_boxes(record: FrameRecord, one: ObjectRecord) -> tuple[Box3D, Box3D] | None:
    """The box of the whole object and the one of what is seen; one stands for both where the other is unknown."""
    if one.visible_fraction == 0:
        return None
    whole, seen = one.box, one.visible_box
    if whole is None and seen is None:
        whole = seen = region_box(record, one)
    whole, seen = whole or seen, seen or (None if whole is None else hull(whole))
    if whole is None or seen is None or min(whole.center[2], seen.center[2]) <= 0:
        return None
    return whole, seen


def region_box(record: FrameRecord, one: ObjectRecord) -> Box3D | None:
    """The box around the measured points of an object of which only its region of the image is known.

    Args:
        record: the frame, with depth.
        one: with a mask in the frame's labels, or with a 2-D box.

    Returns:
        Along the camera's axes; None where the region has too little depth.
    """
    mask = record.mask(one.id)
    trim = 1.0
    if mask is None or not mask.any():
        if one.box_2d is None:
            return None
        mask, trim = _rectangle_mask(record, one.box_2d), REGION_PERCENT
    points = record.frame().point_map().xyz[mask & np.isfinite(record.depth_m)]
    if len(points) < 8:
        return None
    near, far = np.percentile(points[:, 2], (trim, 100 - trim))
    kept = points[(points[:, 2] >= near) & (points[:, 2] <= far)]
    low, high = np.percentile(kept, (1, 99), axis=0)
    size = np.maximum(high - low, 1e-3)  # what is seen face on has no depth of its own
    return Box3D.axis_aligned((low + high) / 2, size)


def _rectangle_mask(record: FrameRecord, rectangle: Sequence[float]) -> BoolArray:
    """(H, W) bool: the pixels whose centres lie in a rectangle."""
    mask = np.zeros((record.intrinsics.height, record.intrinsics.width), dtype=bool)
    left, top, right, bottom = (max(round(value), 0) for value in rectangle)
    mask[top:bottom, left:right] = True
    return mask
