"""The benchmark of a depth model's quality: full marks for the truth, and a broken promise where it gets fewer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import depth_quality
from n3d_ros.depth.evaluation.benchmark_settings import BenchmarkSettings
from n3d_ros.depth.evaluation.reading import read_sequences
from n3d_ros.depth.views import DepthEstimate, PoseSource, ScaleSource, View, ViewDepth
from n3d_ros.errors import N3dError
from room_sequences import render_room, write_scenes

QUICK = BenchmarkSettings(voxel_m=0.03, truncation_m=0.12, threshold_m=0.05, downsample_m=0.03, points=20_000)


@pytest.fixture(autouse=True)
def analytic_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    """The analytic room in place of the renderer, coarse surfaces in place of fine ones."""

    def generate(folder: Path, kind: str, count: int, camera: str) -> None:
        for k in range(count):
            write_scenes(folder, render_room(6), scene=f"{kind}_{k:06d}")

    monkeypatch.setattr(depth_quality, "generate", generate)
    monkeypatch.setattr(depth_quality, "benchmark_settings", lambda _: QUICK)


def measured(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> tuple[int, list[dict[str, object]]]:
    """Exit code, and the figures of the last line."""
    code = depth_quality.main(arguments)
    said = capsys.readouterr()
    assert not said.err
    return code, json.loads(said.out.splitlines()[-1])["figures"]


def test_the_truth_in_another_world_and_unit_is_told_as_a_model_would(tmp_path: Path) -> None:
    write_scenes(tmp_path, render_room(3))
    frames = list(next(iter(read_sequences(tmp_path))).read())
    estimate = depth_quality.truth_elsewhere(frames)
    assert estimate.scale_source is ScaleSource.RELATIVE
    for frame, view in zip(frames, estimate.views, strict=True):
        assert view.pose_source is PoseSource.ESTIMATED and view.world_T_camera is not None
        np.testing.assert_allclose(view.depth_m, 0.4 * frame.depth_m, rtol=1e-6)
        assert np.linalg.norm(view.world_T_camera.translation - frame.world_T_camera.translation) > 1
    steps = [np.linalg.norm(a.translation - b.translation) for a, b in [[f.world_T_camera for f in frames[:2]]]]
    placed = [view.world_T_camera for view in estimate.views[:2] if view.world_T_camera is not None]
    assert np.linalg.norm(placed[0].translation - placed[1].translation) == pytest.approx(0.4 * steps[0])


def test_the_truth_keeps_every_promise(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("open3d", reason="needs the extra [eval]")
    code, figures = measured(capsys, ["--sequences", "1"])
    names = [str(figure["name"]) for figure in figures]
    assert code == 0
    assert names == [f"{kind}: {m} of the truth" for kind in ("tabletop", "room") for m in ("AUC3", "delta1", "F1")]
    assert all(0.99 <= figure["value"] <= 1 and figure["promise"] for figure in figures)  # type: ignore[operator]


def test_a_measure_that_finds_less_breaks_its_promise(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("open3d", reason="needs the extra [eval]")
    whole = depth_quality.truth_elsewhere

    def bent(frames: list[object]) -> DepthEstimate:
        estimate = whole(frames)  # type: ignore[arg-type]
        ramp = np.linspace(0.7, 1.4, estimate.views[0].depth_m.shape[1], dtype=np.float32)
        return replace(estimate, views=tuple(replace(view, depth_m=view.depth_m * ramp) for view in estimate.views))

    monkeypatch.setattr(depth_quality, "truth_elsewhere", bent)
    monkeypatch.setattr(depth_quality, "KINDS", ("room",))
    code, figures = measured(capsys, ["--sequences", "1"])
    values = {str(figure["name"]): figure["value"] for figure in figures}
    assert code == 1
    assert values["room: AUC3 of the truth"] == 1  # poses are as they were
    assert values["room: delta1 of the truth"] < 0.9 and values["room: F1 of the truth"] < 0.8  # type: ignore[operator]


class NearModel:
    """Metric, sees everything a tenth too near, and knows its room from the views' order."""

    name = "near"

    def __init__(self) -> None:
        self.is_closed = False

    def estimate(self, views: Sequence[View]) -> DepthEstimate:
        assert all(view.world_T_camera is None and view.intrinsics is not None for view in views)
        found = [
            ViewDepth(
                depth_m=np.float32(0.9) * truth.depth_m,
                intrinsics=view.intrinsics,
                world_T_camera=truth.world_T_camera,
                pose_source=PoseSource.ESTIMATED,
            )
            for truth, view in zip(render_room(len(views)), views, strict=True)
        ]
        return DepthEstimate(views=tuple(found), scale_source=ScaleSource.METRIC_MODEL)

    def close(self) -> None:
        self.is_closed = True


def test_a_model_is_scored_beside_the_truth_and_promises_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("open3d", reason="needs the extra [eval]")
    loading = pytest.importorskip("n3d_ros.depth.loading", reason="the extra [model] is not installed")
    model, asked = NearModel(), []

    def load(source: str, **choices: object) -> NearModel:
        asked.append((source, choices["metric"]))
        return model

    monkeypatch.setattr(loading, "load_depth_model", load)
    monkeypatch.setattr(depth_quality, "KINDS", ("room",))
    code, figures = measured(capsys, ["--sequences", "1", "--model", "da3", "--metric", "metres"])
    found = {str(figure["name"]): figure for figure in figures if "truth" not in str(figure["name"])}
    names = ("AUC3", "AUC30", "delta1", "AbsRel", "F1")
    assert code == 0 and list(found) == [f"room: {name}" for name in names]
    assert asked == [("da3", "metres")] and model.is_closed
    assert all(figure["promise"] is None and "near, 1 generated" in str(figure["note"]) for figure in found.values())
    assert found["room: AUC3"]["value"] == 1 and found["room: AbsRel"]["value"] == pytest.approx(0.1, rel=1e-3)


def test_a_generator_that_fails_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise N3dError("model_training.scenes --kind tabletop ended with code 1.")

    monkeypatch.setattr(depth_quality, "generate", failing)
    assert depth_quality.main([]) == 2
    assert capsys.readouterr().err == "depth_quality: model_training.scenes --kind tabletop ended with code 1.\n"
