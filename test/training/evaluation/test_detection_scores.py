"""Frames counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from model_training.evaluation.asked import AskedFor, asked_objects, band_order, distance_band, same_class, size_band
from model_training.evaluation.counts import Counts
from model_training.evaluation.detection import ANY_CLASS, BY_CLASS, DetectionScores
from n3d_ros.errors import ConfigurationError
from n3d_ros.geometry.boxes import Box3D
from training.evaluation.frames_for_evaluation import CAMERA, cube, found, frame_record, question, thing, turned


def test_two_of_three_objects_found_with_one_false_alarm() -> None:
    objects = [thing(1, "mug", cube(0, 0, 2)), thing(2, "box", cube(1, 0, 2)), thing(3, "ball", cube(-1, 0, 2))]
    boxes = [found("mug", cube(0, 0, 2)), found("cup", cube(1, 0, 2)), found("box", cube(0, 1, 2))]
    scores = DetectionScores("visible")
    f1 = scores.add(frame_record(*objects), boxes, objects, ())
    by_class, any_class = scores.counts[BY_CLASS, 0.25].total, scores.counts[ANY_CLASS, 0.25].total
    assert by_class == Counts(truths=3, found=3, hits=1)
    assert any_class == Counts(truths=3, found=3, hits=2)
    assert (any_class.precision, any_class.recall, any_class.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert f1 == pytest.approx(2 / 3)
    per_class = scores.groups[BY_CLASS, "class"].groups
    assert per_class["mug"] == Counts(truths=1, found=1, hits=1)
    assert per_class["box"] == Counts(truths=1, found=1)
    assert per_class["cup"] == Counts(found=1)
    assert per_class["ball"] == Counts(truths=1)


def test_a_shift_by_half_passes_the_lower_level_alone() -> None:
    truth = thing(1, "mug", cube(0, 0, 2, 1.0))
    scores = DetectionScores("aligned")
    scores.add(frame_record(truth), [found("mug", cube(0.5, 0, 2, 1.0))], [truth], ())  # IoU 1/3
    assert [scores.counts[BY_CLASS, level].total.hits for level in (0.25, 0.5)] == [1, 0]
    assert scores.errors.iou == pytest.approx([1 / 3])
    assert scores.errors.offset_m == pytest.approx([0.5])


def test_the_seen_part_and_the_whole_are_counted_apart() -> None:
    whole, seen = cube(0, 0, 2, 1.0), Box3D.axis_aligned((0.4, 0, 2), (0.2, 1, 1))
    truth = thing(1, "box", whole, visible_box=seen)
    box = found("box", whole, visible_box=seen)
    for measure in ("visible", "aligned", "oriented"):
        scores = DetectionScores(measure)
        scores.add(frame_record(truth), [box], [truth], ())
        assert scores.errors.iou == pytest.approx([1.0]), measure
    scores = DetectionScores("visible")
    scores.add(frame_record(truth), [found("box", whole)], [truth], ())
    assert scores.counts[BY_CLASS, 0.25].total.hits == 0  # IoU 0.2


def test_an_object_whose_box_is_not_known_counts_neither_way() -> None:
    truth = thing(1, "box", visible_box=cube(0, 0, 2))
    scores = DetectionScores("oriented")
    scores.add(frame_record(truth), [found("box", cube(0, 0, 2))], [truth], ())
    assert scores.counts[BY_CLASS, 0.25].total == Counts()
    assert scores.counts[BY_CLASS, 0.25].total.f1 is None
    assert (scores.unmeasured, scores.ignored) == (1, 1)


def test_a_box_on_something_not_asked_for_is_no_false_alarm() -> None:
    mug, table = thing(1, "mug", cube(0, 0, 2)), thing(2, "table", cube(0, 1, 2, 1.0), role="furniture")
    boxes = [found("mug", cube(0, 0, 2)), found("desk", cube(0, 1, 2, 0.9)), found("leg", cube(0.4, 1.4, 2, 0.1))]
    scores = DetectionScores("visible")
    scores.add(frame_record(mug, table), boxes, [mug], [table])
    assert scores.counts[BY_CLASS, 0.25].total == Counts(truths=1, found=1, hits=1)
    assert scores.ignored == 2


def test_a_second_box_on_the_same_object_is_a_false_alarm() -> None:
    mug = thing(1, "mug", cube(0, 0, 2))
    scores = DetectionScores("visible")
    scores.add(frame_record(mug), [found("mug", cube(0, 0, 2), 0.5), found("mug", cube(0.02, 0, 2), 0.9)], [mug], ())
    assert scores.counts[BY_CLASS, 0.25].total == Counts(truths=1, found=2, hits=1)


def test_a_turned_can_counts_as_found_in_its_own_orientation() -> None:
    can = thing(1, "can", cube(0, 0, 2, 1.0), symmetry="round")
    scores = DetectionScores("oriented")
    scores.add(frame_record(can), [found("can", turned(cube(0, 0, 2, 1.0), math.pi / 4))], [can], ())
    assert scores.errors.iou == pytest.approx([1.0])


def test_points_decide_where_every_pixel_is_known() -> None:
    labels = np.zeros((CAMERA.height, CAMERA.width), np.uint16)
    labels[30:50, 40:60] = 7  # 20 x 20 px at 2 m: 0.4 m
    truth = thing(7, "object", box_2d=(40, 30, 60, 50))
    record = frame_record(truth, labels=labels)
    whole = Box3D.axis_aligned((0, 0, 2), (0.396, 0.396, 0.1))
    half = Box3D.axis_aligned((-0.1, 0, 2), (0.198, 0.396, 0.1))
    for box, overlap in ((whole, 1.0), (half, 0.5)):
        scores = DetectionScores("points")
        scores.add(record, [found("object", box)], [truth], ())
        assert scores.errors.iou == pytest.approx([overlap])
        assert scores.counts[BY_CLASS, 0.5].total == Counts(truths=1, found=1, hits=1)


def test_the_extent_in_the_image_is_compared_with_the_true_rectangle() -> None:
    truth = thing(1, "plate", Box3D.axis_aligned((0.1, 0.0, 1.0005), (0.2, 0.1, 0.001)), box_2d=(60, 35, 80, 45))
    scores = DetectionScores("visible")
    assert truth.box is not None
    scores.add(frame_record(truth), [found("plate", truth.box)], [truth], ())
    assert scores.errors.projected_iou == pytest.approx([1 / 3])  # seen 50 to 70, truth 60 to 80
    assert scores.errors.projected_offset == pytest.approx([0.1])


def test_figures_tell_missing_objects_from_inexact_ones() -> None:
    mug, box = thing(1, "mug", cube(0, 0, 2)), thing(2, "box", cube(1, 0, 2))
    scores = DetectionScores("visible")
    scores.add(frame_record(mug, box), [found("mug", cube(0, 0, 2))], [mug, box], ())
    figures = scores.to_dict()["errors"]
    assert figures["iou_mean"] == pytest.approx(1.0)
    assert figures["iou_mean_of_asked"] == pytest.approx(0.5)


def test_scores_are_judged_by_class_at_the_lower_level() -> None:
    mug = thing(1, "mug", cube(0, 0, 2))
    scores = DetectionScores("visible")
    scores.add(frame_record(mug), [found("mug", cube(0, 0, 2), 0.75), found("box", cube(1, 0, 2), 0.25)], [mug], ())
    calibration = scores.calibration(BY_CLASS)
    assert (calibration.boxes, calibration.correct) == (2, 1)
    assert calibration.ece == pytest.approx(0.25)


def test_nothing_asked_and_nothing_found_says_nothing() -> None:
    scores = DetectionScores("visible")
    assert scores.add(frame_record(), [], (), ()) is None
    figures = scores.to_dict()
    assert figures["counts"][BY_CLASS]["0.25"]["f1"] is None
    assert figures["errors"]["iou_mean"] is None
    assert figures["calibration"][BY_CLASS]["ece"] is None


def test_the_detection_question_says_what_is_asked_for() -> None:
    mug, box = thing(1, "mug", cube(0, 0, 2)), thing(2, "box", cube(1, 0, 2), visible_fraction=0.05)
    record = frame_record(mug, box)
    asks_for_box = question(1, "", "", kind="detection", object_ids=(2,), value_type="none")
    assert asked_objects(record, [asks_for_box], AskedFor()) == ((box,), (mug,))
    assert asked_objects(record, [], AskedFor()) == ((mug,), (box,))


def test_hardly_visible_things_and_furniture_may_count_neither_way() -> None:
    small, table = thing(1, "mug", cube(0, 0, 2), visible_pixels=20), thing(2, "table", cube(1, 0, 2), role="furniture")
    record = frame_record(small, table)
    assert asked_objects(record, [], AskedFor()) == ((table,), (small,))
    assert asked_objects(record, [], AskedFor(ignore_furniture=True, min_pixels=0)) == ((small,), (table,))
    asks_for_both = question(1, "", "", kind="detection", object_ids=(1, 2), value_type="none")
    assert asked_objects(record, [asks_for_both], AskedFor(ignore_furniture=True)) == ((small,), (table,))
    with pytest.raises(ConfigurationError, match="min_visible"):
        AskedFor(min_visible=2.0)


def test_bands_are_named_by_their_ends() -> None:
    assert distance_band(cube(0, 0, 1.0)) == "1 to 2 m"
    assert distance_band(cube(3, 0, 4.0)) == "4 m and more"
    assert size_band(Box3D.axis_aligned((0, 0, 1), (0.01, 0.2, 0.1))) == "0.1 to 0.25 m"
    assert band_order((1.0, 2.0, 4.0)) == ["below 1 m", "1 to 2 m", "2 to 4 m", "4 m and more"]


def test_classes_are_told_apart_by_words_and_not_by_number() -> None:
    assert same_class("Coffee  mugs", "coffee mug")
    assert same_class("the red mug", "Red mug")
    assert not same_class("mug", "coffee mug")
