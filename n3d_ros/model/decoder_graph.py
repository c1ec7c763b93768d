"""The language model as one graph of standard operations over a static cache.

A cache layer is sequence-major, (C, 2 x kv heads x D), a token's keys and then its values in one row: the first rows,
any number, are one contiguous slice, so a short sequence reads a short cache. New rows are written in place; a mask
hides rows that belong to no earlier token. Query heads that share a key head are folded into the rows of one product:
keys and values are neither repeated nor joined.

A step of one token is bound by the number of kernels as much as by the weights, so small work is done together: all
heads are rotated at once, with the scale of attention in the tables of the queries and no angle for the values.

S new tokens, P rows of the cache that are read, C its capacity, G query heads per key head, D channels per head,
H = query, key and value heads together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from n3d_ros.errors import BackendError
from n3d_ros.model.fused import GatedMlp, RmsNorm, add_projection, fuse_linears, project, residual_dtype, rotate
from n3d_ros.model.tables import TextRotary

AttentionKind = Literal["sdpa", "products"]


class DecoderLayer(nn.Module):
    """One layer.

    Args:
        layer: of transformers; its projections become views of common storage.
        heads: query heads.
        kv_heads: key and value heads.
        dtype: of the weights.
    """

    def __init__(self, layer: Any, *, heads: int, kv_heads: int, dtype: torch.dtype) -> None:
        super().__init__()
        attention = layer.self_attn
        self.norm1, self.norm2 = RmsNorm(layer.input_layernorm, dtype), RmsNorm(layer.post_attention_layernorm, dtype)
        self.qkv_weight: Tensor
        self.qkv_bias: Tensor | None
        weight, bias = fuse_linears([attention.q_proj, attention.k_proj, attention.v_proj])
        self.register_buffer("qkv_weight", weight, persistent=False)
        self.register_buffer("qkv_bias", bias, persistent=False)
        self.output: nn.Linear = attention.o_proj
        self.mlp = GatedMlp(layer.mlp)
        self.heads, self.kv_heads = heads, kv_heads

    def project_heads(self, x: Tensor, cos: Tensor, signed_sin: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled queries, and keys and values as the cache holds them.

        Args:
            x: (S, h) in the residual dtype.
            cos: (S, H, D) float32.
            signed_sin: (S, H, D) float32.

        Returns:
            (S, heads, D), (S, 2 x kv heads x D).
        """
        qkv = project(self.norm1(x), self.qkv_weight, self.qkv_bias)
        rotated = rotate(qkv.unflatten(-1, (self.heads + 2 * self.kv_heads, -1)), cos, signed_sin)
        return rotated[:, : self.heads], rotated[:, self.heads :].flatten(1)

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """The layer's output from what its heads attended to.

        Args:
            x: (S, h) the layer's input; may hold the result afterwards.
            attended: (S, heads x D).

        Returns:
            (S, h).
        """
        x = add_projection(x, attended, self.output.weight, self.output.bias)
        return self.mlp(self.norm2(x), x)


def attend_sdpa(query: Tensor, cache: Tensor, mask: Tensor) -> Tensor:
    """Attention in one fused operation.

    Args:
        query: (S, heads, D), scaled.
        cache: (P, 2 x kv heads x D).
        mask: (G S, P) 0 or -inf, of the dtype of ``query``.

    Returns:
        (S, heads x D).
    """
    folded, key, value = _folded(query, cache)
    attended = functional.scaled_dot_product_attention(folded[None], key[None], value[None], attn_mask=mask, scale=1.0)
    return _unfolded(attended[0], query.shape[0])


def attend_products(query: Tensor, cache: Tensor, mask: Tensor) -> Tensor:
    """Attention as two products with a float32 softmax between.

    Args:
        query: (S, heads, D), scaled.
        cache: (P, 2 x kv heads x D).
        mask: (G S, P) 0 or -inf, float32.

    Returns:
        (S, heads x D).
    """
    folded, key, value = _folded(query, cache)
    if query.is_cuda and query.dtype != torch.float32:
        # baddbmm would first copy the mask to each head: as many kernels as adding it here.
        scores = torch.bmm(folded, key.transpose(1, 2), out_dtype=torch.float32) + mask
    else:
        scores = torch.matmul(folded, key.transpose(1, 2)) + mask
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype)
    return _unfolded(torch.matmul(weights, value), query.shape[0])


