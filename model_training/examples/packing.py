"""Examples as tensors: one row per frame, its image once, every question behind it as if it stood there alone.

::

    row    : system image | words answer | words answer | ... | padding
    sees   : everything before it in system and image, and in its own words and answer; nothing of other questions
    stands : each question at the position right behind the image, so that positions repeat

The packed loss is the sum over single conversations, at the price of one image. ``single`` makes the rows of plain
training, one conversation each, to compare with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from model_training.examples.example import FrameExample
from model_training.examples.tokens import NO_BIN, NO_SLOT
from n3d_ros.inference.positions import next_position, prompt_positions, text_positions

IGNORED = -100  # label of a token that is not learnt

Batch = dict[str, Any]
"""Tensors by name:

======================  =======================  ====================================================================
``input_ids``           (B, S) int64             padding is 0
``position_ids``        (3, B, S) int64          temporal, height, width
``part``                (B, S) int64             0: system and image, 1 and up: the questions, -1: padding
``labels``              (B, S) int64             the token itself where it is learnt, else -100; not shifted
``slots``               (B, S) int8              part of a box, ``tokens.SLOTS``
``bins``                (B, S) int16             the number at its first token
``pixel_values``        (P, 1176) float32        patches of all images, one after the other
``image_grid_thw``      (B, 3) int64             frames, rows, columns of patches
``point_clouds``        list of (H, W, 4)        float32, one per image
``dense_classes``       (T,) int64               of all visual tokens; -1: no object
``dense_boxes``         (T, 6) float32           fractions of the bins' range
``dense_known``         (T,) bool                False: not to be learnt
``dense_weights``       (T,) float32             one over the tokens of the object there, 0 where there is none
======================  =======================  ====================================================================
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Row:
    """One row of a batch before padding."""

    ids: NDArray[np.int64]
    positions: NDArray[np.int64]
    part: NDArray[np.int64]  # 0: system and image, 1 and up: the turns
    labels: NDArray[np.int64]
    slots: NDArray[np.int8]
    bins: NDArray[np.int16]


def single(example: FrameExample) -> tuple[FrameExample, ...]:
    """An example as several of one turn each, as plain training would see them.

    Args:
        example: with any number of turns.

    Returns:
        One per turn; all have the same image.
    """
    return tuple(replace(example, turns=(turn,)) for turn in example.turns)


def make_batch(examples: Sequence[FrameExample], image_token: int) -> Batch:
    """Examples as tensors.

    Args:
        examples: at least one.
        image_token: the id that stands for visual tokens.

    Returns:
        The batch, on the CPU.
    """
    rows = [_row(example, image_token) for example in examples]
    length = max(len(row.ids) for row in rows)
    images = [example.image for example in examples]
    return {
        "input_ids": torch.from_numpy(_padded([row.ids for row in rows], length, 0)),
        "position_ids": torch.from_numpy(
            np.stack([_padded([row.positions[axis] for row in rows], length, 0) for axis in range(3)])
        ),
        "part": torch.from_numpy(_padded([row.part for row in rows], length, -1)),
        "labels": torch.from_numpy(_padded([row.labels for row in rows], length, IGNORED)),
        "slots": torch.from_numpy(_padded([row.slots for row in rows], length, NO_SLOT)),
        "bins": torch.from_numpy(_padded([row.bins for row in rows], length, NO_BIN)),
        "pixel_values": torch.from_numpy(np.concatenate([image.pixel_values for image in images])),
        "image_grid_thw": torch.tensor([[1, *image.grid] for image in images]),
        "point_clouds": [torch.from_numpy(image.points.copy()) for image in images],
        "dense_classes": torch.from_numpy(np.concatenate([example.dense.classes for example in examples])),
        "dense_boxes": torch.from_numpy(np.concatenate([example.dense.boxes for example in examples])),
        "dense_known": torch.from_numpy(np.concatenate([example.dense.known for example in examples])),
        "dense_weights": torch.from_numpy(np.concatenate([example.dense.weights for example in examples])),
    }


def visible(part: torch.Tensor) -> torch.Tensor:
    """Which tokens see which; made where it is used, for it is by far the largest of a batch's tensors.

    Args:
        part: (B, S) int64 0 for system and image, the question's number from 1 on, -1 for padding.

    Returns:
        (B, 1, S, S) bool, [b, 0, i, j]: token i sees token j. Padding sees itself alone.
    """
    length = part.shape[1]
    before = torch.ones(length, length, dtype=torch.bool, device=part.device).tril()
    shared = (part[:, :, None] == part[:, None, :]) | (part[:, None, :] == 0)
    padding = part < 0
    seen = before & shared & ~padding[:, :, None] & ~padding[:, None, :]
    alone = torch.eye(length, dtype=torch.bool, device=part.device) & padding[:, :, None]  # to see nothing is NaN
    return (seen | alone)[:, None]


def _row(example: FrameExample, image_token: int) -> _Row:
    prefix = example.prefix_ids
    positions = prompt_positions(prefix, grids=[example.image.grid], image_token=image_token)
    behind = next_position(positions)
    ids, places, parts = [prefix], [positions], [np.zeros(len(prefix), np.int64)]
    labels = [np.full(len(prefix), IGNORED, np.int64)]
    slots, bins = [np.full(len(prefix), NO_SLOT, np.int8)], [np.full(len(prefix), NO_BIN, np.int16)]
    for number, turn in enumerate(example.turns, start=1):
        asked = len(turn.prompt_ids)
        ids += [turn.prompt_ids, turn.answer_ids]
        places.append(text_positions(behind, len(turn)))
        parts.append(np.full(len(turn), number, np.int64))
        labels += [np.full(asked, IGNORED, np.int64), np.where(turn.is_learnt, turn.answer_ids, IGNORED)]
        slots += [np.full(asked, NO_SLOT, np.int8), turn.slots]
        bins += [np.full(asked, NO_BIN, np.int16), turn.bins]
    return _Row(
        ids=np.concatenate(ids),
        positions=np.concatenate(places, axis=1),
        part=np.concatenate(parts),
        labels=np.concatenate(labels),
        slots=np.concatenate(slots),
        bins=np.concatenate(bins),
    )


def _padded(rows: Sequence[NDArray[Any]], length: int, value: int) -> NDArray[Any]:
    """(B, length) rows, filled up at their ends."""
    filled = np.full((len(rows), length), value, rows[0].dtype)
    for row, content in zip(filled, rows, strict=True):
        row[: len(content)] = content
    return filled
