"""What the language model's figures need: random weights of a true shape, one image, and five recorded boxes to write.

Both runtimes are made to write the same tokens: speed does not depend on what weights say, only on how much is written.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import Qwen2_5_VLConfig

from model_training.models.random_model import random_config, random_state
from model_training.models.stand_in_tokenizer import train_stand_in_tokenizer
from n3d_ros.bench.torch_device import synchronize
from n3d_ros.codec.box_code import BoxCode
from n3d_ros.codec.box_text import format_boxes
from n3d_ros.codec.model_input import ImageInput
from n3d_ros.codec.token_set import TokenSet
from n3d_ros.codec.tokenizer import Tokenizer
from n3d_ros.inference.backend import Choices, Chunk, KvCache, VisualTokens
from n3d_ros.inference.torch_backend import TorchBackend
from n3d_ros.model.n3d_vlm import N3dVlm

BOXES = Path(__file__).with_name("five_boxes.json")
GRID = (34, 46)  # patches of a 640x480 image: 391 visual tokens
SEED = 3
SMALL: dict[str, Any] = {  # heads as in the 3B model, fewer and narrower layers: 1.1 GB in float32
    "num_hidden_layers": 4,
    "intermediate_size": 5632,
    "vocab_size": 16384,
    "vision_config": {"depth": 2, "fullatt_block_indexes": [1]},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model with random weights.

    Args:
        model: in evaluation mode.
        position_code: mode of its position code.
        tokenizer: a stand-in with one token per digit.
        size: name of its shape.
    """

    model: N3dVlm
    position_code: str
    tokenizer: Tokenizer
    size: str

    @property
    def weight_bytes(self) -> int:
        """Of all parameters, tied ones once."""
        return sum(parameter.nbytes for parameter in self.model.parameters())

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.model.lm_head.weight.device

    def synchronize(self) -> None:
        """Waits for what is queued on a GPU."""
        synchronize(self.device)


def make_tokenizer() -> Tokenizer:
    """The stand-in tokenizer.

    Returns:
        The tokenizer.
    """
    with tempfile.TemporaryDirectory() as folder:
        return train_stand_in_tokenizer(folder)


def shape_of(size: str, tokenizer: Tokenizer) -> dict[str, Any]:
    """The configuration of a size with the tokenizer's special tokens.

    Args:
        size: "small", "3b" or "7b".
        tokenizer: whose ids are used.

    Returns:
        Arguments of ``Qwen2_5_VLConfig``.
    """
    ids = {
        "image_token_id": tokenizer.image_pad,
        "vision_start_token_id": tokenizer.vision_start,
        "vision_end_token_id": tokenizer.vision_end,
        "eos_token_id": tokenizer.im_end,
        "bos_token_id": tokenizer.end_of_text,
    }
    return random_config(size, **(SMALL if size == "small" else {}), **ids)


def make_subject(size: str, *, device: str, dtype: str) -> Subject:
    """A model whose random weights are made on the device itself.

    Args:
        size: "small", "3b" or "7b".
        device: as torch names it.
        dtype: of the weights.

    Returns:
        The model.
    """
    tokenizer = make_tokenizer()
    config = shape_of(size, tokenizer)
    with torch.device("meta"):
        model = N3dVlm(Qwen2_5_VLConfig(**config))
    model.load_state_dict(random_state(config, seed=SEED, dtype=dtype, device=device), strict=False, assign=True)
    model.tie_weights()
    for module in model.modules():
        if module._buffers:  # rotary frequencies, which no checkpoint holds
            fresh = type(module)(module.config)
            for name in module._buffers:
                module._buffers[name] = fresh._buffers[name].to(device)
    model.set_position_code("reference")
    model.eval().requires_grad_(requires_grad=False)
    return Subject(model=model, position_code="reference", tokenizer=tokenizer, size=size)


def make_image() -> ImageInput:
    """A picture of noise over a tilted plane: 640x480, 391 visual tokens.

    Returns:
        The image.
    """
    generator = np.random.default_rng(SEED)
    rows, columns = np.mgrid[0:480, 0:640].astype(np.float32) / 480
    depth = 0.8 + 0.4 * rows
    points = np.stack([(0.7 - columns) * depth + 0.7, (0.5 - rows) * depth + 0.5, depth, np.ones_like(depth)], axis=-1)
    pixels = generator.normal(size=(GRID[0] * GRID[1], 1176)).astype(np.float32)
    return ImageInput(pixel_values=pixels, grid=GRID, points=points.astype(np.float32))


def recorded_answer(tokenizer: Tokenizer) -> tuple[tuple[int, ...], int]:
    """The tokens of five boxes, the end of the turn with them.

    Args:
        tokenizer: of the model.

    Returns:
        Token ids, and how many of them make the first box.
    """
    names = ("u", "v", "depth", "angle", "size_x", "size_y", "size_z")
    rows = json.loads(BOXES.read_text(encoding="utf-8"))["boxes"]
    codes = [BoxCode(label=label, **dict(zip(names, bins, strict=True))) for label, *bins in rows]
    token_ids = tokenizer.encode(format_boxes(codes))
    return (*token_ids, tokenizer.im_end), len(tokenizer.encode(format_boxes(codes[:1])))


class RecordedBackend:
    """A backend that does all the work and then, where the recorded text has a token, chooses that one.

    Args:
        backend: does the work.
        answer: recorded tokens.
        begin: tokens of the prompt before the answer.
    """

    name = "torch"

    def __init__(self, backend: TorchBackend, answer: Sequence[int], begin: int) -> None:
        self._backend, self._answer = backend, np.array(answer, dtype=np.int64)
        self.begin = begin
        self.device, self.dtype = backend.device, backend.dtype
        self.vocab_size, self.capacity = backend.vocab_size, backend.capacity

    def encode_image(self, image: ImageInput) -> VisualTokens:
        """As the backend does it.

        Args:
            image: patches and points.

        Returns:
            Its visual tokens.
        """
        return self._backend.encode_image(image)

    def new_cache(self) -> KvCache:
        """As the backend does it.

        Returns:
            The cache.
        """
        return self._backend.new_cache()

    def forward(
        self, cache: KvCache, chunk: Chunk, *, choose: Sequence[TokenSet | None] = (), top_k: int = 1
    ) -> Choices | None:
        """As the backend does it, with other tokens chosen.

        Args:
            cache: of the backend.
            chunk: tokens.
            choose: allowed tokens per place.
            top_k: candidates.

        Returns:
            The choices.
        """
        choices = self._backend.forward(cache, chunk, choose=choose, top_k=top_k)
        if choices is not None:
            first = cache.length - len(choose) + 1 - self.begin
            places = np.clip(np.arange(first, first + len(choose)), 0, len(self._answer) - 1)
            choices.token_ids[:, 0] = self._answer[places]
        return choices

    def close(self) -> None:
        """Frees the backend."""
        self._backend.close()
