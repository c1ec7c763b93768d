"""Notices a second node of the same name: requests would then reach both, and answers come twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from n3d_ros.ros.compat.diagnostics import DiagnosticLevel, DiagnosticReport

if TYPE_CHECKING:
    from rclpy.node import Node


class NameWatch:
    """Looks how many nodes bear the name of this one.

    Args:
        node: whose name it is.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._name = (node.get_name(), node.get_namespace())
        self._was_alone = True

    def health(self) -> DiagnosticReport:
        """Whether the name is this node's alone; a second one is told once in the log, too.

        Returns:
            A warning with what to change while there are several.
        """
        bearers = self._node.get_node_names_and_namespaces().count(self._name)
        full_name = self._node.get_fully_qualified_name()
        values = {"name": full_name, "nodes of this name": str(max(bearers, 1))}
        if bearers <= 1:
            self._was_alone = True
            return DiagnosticReport(message="No other node has this name.", values=values)
        sentence = (
            f"{bearers} nodes are called {full_name}: requests reach all of them, and topics mix what they see. End "
            "the others, or give each a name or a namespace of its own (namespace:= in launch files, --namespace)."
        )
        if self._was_alone:
            self._node.get_logger().warning(sentence)
        self._was_alone = False
        return DiagnosticReport(level=DiagnosticLevel.WARN, message=sentence, values=values)
