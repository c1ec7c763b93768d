"""Latency and load of the running node: a camera, the node and this observer, each in a process of its own.

Measured are: image stamp to received objects, the same with a grounder that does nothing (the ROS side alone), the age
of a frame when its processing begins, the time until the node listens, and what it costs while no images arrive.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.camera import TOPICS
from benchmarks.frames import BenchFrames, bench_frames
from n3d_ros.errors import BackendError

NODE_MODULE, TRIVIAL_MODULE = "n3d_ros.ros.node", "benchmarks.trivial_node"
READY_TIMEOUT_S = 60.0
POLL_S = 0.01
SETTLE_S = 2.0  # after the start, before idling is measured
WARM_UP_S = 1.0  # of results that do not count: caches, first allocations
ROOT = Path(__file__).resolve().parents[1]
SESSIONS = itertools.count()
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

    def percentile(self, name: str, percent: float) -> float:
        """A percentile of a list.

        Args:
            name: "latency_ms", "age_at_start_ms" or "ros_side_ms".
            percent: 0 to 100.

        Returns:
            Milliseconds, NaN when nothing was measured.
        """
        values = np.asarray(getattr(self, name), dtype=np.float64)
        values = values[np.isfinite(values)]
        return float(np.percentile(values, percent)) if values.size else float("nan")


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
    from n3d_ros.cli.start import node_command, started
    from n3d_ros.ros.session import ros_node

    # A namespace of its own: a node of an earlier session that DDS still remembers must not be taken for this one.
    namespace = f"bench_{os.getpid()}_{next(SESSIONS)}"
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
            camera = [sys.executable, "-m", "benchmarks.camera", str(path)]
            camera += ["--seconds", str(seconds), "--rate", str(rate_hz), "--namespace", namespace]
            with started(camera, cwd=ROOT) as publisher:
                _observe(node, namespace, figures, lambda: publisher.poll() is None)
    return figures


def wait_until_ready(node: Any, namespace: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Waits until both images have a subscriber.

    Args:
        node: the observer.
        namespace: of the node that is waited for.
        process: of that node.
        log: what it wrote.

    Raises:
        BackendError: it ended, or did not come up in time.
    """
    deadline = time.monotonic() + READY_TIMEOUT_S
    images = [f"/{namespace}/{topic}" for topic in (TOPICS[0], TOPICS[2])]
    while not all(node.count_subscribers(topic) for topic in images):
        if process.poll() is not None or time.monotonic() > deadline:
            raise BackendError(f"The node did not come up:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(POLL_S)


def _observe(node: Any, namespace: str, figures: LiveFigures, is_running: Callable[[], bool]) -> None:
    """Receives results until the camera is done."""
    from n3d_msgs.msg import FrameReport, Object3DArray
    from rclpy.executors import SingleThreadedExecutor

    from n3d_ros.ros.conversions import stamp_to_ns

    first_ns: list[int] = []
    latency_by_stamp: dict[int, float] = {}
    core_by_stamp: dict[int, float] = {}

    def counts(stamp_ns: int) -> bool:
        first_ns[:] = first_ns or [stamp_ns]
        return stamp_ns - first_ns[0] > WARM_UP_S * 1e9

    def on_objects(message: Any) -> None:
        now_ns, stamp_ns = time.time_ns(), stamp_to_ns(message.header.stamp)
        if counts(stamp_ns):
            latency_by_stamp[stamp_ns] = (now_ns - stamp_ns) / 1e6

    def on_report(message: Any) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        if counts(stamp_ns):
            figures.age_at_start_ms.append(float(message.age_at_start_ms))
            core_by_stamp[stamp_ns] = sum(s.duration_ms for s in message.stages if s.name in CORE_STAGES)
            for stage in message.stages:
                figures.stages.setdefault(stage.name, []).append(float(stage.duration_ms))
        figures.dropped = {item.name: int(item.count) for item in message.frames_dropped}

    node.create_subscription(Object3DArray, f"/{namespace}/n3d/objects", on_objects, 10)
    node.create_subscription(FrameReport, f"/{namespace}/n3d/frame_report", on_report, 10)
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    try:
        while is_running():
            executor.spin_once(timeout_sec=0.05)
    finally:
        executor.shutdown()
    figures.latency_ms = list(latency_by_stamp.values())
    figures.ros_side_ms = [ms - core_by_stamp[at] for at, ms in latency_by_stamp.items() if at in core_by_stamp]


def cpu_share(pid: int, seconds: float) -> float:
    """The share of one core that a process takes.

    Args:
        pid: of the process.
        seconds: how long to watch.

    Returns:
        0 for nothing, 1 for a whole core.
    """
    begin, start = time.monotonic(), _cpu_seconds(pid)
    time.sleep(seconds)
    return (_cpu_seconds(pid) - start) / (time.monotonic() - begin)


def _cpu_seconds(pid: int) -> float:
    """Processor time of a process so far, all threads (proc(5), fields utime and stime)."""
    content = Path(f"/proc/{pid}/stat").read_text()
    fields = content.rpartition(")")[2].split()  # the name before it may hold spaces
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
