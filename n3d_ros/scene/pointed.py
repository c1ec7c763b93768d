"""Which object a point means: the one whose box holds it, or nearly so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.scene.objects import SceneObject

HELD_M = 0.01  # a point so near to a box counts as in it: a thing's surface, as measured, lies around its fitted box
MARGIN_M = 0.05  # a click meets the measured surface, which noise and a box that is a little small set apart


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pointed:
    """What a point means.

    Args:
        object: the object meant; None when none is near enough.
        nearest: the object nearest to the point; None when there is none at all.
        distance_m: from the point to its box, 0 inside; NaN when there is none.
    """

    object: SceneObject | None
    nearest: SceneObject | None
    distance_m: float


def pointed_at(point: ArrayLike, objects: Sequence[SceneObject], *, margin_m: float = MARGIN_M) -> Pointed:
    """The object under a point, or nearest to it within a margin.

    Args:
        point: (3,) metres, in the objects' frame.
        objects: all there are.
        margin_m: how far beside its box a point still means an object.

    Returns:
        What is meant; of boxes that hold the point, or nearly so, the smallest: the apple, not the bowl.
    """
    at = np.asarray(point, dtype=np.float64)
    if not objects or not np.isfinite(at).all():
        return Pointed(object=None, nearest=None, distance_m=float("nan"))
    distances_m = {one.id: _distance(one.box, at) for one in objects}
    held_m = min(HELD_M, margin_m)

    def rank(one: SceneObject) -> tuple[float, float, int]:
        distance_m = distances_m[one.id]
        return (0.0 if distance_m <= held_m else distance_m, one.box.volume, one.id)

    nearest = min(objects, key=rank)
    distance_m = distances_m[nearest.id]
    return Pointed(object=nearest if distance_m <= margin_m else None, nearest=nearest, distance_m=distance_m)


def _distance(box: Box3D, point: FloatArray) -> float:
    """Metres from a point to a box, 0 inside it."""
    return float(np.linalg.norm(np.maximum(np.abs(box.local(point)) - box.size / 2, 0.0)))
