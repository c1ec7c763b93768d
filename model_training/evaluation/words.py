"""Boxes found for words: all objects of a category, or the particular ones that expressions refer to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from model_training.data.records import FrameRecord, ObjectRecord
from model_training.evaluation.asked import class_name
from model_training.evaluation.counts import Counts, mean
from model_training.evaluation.detection import LEVELS
from model_training.evaluation.found import FoundObject
from model_training.evaluation.matching import match
from model_training.evaluation.overlap import (
    aligned_iou,
    projected_rectangle,
    rectangle_iou,
    rectangle_offset,
)
from n3d_ros.geometry.arrays import BoolArray, FloatArray
from n3d_ros.scene.assignment import assign

_LEAST = 1e-9


class WordScores:
    """Adds up what was found for words of one kind, in boxes of what is seen."""

    def __init__(self) -> None:
        self.questions = 0
        self.refused = 0
        """Words that the grounder did not understand: their objects count as missing."""
        self.targets = 0
        self.counts = {level: Counts() for level in LEVELS}
        self._iou: list[float] = []
        self._offset_m: list[float] = []
        self._projected_iou: list[float] = []
        self._projected_offset: list[float] = []

    def add(
        self,
        record: FrameRecord,
        found: Sequence[FoundObject],
        targets: Sequence[ObjectRecord],
        *,
        refused: bool,
        meant: Mapping[int, str] | None = None,
    ) -> None:
        """Counts one question.

        Args:
            record: the frame.
            found: for the words.
            targets: what they mean.
            refused: whether the words were not understood.
            meant: by which of the words, by the object's id, where several were asked for at once: a box that is
                called by the words for another object is not this one's.
        """
        self.questions += 1
        self.refused += refused
        self.targets += len(targets)
        placed = [one for one in targets if one.visible_box is not None]
        overlap = aligned_iou(
            [one.visible_box for one in found], [one.visible_box for one in placed if one.visible_box is not None]
        )
        overlap = np.where(_not_called_otherwise(found, placed, meant or {}), overlap, 0.0)
        if placed or not targets:
            for level in LEVELS:
                hits = len(match(overlap, level=level, way="optimal"))
                self.counts[level] += Counts(truths=len(placed), found=len(found), hits=hits)
        self._add_places(found, placed, overlap)
        self._add_projections(record, found, targets, meant or {})

    def _add_places(self, found: Sequence[FoundObject], placed: Sequence[ObjectRecord], overlap: FloatArray) -> None:
        """Overlap and offset in space; an object that was not found overlaps by 0 and has no offset."""
        pairs = match(overlap, level=_LEAST, way="overlap")
        self._iou += [float(overlap[pair]) for pair in pairs] + [0.0] * (len(placed) - len(pairs))
        for i, j in self._with_rest(pairs, found, placed):
            box = placed[j].visible_box
            if box is not None:
                self._offset_m.append(math.dist(found[i].visible_box.center, box.center))

    def _add_projections(
        self,
        record: FrameRecord,
        found: Sequence[FoundObject],
        targets: Sequence[ObjectRecord],
        meant: Mapping[int, str],
    ) -> None:
        """Overlap and offset in the image."""
        framed = [one for one in targets if one.box_2d is not None]
        seen = [projected_rectangle(one.visible_box, record.intrinsics) for one in found]
        overlap = np.array([[rectangle_iou(a, b.box_2d) for b in framed] for a in seen]).reshape(len(seen), len(framed))
        overlap = np.where(_not_called_otherwise(found, framed, meant), overlap, 0.0)
        pairs = match(overlap, level=_LEAST, way="overlap")
        self._projected_iou += [float(overlap[pair]) for pair in pairs] + [0.0] * (len(framed) - len(pairs))
        for i, j in self._with_rest(pairs, found, framed):
            rectangle, true = seen[i], framed[j].box_2d
            if rectangle is not None and true is not None:
                self._projected_offset.append(rectangle_offset(rectangle, true, record.intrinsics))

    @staticmethod
    def _with_rest(
        pairs: Sequence[tuple[int, int]], found: Sequence[FoundObject], targets: Sequence[ObjectRecord]
    ) -> list[tuple[int, int]]:
        """The pairs, and the nearest ones of what is left: a box beside its object is off, not missing."""
        free = np.ones((len(found), len(targets)), dtype=bool)
        for i, j in pairs:
            free[i], free[:, j] = False, False
        if not free.any():
            return list(pairs)
        way_m = np.array([[_way_m(one, other) for other in targets] for one in found])
        # One more pair is always worth more than shorter ways.
        return [*pairs, *assign(way_m - (way_m.max() + 1.0) * (min(way_m.shape) + 1), free)]

    def to_dict(self) -> dict[str, Any]:
        """The figures; a missing object counts as overlap 0, and has no offset."""
        return {
            "questions": self.questions,
            "refused": self.refused,
            "targets": self.targets,
            "counts": {str(level): self.counts[level].to_dict() for level in LEVELS},
            "iou_mean": mean(self._iou),
            "offset_m_mean": mean(self._offset_m),
            "projected_iou_mean": mean(self._projected_iou),
            "projected_offset_mean": mean(self._projected_offset),
        }


def _not_called_otherwise(
    found: Sequence[FoundObject], targets: Sequence[ObjectRecord], meant: Mapping[int, str]
) -> BoolArray:
    """(N, M) which boxes may be which objects: of a basket and a clock, what is called a clock is not the basket."""
    words = {number: class_name(name) for number, name in meant.items()}
    asked = set(words.values())
    rows = [
        [(label := class_name(one.label)) not in asked or words.get(other.id, label) == label for other in targets]
        for one in found
    ]
    return np.array(rows, dtype=bool).reshape(len(found), len(targets))


def _way_m(one: FoundObject, other: ObjectRecord) -> float:
    """From centre to centre; all are as far from an object without a place."""
    box = other.visible_box
    return 0.0 if box is None else math.dist(one.visible_box.center, box.center)
