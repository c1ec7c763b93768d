#!/usr/bin/env python3
"""How fast scenes are generated: records with both boxes, masks, noise and encoded images, ready for training.

Usage: python -m benchmarks scene_generation [--scenes N] [--workers 1,2]

Rendered scenes at 640x480 with shadows, segmentation and sensor noise, tabletops and rooms, four views of each; cast
ones at 160x120 and 320x240. Every worker is a process that makes shards of its own, as ``n3d dataset generate`` has
them; all begin together once each has made a first scene. Frames per second of the clock depend on what else the
machine does; those per second of processor time less so. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.figure import Figure, told
from model_training.scenes.dataset import PlaceConfig, SceneDatasetConfig, ViewConfig, scene_records

DEFAULT_SCENES = 8
PROMISE = 10.0  # frames/s on two cores, 640x480 with shadows and segmentation in software rendering
PROMISED_WORKERS = 2
RAYCAST_SCENES = 12  # times as many as rendered ones: they are that much quicker
START_TIMEOUT_S = 300.0

_FULL = SceneDatasetConfig(views=4, view=ViewConfig(sizes=((640, 480),)))
_QUICK = SceneDatasetConfig(
    kind="raycast", views=4, tabletop=PlaceConfig(objects=(2, 8)), view=ViewConfig(sizes=((160, 120),))
)
SUBJECTS: dict[str, SceneDatasetConfig] = {
    "rendered tabletops, 640x480": _FULL,
    "rendered rooms, 640x480": replace(_FULL, rooms=1.0),
    "ray-cast tabletops, 160x120": _QUICK,
    "ray-cast tabletops, 320x240": replace(_QUICK, view=ViewConfig(sizes=((320, 240),))),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What some workers made together.

    Args:
        workers: processes.
        frames: in all.
        seconds: of the clock, from the common start to the last one's end.
        processor_seconds: of all together.
    """

    workers: int
    frames: int
    seconds: float
    processor_seconds: float

    @property
    def rate(self) -> float:
        """Frames per second of the clock."""
        return self.frames / self.seconds

    @property
    def rate_per_core(self) -> float:
        """Frames per second of processor time."""
        return self.frames / self.processor_seconds


def _work(config: SceneDatasetConfig, shard: int, start: Any, results: Any) -> None:
    """Makes a shard twice, the second time measured: the first one fills caches and makes the OpenGL context."""
    warm = replace(config, first_scene=config.scenes, scenes=1, scenes_per_shard=1)
    made = sum(1 for _ in scene_records(warm, 0))
    start.wait(START_TIMEOUT_S)
    processor = time.process_time()
    made = sum(1 for _ in scene_records(config, shard))
    results.put((made, time.perf_counter(), time.process_time() - processor))


def measure(config: SceneDatasetConfig, workers: int, scenes: int) -> Speed:
    """How fast some workers make scenes.

    Args:
        config: what to make; number and shards of scenes are set here.
        workers: processes.
        scenes: per worker.

    Returns:
        The speed.
    """
    config = replace(config, scenes=scenes * workers, scenes_per_shard=scenes)
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(workers + 1), context.Queue()
    processes = [
        context.Process(target=_work, args=(config, shard, start, results), daemon=True) for shard in range(workers)
    ]
    for process in processes:
        process.start()
    start.wait(START_TIMEOUT_S)
    begin = time.perf_counter()
    told = [results.get(timeout=START_TIMEOUT_S * 2) for _ in processes]
    for process in processes:
        process.join()
    return Speed(
        workers=workers,
        frames=sum(frames for frames, _, _ in told),
        seconds=max(end for _, end, _ in told) - begin,
        processor_seconds=sum(spent for _, _, spent in told),
    )


def figures(scenes: int, workers: Sequence[int]) -> list[Figure]:
    """The rows.

    Args:
        scenes: rendered ones per worker.
        workers: numbers of processes to try.

    Returns:
        Figures.
    """
    rows = []
    for subject, config in SUBJECTS.items():
        count = scenes * (RAYCAST_SCENES if config.kind == "raycast" else 1)
        single = math.nan
        for number in workers:
            speed = measure(config, number, count)
            single = speed.rate if number == 1 else single
            scaling = "" if number == 1 or math.isnan(single) else f", {speed.rate / single:.2f} times one worker"
            promised = subject == next(iter(SUBJECTS)) and number == PROMISED_WORKERS
            rows.append(
                Figure(
                    name=f"{subject}: {number} worker{'s' * (number > 1)}",
                    value=speed.rate,
                    unit="frames/s",
                    promise=PROMISE if promised else None,
                    at_most=False,
                    note=f"{speed.frames} frames; {speed.rate_per_core:.1f} per second of processor time{scaling}",
                )
            )
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints.

    Args:
        arguments: without the program's name.

    Returns:
        0 when every promise is kept; 1 otherwise.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--scenes", type=int, default=DEFAULT_SCENES, help="rendered scenes per worker (default: %(default)s)"
    )
    parser.add_argument("--workers", default="1,2", help="numbers of processes (default: %(default)s)")
    options = parser.parse_args(arguments)
    return told(figures(options.scenes, [int(part) for part in options.workers.split(",")]))


if __name__ == "__main__":
    sys.exit(main())
