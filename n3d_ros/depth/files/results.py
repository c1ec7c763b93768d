"""From frames to results: each frame alone, all frames in one pass, or a long sequence in overlapping chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from n3d_ros.depth.files.sources import SourceFrame
from n3d_ros.depth.views import DepthEstimate, PoseSource, ScaleSource, View, ViewDepth
from n3d_ros.errors import InputError

SINGLE, TOGETHER, STREAM = "single", "together", "stream"
VIEWS_MODES = (TOGETHER, SINGLE, STREAM)


class Estimator(Protocol):
    """What is needed of a depth model."""

    def estimate(self, views: Sequence[View], *, is_cancelled: Callable[[], bool] | None = None) -> DepthEstimate:
        """Depth of some views.

        Args:
            views: seen together.
            is_cancelled: asked between steps.

        Returns:
            One answer for each view.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameResult:
    """What a model says of one frame.

    Args:
        frame: the frame.
        view: of it.
        scale_source: what makes the depth metric, or that nothing does.
        scale: from the network's unit to that of the depth.
        notes: sentences that go with it.
    """

    frame: SourceFrame
    view: ViewDepth
    scale_source: ScaleSource
    scale: float
    notes: tuple[str, ...] = ()

    @property
    def is_metric(self) -> bool:
        """Whether its depth is in metres."""
        return self.scale_source is not ScaleSource.RELATIVE


Skip = Callable[[SourceFrame], bool]
"""Whether a frame's results are there already."""


def single_results(
    frames: Iterator[SourceFrame], model: Estimator, *, skip: Skip, is_cancelled: Callable[[], bool]
) -> Iterator[FrameResult]:
    """Each frame alone.

    Args:
        frames: in order.
        model: estimates.
        skip: frames that are done.
        is_cancelled: asked between steps.

    Yields:
        Results. A pose that was estimated from the one image is left out: each would be in a world of its own.
    """
    for frame in frames:
        if is_cancelled():
            return
        if skip(frame):
            continue
        estimate = model.estimate([frame.view], is_cancelled=is_cancelled)
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


def _results(frames: Sequence[SourceFrame], estimate: DepthEstimate) -> Iterator[FrameResult]:
    """One result for each frame of an estimate."""
    if len(estimate.views) != len(frames):
        raise InputError(f"Depth model: expected {len(frames)} answers, got {len(estimate.views)}.")
    for frame, view in zip(frames, estimate.views, strict=True):
        yield FrameResult(
            frame=frame, view=view, scale_source=estimate.scale_source, scale=estimate.scale, notes=estimate.notes
        )
