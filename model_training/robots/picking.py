"""Which frames of a recording are worth a person's time: spread over time, sharp, and each showing something new."""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import ConfigurationError
from n3d_ros.geometry.arrays import Float32Array
from n3d_ros.settings import check, number

TRIED = 3  # frames of a stretch, the sharpest, until one shows something new
NANOSECONDS = 1_000_000_000
THUMBNAIL_CELLS = (32, 24)  # of the picture: a cell of 640x480 averages 400 px, in which noise vanishes
ROUNDING = 0.01  # of means in 32 bits, grey levels
BLOCK_CELLS = 4  # thumbnails are compared in blocks of 4x4 cells first
SHARPNESS_WIDTH_PX = 640  # sharpness is measured at this width: what a network sees, and sizes compare


@dataclass(frozen=True, slots=True, kw_only=True)
class PickConfig:
    """Which frames are picked.

    Args:
        every_s: one frame of every so many seconds.
        frames: so many, spread over the whole recording; 0: as ``every_s`` says.
        least_sharpness: of the recording's median sharpness; a picture with less is blurred. Motion blur costs a
            picture far more than half of its sharpness, another view rarely so much.
        least_change: grey levels by which at least one of 32x24 cells has to differ from every frame picked before;
            0: pictures may be alike. Noise and flicker stay below 5; a cup that was moved changes a cell by 20 or more.
    """

    every_s: float = number(1.0, "one frame of every so many seconds", minimum=0.02, maximum=3600.0, unit="s")
    frames: int = number(0, "so many over the whole recording; 0: as --every says", minimum=0, maximum=100_000)
    least_sharpness: float = number(
        0.3, "leave out pictures with less of the recording's median sharpness", minimum=0.0, maximum=1.0
    )
    least_change: float = number(
        8.0,
        "leave out pictures that differ nowhere by so many grey levels from a picked one",
        minimum=0.0,
        maximum=255.0,
    )

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            ConfigurationError: a value outside its range.
        """
        check(self, "pick")

    def spacing_ns(self, stamps_ns: Sequence[int]) -> int:
        """Nanoseconds per picked frame.

        Args:
            stamps_ns: of all candidates.

        Returns:
            At least one.

        Raises:
            ConfigurationError: more frames are wanted than the recording has.
        """
        if not self.frames:
            return round(self.every_s * NANOSECONDS)
        if self.frames > len(stamps_ns):
            raise ConfigurationError(
                f"--frames {self.frames}: the recording has {len(stamps_ns)} frames that can be used; ask for fewer."
            )
        return max(1, (max(stamps_ns) - min(stamps_ns)) // self.frames + 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A frame that may be picked.

    Args:
        stamp_ns: of its colour image.
        sharpness: variance of its second derivative, grey levels squared.
        thumbnail: (24, 32) float32 grey levels.
    """

    stamp_ns: int
    sharpness: float
    thumbnail: Float32Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picked:
    """What was picked, and why not more.

    Args:
        stamps_ns: ascending.
        left_out: number of stretches of time without a frame, by reason.
    """

    stamps_ns: tuple[int, ...]
    left_out: Counter[str]


