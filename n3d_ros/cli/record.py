"""``n3d record``: records topics into a bag until Ctrl-C."""

from __future__ import annotations

import argparse
import threading
import time

from n3d_ros.cli.console import on_stop_signal, progress, size_text

SUMMARY = "Record topics into a rosbag2 recording until Ctrl-C. The bag appears under its name when it is complete."
EXAMPLES = """\
  n3d record                                        every topic, into bag_YYYYMMDD_HHMMSS
  n3d record -o kitchen /camera/* /tf /tf_static    some topics, by pattern
  n3d record -o kitchen --duration 10
"""
NEEDS_ROS = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d record``.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help="topic or pattern such as '/camera/*'; none: all")
    parser.add_argument("-o", "--output", metavar="BAG", help="folder to make (default bag_ and the time)")
    parser.add_argument("--storage", choices=("mcap", "sqlite3"), default="mcap", help="file format (default mcap)")
    parser.add_argument("--duration", type=float, metavar="S", help="stop after S seconds")
    parser.add_argument("--force", action="store_true", help="replace a bag of that name")


def run(args: argparse.Namespace) -> int:
    """Records.

    Args:
        args: parsed arguments.

    Returns:
        0; 1 when nothing was recorded or messages were lost.
    """
    from n3d_ros.ros.bag import BagWriter
    from n3d_ros.ros.record import Recorder, spin_until
    from n3d_ros.ros.session import executor_of, ros_node

    output = args.output or time.strftime("bag_%Y%m%d_%H%M%S")
    stopped = threading.Event()
    deadline = None if args.duration is None else time.monotonic() + args.duration

    def is_over() -> bool:
        status = recorder.status
        bar.set_description_str(f"{status.topics} topics, {status.messages} messages", refresh=False)
        bar.update(status.bytes - bar.n)
        timed_out = deadline is not None and time.monotonic() > deadline
        return stopped.is_set() or timed_out or recorder.failure is not None

    with (
        ros_node("n3d_record") as node,
        executor_of(node) as executor,
        BagWriter(output, storage=args.storage, force=args.force) as writer,
        progress(None, "record", unit="B", unit_scale=True) as bar,
        on_stop_signal(stopped.set),
    ):
        recorder = Recorder(node, writer, args.topics)
        try:
            spin_until(executor, is_over)
        finally:  # before the bag is completed, also after a second Ctrl-C: until then its thread writes
            status = recorder.close()
    print(f"{output}: {status.messages} messages on {status.topics} topics, {size_text(status.bytes)}.")
    if status.dropped:
        print(f"{status.dropped} messages were lost: the disk is slower than the topics; record fewer of them.")
    return 0 if status.messages and not status.dropped else 1
