"""From a batch to losses: what the any-view student and the monocular networks are asked and held to."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_training.depth.batches import BatchPlan
from model_training.depth.losses import student_losses
from model_training.depth.targets import Batch, canonical_depth, inverted, targets_of
from model_training.depth.teacher_losses import monocular_losses
from model_training.depth.train_config import TrainConfig
from n3d_ros.depth.config import PATCH
from n3d_ros.depth.network.pose_encoding import encode_pose
from n3d_ros.depth.poses import MIN_POSE_DISTANCE

REFERENCE_VIEW = "first"  # the targets' world is the first view's camera


def given_extrinsics(c2w: Tensor) -> Tensor:
    """(B, S, 4, 4) world-to-camera poses as the network is given them: divided by the median distance from the first.

    The same normalisation as at run time, where the scale that the targets have is not known.

    Args:
        c2w: (B, S, 4, 4) metres, the first is the identity.

    Returns:
        World to camera.
    """
    distance = c2w[..., :3, 3].norm(dim=-1).median(dim=-1).values.clamp(min=MIN_POSE_DISTANCE)
    moved = c2w.clone()
    moved[..., :3, 3] = moved[..., :3, 3] / distance[:, None, None]
    return inverted(moved)


def any_view_step(config: TrainConfig, network: nn.Module, batch: Batch, plan: BatchPlan) -> dict[str, Tensor]:
    """The any-view student's losses on a batch.

    Args:
        config: of the run.
        network: any-view.
        batch: on the network's device.
        plan: whether poses are given.

    Returns:
        Losses by name, with "total".
    """
    if plan.use_labels:
        batch = batch.with_labels_as_depth()
    targets = targets_of(batch)
    posed = plan.give_poses and bool(batch.posed.all())
    output = network(
        batch.images,
        extrinsics_w2c=given_extrinsics(batch.c2w) if posed else None,
        intrinsics=batch.intrinsics if posed else None,
        reference_view=REFERENCE_VIEW,
        rays=config.any_view_losses.ray > 0 or config.any_view_losses.point > 0,
    )
    size = (batch.images.shape[-2], batch.images.shape[-1])
    return student_losses(
        config.any_view_losses,
        depth=output.depth,
        confidence=output.confidence,
        rays=output.rays,
        ray_confidence=output.ray_confidence,
        encoding=output.pose_encoding,
        true_encoding=encode_pose(targets.w2c, batch.intrinsics, size),
        targets=targets,
    )


class ObjectHead(nn.Module):
    """Share of each patch that shows loose objects, from the last feature; used in training only, not released.

    Args:
        channels: of a feature.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, 1)

    def forward(self, feature: Tensor, rows: int) -> Tensor:
        """(N, rows, columns) predicted share.

        Args:
            feature: (N, 1, patches, C).
            rows: of patches.

        Returns:
            One number for each patch.
        """
        share: Tensor = self.linear(feature).squeeze(-1).squeeze(1)
        return share.unflatten(-1, (rows, -1))


def monocular_step(
    config: TrainConfig,
    network: nn.Module,
    batch: Batch,
    plan: BatchPlan,
    generator: torch.Generator,
    object_head: nn.Module | None = None,
) -> dict[str, Tensor]:
    """The losses of teacher, monocular or metric student on a batch, whose views are single images here.

    Args:
        config: of the run.
        network: with the head for single images.
        batch: on the network's device.
        plan: whether labels are learnt.
        generator: source of chance of the aligned losses.
        object_head: for the object mask; None without.

    Returns:
        Losses by name, with "total".
    """
    if plan.use_labels:
        batch = batch.with_labels_as_depth()
    depth = canonical_depth(batch.depth, batch.intrinsics) if config.data.canonical_focal else batch.depth
    last = config.network.out_layers[-1]
    images = batch.images.flatten(0, 1)[:, None]
    output = network(images, keep_features=(last,) if object_head is not None else ())
    share = functional.avg_pool2d(batch.objects.flatten(0, 1)[:, None].float(), PATCH).squeeze(1)
    return monocular_losses(
        config.monocular_losses,
        depth=output.depth.flatten(0, 1),
        sky=None if output.sky is None else output.sky.flatten(0, 1),
        objects=None if object_head is None else object_head(output.features[0], share.shape[1]),
        true=depth.flatten(0, 1),
        valid=batch.valid.flatten(0, 1),
        true_sky=batch.sky.flatten(0, 1),
        true_objects=share,
        intrinsics=batch.intrinsics.flatten(0, 1),
        generator=generator,
    )
