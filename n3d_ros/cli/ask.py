"""``n3d ask``: asks the running node, once, line by line from a pipe, or at a prompt."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from n3d_ros.cli.console import plain
from n3d_ros.cli.locate import add_request_arguments, exit_code, node_client, told_error
from n3d_ros.cli.moments import stamp_of
from n3d_ros.cli.query import answer_line, print_answer, print_steps
from n3d_ros.errors import N3dError

if TYPE_CHECKING:
    from n3d_ros.ros.client import NodeClient

SUMMARY = "Ask the running node about what it sees: one question, questions from a pipe, or a prompt without any."
EXAMPLES = """\
  n3d ask "where is the red box?"
  n3d ask how far is the cup from the box --steps
  n3d ask "what is left of the mug?" --from base_link --target-frame map
  n3d ask "how many cups were there?" --at "10 s ago" --json
  n3d ask                                   a prompt; `help` there says what can be asked
  n3d ask < questions.txt                   one question a line, # begins a comment
"""
NEEDS_ROS = True

QUIET_S = 1.0  # an answer that takes longer is accompanied by what the node is doing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d ask``.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument("question", nargs="*", metavar="QUESTION", help="in words, or a phrase that names things")
    add_request_arguments(parser)
    parser.add_argument(
        "--from",
        dest="viewpoint",
        default="",
        metavar="FRAME",
        help='"left of" and the like are meant from this frame, looking along its x axis (z of an optical frame)',
    )
    parser.add_argument("--at", metavar="MOMENT", help='ask about the past: a stamp in seconds, a time, or "10 s ago"')
    parser.add_argument("--steps", action="store_true", help="show how the answer was reached")
    parser.add_argument("--no-history", action="store_true", help="read and keep no history of the prompt")


def run(args: argparse.Namespace) -> int:
    """Asks and prints the answers.

    Args:
        args: parsed arguments.

    Returns:
        0 when it was answered; 3 when what it asks about is not there; 4 when the question was not understood; 5
        without a node; 1 when it could not be answered. From a pipe the first that is not 0; 0 after a prompt.
    """
    try:
        with node_client(args.node) as client:
            conversation = Conversation(client=client, args=args)
            if args.question:
                return conversation.once(" ".join(args.question))
            if not sys.stdin.isatty():
                if isinstance(sys.stdin, io.TextIOWrapper):
                    sys.stdin.reconfigure(errors="surrogateescape")  # a line that is no text is refused by itself
                return conversation.lines(sys.stdin)
            from n3d_ros.cli.prompt import run_prompt

            return run_prompt(conversation, keep_history=not args.no_history)
    except N3dError as error:
        if args.verbose:
            raise
        return told_error(error)


@dataclass(kw_only=True)
class Conversation:
    """Questions put to one node with the same options.

    Args:
        client: asks the node.
        args: parsed arguments.
        last: the newest answer; None before the first.
    """

    client: NodeClient
    args: argparse.Namespace
    last: dict[str, Any] | None = field(default=None, init=False)

    def put(self, text: str) -> dict[str, Any]:
        """Asks, and keeps the answer.

        Args:
            text: question or phrase.

        Returns:
            The answer, as ``query_response_to_dict`` gives it.
        """
        from n3d_ros.ros.client import query_response_to_dict

        args = self.args
        stamp_ns = 0 if args.at is None else stamp_of(args.at, self.client.now_ns)
        result = self.client.ask(
            text,
            timeout_s=args.timeout,
            target_frame=args.frame,
            viewpoint_frame=args.viewpoint,
            stamp_ns=stamp_ns,
            on_feedback=Companion(),
        )
        self.last = query_response_to_dict(result)
        return self.last

    def once(self, text: str) -> int:
        """Asks one question and prints all of its answer.

        Args:
            text: question or phrase.

        Returns:
            The exit code.
        """
        answer = self.put(text)
        if self.args.json:
            print(json.dumps(answer, indent=1))
        else:
            print_answer(answer, steps=self.args.steps, value=True)
        return exit_code(answer)

    def lines(self, lines: Iterable[str]) -> int:
        """Asks a question a line and prints an answer a line, as JSON with ``--json``.

        Args:
            lines: of a file or pipe; empty ones and those that begin with # are passed over.

        Returns:
            The exit code of the first question that was not answered, else 0.
        """
        from n3d_ros.cli.main import EXIT_OK
        from n3d_ros.ros.client import NO_NODE

        first = EXIT_OK
        for text in map(str.strip, lines):
            if not text or text.startswith("#"):
                continue
            try:
                answer = self.put(text)
                print(json.dumps(answer) if self.args.json else answer_line(answer), flush=True)
                if self.args.steps and not self.args.json:
                    print_steps(answer)
                code = exit_code(answer)
            except N3dError as error:
                if error.reason == NO_NODE:
                    raise
                code = told_error(error)
            first = first or code
        return first


class Companion:
    """Says on standard error what the node is doing while an answer takes its time."""

    def __init__(self, tell: Callable[[str], None] | None = None) -> None:
        self._tell = tell or _tell
        self._stage = ""
        self._since_s = 0.0
        self._stage_told = False
        self._untold: list[str] = []

    def __call__(self, stage: str, objects: list[dict[str, Any]], elapsed_s: float) -> None:
        """Hears of progress. A look that takes less than ``QUIET_S`` is not told of: its answer tells all.

        Args:
            stage: what is being done.
            objects: found since the last call, as ``object_msg_to_dict`` gives them.
            elapsed_s: since the question was accepted.
        """
        if stage != self._stage:
            self._stage, self._since_s, self._stage_told = stage, elapsed_s, False
        self._untold += [f"  {elapsed_s:.1f} s: found {one['label']} at {_place(one['center_m'])}" for one in objects]
        if elapsed_s - self._since_s < QUIET_S:
            return
        if not self._stage_told:
            self._tell(f"  {self._since_s:.1f} s: {stage}")
            self._stage_told = True
        for line in self._untold:
            self._tell(line)
        self._untold.clear()


def _place(center_m: list[float]) -> str:
    """A position for people."""
    return "(" + ", ".join(f"{value:.2f}" for value in center_m) + ") m"


def _tell(text: str) -> None:
    print(plain(text), file=sys.stderr, flush=True)
