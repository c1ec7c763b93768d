"""Depth and poses of a sequence of any length, in one frame and unit, in bounded memory, resumable.

::

    frames -> overlapping chunks -> one estimate each (kept on disk) -> laid on the chunk before -> frames, in order

The role of DA3-Streaming. A frame comes out as soon as nothing can change it: half an overlap behind the newest chunk,
or, where places seen again are to close the trajectory, after the last one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from n3d_ros.depth.streaming.chunk_files import ChunkFiles
from n3d_ros.depth.streaming.chunks import Chunk, overlapping_chunks
from n3d_ros.depth.streaming.closing import Film, closed_places
from n3d_ros.depth.streaming.estimating import ChunkEstimator, Estimator, fingerprint_of
from n3d_ros.depth.streaming.options import StreamOptions
from n3d_ros.depth.streaming.placing import Place, Tail, in_segment, is_anchored, place_chunk
from n3d_ros.depth.views import DepthEstimate, ScaleSource, View, ViewDepth
from n3d_ros.errors import ConfigurationError

NUMBERED_VIEW = re.compile(r"\b[Vv]iews? \d")


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
        fingerprint: of what else results depend on, such as how the frames were read; chunks of another one, or of
            another model, other settings of it or another device, are made again.
        on_progress: told about each chunk before its frames come.
        is_cancelled: asked before each chunk, and handed to the model.

    Yields:
        Every frame once, in order.

    Raises:
        InputError: the model gave another number of results than views.
        ConfigurationError: the work folder cannot be written, or loop closure has none.
        CancelledError: asked to stop; finished chunks are on disk.
    """
    options = StreamOptions() if options is None else options
    if options.loop_closure and work_folder is None:
        raise ConfigurationError("Loop closure reads every chunk a second time: give a work folder.")
    made_by = f"{fingerprint_of(model)}\n{fingerprint}"
    files = None if work_folder is None else ChunkFiles(folder=work_folder, fingerprint=made_by)
    estimator = ChunkEstimator(model=model, files=files, is_cancelled=is_cancelled)
    film = Film(files=files) if options.loop_closure and files is not None else None
    tail: Tail | None = None
    for chunk in overlapping_chunks(frames, options):
        estimate, from_disk = estimator.estimate(chunk)
        place = place_chunk(chunk, estimate, tail, options)
        if on_progress is not None:
            on_progress(_report(chunk, estimate, place, from_disk=from_disk))
        if film is None:
            for number in chunk.own(options):
                yield _frame(chunk.first, number, estimate, place)
        else:
            film.add(chunk, estimate, place, options)
        tail = None if chunk.is_last else _tail(estimate, place, options)
        del chunk, estimate  # before the next images come, or two chunks are held
    if film is not None:
        yield from _closed(film, replace(estimator, files=replace(film.files, prefix="revisit")), options)


def _closed(film: Film, estimator: ChunkEstimator, options: StreamOptions) -> Iterator[StreamedFrame]:
    """All frames, from disk, once places seen again have had their say."""
    if not film.chunks:
        return
    for chunk, place in zip(film.chunks, closed_places(film, estimator, options), strict=True):
        estimate = film.files.read_again(chunk.number)
        for index in chunk.own:
            yield _frame(chunk.first, index - chunk.first, estimate, place)
        del estimate


def _frame(first: int, number: int, estimate: DepthEstimate, place: Place) -> StreamedFrame:
    """A chunk's view as a frame of the sequence; ``first`` is the index of the chunk's first view."""
    return StreamedFrame(
        index=first + number,
        depth=in_segment(estimate.views[number : number + 1], place)[0],
        scale_source=place.scale_source,
        scale=estimate.scale * place.segment_S_chunk.scale,
        segment=place.segment,
        notes=_notes(first, estimate, place),
    )


def _notes(first: int, estimate: DepthEstimate, place: Place) -> tuple[str, ...]:
    """What is said of a chunk; sentences that number its views tell which frames these are."""
    views = len(estimate.views)
    which = f"frames {first} to {first + views - 1} as views 0 to {views - 1}: " if first else ""
    said = (f"{which}{note}" if NUMBERED_VIEW.search(note) else note for note in estimate.notes)
    return (*said, *place.notes)


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
        notes=_notes(chunk.first, estimate, place),
    )
