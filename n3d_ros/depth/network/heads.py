"""The two heads: depth, confidence and rays of the any-view networks; depth and sky of the monocular ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from n3d_ros.depth.config import NetworkConfig
from n3d_ros.depth.network.dpt import HIDDEN, DptTrunk, enlarged, last_convolutions
from n3d_ros.depth.network.layers import EPS

RAY_CHANNELS = 6  # direction in the world (not of unit length), then origin: the opposite of the paper's text
RAY_LEVELS = 4  # are in the files; the last one alone is used


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeadOutput:
    """Maps of n views.

    Args:
        depth: (n, H, W), above 0.
        confidence: (n, H, W), above 1; None for the monocular head.
        sky: (n, H, W), 0 and more, about 1 in the sky; None for the dual head.
        rays: (n, 8 ph, 8 pw, 6); None unless asked for.
        ray_confidence: (n, 8 ph, 8 pw), above 1; None unless asked for.
    """

    depth: torch.Tensor
    confidence: torch.Tensor | None = None
    sky: torch.Tensor | None = None
    rays: torch.Tensor | None = None
    ray_confidence: torch.Tensor | None = None


class DualHead(DptTrunk):
    """Depth with confidence, and rays with confidence, from two chains over the same maps.

    Args:
        config: of the network.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config, coded=True)
        channels, half = config.features, config.features // 2
        self.add_chain(channels)
        self.scratch.output_conv1 = nn.Conv2d(channels, half, 3, padding=1)
        self.scratch.output_conv2 = last_convolutions(half, 2)
        self.add_chain(channels, "_aux")
        widths = (channels, half, channels, half, channels, half)
        self.scratch.output_conv1_aux = nn.ModuleList(
            nn.Sequential(*(nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(widths)))
            for _ in range(RAY_LEVELS)
        )
        # One norm under four names: the released files hold it under the first alone.
        shared = nn.LayerNorm(HIDDEN, eps=EPS)
        self.scratch.output_conv2_aux = nn.ModuleList(
            nn.ModuleDict(
                {
                    "0": nn.Conv2d(half, HIDDEN, 3, padding=1),
                    "2": shared,
                    "5": nn.Conv2d(HIDDEN, RAY_CHANNELS + 1, 1),
                }
            )
            for _ in range(RAY_LEVELS)
        )

    def forward(self, levels: Sequence[torch.Tensor], image_hw: tuple[int, int], *, rays: bool = False) -> HeadOutput:
        """The maps of some views.

        Args:
            levels: four of (n, P, C) float32.
            image_hw: of the image.
            rays: whether the ray chain is run too.

        Returns:
            Depth and confidence; rays and theirs where asked for.
        """
        maps = self.maps(levels, image_hw)
        scratch = self.scratch
        fine = enlarged(scratch.output_conv1(self.fused(maps, image_hw)), image_hw)
        logits = scratch.output_conv2(self.with_code(fine, image_hw))
        ray_map, ray_confidence = self._rays(maps, image_hw) if rays else (None, None)
        return HeadOutput(
            depth=logits[:, 0].exp(),
            confidence=logits[:, 1].exp() + 1,
            rays=ray_map,
            ray_confidence=ray_confidence,
        )

    def _rays(self, maps: Sequence[torch.Tensor], image_hw: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, 8 ph, 8 pw, 6) and (n, 8 ph, 8 pw)."""
        path = self.scratch.output_conv1_aux[-1](self.fused(maps, image_hw, "_aux"))
        last = self.scratch.output_conv2_aux[-1]
        hidden = last["0"](self.with_code(path, image_hw)).permute(0, 2, 3, 1)
        hidden = F.relu(last["2"](hidden)).permute(0, 3, 1, 2)
        values = last["5"](hidden).permute(0, 2, 3, 1)
        return values[..., :RAY_CHANNELS], values[..., RAY_CHANNELS].exp() + 1


class MonocularHead(DptTrunk):
    """Depth and sky.

    Args:
        config: of the network.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config, coded=False)
        half = config.features // 2
        self.add_chain(config.features)
        self.scratch.output_conv1 = nn.Conv2d(config.features, half, 3, padding=1)
        self.scratch.output_conv2 = last_convolutions(half, 1)
        self.scratch.sky_output_conv2 = last_convolutions(half, 1)

    def forward(self, levels: Sequence[torch.Tensor], image_hw: tuple[int, int], *, rays: bool = False) -> HeadOutput:
        """The maps of some views.

        Args:
            levels: four of (n, P, C) float32.
            image_hw: of the image.
            rays: must be False: this head has none.

        Returns:
            Depth and sky.

        Raises:
            ValueError: rays are asked for.
        """
        if rays:
            raise ValueError("A monocular network gives no rays.")
        fine = enlarged(self.scratch.output_conv1(self.fused(self.maps(levels, image_hw), image_hw)), image_hw)
        return HeadOutput(
            depth=self.scratch.output_conv2(fine)[:, 0].exp(), sky=F.relu(self.scratch.sky_output_conv2(fine)[:, 0])
        )
