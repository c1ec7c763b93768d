"""What is worked out once per frame and kept for further questions about it."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from n3d_ros.codec.frame_input import FrameExtents, encode_frame, frame_extents
from n3d_ros.codec.input_options import InputOptions
from n3d_ros.codec.model_input import DecodeContext, ImageInput
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.inference.language_model.listing import FoundBox
from n3d_ros.inference.language_model.measured import MeasuredFrame, measure_frame
from n3d_ros.inference.timing import Stages

_REMEMBERED_BOXES = 128  # of the lists about a frame; the newest list stays whole


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
        found: the boxes of the last lists that the model wrote about it, in its order, the newest list last.
    """

    frame: RgbdFrame
    image: ImageInput
    context: DecodeContext
    extents: FrameExtents
    up: FloatArray | None = None
    measured: MeasuredFrame | None = None
    found: tuple[FoundBox, ...] = ()

    @contextmanager
    def measuring(self, up: FloatArray | None) -> Iterator[Measuring]:
        """Works out what depth says about the frame beside the body, which asks for it when it needs it.

        Args:
            up: (3,) unit vector against gravity, camera optical frame; None: found in the frame.

        Yields:
            What gives the measurement. The thread it is made in ends with the body, however that ends.
        """
        if self.measured is not None and _same(up, self.up):
            yield Measuring(self.measured)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="n3d_geometry") as pool:
            task = Measuring(pool.submit(_timed_measurement, self.frame, up))
            yield task
            self.measured, self.up = task.result(), up

    def remember(self, found: Sequence[FoundBox]) -> None:
        """Takes note of a list that the model wrote, so that later questions state its boxes in its own numbers.

        Args:
            found: in the model's order.
        """
        both = (*self.found, *found)
        self.found = both[-max(len(found), _REMEMBERED_BOXES) :]


class Measuring:
    """What depth says about a frame, while it is being worked out.

    Args:
        source: the measurement, or the task that makes it together with its milliseconds.
    """

    def __init__(self, source: MeasuredFrame | Future[tuple[MeasuredFrame, float]]) -> None:
        self._source = source

    def result(self) -> MeasuredFrame:
        """Points, surfaces, up and noise.

        Returns:
            The same for equal frames; waits until it is there.
        """
        return self._source.result()[0] if isinstance(self._source, Future) else self._source

    @property
    def duration_ms(self) -> float:
        """How long it took, mostly beside other work; 0 when it was there before. Waits as ``result`` does."""
        return self._source.result()[1] if isinstance(self._source, Future) else 0.0


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


def _timed_measurement(frame: RgbdFrame, up: FloatArray | None) -> tuple[MeasuredFrame, float]:
    """A frame measured, and the milliseconds that took."""
    start = time.perf_counter()
    measured = measure_frame(frame, up)
    return measured, (time.perf_counter() - start) * 1e3


def _same(first: FloatArray | None, second: FloatArray | None) -> bool:
    if first is None or second is None:
        return first is second
    return bool(np.array_equal(first, second))
