"""Shapes of the small model, as the arguments of its configuration.

Every vision block attends to the whole image: at these sizes windows save little, and images of one size are one batch.
Heads have 32 channels, which fused attention takes on any device. The head shares its weights with the embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from n3d_ros.codec.tokenizer import Tokenizer
from n3d_ros.errors import ConfigurationError

HEAD_CHANNELS = 32
MROPE_SECTION = (4, 6, 6)  # of half a head: temporal, rows, columns; the released ratio 16 : 24 : 24
ROWS_MULTIPLE = 64  # rows of the embedding are rounded up to it
MAX_POSITIONS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Widths and depths of a model.

    Args:
        vision_width: channels of the vision tower, a multiple of ``HEAD_CHANNELS``.
        vision_blocks: of the tower.
        vision_inner: channels inside its MLPs.
        width: channels of the language model, a multiple of ``HEAD_CHANNELS``.
        layers: of the language model.
        inner: channels inside its MLPs.
        kv_heads: key and value heads of the language model.
        long_side: longer side of the images it is made for, pixels.
    """

    vision_width: int
    vision_blocks: int
    vision_inner: int
    width: int
    layers: int
    inner: int
    kv_heads: int
    long_side: int


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "nano": Shape(
            vision_width=192,
            vision_blocks=6,
            vision_inner=512,
            width=256,
            layers=6,
            inner=448,
            kv_heads=4,
            long_side=448,
        ),
        "pico": Shape(
            vision_width=128,
            vision_blocks=4,
            vision_inner=320,
            width=160,
            layers=4,
            inner=320,
            kv_heads=5,
            long_side=320,
        ),
    }
)
"""By name: "pico" is the shape of the shipped n3d-nano, which two cores trained; "nano" is meant for a GPU."""


def nano_config(tokenizer: Tokenizer, shape: str | Shape = "nano", *, depth: bool = True) -> dict[str, Any]:
    """What ``config.json`` says of a model of a shape.

    Args:
        tokenizer: of the model; decides the rows of the embedding and the ids of special tokens.
        shape: a name of ``SHAPES``, or a shape.
        depth: False leaves out position code and point channels: the same network without depth, and without the place
            in the picture that the channels tell, too.

    Returns:
        Arguments of the configuration, as JSON values.

    Raises:
        ConfigurationError: an unknown name.
    """
    if isinstance(shape, str):
        if shape not in SHAPES:
            raise ConfigurationError(f"shape: expected one of {', '.join(SHAPES)}, got {shape!r}.")
        shape = SHAPES[shape]
    rows = -(-tokenizer.vocab_size // ROWS_MULTIPLE) * ROWS_MULTIPLE
    text = {
        "vocab_size": rows,
        "hidden_size": shape.width,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.width // HEAD_CHANNELS,
        "num_key_value_heads": shape.kv_heads,
        "max_position_embeddings": MAX_POSITIONS,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,  # sequences have some hundred tokens
        "rope_scaling": {"type": "mrope", "mrope_section": list(MROPE_SECTION)},
        "tie_word_embeddings": True,
        "bos_token_id": tokenizer.end_of_text,
        "eos_token_id": tokenizer.im_end,
        "pad_token_id": tokenizer.end_of_text,
    }
    vision = {
        "depth": shape.vision_blocks,
        "hidden_size": shape.vision_width,
        "intermediate_size": shape.vision_inner,
        "num_heads": shape.vision_width // HEAD_CHANNELS,
        "in_channels": 3,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": list(range(shape.vision_blocks)),
        "out_hidden_size": shape.width,
        "tokens_per_second": 2,
    }
    special = {tokenizer.piece(token).decode(): token for token in tokenizer.special_ids}
    return {
        "model_type": "qwen2_5_vl",
        "text_config": text,
        "vision_config": vision,
        "tie_word_embeddings": True,
        "image_token_id": tokenizer.image_pad,
        "video_token_id": special["<|video_pad|>"],
        "vision_start_token_id": tokenizer.vision_start,
        "vision_end_token_id": tokenizer.vision_end,
        "position_code": "aligned" if depth else "none",
        "point_channels": depth,
    }
