"""Whether the built n3d_msgs is the one that this version of n3d_ros expects."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

from n3d_ros.errors import StatusCode

SOURCE = Path(__file__).resolve().parents[3] / "msg"  # in a checkout
FIELD = re.compile(r"^(?P<type>[\w/]+(?:<=\d+)?(?:\[[<=\d]*\])?)\s+(?P<name>[a-z]\w*)(?:\s|$)")


def interface_differences(source: Path = SOURCE) -> tuple[str, ...]:
    """What the built interfaces lack or have too much.

    Args:
        source: folder of the definitions, where they are at hand.

    Returns:
        Sentences; empty: none.
    """
    try:
        messages = importlib.import_module("n3d_msgs.msg")
    except Exception as error:  # a half-built package raises anything
        return (f"it cannot be imported ({type(error).__name__}: {error})",)
    found = [
        f"Status has no {code.name} = {int(code)}"
        for code in StatusCode
        if getattr(messages.Status, code.name, None) != int(code)
    ]
    for path in sorted([*source.glob("*/*.msg"), *source.glob("*/*.srv"), *source.glob("*/*.action")]):
        found += _differences_of(path)
    return tuple(found)


def _differences_of(path: Path) -> list[str]:
    """The parts of one definition that are not built so."""
    module = importlib.import_module(f"n3d_msgs.{path.parent.name}")
    interface = getattr(module, path.stem, None)
    if interface is None:
        return [f"{path.stem} is missing"]
    parts = {"msg": ("",), "srv": ("Request", "Response"), "action": ("Goal", "Result", "Feedback")}[path.parent.name]
    sections = re.split(r"^---\s*$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = []
    for part, text in zip(parts, sections, strict=False):
        built = set(_fields_of(getattr(interface, part) if part else interface))
        wanted = {match["name"] for line in text.splitlines() if (match := FIELD.match(line))}
        if built != wanted:
            names = ", ".join(sorted(built ^ wanted))
            found.append(f"{path.stem}{f'.{part}' if part else ''} differs in {names}")
    return found


def _fields_of(message: Any) -> list[str]:
    return [name for name in message.get_fields_and_field_types() if name != "structure_needs_at_least_one_member"]
