"""How two oriented boxes differ, whichever of its equal descriptions each was given in.

A box does not say which of its sides is x: turned by a quarter about one of its axes, with the other two lengths
swapped, it is the same box. Boxes are therefore compared in the description that fits best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.iou import iou_3d
from n3d_ros.geometry.transforms import RigidTransform


def _quarter_turns() -> FloatArray:
    """(24, 3, 3) rotations that take the axes to axes."""
    found = []
    for order, signs in product(permutations(range(3)), product((-1.0, 1.0), repeat=3)):
        turn = np.zeros((3, 3))
        turn[range(3), order] = signs
        if np.linalg.det(turn) > 0:
            found.append(turn)
    return np.array(found)


QUARTER_TURNS: FloatArray = _quarter_turns()


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxDifference:
    """What lies between two boxes.

    Args:
        center_m: distance of the centres, metres.
        size_m: largest difference of a length, metres.
        turn_rad: smallest turn that takes the axes of one to those of the other, 0 to pi.
        iou: intersection over union of the volumes, 0 to 1.
    """

    center_m: float
    size_m: float
    turn_rad: float
    iou: float


def box_difference(expected: Box3D, found: Box3D, *, any_yaw: bool = False) -> BoxDifference:
    """The difference of two boxes in one frame.

    Args:
        expected: a box.
        found: a box in the same frame.
        any_yaw: the thing is round about its own z axis, so that only the direction of that axis counts.

    Returns:
        The difference; 0, 0, 0 and 1 for two descriptions of one box.
    """
    alike = as_described(expected, found)
    if any_yaw:
        alike = _turned_about_z(expected, alike)
    return BoxDifference(
        center_m=float(np.linalg.norm(alike.center - expected.center)),
        size_m=float(np.abs(alike.size - expected.size).max()),
        turn_rad=_angle(expected.rotation.T @ alike.rotation),
        iou=iou_3d(expected, alike),
    )


def as_described(expected: Box3D, found: Box3D) -> Box3D:
    """The same box in the one of its 24 descriptions that is nearest to another box.

    Args:
        expected: the other box.
        found: the box.

    Returns:
        The box with its axes named as those of ``expected``.
    """
    relative = expected.rotation.T @ found.rotation @ QUARTER_TURNS
    sizes = np.abs(QUARTER_TURNS.transpose(0, 2, 1)) @ found.size
    reach = float(np.linalg.norm(expected.size)) / 2
    # Metres by which corners are off: the lengths directly, a turn by what it moves a corner.
    off_m = np.abs(sizes - expected.size).max(axis=1) + reach * np.array([_angle(turn) for turn in relative])
    best = int(off_m.argmin())
    rotation = found.rotation @ QUARTER_TURNS[best]
    return _placed(found.center, sizes[best], rotation)


def _turned_about_z(expected: Box3D, found: Box3D) -> Box3D:
    """The box turned about its z axis so that its x axis comes nearest to the other's."""
    z = found.rotation[:, 2]
    x = expected.rotation[:, 0] - (expected.rotation[:, 0] @ z) * z
    length = float(np.linalg.norm(x))
    if length < 1e-6:  # the z axes lie across: there is no nearest turn
        return found
    x = x / length
    return _placed(found.center, found.size, np.stack([x, np.cross(z, x), z], axis=1))


def _placed(center: FloatArray, size: FloatArray, rotation: FloatArray) -> Box3D:
    """A box from its axes."""
    pose = RigidTransform(rotation=rotation, translation=center)
    return Box3D(center=center, size=size, orientation_xyzw=pose.orientation_xyzw)


def _angle(rotation: FloatArray) -> float:
    """The angle of a rotation, radians; exact near zero, where the arc cosine of the trace is not."""
    sine = math.hypot(rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1])
    return math.atan2(sine, float(np.trace(rotation)) - 1.0)
