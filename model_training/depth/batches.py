"""Batches drawn from prepared scenes: step and rank alone decide what is in them, so a resumed run goes on exactly."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from model_training.color_jitter import jittered
from model_training.depth.augment import quarter_turned, resized_to_cover
from model_training.depth.shards import ShardFolder
from model_training.depth.targets import Batch
from model_training.depth.train_config import NEVER, DataConfig
from model_training.depth.view_set import DEPTH_UNITS_PER_M, ViewSet
from n3d_ros.depth.config import PATCH
from n3d_ros.depth.preprocess import MEAN, STD

AHEAD = 2  # batches made ahead for each worker


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """What a batch holds.

    Args:
        height: pixels.
        width: pixels.
        scenes: numbers of the scenes, one for each sample.
        views: (B, S) views of each; the first is the world's frame.
        give_poses: whether the network gets poses and calibration.
        use_labels: whether the teacher's labels are the depth to learn.
    """

    height: int
    width: int
    scenes: tuple[int, ...]
    views: tuple[tuple[int, ...], ...]
    give_poses: bool
    use_labels: bool


def random_of(seed: int, step: int, rank: int) -> np.random.Generator:
    """The source of chance of one step on one process."""
    return np.random.default_rng([seed, step, rank, 77])


def plan_batch(config: DataConfig, *, seed: int, step: int, rank: int, scenes: int, views_per_scene: int) -> BatchPlan:
    """Resolution, number of views, then as many samples as the token budget allows.

    Args:
        config: the ranges.
        seed: of the run.
        step: of the run.
        rank: of the process.
        scenes: prepared.
        views_per_scene: prepared.

    Returns:
        The plan.
    """
    rng = random_of(seed, step, rank)
    base_height, base_width = config.resolutions[0]
    height, width = config.resolutions[int(rng.integers(len(config.resolutions)))]
    tokens = height * width // PATCH**2
    share = base_height * base_width / (height * width)
    most = min(max(config.views_low, round(config.views_high * share)), views_per_scene)
    views = int(rng.integers(min(config.views_low, most), most + 1))
    samples = max(1, config.tokens_per_batch // (views * tokens))
    labelled = config.labels_from_step != NEVER and step >= config.labels_from_step
    return BatchPlan(
        height=height,
        width=width,
        scenes=tuple(int(n) for n in rng.integers(0, scenes, samples)),
        views=tuple(tuple(int(v) for v in rng.choice(views_per_scene, views, replace=False)) for _ in range(samples)),
        give_poses=bool(rng.random() < config.pose_conditioning),
        use_labels=bool(rng.random() < config.labels_share) and labelled,
    )


def relative_poses(world_T_camera: NDArray[np.float64]) -> NDArray[np.float64]:
    """(V, 4, 4) poses in the first camera's frame."""
    relative: NDArray[np.float64] = np.linalg.inv(world_T_camera[0]) @ world_T_camera
    return relative


