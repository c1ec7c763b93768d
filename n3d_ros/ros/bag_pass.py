"""One pass over a bag through the node's own pipeline, as fast as it goes: the same steps, no DDS, every image pair.

All transforms of the bag are read first, so no lookup fails that would succeed a moment later on a robot. What comes of
each pair is handed on at once and not kept: a bag may be long.

::

    bag -> messages -> pairs -> FramePipeline -> BagLook -> whoever listens
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from n3d_ros.errors import BagError, N3dError, TransformError
from n3d_ros.geometry.transform_buffer import TransformBuffer
from n3d_ros.inference.depth_source import DepthSource
from n3d_ros.inference.grounder import Grounder
from n3d_ros.ros.bag import BagMessage, BagReader
from n3d_ros.ros.bag_questions import Answered, BagQuestion, QuestionDesk
from n3d_ros.ros.calibrations import Calibrations
from n3d_ros.ros.camera_topics import CameraTopics
from n3d_ros.ros.color_stream import ColorStream
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.conversions import stamp_to_ns, store_tf_message
from n3d_ros.ros.depth_step import FrameMaker
from n3d_ros.ros.pacing import Pacer
from n3d_ros.ros.pairing import RgbdPair, RgbdPairer
from n3d_ros.ros.pipeline import FIXED_FRAMES, FrameOutcome, FramePipeline
from n3d_ros.scene.objects import SceneObject

TF_TYPE = "tf2_msgs/msg/TFMessage"
STATIC_TF_TOPIC = "/tf_static"
FOREVER_NS = 10 * 365 * 24 * 3600 * 1_000_000_000  # a bag's transforms are all kept


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BagLook:
    """What came of one pair of images.

    Args:
        outcome: of the pipeline.
        objects: that this very image shows, in the output frame; empty when the outcome is not OK.
        recorded_ns: when the image arrived, in the time of the bag.
        total_ms: what it took.
        pairs: how many pairs there were so far.
    """

    outcome: FrameOutcome
    objects: tuple[SceneObject, ...]
    recorded_ns: int
    total_ms: float
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BagListeners:
    """Who is told what during a pass, in order.

    Args:
        message: each message that is read, before it is used.
        look: what came of each pair.
        drop: an image or pair that gave no result: its reason, a sentence, and when it was recorded (0: before the
            images, when the transforms are read).
        answered: a question and its answer.
        handled: each message that was dealt with, for progress.
    """

    message: Sequence[Callable[[BagMessage], None]] = ()
    look: Sequence[Callable[[BagLook], None]] = ()
    drop: Sequence[Callable[[str, str, int], None]] = ()
    answered: Sequence[Callable[[Answered], None]] = ()
    handled: Sequence[Callable[[BagMessage], None]] = ()


class BagPass:
    """One pass over a bag.

    Args:
        reader: an open bag.
        topics: the camera's topics.
        grounder: finds the objects; closed by the caller.
        config: the node's settings.
        listeners: who is told.
        questions: what to ask on the way, and at the end.
        depth_source: finds depth; closed by the caller. None: the bag's depth images.
        wants: asked of each pair whether it is looked at; the others are passed over. None: all are.
    """

    def __init__(
        self,
        reader: BagReader,
        topics: CameraTopics,
        grounder: Grounder,
        config: NodeConfig,
        listeners: BagListeners,
        questions: Sequence[BagQuestion] = (),
        depth_source: DepthSource | None = None,
        wants: Callable[[RgbdPair], bool] | None = None,
    ) -> None:
        self._wants = wants
        self._reader, self._topics, self._config, self._listeners = reader, topics, config, listeners
        self._recorded_ns = 0
        self._transforms = load_transforms(reader, self._drop)
        frames = FrameMaker(
            config.pipeline.frames,
            kind=config.depth_source,
            min_confidence=config.depth_model.min_confidence,
            color_topic=topics.color,
            depth_topic=topics.depth,
        )
        frames.source = depth_source
        self._pipeline = FramePipeline(config.pipeline, grounder, self._transforms.lookup, frames=frames)
        self._desk = QuestionDesk(self._pipeline, config, questions, start_ns=reader.start_ns)
        pairer = RgbdPairer(config.sync, on_drop=self._on_pairing_drop)
        colors = ColorStream(config.sync, on_drop=self._on_pairing_drop)
        self._add = (
            {topics.color: pairer.add_color, topics.depth: pairer.add_depth}
            if topics.depth
            else {topics.color: colors.add_color}
        )
        self._infos = {name: Calibrations() for name in filter(None, (topics.color_info, topics.depth_info))}
        for name, calibrations in self._infos.items():
            if (first := _first_message(reader, name)) is not None:
                calibrations.add(first)  # one that is recorded after the first images holds for these, too
        self._pacer = Pacer()
        self._pairs = 0
        if depth_source is not None and config.depth_model.camera_names:
            self._drop("camera_left_out", "depth_model.cameras: a bag is looked at with its first camera alone.")
        self.damage, self.interrupted = "", False

    def run(self, *, also_read: Sequence[str] = (), should_stop: Callable[[], bool] = lambda: False) -> None:
        """Goes through the bag once; ``damage`` and ``interrupted`` then tell how it ended.

        Args:
            also_read: further topics whose messages are handed on.
            should_stop: asked after each message.

        Raises:
            BagError: the bag cannot be read at all, or a listener cannot write.
        """
        wanted = list(dict.fromkeys([*self._topics.all, *also_read]))
        try:
            for message in self._reader.messages(wanted):
                self._recorded_ns = message.stamp_ns
                self._handle(message)
                if should_stop():
                    self.interrupted = True
                    break
        except BagError as error:
            if error.reason != "damaged_bag":
                raise
            self.damage = error.message
        if not self.interrupted:
            self._tell_answers(self._desk.rest(self._recorded_ns))

    def ask(self, question: BagQuestion) -> Answered:
        """Asks a question on what is known when the pass is over.

        Args:
            question: without a moment of its own.

        Returns:
            Its answer.
        """
        return self._desk.ask(question, self._recorded_ns)

    def _handle(self, message: BagMessage) -> None:
        """One message: hand on, use, ask what is due."""
        for tell in self._listeners.message:
            tell(message)
        self._tell_answers(self._desk.due(message.stamp_ns))
        pair = self._pair_of(message)
        if pair is not None and (self._wants is None or self._wants(pair)):
            self._look(pair, message.stamp_ns)
        for tell in self._listeners.handled:
            tell(message)

    def _tell_answers(self, answers: Sequence[Answered]) -> None:
        """Hands answers on."""
        for answer in answers:
            for tell in self._listeners.answered:
                tell(answer)

    def _drop(self, reason: str, sentence: str) -> None:
        """Tells of an image or pair that gives no result."""
        for tell in self._listeners.drop:
            tell(reason, sentence, self._recorded_ns)

    def _on_pairing_drop(self, reason: str, sentence: str) -> None:
        """Tells; after a jump in time the scene starts anew, as in the node."""
        self._drop(reason, sentence)
        if reason == "time_jumped_back":
            self._pipeline.reset()
            self._pacer.reset()
            self._desk.forget()

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
            pair = self._add[name](stamp_to_ns(content.header.stamp), content)
        except N3dError as error:
            self._drop(error.reason, error.message)
            return None
        if pair is None:
            return None
        color_info = self._infos[topics.color_info].at(pair.color_stamp_ns)
        depth_info = self._infos[topics.depth_info].at(pair.depth_stamp_ns) if topics.depth_info else None
        return replace(pair, color_info=color_info, depth_info=depth_info)

    def _look(self, pair: RgbdPair, recorded_ns: int) -> None:
        """One pair: process and hand on."""
        self._pairs += 1
        rate_hz = self._config.continuous_rate_hz
        if not self._pacer.is_due(pair.stamp_ns, rate_hz):
            self._drop("paced", f"Not more than {rate_hz:g} pairs per second are looked at.")
            return
        begin = time.perf_counter()
        outcome = self._pipeline.process(pair, nouns=self._config.language_model.nouns)
        objects = self._pipeline.objects(outcome) if outcome.is_ok else ()
        total_ms = (time.perf_counter() - begin) * 1e3
        self._desk.saw(pair)
        if not outcome.is_ok:
            self._drop(outcome.reason, outcome.message)
        look = BagLook(
            outcome=outcome, objects=tuple(objects), recorded_ns=recorded_ns, total_ms=total_ms, pairs=self._pairs
        )
        for tell in self._listeners.look:
            tell(look)


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


def output_frame_of(reader: BagReader, topics: CameraTopics) -> str:
    """The fixed frame results of a bag are best given in.

    Args:
        reader: an open bag.
        topics: the camera's topics.

    Returns:
        The first of map, odom and world that is connected with the camera; empty (the image's own) when none is.
    """
    image = _first_message(reader, topics.color)
    if image is None:
        return ""
    transforms, camera_frame = load_transforms(reader), image.header.frame_id
    return next((name for name in FIXED_FRAMES if transforms.can_transform(name, camera_frame)), "")


def _first_message(reader: BagReader, name: str) -> Any:
    """The first message of a topic that can be read, None when there is none."""
    for message in reader.readable_messages([name]):
        with contextlib.suppress(BagError):
            return message.deserialize()
    return None
