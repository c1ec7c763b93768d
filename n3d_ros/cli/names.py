"""Names of nodes, topics and frames on the command line, checked before anything is begun."""

from __future__ import annotations

import argparse
import re

TOKEN = r"[A-Za-z_][A-Za-z0-9_]*"  # of a ROS 2 name, http://design.ros2.org/articles/topic_and_service_names.html
FULL_NAME = re.compile(rf"/?{TOKEN}(/{TOKEN})*")
MAX_NAME_CHARS = 200  # the middleware takes 255, and services of the node are named after it
MAX_FRAME_CHARS = 256
SHOWN_CHARS = 64


def node_name(text: str) -> str:
    """The full name of a node; for ``type=`` of an argument.

    Args:
        text: such as "n3d" or "/front/n3d".

    Returns:
        With a slash before it.

    Raises:
        ArgumentTypeError: no node can have it.
    """
    return _full_name(text, "node", "/front/n3d")


def topic_name(text: str) -> str:
    """The full name of a topic; for ``type=`` of an argument.

    Args:
        text: such as "/camera/color/image_raw".

    Returns:
        With a slash before it.

    Raises:
        ArgumentTypeError: no topic can have it.
    """
    return _full_name(text, "topic", "/camera/color/image_raw")


def frame_name(text: str) -> str:
    """The name of a tf frame; for ``type=`` of an argument.

    Args:
        text: such as "map".

    Returns:
        The name as it is.

    Raises:
        ArgumentTypeError: it is empty or too long, or holds blanks or what cannot be printed.
    """
    if 0 < len(text) <= MAX_FRAME_CHARS and text.isprintable() and not re.search(r"\s", text):
        return text
    raise argparse.ArgumentTypeError(
        f"expected the name of a frame, 1 to {MAX_FRAME_CHARS} characters without blanks, such as base_link, "
        f"got {_shown(text)}"
    )


def _full_name(text: str, what: str, example: str) -> str:
    """A ROS name with a slash before it."""
    name = text.rstrip("/")
    if len(name) <= MAX_NAME_CHARS and FULL_NAME.fullmatch(name):
        return "/" + name.lstrip("/")
    raise argparse.ArgumentTypeError(
        f"expected the name of a {what}, letters, digits and _ between slashes, at most {MAX_NAME_CHARS} characters, "
        f"such as {example}, got {_shown(text)}"
    )


def _shown(text: str) -> str:
    """What was given, as it may stand in a message."""
    return ascii(text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "...")
