"""Messages of the node as plain values, for JSON and for tables."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Any

from n3d_ros.errors import StatusCode
from n3d_ros.ros.conversions import stamp_to_ns
from n3d_ros.scene.spatial_answer import ValueType


def object_msg_to_dict(message: Any) -> dict[str, Any]:
    """An ``n3d_msgs/Object3D`` as plain values.

    Args:
        message: the message.

    Returns:
        Values for JSON; None where unknown.
    """
    pose, size = message.pose.pose, message.size
    place, turn = pose.position, pose.orientation
    return {
        "id": message.id,
        "label": message.label,
        "center_m": [round(value, 4) for value in (place.x, place.y, place.z)],
        "size_m": [round(value, 4) for value in (size.x, size.y, size.z)],
        "orientation_xyzw": [round(value, 6) for value in (turn.x, turn.y, turn.z, turn.w)],
        "score": _known(message.score),
        "support_ratio": _known(message.support_ratio),
        "attributes": {item.key: item.value for item in message.attributes},
        "observations": message.observations,
        "last_seen_ns": stamp_to_ns(message.last_seen),
    }


def locate_response_to_dict(response: Any) -> dict[str, Any]:
    """A ``Locate`` response as plain values.

    Args:
        response: the response.

    Returns:
        Values for JSON.
    """
    return {**_common(response), "objects": [object_msg_to_dict(item) for item in response.objects]}


def query_response_to_dict(response: Any) -> dict[str, Any]:
    """A ``SpatialQuery`` response, or a ``Ground`` result, as plain values.

    Args:
        response: the response.

    Returns:
        Values for JSON.
    """
    value, vector = response.value, (response.value.vector.x, response.value.vector.y, response.value.vector.z)
    return {
        **_common(response),
        "sentence": response.sentence,
        "value": {
            "type": _name_of(ValueType, value.type),
            "number": _known(value.number),
            "vector": None if any(map(math.isnan, vector)) else [round(one, 4) for one in vector],
            "text": value.text,
            "unit": value.unit,
        },
        "steps": list(response.steps),
        "objects": [object_msg_to_dict(item) for item in response.objects],
    }


def _common(response: Any) -> dict[str, Any]:
    """What both responses have."""
    return {
        "success": response.success,
        "status": status_name(response.status.code),
        "message": response.status.message,
        "frame_id": response.header.frame_id,
        "stamp_ns": stamp_to_ns(response.header.stamp),
        "image_age_s": _known(response.image_age_s),
        "latency_ms": _known(response.latency_ms),
    }


def status_name(code: int) -> str:
    """The name of a status code.

    Args:
        code: as in ``n3d_msgs/Status``.

    Returns:
        Such as "NOT_FOUND"; the number for a code this version does not know.
    """
    return _name_of(StatusCode, code)


def _name_of(kind: type[IntEnum], code: int) -> str:
    """A code's name; the number for one this version does not know."""
    return kind(code).name if code in set(kind) else str(code)


def _known(value: float) -> float | None:
    """None for NaN."""
    return None if math.isnan(value) else round(float(value), 4)
