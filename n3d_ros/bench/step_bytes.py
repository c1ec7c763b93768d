"""How many bytes a step of one token must read, which bounds decoding: weights of layers and head, and the cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DECODER_WEIGHTS = "decoder.data"  # as n3d_ros.inference.graphs has it
ITEM_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBytes:
    """What one forward of the language model reads.

    Args:
        weights: bytes of layers, last norm and head.
        cache_row: bytes of keys and values of one earlier token, in all layers.
    """

    weights: int
    cache_row: int

    def at(self, rows: float) -> float:
        """All of it.

        Args:
            rows: earlier tokens in the cache.

        Returns:
            Bytes.
        """
        return self.weights + self.cache_row * rows


def bandwidth_share(step_bytes: float, steps_per_s: float, bytes_per_s: float) -> float:
    """The share of the memory's bandwidth that decoding reaches.

    Args:
        step_bytes: that one step must read.
        steps_per_s: steps done in a second.
        bytes_per_s: that the memory gives.

    Returns:
        0 to 1; above 1 where the weights stay in the processor's caches.
    """
    return step_bytes * steps_per_s / bytes_per_s


def checkpoint_step_bytes(text_config: Mapping[str, Any], dtype: str) -> StepBytes:
    """Of a checkpoint, by its shape.

    Args:
        text_config: of the language model, as Qwen2's config.json names its numbers.
        dtype: of weights and cache in the runtime.

    Returns:
        The bytes.
    """
    item = ITEM_BYTES[dtype]
    hidden, layers, heads = (
        int(text_config[key]) for key in ("hidden_size", "num_hidden_layers", "num_attention_heads")
    )
    cached = int(text_config.get("num_key_value_heads") or heads)
    head = int(text_config.get("head_dim") or hidden // heads)
    projected = (heads + 2 * cached) * head
    attention = hidden * projected + projected + heads * head * hidden  # with the biases of q, k and v
    layer = attention + 3 * hidden * int(text_config["intermediate_size"]) + 2 * hidden
    weights = layers * layer + hidden + hidden * int(text_config["vocab_size"])
    return StepBytes(weights=weights * item, cache_row=2 * cached * head * layers * item)


def graph_step_bytes(folder: Path, *, layers: int, cache_width: int, dtype: str) -> StepBytes:
    """Of exported graphs: the decoder's weights as they are, so that quantised ones count as what they take.

    ``decoder_safe.onnx`` computes with the same file, and the structure in ``decoder.onnx`` is read once, not at every
    step.

    Args:
        folder: of the graphs.
        layers: of the language model.
        cache_width: channels of a cache row in one layer.
        dtype: of the cache.

    Returns:
        The bytes.

    Raises:
        OSError: the file is not there.
    """
    weights = (folder / DECODER_WEIGHTS).stat().st_size
    return StepBytes(weights=weights, cache_row=layers * cache_width * ITEM_BYTES[dtype])
