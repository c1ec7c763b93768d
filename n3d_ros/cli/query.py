"""``n3d query``: asks the running node a question."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from n3d_ros.cli.console import plain
from n3d_ros.cli.locate import add_request_arguments, asked, object_table

if TYPE_CHECKING:
    from n3d_ros.ros.client import NodeClient

SUMMARY = "Ask the running node a question about what it sees."
EXAMPLES = """\
  n3d query "how many red boxes are there?"
  n3d query "where is the cup?" --frame base_link
  n3d query "what is on the table?" --json
"""
NEEDS_ROS = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d query``.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument("question", metavar="QUESTION", help="in words")
    add_request_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Asks and prints the answer.

    Args:
        args: parsed arguments.

    Returns:
        0 when it was answered; 3 when what it asks about is not there; 4 when the question was not understood; 5
        without a node; 1 when it could not be answered.
    """
    from n3d_ros.ros.client import query_response_to_dict

    def ask(client: NodeClient) -> dict[str, Any]:
        return query_response_to_dict(client.query(args.question, timeout_s=args.timeout, target_frame=args.frame))

    return asked(args, ask, print_answer)


def print_answer(answer: dict[str, Any], *, steps: bool = True, value: bool = False) -> None:
    """Prints an answer for people.

    Args:
        answer: as ``query_response_to_dict`` gives it.
        steps: how it was reached, too.
        value: the value by itself, with its type, too.
    """
    print(answer_line(answer))
    if answer["success"] and value and answer["value"]["type"] != "NONE":
        print(value_line(answer["value"]))
    if steps:
        print_steps(answer)
    if answer["objects"]:  # what was found for the question, whatever became of the answer
        print(object_table(answer["objects"]))
    if answer["success"] and answer["message"] and answer["message"] not in answer["sentence"]:
        print(plain(answer["message"]))


def answer_line(answer: dict[str, Any]) -> str:
    """The answer in one line: its sentence, or why there is none.

    Args:
        answer: as ``query_response_to_dict`` gives it.

    Returns:
        Text without line ends.
    """
    return plain(answer["sentence"] if answer["success"] else f"{answer['status']}: {answer['message']}")


def value_line(value: dict[str, Any]) -> str:
    """A typed value for people.

    Args:
        value: as in ``query_response_to_dict``.

    Returns:
        Such as "value: 0.42 m (number)".
    """
    text = value["text"]
    if not text:
        known = value["vector"] if value["vector"] is not None else value["number"]
        text = f"{known} {value['unit']}".strip()
    return plain(f"value: {text} ({value['type'].lower()})")


def print_steps(answer: dict[str, Any]) -> None:
    """Prints how an answer was reached.

    Args:
        answer: as ``query_response_to_dict`` gives it.
    """
    for step in answer["steps"]:
        print(f"  - {plain(step)}")
