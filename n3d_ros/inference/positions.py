"""Where each token of a sequence stands: temporal, height and width positions (Qwen2.5-VL's mRoPE).

Text counts one, two, three on all three axes at once. The tokens of an image share one temporal position and take rows
and columns of its merged grid from there on; text goes on after the largest position any token has.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from n3d_ros.codec.image_patches import MERGE
from n3d_ros.errors import InputError


def prompt_positions(
    token_ids: NDArray[np.int64], *, grids: Sequence[tuple[int, int]] = (), image_token: int
) -> NDArray[np.int64]:
    """(3, S) int64 temporal, height and width positions of a prompt's tokens.

    Args:
        token_ids: (S,) the prompt.
        grids: rows and columns of patches of each image, in the order in which they stand in the prompt.
        image_token: the id that stands for visual tokens.

    Returns:
        The positions.

    Raises:
        InputError: the image tokens do not make up the images.
    """
    is_image = np.asarray(token_ids) == image_token
    counts = [rows * columns // MERGE**2 for rows, columns in grids]
    if int(is_image.sum()) != sum(counts):
        raise InputError(
            f"Prompt: expected {sum(counts)} image tokens for {len(counts)} images, got {int(is_image.sum())}."
        )
    pieces: list[NDArray[np.int64]] = []
    start, index = 0, 0
    for grid, count in zip(grids, counts, strict=True):
        first = index + int(np.argmax(is_image[index:]))
        if not is_image[first : first + count].all():
            raise InputError(f"Prompt: expected {count} image tokens in a row from token {first} on, got fewer.")
        pieces += [text_positions(start, first - index), _image_positions(start + first - index, grid)]
        start, index = next_position(pieces[-1]), first + count
    pieces.append(text_positions(start, len(is_image) - index))
    return np.concatenate(pieces, axis=1)


def text_positions(start: int, count: int) -> NDArray[np.int64]:
    """(3, count) int64 positions of text that begins at ``start``.

    Args:
        start: position of the first token.
        count: how many tokens.

    Returns:
        The positions.
    """
    return np.broadcast_to(np.arange(start, start + count, dtype=np.int64), (3, count))


def next_position(position_ids: NDArray[np.int64]) -> int:
    """The position at which text goes on.

    Args:
        position_ids: (3, S) of everything before.

    Returns:
        One more than the largest.
    """
    return int(position_ids.max()) + 1 if position_ids.size else 0


def _image_positions(start: int, grid: tuple[int, int]) -> NDArray[np.int64]:
    rows, columns = grid[0] // MERGE, grid[1] // MERGE
    height, width = np.divmod(np.arange(rows * columns, dtype=np.int64), columns)
    return start + np.stack([np.zeros_like(height), height, width])
