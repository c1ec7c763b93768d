"""/diagnostics, once a second: through diagnostic_updater where it imports, else a publisher and a timer of our own."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from n3d_ros.ros.clocks import steady_clock
from n3d_ros.ros.plain_text import plain

logger = logging.getLogger(__name__)

DEFAULT_PERIOD_S = 1.0  # seconds, diagnostic_updater's default


class DiagnosticLevel(IntEnum):
    """Levels of ``diagnostic_msgs/DiagnosticStatus``."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosticReport:
    """How one part of the node is doing.

    Args:
        level: the worst of what there is to say.
        message: one sentence.
        values: details by name; shown as text.
    """

    level: DiagnosticLevel = DiagnosticLevel.OK
    message: str = ""
    values: Mapping[str, object] = field(default_factory=dict)


DiagnosticTask = Callable[[], DiagnosticReport]


def has_updater() -> bool:
    """Whether diagnostic_updater can be imported.

    Returns:
        True where it is installed.
    """
    return importlib.util.find_spec("diagnostic_updater") is not None


class DiagnosticsPublisher:
    """Asks its tasks once per period and publishes what they say on /diagnostics.

    Args:
        node: the rclpy node.
        hardware_id: what the node works with, for instance the device's name.
        period_s: seconds between messages.
        prefer_updater: whether diagnostic_updater is used where it imports.
    """

    def __init__(
        self, node: Any, hardware_id: str, *, period_s: float = DEFAULT_PERIOD_S, prefer_updater: bool = True
    ) -> None:
        if prefer_updater and has_updater():
            self._backend: _OwnUpdater | _RosUpdater = _RosUpdater(node, hardware_id, period_s)
        else:
            self._backend = _OwnUpdater(node, hardware_id, period_s)

    def add(self, name: str, task: DiagnosticTask) -> None:
        """Adds a part to report on.

        Args:
            name: shown as "<node>: <name>".
            task: called on the executor's thread; should be quick. One that raises is reported as an error.
        """
        self._backend.add(name, _guarded(name, task))

    def publish_now(self) -> None:
        """Publishes without waiting for the period, for instance when the state changes."""
        self._backend.publish()

    def close(self) -> None:
        """Stops publishing."""
        self._backend.close()


def _guarded(name: str, task: DiagnosticTask) -> DiagnosticTask:
    """The task, with whatever it raises turned into a report: diagnostics must not stop the node."""

    def guarded() -> DiagnosticReport:
        try:
            return task()
        except Exception as error:
            logger.exception("Diagnostic task %r failed", name)
            return DiagnosticReport(level=DiagnosticLevel.ERROR, message=f"The diagnostic task itself failed: {error}")

    return guarded


class _OwnUpdater:
    """A publisher and a timer."""

    def __init__(self, node: Any, hardware_id: str, period_s: float) -> None:
        from diagnostic_msgs.msg import DiagnosticArray

        self._node, self._hardware_id = node, hardware_id
        self._tasks: dict[str, DiagnosticTask] = {}
        self._publisher: Any = node.create_publisher(DiagnosticArray, "/diagnostics", 1)
        # Steady: a node that waits for /clock in vain is one that people look at diagnostics for.
        self._timer = node.create_timer(period_s, self.publish, clock=steady_clock())

    def add(self, name: str, task: DiagnosticTask) -> None:
        self._tasks[name] = task

    def publish(self) -> None:
        from diagnostic_msgs.msg import DiagnosticArray

        if self._publisher is None:
            return
        msg = DiagnosticArray()
        msg.header.stamp = self._node.get_clock().now().to_msg()
        msg.status = [self._status(name, task()) for name, task in list(self._tasks.items())]
        self._publisher.publish(msg)

    def _status(self, name: str, report: DiagnosticReport) -> Any:
        from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

        status = DiagnosticStatus()
        status.level = bytes([report.level])  # a byte field holds one byte, not a number
        status.name = f"{self._node.get_name()}: {name}"
        status.message, status.hardware_id = plain(report.message), self._hardware_id
        status.values = [KeyValue(key=str(key), value=plain(str(value))) for key, value in report.values.items()]
        return status

    def close(self) -> None:
        if self._publisher is not None:
            self._node.destroy_timer(self._timer)
            self._node.destroy_publisher(self._publisher)
            self._publisher = None


class _RosUpdater:
    """diagnostic_updater's Updater."""

    def __init__(self, node: Any, hardware_id: str, period_s: float) -> None:
        module = importlib.import_module("diagnostic_updater")
        self._updater: Any = module.Updater(node, period_s)
        self._updater.setHardwareID(hardware_id)
        self._node = node
        self._names: list[str] = []

    def add(self, name: str, task: DiagnosticTask) -> None:
        def run(status: Any) -> Any:
            report = task()
            status.summary(bytes([report.level]), plain(report.message))
            for key, value in report.values.items():
                status.add(str(key), plain(str(value)))
            return status

        if name in self._names:
            self._updater.removeByName(name)
        else:
            self._names.append(name)
        self._updater.add(name, run)

    def publish(self) -> None:
        self._updater.force_update()

    def close(self) -> None:
        for name in self._names:
            self._updater.removeByName(name)
        self._names.clear()
        self._node.destroy_timer(self._updater.timer)
        self._node.destroy_publisher(self._updater.publisher)
        # The updater declares these without asking; a node that is configured again would fail on the second time.
        for parameter in ("diagnostic_updater.period", "diagnostic_updater.use_fqn"):
            if self._node.has_parameter(parameter):
                self._node.undeclare_parameter(parameter)
