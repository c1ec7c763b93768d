"""Weights and inputs of the further golden networks, drawn in the order of sorted names: every tool draws the same."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np
import torch

SHARED = re.compile(r"output_conv2_aux\.[123]\.2\.")


def seeded_state(shapes: Mapping[str, torch.Size], seed: int) -> dict[str, torch.Tensor]:
    """Weights for each name and shape; layers under four names get one set."""
    random = np.random.RandomState(seed)
    state: dict[str, torch.Tensor] = {}
    for name in sorted(name for name in shapes if not SHARED.search(name)):
        shape = tuple(shapes[name])
        drawn = random.standard_normal(shape).astype(np.float32)
        if "gamma" in name:
            drawn = 0.3 + 0.1 * drawn
        elif name.endswith("fc_fov.0.bias"):
            drawn = 1.0 + 0.05 * drawn
        elif name.endswith("sky_output_conv2.2.bias"):
            drawn = 0.3 + 0.05 * drawn
        elif len(shape) == 1:
            drawn = (1 + 0.2 * drawn) if name.endswith("weight") else 0.05 * drawn
        elif "token" in name or "pos_embed" in name:
            drawn = 0.5 * drawn
        else:
            drawn = drawn / math.sqrt(math.prod(shape[1:]))
        state[name] = torch.from_numpy(np.asarray(drawn, dtype=np.float32))
    for name in filter(SHARED.search, shapes):  # one layer of four names
        state[name] = state[SHARED.sub(r"output_conv2_aux.0.2.", name)]
    return state


def seeded_images(views: int, height: int, width: int, seed: int) -> torch.Tensor:
    """(1, views, 3, height, width) of noise."""
    drawn = np.random.RandomState(seed).standard_normal((1, views, 3, height, width))
    return torch.from_numpy(drawn.astype(np.float32))


def seeded_cameras(views: int, height: int, width: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(1, views, 4, 4) world to camera, and (1, views, 3, 3) in pixels."""
    random = np.random.RandomState(seed)
    w2c = np.tile(np.eye(4), (1, views, 1, 1))
    matrices = np.tile(np.eye(3), (1, views, 1, 1))
    for view in range(views):
        x, y, z = 0.2 * random.standard_normal(3)
        norm = math.sqrt(1 + x * x + y * y + z * z)
        x, y, z, w = x / norm, y / norm, z / norm, 1 / norm
        w2c[0, view, :3, :3] = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
        w2c[0, view, :3, 3] = random.standard_normal(3)
        matrices[0, view, 0, 0] = width * (0.8 + 0.3 * random.uniform())
        matrices[0, view, 1, 1] = height * (0.9 + 0.3 * random.uniform())
        matrices[0, view, 0, 2], matrices[0, view, 1, 2] = width / 2, height / 2
    return torch.from_numpy(w2c.astype(np.float32)), torch.from_numpy(matrices.astype(np.float32))
