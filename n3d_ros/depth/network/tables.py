"""Tables that depend on the image's size alone, made once per size: positions of patches and of a head's pixels.

They are kept for the sizes used last. While a graph is exported or compiled nothing new is kept, since its tensors are
not real; what is there already becomes a constant of the graph: run a network once at a size before exporting it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch
import torch.nn.functional as F  # noqa: N812

from n3d_ros.depth.config import PATCH

OFFSET = 0.1  # added to the wanted rows and columns before the scale is made, as DINOv2 was trained with
UV_WEIGHT = 0.1
UV_BASE = 100.0
KEPT = 64  # tables; a size needs about a dozen
KEPT_BYTES = 1 << 29  # in all; the pixels of a large head at 504 x 504 need 130 MB

Table = TypeVar("Table")


class TableCache:
    """Tables by what they depend on, the longest unused dropped first."""

    def __init__(self) -> None:
        self._tables: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Table]) -> Table:
        """The table of a key, made if need be.

        Args:
            key: everything it depends on.
            make: makes it, without gradients.

        Returns:
            The table, never to be changed.
        """
        found = self._tables.get(key)
        if found is not None:
            if not torch.compiler.is_compiling():
                self._tables.move_to_end(key)
            return found
        with torch.inference_mode(mode=False), torch.no_grad():
            table = make()
        if not torch.compiler.is_compiling():
            self._tables[key] = table
            while len(self._tables) > KEPT or (len(self._tables) > 1 and self._bytes() > KEPT_BYTES):
                self._tables.popitem(last=False)
        return table

    def clear(self) -> None:
        """Drops all tables."""
        self._tables.clear()

    def _bytes(self) -> int:
        return sum(_size(table) for table in self._tables.values())

    def __deepcopy__(self, _memo: object) -> TableCache:
        """An empty cache: a copied network makes its own tables."""
        return TableCache()

    def __getstate__(self) -> dict[str, object]:
        """Nothing: tables are made again."""
        return {}

    def __setstate__(self, _state: object) -> None:
        """Starts empty."""
        self._tables = OrderedDict()


def _size(table: Any) -> int:
    """Bytes of the tensors in a table."""
    if isinstance(table, torch.Tensor):
        return table.nbytes
    return sum(_size(part) for part in table) if isinstance(table, tuple) else 0


def positional_table(stored: torch.Tensor, image_hw: tuple[int, int]) -> torch.Tensor:
    """The learnt positional table at the size of an image.

    Args:
        stored: (1, 1 + G*G, C), class token first, then rows of a square grid.
        image_hw: of the image, pixels.

    Returns:
        (1, 1 + patches, C) float32.
    """
    rows, columns = image_hw[0] // PATCH, image_hw[1] // PATCH
    stored = stored.float()
    grid = round((stored.shape[1] - 1) ** 0.5)
    if rows == columns == grid:
        return stored
    square = stored[:, 1:].unflatten(1, (grid, grid)).permute(0, 3, 1, 2)
    scale = ((rows + OFFSET) / grid, (columns + OFFSET) / grid)
    resized = F.interpolate(square, scale_factor=scale, mode="bicubic", align_corners=False)
    return torch.cat([stored[:, :1], resized.flatten(2).transpose(1, 2)], dim=1)


def uv_table(map_hw: tuple[int, int], channels: int, aspect: float, device: torch.device) -> torch.Tensor:
    """The head's position code of the pixels of a map, already weighted: first half of the channels x, second half y.

    Args:
        map_hw: of the map.
        channels: of the map, a multiple of 4.
        aspect: width by height of the whole image.
        device: where the table goes.

    Returns:
        (1, channels, h, w) float32, channels last in memory.
    """
    height, width = map_hw
    diagonal = (aspect**2 + 1) ** 0.5
    across = _waves(aspect / diagonal, width, channels // 2)[:, None, :].expand(-1, height, -1)
    down = _waves(1 / diagonal, height, channels // 2)[:, :, None].expand(-1, -1, width)
    table = UV_WEIGHT * torch.cat([across, down])[None].to(device, torch.float32)
    return table.contiguous(memory_format=torch.channels_last)


def _waves(reach: float, count: int, channels: int) -> torch.Tensor:
    """(channels, count): sines, then cosines of evenly spaced coordinates, the outermost half a pixel inside reach."""
    end = reach * (count - 1) / count
    coordinates = torch.linspace(-end, end, count, dtype=torch.float64)
    omega = UV_BASE ** -(torch.arange(channels // 2, dtype=torch.float64) / (channels // 2))
    angles = omega[:, None] * coordinates
    return torch.cat([angles.sin(), angles.cos()]).float()
