"""The page of a report: whole, alone, escaped, bounded; and what is collected for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bags_for_tests import write_camera_bag
from builders import make_box
from n3d_ros.detection import Detection3D
from n3d_ros.errors import GroundingError
from n3d_ros.frame import RgbdFrame
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult
from n3d_ros.ros.bag import BagReader
from n3d_ros.ros.bag_questions import BagQuestion
from n3d_ros.ros.camera_topics import find_camera_topics
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.offline import run_bag
from n3d_ros.ros.parameters import build_config
from n3d_ros.ros.report import page as page_module
from n3d_ros.ros.report.default_questions import default_questions, questions_on_the_way
from n3d_ros.ros.report.facts import TopicRow, bag_facts, settings_of, stage_rows, versions
from n3d_ros.ros.report.material import ReportMaterial
from n3d_ros.ros.report.page import MAX_PAGE_BYTES, ReportInput, report_page
from n3d_ros.ros.report.timeline import MAX_ROWS, timeline_of
from n3d_ros.scene.questions.reading import read

HOSTILE = "<script>alert(1)</script>"
VOID = {"meta", "img", "br", "hr", "link"}
ACTIVE = {"script", "link", "iframe", "object", "embed", "form", "base"}  # elements that run or fetch something
HOSTILE_TEXTS = [HOSTILE, '"><img src=x onerror=alert(1)>', "{{ 7*7 }}{% raw %}", "\x00\x1b\ud800\u202e", "'" * 300]
FRAMES = 8


class ScriptedGrounder:
    """Finds what a function says for the n-th image: labels, each at its own place."""

    name = "scripted"
    device = "cpu"

    def __init__(self, labels: Callable[[int], list[str]], fail_at: int = -1) -> None:
        self.labels, self.fail_at, self.looks = labels, fail_at, 0

    def ground(self, frame: RgbdFrame, request: GroundingRequest, **_options: object) -> GroundingResult:
        number, self.looks = self.looks, self.looks + 1
        if number == self.fail_at:
            raise GroundingError(f"No depth here {HOSTILE}")
        found = tuple(
            Detection3D(label=label, box=make_box(center=(-0.6 + 0.3 * i, 0.1, 1.0), size=(0.1, 0.1, 0.1)), color="red")
            for i, label in enumerate(self.labels(number))
        )
        return GroundingResult(detections=found, stage_ms={"look": 2.0}, notes=(f"Note {HOSTILE}",))

    def close(self) -> None:
        pass


def reported(bag: Path, grounder: ScriptedGrounder, *texts: str, pictures: int = 3, **options: Any) -> ReportInput:
    with BagReader(bag) as reader:
        topics = find_camera_topics(reader)
        material = ReportMaterial(reader.start_ns, reader.duration_ns, pictures=pictures, changes=2)
        config = build_config(NodeConfig(), {"scene.min_observations": 1})
        summary = run_bag(
            reader,
            None,
            topics=topics,
            grounder=grounder,
            config=config,
            questions=tuple(map(BagQuestion.parse, texts)),
            on_look=material.look,
            on_drop=material.drop,
            **options,
        )
        return ReportInput(
            bag=bag_facts(reader, topics),
            summary=summary,
            material=material,
            settings=settings_of(config),
            versions=versions(),
            made=datetime(2026, 11, 21, tzinfo=timezone.utc),
        )


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_camera_bag(tmp_path_factory.mktemp("bags") / "desk", frames=FRAMES)


class PageReader(HTMLParser):
    """The page's elements, text, and whatever is not closed in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(page: str) -> PageReader:
    reader = PageReader()
    reader.feed(page)
    reader.close()
    assert not reader.faults and not reader.open
    return reader


def check_alone(reader: PageReader) -> None:
    """Nothing runs, and nothing is fetched."""
    assert {tag for tag, _ in reader.elements}.isdisjoint(ACTIVE)
    for _, attributes in reader.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert "src" not in attributes or (attributes["src"] or "").startswith("data:image/jpeg;base64,")
        assert "href" not in attributes or (attributes["href"] or "").startswith("#")


