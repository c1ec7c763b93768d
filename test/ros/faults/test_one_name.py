"""Two nodes of one name: both live, and both say so in the log and on /diagnostics until one is gone."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

from n3d_msgs.srv import Locate

from fault_harness import running
from node_harness import NodeProcess, wait_until

WARNED = "2 nodes are called /n3d"
WARN = b"\x01"


def test_a_second_node_of_the_name_is_warned_of_by_both_and_forgotten_when_it_ends() -> None:
    with running({"request.max_frame_age_s": 600.0}) as (first, client):
        second = NodeProcess()
        try:
            second.wait_for_log("Active")
            first.wait_for_log(WARNED)
            second.wait_for_log(WARNED)

            def told() -> bool:
                statuses = [one for array in client.heard["diagnostics"] for one in array.status]
                return any(one.name == "n3d: name" and one.level == WARN and WARNED in one.message for one in statuses)

            assert wait_until(told)
            client.send_good()
            assert client.call(client.locate, Locate.Request(phrase="red block")).success
        finally:
            assert second.end() == 0, second.log

        def alone() -> bool:
            statuses = client.heard["diagnostics"][-1].status
            return any(one.name == "n3d: name" and one.level != WARN for one in statuses)

        assert wait_until(alone)
        assert first.log.count(WARNED) == 1, "once for each time it happens"
