"""The two pictures of a result: boxes on the colour image, and the scene from above."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from n3d_ros.detection import SupportSurface
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.ros.annotated_image import annotated_image
from n3d_ros.ros.overlay import display_color
from n3d_ros.ros.pictures import PictureObject, write_png
from n3d_ros.ros.pipeline import FrameOutcome
from n3d_ros.ros.top_down import top_down_picture
from n3d_ros.scene.objects import SceneObject

IMAGE_FILE, TOP_DOWN_FILE = "boxes.png", "top_down.png"
CAMERA_UP: FloatArray = np.array([0.0, -1.0, 0.0])  # a level camera: the image's upper edge is up


def picture_objects(found: Sequence[tuple[int, str, str | None, Box3D]]) -> list[PictureObject]:
    """Objects for pictures.

    Args:
        found: id, label, colour word and box (camera frame) of each.

    Returns:
        One picture object each, in the order of ids.
    """
    return [
        PictureObject(number=number, label=label, box=box, color_rgb=display_color(color, number))
        for number, label, color, box in sorted(found, key=lambda item: item[0])
    ]


def up_direction(known: FloatArray | None, surfaces: Sequence[SupportSurface]) -> FloatArray:
    """The direction against gravity in the camera frame, as well as it is known.

    Args:
        known: (3,) from tf; None: unknown.
        surfaces: in the camera frame; without tf the largest level one stands for the ground.

    Returns:
        (3,) unit vector.
    """
    if known is not None:
        return known
    level = [surface for surface in surfaces if surface.kind != "wall" and len(surface.outline) >= 3]
    return max(level, key=lambda surface: _area(surface.outline)).normal if level else CAMERA_UP


def _area(outline: FloatArray) -> float:
    """Area of a flat polygon, square metres."""
    edges = outline - outline[0]
    return 0.5 * float(np.linalg.norm(np.cross(edges[:-1], edges[1:]).sum(axis=0)))


def write_pictures(
    folder: Path,
    frame: RgbdFrame,
    objects: Sequence[PictureObject],
    *,
    up: FloatArray | None,
    surfaces: Sequence[SupportSurface],
    title: str,
    subtitle: str,
) -> tuple[Path, Path]:
    """Writes both pictures of one frame.

    Args:
        folder: where.
        frame: colour and depth.
        objects: camera frame.
        up: (3,) against gravity, camera frame; None: estimated from the surfaces.
        surfaces: supports, camera frame.
        title: of the top-down picture.
        subtitle: of the top-down picture.

    Returns:
        Paths of the image with boxes and of the top-down picture.
    """
    image_path, top_path = folder / IMAGE_FILE, folder / TOP_DOWN_FILE
    write_png(image_path, annotated_image(frame, objects))
    picture = top_down_picture(
        objects,
        up=up_direction(up, surfaces),
        intrinsics=frame.intrinsics,
        surfaces=surfaces,
        frame=frame,
        title=title,
        subtitle=subtitle,
    )
    write_png(top_path, picture)
    return image_path, top_path


def write_outcome_pictures(
    folder: Path, outcome: FrameOutcome, objects: Sequence[SceneObject], *, title: str
) -> tuple[Path, Path] | None:
    """Writes both pictures of an outcome.

    Args:
        folder: where.
        outcome: an OK outcome.
        objects: in its output frame.
        title: of the top-down picture.

    Returns:
        The paths, None when the outcome has no frame.
    """
    if outcome.frame is None or outcome.output_T_camera is None:
        return None
    camera_T_output = outcome.output_T_camera.inverse()
    found = [(item.id, item.label, item.color, item.box.transformed(camera_T_output)) for item in objects]
    return write_pictures(
        folder,
        outcome.frame,
        picture_objects(found),
        up=outcome.up_camera,
        surfaces=outcome.surfaces,
        title=title,
        subtitle=f"{len(objects)} objects at {outcome.stamp_ns / 1e9:.3f} s, {outcome.frame_id}",
    )
