"""The language model as one graph of standard operations over a static cache.

A cache layer is sequence-major, (C, kv heads x D): the first rows, any number, are one contiguous slice, so a short
sequence reads a short cache. New rows are written in place; a mask hides rows that belong to no earlier token. Query
heads that share a key head are folded into the rows of one product: keys and values are neither repeated nor joined.

S new tokens, P rows of the cache that are read, C its capacity, G query heads per key head, D channels per head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from n3d_ros.errors import BackendError
from n3d_ros.model.fused import GatedMlp, RmsNorm, fuse_linears, project, residual_dtype, rotate
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

    def project_heads(self, x: Tensor, cos: Tensor, signed_sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, and keys and values as the cache holds them.

        Args:
            x: (S, h) in the residual dtype.
            cos: (S, 1, D) float32.
            signed_sin: (S, 1, D) float32.

        Returns:
            (S, heads, D), (S, kv heads x D), (S, kv heads x D).
        """
        qkv = project(self.norm1(x), self.qkv_weight, self.qkv_bias)
        both = self.heads + self.kv_heads
        by_head = qkv.unflatten(-1, (both + self.kv_heads, -1))
        rotated = rotate(by_head[:, :both], cos, signed_sin).to(qkv.dtype)
        return rotated[:, : self.heads], rotated[:, self.heads :].flatten(1), by_head[:, both:].flatten(1)

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """The layer's output from what its heads attended to.

        Args:
            x: (S, h) the layer's input.
            attended: (S, heads x D).

        Returns:
            (S, h).
        """
        x = x + project(attended, self.output.weight, self.output.bias)
        return x + self.mlp(self.norm2(x))


def attend_sdpa(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """Attention in one fused operation.

    Args:
        query: (S, heads, D).
        keys: (P, kv heads x D).
        values: (P, kv heads x D).
        mask: (G S, P) 0 or -inf, of the dtype of ``query``.

    Returns:
        (S, heads x D).
    """
    folded, key, value = _folded(query, keys, values)
    attended = functional.scaled_dot_product_attention(folded[None], key[None], value[None], attn_mask=mask)[0]
    return _unfolded(attended, query.shape[0])


def attend_products(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """Attention as two products with a float32 softmax between.

    Args:
        query: (S, heads, D).
        keys: (P, kv heads x D).
        values: (P, kv heads x D).
        mask: (G S, P) 0 or -inf, float32.

    Returns:
        (S, heads x D).
    """
    folded, key, value = _folded(query, keys, values)
    scale = query.shape[-1] ** -0.5
    if query.is_cuda and query.dtype != torch.float32:
        scores = torch.bmm(folded, key.transpose(1, 2), out_dtype=torch.float32) * scale + mask
    else:
        scores = torch.matmul(folded * scale, key.transpose(1, 2)) + mask  # scaled first: float16 would overflow
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype)
    return _unfolded(torch.matmul(weights, value), query.shape[0])


def _folded(query: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries (kv heads, G S, D), keys and values (kv heads, P, D)."""
    tokens, _, width = query.shape
    key, value = (tensor.unflatten(-1, (-1, width)).transpose(0, 1) for tensor in (keys, values))
    folded = query.reshape(tokens, key.shape[0], -1, width).permute(1, 2, 0, 3).flatten(1, 2)
    return folded, key, value


def _unfolded(attended: Tensor, tokens: int) -> Tensor:
    """(S, heads x D) from (kv heads, G S, D)."""
    return attended.unflatten(1, (-1, tokens)).permute(2, 0, 1, 3).flatten(1)


def attend_causal(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention of a sequence's first tokens among themselves, without a mask.

    Args:
        query: (S, heads, D).
        keys: (S, kv heads x D).
        values: (S, kv heads x D).

    Returns:
        (S, heads x D).
    """
    heads, width = query.shape[1:]
    shared = heads // (keys.shape[-1] // width)
    key, value = (
        tensor.unflatten(-1, (-1, 1, width)).expand(-1, -1, shared, -1).flatten(1, 2).transpose(0, 1)
        for tensor in (keys, values)
    )
    attended = functional.scaled_dot_product_attention(
        query.transpose(0, 1)[None], key[None], value[None], is_causal=True
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

    @property
    def cache_width(self) -> int:
        """Channels of a row of keys, or of values, in one layer."""
        return self.kv_heads * self.head_dim

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
        keys: Sequence[Tensor],
        values: Sequence[Tensor],
        mask: Tensor | None,
        kind: AttentionKind = "sdpa",
    ) -> Tensor:
        """The hidden states of new tokens, whose keys and values are written into the cache.

        Args:
            embeds: (S, h) of the weights' dtype.
            cos: (S, 1, D) float32.
            signed_sin: (S, 1, D) float32, first half of the channels negated.
            rows: (S,) int64 rows of the cache to write; consecutive.
            keys: per layer, the cache's first P rows, (P, kv heads x D).
            values: likewise.
            mask: (G S, P) from ``mask``; None: the tokens are the sequence's first and fill exactly P = S rows.
            kind: which operations attend.

        Returns:
            (S, h) before the final norm, in the residual dtype.
        """
        x = embeds.to(residual_dtype(self.dtype))
        attend = attend_sdpa if kind == "sdpa" else attend_products
        for layer, layer_keys, layer_values in zip(self.layers, keys, values, strict=True):
            query, key, value = layer.project_heads(x, cos, signed_sin)
            layer_keys.index_copy_(0, rows, key)
            layer_values.index_copy_(0, rows, value)
            if mask is None:
                attended = attend_causal(query, key, value)
            else:
                attended = attend(query, layer_keys, layer_values, mask)
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
