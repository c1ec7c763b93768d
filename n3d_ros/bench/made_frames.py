"""Frames that are made here: boxes on a table, cast ray by ray. The same on every machine, without files or ROS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from n3d_ros.bench.frames import BenchFrames
from n3d_ros.geometry.arrays import Float32Array, FloatArray
from n3d_ros.geometry.camera import CameraIntrinsics

CAMERA = CameraIntrinsics(fx=525.0, fy=525.0, cx=319.5, cy=239.5, width=640, height=480)
SEED = 7
OBJECTS = (3, 7)  # fewest and most on a table
TABLE_M = (1.2, 0.9)  # sides of its top
FLOOR_M = -0.72  # below the top
DISTANCE_M = (0.65, 0.95)  # from the camera to the middle of the top
PITCH_RAD = (0.65, 0.95)  # of the view, downwards
NOISE_1_PER_M = 0.0015  # standard deviation of depth over its square, as of structured light at one metre
COLORS = (
    (200, 40, 35), (40, 120, 60), (45, 80, 190), (225, 190, 50), (235, 235, 230), (40, 40, 45), (230, 120, 40),
    (130, 60, 150),
)  # fmt: skip
TABLE_COLOR, FLOOR_COLOR, WALL_COLOR = (150, 110, 75), (105, 105, 110), (190, 190, 185)
WALL_M = 3.5  # depth where no ray meets anything
LIGHT = np.array([0.35, -0.3, 0.89])  # towards the light, table axes


@dataclass(frozen=True, slots=True, eq=False)
class _Solid:
    """A box: centre in table axes (m), half sides (m), turn about the vertical (rad), colour."""

    center: FloatArray
    half: FloatArray
    yaw: float
    color: tuple[int, int, int]


def made_frames(count: int) -> BenchFrames:
    """Tables with boxes, each another one.

    Args:
        count: how many, at least 1.

    Returns:
        Frames of 640x480.
    """
    shots = [_shot(np.random.default_rng([SEED, number])) for number in range(count)]
    return BenchFrames(
        rgb=np.stack([rgb for rgb, _ in shots]),
        depth_mm=np.stack([np.rint(depth * 1000).astype(np.uint16) for _, depth in shots]),
        intrinsics=CAMERA,
        source=f"{count} made frames of 640x480, boxes on a table",
    )


def _shot(random: np.random.Generator) -> tuple[np.ndarray, Float32Array]:
    """Colour (H, W, 3) uint8 and depth (H, W) float32 in metres of one table."""
    origin, rays = _view(random)
    nearest = np.full(rays.shape[:2], WALL_M)
    color = np.broadcast_to(np.array(WALL_COLOR, dtype=np.float64), rays.shape).copy()
    for solid in _solids(random):
        depth, normal = _met(solid, origin, rays)
        hit = depth < nearest
        shade = 0.45 + 0.55 * np.clip(normal @ LIGHT, 0.0, 1.0)
        nearest = np.where(hit, depth, nearest)
        color = np.where(hit[..., None], shade[..., None] * np.array(solid.color), color)
    noisy = nearest + random.normal(size=nearest.shape) * NOISE_1_PER_M * nearest**2
    grain = random.normal(scale=4.0, size=color.shape)
    return np.clip(color + grain, 0, 255).astype(np.uint8), noisy.astype(np.float32)


def _view(random: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Where the camera is (3,), and the ray of each pixel (H, W, 3) of depth one; table axes, z up."""
    pitch, distance, around = random.uniform(*PITCH_RAD), random.uniform(*DISTANCE_M), random.uniform(-np.pi, np.pi)
    ahead = np.array([np.cos(pitch) * np.cos(around), np.cos(pitch) * np.sin(around), -np.sin(pitch)])
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(ahead, right)
    v, u = np.mgrid[0 : CAMERA.height, 0 : CAMERA.width].astype(np.float64)
    across, along = (u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy
    return -distance * ahead, ahead + across[..., None] * right + along[..., None] * down


def _solids(random: np.random.Generator) -> list[_Solid]:
    """Floor, table top and the boxes on it, which keep apart."""
    flat = np.array([*TABLE_M, 0.04]) / 2
    solids = [
        _Solid(np.array([0.0, 0.0, FLOOR_M - 0.02]), np.array([4.0, 4.0, 0.02]), 0.0, FLOOR_COLOR),
        _Solid(np.array([0.0, 0.0, -flat[2]]), flat, 0.0, TABLE_COLOR),
    ]
    places: list[tuple[float, float]] = []
    for color in random.permutation(len(COLORS))[: random.integers(OBJECTS[0], OBJECTS[1] + 1)]:
        half = np.array([*random.uniform(0.02, 0.055, 2), random.uniform(0.03, 0.09)])
        place = _free_place(random, places)
        places.append(place)
        solids.append(_Solid(np.array([*place, half[2]]), half, random.uniform(-np.pi, np.pi), COLORS[color]))
    return solids


def _free_place(random: np.random.Generator, taken: list[tuple[float, float]]) -> tuple[float, float]:
    """A place on the table; away from the others where one is found soon."""
    for _ in range(20):
        x, y = random.uniform(-0.26, 0.26), random.uniform(-0.2, 0.2)
        if all(np.hypot(x - left, y - other) > 0.14 for left, other in taken):
            break
    return float(x), float(y)


def _met(solid: _Solid, origin: FloatArray, rays: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Depth (H, W) where rays meet a box, inf where they do not, and the normals there (H, W, 3), by slabs."""
    cos, sin = np.cos(solid.yaw), np.sin(solid.yaw)
    solid_R_table = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    start, ways = solid_R_table @ (origin - solid.center), rays @ solid_R_table.T
    with np.errstate(divide="ignore"):
        first = (-np.copysign(solid.half, ways) - start) / ways
        last = (np.copysign(solid.half, ways) - start) / ways
    entry = first.max(axis=-1)
    depth = np.where((entry > 0) & (entry <= last.min(axis=-1)), entry, np.inf)
    face = first.argmax(axis=-1)
    normal = np.where(np.arange(3) == face[..., None], -np.sign(ways), 0.0)
    return depth, normal @ solid_R_table
