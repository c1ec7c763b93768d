"""Clients and subscribers that are killed in the middle of a call, a goal or a message: the node forgets them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

from action_msgs.msg import GoalStatus, GoalStatusArray
from n3d_msgs.srv import Locate
from rclpy.qos import DurabilityPolicy, QoSProfile

from fault_harness import assert_still_works, running
from node_harness import REPOSITORY, NodeClient, NodeProcess, ros_environment, wait_until

CLIENT = REPOSITORY / "test" / "fault_client.py"
LIVING = (GoalStatus.STATUS_ACCEPTED, GoalStatus.STATUS_EXECUTING, GoalStatus.STATUS_CANCELING)


@contextmanager
def doomed(kind: str) -> Iterator[subprocess.Popen[str]]:
    """A client that is in the middle of something; killed at the end at the latest."""
    process = subprocess.Popen(
        [sys.executable, str(CLIENT), kind], env=ros_environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def wait_begun(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"


@pytest.fixture
def live() -> Iterator[tuple[NodeProcess, NodeClient]]:
    with running({"request.max_frame_age_s": 600.0}) as (node, client):
        client.wait_connected()
        client.send_good()
        yield node, client


def threads_of(node: NodeProcess) -> int:
    return len(list(Path(f"/proc/{node.process.pid}/task").iterdir()))


@pytest.mark.parametrize("kind", ["locate", "query"])
def test_clients_killed_while_they_wait_for_an_answer_leave_nothing_behind(
    live: tuple[NodeProcess, NodeClient], kind: str
) -> None:
    node, client = live
    for _ in range(2):
        with doomed(kind) as process:
            wait_begun(process)
    response = client.call(client.locate, Locate.Request(phrase="red block", timeout_s=30.0), 40.0)
    assert response.success, response.status.message  # behind those of the dead, if they were still carried out
    assert_still_works(client)
    assert node.process.poll() is None


def test_goals_of_a_killed_client_come_to_their_end_and_none_is_kept(live: tuple[NodeProcess, NodeClient]) -> None:
    _, client = live
    heard: list[Any] = []
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    client.node.create_subscription(GoalStatusArray, "/n3d/ground/_action/status", heard.append, latched)
    with doomed("ground") as process:
        wait_begun(process)
        process.kill()
        process.wait()
    assert wait_until(lambda: bool(heard and heard[-1].status_list))
    ended = wait_until(lambda: not any(one.status in LIVING for one in heard[-1].status_list), 20.0)
    assert ended, heard[-1]
    assert_still_works(client)


def test_subscribers_killed_in_the_middle_of_the_stream_do_not_hold_it_up(
    live: tuple[NodeProcess, NodeClient],
) -> None:
    node, client = live
    threads = threads_of(node)
    for _ in range(3):
        with doomed("listen") as process:
            assert wait_until(lambda: bool(client.send_good() and select([process.stdout], [], [], 0)[0]), 30.0)
            wait_begun(process)
            process.kill()
            for _ in range(10):
                client.send_good()
    assert_still_works(client)
    assert wait_until(lambda: threads_of(node) <= threads + 2), (threads, threads_of(node))
