"""Views of recorded RGB-D: consecutive frames of a sequence, thinned out, brought to the size that is stored."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from model_training.depth.augment import resized_to_cover
from model_training.depth.prepare_config import PrepareConfig
from model_training.depth.view_set import ViewSet, millimetres
from n3d_ros.depth.evaluation.reading import read_sequences
from n3d_ros.depth.evaluation.sequence import FrameFiles, TrueFrame, read_frame


def windows(config: PrepareConfig) -> Iterator[tuple[str, tuple[FrameFiles, ...]]]:
    """Sets of frames: every ``frame_step``-th frame of each sequence, ``views`` of them at a time.

    Args:
        config: names the folder.

    Yields:
        A name and the frames; frames that do not fill a last set are left out.
    """
    intrinsics = tuple(config.intrinsics)
    given = (intrinsics[0], intrinsics[1], intrinsics[2], intrinsics[3]) if len(intrinsics) == 4 else None
    for sequence in read_sequences(Path(config.folder), intrinsics=given, depth_units_per_m=config.depth_units_per_m):
        frames = sequence.frames[:: config.frame_step]
        for number, first in enumerate(range(0, len(frames) - config.views + 1, config.views)):
            yield f"{sequence.name}_{number:04d}", frames[first : first + config.views]


def _small(frame: TrueFrame, height: int, width: int) -> ViewSet:
    """One frame at the stored size."""
    camera = frame.intrinsics
    none = np.zeros((1, *frame.depth_m.shape), np.bool_)
    view = ViewSet(
        name=frame.name,
        rgb=frame.rgb[None],
        depth_mm=millimetres(frame.depth_m)[None],
        sky=none,
        objects=none,
        intrinsics=np.array([[camera.fx, camera.fy, camera.cx, camera.cy]]),
        world_T_camera=frame.world_T_camera.matrix[None],
    )
    return resized_to_cover(view, height, width, None)


def recorded(config: PrepareConfig, first: int, count: int) -> Iterator[ViewSet]:
    """Sets number ``first`` to ``first + count - 1`` of a folder; fewer where the recording ends.

    Args:
        config: names the folder.
        first: number of the first set.
        count: how many.

    Yields:
        One set of views each.
    """
    cv2.setNumThreads(1)
    for name, frames in islice(windows(config), first, first + count):
        views = [_small(read_frame(frame), config.height, config.width) for frame in frames]
        yield ViewSet(
            name=name,
            rgb=np.concatenate([view.rgb for view in views]),
            depth_mm=np.concatenate([view.depth_mm for view in views]),
            sky=np.concatenate([view.sky for view in views]),
            objects=np.concatenate([view.objects for view in views]),
            intrinsics=np.concatenate([view.intrinsics for view in views]),
            world_T_camera=np.concatenate([view.world_T_camera for view in views]),
        )
