"""Index and rotary tables of the networks, made on the host with numpy: no graph computes what only shapes decide.

The vision tower attends inside windows: merged tokens (2x2 patches) are permuted so that each window's stand together.
Windows at the right and lower edge hold fewer; they are padded to one size, and a mask says which places are real. Only
the size of the image decides these tables, therefore the last few are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import InputError

Int64Array = NDArray[np.int64]
Float32Array = NDArray[np.float32]

MERGE = 2  # patches a side of a block that the merger joins into one visual token
WINDOW_BLOCKS = 4  # blocks a side of an attention window: 112 px / 14 px / 2
KEPT_POSITIONS = 4096  # of text, whose rotary tables are kept; 4 MB with 128 channels per head
KEPT_GRIDS = 16  # image sizes whose tables are kept; about 1.5 MB each at 640x480


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionGeometry:
    """What of a vision tower's shape decides its tables.

    Args:
        window: side of an attention window, merged tokens.
        merge: side of a merged token, patches.
        head_dim: channels per attention head; a multiple of 4.
        theta: base of the rotary frequencies.
    """

    window: int = WINDOW_BLOCKS
    merge: int = MERGE
    head_dim: int = 80
    theta: float = 10000.0

    def __post_init__(self) -> None:
        """Checks ranges.

        Raises:
            InputError: a size that no tower has.
        """
        if self.window < 1 or self.merge < 1 or self.head_dim < 4 or self.head_dim % 4 or not self.theta > 0:
            raise InputError(f"VisionGeometry: expected positive sizes and a head of 4 n channels, got {self}.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VisionTables:
    """Everything about an image's size that the vision tower needs. All arrays are read-only.

    Args:
        grid: rows and columns of patches.
        window_index: (M,) int64 merged token, counted row by row, at each place of the window order.
        reverse_index: (M,) int64 place in the window order of each merged token.
        window_bounds: (W + 1,) int64 first patch of each window in the window order, and their number P at the end.
        gather: (W, L) int64 patch (window order) at each place of each padded window; padding repeats the last patch.
        scatter: (P,) int64 place, of W L, of each patch (window order).
        is_patch: (W, L) bool; False where a window is padded.
        cos: (P, head_dim) float32 of the rotary angles, window order.
        sin: (P, head_dim) float32 likewise.
    """

    grid: tuple[int, int]
    window_index: Int64Array
    reverse_index: Int64Array
    window_bounds: Int64Array
    gather: Int64Array
    scatter: Int64Array
    is_patch: NDArray[np.bool_]
    cos: Float32Array
    sin: Float32Array


@lru_cache(maxsize=KEPT_GRIDS)
def vision_tables(grid: tuple[int, int], geometry: VisionGeometry) -> VisionTables:
    """The tables of one image size.

    Args:
        grid: rows and columns of patches, multiples of ``geometry.merge``.
        geometry: of the tower.

    Returns:
        The tables; the same object when asked again.

    Raises:
        InputError: a grid that is not made of whole merged tokens.
    """
    rows, columns = grid
    if rows <= 0 or columns <= 0 or rows % geometry.merge or columns % geometry.merge:
        raise InputError(f"Grid of patches: expected multiples of {geometry.merge} above 0, got {grid}.")
    index, lengths = window_index(rows // geometry.merge, columns // geometry.merge, geometry.window)
    bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths * geometry.merge**2)])
    gather, scatter, is_patch = _padded_windows(bounds)
    cos, sin = _vision_rotary(grid, geometry, index)
    tables = VisionTables(
        grid=grid,
        window_index=index,
        reverse_index=np.argsort(index),
        window_bounds=bounds,
        gather=gather,
        scatter=scatter,
        is_patch=is_patch,
        cos=cos,
        sin=sin,
    )
    for name in VisionTables.__slots__[1:]:
        getattr(tables, name).flags.writeable = False
    return tables


def window_index(rows: int, columns: int, window: int) -> tuple[Int64Array, Int64Array]:
    """The order in which merged tokens stand window by window.

    Args:
        rows: of merged tokens.
        columns: of merged tokens.
        window: side of a window, merged tokens.

    Returns:
        (M,) int64 token, counted row by row, at each place; and (W,) int64 tokens per window.
    """
    row, column = np.divmod(np.arange(rows * columns, dtype=np.int64), columns)
    windows_across = -(-columns // window)
    number = (row // window) * windows_across + column // window
    order = np.argsort(number, kind="stable")  # inside a window the tokens stay in raster order
    return order, np.bincount(number).astype(np.int64)


def patch_order(grid: tuple[int, int], window: int, merge: int) -> Int64Array:
    """The order in which patches stand in the tower: windows, merged tokens inside them, patches inside those.

    Args:
        grid: rows and columns of patches, multiples of ``merge``.
        window: side of a window, merged tokens.
        merge: side of a merged token, patches.

    Returns:
        (P,) int64 patch, counted row by row, at each place.
    """
    rows, columns = grid[0] // merge, grid[1] // merge
    index, _ = window_index(rows, columns, window)
    number = np.arange(grid[0] * grid[1], dtype=np.int64).reshape(rows, merge, columns, merge)
    order: Int64Array = number.transpose(0, 2, 1, 3).reshape(-1, merge**2)[index].reshape(-1)
    return order


def _padded_windows(bounds: Int64Array) -> tuple[Int64Array, Int64Array, NDArray[np.bool_]]:
    """Gather, scatter and mask that bring windows of different lengths to the longest one."""
    lengths = np.diff(bounds)
    place = np.arange(int(lengths.max()), dtype=np.int64)
    is_patch = place[None, :] < lengths[:, None]
    gather = bounds[:-1, None] + np.minimum(place[None, :], lengths[:, None] - 1)
    scatter = np.flatnonzero(is_patch).astype(np.int64)
    return gather, scatter, is_patch


def _vision_rotary(grid: tuple[int, int], geometry: VisionGeometry, index: Int64Array) -> tuple[Any, Any]:
    """Cosines and sines (P, head_dim) of row and column angles, in window order."""
    merge = geometry.merge
    shape = (grid[0] // merge, merge, grid[1] // merge, merge)
    frequencies = inverse_frequencies(geometry.head_dim // 2, geometry.theta)
    angles = []
    for axis in (0, 1):
        position = np.indices(grid, dtype=np.float32)[axis]
        blocks = position.reshape(shape).transpose(0, 2, 1, 3).reshape(-1, merge**2)  # patches of one token together
        angles.append(blocks[index].reshape(-1, 1) * frequencies)
    both = np.concatenate([*angles, *angles], axis=1)
    return np.cos(both), np.sin(both)


def inverse_frequencies(dim: int, theta: float) -> Float32Array:
    """The rotary frequencies, theta^(-2k/dim), computed in float32 step by step as transformers does.

    Args:
        dim: channels that are rotated, twice the number of frequencies.
        theta: base.

    Returns:
        (dim / 2,) float32 radians per position.
    """
    exponent = np.arange(0, dim, 2, dtype=np.float32) / np.float32(dim)
    return (np.float32(1.0) / np.power(np.float32(theta), exponent)).astype(np.float32)


class TextRotary:
    """Rotary tables of the language model, whose tokens have three positions each (mRoPE).

    Args:
        head_dim: channels per head.
        theta: base of the frequencies.
        sections: how many frequencies follow the temporal, height and width position, in turn.

    Raises:
        InputError: sections that do not add up to half a head.
    """

    def __init__(self, *, head_dim: int, theta: float, sections: tuple[int, ...]) -> None:
        if 2 * sum(sections) != head_dim:
            raise InputError(f"mRoPE sections: expected a sum of {head_dim / 2:g} (half a head), got {sections}.")
        self.head_dim, self.theta, self.sections = head_dim, theta, sections
        self._axis = np.repeat([number % 3 for number in range(len(sections))], sections)
        self._frequencies = inverse_frequencies(head_dim, theta)
        self._kept = self._computed(np.tile(np.arange(KEPT_POSITIONS, dtype=np.int64), (3, 1)))

    def tables(self, position_ids: Int64Array) -> tuple[Float32Array, Float32Array]:
        """The cosines and sines of some tokens.

        Args:
            position_ids: (3, S) int64 temporal, height and width positions.

        Returns:
            Twice (S, head_dim) float32; the second half repeats the first.
        """
        place = position_ids[0]
        if (position_ids == place).all() and int(place.min()) >= 0 and int(place.max()) < KEPT_POSITIONS:
            return self._kept[0][place], self._kept[1][place]  # text: one position on all axes
        return self._computed(position_ids)

    def _computed(self, position_ids: Int64Array) -> tuple[Float32Array, Float32Array]:
        """``tables`` from angles."""
        angles = position_ids[self._axis].T.astype(np.float32) * self._frequencies
        cos, sin = np.cos(angles), np.sin(angles)
        return np.concatenate([cos, cos], axis=1), np.concatenate([sin, sin], axis=1)
