"""``n3d bench speed``: how fast models are on this machine, bare and through the real node. Needs no checkout."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from n3d_ros.cli.bag_run import add_topic_arguments, named_topics
from n3d_ros.cli.bench import BENCH_DOMAIN
from n3d_ros.cli.console import told_progress
from n3d_ros.errors import BackendError, ConfigurationError

if TYPE_CHECKING:
    from n3d_ros.bench.frames import BenchFrames
    from n3d_ros.bench.speed import Plan
    from n3d_ros.bench.subjects import Wanted
    from n3d_ros.bench.table import Row

SUMMARY = "Measure how fast models are on this machine: one Markdown table, and one JSON line at the end."
EXAMPLES = """\
  n3d bench speed                                                  # n3d-nano, bare and through the node at 5 Hz
  n3d bench speed --backend torch --backend onnx                   # two runtimes in turn; graphs are made for onnx
  n3d bench speed --model ~/models/N3D-VLM --device cuda --rate 10
  n3d bench speed --model ~/graphs/n3d-nano --bag my_bag --seconds 60 --json speed.json
  n3d bench speed --no-node --no-transformers --frames 4 --repeats 2
"""
EPILOG = """\
bare: every runtime looks at every frame in turn, in one process: whole frames and their stages; then the model alone
writes lists of boxes, beside transformers' own generate writing the same tokens on the same weights.
node: a camera, the node and an observer, each in a process of its own, over DDS.
Figures are p50, p95 and p99. What cannot be measured here is in the table with the reason.

It takes some minutes: eight with the defaults on two busy cores without a GPU, and more with each further runtime and
rate. Shorter: fewer --frames and --repeats, --seconds 10, --no-node, --no-transformers.
The JSON line holds the command as it was typed, with the paths in it: look before you publish it.
"""
NEEDS_ROS = False  # the bare part runs without; the node's part enters the environment itself

MAX_MODELS, MAX_RATES = 8, 8
PACKAGED = "n3d-nano"
BARE_SHARE = 0.5  # of the progress bar
Progress = Callable[[str, float], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d bench speed``.

    Args:
        parser: of the subcommand.
    """
    parser.epilog = f"{parser.epilog}\n\n{EPILOG}"
    parser.add_argument(
        "--model",
        action="append",
        metavar="MODEL",
        help="a folder of weights or of exported graphs, a hub id, or n3d-nano (default); may be repeated",
    )
    parser.add_argument(
        "--backend",
        action="append",
        metavar="NAME",
        help="what computes, as language_model.backend has it: tensorrt, torch, onnx; of weights, graphs are made for "
        "onnx; may be repeated (default auto: the fastest that files and machine allow)",
    )
    parser.add_argument("--device", default="auto", metavar="DEVICE", help="cpu, cuda, cuda:1 (default auto)")
    parser.add_argument("--dtype", default="auto", metavar="DTYPE", help="of the weights (default auto)")
    frames = parser.add_argument_group("frames")
    frames.add_argument("--bag", metavar="BAG", help="frames of a recording (default: made ones, boxes on a table)")
    frames.add_argument("--frames", type=int, default=8, metavar="N", help="how many, 2 to 64 (default 8)")
    frames.add_argument("--repeats", type=int, default=5, metavar="N", help="looks at each, 1 to 200 (default 5)")
    add_topic_arguments(parser)
    node = parser.add_argument_group("the node")
    node.add_argument(
        "--rate", type=float, action="append", metavar="HZ", help="of images, 0.1 to 120 (default 5); may be repeated"
    )
    node.add_argument("--seconds", type=float, default=20.0, metavar="S", help="of each rate, 1 to 3600 (default 20)")
    node.add_argument("--no-node", action="store_true", help="leave the node out")
    parser.add_argument("--no-transformers", action="store_true", help="leave transformers' generate out")
    parser.add_argument("--json", metavar="FILE", help="write the JSON line into a file, too; it holds the command")