def test_the_page_tells_of_objects_questions_times_and_drops(bag: Path) -> None:
    grounder = ScriptedGrounder(lambda number: ["red box", "blue mug"] if number > 3 else ["red box"], fail_at=2)
    report = reported(bag, grounder, "how many objects are there?", "@0.25 where is the red box?")
    page = parsed(report_page(report))
    check_alone(page)
    for words in (
        "desk",
        "red box",
        "blue mug",
        "7 of 8",
        "how many objects are there?",
        "no_depth",
        "ground",
        "NumPy",
    ):
        assert words in page.text, words
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert {"scene", "objects", "timeline", "answers", "images", "latency", "dropped", "recording"} <= ids


def test_every_picture_has_words_for_those_who_do_not_see_it(bag: Path) -> None:
    page = parsed(report_page(reported(bag, ScriptedGrounder(lambda _: ["red box"]))))
    pictures = [attributes for tag, attributes in page.elements if tag == "img"]
    assert len(pictures) >= 3
    assert all("red box 1" in (attributes["alt"] or "") and attributes["width"] for attributes in pictures)
    drawing = next(attributes for tag, attributes in page.elements if tag == "svg")
    assert drawing["role"] == "img" and drawing["aria-labelledby"]
    assert [attributes.get("lang") for tag, attributes in page.elements if tag == "html"] == ["en"]


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_no_label_question_or_topic_becomes_part_of_the_page(bag: Path, text: str) -> None:
    report = reported(bag, ScriptedGrounder(lambda _: [text], fail_at=1), f"where is the {text}?", text)
    topic = TopicRow(name=f"/{text}", type=text, count="1", role="")
    facts = replace(report.bag, name=text, topics=(*report.bag.topics, topic))
    page = report_page(replace(report, bag=facts, settings={text: text}))
    reader = parsed(page)
    check_alone(reader)
    assert "<script" not in page and "49" not in reader.text.replace("\u2013", "").split()
    page.encode("utf-8")


def test_a_bag_without_a_result_still_makes_a_page(bag: Path) -> None:
    report = reported(bag, ScriptedGrounder(lambda _: []), "how many objects are there?")
    page = parsed(report_page(report))
    check_alone(page)
    assert "8 of 8" in page.text


