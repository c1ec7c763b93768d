"""Records of a robot's frames: corrected boxes with the pixels, visible boxes and rectangles that follow from depth."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_training.data.pictures import encode_png, mask_box, visible_box
from model_training.data.records import FrameRecord, ObjectRecord
from model_training.robots.editing import EditedFrame, EditedObject
from model_training.robots.label_file import COMPLETE, UNCHECKED
from model_training.robots.masks import LEAST_PIXELS, object_labels
from model_training.robots.work_folder import FoundFrame, Recording
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.camera import CameraIntrinsics, project, unproject
from n3d_ros.refine.attributes import color_name

SOURCE = "bag"
SHAPES = ("box", "cylinder", "ball", "bowl", "flat")
ROUND_SHAPES = ("cylinder", "ball", "bowl")
UPRIGHT_COSINE = 0.97  # a box within 14 degrees: its z axis is the vertical, about which its symmetry is told
NEAR_M = 0.02  # corners nearer than this have no place in the picture

_UNFIT = re.compile(r"[^0-9A-Za-z_.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where records of a recording come from.

    Args:
        recording: the bag.
        licence: of its images; "": made here.
    """

    recording: Recording
    licence: str = ""

    @property
    def prefix(self) -> str:
        """What ids begin with: the bag's name in characters that ids may have, and a few of its digest."""
        name = _UNFIT.sub("-", self.recording.name).strip("-.") or "bag"
        return f"{name}-{self.recording.digest.rpartition(':')[2][:8]}"


def robot_record(edited: EditedFrame, found: FoundFrame, origin: Origin, *, split: str) -> FrameRecord:
    """The record of a corrected frame.

    Args:
        edited: what a person made of it.
        found: the frame with its images.
        origin: the recording.
        split: one of ``SPLITS``.

    Returns:
        The record. ``up`` is that of tf, or of a surface that was found; None where nothing told it.
    """
    seen = found.record()
    points = unproject(seen.depth_m, found.intrinsics)
    up: FloatArray = np.array(found.up)
    labels = object_labels(edited.objects, points, seen.labels, up)
    is_checked = edited.status != UNCHECKED
    return FrameRecord(
        id=f"{origin.prefix}/{found.name}",
        source=SOURCE,
        split=split,
        image=found.image,
        depth_png=found.depth_png,
        intrinsics=found.intrinsics,
        up=None if found.up_source == "picture" else found.up,
        objects=tuple(
            object_record(one, labels, points, seen.rgb, up, found.intrinsics, is_checked=is_checked)
            for one in edited.objects
        ),
        labels_png=encode_png(labels),
        licence=origin.licence,
        provenance=json.dumps(_provenance(edited, origin), sort_keys=True, ensure_ascii=False),
        stamp_ns=found.stamp_ns,
    )


def object_record(
    one: EditedObject,
    labels: NDArray[np.uint16],
    points: NDArray[np.floating],
    rgb: NDArray[np.uint8],
    up: FloatArray,
    camera: CameraIntrinsics,
    *,
    is_checked: bool,
) -> ObjectRecord:
    """The record of one object.

    Args:
        one: the object.
        labels: (H, W) the frame's ids per pixel.
        points: (H, W, 3) metres, NaN where there is no depth.
        rgb: (H, W, 3) uint8.
        up: (3,) the vertical.
        camera: of the picture.
        is_checked: whether a person looked: then there is no doubt about the label.

    Returns:
        The record; without a visible box where fewer than 8 pixels show it.
    """
    mask = labels == one.id
    count = int(np.count_nonzero(mask))
    known = one.found
    shape = known.shape if known is not None and known.shape in SHAPES else ""
    color = known.color if known is not None and known.color else color_name(rgb[mask]) or ""
    return ObjectRecord(
        id=one.id,
        label=one.label,
        box=one.box,
        visible_box=visible_box(points[mask]) if count >= LEAST_PIXELS else None,
        box_2d=mask_box(mask) if count >= LEAST_PIXELS else projected_box(one.box, camera),
        color=color,
        shape=shape,
        symmetry=_symmetry(one.box, shape, up),
        visible_pixels=count,
        touches_border=_touches(one.box, camera),
        score=None if is_checked or known is None else known.score,
    )


def projected_box(box: Box3D, camera: CameraIntrinsics) -> tuple[float, float, float, float] | None:
    """The rectangle that a box covers in the picture.

    Args:
        box: camera optical frame.
        camera: of the picture.

    Returns:
        Left, top, right, bottom in the picture, px from its corner; None where it covers none of it.
    """
    left, top, right, bottom = _borders(box, camera)
    left, right = max(left, 0.0), min(right, float(camera.width))
    top, bottom = max(top, 0.0), min(bottom, float(camera.height))
    return (left, top, right, bottom) if right > left and bottom > top else None


def _borders(box: Box3D, camera: CameraIntrinsics) -> tuple[float, float, float, float]:
    """The same, not cut at the picture's borders; the picture and more for a box that reaches the camera."""
    corners = box.corners
    if (corners[:, 2] < NEAR_M).any():
        return -1.0, -1.0, camera.width + 1.0, camera.height + 1.0
    pixels = project(corners, camera) + 0.5  # pixel centres lie half a pixel from the corner that is counted from
    (left, top), (right, bottom) = pixels.min(axis=0), pixels.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def _touches(box: Box3D, camera: CameraIntrinsics) -> bool:
    """Whether the picture's border cuts the box."""
    left, top, right, bottom = _borders(box, camera)
    return left < 0 or top < 0 or right > camera.width or bottom > camera.height


def _symmetry(box: Box3D, shape: str, up: FloatArray) -> str:
    """What a turn about the box's z axis does not change, as far as a fitted box tells: nobody told its front."""
    if abs(float(up @ box.rotation[:, 2])) < UPRIGHT_COSINE:
        return "none"
    return "round" if shape in ROUND_SHAPES else "half_turn"


def _provenance(edited: EditedFrame, origin: Origin) -> dict[str, object]:
    """What the record was made from."""
    recording = origin.recording
    return {
        "bag": recording.name,
        "digest": recording.digest,
        "stamp_ns": edited.found.stamp_ns,
        "seconds": edited.found.seconds,
        "frame_id": edited.found.frame_id,
        "topics": {"color": recording.color, "depth": recording.depth},
        "boxes_by": edited.found.boxes_by or recording.grounder,
        "up_by": edited.found.up_source,
        "status": edited.status,
        "complete": edited.status == COMPLETE,
        "changes": dict(sorted(edited.changes.items())),
    }
