"""Asking the running node: the same services a robot's own code calls."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from n3d_ros.errors import ConfigurationError, N3dError, QueryError, StatusCode
from n3d_ros.ros.conversions import fill_stamp, stamp_to_ns
from n3d_ros.ros.health import NEWEST_PAIR
from n3d_ros.ros.plain_text import plain
from n3d_ros.ros.plain_values import locate_response_to_dict as locate_response_to_dict
from n3d_ros.ros.plain_values import object_msg_to_dict as object_msg_to_dict
from n3d_ros.ros.plain_values import query_response_to_dict as query_response_to_dict
from n3d_ros.ros.plain_values import status_name as status_name
from n3d_ros.ros.qos import REQUEST

DEFAULT_NODE = "/n3d"
DISCOVERY_TIMEOUT_S = 5.0  # until the service of a running node is seen
LONGEST_DEFAULT_S = 600.0  # what a node may be set to give a request that names no time (request.model_timeout_s)
ANSWER_GRACE_S = 3.0  # over the request's own time limit, for the way there and back
GONE_S = 3.0  # a service that is not seen for so long while it is waited for will not answer any more
DIAGNOSTICS_S = 2.5  # they come once a second
BEAT_S = 0.5  # between two calls of on_feedback while the node says nothing new
CANCEL_WAIT_S = 2.0  # for the node's word that a cancelled goal has ended
MAX_TEXT_CHARS = {"phrase": 512, "question": 1024}  # as in the interfaces
NO_NODE = "no_node"  # reason of the error when no node answers
OPTICAL_XYZW_VIEWER = (0.5, -0.5, 0.5, 0.5)  # x forward, y left, z up in an optical frame (x right, y down, z forward)

Feedback = Callable[[str, list[dict[str, Any]], float], None]
"""Told the stage, the objects found since the last call, and the seconds since the goal was accepted."""


class NodeClient:
    """Calls the node's services from one thread.

    Args:
        node: an rclpy node that nobody else spins.
        target: full name of the n3d node.
    """

    def __init__(self, node: Any, target: str = DEFAULT_NODE) -> None:
        from n3d_msgs.srv import Locate, SpatialQuery
        from rclpy.executors import SingleThreadedExecutor

        self._node = node
        self._target = "/" + target.strip("/")
        self._ground: Any = None
        self._newest: Any = None
        self._listening: Any = None
        self._locate = node.create_client(Locate, f"{self._target}/locate", qos_profile=REQUEST)
        self._query = node.create_client(SpatialQuery, f"{self._target}/query", qos_profile=REQUEST)
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

    def ask(
        self,
        text: str,
        *,
        timeout_s: float = 0.0,
        target_frame: str = "",
        viewpoint_frame: str = "",
        stamp_ns: int = 0,
        on_feedback: Feedback | None = None,
    ) -> Any:
        """The answer to a question, or where a phrase's objects are, through the action ``~/ground``.

        The same desk answers as for the services; the action tells what it is doing when a model takes its time, and a
        KeyboardInterrupt cancels the goal before it goes on.

        Args:
            text: question or phrase; the node decides which.
            timeout_s: longest wait, 0: the node's default.
            target_frame: frame of the answer; empty: the node's.
            viewpoint_frame: "left of" is meant from here, along its x axis, or along z of an optical frame; empty: the
                camera's view.
            stamp_ns: moment asked about; 0: now.
            on_feedback: told of stages and objects on the way, and of the stage again while nothing is found.

        Returns:
            ``n3d_msgs/action/Ground.Result``.

        Raises:
            ConfigurationError: no node.
            N3dError: no answer in time.
        """
        client = self._ground_client()
        goal = self.goal(text, timeout_s, target_frame, viewpoint_frame, stamp_ns)
        if not client.wait_for_server(timeout_sec=DISCOVERY_TIMEOUT_S):
            raise _no_node(f"{self._target}/ground")
        deadline_s = time.monotonic() + (timeout_s or LONGEST_DEFAULT_S) + ANSWER_GRACE_S

        progress = _Progress(on_feedback)
        sent = client.send_goal_async(goal, feedback_callback=progress.hear)
        handle = self._awaited(sent, deadline_s, f"{self._target}/ground", client.server_is_ready)
        if not handle.accepted:
            raise N3dError(f"{self._target}/ground did not accept the request.", code=StatusCode.CANCELLED)
        answer = handle.get_result_async()
        try:
            name = f"{self._target}/ground"
            result = self._awaited(answer, deadline_s, name, client.server_is_ready, progress.beat).result
        except BaseException:
            self._cancel(handle)
            raise
        if not result.success and result.status.code == StatusCode.OK:  # rclpy's result of a callback that raised
            raise N3dError(f"{self._target}/ground failed on this request without a word; see the node's log.")
        return result

    @staticmethod
    def goal(text: str, timeout_s: float, target_frame: str, viewpoint_frame: str, stamp_ns: int) -> Any:
        """The goal of ``ground``; arguments as in ``ask``.

        Args:
            text: question or phrase.
            timeout_s: seconds, 0: the node's default.
            target_frame: empty: the node's.
            viewpoint_frame: empty: the camera's view.
            stamp_ns: 0: now.

        Returns:
            ``n3d_msgs/action/Ground.Goal``.
        """
        from n3d_msgs.action import Ground

        _check_text("question", text)
        goal = Ground.Goal(text=text, timeout_s=float(timeout_s), target_frame=target_frame)
        goal.viewpoint_frame = viewpoint_frame
        turn = goal.viewpoint.orientation
        turn.x, turn.y, turn.z, turn.w = OPTICAL_XYZW_VIEWER if "optical" in viewpoint_frame else (0.0, 0.0, 0.0, 1.0)
        fill_stamp(goal.stamp, stamp_ns)
        return goal

    def objects(self, wait_s: float = 1.0) -> Any:
        """The newest ``~/objects``: what the image just processed shows.

        Args:
            wait_s: longest wait for a message when none came since the last call.

        Returns:
            ``n3d_msgs/msg/Object3DArray``; None when none has ever come.
        """
        if self._listening is None:
            from n3d_msgs.msg import Object3DArray

            from n3d_ros.ros import qos

            self._listening = self._node.create_subscription(
                Object3DArray, f"{self._target}/objects", self._keep, qos.copy_of(qos.SENSOR)
            )
        known, deadline_s = self._newest, time.monotonic() + wait_s
        while self._newest is known and time.monotonic() < deadline_s:
            self._executor.spin_once(timeout_sec=0.05)
        return self._newest

    def now_ns(self) -> int:
        """The present in the clock of the images: the stamp of the newest that the node has, else the time of day.

        Returns:
            Nanoseconds.
        """
        newest = self.objects()
        if newest is not None:
            return stamp_to_ns(newest.header.stamp)
        told_ns = self._newest_pair_ns()  # no images come at present, as after the end of a bag
        return time.time_ns() if told_ns is None else told_ns

    def _newest_pair_ns(self) -> int | None:
        """What the node's diagnostics tell of its newest images; None when they do not within ``DIAGNOSTICS_S``."""
        from diagnostic_msgs.msg import DiagnosticArray

        told: list[int] = []

        def hear(message: Any) -> None:
            for status in message.status:
                if status.hardware_id == self._target:
                    told.extend(stamp_of_text(value.value) for value in status.values if value.key == NEWEST_PAIR)

        listening = self._node.create_subscription(DiagnosticArray, "/diagnostics", hear, 10)
        deadline_s = time.monotonic() + DIAGNOSTICS_S
        while not told and time.monotonic() < deadline_s:
            self._executor.spin_once(timeout_sec=0.05)
        self._node.destroy_subscription(listening)
        return told[0] if told and told[0] > 0 else None

    def _keep(self, message: Any) -> None:
        self._newest = message

    def _ground_client(self) -> Any:
        if self._ground is None:
            from n3d_msgs.action import Ground
            from rclpy.action import ActionClient

            self._ground = ActionClient(self._node, Ground, f"{self._target}/ground")
        return self._ground

    def _cancel(self, handle: Any) -> None:
        """Asks the node to stop working on a goal, and waits a moment for its word."""
        future = handle.cancel_goal_async()
        with contextlib.suppress(Exception):  # the reason why it is cancelled matters, not how that went
            self._awaited(future, time.monotonic() + CANCEL_WAIT_S, "cancel", lambda: True)

    def _call(self, client: Any, request: Any, timeout_s: float) -> Any:
        """Sends a request and waits for its answer."""
        if not client.wait_for_service(timeout_sec=DISCOVERY_TIMEOUT_S):
            raise _no_node(client.srv_name)
        deadline_s = time.monotonic() + (timeout_s or LONGEST_DEFAULT_S) + ANSWER_GRACE_S
        return self._awaited(client.call_async(request), deadline_s, client.srv_name, client.service_is_ready)

    def _awaited(
        self,
        future: Any,
        deadline_s: float,
        name: str,
        is_there: Callable[[], bool],
        beat: Callable[[], None] = lambda: None,
    ) -> Any:
        """The result of a future; an error when its time is over or the node has gone."""
        seen_s = time.monotonic()
        while not future.done():
            beat()
            now_s = time.monotonic()
            if now_s > deadline_s:
                raise N3dError(f"{name} did not answer in time.", code=StatusCode.TIMEOUT, reason="timeout")
            if is_there():
                seen_s = now_s
            elif now_s - seen_s > GONE_S:
                raise N3dError(f"{name} went away before it answered.", code=StatusCode.SHUTTING_DOWN, reason=NO_NODE)
            self._executor.spin_once(timeout_sec=0.1)
        return future.result()

    def close(self) -> None:
        """Frees the executor."""
        if self._ground is not None:
            self._ground.destroy()
        self._executor.shutdown()


