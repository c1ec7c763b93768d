"""What the commands that work through a bag share: their options, and the run itself with its progress bar."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from n3d_ros.cli.console import RATE_FORMAT, on_stop_signal, plain, progress
from n3d_ros.cli.start import (
    add_depth_arguments,
    add_model_argument,
    depth_parameters,
    model_parameters,
    parse_parameters,
)

if TYPE_CHECKING:
    from n3d_ros.inference.depth_source import DepthSource
    from n3d_ros.ros.bag import BagMessage, BagReader
    from n3d_ros.ros.bag_questions import BagQuestion
    from n3d_ros.ros.camera_topics import CameraTopics
    from n3d_ros.ros.config import NodeConfig
    from n3d_ros.ros.golden.expected import RecordingIdentity
    from n3d_ros.ros.loading import LoadingProgress
    from n3d_ros.ros.offline import OfflineSummary


def add_bag_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the bag, its topics, what finds the objects and what is asked.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument("bag", metavar="BAG", help="rosbag2 folder, or one .mcap or .db3 file")
    add_topic_arguments(parser)
    add_model_argument(parser)
    add_depth_arguments(parser)
    parser.add_argument("--params", metavar="FILE", help="parameter file (YAML) of the node")
    parser.add_argument("-p", "--param", action="append", default=[], metavar="NAME:=VALUE", help="one parameter")
    parser.add_argument(
        "--ask",
        action="append",
        default=[],
        metavar="QUESTION",
        help='ask this at the end of the bag, or "@2.5 QUESTION" 2.5 s after its beginning; may be repeated',
    )
    parser.add_argument("--questions", metavar="FILE", help="ask these too: one a line, # begins a comment")


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


def config_of(args: argparse.Namespace) -> NodeConfig:
    """The node's settings that the options stand for.

    Args:
        args: with what ``add_bag_arguments`` adds.

    Returns:
        The settings.
    """
    from n3d_ros.ros.config_files import config_from_files

    values = {**model_parameters(args), **depth_parameters(args), **parse_parameters(args.param)}
    return config_from_files([Path(args.params)] if args.params else [], values)


def questions_of(args: argparse.Namespace) -> tuple[BagQuestion, ...]:
    """What the options ask.

    Args:
        args: with what ``add_bag_arguments`` adds.

    Returns:
        The questions.
    """
    from n3d_ros.ros.bag_questions import read_questions

    return read_questions(args.ask, Path(args.questions) if args.questions else None)


def refuse_overlap(written: Mapping[str, Path], read: Mapping[str, Path]) -> None:
    """Refuses to write a file over one that is read, or two results into one file.

    Args:
        written: files and folders that will be written or replaced, by what the user calls them.
        read: files that are read, in the same way.

    Raises:
        BagError: two are the same, or one that is read lies in a folder that is replaced.
    """
    from n3d_ros.errors import BagError

    places = [(name, path.resolve()) for name, path in written.items()]
    for i, (name, place) in enumerate(places):
        for other, path in read.items():
            inside = place in path.resolve().parents
            same = place == path.resolve() or (place.exists() and path.exists() and place.samefile(path))
            if same or inside:
                raise BagError(f"{path} is read ({other}) and would be overwritten ({name}); choose another name.")
        for other, path in places[:i]:
            if place == path or path in place.parents:
                raise BagError(f"{place} would be written twice ({other} and {name}); choose another name.")


def files_read(args: argparse.Namespace) -> dict[str, Path]:
    """Files that the options name for reading.

    Args:
        args: with what ``add_bag_arguments`` adds.

    Returns:
        Paths by option; also the bag's where it is one file.
    """
    named = {"the bag": args.bag, "--params": args.params, "--questions": args.questions}
    return {name: Path(path) for name, path in named.items() if path and not Path(path).is_dir()}


def tell_late_questions(questions: Sequence[BagQuestion], seconds: float) -> None:
    """Says which questions name a time that the bag does not reach; they are asked at its end.

    Args:
        questions: all of them.
        seconds: that the bag lasts.
    """
    for one in questions:
        if one.at_s is not None and one.at_s > seconds:
            sentence = f"the bag ends at {seconds:.1f} s: what is to be asked at {one.at_s:g} s is asked then"
            print(f"n3d: {sentence}: {plain(one.text, 200)}", file=sys.stderr)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBag:
    """A bag to work through.

    Args:
        reader: the open bag.
        topics: the camera's.
        depth_source: the model that finds depth; None: the bag's depth images.
    """

    reader: BagReader
    topics: CameraTopics
    depth_source: DepthSource | None


@contextmanager
def opened_bag(path: str, args: argparse.Namespace, config: NodeConfig) -> Iterator[OpenBag]:
    """Opens a bag, says which topics are taken, and loads the model that finds depth where one is named.

    Args:
        path: of the bag.
        args: with what ``add_topic_arguments`` adds.
        config: the node's settings.

    Yields:
        The bag, closed at the end with its model.
    """
    from n3d_ros.inference.depth_source import CAMERA, MODEL
    from n3d_ros.ros.bag import BagReader
    from n3d_ros.ros.camera_topics import find_camera_topics
    from n3d_ros.ros.loading import depth_from_config

    with BagReader(path) as reader, ExitStack() as stack:
        topics = find_camera_topics(reader, named_topics(args), with_depth=config.depth_source != MODEL)
        print(f"colour {topics.color}, depth {topics.depth or 'found by a model'}")
        depth_source = None
        if config.depth_source != CAMERA:
            depth_source = depth_from_config(with_one_camera(config), loading_lines("the depth model"))
            stack.callback(depth_source.close)
        yield OpenBag(reader=reader, topics=topics, depth_source=depth_source)


def with_one_camera(config: NodeConfig) -> NodeConfig:
    """The settings without the depth model's further cameras: a bag is looked at with its first camera alone.

    Args:
        config: the node's settings.

    Returns:
        The others as they are.
    """
    return replace(config, depth_model=replace(config.depth_model, cameras=""))


def loading_lines(what: str = "the model") -> LoadingProgress:
    """Tells on standard error how far a model is loaded.

    Args:
        what: is loaded.

    Returns:
        As the functions that load models take it.
    """
    from n3d_ros.ros.loading import LoadingProgress

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    return LoadingProgress(tell, lambda: False, what)


def moving(bar: Any, reader: BagReader) -> Callable[[BagMessage], None]:
    """Moves a bar to where in the bag a message is.

    Args:
        bar: of ``progress``, in seconds.
        reader: the open bag.

    Returns:
        To be told of every message that was handled.
    """

    def advance(message: BagMessage) -> None:
        bar.update(max(0.0, (message.stamp_ns - reader.start_ns) / 1e9 - bar.n))

    return advance


@dataclass(frozen=True, slots=True, kw_only=True)
class BagRun:
    """A bag that was worked through.

    Args:
        summary: what came of it.
        recording: which bag it is.
    """

    summary: OfflineSummary
    recording: RecordingIdentity


def work_through(
    args: argparse.Namespace,
    config: NodeConfig,
    *,
    output: Path | None,
    prepare: Callable[[BagReader, CameraTopics], dict[str, Any]] | None = None,
    **options: Any,
) -> BagRun:
    """Works through the bag with a progress bar; Ctrl-C ends it in order.

    Args:
        args: with what ``add_bag_arguments`` adds.
        config: the node's settings.
        output: folder for results; None: none are written.
        prepare: given the open bag and its topics, gives further options of ``run_bag``.
        options: further ones of ``run_bag``.

    Returns:
        What came of it.
    """
    from n3d_ros.ros.golden.writing import identity_of
    from n3d_ros.ros.loading import grounder_from_config
    from n3d_ros.ros.offline import run_bag

    stopped = threading.Event()
    with opened_bag(args.bag, args, config) as bag, ExitStack() as stack:
        grounder = grounder_from_config(config, loading_lines())
        stack.callback(grounder.close)
        seconds = bag.reader.duration_ns / 1e9
        options.update(prepare(bag.reader, bag.topics) if prepare is not None else {})
        options.setdefault("config", config)
        tell_late_questions(options.get("questions", ()), seconds)
        with progress(seconds, "run", bar_format=RATE_FORMAT) as bar, on_stop_signal(stopped.set):
            summary = run_bag(
                bag.reader,
                output,
                topics=bag.topics,
                grounder=grounder,
                depth_source=bag.depth_source,
                on_progress=moving(bar, bag.reader),
                should_stop=stopped.is_set,
                **options,
            )
        return BagRun(summary=summary, recording=identity_of(bag.reader, bag.topics))
