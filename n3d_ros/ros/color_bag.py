"""The colour images of a recording, one by one, with calibration and the camera's place: what depth is estimated from.

All transforms of the bag are read first. Nothing here needs depth images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import BagError, InputError, N3dError, TransformError
from n3d_ros.geometry.arrays import BoolArray
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transform_buffer import TransformBuffer
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.inference.depth_source import ColorView
from n3d_ros.ros.bag import BagMessage, BagReader
from n3d_ros.ros.bag_pass import load_transforms
from n3d_ros.ros.calibrations import Calibrations
from n3d_ros.ros.camera_topics import CameraTopics, find_camera_topics
from n3d_ros.ros.conversions import clean_frame_id, stamp_to_ns
from n3d_ros.ros.frame_assembly import FrameAssembler
from n3d_ros.ros.image_codec import compressed_to_rgb, image_to_rgb
from n3d_ros.ros.poses import FIXED_FRAMES

Camera = Callable[[NDArray[np.uint8]], tuple[NDArray[np.uint8], CameraIntrinsics, BoolArray | None]]
"""Rectifies an image, says which pinhole camera took it, and where the lens saw something (None: everywhere)."""

NO_FRAME = "none"  # as the name of the still frame: tf is not asked
NOTES_KEPT = 20


class ColorBag:
    """The colour images of one camera in a recording.

    Args:
        path: rosbag2 folder or file.
        color: topic of the images; None: found by type, encoding and name.
        color_info: topic of their calibration; None: the one beside them.
        camera: calibration that is taken instead of the recorded one.
        still_frame: frame in which the camera's place is given; None: map, odom or world, whichever tf connects first;
            "none": no place.
    """

    def __init__(
        self,
        path: Path,
        *,
        color: str | None = None,
        color_info: str | None = None,
        camera: Camera | None = None,
        still_frame: str | None = None,
    ) -> None:
        self.path, self._camera = path, camera
        self.notes: list[str] = []
        self.left_out = 0
        with BagReader(path) as reader:
            self.topics = self._find_topics(reader, color, color_info)
            self.image_count = reader.topics[self.topics.color].message_count
            self._transforms = load_transforms(reader, lambda _, sentence: self._note(sentence))
            self.still_frame = self._still_frame(reader, still_frame)
        self._assembler = FrameAssembler(color_topic=self.topics.color)

    def _find_topics(self, reader: BagReader, color: str | None, color_info: str | None) -> CameraTopics:
        """The topics; where the user gives the calibration, none is looked for."""
        if self._camera is not None and reader.topics:
            color_info = color_info or next(iter(reader.topics))  # any: it is not read
        try:
            return find_camera_topics(reader, {"color": color, "color_info": color_info}, with_depth=False)
        except BagError as error:
            if self._camera is None and "calibration" not in error.message and "CameraInfo" not in error.message:
                raise
            raise BagError(f"{error.message}\nWithout a recorded calibration give --intrinsics FX,FY,CX,CY.") from error

    def _still_frame(self, reader: BagReader, wanted: str | None) -> str | None:
        """The frame the camera's place is given in; None when tf connects none."""
        if wanted == NO_FRAME:
            return None
        camera_frame = next(iter(self._messages(reader)), None)
        if camera_frame is None:
            raise BagError(f"{self.path}: no image on {self.topics.color} can be read.")
        name = clean_frame_id(camera_frame.header.frame_id)
        if wanted is not None:
            if not self._transforms.can_transform(wanted, name):
                self._transforms.lookup(wanted, name)  # says what is missing
            return wanted
        return next((frame for frame in FIXED_FRAMES if self._transforms.can_transform(frame, name)), None)

    def _messages(self, reader: BagReader) -> Iterator[Any]:
        """The image messages that can be read."""
        for message in reader.readable_messages([self.topics.color]):
            if (content := self._content(message)) is not None:
                yield content

    def _content(self, message: BagMessage) -> Any:
        """A message; None when it cannot be read."""
        try:
            return message.deserialize()
        except BagError as error:
            self._leave_out(error.message)
            return None

    def views(self, *, every: int = 1, max_frames: int | None = None) -> Iterator[ColorView]:
        """The images in the order of the recording, rectified.

        Args:
            every: the first of each so many.
            max_frames: not more than so many.

        Yields:
            Images with ``reference_T_camera`` in the still frame; None where tf does not reach.

        Raises:
            InputError: not one image can be used.
        """
        self.notes.clear()
        self.left_out = number = given = 0
        calibrations = Calibrations()
        with BagReader(self.path) as reader:
            self._first_calibration(reader, calibrations)
            for content, is_image in self._both(reader):
                if not is_image:
                    calibrations.add(content)
                    continue
                number += 1
                if (number - 1) % every:
                    continue
                try:
                    view = self._view(content, calibrations)
                except N3dError as error:
                    self._leave_out(error.message)
                    continue
                yield view
                given += 1
                if max_frames is not None and given >= max_frames:
                    return
            if reader.damage:
                self._note(reader.damage)
        if not given:
            why = f" {self.notes[0]}" if self.notes else ""
            raise InputError(f"{self.path}: not one image on {self.topics.color} can be used.{why}")

    def _both(self, reader: BagReader) -> Iterator[tuple[Any, bool]]:
        """Images and calibrations in order, and whether it is an image."""
        wanted = [self.topics.color] + ([self.topics.color_info] if self._camera is None else [])
        for message in reader.readable_messages(wanted):
            if (content := self._content(message)) is not None:
                yield content, message.topic.name == self.topics.color

    def _first_calibration(self, reader: BagReader, calibrations: Calibrations) -> None:
        """One that is recorded after the first images holds for these, too."""
        if self._camera is None:
            contents = map(self._content, reader.readable_messages([self.topics.color_info]))
            if (first := next(filter(None, contents), None)) is not None:
                calibrations.add(first)

    def _view(self, message: Any, calibrations: Calibrations) -> ColorView:
        """One image, rectified and placed."""
        if self._camera is None:
            info = calibrations.at(stamp_to_ns(message.header.stamp))
            view = self._assembler.color_view(message, info)
        else:
            decode = compressed_to_rgb if self.topics.color_compressed else image_to_rgb
            rgb, intrinsics, valid = self._camera(decode(message))
            view = ColorView(
                rgb=rgb,
                intrinsics=intrinsics,
                stamp_ns=stamp_to_ns(message.header.stamp),
                frame_id=clean_frame_id(message.header.frame_id),
                valid=valid,
            )
        return replace(view, reference_T_camera=self._place(self._transforms, view))

    def _place(self, transforms: TransformBuffer, view: ColorView) -> RigidTransform | None:
        """Where the camera was."""
        if self.still_frame is None:
            return None
        try:
            return transforms.lookup(self.still_frame, view.frame_id, view.stamp_ns)
        except TransformError as error:
            self._note(error.message)
            return None

    def _leave_out(self, why: str) -> None:
        """Counts an image that cannot be used, and notes why."""
        self.left_out += 1
        self._note(f"left out: {why}")

    def _note(self, sentence: str) -> None:
        """Keeps a sentence for whoever reads the results, once and not too many."""
        if sentence not in self.notes and len(self.notes) < NOTES_KEPT:
            self.notes.append(sentence)
