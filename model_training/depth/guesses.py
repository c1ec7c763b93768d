"""What a network says of prepared scenes, in the form that scores take; and what a model without eyes would say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model_training.depth.augment import resized_to_cover
from model_training.depth.batches import batch_of
from model_training.depth.metrics import SceneGuess, SceneTruth, Scores, score
from model_training.depth.shards import ShardFolder
from model_training.depth.stages import REFERENCE_VIEW
from model_training.depth.view_set import ViewSet
from n3d_ros.depth.metric import CANONICAL_FOCAL_PX
from n3d_ros.depth.network.pose_encoding import decode_pose
from n3d_ros.depth.poses import world_T_camera_of
from n3d_ros.errors import InputError
from n3d_ros.geometry.transforms import RigidTransform


def looked_at(folder: ShardFolder, scenes: int, views: int, size: tuple[int, int]) -> Iterator[ViewSet]:
    """The first scenes and views of a folder at a size: the same whoever asks.

    Args:
        folder: prepared scenes.
        scenes: at most.
        views: of each, at most.
        size: height and width.

    Yields:
        Views of one scene.
    """
    chosen = np.arange(min(views, folder.shape[0]))
    for number in range(min(scenes, len(folder))):
        yield resized_to_cover(folder.scene(number).chosen(chosen), *size, None)


def truth_of(views: ViewSet) -> SceneTruth:
    """Depth, poses and field of view of a scene.

    Args:
        views: of the scene.

    Returns:
        The truth.
    """
    width = views.rgb.shape[2]
    poses = None
    if views.has_poses:
        poses = [RigidTransform(rotation=m[:3, :3], translation=m[:3, 3]) for m in views.world_T_camera]
    return SceneTruth(
        depth_m=views.depth_m, world_T_camera=poses, fov_rad=2 * np.arctan(width / 2 / views.intrinsics[:, 0])
    )


def guess_of(network: nn.Module, views: ViewSet, *, canonical_focal: bool, device: torch.device | str) -> SceneGuess:
    """What a network says of a scene, without being told any pose.

    Args:
        network: any-view or monocular.
        views: of the scene.
        canonical_focal: whether its depth is that of a 300 px camera (metric models).
        device: where the network is.

    Returns:
        The guess.
    """
    batch = batch_of([views])
    images = batch.images.to(device)
    several = getattr(network, "cam_dec", None) is not None
    with torch.inference_mode():
        if not several:
            depth = network(images.transpose(0, 1)).depth[:, 0].float().cpu().numpy()
            if canonical_focal:
                depth = depth * (views.intrinsics[:, :2].mean(axis=1) / CANONICAL_FOCAL_PX)[:, None, None]
            return SceneGuess(depth=np.asarray(depth, np.float32))
        output = network(images, reference_view=REFERENCE_VIEW)
        height, width = images.shape[-2:]
        w2c, matrices = decode_pose(output.pose_encoding[0].float().cpu(), (height, width))
    poses: list[RigidTransform] | None
    try:
        poses = [world_T_camera_of(matrix) for matrix in w2c.numpy()]
    except InputError:
        poses = None  # a network that has not learnt yet may give quaternions of length 0
    fov = 2 * np.arctan(width / 2 / matrices[:, 0, 0].double().numpy())
    return SceneGuess(depth=output.depth[0].float().cpu().numpy(), world_T_camera=poses, fov_rad=fov)


def network_scores(
    network: nn.Module,
    folder: ShardFolder,
    *,
    scenes: int,
    views: int,
    size: tuple[int, int],
    canonical_focal: bool,
    device: torch.device | str,
) -> Scores:
    """The scores of a network on the first scenes of a folder.

    Args:
        network: any-view or monocular; its mode is left as it was.
        folder: prepared scenes.
        scenes: at most.
        views: of each.
        size: height and width.
        canonical_focal: whether its depth is that of a 300 px camera.
        device: where the network is.

    Returns:
        The scores.
    """
    training = network.training
    network.eval()
    try:
        sets = list(looked_at(folder, scenes, views, size))
        guesses = [guess_of(network, each, canonical_focal=canonical_focal, device=device) for each in sets]
    finally:
        network.train(training)
    return score(guesses, [truth_of(each) for each in sets])


def mean_depth(folder: ShardFolder, scenes: int, size: tuple[int, int]) -> NDArray[np.float32]:
    """(H, W) geometric mean of the depth at each pixel over scenes: what one knows without looking.

    Args:
        folder: prepared scenes, those of training.
        scenes: at most.
        size: height and width.

    Returns:
        Metres.
    """
    total, count = np.zeros(size), np.zeros(size)
    for views in looked_at(folder, scenes, folder.shape[0], size):
        known = views.depth_mm > 0
        total += np.log(np.where(known, views.depth_m, 1.0)).sum(axis=0)
        count += known.sum(axis=0)
    return np.exp(total / np.maximum(count, 1)).astype(np.float32)


def blind_scores(
    depth_m: NDArray[np.float32], folder: ShardFolder, *, scenes: int, views: int, size: tuple[int, int]
) -> Scores:
    """The scores of a model without eyes: the same depth for every image, and a camera that never moves.

    Args:
        depth_m: (H, W) of ``mean_depth``.
        folder: prepared scenes.
        scenes: at most.
        views: of each.
        size: height and width.

    Returns:
        The scores.
    """
    sets = list(looked_at(folder, scenes, views, size))
    guesses = [
        SceneGuess(
            depth=np.broadcast_to(depth_m, (each.count, *depth_m.shape)).copy(),
            world_T_camera=[RigidTransform.identity()] * each.count,
        )
        for each in sets
    ]
    return score(guesses, [truth_of(each) for each in sets])