class _Progress:
    """Passes feedback on, and the last stage again while none comes.

    Args:
        on_feedback: told.
    """

    def __init__(self, on_feedback: Feedback | None) -> None:
        self._on_feedback = on_feedback
        self._stage = ""
        self._elapsed_s = 0.0
        self._heard_s = self._told_s = time.monotonic()

    def hear(self, message: Any) -> None:
        """Hears of progress in the node.

        Args:
            message: of the action's feedback.
        """
        feedback = message.feedback
        self._stage, self._elapsed_s = feedback.stage, feedback.elapsed_ms / 1e3
        self._heard_s = self._told_s = time.monotonic()
        if self._on_feedback is not None:
            self._on_feedback(self._stage, [object_msg_to_dict(one) for one in feedback.objects], self._elapsed_s)

    def beat(self) -> None:
        """Tells the stage again when it is due."""
        now_s = time.monotonic()
        if self._on_feedback is not None and self._stage and now_s - self._told_s > BEAT_S:
            self._told_s = now_s
            self._on_feedback(self._stage, [], self._elapsed_s + now_s - self._heard_s)


def stamp_of_text(text: str) -> int:
    """The stamp of the newest images as ``health.input_health`` writes it.

    Args:
        text: seconds with nine digits after the point.

    Returns:
        Nanoseconds; 0 for anything else.
    """
    seconds, _, nanoseconds = text.partition(".")
    good = len(text) <= 32 and seconds.isdecimal() and nanoseconds.isdecimal() and len(nanoseconds) == 9
    return int(seconds + nanoseconds) if good else 0


def _no_node(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"No node answers at {name}. Start one with `n3d start`, name it with --node, and check that ROS_DOMAIN_ID is "
        "the same here and there; `n3d doctor` tells more.",
        reason=NO_NODE,
    )


def _check_text(name: str, text: str) -> None:
    """Refuses text the interface has no room for."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:  # bytes of a command line or pipe that are no text
        raise QueryError(f"The {name} is no text in UTF-8: {plain(ascii(text), 80)}.") from error
    if size > MAX_TEXT_CHARS[name]:
        raise QueryError(f"The {name} has {size} bytes; expected at most {MAX_TEXT_CHARS[name]}.")
