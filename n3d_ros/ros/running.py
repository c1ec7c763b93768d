"""The process of the node: rclpy up, the node spun until it is told to end, everything down again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

import rclpy
from rclpy.signals import SignalHandlerOptions

from n3d_ros.errors import ConfigurationError
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.depth_keeper import DepthFactory
from n3d_ros.ros.given_parameters import check_given
from n3d_ros.ros.loading import depth_from_config, grounder_from_config, model_from_config
from n3d_ros.ros.managed_node import NODE_NAME, GrounderFactory, N3dNode
from n3d_ros.ros.model_keeper import ModelFactory
from n3d_ros.ros.parameters import parameter_specs
from n3d_ros.ros.plain_text import plain
from n3d_ros.ros.session import middleware_errors
from n3d_ros.ros.spinning import Spinner, ros_log_handler


def run(
    args: Sequence[str],
    stop: threading.Event,
    make_grounder: GrounderFactory = grounder_from_config,
    make_model: ModelFactory = model_from_config,
    make_depth: DepthFactory = depth_from_config,
) -> int:
    """Runs the node until ``stop`` is set.

    Args:
        args: command line with ``--ros-args``.
        stop: set by the signal handlers.
        make_grounder: makes the grounder that needs no model; tests give their own.
        make_model: loads the language model; tests give their own.
        make_depth: loads the depth model; tests give their own.

    Returns:
        Exit code: 0 after a signal, 1 when the settings cannot be used.
    """
    rclpy.init(args=list(args), signal_handler_options=SignalHandlerOptions.NO)
    logging.getLogger("n3d_ros").addHandler(ros_log_handler())
    try:
        check_given(args, parameter_specs(NodeConfig()), _node_name(args))
        with middleware_errors():
            node = N3dNode(make_grounder=make_grounder, make_model=make_model, make_depth=make_depth, stop=stop)
    except ConfigurationError as error:
        rclpy.logging.get_logger(NODE_NAME).fatal(plain(error.message))
        rclpy.try_shutdown()
        return 1
    spinner = Spinner(node)
    try:
        if node.config.autostart:
            node.autostart()
        else:
            node.get_logger().info("Waiting to be configured: autostart is false.")
        spinner.start()
        while not stop.wait(timeout=1.0) and rclpy.ok():
            pass
        spinner.expect_end()
        node.close()
    finally:
        spinner.stop()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _node_name(args: Sequence[str]) -> str:
    """The node's name on this command line."""
    renamed = [word.partition(":=")[2] for word in args if word.startswith("__node:=")]
    return renamed[-1] if renamed else NODE_NAME
