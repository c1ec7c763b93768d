"""Questions of the page, put to the node one after the other in a thread of their own."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from n3d_ros.errors import N3dError
from n3d_ros.ros.client import NodeClient
from n3d_ros.ros.session import ros_node, unique_name

logger = logging.getLogger(__name__)

NAME = "n3d_view_asking"  # of its node and of its thread
CLOSING = "The page is closing."
MAX_WAITING = 8  # questions of all browsers together


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question and who wants to hear about it.

    Args:
        text: in words.
        on_stage: told what is being done.
        on_answer: given the ``n3d_msgs/action/Ground.Result``.
        on_failure: given a sentence when there is no answer.
    """

    text: str
    on_stage: Callable[[str], None]
    on_answer: Callable[[Any], None]
    on_failure: Callable[[str], None]


class Asker:
    """Asks the node. What it calls back is called in its thread.

    Args:
        target: full name of the n3d node.
        timeout_s: longest wait for one answer.
    """

    def __init__(self, target: str, timeout_s: float) -> None:
        self._target = target
        self._timeout_s = timeout_s
        self._waiting: queue.Queue[Question | None] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name=NAME, daemon=True)
        self._stopping = threading.Event()

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def ask(self, question: Question) -> None:
        """Puts a question in the queue; refuses it at once when too many wait.

        Args:
            question: what to ask and whom to tell.
        """
        if self._stopping.is_set():
            question.on_failure(CLOSING)
            return
        try:
            self._waiting.put_nowait(question)
        except queue.Full:
            question.on_failure(f"{MAX_WAITING} questions wait already; ask again in a moment.")

    def stop(self, timeout_s: float = 2.0) -> None:
        """Ends the thread after the question it is at, or leaves it behind: it ends with the process.

        Args:
            timeout_s: longest wait.
        """
        self._stopping.set()
        deadline_s = time.monotonic() + timeout_s
        while True:  # until there is room: questions that were on their way may still have come in
            self._refuse_waiting()
            with contextlib.suppress(queue.Full):
                self._waiting.put_nowait(None)
                break
            if time.monotonic() > deadline_s:
                return
        self._thread.join(max(0.0, deadline_s - time.monotonic()))

    def _refuse_waiting(self) -> None:
        """Tells whoever waits that there will be no answer."""
        with contextlib.suppress(queue.Empty):
            while True:
                waiting = self._waiting.get_nowait()
                if waiting is not None:
                    waiting.on_failure(CLOSING)

    def _run(self) -> None:
        with ros_node(unique_name(NAME)) as node:
            client = NodeClient(node, self._target)
            try:
                while (question := self._waiting.get()) is not None:
                    self._answer(client, question)
            finally:
                client.close()

    def _answer(self, client: NodeClient, question: Question) -> None:
        """Asks, and tells how it went; whatever happens, the next question is taken."""

        def heard(stage: str, objects: list[dict[str, Any]], _elapsed_s: float) -> None:
            if self._stopping.is_set():
                raise N3dError(CLOSING)
            question.on_stage(f"{stage}, {len(objects)} objects" if objects else stage)

        try:
            question.on_stage("asking the node")
            question.on_answer(client.ask(question.text, timeout_s=self._timeout_s, on_feedback=heard))
        except N3dError as error:
            question.on_failure(error.message)
        except Exception:
            logger.exception("A question failed.")
            question.on_failure("Internal error of the page; see its log.")
