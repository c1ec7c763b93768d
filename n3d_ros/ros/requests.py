"""The services ``~/locate`` and ``~/query`` and the action ``~/ground``: messages in, messages out.

No handler blocks the executor: each waits, as a coroutine, for a future that the worker completes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from n3d_msgs.action import Ground
from n3d_msgs.msg import TypedValue
from n3d_msgs.srv import Locate, SpatialQuery
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.task import Future

from n3d_ros.errors import CancelledError, N3dError, StatusCode
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.ros.answering import AnswerDesk, Progress
from n3d_ros.ros.ask_job import AskJob
from n3d_ros.ros.asks import Ask, Kind, Reply, request_timeout
from n3d_ros.ros.clocks import steady_clock
from n3d_ros.ros.conversions import (
    fill_header,
    fill_xyz,
    object_to_msg,
    pose_to_transform,
    stamp_to_ns,
    status_to_msg,
)
from n3d_ros.ros.plain_text import plain
from n3d_ros.ros.qos import REQUEST
from n3d_ros.ros.worker import Worker
from n3d_ros.scene.query import ValueType

if TYPE_CHECKING:
    from rclpy.action.server import ServerGoalHandle
    from rclpy.node import Node

# A goal that ends so has been carried out, whatever was found; all others are aborted.
CARRIED_OUT = (StatusCode.OK, StatusCode.NOT_FOUND, StatusCode.AMBIGUOUS)
CANCELLED = "The client cancelled the goal."
SWEEP_S = 0.2  # between two looks whether the time of a request ran out while the worker is busy
VECTORS = (ValueType.POSITION, ValueType.SIZE, ValueType.DIRECTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTimes:
    """The time that a request has which names none.

    Args:
        answer_s: until its answer, seconds.
        image_s: of these, the longest wait for an image to look at, seconds.
    """

    answer_s: float
    image_s: float


class RequestServer:
    """Services and action of the node.

    Args:
        node: the node that offers them.
        desk: gives the desk and the worker that answer; raises ``N3dError`` while the node is not active.
        times: gives the time that requests have unless they name their own.
    """

    def __init__(
        self,
        node: Node,
        *,
        desk: Callable[[], tuple[AnswerDesk, Worker[Any]]],
        times: Callable[[], RequestTimes],
    ) -> None:
        self._node = node
        self._desk = desk
        self._times = times
        self._jobs: dict[bytes, AskJob] = {}
        self._open = 0
        self._worker: Worker[Any] | None = None
        # Steady: with use_sim_time and no /clock, requests must still run out of time.
        self._sweep = node.create_timer(SWEEP_S, self._expire_overdue, clock=steady_clock())
        self._sweep.cancel()  # runs only while requests wait
        group = ReentrantCallbackGroup()  # several requests may wait at once, and a goal must hear of its cancellation
        node.create_service(Locate, "~/locate", self._on_locate, qos_profile=REQUEST, callback_group=group)
        node.create_service(SpatialQuery, "~/query", self._on_query, qos_profile=REQUEST, callback_group=group)
        self._action = ActionServer(
            node,
            Ground,
            "~/ground",
            execute_callback=self._on_ground,
            goal_callback=lambda _goal: GoalResponse.ACCEPT,  # a bad goal is aborted: only a result can say why
            cancel_callback=self._on_cancel,
            callback_group=group,
            goal_service_qos_profile=REQUEST,
            result_service_qos_profile=REQUEST,
            cancel_service_qos_profile=REQUEST,
        )

    @property
    def open(self) -> int:
        """How many requests have not been answered yet."""
        return self._open

    def close(self) -> None:
        """Takes the action away; services go with the node."""
        self._action.destroy()

    def _expire_overdue(self) -> None:
        """Answers what waits for a busy worker and has run out of time; in the executor's thread."""
        if self._worker is not None:
            self._worker.expire_overdue()
        if not self._open:
            self._sweep.cancel()

    async def _on_locate(self, request: Any, response: Any) -> Any:
        started_s = time.monotonic()
        reply = await self._answered(lambda asked_ns: self._locate_ask(request, asked_ns))
        return self._filled(response, reply, started_s)

    async def _on_query(self, request: Any, response: Any) -> Any:
        started_s = time.monotonic()
        reply = await self._answered(
            lambda asked_ns: self._spatial_ask(request, request.question, Kind.QUESTION, asked_ns)
        )
        return self._filled(response, reply, started_s)

    async def _on_ground(self, goal_handle: ServerGoalHandle) -> Any:
        started_s = time.monotonic()
        goal, key = goal_handle.request, bytes(goal_handle.goal_id.uuid)
        feedback = self._feedback(goal_handle, started_s)
        if goal_handle.is_cancel_requested:  # before it was begun, as when many are sent and cancelled at once
            reply = Reply.refusal(CancelledError(CANCELLED))
        else:
            reply = await self._answered(lambda asked_ns: self._goal_ask(goal, asked_ns), key=key, on_progress=feedback)
        self._jobs.pop(key, None)
        result = self._filled(Ground.Result(), reply, started_s)
        if goal_handle.is_cancel_requested:
            goal_handle.canceled()
        elif reply.status in CARRIED_OUT:
            goal_handle.succeed()
        else:
            goal_handle.abort()
        return result

    def _on_cancel(self, goal_handle: ServerGoalHandle) -> CancelResponse:
        job = self._jobs.get(bytes(goal_handle.goal_id.uuid))
        if job is not None:
            job.cancel()
            with suppress(N3dError):  # then the node is on its way down and has answered the goal already
                self._desk()[1].cancel(job, CancelledError(CANCELLED))
        return CancelResponse.ACCEPT

    async def _answered(
        self, make_ask: Callable[[int], Ask], *, key: bytes = b"", on_progress: Progress | None = None
    ) -> Reply:
        """The reply to a request: at once when nothing needs to be looked at, else from the worker."""
        self._open += 1
        try:
            desk, worker = self._desk()
            ask = make_ask(desk.freshness.asked_ns)
            reply = desk.at_once(ask)
            if reply is not None:
                return reply
            future: Future[Reply] = Future()
            job = AskJob(
                ask,
                desk,
                on_done=lambda reply: self._complete(future, reply),
                on_progress=on_progress,
                is_stopping=lambda: worker.stopping,
                again=worker.submit,
            )
            if key:
                self._jobs[key] = job
            if on_progress is not None:
                on_progress((), "", 0, "grounding" if job.ready() else "waiting for an image")
            worker.submit(job)
            self._worker = worker
            self._sweep.reset()
            answered: Reply = await future
            return answered
        except Exception as error:
            return Reply.refusal(error)
        finally:
            self._open -= 1

    def _complete(self, future: Future[Reply], reply: Reply) -> None:
        """Hands a reply from the worker's thread to the coroutine that waits in the executor's."""
        future.set_result(reply)
        executor = self._node.executor
        if executor is not None:
            executor.wake()

    def _locate_ask(self, request: Any, asked_ns: int) -> Ask:
        return Ask(
            kind=Kind.PHRASE,
            text=request.phrase,
            target_frame=request.target_frame,
            stamp_ns=stamp_to_ns(request.stamp),
            asked_ns=asked_ns,
            **self._limits(request.timeout_s),
        )

    def _limits(self, asked_s: float) -> dict[str, Any]:
        """How long a request may take, and how long of it may be spent on waiting for an image."""
        times = self._times()
        return {
            "timeout_s": request_timeout(asked_s, times.answer_s),
            "image_timeout_s": None if asked_s else min(times.image_s, times.answer_s),
        }

    def _goal_ask(self, goal: Any, asked_ns: int) -> Ask:
        try:
            kind = Kind(goal.kind)
        except ValueError as error:
            raise N3dError(
                f"kind: expected 0 (auto), 1 (phrase) or 2 (question), got {goal.kind}.",
                code=StatusCode.INVALID_REQUEST,
            ) from error
        return self._spatial_ask(goal, goal.text, kind, asked_ns, anew=True)

    def _spatial_ask(self, request: Any, text: str, kind: Kind, asked_ns: int, *, anew: bool = False) -> Ask:
        viewpoint = RigidTransform.identity()
        if request.viewpoint_frame:
            try:
                viewpoint = pose_to_transform(request.viewpoint)
            except N3dError as error:
                raise N3dError(f"viewpoint: {error.message}", code=StatusCode.INVALID_REQUEST) from error
        return Ask(
            kind=kind,
            text=text,
            target_frame=request.target_frame,
            viewpoint_frame=request.viewpoint_frame,
            viewpoint=viewpoint,
            stamp_ns=stamp_to_ns(request.stamp),
            anew=anew,
            asked_ns=asked_ns,
            **self._limits(request.timeout_s),
        )

    def _filled(self, message: Any, reply: Reply, started_s: float) -> Any:
        """The response with the reply in it; when the reply does not go into messages, one that says so."""
        try:
            self._fill(message, reply, started_s)
        except Exception as error:
            message = type(message)()
            self._fill(message, Reply.refusal(error), started_s)
        return message

    def _fill(self, response: Any, reply: Reply, started_s: float) -> None:
        """Writes what all three interfaces share, and the answer where there is room for one."""
        response.success = reply.status is StatusCode.OK
        response.status = status_to_msg(reply.status, reply.message)
        response.objects = [object_to_msg(one, up=reply.up) for one in reply.objects]
        response.image_age_s = math.nan
        if reply.frame_id:
            fill_header(response.header, reply.stamp_ns, reply.frame_id)
            response.image_age_s = (self._node.get_clock().now().nanoseconds - reply.stamp_ns) / 1e9
        response.latency_ms = (time.monotonic() - started_s) * 1e3
        if not isinstance(response, Locate.Response):
            fill_answer(response, reply)

    def _feedback(self, goal_handle: ServerGoalHandle, started_s: float) -> Progress:
        def publish(objects: Any, frame_id: str, stamp_ns: int, stage: str) -> None:
            feedback = Ground.Feedback(stage=stage, elapsed_ms=(time.monotonic() - started_s) * 1e3)
            feedback.objects = [object_to_msg(one) for one in objects]
            if frame_id:
                fill_header(feedback.header, stamp_ns, frame_id)
            if goal_handle.is_active:
                goal_handle.publish_feedback(feedback)

        return publish


def fill_answer(message: Any, reply: Reply) -> None:
    """Writes sentence, value and steps into a query's response or a goal's result.

    Args:
        message: to fill.
        reply: the answer.
    """
    message.sentence = plain(reply.sentence)
    message.steps = [plain(step) for step in reply.steps]
    message.value = typed_value(reply)


def typed_value(reply: Reply) -> Any:
    """The value of a reply.

    Args:
        reply: the answer.

    Returns:
        ``n3d_msgs/TypedValue``; type NONE when there is none.
    """
    value = TypedValue(type=int(reply.value_type), number=math.nan, text=reply.value_text, unit=reply.unit)
    fill_xyz(value.vector, (math.nan,) * 3)
    if reply.value_type in VECTORS and reply.value is not None:
        fill_xyz(value.vector, reply.value)
        value.number = math.nan if reply.clock_hour is None else float(reply.clock_hour)
    elif isinstance(reply.value, (bool, int, float)):
        value.number = float(reply.value)
    elif isinstance(reply.value, str):
        value.text = reply.value
    return value
