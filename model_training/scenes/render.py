"""Colour, exact z-depth and per-pixel ids of a settled world, through one off-screen OpenGL context."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_training.scenes.cameras import OPTICAL_T_OPENGL
from model_training.scenes.gl import load_mujoco, make_context
from model_training.scenes.world import FAR_M, NEAR_M, VISIBLE_GROUP, SettledWorld
from n3d_ros.errors import InputError
from n3d_ros.geometry.camera import CameraIntrinsics, project
from n3d_ros.geometry.transforms import RigidTransform

BEYOND_M = 0.98 * FAR_M  # farther is background: no depth
NOT_DRAWN = -1  # MuJoCo's segmentation id of a geom that the id pass leaves out
MAX_GEOMS = 4000  # MuJoCo numbers them in 24 bits; two bytes hold these
NEARER_M = 0.0005  # a neighbour nearer by more hides something
NEARER_SHARE = 0.02  # the same for floor and walls, as a share of the distance: what a pixel spans on them


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rendering:
    """What the camera sees, without noise.

    Args:
        rgb: (H, W, 3) uint8.
        depth_m: (H, W) float32 z-depth in metres, NaN where nothing is.
        object_ids: (H, W) int32, 0 for floor, walls and nothing.
    """

    rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    object_ids: NDArray[np.int32]


def frustum(intrinsics: CameraIntrinsics, near_m: float = NEAR_M) -> tuple[float, float, float, float]:
    """Left, right, bottom, top of the near plane in OpenGL axes, metres.

    Pixel centres are integers, so the image spans -0.5 to width - 0.5; y is down in the image and up in OpenGL.

    Args:
        intrinsics: any pinhole camera.
        near_m: distance of the near plane.

    Returns:
        The four borders.
    """
    left = (-0.5 - intrinsics.cx) / intrinsics.fx * near_m
    right = (intrinsics.width - 0.5 - intrinsics.cx) / intrinsics.fx * near_m
    top = (intrinsics.cy + 0.5) / intrinsics.fy * near_m
    bottom = -(intrinsics.height - 0.5 - intrinsics.cy) / intrinsics.fy * near_m
    return left, right, bottom, top


class SceneRenderer:
    """Renders worlds one after the other; the OpenGL context is made once. Use from one thread, close when done."""

    def __init__(self, intrinsics: CameraIntrinsics) -> None:
        self._mujoco = load_mujoco()
        self.intrinsics = intrinsics
        self._gl: Any = make_context(intrinsics.width, intrinsics.height)
        self._world: SettledWorld | None = None
        self._context: Any = None
        self._scene: Any = None
        self._rect = self._mujoco.MjrRect(0, 0, intrinsics.width, intrinsics.height)
        self._option = self._mujoco.MjvOption()
        self._option.geomgroup[:] = 0
        self._option.geomgroup[VISIBLE_GROUP] = 1
        self._free_camera = self._mujoco.MjvCamera()

    def __enter__(self) -> SceneRenderer:
        """The renderer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes."""
        self.close()

    def close(self) -> None:
        """Frees the context; the renderer cannot be used afterwards."""
        if self._context is not None:
            self._gl.make_current()
            self._context.free()
            self._context = None
        if self._gl is not None:
            self._gl.free()
            self._gl = None

    def load(self, world: SettledWorld) -> None:
        """Uploads a world's meshes and textures.

        Args:
            world: what ``render`` shows from now on.

        Raises:
            InputError: the world was made for images of another size.
        """
        camera = world.spec.camera
        if (camera.width, camera.height) != (self.intrinsics.width, self.intrinsics.height):
            raise InputError(
                f"Renderer of {self.intrinsics.width}x{self.intrinsics.height} px got a scene for "
                f"{camera.width}x{camera.height} px; make one renderer per image size."
            )
        self.intrinsics = camera
        self._gl.make_current()
        if self._context is not None:
            self._context.free()
        self._context = self._mujoco.MjrContext(world.model, self._mujoco.mjtFontScale.mjFONTSCALE_50.value)
        self._mujoco.mjr_setBuffer(self._mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._context.readDepthMap = self._mujoco.mjtDepthMap.mjDEPTH_ZEROFAR.value
        self._scene = self._mujoco.MjvScene(model=world.model, maxgeom=MAX_GEOMS)
        self._world = world

    def render(self, world_T_camera: RigidTransform) -> Rendering:
        """Colour, depth and ids from a pose.

        Args:
            world_T_camera: the camera's optical frame in the world.

        Returns:
            The rendering, without noise.
        """
        world = self._loaded()
        self._look_from(world_T_camera)
        rgb = self._draw_color()
        segments = self._draw_ids()
        depth_m = self._read_depth()
        lookup = self._segment_lookup(world)
        object_ids = np.maximum(lookup[segments], 0)
        return Rendering(rgb=rgb, depth_m=depth_m, object_ids=object_ids)

    def alone_pixel_counts(self, world_T_camera: RigidTransform, rendering: Rendering | None = None) -> dict[int, int]:
        """Pixels that each object would cover with nothing in front of it.

        Objects whose projections cannot overlap are drawn together, which takes a few cheap passes instead of one per
        object; objects that the given rendering shows whole are counted there.

        Args:
            world_T_camera: the camera's optical frame in the world.
            rendering: what ``render`` gave for this pose; None: every object is drawn alone.

        Returns:
            Count per object id, for objects that project into the image.
        """
        world = self._loaded()
        self._look_from(world_T_camera)
        lookup = self._segment_lookup(world)
        geoms = [(g, int(g.segid)) for g in self._scene.geoms[: self._scene.ngeom]]
        rectangles = self._rectangles(world, world_T_camera)
        counts: dict[int, int] = {}
        if rendering is not None:
            counts = whole_object_counts(rendering.object_ids, rendering.depth_m)
            rectangles = {i: r for i, r in rectangles.items() if i not in counts}
        for group in disjoint_groups(rectangles):
            wanted = np.isin(lookup[1:], list(group))
            for geom, segment in geoms:
                geom.segid = segment if segment >= 0 and wanted[segment] else NOT_DRAWN
            segments = self._draw_ids(self._around([rectangles[i] for i in group]))
            found = np.bincount(np.maximum(lookup[segments].ravel(), 0), minlength=max(group) + 1)
            counts.update({object_id: int(found[object_id]) for object_id in group})
        for geom, segment in geoms:
            geom.segid = segment
        return counts

    def _loaded(self) -> SettledWorld:
        if self._world is None:
            raise InputError("SceneRenderer.render: call load(world) first.")
        self._gl.make_current()
        return self._world

    def _look_from(self, world_T_camera: RigidTransform) -> None:
        """Fills the scene and sets the exact pinhole frustum in both eyes (MuJoCo draws their mean)."""
        world = self._loaded()
        mujoco = self._mujoco
        mujoco.mjv_updateScene(
            world.model,
            world.data,
            self._option,
            None,
            self._free_camera,
            mujoco.mjtCatBit.mjCAT_ALL.value,
            self._scene,
        )
        world_T_opengl = world_T_camera @ OPTICAL_T_OPENGL
        left, right, bottom, top = frustum(self.intrinsics)
        for eye in self._scene.camera:
            eye.pos[:] = world_T_opengl.translation
            eye.forward[:] = -world_T_opengl.rotation[:, 2]
            eye.up[:] = world_T_opengl.rotation[:, 1]
            eye.orthographic = 0
            eye.frustum_center = (left + right) / 2
            eye.frustum_width = (right - left) / 2
            eye.frustum_bottom, eye.frustum_top = bottom, top
            eye.frustum_near, eye.frustum_far = NEAR_M, FAR_M

    def _draw_color(self) -> NDArray[np.uint8]:
        flags = self._scene.flags
        flags[self._mujoco.mjtRndFlag.mjRND_SHADOW] = int(bool(self._world and self._world.spec.shadows))
        flags[self._mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        flags[self._mujoco.mjtRndFlag.mjRND_SEGMENT] = 0
        flags[self._mujoco.mjtRndFlag.mjRND_IDCOLOR] = 0
        self._mujoco.mjr_render(self._rect, self._scene, self._context)
        rgb = np.empty((self.intrinsics.height, self.intrinsics.width, 3), np.uint8)
        self._mujoco.mjr_readPixels(rgb, None, self._rect, self._context)
        return np.ascontiguousarray(rgb[::-1])

    def _around(self, rectangles: Sequence[Sequence[float]]) -> Any:
        """MuJoCo's rectangle (counted from the image's lower left) around image rectangles."""
        width, height = self.intrinsics.width, self.intrinsics.height
        left, top = (max(int(min(r[k] for r in rectangles)), 0) for k in (0, 1))
        right = min(int(max(r[2] for r in rectangles)) + 2, width)
        bottom = min(int(max(r[3] for r in rectangles)) + 2, height)
        return self._mujoco.MjrRect(left, height - bottom, max(right - left, 1), max(bottom - top, 1))

    def _draw_ids(self, part: Any = None) -> NDArray[np.int32]:
        """(H, W) int32 segment number per pixel, 0: nothing; only a rectangle of the image where one is given.

        Leaves the depth buffer for ``_read_depth``.
        """
        part = self._rect if part is None else part
        flags = self._scene.flags
        flags[self._mujoco.mjtRndFlag.mjRND_SEGMENT] = 1
        flags[self._mujoco.mjtRndFlag.mjRND_IDCOLOR] = 1
        self._mujoco.mjr_render(self._rect, self._scene, self._context)
        colors = np.empty((part.height, part.width, 3), np.uint8)
        self._mujoco.mjr_readPixels(colors, None, part, self._context)
        packed = colors[::-1, :, 0].astype(np.int32)
        if self._scene.ngeom >= 255:  # the second byte is zero otherwise
            packed += colors[::-1, :, 1].astype(np.int32) << 8
        return packed

    def _read_depth(self) -> NDArray[np.float32]:
        """(H, W) float32 z-depth in metres of the last id pass, NaN for the background."""
        buffer = np.empty((self.intrinsics.height, self.intrinsics.width), np.float32)
        self._mujoco.mjr_readPixels(None, buffer, self._rect, self._context)
        return depth_from_buffer(buffer[::-1])

    def _segment_lookup(self, world: SettledWorld) -> NDArray[np.int32]:
        """(segments + 1,) int32: object id of every segment number, -1 for none."""
        count = self._scene.ngeom
        lookup = np.full(count + 1, -1, np.int32)
        geom_type = int(self._mujoco.mjtObj.mjOBJ_GEOM)
        for geom in self._scene.geoms[:count]:
            if geom.segid >= 0 and geom.objtype == geom_type:
                lookup[geom.segid + 1] = world.geom_object_ids[geom.objid]
        return lookup

    def _rectangles(self, world: SettledWorld, world_T_camera: RigidTransform) -> dict[int, tuple[float, ...]]:
        """Image rectangle (left, top, right, bottom) around each object's projection, where it has one."""
        camera_T_world = world_T_camera.inverse()
        found: dict[int, tuple[float, ...]] = {}
        width, height = self.intrinsics.width, self.intrinsics.height
        for thing in world.objects:
            points = (camera_T_world @ thing.world_T_object).apply(thing.design.vertices)
            front = points[:, 2] > NEAR_M
            if not front.any():
                continue
            if not front.all():  # reaches behind the camera: its projection is unbounded
                found[thing.object_id] = (0.0, 0.0, float(width), float(height))
                continue
            pixels = project(points, self.intrinsics)
            low, high = pixels.min(axis=0) - 1, pixels.max(axis=0) + 1
            if (high < 0).any() or low[0] > width or low[1] > height:
                continue
            found[thing.object_id] = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        return found


