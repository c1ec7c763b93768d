"""One surface from many depth images: truncated signed distances on a sparse grid, by Open3D (the extra [eval])."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from n3d_ros.depth.evaluation.surfaces import Surface
from n3d_ros.errors import ConfigurationError, InputError
from n3d_ros.geometry.arrays import Float32Array
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform

BLOCK_VOXELS = 16  # along an edge of the blocks in which the sparse grid is stored
FIRST_BLOCKS = 4096  # room at the start; it grows
MAX_BLOCKS = 60_000  # of 32 kB each, about 2 GB: a house at voxels of 8 mm; more is a wrong unit or a wild depth
# A voxel takes the depth of the pixel whose number is its projection without the fraction. Our pixels are centred on
# whole numbers, so without the halves every surface would be seen half a pixel up and to the left.
HALF_PIXEL = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
FAR_M = 1e4  # stands for "no limit of depth"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DepthView:
    """A depth image with its camera.

    Args:
        depth_m: (H, W) float32 z-depth, metres, NaN for none.
        intrinsics: of that image.
        world_T_camera: metres.
    """

    depth_m: Float32Array
    intrinsics: CameraIntrinsics
    world_T_camera: RigidTransform


def require_open3d() -> Any:
    """The module open3d.

    Returns:
        The module.

    Raises:
        ConfigurationError: it is not installed, or does not load.
    """
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise ConfigurationError(
            f"Reconstruction needs Open3D ({error}). Install it with `make setup EVAL=1` in a checkout, or "
            "`pip install 'n3d_ros[eval]'` and libusb-1.0-0 from the system; or leave it out: --no-reconstruction."
        ) from error
    return open3d


def fuse(
    views: Iterable[DepthView],
    *,
    voxel_m: float,
    truncation_m: float,
    max_depth_m: float | None = None,
    max_blocks: int = MAX_BLOCKS,
) -> Surface:
    """The surface that depth images show together (Curless and Levoy 1996), every observed voxel counting.

    Args:
        views: taken one by one.
        voxel_m: edge of a voxel.
        truncation_m: of the signed distance.
        max_depth_m: depth beyond it is left out.
        max_blocks: of 16 x 16 x 16 voxels that may be filled.

    Returns:
        The zero level of the signed distance, in the world frame; empty where no view has depth.

    Raises:
        ConfigurationError: Open3D is not installed.
        InputError: a surface too large for such small voxels.
    """
    open3d = require_open3d()
    grid = _Grid(open3d, voxel_m, truncation_m / voxel_m, max_depth_m or FAR_M, max_blocks)
    for view in views:
        grid.integrate(view)
    return grid.surface()


class _Grid:
    """Open3D's voxel block grid with the calls that are needed here."""

    def __init__(
        self, open3d: Any, voxel_m: float, truncation_voxels: float, max_depth_m: float, max_blocks: int
    ) -> None:
        self._o3d, self._core = open3d, open3d.core
        self._voxel_m, self._truncation = voxel_m, truncation_voxels
        self._max_depth_m, self._max_blocks = max_depth_m, max_blocks
        self._filled = False
        self._volume = open3d.t.geometry.VoxelBlockGrid(
            attr_names=("tsdf", "weight"),
            attr_dtypes=(self._core.float32, self._core.float32),
            attr_channels=((1), (1)),
            voxel_size=voxel_m,
            block_resolution=BLOCK_VOXELS,
            block_count=FIRST_BLOCKS,
            device=self._core.Device("CPU:0"),  # the same surface everywhere
        )

    def integrate(self, view: DepthView) -> None:
        """Nothing; adds a view."""
        depth = np.nan_to_num(view.depth_m, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)
        depth[(depth < 0) | (depth > self._max_depth_m)] = 0
        if not depth.any():
            return
        image = self._o3d.t.geometry.Image(self._core.Tensor(np.ascontiguousarray(depth)))
        intrinsics = self._core.Tensor(view.intrinsics.matrix + HALF_PIXEL)
        extrinsics = self._core.Tensor(np.ascontiguousarray(view.world_T_camera.inverse().matrix))
        limits = (1.0, self._max_depth_m, self._truncation)  # depth is in metres already
        blocks = self._volume.compute_unique_block_coordinates(image, intrinsics, extrinsics, *limits)
        self._refuse_too_many(int(self._volume.hashmap().size()), int(blocks.shape[0]), float(depth.max()))
        self._volume.integrate(blocks, image, intrinsics, extrinsics, *limits)
        self._filled = True

    def _refuse_too_many(self, present: int, wanted: int, farthest_m: float) -> None:
        if max(present, wanted) > self._max_blocks:
            raise InputError(
                f"Reconstruction: depth up to {farthest_m:.3g} m fills more than {self._max_blocks} blocks of "
                f"{BLOCK_VOXELS} voxels of {self._voxel_m:g} m. Choose settings with larger voxels or a largest depth, "
                "and check the unit of the depth."
            )

    def surface(self) -> Surface:
        """The zero level."""
        empty = Surface(vertices=np.empty((0, 3)), triangles=np.empty((0, 3), dtype=np.int64))
        if not self._filled:
            return empty
        mesh = self._volume.extract_triangle_mesh(weight_threshold=0.0)
        if mesh.is_empty():
            return empty
        return Surface(
            vertices=mesh.vertex.positions.numpy().astype(np.float64),
            triangles=mesh.triangle.indices.numpy().astype(np.int64),
        )
