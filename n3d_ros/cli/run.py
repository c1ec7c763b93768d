"""``n3d run``: finds the objects of a whole bag, offline, and holds them against those of an earlier run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from n3d_ros.cli.bag_run import (
    BagRun,
    add_bag_arguments,
    config_of,
    files_read,
    questions_of,
    refuse_overlap,
    work_through,
)
from n3d_ros.cli.console import number, table
from n3d_ros.errors import N3dError

if TYPE_CHECKING:
    from n3d_ros.ros.bag_questions import Answered
    from n3d_ros.ros.config import NodeConfig
    from n3d_ros.ros.golden.comparing import Comparison
    from n3d_ros.ros.golden.expected import Golden
    from n3d_ros.ros.offline import OfflineSummary

SUMMARY = "Find the objects of a whole bag, offline, through the node's own pipeline, as fast as it goes."
EXAMPLES = """\
  n3d run demo/tabletop -o out
  n3d run my_bag -o out --images -p output_frame:=map
  n3d run my_bag -o out --model ~/models/N3D-VLM -p language_model.prompt:="mug; red box" -p continuous_rate_hz:=1.0
  n3d run my_bag -o out --color /cam/rgb/image --depth /cam/depth/image --depth-info /cam/depth/info
  n3d run my_bag -o out --depth-model depth-anything/DA3-SMALL --metric-model depth-anything/DA3METRIC-LARGE
  n3d run my_bag --save golden.json --ask "how many boxes are there?" --ask "@2.5 where is the red box?"
  n3d run my_bag --compare golden.json --junit results.xml --center-m 0.02
"""
EPILOG = """\
writes into the output folder:
  objects.json    every frame's objects; two runs differ only under "timing"
  annotated/      rosbag2 (MCAP): objects, markers, reports, image with boxes; opens in Foxglove and `ros2 bag`
  boxes.png       the clearest frame; top_down.png the same from above

a golden file (--save) is JSON to be read, edited and kept under version control; --compare asks its questions again.
exit code of --compare: 0 the same, 1 differs, 2 could not be compared, 130 interrupted
"""
NEEDS_ROS = True

LISTED_SHARE = 10  # objects seen in less than one image of so many are not listed
MAX_ROWS = 30  # of the table of differences
EXIT_CANNOT_COMPARE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d run``.

    Args:
        parser: of the subcommand.
    """
    parser.epilog = f"{parser.epilog}\n\n{EPILOG}"
    add_bag_arguments(parser)
    parser.add_argument(
        "-o", "--output", metavar="OUT", help="folder for the results; may be left out with --save and --compare"
    )
    parser.add_argument("--images", action="store_true", help="copy the original images into the annotated bag")
    parser.add_argument("--no-bag", action="store_true", help="write no annotated bag")
    parser.add_argument("--force", action="store_true", help="replace results of an earlier run, or a golden file")
    golden = parser.add_argument_group("golden files")
    which = golden.add_mutually_exclusive_group()
    which.add_argument("--save", metavar="GOLDEN.json", help="write what was found and answered as a golden file")
    which.add_argument("--compare", metavar="GOLDEN.json", help="tell how this run differs from a golden file")
    golden.add_argument("--junit", metavar="FILE.xml", help="with --compare: write the comparison as JUnit XML")
    for name, text in (
        ("min-iou", "smallest overlap of a box with the expected one, 0 to 1 (0.5)"),
        ("center-m", "largest distance of the centres, metres (0.01)"),
        ("size-m", "largest difference of a length, metres (0.01)"),
        ("yaw-deg", "largest turn, degrees (5)"),
        ("score", "largest difference of the score (0.1)"),
        ("value-share", "largest difference of a number in an answer, as a share of it (0.02)"),
    ):
        golden.add_argument(f"--{name}", type=float, metavar="X", help=f"tolerance: {text}")


