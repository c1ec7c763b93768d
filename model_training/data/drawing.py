"""Pictures of a data set for people: frames with their boxes and questions, many on one sheet."""

from __future__ import annotations

import colorsys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from model_training.data.folder import DatasetFolder
from model_training.data.records import FrameRecord, ObjectRecord, QuestionRecord
from model_training.data.shards import group_sizes, read_frames
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.camera import CameraIntrinsics, project
from n3d_ros.ros.overlay import visible_edges
from n3d_ros.ros.picture_labels import Rect, chip_size, draw_chip, draw_leader, font, place_labels, text_size
from n3d_ros.ros.pictures import Color, jpeg_bytes
from n3d_ros.whole_files import write_whole

Picture = NDArray[np.uint8]

PICTURE_WIDTH = 640  # of one frame on a sheet, pixels
COLUMNS = 3
MOST_PICTURES = 120  # on one sheet: more would be higher than JPEG allows
MARGIN = 8
LABEL_SIZE = 13
TEXT_SIZE = 15
TEXT_LINES = 5
SAMPLE_TEXT = "Which is farther from the yellow banana, the pear or the white basket?"
PAPER: Color = (24, 27, 33)
INK: Color = (225, 228, 234)
FAINT: Color = (150, 156, 166)
GOLDEN = 0.618034  # turns of hue between neighbours: no two of them look alike
NEAR_M = 0.05
JPEG_QUALITY = 88


def pictured(record: FrameRecord, *, width: int = PICTURE_WIDTH) -> Picture:
    """The colour image with a box and a name for each object.

    Args:
        record: a frame.
        width: of the picture, pixels.

    Returns:
        (H, width, 3) uint8 RGB; whole boxes where they are known, else those of what is visible.
    """
    height = max(1, round(record.intrinsics.height * width / record.intrinsics.width))
    how = cv2.INTER_CUBIC if width >= record.intrinsics.width else cv2.INTER_AREA
    canvas = np.ascontiguousarray(cv2.resize(record.rgb, (width, height), interpolation=how), dtype=np.uint8)
    camera = record.intrinsics.resized(width, height)
    scale = width / record.intrinsics.width
    anchors: list[Rect] = []
    named: list[ObjectRecord] = []
    for one in sorted(record.objects, key=_depth_of, reverse=True):
        anchor = _draw_boxes(canvas, one, camera, scale)
        if anchor is not None:
            anchors.append(anchor)
            named.append(one)
    return _with_names(canvas, named, anchors)


def _depth_of(one: ObjectRecord) -> float:
    """Metres to its centre; 0 where only a 2-D box is known."""
    box = one.box or one.visible_box
    return 0.0 if box is None else float(box.center[2])


