"""Responses as plain values: what a program needs is all there."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

pytest.importorskip("n3d_msgs", reason="needs the built interface package")

from n3d_msgs.srv import SpatialQuery

from n3d_ros.errors import StatusCode
from n3d_ros.ros.asks import Reply
from n3d_ros.ros.client import query_response_to_dict, status_name
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
