"""From a generated frame to a record of a data set: images encoded, and both boxes of every object that counts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from model_training.data.pictures import THINNEST_M, depth_to_millimetres, encode_jpeg, encode_png
from model_training.data.records import FrameRecord, ObjectRecord
from model_training.scenes.generate import SceneFrame
from model_training.scenes.materials import spoken
from model_training.scenes.truth import ObjectTruth
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.camera import unproject
from n3d_ros.settings import check, number

SOURCES = {"mujoco": "generated", "raycast": "raycast"}  # FrameRecord.source by generator
PREFIXES = {"mujoco": "", "raycast": "raycast-"}  # of ids: one data set may hold frames of both


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordConfig:
    """Which objects of a generated frame count, and how its images are encoded.

    Args:
        least_pixels: an object seen on fewer pixels does not count: its points are too few for a box that means
            anything, whatever the image's size.
        least_share: nor one on a smaller share of the image. The default is 154 px of 640x480, about one 14 px patch
            of the network: what is smaller cannot be told from its neighbours.
        least_fraction: nor one of which less than this share is visible; the rest is hidden by other things, and the
            visible part no longer tells what it is.
        furniture: whether tables, shelves and the like count, or loose objects only.
        jpeg_quality: of the colour image. 92 is what cameras and photo collections use; the network has to cope with
            its blocks, not with worse.
    """

    least_pixels: int = number(16, "fewest visible pixels", minimum=1, maximum=1_000_000, unit="px")
    least_share: float = number(5e-4, "least share of the image", minimum=0, maximum=1)
    least_fraction: float = number(0.15, "least visible share of the object", minimum=0, maximum=1)
    furniture: bool = True
    jpeg_quality: int = number(92, "of the colour image", minimum=10, maximum=100)

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            ConfigurationError: a value outside its range.
        """
        check(self, "record")

    def counts(self, truth: ObjectTruth, image_pixels: int) -> bool:
        """Whether an object of the frame counts.

        Args:
            truth: the object.
            image_pixels: of the whole image.

        Returns:
            The verdict.
        """
        least = max(self.least_pixels, self.least_share * image_pixels)
        wanted = self.furniture or truth.role == "object"
        return wanted and truth.visible_pixels >= least and truth.visible_fraction >= self.least_fraction


def frame_record(
    frame: SceneFrame, *, split: str, config: RecordConfig | None = None, generator: str = "mujoco"
) -> FrameRecord:
    """The record of a generated frame.

    Args:
        frame: as generated.
        split: one of ``SPLITS``.
        config: which objects count; None: the defaults.
        generator: what made it: "mujoco" or "raycast".

    Returns:
        The record; what does not count has neither an entry nor labelled pixels.
    """
    config = config or RecordConfig()
    counted = [truth for truth in frame.truth if config.counts(truth, frame.object_ids.size)]
    ids = {truth.object_id for truth in counted}
    table = np.zeros(int(frame.object_ids.max()) + 1, np.uint16)
    table[list(ids)] = list(ids)
    labels = table[frame.object_ids]
    patches = find_objects(labels.astype(np.int32))  # the rows and columns that each id spans
    points = np.ascontiguousarray(unproject(frame.clean_depth_m, frame.frame.intrinsics).transpose(2, 0, 1))
    up = frame.up_camera / np.linalg.norm(frame.up_camera)
    return FrameRecord(
        id=f"{PREFIXES[generator]}{frame.spec.kind}-{frame.spec.seed:010d}-{frame.index:02d}",
        source=SOURCES[generator],
        split=split,
        image=encode_jpeg(frame.frame.rgb, config.jpeg_quality),
        depth_png=encode_png(depth_to_millimetres(frame.frame.depth_m)),
        intrinsics=frame.frame.intrinsics,
        up=(float(up[0]), float(up[1]), float(up[2])),
        objects=tuple(_object_record(truth, patches[truth.object_id - 1], labels, points, ids) for truth in counted),
        labels_png=encode_png(labels),
        provenance=json.dumps(_provenance(frame, generator), sort_keys=True),
        stamp_ns=frame.frame.stamp_ns,
    )


def _object_record(
    truth: ObjectTruth,
    patch: tuple[slice, ...],
    labels: NDArray[np.uint16],
    points: NDArray[np.float32],
    ids: set[int],
) -> ObjectRecord:
    """The record of one object; what it stands on or in is only named where that has an entry, too."""
    rows, columns = patch
    support = truth.supported_by
    return ObjectRecord(
        id=truth.object_id,
        label=truth.category,
        box=truth.box_camera,
        visible_box=_box_around(points[:, rows, columns], labels[patch] == truth.object_id),
        box_2d=(float(columns.start), float(rows.start), float(columns.stop), float(rows.stop)),
        color=truth.color,
        material=spoken(truth.material),
        shape=truth.shape,
        role=truth.role,
        symmetry=truth.symmetry,
        visible_pixels=truth.visible_pixels,
        visible_fraction=round(truth.visible_fraction, 4),
        touches_border=truth.touches_border,
        supported_by=support if support == 0 or support in ids else None,
        inside_of=truth.inside_of if truth.inside_of in ids else None,
    )


def _box_around(planes: NDArray[np.float32], mask: NDArray[np.bool_]) -> Box3D | None:
    """What ``visible_box`` gives for the points of a mask: (3, H, W) and (H, W); OpenCV is three times as quick."""
    known = (mask & np.isfinite(planes[2])).astype(np.uint8)
    if not known.any():
        return None
    ends = np.array([cv2.minMaxLoc(plane, known)[:2] for plane in planes])
    return Box3D.axis_aligned(ends.mean(axis=1), np.maximum(ends[:, 1] - ends[:, 0], THINNEST_M))


def _provenance(frame: SceneFrame, generator: str) -> dict[str, Any]:
    """What the frame can be made from again, JSON-ready."""
    pose = frame.world_T_camera
    return {
        "generator": generator,
        "spec": json.loads(frame.spec.to_json()),
        "view": frame.index,
        "world_T_camera": {
            "translation": [round(float(v), 9) for v in pose.translation],
            "orientation_xyzw": [round(float(v), 12) for v in pose.orientation_xyzw],
        },
    }
