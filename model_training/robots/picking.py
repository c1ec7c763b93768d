"""Which frames of a recording are worth a person's time: spread over time, sharp, and each showing something new."""

from __future__ import annotations

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
    difference = (np.stack(others) - thumbnail).reshape(len(others), -1)
    return float(np.abs(difference - np.median(difference, axis=1, keepdims=True)).max(axis=1).min())


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
    known, picked = list(there), []
    for number_, stretch in stretches.items():
        chosen = "there_already" if number_ in taken else _best(stretch, known, spacing // 2, least, config)
        if isinstance(chosen, str):
            left_out[chosen] += 1
        else:
            known.append(chosen)
            picked.append(chosen.stamp_ns)
    return Picked(stamps_ns=tuple(sorted(picked)), left_out=left_out)


def _stretch(one: Candidate, first: Candidate, spacing_ns: int) -> int:
    """Which stretch of time a frame lies in."""
    return (one.stamp_ns - first.stamp_ns) // spacing_ns


def _best(
    stretch: Sequence[Candidate], known: Sequence[Candidate], apart_ns: int, least: float, config: PickConfig
) -> Candidate | str:
    """The sharpest frame of a stretch, far enough from the others in time and in looks; or why there is none."""
    apart = [one for one in stretch if all(abs(one.stamp_ns - other.stamp_ns) >= apart_ns for other in known)]
    if not apart:
        return "there_already"
    sharp = sorted((one for one in apart if one.sharpness >= least), key=lambda one: -one.sharpness)
    if not sharp:
        return "blurred"
    thumbnails = [one.thumbnail for one in known]
    for one in sharp[:TRIED]:
        if least_change(one.thumbnail, thumbnails) >= config.least_change:
            return one
    return "near_duplicate"
