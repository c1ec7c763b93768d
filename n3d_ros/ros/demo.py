"""The main job end to end, live: node in its own process, replay in real time, questions, recording, pictures.

::

    start node -> replay bag -> (record, listen, ask) -> stop node -> pictures, JSON
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from n3d_ros.detection import SupportSurface
from n3d_ros.errors import BackendError, N3dError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.transform_buffer import TransformBuffer
from n3d_ros.inference.grounder import GroundingRequest, create_grounder
from n3d_ros.ros.bag import BagReader, BagWriter
from n3d_ros.ros.bag_pass import load_transforms
from n3d_ros.ros.camera_topics import CameraTopics
from n3d_ros.ros.client import NodeClient, locate_response_to_dict, object_msg_to_dict, query_response_to_dict
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.conversions import msg_to_detection, stamp_to_ns
from n3d_ros.ros.frame_assembly import FrameAssembler
from n3d_ros.ros.offline import look_clearness
from n3d_ros.ros.pipeline import GRAVITY_FRAMES
from n3d_ros.ros.record import Recorder
from n3d_ros.ros.replay import ReplayConfig, Replayer, ReplaySummary
from n3d_ros.ros.report_pictures import picture_objects, write_pictures

logger = logging.getLogger(__name__)

NODE = "/n3d"
READY_TIMEOUT_S = 30.0  # until the node subscribes; three seconds are usual
REQUEST_S = 5.0  # longest wait for an answer
MODEL_READY_TIMEOUT_S = 900.0  # the same two with a language model: large weights from a slow disk, and no GPU
MODEL_REQUEST_S = 180.0
DRAIN_S = 1.5  # after the last image: time for the last results and for late answers
ASK_AFTER = 0.5  # of the replay: by then objects are known
RESULT_TOPICS = (f"{NODE}/objects", f"{NODE}/markers", f"{NODE}/frame_report")
SYSTEM_TOPICS = ("/clock", "/diagnostics", "/rosout", "/parameter_events")
COUNT_QUESTION = "how many objects are there?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The node's objects of one image.

    Args:
        stamp_ns: of the image.
        frame_id: of the boxes.
        message: ``n3d_msgs/Object3DArray``.
    """

    stamp_ns: int
    frame_id: str
    message: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A question and what the node said.

    Args:
        service: "locate" or "query".
        text: what was asked.
        response: plain values.
    """

    service: str
    text: str
    response: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class DemoRecord:
    """What happened in a live session.

    Args:
        ready_s: from the start of the node's process until it subscribed to the images.
        images: colour images replayed.
        looks: one per image the node answered.
        reports: the node's ``FrameReport`` messages.
        answers: questions asked.
        replay: what was replayed.
        recorded_messages: in the output bag.
    """

    ready_s: float = 0.0
    images: int = 0
    looks: list[Look] = field(default_factory=list)
    reports: list[Any] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    replay: ReplaySummary | None = None
    recorded_messages: int = 0


def topics_to_replay(reader: BagReader) -> tuple[str, ...]:
    """The topics of a bag that may be heard beside a running node.

    Args:
        reader: an open bag.

    Returns:
        All but those that an n3d node published when the bag was recorded, and what every ROS system says of itself.
    """
    return tuple(name for name in reader.topics if name not in SYSTEM_TOPICS and not name.startswith(f"{NODE}/"))


class DemoSession:
    """One live session: replays, records, listens and asks, all in one rclpy node.

    Args:
        node: an rclpy node that nobody else spins.
        reader: the bag.
        topics: the camera's topics in it.
        writer: the output bag.
        ready_timeout_s: longest wait until the node subscribes.
        request_timeout_s: longest wait for an answer.
    """

    def __init__(
        self,
        node: Any,
        reader: BagReader,
        topics: CameraTopics,
        writer: BagWriter,
        *,
        ready_timeout_s: float = READY_TIMEOUT_S,
        request_timeout_s: float = REQUEST_S,
    ) -> None:
        from lifecycle_msgs.srv import GetState
        from n3d_msgs.msg import FrameReport, Object3DArray

        self.record = DemoRecord()
        self._reader, self._topics = reader, topics
        self._ready_timeout_s, self._request_timeout_s = ready_timeout_s, request_timeout_s
        self._stopped = threading.Event()
        wait_for = (topics.color, topics.depth)
        self._replayer = Replayer(
            node,
            reader,
            ReplayConfig(clock=True, wait_s=READY_TIMEOUT_S, wait_for=wait_for, topics=topics_to_replay(reader)),
        )
        transforms = [topic.name for topic in self._replayer.topics if topic.type.endswith("TFMessage")]
        recorded = [*topics.all, *transforms, *RESULT_TOPICS]
        self._client = NodeClient(node, NODE)
        self._locate, self._query = self._client.clients
        self._state = node.create_client(GetState, f"{NODE}/get_state")
        self._executor = self._client.executor
        # Messages are stamped with the bag's time: the output bag then plays like one recorded on the robot.
        self._recorder_factory: Callable[[], Recorder] = lambda: Recorder(
            node, writer, recorded, now_ns=lambda: self._replayer.now_ns
        )
        node.create_subscription(Object3DArray, f"{NODE}/objects", self._on_objects, 50)
        node.create_subscription(FrameReport, f"{NODE}/frame_report", self.record.reports.append, 50)
        self._pending: list[tuple[str, str, Any]] = []
        self._asked = 0
        self._asked_s = 0.0

    def _on_objects(self, message: Any) -> None:
        """Keeps one look."""
        stamp_ns = stamp_to_ns(message.header.stamp)
        self.record.looks.append(Look(stamp_ns=stamp_ns, frame_id=message.header.frame_id, message=message))

    def stop(self) -> None:
        """Ends ``run`` soon; for signal handlers."""
        self._stopped.set()
        self._replayer.stop()

    def wait_until_ready(self, is_alive: Callable[[], bool]) -> None:
        """Waits until the node listens to both images.

        Args:
            is_alive: whether the node's process still runs.

        Raises:
            BackendError: it ended, could not be activated, or did not come up in time.
        """
        started = time.monotonic()
        state: Any = None
        while not self._replayer.is_heard_on((self._topics.color, self._topics.depth)):
            self._executor.spin_once(timeout_sec=0.02)
            waited = time.monotonic() - started
            state = self._checked_state(state)
            if not is_alive() or waited > self._ready_timeout_s or self._stopped.is_set():
                raise BackendError(f"The node did not come up within {waited:.1f} s; its log tells why.")
        self.record.ready_s = time.monotonic() - started

    def _checked_state(self, pending: Any) -> Any:
        """Asks the node for its state, and raises when it says that it is not active.

        The node answers only after it has configured and activated itself, or has failed to: what it then says stands.
        """
        if pending is None:
            return self._state.call_async(self._state.srv_type.Request()) if self._state.service_is_ready() else None
        if not pending.done():
            return pending
        label = pending.result().current_state.label
        if label != "active":
            raise BackendError(f"The node did not become active, it is {label}; its log tells why.")
        return None

    def run(self, *, phrase: str | None, is_alive: Callable[[], bool], on_progress: Callable[[float], None]) -> None:
        """Replays the bag and keeps what the node says.

        Args:
            phrase: what to ask for; None: the object the node sees best.
            is_alive: whether the node's process still runs.
            on_progress: given the bag's time since its start, seconds.

        Raises:
            N3dError: the node ended on the way, or the output cannot be written.
        """
        recorder = self._recorder_factory()
        failures: list[N3dError] = []
        thread = threading.Thread(target=self._replay, args=(failures,), name="replay")
        thread.start()
        try:
            self._spin_while(thread, phrase, is_alive, on_progress)
        finally:
            self._replayer.stop() if thread.is_alive() else None
            thread.join()
            self.record.recorded_messages = recorder.close().messages
        if failures:
            raise failures[0]

    def _replay(self, failures: list[N3dError]) -> None:
        """Replays, in a thread of its own."""
        color = self._topics.color

        def count(message: Any) -> None:
            self.record.images += message.topic.name == color

        try:
            self.record.replay = self._replayer.run(count)
        except N3dError as error:
            failures.append(error)

    def _spin_while(
        self,
        thread: threading.Thread,
        phrase: str | None,
        is_alive: Callable[[], bool],
        on_progress: Callable[[float], None],
    ) -> None:
        """Receives and asks until the replay is over and the last results are in."""
        length_ns = max(1, self._reader.duration_ns)
        ended_s: float | None = None
        while not self._stopped.is_set():
            self._executor.spin_once(timeout_sec=0.02)
            passed_ns = self._replayer.now_ns - self._reader.start_ns
            on_progress(passed_ns / 1e9)
            self._ask_when_due(passed_ns / length_ns if thread.is_alive() else 1.0, phrase)
            self._take_answers()
            if not is_alive():
                raise BackendError("The node ended in the middle of the replay; its log tells why.")
            if not thread.is_alive():
                ended_s = ended_s or time.monotonic()
                if self._is_over(ended_s):
                    return

    def _is_over(self, ended_s: float) -> bool:
        """Whether nothing more is to come after the last image: no result of it, and no answer that is still due."""
        now_s = time.monotonic()
        if now_s <= ended_s + DRAIN_S:
            return False
        is_slow = self._request_timeout_s > REQUEST_S  # then the first look may take longer than the whole replay
        is_due = bool(self._pending) or (is_slow and not self.record.looks)
        return not is_due or now_s > max(ended_s + DRAIN_S, self._asked_s) + self._request_timeout_s

    def _ask_when_due(self, fraction: float, phrase: str | None) -> None:
        """Asks where the best-seen object is, then how many there are."""
        if not self.record.looks or self._asked >= 2:
            return
        if self._asked == 0 and fraction >= ASK_AFTER and (chosen := phrase or self._best_label()):
            future = self._locate.call_async(NodeClient.locate_request(chosen, timeout_s=self._request_timeout_s))
            self._pending.append(("locate", chosen, future))
            self._asked, self._asked_s = 1, time.monotonic()
        elif self._asked == 1 and fraction >= (1 + ASK_AFTER) / 2:
            future = self._query.call_async(NodeClient.query_request(COUNT_QUESTION, timeout_s=self._request_timeout_s))
            self._pending.append(("query", COUNT_QUESTION, future))
            self._asked, self._asked_s = 2, time.monotonic()

    def _best_label(self) -> str | None:
        """The label of the object with the best support in the newest look that shows any."""
        for look in reversed(self.record.looks):
            if look.message.objects:
                return str(max(look.message.objects, key=lambda item: np.nan_to_num(item.support_ratio)).label)
        return None

    def _take_answers(self) -> None:
        """Moves answers that have come to the record."""
        for entry in [entry for entry in self._pending if entry[2].done()]:
            service, text, future = entry
            self._pending.remove(entry)
            convert = locate_response_to_dict if service == "locate" else query_response_to_dict
            self.record.answers.append(Answer(service=service, text=text, response=convert(future.result())))

    def close(self) -> None:
        """Frees the executor."""
        self._client.close()


def latest_objects(looks: Sequence[Look]) -> list[dict[str, Any]]:
    """Each object as it was last seen.

    Args:
        looks: in order.

    Returns:
        Plain values, by id; ``seen_in`` counts the looks that showed it.
    """
    latest: dict[int, dict[str, Any]] = {}
    for look in looks:
        for message in look.message.objects:
            seen = latest.get(message.id, {}).get("seen_in", 0)
            latest[message.id] = {**object_msg_to_dict(message), "frame_id": look.frame_id, "seen_in": seen + 1}
    return [latest[key] for key in sorted(latest)]


def best_look(looks: Sequence[Look]) -> Look | None:
    """The look that is best to show.

    Args:
        looks: in order.

    Returns:
        The last of the clearest, None when there is none with objects.
    """
    best, best_clearness = None, 0
    for i, look in enumerate(looks):
        clearness = look_clearness([item.observations for item in look.message.objects], i + 1)
        if look.message.objects and (best is None or clearness >= best_clearness):
            best, best_clearness = look, clearness
    return best


def write_look_pictures(
    folder: Path, reader: BagReader, topics: CameraTopics, look: Look, *, title: str, subtitle: str
) -> tuple[Path, Path]:
    """Draws one look of the node on the image it belongs to.

    Args:
        folder: where.
        reader: the bag that was replayed.
        topics: the camera's topics.
        look: what the node found.
        title: of the top-down picture.
        subtitle: of the top-down picture.

    Returns:
        Paths of the two pictures.

    Raises:
        N3dError: the image is not in the bag, or its frames are not connected.
    """
    transforms = load_transforms(reader)
    frame = frame_at(reader, topics, look.stamp_ns, transforms)
    camera_T_look = transforms.lookup(frame.frame_id, look.frame_id, look.stamp_ns)
    found = []
    for message in look.message.objects:
        detection = msg_to_detection(message)
        box = detection.box.transformed(camera_T_look)
        found.append((int(message.id), detection.label, detection.color, box))
    up = up_from_transforms(transforms, frame)
    return write_pictures(
        folder,
        frame,
        picture_objects(found),
        up=up,
        surfaces=surfaces_of(frame, up),
        title=title,
        subtitle=subtitle,
    )


def frame_at(reader: BagReader, topics: CameraTopics, stamp_ns: int, transforms: TransformBuffer) -> RgbdFrame:
    """The colour and depth of one stamp in a bag.

    Args:
        reader: an open bag.
        topics: the camera's topics.
        stamp_ns: of the colour image.
        transforms: of the bag.

    Returns:
        The frame.

    Raises:
        BackendError: the bag holds no such pair.
    """
    newest: dict[str, Any] = {}
    nearest_depth: Any = None
    color: Any = None
    for message in reader.messages(topics.all):
        name = message.topic.name
        content = message.deserialize()
        if name in (topics.color_info, topics.depth_info):
            newest.setdefault(name, content)
            continue
        offset = abs(stamp_to_ns(content.header.stamp) - stamp_ns)
        if name == topics.color and offset == 0:
            color = content
        elif name == topics.depth and (nearest_depth is None or offset < nearest_depth[0]):
            nearest_depth = (offset, content)
    if color is None or nearest_depth is None:
        raise BackendError(f"The bag holds no colour image of {stamp_ns / 1e9:.3f} s.")
    assembler = FrameAssembler(NodeConfig().pipeline.frames, color_topic=topics.color, depth_topic=topics.depth)
    color_info, depth_info = newest.get(topics.color_info), newest.get(topics.depth_info)
    return assembler.assemble(color, nearest_depth[1], color_info, depth_info, transforms.lookup)


def up_from_transforms(transforms: TransformBuffer, frame: RgbdFrame) -> FloatArray | None:
    """The direction against gravity in the camera frame.

    Args:
        transforms: of the bag.
        frame: gives camera frame and stamp.

    Returns:
        (3,) unit vector; None when tf knows no frame whose z points up.
    """
    known = (name for name in GRAVITY_FRAMES if transforms.can_transform(frame.frame_id, name, frame.stamp_ns))
    name = next(known, None)
    if name is None:
        return None
    up: FloatArray = transforms.lookup(frame.frame_id, name, frame.stamp_ns).rotation[:, 2].copy()
    return up


def surfaces_of(frame: RgbdFrame, up: FloatArray | None) -> tuple[SupportSurface, ...]:
    """The supports in a frame, for the pictures: messages do not carry them.

    Args:
        frame: colour and depth.
        up: (3,) against gravity; None: estimated.

    Returns:
        Surfaces in the camera frame; empty when they cannot be found.
    """
    try:
        grounder = create_grounder("geometric")
        try:
            return grounder.ground(frame, GroundingRequest(up=up)).surfaces
        finally:
            grounder.close()
    except N3dError as error:
        logger.warning("The supports are not drawn: %s", error.message)
        return ()
