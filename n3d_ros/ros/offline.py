"""A whole bag through the node's own pipeline, as fast as it goes: the same steps, no DDS, every image pair.

All transforms of the bag are read first, so no lookup fails that would succeed a moment later on a robot. Results do
not depend on the speed of the machine: what does (times) is kept apart.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from n3d_ros.errors import BagError, ConfigurationError, N3dError, TransformError
from n3d_ros.geometry.transform_buffer import TransformBuffer
from n3d_ros.inference.grounder import Grounder, facts_of
from n3d_ros.ros.bag import BagMessage, BagReader, BagWriter, TopicQos, refuse_inside_bag
from n3d_ros.ros.calibrations import Calibrations
from n3d_ros.ros.camera_topics import CameraTopics
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.conversions import frame_report_to_msg, make_header, objects_to_msg, stamp_to_ns, store_tf_message
from n3d_ros.ros.image_codec import rgb_to_compressed_msg
from n3d_ros.ros.markers import MarkerTracker
from n3d_ros.ros.overlay import OverlayItem, display_color, draw_boxes, raw_items
from n3d_ros.ros.pacing import Pacer
from n3d_ros.ros.pairing import RgbdPair, RgbdPairer
from n3d_ros.ros.parameters import DECLARED_BY_ROS, build_config, parameter_specs
from n3d_ros.ros.pipeline import FrameOutcome, FramePipeline
from n3d_ros.scene.objects import SceneObject

logger = logging.getLogger(__name__)

TF_TYPE = "tf2_msgs/msg/TFMessage"
STATIC_TF_TOPIC = "/tf_static"
FOREVER_NS = 10 * 365 * 24 * 3600 * 1_000_000_000  # a bag's transforms are all kept
RESULT_QOS = TopicQos(reliability="reliable", depth=10)
NAMESPACE = "/n3d"  # under which the node publishes by default
OBJECTS, MARKERS, REPORT = f"{NAMESPACE}/objects", f"{NAMESPACE}/markers", f"{NAMESPACE}/frame_report"
DEBUG_IMAGE = f"{NAMESPACE}/debug/image/compressed"
RESULTS_FILE, BAG_FOLDER = "objects.json", "annotated"
OWN_SECTIONS = ("**", "*", "n3d")  # of a parameter file: what they hold is meant for the node
DECLARED_BY_PREFIX = ("qos_overrides.", "diagnostic_updater.")  # parameters that libraries declare on the node
DECIMALS = 6  # of metres and quaternions in JSON: a micrometre
FORMAT_VERSION = 1  # of objects.json


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineSummary:
    """What a run came to.

    Args:
        frames: image pairs processed.
        frames_ok: of these, with a result.
        dropped: image pairs and single images that gave no result, by reason.
        why: one sentence per reason.
        object_ids: number of different objects seen.
        seconds: wall time.
        damage: what is wrong with the bag, empty when nothing is.
        interrupted: whether it was stopped before the end.
        best: outcome and objects (output frame) of the frame that is best to show, see ``look_clearness``.
        latest: the latest known state of each object, in the output frame of ``latest_frame``, by id.
        latest_frame: name of that frame.
        backend: name of the grounder, and where it ran.
        facts: what is known of the model; empty without one.
    """

    frames: int
    frames_ok: int
    dropped: Mapping[str, int]
    why: Mapping[str, str]
    object_ids: int
    seconds: float
    damage: str
    interrupted: bool
    best: tuple[FrameOutcome, tuple[SceneObject, ...]] | None
    latest: tuple[SceneObject, ...]
    latest_frame: str
    backend: str = ""
    facts: tuple[str, ...] = ()


@dataclass(slots=True)
class _Tally:
    """What grows during a run."""

    frames: list[dict[str, Any]] = field(default_factory=list)
    timings: list[dict[str, Any]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    why: dict[str, str] = field(default_factory=dict)
    latest: dict[int, SceneObject] = field(default_factory=dict)
    latest_frame: str = ""
    best: tuple[FrameOutcome, tuple[SceneObject, ...]] | None = None
    best_clearness: int = -(10**9)
    ok: int = 0

    def drop(self, reason: str, sentence: str) -> None:
        """Counts an image or pair that gave no result."""
        self.dropped[reason] += 1
        self.why.setdefault(reason, sentence)


def run_bag(
    reader: BagReader,
    output: Path,
    *,
    topics: CameraTopics,
    grounder: Grounder,
    config: NodeConfig | None = None,
    include_images: bool = False,
    write_bag: bool = True,
    force: bool = False,
    on_progress: Callable[[BagMessage], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> OfflineSummary:
    """Processes every image pair of a bag and writes ``objects.json`` and the annotated bag.

    Args:
        reader: an open bag.
        output: folder for the results; made when it is not there.
        topics: the camera's topics.
        grounder: finds the objects; closed by the caller.
        config: the node's settings; None: the defaults.
        include_images: copy the images into the annotated bag too.
        write_bag: write the annotated bag.
        force: replace an annotated bag that is there.
        on_progress: called with each message that was handled.
        should_stop: asked after each message.

    Returns:
        The summary; what could be read of a damaged bag is in the results and ``damage`` tells the rest.

    Raises:
        BagError: the output cannot be written, or is part of the input or of another recording.
    """
    settings = config or NodeConfig()
    refuse_output(output, reader.path, output / BAG_FOLDER)
    run = _Run(reader, topics, grounder, settings)
    started = time.perf_counter()
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BagError(f"{output}: cannot be made ({error.strerror or error}).") from error
    if write_bag:
        with BagWriter(output / BAG_FOLDER, force=force) as writer:
            run.process(writer, include_images=include_images, on_progress=on_progress, should_stop=should_stop)
    else:
        run.process(None, include_images=False, on_progress=on_progress, should_stop=should_stop)
    seconds = time.perf_counter() - started
    write_json(output / RESULTS_FILE, run.document(seconds))
    return run.summary(seconds)


def refuse_output(output: Path, source: Path, bag: Path) -> None:
    """Refuses a folder for results where they would touch a recording.

    Args:
        output: folder for the results.
        source: the bag that is read.
        bag: the bag that will be written.

    Raises:
        BagError: ``output`` is or lies in a recording, or ``source`` is or lies in ``bag``.
    """
    refuse_inside_bag(output)
    read, written = source.resolve(), bag.resolve()
    if read.is_dir() and read in (output.resolve(), *output.resolve().parents):
        raise BagError(f"{output} lies in the recording that is read; choose another folder for the results.")
    if written in (read, *read.parents):
        raise BagError(f"{source} is what would be replaced by the results in {output}; choose another folder.")


class _Run:
    """One pass over a bag."""

    def __init__(self, reader: BagReader, topics: CameraTopics, grounder: Grounder, config: NodeConfig) -> None:
        self._reader, self._topics, self._config = reader, topics, config
        self.tally = _Tally()
        self._transforms = load_transforms(reader, self.tally.drop)
        self._pipeline = FramePipeline(
            config.pipeline, grounder, self._transforms.lookup, color_topic=topics.color, depth_topic=topics.depth
        )
        self._pairer = RgbdPairer(config.sync, on_drop=self._on_pairing_drop)
        self._infos = {name: Calibrations() for name in (topics.color_info, topics.depth_info)}
        for name, calibrations in self._infos.items():
            if (first := _first_message(reader, name)) is not None:
                calibrations.add(first)  # one that is recorded after the first images holds for these, too
        self._tracker = MarkerTracker()
        self._pacer = Pacer()
        self._received = 0
        self._damage, self._interrupted = "", False

    def _on_pairing_drop(self, reason: str, sentence: str) -> None:
        """Counts; after a jump in time the scene starts anew, as in the node."""
        self.tally.drop(reason, sentence)
        if reason == "time_jumped_back":
            self._pipeline.reset()
            self._pacer.reset()

    def process(
        self,
        writer: BagWriter | None,
        *,
        include_images: bool,
        on_progress: Callable[[BagMessage], None] | None,
        should_stop: Callable[[], bool],
    ) -> None:
        """Goes through the bag once."""
        copied = self._copied_topics(include_images) if writer is not None else []
        if writer is not None:
            _add_topics(writer, self._reader, copied)
        wanted = [*self._topics.all, *(name for name in copied if name not in self._topics.all)]
        try:
            for message in self._reader.messages(wanted):
                if writer is not None and message.topic.name in copied:
                    writer.write(message.topic.name, message.stamp_ns, message.data)
                pair = self._pair_of(message)
                if pair is not None:
                    self._handle(pair, message.stamp_ns, writer)
                if on_progress is not None:
                    on_progress(message)
                if should_stop():
                    self._interrupted = True
                    break
        except BagError as error:
            if error.reason != "damaged_bag":
                raise
            self._damage = error.message

    def _copied_topics(self, include_images: bool) -> list[str]:
        """Topics that go into the annotated bag as they are."""
        transforms = [name for name, topic in self._reader.topics.items() if topic.type == TF_TYPE]
        infos = [self._topics.color_info] if self._topics.color_info in self._reader.topics else []
        return list(dict.fromkeys([*transforms, *infos, *(self._topics.all if include_images else ())]))

    def _pair_of(self, message: BagMessage) -> RgbdPair | None:
        """The pair that a message completes."""
        name, topics = message.topic.name, self._topics
        if name not in topics.all:
            return None
        try:
            content = message.deserialize()
            if name in self._infos:
                self._infos[name].add(content)
                return None
            add = self._pairer.add_color if name == topics.color else self._pairer.add_depth
            pair = add(stamp_to_ns(content.header.stamp), content)
        except N3dError as error:
            self.tally.drop(error.reason, error.message)
            return None
        if pair is None:
            return None
        color_info = self._infos[topics.color_info].at(pair.color_stamp_ns)
        return replace(pair, color_info=color_info, depth_info=self._infos[topics.depth_info].at(pair.depth_stamp_ns))

    def _handle(self, pair: RgbdPair, recorded_ns: int, writer: BagWriter | None) -> None:
        """One pair: process, note, write."""
        self._received += 1
        rate_hz = self._config.continuous_rate_hz
        if not self._pacer.is_due(pair.stamp_ns, rate_hz):
            self.tally.drop("paced", f"Not more than {rate_hz:g} pairs per second are looked at.")
            return
        begin = time.perf_counter()
        outcome = self._pipeline.process(pair, nouns=self._config.language_model.nouns)
        objects = self._pipeline.objects(outcome) if outcome.is_ok else ()
        total_ms = (time.perf_counter() - begin) * 1e3
        self._note(outcome, objects, total_ms)
        if writer is not None:
            self._write(writer, outcome, objects, recorded_ns, total_ms)

    def _note(self, outcome: FrameOutcome, objects: Sequence[SceneObject], total_ms: float) -> None:
        """Adds an outcome to what is told at the end."""
        tally = self.tally
        tally.frames.append(outcome_to_dict(outcome, objects))
        stages = {name: round(ms, 3) for name, ms in outcome.stage_ms.items()}
        tally.timings.append({"stamp_ns": outcome.stamp_ns, "total_ms": round(total_ms, 3), "stages_ms": stages})
        if not outcome.is_ok:
            tally.drop(outcome.reason, outcome.message)
            return
        tally.ok += 1
        if outcome.output_frame != tally.latest_frame:
            tally.latest.clear()
            tally.latest_frame = outcome.output_frame
        tally.latest.update({item.id: item for item in objects})
        clearness = look_clearness([item.observations for item in objects], tally.ok)
        if objects and clearness >= tally.best_clearness:
            tally.best, tally.best_clearness = (outcome, tuple(objects)), clearness

    def _write(
        self,
        writer: BagWriter,
        outcome: FrameOutcome,
        objects: Sequence[SceneObject],
        recorded_ns: int,
        total_ms: float,
    ) -> None:
        """Writes the messages the node would have published."""
        report = frame_report_to_msg(
            stamp_ns=outcome.stamp_ns,
            frame_id=outcome.frame_id,
            code=outcome.status,
            message=outcome.message or " ".join(outcome.notes),
            stage_ms=outcome.stage_ms,
            total_ms=total_ms if outcome.is_ok else None,
            frames_received=self._received,
            frames_used=self.tally.ok,
            frames_dropped=self.tally.dropped,
            object_count=len(objects),
            backend=self._pipeline.grounder.name,
            device=self._pipeline.grounder.device,
        )
        writer.write(REPORT, recorded_ns, report)
        if not outcome.is_ok or outcome.frame is None or outcome.output_T_camera is None:
            return
        up = None if outcome.up_camera is None else outcome.output_T_camera.rotate(outcome.up_camera)
        header = make_header(outcome.stamp_ns, outcome.output_frame)
        message = objects_to_msg(objects, stamp_ns=outcome.stamp_ns, frame_id=outcome.output_frame, up=up)
        writer.write(OBJECTS, recorded_ns, message)
        writer.write(MARKERS, recorded_ns, self._tracker.update(objects, header, self._config.markers))
        image = draw_boxes(outcome.frame.rgb, outcome.frame.intrinsics, overlay_items(outcome, objects))
        debug = rgb_to_compressed_msg(image, stamp_ns=outcome.stamp_ns, frame_id=outcome.frame_id)
        writer.write(DEBUG_IMAGE, recorded_ns, debug)

    def document(self, seconds: float) -> dict[str, Any]:
        """What goes into ``objects.json``."""
        tally = self.tally
        frames_per_second = len(tally.frames) / seconds if seconds > 0 else math.nan
        return {
            "format_version": FORMAT_VERSION,
            "bag": self._reader.path.name,
            "damage": self._damage,
            "topics": {"color": self._topics.color, "depth": self._topics.depth},
            "backend": self._pipeline.grounder.name,
            "device": self._pipeline.grounder.device,
            "model": list(facts_of(self._pipeline.grounder)),
            "frames": tally.frames,
            "dropped": dict(sorted(tally.dropped.items())),
            "why_dropped": dict(sorted(tally.why.items())),
            "timing": {
                "seconds": round(seconds, 3),
                "frames_per_second": round(frames_per_second, 2),
                "frames": tally.timings,
            },
        }

    def summary(self, seconds: float) -> OfflineSummary:
        """What the run came to."""
        tally = self.tally
        ids = {item["id"] for frame in tally.frames for item in frame["objects"]}
        return OfflineSummary(
            frames=len(tally.frames),
            frames_ok=tally.ok,
            dropped=dict(tally.dropped),
            why=tally.why,
            object_ids=len(ids),
            seconds=seconds,
            damage=self._damage,
            interrupted=self._interrupted,
            best=tally.best,
            latest=tuple(tally.latest[key] for key in sorted(tally.latest)),
            latest_frame=tally.latest_frame,
            backend=f"{self._pipeline.grounder.name} on {self._pipeline.grounder.device}",
            facts=facts_of(self._pipeline.grounder),
        )


def look_clearness(observations: Sequence[int], looks: int) -> int:
    """How good a look is to show: it has what was seen all along, and little that just flickered up.

    Args:
        observations: of each of its objects: in how many looks it was seen so far.
        looks: how many looks there were so far.

    Returns:
        Number of its objects seen in at least a third of the looks, less the number of others.
    """
    settled = sum(3 * count >= looks for count in observations)
    return 2 * settled - len(observations)


def load_transforms(reader: BagReader, on_drop: Callable[[str, str], None] | None = None) -> TransformBuffer:
    """All transforms of a bag.

    Args:
        reader: an open bag.
        on_drop: told of transforms that cannot be used.

    Returns:
        A buffer that keeps them all.
    """
    buffer = TransformBuffer(cache_ns=FOREVER_NS)
    names = [name for name, topic in reader.topics.items() if topic.type == TF_TYPE]
    for message in reader.readable_messages(names):
        try:
            refused = store_tf_message(
                message.deserialize(), buffer, static=message.topic.name.endswith(STATIC_TF_TOPIC)
            )
        except (BagError, TransformError) as error:
            refused = (error.message,)
        for sentence in refused:
            if on_drop is not None:
                on_drop("bad_transform", sentence)
    return buffer


def _first_message(reader: BagReader, name: str) -> Any:
    """The first message of a topic that can be read, None when there is none."""
    for message in reader.readable_messages([name]):
        with contextlib.suppress(BagError):
            return message.deserialize()
    return None


def _add_topics(writer: BagWriter, reader: BagReader, copied: Sequence[str]) -> None:
    """Adds the copied topics and those of the results."""
    for name in copied:
        topic = reader.topics[name]
        writer.add_topic(name, topic.type, qos=topic.qos, definition=topic.definition or None)
    for name, type_ in (
        (OBJECTS, "n3d_msgs/msg/Object3DArray"),
        (MARKERS, "visualization_msgs/msg/MarkerArray"),
        (REPORT, "n3d_msgs/msg/FrameReport"),
        (DEBUG_IMAGE, "sensor_msgs/msg/CompressedImage"),
    ):
        if name not in copied:
            writer.add_topic(name, type_, qos=RESULT_QOS)


def overlay_items(outcome: FrameOutcome, objects: Sequence[SceneObject]) -> list[OverlayItem]:
    """What to draw on the colour image of an outcome.

    Args:
        outcome: an OK outcome.
        objects: in its output frame.

    Returns:
        Boxes in the camera frame with number and label, and those not yet fitted to the measured points.
    """
    if outcome.output_T_camera is None:
        return []
    camera_T_output = outcome.output_T_camera.inverse()
    items = [
        OverlayItem(
            box=item.box.transformed(camera_T_output),
            text=f"#{item.id} {item.label}",
            color_rgb=display_color(item.color, item.id),
        )
        for item in objects
    ]
    return [*items, *raw_items(outcome.raw_detections)]


def outcome_to_dict(outcome: FrameOutcome, objects: Sequence[SceneObject]) -> dict[str, Any]:
    """One frame's result for JSON, without anything that differs from run to run.

    Args:
        outcome: what became of the frame.
        objects: in its output frame.

    Returns:
        Plain values.
    """
    return {
        "stamp_ns": outcome.stamp_ns,
        "frame_id": outcome.output_frame or outcome.frame_id,
        "status": outcome.status.name,
        "message": outcome.message,
        "notes": list(outcome.notes),
        "objects": [object_to_dict(item) for item in objects],
    }


def object_to_dict(item: SceneObject) -> dict[str, Any]:
    """One object for JSON.

    Args:
        item: the object.

    Returns:
        Plain values; None where unknown.
    """
    deviation = np.sqrt(np.maximum(np.diag(item.uncertainty.center_covariance_m2), 0.0))
    return {
        "id": item.id,
        "label": item.label,
        "center_m": _rounded(item.box.center),
        "size_m": _rounded(item.box.size),
        "orientation_xyzw": _rounded(item.box.orientation_xyzw),
        "center_stddev_m": _rounded(deviation),
        "size_stddev_m": _rounded(item.uncertainty.size_stddev_m),
        "yaw_stddev_rad": round(item.uncertainty.yaw_stddev_rad, DECIMALS),
        "score": None if item.score is None else round(item.score, DECIMALS),
        "support_ratio": None if item.support_ratio is None else round(item.support_ratio, DECIMALS),
        "color": item.color,
        "shape": item.shape,
        "observations": item.observations,
        "first_seen_ns": item.first_seen_ns,
    }


def _rounded(values: Any) -> list[float]:
    """Numbers for JSON; -0.0 becomes 0.0."""
    return [round(float(value), DECIMALS) + 0.0 for value in values]


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Writes a JSON file as a whole or not at all.

    Args:
        path: to write.
        document: plain values.

    Raises:
        BagError: it cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise BagError(f"{path}: cannot be written ({error.strerror or error}).") from error


def config_from_files(files: Sequence[Path], values: Mapping[str, str] | None = None) -> NodeConfig:
    """The node's settings from parameter files and single values, as the node itself would take them.

    Args:
        files: parameter files (YAML), later ones win.
        values: by dotted name, as text.

    Returns:
        The settings.

    Raises:
        ConfigurationError: a file cannot be read, or a value is refused.
    """
    merged: dict[str, Any] = {}
    for path in files:
        merged.update(_parameters_of(path))
    for name, text in (values or {}).items():
        merged[name] = _value_of(name, text)
    _refuse_unknown(values or {}, "")
    return build_config(NodeConfig(), merged)


def _value_of(name: str, text: str) -> Any:
    """The value that a text stands for, as on the command line of a node."""
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"Parameter {name}: expected a value as in YAML, got {text!r}.") from error


def _refuse_unknown(names: Iterable[str], where: str) -> None:
    """Refuses parameters the node does not have: a setting that is mistyped would be ignored without a word."""
    known = [*(spec.name for spec in parameter_specs(NodeConfig())), *DECLARED_BY_ROS]
    for name in names:
        if name not in known and not name.startswith(DECLARED_BY_PREFIX):
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "config/n3d.yaml lists all."
            raise ConfigurationError(f"{where}The node has no parameter {name!r}; {hint}")


def _parameters_of(path: Path) -> dict[str, Any]:
    """The parameters in a file, of whichever nodes it names."""
    import yaml

    flat: dict[str, Any] = {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        for node, section in content.items():
            parameters = _flattened(section.get("ros__parameters", {}))
            if str(node).rpartition("/")[2] in OWN_SECTIONS:
                _refuse_unknown(parameters, f"{path}: ")
            flat.update(parameters)
    except (OSError, yaml.YAMLError, AttributeError) as error:
        raise ConfigurationError(f"{path}: expected a ROS parameter file ({error}).") from error
    return flat


def _flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested parameters by their dotted names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(_flattened(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
