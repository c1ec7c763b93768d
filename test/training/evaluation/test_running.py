"""Runs over small frames: what is asked of whom, what is kept, and that an interrupted run goes on."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders import make_detection
from model_training.evaluation.cases import AskedQuestion, Case, ListedCases
from model_training.evaluation.evaluate import evaluate
from model_training.evaluation.journal import LINES_FILE, RUN_FILE, Journal
from model_training.evaluation.looking import GrounderLooker, Look, TrueBoxes, region_box
from model_training.evaluation.report import REPORT_FILES
from model_training.evaluation.running import EvaluationConfig, planned, run_cases
from n3d_ros.errors import ConfigurationError, InputError, StatusCode
from n3d_ros.inference.grounder import GroundingResult
from n3d_ros.scene.spatial_answer import SpatialAnswer
from training.evaluation.frames_for_evaluation import CAMERA, cube, frame_record, question, thing
from training.evaluation.grounders_for_evaluation import SpeakingGrounder, ToldGrounder

MUG, BOX = thing(1, "mug", cube(-0.5, 0, 1.0)), thing(2, "box", cube(0.5, 0, 2.0, 0.3), color="red")
LEFT = question(1, "Is the mug to the left of the red box?", "yes", question_class="left_right")
WIDE = question(2, "How wide is the red box?", "0.3", question_class="width_height", value_type="number")
MUG_FOUND = make_detection("mug", center=(-0.5, 0, 1.0), size=(0.2, 0.2, 0.2), score=0.9)
BOX_FOUND = make_detection("box", center=(0.5, 0, 2.0), size=(0.3, 0.3, 0.3), color="red", score=0.5)


def case(*questions: Any, name: str = "frame-1", **changes: Any) -> Case:
    """The mug and the red box."""
    return Case(
        record=frame_record(MUG, BOX, name=name, **changes),
        questions=tuple(AskedQuestion(record=one) for one in questions),
    )


def accuracy(figures: Any, mode: str = "code") -> Any:
    return figures["answers"][mode]["all"]["accuracy"]


def test_true_boxes_answer_every_question() -> None:
    figures = evaluate(TrueBoxes(), ListedCases(listed=(case(LEFT, WIDE),))).figures
    assert accuracy(figures) == 1.0
    assert figures["answers"]["code"]["groups"]["numeric"]["accuracy"] == 1.0
    assert figures["boxes"]["oriented"]["counts"]["class-aware"]["0.5"]["f1"] == 1.0


def test_an_object_that_is_not_found_makes_its_answers_wrong() -> None:
    figures = evaluate(GrounderLooker(ToldGrounder(MUG_FOUND)), ListedCases(listed=(case(LEFT, WIDE),))).figures
    assert accuracy(figures) == 0.0
    assert sum(figures["answers"]["code"]["all"]["wrong_because"].values()) == 2
    assert figures["boxes"]["visible"]["counts"]["class-aware"]["0.25"]["recall"] == 0.5


def test_a_grounder_of_known_words_looks_once_for_all_questions() -> None:
    grounder = ToldGrounder(MUG_FOUND, BOX_FOUND)
    figures = evaluate(GrounderLooker(grounder), ListedCases(listed=(case(LEFT, WIDE),))).figures
    assert len(grounder.requests) == 1
    assert accuracy(figures) == 1.0


def test_an_open_vocabulary_is_asked_question_by_question_with_its_nouns() -> None:
    grounder = SpeakingGrounder(MUG_FOUND, BOX_FOUND)
    evaluate(GrounderLooker(grounder), ListedCases(listed=(case(LEFT),)))
    assert [one.question for one in grounder.requests] == [None, LEFT.question]
    assert grounder.requests[1].nouns == ("mug", "red box")


def test_up_is_told_unless_it_is_not_to_be() -> None:
    for with_up, known in ((True, True), (False, False)):
        grounder = ToldGrounder()
        evaluate(GrounderLooker(grounder, with_up=with_up), ListedCases(listed=(case(up=(0.0, -1.0, 0.0)),)))
        assert (grounder.requests[0].up is not None) is known


def test_both_modes_answer_from_the_same_boxes() -> None:
    grounder = SpeakingGrounder(MUG_FOUND, BOX_FOUND, says="No, it is to the right.")
    config = EvaluationConfig(answer_mode="both")
    figures = evaluate(GrounderLooker(grounder), ListedCases(listed=(case(LEFT),)), config).figures
    assert accuracy(figures, "code") == 1.0
    assert accuracy(figures, "model") == 0.0
    assert len(grounder.requests) == 2


def test_a_model_is_not_charged_for_the_time_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def slow(*_: Any, **__: Any) -> Any:
        clock[0] += 7.0
        return SpatialAnswer(status=StatusCode.OK, text="yes", value=True)

    monkeypatch.setattr("model_training.evaluation.running.computed_answer", slow)
    monkeypatch.setattr("model_training.evaluation.running.time.perf_counter", lambda: clock[0])
    grounder = SpeakingGrounder(MUG_FOUND, BOX_FOUND, says="Yes.")
    figures = evaluate(
        GrounderLooker(grounder), ListedCases(listed=(case(LEFT),)), EvaluationConfig(answer_mode="both")
    )
    assert figures.figures["latency_ms"]["answer, code"]["p50"] == pytest.approx(7000)
    assert figures.figures["latency_ms"]["answer, model"]["p50"] == pytest.approx(0)


@pytest.mark.parametrize(("says", "partial", "why"), [("", False, "no answer"), ("Yes", True, "did not end")])
def test_an_answer_without_its_end_is_none(says: str, partial: bool, why: str) -> None:
    grounder = SpeakingGrounder(MUG_FOUND, BOX_FOUND, says=says, partial=partial)
    config = EvaluationConfig(answer_mode="model")
    figures = evaluate(GrounderLooker(grounder), ListedCases(listed=(case(LEFT),)), config).figures
    assert figures["answers"]["model"]["all"]["wrong_because"] == {why: 1}


def test_who_does_not_speak_is_not_judged_by_words() -> None:
    config = EvaluationConfig(answer_mode="model")
    figures = evaluate(GrounderLooker(ToldGrounder()), ListedCases(listed=(case(LEFT),)), config).figures
    told = figures["answers"]["model"]["all"]
    assert (told["accuracy"], told["not_judged_because"]) == (None, {"no model that answers": 1})


def test_a_model_reasons_about_true_boxes() -> None:
    reasoner = GrounderLooker(SpeakingGrounder(says="Yes."))
    config = EvaluationConfig(answer_mode="model")
    assert accuracy(evaluate(TrueBoxes(reasoner), ListedCases(listed=(case(LEFT),)), config).figures, "model") == 1.0


def test_a_look_has_its_time_and_what_is_cut_short_is_counted() -> None:
    class Endless(SpeakingGrounder):
        """Writes until its time is up."""

        def ground(self, *args: Any, **options: Any) -> GroundingResult:
            return replace(super().ground(*args, **options), partial=True)

    grounder = Endless(MUG_FOUND)
    before = time.monotonic()
    figures = evaluate(GrounderLooker(grounder, seconds=7.0), ListedCases(listed=(case(),))).figures
    deadline = grounder.requests[0].deadline_s
    assert deadline is not None
    assert before + 7 <= deadline <= time.monotonic() + 7
    assert figures["looks_cut_short"] == 1
    assert figures["boxes"]["visible"]["counts"]["class-aware"]["0.25"]["hits"] == 1  # what it had counts


def test_words_are_looked_for_and_what_is_not_understood_is_missing() -> None:
    def words(number: int, *names: str, ids: tuple[int, ...]) -> Any:
        return question(number, "", "", kind="referring", names=names, object_ids=ids, value_type="none")

    grounder = ToldGrounder(phrases={"the mug": (MUG_FOUND,)})
    asked = case(words(1, "the mug", ids=(1,)), words(2, "the red box", ids=(2,)))
    figures = evaluate(GrounderLooker(grounder), ListedCases(listed=(asked,))).figures["words"]["referring"]
    assert (figures["questions"], figures["refused"], figures["targets"]) == (2, 1, 2)
    assert figures["counts"]["0.5"]["recall"] == 0.5
    assert figures["iou_mean"] == pytest.approx(0.5)  # 1 and 0
    assert figures["offset_m_mean"] == pytest.approx(0.0)  # only of what was found


def test_no_more_is_asked_of_a_frame_than_wanted() -> None:
    config = EvaluationConfig(questions_per_frame=1)
    figures = evaluate(TrueBoxes(), ListedCases(listed=(case(LEFT, WIDE),)), config).figures
    assert figures["answers"]["code"]["all"]["asked"] == 1
    config = EvaluationConfig(questions_per_frame=0)
    assert evaluate(TrueBoxes(), ListedCases(listed=(case(LEFT, WIDE),)), config).figures["answers"] == {}


def test_a_frame_without_depth_is_named_and_goes_on() -> None:
    frames = ListedCases(listed=(case(depth_m=0.0), case(name="frame-2")))
    figures = evaluate(GrounderLooker(ToldGrounder(MUG_FOUND, BOX_FOUND)), frames).figures
    assert figures["problems"] == {"The frame has no depth.": 1}
    assert figures["frames"] == 2
    assert figures["boxes"]["visible"]["counts"]["class-aware"]["0.25"]["recall"] == 0.5


def test_an_image_that_cannot_be_read_is_named_and_goes_on() -> None:
    record = frame_record(MUG, BOX)
    object.__setattr__(record, "image", b"no image at all")
    figures = evaluate(GrounderLooker(ToldGrounder()), ListedCases(listed=(Case(record=record),))).figures
    (problem,) = figures["problems"]
    assert "image" in problem


def test_a_data_set_without_questions_has_no_answers_and_no_zero() -> None:
    figures = evaluate(TrueBoxes(), ListedCases(listed=(case(),))).figures
    assert figures["answers"] == {}
    assert figures["words"] == {}


def test_no_frames_are_no_result() -> None:
    with pytest.raises(InputError, match="at least one frame"):
        evaluate(TrueBoxes(), ListedCases(listed=()))


def test_frames_labelled_in_part_hold_nothing_against_a_box() -> None:
    stranger = make_detection("lamp", center=(0, 1, 3))
    for provenance, found in (("{}", 3), ('{"complete": false}', 2), ('{"complete": true}', 3)):
        frames = ListedCases(listed=(case(provenance=provenance),))
        figures = evaluate(GrounderLooker(ToldGrounder(MUG_FOUND, BOX_FOUND, stranger)), frames).figures
        assert figures["boxes"]["visible"]["counts"]["class-aware"]["0.25"]["found"] == found
        assert figures["frames_labelled_in_part"] == (found == 2)


class StoppingLooker(GrounderLooker):
    """Is interrupted at its third frame."""

    looks = 0

    def look(self, *args: Any, **options: Any) -> Look:
        self.looks += 1
        if self.looks == 3:
            raise KeyboardInterrupt
        return super().look(*args, **options)


def test_an_interrupted_run_goes_on_where_it_ended(tmp_path: Path) -> None:
    frames = ListedCases(listed=tuple(case(LEFT, name=f"frame-{k}") for k in range(5)))
    grounder = ToldGrounder(MUG_FOUND, BOX_FOUND)
    with pytest.raises(KeyboardInterrupt):
        evaluate(StoppingLooker(grounder), frames, folder=tmp_path)
    assert len((tmp_path / LINES_FILE).read_text().splitlines()) == 2
    with (tmp_path / LINES_FILE).open("a") as file:
        file.write('{"frame": "frame-2", "found": {"obj')  # what a crash leaves
    done: list[str] = []
    whole = evaluate(GrounderLooker(grounder), frames, folder=tmp_path, on_case=done.append)
    assert done == [f"frame-{k}" for k in range(5)]
    assert len(grounder.requests) == 5
    fresh = evaluate(GrounderLooker(grounder), frames).figures
    for name in ("frames", "boxes", "answers"):
        assert whole.figures[name] == fresh[name]


def test_another_run_is_not_mixed_in(tmp_path: Path) -> None:
    evaluate(TrueBoxes(), ListedCases(listed=(case(),)), folder=tmp_path)
    grounder = ToldGrounder()
    with pytest.raises(ConfigurationError, match="boxes by 'true boxes' and now 'told'"):
        evaluate(GrounderLooker(grounder), ListedCases(listed=(case(),)), folder=tmp_path)
    assert not grounder.requests
    evaluate(GrounderLooker(grounder), ListedCases(listed=(case(),)), folder=tmp_path, force=True)
    assert len(grounder.requests) == 1


@pytest.mark.parametrize("left", [None, "[]", '{"digest"'])
def test_lines_of_nobody_knows_whom_are_not_taken_over(tmp_path: Path, left: str | None) -> None:
    evaluate(TrueBoxes(), ListedCases(listed=(case(),)), folder=tmp_path)
    (tmp_path / RUN_FILE).unlink()
    if left is not None:
        (tmp_path / RUN_FILE).write_text(left)
    with pytest.raises(ConfigurationError, match="something else"):
        evaluate(GrounderLooker(ToldGrounder()), ListedCases(listed=(case(),)), folder=tmp_path)


def test_a_replaced_run_leaves_no_report(tmp_path: Path) -> None:
    evaluate(TrueBoxes(), ListedCases(listed=(case(),)), folder=tmp_path)
    assert (tmp_path / "best_1.jpg").exists()
    Journal(tmp_path, {"boxes by": "another"}, force=True, stale=REPORT_FILES)
    assert [path.name for path in tmp_path.iterdir()] == [RUN_FILE]


def test_two_frames_of_one_id_are_refused() -> None:
    with pytest.raises(InputError, match="frame-1 twice"):
        evaluate(TrueBoxes(), ListedCases(listed=(case(), case(LEFT))))


def test_a_limit_bounds_frames(tmp_path: Path) -> None:
    frames = ListedCases(listed=tuple(case(name=f"frame-{k}") for k in range(5)))
    config = EvaluationConfig(limit=2)
    assert planned(frames, config) == 2
    journal = Journal(tmp_path, {})
    run_cases(frames, TrueBoxes(), config, journal)
    assert list(journal.lines) == ["frame-0", "frame-1"]
    assert planned(frames, EvaluationConfig(limit=9)) == 5


@pytest.mark.parametrize("change", [{"answer_mode": "guess"}, {"limit": -1}, {"matching": "best"}])
def test_settings_out_of_range_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(change))):
        EvaluationConfig(**change)


def test_lines_hold_no_numbers_that_json_does_not_have(tmp_path: Path) -> None:
    evaluate(TrueBoxes(), ListedCases(listed=(case(LEFT),)), folder=tmp_path)
    for line in (tmp_path / LINES_FILE).read_text().splitlines():
        json.loads(line, parse_constant=lambda word: pytest.fail(word))


def test_a_region_is_lifted_by_its_depth() -> None:
    import numpy as np

    depth = np.full((CAMERA.height, CAMERA.width), 3.0)
    depth[30:50, 40:60] = 2.0
    one = thing(1, "region", box_2d=(40, 30, 60, 50))
    box = region_box(frame_record(one, depth_m=depth), one)
    assert box is not None
    assert box.center == pytest.approx([0, 0, 2], abs=0.01)
    assert box.size[:2] == pytest.approx([0.38, 0.38], abs=0.02)
    assert region_box(frame_record(one, depth_m=0.0), one) is None
