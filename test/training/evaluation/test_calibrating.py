"""Scores that are learnt from boxes of which it is known whether they are right, and ``n3d calibrate``."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="data sets are Parquet files")

from model_training.cli import calibrate as command
from model_training.data.folder import DatasetFolder
from model_training.evaluation.calibrating import fit_scores, judged_boxes, judged_by
from model_training.evaluation.cases import Case
from n3d_ros.cli.main import command_parser
from n3d_ros.codec.box_code import BoxCode
from n3d_ros.detection import Detection3D
from n3d_ros.errors import ConfigurationError, GroundingError
from n3d_ros.frame import RgbdFrame
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult
from n3d_ros.inference.language_model import grounder as grounder_module
from n3d_ros.inference.language_model.calibration import CALIBRATION_FILE, read_calibration
from n3d_ros.inference.language_model.listing import FoundBox
from n3d_ros.inference.language_model.scores import ScoreFeatures
from n3d_ros.model.packaged import SUMS_FILE, check_sums, write_sums
from training.evaluation.frames_for_evaluation import cube, frame_record, thing

MUG, BOX = thing(1, "mug", cube(-0.5, 0, 1.0)), thing(2, "box", cube(0.5, 0, 1.5, 0.3))
PLANT = cube(0.1, 0.3, 1.8)  # nothing is there


class BoastingGrounder:
    """Finds a mug that is there, calls every other box by a wrong name, sees a plant; and is as sure of each."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.last_found: tuple[FoundBox, ...] = ()
        self._looks = 0

    def ground(self, frame: RgbdFrame, request: GroundingRequest) -> GroundingResult:
        if frame.valid_depth_share == 0:
            raise GroundingError("The frame has no depth.")
        self._looks += 1
        name = "box" if self._looks // 2 % 2 else "crate"  # as often in either half of the frames
        boxes = [("mug", cube(-0.5, 0, 1.0), 1.5), (name, cube(0.5, 0, 1.5, 0.3), 0.2), ("plant", PLANT, -1.5)]
        made = []
        for k, (label, box, support) in enumerate(boxes):
            said = Detection3D(label=label, box=box, score=0.95)
            features = ScoreFeatures(tokens=3.0, existence=3.0, label=-0.1, digits=-1.0, place=-0.2, form=-0.1,
                                     support=support + 0.1 * np.sin(7.0 * self._looks + k))  # fmt: skip
            code = BoxCode(label=label, u=1, v=1, depth=1, angle=0, size_x=1, size_y=1, size_z=1)
            made.append(FoundBox(detection=said, raw=said, code=code, index=k, features=features))
        self.last_found = tuple(reversed(made))  # not in the order of the result: a box knows its own evidence
        return GroundingResult(
            detections=tuple(one.detection for one in made), raw_detections=tuple(one.raw for one in made)
        )

    def close(self) -> None:
        pass


def cases(count: int, **changes: Any) -> list[Case]:
    given = {"split": "validation"} | changes
    return [Case(record=frame_record(MUG, BOX, name=f"frame-{k}", **given)) for k in range(count)]


def test_each_box_keeps_its_own_evidence_and_is_held_against_the_truth() -> None:
    told: list[int] = []
    boxes = judged_boxes(BoastingGrounder(), cases(4), on_frame=lambda: told.append(1))
    assert boxes.features.shape == (12, 8) and len(told) == 4
    assert boxes.correct.reshape(4, 3).tolist() == [
        [True, False, False],
        [True, True, False],
        [True, True, False],
        [True, False, False],
    ]
    np.testing.assert_allclose(boxes.features[:, 6].reshape(4, 3) - [1.5, 0.2, -1.5], 0, atol=0.11)
    assert boxes.frames.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3] and (boxes.scores == 0.95).all()


def test_fitted_scores_are_frequencies_where_they_were_boasts() -> None:
    fit = fit_scores(judged_boxes(BoastingGrounder(), cases(60)), f"made-up frames; {judged_by('visible')}")
    assert fit.before.boxes == 180 and fit.before.correct == 90
    assert fit.before.ece == pytest.approx(0.45) and fit.after.ece < 0.15 and fit.after.brier < fit.before.brier / 2
    sure, even, doubtful = fit.calibration.probability(np.eye(8)[6] * np.array([[1.5], [0.2], [-1.5]]))
    assert sure > 0.85 > even > 0.15 > doubtful
    assert fit.calibration.about == "made-up frames; right: the same name, visible boxes with an IoU of 0.25 or more"


def test_frames_that_must_not_or_cannot_teach_are_left_out_and_counted() -> None:
    partly = cases(1, provenance='{"complete": false}')
    blind = cases(2, depth_m=0.0)
    boxes = judged_boxes(BoastingGrounder(), [*cases(3, split="held_out"), *partly, *blind, *cases(1)])
    assert len(boxes.correct) == 3
    assert boxes.skipped == {"held out": 3, "not everything is labelled": 1, "no_depth": 2}
    assert (boxes.looked_at, boxes.learnt) == (1, 0)


