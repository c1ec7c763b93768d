"""What a runtime of the language model needs besides the weights, told before anything large is allocated."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import Qwen2_5_VLConfig

LONGEST_PASS = 2048  # tokens that go through the network at once are fewer: an image of the largest size has 2116
WIDEST_STEP = 24  # tokens whose logits are computed at once


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeRoom:
    """What a runtime keeps and computes besides the weights.

    Args:
        caches: sequences that are kept, each in a cache of the capacity.
        capacity: tokens per cache.
        long_side: longer side of the images, pixels.
    """

    caches: int
    capacity: int
    long_side: int

    def cache_bytes(self, config: Qwen2_5_VLConfig, itemsize: int) -> int:
        """Keys and values of all caches.

        Args:
            config: of the model.
            itemsize: bytes per number.

        Returns:
            Bytes.
        """
        text = config.text_config
        width = text.num_key_value_heads * (text.hidden_size // text.num_attention_heads)
        return 2 * self.caches * text.num_hidden_layers * self.capacity * width * itemsize

    def working_bytes(self, config: Qwen2_5_VLConfig) -> int:
        """What the widest layers hold at a time, counted as float32: an estimate from the shapes, rather too large.

        Args:
            config: of the model.

        Returns:
            Bytes of the language model's or the vision tower's widest layer, whichever is more, with logits and mask.
        """
        text, vision = config.text_config, config.vision_config
        tokens = min(self.capacity, LONGEST_PASS)
        patches = (self.long_side // vision.patch_size + 1) ** 2
        decoder = tokens * (2 * text.intermediate_size + 6 * text.hidden_size + self.capacity)
        tower = patches * (2 * vision.intermediate_size + 6 * vision.hidden_size)
        return 4 * (max(decoder, tower) + 2 * WIDEST_STEP * text.vocab_size)
