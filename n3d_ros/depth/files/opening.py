"""What an input is, by its content, and who reads it; recordings of robots are read by ``n3d_ros.ros``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from n3d_ros.depth.files.images import IMAGE_SUFFIXES, images_of_folder, is_image
from n3d_ros.depth.files.sources import (
    FOLDER,
    IMAGE,
    RECORDING,
    VIDEO,
    Camera,
    FrameSource,
    ImageFiles,
    Thinning,
    unknown_camera,
)
from n3d_ros.depth.files.videos import VideoFile
from n3d_ros.errors import InputError

RECORDING_SUFFIXES = (".mcap", ".db3")


def kind_of(path: Path) -> str:
    """What an input is, by its content.

    Args:
        path: of a file or folder.

    Returns:
        ``IMAGE``, ``FOLDER``, ``VIDEO`` or ``RECORDING``; everything else counts as a video, which its reader refuses.

    Raises:
        InputError: there is nothing of that name, or an empty file.
    """
    if path.is_dir():
        entries = list(path.iterdir())
        is_recording = any(entry.suffix in RECORDING_SUFFIXES for entry in entries)
        return RECORDING if is_recording or (path / "metadata.yaml").is_file() else FOLDER
    if not path.exists():
        raise InputError(f"{path}: there is nothing of that name.")
    if path.suffix in RECORDING_SUFFIXES:
        return RECORDING
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty.")
    # By its content; one named like an image is said to be a broken image and not a broken video.
    return IMAGE if is_image(path) or path.suffix.lower() in IMAGE_SUFFIXES else VIDEO


def file_source(paths: Sequence[Path], thinning: Thinning, camera: Camera = unknown_camera) -> FrameSource:
    """The frames of images, of a folder or of a video.

    Args:
        paths: some images, or one folder or video.
        thinning: which frames are used.
        camera: rectifies.

    Returns:
        Their source.

    Raises:
        InputError: of several paths one is no image, or one is a recording.
    """
    kinds = [kind_of(path) for path in paths]
    if RECORDING in kinds:
        raise InputError(f"{paths[kinds.index(RECORDING)]} is a recording; it is read alone.")
    if len(paths) > 1 and (other := next((p for p, k in zip(paths, kinds, strict=True) if k != IMAGE), None)):
        raise InputError(f"{other} is no image; expected several images, or one folder, video or recording.")
    if kinds[0] == FOLDER:
        return ImageFiles(images_of_folder(paths[0]), kind=FOLDER, named=paths, thinning=thinning, camera=camera)
    if kinds[0] == VIDEO:
        return VideoFile(paths[0], thinning=thinning, camera=camera)
    return ImageFiles(paths, thinning=thinning, camera=camera)
