"""What the node ``n3d`` tells of itself: state, parameters, diagnostics, reports."""

from __future__ import annotations

import math
from typing import Any

from n3d_ros.ros.doctor.graph import Graph
from n3d_ros.ros.doctor.listening import LISTENING
from n3d_ros.ros.doctor.snapshot import NodeFacts, Report
from n3d_ros.ros.plain_text import plain

PARAMETERS = (
    "use_sim_time",
    "output_frame",
    "scene.frame",
    "gravity.frame",
    "rgb.rectified",
    "depth.rectified",
    "depth.unit_m",
    "depth.min_m",
    "depth.max_m",
    "sync.slop_s",
    "request.max_frame_age_s",
    "continuous",
    "continuous_rate_hz",
    "model",
    "depth_source",
)


class NodeEar:
    """Asks a node for its state and parameters, and listens to what it reports.

    Args:
        node: that asks.
        name: full name of the node that is asked.
    """

    PATIENCE_S = 6.0  # for state and parameters: the executor of a busy node is slow

    def __init__(self, node: Any, name: str) -> None:
        from diagnostic_msgs.msg import DiagnosticArray
        from lifecycle_msgs.srv import GetState
        from n3d_msgs.msg import FrameReport
        from rcl_interfaces.srv import GetParameters

        from n3d_ros.ros.qos import REQUEST

        self._name = name
        self._reports: list[Any] = []
        self._diagnostics: dict[str, tuple[int, str, str]] = {}
        self._state = node.create_client(GetState, f"{name}/get_state")
        # A name is asked for by itself, all at once: more than the default depth keeps answers to.
        self._parameters = node.create_client(GetParameters, f"{name}/get_parameters", qos_profile=REQUEST)
        self._waiting: list[Any] = []
        self._asked: tuple[str, ...] = ()
        self._subscriptions = [
            node.create_subscription(FrameReport, f"{name}/frame_report", self._reports.append, LISTENING),
            node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, LISTENING),
        ]
        self.state = ""
        self.parameters: dict[str, Any] = {}

    def ask(self) -> None:
        """Sends the questions; spin until ``is_waiting`` is false."""
        from lifecycle_msgs.srv import GetState
        from rcl_interfaces.srv import GetParameters

        state = self._state.call_async(GetState.Request())
        state.add_done_callback(self._on_state)
        # One request each: a node without one of them (another version) refuses them all at once.
        self._waiting, self._asked = [state], PARAMETERS
        for name in PARAMETERS:
            future = self._parameters.call_async(GetParameters.Request(names=[name]))
            future.add_done_callback(lambda done, name=name: self._on_parameter(name, done))
            self._waiting.append(future)

    def is_waiting(self) -> bool:
        """Whether an answer is still to come.

        Returns:
            False also when nothing was asked.
        """
        return not all(future.done() for future in self._waiting)

    def _on_state(self, future: Any) -> None:
        self.state = str(future.result().current_state.label)

    def _on_parameter(self, name: str, future: Any) -> None:
        from rclpy.parameter import parameter_value_to_python

        values = future.result().values
        if values and values[0].type:
            self.parameters[name] = parameter_value_to_python(values[0])

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            if status.hardware_id == self._name or status.name.startswith(f"{self._name.strip('/')}:"):
                level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
                self._diagnostics[status.name] = (level, plain(status.name, 200), plain(status.message))

    def facts(self, count: int, graph: Graph) -> NodeFacts:
        """Everything that came.

        Args:
            count: nodes of this name.
            graph: for the other nodes.

        Returns:
            The facts.
        """
        return NodeFacts(
            name=self._name,
            count=count,
            others=graph.others_of_this_package(self._name),
            state=self.state,
            parameters=self.parameters,
            untold=tuple(name for name in self._asked if name not in self.parameters),
            diagnostics=tuple(self._diagnostics.values()),
            report=report_of(self._reports),
            all_nodes=tuple(graph.node_names()),
        )


def report_of(messages: list[Any]) -> Report | None:
    """Several ``FrameReport`` as one.

    Args:
        messages: oldest first.

    Returns:
        None without any.
    """
    if not messages:
        return None
    first, last = messages[0], messages[-1]
    used = [one for one in messages if not math.isnan(one.total_ms)]
    refused = [one for one in messages if one.status.code]
    return Report(
        message_count=len(messages),
        received=last.frames_received,
        used=last.frames_used,
        dropped={one.name: one.count for one in last.frames_dropped},
        dropped_before={one.name: one.count for one in first.frames_dropped},
        total_ms=float(used[-1].total_ms) if used else None,
        age_at_publish_ms=_known(used[-1].age_at_publish_ms) if used else None,
        message=plain(refused[-1].status.message) if refused else "",
        backend=plain(last.backend, 100),
        device=plain(last.device, 100),
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
