"""RVL depth compression, decoded: run lengths of missing depth, differences of the rest, three bits at a time.

Format after A. D. Wilson, "Fast Lossless Depth Image Compression" (ISS 2017), section 3, in the frame that ROS's
compressedDepth transport puts around it: int32 columns, int32 rows, then the code words.

A code number is a chain of nibbles, least significant three bits first, whose fourth bit says that more follow.
Nibbles fill 32-bit little-endian words from the top. The numbers repeat: zeros to write, non-zeros to write, and as
many zigzag-coded differences to the previous non-zero value.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import EncodingError

SIZE_HEADER = struct.Struct("<ii")  # columns, rows
MAX_CHAIN_NIBBLES = 9  # 27 bits: run lengths beyond the largest image; differences of 16-bit values take six


def decode_rvl(payload: NDArray[np.uint8], *, check_size: Callable[[int, int], None]) -> NDArray[np.uint16]:
    """The depth image of an RVL payload, (H, W) uint16, 0 for none.

    Args:
        payload: (N,) uint8: columns, rows, code words.
        check_size: called with width and height before memory is taken; raises when they are too large.

    Returns:
        (H, W) uint16.

    Raises:
        EncodingError: cut off, or numbers that leave the image.
    """
    if payload.size < SIZE_HEADER.size:
        raise _corrupt(f"expected {SIZE_HEADER.size} bytes of size, got {payload.size}")
    width, height = SIZE_HEADER.unpack(payload[: SIZE_HEADER.size].tobytes())
    if width <= 0 or height <= 0:
        raise _corrupt(f"its size is {width}x{height}")
    check_size(width, height)
    numbers = _numbers(payload[SIZE_HEADER.size :])
    pixels, sources, lengths = (np.array(column, dtype=np.int64) for column in _runs(numbers.tolist(), width * height))
    depth = np.zeros(width * height, dtype=np.uint16)
    codes = numbers[_ranges(sources, lengths)]
    values = np.cumsum((codes >> 1) ^ -(codes & 1))  # zigzag, then differences
    if values.size and (values.min() < 0 or values.max() > 65535):
        raise _corrupt("a value leaves 16 bits")
    depth[_ranges(pixels, lengths)] = values
    return depth.reshape(height, width)


def _ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """All indices ``start`` to ``start + length`` of every run, in order."""
    before = np.cumsum(lengths) - lengths
    indices: NDArray[np.int64] = np.repeat(starts - before, lengths) + np.arange(lengths.sum())
    return indices


def _numbers(code: NDArray[np.uint8]) -> NDArray[np.int64]:
    """All complete code numbers in order, (N,) int64."""
    words = code[: code.size // 4 * 4].reshape(-1, 4)
    swapped = words[:, ::-1].reshape(-1)  # the top byte of a little-endian word comes first
    nibbles = np.empty(swapped.size * 2, dtype=np.int64)
    nibbles[0::2], nibbles[1::2] = swapped >> 4, swapped & 15
    ends = np.flatnonzero(nibbles < 8)
    if ends.size == 0:
        return np.empty(0, dtype=np.int64)
    starts = np.concatenate([[0], ends[:-1] + 1])
    if int((ends - starts).max()) >= MAX_CHAIN_NIBBLES:
        raise _corrupt("a number is too long")
    place = np.arange(ends[-1] + 1) - np.repeat(starts, ends - starts + 1)
    numbers: NDArray[np.int64] = np.add.reduceat((nibbles[: ends[-1] + 1] & 7) << (3 * place), starts)
    return numbers


def _runs(numbers: list[int], total: int) -> tuple[list[int], list[int], list[int]]:
    """Runs of values: first pixel, first index of their differences in ``numbers``, and how many."""
    pixels, sources, lengths = [], [], []
    pixel, at = 0, 0
    while pixel < total:
        if at + 1 >= len(numbers):
            raise _corrupt(f"it ends after {pixel} of {total} px")
        zeros, values = numbers[at], numbers[at + 1]
        at, pixel = at + 2, pixel + zeros
        if pixel + values > total or zeros + values == 0:
            raise _corrupt(f"a run leaves the image at pixel {pixel} of {total}")
        if at + values > len(numbers):
            raise _corrupt(f"it ends after {pixel} of {total} px")
        if values:
            pixels.append(pixel)
            sources.append(at)
            lengths.append(values)
        at, pixel = at + values, pixel + values
    return pixels, sources, lengths


def _corrupt(why: str) -> EncodingError:
    return EncodingError(f"Compressed depth: the RVL data is cut off or corrupt ({why}).", reason="corrupt_rvl")