def _folded(query: Tensor, cache: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries (kv heads, G S, D), keys and values (kv heads, P, D)."""
    tokens, _, width = query.shape
    key, value = cache.unflatten(-1, (-1, width)).transpose(0, 1).chunk(2)
    folded = query.reshape(tokens, key.shape[0], -1, width).permute(1, 2, 0, 3).flatten(1, 2)
    return folded, key, value


def _unfolded(attended: Tensor, tokens: int) -> Tensor:
    """(S, heads x D) from (kv heads, G S, D)."""
    return attended.unflatten(1, (-1, tokens)).permute(2, 0, 1, 3).flatten(1)


def attend_causal(query: Tensor, rows: Tensor) -> Tensor:
    """Attention of a sequence's first tokens among themselves, without a mask.

    Args:
        query: (S, heads, D), scaled.
        rows: (S, 2 x kv heads x D) their keys and values.

    Returns:
        (S, heads x D).
    """
    heads, width = query.shape[1:]
    shared = 2 * heads * width // rows.shape[-1]
    key, value = (
        part.unflatten(-1, (-1, 1, width)).expand(-1, -1, shared, -1).flatten(1, 2).transpose(0, 1)
        for part in rows.chunk(2, dim=-1)
    )
    attended = functional.scaled_dot_product_attention(
        query.transpose(0, 1)[None], key[None], value[None], is_causal=True, scale=1.0
    )
    return attended[0].transpose(0, 1).flatten(1)


class DecoderGraph(nn.Module):
    """Embedding, layers, final norm and the rows of logits that are asked for.

    Args:
        language_model: the text model of transformers, with ``embed_tokens``, ``layers`` and ``norm``.
        lm_head: its output layer; may share its weight with the embedding.

    Raises:
        BackendError: a model of a shape this graph does not have.
    """

    def __init__(self, language_model: Any, lm_head: nn.Linear) -> None:
        super().__init__()
        config = language_model.config
        _check_shape(config)
        self.dtype: torch.dtype = lm_head.weight.dtype
        self.heads, self.kv_heads = int(config.num_attention_heads), int(config.num_key_value_heads)
        self.hidden_size = int(config.hidden_size)
        self.head_dim = self.hidden_size // self.heads
        self.vocab_size = int(lm_head.weight.shape[0])
        self.rotary = TextRotary(
            head_dim=self.head_dim,
            theta=float(config.rope_parameters["rope_theta"]),
            sections=tuple(config.rope_parameters.get("mrope_section", (16, 24, 24))),
        )
        self.embedding: nn.Embedding = language_model.embed_tokens
        self.layers = nn.ModuleList(
            DecoderLayer(layer, heads=self.heads, kv_heads=self.kv_heads, dtype=self.dtype)
            for layer in language_model.layers
        )
        self.norm = RmsNorm(language_model.norm, self.dtype)
        self.head = lm_head
        counts = torch.tensor([self.heads, self.kv_heads, self.kv_heads], device=lm_head.weight.device)
        self.angle_scale: Tensor
        self.is_value: Tensor
        scale = torch.tensor([self.head_dim**-0.5, 1.0, 0.0], device=counts.device).repeat_interleave(counts)[:, None]
        self.register_buffer("angle_scale", scale, persistent=False)  # (H, 1) of queries, keys and values
        self.register_buffer("is_value", (scale == 0).float(), persistent=False)

    @property
    def cache_width(self) -> int:
        """Channels of a row in one layer: keys and values."""
        return 2 * self.kv_heads * self.head_dim

    def embed(self, token_ids: Tensor) -> Tensor:
        """The embeddings of some tokens.

        Args:
            token_ids: (S,) int64.

        Returns:
            (S, h).
        """
        return functional.embedding(token_ids, self.embedding.weight)

    def mask(self, rows: Tensor, length: int, kind: AttentionKind) -> Tensor:
        """What each new token may see: itself and all rows before.

        Args:
            rows: (S,) int64 the tokens' rows in the cache.
            length: P, rows that are read.
            kind: of attention.

        Returns:
            (G S, P) 0 or -inf, query heads outermost.
        """
        dtype = self.dtype if kind == "sdpa" else torch.float32
        hidden = torch.arange(length, device=rows.device) > rows[:, None]
        mask = torch.zeros(hidden.shape, dtype=dtype, device=rows.device).masked_fill(hidden, float("-inf"))
        return mask.repeat(self.heads // self.kv_heads, 1)

    def forward(
        self,
        embeds: Tensor,
        cos: Tensor,
        signed_sin: Tensor,
        rows: Tensor,
        caches: Sequence[Tensor],
        mask: Tensor | None,
        kind: AttentionKind = "sdpa",
    ) -> Tensor:
        """The hidden states of new tokens, whose keys and values are written into the cache.

        Args:
            embeds: (S, h) of the weights' dtype.
            cos: (S, 1, D) float32.
            signed_sin: (S, 1, D) float32, first half of the channels negated.
            rows: (S,) int64 rows of the cache to write; consecutive.
            caches: per layer, the first P rows, (P, 2 x kv heads x D).
            mask: (G S, P) from ``mask``; None: the tokens are the sequence's first and fill exactly P = S rows.
            kind: which operations attend.

        Returns:
            (S, h) before the final norm, in the residual dtype.
        """
        x = embeds.to(residual_dtype(self.dtype), copy=True)  # layers may add into it
        cos, signed_sin = torch.addcmul(self.is_value, cos, self.angle_scale), signed_sin * self.angle_scale
        attend = attend_sdpa if kind == "sdpa" else attend_products
        for layer, cache in zip(self.layers, caches, strict=True):
            query, written = layer.project_heads(x, cos, signed_sin)
            cache.index_copy_(0, rows, written)
            attended = attend_causal(query, written) if mask is None else attend(query, cache, mask)
            x = layer.finish(x, attended)
        return x

    def logits(self, hidden: Tensor) -> Tensor:
        """The logits of some rows.

        Args:
            hidden: (L, h) of ``forward``.

        Returns:
            (L, V) float32.
        """
        x = self.norm(hidden)
        if x.is_cuda and x.dtype != torch.float32:
            return torch.mm(x, self.head.weight.t(), out_dtype=torch.float32)
        return project(x, self.head.weight).float()


def _check_shape(config: Any) -> None:
    """Raises for what Qwen2.5-VL's configuration allows and no released model has."""
    kind = str(config.rope_parameters.get("rope_type", "default"))
    if kind != "default":
        raise BackendError(
            f"Language model: expected rotary positions of type default, got {kind}; use the weights as released."
        )
    if "sliding_attention" in (getattr(config, "layer_types", None) or ()):
        raise BackendError(
            "Language model: expected full attention in all layers, got a sliding window; set "
            "use_sliding_window to false in config.json."
        )
    if config.hidden_act != "silu":
        raise BackendError(f"Language model: expected the activation silu, got {config.hidden_act}.")
