"""/diagnostics through the thin module, with and without diagnostic_updater."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from n3d_ros.ros.compat import diagnostics
from n3d_ros.ros.compat.diagnostics import DiagnosticLevel, DiagnosticReport, DiagnosticsPublisher

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not here")
pytestmark = [pytest.mark.ros, pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning")]


@pytest.fixture
def ros(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A node that listens to /diagnostics: ``heard`` and ``spin(seconds)``."""
    from diagnostic_msgs.msg import DiagnosticArray
    from rclpy.executors import SingleThreadedExecutor

    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=43)
    node = rclpy.create_node("diagnosed", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    heard: list[Any] = []
    node.create_subscription(DiagnosticArray, "/diagnostics", heard.append, 10)

    def hear(count: int) -> list[Any]:
        deadline = time.monotonic() + 10
        while len(heard) < count and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.05)
        return heard

    yield SimpleNamespace(node=node, hear=hear, heard=heard)
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_diagnostics_go_out_while_simulated_time_stands_still(ros: Any) -> None:
    from rclpy.parameter import Parameter

    ros.node.set_parameters([Parameter("use_sim_time", value=True)])
    made = DiagnosticsPublisher(ros.node, "cpu", period_s=0.05, prefer_updater=False)
    made.add("camera", report)
    assert len(ros.hear(2)) >= 2
    made.close()


def report() -> DiagnosticReport:
    return DiagnosticReport(level=DiagnosticLevel.WARN, message="few frames", values={"rate_hz": 4.5, "frames": 9})


def failing() -> DiagnosticReport:
    raise RuntimeError("boom")


@pytest.fixture(params=["own", "diagnostic_updater"])
def publisher(request: pytest.FixtureRequest, ros: Any) -> Iterator[DiagnosticsPublisher]:
    if request.param == "diagnostic_updater":
        pytest.importorskip("diagnostic_updater", reason="diagnostic_updater is not installed: nothing to compare with")
    made = DiagnosticsPublisher(ros.node, "cpu", period_s=0.05, prefer_updater=request.param != "own")
    yield made
    made.close()


def statuses(ros: Any, name: str) -> list[Any]:
    return [status for message in ros.heard for status in message.status if status.name == name]


def test_reports_arrive_with_level_name_and_values(ros: Any, publisher: DiagnosticsPublisher) -> None:
    publisher.add("frames", report)
    ros.hear(4)
    status = statuses(ros, "diagnosed: frames")[-1]
    assert status.level == b"\x01"
    assert (status.message, status.hardware_id) == ("few frames", "cpu")
    assert [(item.key, item.value) for item in status.values] == [("rate_hz", "4.5"), ("frames", "9")]


def test_a_task_that_fails_is_reported_and_stops_nothing(ros: Any, publisher: DiagnosticsPublisher) -> None:
    publisher.add("broken", failing)
    publisher.add("frames", report)
    ros.hear(5)
    assert statuses(ros, "diagnosed: broken")[-1].level == b"\x02"
    assert "boom" in statuses(ros, "diagnosed: broken")[-1].message
    assert statuses(ros, "diagnosed: frames")[-1].level == b"\x01"


def test_a_node_may_be_configured_again(ros: Any, publisher: DiagnosticsPublisher) -> None:
    publisher.add("frames", report)
    publisher.close()
    publisher.close()
    again = DiagnosticsPublisher(ros.node, "cpu", period_s=10.0)
    again.add("frames", report)
    before = len(ros.heard)
    again.publish_now()
    assert len(ros.hear(before + 1)) > before
    again.close()


def test_levels_are_those_of_the_message() -> None:
    from diagnostic_msgs.msg import DiagnosticStatus

    for level in diagnostics.DiagnosticLevel:
        assert getattr(DiagnosticStatus, level.name) == bytes([level])
