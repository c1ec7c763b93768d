"""The page's process: a node that hears while somebody looks, a web server, and the loop that joins them."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from n3d_ros.errors import ConfigurationError, N3dError
from n3d_ros.ros.session import executor_of, ros_node, unique_name
from n3d_ros.ros.viewer.asking import Asker
from n3d_ros.ros.viewer.composing import Composer
from n3d_ros.ros.viewer.node_feed import NodeFeed
from n3d_ros.ros.viewer.shown import ShownBox

if TYPE_CHECKING:
    from n3d_ros.ros.viewer.page_server import PageServer

logger = logging.getLogger(__name__)

NODE_NAME = "n3d_view"
IDLE_S = 0.2  # between looks at whether somebody has come
HEALTH_EVERY_S = 0.5
PLACE_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewOptions:
    """What the page is told.

    Args:
        node: full name of the n3d node.
        host: address to listen at.
        port: 0: a free one.
        frame: tf frame that is shown; None: the first of map, odom, world, base_link that tf connects.
        color: colour topic; None: found by what the node subscribes to.
        depth: depth topic; None: the same.
        rate_hz: pictures and boxes per second, at most.
        timeout_s: longest wait for an answer.
        dark: dark ground.
    """

    node: str = "/n3d"
    host: str = "127.0.0.1"
    port: int = 8080
    frame: str | None = None
    color: str | None = None
    depth: str | None = None
    rate_hz: float = 5.0
    timeout_s: float = 60.0
    dark: bool = False

    def __post_init__(self) -> None:
        """Checks ranges.

        Raises:
            ConfigurationError: a value out of its range.
        """
        if not 0.1 <= self.rate_hz <= 30.0:
            raise ConfigurationError(f"--rate: expected 0.1 to 30 Hz, got {self.rate_hz}.")
        if not 0.1 <= self.timeout_s <= 3600.0:
            raise ConfigurationError(f"--timeout: expected 0.1 to 3600 s, got {self.timeout_s}.")


def open_server(host: str, port: int) -> PageServer:
    """The web server, when what it needs is installed.

    Args:
        host: address to listen at.
        port: 0: a free one.

    Returns:
        The server, listening.

    Raises:
        ConfigurationError: viser is missing, or nobody can listen there.
    """
    try:
        from n3d_ros.ros.viewer.page_server import PageServer
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] == "n3d_ros":
            raise
        raise ConfigurationError(
            f"The page needs viser ({error}). Install it with `make setup VIEW=1` in a checkout, or "
            "`pip install 'n3d_ros[view]'`."
        ) from error
    return PageServer(host, port)


def serve(options: ViewOptions, stop: threading.Event, on_ready: Callable[[str], None]) -> None:
    """Serves the page until it is told to stop.

    Args:
        options: what to show, and where.
        stop: set to end.
        on_ready: told the page's address once it can be opened.
    """
    with _server(options) as server, ros_node(unique_name(NODE_NAME)) as node, executor_of(node) as executor:
        _Loop(options, server, node, executor).run(stop, on_ready)


@contextmanager
def _server(options: ViewOptions) -> Iterator[PageServer]:
    server = open_server(options.host, options.port)
    try:
        yield server
    finally:
        server.stop()


class _Loop:
    """Hears, composes and shows, all in one thread; only answers and clicks come from others.

    Args:
        options: what to show.
        server: the web server.
        node: that hears.
        executor: that has the node.
    """

    def __init__(self, options: ViewOptions, server: PageServer, node: Any, executor: Any) -> None:
        from n3d_ros.ros.viewer.page import Page
        from n3d_ros.ros.viewer.visitor import Visitors

        self._options = options
        self._server = server
        self._executor = executor
        target = "/" + options.node.strip("/")
        self._feed = NodeFeed(node, target, color=options.color, depth=options.depth)
        self._composer = Composer(self._feed, options.frame)
        self._asker = Asker(target, options.timeout_s)
        self._page = Page(server, self._clicked, dark=options.dark)
        self._visitors = Visitors(self._page, self._asker, self._place)
        self._to_place: queue.Queue[tuple[Any, queue.Queue[tuple[ShownBox, ...]]]] = queue.Queue(16)
        self._health_s = 0.0
        self._trouble = ""

    def run(self, stop: threading.Event, on_ready: Callable[[str], None]) -> None:
        """Until it is told to stop."""
        self._asker.start()
        self._server.on_client_connect(self._visitors.came)
        self._server.on_client_disconnect(self._visitors.left)
        on_ready(self._server.url)
        due_s = 0.0
        try:
            while not stop.is_set():
                now_s = time.monotonic()
                self._place_waiting(now_s)
                if now_s < due_s:
                    self._executor.spin_once(timeout_sec=min(due_s - now_s, 0.05))
                    continue
                due_s = now_s + self._step(now_s)
        finally:
            self._asker.stop()

    def _step(self, now_s: float) -> float:
        """Shows what is new; seconds until it is to be called again."""
        if not self._server.get_clients():
            self._feed.rest()
            self._executor.spin_once(timeout_sec=0.0)
            return IDLE_S
        self._feed.listen()
        self._feed.look(now_s)
        try:
            self._show(now_s)
        except N3dError as error:
            self._trouble = error.message
        except Exception as error:  # a message nobody thought of must not end the page
            logger.exception("The page could not show what it heard.")
            self._trouble = f"Internal error of the page: {error}"
        return 1.0 / self._options.rate_hz

    def _show(self, now_s: float) -> None:
        moment = self._composer.compose(now_s)
        if moment is not None:
            self._trouble = moment.trouble
            if self._page.show(moment):
                for visitor in self._visitors.all():
                    visitor.look_from(self._page.viewpoint)
            for visitor in self._visitors.all():
                visitor.follow(moment)
        if now_s - self._health_s >= HEALTH_EVERY_S:
            self._health_s = now_s
            self._page.show_health(self._feed.health(now_s, self._trouble))

    def _clicked(self, client_id: int, key: str) -> None:
        self._visitors.clicked(client_id, key)

    def _place(self, message: Any) -> tuple[ShownBox, ...]:
        """An answer's boxes where they are shown; waits for the loop, which alone knows tf."""
        answer: queue.Queue[tuple[ShownBox, ...]] = queue.Queue(1)
        try:
            self._to_place.put_nowait((message, answer))
            return answer.get(timeout=PLACE_TIMEOUT_S)
        except (queue.Full, queue.Empty):
            return ()

    def _place_waiting(self, now_s: float) -> None:
        while not self._to_place.empty():
            message, answer = self._to_place.get_nowait()
            answer.put(self._composer.answered(message, now_s))
