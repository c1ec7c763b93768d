"""Found boxes against true ones: precision, recall and F1 by class, distance and size, and how far pairs are off.

Boxes are compared in up to four ways, told apart in every table:

* ``visible``: along the camera's axes, around what is seen of an object. What the model writes and what the paper's
  labels are, so F1 at 0.25 of this kind is the one to compare with published figures;
* ``aligned``: along the camera's axes, the hulls of whole objects' boxes;
* ``oriented``: the whole objects' boxes as they are turned, fair to what looks the same after a turn;
* ``points``: measured points inside against points of the object, where every pixel's object is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from model_training.data.records import FrameRecord, ObjectRecord
from model_training.evaluation.asked import class_name, distance_band, size_band
from model_training.evaluation.counts import Counts, GroupedCounts, mean
from model_training.evaluation.found import FoundObject
from model_training.evaluation.matching import match
from model_training.evaluation.overlap import (
    aligned_iou,
    hull,
    oriented_iou,
    points_iou,
    projected_rectangle,
    rectangle_iou,
    rectangle_offset,
    share_inside,
)
from model_training.evaluation.reliability import ScoreCalibration, score_calibration
from n3d_ros.geometry.arrays import BoolArray, FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.iou import iou_3d

MEASURES = ("visible", "aligned", "oriented", "points")
LEVELS = (0.25, 0.5)
BY_CLASS, ANY_CLASS = "class-aware", "class-agnostic"
GROUPINGS = ("class", "distance", "size")
IGNORED_IOU = 0.1  # a box that overlaps something not asked for by this is no false alarm
IGNORED_INSIDE = 0.5  # nor is one that lies half inside it: the seen part of a hidden thing, a leg of a table
_LEAST_OVERLAP = 1e-9
_BY_GROUP_LEVEL = LEVELS[0]


@dataclass(slots=True, kw_only=True)
class Errors:
    """How far paired boxes are off; of pairs whose centres lie within half the object's diagonal, whatever overlaps.

    Args:
        asked: objects that had the box in question.
        iou: overlap per pair, 0 to 1.
        offset_m: distance of the centres per pair, metres.
        projected_iou: overlap in the image of the box's extent and the true 2-D box, per pair.
        projected_offset: distance of those two centres per pair, fractions of the image.
    """

    asked: int = 0
    iou: list[float] = field(default_factory=list)
    offset_m: list[float] = field(default_factory=list)
    projected_iou: list[float] = field(default_factory=list)
    projected_offset: list[float] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Means and medians; None where nothing was measured."""
        return {
            "asked": self.asked,
            "pairs": len(self.iou),
            "iou_mean": mean(self.iou),
            "iou_mean_of_asked": sum(self.iou) / self.asked if self.asked else None,  # a missing object: 0
            "offset_m_mean": mean(self.offset_m),
            "offset_m_median": _median(self.offset_m),
            "projected_pairs": len(self.projected_iou),
            "projected_iou_mean": mean(self.projected_iou),
            "projected_offset_mean": mean(self.projected_offset),
        }


