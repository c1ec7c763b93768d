"""Camera poses: looking at something, moving on arcs, and OpenGL's axes against ROS's optical ones.

OpenGL's camera looks along -z with x right and y up; the ROS optical frame (REP 103) looks along +z with x right and y
down. The two share an origin and differ by half a turn about x.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model_training.scenes.layout import CEILING_M, Layout
from model_training.scenes.spec import SceneSpec
from n3d_ros.errors import InputError
from n3d_ros.geometry.transforms import RigidTransform

FloatArray = NDArray[np.float64]
PoseAt = Callable[[float], RigidTransform]

OPTICAL_T_OPENGL = RigidTransform(rotation=np.diag([1.0, -1.0, -1.0]), translation=np.zeros(3))
"""OpenGL camera axes to ROS optical axes; its own inverse."""

CAMERA_LINK_T_OPTICAL = RigidTransform(
    rotation=np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]), translation=np.zeros(3)
)
"""Optical axes to a camera body's (x forward, y left, z up): the static transform camera drivers publish."""

WORLD_UP = np.array([0.0, 0.0, 1.0])
TABLETOP_DISTANCE_M = (0.75, 1.25)
TABLETOP_ELEVATION_DEG = (25.0, 60.0)
ROOM_DISTANCE_M = (1.7, 3.4)
ROOM_ELEVATION_DEG = (10.0, 34.0)
FURNITURE_MARGIN_M = 0.2
OBJECT_MARGIN_M = 0.35  # nearer than this a depth camera sees nothing
WALL_MARGIN_M = 0.25  # the camera stays this far from walls and ceiling
ROLL_STDDEV_RAD = 0.02
POSE_TRIES = 80


def look_at(eye: ArrayLike, target: ArrayLike, roll_rad: float = 0.0) -> RigidTransform:
    """world_T_optical of a camera at ``eye`` whose z axis points at ``target``, the world's z up in the image.

    Args:
        eye: (3,) metres, world.
        target: (3,) metres, world.
        roll_rad: turn about the optical axis.

    Returns:
        The pose.

    Raises:
        InputError: eye and target coincide, or the view is straight up or down.
    """
    position = np.asarray(eye, dtype=np.float64)
    forward = np.asarray(target, dtype=np.float64) - position
    right = np.cross(forward, WORLD_UP)
    if np.linalg.norm(right) < 1e-9:
        raise InputError("look_at: expected a view that is not straight up or down.")
    forward, right = forward / np.linalg.norm(forward), right / np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll_rad), np.sin(roll_rad)
    rotation = np.stack([c * right + s * down, c * down - s * right, forward], axis=1)
    return RigidTransform(rotation=rotation, translation=position)


def orbit_pose(
    focus: FloatArray, distance_m: float, azimuth_rad: float, elevation_rad: float, roll_rad: float = 0.0
) -> RigidTransform:
    """world_T_optical of a camera on a sphere around the focus.

    Args:
        focus: (3,) metres, what it looks at.
        distance_m: from the focus.
        azimuth_rad: 0: the camera stands towards +x, pi / 2: towards +y.
        elevation_rad: 0: level, pi / 2: straight above.
        roll_rad: turn about the optical axis.

    Returns:
        The pose.
    """
    level = np.cos(elevation_rad)
    way = np.array([level * np.cos(azimuth_rad), level * np.sin(azimuth_rad), np.sin(elevation_rad)])
    return look_at(focus + distance_m * way, focus, roll_rad)


def _is_free(position: FloatArray, layout: Layout) -> bool:
    """True when the camera is inside the room, before the walls, not in furniture and not at an object's nose."""
    for wall in layout.walls:
        if (position[:2] - wall.center) @ wall.normal < WALL_MARGIN_M:
            return False
    if layout.room_half_m and position[2] > CEILING_M - WALL_MARGIN_M:
        return False
    for placement in layout.placements:
        if not placement.static:
            size = placement.design.size
            middle = placement.position + placement.rotation @ (placement.design.low + size / 2)
            if np.linalg.norm(position - middle) < OBJECT_MARGIN_M + np.linalg.norm(size) / 2:
                return False
            continue
        local = (position - placement.position) @ placement.rotation
        low = placement.design.low[:2] - FURNITURE_MARGIN_M
        high = placement.design.low[:2] + placement.design.size[:2] + FURNITURE_MARGIN_M
        above = 0.4 if layout.room_half_m else -0.1  # a tabletop camera may hang over its table
        if ((local[:2] > low) & (local[:2] < high)).all() and local[2] < placement.design.size[2] + 0.3 + above:
            return False
    return True


