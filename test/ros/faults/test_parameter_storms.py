"""Thousands of parameters set in a row and side by side, good and bad, while images come."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

from n3d_msgs.srv import Locate
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters, SetParameters
from rclpy.parameter import Parameter

from fault_harness import assert_still_works, running, set_parameters
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.parameters import ParameterSpec, parameter_specs
from n3d_ros.ros.qos import REQUEST
from node_harness import NodeClient, wait_until

SPECS = {spec.name: spec for spec in parameter_specs(NodeConfig())}
ROUNDS = 300
PER_ROUND = 8
WRONG = (
    math.nan,
    math.inf,
    -math.inf,
    1e308,
    -(2**62),
    2**62,
    True,
    "",
    "\x1b[2J",
    [1.0, 2.0],
    ["a"],
    [b"\x00", b"\xff"],
    None,
)


@pytest.fixture(scope="module")
def client() -> Iterator[NodeClient]:
    with running({"request.max_frame_age_s": 600.0}) as (_, client):
        client.wait_connected()
        client.send_good()
        yield client


def good_value(spec: ParameterSpec, chance: random.Random) -> Any:
    """A value that the specification allows by itself."""
    if spec.choices:
        return chance.choice(spec.choices)
    if spec.kind in (int, float) and not spec.is_list:
        low = spec.minimum if spec.minimum is not None else 0
        high = spec.maximum if spec.maximum is not None else 100
        return spec.kind(chance.uniform(low, min(high, low + 10)))
    return list(spec.default) if spec.is_list else spec.default


def values_of(client: NodeClient, names: list[str]) -> dict[str, Any]:
    getter = client.node.create_client(GetParameters, "/n3d/get_parameters")
    values = client.call(getter, GetParameters.Request(names=names)).values
    client.node.destroy_client(getter)
    return {
        name: Parameter.from_parameter_msg(_message(name, value)).value
        for name, value in zip(names, values, strict=True)
    }


def _message(name: str, value: Any) -> Any:
    message = Parameter(name, value=0).to_parameter_msg()
    message.value = value
    return message


def test_thousands_of_changes_side_by_side_are_taken_or_refused_and_the_node_keeps_working(client: NodeClient) -> None:
    chance = random.Random(7)
    names = [name for name in SPECS if name not in ("model", "request.timeout_s")]
    before = values_of(client, names)
    setter = client.node.create_client(SetParameters, "/n3d/set_parameters", qos_profile=REQUEST)
    client.meet(setter)
    futures = []
    for number in range(ROUNDS):
        messages = []
        for name in chance.choices(names, k=PER_ROUND):
            value = chance.choice(WRONG) if chance.random() < 0.4 else good_value(SPECS[name], chance)
            messages.append(Parameter(name, value=value).to_parameter_msg())
        futures.append((messages, setter.call_async(SetParameters.Request(parameters=messages))))
        if number % 10 == 0:
            client.publish(client.messages())
            client.locate.call_async(Locate.Request(phrase="red block", timeout_s=1.0))
    assert wait_until(lambda: all(future.done() for _, future in futures), 60.0)
    taken = refused = 0
    for _, future in futures:
        results = future.result().results
        assert len(results) == PER_ROUND
        taken += sum(one.successful for one in results)
        refused += sum(not one.successful for one in results)
        assert all(one.reason.isprintable() for one in results)
        assert all(one.successful or one.reason for one in results), "a refusal has its reason"
    assert taken > 100
    assert refused > 100
    live = {name: value for name, value in before.items() if SPECS[name].live}
    # twice: minimum and maximum of a pair may refuse each other the first time
    set_parameters(client, live)
    for result in set_parameters(client, live):
        assert result.successful, result.reason
    assert values_of(client, names) == before, "what is not live has not changed"
    assert_still_works(client)


@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_a_value_of_another_type_or_range_changes_nothing(client: NodeClient, value: Any) -> None:
    names = ["tf.wait_s", "max_objects", "markers.opacity"]
    before = values_of(client, names)
    for result in set_parameters(client, dict.fromkeys(names, value)):
        assert not result.successful
        assert result.reason
    assert values_of(client, names) == before


def test_questions_about_thousands_of_parameters_are_answered(client: NodeClient) -> None:
    lister = client.node.create_client(ListParameters, "/n3d/list_parameters")
    describer = client.node.create_client(DescribeParameters, "/n3d/describe_parameters")
    assert set(SPECS) <= set(client.call(lister, ListParameters.Request()).result.names)
    wild = [*SPECS, *(f"no.such.{number}" for number in range(3000)), "x" * 50_000, "../..", ""]
    client.call(lister, ListParameters.Request(prefixes=wild, depth=2**31))
    client.call(describer, DescribeParameters.Request(names=wild))
    assert_still_works(client)
