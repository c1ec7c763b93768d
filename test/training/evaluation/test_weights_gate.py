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
from model_training.evaluation.gate_frames import LEARNT_FRAMES, cases_of, divided, generated_cases
from model_training.evaluation.looking import TrueBoxes
from model_training.evaluation.weights_gate import HEADER, Looks, WeightsGate
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


def test_what_cannot_be_looked_at_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--frames: expected 1 or more"):
        cases_of("", 0, SIZE)
    with pytest.raises(ConfigurationError, match="nothing is there"):
        cases_of(str(tmp_path / "nowhere"), 3, SIZE)
    with pytest.raises(ConfigurationError, match="expected frames to measure"):
        WeightsGate(cases=())
    with pytest.raises(ConfigurationError, match="--max-loss: expected a share from 0 to 1, got 5"):
        WeightsGate(cases=CASES, max_loss=5.0)
