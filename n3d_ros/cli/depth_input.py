"""What ``n3d depth`` reads: its calibration, and the frames of images, folders, videos and recordings."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from n3d_ros.depth.files.opening import file_source, kind_of
from n3d_ros.depth.files.sources import (
    RECORDING,
    Camera,
    CameraImage,
    FrameSource,
    SourceFrame,
    Thinning,
    file_identity,
    named_input,
    unknown_camera,
)
from n3d_ros.errors import CalibrationError, ConfigurationError

if TYPE_CHECKING:
    from n3d_ros.geometry.arrays import BoolArray
    from n3d_ros.geometry.camera import CameraIntrinsics, CameraModel
    from n3d_ros.ros.color_bag import ColorBag


def input_of(args: argparse.Namespace) -> FrameSource:
    """The frames that the arguments name.

    Args:
        args: of ``n3d depth``.

    Returns:
        Their source, opened once.

    Raises:
        ConfigurationError: options that do not go with the input.
    """
    paths = [Path(path).expanduser() for path in args.inputs]
    thinning = Thinning(every=args.every, max_frames=args.max_frames)
    is_recording = len(paths) == 1 and kind_of(paths[0]) == RECORDING
    if not is_recording and (args.color or args.color_info or args.frame):
        raise ConfigurationError("--color, --color-info and --frame name topics and frames of a recording.")
    camera = camera_of(args)
    if not is_recording:
        return file_source(paths, thinning, camera or unknown_camera)
    from n3d_ros.cli.environment import ensure_ros_environment

    ensure_ros_environment()
    from n3d_ros.ros.color_bag import ColorBag

    bag = ColorBag(
        paths[0], color=args.color, color_info=args.color_info, camera=_for_bag(camera), still_frame=args.frame
    )
    return RecordingSource(bag, thinning=thinning)


def camera_of(args: argparse.Namespace) -> GivenCamera | None:
    """The calibration that the arguments give.

    Args:
        args: with ``intrinsics`` and ``camera_info``.

    Returns:
        None when they give none.

    Raises:
        ConfigurationError: both, or a file that is not there.
    """
    if args.intrinsics and args.camera_info:
        raise ConfigurationError("Expected --intrinsics or --camera-info, got both.")
    if args.camera_info and not Path(args.camera_info).is_file():
        raise ConfigurationError(f"--camera-info: expected a calibration file (YAML), got {args.camera_info!r}.")
    if args.intrinsics and len(args.intrinsics.split(",")) != 4:
        raise ConfigurationError(
            f"--intrinsics: expected four numbers fx,fy,cx,cy in pixels, got {args.intrinsics!r}; a calibration file "
            "goes with --camera-info."
        )
    text = args.intrinsics or args.camera_info
    return GivenCamera(text) if text else None


@dataclass(slots=True)
class GivenCamera:
    """The calibration that the user gives: checked with the first image, then the same for all of its size.

    Args:
        text: ``fx,fy,cx,cy``, or the path of a YAML file.
    """

    text: str
    _models: dict[tuple[int, int], tuple[CameraModel, BoolArray | None]] = field(default_factory=dict)

    def __call__(self, rgb: NDArray[np.uint8]) -> CameraImage:
        """The image without the lens's distortion.

        Args:
            rgb: (H, W, 3) uint8.

        Returns:
            The rectified image and its camera.
        """
        from n3d_ros.ros.registration import rectify_rgb

        size = rgb.shape[1], rgb.shape[0]
        if size not in self._models:
            self._models[size] = self._model(*size)
        model, valid = self._models[size]
        return CameraImage(rgb=rectify_rgb(rgb, model), intrinsics=model.rectified_intrinsics, valid=valid)

    def _model(self, width: int, height: int) -> tuple[CameraModel, BoolArray | None]:
        """The camera of images of this size, and where its lens sees something."""
        from n3d_ros.cli.bag_from_images import read_intrinsics
        from n3d_ros.geometry.camera import CameraModel
        from n3d_ros.ros.conversions import lens_to_distortion
        from n3d_ros.ros.registration import rectify_depth

        if self._models:
            known = next(iter(self._models))
            raise CalibrationError(
                f"The calibration given is that of one camera, and the images have {known[0]}x{known[1]} and "
                f"{width}x{height} px; give images of one size, or no calibration."
            )
        intrinsics, (name, coefficients) = read_intrinsics(self.text, width=width, height=height)
        _check_principal_point(intrinsics)
        model = CameraModel(intrinsics=intrinsics, distortion=lens_to_distortion(name, coefficients))
        if not model.needs_rectification:
            return model, None
        return model, np.isfinite(rectify_depth(np.ones((height, width), dtype=np.float32), model))


def _check_principal_point(camera: CameraIntrinsics) -> None:
    """Refuses numbers that belong to another image size: a wrong focal length is a wrong scale."""
    if not (0.2 < camera.cx / camera.width < 0.8 and 0.2 < camera.cy / camera.height < 0.8):
        raise CalibrationError(
            f"Calibration: its principal point ({camera.cx:g}, {camera.cy:g}) lies far from the middle of the "
            f"{camera.width}x{camera.height} image; is it of another image size? Scale fx, fy, cx, cy with the image."
        )


def _for_bag(camera: Camera | None) -> Any:
    """The same calibration as the reader of recordings takes it."""
    if camera is None:
        return None

    def rectified(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], CameraIntrinsics | None, BoolArray | None]:
        image = camera(rgb)
        return image.rgb, image.intrinsics, image.valid

    return rectified


@dataclass(slots=True)
class RecordingSource:
    """The colour images of a recording as frames.

    Args:
        bag: opened once.
        thinning: which images are used.
        kind: ``RECORDING``.
    """

    bag: ColorBag
    thinning: Thinning
    kind: str = RECORDING

    @property
    def count(self) -> int | None:
        """As the recording says."""
        total = self.bag.image_count
        return None if total is None else self.thinning.count(total)

    @property
    def identity(self) -> Mapping[str, object]:
        """Its path."""
        return named_input(self.kind, [self.bag.path])

    @property
    def version(self) -> Mapping[str, object]:
        """Names, sizes and times of its files, its topics, and which images are used."""
        path, topics = self.bag.path, self.bag.topics
        files = [path] if path.is_file() else sorted(entry for entry in path.iterdir() if entry.is_file())
        return {
            "files": [file_identity(file) for file in files],
            "color": topics.color,
            "color_info": topics.color_info,
            "still_frame": self.bag.still_frame,
            "every": self.thinning.every,
            "max_frames": self.thinning.max_frames,
        }

    @property
    def notes(self) -> Sequence[str]:
        """What was left out."""
        return self.bag.notes

    def frames(self) -> Iterator[SourceFrame]:
        """Images by their stamps.

        Yields:
            Frames; two of one stamp get different names.
        """
        taken: set[str] = set()
        views = self.bag.views(every=self.thinning.every, max_frames=self.thinning.max_frames)
        for index, view in enumerate(views):
            name = f"{view.stamp_ns // 1_000_000_000}_{view.stamp_ns % 1_000_000_000:09d}"
            name = name if name not in taken else f"{name}_{index}"
            taken.add(name)
            yield SourceFrame(
                index=index,
                name=name,
                rgb=view.rgb,
                intrinsics=view.intrinsics,
                stamp_ns=view.stamp_ns,
                world_T_camera=view.reference_T_camera,
                valid=view.valid,
            )
