"""What a grounder found in a frame: objects with the box around all of each and the one around what is seen of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_training.evaluation.overlap import hull
from n3d_ros.detection import Detection3D
from n3d_ros.errors import InputError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.point_map import PointMap
from n3d_ros.inference.grounder import GroundingResult

_MARGIN_M = 0.01  # around a box, within which points of its mask are its own: the noise of depth
_BORDER_PERCENT = 1.0  # of an object's points left out at either end: at borders, depth mixes near and far


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoundObject:
    """One found object, camera optical frame, metres.

    Args:
        label: what it is called.
        box: around all of it, as the grounder estimates it.
        visible_box: around what is seen of it, along the camera's axes.
        score: 0 to 1; None: the grounder gives none.
        color: colour word, "" when unknown.
        shape: shape word, "" when unknown.
    """

    label: str
    box: Box3D
    visible_box: Box3D
    score: float | None = None
    color: str = ""
    shape: str = ""

    def detection(self, target_box: str) -> Detection3D:
        """The object as a scene takes it.

        Args:
            target_box: "full" or "visible": which of the boxes.

        Returns:
            A detection.
        """
        return Detection3D(
            label=self.label,
            box=self.box if target_box == "full" else self.visible_box,
            score=self.score,
            color=self.color or None,
            shape=self.shape or None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, JSON-ready."""
        return {
            "label": self.label,
            "score": self.score,
            "color": self.color,
            "shape": self.shape,
            "box": _box_values(self.box),
            "visible_box": _box_values(self.visible_box),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FoundObject:
        """The object of plain values.

        Args:
            values: as ``to_dict`` gives them.

        Returns:
            The object.

        Raises:
            InputError: something is missing, or no box.
        """
        try:
            boxes = {name: Box3D(**values[name]) for name in ("box", "visible_box")}
            score = values["score"]
            return cls(
                label=str(values["label"]),
                score=None if score is None else float(score),
                color=str(values["color"]),
                shape=str(values["shape"]),
                **boxes,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"Found object: wrong or missing: {error}.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one look gave.

    Args:
        objects: in the grounder's order.
        rejected: lines or boxes that could not be used: unreadable, not finite, without extent.
        ms: how long the look took, milliseconds.
        problem: why there is no result, in words; "" where there is one.
        cut_short: whether the look ended before everything was found: its time was up, or the list too long.
    """

    objects: tuple[FoundObject, ...] = ()
    rejected: int = 0
    ms: float = 0.0
    problem: str = ""
    cut_short: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values, JSON-ready."""
        return {
            "objects": [one.to_dict() for one in self.objects],
            "rejected": self.rejected,
            "ms": self.ms,
            "problem": self.problem,
            "cut_short": self.cut_short,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Found:
        """The result of plain values.

        Args:
            values: as ``to_dict`` gives them.

        Returns:
            The result.

        Raises:
            InputError: something is missing.
        """
        try:
            return cls(
                objects=tuple(FoundObject.from_dict(one) for one in values["objects"]),
                rejected=int(values["rejected"]),
                ms=float(values["ms"]),
                problem=str(values["problem"]),
                cut_short=bool(values.get("cut_short", False)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"Found: wrong or missing: {error}.") from error


def found_of(result: GroundingResult, frame: RgbdFrame | None, ms: float) -> Found:
    """What a grounder's result amounts to.

    What is seen of an object is the box that a model wrote itself and that was left as it was; else the box around the
    measured points that are in the object's mask and in its box; else the hull of the model's own box, or of its box.

    Args:
        result: of the grounder.
        frame: it looked at; None: masks are not looked at.
        ms: how long it took, milliseconds.

    Returns:
        Its objects; those without a usable box are counted.
    """
    raw: Sequence[Detection3D | None] = result.raw_detections or [None] * len(result.detections)
    points: PointMap | None = None
    objects, rejected = [], int(result.counts.get("rejected_lines", 0))
    for detection, said in zip(result.detections, raw, strict=True):
        own = detection.box if said is None else said.box
        is_measured = said is None or own is not detection.box  # what a model wrote, and nothing changed, is not
        if points is None and is_measured and detection.mask is not None and frame is not None:
            points = frame.point_map()
        if not _is_usable(detection) or (said is not None and not _is_usable(said)):
            rejected += 1
            continue
        objects.append(
            FoundObject(
                label=detection.label,
                box=detection.box,
                visible_box=_visible_box(detection, own, points if is_measured else None),
                score=detection.score,
                color=detection.color or "",
                shape=detection.shape or "",
            )
        )
    return Found(objects=tuple(objects), rejected=rejected, ms=ms, cut_short=result.partial or result.cut_off)


def _visible_box(detection: Detection3D, own: Box3D, points: PointMap | None) -> Box3D:
    """The box around what is seen of an object, along the camera's axes; around ``own`` without points."""
    if detection.mask is not None and points is not None:
        masked = points.xyz[detection.mask & points.valid]
        measured = masked[detection.box.contains(masked, margin_m=_MARGIN_M)]  # masks reach over borders a little
        if len(measured):
            ends = np.percentile(measured, (_BORDER_PERCENT, 100 - _BORDER_PERCENT), axis=0)
            if (ends[1] > ends[0]).all():
                return Box3D.axis_aligned(ends.mean(axis=0), ends[1] - ends[0])
    return hull(own)


def _is_usable(detection: Detection3D) -> bool:
    """Whether a box has a place and an extent: a grounder of another make may have bypassed the checks."""
    box = detection.box
    return bool(np.isfinite([*box.center, *box.size, *box.orientation_xyzw]).all() and (box.size > 0).all()) and (
        detection.score is None or math.isfinite(detection.score)
    )


def _box_values(box: Box3D) -> dict[str, list[float]]:
    return {name: getattr(box, name).tolist() for name in ("center", "size", "orientation_xyzw")}
