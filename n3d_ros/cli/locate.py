"""``n3d locate``: asks the running node where something is."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from n3d_ros.cli.console import number, plain, table
from n3d_ros.cli.names import node_name
from n3d_ros.errors import N3dError

if TYPE_CHECKING:
    from n3d_ros.ros.client import NodeClient

SUMMARY = "Ask the running node where something is."
EXAMPLES = """\
  n3d locate "red box"
  n3d locate                       everything in view
  n3d locate cup --frame map --json
"""
NEEDS_ROS = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d locate``.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument("phrase", nargs="?", default="", metavar="PHRASE", help="what to look for; none: everything")
    add_request_arguments(parser)


def add_request_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that every request has.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument("--frame", "--target-frame", default="", metavar="FRAME", help="frame the answer is wanted in")
    parser.add_argument("--timeout", type=float, default=0.0, metavar="S", help="longest wait (default: the node's)")
    parser.add_argument(
        "--node", type=node_name, default="/n3d", metavar="NAME", help="full name of the node (default /n3d)"
    )
    parser.add_argument("--json", action="store_true", help="print the whole answer as JSON")


def run(args: argparse.Namespace) -> int:
    """Asks and prints the answer.

    Args:
        args: parsed arguments.

    Returns:
        0 when something was found; 3 when the node looked and nothing was; 4 when the phrase was not understood; 5
        without a node; 1 when it could not look.
    """
    from n3d_ros.ros.client import locate_response_to_dict

    def ask(client: NodeClient) -> dict[str, Any]:
        return locate_response_to_dict(client.locate(args.phrase, timeout_s=args.timeout, target_frame=args.frame))

    return asked(args, ask, print_answer)


def asked(
    args: argparse.Namespace,
    ask: Callable[[NodeClient], dict[str, Any]],
    print_answer: Callable[[dict[str, Any]], None],
) -> int:
    """Asks the running node and prints what it says.

    Args:
        args: with what ``add_request_arguments`` adds.
        ask: puts the request and gives the answer.
        print_answer: prints it for people.

    Returns:
        The exit code.
    """
    try:
        with node_client(args.node) as client:
            answer = ask(client)
    except N3dError as error:
        if args.verbose:
            raise
        return told_error(error)
    if args.json:
        print(json.dumps(answer, indent=1))
    else:
        print_answer(answer)
    return exit_code(answer)


@contextlib.contextmanager
def node_client(name: str) -> Iterator[NodeClient]:
    """A client of the running node.

    Args:
        name: of the node.

    Yields:
        The client; it ends with the block.
    """
    from n3d_ros.ros.client import NodeClient
    from n3d_ros.ros.session import ros_node, unique_name

    with ros_node(unique_name("n3d_ask")) as node:
        client = NodeClient(node, name)
        try:
            yield client
        finally:
            client.close()


def told_error(error: N3dError) -> int:
    """Prints an error in one sentence.

    Args:
        error: what went wrong.

    Returns:
        The exit code it makes.
    """
    from n3d_ros.cli.main import EXIT_FAILED, EXIT_NO_NODE
    from n3d_ros.ros.client import NO_NODE

    print(f"n3d: {plain(error.message)}", file=sys.stderr)
    return EXIT_NO_NODE if error.reason == NO_NODE else EXIT_FAILED


def exit_code(answer: dict[str, Any]) -> int:
    """The exit code an answer makes: a script must tell "looked, none there" from "the camera is dead".

    Args:
        answer: as the ``..._response_to_dict`` functions give it.

    Returns:
        0, 1, 3 or 4, see ``docs/commands.md``.
    """
    from n3d_ros.cli.main import EXIT_FAILED, EXIT_NOT_UNDERSTOOD, EXIT_NOTHING_FOUND, EXIT_OK

    if answer["success"]:
        return EXIT_OK
    codes = {
        "NOT_FOUND": EXIT_NOTHING_FOUND,
        "NOT_UNDERSTOOD": EXIT_NOT_UNDERSTOOD,
        "AMBIGUOUS": EXIT_NOT_UNDERSTOOD,
    }
    return codes.get(answer["status"], EXIT_FAILED)


def print_answer(answer: dict[str, Any]) -> None:
    """Prints a located answer for people.

    Args:
        answer: as ``locate_response_to_dict`` gives it.
    """
    if not answer["success"]:
        print(f"{answer['status']}: {plain(answer['message'])}")
        if answer["objects"]:  # the time ran out on the way
            print(object_table(answer["objects"]))
        return
    print(object_table(answer["objects"]))
    if answer["message"]:
        print(plain(answer["message"]))
    age = answer["image_age_s"]
    age_text = number(math.nan if age is None else age)
    print(f"in {plain(answer['frame_id'])}, image {age_text} s old, answered in {answer['latency_ms']:.0f} ms")


def object_table(objects: Sequence[dict[str, Any]]) -> str:
    """A table of objects.

    Args:
        objects: as ``object_msg_to_dict`` gives them.

    Returns:
        Lines.
    """
    rows = [
        [
            str(item["id"]) if item["id"] else "-",
            item["label"],
            *(number(value, 3) for value in item["center_m"]),
            " x ".join(f"{100 * value:.1f}" for value in item["size_m"]),
            number(math.nan if item["score"] is None else item["score"]),
            number(math.nan if item["support_ratio"] is None else item["support_ratio"]),
        ]
        for item in objects
    ]
    return table(["id", "label", "x m", "y m", "z m", "size cm", "score", "support"], rows)