def candidate_of(rgb: NDArray[np.uint8], stamp_ns: int) -> Candidate:
    """What has to be known of a picture to pick it.

    Args:
        rgb: (H, W, 3) uint8.
        stamp_ns: of it.

    Returns:
        The candidate, some kilobytes.
    """
    gray: NDArray[Any] = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    if gray.shape[1] > SHARPNESS_WIDTH_PX:
        height = max(1, round(gray.shape[0] * SHARPNESS_WIDTH_PX / gray.shape[1]))
        gray = cv2.resize(gray, (SHARPNESS_WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    sharpness = float(cv2.Laplacian(gray, cv2.CV_32F).var())
    return Candidate(stamp_ns=stamp_ns, sharpness=sharpness, thumbnail=thumbnail_of(gray))


def thumbnail_of(gray: NDArray[Any]) -> Float32Array:
    """A picture in 32x24 cells.

    Args:
        gray: (H, W) uint8.

    Returns:
        (24, 32) float32: the mean of each cell.
    """
    small = cv2.resize(gray.astype(np.float32), THUMBNAIL_CELLS, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def least_change(thumbnail: Float32Array, others: Sequence[Float32Array]) -> float:
    """By how much a picture differs, where it differs most, from the one of others that is most like it.

    Args:
        thumbnail: of the picture.
        others: of the others.

    Returns:
        Grey levels, infinite without others; a change of the whole picture's brightness does not count.
    """
    if not others:
        return math.inf
    return _least_change(thumbnail.reshape(-1), np.stack(others).reshape(len(others), -1))


def _least_change(cells: Float32Array, others: Float32Array) -> float:
    """The same of (768,) cells and (N, 768) others, N of one or more."""
    difference = others - cells
    return float(np.abs(difference - np.median(difference, axis=1, keepdims=True)).max(axis=1).min())


class _Seen:
    """The pictures picked so far, asked whether another one shows something new.

    Hours of recording have thousands of them: their blocks, 48 numbers each, tell most apart. Averages differ no more
    than the cells do, and whatever is taken for the change of brightness, half the range of the differences is left.

    Args:
        most: pictures it may have to hold.
    """

    def __init__(self, most: int) -> None:
        columns, rows = THUMBNAIL_CELLS
        self._cells = np.empty((most, columns * rows), np.float32)
        self._blocks = np.empty((most, columns * rows // BLOCK_CELLS**2), np.float32)
        self._stamps_ns: list[int] = []  # ascending

    def add(self, one: Candidate) -> None:
        """Takes in a picture.

        Args:
            one: of it.
        """
        count = len(self._stamps_ns)
        self._cells[count], self._blocks[count] = one.thumbnail.reshape(-1), _blocks(one.thumbnail)
        bisect.insort(self._stamps_ns, one.stamp_ns)

    def is_apart(self, stamp_ns: int, apart_ns: int) -> bool:
        """Whether no picture lies near in time.

        Args:
            stamp_ns: of the other one.
            apart_ns: the least distance that is not near.

        Returns:
            True where there is none.
        """
        at = bisect.bisect_left(self._stamps_ns, stamp_ns)
        return all(abs(stamp_ns - near) >= apart_ns for near in self._stamps_ns[max(at - 1, 0) : at + 1])

    def is_new(self, thumbnail: Float32Array, least: float) -> bool:
        """Whether a picture differs from every one.

        Args:
            thumbnail: of it.
            least: grey levels by which it has to differ.

        Returns:
            As ``least_change`` of all would tell.
        """
        count = len(self._stamps_ns)
        coarse = np.ptp(self._blocks[:count] - _blocks(thumbnail), axis=1)
        alike = np.flatnonzero(coarse / 2 < least + ROUNDING)
        return not alike.size or _least_change(thumbnail.reshape(-1), self._cells[alike]) >= least


def _blocks(thumbnail: Float32Array) -> Float32Array:
    """(48,) float32: the mean grey level of each block of cells."""
    rows, columns = (cells // BLOCK_CELLS for cells in thumbnail.shape)
    means = thumbnail.reshape(rows, BLOCK_CELLS, columns, BLOCK_CELLS).mean(axis=(1, 3))
    return np.asarray(means, np.float32).reshape(-1)


def pick(candidates: Iterable[Candidate], config: PickConfig, there: Sequence[Candidate] = ()) -> Picked:
    """The frames to look at: of every stretch of time the sharpest that shows something new.

    Args:
        candidates: of the whole recording.
        config: how many, and what counts as new.
        there: frames that were picked before; none is picked near them, or like them.

    Returns:
        Stamps of the new ones.

    Raises:
        ConfigurationError: more frames are wanted than there are.
    """
    usable = sorted(candidates, key=lambda one: one.stamp_ns)
    left_out: Counter[str] = Counter()
    if not usable:
        return Picked(stamps_ns=(), left_out=left_out)
    spacing = config.spacing_ns([one.stamp_ns for one in usable])
    least = config.least_sharpness * float(np.median([one.sharpness for one in usable]))
    stretches: dict[int, list[Candidate]] = {}
    for one in usable:
        stretches.setdefault(_stretch(one, usable[0], spacing), []).append(one)
    taken = {_stretch(one, usable[0], spacing) for one in there}
    seen, picked = _Seen(len(there) + len(stretches)), []
    for known in there:
        seen.add(known)
    for number_, stretch in stretches.items():
        chosen = "there_already" if number_ in taken else _best(stretch, seen, spacing // 2, least, config)
        if isinstance(chosen, str):
            left_out[chosen] += 1
        else:
            seen.add(chosen)
            picked.append(chosen.stamp_ns)
    return Picked(stamps_ns=tuple(sorted(picked)), left_out=left_out)


def _stretch(one: Candidate, first: Candidate, spacing_ns: int) -> int:
    """Which stretch of time a frame lies in."""
    return (one.stamp_ns - first.stamp_ns) // spacing_ns


def _best(
    stretch: Sequence[Candidate], seen: _Seen, apart_ns: int, least: float, config: PickConfig
) -> Candidate | str:
    """The sharpest frame of a stretch, far enough from the others in time and in looks; or why there is none."""
    apart = [one for one in stretch if seen.is_apart(one.stamp_ns, apart_ns)]
    if not apart:
        return "there_already"
    sharp = sorted((one for one in apart if one.sharpness >= least), key=lambda one: -one.sharpness)
    if not sharp:
        return "blurred"
    for one in sharp[:TRIED]:
        if seen.is_new(one.thumbnail, config.least_change):
            return one
    return "near_duplicate"
