"""What a network should say of a batch of views: depth, rays and cameras in one common scale.

The world is the camera frame of each sample's first view. One scale per sample, the mean distance of the valid world
points from the first camera, divides depth, ray origins and translations (paper, section on training). Camera matrices
count pixels from the image's corner, as the network does: the centre of the first pixel is (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from n3d_ros.depth.config import PATCH
from n3d_ros.depth.metric import CANONICAL_FOCAL_PX

RAY_CELLS_PER_PATCH = 8  # the ray head answers on a grid of 8 cells to a patch of 14 px
LEAST_SCALE_M = 1e-3  # a sample without valid depth has no scale; this keeps it finite, and its mask is empty anyway


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Views of B samples with S views each, as tensors of one device.

    Args:
        images: (B, S, 3, H, W) float32, normalised with ImageNet's mean and deviation.
        depth: (B, S, H, W) float32 z-depth in metres, 0 outside ``valid``.
        valid: (B, S, H, W) bool, where depth is known.
        sky: (B, S, H, W) bool.
        objects: (B, S, H, W) bool.
        intrinsics: (B, S, 3, 3) float32, pixels from the image's corner.
        c2w: (B, S, 4, 4) float32, metres, the first view's camera as world; identity where poses are unknown.
        posed: (B,) bool, whether a sample's poses are known.
        labels: (B, S, H, W) float32 teacher's depth in metres, 0 where it says nothing; None without labels.
    """

    images: Tensor
    depth: Tensor
    valid: Tensor
    sky: Tensor
    objects: Tensor
    intrinsics: Tensor
    c2w: Tensor
    posed: Tensor
    labels: Tensor | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on a device.

        Args:
            device: as torch names it.

        Returns:
            A new batch.
        """
        moved = {f.name: getattr(self, f.name) for f in fields(self)}
        return Batch(**{k: None if v is None else v.to(device, non_blocking=True) for k, v in moved.items()})

    def with_labels_as_depth(self) -> Batch:
        """The batch whose depth is the teacher's, where there are labels; its valid pixels are those it spoke of.

        Returns:
            A new batch, or the same without labels.
        """
        if self.labels is None:
            return self
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return Batch(**(values | {"depth": self.labels, "valid": self.labels > 0}))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Targets:
    """A batch's truth in the network's own unit.

    Args:
        scale_m: (B,) metres of one unit.
        depth: (B, S, H, W), 0 outside ``valid``.
        valid: (B, S, H, W) bool.
        rays: (B, S, h, w, 6): 0:3 direction in the world with z = 1 in its camera, 3:6 origin.
        cell_depth: (B, S, h, w) depth at the pixel under each ray cell.
        cell_valid: (B, S, h, w) bool.
        w2c: (B, S, 4, 4) world to camera.
        posed: (B,) bool.
    """

    scale_m: Tensor
    depth: Tensor
    valid: Tensor
    rays: Tensor
    cell_depth: Tensor
    cell_valid: Tensor
    w2c: Tensor
    posed: Tensor


def camera_directions(intrinsics: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(..., len(y), len(x), 3) directions K^-1 (x, y, 1) in the camera, z = 1.

    Args:
        intrinsics: (..., 3, 3), in the same pixel convention as x and y.
        x: (w,) pixels.
        y: (h,) pixels.

    Returns:
        Directions.
    """
    fx, fy = intrinsics[..., 0, 0], intrinsics[..., 1, 1]
    cx, cy = intrinsics[..., 0, 2], intrinsics[..., 1, 2]
    across = (x - cx[..., None]) / fx[..., None]
    down = (y - cy[..., None]) / fy[..., None]
    shape = (*across.shape[:-1], len(y), len(x))
    return torch.stack(
        [across[..., None, :].expand(shape), down[..., :, None].expand(shape), across.new_ones(shape)], dim=-1
    )


def pixel_directions(intrinsics: Tensor, height: int, width: int) -> Tensor:
    """(..., H, W, 3) camera directions of all pixel centres.

    Args:
        intrinsics: (..., 3, 3) pixels from the corner.
        height: pixels.
        width: pixels.

    Returns:
        Directions with z = 1.
    """
    x = torch.arange(width, device=intrinsics.device, dtype=intrinsics.dtype) + 0.5
    y = torch.arange(height, device=intrinsics.device, dtype=intrinsics.dtype) + 0.5
    return camera_directions(intrinsics, x, y)


