"""A teacher's labels: its depth of every prepared view, aligned to what was measured there, beside the shards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model_training.depth.batches import normalized_images
from model_training.depth.robust_alignment import align_labels
from model_training.depth.shards import ShardFolder
from model_training.depth.view_set import ViewSet, millimetres
from n3d_ros.depth.sky import sky_mask


@dataclass(frozen=True, slots=True, kw_only=True)
class TeachReport:
    """What came of labelling a folder.

    Args:
        views: labelled.
        unaligned: views without a label, because nothing was measured there or no positive scale fits.
        inlier_share: mean share of the measured pixels that agree with the aligned label.
    """

    views: int
    unaligned: int
    inlier_share: float


def teacher_depth(network: nn.Module, views: ViewSet, device: torch.device | str) -> NDArray[np.float32]:
    """(V, H, W) relative depth of single views, NaN in what the teacher takes for sky.

    Args:
        network: monocular.
        views: of one scene.
        device: where the network is.

    Returns:
        Depth in the teacher's unit.
    """
    images = torch.from_numpy(normalized_images(views.rgb)).to(device)
    with torch.inference_mode():
        output = network(images[:, None])
    depth: NDArray[np.float32] = output.depth[:, 0].float().cpu().numpy().copy()
    if output.sky is not None:
        depth[sky_mask(output.sky[:, 0].float().cpu().numpy())] = np.nan
    return depth


def labels_of(
    relative: NDArray[np.float32], measured_m: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.uint16], float | None]:
    """One view's label in millimetres, and the share of measured pixels that agree; no label: zeros and None.

    Args:
        relative: (H, W) the teacher's depth, NaN for none.
        measured_m: (H, W) metres, NaN for none.
        rng: source of chance.

    Returns:
        The label and the share.
    """
    alignment = align_labels(relative, measured_m, rng)
    if alignment is None:
        return np.zeros(relative.shape, np.uint16), None
    metres = (relative * alignment.scale + alignment.shift_m).astype(np.float32)
    return millimetres(metres), alignment.inliers / alignment.pixels


def teach(
    network: nn.Module,
    folder: ShardFolder,
    *,
    device: torch.device | str,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> TeachReport:
    """Labels every shard that has none yet; stopped at any moment, the same call goes on.

    Args:
        network: the teacher, monocular, in evaluation mode.
        folder: prepared scenes.
        device: where the network is.
        seed: everything drawn follows from it.
        on_progress: called with scenes done and all scenes.

    Returns:
        What came of it, over the shards labelled by this call.
    """
    shares: list[float] = []
    views_done = unaligned = 0
    report = on_progress or (lambda _done, _total: None)
    for shard in range(len(folder.paths)):
        numbers = folder.shard_range(shard)
        if folder.has_shard_labels(shard):
            report(numbers.stop, len(folder))
            continue
        labels = []
        for number in numbers:
            views = folder.scene(number)
            rng = np.random.default_rng([seed, number, 79])
            pairs = zip(teacher_depth(network, views, device), views.depth_m, strict=True)
            made = [labels_of(relative, measured, rng) for relative, measured in pairs]
            labels.append(np.stack([label for label, _ in made]))
            shares += [share for _, share in made if share is not None]
            unaligned += sum(share is None for _, share in made)
            views_done += len(made)
            report(number + 1, len(folder))
        folder.write_labels(shard, np.stack(labels))
    mean = float(np.mean(shares)) if shares else float("nan")
    return TeachReport(views=views_done, unaligned=unaligned, inlier_share=mean)
