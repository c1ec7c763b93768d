"""The node over a long time: images at 30 Hz, questions, a camera that is killed and started again, bags that loop.

Watched are its resident memory, its account of the frames and its log. A round is a camera at work, killed, a silence,
and a bag played in a loop, whose stamps lie in the past and jump back.
"""

from __future__ import annotations

import itertools
import math
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.asking import Asker, FrameAccount
from benchmarks.frames import BenchFrames, bench_frames
from n3d_ros.bench.process import resident_bytes
from n3d_ros.cli.live_session import camera_command, session_name, wait_until_ready
from n3d_ros.ros.measuring.topics import FRAME_ID, TOPICS

ROOT = Path(__file__).resolve().parents[1]
CAMERA_S, SILENCE_S, BAG_S = 30.0, 2.0, 12.0  # the parts of a round
BAG_FRAMES = 45  # one and a half seconds at 30 Hz, so that a round holds several loops
BAG_BEGIN_NS = 1_700_000_000_000_000_000
WARM_UP_S = 60.0  # memories fill, before growth is counted
SAMPLE_S = 2.0
SHARE_OF_SAMPLES = 0.15  # at either end, over which the memory is taken
QUESTIONS_HZ = 3.0
RATE_HZ = 30.0
FAULT = re.compile(r"Traceback|Internal error|Exception ignored|Segmentation")


@dataclass(slots=True, kw_only=True)
class EnduranceFigures:
    """What a long session gave.

    Args:
        seconds: it lasted.
        memory_mib: (seconds since the start, resident memory of the node) samples.
        frames: what became of the images.
        answers: of the questions, by code.
        asked: questions.
        camera_starts: how often the camera was started.
        bag_loops: how often a bag was started; each loops several times.
        faults: lines of the log that tell of an unhandled exception.
        exit_code: of the node after SIGINT.
    """

    seconds: float = 0.0
    memory_mib: list[tuple[float, float]] = field(default_factory=list)
    frames: FrameAccount = field(default_factory=FrameAccount)
    answers: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    camera_starts: int = 0
    bag_loops: int = 0
    faults: list[str] = field(default_factory=list)
    exit_code: int = 0

    @property
    def growth_mib(self) -> float:
        """Resident memory at the end less that after the warm-up, medians over the samples at either end."""
        counted = [mib for at_s, mib in self.memory_mib if at_s >= WARM_UP_S]
        if len(counted) < 4:
            return math.nan
        n = max(2, round(SHARE_OF_SAMPLES * len(counted)))
        return float(np.median(counted[-n:]) - np.median(counted[:n]))


def measure_endurance(
    *,
    minutes: float,
    frames: BenchFrames | None = None,
    tell: Callable[[str], None] = lambda _text: None,
) -> EnduranceFigures:
    """The figures of one long session.

    Args:
        minutes: how long, at least two.
        frames: what the camera publishes; None: those at hand.
        tell: told how it goes, once a round.

    Returns:
        What was watched.

    Raises:
        BackendError: the node did not come up or found nothing.
    """
    from n3d_ros.cli.start import node_command, started
    from n3d_ros.ros.session import ros_node

    namespace = session_name("endurance")
    figures = EnduranceFigures()
    chosen = frames or bench_frames()
    with tempfile.TemporaryDirectory() as folder, ros_node("bench_endurance") as node:
        images, log, bag = Path(folder, "frames.npz"), Path(folder, "node.log"), Path(folder, "bag")
        chosen.save(images)
        write_bag(bag, chosen)
        begin = time.monotonic()
        with (
            log.open("wb") as output,
            started(node_command(namespace=namespace), stdout=output, stderr=subprocess.STDOUT) as process,
        ):
            wait_until_ready(node, namespace, process, log)
            session = _Session(Asker(node, namespace), process.pid, figures, begin)
            session.asker.meet()
            for round_number in itertools.count(1):
                session.camera(namespace, images)
                session.watch(SILENCE_S)
                session.bag(namespace, bag)
                session.watch(SILENCE_S)
                tell(
                    f"  round {round_number}, {(time.monotonic() - begin) / 60:.1f} of {minutes:g} min: "
                    f"{figures.memory_mib[-1][1]:.0f} MiB, {figures.asked} questions"
                )
                if time.monotonic() - begin > 60 * minutes or process.poll() is not None:
                    break
            figures.frames = session.asker.settled()
            figures.seconds = time.monotonic() - begin
            process.send_signal(signal.SIGINT)
            figures.exit_code = process.wait(timeout=20)
        lines = log.read_text(errors="replace").splitlines()
        figures.faults = [line for line in lines if FAULT.search(line)]
    return figures


class _Session:
    """One node being watched and asked, while images come or do not."""

    def __init__(self, asker: Asker, pid: int, figures: EnduranceFigures, begin_s: float) -> None:
        self.asker, self._pid, self._figures, self._begin_s = asker, pid, figures, begin_s
        self._next_sample_s = self._next_question_s = begin_s

    def watch(self, seconds: float) -> None:
        """Asks and samples for a while."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            if now >= self._next_sample_s:
                self._figures.memory_mib.append((now - self._begin_s, resident_bytes(self._pid) / 2**20))
                self._next_sample_s = now + SAMPLE_S
            if now >= self._next_question_s:
                self.asker.ask_and_count(self._figures.answers)
                self._figures.asked += 1
                self._next_question_s = now + 1 / QUESTIONS_HZ
            self.asker.spin(0.05)

    def camera(self, namespace: str, images: Path) -> None:
        """A camera at work that is killed."""
        command = camera_command(images, seconds=10 * CAMERA_S, rate_hz=RATE_HZ, namespace=namespace)
        self._publisher(command, CAMERA_S)
        self._figures.camera_starts += 1

    def bag(self, namespace: str, bag: Path) -> None:
        """A bag in a loop that is killed."""
        command = [sys.executable, "-m", "n3d_ros.cli", "replay", str(bag), "--loop", "--wait", "10"]
        for recorded, topic in zip(BAG_TOPICS, TOPICS, strict=True):
            command += ["-r", f"{recorded}:=/{namespace}/{topic}"]
        self._publisher(command, BAG_S)
        self._figures.bag_loops += 1

    def _publisher(self, command: Sequence[str], seconds: float) -> None:
        """A process that publishes, killed in the middle of it as when its cable is pulled."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, **quiet)  # type: ignore[call-overload]
        try:
            self.watch(seconds)
        finally:
            process.kill()
            process.wait()


BAG_TOPICS = (
    "/camera/color/image_raw",
    "/camera/color/camera_info",
    "/camera/aligned_depth_to_color/image_raw",
    "/camera/aligned_depth_to_color/camera_info",
)  # as RgbdBagWriter names them, in the order of TOPICS


def write_bag(path: Path, frames: BenchFrames) -> None:
    """Writes some of the frames as a bag of raw images.

    Args:
        path: folder to make.
        frames: what to write.
    """
    from n3d_ros.ros.bag import BagWriter
    from n3d_ros.ros.rgbd_bag import RgbdBagWriter

    with BagWriter(path, compress=False) as writer:
        camera = RgbdBagWriter(writer, frames.intrinsics, frame_id=FRAME_ID)
        for i in range(BAG_FRAMES):
            k = i % len(frames.rgb)
            camera.write_frame(frames.rgb[k], frames.depth_mm[k], BAG_BEGIN_NS + round(i * 1e9 / RATE_HZ))
