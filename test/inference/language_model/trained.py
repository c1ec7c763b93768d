"""A tiny model that is taught to say the boxes of a few frames, with its own forward and loss; needs torch."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from n3d_ros.codec.frame_input import encode_frame
from n3d_ros.codec.input_options import InputOptions
from n3d_ros.codec.prompts import build_prompt
from n3d_ros.codec.tokenizer import Tokenizer, load_tokenizer
from n3d_ros.frame import RgbdFrame
from n3d_ros.model.checkpoint import load_model, save_model
from n3d_ros.model.n3d_vlm import N3dVlm

LEARNING_RATE = 4e-3
WARM_UP_STEPS = 10
MAX_STEPS = 300
ENOUGH = 0.005  # mean loss per token


@dataclass(frozen=True)
class Example:
    """A frame, what is asked about it and what is to be answered."""

    frame: RgbdFrame
    prompt: str
    answer: str


def teach(source: Path, folder: Path, examples: Sequence[Example], options: InputOptions) -> float:
    """The last loss of a model that was taught the examples; it lies, with its tokenizer, in ``folder``."""
    model = load_model(source, device="cpu", dtype="float32").model
    tokenizer = load_tokenizer(source)
    batch = _batch(examples, tokenizer, options)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # on tiny matrices more threads wait for each other
    try:
        loss = _train(model, batch)
    finally:
        torch.set_num_threads(threads)
    save_model(model, folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(source / name, folder / name)
    return loss


def _train(model: N3dVlm, batch: dict[str, object]) -> float:
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98))
    for step in range(MAX_STEPS):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (step + 1) / WARM_UP_STEPS)
        loss = model(**batch).loss
        if float(loss.detach()) < ENOUGH:
            break
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()
    return float(loss.detach())


def _batch(examples: Sequence[Example], tokenizer: Tokenizer, options: InputOptions) -> dict[str, object]:
    """Arguments of the model's forward: answers are learnt, prompts and padding are not."""
    rows, images = [], []
    for example in examples:
        image, _ = encode_frame(example.frame, options)
        prompt = build_prompt(tokenizer, example.prompt, image.token_count).token_ids.tolist()
        rows.append((prompt, [*tokenizer.encode(example.answer), tokenizer.im_end]))
        images.append(image)
    length = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids = np.full((len(rows), length), tokenizer.end_of_text)
    labels = np.full((len(rows), length), -100)  # what the loss ignores
    mask = np.zeros((len(rows), length), dtype=np.int64)
    for k, (prompt, answer) in enumerate(rows):
        end = len(prompt) + len(answer)
        ids[k, :end] = [*prompt, *answer]
        labels[k, len(prompt) : end] = answer
        mask[k, :end] = 1
    return {
        "input_ids": torch.tensor(ids),
        "labels": torch.tensor(labels),
        "attention_mask": torch.tensor(mask),
        "pixel_values": torch.tensor(np.concatenate([image.pixel_values for image in images])),
        "image_grid_thw": torch.tensor([[1, *image.grid] for image in images]),
        "point_clouds": [torch.tensor(image.points) for image in images],
    }
