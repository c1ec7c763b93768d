"""Where things are, in space and in the picture, as further channels of the image's patches.

Our own addition to Qwen2.5-VL, off unless config.json says ``"point_channels": true``. The position code tells the
language model where a patch lies, after all vision blocks. Small networks trained from scratch see shape and size
sooner when the points also enter with the colours. Each patch is cut into ``CELLS`` x ``CELLS`` cells; a cell has the
mean of its valid points, and the share of them that is valid. A patch becomes

* 49 x 3 offsets of its cells from its own mean point, ``asinh`` of units of ``RELIEF_UNIT``: the relief, near linear
  for what lies within a few centimetres and compressed where a patch holds an edge; 0 where a cell has no point;
* 49 shares of valid points;
* 3 coordinates of its mean point, less one (the scene's mean distance), 0 where it has none;
* 18 numbers of its place in the picture: u and v of its centre from -1 to 1, and the sines and cosines of
  ``PLACE_OCTAVES`` octaves of both. The tower's own attention knows how far two patches are apart, not where they are.

One linear layer without bias brings these ``POINT_VALUES`` numbers to the tower's width; they are added to the patch
embedding, in float32. With that layer at zero the network is the one without them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from n3d_ros.model.tables import MERGE

CELLS = 7  # cells a side of a patch: 2x2 of its 14 px
RELIEF_UNIT = 0.02  # of the scene's mean distance: some centimetres on a table, a decimetre in a room
PLACE_OCTAVES = 4  # the shortest wave is an eighth of the picture long: some patches
PLACE_VALUES = 2 + 4 * PLACE_OCTAVES
POINT_VALUES = 4 * CELLS**2 + 3 + PLACE_VALUES


@torch.no_grad()
def point_values(points: Tensor, grid: tuple[int, int], *, merge: int = MERGE) -> Tensor:
    """The further channels of some images of one size.

    Args:
        points: (B, H, W, 4) floating, x left, y up, z forward in units of the normalised scene, and validity (above 0:
            valid); xyz anything where invalid.
        grid: rows and columns of patches.
        merge: patches a side of a block.

    Returns:
        (B, P, POINT_VALUES) float32, the patches of a block one after the other, as those of the colours.
    """
    rows, columns = grid
    valid_BHW1 = (points[..., 3:] > 0).float()
    xyz_BHW3 = torch.where(valid_BHW1 > 0, points[..., :3].float(), 0.0)
    sums = torch.cat([xyz_BHW3, valid_BHW1], dim=-1).permute(0, 3, 1, 2)
    cells = functional.adaptive_avg_pool2d(sums, (rows * CELLS, columns * CELLS))
    blocks = cells.unflatten(3, (columns // merge, merge, CELLS)).unflatten(2, (rows // merge, merge, CELLS))
    # Channel, block row, row in block, cell row, block column, column in block, cell column -> blocks, patches, cells.
    sums_BP4C = blocks.permute(0, 2, 5, 3, 6, 1, 4, 7).reshape(len(points), rows * columns, 4, CELLS**2)
    share = sums_BP4C[:, :, 3:]
    whole = sums_BP4C.sum(dim=-1)
    center = torch.where(whole[..., 3:] > 0, whole[..., :3] / whole[..., 3:].clamp_min(1e-12), 1.0)
    mean = sums_BP4C[:, :, :3] / share.clamp_min(1e-12)
    relief = torch.where(share > 0, torch.asinh((mean - center[..., None]) / RELIEF_UNIT), 0.0)
    place = _place_values(grid, merge).to(relief).expand(len(points), -1, -1)
    return torch.cat([relief.flatten(2), share.flatten(2), center - 1.0, place], dim=-1)


def _place_values(grid: tuple[int, int], merge: int) -> Tensor:
    """(P, PLACE_VALUES) float32 where each patch is in the picture, in the patches' order."""
    rows, columns = grid
    v, u = torch.meshgrid((torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns, indexing="ij")
    places_RC2 = torch.stack([u, v], dim=-1) * 2 - 1
    blocks = places_RC2.unflatten(1, (columns // merge, merge)).unflatten(0, (rows // merge, merge))
    places_P2 = blocks.transpose(1, 2).reshape(rows * columns, 2)
    waves = (places_P2[:, None] * (torch.pi * 2.0 ** torch.arange(PLACE_OCTAVES))[:, None]).flatten(1)
    return torch.cat([places_P2, waves.sin(), waves.cos()], dim=-1)


def add_point_values(embedded: Tensor, values: Tensor, layer: nn.Linear) -> Tensor:
    """Patch embeddings with the points' part added, computed in float32 whatever autocast says.

    Args:
        embedded: (P, width).
        values: (P, POINT_VALUES) float32.
        layer: of the vision tower.

    Returns:
        (P, width) of the dtype of ``embedded``.
    """
    with torch.autocast(embedded.device.type, enabled=False):
        added = functional.linear(values.float(), layer.weight.float())
        return (embedded.float() + added).to(embedded.dtype)
