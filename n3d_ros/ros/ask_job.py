"""A request in the worker's queue: waits for an image, runs, or ends in another way, and answers its client once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from n3d_ros.errors import CancelledError, N3dError, StatusCode
from n3d_ros.ros.answering import AnswerDesk, Progress
from n3d_ros.ros.asks import Ask, Reply
from n3d_ros.ros.pairing import RgbdPair

LATE_S = 2.0  # a grounder that stops at the deadline by itself is cut off only so much later: it returns what it has


def going_down() -> N3dError:
    """What a client is told whose request the node cannot finish any more.

    Returns:
        The error, code ``SHUTTING_DOWN``.
    """
    return N3dError("The node is going down.", code=StatusCode.SHUTTING_DOWN)


class AskJob:
    """A request in the worker's queue; answers its client exactly once.

    Args:
        ask: the request.
        desk: answers it.
        on_done: given the reply, on whatever thread it is made.
        on_progress: told of each object as it is found.
        is_stopping: whether the worker is going down.
        again: queues this job once more, for the next image; None: it runs once, whatever comes of it.
    """

    def __init__(
        self,
        ask: Ask,
        desk: AnswerDesk,
        *,
        on_done: Callable[[Reply], None],
        on_progress: Progress | None = None,
        is_stopping: Callable[[], bool] = lambda: False,
        again: Callable[[AskJob], None] | None = None,
    ) -> None:
        self.ask = ask
        self._waits_since_s = time.monotonic()  # for an image; set on as long as one is there
        self._end_s = self._waits_since_s + ask.timeout_s
        self._image_timeout_s = ask.timeout_s if ask.image_timeout_s is None else ask.image_timeout_s
        self._desk = desk
        self._on_done = on_done
        self._on_progress = on_progress
        self._is_stopping = is_stopping
        self._again = again
        self._unplaced: tuple[RgbdPair | None, Reply] | None = None  # the image that tf could not place, and the reply
        self._stop_error: N3dError | None = None
        self._once = threading.Lock()

    @property
    def deadline_s(self) -> float:
        """When its time ends: sooner while there is no image to look at."""
        try:
            waits = not self.ready()
        except Exception:
            waits = False  # whoever runs it hears what is wrong
        if not waits:
            self._waits_since_s = time.monotonic()
            return self._end_s
        waits_until_s = self._waits_since_s + self._image_timeout_s
        if self._unplaced is not None:
            waits_until_s = min(waits_until_s, self._desk.settled_s)  # images may have stopped, too
        return min(self._end_s, waits_until_s)

    def ready(self) -> bool:
        """Whether there is an image to look at, or none is needed.

        Returns:
            As in ``Job``.
        """
        if self._unplaced is not None and self._desk.freshness.pair is self._unplaced[0]:
            return False
        return self._desk.needs_no_new_image(self.ask)

    def run(self) -> None:
        """Looks and answers; looks at the next image instead where tf may be there by then."""
        pair = self._desk.freshness.pair
        self._desk.running = self
        try:
            reply = self._desk.reply(
                self.ask, deadline_s=self._end_s, is_cancelled=self._is_cancelled, on_progress=self._on_progress
            )
        finally:
            self._desk.running = None
        if reply.status is StatusCode.CANCELLED and self._stop_error is not None:
            reply = Reply.refusal(self._stop_error)
        if reply.status is StatusCode.TIMEOUT and self._unplaced is not None:
            reply = self._unplaced[1]  # the time went by in waiting for tf: that is what lacks
        if not self._is_put_off(pair, reply):
            self._finish(reply)

    def _is_put_off(self, pair: RgbdPair | None, reply: Reply) -> bool:
        """Whether the request waits for the next image: tf comes a little after a start or a jump."""
        is_early = reply.status is StatusCode.NO_TRANSFORM and self._stop_error is None and self._desk.is_settling()
        if self._again is None or not is_early:
            return False
        self._unplaced = (pair, reply)
        try:
            self._again(self)
        except N3dError:  # too many wait, or the node goes down
            return False
        return True

    def expire(self) -> None:
        """Answers that no fresh image came in time, or that the node was busy all the while."""
        try:
            if self._unplaced is not None:
                reply = self._unplaced[1]
            elif self.ready():
                text = (
                    f"The node was busy with other work, such as earlier requests, for all of the "
                    f"{self.ask.timeout_s:g} s given. Ask with a longer timeout_s."
                )
                reply = Reply(status=StatusCode.TIMEOUT, message=text)
            else:
                reply = self._desk.freshness.why_not(self._image_timeout_s)
        except Exception as error:
            reply = Reply.refusal(error)
        self._finish(reply)

    def abandon(self, error: N3dError) -> None:
        """Answers with the error; a running job stops at its next step.

        Args:
            error: why.
        """
        self._stop_error = error
        self._finish(Reply.refusal(error))

    def cancel(self) -> None:
        """Makes a running job stop at its next step."""
        self._stop_error = CancelledError("The client cancelled the request.")

    def _is_cancelled(self) -> bool:
        if self._stop_error is None and self._is_stopping():
            self._stop_error = going_down()
        late_s = LATE_S if self._desk.is_open_vocabulary else 0.0
        if self._stop_error is None and time.monotonic() > self._end_s + late_s:
            self._stop_error = N3dError(
                f"Not done within the {self.ask.timeout_s:g} s given; ask with a longer timeout_s.",
                code=StatusCode.TIMEOUT,
            )
        return self._stop_error is not None

    def _finish(self, reply: Reply) -> None:
        if self._once.acquire(blocking=False):
            self._on_done(reply)
