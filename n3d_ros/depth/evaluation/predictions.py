"""Estimates to evaluate: from a model that is run here, or from the files that ``n3d depth`` wrote."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from n3d_ros.depth.evaluation.sequence import TrueFrame
from n3d_ros.depth.views import DepthEstimate, PoseSource, ScaleSource, View, ViewDepth
from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import Float32Array
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform

CAMERAS = "cameras.json"
ARRAYS = (("arrays", "depth_m"), ("arrays_relative", "depth_relative"))


def views_of(frames: Sequence[TrueFrame], *, with_poses: bool, with_intrinsics: bool = True) -> list[View]:
    """What a model is told of frames.

    Args:
        frames: the truth.
        with_poses: tell the true poses; calibrations are told too then.
        with_intrinsics: tell the calibrations.

    Returns:
        Views in their order.
    """
    return [
        View(
            rgb=frame.rgb,
            intrinsics=frame.intrinsics if with_poses or with_intrinsics else None,
            world_T_camera=frame.world_T_camera if with_poses else None,
        )
        for frame in frames
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionFolder:
    """What ``n3d depth`` wrote: cameras.json, and one archive of arrays per frame.

    Args:
        folder: its output folder.
        cameras: entries of cameras.json by frame name.
        arrays: archives by frame name, with the name of the depth in them.
    """

    folder: Path
    cameras: Mapping[str, Any]
    arrays: Mapping[str, tuple[Path, str]]

    @classmethod
    def open(cls, folder: Path) -> PredictionFolder:
        """Looks what is in a folder.

        Args:
            folder: output of ``n3d depth``, with ``npz`` among its formats.

        Returns:
            The folder.

        Raises:
            InputError: no or damaged cameras.json, or no arrays.
        """
        path = folder / CAMERAS
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            cameras = {str(entry["name"]): entry for entry in document["frames"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: expected the cameras that `n3d depth` writes ({error}).") from error
        arrays = {file.stem: (file, key) for name, key in ARRAYS for file in sorted((folder / name).glob("*.npz"))}
        if not arrays:
            raise InputError(f"{folder}: expected arrays/NAME.npz; let `n3d depth` write them: --format npz.")
        return cls(folder=folder, cameras=cameras, arrays=arrays)

    def has(self, name: str) -> bool:
        """Whether there is an estimate of a frame.

        Args:
            name: of the frame: its colour image without ending.

        Returns:
            Whether depth and camera are there.
        """
        return name in self.arrays and name in self.cameras

    def read(self, names: Sequence[str]) -> DepthEstimate:
        """The estimates of frames, as if the model had been run here.

        Args:
            names: of the frames; ``has`` holds for all.

        Returns:
            The estimate; frames in another world than the first ones' have no pose.

        Raises:
            InputError: a damaged archive or entry, or frames that are metric and frames that are not.
        """
        sources = {str(self.cameras[name].get("scale_source")) for name in names}
        if len(sources) != 1 or not sources <= {source.value for source in ScaleSource}:
            raise InputError(
                f"{self.folder}: expected one scale_source for all frames, got {', '.join(sorted(sources))}."
            )
        segments = [self.cameras[name].get("segment", 0) for name in names]
        apart = [segment != segments[0] for segment in segments]
        views = tuple(self._view(name, has_world=not lost) for name, lost in zip(names, apart, strict=True))
        notes = (f"{sum(apart)} frames lie in another world and count as lost",) if any(apart) else ()
        return DepthEstimate(views=views, scale_source=ScaleSource(sources.pop()), notes=notes)

    def _view(self, name: str, *, has_world: bool) -> ViewDepth:
        entry, (path, key) = self.cameras[name], self.arrays[name]
        try:
            camera, pose = entry["intrinsics"], entry["world_T_camera"]
            return ViewDepth(
                depth_m=_depth(path, key),
                intrinsics=None if camera is None else CameraIntrinsics(**camera),
                intrinsics_estimated=bool(entry["intrinsics_estimated"]),
                world_T_camera=_pose(pose) if pose is not None and has_world else None,
                pose_source=PoseSource(entry["pose_source"]),
            )
        except InputError as error:
            raise InputError(f"{self.folder}, frame {name}: {error.message}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self.folder / CAMERAS}, frame {name}: expected a camera ({error}).") from error


def _depth(path: Path, key: str) -> Float32Array:
    try:
        # Opened here, because numpy leaves the file of a damaged archive open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            depth = np.asarray(archive[key])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path.name}: expected an archive with {key} ({error}).") from error
    if depth.ndim != 2 or depth.dtype != np.float32:
        raise InputError(f"{path.name}: expected {key} (H, W) float32, got {depth.dtype} {depth.shape}.")
    return np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(np.nan))


def _pose(entry: Any) -> RigidTransform:
    return RigidTransform.from_quaternion(entry["orientation_xyzw"], entry["translation"])
