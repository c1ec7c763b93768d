"""The real node at a stated rate of images: a camera, the node and this observer, each in a process of its own."""

from __future__ import annotations

import math
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from n3d_ros.bench.frames import BenchFrames
from n3d_ros.bench.looks import STAGES
from n3d_ros.bench.process import cpu_seconds, resident_bytes
from n3d_ros.bench.table import Row
from n3d_ros.cli.live_session import camera_command, log_tail, session_name, wait_until_ready
from n3d_ros.cli.start import node_command, quoted_source, started
from n3d_ros.errors import BackendError

if TYPE_CHECKING:
    from n3d_ros.inference.language_model.config import LanguageModelConfig
    from n3d_ros.ros.measuring.observer import Counts, Observer, Seen

MODEL = "language_model"  # the grounder's name in frame reports
MODEL_TIMEOUT_S = 900.0  # until the model answers: large weights from a slow disk, and no GPU
WARM_UP_S = 1.0  # of images that do not count, from the model's first answer
DRAIN_S = 60.0  # longest wait for the last results
LEAST_QUIET_S = 2.0  # without results, after which none is waited for
GIVEN_UP = "cannot be used"  # words of the node's log about a model that it goes on without
Progress = Callable[[str, float], None]


@dataclass(slots=True, kw_only=True)
class Session:
    """What came of images at one rate.

    Args:
        rate_hz: pairs of images per second.
        seconds: how long.
        seen: of each image that the node answered or told of.
        counts: the node's own account of that time.
        cpu_share: processor time of the node's process, in cores.
        memory_bytes: most that the node's process has held so far.
    """

    rate_hz: float
    seconds: float
    seen: list[Seen] = field(default_factory=list)
    counts: Counts
    cpu_share: float = math.nan
    memory_bytes: float = math.nan


def node_parameters(config: LanguageModelConfig) -> dict[str, str]:
    """The parameters that make the node run what was measured bare.

    Args:
        config: of the bare runtime.

    Returns:
        Values by name, in YAML.
    """
    return {
        "grounder": MODEL,
        "model": quoted_source(config.model),
        "language_model.backend": config.backend,
        "language_model.device": config.device,
        "language_model.dtype": config.dtype,
    }


def measure_node(
    name: str, config: LanguageModelConfig, frames: BenchFrames, rates_hz: Sequence[float], seconds: float,
    tell: Progress,
) -> list[Row]:  # fmt: skip
    """Figures of one node at some rates, one after the other.

    Args:
        name: of the runtime, for the table.
        config: its settings.
        frames: what the camera publishes, in turn.
        rates_hz: pairs of images per second.
        seconds: of each rate.
        tell: told how far it is.

    Returns:
        Rows.

    Raises:
        BackendError: the node did not come up, ended, or could not use the model.
    """
    from n3d_ros.ros.measuring.observer import observing
    from n3d_ros.ros.session import ros_node

    namespace = session_name("speed")
    command = node_command(namespace=namespace, parameters=node_parameters(config))
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, ros_node("speed_observer") as node:
        images, log = Path(folder, "frames.npz"), Path(folder, "node.log")
        frames.save(images)
        begin = time.monotonic()
        with log.open("wb") as output, started(command, stdout=output, stderr=subprocess.STDOUT) as process:
            wait_until_ready(node, namespace, process, log)
            rows.append(Row(figure="node ready", of=name, p50=time.monotonic() - begin, unit="s",
                            note="process start to subscribed; the model loads beside it"))  # fmt: skip
            with observing(node, namespace) as observer:
                watch = _Watch(observer, process, log)
                for number, rate_hz in enumerate(rates_hz):
                    tell(f"The node at {rate_hz:g} Hz", number / len(rates_hz))
                    camera = camera_command(
                        images, seconds=MODEL_TIMEOUT_S + seconds, rate_hz=rate_hz, namespace=namespace
                    )
                    with started(camera) as publisher:
                        session = watch.session(rate_hz, seconds, publisher)
                    if number == 0:
                        ready = watch.answered_s - begin
                        rows.append(Row(figure="node answers with the model", of=name, p50=ready, unit="s",
                                        note="process start to its first result"))  # fmt: skip
                    rows += session_rows(name, session)
    return rows


