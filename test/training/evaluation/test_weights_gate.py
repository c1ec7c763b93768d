"""Quantised weights are judged by boxes and answers, before and after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra [model] is not installed")
pytest.importorskip("transformers", reason="the extra [model] is not installed")

from model_training.data.records import FrameRecord
from model_training.evaluation import weights_gate
from model_training.evaluation.cases import Case
from model_training.evaluation.found import Found, FoundObject
from model_training.evaluation.gate_frames import LEARNT_FRAMES, cases_of, dataset_cases, divided, generated_cases
from model_training.evaluation.looking import TrueBoxes
from model_training.evaluation.weights_gate import HEADER, PACKAGE, Looks, WeightsGate, gate_for
from n3d_ros.errors import BackendError, ConfigurationError
from n3d_ros.geometry.boxes import Box3D

SIZE = (160, 120)
CASES = generated_cases(4, SIZE)


def looks_of(hits: int, right: int, *, x: float = 0.0, problem: str = "") -> Looks:
    """Four frames with five objects, five boxes and four questions each."""
    box = Box3D.axis_aligned(np.array([x, 0.0, 1.0]), np.array([0.2, 0.2, 0.2]))
    mug = FoundObject(label="mug", box=box, visible_box=box)
    return Looks(
        counts=np.tile(np.array([hits, 5, 5, right, 4], dtype=np.float64), (4, 1)),
        found=(Found(objects=(mug,)),) * 4,
        problems=(problem,) if problem else (),
    )


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> WeightsGate:
    """A gate that needs no model; what it sees is given to ``judged``."""
    monkeypatch.setattr(WeightsGate, "_looker", lambda *_: TrueBoxes())
    monkeypatch.setattr(weights_gate, "_in_torch", lambda *_: None)
    monkeypatch.setattr(weights_gate, "TorchBackend", lambda *_, **_more: None)
    return WeightsGate(cases=CASES)


def judged(gate: WeightsGate, before: Looks, after: Looks, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a gate says that sees these."""
    given, loaded = iter((before, after)), _Loaded()
    monkeypatch.setattr(WeightsGate, "_look", lambda *_: next(given))
    gate.before(loaded, lambda *_: None)
    return gate.after(loaded, Path("graphs"), lambda *_: None)


class _Loaded:
    """A model of float32 weights, as far as a gate asks."""

    def __getattr__(self, name: str) -> Any:
        return np.float32 if name == "dtype" else self


