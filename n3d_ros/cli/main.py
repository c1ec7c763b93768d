"""The entry point of ``n3d``: finds the subcommand, prepares its environment, turns errors into sentences."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import signal
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import Any, Protocol

from n3d_ros.errors import N3dError

ENTRY_POINT_GROUP = "n3d.commands"

EXIT_OK = 0
EXIT_FAILED = 1  # an error, told in one sentence on standard error
EXIT_USAGE = 2  # argparse's own
EXIT_NOTHING_FOUND = 3  # a question was asked and the answer is "nothing"
EXIT_NOT_UNDERSTOOD = 4  # a question must be put in other words, or meant several things
EXIT_NO_NODE = 5  # no node answers
EXIT_INTERRUPTED = 128 + signal.SIGINT


class Command(Protocol):
    """What the module of a subcommand holds."""

    SUMMARY: str  # one line for the list of commands
    EXAMPLES: str  # shown under the options
    NEEDS_ROS: bool  # whether rclpy and the message packages must be there

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Adds the subcommand's own arguments.

        Args:
            parser: of the subcommand.
        """
        ...

    def run(self, args: argparse.Namespace) -> int:
        """Does it.

        Args:
            args: parsed arguments.

        Returns:
            The exit code.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandEntry:
    """Where a subcommand is and what the list says of it; its module is imported only when it is called.

    Args:
        summary: one line; empty: the module says it itself.
        module: module name, or ``module:object``.
        distribution: the installed package that brings it; empty: this one.
    """

    summary: str
    module: str
    distribution: str = ""

    def load(self) -> Any:
        """The command itself.

        Returns:
            A module or object with the attributes of ``Command``.
        """
        module, _, attribute = self.module.partition(":")
        loaded = importlib.import_module(module)
        return getattr(loaded, attribute) if attribute else loaded


COMMANDS: dict[str, CommandEntry] = {
    "demo": CommandEntry(summary="replay a bag into the node and show what it finds", module="n3d_ros.cli.demo"),
    "start": CommandEntry(summary="start the node for a camera", module="n3d_ros.cli.start"),
    "ask": CommandEntry(
        summary='ask the running node anything, once or at a prompt: n3d ask "how many cups?"', module="n3d_ros.cli.ask"
    ),
    "locate": CommandEntry(
        summary='ask the running node where something is: n3d locate "red box"', module="n3d_ros.cli.locate"
    ),
    "query": CommandEntry(
        summary='ask the running node a question through its service: n3d query "how many cups?"',
        module="n3d_ros.cli.query",
    ),
    "view": CommandEntry(summary="serve a page: live image, 3-D scene, questions", module="n3d_ros.cli.view"),
    "doctor": CommandEntry(
        summary="look at a running system: name each fault and its mend", module="n3d_ros.cli.doctor"
    ),
    "run": CommandEntry(summary="find the objects of a whole bag, offline", module="n3d_ros.cli.run"),
    "report": CommandEntry(summary="make one HTML page of a whole bag", module="n3d_ros.cli.report"),
    "replay": CommandEntry(summary="play a bag over ROS in real time", module="n3d_ros.cli.replay"),
    "record": CommandEntry(summary="record topics into a bag", module="n3d_ros.cli.record"),
    "bag-from-images": CommandEntry(
        summary="make a bag from folders of colour and depth images", module="n3d_ros.cli.bag_from_images"
    ),
    "depth": CommandEntry(
        summary="find the depth of images, a video or a recording, with a model", module="n3d_ros.cli.depth"
    ),
    "depth eval": CommandEntry(
        summary="compare estimated depth and poses with the truth", module="n3d_ros.cli.depth_eval"
    ),
    "export": CommandEntry(summary="write a model as ONNX graphs", module="n3d_ros.cli.export"),
    "engine build": CommandEntry(
        summary="build a TensorRT engine of exported graphs for this machine", module="n3d_ros.cli.engine_build"
    ),
    "engine list": CommandEntry(summary="list the TensorRT engines that are there", module="n3d_ros.cli.engine_list"),
    "engine verify": CommandEntry(
        summary="check engines, or test a runtime against the exported network", module="n3d_ros.cli.engine_verify"
    ),
    "engine clean": CommandEntry(
        summary="remove TensorRT engines that are not needed", module="n3d_ros.cli.engine_clean"
    ),
    "bench speed": CommandEntry(
        summary="measure how fast models are on this machine, bare and through the node",
        module="n3d_ros.cli.bench_speed",
    ),
    "bench": CommandEntry(summary="measure accuracy, latency and load", module="n3d_ros.cli.bench"),
}


def all_commands() -> dict[str, CommandEntry]:
    """Built-in subcommands and those that installed packages add by entry points.

    Returns:
        Entries by name; a built-in name is never replaced.
    """
    found = dict(COMMANDS)
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        distribution = entry.dist.name if entry.dist is not None else entry.module
        found.setdefault(entry.name, CommandEntry(summary="", module=entry.value, distribution=distribution))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one subcommand.

    Args:
        argv: arguments after the program name; None: those of this process.

    Returns:
        The exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    verbose = "--verbose" in arguments
    try:
        return _run(arguments)
    except N3dError as error:
        if verbose:
            raise
        print(f"n3d: {error.message}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        if verbose:
            raise
        print("n3d: interrupted.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe, such as head, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK


def _run(arguments: list[str]) -> int:
    """Parses and runs; the first word decides which module is imported."""
    commands = all_commands()
    name, rest = split_command(arguments, commands)
    if name is None and (family := _family(arguments, commands)):
        print(family, file=sys.stderr)
        return EXIT_USAGE
    if name is None:
        _parser(commands).parse_args(arguments)  # prints help or the usage error, and exits
        _parser(commands).print_help()
        return EXIT_USAGE
    command = commands[name].load()
    parser = command_parser(name, command)
    args = parser.parse_args(rest)
    level = logging.DEBUG if args.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    if command.NEEDS_ROS:
        from n3d_ros.cli.environment import ensure_ros_environment
        from n3d_ros.ros.transport import apply_transport_profile

        ensure_ros_environment()
        apply_transport_profile()
    return int(command.run(args))


def _family(arguments: Sequence[str], commands: dict[str, CommandEntry]) -> str:
    """The subcommands that begin with a word which is none itself; empty where it begins none."""
    word = next((word for word in arguments if not word.startswith("-")), "")
    found = {name: entry for name, entry in commands.items() if name.split()[0] == word and name != word}
    width = max(map(len, found), default=0)
    listing = "\n".join(f"  n3d {name:<{width}}  {_summary(entry)}" for name, entry in found.items())
    return f"usage: n3d {word} {{{','.join(name.split()[1] for name in found)}}} ...\n\n{listing}" if found else ""


def split_command(arguments: Sequence[str], commands: Collection[str]) -> tuple[str | None, list[str]]:
    """The subcommand that a command line calls, which may have two words, and what is left for it.

    Args:
        arguments: after the program name.
        commands: names of subcommands.

    Returns:
        The name, None when the first word is none; and the arguments after it.
    """
    first = next((i for i, word in enumerate(arguments) if not word.startswith("-")), None)
    if first is None:
        return None, []
    for words in (2, 1):
        name = " ".join(arguments[first : first + words])
        if name in commands:
            return name, list(arguments[first + words :])
    return None, []


def command_parser(name: str, command: Any) -> argparse.ArgumentParser:
    """The parser of one subcommand.

    Args:
        name: its name.
        command: its module.

    Returns:
        The parser.
    """
    parser = argparse.ArgumentParser(
        prog=f"n3d {name}",
        description=command.SUMMARY,
        epilog=f"examples:\n{command.EXAMPLES.rstrip()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(parser)
    parser.add_argument("--verbose", action="store_true", help="debug messages, and a traceback with every error")
    return parser


def _parser(commands: dict[str, CommandEntry]) -> argparse.ArgumentParser:
    """The parser that lists the subcommands."""
    width = max(map(len, commands))
    listing = "\n".join(f"  {name:<{width}}  {_summary(entry)}" for name, entry in commands.items())
    parser = argparse.ArgumentParser(
        prog="n3d",
        usage="n3d [-h] [--version] COMMAND ...",
        description="3-D boxes of objects from a colour and a depth camera, and answers about them, on ROS 2.",
        epilog=f"commands:\n{listing}\n\n`n3d COMMAND --help` tells more and shows examples.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"n3d_ros {_version()}")
    parser.add_argument("command", choices=commands, metavar="COMMAND", nargs="?", help=argparse.SUPPRESS)
    return parser


def _summary(entry: CommandEntry) -> str:
    """What the list says of a command; one of another package that cannot be loaded spoils no list."""
    if entry.summary:
        return entry.summary
    try:
        return str(entry.load().SUMMARY)
    except Exception as error:
        return f"(of {entry.distribution}; cannot be loaded: {error})"


def _version() -> str:
    """The version that is installed."""
    try:
        return version("n3d_ros")
    except PackageNotFoundError:
        return "(not installed)"