def cell_centers(pixels: int, device: torch.device | str = "cpu") -> Tensor:
    """(8 * pixels / 14,) positions of the ray cells' centres along a side, pixels from the corner.

    Args:
        pixels: length of the side, a multiple of 14.
        device: where.

    Returns:
        Positions.
    """
    count = pixels // PATCH * RAY_CELLS_PER_PATCH
    return (torch.arange(count, device=device, dtype=torch.float32) + 0.5) * (pixels / count)


def at_cells(values: Tensor) -> Tensor:
    """(..., h, w) values of the pixels in which the ray cells' centres lie.

    Args:
        values: (..., H, W).

    Returns:
        One value per ray cell.
    """
    rows = cell_centers(values.shape[-2], values.device).long()
    columns = cell_centers(values.shape[-1], values.device).long()
    return values[..., rows, :][..., columns]


def rotated(matrices: Tensor, vectors: Tensor) -> Tensor:
    """(B, S, h, w, 3) vectors turned by each view's rotation.

    Args:
        matrices: (B, S, 3 or 4, 3 or 4).
        vectors: (B, S, h, w, 3).

    Returns:
        The turned vectors.
    """
    return torch.einsum("bsij,bshwj->bshwi", matrices[..., :3, :3], vectors)


def world_points(depth: Tensor, intrinsics: Tensor, c2w: Tensor) -> Tensor:
    """(B, S, H, W, 3) points in the world.

    Args:
        depth: (B, S, H, W) z-depth.
        intrinsics: (B, S, 3, 3).
        c2w: (B, S, 4, 4), translation in the unit of the depth.

    Returns:
        Points in that unit.
    """
    rays = rotated(c2w, pixel_directions(intrinsics, depth.shape[-2], depth.shape[-1]))
    return rays * depth[..., None] + c2w[..., None, None, :3, 3]


def scene_scale(batch: Batch) -> Tensor:
    """(B,) metres: mean distance of each sample's valid world points from its first camera.

    Args:
        batch: the views.

    Returns:
        The scale, at least a millimetre.
    """
    distance = world_points(batch.depth, batch.intrinsics, batch.c2w).norm(dim=-1)
    total = torch.where(batch.valid, distance, 0.0).sum(dim=(1, 2, 3))
    mean = total / batch.valid.sum(dim=(1, 2, 3)).clamp(min=1)
    return mean.clamp(min=LEAST_SCALE_M)


def inverted(transforms: Tensor) -> Tensor:
    """(..., 4, 4) inverses of rigid transforms.

    Args:
        transforms: (..., 4, 4).

    Returns:
        The inverses.
    """
    rotation = transforms[..., :3, :3].transpose(-1, -2)
    translation = -(rotation @ transforms[..., :3, 3:])
    inverse = torch.zeros_like(transforms)
    inverse[..., :3, :3], inverse[..., :3, 3:], inverse[..., 3, 3] = rotation, translation, 1.0
    return inverse


def targets_of(batch: Batch) -> Targets:
    """The truth in the network's unit.

    Args:
        batch: views with poses; samples without are marked.

    Returns:
        Targets.
    """
    scale = scene_scale(batch)
    c2w = batch.c2w.clone()
    c2w[..., :3, 3] = c2w[..., :3, 3] / scale[:, None, None]
    depth = batch.depth / scale[:, None, None, None]
    height, width = depth.shape[-2:]
    x, y = cell_centers(width, depth.device), cell_centers(height, depth.device)
    direction = rotated(c2w, camera_directions(batch.intrinsics, x, y))
    origin = c2w[..., None, None, :3, 3].expand_as(direction)
    return Targets(
        scale_m=scale,
        depth=depth,
        valid=batch.valid,
        rays=torch.cat([direction, origin], dim=-1),
        cell_depth=at_cells(depth),
        cell_valid=at_cells(batch.valid),
        w2c=inverted(c2w),
        posed=batch.posed,
    )


def canonical_depth(depth_m: Tensor, intrinsics: Tensor) -> Tensor:
    """Depth as a camera of focal length 300 px would see it: what the metric model learns.

    Args:
        depth_m: (..., H, W) metres.
        intrinsics: (..., 3, 3) in pixels of the image as the network gets it.

    Returns:
        depth_m * 300 / f with f the mean of fx and fy.
    """
    focal = (intrinsics[..., 0, 0] + intrinsics[..., 1, 1]) / 2
    return depth_m * (CANONICAL_FOCAL_PX / focal)[..., None, None]
