"""``n3d doctor``: looks at a running system, names each fault and says what mends it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from n3d_ros.cli.names import node_name, topic_name
from n3d_ros.errors import ConfigurationError

if TYPE_CHECKING:
    from n3d_ros.ros.doctor.findings import Finding

SUMMARY = "Look at a running system, with or without the node: name each fault and what mends it."
EXAMPLES = """\
  n3d doctor
  n3d doctor --camera realsense            a camera before the node is started
  n3d doctor --color /rgb/image --depth /depth/image --seconds 10
  n3d doctor --node /front/n3d --json
"""
NEEDS_ROS = True

SECONDS = (0.5, 60.0)
MARKS = {"ok": "ok", "warning": "warning", "fault": "FAULT"}
COLORS = {"ok": "\033[32m", "warning": "\033[33m", "fault": "\033[31m"}
END = "\033[0m"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d doctor``.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument(
        "--node", type=node_name, default="/n3d", metavar="NAME", help="full name of the node (default /n3d)"
    )
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="listen for S seconds (default 3)")
    parser.add_argument("--camera", metavar="PRESET", help="look at the topics of this camera preset")
    parser.add_argument("--prefix", metavar="NS", help="what the camera's topics begin with (with --camera)")
    for role, what in (
        ("color", "colour image"),
        ("color-info", "its calibration"),
        ("depth", "depth image"),
        ("depth-info", "its calibration"),
    ):
        parser.add_argument(f"--{role}", f"--{role}-topic", type=topic_name, metavar="TOPIC", help=what)
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--quiet", action="store_true", help="leave out what is well")
    parser.add_argument("--strict", action="store_true", help="end with 1 for warnings, too")


def run(args: argparse.Namespace) -> int:
    """Examines and prints.

    Args:
        args: parsed arguments.

    Returns:
        1 when something is at fault (or, with --strict, not well), else 0.

    Raises:
        ConfigurationError: seconds out of range, or an unknown camera.
    """
    from n3d_ros.cli.main import EXIT_FAILED, EXIT_OK
    from n3d_ros.ros.camera_presets import camera_preset, load_camera_presets
    from n3d_ros.ros.doctor.examination import examine
    from n3d_ros.ros.doctor.findings import Level, to_document, worst
    from n3d_ros.ros.doctor.gathering import Request, gather

    if not SECONDS[0] <= args.seconds <= SECONDS[1]:
        raise ConfigurationError(f"--seconds: expected {SECONDS[0]:g} to {SECONDS[1]:g} s, got {args.seconds:g}.")
    presets = load_camera_presets()
    preset = camera_preset(args.camera, presets).with_prefix(args.prefix or "") if args.camera else None
    topics = {role: getattr(args, role) for role in ("color", "color_info", "depth", "depth_info")}
    if not args.json:
        print(f"Listening for {args.seconds:g} s ...", file=sys.stderr, flush=True)
    snapshot = gather(Request(node=args.node, seconds=args.seconds, topics=topics, preset=preset))
    findings = examine(snapshot, presets)
    if args.json:
        names = {role: topic.name for role, topic in snapshot.topics.items()}
        facts = {"node": snapshot.node.name, "seconds": args.seconds, "topics": names}
        print(json.dumps(to_document(findings, **facts), indent=1))
    else:
        print(report(findings, quiet=args.quiet, colored=sys.stdout.isatty()))
    bound = Level.WARNING if args.strict else Level.FAULT
    return EXIT_FAILED if worst(findings) >= bound else EXIT_OK


def report(findings: Sequence[Finding], *, quiet: bool = False, colored: bool = False) -> str:
    """The findings for people: one line each, and the mend below it.

    Args:
        findings: all of them.
        quiet: leave out what is well.
        colored: with the colours of a terminal.

    Returns:
        Lines; the last one counts.
    """
    from n3d_ros.ros.doctor.findings import Level
    from n3d_ros.ros.plain_text import plain
    from n3d_ros.scene.answers.wording import counted

    shown = [one for one in findings if one.level or not quiet]
    width = max((len(one.check) for one in shown), default=0)
    lines = []
    for one in shown:
        mark = f"{MARKS[one.level.word]:<7}"
        if colored:
            mark = f"{COLORS[one.level.word]}{mark}{END}"
        lines.append(f"{mark}  {one.check:<{width}}  {plain(one.message)}")
        if one.mend:
            lines.append(f"{'':<{7 + 2 + width + 2}}-> {plain(one.mend)}")
    counts = {level: sum(one.level is level for one in findings) for level in Level}
    faults, warnings = counts[Level.FAULT], counts[Level.WARNING]
    lines.append(f"{counted(faults, 'fault')}, {counted(warnings, 'warning')}, {counts[Level.OK]} well.")
    return "\n".join(lines)
