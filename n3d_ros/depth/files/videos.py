"""The frames of a video."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from n3d_ros.depth.files.sources import VIDEO, Camera, SourceFrame, Thinning, file_identity, named_input, unknown_camera
from n3d_ros.errors import InputError


@dataclass(slots=True)
class VideoFile:
    """The frames of a video, by OpenCV.

    Args:
        path: of the file.
        thinning: which frames are used.
        camera: rectifies.
        notes: filled while reading.
    """

    path: Path
    thinning: Thinning = field(default_factory=Thinning)
    camera: Camera = unknown_camera
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
        """Its path."""
        return named_input(self.kind, [self.path])

    @property
    def version(self) -> Mapping[str, object]:
        """Size and time of the file, and which frames are used."""
        thinning = {"every": self.thinning.every, "max_frames": self.thinning.max_frames}
        return {"file": file_identity(self.path), **thinning}

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
        image = self.camera(rgb)
        return SourceFrame(
            index=index,
            name=f"frame{number:06d}",
            rgb=image.rgb,
            intrinsics=image.intrinsics,
            valid=image.valid,
            stamp_ns=round(max(0.0, stamp_ms) * 1e6),
        )

    def _say_if_cut_off(self, number: int) -> None:
        """Says when the video ends before the number of frames that its header promises."""
        if number < self.total - 1:  # some containers count one too many
            self.notes.append(f"the video ends after {number} frames; its header promises {self.total}")
