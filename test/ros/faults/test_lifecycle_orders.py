"""Lifecycle transitions in every order, allowed or not, under load; and as Nav2's lifecycle manager asks for them."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

import yaml
from lifecycle_msgs.srv import GetAvailableTransitions
from n3d_msgs.srv import Locate, SpatialQuery

from fault_harness import SHUTDOWNS, TRANSITIONS, assert_still_works, change_state, running, state_of
from n3d_ros.errors import StatusCode
from node_harness import REPOSITORY, NodeClient, wait_until

AFTER = {
    ("unconfigured", "configure"): "inactive",
    ("inactive", "activate"): "active",
    ("inactive", "cleanup"): "unconfigured",
    ("active", "deactivate"): "inactive",
}
"""Every allowed transition; all others are refused and change nothing."""

STEPS = 60
MOST_PENDING = 8  # of a client with the default QoS, whose middleware keeps ten answers
SERVICE_TIMEOUT_S = 5.0  # of Nav2's manager for one transition


@contextmanager
def load_on(client: NodeClient) -> Iterator[dict[int, int]]:
    """Images at about 50 Hz and requests without a pause, from another thread; counts the answers by code."""
    stop, codes = threading.Event(), dict[int, int]()

    def ask() -> None:
        pending = []
        while not stop.is_set():
            client.publish(client.messages())
            pending = [future for future in pending if not future.done()]
            if len(pending) < MOST_PENDING and client.locate.service_is_ready():
                future = client.locate.call_async(Locate.Request(phrase="red block", timeout_s=1.0))
                future.add_done_callback(lambda one: codes.update({one.result().status.code: 1}))
                pending.append(future)
            time.sleep(0.02)
        assert wait_until(lambda: all(future.done() for future in pending), 15.0), "a request was not answered"

    client.meet(client.locate)  # an answer to who is not known yet would be lost
    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield codes
    finally:
        stop.set()
        thread.join(20.0)


@pytest.mark.parametrize("seed", [1, 2])
def test_transitions_in_any_order_under_load_lead_where_they_should_or_are_refused(seed: int) -> None:
    chance = random.Random(seed)
    with running({"autostart": "false"}, until="Waiting") as (_, client), load_on(client) as codes:
        state = "unconfigured"
        tried = set()
        for _ in range(STEPS):
            name = chance.choice(list(TRANSITIONS))
            tried.add((state, name))
            wanted = AFTER.get((state, name))
            assert change_state(client, TRANSITIONS[name]) is (wanted is not None), (state, name)
            state = wanted or state
            assert state_of(client) == state
        assert set(AFTER) <= tried
        for name in {"unconfigured": ("configure", "activate"), "inactive": ("activate",)}.get(state, ()):
            assert change_state(client, TRANSITIONS[name])
        client.wait_connected()
        assert_still_works(client)
        allowed = {
            StatusCode.OK,
            StatusCode.NOT_ACTIVE,
            StatusCode.NO_FRAME,
            StatusCode.STALE_FRAME,
            StatusCode.TIMEOUT,
        }
        unready = {StatusCode.SHUTTING_DOWN, StatusCode.BAD_INPUT}  # its calibration has not come yet
        assert set(codes) <= {*allowed, *unready}, codes
        assert StatusCode.NOT_ACTIVE in codes


@pytest.mark.parametrize("state", SHUTDOWNS)
def test_shutdown_from_any_state_is_final_and_refuses_what_comes_after(state: str) -> None:
    with running({"autostart": "false"}, until="Waiting") as (_, client):
        for name in ["configure", "activate"][: list(SHUTDOWNS).index(state)]:
            assert change_state(client, TRANSITIONS[name])
        wrong = [one for one in SHUTDOWNS.values() if one != SHUTDOWNS[state]]
        assert not any(change_state(client, one) for one in wrong)
        assert state_of(client) == state
        assert change_state(client, SHUTDOWNS[state])
        assert state_of(client) == "finalized"
        assert not any(change_state(client, one) for one in TRANSITIONS.values())
        response = client.call(client.locate, Locate.Request(phrase="red block"))
        assert response.status.code in (StatusCode.NOT_ACTIVE, StatusCode.SHUTTING_DOWN)


class Manager:
    """Asks as Nav2's lifecycle manager does: one node after the other, each transition with its time limit."""

    def __init__(self, client: NodeClient) -> None:
        settings = yaml.safe_load((REPOSITORY / "config" / "nav2_lifecycle_manager.yaml").read_text())
        parameters = settings["lifecycle_manager_n3d"]["ros__parameters"]
        assert parameters["bond_timeout"] == 0.0, "there is no bond"
        (self.name,) = parameters["node_names"]
        self._client = client

    def bring(self, *steps: tuple[str, str]) -> None:
        """Makes each transition and looks whether it led to its state."""
        for name, state in steps:
            transition = {**TRANSITIONS, "shutdown": SHUTDOWNS["unconfigured"]}[name]
            assert change_state(self._client, transition, self.name, SERVICE_TIMEOUT_S), name
            assert state_of(self._client, self.name) == state

    def startup(self) -> None:
        self.bring(("configure", "inactive"), ("activate", "active"))

    def pause(self) -> None:
        self.bring(("deactivate", "inactive"))

    def resume(self) -> None:
        self.bring(("activate", "active"))

    def reset(self) -> None:
        self.bring(("deactivate", "inactive"), ("cleanup", "unconfigured"))

    def shutdown(self) -> None:
        self.bring(("deactivate", "inactive"), ("cleanup", "unconfigured"), ("shutdown", "finalized"))


def test_nav2s_lifecycle_manager_starts_pauses_resets_and_ends_the_node() -> None:
    with running({"autostart": "false"}, until="Waiting") as (_, client):
        manager = Manager(client)
        lister = client.node.create_client(GetAvailableTransitions, "/n3d/get_available_transitions")
        offered = client.call(lister, GetAvailableTransitions.Request()).available_transitions
        assert {one.transition.label for one in offered} == {"configure", "shutdown"}
        manager.startup()
        client.wait_connected()
        assert_still_works(client)
        manager.pause()
        assert client.call(client.query, SpatialQuery.Request(question="what is there?")).status.code == (
            StatusCode.NOT_ACTIVE
        )
        manager.resume()
        client.wait_connected()
        assert_still_works(client)
        manager.reset()
        manager.startup()
        client.wait_connected()
        assert_still_works(client)
        manager.shutdown()
