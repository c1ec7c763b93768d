"""Analytic depth images of simple solids on a table, with Kinect-like noise: ground truth for the fits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FOCAL_PX = 525.0
WIDTH, HEIGHT = 640, 480
BASELINE_M = 0.075  # Kinect v1: depth = focal * baseline / disparity


@dataclass(frozen=True, kw_only=True)
class Solid:
    """A solid standing on the plane z = 0 of its own world (z up).

    ``kind``: box, cylinder (upright), lying (cylinder along its x axis), ball, bowl (open half ball). ``size`` is the
    full box: for cylinder (d, d, h), lying (length, d, d), ball (d, d, d), bowl (d, d, d / 2).
    """

    kind: str
    size: tuple[float, float, float]
    position: tuple[float, float]
    yaw: float = 0.0
    base: float = 0.0

    @property
    def center(self) -> Array:
        return np.array([*self.position, self.base + self.size[2] / 2])

    @property
    def axes(self) -> Array:
        """(3, 3) columns: the solid's axes in the world."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A camera above the table looking at a point on it. ``pitch`` is down from the horizon."""

    distance: float
    pitch: float
    heading: float = 0.0

    @property
    def world_T_camera(self) -> tuple[Array, Array]:
        c, s = np.cos(self.heading), np.sin(self.heading)
        forward = np.array([c * np.cos(self.pitch), s * np.cos(self.pitch), -np.sin(self.pitch)])
        right = np.array([s, -c, 0.0])
        down = np.cross(forward, right)
        return np.stack([right, down, forward], axis=1), -self.distance * forward

    def to_camera(self, points: Array) -> Array:
        rotation, position = self.world_T_camera
        return (points - position) @ rotation

    @property
    def up(self) -> Array:
        return self.world_T_camera[0][2].copy()

    @property
    def support_height(self) -> float:
        """Height of the table along ``up`` in the camera frame."""
        return float(-self.world_T_camera[1][2])


def _slab(origin: Array, rays: Array, half: Array) -> tuple[Array, Array]:
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (-half - origin) / rays, (half - origin) / rays
    near = np.nanmax(np.minimum(first, second), axis=-1)
    far = np.nanmin(np.maximum(first, second), axis=-1)
    return near, far


def _roots(a: Array, b: Array, c: Array) -> tuple[Array, Array]:
    disc = b * b - a * c
    root = np.sqrt(np.where(disc >= 0, disc, np.nan))
    a = np.where(np.abs(a) < 1e-12, 1e-12, a)
    return (-b - root) / a, (-b + root) / a


def _hit(solid: Solid, origin: Array, rays: Array) -> Array:
    """Ray parameter of the first hit, inf where none; origin and rays in the solid's frame (centre at 0)."""
    half = np.array(solid.size) / 2
    if solid.kind == "box":
        near, far = _slab(origin, rays, half)
        return np.where((near <= far) & (near > 0), near, np.inf)
    if solid.kind in ("cylinder", "lying"):
        axis = 2 if solid.kind == "cylinder" else 0
        ring = [k for k in range(3) if k != axis]
        o, d, r = origin[ring], rays[:, ring], half[ring[0]]
        n1, f1 = _roots((d * d).sum(1), d @ o, np.full(len(d), o @ o - r * r))
        lo, hi = (-half[axis] - origin[axis]) / rays[:, axis], (half[axis] - origin[axis]) / rays[:, axis]
        near, far = np.fmax(n1, np.minimum(lo, hi)), np.fmin(f1, np.maximum(lo, hi))
        return np.where(np.isfinite(n1) & (near <= far) & (near > 0), near, np.inf)
    if solid.kind == "ball":
        r = half[0]
        near, _ = _roots((rays * rays).sum(1), rays @ origin, np.full(len(rays), origin @ origin - r * r))
        return np.where(np.isfinite(near) & (near > 0), near, np.inf)
    if solid.kind == "bowl":  # shell between two spheres about the middle of the rim, 4 mm thick, only below the rim
        o = origin - np.array([0.0, 0.0, half[2]])
        best = np.full(len(rays), np.inf)
        for r in (half[0], half[0] - 0.004):
            for t in _roots((rays * rays).sum(1), rays @ o, np.full(len(rays), o @ o - r * r)):
                z = o[2] + t * rays[:, 2]
                best = np.where(np.isfinite(t) & (t > 0) & (z <= 0), np.fmin(best, t), best)
        return best
    raise ValueError(solid.kind)


