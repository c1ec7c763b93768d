"""Message types by name: their classes, and their definitions as text for recordings."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from n3d_ros.errors import BagError

TYPE_NAME = re.compile(r"^([A-Za-z][A-Za-z0-9_]*)/(?:msg/)?([A-Za-z][A-Za-z0-9_]*)$")
SEPARATOR = "=" * 80  # between the parts of a definition, as in the MCAP specification's appendix on ros2msg
BUILTIN_TYPES = frozenset(
    {"bool", "byte", "char", "float32", "float64", "string", "wstring"}
    | {f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
)


def split_type_name(name: str) -> tuple[str, str]:
    """Package and bare name of a message type.

    Args:
        name: such as ``sensor_msgs/msg/Image``.

    Returns:
        Such as ``("sensor_msgs", "Image")``.

    Raises:
        BagError: not the name of a message type.
    """
    match = TYPE_NAME.match(name)
    if match is None:
        raise BagError(f"Message type: expected package/msg/Name, got {name!r}.")
    return match.group(1), match.group(2)


@cache
def message_class(name: str) -> Any:
    """The Python class of a message type.

    Args:
        name: such as ``sensor_msgs/msg/Image``.

    Returns:
        The class that rclpy publishes and subscribes.

    Raises:
        BagError: no such package or message is installed here.
    """
    package, message = split_type_name(name)
    try:
        return getattr(importlib.import_module(f"{package}.msg"), message)
    except (ImportError, AttributeError) as error:
        raise BagError(
            f"Message type {name} is not installed here; install or build the package {package!r} and source it.",
            reason="unknown_type",
        ) from error


def is_installed(name: str) -> bool:
    """Whether the Python class of a message type can be had.

    Args:
        name: such as ``sensor_msgs/msg/Image``.

    Returns:
        True when ``message_class`` would return.
    """
    try:
        message_class(name)
    except BagError:
        return False
    return True


def type_name(message: Any) -> str:
    """The name of a message's type.

    Args:
        message: a message or message class.

    Returns:
        Such as ``sensor_msgs/msg/Image``.
    """
    cls = message if isinstance(message, type) else type(message)
    package, kind = cls.__module__.split(".")[:2]
    return f"{package}/{kind}/{cls.__name__}"


@cache
def message_definition(name: str) -> str:
    """The definition of a type and of all types in it, as one text in the format ``ros2msg``.

    Args:
        name: such as ``sensor_msgs/msg/Image``.

    Returns:
        The type's own text, then every needed one after a line of ``=`` and ``MSG: package/Name``.

    Raises:
        BagError: a definition is not installed.
    """
    package, message = split_type_name(name)
    texts = {f"{package}/{message}": _definition_text(package, message)}
    open_names = [f"{package}/{message}"]
    while open_names:
        here = open_names.pop(0)
        for inner in _inner_types(texts[here], here.split("/")[0]):
            if inner not in texts:
                texts[inner] = _definition_text(*inner.split("/"))
                open_names.append(inner)
    first, *others = texts.items()
    return first[1] + "".join(f"\n{SEPARATOR}\nMSG: {inner}\n{text}" for inner, text in others)


def _definition_text(package: str, message: str) -> str:
    """The installed ``.msg`` file of a type."""
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        path = Path(prefix, "share", package, "msg", f"{message}.msg")
        if prefix and path.is_file():
            return path.read_text(encoding="utf-8")
    raise BagError(
        f"The definition of {package}/msg/{message} was looked for under AMENT_PREFIX_PATH and not found; source the "
        f"environment that installs {package}.",
        reason="unknown_type",
    )


def _inner_types(text: str, package: str) -> Iterator[str]:
    """The message types named by the fields of a definition, as package/Name."""
    for line in text.splitlines():
        words = line.split("#", 1)[0].split()
        if len(words) < 2 or "=" in words[1] or words[0].startswith("@"):
            continue
        field = re.sub(r"\[.*\]$", "", words[0]).split("<=")[0]
        if field in BUILTIN_TYPES:
            continue
        inner_package, _, inner = field.rpartition("/")
        if inner == "Header" and not inner_package:
            inner_package = "std_msgs"  # the one name that ROS 1 definitions leave out
        yield f"{inner_package.removesuffix('/msg') or package}/{inner}"
