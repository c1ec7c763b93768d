"""From frames to results: each frame alone, all frames in one pass, or a long sequence in overlapping chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from n3d_ros.depth.files.sources import SourceFrame
from n3d_ros.depth.streaming.estimating import Estimator
from n3d_ros.depth.streaming.options import StreamOptions
from n3d_ros.depth.streaming.stream import ChunkReport, stream_depth
from n3d_ros.depth.views import DepthEstimate, PoseSource, ScaleSource, View, ViewDepth
from n3d_ros.errors import GroundingError, InputError

SINGLE, TOGETHER, STREAM = "single", "together", "stream"
VIEWS_MODES = (TOGETHER, SINGLE, STREAM)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameResult:
    """What a model says of one frame.

    Args:
        frame: the frame.
        view: of it.
        scale_source: what makes the depth metric, or that nothing does.
        scale: from the network's unit to that of the depth.
        segment: of a sequence that could not be put together throughout: frames of another one lie in another world.
        notes: sentences that go with it.
    """

    frame: SourceFrame
    view: ViewDepth
    scale_source: ScaleSource
    scale: float
    segment: int = 0
    notes: tuple[str, ...] = ()

    @property
    def is_metric(self) -> bool:
        """Whether its depth is in metres."""
        return self.scale_source is not ScaleSource.RELATIVE


Skip = Callable[[SourceFrame], bool]
"""Whether a frame's results are there already."""


def single_results(
    frames: Iterator[SourceFrame],
    model: Estimator,
    *,
    skip: Skip,
    is_cancelled: Callable[[], bool],
    on_nothing: Callable[[SourceFrame, str], None] = lambda _frame, _why: None,
) -> Iterator[FrameResult]:
    """Each frame alone.

    Args:
        frames: in order.
        model: estimates.
        skip: frames that are done.
        is_cancelled: asked between steps.
        on_nothing: told of a frame that shows nothing to find depth on, such as sky alone; it has no result.

    Yields:
        Results. A pose that was estimated from the one image is left out: each would be in a world of its own.
    """
    for frame in frames:
        if is_cancelled():
            return
        if skip(frame):
            continue
        try:
            estimate = model.estimate([frame.view], is_cancelled=is_cancelled)
        except GroundingError as error:
            on_nothing(frame, error.message)
            continue
        for result in _results([frame], estimate):
            view = result.view
            if view.pose_source is PoseSource.ESTIMATED:
                view = replace(view, world_T_camera=None, pose_source=PoseSource.NONE)
            yield replace(result, view=view)


def together_results(
    frames: Iterator[SourceFrame], model: Estimator, *, skip: Skip, is_cancelled: Callable[[], bool]
) -> Iterator[FrameResult]:
    """All frames in one pass.

    Args:
        frames: as many as the model takes together.
        model: estimates.
        skip: frames that are done.
        is_cancelled: asked between steps.

    Yields:
        Results of those that are not done; nothing is computed when all are.
    """
    everything = list(frames)
    if all(skip(frame) for frame in everything):
        return
    estimate = model.estimate([frame.view for frame in everything], is_cancelled=is_cancelled)
    yield from (result for result in _results(everything, estimate) if not skip(result.frame))


def streamed_results(
    frames: Iterator[SourceFrame],
    model: Estimator,
    *,
    skip: Skip,
    is_cancelled: Callable[[], bool],
    options: StreamOptions,
    work_folder: Path | None,
    fingerprint: str,
    on_chunk: Callable[[ChunkReport], None],
    again: Callable[[], Iterator[SourceFrame]] | None = None,
) -> Iterator[FrameResult]:
    """A long sequence in overlapping chunks.

    Args:
        frames: in order.
        model: estimates.
        skip: frames that are done; their chunks are taken from the work folder.
        is_cancelled: asked between steps.
        options: how the sequence is cut and put together.
        work_folder: for finished chunks; None keeps none.
        fingerprint: of the settings, which finished chunks must share.
        on_chunk: told of each chunk.
        again: gives the same frames anew; needed where nothing is final before the end, when they are read twice.

    Yields:
        Results, each as soon as nothing can change it.
    """
    held: dict[int, SourceFrame] | None = None if again else {}  # images of about one chunk, until they come out
    second = again() if again else iter(())
    for streamed in stream_depth(
        _noted_views(frames, held),
        model,
        options=options,
        work_folder=work_folder,
        fingerprint=fingerprint,
        on_progress=on_chunk,
        is_cancelled=is_cancelled,
    ):
        frame = next(second) if held is None else held.pop(streamed.index)
        if not skip(frame):
            yield FrameResult(
                frame=frame,
                view=within_lens(streamed.depth, frame),
                scale_source=streamed.scale_source,
                scale=streamed.scale,
                segment=streamed.segment,
                notes=streamed.notes,
            )


def _noted_views(frames: Iterator[SourceFrame], held: dict[int, SourceFrame] | None) -> Iterator[View]:
    """The views of frames, each noted under its index as it is read; None: none is noted."""
    for frame in frames:
        if held is not None:
            held[frame.index] = frame
        yield frame.view


def _results(frames: Sequence[SourceFrame], estimate: DepthEstimate) -> Iterator[FrameResult]:
    """One result for each frame of an estimate."""
    if len(estimate.views) != len(frames):
        raise InputError(f"Depth model: expected {len(frames)} answers, got {len(estimate.views)}.")
    for frame, view in zip(frames, estimate.views, strict=True):
        yield FrameResult(
            frame=frame,
            view=within_lens(view, frame),
            scale_source=estimate.scale_source,
            scale=estimate.scale,
            notes=estimate.notes,
        )


def within_lens(view: ViewDepth, frame: SourceFrame) -> ViewDepth:
    """A view without what the model made of pixels that the lens did not see: the black rim of a rectified image.

    Args:
        view: of the frame.
        frame: with its mask.

    Returns:
        The view; NaN there.
    """
    if frame.valid is None:
        return view
    depth = np.where(frame.valid, view.depth_m, np.float32(np.nan))
    return replace(view, depth_m=depth, sky=None if view.sky is None else view.sky & frame.valid)
