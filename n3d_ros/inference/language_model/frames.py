"""What is worked out once per frame and kept for further questions about it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from n3d_ros.codec.frame_input import FrameExtents, InputOptions, encode_frame, frame_extents
from n3d_ros.codec.model_input import DecodeContext, ImageInput
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.inference.language_model.listing import FoundBox
from n3d_ros.inference.language_model.measured import MeasuredFrame, measure_frame
from n3d_ros.inference.timing import Stages


@dataclass(slots=True, eq=False)
class FrameWork:
    """A frame as the model and the measuring take it.

    Args:
        frame: the look at the world; held, so that its identity stays its own.
        image: for the model.
        context: brings the model's numbers back to metres.
        extents: what the model can express.
        up: as the caller gave it for ``measured``; None: it did not.
        measured: what depth says; None: not looked at yet.
        found: the boxes of the last list that the model wrote about it, in its order.
    """

    frame: RgbdFrame
    image: ImageInput
    context: DecodeContext
    extents: FrameExtents
    up: FloatArray | None = None
    measured: MeasuredFrame | None = None
    found: tuple[FoundBox, ...] = ()

    def measured_with(self, up: FloatArray | None, stages: Stages) -> MeasuredFrame:
        """What depth says about the frame; worked out again when up is another one.

        Args:
            up: (3,) unit vector against gravity, camera optical frame; None: found in the frame.
            stages: where the time is added, under "geometry".

        Returns:
            Points, surfaces, up and noise.
        """
        if self.measured is None or not _same(up, self.up):
            with stages.timed("geometry"):
                self.measured, self.up = measure_frame(self.frame, up), up
        return self.measured


class FrameStore:
    """The last few frames, told apart by identity: a frame is never changed, and two that look alike are two.

    Args:
        options: how frames are shown to the model.
        capacity: how many are kept.
    """

    def __init__(self, options: InputOptions, capacity: int) -> None:
        self._options = options
        self._capacity = capacity
        self._kept: OrderedDict[int, FrameWork] = OrderedDict()

    def work(self, frame: RgbdFrame, stages: Stages) -> FrameWork:
        """A frame as the model takes it.

        Args:
            frame: the look at the world.
            stages: where the time is added, under "input".

        Returns:
            The same object for the same frame while it is kept.

        Raises:
            GroundingError: no usable depth.
        """
        with stages.timed("input"):
            kept = self._kept.get(id(frame))
            if kept is None:
                image, context = encode_frame(frame, self._options)
                kept = FrameWork(frame, image, context, frame_extents(image, context))
                self._kept[id(frame)] = kept
            self._kept.move_to_end(id(frame))
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        return kept

    def clear(self) -> None:
        """Forgets all frames."""
        self._kept.clear()


def _same(first: FloatArray | None, second: FloatArray | None) -> bool:
    if first is None or second is None:
        return first is second
    return bool(np.array_equal(first, second))
