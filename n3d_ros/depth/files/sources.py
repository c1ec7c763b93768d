"""Colour frames in order, from image files or a video; recordings of robots bring the same from ``n3d_ros.ros``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.depth.files.images import images_of_folder, is_image, read_picture
from n3d_ros.depth.views import View
from n3d_ros.errors import InputError
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform

Camera = Callable[[NDArray[np.uint8]], tuple[NDArray[np.uint8], CameraIntrinsics]]
"""Rectifies an image and says which pinhole camera took it; raises InputError for one of another size."""

IMAGE, FOLDER, VIDEO, RECORDING = "image", "folder", "video", "recording"
RECORDING_SUFFIXES = (".mcap", ".db3")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceFrame:
    """One colour image of an input.

    Args:
        index: 0, 1, 2 ... of those that are used.
        name: for files made of it: without folder and ending, different from all others of the input.
        rgb: (H, W, 3) uint8, rectified where a calibration is known.
        intrinsics: of the image; None when unknown.
        stamp_ns: nanoseconds; None for files of images, which have no common clock.
        world_T_camera: camera optical frame to a frame that stands still, metres; None when unknown.
    """

    index: int
    name: str
    rgb: NDArray[np.uint8]
    intrinsics: CameraIntrinsics | None = None
    stamp_ns: int | None = None
    world_T_camera: RigidTransform | None = None

    @property
    def view(self) -> View:
        """The frame as the models take it."""
        return View(rgb=self.rgb, intrinsics=self.intrinsics, world_T_camera=self.world_T_camera)


class FrameSource(Protocol):
    """Colour frames in order. Each call of ``frames`` begins anew and gives the same."""

    @property
    def kind(self) -> str:
        """``IMAGE``, ``FOLDER``, ``VIDEO`` or ``RECORDING``."""
        ...

    @property
    def count(self) -> int | None:
        """How many frames there are, as far as the input says; None when it does not."""
        ...

    @property
    def identity(self) -> Mapping[str, object]:
        """Plain values that differ when the input differs."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """Sentences on what was left out or changed so far."""
        ...

    def frames(self) -> Iterator[SourceFrame]:
        """The frames, read one by one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinning:
    """Which frames of an input are used.

    Args:
        every: the first of each so many, 1 and more.
        max_frames: not more than so many; None: all.
    """

    every: int = 1
    max_frames: int | None = None

    def __post_init__(self) -> None:
        """Checks both.

        Raises:
            InputError: below 1.
        """
        if self.every < 1 or (self.max_frames is not None and self.max_frames < 1):
            raise InputError(f"Frames: expected 1 and more, got every {self.every} and at most {self.max_frames}.")

    def count(self, total: int) -> int:
        """How many are left of so many.

        Args:
            total: of the input.

        Returns:
            A number of frames.
        """
        left = -(-total // self.every)
        return left if self.max_frames is None else min(left, self.max_frames)


def file_identity(path: Path) -> dict[str, object]:
    """What tells a file from another version of it, without reading it.

    Args:
        path: of a file or folder.

    Returns:
        Plain values.
    """
    facts = path.stat()
    return {"path": str(path.resolve()), "bytes": facts.st_size, "modified_ns": facts.st_mtime_ns}


@dataclass(slots=True)
class ImageFiles:
    """Image files as frames; one that cannot be read among others is left out, and said.

    Args:
        paths: of the images, in order.
        kind: ``IMAGE`` or ``FOLDER``.
        thinning: which are used.
        camera: rectifies; None when nothing is known of the camera.
        notes: filled while reading.
    """

    paths: Sequence[Path]
    kind: str = IMAGE
    thinning: Thinning = field(default_factory=Thinning)
    camera: Camera | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def used(self) -> list[Path]:
        """The files that are used."""
        return list(self.paths[:: self.thinning.every])[: self.thinning.max_frames]

    @property
    def count(self) -> int | None:
        """How many there are."""
        return len(self.used)

    @property
    def identity(self) -> Mapping[str, object]:
        """Names, sizes and times of the files."""
        return {"kind": self.kind, "files": [file_identity(path) for path in self.used]}

    def frames(self) -> Iterator[SourceFrame]:
        """Reads file after file.

        Yields:
            Frames.

        Raises:
            InputError: the only image, or every image, cannot be read.
        """
        self.notes.clear()
        used, names, given = self.used, unique_names(self.used), 0
        for path, name in zip(used, names, strict=True):
            try:
                picture = read_picture(path)
            except InputError as error:
                if len(used) == 1:
                    raise
                self.notes.append(f"left out: {error.message}")
                continue
            self.notes.extend(f"{path.name}: {note}" for note in picture.notes)
            rgb, intrinsics = self.camera(picture.rgb) if self.camera else (picture.rgb, None)
            yield SourceFrame(index=given, name=name, rgb=rgb, intrinsics=intrinsics)
            given += 1
        if not given:
            raise InputError(f"None of the {len(used)} images can be read. {self.notes[0]}")


@dataclass(slots=True)
class VideoFile:
    """The frames of a video, by OpenCV.

    Args:
        path: of the file.
        thinning: which frames are used.
        camera: rectifies; None when nothing is known of the camera.
        notes: filled while reading.
    """

    path: Path
    thinning: Thinning = field(default_factory=Thinning)
    camera: Camera | None = None
    notes: list[str] = field(default_factory=list)
    kind: str = VIDEO
    total: int = 0

    def __post_init__(self) -> None:
        """Opens the file once, so that a wrong one is refused before a model is loaded.

        Raises:
            InputError: it is no video, or not one frame of it can be read.
        """
        capture = self._open()
        self.total = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        readable = capture.grab()
        capture.release()
        if not readable:
            raise InputError(f"{self.path}: not one frame of the video can be read; is the file complete?")

    @property
    def count(self) -> int | None:
        """As its header says, which may be wrong; None when it does not say."""
        return self.thinning.count(self.total) if self.total else None

    @property
    def identity(self) -> Mapping[str, object]:
        """Name, size and time of the file, and which frames are used."""
        thinning = {"every": self.thinning.every, "max_frames": self.thinning.max_frames}
        return {"kind": self.kind, "file": file_identity(self.path), **thinning}

    def frames(self) -> Iterator[SourceFrame]:
        """Decodes frame after frame; frames that are not used are not converted.

        Yields:
            Frames, with the time since the beginning as stamp.
        """
        self.notes.clear()
        capture = self._open()
        try:
            number = given = 0
            while self.thinning.max_frames is None or given < self.thinning.max_frames:
                if not capture.grab():
                    self._say_if_cut_off(number)
                    return
                if number % self.thinning.every == 0:
                    yield self._frame(capture, number, given)
                    given += 1
                number += 1
        finally:
            capture.release()

    def _open(self) -> cv2.VideoCapture:
        """The decoder at the first frame."""
        capture = cv2.VideoCapture(str(self.path))
        if not capture.isOpened():
            raise InputError(
                f"{self.path}: is no image, and OpenCV cannot open it as a video. Expected an image, a folder of "
                "images, a video (MP4, MKV, AVI ...) or a rosbag2 recording."
            )
        return capture

    def _frame(self, capture: cv2.VideoCapture, number: int, index: int) -> SourceFrame:
        """The frame that was grabbed."""
        stamp_ms = capture.get(cv2.CAP_PROP_POS_MSEC)
        done, bgr = capture.retrieve()
        if not done:
            raise InputError(f"{self.path}: frame {number} cannot be decoded.")
        rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        rgb, intrinsics = self.camera(rgb) if self.camera else (rgb, None)
        return SourceFrame(
            index=index,
            name=f"frame{number:06d}",
            rgb=rgb,
            intrinsics=intrinsics,
            stamp_ns=round(max(0.0, stamp_ms) * 1e6),
        )

    def _say_if_cut_off(self, number: int) -> None:
        """Says when the video ends before the number of frames that its header promises."""
        if number < self.total - 1:  # some containers count one too many
            self.notes.append(f"the video ends after {number} frames; its header promises {self.total}")


def unique_names(paths: Sequence[Path]) -> list[str]:
    """Names for files made of some files: the stem, with the ending too where two stems are alike.

    Args:
        paths: of different files.

    Returns:
        As many different names.
    """
    stems = [path.stem for path in paths]
    names = [path.stem if stems.count(path.stem) == 1 else path.name.replace(".", "_") for path in paths]
    taken: set[str] = set()
    unique = []
    for name in names:
        number, candidate = 2, name
        while candidate in taken:
            number, candidate = number + 1, f"{name}_{number}"
        taken.add(candidate)
        unique.append(candidate)
    return unique


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
    return IMAGE if is_image(path) else VIDEO


def file_source(paths: Sequence[Path], thinning: Thinning, camera: Camera | None) -> FrameSource:
    """The frames of images, of a folder or of a video.

    Args:
        paths: some images, or one folder or video.
        thinning: which frames are used.
        camera: rectifies; None when nothing is known of the camera.

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
        return ImageFiles(images_of_folder(paths[0]), kind=FOLDER, thinning=thinning, camera=camera)
    if kinds[0] == VIDEO:
        return VideoFile(paths[0], thinning=thinning, camera=camera)
    return ImageFiles(paths, thinning=thinning, camera=camera)
