"""Boxes for words, placed by hand: which belongs to which object, and how far off what missed is."""

from __future__ import annotations

from typing import Any

import pytest

from model_training.evaluation.words import WordScores
from training.evaluation.frames_for_evaluation import cube, found, frame_record, thing

BASKET, CLOCK = thing(1, "basket", cube(-0.5, 0, 2)), thing(2, "clock", cube(0.5, 0, 2))


def figures(*objects: Any, **options: Any) -> Any:
    scores = WordScores()
    scores.add(frame_record(BASKET, CLOCK), objects, (BASKET, CLOCK), refused=False, **options)
    return scores.to_dict()


def test_what_is_called_by_the_words_for_another_object_is_not_this_one() -> None:
    swapped = found("Clocks", cube(-0.5, 0, 2)), found("the basket", cube(0.5, 0, 2))
    meant = {1: "basket", 2: "clock"}
    assert figures(*swapped)["counts"]["0.5"]["hits"] == 2
    assert figures(*swapped, meant=meant)["counts"]["0.5"]["hits"] == 0
    assert figures(*swapped, meant=meant)["iou_mean"] == 0.0
    other = found("wicker thing", cube(-0.5, 0, 2)), found("clock", cube(0.5, 0, 2))
    assert figures(*other, meant=meant)["counts"]["0.5"]["hits"] == 2


def test_what_missed_is_off_by_the_way_to_the_nearest() -> None:
    beside = found("clock", cube(0.8, 0, 2)), found("basket", cube(-0.8, 0, 2))  # in another order than the objects
    told = figures(*beside)
    assert told["iou_mean"] == 0.0
    assert told["offset_m_mean"] == pytest.approx(0.3)
