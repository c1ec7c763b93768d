"""The files of one frame: depth image, arrays, preview, and a cloud of its own where frames share no world."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from n3d_ros.depth.files.arrays import (
    METRIC_SUFFIX,
    MILLIMETRE_M,
    RELATIVE_SUFFIX,
    depth_image,
    npz_bytes,
    png_bytes,
)
from n3d_ros.depth.files.cameras import FrameCamera
from n3d_ros.depth.files.clouds import frame_cloud, glb_bytes, ply_bytes
from n3d_ros.depth.files.preview import ColorRange, picture_bytes, preview
from n3d_ros.depth.files.records import FrameRecord
from n3d_ros.depth.files.results import FrameResult
from n3d_ros.depth.views import PoseSource, ScaleSource
from n3d_ros.errors import ConfigurationError
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.whole_files import write_whole

PNG, NPZ, GLB, PLY, PREVIEW, COLMAP = "png", "npz", "glb", "ply", "preview", "colmap"
FORMATS = (PNG, NPZ, GLB, PLY, PREVIEW, COLMAP)
MAX_POINTS_LIMIT = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputChoices:
    """What is written.

    Args:
        formats: some of ``FORMATS``.
        png_unit: metres of a count, or the model's unit where depth is relative; None: a millimetre, and for relative
            depth a round number that the first frames give.
        color_range: near and far ends of the preview's colours; None: as the first frames give.
        max_points: of a cloud.
        frames_share_world: frames are estimated together, so that their points go into one cloud.
    """

    formats: tuple[str, ...] = (PNG, NPZ, GLB, PLY, PREVIEW)
    png_unit: float | None = None
    color_range: tuple[float, float] | None = None
    max_points: int = 1_000_000
    frames_share_world: bool = True

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
            ConfigurationError: an unknown format, or a number out of range.
        """
        if unknown := set(self.formats) - set(FORMATS):
            raise ConfigurationError(f"--format: expected some of {', '.join(FORMATS)}, got {', '.join(unknown)}.")
        if not self.formats:
            raise ConfigurationError(f"--format: expected at least one of {', '.join(FORMATS)}.")
        if not 1 <= self.max_points <= MAX_POINTS_LIMIT:
            raise ConfigurationError(f"--max-points: expected 1 to {MAX_POINTS_LIMIT}, got {self.max_points}.")
        if self.png_unit is not None and not 1e-6 <= self.png_unit <= 1000:
            raise ConfigurationError(f"--png-unit: expected 0.000001 to 1000, got {self.png_unit:g}.")
        near, far = self.color_range or (1.0, 2.0)
        if not (0 < near < far < float("inf")):
            raise ConfigurationError(f"--range: expected NEAR,FAR with 0 < NEAR < FAR, got {near:g},{far:g}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameWriter:
    """Writes the files of frames.

    Args:
        folder: for all results.
        choices: what is written.
        cloud_points: of one frame that are kept for the cloud of all.
    """

    folder: Path
    choices: OutputChoices
    cloud_points: int

    def write(
        self, result: FrameResult, *, scale: ColorRange, relative_unit: float, started_s: float, now_s: float
    ) -> FrameRecord:
        """Writes everything that is made of one frame.

        Args:
            result: of the frame.
            scale: what the preview's colours mean.
            relative_unit: of a count of a relative depth image.
            started_s: when the work on the frame began.
            now_s: when its depth was known.

        Returns:
            What is known of it, without the cloud that a frame of no common world has for itself.
        """
        files: list[str] = []
        too_far = too_near = None
        name, view = result.frame.name, result.view
        suffix = METRIC_SUFFIX if result.is_metric else RELATIVE_SUFFIX
        if PNG in self.choices.formats:
            unit = self.choices.png_unit or (MILLIMETRE_M if result.is_metric else relative_unit)
            image = depth_image(view.depth_m, unit)
            too_far, too_near = image.too_far, image.too_near
            self._put(f"depth{suffix}/{name}.png", png_bytes(image, is_metric=result.is_metric), files)
        if NPZ in self.choices.formats:
            self._put(f"arrays{suffix}/{name}.npz", npz_bytes(view, result.scale_source), files)
        if PREVIEW in self.choices.formats:
            picture = preview(view, result.frame.rgb, scale, title=preview_title(result))
            self._put(f"preview/{name}.png", picture_bytes(picture), files)
        cloud = frame_cloud(view, result.frame.rgb, self.cloud_points)
        if not self.choices.frames_share_world:
            self._own_cloud(result, suffix, files)
            cloud = cloud.thinned(1)
        known = np.isfinite(view.depth_m)
        quantiles = np.quantile(view.depth_m[known], [0.01, 0.5, 0.99]) if known.any() else None
        return FrameRecord(
            camera=_camera_of(result),
            size=(view.depth_m.shape[1], view.depth_m.shape[0]),
            scale=result.scale,
            files=tuple(files),
            depth_quantiles=None if quantiles is None else (quantiles[0], quantiles[1], quantiles[2]),
            known_share=float(known.mean()),
            sky_share=None if view.sky is None else float(view.sky.mean()),
            too_far=too_far,
            too_near=too_near,
            agreement=view.agreement,
            seconds=max(0.0, now_s - started_s),
            notes=result.notes,
            cloud=cloud,
        )

    def _own_cloud(self, result: FrameResult, suffix: str, files: list[str]) -> None:
        """The cloud of one frame, in its camera's frame."""
        intrinsics = result.view.intrinsics
        wanted = {GLB, PLY} & set(self.choices.formats)
        if intrinsics is None or not wanted:
            return
        cloud = frame_cloud(result.view, result.frame.rgb, self.choices.max_points)
        unit = "metres" if result.is_metric else "relative, not metres"
        comment = f"{unit}; optical frame of the camera: x right, y down, z forward"
        stem = f"clouds{suffix}/{result.frame.name}"
        if PLY in wanted:
            self._put(f"{stem}.ply", ply_bytes(cloud, comment=comment), files)
        if GLB in wanted:
            cameras = [(intrinsics, RigidTransform.identity())]
            self._put(f"{stem}.glb", glb_bytes(cloud, cameras, z_is_up=False, comment=comment), files)

    def _put(self, name: str, content: bytes, files: list[str]) -> None:
        """Writes one file and notes its name."""
        write_whole(self.folder / name, content)
        files.append(name)


def preview_title(result: FrameResult) -> str:
    """The line above a preview: what it is, and whether its numbers are metres.

    Args:
        result: of the frame.

    Returns:
        One line.
    """
    sources = {
        ScaleSource.POSES: "metres, from the given camera poses",
        ScaleSource.METRIC_MODEL: "metres, from the metric model",
        ScaleSource.RELATIVE: "RELATIVE depth, not metres",
    }
    height, width = result.view.depth_m.shape
    guessed = ", focal length estimated" if result.view.intrinsics_estimated and result.is_metric else ""
    return f"{result.frame.name}   {width}x{height}   {sources[result.scale_source]}{guessed}"


def _camera_of(result: FrameResult) -> FrameCamera:
    """The camera of a frame, as far as it is known."""
    view, frame = result.view, result.frame
    return FrameCamera(
        index=frame.index,
        name=frame.name,
        stamp_ns=frame.stamp_ns,
        intrinsics=view.intrinsics,
        intrinsics_estimated=view.intrinsics_estimated,
        world_T_camera=view.world_T_camera,
        pose_source=(view.pose_source if view.world_T_camera is not None else PoseSource.NONE).value,
        scale_source=result.scale_source.value,
        segment=result.segment,
    )
