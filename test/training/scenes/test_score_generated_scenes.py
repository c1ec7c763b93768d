import importlib.util
import sys

import numpy as np
import pytest

from model_training.scenes import CAMERAS, SceneSpec, generate_frames
from n3d_ros.geometry import Box3D
from n3d_ros.geometry.transforms import matrix_to_quaternion, rotation_about_axis


@pytest.fixture(scope="module")
def scorer(repository):
    path = repository / "benchmarks" / "score_generated_scenes.py"
    spec = importlib.util.spec_from_file_location("score_generated_scenes", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def frames(renderer):
    found = []
    for seed in range(4):
        found += generate_frames(SceneSpec(seed=seed, camera=CAMERAS["small"], views=2), renderer)
    return found


def scored(scorer, frames, change=lambda box, _truth, _frame: [box]):
    scores = scorer.Scores()
    for frame in frames:
        boxes = [b for t in frame.truth if t.role == "object" for b in change(t.box_camera, t, frame)]
        scorer.score_frame(scores, frame, boxes, min_pixels=30)
    return scorer.summary(scores)


def turned(box: Box3D, up: np.ndarray, degrees: float) -> Box3D:
    rotation = rotation_about_axis(up, np.radians(degrees)) @ box.rotation
    return Box3D(center=box.center, size=box.size, orientation_xyzw=matrix_to_quaternion(rotation))


def test_the_truth_scores_perfectly(scorer, frames):
    figures = scored(scorer, frames)
    assert figures["objects"] >= 8
    assert figures["precision_0.5"] == figures["recall_0.5"] == 1.0
    assert figures["center_m"]["p90"] == pytest.approx(0, abs=1e-9)
    assert figures["size_m"]["p90"] == pytest.approx(0, abs=1e-9)
    assert figures["yaw_rad"]["p90"] == pytest.approx(0, abs=1e-4)
    assert figures["mean_iou"] == pytest.approx(1.0, abs=1e-3)


def test_a_known_shift_and_growth_are_measured(scorer, frames):
    def change(box, truth, frame):
        shifted = box.center + np.array([0.003, 0.0, 0.004])
        return [Box3D(center=shifted, size=box.size + 0.006, orientation_xyzw=box.orientation_xyzw)]

    figures = scored(scorer, frames, change)
    assert figures["center_m"]["median"] == pytest.approx(0.005, abs=1e-6)
    assert figures["size_m"]["median"] == pytest.approx(0.006, abs=1e-6)


def test_a_known_turn_is_measured_and_half_turns_and_swapped_axes_do_not_count(scorer, frames):
    by_five = scored(scorer, frames, lambda box, _, frame: [turned(box, frame.up_camera, 5.0)])
    assert by_five["yaw_rad"]["median"] == pytest.approx(np.radians(5.0), abs=1e-4)
    by_half = scored(scorer, frames, lambda box, _, frame: [turned(box, frame.up_camera, 180.0)])
    assert by_half["yaw_rad"]["p90"] == pytest.approx(0.0, abs=1e-3)

    def relabelled(box, truth, frame):
        axes = np.stack([box.rotation[:, 1], -box.rotation[:, 0], box.rotation[:, 2]], axis=1)
        size = box.size[[1, 0, 2]]
        return [Box3D(center=box.center, size=size, orientation_xyzw=matrix_to_quaternion(axes))]

    same = scored(scorer, frames, relabelled)
    assert same["yaw_rad"]["p90"] == pytest.approx(0.0, abs=1e-3)
    assert same["size_m"]["p90"] == pytest.approx(0.0, abs=1e-9)


def test_the_yaw_of_round_objects_does_not_cost_overlap(scorer, frames):
    round_only = {"can", "jar", "bottle", "cup", "bowl", "vase"}

    def change(box, truth, frame):
        standing = truth.category in round_only and truth.upright
        return [turned(box, frame.up_camera, 45.0)] if standing else [box]

    assert scored(scorer, frames, change)["mean_iou"] == pytest.approx(1.0, abs=0.03)


def test_a_box_on_nothing_costs_precision_and_a_missing_one_recall(scorer, frames):
    truth_only = scored(scorer, frames)

    def with_false_alarm(box, truth, frame):
        far = Box3D(center=box.center + frame.up_camera * 0.8, size=box.size, orientation_xyzw=box.orientation_xyzw)
        return [box, far]

    noisy = scored(scorer, frames, with_false_alarm)
    assert noisy["recall_0.5"] == 1.0 and noisy["precision_0.5"] < 0.9
    empty = scored(scorer, frames, lambda *_: [])
    assert empty["recall_0.25"] == 0.0 and empty["precision_0.25"] is None
    assert empty["objects"] == truth_only["objects"]


def test_boxes_on_the_table_itself_are_neither_asked_for_nor_held_against(scorer, frames):
    scores = scorer.Scores()
    for frame in frames:
        tables = [t.box_camera for t in frame.truth if t.category == "table"]
        scorer.score_frame(scores, frame, tables, min_pixels=30)
    assert scores.predictions == 0 and scores.ignored == len(frames)
