"""Coloured point clouds of one or many frames, as PLY and GLB with the cameras as small pyramids."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from n3d_ros.depth.views import ViewDepth
from n3d_ros.errors import ConfigurationError, InputError
from n3d_ros.geometry.arrays import BoolArray, Float32Array, FloatArray, frozen_array
from n3d_ros.geometry.camera import CameraIntrinsics, unproject
from n3d_ros.geometry.transforms import RigidTransform

EDGE_RATIO = 1.06  # between neighbouring pixels: more is a step between two surfaces, where points hang in the air
UNSURE_SHARE = 0.1  # of a frame's pixels, the least sure ones, that are left out
MAX_PYRAMIDS = 200  # cameras drawn in one GLB
PYRAMID_SHARE = 0.04  # of the median distance of the points to the cameras
GLTF_T_OPTICAL = np.diag([1.0, -1.0, -1.0, 1.0])  # glTF: y up, z towards the viewer
GLTF_T_MAP = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])  # REP-103: z up


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cloud:
    """Points with colours.

    Args:
        xyz: (N, 3) float32, in one frame.
        rgb: (N, 3) uint8.
    """

    xyz: Float32Array
    rgb: NDArray[np.uint8]

    def __post_init__(self) -> None:
        """Checks both, and that they belong together.

        Raises:
            InputError: as many points as colours are not there.
        """
        xyz = frozen_array(self.xyz, shape=(None, 3), dtype=np.float32, name="Cloud.xyz")
        rgb = frozen_array(self.rgb, shape=(None, 3), dtype=np.uint8, name="Cloud.rgb")
        if len(xyz) != len(rgb):
            raise InputError(f"Cloud: expected as many points as colours, got {len(xyz)} and {len(rgb)}.")
        object.__setattr__(self, "xyz", xyz)
        object.__setattr__(self, "rgb", rgb)

    def moved(self, target_T_source: RigidTransform) -> Cloud:
        """The cloud in another frame.

        Args:
            target_T_source: to it.

        Returns:
            The same colours.
        """
        return Cloud(xyz=target_T_source.apply(self.xyz).astype(np.float32), rgb=self.rgb)

    def thinned(self, max_points: int) -> Cloud:
        """At most so many points, evenly over their order.

        Args:
            max_points: 1 and more.

        Returns:
            Itself when it holds no more.
        """
        if len(self.xyz) <= max_points:
            return self
        chosen = np.linspace(0, len(self.xyz) - 1, max_points).round().astype(np.int64)
        return Cloud(xyz=self.xyz[chosen], rgb=self.rgb[chosen])

    @classmethod
    def joined(cls, clouds: Sequence[Cloud]) -> Cloud:
        """All points of several clouds of one frame.

        Args:
            clouds: may be none.

        Returns:
            One cloud.
        """
        xyz = [np.zeros((0, 3), np.float32), *(cloud.xyz for cloud in clouds)]
        rgb = [np.zeros((0, 3), np.uint8), *(cloud.rgb for cloud in clouds)]
        return cls(xyz=np.concatenate(xyz), rgb=np.concatenate(rgb))


def frame_cloud(view: ViewDepth, rgb: NDArray[np.uint8], max_points: int) -> Cloud:
    """Points of one frame in its camera's frame, chosen at random with a fixed seed.

    Args:
        view: with intrinsics.
        rgb: (H, W, 3) uint8, of the same size.
        max_points: at most so many.

    Returns:
        Points without sky, steps between surfaces and the least sure pixels; none where there are no intrinsics.
    """
    if view.intrinsics is None:
        return Cloud.joined([])
    where = np.flatnonzero(solid_pixels(view))
    if len(where) > max_points:
        where = np.sort(np.random.default_rng(0).choice(where, max_points, replace=False))
    points = unproject(view.depth_m, view.intrinsics).reshape(-1, 3)[where]
    return Cloud(xyz=points, rgb=rgb.reshape(-1, 3)[where])


def solid_pixels(view: ViewDepth) -> BoolArray:
    """Pixels whose point lies on a surface.

    Args:
        view: of a model.

    Returns:
        (H, W) bool.
    """
    depth = view.depth_m
    known: BoolArray = np.isfinite(depth)
    solid: BoolArray = known.copy()
    with np.errstate(invalid="ignore"):
        for axis in (0, 1):
            first, second = np.moveaxis(depth, axis, 0)[:-1], np.moveaxis(depth, axis, 0)[1:]
            step = np.maximum(first, second) > EDGE_RATIO * np.minimum(first, second)
            along = np.moveaxis(solid, axis, 0)  # a view: what is written to it is written to solid
            along[:-1] &= ~step
            along[1:] &= ~step
    if view.sky is not None:
        solid &= ~view.sky
    if view.confidence is not None and known.any():
        least = float(np.quantile(view.confidence[known], UNSURE_SHARE))
        solid &= view.confidence >= least
    return solid


def ply_bytes(cloud: Cloud, *, comment: str) -> bytes:
    """The cloud as binary PLY.

    Args:
        cloud: in the frame the file is to be in.
        comment: one line for its header: frame and unit.

    Returns:
        The file's bytes.
    """
    trimesh = _trimesh()
    points = trimesh.PointCloud(cloud.xyz, colors=_opaque(cloud.rgb))
    content = bytes(points.export(file_type="ply"))
    head, newline, rest = content.partition(b"\n")  # "ply", then its format and everything else
    form, _, body = rest.partition(b"\n")
    words = " ".join(comment.split()).encode("ascii", "replace")
    return head + newline + form + b"\ncomment " + words + b"\n" + body


def glb_bytes(
    cloud: Cloud, cameras: Sequence[tuple[CameraIntrinsics, RigidTransform]], *, z_is_up: bool, comment: str
) -> bytes:
    """The cloud and its cameras as binary glTF, turned so that a viewer shows it upright.

    Args:
        cloud: in the world's frame.
        cameras: of the same frame; drawn from blue (first) to red (last).
        z_is_up: the world is a map; otherwise it is an optical frame, whose y axis points down.
        comment: frame and unit, for the file's extras.

    Returns:
        The file's bytes.
    """
    trimesh = _trimesh()
    scene = trimesh.Scene(metadata={"comment": comment})
    turn = GLTF_T_MAP if z_is_up else GLTF_T_OPTICAL
    if len(cloud.xyz):
        points = trimesh.PointCloud(cloud.xyz, colors=_opaque(cloud.rgb))
        scene.add_geometry(points, node_name="points", geom_name="points", transform=turn)
    chosen = np.linspace(0, len(cameras) - 1, min(len(cameras), MAX_PYRAMIDS)).round().astype(int) if cameras else []
    side = _pyramid_depth(cloud, cameras)
    for number in chosen:
        share = number / max(1, len(cameras) - 1)
        mesh = _pyramid(trimesh, *cameras[number], depth=side, share=share)
        name = f"camera {number}"
        scene.add_geometry(mesh, node_name=name, geom_name=name, transform=turn)
    if not scene.geometry:
        raise InputError("GLB: neither a point nor a camera is known; there is nothing to write.")
    stream = io.BytesIO(scene.export(file_type="glb"))
    return stream.getvalue()


def _opaque(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colours with an alpha channel."""
    return np.concatenate([rgb, np.full((len(rgb), 1), 255, np.uint8)], axis=1)


