"""``n3d view``: a page for the browser with live image, 3-D scene, reports, and a box to ask questions in."""

from __future__ import annotations

import argparse
import sys
import threading

from n3d_ros.cli.console import on_stop_signal
from n3d_ros.cli.names import frame_name, node_name, topic_name

SUMMARY = "Serve a page that shows what the running node sees, in 3-D, and takes questions."
EXAMPLES = """\
  n3d view                                  # then open http://localhost:8080 on this machine
  n3d view --host 0.0.0.0                   # for every browser that reaches the robot
  n3d view --node /front/n3d --port 8081
  ssh -L 8080:localhost:8080 robot          # on a laptop: the robot's page at http://localhost:8080
"""
NEEDS_ROS = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d view``.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument(
        "--node", type=node_name, default="/n3d", metavar="NAME", help="full name of the node (default /n3d)"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (default 127.0.0.1: browsers on this machine alone)"
    )
    parser.add_argument("--port", type=int, default=8080, help="0: any free one (default 8080)")
    parser.add_argument(
        "--frame",
        type=frame_name,
        help="tf frame to show (default: the first of map, odom, world and base_link that tf knows)",
    )
    parser.add_argument(
        "--color", type=topic_name, metavar="TOPIC", help="colour image (default: the one the node listens to)"
    )
    parser.add_argument(
        "--depth", type=topic_name, metavar="TOPIC", help="depth image (default: the one the node listens to)"
    )
    parser.add_argument(
        "--rate", type=float, default=5.0, metavar="HZ", help="pictures per second, at most (default 5)"
    )
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="S", help="longest wait for an answer, seconds (default 60)"
    )
    parser.add_argument("--dark", action="store_true", help="dark ground")
    parser.add_argument("--open", action="store_true", help="open the page in this machine's browser")


def run(args: argparse.Namespace) -> int:
    """Serves until it is stopped.

    Args:
        args: parsed arguments.

    Returns:
        0.
    """
    from n3d_ros.ros.leaving import leave_if_busy
    from n3d_ros.ros.viewer.asking import NAME
    from n3d_ros.ros.viewer.serving import ViewOptions, serve

    options = ViewOptions(
        node=args.node,
        host=args.host,
        port=args.port,
        frame=args.frame,
        color=args.color,
        depth=args.depth,
        rate_hz=args.rate,
        timeout_s=args.timeout,
        dark=args.dark,
    )
    stop = threading.Event()

    def ready(url: str) -> None:
        print(f"The page is at {url} (Ctrl-C ends it).", flush=True)
        warn_of_network(args.host)
        if args.open:
            import webbrowser

            webbrowser.open(url)

    with on_stop_signal(stop.set):
        serve(options, stop, ready)
    leave_if_busy(0, NAME)  # a question may still wait for its answer
    return 0


def warn_of_network(host: str) -> None:
    """Says who can reach the page when it is not this machine alone.

    Args:
        host: address the page listens at.
    """
    from n3d_ros.ros.viewer.page_server import is_loopback

    if not is_loopback(host):
        print(
            f"Warning: {host} is open to the network. Everybody who reaches it sees the camera's pictures and can ask "
            "the node; there is no password and no encryption.",
            file=sys.stderr,
            flush=True,
        )