def depth_from_buffer(buffer: NDArray[np.float32]) -> NDArray[np.float32]:
    """Z-depth in metres from OpenGL's reversed depth buffer, NaN for the background.

    With near n, far f and buffer b (1 at near, 0 at far): z = n f / (n + b (f - n)).

    Args:
        buffer: (H, W) float32, 0 to 1.

    Returns:
        (H, W) float32 metres.
    """
    # Reversed depth is precise in float32: the error stays near 1e-7 of the depth.
    depth: NDArray[np.float32] = np.float32(NEAR_M * FAR_M) / (np.float32(NEAR_M) + buffer * np.float32(FAR_M - NEAR_M))
    depth[depth > BEYOND_M] = np.nan
    return depth


def whole_object_counts(object_ids: NDArray[np.int32], depth_m: NDArray[np.float32]) -> dict[int, int]:
    """Pixels of every object of which nothing is hidden, by id.

    Where something hides a part of an object, the object's visible border has a nearer neighbour. A level support just
    below an object is nearer too, by what a pixel spans on it, hence the two tolerances. Objects of which nothing is
    seen are not listed.

    Args:
        object_ids: (H, W) ids, 0 for surroundings.
        depth_m: (H, W) clean z-depth, NaN for none.

    Returns:
        Count per id.
    """
    counts = np.bincount(object_ids.ravel())
    hidden: set[int] = set()
    for axis in (0, 1):
        last, first = [slice(None)] * 2, [slice(None)] * 2
        last[axis], first[axis] = slice(None, -1), slice(1, None)
        for mine, other in ((tuple(last), tuple(first)), (tuple(first), tuple(last))):
            border = (object_ids[mine] != object_ids[other]) & (object_ids[mine] > 0)
            near, far = depth_m[other][border], depth_m[mine][border]
            tolerance = np.where(object_ids[other][border] > 0, NEARER_M, NEARER_SHARE * far)
            with np.errstate(invalid="ignore"):
                hidden.update(np.unique(object_ids[mine][border][near < far - tolerance]).tolist())
    return {int(i): int(counts[i]) for i in np.flatnonzero(counts) if i > 0 and int(i) not in hidden}


def disjoint_groups(rectangles: dict[int, tuple[float, ...]]) -> Iterable[set[int]]:
    """Groups of ids whose rectangles do not overlap within a group; greedy, biggest first.

    Args:
        rectangles: left, top, right, bottom per id.

    Returns:
        A list of sets that together hold every id once.
    """
    groups: list[dict[int, tuple[float, ...]]] = []
    by_size = sorted(rectangles.items(), key=lambda item: -(item[1][2] - item[1][0]) * (item[1][3] - item[1][1]))
    for object_id, rectangle in by_size:
        home = next((g for g in groups if not any(_overlap(rectangle, other) for other in g.values())), None)
        if home is None:
            home = {}
            groups.append(home)
        home[object_id] = rectangle
    return [set(group) for group in groups]


def _overlap(a: Sequence[float], b: Sequence[float]) -> bool:
    """True when two rectangles share a point."""
    return not (a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1])
