"""Questions in many wordings, asked of scenes with true boxes."""

from __future__ import annotations

from pathlib import Path

import pytest

from n3d_ros.scene.query import answer
from scene.phrasings.expectations import Row, misses, read_table
from scene.phrasings.known_scenes import KNOWN_SCENES

HERE = Path(__file__).parent
TABLES = ("asked.yaml", "unseen.yaml", "unseen_again.yaml")
ROWS = [row for table in TABLES for row in read_table(HERE / table)]


@pytest.fixture(scope="module")
def known() -> dict[str, object]:
    return {name: make() for name, make in KNOWN_SCENES.items()}


def test_the_tables_are_whole() -> None:
    assert len(ROWS) >= 400
    for table in TABLES:
        rows = read_table(HERE / table)
        assert len({(row.scene, row.question) for row in rows}) == len(rows) > 100


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.scene}: {row.question}")
def test_the_answer_is_as_expected(row: Row, known: dict) -> None:  # type: ignore[type-arg]
    asked = known[row.scene]
    missed = misses(answer(asked.scene, asked.asked(row.question)), row.expected, asked.scene)
    assert not missed, f"expected {row.expected}, got {missed}"
