"""Choices of whoever has a long sequence estimated, and what they cost in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from n3d_ros.depth.similarity import HUBER_DELTA, HUBER_STEPS, Freedom
from n3d_ros.errors import ConfigurationError
from n3d_ros.settings import check, number

AUTO = "auto"
ALIGNMENTS = (AUTO, *(freedom.value for freedom in Freedom))


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """How a long sequence is cut, and how its parts are put together.

    Args:
        chunk_views: views of one estimate. Of the published runs on KITTI 60, 90 and 120 drift alike (10.6, 9.4 and
            10.4 m), 30 twice as far; memory of the network grows with it.
        overlap_views: views that two chunks share.
        alignment: what is fitted between two chunks; "auto" keeps the metres of metric estimates ("se3") and fits the
            scale of relative ones ("sim3").
        max_depth_m: points further away are left out of the fit, metres; for metric estimates only.
        huber_delta: distance from which a pair of points counts less, metres; for relative estimates times the median
            depth.
        huber_steps: reweighted fits.
        loop_closure: whether places seen again pull the trajectory together; then nothing is final before the end.
    """

    chunk_views: int = number(60, "views of one estimate", minimum=2, maximum=4096)
    overlap_views: int = number(30, "views that two chunks share", minimum=1, maximum=2048)
    alignment: str = field(default=AUTO, metadata={"meaning": "what is fitted between chunks", "choices": ALIGNMENTS})
    max_depth_m: float = number(15.0, "points further away are left out of the fit", minimum=0.1, maximum=1e6, unit="m")
    huber_delta: float = number(
        HUBER_DELTA, "distance from which a pair of points counts less", minimum=1e-6, maximum=1e3, unit="m"
    )
    huber_steps: int = number(HUBER_STEPS, "reweighted fits", minimum=0, maximum=1000)
    loop_closure: bool = False

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
            ConfigurationError: a value that is not allowed, or an overlap of a whole chunk.
        """
        check(self, "stream")
        if self.overlap_views >= self.chunk_views:
            raise ConfigurationError(
                f"stream overlap_views: expected fewer than chunk_views ({self.chunk_views}), got "
                f"{self.overlap_views}; half is usual."
            )

    @property
    def step_views(self) -> int:
        """Views that each chunk after the first adds."""
        return self.chunk_views - self.overlap_views

    @property
    def handover(self) -> int:
        """Views of an overlap that come from the earlier chunk: half, since both are worst at their ends."""
        return (self.overlap_views + 1) // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamMemory:
    """What a stream holds at most, beside the model itself.

    Args:
        chunk_bytes: images and results of one chunk.
        overlap_bytes: results of the overlap with the chunk before.
        alignment_bytes: points while two chunks are aligned.
        growing_bytes_per_frame: of loop closure, per frame of the sequence; 0 without: then nothing grows.
        file_bytes_per_frame: on disk, per frame of the sequence, overlaps counted twice.
    """

    chunk_bytes: int
    overlap_bytes: int
    alignment_bytes: int
    growing_bytes_per_frame: int
    file_bytes_per_frame: int

    @property
    def total_bytes(self) -> int:
        """All that is held at once, without what grows."""
        return self.chunk_bytes + self.overlap_bytes + self.alignment_bytes


IMAGE_BYTES, RESULT_BYTES = 3, 4 + 4 + 1  # per pixel: colour; depth, confidence and sky
MATCHED_POINTS = 200_000  # of an overlap: a point in every tenth pixel or so; more change the fit by microns
POINT_BYTES = 300  # both points, weights and the fit's own arrays, float64; 260 measured
# A small picture, held twice while places are looked for, and the comparison of 25 frames with it (430 measured).
REVISIT_BYTES = 2 * 24 * 18 * 4 + 450


def stream_memory(options: StreamOptions, image_hw: tuple[int, int]) -> StreamMemory:
    """What a stream holds at most beside the model itself: whatever its length, unless loops are closed.

    Args:
        options: of the stream.
        image_hw: of the images, pixels.

    Returns:
        Bytes.
    """
    pixels = image_hw[0] * image_hw[1]
    kept_images = IMAGE_BYTES * pixels if options.loop_closure else 0
    return StreamMemory(
        chunk_bytes=options.chunk_views * pixels * (IMAGE_BYTES + RESULT_BYTES),
        overlap_bytes=options.overlap_views * pixels * RESULT_BYTES,
        alignment_bytes=MATCHED_POINTS * POINT_BYTES + 4 * pixels * 8 * 3,
        growing_bytes_per_frame=REVISIT_BYTES if options.loop_closure else 0,
        file_bytes_per_frame=-(-options.chunk_views * pixels * RESULT_BYTES // options.step_views) + kept_images,
    )
