"""Losses of the any-view student: depth with confidence, rays, points, cameras and gradients, all L1 (paper, eq. 3).

The paper does not give the confidence's weight; 0.2 is that of DUSt3R (arXiv 2312.14132, eq. 4). It weights depth
only; here the same form may weight rays as well (``ray_confidence``), since the ray head's own confidence would stay
untrained otherwise, and whoever reads cameras from rays weights by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from model_training.depth.masked import differences, known, masked_mean
from model_training.depth.targets import Targets, at_cells
from n3d_ros.settings import check, number


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentLossConfig:
    """Weights of the any-view losses.

    Args:
        depth: of the confidence-weighted depth loss.
        confidence: lambda_c of the term -lambda_c log(confidence).
        ray: of the ray loss.
        ray_confidence: whether rays are weighted by their confidence as depth is.
        point: of the loss on points, depth times direction plus origin.
        camera: of the loss on the nine numbers of the camera decoder, the paper's beta.
        gradient: of the loss on finite differences of depth, the paper's alpha.
    """

    depth: float = number(1.0, "weight of the depth loss", minimum=0, maximum=1000)
    confidence: float = number(0.2, "lambda_c of the confidence", minimum=0, maximum=1000)
    ray: float = number(1.0, "weight of the ray loss", minimum=0, maximum=1000)
    ray_confidence: bool = True
    point: float = number(1.0, "weight of the point loss", minimum=0, maximum=1000)
    camera: float = number(1.0, "weight of the camera loss", minimum=0, maximum=1000)
    gradient: float = number(1.0, "weight of the gradient loss", minimum=0, maximum=1000)

    def __post_init__(self) -> None:
        """Checks every weight."""
        check(self, "losses")


def confident(error: Tensor, confidence: Tensor, mask: Tensor, weight: float) -> Tensor:
    """Mean over the mask of confidence * error - weight * log(confidence).

    Args:
        error: 0 and more.
        confidence: of the same shape, 1 and more.
        mask: bool of the same shape.
        weight: lambda_c.

    Returns:
        A scalar.
    """
    return masked_mean(confidence * error - weight * confidence.log(), mask)


def depth_loss(depth: Tensor, confidence: Tensor, true: Tensor, valid: Tensor, weight: float) -> Tensor:
    """Confidence-weighted L1 of depth.

    Args:
        depth: (..., H, W) predicted.
        confidence: (..., H, W), 1 and more.
        true: (..., H, W), anything outside ``valid``.
        valid: (..., H, W) bool.
        weight: lambda_c.

    Returns:
        A scalar.
    """
    return confident((depth - known(true, valid)).abs(), confidence, valid, weight)


def gradient_loss(depth: Tensor, true: Tensor, valid: Tensor) -> Tensor:
    """L1 between finite differences along x and y, where both pixels are valid.

    Args:
        depth: (..., H, W) predicted.
        true: (..., H, W), anything outside ``valid``.
        valid: (..., H, W) bool.

    Returns:
        A scalar: the sum of both means.
    """
    (along_x, mask_x), (along_y, mask_y) = differences(depth - known(true, valid), valid)
    return masked_mean(along_x.abs(), mask_x) + masked_mean(along_y.abs(), mask_y)


def ray_loss(rays: Tensor, confidence: Tensor | None, true: Tensor, posed: Tensor, weight: float) -> Tensor:
    """L1 of directions and origins, mean over the six numbers.

    Args:
        rays: (B, S, h, w, 6) predicted.
        confidence: (B, S, h, w), 1 and more; None: not weighted.
        true: (B, S, h, w, 6).
        posed: (B,) bool, samples that have poses.
        weight: lambda_c.

    Returns:
        A scalar.
    """
    mask = posed[:, None, None, None].expand(rays.shape[:-1])
    error = (rays - known(true, mask[..., None])).abs().mean(dim=-1)
    return masked_mean(error, mask) if confidence is None else confident(error, confidence, mask, weight)


def point_loss(depth: Tensor, rays: Tensor, targets: Targets) -> Tensor:
    """L1 between the points of predicted depth and rays and the true ones, at the ray cells.

    Args:
        depth: (B, S, H, W) predicted.
        rays: (B, S, h, w, 6) predicted.
        targets: the truth.

    Returns:
        A scalar.
    """
    mask = targets.cell_valid & targets.posed[:, None, None, None]
    true = targets.cell_depth[..., None] * targets.rays[..., :3] + targets.rays[..., 3:]
    points = at_cells(depth)[..., None] * rays[..., :3] + rays[..., 3:]
    return masked_mean((points - known(true, mask[..., None])).abs(), mask[..., None])


def camera_loss(encoding: Tensor, true: Tensor, posed: Tensor) -> Tensor:
    """L1 of the pose encoding: translation 3, quaternion 4, fields of view 2.

    A quaternion and its negative are one rotation: the true one takes the sign that is nearer.

    Args:
        encoding: (B, S, 9) predicted.
        true: (B, S, 9).
        posed: (B,) bool.

    Returns:
        A scalar.
    """
    mask = posed[:, None, None]
    true = known(true, mask)
    agreement = (encoding[..., 3:7].detach() * true[..., 3:7]).sum(dim=-1, keepdim=True)
    quaternion = torch.where(agreement < 0, -true[..., 3:7], true[..., 3:7])
    nearest = torch.cat([true[..., :3], quaternion, true[..., 7:]], dim=-1)
    return masked_mean((encoding - nearest).abs(), mask)


def with_total(config: object, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The terms that have a weight, unweighted, and their weighted sum as "total".

    Args:
        config: its fields of the same names are the weights.
        parts: scalars by name; at least one.

    Returns:
        Scalars by name.
    """
    weighed = {name: value for name, value in parts.items() if getattr(config, name) > 0}
    zero = next(iter(parts.values())).new_zeros(())
    return weighed | {"total": sum((getattr(config, name) * value for name, value in weighed.items()), zero)}


def student_losses(
    config: StudentLossConfig,
    *,
    depth: Tensor,
    confidence: Tensor,
    rays: Tensor | None,
    ray_confidence: Tensor | None,
    encoding: Tensor | None,
    true_encoding: Tensor,
    targets: Targets,
) -> dict[str, Tensor]:
    """Every term that has a weight, unweighted, and their weighted sum as "total".

    Args:
        config: weights.
        depth: (B, S, H, W) predicted.
        confidence: (B, S, H, W).
        rays: (B, S, h, w, 6); None when the ray branch was not asked for.
        ray_confidence: (B, S, h, w) or None.
        encoding: (B, S, 9) or None.
        true_encoding: (B, S, 9).
        targets: the truth.

    Returns:
        Scalars by name.
    """
    parts = {
        "depth": depth_loss(depth, confidence, targets.depth, targets.valid, config.confidence),
        "gradient": gradient_loss(depth, targets.depth, targets.valid),
    }
    if rays is not None:
        weights = ray_confidence if config.ray_confidence else None
        parts["ray"] = ray_loss(rays, weights, targets.rays, targets.posed, config.confidence)
        parts["point"] = point_loss(depth, rays, targets)
    if encoding is not None:
        parts["camera"] = camera_loss(encoding, true_encoding, targets.posed)
    return with_total(config, parts)
