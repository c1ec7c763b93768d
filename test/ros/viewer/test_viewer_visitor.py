"""What one browser has for itself: questions, answers, marks."""

from __future__ import annotations

import contextlib
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from viewer_messages import make_object

pytest.importorskip("viser", reason="needs the extra [view]")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.ros.viewer import visitor as module
from n3d_ros.ros.viewer.asking import CLOSING, MAX_WAITING, Asker, Question
from n3d_ros.ros.viewer.composing import SceneMoment
from n3d_ros.ros.viewer.shown import shown_boxes
from n3d_ros.ros.viewer.visitor import KEPT_ANSWERS, Visitor, Visitors

IDENTITY = RigidTransform.identity()


class Control:
    """A part of the panel that keeps what it is told to do."""

    def __init__(self, value: Any = "") -> None:
        self.value = self.content = value
        self.callbacks: list[Any] = []

    def on_click(self, callback: Any) -> None:
        self.callbacks.append(callback)

    on_update = on_click

    def fire(self) -> None:
        for callback in self.callbacks:
            callback(None)


class FakeClient:
    """A browser as viser gives it, without one."""

    def __init__(self, client_id: int = 1) -> None:
        self.client_id = client_id
        self.made: list[Control] = []
        self.lines: dict[str, Any] = {}
        self.camera = SimpleNamespace(position=None, look_at=None)
        self.atomic = contextlib.nullcontext
        self.gui = SimpleNamespace(
            add_text=self._make_text, add_button=self._make, add_button_group=self._make,
            add_html=self._make,
        )  # fmt: skip
        self.scene = SimpleNamespace(add_line_segments=self._draw)

    def _make(self, *arguments: Any, **_: Any) -> Control:
        self.made.append(Control(arguments[0]))
        return self.made[-1]

    def _make_text(self, *_: Any, **__: Any) -> Control:
        return self._make("")

    def _draw(self, name: str, points: Any, *_: Any, **__: Any) -> Any:
        self.lines[name] = SimpleNamespace(points=points, remove=lambda: self.lines.pop(name))
        return self.lines[name]


class FakeAsker:
    """Keeps the questions; the test answers them."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.ask = self.asked.append


def answer_about(*objects: Any, sentence: str = "Here.") -> Any:
    """An n3d_msgs/action/Ground.Result."""
    from n3d_msgs.action import Ground
    from n3d_msgs.msg import Object3D

    result = Ground.Result(success=True, sentence=sentence)
    result.objects = [Object3D(id=one.id, label=one.label) for one in objects]
    return result


@pytest.fixture
def page() -> Any:
    """The shared part, which shows two objects."""
    boxes = shown_boxes([make_object(1, label="mug"), make_object(2, label="can")], IDENTITY)
    return SimpleNamespace(moment=SceneMoment(frame_name="map", boxes=boxes), viewpoint=None)


@pytest.fixture
def asker() -> FakeAsker:
    return FakeAsker()


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def visitor(client: FakeClient, page: Any, asker: FakeAsker) -> Visitor:
    return Visitor(client, page, asker, lambda message: shown_boxes(message.objects, IDENTITY))  # type: ignore[arg-type]


def shown_answers(client: FakeClient) -> str:
    """The panel's last part."""
    return str(client.made[-1].content)


def test_enter_asks_what_is_typed_and_empties_the_box(client: FakeClient, visitor: Visitor, asker: FakeAsker) -> None:
    text = client.made[0]
    text.value = "how many"
    text.fire()
    assert asker.asked == []
    text.value = "  how many cups?\n"
    text.fire()
    assert [one.text for one in asker.asked] == ["how many cups?"]
    assert text.value == ""


def test_the_button_asks_too(client: FakeClient, visitor: Visitor, asker: FakeAsker) -> None:
    text, button = client.made[:2]
    text.value = "how many cups?"
    button.fire()
    assert [one.text for one in asker.asked] == ["how many cups?"]


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_nothing_typed_asks_nothing(visitor: Visitor, asker: FakeAsker, text: str) -> None:
    visitor.ask(text)
    assert asker.asked == []


def test_a_question_of_a_megabyte_is_cut_before_it_is_asked(visitor: Visitor, asker: FakeAsker) -> None:
    visitor.ask("x" * 1_000_000)
    assert len(asker.asked[0].text) == module.MAX_QUESTION_CHARS


def test_the_newest_answer_stands_on_top_and_old_ones_go(
    client: FakeClient, visitor: Visitor, asker: FakeAsker
) -> None:
    for number in range(KEPT_ANSWERS + 2):
        visitor.ask(f"question{number}")
        asker.asked[-1].on_failure(f"failure{number}")
    text = shown_answers(client)
    assert text.index("failure6") < text.index("failure5")
    assert "failure1" not in text
    asker.asked[0].on_failure("far too late")
    assert "far too late" not in shown_answers(client)


