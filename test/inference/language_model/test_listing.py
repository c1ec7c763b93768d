"""A list of boxes while it is written: lines, repetitions, limits, notes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from inference.geometric.raycasting import Box, look_at
from n3d_ros.codec.frame_input import encode_frame
from n3d_ros.codec.model_input import DecodeContext
from n3d_ros.detection import Detection3D
from n3d_ros.inference.language_model.box_stream import MAX_OPEN_BYTES, BoxStream
from n3d_ros.inference.language_model.calibration import DEFAULT_CALIBRATION
from n3d_ros.inference.language_model.config import LanguageModelConfig
from n3d_ros.inference.language_model.listing import BoxListing
from n3d_ros.inference.language_model.measured import MeasuredFrame, measure_frame
from n3d_ros.inference.language_model.scores import TokenEvidence
from n3d_ros.inference.timing import Stages

MUG = "Bbox(mug,512,300,410,500,80,120,75)"
FAR_MUG = "Bbox(mug,812,300,410,500,80,120,75)"
BOWL = "Bbox(bowl,512,300,410,500,80,120,75)"


@pytest.fixture(scope="module")
def scene() -> tuple[MeasuredFrame, DecodeContext]:
    view = look_at([Box(at=(0, 0.16, 0), size=(0.1, 0.14, 0.12))])
    return measure_frame(view.frame, view.up), encode_frame(view.frame)[1]


@pytest.fixture
def seen() -> list[Detection3D]:
    return []


def pieces(text: str, size: int = 3) -> Iterator[TokenEvidence]:
    """A text in tokens of a few bytes, each quite sure."""
    whole = text.encode()
    for start in range(0, len(whole), size):
        yield TokenEvidence(piece=whole[start : start + size], log_prob=-0.01)


def listed(
    scene: tuple[MeasuredFrame, DecodeContext],
    text: str,
    *,
    complete: bool = True,
    max_objects: int = 64,
    **changes: object,
) -> BoxListing:
    """A listing that has taken a text."""
    config = LanguageModelConfig(**{"refine": False, **changes})  # type: ignore[arg-type]
    listing = BoxListing(
        config, scene[1], lambda: scene[0], DEFAULT_CALIBRATION, max_objects=max_objects, stages=Stages()
    )
    listing.add(pieces(text))
    listing.finish(complete=complete)
    return listing


def lines(*boxes: str) -> str:
    return "".join(f"bbox_{index}={box}\n" for index, box in enumerate(boxes))


def test_a_box_comes_when_its_line_ends_and_not_before(
    scene: tuple[MeasuredFrame, DecodeContext], seen: list[Detection3D]
) -> None:
    listing = BoxListing(
        LanguageModelConfig(refine=False), scene[1], lambda: scene[0], DEFAULT_CALIBRATION, max_objects=9,
        stages=Stages(), on_detection=seen.append,
    )  # fmt: skip
    counts = []
    for token in pieces(lines(MUG, FAR_MUG), size=1):
        listing.add([token])
        counts.append(len(seen))
    first = len(lines(MUG)) - 1
    assert counts[first - 1 : first + 1] == [0, 1]
    assert counts[-2:] == [1, 2]
    assert [found.detection for found in listing.found] == seen


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_how_text_is_cut_into_tokens_changes_no_box(size: int) -> None:
    stream = BoxStream()
    text = lines(MUG, "Bbox(杯, red,1,2,3,500,4,5,6)", BOWL)
    found = stream.add(pieces(text, size))
    assert [box.parsed.code.label for box in found] == ["mug", "杯, red", "bowl"]
    assert all(math.isfinite(box.evidence.digits) for box in found)
    assert not stream.rejected


def test_a_last_line_without_newline_counts_when_the_model_ended(scene: tuple[MeasuredFrame, DecodeContext]) -> None:
    text = lines(MUG, BOWL).rstrip("\n")
    assert len(listed(scene, text).found) == 2
    assert len(listed(scene, text, complete=False).found) == 1


def test_lines_that_cannot_be_read_are_told(scene: tuple[MeasuredFrame, DecodeContext]) -> None:
    listing = listed(scene, "hello\n" + lines(MUG) + "bbox_1=Bbox(mug,1,2)\n\n")
    assert [found.detection.label for found in listing.found] == ["mug"]
    assert len(listing.notes) == 1
    assert "2 lines of the answer could not be read" in listing.notes[0]
    assert "'hello'" in listing.notes[0]


def test_a_line_without_end_takes_no_memory() -> None:
    stream = BoxStream()
    stream.add(TokenEvidence(piece=b"x" * 1000, log_prob=0.0) for _ in range(1000))
    assert stream._size <= MAX_OPEN_BYTES + 1000


def test_the_same_box_again_is_left_out(scene: tuple[MeasuredFrame, DecodeContext]) -> None:
    listing = listed(scene, lines(MUG, MUG.replace("mug", "Mug"), BOWL, FAR_MUG))
    assert [found.detection.label for found in listing.found] == ["mug", "bowl", "mug"]
    assert listing.stop_reason is None
    assert "1 box named again" in listing.notes[0]


def test_a_model_that_repeats_itself_is_stopped(scene: tuple[MeasuredFrame, DecodeContext]) -> None:
    listing = listed(scene, lines(MUG, MUG, MUG, FAR_MUG, MUG), max_repeats=2)
    assert len(listing.found) == 1
    assert listing.stop_reason is not None and "repeated itself" in listing.stop_reason
    assert len(listed(scene, lines(MUG, MUG, MUG, FAR_MUG), max_repeats=0).found) == 2


def test_the_list_ends_at_the_number_asked_for(scene: tuple[MeasuredFrame, DecodeContext]) -> None:
    listing = listed(scene, lines(MUG, BOWL, FAR_MUG), max_objects=2)
    assert len(listing.found) == 2
    assert listing.stop_reason is not None and "2 objects" in listing.stop_reason


def test_boxes_at_an_end_of_the_code_are_told(scene: tuple[MeasuredFrame, DecodeContext]) -> None:
    listing = listed(scene, lines("Bbox(sofa,512,300,999,500,999,120,75)"))
    (note,) = listing.notes
    assert note.startswith("sofa: at an end of the depth that can be expressed, the width that can be expressed")
    assert f"{scene[1].max_depth_m:.2f} m" in note


def test_doubtful_boxes_can_be_left_out(scene: tuple[MeasuredFrame, DecodeContext]) -> None:
    assert len(listed(scene, lines(MUG), min_score=0.1).found) == 1
    listing = listed(scene, lines(MUG), min_score=1.0)
    assert not listing.found
    assert "below min_score" in listing.notes[0]


def test_raw_and_refined_boxes_stay_side_by_side(scene: tuple[MeasuredFrame, DecodeContext]) -> None:
    listing = listed(scene, lines(MUG, FAR_MUG, BOWL), refine=True)
    scores = [found.detection.score for found in listing.best_first]
    assert scores == sorted(scores, reverse=True, key=lambda score: score or 0.0)
    for found in listing.best_first:
        assert found.raw.label == found.detection.label
        assert found.raw.score == found.detection.score
        assert found.detection.support_ratio is not None
    assert np.isfinite([found.detection.score for found in listing.found]).all()


def test_a_name_as_long_as_a_name_can_be_is_noted_as_perhaps_cut_off(
    scene: tuple[MeasuredFrame, DecodeContext],
) -> None:
    long_name = "mug " * 64
    listing = listed(scene, f"bbox_0={MUG.replace('mug', long_name.strip() + 's')}\nbbox_1={FAR_MUG}\n")
    assert [note for note in listing.notes if "cut off" in note] == ["1 name may be cut off: as long as a name can be."]
