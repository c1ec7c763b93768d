"""``n3d replay``: plays a bag over ROS in real time."""

from __future__ import annotations

import argparse

from n3d_ros.cli.console import RATE_FORMAT, on_stop_signal, progress

SUMMARY = (
    "Play a bag over ROS in real time: raw messages, with the timing and qualities of service they were recorded with."
)
EXAMPLES = """\
  n3d replay demo/tabletop
  n3d replay my_bag --rate 0.5 --loop --clock
  n3d replay my_bag --topics /camera/color/image_raw /tf_static --start 10 --duration 5
  n3d replay my_bag --wait 30 -r /camera/color/image_raw:=/rgb/image
"""
NEEDS_ROS = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d replay``.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument("bag", metavar="BAG", help="rosbag2 folder, or one .mcap or .db3 file")
    parser.add_argument("--rate", type=float, default=1.0, metavar="R", help="times real time (default 1)")
    parser.add_argument("--loop", action="store_true", help="begin again at the end, until Ctrl-C")
    parser.add_argument("--clock", action="store_true", help="publish /clock, for nodes with use_sim_time")
    parser.add_argument("--topics", nargs="+", metavar="TOPIC", help="only these topics")
    parser.add_argument("--start", type=float, default=0.0, metavar="S", help="begin S seconds into the bag")
    parser.add_argument("--duration", type=float, metavar="S", help="play S seconds of the bag")
    parser.add_argument(
        "--wait", type=float, default=1.0, metavar="S", help="wait up to S seconds for a first subscriber (default 1)"
    )
    parser.add_argument(
        "-r", "--remap", action="append", default=[], metavar="FROM:=TO", help="publish under another name"
    )


def run(args: argparse.Namespace) -> int:
    """Plays the bag.

    Args:
        args: parsed arguments.

    Returns:
        Exit code 0; also after Ctrl-C, since that is how a replay in a loop ends.
    """
    from n3d_ros.cli.start import parse_remappings
    from n3d_ros.ros.bag import BagMessage, BagReader
    from n3d_ros.ros.replay import ReplayConfig, Replayer
    from n3d_ros.ros.session import ros_node

    config = ReplayConfig(
        rate=args.rate,
        loop=args.loop,
        clock=args.clock,
        topics=tuple(args.topics) if args.topics else None,
        start_s=args.start,
        duration_s=args.duration,
        wait_s=args.wait,
        remap=tuple(parse_remappings(args.remap).items()),
    )
    with BagReader(args.bag) as reader, ros_node("n3d_replay") as node:
        replayer = Replayer(node, reader, config)
        begin_ns = reader.start_ns + round(args.start * 1e9)
        length_s = (reader.end_ns - begin_ns) / 1e9
        if args.duration is not None:
            length_s = min(length_s, args.duration)
        with (
            progress(max(length_s, 0.0), "replay", bar_format=RATE_FORMAT) as bar,
            on_stop_signal(replayer.stop),
        ):

            def advance(message: BagMessage) -> None:
                bar.n = max(0.0, (message.stamp_ns - begin_ns) / 1e9)
                bar.update(0)

            summary = replayer.run(advance)
    late = f"; at most {summary.largest_delay_s * 1e3:.0f} ms late" if summary.messages else ""
    print(f"{summary.messages} messages on {len(replayer.topics)} topics{late}.")
    if summary.skipped:
        print(f"Left out, their types are not installed: {', '.join(summary.skipped)}.")
    return 0
