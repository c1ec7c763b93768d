"""``n3d bench``: measures what the project promises. Needs a source checkout: ``benchmarks/`` is not installed."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from pathlib import Path

from n3d_ros.errors import ConfigurationError

SUMMARY = "Measure accuracy, latency and load: one Markdown table, and one JSON line at the end."
EXAMPLES = """\
  n3d bench
  n3d bench live determinism --seconds 20
  n3d bench generated --scenes 40
  n3d bench endurance --minutes 30
  n3d bench language_model
  n3d bench depth_quality --depth-model ~/models/DA3-SMALL
  n3d bench speed                         # a command of its own, which needs no checkout
"""
NEEDS_ROS = True

ALONE = (
    "language_model",
    "backends",
    "depth_network",
    "depth_beside",
    "depth_fusion",
    "depth_quality",
    "evaluation",
    "scene_generation",
    "training",
)
"""Parts with a command of their own in `benchmarks`, too."""
PARTS = ("real", "generated", "live", "asking", "determinism", "fuzzing", "endurance", *ALONE)
BENCH_DOMAIN = "78"  # when the user has chosen none: apart from a robot that may be on the same network


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d bench``.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument(
        "--seconds", type=float, default=12.0, metavar="S", help="of images per live session (default 12)"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=3.0,
        metavar="M",
        help="of the endurance session (default 3; the full one: 30)",
    )
    parser.add_argument("--scenes", type=int, default=12, metavar="N", help="generated scenes per kind (default 12)")
    parser.add_argument("--depth-model", metavar="MODEL", help="for depth_quality: a folder, or a hub id")
    parser.add_argument("--depth-metric", metavar="MODEL", help="metric model beside it, for metres")


def run(args: argparse.Namespace) -> int:
    """Measures.

    Args:
        args: parsed arguments.

    Returns:
        0 when every promise is kept; 1 otherwise.

    Raises:
        ConfigurationError: an unknown part, or not a source checkout.
    """
    if unknown := set(args.parts) - set(PARTS):
        raise ConfigurationError(f"Part: expected some of {', '.join(PARTS)}, got {', '.join(sorted(unknown))}.")
    os.environ.setdefault("ROS_DOMAIN_ID", BENCH_DOMAIN)
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    root = Path(__file__).resolve().parents[2]
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    if importlib.util.find_spec("benchmarks") is None:
        raise ConfigurationError(
            "n3d bench: the measurements are not installed; run it in a checkout of n3d_ros (`n3d bench speed` needs "
            "none)."
        )
    from benchmarks.report import json_line, markdown, measure

    figures = measure(
        args.parts or PARTS,
        seconds=args.seconds,
        scenes=args.scenes,
        minutes=args.minutes,
        depth_model=args.depth_model,
        depth_metric=args.depth_metric,
        tell=lambda text: print(text, file=sys.stderr, flush=True),
    )
    print(markdown(figures))
    print(json_line(figures))
    return 0 if all(figure.is_kept is not False for figure in figures) else 1