def run(args: argparse.Namespace) -> int:
    """Measures.

    Args:
        args: parsed arguments.

    Returns:
        0.

    Raises:
        ConfigurationError: an unknown backend or device, or a value out of its range.
        N3dError: no model could be loaded, or the frames cannot be used.
    """
    _check(args)
    why_no_node = "left out" if args.no_node else _enter_ros()
    if args.bag and why_no_node and not args.no_node:
        raise ConfigurationError(f"--bag: a recording is read with ROS's messages. {why_no_node}")
    try:
        from n3d_ros.bench.speed import measure_bare, planned
        from n3d_ros.bench.table import markdown
    except ImportError as error:
        raise BackendError(
            f"n3d bench speed needs the package {error.name}, which is not installed. Run `pip install "
            "'n3d_ros[model]'`, or `make setup MODEL=1` in a checkout."
        ) from error
    load = _load_row()
    plan, frames = _plan(args), _frames(args)
    with told_progress("speed") as tell, planned(plan, tell) as (wanted, failed):
        part = 1.0 if why_no_node else BARE_SHARE
        measured, rows = measure_bare(wanted, frames, plan, lambda text, share: tell(text, part * share))
        live = _node_rows(
            args, measured, frames, why_no_node, lambda text, share: tell(text, part + share * (1 - part))
        )
        rows = [load, *failed, *rows, *live]
    line = json.dumps(_document(frames, rows), ensure_ascii=False)
    print(markdown(rows))
    print(line)
    if args.json:
        from n3d_ros.whole_files import write_whole

        write_whole(Path(args.json), f"{line}\n".encode())
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuses values out of their range, before anything is imported."""
    rates = args.rate or [5.0]
    for name, value, least, most in (
        ("--frames", args.frames, 2, 64),
        ("--repeats", args.repeats, 1, 200),
        ("--seconds", args.seconds, 1, 3600),
        *(("--rate", rate, 0.1, 120) for rate in rates),
        ("number of --model", len(args.model or [PACKAGED]), 1, MAX_MODELS),
        ("number of --backend", len(args.backend or ["auto"]), 1, MAX_MODELS),
        ("number of --rate", len(rates), 1, MAX_RATES),
    ):
        if not least <= value <= most:
            raise ConfigurationError(f"{name}: expected {least:g} to {most:g}, got {value:g}.")
    if args.json and not Path(args.json).absolute().parent.is_dir():
        raise ConfigurationError(f"--json: the folder of {args.json} is not there; make it first.")
    if args.json and Path(args.json).is_dir():
        raise ConfigurationError(f"--json: expected a file, {args.json} is a folder.")


def _enter_ros() -> str:
    """Why there is no ROS; empty: there is, and this process is in its environment."""
    from n3d_ros.cli.environment import ensure_ros_environment

    try:
        ensure_ros_environment()
    except ConfigurationError as error:
        return error.message
    from n3d_ros.ros.transport import apply_transport_profile

    os.environ.setdefault("ROS_DOMAIN_ID", BENCH_DOMAIN)
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    apply_transport_profile()
    return ""


def _plan(args: argparse.Namespace) -> Plan:
    """What is measured, checked."""
    from n3d_ros.bench.speed import Plan, check_plan

    plan = Plan(
        models=tuple(dict.fromkeys(args.model or [PACKAGED])),
        backends=tuple(dict.fromkeys(args.backend or ["auto"])),
        device=args.device,
        dtype=args.dtype,
        repeats=args.repeats,
        transformers=not args.no_transformers,
    )
    check_plan(plan)
    return plan


def _frames(args: argparse.Namespace) -> BenchFrames:
    """The frames that are looked at."""
    if args.bag:
        from n3d_ros.ros.measuring.bag_frames import bag_frames

        return bag_frames(args.bag, args.frames, named_topics(args))
    from n3d_ros.bench.made_frames import made_frames

    return made_frames(args.frames)


def _load_row() -> Row:
    """How busy the machine is with other programs, before anything is measured."""
    from n3d_ros.bench.table import Row

    note = f"processes at work before the start, mean of a minute, on {len(os.sched_getaffinity(0))} cores"
    return Row(figure="load of the machine", p50=os.getloadavg()[0], note=note)


def _node_rows(
    args: argparse.Namespace, wanted: list[tuple[str, Wanted]], frames: BenchFrames, why_not: str, tell: Progress
) -> list[Row]:
    """Figures through the node, or why there are none."""
    from n3d_ros.bench.table import Row

    if why_not:
        return [Row(figure="node", note=why_not)]
    from n3d_ros.cli.speed_node import node_rows

    named = [(name, one.config) for name, one in wanted]
    return node_rows(named, frames, args.rate or [5.0], args.seconds, tell)


def _document(frames: BenchFrames, rows: list[Row]) -> dict[str, Any]:
    """What the JSON line holds."""
    from n3d_ros.bench.machine import machine_facts, versions

    return {
        "command": shlex.join(["n3d", *sys.argv[1:]]),
        "machine": machine_facts(),
        "versions": versions(),
        "frames": frames.source,
        "rows": [row.plain for row in rows],
    }
