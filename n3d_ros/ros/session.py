"""rclpy nodes for commands: a context of their own that ends with the block, and an executor to spin them."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from n3d_ros.errors import ConfigurationError
from n3d_ros.ros.plain_text import plain


@contextlib.contextmanager
def middleware_errors() -> Iterator[None]:
    """Turns what the middleware raises when it refuses a node into an error for people.

    Yields:
        Nothing; a node is made inside.

    Raises:
        ConfigurationError: with the middleware's reason.
    """
    try:
        yield
    except RuntimeError as error:
        if type(error).__name__ != "RCLError":  # of a private module of rclpy
            raise
        security = (
            " ROS_SECURITY_ENABLE is set: it takes a middleware with security plugins, and keys of the enclave that "
            "--enclave names in ROS_SECURITY_KEYSTORE."
        )
        hint = security if is_security_enabled() else ""
        raise ConfigurationError(f"The middleware makes no node: {plain(str(error))}.{hint}") from error


def unique_name(name: str) -> str:
    """A node name for this process alone, so that several of one command can run side by side.

    Where security is enabled the name stays as it is: keys and policy are given to names.

    Args:
        name: what the command's nodes are called.

    Returns:
        The name with an ending of its own.
    """
    return name if is_security_enabled() else f"{name}_{uuid.uuid4().hex[:8]}"


def is_security_enabled() -> bool:
    """Whether ROS 2 is told to use security (SROS2)."""
    return os.environ.get("ROS_SECURITY_ENABLE", "").lower() == "true"


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
    # The command's own words are not for rclpy, which refuses those that are no UTF-8.
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    overrides = [Parameter("use_sim_time", Parameter.Type.BOOL, use_sim_time)]
    with middleware_errors():
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
