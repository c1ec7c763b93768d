"""The page's texts; nothing from outside becomes markup."""

from __future__ import annotations

import html.parser
from typing import Any

import pytest

from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.ros.viewer.report_window import ReportSummary
from n3d_ros.ros.viewer.shown import shown_boxes
from n3d_ros.ros.viewer.texts import (
    MAX_OBJECTS,
    NodeHealth,
    answer_html,
    failed_html,
    health_html,
    object_html,
    objects_html,
    waiting_html,
)
from viewer_messages import make_object

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</div></div><iframe src=http://evil>",
    "[a](javascript:alert(1)) **b** `c`",
    "&lt;script&gt;",
    "{name} %s %n",
]


class Tags(html.parser.HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.names: set[str] = set()
        self.text = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def make_answer(**changes: Any) -> dict[str, Any]:
    """An answer as plain values."""
    values = {
        "success": True,
        "status": "OK",
        "message": "",
        "sentence": "The cup is 0.42 m away.",
        "steps": ["The cup is at x 0.1.", "0.42 m."],
        "image_age_s": 0.05,
        "latency_ms": 12.0,
    }
    return {**values, **changes}


def everything_with(text: str) -> str:
    """All of the page's texts with this one wherever something from outside stands."""
    (shown,) = shown_boxes([make_object(label=text)], RigidTransform.identity())
    report = ReportSummary(received=1, status=text, message=text, drops=((text, 1),), backend=text)
    health = NodeHealth(name=text, state=text, level=1, sentences=(text,), report=report, trouble=text)
    return "".join(
        [
            answer_html(make_answer(sentence=text, message=text, steps=[text], status=text), text),
            waiting_html(text, text),
            failed_html(text, text),
            object_html(shown, 1.0),
            objects_html([shown], {}),
            health_html(health),
        ]
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_outside_is_shown_as_it_is_and_never_becomes_markup(text: str) -> None:
    plain, hostile = Tags(everything_with("word")), Tags(everything_with(text))
    assert hostile.tags == plain.tags
    assert hostile.names == plain.names
    assert hostile.text.count(text) >= 10


def test_an_answer_shows_sentence_steps_and_how_long_it_took() -> None:
    text = Tags(answer_html(make_answer(), "how far is the cup?")).text
    for part in ("how far is the cup?", "0.42 m away", "at x 0.1", "image 0.05 s old", "answered in 12 ms"):
        assert part in text


def test_an_answer_that_failed_shows_why() -> None:
    failed = make_answer(success=False, status="NOT_ACTIVE", sentence="", message="The node is inactive.", steps=[])
    text = Tags(answer_html(failed, "q")).text
    assert "The node is inactive." in text
    assert "NOT_ACTIVE" in text


def test_an_answer_of_a_megabyte_is_cut() -> None:
    assert len(answer_html(make_answer(sentence="x" * 10**6, steps=["y" * 10**6] * 100), "q" * 10**6)) < 20_000


def test_a_node_that_does_not_answer_is_told_with_what_to_do() -> None:
    text = Tags(health_html(NodeHealth(name="/n3d"))).text
    assert "absent" in text
    assert "n3d start" in text


def test_a_node_that_is_quiet_for_longer_than_usual_is_told() -> None:
    health = NodeHealth(name="/n3d", state="active", quiet_s=12.3, is_stale=True)
    assert "Nothing new for 12 s" in Tags(health_html(health)).text


def test_figures_of_the_node_are_shown() -> None:
    report = ReportSummary(
        rate_hz=9.6, age_ms=(40.0, 90.0), total_ms=(30.0, 60.0), received=100, used=95, drops=(("overload", 5),)
    )
    text = Tags(health_html(NodeHealth(name="/n3d", state="active", level=0, report=report))).text
    for part in ("9.6 Hz", "40 ms p50, 90 ms p95", "100 came, 95 used", "overload 5", "active", "OK"):
        assert part in text


def test_the_list_of_objects_begins_with_the_nearest_and_ends_somewhere() -> None:
    boxes = shown_boxes([make_object(n + 1, label=f"thing{n}") for n in range(60)], RigidTransform.identity())
    text = Tags(objects_html(boxes, {one.key: 100.0 - one.object_id for one in boxes})).text
    assert text.index("#60 ") < text.index("#59 ")
    assert f"and {60 - MAX_OBJECTS} more" in text


def test_no_objects_are_told_too() -> None:
    assert "No objects" in objects_html([], {})
