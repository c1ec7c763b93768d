"""A sequence of any length as overlapping chunks, no more of it in memory than one chunk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from n3d_ros.depth.streaming.options import StreamOptions
from n3d_ros.depth.views import View


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chunk:
    """Views that are estimated together.

    Args:
        number: 0 for the first chunk.
        first: index in the sequence of the first view.
        views: in the order of the sequence.
        shared: how many of the first views the chunk before has too.
        is_last: whether the sequence ends with it.
    """

    number: int
    first: int
    views: tuple[View, ...]
    shared: int
    is_last: bool

    def own(self, options: StreamOptions) -> range:
        """Which of its views (numbers within the chunk) it is the one to give.

        Args:
            options: of the stream.

        Returns:
            Of each overlap the earlier chunk gives the first half, the later one the second.
        """
        begin = min(options.handover, self.shared)
        end = len(self.views) if self.is_last else len(self.views) - options.overlap_views + options.handover
        return range(begin, end)


def overlapping_chunks(frames: Iterable[View], options: StreamOptions) -> Iterator[Chunk]:
    """The sequence as chunks; images are pulled when their chunk is due and let go with it.

    Args:
        frames: of the sequence, in order.
        options: size and overlap.

    Yields:
        Chunks; nothing for an empty sequence.
    """
    source = iter(frames)
    views = tuple(islice(source, options.chunk_views))
    coming = next(source, None)  # read ahead by one: the last chunk must know that it is
    number, first, shared = 0, 0, 0
    while views:
        yield Chunk(number=number, first=first, views=views, shared=shared, is_last=coming is None)
        if coming is None:
            return
        first += len(views) - options.overlap_views
        shared = options.overlap_views
        views = (*views[-shared:], coming)  # in two steps: earlier images go before later ones come
        views = (*views, *islice(source, options.step_views - 1))
        coming, number = next(source, None), number + 1
