"""The language model as a function that changes no memory: earlier keys and values in, new ones out.

Runtimes that build a network once (ONNX Runtime, TensorRT) bind each cache layer's first P rows as an input and write
the S new rows where they want them. Scores over the earlier rows and over the new ones are computed apart and joined
before the softmax; keys and values are neither joined nor repeated, and no row is copied::

    scores = [ Q Kc^T + past_mask | Q Kn^T + new_mask ]      softmax in float32      out = Wc Vc + Wn Vn

What may be seen comes in as numbers, never as a flag: runtimes differ in what "causal" means beside a cache
(shared spec "acceleration", section 2.5). Only standard operations are used.

S new tokens, P earlier rows, G query heads per key head, D channels per head, L places whose logits are wanted.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from n3d_ros.model.decoder_graph import DecoderGraph, DecoderLayer
from n3d_ros.model.fused import residual_dtype

AttentionForm = Literal["fused", "safe"]
"""Whether a runtime may recognise attention and replace it by a kernel of its own ("fused"), or all of it is computed
step by step in float32 ("safe": slower, and out of reach of fused kernels, which some TensorRT versions get wrong)."""


class SplitDecoder(nn.Module):
    """The layers, the final norm and the rows of logits that are asked for.

    Args:
        decoder: the language model.
        form: of attention.
    """

    def __init__(self, decoder: DecoderGraph, *, form: AttentionForm = "fused") -> None:
        super().__init__()
        self.decoder = decoder
        self.form = form

    def forward(
        self,
        embeds: Tensor,
        cos: Tensor,
        signed_sin: Tensor,
        past_mask: Tensor,
        new_mask: Tensor,
        wanted: Tensor,
        past: list[Tensor],
    ) -> tuple[Tensor, ...]:
        """What may follow some tokens, and what the cache has to keep of them.

        Args:
            embeds: (S, h) of the weights' dtype.
            cos: (S, D) float32.
            signed_sin: (S, D) float32, first half of the channels negated.
            past_mask: (1, P) float32, 0 or -inf: which earlier rows there are.
            new_mask: (S, S) float32, 0 or -inf: which new tokens each may see.
            wanted: (L,) int64 places in the chunk.
            past: per layer, (P, 2 x kv heads x D) of the weights' dtype.

        Returns:
            (L, V) float32 logits, (L,) float32 their log-sum-exp, and per layer (S, 2 x kv heads x D) new rows.
        """
        decoder = self.decoder
        x = embeds.to(residual_dtype(decoder.dtype))
        scaled_cos = torch.addcmul(decoder.is_value, cos[:, None], decoder.angle_scale)
        scaled_sin = signed_sin[:, None] * decoder.angle_scale
        rows = []
        for layer, before in zip(decoder.layers, past, strict=True):
            assert isinstance(layer, DecoderLayer)
            query, written = layer.project_heads(x, scaled_cos, scaled_sin)
            rows.append(written)
            x = layer.finish(x, self._attend(query, before, written, past_mask, new_mask))
        logits = decoder.logits(x.index_select(0, wanted))
        return (logits, _log_sum_exp(logits), *rows)

    def _attend(self, query: Tensor, past: Tensor, new: Tensor, past_mask: Tensor, new_mask: Tensor) -> Tensor:
        """(S, heads x D) of (S, heads, D) scaled queries over earlier and new rows."""
        kv_heads, width = self.decoder.kv_heads, self.decoder.head_dim
        shared, tokens = self.decoder.heads // kv_heads, query.shape[0]
        folded = query.unflatten(1, (kv_heads, shared)).permute(1, 2, 0, 3).reshape(kv_heads, -1, width)  # (kv, G S, D)
        past_key, past_value = self._keys_and_values(past)
        new_key, new_value = self._keys_and_values(new)
        if self.form == "safe":
            folded, past_key, past_value, new_key, new_value = (
                each.float() for each in (folded, past_key, past_value, new_key, new_value)
            )
        per_head = (shared, tokens)
        scores = [
            torch.matmul(folded, key.transpose(1, 2)).float().unflatten(1, per_head) + mask
            for key, mask in ((past_key, past_mask), (new_key, new_mask))
        ]
        weights = torch.softmax(torch.cat(scores, dim=-1), dim=-1).to(new_value.dtype).flatten(1, 2)
        split = past.shape[0]
        attended = torch.matmul(weights[:, :, :split], past_value) + torch.matmul(weights[:, :, split:], new_value)
        return attended.unflatten(1, per_head).permute(2, 0, 1, 3).reshape(tokens, -1).to(self.decoder.dtype)

    def _keys_and_values(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Twice (kv heads, R, D) of (R, 2 x kv heads x D)."""
        key, value = rows.unflatten(1, (2, self.decoder.kv_heads, self.decoder.head_dim)).permute(1, 2, 0, 3).unbind(0)
        return key, value


def _log_sum_exp(logits: Tensor) -> Tensor:
    """(L,) of (L, V), without the one operator: TensorRT takes no maximum out first, and overflows above 88."""
    peak = logits.amax(dim=-1, keepdim=True)
    return (logits - peak).exp().sum(dim=-1).log() + peak[:, 0]
