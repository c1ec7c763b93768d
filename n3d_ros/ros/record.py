"""Recording topics into a bag: raw subscriptions, a bounded queue, one thread that compresses and writes."""

from __future__ import annotations

import fnmatch
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from n3d_ros.errors import BagError, N3dError
from n3d_ros.ros.bag import BagWriter, TopicQos
from n3d_ros.ros.clocks import steady_clock
from n3d_ros.ros.message_types import is_installed, message_class

logger = logging.getLogger(__name__)

DISCOVERY_PERIOD_S = 0.25  # between looks for new topics
MAX_QUEUED_BYTES = 512 << 20  # of messages not written yet; beyond, messages are dropped and counted
SUBSCRIPTION_DEPTH = 50  # messages the middleware keeps while the recorder is busy
NOT_RECORDED = ("/rosout", "/parameter_events")  # of every node; recorded only when named


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStatus:
    """How a recording stands.

    Args:
        messages: received so far.
        bytes: received so far.
        dropped: lost because the disk was slower than the messages.
        topics: subscribed so far.
    """

    messages: int
    bytes: int
    dropped: int
    topics: int


class Recorder:
    """Subscribes to topics as they appear and writes their raw messages.

    Args:
        node: an rclpy node; the caller spins it.
        writer: an open bag.
        topics: names or patterns (``/camera/*``); empty: every topic but ``NOT_RECORDED``.
        now_ns: gives the stamp of a message that arrives; None: the node's clock.
    """

    def __init__(
        self,
        node: Any,
        writer: BagWriter,
        topics: Sequence[str] = (),
        *,
        now_ns: Callable[[], int] | None = None,
    ) -> None:
        self._node, self._writer = node, writer
        self._patterns = tuple(topics)
        self._now_ns = now_ns or (lambda: int(node.get_clock().now().nanoseconds))
        self._subscriptions: dict[str, Any] = {}
        self._ignored: set[str] = set()
        self._queue: queue.SimpleQueue[tuple[str, int, bytes] | None] = queue.SimpleQueue()
        self._queued_bytes = 0
        self._count_lock, self._writer_lock = threading.Lock(), threading.Lock()
        self._messages = self._bytes = self._dropped = 0
        self.failure: N3dError | None = None
        self._closed = False
        self._timer = node.create_timer(DISCOVERY_PERIOD_S, self.discover, clock=steady_clock())
        self._thread = threading.Thread(target=self._write_queued, name="bag-writer", daemon=True)
        self._thread.start()
        self.discover()

    @property
    def status(self) -> RecordStatus:
        """How the recording stands now."""
        return RecordStatus(
            messages=self._messages, bytes=self._bytes, dropped=self._dropped, topics=len(self._subscriptions)
        )

    @property
    def topics(self) -> tuple[str, ...]:
        """Names of the topics recorded so far."""
        return tuple(self._subscriptions)

    def discover(self) -> None:
        """Subscribes to wanted topics that have appeared."""
        for name, types in self._node.get_topic_names_and_types():
            if name in self._subscriptions or name in self._ignored or not self._is_wanted(name):
                continue
            publishers = self._node.get_publishers_info_by_topic(name)
            if publishers:  # without one there is nobody to take the qualities of service from
                self._subscribe(name, types[0], [TopicQos.from_rclpy(info.qos_profile) for info in publishers])

    def _is_wanted(self, name: str) -> bool:
        """Whether a topic was asked for."""
        if not self._patterns:
            return name not in NOT_RECORDED
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self._patterns)

    def _subscribe(self, name: str, type_: str, offered: Sequence[TopicQos]) -> None:
        """Adds one topic to the bag and subscribes to its raw messages."""
        if "/msg/" not in type_ or not is_installed(type_):
            logger.warning("%s is not recorded: its type %s is not installed here.", name, type_)
            self._ignored.add(name)
            return
        # What every publisher of the topic offers: asking one of them for more would get nothing from it.
        qos = TopicQos(
            reliability="reliable" if all(q.reliability == "reliable" for q in offered) else "best_effort",
            durability="transient_local" if all(q.is_latched for q in offered) else "volatile",
            depth=max(q.depth for q in offered),
        )
        with self._writer_lock:
            self._writer.add_topic(name, type_, qos=qos)
        profile = qos.to_rclpy(depth=max(SUBSCRIPTION_DEPTH, qos.depth))
        self._subscriptions[name] = self._node.create_subscription(
            message_class(type_), name, self._receiver(name), profile, raw=True
        )

    def _receiver(self, name: str) -> Callable[[bytes], None]:
        """The callback of one topic: stamps and queues."""

        def receive(data: bytes) -> None:
            if self._closed:
                return
            self._messages, self._bytes = self._messages + 1, self._bytes + len(data)
            if self._queued_bytes + len(data) > MAX_QUEUED_BYTES:
                self._dropped += 1
                return
            with self._count_lock:
                self._queued_bytes += len(data)
            self._queue.put((name, self._now_ns(), bytes(data)))

        return receive

    def _write_queued(self) -> None:
        """Writes what is queued until the end mark; after a failure it only empties the queue."""
        while (entry := self._queue.get()) is not None:
            name, stamp_ns, data = entry
            with self._count_lock:
                self._queued_bytes -= len(data)
            if self.failure is not None:
                continue
            try:
                with self._writer_lock:
                    self._writer.write(name, stamp_ns, data)
            except N3dError as error:
                self.failure = error
            except Exception as error:  # storage libraries and compressors have errors of their own
                logger.exception("Writing %s failed.", name)
                self.failure = BagError(f"{name} could not be written ({type(error).__name__}: {error}).")

    def close(self) -> RecordStatus:
        """Stops receiving and writes the rest; the caller then closes the bag.

        Returns:
            The final status.

        Raises:
            N3dError: writing failed on the way.
        """
        if not self._closed:
            self._closed = True
            self._node.destroy_timer(self._timer)
            self._queue.put(None)
            self._thread.join()
        if self.failure is not None:
            raise self.failure
        return self.status


def spin_until(executor: Any, is_over: Callable[[], bool], *, period_s: float = 0.1) -> None:
    """Spins an executor until a condition holds.

    Args:
        executor: an rclpy executor.
        is_over: asked after every callback and at least every ``period_s``.
        period_s: seconds.
    """
    while not is_over():
        executor.spin_once(timeout_sec=period_s)


def wait_for_topics(recorder: Recorder, executor: Any, names: Sequence[str], timeout_s: float) -> bool:
    """Spins until some topics are subscribed.

    Args:
        recorder: the recorder.
        executor: the executor that has its node.
        names: topics to wait for.
        timeout_s: longest wait, seconds.

    Returns:
        True when all are subscribed.
    """
    deadline = time.monotonic() + timeout_s
    spin_until(executor, lambda: set(names) <= set(recorder.topics) or time.monotonic() > deadline)
    return set(names) <= set(recorder.topics)