class DetectionScores:
    """Adds up frames in one measure.

    Args:
        measure: one of ``MEASURES``.
        way: of matching, see ``matching.WAYS``.
    """

    def __init__(self, measure: str, *, way: str = "score") -> None:
        self.measure, self._way = measure, way
        self.counts = {(kind, level): GroupedCounts() for kind in (BY_CLASS, ANY_CLASS) for level in LEVELS}
        self.groups = {(kind, name): GroupedCounts() for kind in (BY_CLASS, ANY_CLASS) for name in GROUPINGS}
        """At the lower level, by class, distance and size."""
        self.errors = Errors()
        self.ignored = 0
        """Boxes on things that are there but not asked for."""
        self.unmeasured = 0
        """Objects asked for whose box of this kind is not known."""
        self._judged: dict[str, list[tuple[FoundObject, bool]]] = {BY_CLASS: [], ANY_CLASS: []}

    def add(
        self,
        record: FrameRecord,
        found: Sequence[FoundObject],
        asked: Sequence[ObjectRecord],
        ignored: Sequence[ObjectRecord],
        *,
        complete: bool = True,
    ) -> float | None:
        """Counts one frame.

        Args:
            record: the frame.
            found: in it.
            asked: objects to be found.
            ignored: objects that count neither way.
            complete: whether everything in the frame is labelled; otherwise a box on nothing known counts neither way.

        Returns:
            F1 of this frame alone at the lower level, of any class; None where nothing was asked for nor found.
        """
        truths = [one for one in asked if self._is_known(record, one)]
        unmeasured = [one for one in asked if not self._is_known(record, one)]
        self.unmeasured += len(unmeasured)
        overlap = self._overlap(record, found, truths)
        self._add_errors(record, found, truths, overlap)
        beside = self._beside(found, [*ignored, *unmeasured]) if complete else np.ones(len(found), dtype=bool)
        of_frame: dict[str, Counts] = {}
        for kind in (BY_CLASS, ANY_CLASS):
            allowed = _classes_agree(found, truths) if kind == BY_CLASS else np.ones(overlap.shape, dtype=bool)
            for level in LEVELS:
                pairs = match(overlap, level=level, allowed=allowed, scores=[one.score for one in found], way=self._way)
                paired = {index for index, _ in pairs}
                counted = [k for k in range(len(found)) if k in paired or not beside[k]]
                self.counts[kind, level].add([""] * len(truths), dict.fromkeys(counted, ""), pairs)
                if level == _BY_GROUP_LEVEL:
                    self._add_groups(kind, found, truths, counted, pairs)
                    of_frame[kind] = Counts(truths=len(truths), found=len(counted), hits=len(pairs))
                    self._add_scores(kind, found, counted, paired)
                    if kind == BY_CLASS:
                        self.ignored += len(found) - len(counted)
        return of_frame[ANY_CLASS].f1

    def calibration(self, kind: str) -> ScoreCalibration:
        """How far scores are frequencies, where a box in a pair at the lower level is right.

        Args:
            kind: ``BY_CLASS`` or ``ANY_CLASS``: of which pairs.

        Returns:
            The figures.
        """
        judged = self._judged[kind]
        scores = [min(max(one.score, 0.0), 1.0) for one, _ in judged if one.score is not None]
        return score_calibration(scores, [is_right for _, is_right in judged])

    def judged(self, kind: str) -> tuple[tuple[FoundObject, bool], ...]:
        """The boxes that have a score, and whether each is right, as ``calibration`` counts them.

        Args:
            kind: ``BY_CLASS`` or ``ANY_CLASS``: of which pairs.

        Returns:
            In the order in which they were added.
        """
        return tuple(self._judged[kind])

    def to_dict(self) -> dict[str, Any]:
        """All figures, JSON-ready."""
        return {
            "measure": self.measure,
            "counts": {kind: {str(level): self.counts[kind, level].total.to_dict() for level in LEVELS}
                       for kind in (BY_CLASS, ANY_CLASS)},
            "by": {
                name: {kind: {group: counts.to_dict() for group, counts in self.groups[kind, name].groups.items()}
                       for kind in (BY_CLASS, ANY_CLASS)}
                for name in GROUPINGS
            },
            "errors": self.errors.to_dict(),
            "ignored_boxes": self.ignored,
            "unmeasured_objects": self.unmeasured,
            "calibration": {kind: self.calibration(kind).to_dict() for kind in (BY_CLASS, ANY_CLASS)},
        }  # fmt: skip

    def _is_known(self, record: FrameRecord, one: ObjectRecord) -> bool:
        """Whether the truth of this measure is known of an object."""
        return record.labels is not None if self.measure == "points" else true_box(one, self.measure) is not None

    def _overlap(self, record: FrameRecord, found: Sequence[FoundObject], truths: Sequence[ObjectRecord]) -> FloatArray:
        """(N, M) overlap of found and true boxes in this measure."""
        if not found or not truths:
            return np.zeros((len(found), len(truths)))
        if self.measure == "points":
            valid = np.isfinite(record.depth_m)
            points = record.frame().point_map().xyz[valid]
            masks = [mask[valid] for one in truths if (mask := record.mask(one.id)) is not None]
            return points_iou([one.box for one in found], masks, points)
        boxes, true = [self._found_box(one) for one in found], self._true_boxes(truths)
        if self.measure != "oriented":
            return aligned_iou(boxes, true)
        overlap = np.zeros((len(boxes), len(truths)))
        for row, column in np.argwhere(_may_meet(boxes, true)).tolist():
            one = truths[column]
            overlap[row, column] = oriented_iou(boxes[row], true[column], symmetry=one.symmetry, shape=one.shape)
        return overlap

    def _found_box(self, one: FoundObject) -> Box3D:
        return one.visible_box if self.measure == "visible" else one.box

    def _true_boxes(self, truths: Sequence[ObjectRecord]) -> list[Box3D]:
        """Boxes of objects that have one; the others were left out."""
        return [box for one in truths if (box := true_box(one, self.measure)) is not None]

    def _beside(self, found: Sequence[FoundObject], others: Sequence[ObjectRecord]) -> BoolArray:
        """(N,) which found boxes show a part of something that is there but not asked for."""
        beside = np.zeros(len(found), dtype=bool)
        # The whole turned box where it is known: the one around what is seen of a table, along the axes of a camera
        # that looks down, holds everything that stands on it.
        there = [box for one in others if (box := one.box or one.visible_box) is not None]
        boxes = [self._found_box(one) for one in found]
        if not boxes or not there:
            return beside
        for row, column in np.argwhere(_may_meet(boxes, there)).tolist():
            beside[row] |= (
                share_inside(boxes[row], there[column]) >= IGNORED_INSIDE
                or iou_3d(boxes[row], there[column]) >= IGNORED_IOU
            )
        return beside

    def _add_errors(
        self, record: FrameRecord, found: Sequence[FoundObject], truths: Sequence[ObjectRecord], overlap: FloatArray
    ) -> None:
        """How far off the boxes are that lie near an object, whatever they are called."""
        self.errors.asked += len(truths)
        if self.measure == "points":
            self.errors.iou += [float(overlap[i, j]) for i, j in match(overlap, level=LEVELS[0], way="overlap")]
            return
        true = self._true_boxes(truths)
        near = np.array(
            [
                [math.dist(self._found_box(one).center, box.center) < np.linalg.norm(box.size) / 2 for box in true]
                for one in found
            ],
            dtype=bool,
        ).reshape(overlap.shape)
        allowed = near | (overlap >= LEVELS[0])
        for i, j in match(overlap, level=_LEAST_OVERLAP, allowed=allowed, way="overlap"):
            box = self._found_box(found[i])
            self.errors.iou.append(float(overlap[i, j]))
            self.errors.offset_m.append(math.dist(box.center, true[j].center))
            seen, wanted = projected_rectangle(box, record.intrinsics), truths[j].box_2d
            if wanted is not None and seen is not None:
                self.errors.projected_iou.append(rectangle_iou(seen, wanted))
                self.errors.projected_offset.append(rectangle_offset(seen, wanted, record.intrinsics))

    def _add_groups(
        self,
        kind: str,
        found: Sequence[FoundObject],
        truths: Sequence[ObjectRecord],
        counted: Sequence[int],
        pairs: Sequence[tuple[int, int]],
    ) -> None:
        """Counts a frame by class, distance and size."""
        boxes = [true_box(one, self.measure) for one in truths]
        for name in GROUPINGS:
            if name == "class":
                of_truths = [class_name(one.label) for one in truths]
                of_found = {k: class_name(found[k].label) for k in counted}
            else:
                band = distance_band if name == "distance" else size_band
                of_truths = ["unknown" if box is None else band(box) for box in boxes]
                of_found = {k: band(self._found_box(found[k])) for k in counted}
            self.groups[kind, name].add(of_truths, of_found, pairs)

    def _add_scores(self, kind: str, found: Sequence[FoundObject], counted: Sequence[int], paired: set[int]) -> None:
        self._judged[kind] += [(found[k], k in paired) for k in counted if found[k].score is not None]


