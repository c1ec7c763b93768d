"""Many objects expressed in another frame at once: every question does it, so it must cost next to nothing.

``SceneObject.transformed`` checks each array anew, which takes ten times as long as the arithmetic. Here the numbers
come from objects that were checked when they were made, and a rigid transform keeps them valid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

from n3d_ros.detection import BoxUncertainty
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.scene.objects import SceneObject

T = TypeVar("T")
KEPT = tuple(field.name for field in fields(SceneObject) if field.name not in ("box", "uncertainty"))


def moved(objects: Sequence[SceneObject], target_T_scene: RigidTransform) -> tuple[SceneObject, ...]:
    """The same objects in another frame.

    Args:
        objects: in the scene's frame.
        target_T_scene: from the scene's frame.

    Returns:
        As ``SceneObject.transformed`` gives them, in order.
    """
    if not objects:
        return ()
    rotation = target_T_scene.rotation
    centers = np.array([one.box.center for one in objects]) @ rotation.T + target_T_scene.translation
    turns = _products(target_T_scene.orientation_xyzw, np.array([one.box.orientation_xyzw for one in objects]))
    covariances = rotation @ np.array([one.uncertainty.center_covariance_m2 for one in objects]) @ rotation.T
    covariances = (covariances + covariances.transpose(0, 2, 1)) / 2
    for array in (centers, turns, covariances):
        array.flags.writeable = False  # so are the rows, which the objects share
    return tuple(
        _unchecked(
            SceneObject,
            box=_unchecked(Box3D, center=centers[i], size=one.box.size, orientation_xyzw=turns[i]),
            uncertainty=_unchecked(
                BoxUncertainty,
                center_covariance_m2=covariances[i],
                size_stddev_m=one.uncertainty.size_stddev_m,
                yaw_stddev_rad=one.uncertainty.yaw_stddev_rad,
            ),
            **{name: getattr(one, name) for name in KEPT},
        )
        for i, one in enumerate(objects)
    )


def _unchecked(cls: type[T], **values: Any) -> T:
    """An instance of a frozen dataclass with these values, whose checks are known to pass."""
    made = object.__new__(cls)
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made


def _products(first: FloatArray, seconds: FloatArray) -> FloatArray:
    """(N, 4) unit quaternions x y z w, w at least 0: the turns of ``seconds`` (N, 4), then that of ``first`` (4,)."""
    ax, ay, az, aw = first
    bx, by, bz, bw = seconds.T
    products = np.column_stack([
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    ])  # fmt: skip
    products /= np.linalg.norm(products, axis=1, keepdims=True)
    products[products[:, 3] < 0] *= -1
    return products