def run(args: argparse.Namespace) -> int:
    """Processes the bag.

    Args:
        args: parsed arguments.

    Returns:
        0; 1 when the bag is damaged or no frame gave a result; 130 after Ctrl-C, with the results so far written. With
        ``--compare`` 1 when something differs, and 2 when nothing could be compared.
    """
    if not args.compare:
        return _run(args, None)
    from n3d_ros.ros.golden.reading import read_golden

    try:
        return _run(args, read_golden(Path(args.compare)))
    except N3dError as error:
        if args.verbose:
            raise
        print(f"n3d: {error.message}", file=sys.stderr)
        return EXIT_CANNOT_COMPARE


def _run(args: argparse.Namespace, golden: Golden | None) -> int:
    """Processes the bag, and saves or compares what was found."""
    from n3d_ros.cli.main import EXIT_INTERRUPTED
    from n3d_ros.errors import BagError
    from n3d_ros.ros.report_pictures import write_outcome_pictures

    tolerances = given_tolerances(args)
    output = _checked_output(args)
    config = config_of(args)
    questions = [*questions_of(args), *(one.question for one in (golden.answers if golden else ()))]
    done = work_through(
        args,
        config,
        output=output,
        questions=tuple(dict.fromkeys(questions)),
        include_images=args.images,
        write_bag=not args.no_bag,
        force=args.force,
    )
    summary = done.summary
    if output is not None and summary.best is not None:
        write_outcome_pictures(output, *summary.best, title=f"{Path(args.bag).name} from above")
    _tell(summary, output)
    if summary.damage and golden is None:
        raise BagError(f"{summary.damage} The results hold what could be read.", reason="damaged_bag")
    if summary.interrupted:
        return EXIT_INTERRUPTED
    if args.save:
        _save(args, done, config, tolerances)
    if golden is not None:
        return _compare(args, done, config, golden, tolerances)
    return 0 if summary.frames_ok else 1


def given_tolerances(args: argparse.Namespace) -> dict[str, float]:
    """The tolerances on the command line.

    Args:
        args: parsed arguments.

    Returns:
        Values by name, checked; those that are not given are left out.
    """
    from n3d_ros.ros.golden.expected import TOLERANCES, Tolerances

    given = {name: getattr(args, name) for name in TOLERANCES if getattr(args, name) is not None}
    Tolerances.of(given)
    return given


def _checked_output(args: argparse.Namespace) -> Path | None:
    """The folder for results, before the work begins; also refuses what could not be written at its end."""
    from n3d_ros.errors import BagError, ConfigurationError
    from n3d_ros.ros.bag import refuse_inside_bag
    from n3d_ros.ros.offline import RESULTS_FILE

    if not args.output and not args.save and not args.compare:
        raise ConfigurationError("Expected -o OUT for the results, --save GOLDEN.json or --compare GOLDEN.json.")
    if args.junit and not args.compare:
        raise ConfigurationError("--junit tells of a comparison; it needs --compare GOLDEN.json.")
    if args.save and Path(args.save).exists() and not args.force:
        raise BagError(f"{args.save} is there already; choose another name, or --force to replace it.")
    for name in filter(None, (args.save, args.junit)):
        if not Path(name).absolute().parent.is_dir():
            raise BagError(f"{name}: its folder is not there; make it first.")
        refuse_inside_bag(Path(name).absolute().parent)
    refuse_overlap(_files_written(args), files_read(args) | ({"--compare": Path(args.compare)} if args.compare else {}))
    if not args.output:
        return None
    output = Path(args.output)
    if (output / RESULTS_FILE).exists() and not args.force:
        raise BagError(f"{output} holds results already; choose another folder, or --force to replace them.")
    return output


def _files_written(args: argparse.Namespace) -> dict[str, Path]:
    """Files and folders that the options have written, by option."""
    from n3d_ros.ros.offline import BAG_FOLDER, RESULTS_FILE
    from n3d_ros.ros.report_pictures import IMAGE_FILE, TOP_DOWN_FILE

    written = {name: Path(path) for name, path in (("--save", args.save), ("--junit", args.junit)) if path}
    if args.output:
        folder = [] if args.no_bag else [BAG_FOLDER]
        written |= {
            f"-o, {name}": Path(args.output) / name for name in (RESULTS_FILE, IMAGE_FILE, TOP_DOWN_FILE, *folder)
        }
    return written


