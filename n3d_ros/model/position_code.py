"""The parameter-free 3-D position code: where each image patch lies in space, as 1280 sines and cosines.

The points of an image are averaged over its patches, centred, counted in thousandths of the scene's scale, and written
as sinusoids of falling frequency, a third of the channels per axis. The code is added to the vision tower's states
between its last block and the patch merger. It has no weights, so any Qwen2.5-VL checkpoint can carry it.

Three modes, set by the model's configuration:

* ``reference``: as the released weights learnt it. The code is made in raster order of the patches, while the states
  stand in 2x2 blocks inside attention windows; it is added row for row all the same, so that only about 2 % of the
  patches get their own place. Where the image is landscape and its grid of patches is square (640 x 631..639), the
  points are read with rows and columns exchanged, which scrambles them.
* ``aligned``: every patch gets its own place. For weights trained with it.
* ``none``: no code; the stock model.

Coordinates are float32 whatever the dtype of the weights. The reference first casts them to the dtype of its vision
tower; in bfloat16 that keeps 8 bits of each coordinate and turns the fastest channels into noise that differs with
dtype. In float32, the dtype its own demo runs in, both agree.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Literal, TypeAlias

import torch
from torch.nn.functional import adaptive_avg_pool2d

from n3d_ros.errors import GroundingError, InputError
from n3d_ros.model.tables import MERGE, WINDOW_BLOCKS, patch_order

logger = logging.getLogger(__name__)

PositionCode: TypeAlias = Literal["reference", "aligned", "none"]
POSITION_CODES: tuple[PositionCode, ...] = ("reference", "aligned", "none")

UNIT = 0.001  # one step of a coordinate, in units of the normalised scene (its mean distance)
TEMPERATURE = 10000.0  # ratio of the longest wavelength to the shortest
LONG_SIDE = 640  # the reference reads a flat list of points as a map with one side of 640


def position_code(
    points: torch.Tensor,
    grid: tuple[int, int],
    width: int,
    mode: PositionCode,
    *,
    window_blocks: int = WINDOW_BLOCKS,
    merge: int = MERGE,
) -> torch.Tensor:
    """The code of one image, in the order in which it is added to the vision tower's window-ordered states.

    Args:
        points: (H, W, 4) or (1, N, 4) floating, x left, y up, z forward in units of the normalised scene, and validity
            (above 0: valid); xyz anything where invalid. Not changed.
        grid: rows and columns of patches.
        width: channels, the vision tower's hidden size.
        mode: ``reference`` or ``aligned``.
        window_blocks: blocks a side of an attention window.
        merge: patches a side of a block.

    Returns:
        (P, width) float32 on the device of the points, P = rows times columns.

    Raises:
        InputError: a mode without code, points of a wrong shape or a valid point that is not finite.
        GroundingError: no point is valid.
    """
    if mode not in ("reference", "aligned"):
        raise InputError(f"position code: expected the mode 'reference' or 'aligned', got {mode!r}.")
    code = sinusoid(pooled_coordinates(points, grid, scramble=mode == "reference"), width)
    if mode == "reference":
        return code
    return code[window_order(grid, window_blocks=window_blocks, merge=merge, device=code.device)]


@torch.no_grad()
def position_codes(
    points: torch.Tensor,
    grid: tuple[int, int],
    width: int,
    *,
    window_blocks: int = WINDOW_BLOCKS,
    merge: int = MERGE,
) -> torch.Tensor:
    """The aligned codes of some images of one size at once, for training: one pass instead of one per image.

    Args:
        points: (B, H, W, 4) as for ``position_code``.
        grid: rows and columns of patches.
        width: channels.
        window_blocks: blocks a side of an attention window.
        merge: patches a side of a block.

    Returns:
        (B, P, width) float32; each that of ``position_code``, but for what the order of sums changes.

    Raises:
        InputError: points of a wrong shape or a valid point that is not finite.
        GroundingError: an image has no valid point.
    """
    if points.ndim != 4 or points.shape[-1] != 4 or 0 in points.shape:
        raise InputError(f"points: expected (B, H, W, 4) with x, y, z, validity, got {tuple(points.shape)}.")
    valid = points[..., 3:] > 0
    xyz_BHW3 = torch.where(valid, points[..., :3].to(torch.float32), 0.0)
    counts = valid.sum(dim=(1, 2))
    if not bool((counts > 0).all() & xyz_BHW3.isfinite().all()):
        for single in points:  # which names what is wrong
            _filled(single)
    mean_B3 = xyz_BHW3.sum(dim=(1, 2)) / counts
    filled = torch.where(valid, xyz_BHW3, mean_B3[:, None, None])
    means_B3hw = adaptive_avg_pool2d(filled.permute(0, 3, 1, 2), grid)
    center = means_B3hw.flatten(2).mean(dim=2).mean(dim=1)[:, None, None, None]
    coordinates = ((means_B3hw - center) / UNIT).round().permute(0, 2, 3, 1).reshape(-1, 3)
    codes = sinusoid(coordinates, width).unflatten(0, (len(points), -1))
    return codes[:, window_order(grid, window_blocks=window_blocks, merge=merge, device=codes.device)]


@torch.no_grad()
def pooled_coordinates(points: torch.Tensor, grid: tuple[int, int], *, scramble: bool = True) -> torch.Tensor:
    """Place of each patch in thousandths of the normalised scene, around the scene's mean.

    The mean is one number for all three axes, as the reference has it: it keeps the range small and nothing else.

    Args:
        points: as for ``position_code``.
        grid: rows and columns of patches.
        scramble: whether a landscape map over a square grid is read with rows and columns exchanged, as the reference
            does.

    Returns:
        (P, 3) float32 whole numbers, patches in raster order.
    """
    xyz_HW3 = _filled(_as_map(points, grid, scramble=scramble))
    # Batched before its axes are turned, as the reference has it: the sums below then run in the same order.
    means_1_3_gh_gw = adaptive_avg_pool2d(xyz_HW3[None].permute(0, 3, 1, 2), grid)
    center = means_1_3_gh_gw.reshape(3, -1).mean(dim=1).mean()
    return ((means_1_3_gh_gw[0] - center) / UNIT).round().permute(1, 2, 0).reshape(-1, 3)


@torch.no_grad()
def sinusoid(coordinates: torch.Tensor, width: int) -> torch.Tensor:
    """Sines (even channels) and cosines (odd channels) of each coordinate, x then y then z.

    Args:
        coordinates: (P, 3) float32.
        width: channels in all; width // 3 per axis, the rest stay 0. An odd share per axis ends with a sine.

    Returns:
        (P, width) float32.
    """
    share = width // 3
    channel = torch.arange(share, dtype=torch.float32, device=coordinates.device)
    wavelengths = TEMPERATURE ** (2 * (channel // 2) / share)
    angles_P3C = coordinates.to(torch.float32)[:, :, None] / wavelengths
    code = torch.zeros(len(coordinates), width, dtype=torch.float32, device=coordinates.device)
    axes_P3C = code[:, : 3 * share].view(-1, 3, share)
    axes_P3C[:, :, 0::2] = angles_P3C[:, :, 0::2].sin()
    axes_P3C[:, :, 1::2] = angles_P3C[:, :, 1::2].cos()
    return code


def window_order(
    grid: tuple[int, int],
    *,
    window_blocks: int = WINDOW_BLOCKS,
    merge: int = MERGE,
    device: torch.device | str | None = None,
) -> torch.Tensor:
    """Raster number of each patch in the order of the vision tower: windows, blocks inside them, patches inside those.

    Args:
        grid: rows and columns of patches, multiples of ``merge``.
        window_blocks: blocks a side of a window; windows at the right and lower edge may be smaller.
        merge: patches a side of a block.
        device: where the result is wanted.

    Returns:
        (P,) int64 permutation.
    """
    return _window_order(grid, window_blocks, merge).to(device, copy=True)


@lru_cache(maxsize=64)  # a robot's camera has one size
def _window_order(grid: tuple[int, int], window_blocks: int, merge: int) -> torch.Tensor:
    """What ``window_order`` gives, on the host; not to be changed."""
    return torch.from_numpy(patch_order(grid, window_blocks, merge))


def _as_map(points: torch.Tensor, grid: tuple[int, int], *, scramble: bool) -> torch.Tensor:
    """(H, W, 4) points as rows and columns of the image, or as the reference takes them for such."""
    if points.ndim == 3 and points.shape[0] == 1 and points.shape[-1] == 4:
        return _unflattened(points[0], grid, scramble=scramble)
    if points.ndim != 3 or points.shape[-1] != 4 or 0 in points.shape:
        raise InputError(f"points: expected (H, W, 4) or (1, N, 4) with x, y, z, validity, got {tuple(points.shape)}.")
    height, width = points.shape[:2]
    if scramble and grid[0] == grid[1] and width > height:
        _warn_of_scramble(height, width, grid)
        return points.reshape(width, height, 4)
    return points


def _unflattened(points: torch.Tensor, grid: tuple[int, int], *, scramble: bool) -> torch.Tensor:
    """(H, W, 4) points from the reference's flat form, whose shape is lost: one side is 640, the grid says which."""
    count = len(points)
    if count == 0 or count % LONG_SIDE:
        raise InputError(
            f"points: the flat form (1, N, 4) needs N to be a multiple of {LONG_SIDE}, got {count}; pass (H, W, 4)."
        )
    if grid[0] == grid[1] and count != LONG_SIDE**2 and not scramble:
        raise InputError(
            f"points: a flat list of {count} over a square grid {grid} does not tell portrait from landscape; "
            "pass (H, W, 4)."
        )
    return points.reshape(-1, LONG_SIDE, 4) if grid[0] < grid[1] else points.reshape(LONG_SIDE, -1, 4)


