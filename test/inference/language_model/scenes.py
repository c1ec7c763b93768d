"""Frames with known objects for tests of the language model grounder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inference.geometric.raycasting import Box, Cylinder, View, look_at
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry import Box3D, CameraIntrinsics
from n3d_ros.geometry.transforms import matrix_to_quaternion

SMALL_CAMERA = CameraIntrinsics(fx=131.0, fy=131.0, cx=79.5, cy=59.5, width=160, height=120)


@dataclass(frozen=True)
class KnownScene:
    """A frame and what is in it.

    Args:
        frame: the look at the world.
        up: (3,) camera optical frame.
        said: name and box along the camera's axes around what is seen, as the model learnt to say them.
        true: the objects' true boxes, in the same order.
    """

    frame: RgbdFrame
    up: np.ndarray
    said: tuple[tuple[str, Box3D], ...]
    true: tuple[Box3D, ...]


def tabletop(*, camera: CameraIntrinsics | None = None, seed: int = 0, shift: float = 0.0) -> KnownScene:
    """A red box, a blue cylinder and a green box on a table."""
    things = [
        Box(at=(0.0 + shift, 0.17, 0), size=(0.1, 0.14, 0.12), yaw=0.5, rgb=(200, 20, 20)),
        Cylinder(at=(-0.05, -0.15 + shift, 0), radius=0.05, height=0.14, rgb=(20, 20, 210)),
        Box(at=(0.12, -0.02, 0), size=(0.08, 0.1, 0.09), yaw=-0.3, rgb=(20, 160, 30)),
    ]
    view = look_at(things, seed=seed) if camera is None else look_at(things, camera=camera, seed=seed)
    names = ("red box", "blue cylinder", "green box")
    xyz = view.frame.point_map().xyz
    said = tuple((name, seen_box(xyz[view.owner == k])) for k, name in enumerate(names))
    return KnownScene(view.frame, view.up, said, tuple(true_box(thing, view) for thing in things))


def seen_box(points: np.ndarray) -> Box3D:
    """The box along the camera's axes around what is seen of a thing, stray pixels left out."""
    kept = points[np.isfinite(points).all(axis=1)]
    low, high = np.percentile(kept, [0.5, 99.5], axis=0)
    return Box3D.axis_aligned((low + high) / 2, high - low)


def true_box(thing: Box | Cylinder, view: View) -> Box3D:
    """A thing's box in the camera optical frame."""
    if isinstance(thing, Box):
        size, yaw = np.array(thing.size), thing.yaw
    else:
        size, yaw = np.array([2 * thing.radius, 2 * thing.radius, thing.height]), 0.0
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    center = np.array(thing.at) + np.array([0, 0, size[2] / 2])
    return Box3D(
        center=view.rotation @ (center - view.eye),
        size=size,
        orientation_xyzw=matrix_to_quaternion(view.rotation @ turn),
    )
