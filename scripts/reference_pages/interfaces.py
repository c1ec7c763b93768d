"""The pages of messages and of services, from the interface files and the comments in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rosidl_adapter.parser import (
    MessageSpecification,
    parse_action_string,
    parse_message_string,
    parse_service_string,
)

from scripts.reference_pages.markdown import code, page, prose, sentence, table

PACKAGE = "n3d_msgs"
FOLDER = Path(__file__).resolve().parents[2] / "msg"
MESSAGES_INTRODUCTION = """
The package `n3d_msgs` does not depend on the node: a laptop that only asks needs it alone. Types with a slash are the
standard ones of that package.
"""

SERVICES_INTRODUCTION = """
Two services for short questions and an action for long ones; the same worker answers all three. Every response has a
`status` with a [code](status_codes.md) and a sentence, also when it failed. Frames, stamps and the meaning of an empty
field stand beside each field.

    ros2 service call /n3d/locate n3d_msgs/srv/Locate "{phrase: red box}"
    ros2 service call /n3d/query n3d_msgs/srv/SpatialQuery "{question: 'how many boxes are there?'}"
    ros2 action send_goal --feedback /n3d/ground n3d_msgs/action/Ground "{text: red box}"
"""


def messages_page() -> str:
    """Every message of ``n3d_msgs`` with its fields.

    Returns:
        Markdown.
    """
    parts = [MESSAGES_INTRODUCTION]
    for name, text in _files("msg"):
        parts += _message(f"{PACKAGE}/msg/{name}", parse_message_string(PACKAGE, name, text), level=2)
    return page("Messages", *parts)


def services_page() -> str:
    """Every service and action of ``n3d_msgs`` with the fields of each part.

    Returns:
        Markdown.
    """
    parts = [SERVICES_INTRODUCTION]
    for name, text in _files("srv"):
        service = parse_service_string(PACKAGE, name, text)
        parts += _sections(f"{PACKAGE}/srv/{name}", {"Request": service.request, "Response": service.response})
    for name, text in _files("action"):
        action = parse_action_string(PACKAGE, name, text)
        pieces = {"Goal": action.goal, "Result": action.result, "Feedback": action.feedback}
        parts += _sections(f"{PACKAGE}/action/{name}", pieces)
    return page("Services and action", *parts)


def message_specification(name: str) -> MessageSpecification:
    """One message of ``n3d_msgs``, read from its file.

    Args:
        name: such as "Status".

    Returns:
        Fields and constants, with their comments as annotations.
    """
    return parse_message_string(PACKAGE, name, (FOLDER / "msg" / f"{name}.msg").read_text(encoding="utf-8"))


def comment_of(element: Any) -> str:
    """What the file says of a message, a field or a constant.

    Args:
        element: as parsed.

    Returns:
        One line; empty when nothing is said.
    """
    return " ".join(line.strip() for line in element.annotations.get("comment", [])).strip()


def _files(kind: str) -> list[tuple[str, str]]:
    paths = sorted((FOLDER / kind).glob(f"*.{kind}"))
    return [(path.stem, path.read_text(encoding="utf-8")) for path in paths]


def _sections(title: str, pieces: dict[str, MessageSpecification]) -> list[str]:
    """A service or an action: what it is for, then a table per part."""
    parts = [f"## {title}"]
    for number, (name, specification) in enumerate(pieces.items()):
        comment = comment_of(specification)
        parts += [prose(sentence(comment))] if comment and number == 0 else []
        parts.append(f"### {name} of {title.rpartition('/')[2]}")
        parts += _tables(specification)
    return parts


def _message(title: str, specification: MessageSpecification, *, level: int) -> list[str]:
    return [f"{'#' * level} {title}", prose(sentence(comment_of(specification))), *_tables(specification)]


def _tables(specification: MessageSpecification) -> list[str]:
    parts = []
    if specification.constants:
        rows = [(code(one.name), str(one.value), prose(comment_of(one))) for one in specification.constants]
        parts.append(table(("constant", "value", "meaning"), rows))
    if specification.fields:
        parts.append(_fields(specification.fields))
    return parts


def _fields(fields: Iterable[Any]) -> str:
    rows: list[Sequence[str]] = [
        (code(one.name), code(str(one.type).removeprefix(f"{PACKAGE}/")), prose(comment_of(one))) for one in fields
    ]
    return table(("field", "type", "meaning"), rows)