def _azimuth_range(layout: Layout) -> tuple[float, float]:
    """Directions from which the scene is open: the front of a tabletop, away from the furnished walls of a room."""
    if layout.room_half_m:
        return np.radians(-165.0), np.radians(-105.0)
    return np.radians(-150.0), np.radians(-30.0)


def sample_pose(spec: SceneSpec, layout: Layout, rng: np.random.Generator) -> RigidTransform:
    """world_T_optical of a camera that sees the supports, drawn by chance.

    Args:
        spec: distances and elevations wanted.
        layout: the scene.
        rng: source of chance.

    Returns:
        The pose; after many tries inside walls, the last one drawn, brought closer to the focus.
    """
    room = bool(layout.room_half_m)
    distances = spec.distance_m or (ROOM_DISTANCE_M if room else TABLETOP_DISTANCE_M)
    elevations = np.radians(spec.elevation_deg or (ROOM_ELEVATION_DEG if room else TABLETOP_ELEVATION_DEG))
    shrink = 1.0
    pose = RigidTransform.identity()
    for _ in range(POSE_TRIES):
        jitter = rng.uniform(-0.15, 0.15, 3) * layout.focus_half_m
        target = layout.targets[int(rng.integers(len(layout.targets)))]
        pose = orbit_pose(
            0.3 * layout.focus + 0.7 * target + jitter,
            float(rng.uniform(*distances)) * shrink,
            float(rng.uniform(*_azimuth_range(layout))),
            float(rng.uniform(*elevations)),
            float(rng.normal(0.0, ROLL_STDDEV_RAD if spec.roll_deg is None else np.radians(spec.roll_deg))),
        )
        too_high_or_low = spec.height_m and not spec.height_m[0] <= pose.translation[2] <= spec.height_m[1]
        if not too_high_or_low and _is_free(pose.translation, layout):
            return pose
        shrink = max(0.985 * shrink, 0.4)
    return pose


def arc_path(spec: SceneSpec, layout: Layout, rng: np.random.Generator) -> PoseAt:
    """A smooth motion around the scene: a function from 0 to 1 to world_T_optical.

    The camera swings on an arc and rises and falls a little, starting and ending at rest, as a hand or a robot's head
    moves.

    Args:
        spec: distances and elevations wanted.
        layout: the scene.
        rng: source of chance.

    Returns:
        The path; every point of it is free of walls and furniture.
    """
    pose = sample_pose(spec, layout, rng)
    for _ in range(POSE_TRIES):
        way = pose.translation - layout.focus
        distance = float(np.linalg.norm(way))
        azimuth, elevation = float(np.arctan2(way[1], way[0])), float(np.arcsin(way[2] / distance))
        sweep = float(rng.uniform(0.35, 0.7) * rng.choice([-1.0, 1.0]))
        bob, zoom = float(rng.uniform(0.02, 0.07)), float(rng.uniform(-0.08, 0.08))

        def path(
            fraction: float,
            a: float = azimuth,
            e: float = elevation,
            d: float = distance,
            turn: float = sweep,
            rise: float = bob,
            closer: float = zoom,
        ) -> RigidTransform:
            eased = fraction * fraction * (3 - 2 * fraction)
            wave = np.sin(2 * np.pi * eased)
            return orbit_pose(layout.focus, d * (1 + closer * eased), a + turn * (eased - 0.5), e + rise * wave)

        if all(_is_free(path(f).translation, layout) for f in np.linspace(0, 1, 9)):
            return path
        pose = sample_pose(spec, layout, rng)
    raise InputError("Camera path: found no free arc around this scene; use another seed or a smaller distance_m.")
