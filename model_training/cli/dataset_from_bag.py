"""``n3d dataset from-bag``: a robot's recording to training data, by way of a file that a person corrects."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from n3d_ros.cli.bag_run import (
    add_topic_arguments,
    config_of,
    loading_lines,
    moving,
    opened_bag,
    with_one_camera,
)
from n3d_ros.cli.console import RATE_FORMAT, on_stop_signal, plain, progress
from n3d_ros.cli.start import add_depth_arguments, add_model_argument

if TYPE_CHECKING:
    from model_training.robots.finish import Finished
    from model_training.robots.first_step import FirstStep
    from model_training.robots.looking import Dropped
    from model_training.robots.recorded_boxes import RecordedBoxes

SUMMARY = "make training data of a robot's recording: the node finds boxes, you correct them"
EXAMPLES = """\
  n3d dataset from-bag my_bag --out my_labels                          # 1. boxes, pictures and my_labels/labels.txt
  n3d dataset from-bag my_bag --out my_labels --every 0.5              #    more frames; your corrections stay
  n3d dataset from-bag my_bag --out my_labels --frames 40 --model ~/models/N3D-VLM -p language_model.prompt:="mug; jar"
  n3d dataset from-bag my_bag --out my_labels --boxes auto             #    boxes that were recorded with the bag
  n3d dataset from-bag my_labels --finish --out my_dataset             # 2. what you corrected, as a data set
  n3d dataset from-bag kitchen_labels office_labels --finish --out my_dataset --only-checked
"""
EPILOG = """\
the first step writes: labels.txt (the file to edit; how is told at its top), pictures/ with numbered boxes, look.html
(all pictures, and the pixel under the mouse), frames/ (what was found, exactly). Given again, it adds frames that are
not there yet and changes nothing else; after Ctrl-C it goes on where it stopped.

the second step checks every line of labels.txt first, and writes nothing before all are right. It leaves pictures of
what it wrote in control/ of the same folder.
"""
NEEDS_ROS = False  # the second step runs anywhere; the first asks for ROS itself

EXIT_NOTHING = 1
OPTIONS = {"every_s": "every", "least_sharpness": "sharp", "least_change": "change", "gap_s": "gap"}  # of other names
LABELS = "labels.txt"
LABELS_TOLD = 12
MOMENTS_TOLD = 4
CONFIG, RELEASED = "my_objects_lora", "yuxinhk/N3D-VLM"  # of the training that is proposed
LEFT_OUT_WORDS = {
    "there_already": "there is a frame of that time already",
    "near_duplicate": "nothing in the picture differs from a frame that was picked",
    "blurred": "every picture is blurred",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d dataset from-bag``.

    Args:
        parser: of the subcommand.
    """
    parser.epilog = f"{parser.epilog}\n\n{EPILOG}"
    parser.add_argument(
        "source", metavar="BAG|LABELS", nargs="+", help="a recording; with --finish: one or more folders of labels"
    )
    parser.add_argument(
        "--out", required=True, metavar="FOLDER", help="folder of labels; with --finish: of the data set"
    )
    parser.add_argument("--finish", action="store_true", help="second step: make data sets of corrected labels")
    _add_first(parser)
    _add_second(parser)


def _add_first(parser: argparse.ArgumentParser) -> None:
    """Adds what the first step alone reads."""
    from model_training.robots.picking import PickConfig

    _add_numbers(parser.add_argument_group("first step: which frames"), PickConfig())
    boxes = parser.add_argument_group("first step: who finds the boxes, as in n3d run")
    boxes.add_argument(
        "--boxes", metavar="TOPIC", help="take boxes of this topic of the bag (Object3DArray); auto: the one there is"
    )
    add_topic_arguments(boxes)  # type: ignore[arg-type]
    add_model_argument(boxes)  # type: ignore[arg-type]
    add_depth_arguments(boxes)  # type: ignore[arg-type]
    boxes.add_argument("--params", "--config", metavar="FILE", help="parameter file (YAML) of the node")
    boxes.add_argument("-p", "--param", action="append", default=[], metavar="NAME:=VALUE", help="one parameter")


def _add_second(parser: argparse.ArgumentParser) -> None:
    """Adds what the second step alone reads."""
    from model_training.robots.time_split import SplitConfig

    second = parser.add_argument_group("second step")
    _add_numbers(second, SplitConfig())
    second.add_argument("--only-checked", action="store_true", help="leave out frames still marked unchecked")
    second.add_argument("--licence", default="", metavar="TEXT", help="of the images, kept with every frame")
    second.add_argument("--force", action="store_true", help="replace a data set made here of earlier labels")


def _refuse_given(args: argparse.Namespace, add: Callable[[argparse.ArgumentParser], None], step: str) -> None:
    """Refuses options that only the other step reads: passed over, they would seem to have worked."""
    from n3d_ros.errors import ConfigurationError

    other = argparse.ArgumentParser(add_help=False)
    add(other)
    unset = vars(other.parse_args([]))
    given = [_option(name) for name, default in unset.items() if getattr(args, name) != default]
    if given:
        raise ConfigurationError(f"{', '.join(given)}: only for the {step} step; leave it out here.")


