"""Which views a step gets: token budget, resolutions, seeds, labels, threads."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch (make setup MODEL=1) is not installed")

import torch

from model_training.depth.batches import BatchPlan, BatchStream, plan_batch
from model_training.depth.shards import ShardFolder
from model_training.depth.train_config import DataConfig
from n3d_ros.errors import ConfigurationError

RESOLUTIONS = ((84, 112), (56, 84), (112, 168))


def plans(config: DataConfig, count: int = 300, *, rank: int = 0) -> list[BatchPlan]:
    return [plan_batch(config, seed=1, step=k, rank=rank, scenes=50, views_per_scene=12) for k in range(count)]


def test_batches_use_the_token_budget_and_no_more() -> None:
    config = DataConfig(resolutions=RESOLUTIONS, views_low=2, views_high=6, tokens_per_batch=1000)
    for plan in plans(config):
        tokens = plan.height * plan.width // 196
        used = len(plan.scenes) * len(plan.views[0]) * tokens
        assert used <= 1000 and used + len(plan.views[0]) * tokens > 1000


def test_small_images_come_with_more_views_and_all_sizes_are_drawn() -> None:
    config = DataConfig(resolutions=RESOLUTIONS, views_low=2, views_high=4, tokens_per_batch=1000)
    most = {size: max(len(p.views[0]) for p in plans(config) if (p.height, p.width) == size) for size in RESOLUTIONS}
    # 48, 24 and 96 patches: 4 views of 48 are 8 of 24 and 2 of 96.
    assert most == {(84, 112): 4, (56, 84): 8, (112, 168): 2}


def test_views_of_a_sample_are_different_ones() -> None:
    for plan in plans(DataConfig(views_low=3, views_high=3)):
        assert all(len(set(views)) == 3 for views in plan.views)


def test_poses_are_given_at_their_share_of_the_batches() -> None:
    given = np.mean([plan.give_poses for plan in plans(DataConfig(pose_conditioning=0.2), 1000)])
    assert given == pytest.approx(0.2, abs=0.04)


def test_labels_begin_at_their_step_and_at_their_share() -> None:
    config = DataConfig(labels_from_step=100, labels_share=0.8)
    use = [plan.use_labels for plan in plans(config, 1100)]
    assert not any(use[:100]) and np.mean(use[100:]) == pytest.approx(0.8, abs=0.04)
    assert not any(plan.use_labels for plan in plans(DataConfig()))


def test_processes_draw_different_batches() -> None:
    assert plans(DataConfig(), 5)[0] != plans(DataConfig(), 5, rank=1)[0]


def test_a_step_has_the_same_batch_however_it_was_reached_and_however_many_threads_made_it(shards: ShardFolder) -> None:
    values = {"resolutions": ((28, 42), (28, 28)), "views_low": 1, "views_high": 3, "tokens_per_batch": 30}
    direct = {step: BatchStream(shards, DataConfig(**values), seed=3).at(step)[1] for step in range(6)}
    threaded = BatchStream(shards, DataConfig(**values, workers=2), seed=3)
    steps = list(threaded.steps(2, 6))
    assert [step for step, _, _ in steps] == [2, 3, 4, 5]
    for step, _, batch in steps:
        for name in ("images", "depth", "c2w", "intrinsics"):
            assert torch.equal(getattr(batch, name), getattr(direct[step], name)), (step, name)


def test_labels_take_the_place_of_measured_depth(shards: ShardFolder) -> None:
    for shard in range(len(shards.paths)):
        label = np.zeros((len(shards.shard_range(shard)), 3, 28, 42), np.uint16)
        label[..., 14:, :] = 1500
        shards.write_labels(shard, label)
    config = DataConfig(resolutions=((28, 42),), labels_from_step=0, views_high=3, tokens_per_batch=20)
    _, batch = BatchStream(shards, config, seed=0).at(0)
    learnt = batch.with_labels_as_depth()
    assert learnt.depth[learnt.valid].unique().tolist() == [1.5]
    assert not learnt.valid[..., :14, :].any() and learnt.valid[..., 14:, :].all()


def test_sides_that_are_no_multiples_of_14_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="multiples of 14"):
        DataConfig(resolutions=((84, 100),))
