"""Who is who: which detection shows which known object.

First among boxes that overlap, all at once, so that two similar neighbours keep their names although each is close to
both. What is left may have moved: an object whose old place is now empty is looked for nearby. A detection that is only
a piece of an object found beside it is no new object, and neither is one box around two a reason to forget one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from n3d_ros.detection import Detection3D
from n3d_ros.geometry.arrays import BoolArray, FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.scene.assignment import assign
from n3d_ros.scene.config import SceneConfig
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.phrases import words_of

POINTS_PER_BOX = 256  # overlaps are then right to a few hundredths, at a hundredth of the cost of exact ones
WORTH = 2.0  # what making a pair is worth, in units of the costs below: above it a pair is not made
DISTANCE_COST = 0.5  # of centres one mean half diagonal apart; of a move as far as is allowed
LABEL_COST = 0.3  # words change from look to look, so they only tip the scales
COLOR_COST = 0.3
SHAPE_COST = 0.1
SAME_PLACE_IOU = 0.3  # below it a box of another colour is another object, not a mistaken word
MAX_SIZE_RATIO = 1.6  # between an object and itself somewhere else
MOSTLY_INSIDE = 0.7  # share of a box inside another from which it may be a piece of it
HARDLY_INSIDE = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlaps:
    """How boxes of one list overlap those of another.

    Args:
        first_inside: (N, M) share of each first box's volume that lies inside each second box.
        second_inside: (N, M) share of each second box's volume that lies inside each first box.
        iou: (N, M) intersection over union.
    """

    first_inside: FloatArray
    second_inside: FloatArray
    iou: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """Indices into the lists of objects and detections.

    Args:
        pairs: detection of each object that was found again.
        new: detections of objects not known before.
        pieces: detections that show a part of an object which another detection shows too.
    """

    pairs: dict[int, int]
    new: tuple[int, ...]
    pieces: tuple[int, ...]


def overlaps(first: Sequence[Box3D], second: Sequence[Box3D]) -> Overlaps:
    """Overlap of every box of one list with every box of another, by points spread through them.

    Args:
        first: N boxes.
        second: M boxes in the same frame.

    Returns:
        Shares and IoU, each (N, M), 0 to 1, off by a few hundredths.
    """
    shape = (len(first), len(second))
    first_inside, second_inside, iou = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    rows, columns = np.nonzero(_near(first, second))
    if len(rows):
        a, b = _Stack.of(first).take(rows), _Stack.of(second).take(columns)
        # points of the smaller box tell most: the larger one's may all miss it
        a_in_b, b_in_a = b.share_of(a), a.share_of(b)
        shared = np.where(a.volumes <= b.volumes, a_in_b * a.volumes, b_in_a * b.volumes)
        first_inside[rows, columns], second_inside[rows, columns] = shared / a.volumes, shared / b.volumes
        iou[rows, columns] = shared / (a.volumes + b.volumes - shared)
    return Overlaps(first_inside=first_inside, second_inside=second_inside, iou=iou)


def associate(
    objects: Sequence[SceneObject],
    detections: Sequence[Detection3D],
    *,
    may_have_left: Callable[[int], bool],
    config: SceneConfig,
) -> Association:
    """Which detection shows which object.

    Args:
        objects: what is known.
        detections: one look, in the same frame.
        may_have_left: whether the object of that index is no longer where it was, as far as the look can tell; asked
            only for objects that no detection overlaps.
        config: thresholds.

    Returns:
        Pairs, new objects and pieces; every detection is in exactly one of the three.
    """
    boxes, seen = [known.box for known in objects], [detection.box for detection in detections]
    overlap = overlaps(boxes, seen)
    distance, reach = _distances(boxes, seen)
    words = _word_costs(objects, detections)
    cost = 1 - overlap.iou + DISTANCE_COST * distance / reach + words - WORTH
    other_color = _other_color(objects, detections)
    pairs = dict(assign(cost, (overlap.iou >= config.min_iou) & ~(other_color & (overlap.iou < SAME_PLACE_IOU))))
    may_have_moved = _same_size(objects, detections) & ~other_color & (distance <= config.max_center_distance_m)
    may_have_moved[list(pairs), :] = False
    may_have_moved[:, list(pairs.values())] = False
    for i in np.flatnonzero(may_have_moved.any(axis=1)).tolist():
        may_have_moved[i] &= may_have_left(i)
    cost = 1 + DISTANCE_COST * distance / max(config.max_center_distance_m, 1e-9) + words - WORTH
    pairs.update(assign(cost, may_have_moved))
    pieces = _pieces(pairs, overlap, seen)
    new = sorted(set(range(len(detections))) - set(pairs.values()) - set(pieces))
    return Association(pairs=pairs, new=tuple(new), pieces=tuple(pieces))


def explained_by_others(
    objects: Sequence[SceneObject], detections: Sequence[Detection3D], association: Association
) -> BoolArray:
    """Objects not found whose place something else takes.

    That is what did not cover it before, or came after it was last found: so fruit in a bowl is not taken for gone when
    only the bowl is found, and what replaced an object ends it.

    Args:
        objects: what was known.
        detections: the look.
        association: of the two.

    Returns:
        (N,) bool.
    """
    explained = np.zeros(len(objects), dtype=bool)
    lost = [i for i in range(len(objects)) if i not in association.pairs]
    if not lost:
        return explained
    lost_boxes, owners = [objects[i].box for i in lost], [objects[i] for i in association.pairs]
    others = [detections[j].box for j in (*association.pairs.values(), *association.new)]
    covered = overlaps(lost_boxes, others).first_inside >= MOSTLY_INSIDE
    was_so = np.zeros_like(covered)
    was_so[:, : len(owners)] = overlaps(lost_boxes, [owner.box for owner in owners]).first_inside >= MOSTLY_INSIDE
    for row, index in enumerate(lost):
        for column, owner in enumerate(owners):
            was_so[row, column] &= owner.first_seen_ns <= objects[index].last_seen_ns
    explained[lost] = (covered & ~was_so).any(axis=1)
    return explained


def _pieces(pairs: dict[int, int], overlap: Overlaps, seen: Sequence[Box3D]) -> list[int]:
    """Leftover detections inside the known box of an object whose own detection is beside them, not around them."""
    leftover = sorted(set(range(len(seen))) - set(pairs.values()))
    if not leftover or not pairs:
        return []
    owners, found = list(pairs), list(pairs.values())
    in_known = overlap.second_inside[np.ix_(owners, leftover)]
    in_found = overlaps([seen[j] for j in found], [seen[j] for j in leftover]).second_inside
    beside = (in_known >= MOSTLY_INSIDE) & (in_found <= HARDLY_INSIDE)
    return [detection for j, detection in enumerate(leftover) if beside[:, j].any()]


def _distances(first: Sequence[Box3D], second: Sequence[Box3D]) -> tuple[FloatArray, FloatArray]:
    """(N, M) metres between centres, and (N, M) mean half diagonals as their yardstick."""
    centers = np.array([box.center for box in first]).reshape(-1, 1, 3)
    others = np.array([box.center for box in second]).reshape(1, -1, 3)
    radius = np.array([np.linalg.norm(box.size) / 2 for box in first]).reshape(-1, 1)
    other_radius = np.array([np.linalg.norm(box.size) / 2 for box in second]).reshape(1, -1)
    return np.linalg.norm(centers - others, axis=-1), (radius + other_radius) / 2


def _near(first: Sequence[Box3D], second: Sequence[Box3D]) -> BoolArray:
    """(N, M) whether the spheres around the boxes meet."""
    distance, mean_radius = _distances(first, second)
    near: BoolArray = distance < 2 * mean_radius
    return near


def _word_costs(objects: Sequence[SceneObject], detections: Sequence[Detection3D]) -> FloatArray:
    """(N, M) cost of words that differ; an unknown word differs from none."""
    total = np.zeros((len(objects), len(detections)))
    for name, cost in (("label", LABEL_COST), ("color", COLOR_COST), ("shape", SHAPE_COST)):
        total += cost * _differs([getattr(o, name) for o in objects], [getattr(d, name) for d in detections])
    return total


def _differs(known: Sequence[str | None], seen: Sequence[str | None]) -> BoolArray:
    """(N, M) whether both words are known and not the same."""
    a, b = np.array(known, dtype=object).reshape(-1, 1), np.array(seen, dtype=object).reshape(1, -1)
    differs: BoolArray = np.asarray((a != b) & (a != None) & (b != None), dtype=bool)  # noqa: E711 (element-wise)
    return differs


def _same_size(objects: Sequence[SceneObject], detections: Sequence[Detection3D]) -> BoolArray:
    """(N, M) whether the lengths are nearly the same, in whatever order."""
    sizes = np.log(np.sort(np.array([o.box.size for o in objects]).reshape(-1, 1, 3), axis=-1))
    others = np.log(np.sort(np.array([d.box.size for d in detections]).reshape(1, -1, 3), axis=-1))
    same: BoolArray = np.asarray(np.abs(sizes - others).max(axis=-1, initial=0.0) <= np.log(MAX_SIZE_RATIO))
    return same


def _other_color(objects: Sequence[SceneObject], detections: Sequence[Detection3D]) -> BoolArray:
    """(N, M) whether both colours are known and have no word in common ("red" and "red and white" have one)."""
    known = [set(words_of(o.color or "")) - {"and"} for o in objects]
    seen = [set(words_of(d.color or "")) - {"and"} for d in detections]
    other = [bool(a) and bool(b) and a.isdisjoint(b) for a in known for b in seen]
    return np.array(other, dtype=np.bool_).reshape(len(known), len(seen))


def _even_points() -> FloatArray:
    """(POINTS_PER_BOX, 3) points that fill the unit box -0.5 .. 0.5 evenly, and evenly along each axis too.

    An additive recurrence with the powers of the inverse of 1.2207..., the root of x^4 = x + 1 (a generalised golden
    ratio). A cubic lattice would count boxes with parallel sides in steps of a whole layer.
    """
    step = 1.2207440846057596 ** -np.arange(1.0, 4.0)
    points: FloatArray = (0.5 + np.arange(POINTS_PER_BOX)[:, None] * step) % 1 - 0.5
    return points


EVEN_POINTS = _even_points()


@dataclass(frozen=True, slots=True)
class _Stack:
    """Boxes as arrays: centers (P, 3), sizes (P, 3), rotations (P, 3, 3)."""

    centers: FloatArray
    sizes: FloatArray
    rotations: FloatArray

    @classmethod
    def of(cls, boxes: Sequence[Box3D]) -> _Stack:
        """The boxes, in order."""
        return cls(
            np.array([box.center for box in boxes]),
            np.array([box.size for box in boxes]),
            np.array([box.rotation for box in boxes]),
        )

    def take(self, indices: NDArray[np.intp]) -> _Stack:
        """Those at the indices, in that order."""
        return _Stack(self.centers[indices], self.sizes[indices], self.rotations[indices])

    @property
    def volumes(self) -> FloatArray:
        """(P,) cubic metres."""
        return np.asarray(self.sizes.prod(axis=1))

    def share_of(self, others: _Stack) -> FloatArray:
        """(P,) share of the p-th other box's points that lie inside the p-th own box."""
        # matmul and not einsum: the same sums in optimised code
        points = (EVEN_POINTS * others.sizes[:, None]) @ others.rotations.transpose(0, 2, 1) + others.centers[:, None]
        local = (points - self.centers[:, None]) @ self.rotations
        # half a rounding error must not decide about boxes that share a face
        inside = (np.abs(local) <= self.sizes[:, None] / 2 * (1 + 1e-9)).all(axis=-1)
        share: FloatArray = inside.mean(axis=1)
        return share