def _option(name: str) -> str:
    """The option that sets a value."""
    return f"--{OPTIONS.get(name, name.replace('_', '-'))}"


def _add_numbers(group: Any, config: Any) -> None:
    """Adds an option for every number of a configuration, with its meaning, unit and default."""
    for one in fields(config):
        about = one.metadata
        default = getattr(config, one.name)
        unit = f" {about['unit']}" if about["unit"] else ""
        group.add_argument(
            _option(one.name),
            dest=one.name,
            type=type(default),
            default=default,
            metavar="N" if isinstance(default, int) else "X",
            help=f"{about['meaning']} ({default:g}{unit})",
        )


def run(args: argparse.Namespace) -> int:
    """Does one of the two steps.

    Args:
        args: parsed arguments.

    Returns:
        0; 1 when the bag is damaged or nothing was found; 130 after Ctrl-C, with what was done so far kept.
    """
    if args.finish:
        _refuse_given(args, _add_first, "first")
        return _second(args)
    _refuse_given(args, _add_second, "second")
    return _first(args)


def _values(args: argparse.Namespace, kind: type) -> dict[str, Any]:
    """The options that are fields of a configuration."""
    return {one.name: getattr(args, one.name) for one in fields(kind)}


# ----------------------------------------------------------------------------------------------------------- first step


def _first(args: argparse.Namespace) -> int:
    """From the recording to the folder to correct."""
    from model_training.robots.picking import PickConfig
    from model_training.robots.work_folder import WORK_FILE
    from n3d_ros.cli.environment import ensure_ros_environment
    from n3d_ros.errors import BagError, ConfigurationError

    config = PickConfig(**_values(args, PickConfig))
    if len(args.source) != 1:
        raise ConfigurationError("Expected one recording; several folders of labels are for --finish.")
    if Path(args.source[0], WORK_FILE).exists():
        raise ConfigurationError(
            f"{args.source[0]} is a folder of labels: add --finish to make a data set of it, or name the recording."
        )
    ensure_ros_environment()
    done = _worked_through(args, config)
    _tell_first(done, args.source[0])
    if done.damage:
        raise BagError(f"{done.damage} {args.out} holds what could be read.", reason="damaged_bag")
    if done.interrupted:
        from n3d_ros.cli.main import EXIT_INTERRUPTED

        print("n3d: interrupted; the same command goes on from here.", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0 if done.added or done.there else EXIT_NOTHING


def _worked_through(args: argparse.Namespace, config: Any) -> FirstStep:
    """The first step, with a progress bar for each of its two passes."""
    from model_training.robots.first_step import take_first_step
    from model_training.robots.looking import Bag
    from n3d_ros.ros.bag import refuse_inside_bag

    out, stopped, node = Path(args.out), threading.Event(), with_one_camera(config_of(args))
    refuse_inside_bag(out)
    with opened_bag(args.source[0], args, node) as opened, ExitStack() as stack:
        reader = opened.reader
        grounder, recorded = _grounder(args, node, reader)
        stack.callback(grounder.close)
        bar = stack.enter_context(progress(reader.duration_ns / 1e9, "", bar_format=RATE_FORMAT))

        def begin(phase: str) -> None:
            bar.reset()
            bar.set_description(phase)

        bag = Bag(
            reader=reader,
            topics=opened.topics,
            grounder=grounder,
            config=node,
            depth_source=opened.depth_source,
            tell=moving(bar, reader),
            should_stop=stopped.is_set,
        )
        with on_stop_signal(stopped.set):
            return take_first_step(bag, out, config, recorded=recorded, on_phase=begin)


def _grounder(args: argparse.Namespace, node: Any, reader: Any) -> tuple[Any, RecordedBoxes | None]:
    """What finds the boxes: the node's grounder, or the recording."""
    from model_training.robots.recorded_boxes import RecordedBoxes, boxes_topic
    from n3d_ros.ros.loading import grounder_from_config

    if not args.boxes:
        return grounder_from_config(node, loading_lines()), None
    recorded = RecordedBoxes(reader, boxes_topic(reader, args.boxes))
    for sentence in recorded.refused[:MOMENTS_TOLD]:
        print(f"n3d: a recorded box is left out: {plain(sentence)}", file=sys.stderr)
    return recorded, recorded


def _tell_first(done: FirstStep, source: str) -> None:
    """What the first step came to, and what comes next."""
    work = done.work
    print(f"{_counted(done.candidates, 'frame')} of {Path(source).name} can be used.")
    for reason, count in done.left_out.most_common():
        stretches = _counted(count, "stretch", "stretches")
        print(f"  {stretches} of time without a new frame: {LEFT_OUT_WORDS.get(reason, reason)}")
    _tell_dropped(done.dropped)
    if not done.added:
        print(f"Nothing was added to {work.labels}: it has {_counted(done.there, 'frame')}.")
    else:
        before = f" to the {done.there} that were there" if done.there else ""
        boxes = _counted(done.objects, "box", "boxes")
        print(f"Added{before}: {_counted(len(done.added), 'frame')} with {boxes}.")
    print(
        f"Look at {work.path / 'look.html'} (or {work.path / 'pictures'}), correct {work.labels}, then:\n"
        f"  n3d dataset from-bag {quote(str(work.path))} --finish --out DATASET"
    )


def _tell_dropped(dropped: Dropped) -> None:
    """Which images could not be used, and why."""
    for reason, count in dropped.counts.most_common():
        when = ", ".join(f"{seconds:.2f}" for seconds in dropped.where[reason][:MOMENTS_TOLD])
        more = ", ..." if count > MOMENTS_TOLD else ""
        print(f"  {count} not used ({reason}, at {when}{more} s): {plain(dropped.why[reason], 400)}")


def _counted(count: int, one: str, many: str = "") -> str:
    """A number of things in words."""
    return f"{count} {one if count == 1 else many or one + 's'}"


# ---------------------------------------------------------------------------------------------------------- second step


def _second(args: argparse.Namespace) -> int:
    """From the corrected folders to the data set."""
    from model_training.robots.finish import FinishConfig, finish
    from model_training.robots.time_split import SplitConfig

    config = FinishConfig(
        split=SplitConfig(**_values(args, SplitConfig)), only_checked=args.only_checked, licence=args.licence
    )
    with progress(None, "checking", unit="frame") as bar:

        def advance(phase: str, count: int, total: int) -> None:
            if count == 1:
                bar.reset(total)
                bar.set_description(phase)
            bar.update(count - bar.n)

        done = finish([Path(one) for one in args.source], Path(args.out), config, force=args.force, on_frame=advance)
    _tell_second(done, args.source)
    return 0


def _tell_second(done: Finished, sources: list[str]) -> None:
    """What the second step came to, and what comes next."""
    print(_frames_line(done))
    named = ", ".join(f"{count} {label}" for label, count in done.objects.most_common(LABELS_TOLD))
    others = len(done.objects) - LABELS_TOLD
    print(f"{done.objects.total()} boxes: {named}{f' and {others} other labels' if others > 0 else ''}.")
    changed = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(done.changes.items()))
    print(f"Your changes: {changed or 'none'}.")
    if done.without_points:
        boxes = _counted(done.without_points, "box", "boxes")
        print(f"{boxes} with too few measured points for a visible box: only the whole box is kept.")
    for note in done.notes:
        print(f"  {note}")
    _tell_statuses(done)
    for reason, count in done.left_out.most_common():
        print(f"  left out: {_counted(count, 'frame')}, {reason}")
    control = " and ".join(str(Path(one, "control")) for one in sources)
    labels = " and ".join(str(Path(one, LABELS)) for one in sources)
    print(f"Look at {control} for what was written. Next:\n{_next_commands(done)}")
    if not done.teach_to_find:
        print(
            f"No frame to train on is marked complete, so there is nothing yet to learn finding from (stage1): mark "
            f"some in {labels} and finish again with --force."
        )


