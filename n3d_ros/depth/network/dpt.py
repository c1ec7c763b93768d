"""What both heads share (DPT, Ranftl et al. 2021): four features to maps of four sizes, fused from coarse to fine.

Maps are in channels-last order throughout: it is how tokens lie in memory, so that they become maps without a copy.

Shapes: n views, P = ph * pw patches, C channels of a feature, F channels inside the head.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from n3d_ros.depth.config import NetworkConfig
from n3d_ros.depth.network.tables import TableCache, uv_table

HIDDEN = 32  # channels before the last convolution


class Scratch(nn.Module):
    """Holds a head's modules under the names of the released files."""


class ResidualConvUnit(nn.Module):
    """Two convolutions beside the identity. What they give is changed in place: nobody else holds it.

    Args:
        channels: of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """The maps with what two convolutions add.

        Args:
            maps: (n, F, h, w).

        Returns:
            The same shape.
        """
        return self.conv2(self.conv1(F.relu(maps)).relu_()).add_(maps)


class Fusion(nn.Module):
    """One step from coarse to fine.

    Args:
        channels: of the maps.
        lateral: whether a map of this level joins what comes from the coarser one; not at the coarsest.
    """

    def __init__(self, channels: int, *, lateral: bool) -> None:
        super().__init__()
        self.resConfUnit1 = ResidualConvUnit(channels) if lateral else None
        self.resConfUnit2 = ResidualConvUnit(channels)
        self.out_conv = nn.Conv2d(channels, channels, 1)

    def forward(self, maps: torch.Tensor, lateral: torch.Tensor | None, size: tuple[int, int]) -> torch.Tensor:
        """The fused map, enlarged for the next level.

        The 1x1 convolution goes before the enlarging: both are linear, interpolation weights add up to one, and there
        are four times fewer pixels.

        Args:
            maps: (n, F, h, w), from the coarser level, or of the coarsest.
            lateral: (n, F, h, w) of this level; None at the coarsest.
            size: height and width wanted.

        Returns:
            (n, F, *size).
        """
        if self.resConfUnit1 is not None and lateral is not None:
            maps = self.resConfUnit1(lateral).add_(maps)
        return enlarged(self.out_conv(self.resConfUnit2(maps)), size)


def enlarged(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Maps of another size, corners on corners.

    Args:
        maps: (n, c, h, w).
        size: height and width wanted.

    Returns:
        (n, c, *size).
    """
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=True)


class DptTrunk(nn.Module):
    """Base of both heads: features to four maps of F channels.

    Args:
        config: of the network.
        coded: whether maps get a position code (UV embedding).
    """

    def __init__(self, config: NetworkConfig, *, coded: bool) -> None:
        super().__init__()
        width, channels, outs = config.feature_dim, config.features, config.out_channels
        self.coded = coded
        self.norm = nn.LayerNorm(width, eps=1e-5) if coded else nn.Identity()
        self.projects = nn.ModuleList(nn.Conv2d(width, out, 1) for out in outs)
        self.resize_layers = nn.ModuleList(
            [
                nn.ConvTranspose2d(outs[0], outs[0], 4, stride=4),
                nn.ConvTranspose2d(outs[1], outs[1], 2, stride=2),
                nn.Identity(),
                nn.Conv2d(outs[3], outs[3], 3, stride=2, padding=1),
            ]
        )
        self.scratch = Scratch()
        for level, out in enumerate(outs, start=1):
            self.scratch.add_module(f"layer{level}_rn", nn.Conv2d(out, channels, 3, padding=1, bias=False))
        self.tables = TableCache()

    def add_chain(self, channels: int, suffix: str = "") -> None:
        """Adds the four fusions of a chain.

        Args:
            channels: F.
            suffix: of their names.
        """
        for level in range(1, 5):
            self.scratch.add_module(f"refinenet{level}{suffix}", Fusion(channels, lateral=level < 4))

    def maps(self, levels: Sequence[torch.Tensor], image_hw: tuple[int, int]) -> list[torch.Tensor]:
        """The four features as maps, fine to coarse.

        Args:
            levels: four of (n, P, C) float32.
            image_hw: of the image.

        Returns:
            (n, F, h, w) with sides of 4, 2, 1 and 1/2 times the grid of patches.
        """
        grid = (image_hw[0] // 14, image_hw[1] // 14)
        maps = []
        for level, (tokens, project, resize) in enumerate(
            zip(levels, self.projects, self.resize_layers, strict=True), start=1
        ):
            projected = F.linear(self.norm(tokens), project.weight.flatten(1), project.bias)  # a 1x1 convolution
            grown = resize(self.with_code(projected.unflatten(1, grid).permute(0, 3, 1, 2), image_hw))
            maps.append(getattr(self.scratch, f"layer{level}_rn")(grown))
        return maps

    def fused(self, maps: Sequence[torch.Tensor], image_hw: tuple[int, int], suffix: str = "") -> torch.Tensor:
        """The maps fused by one chain.

        Args:
            maps: of ``maps``.
            image_hw: of the image.
            suffix: of the chain's names.

        Returns:
            (n, F, 8 ph, 8 pw).
        """
        sizes = [(image_hw[0] // 14 * 8, image_hw[1] // 14 * 8), *(each.shape[-2:] for each in maps)]
        path = maps[3]
        for level in range(4, 0, -1):
            fusion = getattr(self.scratch, f"refinenet{level}{suffix}")
            path = fusion(path, None if level == 4 else maps[level - 1], tuple(sizes[level - 1]))
        return path

    def with_code(self, maps: torch.Tensor, image_hw: tuple[int, int]) -> torch.Tensor:
        """The maps with the position code of their pixels, where the head has one.

        Args:
            maps: (n, c, h, w), used by nobody else: changed in place.
            image_hw: of the whole image.

        Returns:
            The same shape.
        """
        if not self.coded:
            return maps
        channels, size, device = maps.shape[1], (maps.shape[2], maps.shape[3]), maps.device
        table = self.tables.get(
            (size, channels, image_hw, device), lambda: uv_table(size, channels, image_hw[1] / image_hw[0], device)
        )
        return maps.add_(table)


def last_convolutions(channels: int, outputs: int) -> nn.Sequential:
    """The end of a head: 3x3 to 32 channels, then 1x1 to what is wanted.

    Args:
        channels: of the maps.
        outputs: of the head.

    Returns:
        Modules named 0 and 2, as in the released files.
    """
    return nn.Sequential(
        nn.Conv2d(channels, HIDDEN, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(HIDDEN, outputs, 1)
    )
