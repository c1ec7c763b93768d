"""What a Qwen2.5-VL checkpoint folder holds: its configuration as JSON, and the name and shape of every tensor.

Written from the architecture and not from the classes that load it, so that tests compare two sources. Arithmetic only:
no torch, no transformers. Two layouts of the same weights: ``"old"``, as the released folders have it (``visual.*``,
``model.*``, one flat configuration), and ``"new"``, as later versions of transformers write it (``model.visual.*``,
``model.language_model.*``, a nested ``text_config``).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from n3d_ros.errors import ConfigurationError

LAYOUTS = ("old", "new")

# Token ids of Qwen2.5-VL's tokenizer, in every released size.
QWEN_TOKEN_IDS: dict[str, int] = {
    "bos_token_id": 151643,  # <|endoftext|>
    "eos_token_id": 151645,  # <|im_end|>
    "vision_start_token_id": 151652,
    "vision_end_token_id": 151653,
    "vision_token_id": 151654,
    "image_token_id": 151655,
    "video_token_id": 151656,
}

PATCH_CHANNELS = 3
PATCH_FRAMES = 2  # frames per patch; a still image is doubled
PATCH_PX = 14
MERGE = 2  # 2 x 2 patches make one visual token

_RELEASED_VISION: dict[str, Any] = {
    "depth": 32,
    "hidden_act": "silu",
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "num_heads": 16,
    "in_chans": PATCH_CHANNELS,
    "patch_size": PATCH_PX,
    "spatial_merge_size": MERGE,
    "spatial_patch_size": PATCH_PX,
    "window_size": 112,
    "fullatt_block_indexes": [7, 15, 23, 31],
    "tokens_per_second": 2,
    "temporal_patch_size": PATCH_FRAMES,
}
_RELEASED_COMMON: dict[str, Any] = {
    "architectures": ["Qwen2_5_VLForConditionalGeneration"],
    "model_type": "qwen2_5_vl",
    **QWEN_TOKEN_IDS,
    "attention_dropout": 0.0,
    "hidden_act": "silu",
    "initializer_range": 0.02,
    "max_position_embeddings": 128000,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
    "use_cache": True,
    "use_sliding_window": False,
}

# The true shapes of the two released sizes, one of real head geometry that a CPU runs, and the smallest sensible one.
SIZES: dict[str, dict[str, Any]] = {
    "tiny": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 1024,
        "tie_word_embeddings": False,
        "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
        "vision_config": {
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_heads": 2,
            "fullatt_block_indexes": [1],
        },
    },
    "small": {
        "hidden_size": 2048,
        "intermediate_size": 2816,
        "num_hidden_layers": 4,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "vocab_size": 4096,
        "tie_word_embeddings": True,
        "vision_config": {"depth": 2, "fullatt_block_indexes": [1]},
    },
    "3b": {
        "hidden_size": 2048,
        "intermediate_size": 11008,
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "tie_word_embeddings": True,
    },
    "7b": {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
        "tie_word_embeddings": False,
    },
}


def random_config(size: str, **overrides: Any) -> dict[str, Any]:
    """The configuration of a size in the released, flat form, as JSON values; transformers reads it as it is.

    Args:
        size: a name in ``SIZES``.
        **overrides: keys of the configuration to replace; ``vision_config={...}`` replaces single keys of that part.

    Returns:
        A new dictionary. ``vision_config.out_hidden_size`` follows ``hidden_size`` unless it is given.
    """
    if size not in SIZES:
        raise ConfigurationError(f"size is one of {', '.join(SIZES)}, not {size!r}")
    config = copy.deepcopy(_RELEASED_COMMON)
    config["vision_config"] = copy.deepcopy(_RELEASED_VISION)
    for layer in (SIZES[size], overrides):
        for key, value in copy.deepcopy(dict(layer)).items():
            if key == "vision_config":
                config[key].update(value)
            else:
                config[key] = value
    config["vision_config"].setdefault("out_hidden_size", config["hidden_size"])
    return config


def nested_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same configuration with the language model's keys under ``text_config``, as the new layout has it."""
    outer = {"architectures", "model_type", "vision_config", "tie_word_embeddings", "torch_dtype", "position_code"}
    # The ends of a text stand in both parts of a nested file; the tokens of images only outside.
    ends = {"bos_token_id", "eos_token_id"}
    outside = outer | set(QWEN_TOKEN_IDS)
    nested = {key: copy.deepcopy(value) for key, value in config.items() if key in outside}
    text = {key: copy.deepcopy(value) for key, value in config.items() if key not in outside or key in ends}
    text |= {"model_type": "qwen2_5_vl_text", "tie_word_embeddings": config["tie_word_embeddings"]}
    return {**nested, "text_config": text}


