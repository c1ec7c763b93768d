"""Reports: tables without invented zeros, pictures of chosen frames, comparisons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import pytest

from builders import make_detection
from model_training.evaluation.cases import AskedQuestion, Case, ListedCases
from model_training.evaluation.comparing import compared
from model_training.evaluation.evaluate import evaluate
from model_training.evaluation.looking import GrounderLooker, TrueBoxes
from model_training.evaluation.pictures import FALSE, HIT, TRUE, case_picture
from model_training.evaluation.report import JSON_FILE, REPORT_FILE, chosen_frames, read_report
from model_training.evaluation.scoring import FrameScore
from model_training.evaluation.tables import decimal, percent, table
from n3d_ros.errors import ConfigurationError
from training.evaluation.frames_for_evaluation import cube, found, frame_record, question, thing
from training.evaluation.grounders_for_evaluation import ToldGrounder

MUG = thing(1, "mug", cube(0, 0, 1.0), box_2d=(39.0, 29.0, 61.0, 51.0))
FOUND = make_detection("mug", center=(0, 0, 1.0), size=(0.2, 0.2, 0.2), score=0.9)
HOW_WIDE = question(1, "How wide is the mug?", "0.2", question_class="width_height", value_type="number")


def frames(count: int = 4) -> ListedCases:
    return ListedCases(
        listed=tuple(
            Case(record=frame_record(MUG, name=f"frame-{k}"), questions=(AskedQuestion(record=HOW_WIDE),))
            for k in range(count)
        )
    )


@pytest.fixture
def reports(tmp_path: Path) -> tuple[Path, Path]:
    """One of a grounder that finds the mug, one of another that finds a lamp."""
    evaluate(GrounderLooker(ToldGrounder(FOUND)), frames(), folder=tmp_path / "good")
    lamp = GrounderLooker(ToldGrounder(make_detection("lamp", center=(1, 0, 2), score=0.8)))
    evaluate(lamp, frames(), folder=tmp_path / "bad", against=read_report(tmp_path / "good"))
    return tmp_path / "good", tmp_path / "bad"


def test_the_report_tells_what_was_found(reports: tuple[Path, Path]) -> None:
    good, bad = (folder.joinpath(REPORT_FILE).read_text() for folder in reports)
    assert "| visible, class-aware | 100.0 | 100.0 | 100.0 | 100.0 | 100.0 | 100.0 |" in good
    assert "| width_height | numeric | 100.0 | 4 |" in good
    assert "| visible, class-aware | 0.0 | 0.0 | 0.0 | 0.0 | 0.0 | 0.0 |" in bad
    assert "4 boxes have names that nothing there has: lamp." in bad
    assert "code, wrong because: not_found 4" in bad


def test_the_report_begins_with_what_came_out(reports: tuple[Path, Path]) -> None:
    good, bad = (folder.joinpath(REPORT_FILE).read_text().partition("## Boxes")[0] for folder in reports)
    assert "4 of 4 objects were found (100.0 %) by 4 boxes, of which 100.0 % are on an object" in good
    assert "half of the boxes near an object are within 0.000 m of it" in good
    assert "0 of 4 objects were found (0.0 %) by 4 boxes" in bad
    assert "half of the boxes" not in bad  # none is near
    assert "answers, code: right are numeric 0.0 % of 4" in bad
    assert "P, precision" in good


def test_frames_that_may_have_been_trained_on_are_called_so(reports: tuple[Path, Path], tmp_path: Path) -> None:
    trained = ListedCases(listed=(Case(record=frame_record(MUG, split="train")),))
    evaluate(TrueBoxes(), trained, folder=tmp_path / "trained")
    warning = "say little"
    assert warning in (tmp_path / "trained" / REPORT_FILE).read_text()
    assert warning not in (reports[0] / REPORT_FILE).read_text()
    assert "- frames: 4 (held_out 4), objects asked for: 4" in (reports[0] / REPORT_FILE).read_text()


def test_every_picture_it_shows_is_there(reports: tuple[Path, Path]) -> None:
    for folder in reports:
        text = (folder / REPORT_FILE).read_text()
        names = [line.partition("(")[2].rstrip(")") for line in text.splitlines() if line.startswith("![")]
        assert len(names) == 5  # four frames and the scores
        for name in names:
            assert cv2.imread(str(folder / name)) is not None


def test_two_reports_are_told_side_by_side(reports: tuple[Path, Path]) -> None:
    text = (reports[1] / REPORT_FILE).read_text()
    assert "| visible, class-aware, F1 at 0.25 % | 100.0 | 0.0 | -100.0 |" in text
    assert "| answers, code, numeric % | 100.0 | 0.0 | -100.0 |" in text
    assert "Not the same" not in text


def test_a_comparison_says_where_the_ground_differs(reports: tuple[Path, Path], tmp_path: Path) -> None:
    evaluate(TrueBoxes(), frames(2), folder=tmp_path / "few")
    text = compared(read_report(tmp_path / "few"), read_report(reports[0]))
    assert "Not the same data" in text
    assert "Not the same number of frames" in text
    assert "| visible, class-agnostic, calibration error | 0.100 | - | - |" in text  # true boxes have no scores


@pytest.mark.parametrize("content", ["", "{}", '{"format": "n3d_evaluation", "version": 99}', "[1]"])
def test_what_is_no_report_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / JSON_FILE).write_text(content)
    with pytest.raises(ConfigurationError, match=JSON_FILE):
        read_report(tmp_path)


def test_the_json_is_plain(reports: tuple[Path, Path]) -> None:
    content = json.loads((reports[0] / JSON_FILE).read_text(), parse_constant=lambda word: pytest.fail(word))
    assert content["figures"]["frames"] == 4
    assert content["about"]["boxes by"] == "told"


def test_best_worst_and_others_are_shown_once() -> None:
    scored = [FrameScore(id=f"f{k}", f1=k / 10, asked=3, found=3) for k in range(8)]
    chosen = chosen_frames([*scored, FrameScore(id="empty", f1=None, asked=0, found=0)])
    assert [one.id for one in chosen["best"]] == ["f7", "f6", "f5"]
    assert [one.id for one in chosen["worst"]] == ["f0", "f1", "f2"]
    assert {one.id for one in chosen["random"]} == {"f3", "f4", "empty"}
    assert chosen_frames([]) == {"best": [], "worst": [], "random": []}


def test_what_cannot_be_said_is_no_zero() -> None:
    assert (percent(None), percent(0.0), decimal(None), decimal(0.0)) == ("-", "0.0", "-", "0.000")


def test_names_cannot_break_a_table() -> None:
    assert table(["a", "b"], [["x | y\nz", "1"]]).splitlines()[-1] == "| x \\| y z | 1 |"


def test_true_and_found_boxes_are_drawn_in_their_colours() -> None:
    def has(picture: Any, color: tuple[int, int, int]) -> bool:
        return bool((picture[30:] == color).all(axis=-1).any())

    record = frame_record(MUG)
    hit = case_picture(record, [found("mug", cube(0.01, 0, 1.0))], [MUG], (), "hit")
    miss = case_picture(record, [found("mug", cube(0.4, 0, 1.5))], [MUG], (), "miss")
    assert hit.shape == (22 + 512, 640, 3)
    assert (has(hit, TRUE), has(hit, HIT), has(hit, FALSE)) == (True, True, False)
    assert (has(miss, TRUE), has(miss, HIT), has(miss, FALSE)) == (True, False, True)
