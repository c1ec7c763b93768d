"""``n3d query``: asks the running node a question."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

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
        0 when it was answered; 3 when what it asks about is not there; 1 when it could not be answered.
    """
    from n3d_ros.ros.client import query_response_to_dict

    def ask(client: NodeClient) -> dict[str, Any]:
        return query_response_to_dict(client.query(args.question, timeout_s=args.timeout, target_frame=args.frame))

    return asked(args, ask, print_answer)


def print_answer(answer: dict[str, Any]) -> None:
    """Prints an answer for people.

    Args:
        answer: as ``query_response_to_dict`` gives it.
    """
    if not answer["success"]:
        print(f"{answer['status']}: {answer['message']}")
        if answer["objects"]:  # what was found for the question, whatever became of the answer
            print(object_table(answer["objects"]))
        return
    print(answer["sentence"])
    for step in answer["steps"]:
        print(f"  - {step}")
    if answer["objects"]:
        print(object_table(answer["objects"]))
    if answer["message"] and answer["message"] not in answer["sentence"]:
        print(answer["message"])