def tensor_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor of a flat configuration by its name in the new layout, in the order of the files.

    The head of a model with tied embeddings is the embedding itself and not a tensor of its own.
    """
    shapes = {f"model.visual.{name}": shape for name, shape in _vision_shapes(config["vision_config"]).items()}
    shapes |= {f"model.language_model.{name}": shape for name, shape in _language_shapes(config).items()}
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (config["vocab_size"], config["hidden_size"])
    return shapes


def layout_name(name: str, layout: str) -> str:
    """The name of a tensor in a layout, from its name in the new one."""
    if layout == "new":
        return name
    if layout != "old":
        raise ConfigurationError(f"layout is one of {', '.join(LAYOUTS)}, not {layout!r}")
    return name.replace("model.visual.", "visual.", 1).replace("model.language_model.", "model.", 1)


def parameter_count(config: Mapping[str, Any]) -> int:
    """Number of parameters of a flat configuration."""
    total = 0
    for shape in tensor_shapes(config).values():
        product = 1
        for length in shape:
            product *= length
        total += product
    return total


def _linear(name: str, inputs: int, outputs: int, *, bias: bool) -> dict[str, tuple[int, ...]]:
    """Weight and, where it has one, bias of a linear layer."""
    shapes: dict[str, tuple[int, ...]] = {f"{name}.weight": (outputs, inputs)}
    return {**shapes, f"{name}.bias": (outputs,)} if bias else shapes


def _vision_shapes(vision: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Tensors of the image tower and its merger, names below ``visual``."""
    width, inner, patch = vision["hidden_size"], vision["intermediate_size"], vision["patch_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "patch_embed.proj.weight": (width, vision["in_chans"], vision["temporal_patch_size"], patch, patch)
    }
    for index in range(vision["depth"]):
        block = f"blocks.{index}"
        shapes |= {f"{block}.norm1.weight": (width,), f"{block}.norm2.weight": (width,)}
        shapes |= _linear(f"{block}.attn.qkv", width, 3 * width, bias=True)
        shapes |= _linear(f"{block}.attn.proj", width, width, bias=True)
        shapes |= _linear(f"{block}.mlp.gate_proj", width, inner, bias=True)
        shapes |= _linear(f"{block}.mlp.up_proj", width, inner, bias=True)
        shapes |= _linear(f"{block}.mlp.down_proj", inner, width, bias=True)
    merged = width * vision["spatial_merge_size"] ** 2
    shapes["merger.ln_q.weight"] = (width,)
    shapes |= _linear("merger.mlp.0", merged, merged, bias=True)
    shapes |= _linear("merger.mlp.2", merged, vision["out_hidden_size"], bias=True)
    return shapes


def _language_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Tensors of the language model without its head, names below ``language_model``."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    head = width // config["num_attention_heads"]
    keys = head * config["num_key_value_heads"]
    shapes: dict[str, tuple[int, ...]] = {"embed_tokens.weight": (config["vocab_size"], width)}
    for index in range(config["num_hidden_layers"]):
        layer = f"layers.{index}"
        shapes |= _linear(f"{layer}.self_attn.q_proj", width, width, bias=True)
        shapes |= _linear(f"{layer}.self_attn.k_proj", width, keys, bias=True)
        shapes |= _linear(f"{layer}.self_attn.v_proj", width, keys, bias=True)
        shapes |= _linear(f"{layer}.self_attn.o_proj", width, width, bias=False)
        shapes |= _linear(f"{layer}.mlp.gate_proj", width, inner, bias=False)
        shapes |= _linear(f"{layer}.mlp.up_proj", width, inner, bias=False)
        shapes |= _linear(f"{layer}.mlp.down_proj", inner, width, bias=False)
        shapes |= {f"{layer}.input_layernorm.weight": (width,), f"{layer}.post_attention_layernorm.weight": (width,)}
    shapes["norm.weight"] = (width,)
    return shapes
