"""``n3d report``: from a bag to one file."""

from __future__ import annotations

from pathlib import Path

import pytest

from bags_for_tests import write_camera_bag
from n3d_ros.cli.main import main


def test_a_page_is_written_from_a_bag_and_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag, page = write_camera_bag(tmp_path / "desk", frames=3), tmp_path / "report.html"
    command = ["report", str(bag), "-o", str(page)]
    assert main([*command, "--ask", "how many red boxes are there?"]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>") and "how many red boxes are there?" in text and "<code>map</code>" in text
    assert "3 of 3 frames with a result, 1 questions asked" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["desk", "report.html"]
    assert main(command) == 1
    assert "--force" in capsys.readouterr().err and page.read_text(encoding="utf-8") == text


def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_camera_bag(tmp_path / "desk", frames=2)
    for place, words in (
        (tmp_path, "is a folder"),
        (tmp_path / "no" / "x.html", "make it first"),
        (bag / "x.html", "is a recording"),
    ):
        assert main(["report", str(bag), "-o", str(place)]) == 1
        assert words in capsys.readouterr().err
    assert main(["report", str(bag), "-o", str(tmp_path / "x.html"), "--pictures", "99"]) == 1
    assert "expected 1 to 24" in capsys.readouterr().err


def test_a_damaged_bag_makes_a_page_of_what_could_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = write_camera_bag(tmp_path / "desk", frames=60, compress=False) / "desk.mcap"
    data = bag.read_bytes()
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(data[: int(0.7 * len(data))])
    assert main(["report", str(cut), "-o", str(tmp_path / "report.html")]) == 1
    assert "The recording is damaged." in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "The page tells of what could be read" in capsys.readouterr().err