def normalized_images(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(..., 3, H, W) float32 as networks take them, of (..., H, W, 3) uint8."""
    values = (rgb.astype(np.float32) / 255 - MEAN) / STD
    return np.ascontiguousarray(np.moveaxis(values, -1, -3))


def camera_matrices(intrinsics: NDArray[np.float64]) -> NDArray[np.float32]:
    """(..., 3, 3) matrices that count pixels from the image's corner, of (..., 4) fx fy cx cy from the first centre."""
    matrices = np.zeros((*intrinsics.shape[:-1], 3, 3), np.float32)
    matrices[..., 0, 0], matrices[..., 1, 1] = intrinsics[..., 0], intrinsics[..., 1]
    matrices[..., 0, 2], matrices[..., 1, 2] = intrinsics[..., 2] + 0.5, intrinsics[..., 3] + 0.5
    matrices[..., 2, 2] = 1
    return matrices


def batch_of(samples: Sequence[ViewSet], labels: Sequence[ViewSet] | None = None) -> Batch:
    """Samples of one size as tensors.

    Args:
        samples: with the same number of views each.
        labels: the same views with the teacher's depth in place of the measured one; None without.

    Returns:
        The batch, on the CPU.
    """
    depth = np.stack([sample.depth_mm for sample in samples]).astype(np.float32) / np.float32(DEPTH_UNITS_PER_M)
    posed = np.array([sample.has_poses for sample in samples])
    identity = np.broadcast_to(np.eye(4), samples[0].world_T_camera.shape)
    poses = [relative_poses(s.world_T_camera) if known else identity for s, known in zip(samples, posed, strict=True)]
    label = None
    if labels is not None:
        said = np.stack([sample.depth_mm for sample in labels]).astype(np.float32)
        label = torch.from_numpy(said / np.float32(DEPTH_UNITS_PER_M))
    return Batch(
        images=torch.from_numpy(normalized_images(np.stack([sample.rgb for sample in samples]))),
        depth=torch.from_numpy(depth),
        valid=torch.from_numpy(depth > 0),
        sky=torch.from_numpy(np.stack([sample.sky for sample in samples])),
        objects=torch.from_numpy(np.stack([sample.objects for sample in samples])),
        intrinsics=torch.from_numpy(camera_matrices(np.stack([sample.intrinsics for sample in samples]))),
        c2w=torch.from_numpy(np.stack(poses).astype(np.float32)),
        posed=torch.from_numpy(posed),
        labels=label,
    )


def make_batch(folder: ShardFolder, plan: BatchPlan, config: DataConfig, rng: np.random.Generator) -> Batch:
    """The batch of a plan, augmented.

    Args:
        folder: prepared scenes.
        plan: what to take.
        config: how to change it.
        rng: source of chance of the changes.

    Returns:
        The batch, on the CPU.
    """
    samples, labels = [], []
    for scene, views in zip(plan.scenes, plan.views, strict=True):
        chosen = np.array(views)
        sample = folder.scene(scene).chosen(chosen)
        said = replace(sample, depth_mm=folder.labels_mm(scene)[chosen]) if plan.use_labels else None
        crop = int(rng.integers(2**31))
        turns = int(rng.choice([1, 3])) if rng.random() < config.quarter_turns else 0
        sample = changed(sample, plan, turns, crop)
        if said is not None:
            labels.append(changed(said, plan, turns, crop))
        samples.append(replace(sample, rgb=jittered(sample.rgb, config.color_jitter, rng)))
    return batch_of(samples, labels if plan.use_labels else None)


def changed(views: ViewSet, plan: BatchPlan, turns: int, crop_seed: int) -> ViewSet:
    """The views turned, then brought to the plan's size; the same seed makes the same crop."""
    rng = np.random.default_rng(crop_seed)
    return resized_to_cover(quarter_turned(views, turns), plan.height, plan.width, rng)


class BatchStream:
    """Plans and batches of the steps of a run, made ahead by threads where there are some."""

    def __init__(self, folder: ShardFolder, config: DataConfig, *, seed: int, rank: int = 0) -> None:
        self._folder, self._config, self._seed, self._rank = folder, config, seed, rank

    def at(self, step: int) -> tuple[BatchPlan, Batch]:
        """Plan and batch of one step.

        Args:
            step: of the run.

        Returns:
            The same for the same step, however the run got there.
        """
        plan = plan_batch(
            self._config,
            seed=self._seed,
            step=step,
            rank=self._rank,
            scenes=len(self._folder),
            views_per_scene=self._folder.shape[0],
        )
        rng = np.random.default_rng([self._seed, step, self._rank, 78])
        return plan, make_batch(self._folder, plan, self._config, rng)

    def steps(self, first: int, last: int) -> Iterator[tuple[int, BatchPlan, Batch]]:
        """Steps first to last - 1 in order.

        Args:
            first: step to begin with.
            last: step to end before.

        Yields:
            Step, plan, batch.
        """
        if self._config.workers == 0:
            for step in range(first, last):
                yield step, *self.at(step)
            return
        with ThreadPoolExecutor(self._config.workers, thread_name_prefix="batches") as pool:
            waiting: deque[tuple[int, Future[tuple[BatchPlan, Batch]]]] = deque()
            upcoming = iter(range(first, last))
            try:
                for step in upcoming:
                    waiting.append((step, pool.submit(self.at, step)))
                    if len(waiting) > AHEAD * self._config.workers:
                        done, future = waiting.popleft()
                        yield done, *future.result()
                while waiting:
                    done, future = waiting.popleft()
                    yield done, *future.result()
            finally:
                for _, future in waiting:
                    future.cancel()
