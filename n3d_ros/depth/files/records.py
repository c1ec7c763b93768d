"""What is kept of a finished frame until the whole input is done: enough to go on after an interruption, and no more.

A record is written after the frame's own files, so a frame with a record is done.
"""

from __future__ import annotations

import io
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from n3d_ros.depth.files.cameras import FrameCamera
from n3d_ros.depth.files.clouds import Cloud
from n3d_ros.depth.views import ScaleSource
from n3d_ros.errors import N3dError
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.whole_files import write_whole


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameRecord:
    """A finished frame.

    Args:
        camera: its name, calibration and pose.
        size: width and height, pixels.
        scale: from the network's unit to that of the depth.
        files: written of it, relative to the folder of the results.
        depth_quantiles: nearest percent, median, farthest percent; None where there is no depth.
        known_share: of the pixels, those with depth.
        sky_share: of the pixels, those that show sky; None where the model does not know.
        too_far: pixels beyond what a 16-bit image holds; None when none was written.
        too_near: pixels below half a count; None when none was written.
        agreement: of the two models, 0 to 1; None without a second one.
        seconds: that the frame took, writing included.
        notes: sentences that go with it.
        cloud: some of its points, in its camera's frame.
    """

    camera: FrameCamera
    size: tuple[int, int]
    scale: float
    files: tuple[str, ...]
    depth_quantiles: tuple[float, float, float] | None
    known_share: float
    sky_share: float | None
    too_far: int | None
    too_near: int | None
    agreement: float | None
    seconds: float
    notes: tuple[str, ...]
    cloud: Cloud

    @property
    def is_metric(self) -> bool:
        """Whether its depth is in metres."""
        return self.camera.scale_source != ScaleSource.RELATIVE.value

    def facts(self) -> dict[str, Any]:
        """Its plain values without cloud and calibration, for the summary.

        Returns:
            Values for JSON.
        """
        quantiles = None if self.depth_quantiles is None else [float(f"{v:.6g}") for v in self.depth_quantiles]
        return {
            "name": self.camera.name,
            "width": self.size[0],
            "height": self.size[1],
            "scale_source": self.camera.scale_source,
            "scale": float(f"{self.scale:.9g}"),
            "pose_source": self.camera.pose_source,
            "depth_quantiles_1_50_99": quantiles,
            "known_share": round(self.known_share, 4),
            "sky_share": None if self.sky_share is None else round(self.sky_share, 4),
            "png_pixels_too_far": self.too_far,
            "png_pixels_too_near": self.too_near,
            "agreement": None if self.agreement is None else round(self.agreement, 4),
            "seconds": round(self.seconds, 3),
            "files": list(self.files),
        }


def write_record(path: Path, record: FrameRecord) -> None:
    """Writes a record.

    Args:
        path: to write.
        record: of a frame.
    """
    camera = record.camera
    facts = {
        **record.facts(),
        "index": camera.index,
        "segment": camera.segment,
        "stamp_ns": camera.stamp_ns,
        "intrinsics_estimated": camera.intrinsics_estimated,
        "notes": list(record.notes),
        "scale": record.scale,
        "known_share": record.known_share,
        "sky_share": record.sky_share,
        "agreement": record.agreement,
    }
    arrays: dict[str, Any] = {"xyz": record.cloud.xyz, "rgb": record.cloud.rgb, "facts": np.array(json.dumps(facts))}
    if camera.intrinsics is not None:
        k = camera.intrinsics
        arrays["intrinsics"] = np.array([k.fx, k.fy, k.cx, k.cy, k.width, k.height])
    if camera.world_T_camera is not None:
        arrays["world_T_camera"] = camera.world_T_camera.matrix
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    write_whole(path, stream.getvalue())


def read_record(path: Path) -> FrameRecord | None:
    """A record that was written before.

    Args:
        path: of the file.

    Returns:
        The record; None when there is none, or another program's.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            return _record_of({name: arrays[name] for name in arrays.files})
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile, zlib.error, N3dError):
        return None


def _record_of(arrays: dict[str, Any]) -> FrameRecord:
    """A record of its arrays."""
    facts = json.loads(str(arrays["facts"]))
    intrinsics = pose = None
    if "intrinsics" in arrays:
        fx, fy, cx, cy, width, height = (float(value) for value in arrays["intrinsics"])
        intrinsics = CameraIntrinsics(fx=fx, fy=fy, cx=cx, cy=cy, width=int(width), height=int(height))
    if "world_T_camera" in arrays:
        matrix = arrays["world_T_camera"]
        pose = RigidTransform(rotation=matrix[:3, :3], translation=matrix[:3, 3])
    camera = FrameCamera(
        index=facts["index"],
        name=facts["name"],
        stamp_ns=facts["stamp_ns"],
        intrinsics=intrinsics,
        intrinsics_estimated=facts["intrinsics_estimated"],
        world_T_camera=pose,
        pose_source=facts["pose_source"],
        scale_source=facts["scale_source"],
        segment=facts["segment"],
    )
    quantiles = facts["depth_quantiles_1_50_99"]
    return FrameRecord(
        camera=camera,
        size=(facts["width"], facts["height"]),
        scale=facts["scale"],
        files=tuple(facts["files"]),
        depth_quantiles=None if quantiles is None else (quantiles[0], quantiles[1], quantiles[2]),
        known_share=facts["known_share"],
        sky_share=facts["sky_share"],
        too_far=facts["png_pixels_too_far"],
        too_near=facts["png_pixels_too_near"],
        agreement=facts["agreement"],
        seconds=facts["seconds"],
        notes=tuple(facts["notes"]),
        cloud=Cloud(xyz=arrays["xyz"], rgb=arrays["rgb"]),
    )
