"""Losses of the monocular networks: aligned depth global and local, gradients, normals, and masks.

Depth is right up to scale and shift: it is aligned to the truth by weighted L1 before it is compared, once for the
whole image and once for spheres around single points (MoGe, arXiv 2410.19115, section 3.2). The paper's weights:
gradients 0.5, all else 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from model_training.depth.losses import gradient_loss, with_total
from model_training.depth.masked import known, masked_mean
from model_training.depth.robust_alignment import LEAST_POINTS, l1_scale_shift
from model_training.depth.targets import pixel_directions
from n3d_ros.settings import check, number

LEAST_DEPTH = 1e-3  # weights are 1 / depth
TINY = 1e-12  # keeps the length of a vanishing normal differentiable
SPHERE_SHARES = (1 / 4, 1 / 16)  # radii of the local spheres, as a share of half the image diagonal at the anchor


@dataclass(frozen=True, slots=True, kw_only=True)
class MonocularLossConfig:
    """Weights of the losses of teacher, monocular and metric student.

    Args:
        depth: of the globally aligned depth loss, or of plain L1 with ``align`` off.
        local_depth: of the locally aligned depth loss.
        gradient: of the loss on finite differences of aligned depth.
        normal: of the loss on surface normals.
        sky: of the squared error of the sky map.
        objects: of the squared error of the object map; the map is a training-time output only.
        align: scale and shift are found before comparing (teacher, monocular); off: depth is metric (metric student).
        align_pixels: pixels drawn to find scale and shift; the solver is quadratic in them.
        local_anchors: spheres of each radius and image.
    """

    depth: float = number(1.0, "weight of the aligned depth loss", minimum=0, maximum=1000)
    local_depth: float = number(1.0, "weight of the locally aligned depth loss", minimum=0, maximum=1000)
    gradient: float = number(0.5, "weight of the gradient loss", minimum=0, maximum=1000)
    normal: float = number(1.0, "weight of the normal loss", minimum=0, maximum=1000)
    sky: float = number(1.0, "weight of the sky loss", minimum=0, maximum=1000)
    objects: float = number(0.0, "weight of the object loss", minimum=0, maximum=1000)
    align: bool = True
    align_pixels: int = number(128, "pixels to find scale and shift from", minimum=8, maximum=2048)
    local_anchors: int = number(4, "spheres of each radius and image", minimum=1, maximum=64)

    def __post_init__(self) -> None:
        """Checks every weight."""
        check(self, "losses")


def drawn(mask: Tensor, count: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """(R, count) indices of pixels drawn from each row's mask without repetition, and which of them are in it.

    Args:
        mask: (R, P) bool.
        count: pixels wanted; at most P are given.
        generator: source of chance, on the CPU.

    Returns:
        Indices, and bool: false where a row has fewer.
    """
    keys = torch.rand(mask.shape, generator=generator).to(mask.device)
    keys = torch.where(mask, keys, -1.0)
    values, indices = keys.topk(min(count, mask.shape[1]), dim=1)
    return indices, values >= 0


def aligned(
    predicted: Tensor, true: Tensor, mask: Tensor, count: int, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Predictions moved onto the truth by one scale and shift for each row, and which rows could be.

    Args:
        predicted: (R, P).
        true: (R, P), anything outside ``mask``.
        mask: (R, P) bool.
        count: pixels drawn for the solver.
        generator: source of chance.

    Returns:
        (R, P) aligned predictions, differentiable with scale and shift held fixed, and (R,) bool.
    """
    indices, there = drawn(mask, count, generator)
    y = known(true, mask).gather(1, indices)
    weight = torch.where(there, 1 / y.clamp(min=LEAST_DEPTH), 0.0)
    scale, shift, found = l1_scale_shift(predicted.detach().gather(1, indices), y, weight)
    return predicted * scale[:, None] + shift[:, None], found & (there.sum(dim=1) >= LEAST_POINTS)


