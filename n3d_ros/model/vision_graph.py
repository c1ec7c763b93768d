"""The vision tower as one graph of standard operations over the weights of a loaded model.

What depends on the image's size comes in as tables (``n3d_ros.model.tables``): no loops over windows, nothing that
looks at data. Blocks with windows attend in one padded batch; blocks with full attention see all patches.

P patches, M merged tokens, W windows of L places, N heads, D channels per head, E width of the tower.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from n3d_ros.errors import BackendError
from n3d_ros.model.fused import GatedMlp, RmsNorm, add_projection, project, residual_dtype, rotate, signed
from n3d_ros.model.point_channels import add_point_values
from n3d_ros.model.tables import VisionGeometry, VisionTables


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VisionInputs:
    """The tables of an image size as tensors.

    Args:
        cos: (P, 1, D) float32.
        signed_sin: (P, 1, D) float32, first half of the channels negated.
        window_index: (M,) int64.
        reverse_index: (M,) int64.
        gather: (W L,) int64.
        scatter: (P,) int64.
        window_mask: (W, 1, 1, L) of the tower's dtype, 0 or -inf.
    """

    cos: Tensor
    signed_sin: Tensor
    window_index: Tensor
    reverse_index: Tensor
    gather: Tensor
    scatter: Tensor
    window_mask: Tensor

    @classmethod
    def from_tables(cls, tables: VisionTables, *, device: torch.device, dtype: torch.dtype) -> VisionInputs:
        """The tensors of some tables.

        Args:
            tables: of an image size.
            device: where the tower is.
            dtype: of the tower.

        Returns:
            The tensors.
        """

        def tensor(array: Any) -> Tensor:
            return torch.tensor(array, device=device)

        mask = torch.zeros(tables.is_patch.shape, dtype=dtype, device=device)
        mask.masked_fill_(~tensor(tables.is_patch), float("-inf"))
        return cls(
            cos=tensor(tables.cos)[:, None],
            signed_sin=signed(tensor(tables.sin)),
            window_index=tensor(tables.window_index),
            reverse_index=tensor(tables.reverse_index),
            gather=tensor(tables.gather).reshape(-1),
            scatter=tensor(tables.scatter),
            window_mask=mask[:, None, None],
        )


class VisionBlock(nn.Module):
    """One block of the tower.

    Args:
        block: of transformers.
        heads: number of attention heads.
        has_windows: whether patches see their window only.
        dtype: of the weights.
    """

    def __init__(self, block: Any, *, heads: int, has_windows: bool, dtype: torch.dtype) -> None:
        super().__init__()
        self.norm1, self.norm2 = RmsNorm(block.norm1, dtype), RmsNorm(block.norm2, dtype)
        self.qkv: nn.Linear = block.attn.qkv
        self.proj: nn.Linear = block.attn.proj
        self.mlp = GatedMlp(block.mlp)
        self.heads, self.has_windows = heads, has_windows
        self.exact_attention = False
        """Whether attention is computed in float32 whatever the dtype of the weights."""

    def forward(
        self, x: Tensor, cos: Tensor, signed_sin: Tensor, gather: Tensor, scatter: Tensor, window_mask: Tensor
    ) -> Tensor:
        """The block's output.

        Args:
            x: (P, E) in the residual dtype; may hold the result afterwards.
            cos: (P, 1, D).
            signed_sin: (P, 1, D).
            gather: (W L,).
            scatter: (P,).
            window_mask: (W, 1, 1, L).

        Returns:
            (P, E).
        """
        qkv = project(self.norm1(x), self.qkv.weight, self.qkv.bias).unflatten(-1, (3 * self.heads, -1))
        rotated = rotate(qkv[:, : 2 * self.heads], cos, signed_sin)
        query, key = rotated.chunk(2, dim=1)
        value = qkv[:, 2 * self.heads :]
        if self.exact_attention:
            query, key, value, window_mask = (each.float() for each in (query, key, value, window_mask))
        if self.has_windows:
            attended = _windowed(query, key, value, gather, scatter, window_mask)
        else:
            attended = _attend(query[None], key[None], value[None], None)[0]
        x = add_projection(x, attended.flatten(1).to(qkv.dtype), self.proj.weight, self.proj.bias)
        return self.mlp(self.norm2(x), x)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Attention of (B, L, N, D) tensors, in the same layout."""
    query, key, value = (tensor.transpose(1, 2) for tensor in (query, key, value))
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2)


