"""The weights that training from scratch starts from."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from n3d_ros.codec.tokenizer import Tokenizer
from n3d_ros.model.n3d_vlm import N3dVlm

SPREAD = 0.55  # over the root of a layer's inputs: GPT-2's 0.02 at its width of 768, carried to other widths
LONGEST_WAVE_BINS = 4000.0  # of the bins' code: four times their range, so that its slowest channel has no turn
SHORTEST_WAVE_BINS = 8.0  # finer places have to be learnt: neighbours are to begin alike


@torch.no_grad()  # type: ignore[untyped-decorator]
def initialise(model: N3dVlm, tokenizer: Tokenizer, *, seed: int = 0) -> None:
    """Gives a model its first weights: the same seed, the same weights, on any machine.

    * linear layers and embeddings: normal, of deviation ``SPREAD`` over the root of a layer's inputs, or of the width;
      the layers that end a block (attention's output, MLP's down) are divided by the root of twice the number of
      blocks, as in GPT-2, so that the sum over blocks keeps its size;
    * the tokens of bins: sines and cosines of their number, at the spread of the other tokens: neighbouring bins begin
      alike, and since the head is the same matrix, so do their logits;
    * point channels: as other layers. At zero they would be the network without, which matters for released weights.

    Args:
        model: in float32.
        tokenizer: of the model.
        seed: of what is drawn.
    """
    generator = torch.Generator().manual_seed(seed)
    vision, text = model.model.visual, model.model.language_model
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv3d)) and name != "lm_head":
            blocks = len(vision.blocks) if name.startswith("model.visual") else len(text.layers)
            ends_block = name.endswith(("attn.proj", "o_proj", "down_proj"))
            _draw(module.weight, _spread(module.weight, blocks if ends_block else 0), generator)
            if module.bias is not None:
                module.bias.zero_()
    spread = _spread(text.embed_tokens.weight, 0)
    _draw(text.embed_tokens.weight, spread, generator)
    if tokenizer.bin_ids is not None:
        code = bin_code(len(tokenizer.bin_ids), text.config.hidden_size)
        text.embed_tokens.weight[list(tokenizer.bin_ids)] = spread * code


def bin_code(bins: int, width: int) -> Tensor:
    """Sines and cosines of bin numbers, of mean square one.

    Args:
        bins: how many.
        width: channels, even.

    Returns:
        (bins, width) float32; every row of the same length.
    """
    share = torch.linspace(0, 1, width // 2)
    waves = LONGEST_WAVE_BINS * (SHORTEST_WAVE_BINS / LONGEST_WAVE_BINS) ** share
    angles = 2 * math.pi * torch.arange(bins)[:, None] / waves
    return math.sqrt(2) * torch.cat([angles.sin(), angles.cos()], dim=1)


def _spread(weight: Tensor, blocks: int) -> float:
    """Standard deviation of a layer's weights; ``blocks``: of its tower, where the layer ends one."""
    inputs = weight[0].numel()
    return SPREAD / math.sqrt(inputs) / (math.sqrt(2 * blocks) if blocks else 1.0)


def _draw(weight: Tensor, spread: float, generator: torch.Generator) -> None:
    """Fills a tensor with normal numbers, drawn on the CPU whatever its device."""
    weight.copy_(torch.randn(weight.shape, generator=generator) * spread)
