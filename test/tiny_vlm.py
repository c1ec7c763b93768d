"""Tiny random networks of the true architecture, and inputs for them; needs torch and transformers."""

from __future__ import annotations

from typing import Any

import torch
from transformers import Qwen2_5_VLConfig

from n3d_ros.model.n3d_vlm import N3dVlm

IMAGE, VIDEO, START, END = 302, 303, 300, 301


def tiny_config(
    *, vision: dict[str, Any] | None = None, text: dict[str, Any] | None = None, **top: Any
) -> dict[str, Any]:
    """Arguments of a configuration: two vision heads, two text layers, a vocabulary of 320; some values exchanged."""
    hidden = (text or {}).get("hidden_size", 48)
    heads = (text or {}).get("num_attention_heads", 4)
    half = hidden // heads // 2
    mrope = {"type": "mrope", "mrope_section": [half - 2 * (half // 3), half // 3, half // 3]}
    base_text = {
        "vocab_size": 320, "hidden_size": hidden, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": heads, "num_key_value_heads": 2, "max_position_embeddings": 4096, "rms_norm_eps": 1e-6,
        "rope_theta": 1e6, "rope_scaling": mrope,
        "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0,
    }  # fmt: skip
    base_vision = {
        "depth": 3, "hidden_size": 56, "intermediate_size": 80, "num_heads": 2, "in_channels": 3, "patch_size": 14,
        "temporal_patch_size": 2, "spatial_merge_size": 2, "window_size": 112, "fullatt_block_indexes": [1],
        "out_hidden_size": hidden, "tokens_per_second": 2,
    }  # fmt: skip
    return {
        "model_type": "qwen2_5_vl", "text_config": {**base_text, **(text or {})},
        "vision_config": {**base_vision, **(vision or {})}, "tie_word_embeddings": False, "image_token_id": IMAGE,
        "video_token_id": VIDEO, "vision_start_token_id": START, "vision_end_token_id": END, **top,
    }  # fmt: skip


def tiny_model(seed: int = 0, *, scale: float = 1.0, **overrides: Any) -> N3dVlm:
    """A model with weights large enough that every part of it shows in the logits."""
    torch.manual_seed(seed)
    model = N3dVlm(Qwen2_5_VLConfig(**tiny_config(**overrides))).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            spread = 0.5 if parameter.ndim == 1 else 1.5 / parameter[0].numel() ** 0.5
            center = 1.0 if "norm" in name or "ln_q" in name else 0.0
            parameter.copy_(center + scale * spread * torch.randn_like(parameter))
    return model


def make_points(height: int, width: int, seed: int = 0, *, invalid: float = 0.1) -> torch.Tensor:
    """(H, W, 4) points of a tilted plane with bumps, in units of the scene; invalid ones hold what sensors leave."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    depth = 0.6 + 0.5 * rows + 0.2 * (7 * columns).sin() + 0.02 * torch.randn(height, width, generator=generator)
    xyz = torch.stack([(0.5 - columns) * depth + 0.5, (0.5 - rows) * depth + 0.4, depth], dim=-1)
    chosen = torch.rand(height, width, generator=generator)
    for share, rubbish in ((invalid, torch.nan), (0.6 * invalid, torch.inf), (0.3 * invalid, 0.0)):
        xyz[chosen < share] = rubbish
    return torch.cat([xyz, (chosen >= invalid).float()[..., None]], dim=-1)


def make_inputs(sizes: list[tuple[int, int]], seed: int = 0, *, text: int = 5) -> dict[str, Any]:
    """One sequence with an image per (rows, columns) of patches, words around them; points of about 14 px a patch."""
    generator = torch.Generator().manual_seed(seed)
    words = lambda: torch.randint(2, 290, (text,), generator=generator)  # noqa: E731
    parts = [words()]
    for rows, columns in sizes:
        parts += [torch.tensor([START]), torch.full((rows * columns // 4,), IMAGE), torch.tensor([END]), words()]
    ids = torch.cat(parts)[None]
    patches = sum(rows * columns for rows, columns in sizes)
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": torch.randn(patches, 1176, generator=generator),
        "image_grid_thw": torch.tensor([[1, rows, columns] for rows, columns in sizes]),
        "point_clouds": [
            make_points(14 * rows, 14 * columns, seed + index) for index, (rows, columns) in enumerate(sizes)
        ],
    }
