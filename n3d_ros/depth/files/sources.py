"""Colour frames in order, whatever they come from, and those of image files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from n3d_ros.depth.files.images import read_picture
from n3d_ros.depth.views import View
from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import BoolArray
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CameraImage:
    """An image as a pinhole camera takes it.

    Args:
        rgb: (H, W, 3) uint8, rectified where the lens is known.
        intrinsics: of the image; None when unknown.
        valid: (H, W) bool, false where the lens saw nothing; None: all is valid.
    """

    rgb: NDArray[np.uint8]
    intrinsics: CameraIntrinsics | None = None
    valid: BoolArray | None = None


Camera = Callable[[NDArray[np.uint8]], CameraImage]
"""Rectifies an image and says which pinhole camera took it; raises CalibrationError for one of another size."""


def unknown_camera(rgb: NDArray[np.uint8]) -> CameraImage:
    """An image of which nothing more is known.

    Args:
        rgb: (H, W, 3) uint8.

    Returns:
        The image as it is.
    """
    return CameraImage(rgb=rgb)


IMAGE, FOLDER, VIDEO, RECORDING = "image", "folder", "video", "recording"


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
        valid: (H, W) bool, false where the lens saw nothing; None: all is valid.
    """

    index: int
    name: str
    rgb: NDArray[np.uint8]
    intrinsics: CameraIntrinsics | None = None
    stamp_ns: int | None = None
    world_T_camera: RigidTransform | None = None
    valid: BoolArray | None = None

    def __post_init__(self) -> None:
        """Makes the image read-only, so that nobody needs a copy of it."""
        self.rgb.flags.writeable = False

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
        """Plain values that differ when another input is named."""
        ...

    @property
    def version(self) -> Mapping[str, object]:
        """Plain values that differ when the input has changed, or other frames of it are used."""
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


def named_input(kind: str, paths: Sequence[Path]) -> dict[str, object]:
    """What tells an input from another.

    Args:
        kind: of the input.
        paths: that the user named.

    Returns:
        Plain values.
    """
    return {"kind": kind, "paths": [str(path.resolve()) for path in paths]}


@dataclass(slots=True)
class ImageFiles:
    """Image files as frames; one that cannot be read among others is left out, and said.

    Args:
        paths: of the images, in order.
        kind: ``IMAGE`` or ``FOLDER``.
        named: what the user named: the folder; empty: the files.
        thinning: which are used.
        camera: rectifies.
        notes: filled while reading.
    """

    paths: Sequence[Path]
    kind: str = IMAGE
    named: Sequence[Path] = ()
    thinning: Thinning = field(default_factory=Thinning)
    camera: Camera = unknown_camera
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
        """Paths that were named."""
        return named_input(self.kind, self.named or self.paths)

    @property
    def version(self) -> Mapping[str, object]:
        """Names, sizes and times of the files that are used."""
        return {"files": [file_identity(path) for path in self.used]}

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
            image = self.camera(picture.rgb)
            yield SourceFrame(index=given, name=name, rgb=image.rgb, intrinsics=image.intrinsics, valid=image.valid)
            given += 1
        if not given:
            raise InputError(f"None of the {len(used)} images can be read. {self.notes[0]}")


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
