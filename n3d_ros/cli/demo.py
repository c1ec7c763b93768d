"""``n3d demo``: the main job end to end, with real processes over real DDS."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from n3d_ros.cli.bag_run import add_topic_arguments, named_topics
from n3d_ros.cli.console import RATE_FORMAT, number, on_stop_signal, progress, size_text, table
from n3d_ros.cli.run import LISTED_SHARE, print_rarely_seen
from n3d_ros.cli.start import add_model_argument, model_parameters
from n3d_ros.errors import BackendError, BagError, ConfigurationError, N3dError

if TYPE_CHECKING:
    from n3d_ros.ros.bag import BagWriter
    from n3d_ros.ros.camera_topics import CameraTopics
    from n3d_ros.ros.demo import DemoRecord

SUMMARY = "Replay a bag into the node over ROS in real time, ask it questions, and show what it finds."
EXAMPLES = """\
  n3d demo
  n3d demo my_bag --out my_results
  n3d demo --model ~/models/N3D-VLM --ask "mug"
  n3d demo my_bag --color /cam/rgb/image --depth /cam/depth/image --ask "red cup"
"""
NEEDS_ROS = True

SHIPPED_BAG = ("demo", "tabletop", "metadata.yaml")
DEMO_DOMAIN = "77"  # when the user has chosen none: apart from a robot that may be on the same network
LOG_TAIL_LINES = 15
OUTPUT_BAG, RESULTS_FILE, LOG_FILE = "bag", "results.json", "node.log"
NODE_MODULE_VARIABLE = "N3D_NODE_MODULE"  # another module with the node's main, for tests


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``n3d demo``.

    Args:
        parser: of the subcommand.
    """
    parser.add_argument("bag", nargs="?", metavar="BAG", help="rosbag2 recording (default: the one that is shipped)")
    parser.add_argument("--bag", dest="bag_option", metavar="BAG", help=argparse.SUPPRESS)
    parser.add_argument("--out", default="demo_out", metavar="DIR", help="folder for the results (default demo_out)")
    parser.add_argument("--ask", metavar="PHRASE", help="what to look for (default: the object that is seen best)")
    add_topic_arguments(parser)
    add_model_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the demo.

    Args:
        args: parsed arguments.

    Returns:
        0; 1 when the node answered no image.
    """
    os.environ.setdefault("ROS_DOMAIN_ID", DEMO_DOMAIN)
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    from n3d_ros.ros.bag import BagReader
    from n3d_ros.ros.camera_topics import find_camera_topics

    path, output = _bag_path(args), Path(args.out)
    with BagReader(path) as reader:
        _prepare(output, path)
        topics = find_camera_topics(reader, named_topics(args))
        seconds = reader.duration_ns / 1e9
        print(f"Bag {path.name}: {seconds:.1f} s, {reader.topics[topics.color].message_count} colour images.")
        record = _live(reader, topics, output, args.ask, model_parameters(args))
        _write_results(reader, topics, output, record, path.name)
    _tell(record, output)
    return 0 if record.looks else 1


def _bag_path(args: argparse.Namespace) -> Path:
    """The bag that was named, or the shipped one."""
    named = args.bag or args.bag_option
    if named:
        return Path(named)
    from n3d_ros.ros.transport import share_file

    try:
        return share_file(*SHIPPED_BAG).parent
    except ConfigurationError as error:
        raise BagError("The demo bag is not installed; name one of your own: n3d demo BAG.") from error


def _prepare(output: Path, source: Path) -> None:
    """Makes the output folder, unless there is something in it that is not an earlier demo's."""
    from n3d_ros.ros.offline import refuse_output

    bag = output / OUTPUT_BAG
    refuse_output(output, source, bag)
    if bag.exists() and not all((output / name).is_file() for name in (RESULTS_FILE, LOG_FILE)):
        raise BagError(f"{bag} is there and is not an earlier demo's; choose another folder with --out.")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BagError(f"{output}: cannot be written ({error.strerror or error}).") from error


