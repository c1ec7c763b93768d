"""Pictures for a person: frames with numbered boxes and rulers of pixels, and a page that shows them all."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model_training.data.pictures import encode_jpeg
from model_training.robots.editing import EditedFrame
from model_training.robots.work_folder import PICTURES, FoundFrame
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.ros.overlay import OverlayItem, display_color, draw_boxes

QUALITY = 90
TICK_PX, NAMED_PX = 20, 100  # of the rulers: every so many pixels a stroke, and a number
TINT = 0.45  # of an object's colour over its pixels, in pictures for control
PAGE = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px sans-serif; margin: 1em; background: #222; color: #ddd }}
figure {{ display: inline-block; margin: 0 1em 1.5em 0 }}
img {{ display: block; min-width: 640px; max-width: 100%; cursor: crosshair }}
#at {{ position: fixed; left: 0; bottom: 0; padding: .4em .8em; background: #000; color: #7f7; font: 16px monospace }}
</style></head><body>
<h1>{title}</h1>
<p>Point at a thing to read its pixel; a click keeps it to copy. Correct the boxes in labels.txt.</p>
{figures}
<div id="at">pixel</div>
<script>
const at = document.getElementById("at");
document.querySelectorAll("img").forEach(img => {{
  const pixel = e => {{
    const box = img.getBoundingClientRect();
    return "pixel " + Math.floor((e.clientX - box.left) * img.naturalWidth / box.width) + " "
      + Math.floor((e.clientY - box.top) * img.naturalHeight / box.height);
  }};
  img.addEventListener("mousemove", e => {{ at.textContent = img.alt + "   " + pixel(e); }});
  img.addEventListener("click", e => {{ if (navigator.clipboard) navigator.clipboard.writeText(pixel(e)); }});
}});
</script></body></html>
"""


def found_picture(frame: FoundFrame) -> bytes:
    """The frame with its boxes and their numbers.

    Args:
        frame: with its images.

    Returns:
        JPEG bytes, of the frame's own size: a pixel of it is one of the file's "pixel COLUMN ROW".
    """
    boxes = [(one.number, one.label, one.color, one.box) for one in frame.objects]
    return encode_jpeg(with_rulers(numbered(frame.record().rgb, frame.intrinsics, boxes)), QUALITY)


def control_picture(frame: FoundFrame, edited: EditedFrame, labels: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """The frame as it goes into the data set: boxes, labels, and every object's pixels tinted.

    Args:
        frame: with its images.
        edited: what a person made of it.
        labels: (H, W) ids per pixel.

    Returns:
        (H, W, 3) uint8, red green blue.
    """
    picture: NDArray[Any] = frame.record().rgb.astype(np.float32)
    boxes = []
    for one in edited.objects:
        color = "" if one.found is None else one.found.color
        mask = labels == one.id
        picture[mask] += TINT * (255.0 * np.array(display_color(color, one.id)) - picture[mask])
        boxes.append((one.id, one.label, color, one.box))
    return numbered(picture.astype(np.uint8), frame.intrinsics, boxes)


def numbered(
    rgb: NDArray[np.uint8], camera: CameraIntrinsics, boxes: Iterable[tuple[int, str, str, Box3D]]
) -> NDArray[np.uint8]:
    """A picture with boxes and their numbers and labels.

    Args:
        rgb: (H, W, 3) uint8.
        camera: of the picture.
        boxes: number, label, colour word ("": unknown), box.

    Returns:
        (H, W, 3) uint8, new memory.
    """
    items = [
        OverlayItem(box=box, text=f"{number} {label}", color_rgb=display_color(color, number))
        for number, label, color, box in boxes
    ]
    return draw_boxes(rgb, camera, items)


def with_rulers(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture with columns counted along its top and rows along its left border.

    Args:
        rgb: (H, W, 3) uint8; drawn on.

    Returns:
        The same memory.
    """
    height, width = rgb.shape[:2]
    for length, flipped in ((width, False), (height, True)):
        for at in range(TICK_PX, length, TICK_PX):
            is_named = at % NAMED_PX == 0
            end = (9 if is_named else 5, at) if flipped else (at, 9 if is_named else 5)
            _stroke(rgb, (0, at) if flipped else (at, 0), end)
            if is_named:
                _write(rgb, str(at), (11, at + 4) if flipped else (at - 10, 20))
    return rgb


def _stroke(rgb: NDArray[np.uint8], start: tuple[int, int], end: tuple[int, int]) -> None:
    """A bright line on a dark one: seen on any ground."""
    cv2.line(rgb, start, end, (0, 0, 0), 3)
    cv2.line(rgb, start, end, (255, 255, 255), 1)


def _write(rgb: NDArray[np.uint8], text: str, where: tuple[int, int]) -> None:
    """Small text, seen on any ground."""
    for color, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(rgb, text, where, cv2.FONT_HERSHEY_SIMPLEX, 0.35, color, width, cv2.LINE_AA)


def page(title: str, names: Sequence[str]) -> bytes:
    """A page of all pictures, which tells the pixel under the mouse.

    Args:
        title: of the page.
        names: of the frames.

    Returns:
        HTML that loads nothing but the pictures beside it.
    """
    figures = "\n".join(
        f'<figure><img src="{PICTURES}/{name}.jpg" alt="frame {name}" loading="lazy">'
        f"<figcaption>frame {name}</figcaption></figure>"
        for name in map(html.escape, names)
    )
    return PAGE.format(title=html.escape(title), figures=figures).encode()
