"""Depth and poses of a sequence of any length, in one frame and unit, in bounded memory, resumable.

::

    frames -> overlapping chunks -> one estimate each (kept on disk) -> laid on the chunk before -> frames, in order

The role of DA3-Streaming, without its search for places seen again. A frame comes out as soon as nothing can change it:
half an overlap behind the newest chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from n3d_ros.depth.streaming.chunk_files import ChunkFiles
from n3d_ros.depth.streaming.chunks import Chunk, overlapping_chunks
from n3d_ros.depth.streaming.options import StreamOptions
from n3d_ros.depth.streaming.placing import Place, Tail, in_segment, is_anchored, place_chunk
from n3d_ros.depth.views import DepthEstimate, PoseSource, ScaleSource, View, ViewDepth
from n3d_ros.errors import CancelledError, GroundingError, InputError


class Estimator(Protocol):
    """What estimates a chunk: a ``DepthModel``, or anything with its name and its one verb."""

    @property
    def name(self) -> str:
        """What it is, such as "da3-small + da3metric-large"."""
        ...

    def estimate(self, views: Sequence[View], *, is_cancelled: Callable[[], bool] | None = None) -> DepthEstimate:
        """The depth of some views together.

        Args:
            views: one chunk.
            is_cancelled: asked between steps.

        Returns:
            One result per view.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StreamedFrame:
    """One frame of the sequence, as final as it gets.

    Args:
        index: in the sequence, from 0.
        depth: pose in the frame of its segment, depth in its unit.
        scale_source: what makes that unit metres, or that nothing does.
        scale: factor from the network's own unit to that of the depth.
        segment: frames of one segment share frame and unit; another number, another frame.
        notes: sentences about it, those of its chunk included; the same for all frames of the chunk.
    """

    index: int
    depth: ViewDepth
    scale_source: ScaleSource
    scale: float
    segment: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkReport:
    """What became of a chunk.

    Args:
        number: of the chunk, from 0.
        first_frame: index of its first view.
        views: how many it has.
        is_last: whether the sequence ends with it.
        from_disk: whether an earlier run had it ready.
        segment: it lies in.
        scale: its unit in that of the segment.
        points: matches its place rests on; 0 where none were needed.
        residual: their median distance over their median depth; NaN without.
        notes: sentences about it.
    """

    number: int
    first_frame: int
    views: int
    is_last: bool
    from_disk: bool
    segment: int
    scale: float
    points: int
    residual: float
    notes: tuple[str, ...]


def stream_depth(
    frames: Iterable[View],
    model: Estimator,
    *,
    options: StreamOptions | None = None,
    work_folder: Path | None = None,
    fingerprint: str = "",
    on_progress: Callable[[ChunkReport], None] | None = None,
    is_cancelled: Callable[[], bool] | None = None,
) -> Iterator[StreamedFrame]:
    """The frames of a sequence with depth and poses in one frame and unit per segment.

    Images are pulled as they are needed; at most one chunk and the overlap with the one before are held.

    Args:
        frames: of the sequence, in order.
        model: estimates one chunk at a time.
        options: how it is cut and put together.
        work_folder: where finished chunks are kept; a second run with the same frames, model and settings takes them up
            and gives the same results to the last bit; None keeps nothing.
        fingerprint: of all settings of the model that results depend on; chunks of another one are made again.
        on_progress: told about each chunk before its frames come.
        is_cancelled: asked before each chunk, and handed to the model.

    Yields:
        Every frame once, in order.

    Raises:
        InputError: the model gave another number of results than views.
        ConfigurationError: the work folder cannot be written.
        CancelledError: asked to stop; finished chunks are on disk.
    """
    options = StreamOptions() if options is None else options
    files = None if work_folder is None else ChunkFiles(folder=work_folder, fingerprint=f"{model.name}\n{fingerprint}")
    tail: Tail | None = None
    for chunk in overlapping_chunks(frames, options):
        estimate, from_disk = _estimated(chunk, model, files, is_cancelled)
        place = place_chunk(chunk, estimate, tail, options)
        if on_progress is not None:
            on_progress(_report(chunk, estimate, place, from_disk=from_disk))
        for number in chunk.own(options):
            yield _frame(chunk, estimate, place, number)
        tail = None if chunk.is_last else _tail(estimate, place, options)
        del chunk, estimate  # before the next images come, or two chunks are held


def _estimated(
    chunk: Chunk, model: Estimator, files: ChunkFiles | None, is_cancelled: Callable[[], bool] | None
) -> tuple[DepthEstimate, bool]:
    """The chunk's estimate, and whether it was on disk."""
    known = None if files is None else files.read(chunk)
    if known is not None and len(known.views) == len(chunk.views):
        return known, True
    if is_cancelled is not None and is_cancelled():
        raise CancelledError(f"Cancelled before frame {chunk.first + chunk.shared}; what was finished is kept.")
    try:
        estimate = model.estimate(chunk.views, is_cancelled=is_cancelled)
    except GroundingError as error:  # nothing to see here says nothing of the rest of the film
        return _nothing(chunk, error.message), False
    if len(estimate.views) != len(chunk.views):
        raise InputError(f"{model.name}: expected {len(chunk.views)} results, one per view, got {len(estimate.views)}.")
    if files is not None:
        files.write(chunk, estimate)
    return estimate, False


def _nothing(chunk: Chunk, reason: str) -> DepthEstimate:
    empty = tuple(
        ViewDepth(
            depth_m=np.full(view.rgb.shape[:2], np.nan, dtype=np.float32),
            intrinsics=view.intrinsics,
            world_T_camera=view.world_T_camera,
            pose_source=PoseSource.NONE if view.world_T_camera is None else PoseSource.GIVEN,
        )
        for view in chunk.views
    )
    note = f"frames {chunk.first} to {chunk.first + len(empty) - 1}: no depth: {reason}"
    return DepthEstimate(views=empty, scale_source=ScaleSource.RELATIVE, notes=(note,))


def _frame(chunk: Chunk, estimate: DepthEstimate, place: Place, number: int) -> StreamedFrame:
    return StreamedFrame(
        index=chunk.first + number,
        depth=in_segment(estimate.views[number : number + 1], place)[0],
        scale_source=place.scale_source,
        scale=estimate.scale * place.segment_S_chunk.scale,
        segment=place.segment,
        notes=(*estimate.notes, *place.notes),
    )


def _tail(estimate: DepthEstimate, place: Place, options: StreamOptions) -> Tail:
    return Tail(
        views=in_segment(estimate.views[-options.overlap_views :], place),
        place=place,
        is_anchored=is_anchored(estimate),
    )


def _report(chunk: Chunk, estimate: DepthEstimate, place: Place, *, from_disk: bool) -> ChunkReport:
    return ChunkReport(
        number=chunk.number,
        first_frame=chunk.first,
        views=len(chunk.views),
        is_last=chunk.is_last,
        from_disk=from_disk,
        segment=place.segment,
        scale=place.segment_S_chunk.scale,
        points=0 if place.fit is None else place.fit.points,
        residual=float("nan") if place.fit is None else place.fit.residual,
        notes=(*estimate.notes, *place.notes),
    )
