"""Lifecycle transitions that do not fail in silence."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import TypeVar

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from n3d_ros.ros.plain_text import plain_lines

NodeT = TypeVar("NodeT", bound="LifecycleNode")
Transition = Callable[[NodeT, LifecycleState], TransitionCallbackReturn]


def logged(transition: Transition[NodeT]) -> Transition[NodeT]:
    """The transition with its unexpected errors in the log: rclpy turns them into ERROR without a word.

    Args:
        transition: one of the ``on_...`` methods.

    Returns:
        The same method, guarded.
    """

    @functools.wraps(transition)
    def guarded(node: NodeT, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(node, state)
        except Exception as error:
            text = "".join(traceback.format_exception(error))
            node.get_logger().error(f"Internal error in {transition.__name__}: {plain_lines(text)}")
            return TransitionCallbackReturn.ERROR

    return guarded
