"""Rotary position code in two dimensions (RoPE, Su et al. 2021), applied to queries and keys.

The head's channels are two halves: the first is rotated by the row, the second by the column. Inside a half the
frequencies are 100^(-2j/d), and channel j turns together with channel j + d/2.

Blocks that attend inside one view give the class token the position (0, 0) and patch (y, x) the position
(y + 1, x + 1). Blocks that attend over all views give every patch (1, 1): rotation then tells class tokens from
patches and nothing else. Since only differences of positions count, turning the class tokens back by one step and
leaving the patches is the same, and touches one token in a thousand.

Shapes: N tokens of a view, D channels of a head.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

BASE = 100.0


class Rotation(NamedTuple):
    """Cosines and signed sines of the positions of some tokens.

    Args:
        cos: (n, 1, D) float32.
        sin: (n, 1, D) float32, negative for the first of two channels that turn together.
    """

    cos: torch.Tensor
    sin: torch.Tensor

    def apply(self, states: torch.Tensor) -> torch.Tensor:
        """The states, turned.

        Args:
            states: (..., n, heads, D) float32.

        Returns:
            The same shape.
        """
        pairs = states.unflatten(-1, (2, 2, -1))
        return torch.addcmul(states * self.cos, pairs.flip(-2).flatten(-3), self.sin)


def rotation(positions: torch.Tensor, channels: int) -> Rotation:
    """The rotation of tokens at some positions.

    Args:
        positions: (n, 2) whole numbers, row and column.
        channels: D, a multiple of 4.

    Returns:
        Tables in float32, on the positions' device.
    """
    half = channels // 2
    exponents = torch.arange(0, half, 2, dtype=torch.float32, device=positions.device) / half
    angles = positions.to(torch.float32)[:, :, None] * BASE**-exponents  # (n, 2, D/4)
    cos, sin = angles.cos(), angles.sin()
    return Rotation(
        cos=torch.stack([cos, cos], dim=2).flatten(1)[:, None],
        sin=torch.stack([-sin, sin], dim=2).flatten(1)[:, None],
    )


def view_rotation(grid_hw: tuple[int, int], channels: int, device: torch.device) -> Rotation:
    """The rotation of all tokens of a view, for blocks that attend inside it.

    Args:
        grid_hw: rows and columns of patches.
        channels: D.
        device: where the tables go.

    Returns:
        For 1 + rows * columns tokens.
    """
    rows = torch.arange(1, grid_hw[0] + 1, device=device)
    columns = torch.arange(1, grid_hw[1] + 1, device=device)
    patches = torch.stack([rows[:, None].expand(grid_hw), columns[None, :].expand(grid_hw)], dim=-1).flatten(0, 1)
    return rotation(torch.cat([patches.new_zeros(1, 2), patches]), channels)


def class_token_rotation(channels: int, device: torch.device) -> Rotation:
    """The rotation of the class token, for blocks that attend over all views and leave the patches as they are.

    Args:
        channels: D.
        device: where the tables go.

    Returns:
        For one token.
    """
    return rotation(torch.full((1, 2), -1, device=device), channels)
