"""Responses as plain values: what a program needs is all there."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest

pytest.importorskip("n3d_msgs", reason="needs the built interface package")

from n3d_msgs.srv import SpatialQuery

from n3d_ros.errors import N3dError, StatusCode
from n3d_ros.ros import client
from n3d_ros.ros.asks import Reply
from n3d_ros.ros.client import NO_NODE, NodeClient, query_response_to_dict, status_name
from n3d_ros.ros.requests import fill_answer
from n3d_ros.scene.query import ValueType


@pytest.mark.parametrize(
    ("value", "value_type", "expected"),
    [
        ((1.0, -2.0, 0.5), ValueType.POSITION, {"type": "POSITION", "number": None, "vector": [1.0, -2.0, 0.5]}),
        (3.0, ValueType.COUNT, {"type": "COUNT", "number": 3.0, "vector": None}),
        (None, ValueType.NONE, {"type": "NONE", "number": None, "vector": None}),
    ],
)
def test_the_value_of_an_answer_reaches_json_with_its_type(value: Any, value_type: int, expected: Any) -> None:
    response = SpatialQuery.Response(latency_ms=math.nan)
    fill_answer(response, Reply(status=StatusCode.OK, value=value, value_type=value_type))
    told = json.loads(json.dumps(query_response_to_dict(response), allow_nan=False))["value"]
    assert told == {**expected, "text": "", "unit": ""}


def test_codes_of_a_later_version_are_told_by_number() -> None:
    assert (status_name(1), status_name(200)) == ("NOT_FOUND", "200")


class NeverDone:
    """A future whose node has died."""

    def done(self) -> bool:
        return False


class Idle:
    """An executor with nothing to do."""

    def spin_once(self, *, timeout_sec: float) -> None:
        time.sleep(min(timeout_sec, 0.01))


@pytest.mark.parametrize(
    ("is_there", "limit_s", "words"), [(False, 60.0, "went away"), (True, 0.2, "did not answer in time")]
)
def test_an_answer_is_not_waited_for_longer_than_it_can_come(
    is_there: bool, limit_s: float, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "GONE_S", 0.1)
    asking = NodeClient.__new__(NodeClient)
    asking._executor = Idle()
    with pytest.raises(N3dError, match=words) as caught:
        asking._awaited(NeverDone(), time.monotonic() + limit_s, "/n3d/ground", lambda: is_there)
    assert (caught.value.reason == NO_NODE) is not is_there