def test_frames_that_are_left_out_do_not_count_towards_the_limit() -> None:
    given = [*cases(3, split="held_out"), *cases(5, split="train")]
    boxes = judged_boxes(BoastingGrounder(), given, limit=2)
    assert (boxes.looked_at, boxes.learnt, len(boxes.correct)) == (2, 2, 6)


def test_halves_are_the_first_and_the_last_frames_since_neighbours_show_one_scene() -> None:
    class Drifting(BoastingGrounder):
        """Its evidence means the opposite in the second half of the frames."""

        def ground(self, frame: RgbdFrame, request: GroundingRequest) -> GroundingResult:
            result = super().ground(frame, request)
            if self._looks > 30:
                self.last_found = tuple(
                    replace(one, features=replace(one.features, support=-one.features.support))
                    for one in self.last_found
                )
            return result

    fit = fit_scores(judged_boxes(Drifting(), cases(60)), "x")
    assert (
        fit.after.brier > 0.3
    )  # worse than saying a half of everything: what is learnt of one half is wrong of the other


def test_boxes_are_compared_by_the_measure_that_is_given() -> None:
    crate = replace(BOX, label="crate")  # as the first look says
    seen = replace(crate, visible_box=cube(0.5, 0, 1.4, 0.05))  # half hidden: its whole box is found
    hidden = [Case(record=frame_record(MUG, seen, split="validation"))]
    right = {m: judged_boxes(BoastingGrounder(), hidden, measure=m).correct.sum() for m in ("visible", "oriented")}
    assert right["oriented"] == right["visible"] + 1
    unknown = [Case(record=frame_record(MUG, replace(crate, visible_box=None), split="validation"))]
    assert judged_boxes(BoastingGrounder(), unknown).unmeasured == 1


def test_too_few_boxes_are_refused_with_what_was_left_out() -> None:
    few = judged_boxes(BoastingGrounder(), [*cases(2), *cases(5, split="held_out")])
    with pytest.raises(ConfigurationError, match=r"at least 20 boxes.*got 3.*5 frames \(held out\).*is not known: 0"):
        fit_scores(few, "x")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like a model's; the grounder of it is the boasting one."""
    monkeypatch.setattr(grounder_module, "LanguageModelGrounder", BoastingGrounder)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def run(*arguments: str | Path) -> int:
    return command.run(command_parser("calibrate", command).parse_args([str(one) for one in arguments]))


def data_of(folder: Path, count: int) -> Path:
    DatasetFolder.create(folder, "scenes", {"seed": 1}, 1).write_frames(0, [case.record for case in cases(count)])
    return folder


def test_the_command_writes_the_file_that_the_node_reads(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sums(model)
    assert run("--model", model, "--data", data_of(tmp_path / "data", 40)) == 0
    said = capsys.readouterr().out
    assert "as they were" in said and "0.450" in said and str(model / CALIBRATION_FILE) in said
    assert read_calibration(model).is_fitted
    check_sums(model)
    assert CALIBRATION_FILE in (model / SUMS_FILE).read_text()
    about = json.loads((model / CALIBRATION_FILE).read_text())["about"]
    assert about.startswith("data set data (scenes), 40 frames; right:")


def test_a_limit_takes_the_first_frames_alone(model: Path, tmp_path: Path) -> None:
    assert run("--model", model, "--data", data_of(tmp_path / "data", 60), "--limit", "30") == 0
    fitted = read_calibration(model)
    assert fitted.reliability is not None and fitted.reliability.boxes == 90 and "30 frames" in fitted.about


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"--model": "nowhere"}, "expected the folder of a model"),
        ({"--model": "n3d-nano"}, "expected the folder of a model"),
        ({"--limit": "-1"}, "--limit: expected 0"),
        ({"--limit": "4"}, "4 frames were looked at"),
    ],
)
def test_what_cannot_be_calibrated_is_refused_and_nothing_is_written(
    model: Path, tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    given = {"--model": str(model), "--data": str(data_of(tmp_path / "data", 8))} | changes
    with pytest.raises(ConfigurationError, match=said):
        run(*(word for pair in given.items() for word in pair))
    assert [path.name for path in model.iterdir()] == ["config.json"]


def test_a_damaged_model_is_refused_and_its_sums_are_kept(model: Path, tmp_path: Path) -> None:
    write_sums(model)
    sums = (model / SUMS_FILE).read_bytes()
    (model / "config.json").write_text("{ }")
    with pytest.raises(ConfigurationError, match=r"config\.json: expected sha256"):
        run("--model", model, "--data", data_of(tmp_path / "data", 40))
    assert (model / SUMS_FILE).read_bytes() == sums and not (model / CALIBRATION_FILE).exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused_before_the_model_is_loaded(model: Path, tmp_path: Path) -> None:
    model.chmod(0o555)
    with pytest.raises(ConfigurationError, match="cannot be written"):
        run("--model", model, "--data", data_of(tmp_path / "data", 40))
    model.chmod(0o755)
