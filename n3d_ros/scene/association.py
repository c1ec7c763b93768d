"""Who is who: which detection shows which known object.

First among boxes that overlap, all at once, so that two similar neighbours keep their names although each is close to
both. What is left may have moved: an object whose old place is now empty is looked for nearby. A detection that is only
a piece of an object found beside it is no new object, and neither is one box around two a reason to forget one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

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
LOG_MAX_SIZE_RATIO = math.log(MAX_SIZE_RATIO)
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
    return _overlaps(_Stack.of(first), _Stack.of(second))


def _overlaps(first: _Stack, second: _Stack) -> Overlaps:
    """Overlap of N boxes with M boxes."""
    shape = (len(first.sizes), len(second.sizes))
    first_inside, second_inside, iou = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    distance, mean_radius = _distances(first, second)
    rows, columns = np.nonzero(distance < 2 * mean_radius)  # the spheres around the boxes meet
    if len(rows):
        a, b = first.take(rows), second.take(columns)
        volume, other_volume = a.volumes, b.volumes
        # points of the smaller box tell most: the larger one's may all miss it
        a_is_smaller = volume <= other_volume
        small, large = a.or_where(a_is_smaller, b), b.or_where(a_is_smaller, a)
        shared = large.share_of(small) * np.minimum(volume, other_volume)
        first_inside[rows, columns], second_inside[rows, columns] = shared / volume, shared / other_volume
        iou[rows, columns] = shared / (volume + other_volume - shared)
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
    boxes, seen = _Stack.of([known.box for known in objects]), _Stack.of([found.box for found in detections])
    overlap = _overlaps(boxes, seen)
    distance, reach = _distances(boxes, seen)
    words = _word_costs(objects, detections)
    cost = 1 - overlap.iou + DISTANCE_COST * distance / reach + words - WORTH
    other_color = _other_color(objects, detections)
    pairs = dict(assign(cost, (overlap.iou >= config.min_iou) & ~(other_color & (overlap.iou < SAME_PLACE_IOU))))
    may_have_moved = _same_size(boxes, seen) & ~other_color & (distance <= config.max_center_distance_m)
    may_have_moved[list(pairs), :] = False
    may_have_moved[:, list(pairs.values())] = False
    for i in np.flatnonzero(may_have_moved.any(axis=1)).tolist():
        may_have_moved[i] &= may_have_left(i)
    if may_have_moved.any():
        cost = 1 + DISTANCE_COST * distance / max(config.max_center_distance_m, 1e-9) + words - WORTH
        pairs.update(assign(cost, may_have_moved))
    pieces = _pieces(pairs, overlap, seen)
    new = sorted(set(range(len(detections))) - set(pairs.values()) - set(pieces))
    return Association(pairs=pairs, new=tuple(new), pieces=tuple(pieces))


def is_other_color(first: str | None, second: str | None) -> bool:
    """Whether two colours have no word in common; an unknown one has all ("red" and "red and white" have one).

    Args:
        first: colour words, None when unknown.
        second: colour words, None when unknown.

    Returns:
        True when both are known and differ.
    """
    a, b = _color_words(first), _color_words(second)
    return bool(a) and bool(b) and a.isdisjoint(b)


def is_same_size(first: Box3D, second: Box3D) -> bool:
    """Whether the lengths of two boxes are nearly the same, in whatever order.

    Args:
        first: a box.
        second: another.

    Returns:
        True when no length is more than ``MAX_SIZE_RATIO`` times its fellow.
    """
    return bool(_same_size(_Stack.of([first]), _Stack.of([second]))[0, 0])


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
    lost_boxes, owners = _Stack.of([objects[i].box for i in lost]), [objects[i] for i in association.pairs]
    others = [detections[j].box for j in (*association.pairs.values(), *association.new)]
    covered = _overlaps(lost_boxes, _Stack.of(others)).first_inside >= MOSTLY_INSIDE
    if not covered.any():
        return explained
    was_so = np.zeros_like(covered)
    owner_boxes = _Stack.of([owner.box for owner in owners])
    was_so[:, : len(owners)] = _overlaps(lost_boxes, owner_boxes).first_inside >= MOSTLY_INSIDE
    for row, index in enumerate(lost):
        for column, owner in enumerate(owners):
            was_so[row, column] &= owner.first_seen_ns <= objects[index].last_seen_ns
    explained[lost] = (covered & ~was_so).any(axis=1)
    return explained


def _pieces(pairs: dict[int, int], overlap: Overlaps, seen: _Stack) -> list[int]:
    """Leftover detections inside the known box of an object whose own detection is beside them, not around them."""
    leftover = sorted(set(range(len(seen.sizes))) - set(pairs.values()))
    if not leftover or not pairs:
        return []
    owners, found = list(pairs), list(pairs.values())
    in_known = overlap.second_inside[np.ix_(owners, leftover)]
    in_found = _overlaps(seen.take(found), seen.take(leftover)).second_inside
    beside = (in_known >= MOSTLY_INSIDE) & (in_found <= HARDLY_INSIDE)
    return [detection for j, detection in enumerate(leftover) if beside[:, j].any()]


def _distances(first: _Stack, second: _Stack) -> tuple[FloatArray, FloatArray]:
    """(N, M) metres between centres, and (N, M) mean half diagonals as their yardstick."""
    offset = first.centers[:, None] - second.centers[None, :]
    mean_radius = (first.radii[:, None] + second.radii[None, :]) / 2
    return np.sqrt((offset * offset).sum(axis=-1)), mean_radius


def _word_costs(objects: Sequence[SceneObject], detections: Sequence[Detection3D]) -> FloatArray:
    """(N, M) cost of words that differ; an unknown word differs from none."""
    costs = [[_word_cost(known, seen) for seen in detections] for known in objects]
    return np.array(costs, dtype=np.float64).reshape(len(objects), len(detections))


def _word_cost(known: SceneObject, seen: Detection3D) -> float:
    """Cost of the words that differ between an object and a detection."""
    cost = LABEL_COST if known.label != seen.label else 0.0
    if known.color != seen.color and known.color is not None and seen.color is not None:
        cost += COLOR_COST
    if known.shape != seen.shape and known.shape is not None and seen.shape is not None:
        cost += SHAPE_COST
    return cost


def _same_size(first: _Stack, second: _Stack) -> BoolArray:
    """(N, M) whether the lengths are nearly the same, in whatever order."""
    sizes = np.log(np.sort(first.sizes, axis=-1))[:, None]
    others = np.log(np.sort(second.sizes, axis=-1))[None, :]
    same: BoolArray = np.asarray(np.abs(sizes - others).max(axis=-1, initial=0.0) <= LOG_MAX_SIZE_RATIO)
    return same


def _other_color(objects: Sequence[SceneObject], detections: Sequence[Detection3D]) -> BoolArray:
    """(N, M) whether both colours are known and have no word in common ("red" and "red and white" have one)."""
    known, seen = [_color_words(o.color) for o in objects], [_color_words(d.color) for d in detections]
    other = [bool(a) and bool(b) and a.isdisjoint(b) for a in known for b in seen]
    return np.array(other, dtype=np.bool_).reshape(len(known), len(seen))


@lru_cache(maxsize=256)
def _color_words(color: str | None) -> frozenset[str]:
    """The words of a colour without "and"; they recur with every look."""
    return frozenset(words_of(color or "")) - {"and"}


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
    """Boxes as arrays: centers (P, 3), sizes (P, 3), rotations (P, 3, 3), radii (P,) half their diagonals."""

    centers: FloatArray
    sizes: FloatArray
    rotations: FloatArray
    radii: FloatArray

    @classmethod
    def of(cls, boxes: Sequence[Box3D]) -> _Stack:
        """The boxes, in order."""
        sizes = np.array([box.size for box in boxes]).reshape(-1, 3)
        return cls(
            np.array([box.center for box in boxes]).reshape(-1, 3),
            sizes,
            _rotations(np.array([box.orientation_xyzw for box in boxes]).reshape(-1, 4)),
            np.sqrt((sizes * sizes).sum(axis=1)) / 2,
        )

    def take(self, indices: NDArray[np.intp] | list[int]) -> _Stack:
        """Those at the indices, in that order."""
        return _Stack(self.centers[indices], self.sizes[indices], self.rotations[indices], self.radii[indices])

    def or_where(self, own: BoolArray, others: _Stack) -> _Stack:
        """The p-th own box where ``own`` (P,) holds, the p-th other one elsewhere."""
        if own.all():
            return self
        return _Stack(
            np.where(own[:, None], self.centers, others.centers),
            np.where(own[:, None], self.sizes, others.sizes),
            np.where(own[:, None, None], self.rotations, others.rotations),
            np.where(own, self.radii, others.radii),
        )

    @property
    def volumes(self) -> FloatArray:
        """(P,) cubic metres."""
        return np.asarray(self.sizes.prod(axis=1))

    def share_of(self, others: _Stack) -> FloatArray:
        """(P,) share of the p-th other box's points that lie inside the p-th own box."""
        # matmul and not einsum: the same sums in optimised code
        to_own = others.rotations.transpose(0, 2, 1) @ self.rotations
        local = EVEN_POINTS @ (others.sizes[:, :, None] * to_own)
        local += (others.centers - self.centers)[:, None] @ self.rotations
        # half a rounding error must not decide about boxes that share a face
        inside = np.abs(local, out=local) <= self.sizes[:, None] * (0.5 * (1 + 1e-9))
        share: FloatArray = np.logical_and.reduce(inside, axis=-1).sum(axis=1) / POINTS_PER_BOX
        return share


def _rotations(orientations_xyzw: FloatArray) -> FloatArray:
    """(P, 3, 3) rotation matrices of unit quaternions (P, 4), all at once."""
    x, y, z, w = orientations_xyzw.T
    rotations = np.empty((len(orientations_xyzw), 3, 3))
    rotations[:, 0, 0], rotations[:, 1, 1], rotations[:, 2, 2] = (
        1 - 2 * (y * y + z * z),
        1 - 2 * (x * x + z * z),
        1 - 2 * (x * x + y * y),
    )
    for row, column, product, turn in ((1, 0, x * y, z * w), (0, 2, x * z, y * w), (2, 1, y * z, x * w)):
        rotations[:, row, column], rotations[:, column, row] = 2 * (product + turn), 2 * (product - turn)
    return rotations