def test_a_page_never_grows_beyond_its_limit(bag: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = reported(bag, ScriptedGrounder(lambda _: ["red box"]), pictures=8)
    whole = report_page(report)
    assert len(whole.encode()) < MAX_PAGE_BYTES
    limit = len(whole.encode()) * 2 // 3
    monkeypatch.setattr(page_module, "MAX_PAGE_BYTES", limit)
    assert len(report_page(report).encode()) <= limit


def test_where_pictures_alone_do_not_help_answers_lose_their_steps_and_then_go(
    bag: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = reported(bag, ScriptedGrounder(lambda _: ["red box"]), *["how many red boxes are there?"] * 40)
    monkeypatch.setattr(page_module, "_scene_pictures", lambda *_: {"clearest": None, "map": None})
    whole = report_page(report)
    assert "How it was reached" in whole and whole.count("<img") > 0
    monkeypatch.setattr(page_module, "MAX_PAGE_BYTES", 0)
    assert "and 39 more" in report_page(report)
    least = len(report_page(report).encode())
    monkeypatch.setattr(page_module, "MAX_PAGE_BYTES", (least + len(whole.encode())) // 2)
    assert len(report_page(report).encode()) <= page_module.MAX_PAGE_BYTES
    monkeypatch.setattr(page_module, "MAX_PAGE_BYTES", least)
    assert "How it was reached" not in report_page(report)


def test_many_objects_are_listed_up_to_a_number_and_the_rest_is_counted(bag: Path) -> None:
    grounder = ScriptedGrounder(lambda number: [f"thing {number} {i}" for i in range(5)])
    report = reported(bag, grounder)
    material = report.material
    first = next(iter(material.tracks.values()))
    for number in range(1000, 1400):
        material.tracks[number] = replace(first, latest=replace(first.latest, id=number), spans=list(first.spans))
    timeline = timeline_of(material, ())
    assert len(timeline.rows) == MAX_ROWS and timeline.left_out == len(material.tracks) - MAX_ROWS
    page = parsed(report_page(report))
    assert f"and {len(material.tracks) - 200} more" in page.text


def test_an_object_that_went_and_came_back_has_two_bars(bag: Path) -> None:
    grounder = ScriptedGrounder(lambda number: [] if number in (3, 4) else ["red box"])
    material = reported(bag, grounder).material
    (track,) = material.tracks.values()
    assert track.looks == 6 and len(track.spans) == 2
    (row,) = timeline_of(material, ()).rows
    assert [round(bar.x) for bar in row.bars] == [0, 714]
    assert all(bar.x + bar.width <= 1000.1 for bar in row.bars)


def test_questions_and_drops_stand_at_their_time(bag: Path) -> None:
    report = reported(bag, ScriptedGrounder(lambda _: ["red box"], fail_at=7), "@0.35 where is the red box?")
    timeline = timeline_of(report.material, report.summary.answers)
    assert [mark.x for mark in timeline.questions] == [pytest.approx(500, abs=1)]
    assert [mark.x for mark in timeline.drops] == [1000.0] and "no_depth at 0.70 s" in timeline.drops[0].title


def test_images_are_chosen_over_the_whole_bag_and_where_most_changed(bag: Path) -> None:
    labels = ["a", "b", "c", "d", "e"]
    grounder = ScriptedGrounder(lambda number: labels if number == 5 else ["a"])
    images = reported(bag, grounder, pictures=2).material.pictures.images()
    at = [round((image.recorded_ns - images[0].recorded_ns) / 1e8) for image in images]
    assert at[0] == 0 and 5 in at and len(images) <= 4
    changed = next(image for image, when in zip(images, at, strict=True) if when == 5)
    assert changed.change == 4 and len(changed.objects) == 5
    assert changed.rgb.shape == (600, 800, 3) and changed.rgb.dtype == np.uint8


def test_steps_are_told_with_the_parts_they_consist_of(bag: Path) -> None:
    rows = stage_rows(reported(bag, ScriptedGrounder(lambda _: ["red box"])).material)
    assert rows[0].name == "whole look"
    look = next(row for row in rows if row.name == "look")
    assert look.depth == 1 and look.median_ms == 2.0 and 0 < look.p95_share <= 100
    assert all(row.median_ms <= row.p95_ms <= row.max_ms for row in rows)


def test_the_questions_nobody_asked_are_understood_and_about_the_scene(bag: Path) -> None:
    labels = ["red box", "blue mug", "green ball", "green ball", "large blue mug"]
    summary = reported(bag, ScriptedGrounder(lambda _: labels)).summary
    questions = default_questions(summary.latest)
    texts = [question.text for question in questions]
    assert any("the red box" in text and "the large blue mug" in text for text in texts)
    assert not any("the blue mug" in text for text in texts), "two are blue mugs"
    assert "How many green balls are there?" in texts and not any("the green ball" in text for text in texts)
    assert [text for text in texts if read(text).question is None] == []
    assert [one.at_s for one in questions_on_the_way(9.0)] == [4.5]
    assert default_questions(())[0].text == "What do you see?"
    hostile = reported(bag, ScriptedGrounder(lambda _: ["\x00", "x" * 300])).summary
    assert all(len(question.text) < 100 for question in default_questions(hostile.latest))


def test_a_default_question_is_answered(bag: Path) -> None:
    summary = reported(
        bag, ScriptedGrounder(lambda _: ["red box", "blue mug"]), last_questions=default_questions
    ).summary
    statuses = {one.question.text: one.reply.status.name for one in summary.answers}
    assert set(statuses.values()) == {"OK"}, statuses
