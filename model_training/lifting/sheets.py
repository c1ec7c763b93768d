"""Pictures of lifted and of rejected annotations: tiles of one size, and sheets of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model_training.data.records import FrameRecord
from model_training.lifting.annotations import Box2D
from model_training.scenes.export import box_lines, contact_sheet
from n3d_ros.depth.files.writing import write_whole

Picture = NDArray[np.uint8]

TILE = (480, 360)  # width, height, pixels
TILES_OF_SHEET = 30
PALETTE_BGR = ((80, 220, 90), (60, 170, 255), (255, 150, 60), (90, 90, 255), (230, 110, 210), (60, 230, 240))
REFUSED_BGR = (60, 60, 255)
PICTURES = "pictures"


def accepted_tile(record: FrameRecord) -> Picture:
    """A frame with its boxes drawn in.

    Args:
        record: the frame.

    Returns:
        (360, 480, 3) uint8 BGR.
    """
    picture = np.ascontiguousarray(record.rgb[..., ::-1])
    thickness = max(1, round(max(picture.shape) / 480))
    for place, one in enumerate(record.objects):
        if one.visible_box is None or one.box_2d is None:
            continue
        color = PALETTE_BGR[place % len(PALETTE_BGR)]
        for start, end in box_lines(one.visible_box.corners, record.intrinsics):
            cv2.line(picture, start, end, color, thickness, cv2.LINE_AA)
        size = one.visible_box.size
        words = f"{one.label} {size[0]:.2f}x{size[1]:.2f}x{size[2]:.2f}"
        _write(picture, words, (round(one.box_2d[0]), round(one.box_2d[1])), color, thickness)
    return _tile(picture)


def rejected_tile(rgb: NDArray[np.uint8], box: Box2D | None, words: str) -> Picture:
    """An image with the annotation that was refused.

    Args:
        rgb: (H, W, 3) uint8.
        box: 2-D box, pixels; None: the whole image.
        words: rule and label.

    Returns:
        (360, 480, 3) uint8 BGR.
    """
    picture = np.ascontiguousarray(rgb[..., ::-1])
    thickness = max(1, round(max(picture.shape) / 480))
    if box is not None:
        left, top, right, bottom = (round(v) for v in box)
        cv2.rectangle(picture, (left, top), (right, bottom), REFUSED_BGR, 2 * thickness)
    tile = _tile(picture)
    _write(tile, words, (4, 16), (255, 255, 255), 1)
    return tile


def write_tile(path: Path, tile: Picture) -> None:
    """Writes a tile as JPEG, whole.

    Args:
        path: to write.
        tile: BGR.
    """
    _done, data = cv2.imencode(".jpg", tile, [cv2.IMWRITE_JPEG_QUALITY, 85])
    write_whole(path, bytes(data))


def write_sheet(path: Path, tiles: Sequence[Path]) -> bool:
    """Writes one picture of several tiles.

    Args:
        path: to write.
        tiles: their files, the first ``TILES_OF_SHEET`` are shown.

    Returns:
        Whether there was anything to show.
    """
    pictures = [cv2.imread(str(tile), cv2.IMREAD_COLOR) for tile in tiles[:TILES_OF_SHEET]]
    readable = [np.asarray(picture, np.uint8) for picture in pictures if picture is not None]
    if not readable:
        return False
    write_tile(path, contact_sheet(readable))
    return True


def spread(tiles: Sequence[Path], limit: int = TILES_OF_SHEET) -> list[Path]:
    """Some tiles, evenly taken.

    Args:
        tiles: in order.
        limit: how many at most.

    Returns:
        Tiles in order.
    """
    if len(tiles) <= limit:
        return list(tiles)
    return [tiles[int(place)] for place in np.linspace(0, len(tiles) - 1, limit)]


def _tile(picture: Picture) -> Picture:
    """The picture in a tile, black beside it."""
    width, height = TILE
    scale = min(width / picture.shape[1], height / picture.shape[0])
    size = (max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1))
    tile: Picture = np.zeros((height, width, 3), dtype=np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    tile[top : top + size[1], left : left + size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return tile


def _write(picture: Picture, words: str, place: tuple[int, int], color: tuple[int, int, int], thickness: int) -> None:
    """Words on a dark shadow."""
    scale = 0.42 * thickness
    text = words.encode("ascii", "replace").decode()  # the only letters OpenCV draws
    where = (max(place[0], 2), max(place[1], round(14 * thickness)))
    cv2.putText(picture, text, where, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 3 * thickness, cv2.LINE_AA)
    cv2.putText(picture, text, where, cv2.FONT_HERSHEY_SIMPLEX, scale, color, thickness, cv2.LINE_AA)