def _windowed(query: Tensor, key: Tensor, value: Tensor, gather: Tensor, scatter: Tensor, mask: Tensor) -> Tensor:
    """Attention of (P, N, D) tensors inside windows, all windows as one padded batch."""
    windows = mask.shape[0]
    padded = [tensor.index_select(0, gather).unflatten(0, (windows, -1)) for tensor in (query, key, value)]
    attended = _attend(padded[0], padded[1], padded[2], mask)
    return attended.flatten(0, 1).index_select(0, scatter)


class VisionGraph(nn.Module):
    """The tower: patches and position code in, visual tokens out.

    Args:
        tower: of a loaded model; gate and up projections become views of common storage.

    Raises:
        BackendError: a tower of a shape this graph does not have.
    """

    def __init__(self, tower: Any) -> None:
        super().__init__()
        config = tower.config
        if config.hidden_act != "silu":
            raise BackendError(f"Vision tower: expected the activation silu, got {config.hidden_act}.")
        self.dtype: torch.dtype = tower.patch_embed.proj.weight.dtype
        self.heads, self.merge = int(config.num_heads), int(config.spatial_merge_size)
        self.width = int(config.hidden_size)
        self.geometry = VisionGeometry(
            window=config.window_size // self.merge // config.patch_size,
            merge=self.merge,
            head_dim=config.hidden_size // self.heads,
            theta=float((config.rope_parameters or {}).get("rope_theta", 10000.0)),
        )
        self.patch_embed = tower.patch_embed.proj
        self.point_embed: nn.Linear | None = tower.patch_embed.points if tower.point_channels else None
        full = set(config.fullatt_block_indexes)
        self.blocks = nn.ModuleList(
            VisionBlock(block, heads=self.heads, has_windows=number not in full, dtype=self.dtype)
            for number, block in enumerate(tower.blocks)
        )
        self.merger_norm = RmsNorm(tower.merger.ln_q, self.dtype)
        self.merger: Callable[[Tensor], Tensor] = tower.merger.mlp

    def forward(
        self,
        pixels: Tensor,
        code: Tensor,
        cos: Tensor,
        signed_sin: Tensor,
        window_index: Tensor,
        reverse_index: Tensor,
        gather: Tensor,
        scatter: Tensor,
        window_mask: Tensor,
        point_values: Tensor | None = None,
    ) -> Tensor:
        """The visual tokens of one image.

        Args:
            pixels: (P, 1176) of any float dtype, 2x2 patches of one merged token together.
            code: (P, E) float32 3-D position code, in the order in which it is added.
            cos: (P, 1, D) float32, as all that follow from ``VisionInputs``.
            signed_sin: (P, 1, D) float32.
            window_index: (M,) int64.
            reverse_index: (M,) int64.
            gather: (W L,) int64.
            scatter: (P,) int64.
            window_mask: (W, 1, 1, L).
            point_values: (P, POINT_VALUES) float32 in the order of the pixels; None for a tower without point channels.

        Returns:
            (M, hidden size of the language model), row by row of the image.
        """
        weight = self.patch_embed.weight.flatten(1)  # the patches do not overlap: their convolution is one product
        x = project(pixels.to(self.dtype), weight, self.patch_embed.bias)
        if self.point_embed is not None and point_values is not None:
            x = add_point_values(x, point_values, self.point_embed)
        unit = self.merge**2
        x = x.unflatten(0, (-1, unit)).index_select(0, window_index).flatten(0, 1).to(residual_dtype(self.dtype))
        for block in self.blocks:
            x = block(x, cos, signed_sin, gather, scatter, window_mask)
        x = (x.float() + code).to(x.dtype)
        merged = self.merger(self.merger_norm(x).reshape(-1, unit * x.shape[-1]))
        return merged.index_select(0, reverse_index)

    def encode(self, pixels: Tensor, code: Tensor, inputs: VisionInputs, point_values: Tensor | None = None) -> Tensor:
        """``forward`` with the tables of an image size in one object.

        Args:
            pixels: (P, 1176).
            code: (P, E) float32.
            inputs: of the image's size.
            point_values: (P, POINT_VALUES) float32 for a tower with point channels.

        Returns:
            (M, hidden size of the language model).
        """
        result: Tensor = self(
            pixels,
            code,
            inputs.cos,
            inputs.signed_sin,
            inputs.window_index,
            inputs.reverse_index,
            inputs.gather,
            inputs.scatter,
            inputs.window_mask,
            point_values,
        )
        return result
