"""Changes of a look that keep its words and boxes true."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from model_training.color_jitter import jittered
from model_training.data.records import ObjectRecord, QuestionRecord
from model_training.examples.config import AugmentConfig
from model_training.examples.look import Look
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import matrix_to_quaternion

MAX_BLUR_PX = 1.2  # deviation
MAX_HOLES = 6
MAX_HOLE_SHARE = 0.15  # of the image's side
MAX_SPECKLE_SHARE = 0.05  # of the pixels
CROP_TRIES = 4
SIDES = re.compile(r"\b(?:left|right|leftmost|rightmost|clock|o'clock|clockwise|side)\b", flags=re.IGNORECASE)
MIRROR = np.diag([-1.0, 1.0, 1.0])


def augmented(look: Look, questions: Sequence[QuestionRecord], config: AugmentConfig, rng: np.random.Generator) -> Look:
    """A look changed by chance.

    Args:
        look: as recorded.
        questions: that will be asked about it; their words decide whether it may be mirrored.
        config: how much of what.
        rng: source of chance.

    Returns:
        A new look, or the same where nothing was drawn.
    """
    chances = rng.random(5)
    words = [one.label for one in look.objects]  # an answer names them, whatever the question
    if chances[0] < config.flip and not SIDES.search(" ".join(words)) and not any(map(depends_on_sides, questions)):
        look = mirrored(look)
    if chances[1] < config.crop:
        look = _cropped_by_chance(look, config.max_zoom, rng)
    rgb = look.frame.rgb
    if config.color > 0:
        rgb = jittered(rgb[None], config.color, rng)[0]
    if chances[2] < config.blur:
        rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), 0.3 + (MAX_BLUR_PX - 0.3) * rng.random()), np.uint8)
    depth = look.frame.depth_m
    if chances[3] < config.depth_dropout:
        depth = with_holes(depth, rng)
    if rgb is look.frame.rgb and depth is look.frame.depth_m:
        return look
    return replace(look, frame=_frame(look.frame, rgb, depth, look.frame.intrinsics))


def depends_on_sides(question: QuestionRecord) -> bool:
    """Whether a mirror image would make a question's answer wrong.

    Args:
        question: any.

    Returns:
        True for questions to reason about, and for words of sides.
    """
    words = " ".join((*question.names, question.question))
    return question.kind == "reasoning" or SIDES.search(words) is not None


def mirrored(look: Look) -> Look:
    """The look in a mirror: left and right exchanged, boxes with it.

    Args:
        look: any; labels with words of sides must not be in it.

    Returns:
        A new look.
    """
    camera = look.frame.intrinsics
    other = replace(camera, cx=camera.width - 1 - camera.cx)
    rgb = np.ascontiguousarray(look.frame.rgb[:, ::-1])
    depth = np.ascontiguousarray(look.frame.depth_m[:, ::-1])
    labels = None if look.labels is None else np.ascontiguousarray(look.labels[:, ::-1])
    objects = tuple(_mirrored_object(one, camera.width) for one in look.objects)
    return replace(look, frame=_frame(look.frame, rgb, depth, other), objects=objects, labels=labels)


def cropped(look: Look, left: int, top: int, width: int, height: int) -> Look | None:
    """A part of the picture at the same number of pixels, as a longer lens would have taken it.

    Boxes in metres stay; the intrinsics say where they are seen.

    Args:
        look: any, all its objects with 2-D boxes.
        left: first column kept.
        top: first row kept.
        width: columns kept, of about the image's shape.
        height: rows kept.

    Returns:
        A new look; None where an object would be cut or lost.
    """
    camera = look.frame.intrinsics
    if any(one.box_2d is None or not _within(one, left, top, width, height) for one in look.objects):
        return None
    sx, sy = camera.width / width, camera.height / height
    # The image's borders are what scaling keeps, half a pixel outside the outermost centres.
    changed = replace(
        camera,
        fx=camera.fx * sx,
        fy=camera.fy * sy,
        cx=(camera.cx + 0.5 - left) * sx - 0.5,
        cy=(camera.cy + 0.5 - top) * sy - 0.5,
    )
    window = (slice(top, top + height), slice(left, left + width))
    size = (camera.width, camera.height)
    rgb = np.asarray(cv2.resize(look.frame.rgb[window], size, interpolation=cv2.INTER_LINEAR), np.uint8)
    depth = np.asarray(cv2.resize(look.frame.depth_m[window], size, interpolation=cv2.INTER_NEAREST), np.float32)
    labels = None
    if look.labels is not None:
        labels = np.asarray(cv2.resize(look.labels[window], size, interpolation=cv2.INTER_NEAREST), np.uint16)
    objects = tuple(_shifted(one, left, top, sx, sy) for one in look.objects)
    return replace(look, frame=_frame(look.frame, rgb, depth, changed), objects=objects, labels=labels)


def with_holes(depth_m: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Depth with patches and single pixels missing.

    Args:
        depth_m: (H, W) metres, NaN for none.
        rng: source of chance.

    Returns:
        A new image with at least half of the depth it had.
    """
    height, width = depth_m.shape
    hidden = rng.random(depth_m.shape) < MAX_SPECKLE_SHARE * rng.random()
    for _ in range(int(rng.integers(1, MAX_HOLES + 1))):
        center = (int(rng.integers(width)), int(rng.integers(height)))
        axes = tuple(max(1, int(MAX_HOLE_SHARE / 2 * side * rng.random())) for side in (width, height))
        canvas = np.zeros(depth_m.shape, np.uint8)
        cv2.ellipse(canvas, center, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
        hidden |= canvas > 0
    found = np.isfinite(depth_m)
    if 2 * np.count_nonzero(found & ~hidden) < np.count_nonzero(found):
        return depth_m
    return np.where(hidden, np.float32(np.nan), depth_m).astype(np.float32)


def _cropped_by_chance(look: Look, max_zoom: float, rng: np.random.Generator) -> Look:
    """The first crop of some that cuts no object; the look itself where all do."""
    camera = look.frame.intrinsics
    for _ in range(CROP_TRIES):
        zoom = 1 + (max_zoom - 1) * rng.random()
        width, height = round(camera.width / zoom), round(camera.height / zoom)
        left, top = int(rng.integers(camera.width - width + 1)), int(rng.integers(camera.height - height + 1))
        found = cropped(look, left, top, width, height)
        if found is not None:
            return found
    return look


def _within(one: ObjectRecord, left: int, top: int, width: int, height: int) -> bool:
    """Whether a crop keeps all that is seen of an object."""
    assert one.box_2d is not None
    x0, y0, x1, y1 = one.box_2d
    return x0 >= left and y0 >= top and x1 <= left + width and y1 <= top + height


def _shifted(one: ObjectRecord, left: int, top: int, sx: float, sy: float) -> ObjectRecord:
    assert one.box_2d is not None
    x0, y0, x1, y1 = one.box_2d
    pixels = round(one.visible_pixels * sx * sy)
    return replace(
        one,
        box_2d=((x0 - left) * sx, (y0 - top) * sy, (x1 - left) * sx, (y1 - top) * sy),
        visible_pixels=pixels,
    )


def _mirrored_object(one: ObjectRecord, width: int) -> ObjectRecord:
    box_2d = (
        None if one.box_2d is None else (width - one.box_2d[2], one.box_2d[1], width - one.box_2d[0], one.box_2d[3])
    )
    return replace(one, box=_mirrored_box(one.box), visible_box=_mirrored_box(one.visible_box), box_2d=box_2d)


def _mirrored_box(box: Box3D | None) -> Box3D | None:
    """A box is its own mirror image, so its mirrored axes with one of them reversed are a rotation again."""
    if box is None:
        return None
    return Box3D(
        center=MIRROR @ box.center,
        size=box.size,
        orientation_xyzw=matrix_to_quaternion(MIRROR @ box.rotation @ MIRROR),
    )


def _frame(
    frame: RgbdFrame, rgb: NDArray[np.uint8], depth_m: NDArray[np.float32], camera: CameraIntrinsics
) -> RgbdFrame:
    return RgbdFrame(rgb=rgb, depth_m=depth_m, intrinsics=camera, stamp_ns=frame.stamp_ns, frame_id=frame.frame_id)
