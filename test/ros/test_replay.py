"""Replay and record over real DDS: bytes unchanged, order kept, latched topics latched, time as recorded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from bags_for_tests import START_NS, write_camera_bag
from domains import REPLAY_DOMAIN_ID
from n3d_ros.errors import BagError, ConfigurationError
from n3d_ros.ros.bag import LATCHED_QOS, BagReader, BagWriter
from n3d_ros.ros.record import Recorder, spin_until, wait_for_topics
from n3d_ros.ros.replay import ReplayConfig, Replayer
from n3d_ros.ros.session import ros_node

WAIT_S = 10.0


@pytest.fixture(autouse=True)
def own_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(REPLAY_DOMAIN_ID))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")


@pytest.fixture
def node() -> Iterator[Any]:
    with ros_node("replay_under_test") as made:
        yield made


class BrokenWriter:
    """A bag whose compressor breaks."""

    def add_topic(self, *_args: object, **_options: object) -> None:
        pass

    def write(self, *_args: object) -> None:
        raise ValueError("compressor broke")


def test_a_recording_that_cannot_be_written_fails_and_says_why(node: Any, spin: Any) -> None:
    publisher = node.create_publisher(String, "/words", 10)
    recorder = Recorder(node, BrokenWriter(), ["/words"])  # type: ignore[arg-type]
    spin(lambda: "/words" in recorder.topics and publisher.get_subscription_count() > 0)
    publisher.publish(String(data="x"))
    spin(lambda: recorder.failure is not None)
    with pytest.raises(BagError, match="/words could not be written .*compressor broke"):
        recorder.close()


@pytest.fixture
def spin(node: Any) -> Iterator[Callable[[Callable[[], bool]], None]]:
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)

    def spin_for(is_over: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_S
        spin_until(executor, lambda: is_over() or time.monotonic() > deadline, period_s=0.02)

    yield spin_for
    executor.shutdown()


def write_words(path: Path, *, count: int = 5, gap_s: float = 0.1, latched: int = 0) -> Path:
    with BagWriter(path) as writer:
        writer.add_topic("/tf_static", "tf2_msgs/msg/TFMessage", qos=LATCHED_QOS)
        for i in range(latched):
            writer.write("/tf_static", START_NS + i, TFMessage())
        for i in range(count):
            writer.write("/words", START_NS + round(i * gap_s * 1e9), String(data=f"word {i}"))
    return path


def replay_in_thread(replayer: Replayer) -> threading.Thread:
    thread = threading.Thread(target=replayer.run)
    thread.start()
    return thread


def test_subscribers_get_the_recorded_bytes_in_order(tmp_path: Path, node: Any, spin: Any) -> None:
    received: list[bytes] = []
    node.create_subscription(String, "/words", received.append, 10, raw=True)
    with BagReader(write_words(tmp_path / "bag")) as reader:
        recorded = [m.data for m in reader.messages(["/words"])]
        thread = replay_in_thread(Replayer(node, reader, ReplayConfig(rate=5.0, wait_s=WAIT_S, wait_for=("/words",))))
        spin(lambda: len(received) == 5)
        thread.join()
    assert [bytes(data) for data in received] == recorded


def test_a_late_subscriber_gets_every_latched_message(tmp_path: Path, node: Any, spin: Any) -> None:
    received: list[TFMessage] = []
    with BagReader(write_words(tmp_path / "bag", latched=3)) as reader:
        replayer = Replayer(node, reader, ReplayConfig(rate=50.0, start_s=0.2))  # after all latched ones
        replayer.run()
        node.create_subscription(TFMessage, "/tf_static", received.append, LATCHED_QOS.to_rclpy(depth=10))
        spin(lambda: len(received) == 3)
    assert len(received) == 3


def test_of_a_bag_that_is_cut_off_everything_readable_is_replayed_from_the_middle_too(
    tmp_path: Path, node: Any
) -> None:
    with BagWriter(tmp_path / "bag", compress=False) as writer:
        writer.add_topic("/tf_static", "tf2_msgs/msg/TFMessage", qos=LATCHED_QOS)
        writer.write("/tf_static", START_NS, TFMessage())
        for i in range(8):
            writer.write("/words", START_NS + i * 10_000_000, String(data=f"{i}" * 400_000))
    content = (tmp_path / "bag" / "bag.mcap").read_bytes()
    (tmp_path / "cut.mcap").write_bytes(content[: int(0.8 * len(content))])
    with BagReader(tmp_path / "cut.mcap") as reader:
        seen: list[str] = []
        replayer = Replayer(node, reader, ReplayConfig(rate=10.0, start_s=0.02))
        with pytest.raises(BagError, match="cut off"):
            replayer.run(lambda message: seen.append(message.topic.name))
    assert seen[0] == "/tf_static"
    assert seen.count("/words") >= 2


def test_the_rate_scales_the_time_a_replay_takes(tmp_path: Path, node: Any) -> None:
    with BagReader(write_words(tmp_path / "bag", count=5, gap_s=0.2)) as reader:
        begin = time.monotonic()
        summary = Replayer(node, reader, ReplayConfig(rate=4.0)).run()
        took = time.monotonic() - begin
    assert summary.messages == 5
    assert took >= 0.8 / 4.0  # never faster than asked; how much slower depends on the machine


def test_the_clock_runs_through_the_time_of_the_bag(tmp_path: Path, node: Any, spin: Any) -> None:
    times: list[int] = []
    node.create_subscription(
        Clock, "/clock", lambda m: times.append(m.clock.sec * 10**9 + m.clock.nanosec), qos_profile_sensor_data
    )
    with BagReader(write_words(tmp_path / "bag")) as reader:
        replayer = Replayer(node, reader, ReplayConfig(clock=True, rate=0.2))  # slow, since ticks may get lost
        spin(lambda: node.count_publishers("/clock") > 0)
        thread = replay_in_thread(replayer)
        spin(lambda: not thread.is_alive())
        assert replayer.now_ns == reader.end_ns
    assert len(times) > 10 and times == sorted(times)
    assert times[0] >= START_NS and times[-1] <= START_NS + 400_000_000


def test_a_loop_goes_on_until_it_is_stopped(tmp_path: Path, node: Any) -> None:
    with BagReader(write_words(tmp_path / "bag")) as reader:
        replayer = Replayer(node, reader, ReplayConfig(rate=100.0, loop=True))
        seen: list[str] = []

        def note(message: Any) -> None:
            seen.append(message.topic.name)
            if len(seen) == 12:
                replayer.stop()

        summary = replayer.run(note)
    assert summary.messages == 12 and summary.loops == 2


def test_types_that_are_not_installed_are_left_out_and_named(tmp_path: Path, node: Any) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/foreign", "somebody_msgs/msg/Reading", definition="float64 value\n")
        writer.write("/foreign", START_NS, b"\x00\x01\x00\x00")
        writer.write("/words", START_NS, String(data="x"))
    with BagReader(tmp_path / "bag") as reader:
        summary = Replayer(node, reader, ReplayConfig()).run()
    assert summary.skipped == ("/foreign",) and summary.messages == 1


def test_topics_that_are_not_there_are_refused(tmp_path: Path, node: Any) -> None:
    with (
        BagReader(write_words(tmp_path / "bag")) as reader,
        pytest.raises(BagError, match=r"no topic /sounds; it holds:\n.*/tf_static"),
    ):
        Replayer(node, reader, ReplayConfig(topics=("/sounds",)))


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"rate": float("nan")}, {"start_s": -1.0}, {"duration_s": 0.0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        ReplayConfig(**wrong)  # type: ignore[arg-type]


def test_what_is_replayed_can_be_recorded_again_byte_by_byte(tmp_path: Path, node: Any, spin: Any) -> None:
    source = write_camera_bag(tmp_path / "bag", frames=4)
    with BagReader(source) as reader, BagWriter(tmp_path / "again") as writer:
        replayer = Replayer(node, reader, ReplayConfig(rate=1.0, wait_s=WAIT_S, wait_for=tuple(reader.topics)))
        with ros_node("recorder_under_test") as other:
            executor = SingleThreadedExecutor(context=other.context)
            executor.add_node(other)
            recorder = Recorder(other, writer, ["/camera/*", "/tf"], now_ns=lambda: replayer.now_ns)
            assert wait_for_topics(recorder, executor, list(reader.topics), WAIT_S)
            thread = replay_in_thread(replayer)
            deadline = time.monotonic() + WAIT_S
            spin_until(executor, lambda: recorder.status.messages >= 20 or time.monotonic() > deadline, period_s=0.02)
            thread.join()
            status = recorder.close()
            executor.shutdown()
        assert status.messages == 20 and status.dropped == 0
    with BagReader(source) as first, BagReader(tmp_path / "again") as second:
        assert {t.name: t.type for t in first.topics.values()} == {t.name: t.type for t in second.topics.values()}
        for name in first.topics:
            assert [m.data for m in first.messages([name])] == [m.data for m in second.messages([name])]
            assert second.topics[name].qos.reliability == first.topics[name].qos.reliability
