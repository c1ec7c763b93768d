"""Asking the running node: the same services a robot's own code calls."""

from __future__ import annotations

import math
import time
from enum import IntEnum
from typing import Any

from n3d_ros.errors import ConfigurationError, N3dError, QueryError, StatusCode
from n3d_ros.ros.conversions import stamp_to_ns
from n3d_ros.scene.query import ValueType

DEFAULT_NODE = "/n3d"
DISCOVERY_TIMEOUT_S = 5.0  # until the service of a running node is seen
LONGEST_DEFAULT_S = 600.0  # what a node may be set to give a request that names no time (request.model_timeout_s)
ANSWER_GRACE_S = 3.0  # over the request's own time limit, for the way there and back
MAX_TEXT_CHARS = {"phrase": 512, "question": 1024}  # as in the interfaces


class NodeClient:
    """Calls the node's services from one thread.

    Args:
        node: an rclpy node that nobody else spins.
        target: full name of the n3d node.
    """

    def __init__(self, node: Any, target: str = DEFAULT_NODE) -> None:
        from n3d_msgs.srv import Locate, SpatialQuery
        from rclpy.executors import SingleThreadedExecutor

        self._target = "/" + target.strip("/")
        self._locate = node.create_client(Locate, f"{self._target}/locate")
        self._query = node.create_client(SpatialQuery, f"{self._target}/query")
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)

    @property
    def clients(self) -> tuple[Any, Any]:
        """The rclpy clients of ``locate`` and ``query``, for callers that spin themselves."""
        return self._locate, self._query

    @property
    def executor(self) -> Any:
        """The executor that has the node."""
        return self._executor

    def locate(self, phrase: str, *, timeout_s: float = 0.0, target_frame: str = "") -> Any:
        """The answer to "where is it?".

        Args:
            phrase: what to look for; empty: everything.
            timeout_s: longest wait, 0: the node's default.
            target_frame: frame of the answer; empty: the node's.

        Returns:
            ``n3d_msgs/srv/Locate.Response``.

        Raises:
            N3dError: no node, no answer in time, or a phrase that is too long.
        """
        request = self.locate_request(phrase, timeout_s=timeout_s, target_frame=target_frame)
        return self._call(self._locate, request, timeout_s)

    def query(self, question: str, *, timeout_s: float = 0.0, target_frame: str = "") -> Any:
        """The answer to a question.

        Args:
            question: such as "how many red boxes are there?".
            timeout_s: longest wait, 0: the node's default.
            target_frame: frame of the answer; empty: the node's.

        Returns:
            ``n3d_msgs/srv/SpatialQuery.Response``.

        Raises:
            N3dError: no node, no answer in time, or a question that is too long.
        """
        request = self.query_request(question, timeout_s=timeout_s, target_frame=target_frame)
        return self._call(self._query, request, timeout_s)

    @staticmethod
    def locate_request(phrase: str, *, timeout_s: float = 0.0, target_frame: str = "") -> Any:
        """The request of ``locate``.

        Args:
            phrase: what to look for.
            timeout_s: seconds, 0: the node's default.
            target_frame: empty: the node's.

        Returns:
            ``n3d_msgs/srv/Locate.Request``.
        """
        from n3d_msgs.srv import Locate

        _check_text("phrase", phrase)
        return Locate.Request(phrase=phrase, timeout_s=float(timeout_s), target_frame=target_frame)

    @staticmethod
    def query_request(question: str, *, timeout_s: float = 0.0, target_frame: str = "") -> Any:
        """The request of ``query``.

        Args:
            question: in words.
            timeout_s: seconds, 0: the node's default.
            target_frame: empty: the node's.

        Returns:
            ``n3d_msgs/srv/SpatialQuery.Request``.
        """
        from n3d_msgs.srv import SpatialQuery

        _check_text("question", question)
        request = SpatialQuery.Request(question=question, timeout_s=float(timeout_s), target_frame=target_frame)
        request.viewpoint.orientation.w = 1.0
        return request

    def _call(self, client: Any, request: Any, timeout_s: float) -> Any:
        """Sends a request and waits for its answer."""
        if not client.wait_for_service(timeout_sec=DISCOVERY_TIMEOUT_S):
            raise ConfigurationError(
                f"No node answers at {client.srv_name}. Start one with `n3d start`, name it with --node, and check "
                "that ROS_DOMAIN_ID is the same here and there."
            )
        future = client.call_async(request)
        deadline = time.monotonic() + (timeout_s or LONGEST_DEFAULT_S) + ANSWER_GRACE_S
        while not future.done() and time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=0.1)
        if not future.done():
            raise N3dError(f"{client.srv_name} did not answer in time.", code=StatusCode.TIMEOUT, reason="timeout")
        return future.result()

    def close(self) -> None:
        """Frees the executor."""
        self._executor.shutdown()


def _check_text(name: str, text: str) -> None:
    """Refuses text the interface has no room for."""
    if len(text.encode()) > MAX_TEXT_CHARS[name]:
        raise QueryError(f"The {name} has {len(text.encode())} bytes; expected at most {MAX_TEXT_CHARS[name]}.")


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
    """A ``SpatialQuery`` response as plain values.

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
