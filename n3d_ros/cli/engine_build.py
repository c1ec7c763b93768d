"""``n3d engine build``: a TensorRT engine of exported graphs, tested, in the user's cache."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from n3d_ros.cli.console import told_progress
from n3d_ros.cli.engines import add_target_arguments, lines_of, options_of, self_test_lines, store_of
from n3d_ros.errors import ConfigurationError

SUMMARY = "build a TensorRT engine of exported graphs for this machine, and test it"
EXAMPLES = """\
  n3d export yuxinhk/N3D-VLM --out ~/graphs/n3d-vlm --dtype bfloat16 --image 640x480
  n3d engine build ~/graphs/n3d-vlm
  n3d start --camera realsense --model ~/graphs/n3d-vlm          # which takes the engine from then on

An engine runs on the GPU, the driver and the TensorRT it was built with. It is kept only if it says what the network
said when it was exported; else it is built again in the safe form, and refused where that fails too. A build takes
minutes and about twice the weights of memory; stop the node while it runs on a small board.
"""
NEEDS_ROS = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d engine build``.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument("graphs", type=Path, metavar="FOLDER", help="that `n3d export` wrote")
    add_target_arguments(parser)
    parser.add_argument(
        "--workspace-gb",
        type=float,
        default=0.0,
        metavar="GB",
        help="most memory that one kernel may take for itself (default: TensorRT decides)",
    )
    parser.add_argument(
        "--level",
        type=int,
        choices=range(6),
        metavar="0..5",
        help="how long is looked for fast kernels (default: TensorRT's own, 3)",
    )
    parser.add_argument(
        "--no-timing-cache",
        action="store_true",
        help="measure every kernel anew, instead of going by what an earlier build on this machine measured",
    )
    parser.add_argument("--again", action="store_true", help="build though there is an engine already")
    parser.add_argument(
        "--limit-gb",
        type=float,
        default=40.0,
        metavar="GB",
        help="engines that were not used for longest are removed above this size; 0: never (default 40)",
    )


def run(args: argparse.Namespace) -> int:
    """Builds, and tells what was built.

    Args:
        args: parsed arguments.

    Returns:
        0.

    Raises:
        BackendError: no TensorRT, no GPU, or no engine that says what the network says.
        ConfigurationError: no folder of graphs, or no room.
    """
    options, folder = options_of(args), args.graphs.expanduser()
    from n3d_ros.inference.tensorrt.engines import build_engine
    from n3d_ros.inference.tensorrt.targets import DepthTarget, find_target

    target = find_target(folder, options)
    if args.cache is not None and isinstance(target, DepthTarget):
        raise ConfigurationError(
            f"{folder} is a depth model, whose engines are looked for in the user's cache alone; leave out --cache, or "
            "set XDG_CACHE_HOME for this command and the node."
        )
    print(f"{'machine':9} {target.machine.in_words()}")
    began = time.time()
    with told_progress("engine") as tell:
        entry = build_engine(target, store_of(args), tell, again=args.again)
    assert entry.record is not None
    if entry.record.built < began:
        print(f"{'note':9} it was there already; --again builds it anew (with other --level or --workspace-gb)")
    for line in [*self_test_lines(entry.record.self_test), *lines_of(entry)]:
        print(line)
    return 0
