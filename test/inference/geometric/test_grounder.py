"""The grounder's contract: boxes, words, streaming, stopping, refusing."""

from __future__ import annotations

import numpy as np
import pytest

from builders import make_frame
from inference.geometric.raycasting import View, look_at_box_and_cylinder
from n3d_ros.detection import Detection3D
from n3d_ros.errors import CancelledError, GroundingError, QueryError, StatusCode
from n3d_ros.inference.geometric import GeometricConfig
from n3d_ros.inference.grounder import Grounder, GroundingRequest, create_grounder

STAGES = ["point_map", "support", "segments", "regions", "boxes", "attributes"]


@pytest.fixture(scope="module")
def view() -> View:
    return look_at_box_and_cylinder()


@pytest.fixture(scope="module")
def grounder() -> Grounder:
    return create_grounder("geometric")


def test_boxes_lie_where_the_things_are(grounder: Grounder, view: View) -> None:
    result = grounder.ground(view.frame, GroundingRequest())
    by_color = {d.color: d for d in result.detections}
    assert set(by_color) == {"red", "blue"}
    for color, center, size in (
        ("red", (0, 0.16, 0.06), (0.1, 0.14, 0.12)),
        ("blue", (-0.05, -0.12, 0.07), (0.1, 0.1, 0.14)),
    ):
        box = by_color[color].box
        expected = view.rotation @ (np.array(center) - view.eye)
        assert np.linalg.norm(box.center - expected) < 0.01
        assert np.allclose(np.sort(box.size), np.sort(size), atol=0.012)


def test_words_scores_and_masks_describe_the_things(grounder: Grounder, view: View) -> None:
    result = grounder.ground(view.frame, GroundingRequest())
    assert sorted(d.label for d in result.detections) == ["blue cylinder", "red box"]
    for detection in result.detections:
        assert detection.score is not None
        assert detection.mask is not None
        assert detection.mask.sum() == detection.point_count > 1000
        assert detection.uncertainty is not None
    assert [s.kind for s in result.surfaces] == ["table"]
    assert list(result.stage_ms) == STAGES


def test_a_phrase_chooses_by_color_and_shape(grounder: Grounder, view: View) -> None:
    for phrase, labels in (
        ("the red box", ["red box"]),
        ("a mug", ["blue cylinder"]),
        ("blue things", ["blue cylinder"]),
        ("green ball", []),
    ):
        found = grounder.ground(view.frame, GroundingRequest(phrase=phrase))
        assert [d.label for d in found.detections] == labels


def test_an_unknown_thing_is_refused_with_the_words_that_are_known(grounder: Grounder, view: View) -> None:
    with pytest.raises(QueryError, match=r"screwdriver.*Known colours.*cylinder") as caught:
        grounder.ground(view.frame, GroundingRequest(phrase="red screwdriver"))
    assert caught.value.code == StatusCode.NOT_UNDERSTOOD


def test_unknown_describing_words_are_noted(grounder: Grounder, view: View) -> None:
    result = grounder.ground(view.frame, GroundingRequest(phrase="metal box"))
    assert [d.label for d in result.detections] == ["red box"]
    assert any("metal" in note for note in result.notes)


def test_objects_are_streamed_as_they_are_found(grounder: Grounder, view: View) -> None:
    seen: list[Detection3D] = []
    result = grounder.ground(view.frame, GroundingRequest(), on_detection=seen.append)
    assert {id(d) for d in seen} == {id(d) for d in result.detections}


def test_it_stops_between_objects(grounder: Grounder, view: View) -> None:
    seen: list[Detection3D] = []
    with pytest.raises(CancelledError):
        grounder.ground(view.frame, GroundingRequest(), on_detection=seen.append, is_cancelled=lambda: bool(seen))
    assert len(seen) == 1


def test_no_more_objects_than_asked_for(grounder: Grounder, view: View) -> None:
    assert len(grounder.ground(view.frame, GroundingRequest(max_objects=1)).detections) == 1


def test_a_frame_without_depth_is_refused_with_counts(grounder: Grounder) -> None:
    with pytest.raises(GroundingError, match=r"got 0 of 3072 \(0 have depth") as caught:
        grounder.ground(make_frame(depth_m=np.nan), GroundingRequest())
    assert caught.value.code == StatusCode.NO_DEPTH


def test_millimetres_called_metres_are_refused(grounder: Grounder) -> None:
    with pytest.raises(GroundingError, match=r"got 0 of 3072 \(3072 have depth.*millimetres"):
        grounder.ground(make_frame(depth_m=900.0), GroundingRequest())


def test_the_configuration_is_used(view: View) -> None:
    grounder = create_grounder("geometric", GeometricConfig(min_object_px=10_000))
    assert grounder.ground(view.frame, GroundingRequest()).detections == ()