def _next_commands(done: Finished) -> str:
    """Questions for each split, and training: one word is left to fill in."""
    questions = [f"  n3d dataset questions {quote(str(one.path))}" for one in done.datasets.values()]
    options = (("train", "--data"), ("validation", "--validation"))
    given = [f"{option} {quote(str(done.datasets[key].path))}" for key, option in options if key in done.datasets]
    stage = "stage1" if done.teach_to_find else "stage2"
    run = quote(str(Path("runs", done.path.resolve().name)))
    return "\n".join(
        [
            *questions,
            f"  n3d train {stage} --config {CONFIG} --start MODEL {' '.join(given)} --out {run}",
            f"MODEL is the model to teach: a hub id such as {RELEASED}, or a folder. Without a GPU: --config "
            "my_objects_small, which begins with n3d-nano.",
        ]
    )


def _frames_line(done: Finished) -> str:
    """How many frames there are, by split."""
    splits = ", ".join(f"{count} {split}" for split, count in done.frames.items())
    there = " (all were there already)" if done.there_before else ""
    return f"{done.path}: {_counted(done.frames.total(), 'frame')}, {splits}{there}."


def _tell_statuses(done: Finished) -> None:
    """How far a person is with the frames, and what follows from that."""
    unchecked = done.statuses["unchecked"]
    if unchecked:
        edited = f", though you changed lines of {done.edited_unchecked} of them" if done.edited_unchecked else ""
        print(f"  marked unchecked{edited}: {_counted(unchecked, 'frame')}; the node's boxes may be wrong there")
    if done.statuses.total() > done.statuses["complete"]:
        print(
            f"  marked complete: {_counted(done.statuses['complete'], 'frame')}; these alone teach to find "
            "things (stage1); the others give questions to reason about what is listed (stage2)"
        )
    if set(done.frames) == {"train"}:
        print(
            "  all frames train: too few, or too short a recording (less than ten times --gap), to validate on a part"
        )
