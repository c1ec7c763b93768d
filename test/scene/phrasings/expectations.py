"""Whether an answer is as a table expects it; README.md explains the notation."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from n3d_ros.errors import StatusCode
from n3d_ros.scene.scene import Scene
from n3d_ros.scene.spatial_answer import SpatialAnswer, ValueType

UNITS = {"m": "m", "m^2": "m^2", "m^3": "m^3", "s": "s", "x": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A question with its expected answer.

    Args:
        scene: name of a known scene.
        question: in words.
        expected: as in README.md.
    """

    scene: str
    question: str
    expected: str


def read_table(path: Path) -> list[Row]:
    """The rows of a table."""
    document = yaml.load(path.read_text(), Loader=yaml.BaseLoader)  # every scalar is text: yes stays "yes"
    return [
        Row(scene=scene, question=question, expected=expected)
        for scene, rows in document.items()
        for question, expected in rows
    ]


def misses(answer: SpatialAnswer, expected: str, scene: Scene) -> str:
    """What is not as expected; empty when all is."""
    head, _, rest = expected.partition(" ")
    ids = [int(found) for found in re.findall(r"#(\d+)", expected)]
    wanted = StatusCode.__members__.get(head.upper(), StatusCode.OK)
    if head == "nothing":
        good = answer.status in (StatusCode.OK, StatusCode.NOT_FOUND) and not answer.object_ids
        return "" if good else _told(answer)
    if answer.status is not wanted:
        return _told(answer)
    good = True
    if head in ("yes", "no"):
        good = answer.value_type is ValueType.BOOLEAN and answer.value is (head == "yes")
    elif head == "count":
        good = answer.value_type is ValueType.COUNT and answer.value == float(rest)
    elif head == "one":
        name = str(answer.value)
        good = answer.value_type is ValueType.TEXT and answer.object_ids[:1] == (ids[0],)
        good = good and re.search(rf"\b{ids[0]}\b", name) is not None
    elif head in ("all", "ambiguous"):
        good = set(answer.object_ids) == set(ids)
    elif head == "order":
        good = answer.object_ids == tuple(ids)
    elif head == "at":
        good = answer.value_type is ValueType.POSITION and bool(
            np.allclose(answer.value, _box(scene, ids[0]).center, atol=1e-6)  # type: ignore[arg-type]
        )
    elif head == "size":
        good = answer.value_type is ValueType.SIZE and bool(
            np.allclose(sorted(answer.value), sorted(_box(scene, ids[0]).size), atol=1e-6)  # type: ignore[arg-type]
        )
    elif head == "word":
        good = answer.value_type is ValueType.TEXT and rest in str(answer.value)
    elif head == "clock":
        good = answer.value_type is ValueType.DIRECTION and answer.clock_hour == int(rest)
    elif head == "same":
        good = "about the same" in answer.text.lower()
    elif rest in UNITS:
        number = float(head)
        good = answer.value_type is ValueType.NUMBER and answer.unit == UNITS[rest] and isinstance(answer.value, float)
        good = good and math.isclose(float(answer.value), number, rel_tol=0.01, abs_tol=0.002)  # type: ignore[arg-type]
    elif head not in ("not_found", "not_understood"):
        raise ValueError(f"expectation {expected!r}")
    return "" if good else _told(answer)


def _box(scene: Scene, number: int):  # type: ignore[no-untyped-def]
    one = scene.by_id(number)
    assert one is not None
    return one.box


def _told(answer: SpatialAnswer) -> str:
    """The answer in one line."""
    return (
        f"{answer.status.name} {answer.value_type.name} {answer.value!r} {answer.unit} hour {answer.clock_hour} "
        f"ids {answer.object_ids}: {answer.text}"
    )
