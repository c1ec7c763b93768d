"""Pictures of lifted and of rejected annotations: tiles of one size, and sheets of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model_training.data.pictures import encode_jpeg
from model_training.data.records import FrameRecord
from model_training.lifting.annotations import Box2D
from model_training.scenes.export import box_lines, contact_sheet
from n3d_ros.whole_files import write_whole

Picture = NDArray[np.uint8]

TILE = (480, 360)  # width, height, pixels
TILES_OF_SHEET = 30
PALETTE_BGR = ((80, 220, 90), (60, 170, 255), (255, 150, 60), (90, 90, 255), (230, 110, 210), (60, 230, 240))
REFUSED_BGR = (60, 60, 255)
TEXT_SCALE = 0.38
JPEG_QUALITY = 85
PICTURES = "pictures"


def accepted_tile(record: FrameRecord) -> Picture:
    """A frame with its boxes drawn in.

    Args:
        record: the frame.

    Returns:
        (360, 480, 3) uint8 BGR.
    """
    picture, scale = _fitting(np.ascontiguousarray(record.rgb[..., ::-1]))
    camera = record.intrinsics.resized(picture.shape[1], picture.shape[0])
    words = []
    for place, one in enumerate(record.objects):
        if one.visible_box is None or one.box_2d is None:
            continue
        color = PALETTE_BGR[place % len(PALETTE_BGR)]
        for start, end in box_lines(one.visible_box.corners, camera):
            cv2.line(picture, start, end, color, 1, cv2.LINE_AA)
        size = one.visible_box.size
        text = f"{one.label} {size[0]:.2f}x{size[1]:.2f}x{size[2]:.2f}"
        words.append((text, (round(one.box_2d[0] * scale), round(one.box_2d[1] * scale)), color))
    for text, place_px, color in words:  # above every line
        _write(picture, text, place_px, color)
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
    picture, scale = _fitting(np.ascontiguousarray(rgb[..., ::-1]))
    if box is not None:
        # A box may be refused for lying anywhere, also where OpenCV has no numbers.
        corners = np.clip(np.nan_to_num(np.reshape(box, (2, 2)) * scale), -1, [picture.shape[1], picture.shape[0]])
        first, last = (tuple(round(float(value)) for value in corner) for corner in corners)
        cv2.rectangle(picture, first, last, REFUSED_BGR, 2)
    tile = _tile(picture)
    _write(tile, words, (4, 16), (255, 255, 255))
    return tile


def write_tile(path: Path, tile: Picture) -> None:
    """Writes a tile as JPEG, whole.

    Args:
        path: to write.
        tile: BGR.
    """
    write_whole(path, encode_jpeg(tile[..., ::-1], JPEG_QUALITY))


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


def _fitting(picture: Picture) -> tuple[Picture, float]:
    """The picture as large as a tile holds it, and by which factor that is."""
    scale = min(TILE[0] / picture.shape[1], TILE[1] / picture.shape[0])
    size = (max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8), scale


def _tile(picture: Picture) -> Picture:
    """A fitting picture in a tile, black beside it."""
    tile: Picture = np.zeros((TILE[1], TILE[0], 3), dtype=np.uint8)
    height, width = picture.shape[:2]
    left, top = (TILE[0] - width) // 2, (TILE[1] - height) // 2
    tile[top : top + height, left : left + width] = picture
    return tile


def _write(picture: Picture, words: str, place: tuple[int, int], color: tuple[int, int, int]) -> None:
    """Words on a dark ground."""
    text = words.encode("ascii", "replace").decode()  # the only letters that OpenCV draws everywhere
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, TEXT_SCALE, 1)
    left = max(min(place[0], picture.shape[1] - width - 2), 2)
    bottom = max(place[1] - 2, height + 2)
    cv2.rectangle(picture, (left - 2, bottom - height - 2), (left + width + 1, bottom + below), (0, 0, 0), cv2.FILLED)
    cv2.putText(picture, text, (left, bottom), cv2.FONT_HERSHEY_SIMPLEX, TEXT_SCALE, color, 1, cv2.LINE_AA)
