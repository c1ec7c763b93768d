"""What the harness of the live tests says when a process does not do what it should."""

from __future__ import annotations

import gc
import sys
import threading

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

from std_msgs.msg import String

from node_harness import LoggedProcess, NodeClient, end_all, wait_until

pytestmark = pytest.mark.ros

DEAF = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
def sleeps_on():
    print("deaf", flush=True)
    time.sleep(60)
sleeps_on()
"""


def test_a_process_that_does_not_end_is_named_with_its_limit_its_log_and_where_it_was() -> None:
    process = LoggedProcess("-c", DEAF)
    process.wait_for_log("deaf")
    with pytest.raises(AssertionError) as told:
        process.end(timeout_s=0.2)
    for part in ("import signal, time", "did not end within 0.2 s of SIGINT", "deaf", "in sleeps_on"):
        assert part in str(told.value)
    assert process.process.poll() is not None


def test_a_process_that_ends_before_it_says_what_was_awaited_is_named_with_its_last_words() -> None:
    process = LoggedProcess("-c", "raise SystemExit('no camera')")
    with pytest.raises(AssertionError, match=r"did not write 'ready' within 45 s \(exit code 1\); its log:\nno camera"):
        process.wait_for_log("ready")
    assert process.end() == 1


def test_all_processes_are_ended_even_when_one_does_not_end_by_itself() -> None:
    processes = {"deaf": LoggedProcess("-c", DEAF), "other": LoggedProcess("-c", DEAF)}
    for process in processes.values():
        process.wait_for_log("deaf")
    with pytest.raises(AssertionError, match="did not end within"):
        end_all(processes, timeout_s=0.2)
    assert all(process.process.poll() is not None for process in processes.values())


def test_a_client_goes_on_while_tests_destroy_what_it_listens_to() -> None:
    """A loop as tight as a test is never: without care the client's thread ends after some thousand turns."""
    client = NodeClient("nobody")
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    heard = threading.Event()
    try:
        for _ in range(300):
            made = [client.node.create_subscription(String, "words", lambda _: None, 10) for _ in range(3)]
            for one in made:
                client.node.destroy_subscription(one)
        client.node.create_subscription(String, "words", lambda _: heard.set(), 10)
        speaker = client.node.create_publisher(String, "words", 10)
        assert wait_until(lambda: speaker.publish(String(data="hello")) or heard.is_set())
    finally:
        sys.setswitchinterval(interval_s)
        client.close()
        gc.collect()
