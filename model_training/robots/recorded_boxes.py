"""Boxes that a node published while the bag was recorded, taken from it instead of being found again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from n3d_ros.detection import Detection3D
from n3d_ros.errors import BagError, GroundingError, N3dError
from n3d_ros.frame import RgbdFrame
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult
from n3d_ros.ros.bag import BagReader
from n3d_ros.ros.bag_pass import load_transforms
from n3d_ros.ros.conversions import clean_frame_id, msg_to_detection, stamp_to_ns

OBJECTS_TYPE = "n3d_msgs/msg/Object3DArray"
AUTO = "auto"


def boxes_topic(reader: BagReader, wanted: str) -> str:
    """The topic of recorded boxes.

    Args:
        reader: an open bag.
        wanted: its name, or "auto": the only one of the type, or the one whose name ends in "/objects".

    Returns:
        The name.

    Raises:
        BagError: there is none, or several that may be meant.
    """
    there = [name for name, topic in reader.topics.items() if topic.type == OBJECTS_TYPE]
    if wanted != AUTO:
        if wanted in there:
            return wanted
        raise BagError(
            f"--boxes {wanted}: {reader.path} has no such topic of {OBJECTS_TYPE}; it holds:\n{reader.describe()}"
        )
    named = [name for name in there if name.endswith("/objects")]
    for found in (there, named):
        if len(found) == 1:
            return found[0]
    if not there:
        raise BagError(f"--boxes: {reader.path} has no topic of {OBJECTS_TYPE}; it holds:\n{reader.describe()}")
    raise BagError(f"--boxes: name one of {', '.join(there)}.")


class RecordedBoxes:
    """A grounder that finds what was found when the bag was recorded.

    Args:
        reader: an open bag.
        topic: of ``Object3DArray``.
    """

    name = "a node while it was recorded"
    device = "none"

    def __init__(self, reader: BagReader, topic: str) -> None:
        self.numbers: dict[int, tuple[int, ...]] = {}
        """Ids of the boxes, by stamp, in order."""
        self.refused: list[str] = []
        """Sentences about boxes that cannot be used."""
        self._found: dict[int, tuple[str, tuple[Detection3D, ...]]] = {}
        self._lookup = load_transforms(reader).lookup
        for message in reader.readable_messages([topic]):
            try:
                content = message.deserialize()
                stamp_ns = stamp_to_ns(content.header.stamp)
                kept = list(self._usable(content))
            except N3dError as error:
                self.refused.append(error.message)
                continue
            self._found[stamp_ns] = clean_frame_id(content.header.frame_id), tuple(one for _, one in kept)
            self.numbers[stamp_ns] = tuple(number for number, _ in kept)

    def _usable(self, content: Any) -> list[tuple[int, Detection3D]]:
        """Ids and boxes of a message; what no box can be is told and left out."""
        kept = (self._box(one) for one in content.objects)
        return [one for one in kept if one is not None]

    def _box(self, one: Any) -> tuple[int, Detection3D] | None:
        """Id and box of an object; None, and a sentence, where it is no box."""
        try:
            return int(one.id), msg_to_detection(one)
        except N3dError as error:
            self.refused.append(error.message)
            return None

    @property
    def stamps_ns(self) -> frozenset[int]:
        """Of the images that have boxes, or were found to have none."""
        return frozenset(self._found)

    def ground(
        self,
        frame: RgbdFrame,
        request: GroundingRequest,  # noqa: ARG002 what is recorded cannot be asked for
        *,
        on_detection: Callable[[Detection3D], None] | None = None,
        is_cancelled: Callable[[], bool] | None = None,  # noqa: ARG002 it takes no time
    ) -> GroundingResult:
        """The recorded boxes of a frame.

        Args:
            frame: the look at the world.
            request: ignored.
            on_detection: told of each.
            is_cancelled: ignored.

        Returns:
            Boxes in the camera optical frame, in the recording's order.

        Raises:
            GroundingError: none were recorded with the image's stamp.
        """
        if frame.stamp_ns not in self._found:
            raise GroundingError("No boxes were recorded for this image.", reason="no_recorded_boxes")
        frame_id, found = self._found[frame.stamp_ns]
        if frame_id != frame.frame_id:
            camera_T_boxes = self._lookup(frame.frame_id, frame_id, frame.stamp_ns)
            found = tuple(one.transformed(camera_T_boxes) for one in found)
        for one in found:
            if on_detection is not None:
                on_detection(one)
        return GroundingResult(detections=found)

    def close(self) -> None:
        """Nothing to free."""