def _save(args: argparse.Namespace, done: BagRun, config: NodeConfig, tolerances: dict[str, float]) -> None:
    """Writes the golden file."""
    from n3d_ros.ros.golden.writing import golden_of, write_golden
    from n3d_ros.scene.answers.wording import counted

    golden = golden_of(done.summary, recording=done.recording, config=config, tolerances=tolerances)
    write_golden(Path(args.save), golden)
    objects = sum(len(image.objects) for image in golden.images)
    print(
        f"{args.save}: {counted(len(golden.images), 'image')} with {counted(objects, 'object')} and "
        f"{counted(len(golden.answers), 'answer')} to be expected from now on"
    )


def _compare(
    args: argparse.Namespace, done: BagRun, config: NodeConfig, golden: Golden, tolerances: dict[str, float]
) -> int:
    """Compares, tells, and writes JUnit XML; returns the exit code."""
    from n3d_ros.ros.golden.comparing import compare
    from n3d_ros.ros.golden.expected import Tolerances
    from n3d_ros.ros.golden.junit import write_junit
    from n3d_ros.ros.golden.writing import golden_of

    found = golden_of(done.summary, recording=done.recording, config=config)
    comparison = compare(golden, found, Tolerances.of(golden.tolerances, tolerances))
    _tell_comparison(comparison, args.compare)
    if args.junit:
        properties = {
            "bag": done.recording.name,
            "bag.digest": done.recording.digest,
            "golden": str(args.compare),
            "n3d_ros": found.package_version,
            "found_by": found.backend,
            **{f"parameter.{name}": str(value) for name, value in found.settings.items()},
        }
        name = Path(done.recording.name).stem
        write_junit(Path(args.junit), comparison, bag=name, properties=properties, seconds=done.summary.seconds)
        print(f"JUnit XML in {args.junit}")
    if done.summary.damage:
        print(f"n3d: {done.summary.damage}", file=sys.stderr)
        return 1
    return 0 if comparison.is_same else 1


def _tell_comparison(comparison: Comparison, golden: str) -> None:
    """Prints what differs, the worst first."""
    from n3d_ros.ros.golden.telling import HEADER, one_line, rows_of, verdict

    rows = rows_of(comparison)
    print(f"\nCompared with {golden}:")
    for note in comparison.notes:
        print(f"  note: {one_line(note, 300)}")
    if rows:
        print(table(HEADER, rows[:MAX_ROWS]))
    if len(rows) > MAX_ROWS:
        print(f"and {len(rows) - MAX_ROWS} more")
    print(verdict(comparison))


def print_rarely_seen(count: int) -> None:
    """Says how many objects the table leaves out.

    Args:
        count: number of them.
    """
    if count:
        print(f"and {count} more, each seen in less than a tenth of the images")


def _tell(summary: OfflineSummary, output: Path | None) -> None:
    """Prints what was found."""
    from n3d_ros.ros.golden.telling import one_line

    rows = [
        [
            str(item.id),
            one_line(item.label),
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
    for answered in summary.answers:
        print_answer(answered)
    if summary.facts:
        print("\n" + "\n".join([f"Found by {summary.backend}:", *(f"  {fact}" for fact in summary.facts)]))
    rate = summary.frames / summary.seconds if summary.seconds else 0.0
    place = f"; results in {output}/" if output is not None else ""
    print(f"\n{summary.frames_ok} of {summary.frames} frames with a result, {rate:.1f} frames/s{place}")
    for reason, count in sorted(summary.dropped.items()):
        print(f"  {count} x {reason}: {one_line(summary.why.get(reason, ''), 1000)}")


def print_answer(answered: Answered) -> None:
    """Prints a question and what was said.

    Args:
        answered: both.
    """
    from n3d_ros.ros.golden.telling import one_line

    at_s, reply = answered.question.at_s, answered.reply
    when = "" if at_s is None else f" (at {at_s:g} s)"
    status = "" if reply.status.name == "OK" else f"[{reply.status.name}] "
    print(f"\n? {one_line(answered.question.text, 200)}{when}")
    print(f"  {status}{one_line(reply.sentence or reply.message, 1000)}")