def true_box(one: ObjectRecord, measure: str) -> Box3D | None:
    """An object's true box in a measure.

    Args:
        one: the object.
        measure: one of ``MEASURES``.

    Returns:
        The box; None where it is not known. For points any box, which only tells where the object is.
    """
    if measure == "points":
        return one.box or one.visible_box
    if measure == "visible":
        return one.visible_box
    return one.box if measure == "oriented" or one.box is None else hull(one.box)


def _may_meet(found: Sequence[Box3D], truths: Sequence[Box3D]) -> BoolArray:
    """(N, M) whether the spheres around two boxes meet: however they are turned, others share nothing."""
    (here, near), (there, far) = _spheres(found), _spheres(truths)
    distance = np.linalg.norm(here[:, None] - there[None], axis=-1)
    return np.asarray(distance <= near[:, None] + far[None])


def _spheres(boxes: Sequence[Box3D]) -> tuple[FloatArray, FloatArray]:
    """(N, 3) centres and (N,) radii around boxes, metres."""
    centers, sizes = np.array([box.center for box in boxes]), np.array([box.size for box in boxes])
    return centers, np.linalg.norm(sizes, axis=-1) / 2


def _classes_agree(found: Sequence[FoundObject], truths: Sequence[ObjectRecord]) -> BoolArray:
    """(N, M) whether a found and a true object are called the same."""
    ours, theirs = [class_name(one.label) for one in found], [class_name(one.label) for one in truths]
    return np.array([[a == b for b in theirs] for a in ours], dtype=bool).reshape(len(ours), len(theirs))


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None
