"""A comparison as JUnit XML, the form in which build servers take the results of tests.

The elements and attributes are those of the Ant schema that Jenkins and GitLab read: suites of cases, properties first.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from n3d_ros.ros.golden.comparing import ComparedCase, Comparison
from n3d_ros.ros.plain_results import write_text

SUITE = "n3d run --compare"
MAX_DIFFERENCES = 100  # told of one case
MAX_NAME_CHARS = 256


def write_junit(path: Path, comparison: Comparison, *, bag: str, properties: Mapping[str, str], seconds: float) -> None:
    """Writes a comparison as JUnit XML, as a whole or not at all.

    Args:
        path: to write.
        comparison: to tell.
        bag: name of the recording.
        properties: facts about the run, by name.
        seconds: that the run took.

    Raises:
        BagError: it cannot be written.
    """
    content = junit_xml(comparison, bag=bag, properties=properties, seconds=seconds, now=datetime.now())
    write_text(path, content.decode())


def junit_xml(
    comparison: Comparison, *, bag: str, properties: Mapping[str, str], seconds: float, now: datetime
) -> bytes:
    """A comparison as JUnit XML.

    Args:
        comparison: to tell.
        bag: name of the recording.
        properties: facts about the run, by name.
        seconds: that the run took.
        now: when it ended.

    Returns:
        The document, UTF-8.
    """
    root = ElementTree.Element("testsuites")
    for group in dict.fromkeys(case.group for case in comparison.cases):
        cases = [case for case in comparison.cases if case.group == group]
        # The time is that of the whole run, which looks at the images; questions take next to none.
        _add_suite(root, group, cases, comparison, bag, properties, seconds if group == "images" else 0.0, now)
    ElementTree.indent(root, " ")
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _add_suite(
    root: ElementTree.Element,
    group: str,
    cases: Sequence[ComparedCase],
    comparison: Comparison,
    bag: str,
    properties: Mapping[str, str],
    seconds: float,
    now: datetime,
) -> None:
    """One suite: its properties, then its cases."""
    failed = sum(bool(case.differences) for case in cases)
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        {
            "name": _valid(f"{SUITE}: {bag}: {group}"),
            "package": "n3d_ros",
            "id": str(len(root)),
            "timestamp": now.isoformat(timespec="seconds"),
            "hostname": "localhost",
            "tests": str(len(cases)),
            "failures": str(failed),
            "errors": "0",
            "skipped": "0",
            "time": f"{seconds:.3f}",
        },
    )
    listed = ElementTree.SubElement(suite, "properties")
    tolerances = {f"tolerance.{name}": f"{value:g}" for name, value in asdict(comparison.tolerances).items()}
    for name, value in {**properties, **tolerances}.items():
        ElementTree.SubElement(listed, "property", {"name": _valid(name), "value": _valid(value)})
    for case in cases:
        _add_case(suite, case, f"{bag}.{group}", seconds / len(cases))
    ElementTree.SubElement(suite, "system-out").text = _valid("\n".join(comparison.notes))
    ElementTree.SubElement(suite, "system-err")


def _add_case(suite: ElementTree.Element, case: ComparedCase, classname: str, seconds: float) -> None:
    """One case, with all its differences in one failure: readers show only the first."""
    name = _valid(case.name)[:MAX_NAME_CHARS]
    attributes = {"name": name, "classname": _valid(classname), "time": f"{seconds:.3f}"}
    element = ElementTree.SubElement(suite, "testcase", attributes)
    if not case.differences:
        return
    told = [one.sentence for one in case.differences[:MAX_DIFFERENCES]]
    if len(case.differences) > len(told):
        told.append(f"and {len(case.differences) - len(told)} more")
    kinds = ", ".join(dict.fromkeys(one.kind for one in case.differences))
    count = len(case.differences)
    message = f"{count} difference{'' if count == 1 else 's'}: {kinds}"
    failure = ElementTree.SubElement(element, "failure", {"message": message, "type": "difference"})
    failure.text = _valid("\n".join(told))


def _valid(text: str) -> str:
    """The text with characters that XML 1.0 cannot hold replaced; labels and questions come from outside."""
    return "".join(character if _is_xml(ord(character)) else "\N{REPLACEMENT CHARACTER}" for character in text)


def _is_xml(code: int) -> bool:
    """Whether XML 1.0 has the character."""
    in_text = code in (0x9, 0xA, 0xD) or 0x20 <= code <= 0xD7FF
    return in_text or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF
