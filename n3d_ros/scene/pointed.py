"""Which object a point means: the one whose box holds it, or nearly so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.scene.objects import SceneObject

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
        What is meant; of boxes that hold the point, the smallest: the apple, not the bowl.
    """
    at = np.asarray(point, dtype=np.float64)
    if not objects or not np.isfinite(at).all():
        return Pointed(object=None, nearest=None, distance_m=float("nan"))
    ranked = sorted(((_distance(one.box, at), one.box.volume, one.id, one) for one in objects), key=lambda row: row[:3])
    distance_m, _, _, nearest = ranked[0]
    return Pointed(object=nearest if distance_m <= margin_m else None, nearest=nearest, distance_m=distance_m)


def _distance(box: Box3D, point: FloatArray) -> float:
    """Metres from a point to a box, 0 inside it."""
    return float(np.linalg.norm(np.maximum(np.abs(box.local(point)) - box.size / 2, 0.0)))
