"""Alignment by L1 and RANSAC, and the losses of teacher and monocular students, on cases with known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch (make setup MODEL=1) is not installed")

import torch

from model_training.depth.robust_alignment import align_labels, l1_scale_shift
from model_training.depth.targets import pixel_directions
from model_training.depth.teacher_losses import (
    MonocularLossConfig,
    angle,
    four_normals,
    global_depth_loss,
    local_depth_loss,
    mask_loss,
    mean_normal,
    monocular_losses,
    normal_loss,
)

K = torch.tensor([[30.0, 0, 14], [0, 30, 14], [0, 0, 1]])[None]


def ramp(rows: int = 28, columns: int = 28) -> torch.Tensor:
    """(1, H, W) depth of a slanted plane with a step."""
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return (2 + 0.05 * x + 0.02 * y + (x > 14) * 0.7)[None].float()


def test_the_l1_line_ignores_a_minority_of_wrong_points() -> None:
    p = torch.linspace(1, 3, 21)[None]
    y = 2.5 * p - 0.5
    y[0, [3, 9, 15]] = torch.tensor([40.0, -7.0, 100.0])
    scale, shift, found = l1_scale_shift(p, y, torch.ones_like(p))
    assert (
        found.all() and scale.item() == pytest.approx(2.5, rel=1e-4) and shift.item() == pytest.approx(-0.5, abs=1e-3)
    )


def test_points_of_weight_zero_do_not_count() -> None:
    p, y = torch.tensor([[0.0, 1, 2, 5]]), torch.tensor([[1.0, 3, 5, float("nan")]])
    scale, shift, _ = l1_scale_shift(p, y, torch.tensor([[1.0, 1, 1, 0]]))
    assert (scale.item(), shift.item()) == pytest.approx((2.0, 1.0))


@pytest.mark.parametrize("p", [[1.0, 1, 1], [3.0, 2, 1]], ids=["constant", "falling"])
def test_no_positive_scale_is_reported_and_nothing_is_moved(p: list[float]) -> None:
    scale, shift, found = l1_scale_shift(torch.tensor([p]), torch.tensor([[1.0, 2, 3]]), torch.ones(1, 3))
    assert not found.any() and (scale.item(), shift.item()) == (1.0, 0.0)


def test_depth_right_up_to_scale_and_shift_costs_nothing_globally_and_locally() -> None:
    true, valid = ramp(), torch.ones(1, 28, 28, dtype=torch.bool)
    guess = (true - 0.3) / 4
    loss, moved, mask = global_depth_loss(guess, true, valid, 64, torch.Generator().manual_seed(0))
    assert loss.item() < 1e-4 and mask.all() and torch.allclose(moved, true, atol=1e-3)
    assert (
        local_depth_loss(guess, true, valid, K, MonocularLossConfig(), torch.Generator().manual_seed(0)).item() < 1e-4
    )


def test_a_part_at_a_wrong_offset_costs_globally_but_hardly_locally() -> None:
    true, valid = ramp(), torch.ones(1, 28, 28, dtype=torch.bool)
    guess = true.clone()
    guess[..., :15] += 0.7  # the step is gone: each side is right for itself
    config = MonocularLossConfig(local_anchors=8)
    whole, _, _ = global_depth_loss(guess, true, valid, 128, torch.Generator().manual_seed(0))
    local = local_depth_loss(guess, true, valid, K, config, torch.Generator().manual_seed(0))
    assert whole.item() > 0.05 and local.item() < whole.item() / 2


def test_normals_of_a_plane_point_to_where_its_equation_says() -> None:
    y, x = torch.meshgrid(torch.arange(5.0), torch.arange(5.0), indexing="ij")
    points = torch.stack([x, y, 4 - 0.5 * x + 0.25 * y], dim=-1)[None]
    normals, mask = four_normals(points, torch.ones(1, 5, 5, dtype=torch.bool))
    # Right x down of z = 4 - x / 2 + y / 4 is (1, 0, -1/2) x (0, 1, 1/4) = (1/2, -1/4, 1).
    assert mask.all() and torch.allclose(normals, torch.tensor([0.5, -0.25, 1.0]).expand_as(normals), atol=1e-5)


def test_the_mean_normal_weights_small_triangles_most() -> None:
    normals = torch.tensor([[2.0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]])
    # Lengths 2 1 1 1, sum 5, weights 3 4 4 4: (3, 4, 8).
    assert mean_normal(normals).tolist() == pytest.approx([3, 4, 8], rel=1e-4)


def test_angles_are_right_at_zero_ninety_and_a_hundred_and_eighty_degrees() -> None:
    a = torch.tensor([[1.0, 0, 0]] * 3, requires_grad=True)
    b = torch.tensor([[2.0, 0, 0], [0, 3, 0], [-1, 0, 0]])
    angles = angle(a, b)
    angles.sum().backward()
    assert angles.tolist() == pytest.approx([0, math.pi / 2, math.pi], abs=1e-5)
    assert a.grad is not None and torch.isfinite(a.grad).all()


def test_a_plane_seen_tilted_by_45_degrees_costs_five_times_that_angle() -> None:
    directions = pixel_directions(K, 28, 28)
    # The plane z = 2, and the plane z = 2 + x, whose normal is 45 degrees away: the mean normal and the four are off.
    frontal = torch.full((1, 28, 28), 2.0)
    tilted = 2 / (1 - directions[..., 0])
    loss = normal_loss(tilted, frontal, torch.ones(1, 28, 28, dtype=torch.bool), K)
    assert loss.item() == pytest.approx(5 * math.pi / 4, rel=1e-3)


def test_the_mask_loss_is_the_mean_squared_error() -> None:
    assert mask_loss(torch.tensor([0.5, 0.0]), torch.tensor([True, False])).item() == pytest.approx(0.125)


def test_monocular_losses_stay_finite_with_nan_truth_sky_and_an_empty_image() -> None:
    true = ramp().repeat(2, 1, 1)
    true[0, :5], true[1] = float("nan"), float("nan")
    depth = torch.rand(2, 28, 28, requires_grad=True)
    losses = monocular_losses(
        MonocularLossConfig(objects=1.0),
        depth=depth,
        sky=torch.rand(2, 28, 28),
        objects=torch.rand(2, 2, 2),
        true=true,
        valid=torch.isfinite(true),
        true_sky=~torch.isfinite(true),
        true_objects=torch.zeros(2, 2, 2),
        intrinsics=K.repeat(2, 1, 1),
        generator=torch.Generator().manual_seed(1),
    )
    losses["total"].backward()
    assert set(losses) == {"depth", "local_depth", "gradient", "normal", "sky", "objects", "total"}
    assert torch.isfinite(losses["total"]) and depth.grad is not None and torch.isfinite(depth.grad).all()
    assert depth.grad[1].abs().sum() == 0


def test_metric_depth_is_compared_as_it_is() -> None:
    true = ramp()
    config = MonocularLossConfig(align=False, normal=0, gradient=0)
    losses = monocular_losses(
        config,
        depth=true * 2,
        sky=None,
        objects=None,
        true=true,
        valid=torch.ones_like(true, dtype=torch.bool),
        true_sky=torch.zeros_like(true, dtype=torch.bool),
        true_objects=torch.zeros(1, 2, 2),
        intrinsics=K,
    )
    assert losses["total"].item() == pytest.approx(true.mean().item(), rel=1e-5)


def test_labels_are_aligned_to_sparse_noisy_depth_with_a_third_wrong() -> None:
    rng = np.random.default_rng(0)
    teacher = rng.uniform(0.5, 3.0, (40, 50))
    measured = 1.7 * teacher + 0.4 + rng.normal(0, 0.005, teacher.shape)
    wrong = rng.random(teacher.shape) < 0.33
    measured[wrong] = rng.uniform(0.5, 12, int(wrong.sum()))
    measured[rng.random(teacher.shape) < 0.8] = np.nan
    alignment = align_labels(teacher, measured, rng)
    assert alignment is not None
    assert alignment.scale == pytest.approx(1.7, abs=0.1) and alignment.shift_m == pytest.approx(0.4, abs=0.2)
    assert 0.5 < alignment.inliers / alignment.pixels < 0.95


def test_labels_that_run_against_the_measurement_are_refused() -> None:
    teacher = np.linspace(1, 2, 100).reshape(10, 10)
    assert align_labels(teacher, 5 - teacher, np.random.default_rng(0)) is None
    few = np.full((10, 10), np.nan)
    few[0, :5] = 1
    assert align_labels(teacher, few, np.random.default_rng(0)) is None
