"""Prepared shards of cheap made-up scenes: textured walls with a box in front, seen by known cameras."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_training.depth.prepare_config import PrepareConfig
from model_training.depth.shards import ShardFolder, prepare
from model_training.depth.view_set import ViewSet, millimetres

HEIGHT, WIDTH = 28, 42


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Small networks are faster so, and a shared machine stays usable."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def made_up_scene(number: int, *, views: int = 3, height: int = HEIGHT, width: int = WIDTH) -> ViewSet:
    """A slanted wall whose brightness tells its depth; the cameras stand side by side."""
    rng = np.random.default_rng(number)
    v, u = np.mgrid[:height, :width]
    slope, far = rng.uniform(-0.4, 0.4), rng.uniform(1.5, 3.0)
    x = (u - (width - 1) / 2) / width
    depth = np.stack([far + slope * x + 0.1 * view + 0 * v for view in range(views)]).astype(np.float32)
    rgb = np.repeat(np.clip(depth[..., None] * 60, 0, 255), 3, axis=-1).astype(np.uint8)
    poses = np.tile(np.eye(4), (views, 1, 1))
    poses[:, 0, 3] = 0.3 * np.arange(views)
    sky = np.zeros(depth.shape, bool)
    sky[:, :4] = True
    depth[sky] = np.nan
    objects = np.zeros(depth.shape, bool)
    objects[:, -14:, :14] = True
    return ViewSet(
        name=f"wall_{number}",
        rgb=rgb,
        depth_mm=millimetres(depth),
        sky=sky,
        objects=objects,
        intrinsics=np.tile(np.array([40.0, 40.0, (width - 1) / 2, (height - 1) / 2]), (views, 1)),
        world_T_camera=poses,
    )


def made_up_scenes(config: PrepareConfig, first: int, count: int) -> Iterator[ViewSet]:
    """Scenes for ``prepare``."""
    for number in range(first, first + count):
        yield made_up_scene(number, views=config.views)


def small_prepare(**changes: Any) -> PrepareConfig:
    """Five scenes in shards of two."""
    values: dict[str, Any] = {"scenes": 5, "views": 3, "height": HEIGHT, "width": WIDTH, "scenes_per_shard": 2}
    return PrepareConfig(**(values | changes))


@pytest.fixture
def shards(tmp_path: Path) -> ShardFolder:
    """A folder of five prepared scenes."""
    prepare(small_prepare(), tmp_path / "shards", made_up_scenes)
    return ShardFolder(tmp_path / "shards")
