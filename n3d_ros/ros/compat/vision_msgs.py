"""vision_msgs where it is installed; there is no substitute, since a message is only of use to those who know it."""

from __future__ import annotations

import importlib
from typing import Any

from n3d_ros.errors import ConfigurationError


def is_available() -> bool:
    """Whether ``vision_msgs`` imports.

    Returns:
        True when its messages can be published.
    """
    try:
        message_classes()
    except ConfigurationError:
        return False
    return True


def message_classes() -> Any:
    """The module ``vision_msgs.msg``.

    Returns:
        The module with Detection3DArray, Detection3D and ObjectHypothesisWithPose.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        return importlib.import_module("vision_msgs.msg")
    except ImportError as error:
        raise ConfigurationError(
            "vision_msgs is not installed; install ros-<distribution>-vision-msgs, or use ~/objects (n3d_msgs).",
            reason="no_vision_msgs",
        ) from error
