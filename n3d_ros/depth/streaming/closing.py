"""Places seen again pull the trajectory together: drift that chunk after chunk has gathered is shared out over all.

::

    all chunks laid on each other -> frames that look alike -> both stretches estimated together, which says how their
    chunks lie -> a pose graph of all chunks -> their places once more
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from n3d_ros.depth.similarity import Similarity
from n3d_ros.depth.streaming.alignment import fit_overlap
from n3d_ros.depth.streaming.chunk_files import ChunkFiles, read_image, write_arrays
from n3d_ros.depth.streaming.chunks import Chunk
from n3d_ros.depth.streaming.estimating import ChunkEstimator
from n3d_ros.depth.streaming.options import StreamOptions
from n3d_ros.depth.streaming.placing import Place, fitted_freedom, is_anchored
from n3d_ros.depth.streaming.pose_graph import Measured, optimized
from n3d_ros.depth.streaming.revisits import Revisit, descriptor, revisits
from n3d_ros.depth.views import DepthEstimate, View
from n3d_ros.geometry.arrays import Float32Array
from n3d_ros.geometry.camera import CameraIntrinsics

MIN_LIKENESS = 0.8  # of small pictures; a false one is found out when both stretches are estimated together
MOST_REVISITS = 20
VIEWS_EACH = 20  # of each stretch, as in DA3-Streaming


@dataclass(frozen=True, slots=True, kw_only=True)
class LaidChunk:
    """What is remembered of a chunk that lies on disk.

    Args:
        number: of the chunk.
        first: index of its first view.
        own: indices in the sequence of the frames that it gives.
        place: in its segment.
        is_metric: whether its own estimate is.
        is_anchored: whether given poses hold it.
        depth: typical depth in its own unit.
    """

    number: int
    first: int
    own: range
    place: Place
    is_metric: bool
    is_anchored: bool
    depth: float


@dataclass(slots=True)
class Film:
    """What is remembered of a whole sequence: a small picture and a calibration per frame, a place per chunk.

    Args:
        files: of estimates; images lie beside them.
        chunks: so far.
        pictures: one per frame.
        cameras: given, one per frame.
    """

    files: ChunkFiles
    chunks: list[LaidChunk] = field(default_factory=list)
    pictures: list[Float32Array] = field(default_factory=list)
    cameras: list[CameraIntrinsics | None] = field(default_factory=list)

    def add(self, chunk: Chunk, estimate: DepthEstimate, place: Place, options: StreamOptions) -> None:
        """Remembers a chunk and keeps its own frames' images on disk.

        Args:
            chunk: that was laid.
            estimate: of it.
            place: of it.
            options: of the stream.
        """
        numbers = chunk.own(options)
        own = range(chunk.first + numbers.start, chunk.first + numbers.stop)
        images: dict[str, NDArray[np.uint8]] = {}
        for index, number in zip(own, numbers, strict=True):
            view = chunk.views[number]
            images[f"{index:09d}"] = view.rgb
            self.pictures.append(descriptor(view.rgb))
            self.cameras.append(view.intrinsics)
        write_arrays(self._images(chunk.number), images)
        self.chunks.append(
            LaidChunk(
                number=chunk.number,
                first=chunk.first,
                own=own,
                place=place,
                is_metric=estimate.is_metric,
                is_anchored=is_anchored(estimate),
                depth=_typical_depth(estimate),
            )
        )

    def chunk_of(self, index: int) -> LaidChunk:
        """The chunk that gives a frame.

        Args:
            index: of the frame.

        Returns:
            The chunk.
        """
        return next(chunk for chunk in self.chunks if index in chunk.own)

    def stretch(self, index: int, most: int) -> range:
        """Frames around a frame, of the chunk that gives it.

        Args:
            index: of the frame.
            most: how many.

        Returns:
            Their indices.
        """
        own = self.chunk_of(index).own
        begin = max(own.start, min(index - most // 2, own.stop - most))
        return range(begin, min(begin + most, own.stop))

    def views(self, indices: range) -> tuple[View, ...]:
        """Frames of one chunk, from disk.

        Args:
            indices: of the frames.

        Returns:
            The frames without poses.
        """
        path = self._images(self.chunk_of(indices.start).number)
        return tuple(View(rgb=read_image(path, f"{i:09d}"), intrinsics=self.cameras[i]) for i in indices)

    def _images(self, number: int) -> Path:
        return self.files.folder / f"images_{number:06d}.npz"


def closed_places(film: Film, estimator: ChunkEstimator, options: StreamOptions) -> tuple[Place, ...]:
    """The places of all chunks once places seen again are taken into account.

    Args:
        film: the whole sequence.
        estimator: estimates two stretches together.
        options: of the stream.

    Returns:
        One place per chunk, with a note of what was found.
    """
    candidates = revisits(
        np.stack(film.pictures),
        min_gap=options.chunk_views,
        min_likeness=MIN_LIKENESS,
        most=MOST_REVISITS,
    )
    measured = [_measured(film, number, revisit, estimator, options) for number, revisit in enumerate(candidates)]
    loops = [m for m in measured if m is not None]
    places = [chunk.place for chunk in film.chunks]
    if not loops:
        note = "no place was recognised that was seen before: the trajectory is as chunk after chunk has put it"
        return tuple(replace(place, notes=(*place.notes, note)) for place in places)
    sequence = [
        Measured(
            first=i,
            second=i + 1,
            first_S_second=a.segment_S_chunk.inverse() @ b.segment_S_chunk,
            is_certain=True,
        )
        for i, (a, b) in enumerate(pairwise(places))
        if a.segment == b.segment
    ]
    found = optimized(
        [place.segment_S_chunk for place in places],
        [*sequence, *loops],
        [chunk.depth for chunk in film.chunks],
        fixed=[
            i
            for i, chunk in enumerate(film.chunks)
            if i == 0 or chunk.is_anchored or chunk.place.segment != places[i - 1].segment
        ],
        rigid=all(place.segment_S_chunk.scale == 1 for place in places),
    )
    note = f"{len(loops)} of {len(candidates)} places that look alike were seen before and pull the trajectory together"
    return tuple(
        replace(place, segment_S_chunk=similarity, notes=(*place.notes, note))
        for place, similarity in zip(places, found, strict=True)
    )


def _measured(
    film: Film, number: int, revisit: Revisit, estimator: ChunkEstimator, options: StreamOptions
) -> Measured | None:
    """How two chunks lie to each other, by an estimate of both stretches together; None where it tells nothing."""
    first, second = film.chunk_of(revisit.earlier), film.chunk_of(revisit.later)
    if first.place.segment != second.place.segment or (first.is_anchored and second.is_anchored):
        return None
    each = min(VIEWS_EACH, options.chunk_views // 2)  # together no more than the model takes
    stretches = film.stretch(revisit.earlier, each), film.stretch(revisit.later, each)
    views = tuple(view for stretch in stretches for view in film.views(stretch))
    joint, _ = estimator.estimate(Chunk(number=number, first=revisit.earlier, views=views, shared=0, is_last=True))
    parts = joint.views[: len(stretches[0])], joint.views[len(stretches[0]) :]
    fits: list[Similarity] = []
    for chunk, stretch, part in zip((first, second), stretches, parts, strict=True):
        seen = film.files.read_again(chunk.number).views[stretch.start - chunk.first : stretch.stop - chunk.first]
        both = chunk.is_metric and joint.is_metric
        fit = fit_overlap(
            seen, part, is_metric=both, freedom=fitted_freedom(options, both_metric=both), options=options
        ).earlier_S_later
        if fit is None:
            return None
        fits.append(fit)
    return Measured(first=first.number, second=second.number, first_S_second=fits[0] @ fits[1].inverse())


def _typical_depth(estimate: DepthEstimate) -> float:
    known: Sequence[Float32Array] = [view.depth_m[np.isfinite(view.depth_m)][::64] for view in estimate.views]
    values = np.concatenate(known)
    return float(np.median(values)) if len(values) else 1.0
