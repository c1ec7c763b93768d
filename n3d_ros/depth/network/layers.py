"""Blocks of the vision transformer: attention, feed-forward, layer scale.

The residual stream, norms, layer scales and rotations are float32; projections and attention take the dtype of their
weights (float32, bfloat16 or float16).

Shapes: B sequences, N tokens of one, C channels, H heads, D = C / H.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from n3d_ros.depth.config import FeedForward
from n3d_ros.depth.network.rotary import Rotation

BLOCK_EPS = 1e-6  # norm1 and norm2 of the backbone; every other norm of these models has 1e-5
EPS = 1e-5


class Attention(nn.Module):
    """Self-attention, within each sequence or over groups of sequences.

    Args:
        channels: C.
        heads: H.
        qk_norm: whether queries and keys are normalised per head.
    """

    def __init__(self, channels: int, heads: int, *, qk_norm: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.q_norm = nn.LayerNorm(channels // heads, eps=EPS) if qk_norm else None
        self.k_norm = nn.LayerNorm(channels // heads, eps=EPS) if qk_norm else None
        self.proj = nn.Linear(channels, channels)

    def forward(self, tokens: torch.Tensor, *, rotation: Rotation | None = None, joined: int = 1) -> torch.Tensor:
        """What the tokens gather from each other.

        Args:
            tokens: (B, N, C) in the dtype of the weights.
            rotation: of the first n tokens of each sequence; None: no position code.
            joined: so many sequences that follow each other attend together.

        Returns:
            (B, N, C) in the same dtype.
        """
        batch, count, channels = tokens.shape
        query, key, value = self.qkv(tokens).view(batch, count, 3, self.heads, -1).unbind(2)
        query, key = self._placed(query, self.q_norm, rotation), self._placed(key, self.k_norm, rotation)
        together = (batch // joined, joined * count, self.heads, -1)
        mixed = F.scaled_dot_product_attention(
            *(part.reshape(together).transpose(1, 2) for part in (query, key, value))
        )
        return self.proj(mixed.transpose(1, 2).reshape(batch, count, channels))

    @staticmethod
    def _placed(states: torch.Tensor, norm: nn.LayerNorm | None, rotation: Rotation | None) -> torch.Tensor:
        """Queries or keys (B, N, H, D), normalised and turned in float32; back in their dtype."""
        dtype = states.dtype
        if norm is not None:
            states = norm(states.float())
        if rotation is not None:
            turned = len(rotation.cos)
            states = states.float()
            first = rotation.apply(states[:, :turned])
            states = first if turned == states.shape[1] else torch.cat([first, states[:, turned:]], dim=1)
        return states.to(dtype)


class Mlp(nn.Module):
    """Two projections with a GELU between.

    Args:
        channels: C.
        hidden: width between.
        out_channels: C if not named.
    """

    def __init__(self, channels: int, hidden: int, out_channels: int | None = None) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, out_channels or channels)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """The tokens, each by itself.

        Args:
            tokens: (..., C).

        Returns:
            (..., out channels).
        """
        return self.fc2(F.gelu(self.fc1(tokens)))


class SwiGlu(nn.Module):
    """A gated feed-forward (Shazeer 2020).

    Args:
        channels: C.
        hidden: width between.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.w12 = nn.Linear(channels, 2 * hidden)
        self.w3 = nn.Linear(hidden, channels)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """The tokens, each by itself.

        Args:
            tokens: (..., C).

        Returns:
            The same shape.
        """
        gate, value = self.w12(tokens).chunk(2, dim=-1)
        return self.w3(F.silu(gate) * value)


class LayerScale(nn.Module):
    """A factor per channel for what a layer adds.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))

    def forward(self, stream: torch.Tensor, added: torch.Tensor) -> torch.Tensor:
        """The stream with what a layer adds.

        Args:
            stream: (..., C) float32.
            added: (..., C).

        Returns:
            The same shape, float32.
        """
        return torch.addcmul(stream, self.gamma, added)


class Block(nn.Module):
    """One transformer block: attention and feed-forward, each normalised before and scaled after.

    Args:
        channels: C.
        heads: H.
        eps: of both norms.
        hidden: width of the feed-forward.
        qk_norm: of the attention.
        ffn: kind of feed-forward.
    """

    def __init__(
        self, channels: int, heads: int, *, eps: float, hidden: int, qk_norm: bool = False, ffn: FeedForward = "mlp"
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=eps)
        self.attn = Attention(channels, heads, qk_norm=qk_norm)
        self.ls1 = LayerScale(channels)
        self.norm2 = nn.LayerNorm(channels, eps=eps)
        self.mlp = Mlp(channels, hidden) if ffn == "mlp" else SwiGlu(channels, hidden)
        self.ls2 = LayerScale(channels)

    def forward(self, stream: torch.Tensor, *, rotation: Rotation | None = None, joined: int = 1) -> torch.Tensor:
        """The stream after the block.

        Args:
            stream: (B, N, C) float32.
            rotation: of ``Attention``.
            joined: of ``Attention``.

        Returns:
            (B, N, C) float32.
        """
        dtype = self.attn.qkv.weight.dtype
        attended = self.attn(self.norm1(stream).to(dtype), rotation=rotation, joined=joined)
        stream = self.ls1(stream, attended)
        return self.ls2(stream, self.mlp(self.norm2(stream).to(dtype)))
