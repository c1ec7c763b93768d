"""Masks as data sets write them: polygons, run lengths or image files; and the pixels that they mean.

A pixel belongs to a polygon when its centre does. Run lengths are COCO's (pycocotools, common/maskApi.c): down the
columns, beginning with pixels outside; compressed, each is a difference to the last but one in groups of five bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import BoolArray
from n3d_ros.geometry.camera import MAX_IMAGE_SIDE_PX

MAX_RUNS = 2_000_000  # of one mask; more than any outline has, and bounds memory
MAX_CORNERS = 200_000  # of one polygon
MAX_MASK_BYTES = 64 * 2**20  # of a mask's file


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Polygons:
    """One outline or several, whose insides are united.

    Args:
        rings: each x, y, x, y, ...: pixels counted from the image's corner.
    """

    rings: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        """Checks every ring.

        Raises:
            InputError: none, fewer than three corners, or what is no number.
        """
        if not self.rings:
            raise InputError("Polygons: expected one ring or more, got none.")
        for ring in self.rings:
            if len(ring) % 2 or not 6 <= len(ring) <= 2 * MAX_CORNERS:
                raise InputError(f"Polygon: expected pairs of 3 to {MAX_CORNERS} corners, got {len(ring)} numbers.")
            if not all(math.isfinite(value) and abs(value) < 1e6 for value in ring):
                raise InputError("Polygon: expected finite pixels.")

    def mask(self, width: int, height: int) -> BoolArray:
        """(H, W) bool: pixels whose centres lie inside.

        Args:
            width: of the image, pixels.
            height: of the image, pixels.

        Returns:
            A new mask.
        """
        united = np.zeros((height, width), dtype=bool)
        for ring in self.rings:
            _unite(united, np.asarray(ring, dtype=np.float64).reshape(-1, 2))
        return united


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunLengths:
    """A mask as lengths of runs down its columns, the first outside.

    Args:
        counts: lengths, or COCO's compressed text of them.
        width: of the mask, pixels.
        height: of the mask, pixels.
    """

    counts: tuple[int, ...] | str
    width: int
    height: int

    def __post_init__(self) -> None:
        """Checks the size.

        Raises:
            InputError: a size that no image has.
        """
        if not (0 < self.width <= MAX_IMAGE_SIDE_PX and 0 < self.height <= MAX_IMAGE_SIDE_PX):
            raise InputError(f"Run lengths: expected a size of 1 to {MAX_IMAGE_SIDE_PX} px a side.")

    def mask(self, width: int, height: int) -> BoolArray:
        """(H, W) bool.

        Args:
            width: of the image, pixels.
            height: of the image, pixels.

        Returns:
            A new mask.

        Raises:
            InputError: damaged runs, or of another size than the image.
        """
        if (width, height) != (self.width, self.height):
            raise InputError(f"Run lengths: of {self.width}x{self.height} px, but the image is {width}x{height}.")
        counts = runs_of_text(self.counts) if isinstance(self.counts, str) else self.counts
        # Summed as Python's integers: a sum of 64 bits that wraps around would be right by chance.
        if len(counts) > MAX_RUNS or min(counts, default=0) < 0 or sum(counts) != width * height:
            raise InputError(f"Run lengths: expected lengths that add up to {width * height} px.")
        runs = np.asarray(counts, dtype=np.int64)
        values = np.arange(len(runs)) % 2 == 1
        return np.ascontiguousarray(np.repeat(values, runs).reshape(width, height).T)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaskFile:
    """A mask in an image file: everything above 0 belongs to it.

    Args:
        name: of the file, relative to the folder of masks.
    """

    name: str

    def read(self, folder: Path, width: int, height: int) -> BoolArray:
        """(H, W) bool, of the image's size: OpenImages keeps masks smaller than images.

        Args:
            folder: of masks.
            width: of the image, pixels.
            height: of the image, pixels.

        Returns:
            A new mask.

        Raises:
            InputError: no such file in the folder, or no image.
        """
        path = inside(folder, self.name)
        try:
            if path.stat().st_size > MAX_MASK_BYTES:
                raise InputError(f"{self.name}: a mask of more than {MAX_MASK_BYTES >> 20} MB.")
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"{self.name}: expected a mask's image ({error.strerror or error}).") from None
        picture = decoded(data, cv2.IMREAD_GRAYSCALE)
        if picture is None:
            raise InputError(f"{self.name}: expected a mask's image, and it cannot be decoded.")
        if picture.shape != (height, width):
            picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_NEAREST)
        return np.asarray(picture) > 0


Outline: TypeAlias = "Polygons | RunLengths | MaskFile"


def inside(folder: Path, name: str) -> Path:
    """A file of a folder, by a name that a data set states.

    Args:
        folder: that everything is read from.
        name: relative to it.

    Returns:
        The path.

    Raises:
        InputError: a name that leads out of the folder.
    """
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts or "\0" in name:
        raise InputError(f"{name!r}: expected a file's name inside {folder.name}.")
    return folder / name


def decoded(data: bytes, flags: int) -> NDArray[Any] | None:
    """The pixels of an encoded image.

    Args:
        data: bytes of its file.
        flags: of ``cv2.imdecode``.

    Returns:
        None for what is none, or larger than OpenCV takes.
    """
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error:
        return None


def runs_of_text(text: str) -> list[int]:
    """The lengths in COCO's compressed text.

    Args:
        text: characters from "0" on, six bits each: five of the number, one that says whether more follow.

    Returns:
        Lengths of runs.

    Raises:
        InputError: a character that does not belong there, or a number without end.
    """
    if len(text) > 8 * MAX_RUNS:
        raise InputError("Run lengths: a text longer than any mask's.")
    runs: list[int] = []
    number, bits = 0, 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or bits > 60:
            raise InputError(f"Run lengths: {character!r} at {len(runs)} does not belong in a compressed mask.")
        number |= (code & 0x1F) << bits
        bits += 5
        if code & 0x20:
            continue
        if code & 0x10:
            number -= 1 << bits
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number, bits = 0, 0
    if bits:
        raise InputError("Run lengths: the compressed mask ends within a number.")
    return runs


def runs_of_mask(mask: BoolArray) -> list[int]:
    """The lengths of a mask's runs down its columns, the first outside.

    Args:
        mask: (H, W) bool.

    Returns:
        Lengths as COCO's uncompressed "counts" holds them.
    """
    flat = mask.T.reshape(-1)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs: list[int] = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return [0, *runs] if flat[0] else runs


def outline_row(outline: Outline | None) -> Any:
    """An outline as JSON-ready values.

    Args:
        outline: of any form.

    Returns:
        None without.
    """
    if outline is None:
        return None
    if isinstance(outline, Polygons):
        return {"rings": [list(ring) for ring in outline.rings]}
    if isinstance(outline, MaskFile):
        return {"file": outline.name}
    counts = outline.counts if isinstance(outline.counts, str) else list(outline.counts)
    return {"counts": counts, "width": outline.width, "height": outline.height}


def outline_of(row: Any) -> Outline | None:
    """The outline of such values.

    Args:
        row: as ``outline_row`` gives them.

    Returns:
        None without.
    """
    if row is None:
        return None
    if "rings" in row:
        return Polygons(rings=tuple(tuple(ring) for ring in row["rings"]))
    if "file" in row:
        return MaskFile(name=row["file"])
    counts = row["counts"] if isinstance(row["counts"], str) else tuple(row["counts"])
    return RunLengths(counts=counts, width=row["width"], height=row["height"])


def _unite(mask: BoolArray, corners: NDArray[np.float64]) -> None:
    """Adds to a mask the pixels that have an odd number of the outline's crossings to their left."""
    (left, top), (right, bottom) = (
        np.clip(np.ceil(corner - 0.5), 0, mask.shape[::-1]).astype(int).tolist()
        for corner in (corners.min(axis=0), corners.max(axis=0))
    )
    crossings = np.zeros((bottom - top, right - left + 1), dtype=np.int32)
    for (x0, y0), (x1, y1) in zip(corners.tolist(), np.roll(corners, -1, axis=0).tolist(), strict=True):
        if y0 == y1:
            continue
        low, high = min(y0, y1), max(y0, y1)
        # Centres at row + 0.5 with low <= centre < high, so that a corner counts for one of its two edges.
        first, last = max(math.ceil(low - 0.5), top), min(math.ceil(high - 0.5), bottom)
        if first >= last:
            continue
        rows = np.arange(first, last)
        x = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
        columns = np.clip(np.ceil(x - 0.5), left, right).astype(np.intp)
        crossings[rows - top, columns - left] += 1  # one edge crosses a row once, so no index is there twice
    mask[top:bottom, left:right] |= np.cumsum(crossings, axis=1)[:, :-1] % 2 == 1
