"""``n3d report``: a whole bag as one page for people who prefer to look."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from n3d_ros.cli.bag_run import add_bag_arguments, config_of, files_read, questions_of, refuse_overlap, work_through
from n3d_ros.cli.console import size_text

if TYPE_CHECKING:
    from n3d_ros.ros.bag import BagReader
    from n3d_ros.ros.camera_topics import CameraTopics
    from n3d_ros.ros.report.facts import BagFacts
    from n3d_ros.ros.report.material import ReportMaterial

SUMMARY = "Work through a whole bag and make one HTML page of it: pictures, map, objects, timeline, answers, latency."
EXAMPLES = """\
  n3d report demo/tabletop -o report.html
  n3d report my_bag -o report.html --ask "where is the red box?" --ask "@2.5 how many cups are there?"
  n3d report my_bag -o report.html -p output_frame:=map --questions questions.txt
"""
NEEDS_ROS = True

PICTURES, MAX_PICTURES = 6, 24  # images evenly over the bag; half as many more show what changed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d report``.

    Args:
        parser: of the subcommand.
    """
    add_bag_arguments(parser)
    parser.add_argument("-o", "--output", required=True, metavar="PAGE.html", help="file to write")
    parser.add_argument(
        "--pictures",
        type=int,
        default=PICTURES,
        metavar="N",
        help=f"images over the bag, 1 to {MAX_PICTURES} ({PICTURES}); half as many more show changes",
    )
    parser.add_argument("--force", action="store_true", help="replace a page that is there")


def run(args: argparse.Namespace) -> int:
    """Works through the bag and writes the page.

    Args:
        args: parsed arguments.

    Returns:
        0; 1 when the bag is damaged or no frame gave a result; 130 after Ctrl-C, with a page of what was seen so far.
    """
    from datetime import datetime, timezone

    from n3d_ros.cli.main import EXIT_INTERRUPTED
    from n3d_ros.errors import BagError, ConfigurationError
    from n3d_ros.ros.plain_results import write_text
    from n3d_ros.ros.report.facts import settings_of, versions
    from n3d_ros.ros.report.page import ReportInput, report_page

    if not 1 <= args.pictures <= MAX_PICTURES:
        raise ConfigurationError(f"--pictures: expected 1 to {MAX_PICTURES}, got {args.pictures}.")
    output = Path(args.output)
    refuse_page(output, force=args.force)
    refuse_overlap({"-o": output}, files_read(args))
    prepared = _Prepared(args)
    summary = work_through(args, prepared.config, output=None, prepare=prepared.options).summary
    report = ReportInput(
        bag=prepared.bag,
        summary=summary,
        material=prepared.material,
        settings=settings_of(prepared.config),
        versions=versions(),
        made=datetime.now(timezone.utc),
    )
    page = report_page(report)
    write_text(output, page)
    print(f"{summary.frames_ok} of {summary.frames} frames with a result, {len(summary.answers)} questions asked")
    print(f"{output} ({size_text(len(page.encode()))})")
    if summary.damage:
        raise BagError(f"{summary.damage} The page tells of what could be read.", reason="damaged_bag")
    if summary.interrupted:
        return EXIT_INTERRUPTED
    return 0 if summary.frames_ok else 1


class _Prepared:
    """What is made when the bag is open, and used when it has been worked through."""

    bag: BagFacts
    material: ReportMaterial

    def __init__(self, args: argparse.Namespace) -> None:
        self._pictures = args.pictures
        self._questions = questions_of(args)
        self.config = config_of(args)

    def options(self, reader: BagReader, topics: CameraTopics) -> dict[str, Any]:
        """Listens to the run, and asks what the user asks or, without that, what the scene gives rise to.

        Where nobody names a frame, positions are given in one that stands still, if tf connects one with the camera.
        """
        from n3d_ros.ros.bag_pass import output_frame_of
        from n3d_ros.ros.report.default_questions import default_questions, questions_on_the_way
        from n3d_ros.ros.report.facts import bag_facts
        from n3d_ros.ros.report.material import ReportMaterial

        self.bag = bag_facts(reader, topics)
        self.material = ReportMaterial(
            reader.start_ns, reader.duration_ns, pictures=self._pictures, changes=self._pictures // 2
        )
        if not self.config.pipeline.output_frame:
            pipeline = replace(self.config.pipeline, output_frame=output_frame_of(reader, topics))
            self.config = replace(self.config, pipeline=pipeline)
        listening = {"config": self.config, "on_look": self.material.look, "on_drop": self.material.drop}
        if self._questions:
            return {**listening, "questions": self._questions}
        asked = questions_on_the_way(reader.duration_ns / 1e9)
        return {**listening, "questions": asked, "last_questions": default_questions}


def refuse_page(path: Path, *, force: bool) -> None:
    """Refuses a place where the page could not be written, before the work begins.

    Args:
        path: of the page.
        force: replace a file that is there.

    Raises:
        BagError: it is a folder or in none, lies in a recording, or something is there already.
    """
    from n3d_ros.errors import BagError
    from n3d_ros.ros.bag import refuse_inside_bag

    if path.is_dir():
        raise BagError(f"{path} is a folder; expected the name of a file, such as {path / 'report.html'}.")
    if not path.absolute().parent.is_dir():
        raise BagError(f"{path}: its folder is not there; make it first.")
    refuse_inside_bag(path.absolute().parent)
    if path.exists() and not force:
        raise BagError(f"{path} is there already; choose another name, or --force to replace it.")
