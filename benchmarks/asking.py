"""Questions to the running node, client to client, while a camera publishes: how soon answered, and how many a second.

Camera, node and this asker are processes of their own. First one question at a time, then a steady stream of them that
does not wait for answers.
"""

from __future__ import annotations

import itertools
import math
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.frames import BenchFrames, bench_frames
from benchmarks.latency import NODE_MODULE
from n3d_ros.cli.live_session import camera_command, session_name, wait_until_ready
from n3d_ros.errors import BackendError, StatusCode

QUESTIONS = (
    "where is the red box?",
    "how many boxes are there?",
    "is there a blue box?",
    "what do you see?",
    "which object is the largest?",
    "what is left of the nearest object?",
    "how far is the nearest object from the largest one?",
    "is the nearest object taller than the largest one?",
    "how tall is the nearest object?",
    "order the objects from nearest to farthest",
)
THINK_S = 0.04  # between an answer and the next question of the first part: questions fall anywhere into a frame
STREAM_HZ = 200.0
ANSWERED = (StatusCode.OK, StatusCode.NOT_FOUND, StatusCode.AMBIGUOUS, StatusCode.NOT_UNDERSTOOD)
FIRST_OBJECTS_S = 30.0
LAST_ANSWERS_S = 5.0
SETTLE_S = 2.0  # for the last report of the frames
IMAGE_REASONS = ("unpaired_", "late_", "duplicate_", "zero_stamp", "time_jumped_back")  # never were a pair of images


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameAccount:
    """What became of the pairs of images, as the node reports it.

    Args:
        received: pairs that the node received.
        used: of these, processed.
        dropped: pairs and single images that the node tells of as dropped, by reason.
    """

    received: int = 0
    used: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def unreported(self) -> int:
        """Pairs that were received, and neither used nor told of as dropped."""
        pairs = sum(count for reason, count in self.dropped.items() if not reason.startswith(IMAGE_REASONS))
        return self.received - self.used - pairs

    @property
    def text(self) -> str:
        """In words, for a table."""
        drops = ", ".join(f"{count} {name}" for name, count in self.dropped.items()) or "none"
        return f"{self.received} pairs received, {self.used} processed; dropped: {drops}"


@dataclass(slots=True, kw_only=True)
class AskingFigures:
    """What one session of asking gave.

    Args:
        alone_ms: question to answer, one at a time.
        stream_ms: question to answer, of the steady stream.
        sent: questions of the stream.
        answered: of these, by the code they ended with.
        stream_s: time the stream took, to its last answer.
        frames: what became of the images meanwhile.
    """

    alone_ms: list[float] = field(default_factory=list)
    stream_ms: list[float] = field(default_factory=list)
    sent: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    stream_s: float = math.nan
    frames: FrameAccount = field(default_factory=FrameAccount)

    @property
    def failed(self) -> int:
        """Questions of the stream that got no answer or a refusal."""
        return self.sent - sum(count for name, count in self.answered.items() if StatusCode[name] in ANSWERED)


@contextmanager
def running_camera(
    namespace: str, frames: Path, *, seconds: float, rate_hz: float
) -> Iterator[subprocess.Popen[bytes]]:
    """A camera process, ended with the block.

    Args:
        namespace: of its topics.
        frames: file of ``BenchFrames``.
        seconds: for how long it publishes.
        rate_hz: pairs per second.

    Yields:
        The process.
    """
    from n3d_ros.cli.start import started

    command = camera_command(frames, seconds=seconds, rate_hz=rate_hz, namespace=namespace)
    with started(command) as process:
        yield process


def measure_asking(
    *,
    seconds: float,
    rate_hz: float = 30.0,
    stream_hz: float = STREAM_HZ,
    frames: BenchFrames | None = None,
    module: str = NODE_MODULE,
) -> AskingFigures:
    """The figures of one session.

    Args:
        seconds: of each of the two parts.
        rate_hz: pairs of images per second.
        stream_hz: questions per second in the second part.
        frames: what the camera publishes; None: those at hand.
        module: with the node's main.

    Returns:
        What was measured.

    Raises:
        BackendError: the node did not come up or found nothing.
    """
    from n3d_ros.cli.start import node_command, started
    from n3d_ros.ros.session import ros_node

    namespace = session_name("asking")
    figures = AskingFigures()
    with tempfile.TemporaryDirectory() as folder, ros_node("bench_asker") as node:
        images, log = Path(folder, "frames.npz"), Path(folder, "node.log")
        (frames or bench_frames()).save(images)
        command = [module if word == NODE_MODULE else word for word in node_command(namespace=namespace)]
        with log.open("wb") as output, started(command, stdout=output, stderr=subprocess.STDOUT) as process:
            wait_until_ready(node, namespace, process, log)
            asker = Asker(node, namespace)
            camera_s = 2 * seconds + FIRST_OBJECTS_S + LAST_ANSWERS_S
            with running_camera(namespace, images, seconds=camera_s, rate_hz=rate_hz):
                asker.wait_for_objects()
                figures.alone_ms = asker.one_at_a_time(seconds)
                asker.stream(seconds, stream_hz, figures)
            figures.frames = asker.settled()
    return figures


