"""Works through an input: results one by one into files, each frame marked when it is done, the whole at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from n3d_ros.depth.files.arrays import relative_unit
from n3d_ros.depth.files.frame_files import FrameWriter, OutputChoices
from n3d_ros.depth.files.preview import ColorRange
from n3d_ros.depth.files.records import FrameRecord
from n3d_ros.depth.files.results import FrameResult
from n3d_ros.depth.files.run_folder import RunFolder
from n3d_ros.depth.files.scene_files import cloud_points_of
from n3d_ros.depth.files.sources import SourceFrame
from n3d_ros.errors import CancelledError
from n3d_ros.geometry.arrays import Float32Array

RANGE_FRAMES = 8  # frames that fix the range of colours; they wait in memory until so many are there


@dataclass(slots=True)
class DepthSession:
    """Turns results into files, and knows which frames are done.

    Args:
        folder: opened; of this input and these settings.
        choices: what is written.
        frames: how many there will be, as far as is known.
        on_frame: told of each frame that is done.
        records: of the frames that are done, by index.
        reused: how many of them were done before.
        computed: how many were computed now.
        without_depth: names of frames on which nothing was found, and why; they have no files.
    """

    folder: RunFolder
    choices: OutputChoices
    frames: int | None
    on_frame: Callable[[FrameRecord], None] = lambda _: None
    records: dict[int, FrameRecord] = field(default_factory=dict)
    reused: int = 0
    computed: int = 0
    without_depth: dict[str, str] = field(default_factory=dict)

    def is_done(self, frame: SourceFrame) -> bool:
        """Whether a frame's files are there from an earlier run.

        Args:
            frame: of the input.

        Returns:
            True when it need not be computed; it is then counted as done.
        """
        if frame.index in self.records:
            return True
        record = self.folder.record(frame.index)
        if record is None or record.camera.name != frame.name:
            return False
        self.records[frame.index] = record
        self.reused += 1
        self.on_frame(record)
        return True

    def write_all(self, results: Iterator[FrameResult], *, wait: int = RANGE_FRAMES) -> None:
        """Writes results as they come; the first ones wait until the range of colours is known.

        Args:
            results: of frames that are not done.
            wait: how many results fix the range.

        Raises:
            CancelledError: asked to stop; what was computed is written.
        """
        writer = FrameWriter(
            folder=self.folder.path,
            choices=self.choices,
            cloud_points=cloud_points_of(self.choices, self.frames),
        )
        waiting: list[tuple[FrameResult, float, float]] = []
        started = time.monotonic()
        try:
            for result in results:
                if not np.isfinite(result.view.depth_m).any():
                    self.leave_out(result.frame, " ".join(result.notes) or "Nothing but sky.")
                    continue
                waiting.append((result, started, time.monotonic()))
                if result.is_metric in self.folder.ranges or len(waiting) >= wait:
                    self._write(writer, waiting)
                    waiting = []
                started = time.monotonic()
        except CancelledError:
            self._write(writer, waiting)  # what is computed is not computed again
            raise
        self._write(writer, waiting)

    def leave_out(self, frame: SourceFrame, why: str) -> None:
        """Notes a frame on which nothing was found.

        Args:
            frame: of the input.
            why: a sentence.
        """
        self.without_depth[frame.name] = why

    def _write(self, writer: FrameWriter, waiting: Sequence[tuple[FrameResult, float, float]]) -> None:
        """Writes some results; ranges that are not known yet are fixed by them."""
        for is_metric in (True, False):
            depths = [result.view.depth_m for result, _, _ in waiting if result.is_metric is is_metric]
            if depths and is_metric not in self.folder.ranges:
                self.folder.ranges[is_metric] = self._range_of(depths, is_metric=is_metric)
                if not is_metric:
                    self.folder.relative_unit = relative_unit(ColorRange.of(depths, is_metric=False).far)
                self.folder.save()
        for result, started_s, now_s in waiting:
            record = writer.write(
                result,
                scale=self.folder.ranges[result.is_metric],
                relative_unit=self.folder.relative_unit or 1.0,
                started_s=started_s,
                now_s=now_s,
            )
            self.folder.add(record)
            self.records[record.camera.index] = record
            self.computed += 1
            self.on_frame(record)

    def _range_of(self, depths: Sequence[Float32Array], *, is_metric: bool) -> ColorRange:
        """The range the user named, which is in metres where depth is; else that of some frames."""
        if self.choices.color_range is not None:
            near, far = self.choices.color_range
            return ColorRange(near=near, far=far, is_metric=is_metric)
        return ColorRange.of(depths, is_metric=is_metric)

    @property
    def in_order(self) -> list[FrameRecord]:
        """The frames that are done."""
        return [self.records[index] for index in sorted(self.records)]
