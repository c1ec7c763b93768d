"""Whole frames: several runtimes look at the same frames in turn, in one process, and each step is timed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from n3d_ros.bench.failures import Dropped
from n3d_ros.bench.power import Meter, measured_energy
from n3d_ros.bench.subjects import Subject
from n3d_ros.bench.table import Row, ratio_row
from n3d_ros.detection import Detection3D
from n3d_ros.errors import GroundingError
from n3d_ros.frame import RgbdFrame
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult

NETWORKS = ("vision", "prefill", "decode")
STAGES = {
    "input": "preprocess: patches and points",
    "geometry": "surfaces and up, beside the networks",
    "refine": "boxes fitted to points",
    "assemble": "ingest: messages to a frame",
    "convert": "objects to messages",
}
"""Words for stages whose names do not say enough."""
ENERGY_S = 3.0  # least time over which energy is added up


@dataclass(slots=True, kw_only=True)
class LookTimes:
    """What some looks of one runtime took.

    Args:
        frame_ms: whole frames.
        first_box_ms: from the call to the first box; NaN where there was none.
        stage_ms: of each stage, in the order they ran.
        boxes: found in all of them.
        tokens: written in all of them.
        refused: frames that hold too little depth.
    """

    frame_ms: list[float] = field(default_factory=list)
    first_box_ms: list[float] = field(default_factory=list)
    stage_ms: dict[str, list[float]] = field(default_factory=dict)
    boxes: int = 0
    tokens: float = 0.0
    refused: int = 0

    @property
    def networks_ms(self) -> list[float]:
        """The networks' share of each frame."""
        parts = [self.stage_ms[name] for name in NETWORKS if name in self.stage_ms]
        return [sum(of) for of in zip(*parts, strict=True)]

    def add(self, result: GroundingResult, frame_ms: float, first_box_ms: float) -> None:
        """Adds a look.

        Args:
            result: of the grounder.
            frame_ms: the whole of it.
            first_box_ms: NaN when there was no box.
        """
        self.frame_ms.append(frame_ms)
        self.first_box_ms.append(first_box_ms)
        self.boxes += len(result.detections)
        self.tokens += result.counts.get("tokens", 0.0)
        for name, duration_ms in result.stage_ms.items():
            self.stage_ms.setdefault(name, []).append(duration_ms)


def look(subject: Subject, frame: RgbdFrame, times: LookTimes | None = None) -> None:
    """One look at a frame that no look was had at before.

    Args:
        subject: looks.
        frame: made another one first, so that nothing that is kept serves.
        times: where it is added; None: it only warms up.
    """
    fresh, first_s = replace(frame), math.nan

    def on_detection(_found: Detection3D) -> None:
        nonlocal first_s
        if math.isnan(first_s):
            first_s = time.perf_counter()

    began = time.perf_counter()
    try:
        result = subject.grounder.ground(fresh, GroundingRequest(), on_detection=on_detection)
    except GroundingError:
        if times is not None:
            times.refused += 1
        return
    if times is not None:
        times.add(result, (time.perf_counter() - began) * 1e3, (first_s - began) * 1e3)


def look_in_turn(
    subjects: Sequence[Subject],
    frames: Sequence[RgbdFrame],
    repeats: int,
    advance: Callable[[], None],
    dropped: Dropped,
) -> dict[str, LookTimes]:
    """Every runtime at every frame, one after the other, so that what else the machine does meets all of them.

    Args:
        subjects: look.
        frames: two at least: of the latest one the computation is kept.
        repeats: looks of each at each frame, after one that warms up.
        advance: told after each frame.
        dropped: takes those that fail.

    Returns:
        Times by name of the subject, of those that did not fail.
    """
    times = {subject.name: LookTimes() for subject in subjects}
    for turn in range(repeats + 1):
        for frame in frames:
            for subject in subjects:
                if subject.name not in dropped:
                    with dropped.catching(subject.name, "whole frame"):
                        look(subject, frame, times[subject.name] if turn else None)
            advance()
    return {name: of for name, of in times.items() if name not in dropped}


def look_rows(times: dict[str, LookTimes], note: str) -> list[Row]:
    """Whole frames, their stages, first boxes and boxes per second, and how the runtimes compare.

    Args:
        times: by name of the runtime.
        note: which frames.

    Returns:
        Rows.
    """
    rows = [
        Row.of_samples("whole frame", name, of.frame_ms, note=note + (f"; {of.refused} refused" if of.refused else ""))
        for name, of in times.items()
    ]
    stages = list(dict.fromkeys(stage for of in times.values() for stage in of.stage_ms))
    for stage in stages:
        rows += [
            Row.of_samples(f"stage {stage}", name, of.stage_ms.get(stage, ()), note=STAGES.get(stage, ""))
            for name, of in times.items()
        ]
    rows += [
        Row.of_samples("the networks", name, of.networks_ms, note=", ".join(NETWORKS)) for name, of in times.items()
    ]
    rows += [Row.of_samples("first box", name, of.first_box_ms, note="from the call") for name, of in times.items()]
    for name, of in times.items():
        seconds = sum(of.frame_ms) / 1e3
        rate = of.boxes / seconds if seconds else math.nan
        note = f"{of.boxes} boxes in {len(of.frame_ms)} frames, refined ones"
        rows.append(Row(figure="boxes per second", of=name, p50=rate, unit="boxes/s", note=note))
    names = list(times)
    for other in names[1:]:
        for figure, part in (("whole frame", "frame_ms"), ("the networks", "networks_ms")):
            pair = [(name, getattr(times[name], part)) for name in (names[0], other)]
            rows.append(ratio_row(f"{figure}, times as fast", pair[0], pair[1]))
    return rows


def energy_rows(subjects: Sequence[Subject], frames: Sequence[RgbdFrame], using: list[Meter]) -> list[Row]:
    """Power and energy of looks, of each runtime by itself.

    Args:
        subjects: look, one after the other.
        frames: are looked at for some seconds.
        using: meters; empty: nothing is readable here.

    Returns:
        Rows; one that says so where nothing is readable.
    """
    if not using:
        why = "not readable here: no RAPL counter, INA sensor or NVIDIA driver that this user may read"
        return [Row(figure="power", note=why)]
    rows = []
    for subject in subjects:
        count, begin, dropped = 0, time.monotonic(), Dropped()
        with dropped.catching(subject.name, "power"), measured_energy(using) as energy:
            while time.monotonic() - begin < ENERGY_S:
                for frame in frames:
                    look(subject, frame)
                count += len(frames)
        rows += dropped.rows
        if subject.name in dropped:
            continue
        for name, joules in energy.joules.items():
            note = f"{name}, {count} frames in {energy.seconds:.1f} s, one after the other"
            rows.append(Row(figure="power", of=subject.name, p50=joules / energy.seconds, unit="W", note=note))
            rows.append(Row(figure="energy of a frame", of=subject.name, p50=joules / count, unit="J", note=name))
    return rows
