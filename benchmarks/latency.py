"""Latency and load of the running node: a camera, the node and this observer, each in a process of its own.

Measured are: image stamp to received objects, the same with a grounder that does nothing (the ROS side alone), the age
of a frame when its processing begins, the time until the node listens, and what it costs while no images arrive.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.frames import BenchFrames, bench_frames
from n3d_ros.bench.process import cpu_share

if TYPE_CHECKING:
    from n3d_ros.ros.measuring.observer import Observer

NODE_MODULE, TRIVIAL_MODULE = "n3d_ros.ros.node", "benchmarks.trivial_node"
SETTLE_S = 2.0  # after the start, before idling is measured
WARM_UP_S = 1.0  # of results that do not count: caches, first allocations
CORE_STAGES = ("ground", "scene")  # what is not the ROS side of a frame


@dataclass(slots=True, kw_only=True)
class LiveFigures:
    """What one live session gave.

    Args:
        ready_s: from the start of the process until it subscribed to both images.
        idle_share: of one core while no images arrive.
        latency_ms: image stamp to received objects, one per result.
        age_at_start_ms: image stamp to the beginning of its processing.
        images: pairs published.
        dropped: the node's own counts.
        stages: milliseconds of each step, one per report.
        ros_side_ms: latency without grounding and scene: receiving both images, converting, publishing, receiving.
    """

    ready_s: float = float("nan")
    idle_share: float = float("nan")
    latency_ms: list[float] = field(default_factory=list)
    age_at_start_ms: list[float] = field(default_factory=list)
    images: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    stages: dict[str, list[float]] = field(default_factory=dict)
    ros_side_ms: list[float] = field(default_factory=list)

    @property
    def stage_text(self) -> str:
        """The median of each step, in words."""
        medians = {name: float(np.median(values)) for name, values in self.stages.items() if "/" not in name}
        return ", ".join(f"{name} {value:.1f}" for name, value in medians.items() if value >= 0.05)


def measure_live(
    *, module: str, seconds: float, rate_hz: float = 30.0, idle_s: float = 0.0, frames: BenchFrames | None = None
) -> LiveFigures:
    """The figures of one live session.

    Args:
        module: with the node's main.
        seconds: of images.
        rate_hz: pairs per second.
        idle_s: how long to watch the node without images first; 0: not.
        frames: what to publish; None: those at hand.

    Returns:
        What was measured.

    Raises:
        BackendError: the node did not come up.
    """
    from n3d_ros.cli.live_session import camera_command, session_name, wait_until_ready
    from n3d_ros.cli.start import node_command, started
    from n3d_ros.ros.measuring.observer import observing
    from n3d_ros.ros.session import ros_node

    namespace = session_name("bench")
    command = node_command(namespace=namespace)
    command[command.index("-m") + 1] = module
    figures = LiveFigures(images=round(seconds * rate_hz))
    with tempfile.TemporaryDirectory() as folder, ros_node("bench_observer") as node:
        path = Path(folder, "frames.npz")
        (frames or bench_frames()).save(path)
        begin = time.monotonic()
        with (
            Path(folder, "node.log").open("wb") as log,
            started(command, stdout=log, stderr=subprocess.STDOUT) as process,
        ):
            wait_until_ready(node, namespace, process, Path(folder, "node.log"))
            figures.ready_s = time.monotonic() - begin
            if idle_s:
                time.sleep(SETTLE_S)
                figures.idle_share = cpu_share(process.pid, idle_s)
            camera = camera_command(path, seconds=seconds, rate_hz=rate_hz, namespace=namespace)
            with started(camera) as publisher, observing(node, namespace) as observer:
                observer.spin_while(lambda: publisher.poll() is None)
                _take(figures, observer)
    return figures


def _take(figures: LiveFigures, observer: Observer) -> None:
    """What was observed after the first second."""
    first_ns = min(observer.seen, default=0)
    for stamp_ns, seen in observer.seen.items():
        if stamp_ns - first_ns <= WARM_UP_S * 1e9:
            continue
        if seen.objects_ms is not None:
            figures.latency_ms.append(seen.objects_ms)
        if seen.age_at_start_ms is not None:
            figures.age_at_start_ms.append(seen.age_at_start_ms)
            for name, duration_ms in seen.stage_ms.items():
                figures.stages.setdefault(name, []).append(duration_ms)
            if seen.objects_ms is not None:
                core_ms = sum(seen.stage_ms.get(name, 0.0) for name in CORE_STAGES)
                figures.ros_side_ms.append(seen.objects_ms - core_ms)
    figures.dropped = observer.counts.dropped