class _Watch:
    """Observes one node through several sessions."""

    def __init__(self, observer: Observer, process: subprocess.Popen[bytes], log: Path) -> None:
        self._observer, self._process, self._log = observer, process, log
        self.answered_s = math.nan

    def session(self, rate_hz: float, seconds: float, camera: subprocess.Popen[bytes]) -> Session:
        """Waits for the model's answer, then observes; ends the camera."""
        observer = self._observer
        observer.forget()
        self._spin_until(self._answers, MODEL_TIMEOUT_S, camera)
        self.answered_s = time.monotonic()
        self._spin_until(lambda: False, WARM_UP_S, camera, fails=False)
        before, cpu_s, begin_ns, begin = (
            observer.counts,
            cpu_seconds(self._process.pid),
            time.time_ns(),
            time.monotonic(),
        )
        self._spin_until(lambda: False, seconds, camera, fails=False)
        lasted, cpu_s = time.monotonic() - begin, cpu_seconds(self._process.pid) - cpu_s
        end_ns = time.time_ns()
        camera.terminate()
        self._drain()
        return Session(
            rate_hz=rate_hz,
            seconds=lasted,
            seen=[seen for seen in observer.seen.values() if begin_ns <= seen.stamp_ns < end_ns],
            counts=observer.counts.since(before),
            cpu_share=cpu_s / lasted,
            memory_bytes=resident_bytes(self._process.pid, peak=True),
        )

    def _answers(self) -> bool:
        """Whether the model itself has answered."""
        return any(seen.backend == MODEL and seen.objects_ms is not None for seen in self._observer.seen.values())

    def _spin_until(
        self, is_over: Callable[[], bool], timeout_s: float, camera: subprocess.Popen[bytes], *, fails: bool = True
    ) -> None:
        """Receives until something is so, or the time is over."""
        deadline, checked_s = time.monotonic() + timeout_s, 0.0

        def goes_on() -> bool:
            nonlocal checked_s
            now_s = time.monotonic()
            if now_s - checked_s > 1.0:
                checked_s = now_s
                self._check(camera)
            return now_s < deadline and not is_over()

        self._observer.spin_while(goes_on)
        if fails and not is_over():
            raise BackendError(f"The node did not answer with the model within {timeout_s:g} s:\n{log_tail(self._log)}")

    def _check(self, camera: subprocess.Popen[bytes]) -> None:
        """Refuses to wait for what will not come."""
        if self._process.poll() is not None:
            raise BackendError(f"The node ended:\n{log_tail(self._log)}")
        if camera.poll() is not None:
            raise BackendError(f"The camera's process ended with {camera.returncode}.")
        given_up = [line for line in self._log.read_text(errors="replace").splitlines() if GIVEN_UP in line]
        if given_up:
            raise BackendError(f"The node goes on without the model: {given_up[0]}")

    def _drain(self) -> None:
        """Receives until nothing has come for twice as long as the slowest result took."""
        slowest_s = max((seen.objects_ms or 0.0 for seen in self._observer.seen.values()), default=0.0) / 1e3
        patience_s = max(LEAST_QUIET_S, 2 * slowest_s)
        known, quiet_s, deadline = -1, time.monotonic(), time.monotonic() + DRAIN_S

        def goes_on() -> bool:
            nonlocal known, quiet_s
            now_s = time.monotonic()
            arrived = sum(seen.objects_ms is not None for seen in self._observer.seen.values())
            if arrived != known:
                known, quiet_s = arrived, now_s
            return now_s < deadline and now_s - quiet_s < patience_s

        self._observer.spin_while(goes_on)


def session_rows(name: str, session: Session) -> list[Row]:
    """Latency, stages and load at one rate.

    Args:
        name: of the runtime.
        session: what was observed.

    Returns:
        Rows.
    """
    seen, at = session.seen, f"node at {session.rate_hz:g} Hz"

    def samples(values: Sequence[float | None]) -> list[float]:
        return [value for value in values if value is not None]

    objects = samples([one.objects_ms for one in seen])
    drops = ", ".join(f"{count} {reason}" for reason, count in session.counts.dropped.items()) or "none"
    account = f"{session.counts.received} pairs received, {session.counts.used} looked at; dropped: {drops}"
    rows = [
        Row.of_samples(f"{at}: image stamp to objects", name, objects, note="received in another process"),
        Row.of_samples(f"{at}: image stamp to markers", name, samples([one.markers_ms for one in seen]),
                       note="of images with objects"),
        Row.of_samples(f"{at}: age when processing begins", name, samples([one.age_at_start_ms for one in seen]),
                       note="as the node reports it"),
        Row(figure=f"{at}: results per second", of=name, p50=len(objects) / session.seconds, unit="Hz",
            note=f"{session.seconds:.0f} s; {account}"),
        Row(figure=f"{at}: processor", of=name, p50=100 * session.cpu_share, unit="% of a core",
            note="of the node's process"),
        Row(figure=f"{at}: memory, peak", of=name, p50=session.memory_bytes / 2**20, unit="MiB",
            note="of the node's process so far"),
    ]  # fmt: skip
    stages: dict[str, list[float]] = {}
    for one in seen:
        for stage, duration_ms in one.stage_ms.items():
            stages.setdefault(stage, []).append(duration_ms)
    rows += [
        Row.of_samples(f"{at}: stage {stage}", name, values, note=STAGES.get(stage.rpartition("/")[2], ""))
        for stage, values in stages.items()
    ]
    return rows


def node_rows(
    named: Sequence[tuple[str, LanguageModelConfig]], frames: BenchFrames, rates_hz: Sequence[float], seconds: float,
    tell: Progress,
) -> list[Row]:  # fmt: skip
    """Figures of a node of each runtime; one that fails costs only its own.

    Args:
        named: name and settings of each runtime.
        frames: what the camera publishes.
        rates_hz: pairs of images per second.
        seconds: of each rate.
        tell: told how far it is.

    Returns:
        Rows.
    """
    rows: list[Row] = []
    for number, (name, config) in enumerate(named):
        done = number / len(named)
        try:
            rows += measure_node(
                name,
                config,
                frames,
                rates_hz,
                seconds,
                lambda text, share, done=done: tell(text, done + share / len(named)),  # type: ignore[misc]
            )
        except BackendError as error:
            rows.append(Row(figure="node", of=name, note=error.message))
    return rows