def test_what_lost_little_is_told_with_how_far_boxes_moved(gate: WeightsGate, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = judged(gate, looks_of(4, 3), looks_of(4, 3, x=0.005), monkeypatch)
    assert losses == {"boxes": 0.0, "answers": 0.0, "corners_mm": 5.0}
    rows = gate.rows()
    assert rows[0] == ["boxes (F1 at IoU 0.25)", "0.800", "0.800", "0.000", "0.000", "0.05"]
    assert all(len(row) == len(HEADER) for row in rows)


def test_what_gained_has_a_loss_below_zero(gate: WeightsGate, monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(gate, looks_of(3, 2), looks_of(4, 3), monkeypatch)["boxes"] == -0.2


@pytest.mark.parametrize(
    ("after", "named"),
    [
        (looks_of(2, 3), r"boxes \(F1 at IoU 0.25\) lost 0\.400"),
        (looks_of(4, 1), r"answers \(share right\) lost 0\.500"),
        (looks_of(0, 3, problem="another size"), r"may be lost \(another size\)"),
    ],
)
def test_what_lost_too_much_is_refused_with_the_figures_and_what_helps(
    gate: WeightsGate, monkeypatch: pytest.MonkeyPatch, after: Looks, named: str
) -> None:
    with pytest.raises(BackendError, match=named) as refused:
        judged(gate, looks_of(4, 3), after, monkeypatch)
    assert "at most 0.05 may be lost" in refused.value.message and "--max-loss" in refused.value.message
    gate.max_loss = 1.0
    assert judged(gate, looks_of(4, 3), after, monkeypatch)


def test_a_model_that_finds_nothing_beforehand_cannot_be_judged(
    gate: WeightsGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BackendError, match="finds no object of 4 frames"):
        judged(gate, looks_of(0, 0), looks_of(0, 0), monkeypatch)


def test_few_frames_that_differ_have_a_large_error() -> None:
    gate = WeightsGate(cases=CASES)
    before, after = looks_of(4, 3), looks_of(4, 3)
    after.counts[0, 0] = 0.0
    gate.seen = [before, after]
    assert 0.05 < gate.error("boxes") < 0.2 and gate.error("answers") == 0


def test_frames_without_truth_take_what_was_found_for_it() -> None:
    values = {name: getattr(CASES[0].record, name) for name in FrameRecord.__dataclass_fields__}
    bare = Case(record=FrameRecord(**values | {"objects": ()}))
    assert not WeightsGate(cases=[bare]).has_truth

    class Finder(TrueBoxes):
        def look(self, record: FrameRecord, **_more: Any) -> Any:
            assert record is bare.record
            return super().look(CASES[0].record)

    finder: Any = Finder()
    found = finder.look(bare.record).found.objects
    taken = weights_gate._taken_for_true(bare, finder)
    assert [one.label for one in taken.record.objects] == [one.label for one in found] and found


def test_generated_frames_are_the_same_each_time_and_come_with_questions() -> None:
    again = generated_cases(4, SIZE)
    assert [case.record.image for case in again] == [case.record.image for case in CASES]
    assert all(case.record.split == "held_out" and case.record.objects for case in CASES)
    assert sum(one.record.kind == "reasoning" for case in CASES for one in case.questions) >= 4


def test_frames_to_learn_from_are_none_of_those_that_judge() -> None:
    every = CASES * 6
    judging, learning = divided(every)
    assert len(learning) == LEARNT_FRAMES and len(judging) == len(every) - LEARNT_FRAMES
    assert [len(part) for part in divided(CASES[:2])] == [1, 1]
    with pytest.raises(ConfigurationError, match="name 2 or more"):
        divided(CASES[:1])


def test_frames_of_a_data_set_lie_evenly_over_it_and_have_questions(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs the packages of the extra [train]")
    from dataset_builders import frame_record, question_record
    from model_training.data.folder import DatasetFolder

    folder = DatasetFolder.create(tmp_path / "set", "test", {"rows": 4}, 3)
    for number in range(3):
        folder.write_frames(number, [frame_record(f"{number}/{k}", seed=4 * number + k) for k in range(4)])
    folder = folder.begin_questions({"each": 1})
    folder.write_questions(2, [question_record("2/3")])
    for count, wanted in ((1, "0/0"), (2, "0/0 2/3"), (4, "0/0 1/0 1/3 2/3"), (99, None)):
        cases = cases_of(str(folder.path), count, SIZE)
        ids = [case.record.id for case in cases]
        assert " ".join(ids) == wanted if wanted else len(ids) == len(set(ids)) == 12
        assert all(case.record.image and case.questions for case in cases)
    assert [one.record.id for one in cases[-1].questions] == [question_record("2/3").id]  # its own stay


def test_a_data_set_without_frames_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs the packages of the extra [train]")
    from model_training.data.folder import DatasetFolder

    DatasetFolder.create(tmp_path / "set", "test", {"rows": 4}, 3)
    with pytest.raises(ConfigurationError, match="no frames yet"):
        dataset_cases(tmp_path / "set", 3)


def test_recordings_are_read_by_the_function_that_is_given(tmp_path: Path) -> None:
    asked: list[tuple[Path, int]] = []

    def recorded(path: Path, count: int) -> list[FrameRecord]:
        asked.append((path, count))
        return [case.record for case in CASES]

    (tmp_path / "desk").mkdir()
    cases = cases_of(str(tmp_path / "desk"), 4, SIZE, recorded)
    assert [case.record for case in cases] == [case.record for case in CASES] and not cases[0].questions
    assert asked == [(tmp_path / "desk", 4)]
    with pytest.raises(ConfigurationError, match="recordings cannot be read here"):
        cases_of(str(tmp_path / "desk"), 4, SIZE)


def test_the_options_of_the_command_make_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_gate, "modelopt_version", lambda: None)
    gate = gate_for("int8", size=SIZE, frames=3, max_loss=0.2)
    assert len(gate.cases) == 3 and gate.max_loss == 0.2 and gate.made_with == {}
    assert gate.cases[0].record.intrinsics.width == SIZE[0]
    assert not gate_for("int4", size=SIZE, frames=1).learnt  # nothing to learn with


@pytest.mark.parametrize(("quantizer", "learns"), [("auto", True), ("modelopt", True), ("round", False)])
def test_modelopt_learns_from_further_frames_where_it_is_installed(
    quantizer: str, learns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights_gate, "modelopt_version", lambda: "0.47.0")
    gate = gate_for("int4", size=SIZE, quantizer=quantizer, frames=4)
    assert (len(gate.cases), len(gate.learnt)) == ((4, 4) if learns else (4, 0))
    assert gate.made_with == ({PACKAGE: "0.47.0"} if learns else {})
    assert not {one.record.id for one in gate.learnt} & {one.record.id for one in gate.cases}
    assert not gate_for("int8", size=SIZE, frames=2).learnt  # rounding settles the same scales


def test_modelopt_is_refused_where_it_has_no_part_or_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_gate, "modelopt_version", lambda: None)
    with pytest.raises(ConfigurationError, match="--quantizer modelopt: for --weights int4; in fp8"):
        gate_for("fp8", quantizer="modelopt")
    with pytest.raises(BackendError, match=f"pip install {PACKAGE}"):
        gate_for("int4", quantizer="modelopt")


def test_what_cannot_be_looked_at_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--frames: expected 1 or more"):
        cases_of("", 0, SIZE)
    with pytest.raises(ConfigurationError, match="nothing is there"):
        cases_of(str(tmp_path / "nowhere"), 3, SIZE)
    with pytest.raises(ConfigurationError, match="expected frames to measure"):
        WeightsGate(cases=())
    with pytest.raises(ConfigurationError, match="--max-loss: expected a share from 0 to 1, got 5"):
        WeightsGate(cases=CASES, max_loss=5.0)
