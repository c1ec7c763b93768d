"""``n3d engine list``: the engines of the cache, and which of them this machine can use."""

from __future__ import annotations

import argparse

from n3d_ros.cli.console import size_text
from n3d_ros.cli.engines import add_cache_argument, lines_of, store_of

SUMMARY = "list the TensorRT engines that are there"
EXAMPLES = """\
  n3d engine list
"""
NEEDS_ROS = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d engine list``.

    Args:
        parser: of the subcommand.
    """
    add_cache_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Lists.

    Args:
        args: parsed arguments.

    Returns:
        0.
    """
    store = store_of(args)
    entries = store.entries()
    for entry in entries:
        print("\n".join(lines_of(entry)))
    total = size_text(sum(entry.bytes for entry in entries))
    print(f"{len(entries)} engines in {store.folder}, {total}" if entries else f"No engine in {store.folder}.")
    return 0
