"""How fast shards of a data set are read: what the input pipeline of a training can give at most.

``python -m benchmarks.dataset_reading FOLDER`` reads a data set three ways and prints a table: rows without their
images, rows with the encoded images, and with every image decoded as training sees it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2

from benchmarks.figure import Figure, markdown
from model_training.data.folder import DatasetFolder
from model_training.data.records import FrameRecord
from model_training.data.shards import group_sizes, read_frames

FRAMES = 500  # read per way: a few seconds
CORES_NOTE = "one process, OpenCV in one thread"


@dataclass(frozen=True, kw_only=True)
class ReadingSpeed:
    """What one way of reading came to.

    Args:
        way: "without images", "encoded" or "decoded".
        frames: read.
        megabytes: of encoded images.
        seconds: that it took.
        cpu_seconds: of those, computed; the rest waited for the disk or for other programs.
    """

    way: str
    frames: int
    megabytes: float
    seconds: float
    cpu_seconds: float

    @property
    def frames_per_s(self) -> float:
        """Frames a second."""
        return self.frames / max(self.seconds, 1e-9)


def _decode(record: FrameRecord) -> None:
    """All images as training sees them."""
    _ = record.rgb, record.depth_m, record.labels


def _touch(_record: FrameRecord) -> None:
    """Nothing more than what reading does."""


WAYS: dict[str, tuple[bool, Callable[[FrameRecord], None]]] = {
    "without images": (False, _touch),
    "encoded": (True, _touch),
    "decoded": (True, _decode),
}


def in_random_groups(folder: DatasetFolder, *, images: bool) -> Iterator[FrameRecord]:
    """Frames in a fixed random order of row groups, as a training draws them.

    Args:
        folder: the data set.
        images: whether images are read.

    Yields:
        Frames.
    """
    places = [
        (shard, group)
        for shard in folder.frame_shards
        for group in range(len(group_sizes(folder.shard_path("frames", shard))))
    ]
    for shard, group in sorted(places, key=hash):
        yield from read_frames(folder.shard_path("frames", shard), groups=[group], images=images)


def reading_speed(records: Iterable[FrameRecord], way: str, *, most: int = FRAMES) -> ReadingSpeed:
    """How fast frames come.

    Args:
        records: of a reader.
        way: of ``WAYS``: what is done with each.
        most: frames to read.

    Returns:
        The speed.
    """
    done, size, begun, cpu = 0, 0, time.perf_counter(), time.process_time()
    for record in records:
        WAYS[way][1](record)
        size += len(record.image) + len(record.depth_png) + len(record.labels_png)
        done += 1
        if done >= most:
            break
    seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - cpu
    return ReadingSpeed(way=way, frames=done, megabytes=size / 1e6, seconds=seconds, cpu_seconds=cpu_seconds)


def reading_speeds(folder: DatasetFolder, *, most: int = FRAMES) -> list[ReadingSpeed]:
    """How fast a data set is read, each way once through up to so many frames.

    Args:
        folder: the data set.
        most: frames per way.

    Returns:
        Speeds in the order of ``WAYS``.
    """
    cv2.setNumThreads(1)
    return [reading_speed(in_random_groups(folder, images=WAYS[way][0]), way, most=most) for way in WAYS]


def figures(speeds: Sequence[ReadingSpeed]) -> list[Figure]:
    """Speeds as rows of the benchmarks' table.

    Args:
        speeds: of ``reading_speeds``.

    Returns:
        Figures without promises.
    """
    return [
        Figure(
            name=f"shards read, {one.way}",
            value=one.frames_per_s,
            unit="frames/s",
            note=f"{one.frames} frames, {one.megabytes / max(one.seconds, 1e-9):.0f} MB/s; "
            f"{one.frames / max(one.cpu_seconds, 1e-9):.0f} per second computed; {CORES_NOTE}",
        )
        for one in speeds
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table of a data set.

    Args:
        arguments: without the program's name; None: the process's own.

    Returns:
        0.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dataset_reading", description=__doc__)
    parser.add_argument("folder", metavar="FOLDER", help="a data set")
    parser.add_argument("--frames", type=int, default=FRAMES, metavar="N", help="per way (default %(default)s)")
    options = parser.parse_args(arguments)
    print(markdown(figures(reading_speeds(DatasetFolder.open(options.folder), most=options.frames))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
