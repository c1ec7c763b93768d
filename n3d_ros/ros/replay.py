"""Replaying a recording in real time: raw messages through publishers of the recorded types, never deserialised."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from n3d_ros.errors import BagError, ConfigurationError
from n3d_ros.ros.bag import BagMessage, BagReader, BagTopic
from n3d_ros.ros.message_types import is_installed

logger = logging.getLogger(__name__)

CLOCK_PERIOD_S = 0.01  # of /clock, wall time; 100 Hz keeps timers of simulated time smooth
CLOCK_TOPIC = "/clock"
MAX_LATCHED_DEPTH = 1000  # messages kept for late subscribers of a latched topic
MAX_RATE = 1000.0  # times real time; above, use the offline command
ACKNOWLEDGE_S = 1.0  # wait at the end for reliable subscribers to have everything
DISCOVERY_POLL_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayConfig:
    """How to replay.

    Args:
        rate: times real time, above 0.
        loop: begin again at the end, until stopped.
        clock: publish /clock, the bag's time.
        topics: only these; None: all whose type is installed.
        start_s: begin so many seconds after the first message.
        duration_s: replay so many seconds of the bag; None: to the end.
        wait_s: longest wait before the first message until somebody subscribes to each of ``wait_for``.
        wait_for: topics to wait for; None: any one of the replayed topics.
        remap: other names for topics, by recorded name.
    """

    rate: float = 1.0
    loop: bool = False
    clock: bool = False
    topics: tuple[str, ...] | None = None
    start_s: float = 0.0
    duration_s: float | None = None
    wait_s: float = 0.0
    wait_for: tuple[str, ...] | None = None
    remap: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Checks ranges.

        Raises:
            ConfigurationError: a rate, start, duration or wait out of range.
        """
        if not 0 < self.rate <= MAX_RATE:
            raise ConfigurationError(f"Replay rate: expected above 0 to {MAX_RATE:g} times real time, got {self.rate}.")
        if not self.start_s >= 0 or not self.wait_s >= 0:
            raise ConfigurationError(
                f"Replay start and wait: expected seconds >= 0, got {self.start_s}, {self.wait_s}."
            )
        if self.duration_s is not None and not self.duration_s > 0:
            raise ConfigurationError(f"Replay duration: expected seconds above 0, got {self.duration_s}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySummary:
    """What was replayed.

    Args:
        messages: number of messages published, /clock not counted.
        loops: complete passes.
        largest_delay_s: how far the replay fell behind real time at worst, seconds.
        skipped: topics left out because their type is not installed.
    """

    messages: int
    loops: int
    largest_delay_s: float
    skipped: tuple[str, ...]


class Replayer:
    """Publishes a bag's messages with the timing and the qualities of service they were recorded with.

    Args:
        node: an rclpy node; it need not spin.
        reader: an open bag.
        config: how to replay.

    Raises:
        BagError: a wanted topic is not in the bag, or nothing can be replayed.
    """

    def __init__(self, node: Any, reader: BagReader, config: ReplayConfig | None = None) -> None:
        self._node = node
        self._reader = reader
        self._config = config or ReplayConfig()
        self._stop = threading.Event()
        chosen = self._chosen_topics()
        self.skipped = tuple(topic.name for topic in chosen if not is_installed(topic.type))
        for name in self.skipped:
            logger.warning("%s is left out: its type %s is not installed here.", name, reader.topics[name].type)
        self.topics = tuple(topic for topic in chosen if topic.name not in self.skipped)
        if not self.topics:
            raise BagError(f"{reader.path}: nothing can be replayed; the bag holds:\n{reader.describe()}")
        self._names = dict(self._config.remap)
        self._publishers = {topic.name: self._publisher(topic) for topic in self.topics}
        self._clock_publisher = self._make_clock_publisher() if self._config.clock else None
        self._last_clock_s = 0.0
        self._now_ns = reader.start_ns

    def _chosen_topics(self) -> list[BagTopic]:
        """The topics asked for; /clock of the bag gives way to the one that is published here."""
        config, topics = self._config, self._reader.topics
        if config.topics is not None:
            if unknown := [name for name in config.topics if name not in topics]:
                held = self._reader.describe()
                raise BagError(f"{self._reader.path} has no topic {', '.join(unknown)}; it holds:\n{held}")
            return [topics[name] for name in config.topics]
        return [topic for topic in topics.values() if not (config.clock and topic.name == CLOCK_TOPIC)]

    def _publisher(self, topic: BagTopic) -> Any:
        """A publisher that offers the topic as it was recorded."""
        from n3d_ros.ros.message_types import message_class

        # One publisher stands for all that were recorded: to late subscribers it must keep what all of them kept.
        latched_depth = min(MAX_LATCHED_DEPTH, max(topic.qos.depth, topic.message_count or 1))
        profile = topic.qos.to_rclpy(depth=latched_depth if topic.qos.is_latched else None)
        return self._node.create_publisher(message_class(topic.type), self._names.get(topic.name, topic.name), profile)

    def _make_clock_publisher(self) -> Any:
        """The publisher of /clock, with rclcpp's ClockQoS."""
        from rclpy.qos import QoSProfile, ReliabilityPolicy
        from rosgraph_msgs.msg import Clock

        return self._node.create_publisher(
            Clock, CLOCK_TOPIC, QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        )

    @property
    def now_ns(self) -> int:
        """The bag's time now, nanoseconds: that of the message published last, or waited for."""
        return self._now_ns

    def stop(self) -> None:
        """Ends ``run`` soon; may be called from a signal handler or another thread."""
        self._stop.set()

    def is_heard_on(self, topics: Collection[str]) -> bool:
        """Whether somebody subscribes to each of these topics.

        Args:
            topics: recorded names.

        Returns:
            True when all have a subscriber.
        """
        return all(self._publishers[name].get_subscription_count() for name in topics)

    def wait_for_subscribers(self) -> bool:
        """Waits as configured until somebody listens.

        Returns:
            True when the awaited topics have subscribers; False when the time ran out or ``stop`` was called.
        """
        config = self._config
        deadline = time.monotonic() + config.wait_s
        while True:
            if config.wait_for is None and any(p.get_subscription_count() for p in self._publishers.values()):
                return True
            if config.wait_for is not None and self.is_heard_on(config.wait_for):
                return True
            if time.monotonic() >= deadline or self._stop.wait(DISCOVERY_POLL_S):
                return False

    def run(self, on_message: Callable[[BagMessage], None] | None = None) -> ReplaySummary:
        """Replays the bag and returns when it is over or stopped.

        Args:
            on_message: called after each published message.

        Returns:
            What was replayed.

        Raises:
            BagError: the bag is damaged (after everything readable was published).
        """
        self.wait_for_subscribers()
        count, loops, late_s = 0, 0, 0.0
        while not self._stop.is_set():
            for message, delay_s in self._pass():
                self._publishers[message.topic.name].publish(message.data)
                count, late_s = count + 1, max(late_s, delay_s)
                if on_message is not None:
                    on_message(message)
            loops += not self._stop.is_set()
            if not self._config.loop or count == 0:
                break
        self._finish()
        return ReplaySummary(messages=count, loops=loops, largest_delay_s=late_s, skipped=self.skipped)

    def _pass(self) -> Iterator[tuple[BagMessage, float]]:
        """One pass over the bag: each message when it is due, and how late it is in seconds."""
        config, names = self._config, [topic.name for topic in self.topics]
        start_ns = self._reader.start_ns + round(config.start_s * 1e9)
        stop_ns = None if config.duration_s is None else start_ns + round(config.duration_s * 1e9)
        if config.start_s:
            yield from ((message, 0.0) for message in self._latched_before(start_ns, names))
        begin = time.monotonic()
        for message in self._reader.messages(names, start_ns=start_ns, stop_ns=stop_ns):
            due = begin + (message.stamp_ns - start_ns) / 1e9 / config.rate
            self._sleep_until(due, message.stamp_ns)
            if self._stop.is_set():
                return
            yield message, max(0.0, time.monotonic() - due)

    def _latched_before(self, start_ns: int, names: Collection[str]) -> list[BagMessage]:
        """Latched messages from before the start: whoever begins in the middle still needs the static transforms."""
        latched = [name for name in names if self._reader.topics[name].qos.is_latched]
        return list(self._reader.readable_messages(latched, stop_ns=start_ns)) if latched else []

    def _sleep_until(self, due: float, stamp_ns: int) -> None:
        """Waits until a moment of the monotonic clock, publishing /clock on the way up to ``stamp_ns``."""
        while True:
            remaining = due - time.monotonic()
            self._now_ns = stamp_ns - round(max(0.0, remaining) * self._config.rate * 1e9)
            self._publish_clock(self._now_ns, force=remaining <= 0)
            if remaining <= 0 or self._stop.wait(
                min(remaining, CLOCK_PERIOD_S) if self._clock_publisher else remaining
            ):
                return

    def _publish_clock(self, now_ns: int, *, force: bool) -> None:
        """Publishes the bag's time, at most every ``CLOCK_PERIOD_S`` unless a message is about to go out."""
        wall = time.monotonic()
        if self._clock_publisher is None or (not force and wall - self._last_clock_s < CLOCK_PERIOD_S):
            return
        from builtin_interfaces.msg import Time
        from rosgraph_msgs.msg import Clock

        self._last_clock_s = wall
        stamp = Time(sec=now_ns // 1_000_000_000, nanosec=now_ns % 1_000_000_000)
        self._clock_publisher.publish(Clock(clock=stamp))

    def _finish(self) -> None:
        """Lets reliable subscribers receive what is still on its way."""
        from rclpy.duration import Duration

        for topic in self.topics:
            if topic.qos.reliability == "reliable" and not self._stop.is_set():
                self._publishers[topic.name].wait_for_all_acked(Duration(seconds=ACKNOWLEDGE_S))