def color_of(one: ObjectRecord) -> Color:
    """A colour for an object, far from those of its neighbours by id."""
    red, green, blue = colorsys.hsv_to_rgb(one.id * GOLDEN % 1.0, 0.65, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def _draw_boxes(canvas: Picture, one: ObjectRecord, camera: CameraIntrinsics, scale: float) -> Rect | None:
    """Draws what is known of an object; where it is in the picture, None where it cannot be seen."""
    box = one.box or one.visible_box
    if box is not None:
        lines = visible_edges(box, camera)
        for ink, thickness in (((20, 20, 20), 3), (color_of(one), 1)):
            for start, end in lines:
                cv2.line(canvas, start, end, ink, thickness, cv2.LINE_AA)
        return _rect_of(box, camera) if lines else None
    if one.box_2d is None:
        return None
    left, top, right, bottom = (scale * value for value in one.box_2d)
    cv2.rectangle(canvas, (round(left), round(top)), (round(right), round(bottom)), color_of(one), 2)
    return left, top, right, bottom


def _rect_of(box: Box3D, camera: CameraIntrinsics) -> Rect:
    """The part of the image that a box covers."""
    corners: FloatArray = box.corners[box.corners[:, 2] > NEAR_M]
    points = project(corners, camera) if len(corners) else np.zeros((1, 2))
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    horizontal, vertical = np.clip([x0, x1], 0, camera.width), np.clip([y0, y1], 0, camera.height)
    return float(horizontal[0]), float(vertical[0]), float(horizontal[1]), float(vertical[1])


def _with_names(canvas: Picture, named: Sequence[ObjectRecord], anchors: Sequence[Rect]) -> Picture:
    """The picture with a chip for every object, none on another."""
    if not named:
        return canvas
    height, width = canvas.shape[:2]
    lines = [[(one.label, LABEL_SIZE, INK)] for one in named]
    rects = place_labels(anchors, [chip_size(line) for line in lines], (3.0, 3.0, width - 3.0, height - 3.0), gap=2.0)
    image = Image.fromarray(canvas).convert("RGBA")
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    for one, anchor, rect in zip(named, anchors, rects, strict=True):
        draw_leader(draw, anchor, rect, color_of(one))
    for one, rect, line in zip(named, rects, lines, strict=True):
        draw_chip(draw, rect, line, color_of(one))
    return np.asarray(Image.alpha_composite(image, layer).convert("RGB"), dtype=np.uint8)


def captioned(record: FrameRecord, questions: Sequence[QuestionRecord] = ()) -> Picture:
    """A picture of a frame with its id, and with a question and its answer under it.

    Args:
        record: a frame.
        questions: about it; one to reason about is shown where there is one, else what is to be found.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    picture = pictured(record)
    lines = [(f"{record.id}   {record.source}, {record.split}", FAINT), *_question_lines(record, questions)]
    strip = Image.new("RGB", (picture.shape[1], round(len(lines) * TEXT_SIZE * 1.3) + 10), PAPER)
    draw = ImageDraw.Draw(strip)
    for place, (text, ink) in enumerate(lines):
        draw.text((8, 4 + round(place * TEXT_SIZE * 1.3)), text, font=font(TEXT_SIZE), fill=ink)
    return np.vstack([picture, np.asarray(strip, dtype=np.uint8)])


def _question_lines(record: FrameRecord, questions: Sequence[QuestionRecord]) -> list[tuple[str, Color]]:
    """A question in lines as wide as the picture."""
    if not questions:
        return []
    reasoning = [one for one in questions if one.kind == "reasoning"]
    chosen = (reasoning or list(questions))[sum(map(ord, record.id)) % len(reasoning or questions)]
    asked = chosen.question or f"Find: {', '.join(chosen.names) or 'all objects'}."
    answer = chosen.answer or ", ".join(
        f"{one.label} {one.id}" for number in chosen.object_ids if (one := record.by_id(number)) is not None
    )
    lines = [(line, INK) for line in _wrapped(f"{chosen.question_class}: {asked}")]
    lines += [(line, FAINT) for line in _wrapped(f"> {answer or 'nothing'}")]
    lines = lines[:TEXT_LINES]
    rest = len(questions) - 1
    return [*lines, (f"and {rest} more", FAINT)] if rest else lines


def _wrapped(text: str) -> list[str]:
    """Lines that fit under a picture."""
    per_letter = max(1.0, text_size(SAMPLE_TEXT, TEXT_SIZE)[0] / len(SAMPLE_TEXT))
    return textwrap.wrap(text, int((PICTURE_WIDTH - 16) / per_letter), max_lines=TEXT_LINES, placeholder=" ...")


def sheet(pictures: Sequence[Picture]) -> Picture:
    """Pictures of equal width in rows, each row as high as its highest.

    Args:
        pictures: (H, W, 3) uint8, one or more.

    Returns:
        (H', W', 3) uint8.
    """
    columns = min(COLUMNS, len(pictures))
    width = max(picture.shape[1] for picture in pictures)
    rows = []
    for first in range(0, len(pictures), columns):
        row = pictures[first : first + columns]
        canvas = np.empty((max(p.shape[0] for p in row) + MARGIN, columns * (width + MARGIN) + MARGIN, 3), np.uint8)
        canvas[:] = PAPER
        for place, picture in enumerate(row):
            left = MARGIN + place * (width + MARGIN)
            canvas[MARGIN : MARGIN + picture.shape[0], left : left + picture.shape[1]] = picture
        rows.append(canvas)
    return np.vstack(rows)


def chosen_frames(folder: DatasetFolder, count: int) -> Iterable[tuple[FrameRecord, tuple[QuestionRecord, ...]]]:
    """Frames from all over a data set, with their questions; few row groups are read for them.

    Args:
        folder: the data set.
        count: how many; fewer where there are not so many.

    Yields:
        A frame and its questions.
    """
    sizes = {shard: group_sizes(folder.shard_path("frames", shard)) for shard in folder.frame_shards}
    places = [
        (shard, group, row)
        for shard, groups in sizes.items()
        for group, rows in enumerate(groups)
        for row in range(rows)
    ]
    for index in np.unique(np.linspace(0, len(places) - 1, min(count, len(places))).round().astype(int)):
        shard, group, row = places[index]
        records = read_frames(folder.shard_path("frames", shard), groups=[group])
        record = next(one for place, one in enumerate(records) if place == row)
        yield record, tuple(folder.questions_by_frame(shard).get(record.id, ()))


def write_sheet(folder: DatasetFolder, path: Path, count: int) -> int:
    """Writes a contact sheet.

    Args:
        folder: the data set.
        path: of a .jpg file.
        count: frames on it.

    Returns:
        Frames on it; none: nothing is written.
    """
    pictures = [captioned(record, questions) for record, questions in chosen_frames(folder, count)]
    if pictures:
        write_whole(path, jpeg_bytes(sheet(pictures), JPEG_QUALITY))
    return len(pictures)
