"""Losses of the any-view student, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch", reason="torch (make setup MODEL=1) is not installed")

import torch

from model_training.depth.losses import (
    StudentLossConfig,
    camera_loss,
    depth_loss,
    gradient_loss,
    point_loss,
    ray_loss,
    student_losses,
)
from model_training.depth.masked import masked_mean
from model_training.depth.targets import Targets
from n3d_ros.errors import ConfigurationError

NAN = float("nan")


def flat_targets(*, views: int = 1, depth: float = 2.0, posed: bool = True) -> Targets:
    """A wall at one depth whose every ray is the optical axis, from the world's origin; one patch, 8 x 8 ray cells."""
    rays = torch.zeros(1, views, 8, 8, 6)
    rays[..., 2] = 1.0
    field = torch.full((1, views, 14, 14), depth)
    cells = torch.full((1, views, 8, 8), depth)
    yes = torch.ones(1, views, 14, 14, dtype=torch.bool)
    return Targets(
        scale_m=torch.ones(1),
        depth=field,
        valid=yes,
        rays=rays,
        cell_depth=cells,
        cell_valid=yes[..., :8, :8],
        w2c=torch.eye(4).expand(1, views, 4, 4),
        posed=torch.tensor([posed]),
    )


def test_depth_is_weighted_by_confidence_and_pays_for_it() -> None:
    depth = torch.tensor([[1.0, 5.0]])
    confidence = torch.tensor([[3.0, 2.0]])
    true = torch.tensor([[2.0, NAN]])
    valid = torch.tensor([[True, False]])
    # One valid pixel: 3 * |1 - 2| - 0.2 * ln 3.
    assert depth_loss(depth, confidence, true, valid, 0.2).item() == pytest.approx(3 - 0.2 * math.log(3))


def test_a_nan_in_the_truth_reaches_no_gradient() -> None:
    depth = torch.tensor([[1.0, 5.0, 2.0]], requires_grad=True)
    true = torch.tensor([[2.0, NAN, 2.5]])
    valid = torch.tensor([[True, False, True]])
    loss = depth_loss(depth, torch.full((1, 3), 2.0), true, valid, 0.2) + gradient_loss(
        depth[None], true[None], valid[None]
    )
    loss.backward()
    assert depth.grad is not None and depth.grad.tolist() == [[-1.0, 0.0, -1.0]]


def test_a_loss_over_no_pixel_is_zero_with_a_gradient_of_zero() -> None:
    depth = torch.ones(2, 2, requires_grad=True)
    loss = masked_mean(depth, torch.zeros(2, 2, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0 and depth.grad is not None and depth.grad.abs().sum() == 0


def test_gradients_are_compared_between_valid_neighbours_only() -> None:
    depth = torch.tensor([[0.0, 1.0, 9.0], [0.0, 0.0, 9.0]])
    true = torch.tensor([[0.0, 3.0, NAN], [0.0, 0.0, NAN]])
    valid = torch.isfinite(true)
    # Along x two pairs: |(1 - 0) - (3 - 0)| = 2 and 0, mean 1. Along y two: 0 and |(0 - 1) - (0 - 3)| = 2, mean 1.
    assert gradient_loss(depth, true, valid).item() == pytest.approx(2.0)


def test_a_constant_offset_of_depth_costs_no_gradient_loss() -> None:
    true = torch.rand(2, 4, 5)
    assert gradient_loss(true + 3, true, torch.ones_like(true, dtype=torch.bool)).item() == pytest.approx(0, abs=1e-6)


def test_rays_are_the_mean_over_directions_and_origins_of_samples_with_poses() -> None:
    true = torch.zeros(2, 1, 1, 1, 6)
    true[1] = NAN
    rays = torch.full((2, 1, 1, 1, 6), 0.5)
    rays[0, ..., 0] = 3.5
    posed = torch.tensor([True, False])
    # (3.5 + 5 * 0.5) / 6 = 1.
    assert ray_loss(rays, None, true, posed, 0.2).item() == pytest.approx(1.0)
    weighted = ray_loss(rays, torch.full((2, 1, 1, 1), 2.0), true, posed, 0.2)
    assert weighted.item() == pytest.approx(2.0 - 0.2 * math.log(2))


def test_points_are_depth_times_direction_plus_origin() -> None:
    rays = torch.tensor([0.5, 0.0, 1.0, 0.0, 0.25, 0.0]).expand(1, 1, 8, 8, 6)
    depth = torch.full((1, 1, 14, 14), 3.0)
    # Predicted point (1.5, 0.25, 3), true point (0, 0, 2): L1 mean (1.5 + 0.25 + 1) / 3.
    assert point_loss(depth, rays, flat_targets()).item() == pytest.approx(2.75 / 3)
    assert point_loss(depth, rays, flat_targets(posed=False)).item() == 0


def test_a_quaternion_and_its_negative_are_the_same_rotation() -> None:
    true = torch.tensor([0.0, 0, 0, 0, 0, 0, 1, 0.5, 0.5]).view(1, 1, 9)
    opposite = true.clone()
    opposite[..., 3:7] *= -1
    posed = torch.tensor([True])
    assert camera_loss(opposite, true, posed).item() == 0
    moved = true.clone()
    moved[..., 0] = 0.9
    assert camera_loss(moved, true, posed).item() == pytest.approx(0.1)


def test_the_total_is_the_weighted_sum_and_terms_of_weight_zero_are_left_out() -> None:
    targets = flat_targets()
    encoding = torch.zeros(1, 1, 9)
    losses = student_losses(
        StudentLossConfig(depth=2.0, ray=0.0, point=3.0, camera=0.5, confidence=0.0, ray_confidence=False),
        depth=torch.full((1, 1, 14, 14), 3.0),
        confidence=torch.ones(1, 1, 14, 14),
        rays=targets.rays,
        ray_confidence=None,
        encoding=encoding,
        true_encoding=torch.ones(1, 1, 9),
        targets=targets,
    )
    assert "ray" not in losses
    # Depth off by 1; the point too, in z alone; the camera by 1 everywhere; the wall is flat.
    assert losses["total"].item() == pytest.approx(2 * 1 + 3 / 3 + 0.5 * 1)


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="gradient"):
        StudentLossConfig(gradient=-1)
