"""Frames that are made here: boxes on a table, cast ray by ray. The same on every machine, without files or ROS."""

from __future__ import annotations

import numpy as np

from n3d_ros.bench.frames import BenchFrames
from n3d_ros.geometry.arrays import Float32Array
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.inference.drawn_blocks import Block, draw, rays_of

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
    pitch, distance, around = random.uniform(*PITCH_RAD), random.uniform(*DISTANCE_M), random.uniform(-np.pi, np.pi)
    ahead, rays = rays_of(CAMERA, pitch_rad=pitch, around_rad=around)
    color, depth = draw(_solids(random), -distance * ahead, rays, behind_m=WALL_M, behind_color=WALL_COLOR)
    noisy = depth + random.normal(size=depth.shape) * NOISE_1_PER_M * depth**2
    grain = random.normal(scale=4.0, size=color.shape)
    return np.clip(color + grain, 0, 255).astype(np.uint8), noisy.astype(np.float32)


def _solids(random: np.random.Generator) -> list[Block]:
    """Floor, table top and the boxes on it, which keep apart."""
    top = np.array([*TABLE_M, 0.04])
    solids = [
        Block(center=np.array([0.0, 0.0, FLOOR_M - 0.02]), size=np.array([8.0, 8.0, 0.04]), color=FLOOR_COLOR),
        Block(center=np.array([0.0, 0.0, -top[2] / 2]), size=top, color=TABLE_COLOR),
    ]
    places: list[tuple[float, float]] = []
    for color in random.permutation(len(COLORS))[: random.integers(OBJECTS[0], OBJECTS[1] + 1)]:
        half = np.array([*random.uniform(0.02, 0.055, 2), random.uniform(0.03, 0.09)])
        place = _free_place(random, places)
        places.append(place)
        center, yaw = np.array([*place, half[2]]), random.uniform(-np.pi, np.pi)
        solids.append(Block(center=center, size=2 * half, color=COLORS[color], yaw_rad=yaw))
    return solids


def _free_place(random: np.random.Generator, taken: list[tuple[float, float]]) -> tuple[float, float]:
    """A place on the table; away from the others where one is found soon."""
    for _ in range(20):
        x, y = random.uniform(-0.26, 0.26), random.uniform(-0.2, 0.2)
        if all(np.hypot(x - left, y - other) > 0.14 for left, other in taken):
            break
    return float(x), float(y)
