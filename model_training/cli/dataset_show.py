"""``n3d dataset show``: a picture of what a data set holds, and its numbers."""

from __future__ import annotations

import argparse

SUMMARY = "show frames of a data set with boxes and questions, and its numbers"
EXAMPLES = """\
  n3d dataset show data/scenes
  n3d dataset show data/scenes --count 24 --out look.jpg
  n3d dataset show data/scenes --json > statistics.json
"""
NEEDS_ROS = False

SHEET = "contact_sheet.jpg"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d dataset show``.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument("dataset", metavar="OUT", help="folder of the data set")
    parser.add_argument("--out", metavar="FILE.jpg", help=f"the sheet (default OUT/reports/{SHEET})")
    parser.add_argument("--count", type=int, default=12, metavar="N", help="frames on it (default 12, 0 for no sheet)")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON, all of them")


def run(args: argparse.Namespace) -> int:
    """Shows.

    Args:
        args: parsed arguments.

    Returns:
        0; 3 where the data set has no frames yet.

    Raises:
        ConfigurationError: a sheet of another kind or size than can be made.
    """
    import sys
    from pathlib import Path

    from model_training.cli.stage_options import print_statistics
    from model_training.data.drawing import MOST_PICTURES, write_sheet
    from model_training.data.folder import DatasetFolder
    from model_training.data.statistics import statistics_of
    from n3d_ros.cli.main import EXIT_NOTHING_FOUND
    from n3d_ros.errors import ConfigurationError
    from n3d_ros.whole_files import json_bytes

    folder = DatasetFolder.open(args.dataset)
    path = Path(args.out) if args.out else folder.reports / SHEET
    if path.suffix.lower() not in (".jpg", ".jpeg"):
        raise ConfigurationError(f"--out: expected a name that ends in .jpg, got {str(path)!r}.")
    if not 0 <= args.count <= MOST_PICTURES:
        raise ConfigurationError(f"--count: expected 0 to {MOST_PICTURES}, got {args.count}.")
    found = statistics_of(folder).to_dict()
    if args.json:
        print(json_bytes(found).decode(), end="")
    else:
        print_statistics(found)
    if not found["frames"]:
        print(f"{folder.path} has no frames yet.", file=sys.stderr)
        return EXIT_NOTHING_FOUND
    if args.count:
        print(f"{write_sheet(folder, path, args.count)} frames in {path}", file=sys.stderr)
    return 0
