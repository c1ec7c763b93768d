"""JUnit XML of a comparison: the elements that build servers know, well-formed whatever the labels are."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from datetime import datetime
from pathlib import Path

import pytest

from n3d_ros.errors import BagError
from n3d_ros.ros.golden.comparing import ComparedCase, Comparison, Difference
from n3d_ros.ros.golden.expected import Tolerances
from n3d_ros.ros.golden.junit import junit_xml, write_junit

NOW = datetime(2026, 11, 21, 10, 0, 0)
# What the Ant schema allows: attributes of each element, and its children in their order.
ATTRIBUTES = {
    "testsuites": set(),
    "testsuite": {"name", "package", "id", "timestamp", "hostname", "tests", "failures", "errors", "skipped", "time"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time"},
    "failure": {"message", "type"},
    "system-out": set(),
    "system-err": set(),
}
CHILDREN = {
    "testsuites": ["testsuite"],
    "testsuite": ["properties", "testcase", "system-out", "system-err"],
    "properties": ["property"],
    "testcase": ["failure"],
}


def comparison(subject: str = "red box", name: str = "image at 0.000 s") -> Comparison:
    moved = Difference(kind="centre", subject=subject, expected="at most 0.01 m off", found="0.05 m", badness=5.0)
    gone = Difference(kind="missing", subject=subject, expected="at 0, 0, 1 m", found="nothing there")
    return Comparison(
        cases=(
            ComparedCase(group="images", name=name, at_s=0.0, compared=2, differences=(moved, gone)),
            ComparedCase(group="images", name="image at 0.100 s", at_s=0.1, compared=2),
            ComparedCase(group="questions", name="question 1: how many?", compared=1),
        ),
        tolerances=Tolerances(),
        notes=("Saved with another version.",),
    )


def parsed(told: Comparison, **properties: str) -> ElementTree.Element:
    return ElementTree.fromstring(junit_xml(told, bag="desk", properties=properties, seconds=2.0, now=NOW))


def check_against_schema(element: ElementTree.Element) -> None:
    assert set(element.attrib) == ATTRIBUTES[element.tag]
    order = CHILDREN.get(element.tag, [])
    places = [order.index(child.tag) for child in element]
    assert places == sorted(places)
    for child in element:
        check_against_schema(child)


def test_there_is_a_case_for_each_image_and_question_and_a_failure_for_each_that_differs() -> None:
    root = parsed(comparison(), bag="desk")
    check_against_schema(root)
    images, questions = root.findall("testsuite")
    assert (images.get("tests"), images.get("failures"), images.get("errors")) == ("2", "1", "0")
    assert (questions.get("tests"), questions.get("failures")) == ("1", "0")
    (failure,) = root.iter("failure")
    assert failure.get("message") == "2 differences: centre, missing"
    assert (failure.text or "").splitlines() == [
        "red box: centre: expected at most 0.01 m off, found 0.05 m",
        "red box: missing: expected at 0, 0, 1 m, found nothing there",
    ]
    listed = {one.get("name"): one.get("value") for one in images.iter("property")}
    assert listed["bag"] == "desk" and listed["tolerance.center_m"] == "0.01"
    assert (images.findtext("system-out") or "") == "Saved with another version."
    datetime.fromisoformat(images.get("timestamp") or "")


@pytest.mark.parametrize(
    "text", ["<script>\"&'", "]]>", "\x00\x1b[31m\x7f", "\ud800\udfff", "\ufffe\uffff", "\U0001f600"]
)
def test_no_label_and_no_question_breaks_the_document(text: str) -> None:
    root = parsed(comparison(subject=text, name=text), **{text: text})
    check_against_schema(root)
    assert len(list(root.iter("testcase"))) == 3


def test_a_case_with_very_many_differences_stays_readable() -> None:
    one = comparison().cases[0].differences[0]
    crowd = ComparedCase(group="images", name="x", at_s=0.0, compared=500, differences=(one,) * 500)
    (failure,) = parsed(Comparison(cases=(crowd,), tolerances=Tolerances())).iter("failure")
    assert (failure.text or "").splitlines()[-1] == "and 400 more"


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="cannot be written"):
        write_junit(tmp_path / "none" / "x.xml", comparison(), bag="desk", properties={}, seconds=1.0)
    write_junit(tmp_path / "x.xml", comparison(), bag="desk", properties={}, seconds=1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["x.xml"]
