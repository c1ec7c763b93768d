"""The SROS2 policy names what the node and its clients really use, and no more; a node without plugins says so.

Keys, signatures and refusals by the middleware are not tried here: the Fast DDS of the wheels has no security plugins.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

import rclpy
from rclpy.node import NodeNameNonExistentError

from fault_harness import FIRST_LINE, running
from n3d_ros.ros.client import NodeClient as AskingClient
from node_harness import (
    END_TIMEOUT_S,
    READY_TIMEOUT_S,
    REPOSITORY,
    NodeClient,
    NodeProcess,
    ros_environment,
    wait_until,
)

POLICY = REPOSITORY / "config" / "sros2" / "n3d.policy.xml"
NOT_ALWAYS = {  # allowed, and used with other settings, packages or ROS releases only
    "/n3d/detections",
    *(f"/n3d/depth/{name}" for name in ("image", "confidence", "source", "camera_info", "points", "estimated_poses")),
    "/rgb/image/compressed",
    "/depth/image/compressedDepth",
    "/clock",
    "/n3d/get_type_description",
    "/n3d_ask/get_type_description",
}
ACTION_SERVICES = ("cancel_goal", "get_result", "send_goal")
ACTION_TOPICS = ("feedback", "status")
Rights = dict[str, set[str]]


def full_name(name: str, node: str) -> str:
    return name if name.startswith("/") else f"/{node}{name[1:]}" if name.startswith("~") else f"/{name}"


def rights_of(node: str) -> Rights:
    """What the policy allows a node: full names of topics and services, actions resolved into theirs."""
    (profile,) = [one for one in ElementTree.parse(POLICY).iter("profile") if one.get("node") == node]
    rights: Rights = {right: set() for right in ("publish", "subscribe", "request", "reply")}
    for group in profile:
        for right in group.keys():  # noqa: SIM118 -- an XML element
            names = {full_name(one.text or "", node) for one in group}
            if group.tag == "actions":
                serves = right == "execute"
                services = {f"{name}/_action/{end}" for name in names for end in ACTION_SERVICES}
                rights["reply" if serves else "request"] |= services
                rights["publish" if serves else "subscribe"] |= {
                    f"{name}/_action/{end}" for name in names for end in ACTION_TOPICS
                }
            else:
                rights[right] |= names
    return rights


def used_by(observer: Any, node: str) -> Rights:
    """What a running node uses, from the graph."""
    ask: dict[str, Callable[[str, str], list[tuple[str, list[str]]]]] = {
        "publish": observer.get_publisher_names_and_types_by_node,
        "subscribe": observer.get_subscriber_names_and_types_by_node,
        "reply": observer.get_service_names_and_types_by_node,
        "request": observer.get_client_names_and_types_by_node,
    }
    try:
        return {right: {name for name, _ in names(node, "/")} for right, names in ask.items()}
    except NodeNameNonExistentError:  # not known yet
        return {right: set() for right in ask}


def spares(rights: Rights, used: Rights) -> Rights:
    """What is allowed and should be used, and is not."""
    return {right: rights[right] - names - NOT_ALWAYS for right, names in used.items()}


def assert_fits(rights: Rights, used: Rights) -> None:
    for right, names in used.items():
        assert names <= rights[right], f"{right}: used, not allowed: {sorted(names - rights[right])}"
    for right, spare in spares(rights, used).items():
        assert not spare, f"{right}: allowed, never used: {sorted(spare)}"


@pytest.fixture(scope="module")
def client() -> Iterator[NodeClient]:
    with running() as (_, client):
        client.wait_connected()
        yield client


def test_the_node_may_do_what_it_does_and_nothing_else(client: NodeClient) -> None:
    rights = rights_of("n3d")
    wait_until(
        lambda: not any(spares(rights, used_by(client.node, "n3d")).values())
    )  # what is used is found bit by bit
    assert_fits(rights, used_by(client.node, "n3d"))


@pytest.mark.parametrize("name", ["n3d_ask", "n3d_view_asking"])
def test_who_asks_may_ask_and_neither_set_nor_steer(client: NodeClient, name: str) -> None:
    rights = rights_of(name)
    for forbidden in ("change_state", "set_parameters", "set_parameters_atomically"):
        assert f"/n3d/{forbidden}" not in rights["request"]
    node = rclpy.create_node(name, context=client.context)
    asking = AskingClient(node)
    try:
        assert asking.clients
        used = used_by(node, name)
        for right, names in used.items():
            assert names <= rights[right], f"{right}: used, not allowed: {sorted(names - rights[right])}"
    finally:
        asking.close()
        node.destroy_node()


def page_name(client: NodeClient) -> str:
    """The node of the page that looks, empty while there is none."""
    return next((name for name in client.node.get_node_names() if re.fullmatch(r"n3d_view_[0-9a-f]{8}", name)), "")


def test_the_page_for_the_browser_looks_and_does_nothing_else(client: NodeClient) -> None:
    pytest.importorskip("viser", reason="needs the extra [view]")
    rights = rights_of("n3d_view")
    command = [sys.executable, "-m", "n3d_ros.cli", "view", "--port", "0"]
    page = subprocess.Popen(command, env=ros_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert wait_until(lambda: bool(page_name(client)), 30.0)
        name = page_name(client)  # with an ending of its own, which it has not where security is enabled
        assert wait_until(lambda: f"/{name}/list_parameters" in used_by(client.node, name)["reply"])
        used = {
            right: {one.replace(name, "n3d_view") for one in names}
            for right, names in used_by(client.node, name).items()
        }
        for right, names in used.items():
            assert names <= rights[right], f"{right}: used, not allowed: {sorted(names - rights[right])}"
        assert not {"/n3d/set_parameters", "/n3d/change_state"} & rights["request"]
    finally:
        page.send_signal(signal.SIGINT)
        told = page.communicate(timeout=END_TIMEOUT_S)[0].decode()
    assert page.returncode == 0, told


def test_the_policy_has_the_form_that_sros2_reads() -> None:
    root = ElementTree.parse(POLICY).getroot()
    assert (root.tag, root.attrib) == ("policy", {"version": "0.2.0"})
    paths = [enclave.get("path") for enclave in root.iterfind("enclaves/enclave")]
    assert paths == ["/n3d/node", "/n3d/clients", "/n3d/view", "/n3d/manager"]
    allowed = {"topics": ("publish", "subscribe"), "services": ("request", "reply"), "actions": ("call", "execute")}
    for profile in root.iter("profile"):
        assert set(profile.attrib) == {"ns", "node"}
        for group in profile:
            ((right, verdict),) = group.items()
            assert right in allowed[group.tag]
            assert verdict == "ALLOW"
            assert {one.tag for one in group} == {group.tag.removesuffix("s")}
            names = [str(one.text) for one in group]
            assert len(names) == len(set(names))
            assert not any("*" in name for name in names), "a wildcard allows more than is meant"


def test_with_security_asked_for_and_no_plugins_the_node_ends_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "enclaves" / "n3d").mkdir(parents=True)
    secure = {
        "ROS_SECURITY_ENABLE": "true",
        "ROS_SECURITY_STRATEGY": "Enforce",
        "ROS_SECURITY_KEYSTORE": str(tmp_path),
        "ROS_SECURITY_ENCLAVE_OVERRIDE": "/n3d",
    }
    process = NodeProcess(environment=secure)
    assert wait_until(lambda: process.process.poll() is not None, READY_TIMEOUT_S)
    assert process.end() == 1
    assert "Traceback" not in process.log, process.log
    (told,) = [line for line in process.lines if FIRST_LINE.match(line) and "[FATAL]" in line]
    assert "ROS_SECURITY_ENABLE is set" in told