def _live(
    reader: Any, topics: CameraTopics, output: Path, phrase: str | None, parameters: Mapping[str, str]
) -> DemoRecord:
    """The live part, recorded; an earlier demo's recording is replaced when the new one is complete."""
    from n3d_ros.ros.bag import BagWriter

    with BagWriter(output / OUTPUT_BAG, force=True) as writer:
        try:
            return _session(reader, topics, output, phrase, writer, parameters)
        except N3dError:
            writer.discard()  # half a demo is of no use
            raise


def _session(
    reader: Any,
    topics: CameraTopics,
    output: Path,
    phrase: str | None,
    writer: BagWriter,
    parameters: Mapping[str, str],
) -> DemoRecord:
    """Node, replay, recording, questions."""
    from n3d_ros.ros.demo import MODEL_READY_TIMEOUT_S, MODEL_REQUEST_S, DemoSession
    from n3d_ros.ros.session import ros_node

    with (
        ros_node("n3d_demo") as ros,
        running_node(reader, topics, output / LOG_FILE, parameters) as process,
    ):
        slow = {"ready_timeout_s": MODEL_READY_TIMEOUT_S, "request_timeout_s": MODEL_REQUEST_S} if parameters else {}
        session = DemoSession(ros, reader, topics, writer, **slow)
        try:
            with (
                on_stop_signal(session.stop),
                progress(reader.duration_ns / 1e9, "replay", bar_format=RATE_FORMAT) as bar,
            ):
                session.wait_until_ready(lambda: process.poll() is None)
                session.run(
                    phrase=phrase,
                    is_alive=lambda: process.poll() is None,
                    on_progress=lambda passed_s: _advance(bar, passed_s),
                )
        except BackendError as error:
            raise BackendError(f"{error.message}\n{_tail(output / LOG_FILE)}") from error
        finally:
            session.close()
        return session.record


def _advance(bar: Any, passed_s: float) -> None:
    """Moves a progress bar to the bag's time."""
    bar.update(min(max(0.0, passed_s), bar.total) - bar.n)


