"""The bare part with runtimes that are made up: what one failure costs, equal names, and whose memory is counted."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra [model] is not installed")

import torch

from n3d_ros.bench import speed, torch_device
from n3d_ros.bench.answers import AnswerTimes, answer_in_turn
from n3d_ros.bench.failures import Dropped
from n3d_ros.bench.frames import BenchFrames
from n3d_ros.bench.looks import energy_rows
from n3d_ros.bench.made_frames import made_frames
from n3d_ros.bench.power import WattMeter
from n3d_ros.bench.process import forget_peak, resident_bytes
from n3d_ros.bench.speed import Plan, bandwidth_rows, measure_bare
from n3d_ros.bench.subjects import Subject, Wanted, numbered
from n3d_ros.bench.table import Row
from n3d_ros.errors import BackendError, GroundingError, N3dError
from n3d_ros.inference.grounder import GroundingResult
from n3d_ros.inference.language_model.config import LanguageModelConfig

PLAN = Plan(models=("nano",), device="cpu", repeats=1, transformers=False)
FAILING = [
    BackendError("The runtime failed."),
    torch.OutOfMemoryError("CUDA out of memory.\nMore of it."),
    RuntimeError("CUDA error"),
]


@dataclass
class Looker:
    """A grounder that fails from some look on."""

    good_looks: float = math.inf
    error: Exception | None = None
    looks: int = 0

    def ground(self, *_args: Any, **_kwargs: Any) -> GroundingResult:
        self.looks += 1
        if self.looks > self.good_looks and self.error is not None:
            raise self.error
        return GroundingResult(detections=(), stage_ms={"vision": 1.0, "prefill": 1.0, "decode": 1.0})

    def close(self) -> None:
        """Nothing."""


@dataclass
class Writer:
    """Something that answers, and fails from some answer on."""

    name: str
    good_answers: float = math.inf
    error: Exception | None = None
    questions: list[int] = field(default_factory=lambda: [0, 1])
    asked: int = 0
    times: AnswerTimes = field(default_factory=AnswerTimes)

    def answer(self, _number: int, *, counts: bool) -> None:
        del counts
        self.asked += 1
        if self.asked > self.good_answers and self.error is not None:
            raise self.error


def subject(name: str, grounder: Looker) -> Subject:
    """A runtime that is made up."""
    return Subject(
        name=name,
        wanted=Wanted(title=name, config=LanguageModelConfig(model=name, device="cpu")),
        runtime=SimpleNamespace(backend=SimpleNamespace(device="cpu")),  # type: ignore[arg-type]
        grounder=grounder,  # type: ignore[arg-type]
        step=None,
        load_s=1.0,
        host_bytes=0.0,
        device_bytes=math.nan,
    )


@pytest.fixture(scope="module")
def frames() -> BenchFrames:
    return made_frames(2)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, frames: BenchFrames) -> Any:
    """Measures some runtimes; nobody answers, and nothing says power."""

    def no_answers(_subjects: Any, _shown: Any, _dropped: Any) -> list[Any]:
        return []

    def of(*subjects: Subject | Exception) -> tuple[list[str], list[Row]]:
        left = iter(subjects)

        def load(_wanted: Wanted, _tell: Any) -> Subject:
            one = next(left)
            if isinstance(one, Exception):
                raise one
            return one

        monkeypatch.setattr(speed, "load_subject", load)
        wanted = [Wanted(title=f"m{i}", config=LanguageModelConfig(model="m")) for i in range(len(subjects))]
        named, rows = measure_bare(wanted, frames, PLAN, lambda _text, _share: None)
        return [name for name, _one in named], rows

    monkeypatch.setattr(speed, "bandwidth", lambda _device: {"read": 1e9})
    monkeypatch.setattr(speed, "meters", lambda **_options: [])
    monkeypatch.setattr(speed, "_answerers", no_answers)
    return of


@pytest.mark.parametrize("error", FAILING)
def test_a_runtime_that_fails_at_a_look_is_dropped_with_its_reason_and_the_others_go_on(
    error: Exception, measured: Any
) -> None:
    broken, sound = Looker(good_looks=2, error=error), Looker()
    named, rows = measured(subject("broken", broken), subject("sound", sound))
    assert named == ["sound"] and broken.looks == 3 and sound.looks == 4
    (row,) = [row for row in rows if row.of == "broken" and row.figure == "whole frame"]
    assert math.isnan(row.p50) and str(error).splitlines()[0] in row.note and "More of it" not in row.note
    assert [row.count for row in rows if (row.figure, row.of) == ("whole frame", "sound")] == [2]


def test_a_runtime_for_which_there_is_no_memory_is_told_beside_the_others(measured: Any) -> None:
    named, rows = measured(torch.OutOfMemoryError("no memory"), subject("sound", Looker()))
    assert named == ["sound"]
    assert [row.note for row in rows if row.of == "m0, auto"] == ["no memory"]
    with pytest.raises(BackendError, match="no memory"):
        measured(torch.OutOfMemoryError("no memory"))


def test_where_all_fail_there_is_an_error_and_no_table(measured: Any) -> None:
    with pytest.raises(BackendError, match=r"All runtimes failed\. a: .*The runtime failed"):
        measured(subject("a", Looker(0, FAILING[0])))
    with pytest.raises(GroundingError, match="None of the frames has depth"):
        measured(subject("a", Looker(0, GroundingError("too little depth"))))


def test_two_runtimes_of_one_name_are_measured_as_two(measured: Any) -> None:
    named, rows = measured(subject("nano, torch", Looker()), subject("nano, torch", Looker()))
    assert named == ["nano, torch (1)", "nano, torch (2)"]
    assert [row.of for row in rows if row.figure == "whole frame"] == named
    assert [row.count for row in rows if row.figure == "whole frame"] == [2, 2]
    assert numbered(["a", "b", "a"]) == ["a (1)", "b", "a (2)"]


def test_the_peak_of_memory_is_that_of_looks_and_not_of_the_benchmarks_own_arrays(
    measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not forget_peak():
        pytest.skip("this kernel does not let a peak begin anew")

    def bandwidth(_device: Any) -> dict[str, float]:
        held = np.ones(400 << 17)  # 400 MiB, freed at once
        return {"read": float(held[0]) * 1e9}

    monkeypatch.setattr(speed, "bandwidth", bandwidth)
    before = resident_bytes()
    _named, rows = measured(subject("nano", Looker()))
    (row,) = [row for row in rows if row.figure == "memory of the process, peak"]
    assert row.p50 < before / 2**20 + 200
    monkeypatch.setattr(speed, "forget_peak", lambda: False)
    _named, rows = measured(subject("nano", Looker()))
    assert [math.isnan(row.p50) for row in rows if row.figure == "memory of the process, peak"] == [True]


@pytest.mark.parametrize("error", [*FAILING, N3dError("It wrote other tokens.")])
def test_one_that_fails_at_an_answer_is_dropped_with_its_reason_and_the_others_go_on(error: Exception) -> None:
    ours, theirs, sound, dropped = Writer("ours"), Writer("theirs", 1, error), Writer("sound"), Dropped()
    answer_in_turn([ours, sound], [theirs], 2, lambda: None, dropped)  # type: ignore[list-item]
    assert (ours.asked, sound.asked, theirs.asked) == (6, 6, 2)
    assert "theirs" in dropped and "ours" not in dropped
    (row,) = dropped.rows
    assert (row.figure, row.of) == ("answer alone", "theirs") and str(error).splitlines()[0] in row.note
    answer_in_turn([], [], 1, lambda: None, dropped)


def test_one_that_fails_while_power_is_measured_costs_only_its_own_row(
    frames: BenchFrames, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("n3d_ros.bench.looks.ENERGY_S", 0.01)
    subjects = [subject("broken", Looker(0, FAILING[1])), subject("sound", Looker())]
    rows = energy_rows(subjects, frames.rgbd_frames(), [WattMeter("rail", lambda: 4.0)])
    assert [(row.figure, row.of) for row in rows] == [
        ("power", "broken"), ("power", "sound"), ("energy of a frame", "sound")
    ]  # fmt: skip
    assert math.isnan(rows[0].p50) and "out of memory" in rows[0].note


def test_the_measured_bandwidth_is_the_limit_also_where_a_data_sheet_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda", 0)
    monkeypatch.setattr(speed, "bandwidth", lambda _device: {"read": 4.1e12, "copy": 3.9e12})
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "NVIDIA H200")
    limit, rows = bandwidth_rows(gpu)
    assert limit == 4.1e12
    assert [row.p50 for row in rows if "data sheet" in row.figure] == [4800.0]


@pytest.mark.parametrize(
    "name",
    [
        "NVIDIA GH200 480GB",
        "NVIDIA H100 PCIe",
        "NVIDIA A100-PCIE-40GB",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA H200 NVL",
    ],
)
def test_a_gpu_whose_name_holds_that_of_another_has_no_data_sheet_here(name: str) -> None:
    assert torch_device.nominal_bandwidth(name) is None
    assert torch_device.nominal_bandwidth("NVIDIA H200") == 4.8e12


def test_a_bandwidth_that_cannot_be_measured_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_device: Any) -> dict[str, float]:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(speed, "bandwidth", fails)
    limit, (row,) = bandwidth_rows(torch.device("cpu"))
    assert math.isnan(limit) and row.note == "no memory"
