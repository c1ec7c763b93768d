"""One look at an arrangement: colour, exact depth, ids, and how much of every object could be seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_training.scenes.raycast.arrangement import SIDE_M, Arrangement, CastObject
from model_training.scenes.raycast.casting import NEAREST, cast, turned
from model_training.scenes.raycast.shading import lit_share, object_colors, shadow_strip, surroundings
from model_training.scenes.raycast.solids import CastShape
from n3d_ros.geometry.arrays import Float32Array, FloatArray
from n3d_ros.geometry.camera import CameraIntrinsics, pixel_rays
from n3d_ros.geometry.transforms import RigidTransform

LEVEL_M = 0.001  # a point this near a level surface is on it
FAR_M = 30.0  # farther counts as background


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """What a camera sees of an arrangement.

    Args:
        rgb: (H, W, 3) uint8.
        depth_m: (H, W) float32 exact z-depth, NaN where nothing is.
        object_ids: (H, W) int32, 0 for surroundings.
        alone: pixels that each object would cover with nothing in front, by id.
        cut: ids of objects whose silhouette reaches the image's border.
    """

    rgb: NDArray[np.uint8]
    depth_m: Float32Array
    object_ids: NDArray[np.int32]
    alone: dict[int, int]
    cut: frozenset[int]


class _Canvas:
    """The image while objects are put into it."""

    def __init__(self, arrangement: Arrangement, camera: CameraIntrinsics, world_T_camera: RigidTransform) -> None:
        self.arrangement = arrangement
        self.camera = camera
        self.shape = (camera.height, camera.width)
        self.origin = world_T_camera.translation
        self.rotation = world_T_camera.rotation
        self.rays = np.ascontiguousarray(pixel_rays(camera).astype(np.float32).transpose(2, 0, 1))  # (3, H, W), z = 1
        self.ways = turned(self.rotation.astype(np.float32), self.rays.reshape(3, -1))  # the same in the world
        self.depth, self.colors = surroundings(arrangement, self.origin.astype(np.float32), self.ways, SIDE_M)
        self.ids = np.zeros(len(self.depth), np.int32)
        self.alone: dict[int, int] = {}
        self.cut: set[int] = set()

    def _rectangle(self, points: FloatArray) -> tuple[slice, slice] | None:
        """Rows and columns of the pixels in which (N, 3) world points may be; None when they are out of view."""
        camera = (points - self.origin) @ self.rotation
        height, width = self.shape
        behind = camera[:, 2] < NEAREST
        if behind.any():
            return None if behind.all() else (slice(0, height), slice(0, width))
        u = camera[:, 0] / camera[:, 2] * self.camera.fx + self.camera.cx
        v = camera[:, 1] / camera[:, 2] * self.camera.fy + self.camera.cy
        left, right = max(int(u.min()), 0), min(int(u.max()) + 2, width)
        top, bottom = max(int(v.min()), 0), min(int(v.max()) + 2, height)
        return (slice(top, bottom), slice(left, right)) if right > left and bottom > top else None

    def put(self, thing: CastObject) -> None:
        """Casts one object into the image."""
        shapes = thing.parts or (thing.shape,)
        mine = [pixels for shape in shapes if (pixels := self._put_shape(thing, shape)) is not None]
        if not mine:
            return
        covered = np.zeros(self.shape, np.bool_)
        for pixels in mine:
            covered.flat[pixels] = True
        self.alone[thing.object_id] = int(np.count_nonzero(covered))
        if covered[[0, -1]].any() or covered[:, [0, -1]].any():
            self.cut.add(thing.object_id)

    def _put_shape(self, thing: CastObject, shape: CastShape) -> NDArray[np.int64] | None:
        """Casts one shape of an object; the pixels it would cover with nothing in front, None for none."""
        part = self._rectangle(shape.corners @ thing.rotation.T + thing.position)
        if part is None:
            return None
        rows, columns = part
        turn = (thing.rotation.T @ self.rotation).astype(np.float32)
        ways = turned(turn, self.rays[:, rows, columns].reshape(3, -1))
        origin = ((self.origin - thing.position) @ thing.rotation).astype(np.float32)
        hits = cast(shape, origin, ways)
        if len(hits.rays) == 0:
            return None
        row, column = np.divmod(hits.rays, columns.stop - columns.start)
        pixels = (row + rows.start) * self.shape[1] + column + columns.start
        nearer = hits.distance < self.depth[pixels]
        seen = pixels[nearer]
        self.depth[seen] = hits.distance[nearer]
        self.colors[seen] = object_colors(thing, hits, self.arrangement)[nearer]
        self.ids[seen] = thing.object_id
        return np.asarray(pixels, np.int64)

    def shade(self) -> None:
        """Puts the shadow of every object that stands on the level surface onto what is seen of it."""
        level_m = self.arrangement.level_m
        carrier = next((one.object_id for one in self.arrangement.objects if one.parts), 0)
        is_level = (self.ids == carrier).reshape(self.shape)
        for thing in self.arrangement.objects:
            if thing.parts or abs(float(thing.position[2]) - level_m) > LEVEL_M:
                continue
            strip, radius = shadow_strip(thing, self.arrangement)
            foot = thing.position[:2]
            low = np.minimum(foot, foot + strip) - 1.1 * radius
            high = np.maximum(foot, foot + strip) + 1.1 * radius
            part = self._rectangle(np.array([[x, y, level_m] for x in (low[0], high[0]) for y in (low[1], high[1])]))
            if part is None:
                continue
            row, column = np.nonzero(is_level[part])
            pixels = (row + part[0].start) * self.shape[1] + column + part[1].start
            points = self.ways[:, pixels] * self.depth[pixels] + self.origin.astype(np.float32)[:, None]
            flat = np.abs(points[2] - level_m) < LEVEL_M
            pixels, offset = pixels[flat], points[:2, flat] - foot.astype(np.float32)[:, None]
            self.colors[pixels] *= lit_share(offset, strip, radius, self.arrangement)[:, None]

    def view(self) -> View:
        """The finished picture."""
        depth = np.where(self.depth < FAR_M, self.depth, np.nan).astype(np.float32)
        rgb = np.clip(self.colors * 255 + 0.5, 0, 255).astype(np.uint8)
        return View(
            rgb=rgb.reshape(*self.shape, 3),
            depth_m=depth.reshape(self.shape),
            object_ids=self.ids.reshape(self.shape),
            alone=self.alone,
            cut=frozenset(self.cut),
        )


def look(arrangement: Arrangement, camera: CameraIntrinsics, world_T_camera: RigidTransform) -> View:
    """What a camera sees.

    Args:
        arrangement: the scene.
        camera: its lens.
        world_T_camera: its optical frame in the world.

    Returns:
        The view.
    """
    canvas = _Canvas(arrangement, camera, world_T_camera)
    for thing in arrangement.objects:
        canvas.put(thing)
    canvas.shade()
    return canvas.view()
