"""``n3d engine clean``: removes engines from the cache."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from n3d_ros.cli.console import size_text
from n3d_ros.cli.engines import add_cache_argument, lines_of, store_of
from n3d_ros.errors import ConfigurationError

if TYPE_CHECKING:
    from n3d_ros.inference.tensorrt.store import StoredEngine

SUMMARY = "remove TensorRT engines that are not needed"
EXAMPLES = """\
  n3d engine clean --damaged              # those that cannot be used
  n3d engine clean --unused-days 30
  n3d engine clean 3f2a9c                 # by the beginning of the name that `n3d engine list` shows
  n3d engine clean --all --dry-run        # says what would go
"""
NEEDS_ROS = False
DAY_S = 24 * 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d engine clean``.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument("names", nargs="*", metavar="NAME", help="beginning of an engine's name, 4 letters or more")
    parser.add_argument("--all", action="store_true", help="every engine")
    parser.add_argument("--damaged", action="store_true", help="engines whose files are not those that were tested")
    parser.add_argument("--unused-days", type=float, metavar="DAYS", help="engines that were not loaded for so long")
    parser.add_argument("--dry-run", action="store_true", help="say what would be removed")
    add_cache_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Removes.

    Args:
        args: parsed arguments.

    Returns:
        0.

    Raises:
        ConfigurationError: nothing was chosen, or a name that no engine or several have.
        BackendError: an engine is being built.
    """
    if not (args.names or args.all or args.damaged or args.unused_days is not None):
        raise ConfigurationError("n3d engine clean: name engines, or say --all, --damaged or --unused-days N.")
    if args.unused_days is not None and not args.unused_days >= 0:  # NaN too
        raise ConfigurationError(f"--unused-days: expected 0 or more, got {args.unused_days}.")
    store = store_of(args)
    chosen = _chosen(store.entries(), args)
    for entry in chosen:
        print("\n".join(lines_of(entry)))
        if not args.dry_run:
            store.remove(entry)
    total = size_text(sum(entry.bytes for entry in chosen)) if args.dry_run else ""
    print(f"{len(chosen)} engines {f'would be removed, {total}' if args.dry_run else 'removed'} of {store.folder}")
    return 0


def _chosen(entries: Sequence[StoredEngine], args: argparse.Namespace) -> list[StoredEngine]:
    """The engines that the arguments mean."""
    from n3d_ros.inference.tensorrt.store import file_problem

    chosen = {entry.folder.name: entry for entry in entries if args.all}
    for name in args.names:
        found = [entry for entry in entries if len(name) >= 4 and entry.folder.name.startswith(name)]
        if len(found) != 1:
            raise ConfigurationError(
                f"Engine {name}: expected the beginning of one name (4 letters or more), {len(found)} fit; "
                "`n3d engine list` shows them."
            )
        chosen[found[0].folder.name] = found[0]
    for entry in entries:
        is_old = args.unused_days is not None and time.time() - entry.used > args.unused_days * DAY_S
        if is_old or (args.damaged and file_problem(entry)):
            chosen[entry.folder.name] = entry
    return list(chosen.values())