class Asker:
    """Asks the node of a namespace and keeps its newest frame report.

    Args:
        node: an rclpy node that nobody else spins.
        namespace: of the n3d node.
    """

    def __init__(self, node: Any, namespace: str) -> None:
        from n3d_msgs.msg import FrameReport
        from n3d_msgs.srv import SpatialQuery
        from rclpy.executors import SingleThreadedExecutor

        from n3d_ros.ros.qos import REQUEST

        self._request = SpatialQuery.Request
        # As deep as the node's own queue: a burst of answers must not push each other out before they are taken.
        self._client = node.create_client(SpatialQuery, f"/{namespace}/n3d/query", qos_profile=REQUEST)
        self._report: Any = None
        node.create_subscription(FrameReport, f"/{namespace}/n3d/frame_report", self._on_report, 10)
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self._questions = itertools.cycle(QUESTIONS)

    def _on_report(self, message: Any) -> None:
        self._report = message

    def _spin_for(self, seconds: float) -> None:
        """Lets messages in for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def meet(self) -> None:
        """Returns once the service is found, or after a while: an answer to a client just met may be lost."""
        deadline = time.monotonic() + LAST_ANSWERS_S
        while not self._client.service_is_ready() and time.monotonic() < deadline:
            self.spin(0.05)
        self._spin_for(1.0)

    def spin(self, seconds: float) -> None:
        """Lets one message in.

        Args:
            seconds: longest wait for it.
        """
        self._executor.spin_once(timeout_sec=seconds)

    def wait_for_subscriber(self, publisher: Any) -> None:
        """Returns once somebody listens to a publisher, or after a while.

        Args:
            publisher: of this node.
        """
        deadline = time.monotonic() + LAST_ANSWERS_S
        while not publisher.get_subscription_count() and time.monotonic() < deadline:
            self.spin(0.02)

    def is_answered(self) -> bool:
        """Whether the node finds objects and answers a question about them.

        Returns:
            False also when there is no answer in time.
        """
        try:
            self.wait_for_objects()
        except BackendError:
            return False
        future, deadline = self._asked(), time.monotonic() + LAST_ANSWERS_S
        while not future.done() and time.monotonic() < deadline:
            self.spin(0.1)
        return bool(future.done() and StatusCode(future.result().status.code) in ANSWERED)

    def ask_and_count(self, answers: Counter[str]) -> None:
        """Asks the next question; its answer is counted when it comes.

        Args:
            answers: count by code.
        """

        def count(future: Any) -> None:
            answers[StatusCode(future.result().status.code).name] += 1

        self._asked().add_done_callback(count)

    def _asked(self) -> Any:
        request = self._request(question=next(self._questions))
        request.viewpoint.orientation.w = 1.0
        return self._client.call_async(request)

    def wait_for_objects(self) -> None:
        """Returns once the node has found objects.

        Raises:
            BackendError: it has not in time.
        """
        deadline = time.monotonic() + FIRST_OBJECTS_S
        while self._report is None or not self._report.object_count or not self._client.service_is_ready():
            if time.monotonic() > deadline:
                raise BackendError("The node found no objects in the benchmark's images.")
            self._executor.spin_once(timeout_sec=0.1)
        self._spin_for(1.0)

    def one_at_a_time(self, seconds: float) -> list[float]:
        """Milliseconds from question to answer, each asked after the one before is answered.

        Args:
            seconds: for how long.

        Returns:
            One number per question.
        """
        end, took_ms = time.monotonic() + seconds, list[float]()
        while time.monotonic() < end:
            begin = time.monotonic()
            future = self._asked()
            while not future.done():
                self._executor.spin_once(timeout_sec=1.0)
            took_ms.append(1e3 * (time.monotonic() - begin))
            self._spin_for(THINK_S)
        return took_ms

    def stream(self, seconds: float, rate_hz: float, figures: AskingFigures) -> None:
        """Asks at a steady rate, whether answers have come or not.

        Args:
            seconds: for how long.
            rate_hz: questions per second.
            figures: filled in.
        """
        begin, total = time.monotonic(), round(seconds * rate_hz)
        last_s = begin

        def on_answer(future: Any, asked_s: float) -> None:
            nonlocal last_s
            last_s = time.monotonic()
            figures.stream_ms.append(1e3 * (last_s - asked_s))
            figures.answered[StatusCode(future.result().status.code).name] += 1

        for i in range(total):
            while (wait_s := begin + i / rate_hz - time.monotonic()) > 0:
                self._executor.spin_once(timeout_sec=wait_s)
            asked_s = time.monotonic()
            self._asked().add_done_callback(lambda future, asked_s=asked_s: on_answer(future, asked_s))
            figures.sent += 1
        deadline = time.monotonic() + LAST_ANSWERS_S
        while len(figures.stream_ms) < figures.sent and time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=0.1)
        figures.stream_s = last_s - begin

    def settled(self) -> FrameAccount:
        """The node's last report of its frames.

        Returns:
            The account.
        """
        self._spin_for(SETTLE_S)
        report = self._report
        return FrameAccount(
            received=int(report.frames_received),
            used=int(report.frames_used),
            dropped={item.name: int(item.count) for item in report.frames_dropped},
        )
