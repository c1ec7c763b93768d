"""transformers' own ``generate``, made to write given tokens, with the time of each: what a runtime is held against."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList

from n3d_ros.bench.torch_device import synchronize
from n3d_ros.codec.model_input import ImageInput


class _Forced(LogitsProcessor):  # type: ignore[misc]
    """Makes ``generate`` write given tokens."""

    def __init__(self, answer: Sequence[int], begin: int) -> None:
        self._answer, self._begin = answer, begin

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores[:, self._answer[input_ids.shape[1] - self._begin]] = torch.inf
        return scores


class TokenTimes:
    """A streamer of ``generate`` that keeps when each token came."""

    def __init__(self) -> None:
        self.at_s: list[float] = []
        self._is_prompt = True

    def put(self, _value: torch.Tensor) -> None:
        """Called with the prompt and then with each token, which is on the host by then."""
        if not self._is_prompt:
            self.at_s.append(time.perf_counter())
        self._is_prompt = False

    def end(self) -> None:
        """Called after the last token."""


def transformers_inputs(image: ImageInput, token_ids: Iterable[int], device: torch.device) -> dict[str, Any]:
    """What the forward and ``generate`` of transformers take.

    Args:
        image: patches and points.
        token_ids: of the whole prompt.
        device: of the model.

    Returns:
        Keyword arguments on that device.
    """
    ids = torch.tensor([list(token_ids)])
    inputs = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": torch.tensor(image.pixel_values),
        "image_grid_thw": torch.tensor([[1, *image.grid]]),
    }
    moved: dict[str, Any] = {name: value.to(device) for name, value in inputs.items()}
    moved["point_clouds"] = [torch.tensor(image.points, device=device)]
    return moved


def run_transformers(
    model: Any, inputs: dict[str, Any], answer: Sequence[int], *, end_token: int
) -> tuple[float, list[float], list[int]]:
    """One answer of ``generate``.

    Args:
        model: N3dVlm.
        inputs: of ``transformers_inputs``.
        answer: tokens it is made to write.
        end_token: that ends an answer.

    Returns:
        Its beginning and the time of each token, seconds; and the tokens.
    """
    begin, times = inputs["input_ids"].shape[1], TokenTimes()
    synchronize(inputs["input_ids"].device)
    start = time.perf_counter()
    with torch.inference_mode():
        written = model.generate(
            **inputs,
            max_new_tokens=len(answer),
            do_sample=False,
            eos_token_id=end_token,
            pad_token_id=end_token,
            logits_processor=LogitsProcessorList([_Forced(answer, begin)]),
            streamer=times,
        )
    return start, times.at_s, written[0, begin:].tolist()