def relative_l1(aligned_depth: Tensor, true: Tensor, mask: Tensor) -> Tensor:
    """Mean over the mask of |predicted - true| / true.

    Args:
        aligned_depth: any shape.
        true: the same, anything outside ``mask``.
        mask: bool.

    Returns:
        A scalar.
    """
    y = known(true, mask)
    return masked_mean((aligned_depth - y).abs() / y.clamp(min=LEAST_DEPTH), mask)


def global_depth_loss(
    depth: Tensor, true: Tensor, valid: Tensor, count: int, generator: torch.Generator | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Relative L1 after one alignment for each image.

    Args:
        depth: (N, H, W) predicted.
        true: (N, H, W).
        valid: (N, H, W) bool.
        count: pixels drawn for the solver.
        generator: source of chance.

    Returns:
        The loss, the aligned depth (N, H, W), and the mask of pixels of images that could be aligned.
    """
    flat, found = aligned(depth.flatten(1), true.flatten(1), valid.flatten(1), count, generator)
    moved, mask = flat.view_as(depth), valid & found[:, None, None]
    return relative_l1(moved, true, mask), moved, mask


def local_depth_loss(
    depth: Tensor,
    true: Tensor,
    valid: Tensor,
    intrinsics: Tensor,
    config: MonocularLossConfig,
    generator: torch.Generator | None,
) -> Tensor:
    """Relative L1 after an alignment for each of some spheres around drawn points: fine shape, whatever the rest does.

    Args:
        depth: (N, H, W) predicted.
        true: (N, H, W).
        valid: (N, H, W) bool.
        intrinsics: (N, 3, 3).
        config: how many spheres, how many pixels.
        generator: source of chance.

    Returns:
        A scalar.
    """
    height, width = depth.shape[-2:]
    points = (pixel_directions(intrinsics, height, width) * known(true, valid)[..., None]).flatten(1, 2)
    focal = (intrinsics[:, 0, 0] + intrinsics[:, 1, 1]) / 2
    half_diagonal = (height**2 + width**2) ** 0.5 / (2 * focal)
    total = depth.new_zeros(())
    for share in SPHERE_SHARES:
        anchors, there = drawn(valid.flatten(1), config.local_anchors, generator)
        center = points.gather(1, anchors[..., None].expand(-1, -1, 3))
        radius = share * half_diagonal[:, None] * center[..., 2]
        inside = torch.cdist(center, points) < radius[..., None]
        mask = (inside & valid.flatten(1)[:, None] & there[..., None]).flatten(0, 1)
        rows = mask.shape[0] // depth.shape[0]
        predicted = depth.flatten(1).repeat_interleave(rows, dim=0)
        y = true.flatten(1).repeat_interleave(rows, dim=0)
        moved, found = aligned(predicted, y, mask, config.align_pixels, generator)
        total = total + relative_l1(moved, y, mask & found[:, None])
    return total / len(SPHERE_SHARES)


def four_normals(points: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Unnormalised normals from a pixel's neighbours: right x down, down x left, left x up, up x right.

    Args:
        points: (N, H, W, 3).
        valid: (N, H, W) bool.

    Returns:
        (N, H - 2, W - 2, 4, 3), and (N, H - 2, W - 2) bool: the pixel and all its neighbours are valid.
    """
    middle = points[:, 1:-1, 1:-1]
    ways = [points[:, 1:-1, 2:], points[:, 2:, 1:-1], points[:, 1:-1, :-2], points[:, :-2, 1:-1]]
    right, down, left, up = (way - middle for way in ways)
    pairs = [(right, down), (down, left), (left, up), (up, right)]
    normals = torch.stack([torch.linalg.cross(a, b) for a, b in pairs], dim=-2)
    mask = valid[:, 1:-1, 1:-1] & valid[:, 1:-1, 2:] & valid[:, 2:, 1:-1] & valid[:, 1:-1, :-2] & valid[:, :-2, 1:-1]
    return normals, mask


def length(vectors: Tensor) -> Tensor:
    """(...) lengths of (..., 3) vectors, with a finite gradient at 0."""
    return (vectors.square().sum(dim=-1) + TINY).sqrt()


def mean_normal(normals: Tensor) -> Tensor:
    """(..., 3) sum of w_i n_i / |n_i| with w_i = sum_j |n_j| - |n_i|: small triangles count most.

    Args:
        normals: (..., 4, 3).

    Returns:
        Not of length one.
    """
    lengths = length(normals)
    weights = lengths.sum(dim=-1, keepdim=True) - lengths
    return (normals * (weights / lengths)[..., None]).sum(dim=-2)


def angle(first: Tensor, second: Tensor) -> Tensor:
    """Radians between vectors, 0 to pi, with a bounded gradient (atan2 instead of acos).

    Args:
        first: (..., 3).
        second: (..., 3).

    Returns:
        (...).
    """
    return torch.atan2(length(torch.linalg.cross(first, second)), (first * second).sum(dim=-1))


def normal_loss(depth: Tensor, true: Tensor, valid: Tensor, intrinsics: Tensor) -> Tensor:
    """Angle of the mean normals plus the angles of the four, radians.

    Args:
        depth: (N, H, W) aligned prediction.
        true: (N, H, W).
        valid: (N, H, W) bool.
        intrinsics: (N, 3, 3).

    Returns:
        A scalar.
    """
    rays = pixel_directions(intrinsics, depth.shape[-2], depth.shape[-1])
    mine, mask = four_normals(rays * depth[..., None], valid)
    theirs, _ = four_normals(rays * known(true, valid)[..., None], valid)
    # Directions do not depend on size; cross products of millimetres would drown in TINY.
    size = length(theirs).mean(dim=-1, keepdim=True)[..., None].clamp(min=1e-9)
    mine, theirs = mine / size, theirs / size
    error = angle(mean_normal(mine), mean_normal(theirs)) + angle(mine, theirs).sum(dim=-1)
    return masked_mean(error, mask)


def mask_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Mean squared error of a map against a mask.

    Args:
        predicted: any shape.
        true: bool of the same shape.

    Returns:
        A scalar.
    """
    return functional.mse_loss(predicted, true.to(predicted.dtype))


def monocular_losses(
    config: MonocularLossConfig,
    *,
    depth: Tensor,
    sky: Tensor | None,
    objects: Tensor | None,
    true: Tensor,
    valid: Tensor,
    true_sky: Tensor,
    true_objects: Tensor,
    intrinsics: Tensor,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """Every term that has a weight, unweighted, and their weighted sum as "total".

    Args:
        config: weights.
        depth: (N, H, W) predicted.
        sky: (N, H, W) predicted, about 1 on sky; None for a network without.
        objects: (N, h, w) predicted; None for a network without.
        true: (N, H, W) depth in the unit to learn, anything outside ``valid``.
        valid: (N, H, W) bool.
        true_sky: (N, H, W) bool.
        true_objects: (N, h, w), share of each cell that shows loose objects.
        intrinsics: (N, 3, 3) pixels from the corner.
        generator: source of chance for the pixels drawn.

    Returns:
        Scalars by name.
    """
    parts: dict[str, Tensor] = {}
    moved, mask = depth, valid
    if config.align:
        parts["depth"], moved, mask = global_depth_loss(depth, true, valid, config.align_pixels, generator)
        if config.local_depth > 0:
            parts["local_depth"] = local_depth_loss(depth, true, valid, intrinsics, config, generator)
    else:
        parts["depth"] = masked_mean((depth - known(true, valid)).abs(), valid)
    parts["gradient"] = gradient_loss(moved, true, mask)
    if config.normal > 0:
        parts["normal"] = normal_loss(moved, true, mask, intrinsics)
    if sky is not None:
        parts["sky"] = mask_loss(sky, true_sky)
    if objects is not None:
        parts["objects"] = mask_loss(objects, true_objects)
    return with_total(config, parts)
