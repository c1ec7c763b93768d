"""``n3d run``: finds the objects of a whole bag, offline."""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from n3d_ros.cli.console import RATE_FORMAT, number, on_stop_signal, progress, table
from n3d_ros.cli.start import add_model_argument, model_parameters, parse_parameters

if TYPE_CHECKING:
    from n3d_ros.ros.offline import OfflineSummary

SUMMARY = "Find the objects of a whole bag, offline, through the node's own pipeline, as fast as it goes."
EXAMPLES = """\
  n3d run demo/tabletop -o out
  n3d run my_bag -o out --images -p output_frame:=map
  n3d run my_bag -o out --model ~/models/N3D-VLM -p language_model.prompt:="mug; red box" -p continuous_rate_hz:=1.0
  n3d run my_bag -o out --color /cam/rgb/image --depth /cam/depth/image --depth-info /cam/depth/info
"""
EPILOG = """\
writes into the output folder:
  objects.json    every frame's objects; two runs differ only under "timing"
  annotated/      rosbag2 (MCAP): objects, markers, reports, image with boxes; opens in Foxglove and `ros2 bag`
  boxes.png       the clearest frame; top_down.png the same from above
"""
NEEDS_ROS = True

LISTED_SHARE = 10  # objects seen in less than one image of so many are not listed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d run``.

    Args:
        parser: of the subcommand.
    """
    parser.epilog = f"{parser.epilog}\n\n{EPILOG}"
    parser.add_argument("bag", metavar="BAG", help="rosbag2 folder, or one .mcap or .db3 file")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="folder for the results")
    add_topic_arguments(parser)
    add_model_argument(parser)
    parser.add_argument("--params", metavar="FILE", help="parameter file (YAML) of the node")
    parser.add_argument("-p", "--param", action="append", default=[], metavar="NAME:=VALUE", help="one parameter")
    parser.add_argument("--images", action="store_true", help="copy the original images into the annotated bag")
    parser.add_argument("--no-bag", action="store_true", help="write no annotated bag")
    parser.add_argument("--force", action="store_true", help="replace results of an earlier run")


def add_topic_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that name the camera's topics.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument("--color", metavar="TOPIC", help="colour image (default: found by type, encoding and name)")
    parser.add_argument("--color-info", metavar="TOPIC", help="its calibration")
    parser.add_argument("--depth", metavar="TOPIC", help="depth image")
    parser.add_argument("--depth-info", metavar="TOPIC", help="its calibration")


def named_topics(args: argparse.Namespace) -> dict[str, str | None]:
    """The topics the user named, by role.

    Args:
        args: parsed arguments.

    Returns:
        As ``find_camera_topics`` takes them.
    """
    return {role: getattr(args, role) for role in ("color", "color_info", "depth", "depth_info")}


def run(args: argparse.Namespace) -> int:
    """Processes the bag.

    Args:
        args: parsed arguments.

    Returns:
        0; 1 when the bag is damaged or no frame gave a result; 130 after Ctrl-C, with the results so far written.
    """
    from n3d_ros.cli.main import EXIT_INTERRUPTED
    from n3d_ros.errors import BagError
    from n3d_ros.ros.bag import BagMessage, BagReader
    from n3d_ros.ros.camera_topics import find_camera_topics
    from n3d_ros.ros.config_files import config_from_files
    from n3d_ros.ros.loading import LoadingProgress, grounder_from_config
    from n3d_ros.ros.offline import RESULTS_FILE, run_bag
    from n3d_ros.ros.report_pictures import write_outcome_pictures

    output, stopped = Path(args.output), threading.Event()
    if (output / RESULTS_FILE).exists() and not args.force:
        raise BagError(f"{output} holds results already; choose another folder, or --force to replace them.")
    values = {**model_parameters(args), **parse_parameters(args.param)}
    config = config_from_files([Path(args.params)] if args.params else [], values)
    with BagReader(args.bag) as reader:
        topics = find_camera_topics(reader, named_topics(args))
        print(f"colour {topics.color}, depth {topics.depth}")
        loading = LoadingProgress(lambda line: print(line, file=sys.stderr, flush=True), lambda: False)
        grounder = grounder_from_config(config, loading)
        try:
            with (
                progress(reader.duration_ns / 1e9, "run", bar_format=RATE_FORMAT) as bar,
                on_stop_signal(stopped.set),
            ):

                def advance(message: BagMessage) -> None:
                    bar.update(max(0.0, (message.stamp_ns - reader.start_ns) / 1e9 - bar.n))

                summary = run_bag(
                    reader,
                    output,
                    topics=topics,
                    grounder=grounder,
                    config=config,
                    include_images=args.images,
                    write_bag=not args.no_bag,
                    force=args.force,
                    on_progress=advance,
                    should_stop=stopped.is_set,
                )
        finally:
            grounder.close()
    if summary.best is not None:
        write_outcome_pictures(output, *summary.best, title=f"{Path(args.bag).name} from above")
    _tell(summary, output)
    if summary.damage:
        raise BagError(f"{summary.damage} The results hold what could be read.", reason="damaged_bag")
    if summary.interrupted:
        return EXIT_INTERRUPTED
    return 0 if summary.frames_ok else 1


def print_rarely_seen(count: int) -> None:
    """Says how many objects the table leaves out.

    Args:
        count: number of them.
    """
    if count:
        print(f"and {count} more, each seen in less than a tenth of the images")


def _tell(summary: OfflineSummary, output: Path) -> None:
    """Prints what was found."""
    rows = [
        [
            str(item.id),
            item.label,
            *(number(float(value), 3) for value in item.box.center),
            " x ".join(f"{100 * value:.1f}" for value in item.box.size),
            str(item.observations),
        ]
        for item in sorted(summary.latest, key=lambda item: (-item.observations, item.id))
        if LISTED_SHARE * item.observations >= summary.frames_ok
    ]
    if rows:
        print(f"\nObjects as last seen, in {summary.latest_frame}:")
        print(table(["id", "label", "x m", "y m", "z m", "size cm", "seen"], rows))
        print_rarely_seen(len(summary.latest) - len(rows))
    if summary.facts:
        print("\n" + "\n".join([f"Found by {summary.backend}:", *(f"  {fact}" for fact in summary.facts)]))
    rate = summary.frames / summary.seconds if summary.seconds else 0.0
    print(f"\n{summary.frames_ok} of {summary.frames} frames with a result, {rate:.1f} frames/s; results in {output}/")
    for reason, count in sorted(summary.dropped.items()):
        print(f"  {count} x {reason}: {summary.why.get(reason, '')}")