def _filled(points_HW4: torch.Tensor) -> torch.Tensor:
    """(H, W, 3) float32 coordinates; invalid ones hold the mean of the valid ones. A copy."""
    valid_HW = points_HW4[..., 3] > 0
    xyz_HW3 = points_HW4[..., :3].to(torch.float32)
    valid_N3 = xyz_HW3[valid_HW]
    if len(valid_N3) == 0:
        raise GroundingError(
            f"points: none of {valid_HW.numel()} is valid (channel 3 above 0); the model needs depth somewhere in the "
            "image."
        )
    if not bool(valid_N3.isfinite().all()):
        broken = int((~valid_N3.isfinite()).any(dim=1).sum())
        raise InputError(
            f"points: {broken} of {len(valid_N3)} valid ones are not finite; mark them invalid (channel 3 = 0)."
        )
    return torch.where(valid_HW[..., None], xyz_HW3, valid_N3.mean(dim=0))


@lru_cache(maxsize=256)  # once per size
def _warn_of_scramble(height: int, width: int, grid: tuple[int, int]) -> None:
    """Says that this image size meets the reference's error."""
    logger.warning(
        "Points of %dx%d (columns x rows) over a square grid of %dx%d patches are read with rows and columns "
        "exchanged, as the released weights learnt it: the 3-D code of such images is scrambled. Crop or pad the image "
        "to a short side outside 631 to 639, or use weights trained with position_code 'aligned'.",
        width, height, *grid,
    )  # fmt: skip
