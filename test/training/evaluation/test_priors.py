"""The guess from what is usual, measured by hand."""

from __future__ import annotations

import pytest

from builders import make_frame
from model_training.evaluation.priors import PriorsGrounder, measure_priors
from n3d_ros.errors import InputError
from n3d_ros.inference.grounder import GroundingRequest
from training.evaluation.frames_for_evaluation import cube, frame_record, thing


def test_classes_are_counted_and_their_boxes_averaged() -> None:
    records = [
        frame_record(thing(1, "mug", cube(0, 0, 1, 0.1)), thing(2, "box", cube(1, 0, 2))),
        frame_record(thing(1, "mug", cube(0, 1, 3, 0.3)), name="frame-2"),
    ]
    priors = measure_priors(records)
    assert (priors.frames, priors.objects_per_frame) == (2, 1.5)
    assert [(one.label, one.per_frame) for one in priors.classes] == [("mug", 1.0), ("box", 0.5)]
    assert priors.classes[0].box.center == pytest.approx([0, 0.5, 2])
    assert priors.classes[0].box.size == pytest.approx([0.2, 0.2, 0.2])


def test_as_many_are_guessed_as_there_usually_are() -> None:
    many = [frame_record(*(thing(k, name, cube(0, 0, 2)) for k, name in enumerate("abc", start=1)))]
    grounder = PriorsGrounder(measure_priors([*many, frame_record(thing(1, "a", cube(0, 0, 2)), name="frame-2")]))
    result = grounder.ground(make_frame(), GroundingRequest())
    assert [one.label for one in result.detections] == ["a", "b"]  # 4 objects in 2 frames
    assert [one.score for one in result.detections] == [1.0, 0.5]


def test_words_are_guessed_by_their_class() -> None:
    records = [frame_record(thing(1, "mug", cube(0, 0, 1)), thing(2, "box", cube(1, 0, 2)))]
    grounder = PriorsGrounder(measure_priors(records))
    (box,) = grounder.ground(make_frame(), GroundingRequest(phrase="boxes")).detections
    assert box.box.center == pytest.approx([1, 0, 2])


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(InputError, match="got 1 frames without"):
        measure_priors([frame_record()])