def test_an_answer_that_comes_late_stands_with_its_own_question(
    client: FakeClient, visitor: Visitor, asker: FakeAsker
) -> None:
    visitor.ask("first?")
    visitor.ask("second?")
    asker.asked[1].on_failure("answer two")
    asker.asked[0].on_failure("answer one")
    text = shown_answers(client)
    assert text.index("second?") < text.index("answer two") < text.index("first?") < text.index("answer one")


def test_the_objects_of_an_answer_are_marked_and_followed(
    client: FakeClient, visitor: Visitor, asker: FakeAsker, page: Any
) -> None:
    visitor.ask("where is the mug?")
    # its box in the answer's message is of no size; the one that is shown is marked
    elsewhere = make_object(1, label="mug", center=(5.0, 5.0, 5.0))
    visitor._place = lambda _: shown_boxes([elsewhere], IDENTITY)
    asker.asked[0].on_answer(answer_about(elsewhere))
    assert list(client.lines) == ["/marked/1"]
    assert np.allclose(client.lines["/marked/1"].points, page.moment.boxes[0].segments)
    moved = shown_boxes([make_object(1, center=(2.0, 0.0, 0.0))], IDENTITY)
    visitor.follow(SceneMoment(boxes=moved))
    assert np.allclose(client.lines["/marked/1"].points, moved[0].segments)


def test_the_page_goes_on_while_an_answer_finds_its_place(
    client: FakeClient, visitor: Visitor, asker: FakeAsker, page: Any
) -> None:
    went_on = []

    def place(_: Any) -> Any:  # as the page does: the boxes come from its loop, which follows on its way
        loop = threading.Thread(target=visitor.follow, args=(page.moment,), daemon=True)
        loop.start()
        loop.join(timeout=10)
        went_on.append(not loop.is_alive())
        return shown_boxes([make_object(1, label="mug")], IDENTITY)

    visitor._place = place
    visitor.ask("where is the mug?")
    asker.asked[0].on_answer(answer_about(make_object(1, label="mug")))
    assert went_on == [True]
    assert list(client.lines) == ["/marked/1"]


def test_a_click_marks_another_object_and_says_what_it_is(client: FakeClient, visitor: Visitor) -> None:
    visitor.clicked("1")
    visitor.clicked("2")
    assert list(client.lines) == ["/marked/2"]
    assert "#2 can" in str(client.made[-2].content)
    visitor.clicked("gone")
    assert list(client.lines) == ["/marked/2"]


def test_a_mark_does_not_pass_on_to_who_has_the_number_after_a_jump_back(
    client: FakeClient, visitor: Visitor, page: Any
) -> None:
    visitor.clicked("1")
    visitor.follow(page.moment)
    assert list(client.lines) == ["/marked/1"]
    visitor.follow(SceneMoment(boxes=page.moment.boxes, epoch=1))
    assert client.lines == {}


def question_of(told: list[str]) -> Question:
    """One whose answer nobody waits for, and whose refusal is kept."""
    return Question(text="where?", on_stage=told.append, on_answer=told.append, on_failure=told.append)


def test_a_page_that_closes_refuses_questions_and_ends_however_many_come() -> None:
    asker, told = Asker("/n3d", 1.0), []  # type: tuple[Asker, list[str]]

    class Eager(list[str]):
        def append(self, sentence: str) -> None:  # asks again as soon as it is refused
            super().append(sentence)
            if len(self) < 100:
                asker.ask(question_of(self))

    eager = Eager()
    for _ in range(MAX_WAITING):
        asker.ask(question_of(eager))
    asker._thread = SimpleNamespace(join=lambda _: None)  # type: ignore[assignment]
    asker.stop(0.5)
    asker.ask(question_of(told))
    assert told == [CLOSING]
    assert set(eager) == {CLOSING}


def test_every_browser_has_its_own_answers_and_marks(page: Any, asker: FakeAsker) -> None:
    visitors = Visitors(page, asker, lambda message: shown_boxes(message.objects, IDENTITY))  # type: ignore[arg-type]
    here, there = FakeClient(1), FakeClient(2)
    visitors.came(here)
    visitors.came(there)
    visitors.clicked(1, "1")
    visitors.all()[1].ask("only there")
    asker.asked[0].on_failure("nothing")
    assert (list(here.lines), list(there.lines)) == (["/marked/1"], [])
    assert "only there" in shown_answers(there)
    assert "only there" not in shown_answers(here)
    visitors.left(here)
    visitors.clicked(1, "2")
    assert len(visitors.all()) == 1
