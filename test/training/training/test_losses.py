"""The losses, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from model_training.training.config import LossConfig
from model_training.training.losses import DenseHead, Learnt, answer_losses, learnt_places


def learnt_of(targets: list[int], bins: list[int]) -> Learnt:
    count = len(targets)
    zeros = torch.zeros(count, dtype=torch.int64)
    return Learnt(rows=zeros, columns=zeros, targets=torch.tensor(targets), slots=zeros, bins=torch.tensor(bins))


def test_a_token_is_predicted_from_the_state_before_it() -> None:
    labels = torch.tensor([[-100, -100, 7, -100, 9], [-100, 3, -100, -100, -100]])
    slots, bins = torch.zeros_like(labels), torch.full_like(labels, -1)
    bins[0, 2] = 42
    learnt = learnt_places(labels, slots, bins)
    assert learnt.rows.tolist() == [0, 0, 1]
    assert learnt.columns.tolist() == [1, 3, 0]
    assert learnt.targets.tolist() == [7, 9, 3] and learnt.bins.tolist() == [42, -1, -1]


def test_without_a_spread_the_loss_is_the_cross_entropy() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)]])
    learnt = learnt_of([1], [-1])
    assert float(answer_losses(logits, learnt, None, 5.0)) == pytest.approx(math.log(4 / 3))


def test_a_soft_target_is_met_by_its_own_distribution_and_by_nothing_else() -> None:
    ids = torch.arange(1000) + 5
    bins = torch.arange(1000, dtype=torch.float32)
    logits = torch.full((3, 1005), -1e4)
    logits[0, ids] = -0.5 * ((bins - 300) / 4) ** 2  # exactly the target around 300
    logits[1, ids] = -0.5 * ((bins - 310) / 4) ** 2
    logits[2, ids] = -0.5 * ((bins - 400) / 4) ** 2
    learnt = learnt_of([305, 305, 305], [300, 300, 300])
    exact, near, far = answer_losses(logits, learnt, ids, 4.0).tolist()
    assert exact == pytest.approx(0, abs=1e-4)
    # Between two normal distributions of one spread: half the squared distance in spreads.
    assert near == pytest.approx(0.5 * (10 / 4) ** 2, rel=1e-3)
    assert far == pytest.approx(0.5 * (100 / 4) ** 2, rel=1e-3)


def test_a_soft_target_is_cut_at_the_ends_of_the_range() -> None:
    ids = torch.arange(1000)
    logits = torch.zeros(1, 1000)
    loss = answer_losses(logits, learnt_of([0], [0]), ids, 2.0)
    assert torch.isfinite(loss).all()
    weights = torch.exp(-0.5 * (torch.arange(1000) / 2.0) ** 2)
    target = weights / weights.sum()
    kept = target[target > 0]
    assert float(loss) == pytest.approx(math.log(1000) + float((kept * kept.log()).sum()), rel=1e-4)


def test_the_dense_head_learns_nothing_of_what_is_unknown() -> None:
    torch.manual_seed(0)
    head = DenseHead(8, LossConfig(dense_width=16), 4)
    tokens = torch.randn(3, 8)
    boxes = torch.rand(3, 6)
    classes = torch.tensor([2, -1, 1])
    known = torch.tensor([True, True, False])
    weights = torch.tensor([1.0, 0.0, 1.0])
    losses = head.losses(tokens, classes, boxes, known, weights)
    changed = head.losses(
        torch.cat([tokens[:2], torch.randn(1, 8)]), classes, torch.cat([boxes[:2], torch.rand(1, 6)]), known, weights
    )
    for name in losses:
        torch.testing.assert_close(losses[name], changed[name])
    nothing = head.losses(tokens, torch.full((3,), -1), boxes, torch.ones(3, dtype=torch.bool), torch.zeros(3))
    assert nothing["dense_class"].item() == nothing["dense_box"].item() == 0
    assert nothing["dense_object"].item() > 0


def test_a_large_object_counts_no_more_in_the_dense_head_than_a_small_one() -> None:
    torch.manual_seed(1)
    head = DenseHead(8, LossConfig(dense_width=16), 4)
    small, large, boxes = torch.randn(1, 8), torch.randn(1, 8), torch.rand(2, 6)

    def losses(count: int) -> dict[str, torch.Tensor]:
        """The losses of a small object beside one that has so many equal tokens."""
        return head.losses(
            torch.cat([small, large.expand(count, -1)]),
            torch.tensor([2] + count * [1]),
            torch.cat([boxes[:1], boxes[1:].expand(count, -1)]),
            torch.ones(1 + count, dtype=torch.bool),
            torch.tensor([1.0] + count * [1 / count]),
        )

    for name in ("dense_class", "dense_box"):
        torch.testing.assert_close(losses(1)[name], losses(50)[name])


def test_the_dense_heads_losses_are_weighted() -> None:
    head = DenseHead(8, LossConfig(dense=2.0, dense_object=1.0, dense_class=3.0, dense_box=5.0, dense_width=8), 4)
    parts = {"dense_object": torch.tensor(0.5), "dense_class": torch.tensor(0.25), "dense_box": torch.tensor(0.125)}
    assert float(head.weighted(parts)) == pytest.approx(2 * (0.5 + 0.75 + 0.625))
