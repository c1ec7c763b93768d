"""rclpy nodes for commands: a context of their own that ends with the block, and an executor to spin them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions


@contextlib.contextmanager
def ros_node(name: str, *, use_sim_time: bool = False) -> Iterator[Any]:
    """An rclpy node in a context of its own, which end with the block; SIGINT stays with the caller.

    Args:
        name: of the node.
        use_sim_time: take time from /clock.

    Yields:
        The node.
    """
    context = rclpy.Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
    overrides = [Parameter("use_sim_time", Parameter.Type.BOOL, use_sim_time)]
    node = rclpy.create_node(name, context=context, parameter_overrides=overrides)
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


@contextlib.contextmanager
def executor_of(node: Any) -> Iterator[Any]:
    """An executor that has one node, shut down with the block.

    Args:
        node: that nobody else spins.

    Yields:
        The executor.
    """
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    try:
        yield executor
    finally:
        executor.shutdown()
