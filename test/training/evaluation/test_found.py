"""What a grounder's result amounts to, and that it survives being written."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from builders import make_detection, make_frame
from model_training.evaluation.found import Found, FoundObject, found_of
from n3d_ros.detection import Detection3D
from n3d_ros.errors import InputError
from n3d_ros.inference.grounder import GroundingResult
from training.evaluation.frames_for_evaluation import cube, found


def broken(detection: Detection3D, name: str, value: Any) -> Detection3D:
    """A detection whose box bypassed its own checks, as one of a foreign grounder may."""
    object.__setattr__(detection.box, name, np.asarray(value, dtype=np.float64))
    return detection


def test_what_is_seen_is_what_the_model_wrote_and_nothing_fitted() -> None:
    raw = make_detection("mug", center=(0, 0, 1.9), mask=np.ones(make_frame().depth_m.shape, bool))
    looked = found_of(GroundingResult(detections=(raw,), raw_detections=(raw,)), make_frame(), 12.0)
    assert looked.objects[0].visible_box.center == pytest.approx([0, 0, 1.9])


def test_of_a_fitted_box_it_is_what_was_measured_and_without_a_mask_what_the_model_wrote() -> None:
    refined, raw = make_detection("mug", center=(0, 0, 2), score=0.7), make_detection("mug", center=(0, 0, 1.9))
    looked = found_of(GroundingResult(detections=(refined,), raw_detections=(raw,)), make_frame(), 12.0)
    assert looked.objects[0].visible_box.center == pytest.approx([0, 0, 1.9])
    assert looked.objects[0].box.center == pytest.approx([0, 0, 2])
    masked = replace(refined, mask=np.ones(make_frame().depth_m.shape, bool))
    depth = np.full_like(make_frame().depth_m, 2.0)
    depth[::2] = 2.1
    with_mask = found_of(GroundingResult(detections=(masked,), raw_detections=(raw,)), make_frame(depth_m=depth), 1.0)
    box = with_mask.objects[0].visible_box
    assert box.center[2] == pytest.approx(2.05, abs=0.01)
    assert (looked.objects[0].score, looked.ms, looked.rejected) == (0.7, 12.0, 0)


def test_without_that_it_is_the_box_around_the_points_of_the_mask() -> None:
    frame = make_frame(depth_m=1.0)
    mask = np.zeros(frame.depth_m.shape, bool)
    mask[10:30, 20:50] = True
    depth = frame.depth_m.copy()
    depth[10:30, 20:50] = np.linspace(1.0, 1.5, 600, dtype=np.float32).reshape(20, 30)
    mask[40:44, 20:50] = True  # behind it, across its border
    depth[40:44] = 4.0
    around = make_detection(mask=mask, center=(0, 0, 1.25), size=(2, 2, 0.6))
    looked = found_of(GroundingResult(detections=(around,)), make_frame(depth_m=depth), 1.0)
    box = looked.objects[0].visible_box
    assert box.center[2] == pytest.approx(1.25, abs=0.01)
    assert box.size[2] == pytest.approx(0.49, abs=0.01)  # 98 % of half a metre


def test_without_a_mask_it_is_the_hull() -> None:
    turned = make_detection(center=(0, 0, 2), size=(1, 1, 1), angle_rad=np.pi / 4)
    looked = found_of(GroundingResult(detections=(turned,)), make_frame(), 1.0)
    assert looked.objects[0].visible_box.size == pytest.approx([2**0.5, 2**0.5, 1])


@pytest.mark.parametrize(
    ("name", "value"), [("center", (np.nan, 0, 1)), ("size", (0, 1, 1)), ("size", (1, -1, 1)), ("size", (np.inf, 1, 1))]
)
def test_boxes_without_place_or_extent_are_counted_and_left_out(name: str, value: tuple[float, ...]) -> None:
    bad = broken(make_detection("ghost"), name, value)
    looked = found_of(GroundingResult(detections=(bad, make_detection("mug"))), make_frame(), 1.0)
    assert [one.label for one in looked.objects] == ["mug"]
    assert looked.rejected == 1


def test_lines_that_a_model_wrote_in_vain_are_counted() -> None:
    looked = found_of(GroundingResult(detections=(), counts={"rejected_lines": 3.0}), make_frame(), 1.0)
    assert looked.rejected == 3


def test_what_was_found_comes_back_from_json() -> None:
    first = Found(
        objects=(found("mug", cube(1, 2, 3), 0.25, color="red", shape="cylinder", visible_box=cube(1, 2, 2.9)),),
        rejected=2,
        ms=3.5,
        problem="",
    )
    again = Found.from_dict(json.loads(json.dumps(first.to_dict())))
    assert again.to_dict() == first.to_dict()
    assert again.objects[0].visible_box.center == pytest.approx([1, 2, 2.9])


@pytest.mark.parametrize("change", [{"box": None}, {"box": {"center": [0, 0, 1]}}, {"score": "high"}])
def test_a_damaged_line_is_named(change: dict[str, Any]) -> None:
    values = found("mug", cube(0, 0, 1)).to_dict() | change
    with pytest.raises(InputError, match="wrong or missing"):
        FoundObject.from_dict(values)
