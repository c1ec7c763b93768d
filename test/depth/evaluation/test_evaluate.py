"""The whole way from frames and an estimate to scores, with estimates whose scores are known."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from n3d_ros.depth.evaluation import reconstruction
from n3d_ros.depth.evaluation.benchmark_settings import BenchmarkSettings
from n3d_ros.depth.evaluation.depth_error import DepthAlignment
from n3d_ros.depth.evaluation.evaluate import Evaluated, evaluate
from n3d_ros.depth.evaluation.predictions import PredictionFolder, views_of
from n3d_ros.depth.evaluation.sequence import TrueFrame
from n3d_ros.depth.similarity import Similarity
from n3d_ros.depth.views import DepthEstimate, PoseSource, ScaleSource, ViewDepth
from n3d_ros.errors import InputError
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform, rotation_about_axis
from room_sequences import CAMERA, render_room

SETTINGS = BenchmarkSettings(voxel_m=0.03, truncation_m=0.12, threshold_m=0.05, downsample_m=0.03, points=30_000)
PREDICTED_S_TRUE = Similarity(
    scale=0.25, rotation=rotation_about_axis([1.0, 2.0, -0.5], 0.8), translation=np.array([3.0, -1.0, 2.0])
)


@pytest.fixture(scope="module")
def frames() -> list[TrueFrame]:
    return [
        TrueFrame(
            name=f"{k}", rgb=view.rgb, depth_m=view.depth_m, intrinsics=CAMERA, world_T_camera=view.world_T_camera
        )
        for k, view in enumerate(render_room(8))
    ]


def estimate_of(
    frames: list[TrueFrame],
    *,
    factor: float = 1.0,
    poses: list[RigidTransform | None] | None = None,
    source: PoseSource = PoseSource.ESTIMATED,
    scale: ScaleSource = ScaleSource.METRIC_MODEL,
    intrinsics: CameraIntrinsics = CAMERA,
) -> DepthEstimate:
    """The truth as an estimate, with depth times a factor."""
    poses = [frame.world_T_camera for frame in frames] if poses is None else poses
    views = tuple(
        ViewDepth(
            depth_m=(factor * frame.depth_m).astype(np.float32),
            intrinsics=intrinsics,
            world_T_camera=pose,
            pose_source=source,
        )
        for frame, pose in zip(frames, poses, strict=True)
    )
    return DepthEstimate(views=views, scale_source=scale)


def scored(frames: list[TrueFrame], estimate: DepthEstimate, **options: object) -> Evaluated:
    pytest.importorskip("open3d", reason="needs the extra [eval]")
    return evaluate("room", frames, estimate, SETTINGS, **options)  # type: ignore[arg-type]


def test_the_truth_as_estimate_gets_full_marks(frames: list[TrueFrame]) -> None:
    got = scored(frames, estimate_of(frames))
    assert got.depth.delta1 == 1 and got.depth.abs_rel == 0 and got.depth_alignment is DepthAlignment.NONE
    assert got.poses is not None and got.poses.auc == got.poses.released_auc == {3: 1.0, 30: 1.0}
    assert got.poses.ate_m < 1e-9 and got.poses.scale == pytest.approx(1) and got.poses.pairs == 28
    assert got.reconstruction is not None and got.reconstruction.cameras == "estimated"
    assert got.reconstruction.score.f1 > 0.999 and got.reconstruction.score.overall_m < 0.015
    assert got.notes == ()


def test_another_world_and_unit_cost_nothing(frames: list[TrueFrame]) -> None:
    poses = [PREDICTED_S_TRUE.apply_to_pose(frame.world_T_camera) for frame in frames]
    got = scored(frames, estimate_of(frames, factor=0.25, poses=poses, scale=ScaleSource.RELATIVE))
    assert got.depth_alignment is DepthAlignment.MEDIAN and got.depth.scale == pytest.approx(4)
    assert got.depth.delta1 == 1 and got.depth.abs_rel == pytest.approx(0, abs=1e-6)
    assert got.poses is not None and got.poses.auc[3] == 1 and got.poses.scale == pytest.approx(4)
    assert got.reconstruction is not None and got.reconstruction.scale == "trajectory"
    assert got.reconstruction.score.f1 > 0.999


def test_depth_a_tenth_too_large_costs_a_tenth_and_the_surface(frames: list[TrueFrame]) -> None:
    got = scored(frames, estimate_of(frames, factor=1.1))
    assert got.depth.abs_rel == pytest.approx(0.1, abs=1e-6) and got.depth.delta1 == 1
    assert got.poses is not None and got.poses.auc[3] == 1
    # Walls 2 to 4 m away are 20 to 40 cm off, four times the threshold and more.
    assert got.reconstruction is not None and got.reconstruction.score.f1 < 0.2
    assert 0.1 < got.reconstruction.score.overall_m < 0.5


def test_what_is_too_far_to_be_fused_is_scored_as_depth_all_the_same(frames: list[TrueFrame]) -> None:
    estimate = estimate_of(frames, factor=1.1)
    far = [int(np.isfinite(frame.depth_m).sum()) for frame in frames]
    for limit in (None, 1.5):
        errors = evaluate(
            "room", frames, estimate, replace(SETTINGS, max_depth_m=limit), with_reconstruction=False
        ).depth_by_frame
        assert [error.pixels for error in errors if error is not None] == far


def test_a_camera_turned_by_a_known_angle_costs_its_pairs(frames: list[TrueFrame]) -> None:
    turn = RigidTransform(rotation=rotation_about_axis([0, 0, 1], np.radians(2.5)), translation=np.zeros(3))
    poses: list[RigidTransform | None] = [frame.world_T_camera for frame in frames]
    poses[0] = frames[0].world_T_camera @ turn
    got = scored(frames, estimate_of(frames, poses=poses), with_reconstruction=False)
    # 7 of 28 pairs hold camera 0; their rotation is off by 2.5 degrees and no direction by more.
    assert got.poses is not None and got.poses.auc[3] == pytest.approx((21 / 28 + 21 / 28 + 1) / 3)
    assert got.poses.auc[30] == pytest.approx((2 * 21 / 28 + 28) / 30)
    assert got.reconstruction is None


def test_given_poses_are_not_scored_and_place_the_depth(frames: list[TrueFrame]) -> None:
    got = scored(frames, estimate_of(frames, source=PoseSource.GIVEN, scale=ScaleSource.POSES))
    assert got.poses is None and got.reconstruction is not None
    assert (got.reconstruction.cameras, got.reconstruction.scale) == ("true", "metric")
    assert got.reconstruction.score.f1 > 0.999


def test_a_model_of_single_views_is_placed_by_the_true_poses(frames: list[TrueFrame]) -> None:
    estimate = estimate_of(frames, factor=0.01, poses=[None] * 8, source=PoseSource.NONE, scale=ScaleSource.RELATIVE)
    got = scored(frames, estimate)
    assert got.poses is None and got.reconstruction is not None
    assert got.reconstruction.scale == "median per image" and got.reconstruction.score.f1 > 0.999


def test_a_wrong_calibration_of_the_estimate_costs_the_surface(frames: list[TrueFrame]) -> None:
    wrong = replace(CAMERA, fx=CAMERA.fx * 1.3, fy=CAMERA.fy * 1.3)
    got = scored(frames, estimate_of(frames, intrinsics=wrong))
    assert got.reconstruction is not None and got.reconstruction.score.f1 < 0.7


def test_depth_where_there_is_no_truth_does_not_count(frames: list[TrueFrame]) -> None:
    depth = frames[0].depth_m.copy()
    depth[:, :64] = np.nan
    half = [replace(frames[0], depth_m=depth), *frames[1:]]
    wild = estimate_of(frames)
    views = list(wild.views)
    guess = frames[0].depth_m.copy()
    guess[:, :64] = 0.3
    views[0] = replace(views[0], depth_m=guess)
    got = scored(half, replace(wild, views=tuple(views)))
    assert got.depth.delta1 == 1 and got.reconstruction is not None and got.reconstruction.score.f1 > 0.999


def test_an_estimate_that_cannot_be_fused_scores_nothing_and_says_so(
    frames: list[TrueFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconstruction, "fuse", partial(reconstruction.fuse, max_blocks=2000))
    estimate = estimate_of(frames)
    rng = np.random.default_rng(0)
    views = tuple(
        replace(view, depth_m=rng.uniform(1, 9000, view.depth_m.shape).astype(np.float32)) for view in estimate.views
    )
    got = scored(frames, replace(estimate, views=views))
    assert got.reconstruction is not None and got.reconstruction.score.f1 == 0
    assert any("no surface from the estimate" in note for note in got.notes)


def test_another_number_of_views_or_no_depth_at_all_is_refused(frames: list[TrueFrame]) -> None:
    with pytest.raises(InputError, match="got 3 for 8"):
        evaluate("room", frames, estimate_of(frames[:3]), SETTINGS, with_reconstruction=False)
    empty = [replace(view, depth_m=np.full_like(view.depth_m, np.nan)) for view in estimate_of(frames).views]
    nothing = DepthEstimate(views=tuple(empty), scale_source=ScaleSource.RELATIVE)
    with pytest.raises(InputError, match="no frame has any"):
        evaluate("room", frames, nothing, SETTINGS, with_reconstruction=False)


def test_a_model_is_told_what_was_asked_for(frames: list[TrueFrame]) -> None:
    (blind,) = views_of(frames[:1], with_poses=False, with_intrinsics=False)
    (calibrated,) = views_of(frames[:1], with_poses=False)
    (posed,) = views_of(frames[:1], with_poses=True, with_intrinsics=False)
    assert (blind.intrinsics, blind.world_T_camera) == (None, None)
    assert (calibrated.intrinsics, calibrated.world_T_camera) == (CAMERA, None)
    assert (posed.intrinsics, posed.world_T_camera) == (CAMERA, frames[0].world_T_camera)


# ----------------------------------------------------------------------------------------- what `n3d depth` wrote


def write_predictions(folder: Path, frames: list[TrueFrame], *, scale_source: str = "metric_model") -> Path:
    """The layout of `n3d depth --format npz`."""
    (folder / "arrays").mkdir(parents=True)
    entries = []
    for frame in frames:
        np.savez_compressed(folder / "arrays" / f"{frame.name}.npz", depth_m=frame.depth_m)
        camera = frame.intrinsics
        entries.append(
            {
                "name": frame.name,
                "intrinsics": {key: getattr(camera, key) for key in ("fx", "fy", "cx", "cy", "width", "height")},
                "intrinsics_estimated": False,
                "world_T_camera": {
                    "translation": frame.world_T_camera.translation.tolist(),
                    "orientation_xyzw": frame.world_T_camera.orientation_xyzw.tolist(),
                },
                "pose_source": "estimated",
                "scale_source": scale_source,
            }
        )
    (folder / "cameras.json").write_text(json.dumps({"unit": "m", "frames": entries}))
    return folder


def test_what_was_written_is_read_as_the_estimate(frames: list[TrueFrame], tmp_path: Path) -> None:
    folder = PredictionFolder.open(write_predictions(tmp_path / "out", frames))
    assert folder.has("3") and not folder.has("8")
    estimate = folder.read(["3", "5"])
    assert estimate.is_metric
    np.testing.assert_array_equal(estimate.views[1].depth_m, frames[5].depth_m)
    assert estimate.views[1].intrinsics == CAMERA and estimate.views[1].pose_source is PoseSource.ESTIMATED
    pose = estimate.views[1].world_T_camera
    assert pose is not None and pose.is_close(frames[5].world_T_camera)


def change_entry(folder: Path, number: int, **values: object) -> None:
    path = folder / "cameras.json"
    document = json.loads(path.read_text())
    document["frames"][number].update(values)
    path.write_text(json.dumps(document))


def test_frames_of_another_world_count_as_lost(frames: list[TrueFrame], tmp_path: Path) -> None:
    folder = write_predictions(tmp_path / "out", frames)
    change_entry(folder, 2, segment=1)
    estimate = PredictionFolder.open(folder).read([frame.name for frame in frames])
    assert [view.world_T_camera is None for view in estimate.views].count(True) == 1
    got = evaluate("room", frames, estimate, SETTINGS, with_reconstruction=False)
    assert got.poses is not None and got.poses.auc[30] == pytest.approx(21 / 28)
    assert "1 frames lie in another world" in got.notes[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"world_T_camera": {"translation": [float("nan"), 0, 0], "orientation_xyzw": [0, 0, 0, 1]}}, "finite"),
        ({"world_T_camera": {"translation": [0, 0, 0], "orientation_xyzw": [0, 0, 0, 0]}}, "length 0"),
        ({"intrinsics": {"fx": 1}}, "expected a camera"),
        ({"pose_source": "guessed"}, "guessed"),
        ({"scale_source": "relative"}, "one scale_source"),
    ],
)
def test_a_damaged_camera_is_refused(
    values: dict[str, object], message: str, frames: list[TrueFrame], tmp_path: Path
) -> None:
    folder = write_predictions(tmp_path / "out", frames[:3])
    change_entry(folder, 1, **values)
    with pytest.raises(InputError, match=message):
        PredictionFolder.open(folder).read(["0", "1", "2"])


def test_damaged_or_absent_files_are_refused(frames: list[TrueFrame], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cameras\.json"):
        PredictionFolder.open(tmp_path)
    folder = write_predictions(tmp_path / "out", frames[:2])
    path = folder / "arrays/1.npz"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match=r"1\.npz"):
        PredictionFolder.open(folder).read(["0", "1"])
    for file in (folder / "arrays").iterdir():
        file.unlink()
    with pytest.raises(InputError, match="--format npz"):
        PredictionFolder.open(folder)
