"""What the 3-D scene shows: boxes, camera, points, ground, and where a person stands at first; no viser in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import InputError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.arrays import Float32Array, FloatArray
from n3d_ros.geometry.boxes import BOX_EDGES, Box3D
from n3d_ros.geometry.camera import CameraIntrinsics, unproject
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.ros.conversions import pose_to_box, stamp_to_ns
from n3d_ros.ros.overlay import OverlayItem, display_color, draw_boxes

MAX_BOXES = 200  # shown at once; more would only hide each other
MAX_CLOUD_POINTS = 20_000
MAX_PICTURE_WIDTH = 480  # pixels; a panel is narrower
MAX_LABEL_CHARS = 60
BACK_M = 0.3  # a person stands so far behind the camera, at least ...
BACK_SHARE = 0.4  # ... and this share of the way to what it sees
RAISE_SHARE = 0.6  # and this share of that distance above it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShownBox:
    """One object, as it is drawn.

    Args:
        key: names it in the scene; the id, or its place in the message when it is not tracked.
        object_id: 0: not tracked.
        label: words, shortened.
        box: in the frame that is shown.
        color: (red, green, blue), 0 to 255, the same for one id.
        facts: more about it, as (name, text), for a person who asks what it is.
    """

    key: str
    object_id: int
    label: str
    box: Box3D
    color: tuple[int, int, int]
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def title(self) -> str:
        """Number and words."""
        return f"#{self.object_id} {self.label}" if self.object_id else self.label

    @property
    def top_m(self) -> FloatArray:
        """(3,) the point above which its label stands: the middle of its highest corners."""
        corners = self.box.corners
        return np.array([*self.box.center[:2], corners[:, 2].max()])

    @property
    def segments(self) -> Float32Array:
        """(12, 2, 3) float32: its edges."""
        return np.asarray(self.box.corners[np.asarray(BOX_EDGES)], dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cloud:
    """Coloured points.

    Args:
        points_m: (N, 3) float32, camera optical frame.
        colors: (N, 3) uint8.
        step_m: typical distance between neighbours, for the size they are drawn in.
    """

    points_m: Float32Array
    colors: NDArray[np.uint8]
    step_m: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Viewpoint:
    """Where a person looks from.

    Args:
        position_m: (3,) in the frame that is shown.
        look_at_m: (3,) the point in the middle of the window.
    """

    position_m: FloatArray
    look_at_m: FloatArray


def shown_boxes(objects: Iterable[Any], shown_T_frame: RigidTransform) -> tuple[ShownBox, ...]:
    """The boxes of a message; one whose numbers make no box is left out.

    Args:
        objects: ``n3d_msgs/Object3D``.
        shown_T_frame: from the message's frame to the one that is shown.

    Returns:
        At most ``MAX_BOXES``.
    """
    found: list[ShownBox] = []
    for place, message in enumerate(objects):
        if len(found) == MAX_BOXES:
            break
        try:
            box = pose_to_box(message.pose.pose, message.size)
        except InputError:
            continue
        label = shortened(str(message.label)) or "object"
        object_id = int(message.id)
        color = display_color(None, object_id or label)
        red, green, blue = (round(255 * channel) for channel in color)
        found.append(
            ShownBox(
                key=str(object_id) if object_id else f"untracked{place}",
                object_id=object_id,
                label=label,
                box=box.transformed(shown_T_frame),
                color=(red, green, blue),
                facts=tuple(_facts(message, box)),
            )
        )
    return tuple(found)


def _facts(message: Any, box: Box3D) -> Iterable[tuple[str, str]]:
    """What is known of an object, for a person."""
    yield "size", " x ".join(f"{100 * length:.0f}" for length in box.size) + " cm"
    if not np.isnan(message.score):
        yield "score", f"{float(message.score):.2f}"
    for attribute in list(message.attributes)[:8]:
        yield shortened(str(attribute.key)), shortened(str(attribute.value))
    if message.observations:
        yield "seen in", f"{int(message.observations)} images"
    first_ns, last_ns = stamp_to_ns(message.first_seen), stamp_to_ns(message.last_seen)
    if first_ns and last_ns >= first_ns:
        yield "known for", f"{(last_ns - first_ns) / 1e9:.1f} s"


def shortened(text: str, limit: int = MAX_LABEL_CHARS) -> str:
    """Text from outside as one short line.

    Args:
        text: such as a label.
        limit: most characters.

    Returns:
        The text without line ends or unseen characters, cut with dots.
    """
    line = " ".join("".join(one if one.isprintable() else " " for one in text[: 4 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def picture_of(
    rgb: NDArray[np.uint8], intrinsics: CameraIntrinsics, boxes: Sequence[ShownBox], camera_T_shown: RigidTransform
) -> NDArray[np.uint8]:
    """The picture with the boxes drawn on it.

    Args:
        rgb: (H, W, 3) uint8.
        intrinsics: of the picture.
        boxes: in the frame that is shown.
        camera_T_shown: from there to the camera's optical frame.

    Returns:
        (h, w, 3) uint8, at most ``MAX_PICTURE_WIDTH`` wide.
    """
    items = [
        OverlayItem(
            box=one.box.transformed(camera_T_shown),
            text=one.title,
            color_rgb=(one.color[0] / 255, one.color[1] / 255, one.color[2] / 255),
        )
        for one in boxes
    ]
    small = smaller(rgb)
    return draw_boxes(small, intrinsics.resized(small.shape[1], small.shape[0]), items)


def smaller(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture in the size that is sent.

    Args:
        rgb: (H, W, 3) uint8.

    Returns:
        At most ``MAX_PICTURE_WIDTH`` wide.
    """
    import cv2

    height, width = rgb.shape[:2]
    if width <= MAX_PICTURE_WIDTH:
        return rgb
    size = (MAX_PICTURE_WIDTH, max(1, round(height * MAX_PICTURE_WIDTH / width)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def cloud_of(frame: RgbdFrame, limit: int = MAX_CLOUD_POINTS) -> Cloud:
    """Points of a frame, evenly thinned out.

    Args:
        frame: colour and depth.
        limit: most points.

    Returns:
        Points where depth is known.
    """
    height, width = frame.depth_m.shape
    step = max(1, int(np.ceil(np.sqrt(height * width / limit))))
    depth = frame.depth_m[::step, ::step]
    points = unproject(depth, frame.intrinsics.subsampled(step)).reshape(-1, 3)
    known = np.isfinite(points).all(axis=1)
    colors = frame.rgb[::step, ::step].reshape(-1, 3)[known]
    median_m = float(np.median(points[known, 2])) if known.any() else 1.0
    step_m = step * median_m / frame.intrinsics.fx
    return Cloud(points_m=points[known], colors=np.ascontiguousarray(colors), step_m=step_m)


def ground_level_m(boxes: Sequence[ShownBox], fallback_m: float = 0.0) -> float:
    """The height on which most of the boxes stand, where the grid is drawn.

    Args:
        boxes: in the frame that is shown.
        fallback_m: without boxes.

    Returns:
        z, metres: the level with the most undersides within 3 cm, the lower one of equals.
    """
    if not boxes:
        return fallback_m
    lows = np.sort([one.box.corners[:, 2].min() for one in boxes])
    near = np.abs(lows[:, None] - lows[None, :]) < 0.03
    best = int(np.argmax(near.sum(axis=1)))
    return float(np.median(lows[near[best]]))


def vertical_field_rad(intrinsics: CameraIntrinsics) -> float:
    """The angle the picture covers from top to bottom.

    Args:
        intrinsics: of the picture.

    Returns:
        Radians.
    """
    return float(2.0 * np.arctan(intrinsics.height / (2.0 * intrinsics.fy)))


def first_viewpoint(shown_T_camera: RigidTransform, boxes: Sequence[ShownBox], cloud: Cloud | None) -> Viewpoint:
    """Behind and above the camera, looking where it looks.

    Args:
        shown_T_camera: the camera's optical frame in the frame that is shown.
        boxes: what it found.
        cloud: what it measured; None: nothing.

    Returns:
        Where a person stands first.
    """
    camera = shown_T_camera.translation
    ahead = shown_T_camera.rotate(np.array([0.0, 0.0, 1.0]))
    if boxes:
        target = np.mean([one.box.center for one in boxes], axis=0)
    else:
        depth_m = float(np.median(cloud.points_m[:, 2])) if cloud is not None and len(cloud.points_m) else 1.5
        target = camera + depth_m * ahead
    away = float(np.linalg.norm(target - camera))
    back = max(BACK_M, BACK_SHARE * away)
    level = np.array([*(target - camera)[:2], 0.0])
    length = float(np.linalg.norm(level))
    level = level / length if length > 1e-3 else np.array([1.0, 0.0, 0.0])
    position = camera - back * level + np.array([0.0, 0.0, RAISE_SHARE * back])
    return Viewpoint(position_m=position, look_at_m=target)