@contextmanager
def running_node(
    reader: Any, topics: CameraTopics, log: Path, further: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The real node in a process of its own, listening to the bag's topics.

    Args:
        reader: the bag, whose frames decide in which one results are given.
        topics: the camera's topics.
        log: file for what the node prints.
        further: parameters of the node, in YAML.

    Yields:
        The process; it is over after the block.
    """
    from n3d_ros.cli.start import node_command, started
    from n3d_ros.ros.bag_pass import output_frame_of

    parameters: dict[str, Any] = {"use_sim_time": True, **topics.parameters, **(further or {})}
    if frame := output_frame_of(reader, topics):
        parameters["output_frame"] = frame
    command = node_command(remappings=topics.remappings, parameters=parameters)
    if module := os.environ.get(NODE_MODULE_VARIABLE):
        command[command.index("-m") + 1] = module
    with log.open("wb") as file, started(command, stdout=file, stderr=subprocess.STDOUT) as process:
        print("Starting the node in its own process ...", flush=True)
        yield process


def _tail(log: Path) -> str:
    """The end of the node's log."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(f"  | {line}" for line in lines[-LOG_TAIL_LINES:])


def _write_results(reader: Any, topics: CameraTopics, output: Path, record: DemoRecord, name: str) -> None:
    """Writes pictures and JSON."""
    from n3d_ros.ros.demo import best_look, latest_objects, write_look_pictures
    from n3d_ros.ros.plain_results import write_json

    look = best_look(record.looks)
    if look is not None:
        passed_s = (look.stamp_ns - reader.start_ns) / 1e9
        subtitle = f"{name}, {passed_s:.1f} s into the bag: {len(look.message.objects)} objects, one image"
        try:
            write_look_pictures(output, reader, topics, look, title="The scene from above", subtitle=subtitle)
        except N3dError as error:
            print(f"No pictures: {error.message}", file=sys.stderr)
    document = {
        "bag": name,
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "images": record.images,
        "images_answered": len(record.looks),
        "node_ready_s": round(record.ready_s, 2),
        "latency_ms": latency_summary(record),
        "dropped": dropped_counts(record),
        "objects": latest_objects(record.looks),
        "answers": [
            {"service": answer.service, "text": answer.text, "response": dict(answer.response)}
            for answer in record.answers
        ],
    }
    write_json(output / RESULTS_FILE, document)


def latency_summary(record: DemoRecord) -> dict[str, float | None]:
    """How old images were when their objects were published, by the node's own clock.

    Args:
        record: of the session.

    Returns:
        Median and 95th percentile in milliseconds; None when there was none.
    """
    import numpy as np

    ages = np.asarray([report.age_at_publish_ms for report in record.reports], dtype=np.float64)
    ages = ages[np.isfinite(ages)]
    if not len(ages):
        return {"p50": None, "p95": None}
    return {"p50": round(float(np.percentile(ages, 50)), 1), "p95": round(float(np.percentile(ages, 95)), 1)}


def dropped_counts(record: DemoRecord) -> dict[str, int]:
    """The node's drop counters at the end.

    Args:
        record: of the session.

    Returns:
        Counts by reason.
    """
    if not record.reports:
        return {}
    return {item.name: int(item.count) for item in record.reports[-1].frames_dropped}


def _tell(record: DemoRecord, output: Path) -> None:
    """Prints what was found and where it lies."""
    from n3d_ros.ros.demo import latest_objects

    latency = latency_summary(record)
    age = "-" if latency["p50"] is None else f"{latency['p50']:.0f} ms"
    print(f"\nNode ready in {record.ready_s:.1f} s; {len(record.looks)} of {record.images} images answered, ", end="")
    print(f"half of them within {age} of being taken.")
    for reason, count in dropped_counts(record).items():
        print(f"  {count} x {reason}")
    objects = latest_objects(record.looks)
    if objects:
        print(f"\nObjects as last seen, in {objects[-1]['frame_id']}:")
        rows = [
            [
                str(item["id"]),
                item["label"],
                *(number(value, 3) for value in item["center_m"]),
                " x ".join(f"{100 * value:.1f}" for value in item["size_m"]),
                "-" if item["support_ratio"] is None else number(item["support_ratio"]),
                str(item["seen_in"]),
            ]
            for item in sorted(objects, key=lambda item: (-item["seen_in"], item["id"]))
            if LISTED_SHARE * item["seen_in"] >= len(record.looks)
        ]
        print(table(["id", "label", "x m", "y m", "z m", "size cm", "support", "images"], rows))
        print_rarely_seen(len(objects) - len(rows))
    for answer in record.answers:
        print(f'\n{answer.service} "{answer.text}"\n  {_sentence(answer.response)}')
    print(f"\nIn {output}/:")
    for name, what in (
        ("boxes.png", "boxes on the colour image"),
        ("top_down.png", "the scene from above"),
        (RESULTS_FILE, "objects and answers"),
        (OUTPUT_BAG, "rosbag2 recording (MCAP) for Foxglove and ros2 bag"),
        (LOG_FILE, "what the node said"),
    ):
        path = output / name
        if path.exists():
            files = path.iterdir() if path.is_dir() else [path]
            print(f"  {name:<13} {what}, {size_text(sum(file.stat().st_size for file in files))}")


def _sentence(response: Any) -> str:
    """An answer in one line."""
    took = "" if response["latency_ms"] is None else f" ({response['latency_ms']:.0f} ms)"
    if not response["success"]:
        return f"{response['status']}: {response['message']}{took}"
    if response.get("sentence"):
        return f"{response['sentence']}{took}"
    places = [
        f"{item['label']} at ({', '.join(f'{value:.2f}' for value in item['center_m'])}) m"
        for item in response["objects"]
    ]
    return f"{'; '.join(places)} in {response['frame_id']}{took}"
