"""Objects that left the scene: kept for a while, and known again when they come back.

An id goes back to a thing only where nothing speaks against it: it stands where it stood, or it is the only one of its
looks, missing or new, anywhere. Of twins nobody can tell which one came back, so away from its old place a twin is new.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from n3d_ros.detection import Detection3D
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.scene.association import SAME_PLACE_IOU, is_other_color, is_same_size, overlaps
from n3d_ros.scene.config import SceneConfig
from n3d_ros.scene.naming import same_thing
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.phrases import names_a_thing

LOOKS_TO_KNOW = 3  # found in fewer and then not where it should be seen, a thing may never have been one
NEAR_SIZE_SHARE = 0.15  # of a length: what two looks at one thing from different sides differ by ...
NEAR_SIZE_M = 0.01  # ... at least so much, or ...
NEAR_SIZE_STDDEVS = 2.0  # ... what their own uncertainties come to


class Departure(Enum):
    """How an object left the scene; the value tells it in words."""

    EMPTY = "its place was seen empty"
    OVERLOOKED = "it was no longer found in its place"
    UNSEEN = "its place was not seen for long"
    CROWDED_OUT = "there were too many objects to keep"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Departed:
    """An object that is no longer in the scene.

    Args:
        object: as it was known last, in the scene's frame.
        left_ns: stamp of the look that ended it.
        how: why it ended.
    """

    object: SceneObject
    left_ns: int
    how: Departure

    @property
    def was_looked_for(self) -> bool:
        """Whether its place was seen without it, so that it is known to be gone from there."""
        return self.how in (Departure.EMPTY, Departure.OVERLOOKED)

    @property
    def is_worth_keeping(self) -> bool:
        """Whether it was seen often enough, or nothing speaks against it having been a thing."""
        return self.object.observations >= LOOKS_TO_KNOW or not self.was_looked_for


def kept_departed(
    departed: Sequence[Departed], now_ns: int, present_ids: Set[int], config: SceneConfig
) -> tuple[Departed, ...]:
    """What is still remembered.

    Args:
        departed: newest first.
        now_ns: stamp of the look.
        present_ids: of the objects in the scene.
        config: bounds.

    Returns:
        Newest first: not too old, not too many, none that is back.
    """
    oldest_ns = now_ns - round(config.remember_departed_s * 1e9)
    kept = (
        one
        for one in departed
        if one.left_ns >= oldest_ns and one.object.id not in present_ids and one.is_worth_keeping
    )
    return tuple(kept)[: config.max_departed]


def returned(
    detections: Sequence[Detection3D],
    missing: Sequence[Departed],
    present: Sequence[SceneObject],
) -> dict[int, SceneObject]:
    """Which new detections show an object that was missing.

    Args:
        detections: of no known object, in the scene's frame.
        missing: objects that are not in the scene any more, or that this look sees to have left their place.
        present: objects that are in the scene.

    Returns:
        Index of the detection to the object it shows; each object at most once.
    """
    if not detections or not missing:
        return {}
    known = [one.object for one in missing]
    at_home = overlaps([one.box for one in known], [found.box for found in detections]).iou >= SAME_PLACE_IOU
    back: dict[int, SceneObject] = {}
    for row, one in enumerate(known):  # newest first: what stood there last is what comes back
        fitting = [
            j
            for j in np.flatnonzero(at_home[row]).tolist()
            if j not in back and _may_be(one, detections[j]) and is_same_size(one.box, detections[j].box)
        ]
        if fitting:
            back[fitting[0]] = one
    taken = {one.id for one in back.values()}
    rest = [one for one in missing if one.object.id not in taken]
    return back | _returned_elsewhere(detections, rest, present, back)


def _returned_elsewhere(
    detections: Sequence[Detection3D],
    missing: Sequence[Departed],
    present: Sequence[SceneObject],
    back: dict[int, SceneObject],
) -> dict[int, SceneObject]:
    """The same for things away from their old place: only those that are alone of their kind."""
    new = [j for j in range(len(detections)) if j not in back]
    found: dict[int, SceneObject] = {}
    for j in new:
        alike = [one for one in missing if _looks_like(one.object, detections[j])]
        if len(alike) != 1 or not alike[0].was_looked_for or alike[0].object.observations < LOOKS_TO_KNOW:
            continue
        one = alike[0].object
        has_twin = any(_looks_like(other, detections[j]) for other in (*present, *back.values()))
        if not has_twin and sum(_looks_like(one, detections[k]) for k in new) == 1:
            found[j] = one
    return found


def come_back(known: SceneObject, seen: Detection3D, stamp_ns: int) -> SceneObject:
    """An object that was missing, as the look shows it that found it again.

    Args:
        known: as it was known last.
        seen: in the scene's frame.
        stamp_ns: of the look.

    Returns:
        Its id, counts and words, with the box of the look: where it has been meanwhile is not known.
    """
    there = known.seen_again(seen, stamp_ns, smoothing=0.0, drift_m_per_sqrt_s=0.0)
    fresh = SceneObject.first(known.id, seen, stamp_ns)
    return replace(there, box=fresh.box, uncertainty=fresh.uncertainty)


def _may_be(known: SceneObject, seen: Detection3D) -> bool:
    """Whether words do not contradict each other: colour, and what the labels name."""
    if is_other_color(known.color, seen.color):
        return False
    both_name = names_a_thing(known.label) and names_a_thing(seen.label)
    return not both_name or same_thing(known.label, seen.label)


def _looks_like(known: SceneObject, seen: Detection3D | SceneObject) -> bool:
    """Whether words, shape and size are the same as far as they can be told."""
    shapes_differ = known.shape != seen.shape and None not in (known.shape, seen.shape)
    if shapes_differ or (known.color is None) != (seen.color is None):
        return False
    return _may_be(known, seen) and _is_near_in_size(known, seen)  # type: ignore[arg-type]


def _is_near_in_size(known: SceneObject, seen: Detection3D | SceneObject) -> bool:
    """Whether the lengths, shortest first, are the same within what looks differ by."""
    order, seen_order = np.argsort(known.box.size), np.argsort(seen.box.size)
    size, seen_size = known.box.size[order], seen.box.size[seen_order]
    stddev = np.hypot(known.uncertainty.size_stddev_m[order], _size_stddev(seen)[seen_order])
    allowed = np.maximum(NEAR_SIZE_M, np.maximum(NEAR_SIZE_SHARE * size, NEAR_SIZE_STDDEVS * stddev))
    near = bool((np.abs(size - seen_size) <= allowed).all())
    return near and is_same_size(known.box, seen.box)


def _size_stddev(seen: Detection3D | SceneObject) -> FloatArray:
    """(3,) metres; none where a look does not tell."""
    none: FloatArray = np.zeros(3)
    return none if seen.uncertainty is None else seen.uncertainty.size_stddev_m