def render(
    solids: list[Solid], camera: Camera, *, seed: int | None = 0, noise: float = 1.0
) -> tuple[Array, NDArray[np.int64]]:
    """Depth (H, W) metres with NaN, and label (H, W): -1 table, k solid k. ``seed=None`` gives exact depth."""
    rotation, position = camera.world_T_camera
    v, u = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    rays_camera = np.stack([(u - (WIDTH - 1) / 2) / FOCAL_PX, (v - (HEIGHT - 1) / 2) / FOCAL_PX, np.ones_like(u)], -1)
    rays = rays_camera.reshape(-1, 3) @ rotation.T
    with np.errstate(divide="ignore"):
        depth = np.where(rays[:, 2] < 0, -position[2] / rays[:, 2], np.inf)
    label = np.full(len(rays), -1)
    for k, solid in enumerate(solids):
        corners = camera.to_camera(_corners(solid))
        pixels = corners[:, :2] / corners[:, 2:] * FOCAL_PX + [(WIDTH - 1) / 2, (HEIGHT - 1) / 2]
        lo, hi = np.floor(pixels.min(0)) - 1, np.ceil(pixels.max(0)) + 1
        near = ((u >= lo[0]) & (u <= hi[0]) & (v >= lo[1]) & (v <= hi[1])).ravel().nonzero()[0]
        hit = _hit(solid, (position - solid.center) @ solid.axes, rays[near] @ solid.axes)
        closer = hit < depth[near]
        depth[near[closer]] = hit[closer]
        label[near[closer]] = k
    depth = np.where(depth < 5.0, depth, np.nan).reshape(HEIGHT, WIDTH)
    label = label.reshape(HEIGHT, WIDTH)
    if seed is None:
        return depth, label
    return _kinect(depth, label, np.random.default_rng(seed), noise)


def _corners(solid: Solid) -> Array:
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    return solid.center + (signs * np.array(solid.size) / 2) @ solid.axes.T


def _kinect(
    depth: Array, label: NDArray[np.int64], rng: np.random.Generator, noise: float
) -> tuple[Array, NDArray[np.int64]]:
    """Pixels jump by half a pixel, disparity carries noise and 1/8 px steps, grazing surfaces give nothing."""
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    dv, du = np.rint(rng.normal(0, 0.5 * noise, (2, HEIGHT, WIDTH))).astype(int)
    rows, columns = np.clip(v + dv, 0, HEIGHT - 1), np.clip(u + du, 0, WIDTH - 1)
    sampled, labels = depth[rows, columns], label[rows, columns]
    disparity = FOCAL_PX * BASELINE_M / sampled
    disparity = disparity + rng.normal(0, 0.05 * noise, disparity.shape)
    measured = FOCAL_PX * BASELINE_M / (np.rint(disparity * 8) / 8)
    steep = np.hypot(*np.gradient(depth)) * FOCAL_PX / depth > 8  # steeper than 83 degrees against the ray
    return np.where(steep & (rng.random(depth.shape) < 0.7), np.nan, measured), labels


def unproject(depth: Array) -> Array:
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack(
        [(u - (WIDTH - 1) / 2) * depth / FOCAL_PX, (v - (HEIGHT - 1) / 2) * depth / FOCAL_PX, depth], axis=-1
    )


def object_points(depth: Array, label: NDArray[np.int64], k: int) -> Array:
    """(N, 3) valid points of solid k, camera frame."""
    chosen = (label == k) & np.isfinite(depth)
    return unproject(depth)[chosen]
