"""Sequences as overlapping chunks: every frame once, in order, and no more images held than a chunk has."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from depth_walk import index_of, view_of
from n3d_ros.depth.streaming.chunks import overlapping_chunks
from n3d_ros.depth.streaming.options import StreamOptions, stream_memory
from n3d_ros.depth.streaming.revisits import descriptor
from n3d_ros.depth.views import View
from n3d_ros.errors import ConfigurationError


@pytest.mark.parametrize("frames", [0, 1, 5, 6, 7, 8, 9, 10, 50])
@pytest.mark.parametrize(("size", "overlap"), [(6, 3), (6, 2), (6, 1), (6, 5), (2, 1)])
def test_every_frame_is_given_once_and_in_order(frames: int, size: int, overlap: int) -> None:
    options = StreamOptions(chunk_views=size, overlap_views=overlap)
    chunks = list(overlapping_chunks((view_of(i) for i in range(frames)), options))
    given = [chunk.first + number for chunk in chunks for number in chunk.own(options)]
    assert given == list(range(frames))
    assert all([index_of(v) for v in c.views] == list(range(c.first, c.first + len(c.views))) for c in chunks)
    assert [c.is_last for c in chunks] == [False] * (len(chunks) - 1) + [True] * min(frames, 1)


def test_neighbours_share_the_overlap_and_only_the_last_is_shorter() -> None:
    options = StreamOptions(chunk_views=6, overlap_views=3)
    chunks = list(overlapping_chunks((view_of(i) for i in range(13)), options))
    assert [(c.first, len(c.views), c.shared) for c in chunks] == [(0, 6, 0), (3, 6, 3), (6, 6, 3), (9, 4, 3)]


def test_a_sequence_of_one_chunk_exactly_is_one_chunk() -> None:
    options = StreamOptions(chunk_views=6, overlap_views=3)
    (only,) = overlapping_chunks((view_of(i) for i in range(6)), options)
    assert only.is_last and only.own(options) == range(6)


def test_no_more_images_are_held_than_a_chunk_and_one_read_ahead() -> None:
    alive: list[weakref.ref[NDArray[np.uint8]]] = []
    most = 0

    def frames() -> Iterator[View]:
        nonlocal most
        for i in range(58):
            view = view_of(i)
            alive.append(weakref.ref(view.rgb))
            most = max(most, sum(r() is not None for r in alive))
            yield view
            del view

    for chunk in overlapping_chunks(frames(), StreamOptions(chunk_views=10, overlap_views=4)):
        assert len(chunk.views) == 10
        del chunk
    assert most <= 11


def test_the_stated_memory_does_not_grow_with_the_sequence_and_is_what_arrays_take() -> None:
    memory = stream_memory(StreamOptions(chunk_views=60, overlap_views=30), (480, 640))
    assert memory.chunk_bytes == 60 * 480 * 640 * 12
    assert memory.overlap_bytes == 30 * 480 * 640 * 9
    assert memory.file_bytes_per_frame == 2 * 480 * 640 * 9
    assert memory.total_bytes < 400e6
    assert memory.growing_bytes_per_frame == 0


def test_loop_closure_is_stated_with_the_images_it_keeps_and_what_grows() -> None:
    closing = StreamOptions(chunk_views=60, overlap_views=30, loop_closure=True)
    memory = stream_memory(closing, (480, 640))
    assert memory.file_bytes_per_frame == 480 * 640 * (2 * 9 + 3)
    assert descriptor(np.zeros((48, 64, 3), dtype=np.uint8)).nbytes < memory.growing_bytes_per_frame < 5000


def test_an_overlap_of_a_whole_chunk_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="fewer than chunk_views"):
        StreamOptions(chunk_views=4, overlap_views=4)
    with pytest.raises(ConfigurationError, match="chunk_views"):
        StreamOptions(chunk_views=1)
    with pytest.raises(ConfigurationError, match="alignment"):
        StreamOptions(alignment="affine")
