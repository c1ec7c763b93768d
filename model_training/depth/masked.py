"""Means over the pixels that are known. A NaN outside them changes neither the value nor any gradient."""

from __future__ import annotations

import torch
from torch import Tensor


def known(values: Tensor, mask: Tensor) -> Tensor:
    """The values, 0 where the mask is false, so that NaN there cannot spread.

    Args:
        values: any shape.
        mask: bool, broadcastable to it.

    Returns:
        The same shape.
    """
    return torch.where(mask, values, torch.zeros((), dtype=values.dtype, device=values.device))


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of the values where the mask is true; 0, with a gradient of 0, where it is nowhere true.

    Args:
        values: any shape; may hold NaN outside the mask, if they were not made from predictions there.
        mask: bool, broadcastable to ``values``.

    Returns:
        A scalar.
    """
    mask = mask.expand_as(values)
    return known(values, mask).sum() / mask.sum().clamp(min=1)


def differences(values: Tensor, mask: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Finite differences along x and along y, each with the mask of those between two known pixels.

    Args:
        values: (..., H, W).
        mask: (..., H, W) bool.

    Returns:
        ((..., H, W - 1), its mask), ((..., H - 1, W), its mask).
    """
    along_x = (values[..., :, 1:] - values[..., :, :-1], mask[..., :, 1:] & mask[..., :, :-1])
    along_y = (values[..., 1:, :] - values[..., :-1, :], mask[..., 1:, :] & mask[..., :-1, :])
    return along_x, along_y