def _pyramid_depth(cloud: Cloud, cameras: Sequence[tuple[CameraIntrinsics, RigidTransform]]) -> float:
    """How long the pyramids are: a share of how far things are from the first camera."""
    if not cameras or not len(cloud.xyz):
        return 0.1
    return PYRAMID_SHARE * float(np.median(np.linalg.norm(cloud.xyz - cameras[0][1].translation, axis=1)))


def _pyramid(trimesh: Any, k: CameraIntrinsics, pose: RigidTransform, *, depth: float, share: float) -> Any:
    """A camera as a pyramid without bottom, seen from both sides; its top edge has a small roof, so that up shows."""
    left, right = -(k.cx + 0.5) / k.fx, (k.width - 0.5 - k.cx) / k.fx
    top, bottom = -(k.cy + 0.5) / k.fy, (k.height - 0.5 - k.cy) / k.fy
    roof = [(left + right) / 2, top - 0.3 * (bottom - top), 1]
    ground = [[left, top, 1], [right, top, 1], [right, bottom, 1], [left, bottom, 1]]
    corners: FloatArray = depth * np.array([[0, 0, 0], *ground, roof])
    sides = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 1], [1, 5, 2]])
    color = [round(40 + 200 * share), 60, round(240 - 200 * share), 255]
    faces = np.concatenate([sides, sides[:, ::-1]])
    return trimesh.Trimesh(pose.apply(corners), faces, face_colors=np.tile(color, (len(faces), 1)), process=False)


def _trimesh() -> Any:
    """The library, imported when the first cloud is written."""
    try:
        import trimesh
    except ImportError as error:
        raise ConfigurationError(
            "Point clouds need trimesh, which is not installed: `make setup` or pip install trimesh; or leave glb and "
            "ply out of --format."
        ) from error
    return trimesh
