"""``n3d dataset check``: reads all of a data set and says what is wrong where."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from model_training.cli.stage_options import add_engine_arguments, shard_numbers, workers_of
from n3d_ros.errors import ConfigurationError

if TYPE_CHECKING:
    from model_training.data.checks import Checked
    from model_training.data.folder import DatasetFolder

SUMMARY = "name what is wrong in a data set, and where"
EXAMPLES = """\
  n3d dataset check data/scenes
  n3d dataset check data/scenes --workers 8
  n3d train stage1 --config my_objects_small --data data/scenes --out runs/one
"""
NEEDS_ROS = False

PROBLEMS_TOLD = 20
REPORT = "check.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d dataset check``.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument("out", metavar="OUT", help="folder of the data set")
    add_engine_arguments(parser, workers=1)


def run(args: argparse.Namespace) -> int:
    """Checks.

    Args:
        args: parsed arguments.

    Returns:
        0 when nothing is wrong; 1 otherwise.
    """
    from model_training.data.checks import Checked, CheckShards, doubled_ids, misplaced
    from model_training.data.folder import CONTENTS, DatasetFolder
    from model_training.data.stages import run_shards
    from n3d_ros.cli.console import progress

    folder = DatasetFolder.open(args.out)
    found = Checked()
    found.add(misplaced(folder))
    only = shard_numbers(args.shards, folder.shards)
    numbers = [n for n in (only or range(folder.shards)) if folder.shard_path("frames", n).exists()]
    frames = 0
    with progress(len(numbers), "check", unit="shard") as bar:
        work = CheckShards(folder=folder).run
        options = {"engine": args.engine, "ray_address": args.ray_address}
        for report in run_shards(work, numbers, workers=workers_of(args), **options):
            frames += report.rows
            found.counts.update(report.rejects)
            found.notes.extend(report.notes)
            bar.update()
    for content in CONTENTS:
        found.add(doubled_ids(folder, content))
    _write(folder, found, len(numbers), frames)
    return _tell(folder, found, len(numbers), frames)


def _write(folder: DatasetFolder, found: Checked, shards: int, frames: int) -> None:
    """Writes what was found into the data set, unless it is on a disk that cannot be written."""
    from n3d_ros.whole_files import write_json

    document = {"frames": frames, "shards": shards, "problems": dict(found.counts), "notes": found.notes}
    try:
        write_json(folder.reports / REPORT, document)
    except ConfigurationError as error:
        print(f"n3d: {error.message}", file=sys.stderr)


def _tell(folder: DatasetFolder, found: Checked, shards: int, frames: int) -> int:
    """Prints what was found; the exit code."""
    from n3d_ros.cli.console import table

    counts = dict(found.counts.most_common())
    if not counts:
        print(f"{frames} frames in {shards} shards read: nothing wrong.")
        return 0
    for note in found.notes[:PROBLEMS_TOLD]:
        print(note)
    if len(found.notes) > PROBLEMS_TOLD:
        print(f"... {len(found.notes) - PROBLEMS_TOLD} more in {folder.reports / REPORT}")
    print(table(["problems", "rule"], [[str(count), rule] for rule, count in counts.items()]))
    print(f"{sum(counts.values())} problems in {frames} frames of {shards} shards.")
    return 1
