"""What is true of every object in a frame: its oriented box, how much of it is seen, what it is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_training.scenes.catalogue import Design
from model_training.scenes.world import SettledWorld, WorldObject
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.camera import CameraIntrinsics, project
from n3d_ros.geometry.transforms import RigidTransform

FloatArray = NDArray[np.float64]

UPRIGHT_DEG = 3.0  # an axis within this of the vertical counts as vertical
SPHERE_TOLERANCE = 0.01  # sizes equal to this share: a ball, whose turn says nothing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ObjectTruth:
    """One object, as it is and as this frame shows it.

    Args:
        object_id: value in the frame's id image.
        category: the word people use.
        color: its main colour word.
        shape: "box", "cylinder", "ball", "bowl" or "flat".
        role: "object" or "furniture".
        box_world: its whole geometry, world frame; z up wherever one of its axes is vertical.
        box_camera: the same box in the camera optical frame.
        symmetry: of the box about its z axis: "none", "half_turn", "quarter_turn" or "round".
        upright: whether the object's own z axis points up.
        visible_pixels: pixels it covers in the frame.
        visible_fraction: those over the pixels it would cover with nothing in front, 0 to 1.
        touches_border: whether its silhouette is cut by the image's border.
        supported_by: id of what it was put on or into, 0: the floor.
        material: what it is mainly made of, one word.
        inside_of: id of the container it lies in, None: none.
    """

    object_id: int
    category: str
    color: str
    shape: str
    role: str
    box_world: Box3D
    box_camera: Box3D
    symmetry: str
    upright: bool
    visible_pixels: int
    visible_fraction: float
    touches_border: bool
    supported_by: int
    material: str = ""
    inside_of: int | None = None

    @property
    def is_unoccluded(self) -> bool:
        """More than 90 % visible and not cut by the border."""
        return self.visible_fraction > 0.9 and not self.touches_border

    def to_dict(self) -> dict[str, Any]:
        """The truth as JSON-ready values."""
        return {
            "id": self.object_id,
            "category": self.category,
            "color": self.color,
            "shape": self.shape,
            "role": self.role,
            "box_world": _box_to_dict(self.box_world),
            "box_camera": _box_to_dict(self.box_camera),
            "symmetry": self.symmetry,
            "upright": self.upright,
            "visible_pixels": self.visible_pixels,
            "visible_fraction": round(self.visible_fraction, 4),
            "touches_border": self.touches_border,
            "supported_by": self.supported_by,
            "material": self.material,
            "inside_of": self.inside_of,
        }


def _box_to_dict(box: Box3D) -> dict[str, list[float]]:
    """Centre, size, orientation, rounded to a micrometre."""
    return {
        "center": [round(float(v), 6) for v in box.center],
        "size": [round(float(v), 6) for v in box.size],
        "orientation_xyzw": [round(float(v), 8) for v in box.orientation_xyzw],
    }


def _box_along(axes: FloatArray, points: FloatArray) -> Box3D:
    """The tightest box with the given axes (columns of a rotation) around the points."""
    local = points @ axes
    low, high = local.min(axis=0), local.max(axis=0)
    pose = RigidTransform(rotation=axes, translation=axes @ ((low + high) / 2))
    return Box3D(center=pose.translation, size=high - low, orientation_xyzw=pose.orientation_xyzw)


def _level_axes(direction: FloatArray) -> FloatArray:
    """(3, 3) axes with z up and x along the level part of ``direction``."""
    level = np.array([direction[0], direction[1], 0.0])
    x = level / np.linalg.norm(level)
    return np.stack([x, np.array([-x[1], x[0], 0.0]), np.array([0.0, 0.0, 1.0])], axis=1)


def object_box(design: Design, world_T_object: RigidTransform) -> tuple[Box3D, str, bool]:
    """The box of an object's own geometry, its symmetry about the box's z axis, and whether the object is upright.

    Where one of the object's axes is vertical to within ``UPRIGHT_DEG`` the box is gravity aligned (z up); otherwise it
    keeps the object's axes. A solid of revolution may be turned about its axis without change, so a lying one gets the
    level axes, and a sphere is axis aligned.

    Args:
        design: the geometry.
        world_T_object: its pose.

    Returns:
        Box in the world, symmetry, upright.
    """
    rotation = world_T_object.rotation
    points = world_T_object.apply(design.vertices)
    vertical = rotation[2]  # the world's up, along the object's axes
    threshold = np.cos(np.radians(UPRIGHT_DEG))
    upright = bool(vertical[2] > threshold)
    symmetry = design.category.symmetry
    if symmetry == "round":
        return (*_round_box(design, rotation, points), upright)
    main = int(np.abs(vertical).argmax())
    if abs(vertical[main]) > threshold:
        axes = _level_axes(rotation[:, (main + 1) % 3] if main != 2 else rotation[:, 0])
        return _box_along(axes, points), symmetry if main == 2 else "half_turn", upright
    return _box_along(rotation, points), symmetry, upright


def _round_box(design: Design, rotation: FloatArray, points: FloatArray) -> tuple[Box3D, str]:
    """Box and symmetry of a solid of revolution about its z axis."""
    axis = rotation[:, 2]
    if np.ptp(design.size) < SPHERE_TOLERANCE * design.size.max():
        return _box_along(np.eye(3), points), "round"
    if abs(axis[2]) > np.cos(np.radians(UPRIGHT_DEG)):
        return _box_along(_level_axes(rotation[:, 0]), points), "round"
    if abs(axis[2]) < np.sin(np.radians(UPRIGHT_DEG)):
        return _box_along(_level_axes(axis), points), "half_turn"
    x = np.cross(np.array([0.0, 0.0, 1.0]), axis)
    x = x / np.linalg.norm(x)
    return _box_along(np.stack([x, np.cross(axis, x), axis], axis=1), points), "round"


def _is_cut(points_camera: FloatArray, intrinsics: CameraIntrinsics) -> bool:
    """True when a part of the silhouette lies outside the image or behind the camera."""
    if (points_camera[:, 2] < 0.02).any():
        return True
    pixels = project(points_camera, intrinsics)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    outside = (low < 0).any() or high[0] > intrinsics.width - 1 or high[1] > intrinsics.height - 1
    return bool(outside)


def _object_truth(
    thing: WorldObject, camera_T_world: RigidTransform, intrinsics: CameraIntrinsics, seen: int, alone: int
) -> ObjectTruth:
    """Truth of one object."""
    box, symmetry, upright = object_box(thing.design, thing.world_T_object)
    points = (camera_T_world @ thing.world_T_object).apply(thing.design.vertices)
    category = thing.design.category
    return ObjectTruth(
        object_id=thing.object_id,
        category=category.name,
        color=thing.design.color,
        shape=category.shape,
        role=category.role,
        box_world=box,
        box_camera=box.transformed(camera_T_world),
        symmetry=symmetry,
        upright=upright,
        visible_pixels=seen,
        visible_fraction=min(seen / alone, 1.0),
        touches_border=_is_cut(points, intrinsics),
        supported_by=thing.supported_by,
        material=thing.design.material,
        inside_of=thing.inside_of,
    )


def frame_truth(
    world: SettledWorld,
    world_T_camera: RigidTransform,
    intrinsics: CameraIntrinsics,
    object_ids: NDArray[np.int32],
    alone_pixels: dict[int, int],
) -> tuple[ObjectTruth, ...]:
    """Truth of every object that projects into the image, by id; hidden ones have a visible fraction of 0.

    Args:
        world: the settled scene.
        world_T_camera: the camera's optical frame in the world.
        intrinsics: the camera.
        object_ids: (H, W) ids as rendered.
        alone_pixels: pixels each object covers when rendered alone.

    Returns:
        One entry per object.
    """
    camera_T_world = world_T_camera.inverse()
    seen = np.bincount(object_ids.ravel(), minlength=max((o.object_id for o in world.objects), default=0) + 1)
    return tuple(
        _object_truth(thing, camera_T_world, intrinsics, int(seen[thing.object_id]), alone_pixels[thing.object_id])
        for thing in world.objects
        if alone_pixels.get(thing.object_id, 0) > 0
    )
