"""What one browser has for itself: its questions and answers, what it has clicked on, and its view."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from n3d_ros.ros.client import query_response_to_dict
from n3d_ros.ros.viewer.asking import Asker, Question
from n3d_ros.ros.viewer.composing import SceneMoment
from n3d_ros.ros.viewer.page import Page
from n3d_ros.ros.viewer.shown import ShownBox, Viewpoint
from n3d_ros.ros.viewer.texts import answer_html, failed_html, object_html, waiting_html

HIGHLIGHT_COLOR = (255, 170, 0)
HIGHLIGHT_WIDTH_M = 0.009
KEPT_ANSWERS = 5  # shown below each other, the newest first
MAX_QUESTION_CHARS = 300
EXAMPLES = ("what do you see?", "how many objects are there?", "which object is the largest?")

Place = Callable[[Any], tuple[ShownBox, ...]]
"""An answer's objects in the frame that is shown; may be called from any thread."""


class Visitor:
    """One browser. Its callbacks run in viser's threads and the asker's, hence the lock.

    Args:
        client: viser's handle.
        page: the shared part.
        asker: puts questions.
        place: brings an answer's boxes to where they are shown.
    """

    def __init__(self, client: Any, page: Page, asker: Asker, place: Place) -> None:
        self._client = client
        self._page = page
        self._asker = asker
        self._place = place
        self._lock = threading.Lock()
        self._answers: list[str] = []
        self._latest = 0
        self._marked: tuple[ShownBox, ...] = ()
        self._follows = False
        self._epoch = 0
        self._drawn: dict[str, Any] = {}
        gui = client.gui
        # A line end asks. viser's forms know Enter too, but lose the letters typed just before it (viser 1.1.1).
        self._text = gui.add_text("Question", "", multiline=True, hint="Enter asks.")
        self._text.on_update(lambda _: self._typed())
        button = gui.add_button("Ask")
        button.on_click(lambda _: self._take())
        examples = gui.add_button_group("Examples", EXAMPLES)
        examples.on_click(lambda _: self.ask(examples.value))
        look = gui.add_button("Look from behind the camera", color="gray")
        look.on_click(lambda _: self.look_from(self._page.viewpoint))
        self._object = gui.add_html(_hint())
        self._out = gui.add_html("")

    def ask(self, text: str) -> None:
        """Puts a question to the node.

        Args:
            text: in words.
        """
        question = " ".join(text.split())[:MAX_QUESTION_CHARS]
        if not question:
            return
        with self._lock:
            self._latest += 1
            number = self._latest
            self._answers.insert(0, "")
            del self._answers[KEPT_ANSWERS:]

        def say(html: str) -> None:
            self._say(number, html)

        def answered(result: Any) -> None:
            say(answer_html(query_response_to_dict(result), question))
            self._mark_answer(result)

        self._asker.ask(
            Question(
                text=question,
                on_stage=lambda stage: say(waiting_html(question, stage)),
                on_answer=answered,
                on_failure=lambda sentence: say(failed_html(question, sentence)),
            )
        )

    def _typed(self) -> None:
        """Asks once there is a line end."""
        if "\n" in self._text.value:
            self._take()

    def _take(self) -> None:
        """Asks what is in the box, and empties it."""
        text, self._text.value = self._text.value, ""
        self.ask(text)

    def clicked(self, key: str) -> None:
        """Says what a box is.

        Args:
            key: of the box.
        """
        moment = self._page.moment
        shown = next((one for one in moment.boxes if one.key == key), None)
        if shown is None:
            return
        self._object.content = object_html(shown, moment.distances_m().get(key))
        with self._lock:
            self._marked, self._follows = (shown,), True
            self._draw()

    def follow(self, moment: SceneMoment) -> None:
        """Keeps what is marked on the objects it belongs to; a jump back in time gives their numbers to others.

        Args:
            moment: what is shown now.
        """
        with self._lock:
            if moment.epoch != self._epoch:
                self._epoch, self._marked = moment.epoch, ()
                self._draw()
            if not self._follows or not self._marked:
                return
            by_key = {one.key: one for one in moment.boxes}
            self._marked = tuple(by_key.get(one.key, one) for one in self._marked)
            self._draw()

    def look_from(self, viewpoint: Viewpoint | None) -> None:
        """Moves this browser's view.

        Args:
            viewpoint: where to; None: nowhere.
        """
        if viewpoint is None:
            return
        with self._client.atomic():
            self._client.camera.position = viewpoint.position_m
            self._client.camera.look_at = viewpoint.look_at_m

    def _say(self, number: int, html: str) -> None:
        """Shows what became of a question, above those before it."""
        with self._lock:
            place = self._latest - number
            if place < len(self._answers):
                self._answers[place] = html
            self._out.content = "".join(self._answers)

    def _mark_answer(self, result: Any) -> None:
        """Marks the objects an answer rests on: where they are shown now, else where the answer has them."""
        placed = self._place(result)  # waits for the page's loop, which takes the lock in follow(): not under it
        with self._lock:
            now = {one.key: one for one in self._page.moment.boxes}
            self._marked = tuple(now.get(one.key, one) for one in placed)
            self._follows = True
            self._draw()

    def _draw(self) -> None:
        """Thick edges around what is marked."""
        wanted = {one.key: one for one in self._marked}
        for key in self._drawn.keys() - wanted.keys():
            self._drawn.pop(key).remove()
        for key, shown in wanted.items():
            if key in self._drawn:
                self._drawn[key].points = shown.segments
            else:
                self._drawn[key] = self._client.scene.add_line_segments(
                    f"/marked/{key}", shown.segments, np.asarray(HIGHLIGHT_COLOR, np.uint8), thickness=HIGHLIGHT_WIDTH_M
                )


class Visitors:
    """All browsers that are connected.

    Args:
        page: the shared part.
        asker: puts questions.
        place: brings an answer's boxes to where they are shown.
    """

    def __init__(self, page: Page, asker: Asker, place: Place) -> None:
        self._page, self._asker, self._place = page, asker, place
        self._lock = threading.Lock()
        self._here: dict[int, Visitor] = {}

    def came(self, client: Any) -> None:
        """Adds a browser.

        Args:
            client: viser's handle.
        """
        visitor = Visitor(client, self._page, self._asker, self._place)
        with self._lock:
            self._here[client.client_id] = visitor
        visitor.look_from(self._page.viewpoint)

    def left(self, client: Any) -> None:
        """Removes a browser.

        Args:
            client: viser's handle.
        """
        with self._lock:
            self._here.pop(client.client_id, None)

    def all(self) -> Sequence[Visitor]:
        """Those who are here."""
        with self._lock:
            return tuple(self._here.values())

    def clicked(self, client_id: int, key: str) -> None:
        """Passes a click on to whose it is.

        Args:
            client_id: of the browser.
            key: of the box.
        """
        with self._lock:
            visitor = self._here.get(client_id)
        if visitor is not None:
            visitor.clicked(key)


def _hint() -> str:
    """What clicking does."""
    return '<div style="padding:0 0.8em;font-size:0.8em;opacity:0.7">Click on a box to learn what it is.</div>'
