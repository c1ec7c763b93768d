"""What pictures for people show, and files of them: numpy, OpenCV and Pillow, no ROS.

``annotated_image`` draws boxes on the colour image, ``top_down`` the scene from above with a metric grid. Both take
everything in the camera optical frame. Lines are drawn at a multiple of the final size and averaged down; text is set
at the final size, where no two labels may cover each other.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from n3d_ros.errors import InputError
from n3d_ros.geometry.boxes import Box3D

Color = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureObject:
    """One object to show.

    Args:
        number: shown with it in both pictures; its id, or its place in a list.
        label: words.
        box: camera optical frame.
        color_rgb: (red, green, blue), 0 to 1.
    """

    number: int
    label: str
    box: Box3D
    color_rgb: tuple[float, float, float]

    @property
    def color(self) -> Color:
        """(red, green, blue), 0 to 255."""
        red, green, blue = (round(255 * channel) for channel in self.color_rgb)
        return red, green, blue

    @property
    def size_text(self) -> str:
        """Its lengths, the two horizontal-most first as the box gives them, in centimetres."""
        return " x ".join(f"{100 * length:.0f}" for length in self.box.size) + " cm"

    @property
    def distance_m(self) -> float:
        """Metres from the camera to the centre."""
        return float(np.linalg.norm(self.box.center))


def write_png(path: str | Path, rgb: NDArray[np.uint8]) -> None:
    """Writes a picture.

    Args:
        path: to write.
        rgb: (H, W, 3) uint8.

    Raises:
        InputError: it cannot be written there.
    """
    try:
        Image.fromarray(rgb).save(path, format="PNG", compress_level=6)
    except OSError as error:
        raise InputError(f"{path}: the picture cannot be written ({error.strerror or error}).") from error


def jpeg_bytes(rgb: NDArray[np.uint8], quality: int) -> bytes:
    """A picture as JPEG.

    Args:
        rgb: (H, W, 3) uint8.
        quality: 1 to 95.

    Returns:
        The file's bytes.
    """
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, format="JPEG", quality=quality, optimize=True)
    return stream.getvalue()
