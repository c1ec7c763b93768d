"""Benchmarks' files, read from small ones made by hand in their layouts; the benchmarks themselves are not here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from builders import make_detection
from model_training.evaluation.benchmark import BenchmarkCases, read_rows
from model_training.evaluation.benchmark_layouts import class_of, layout_of, row_of, value_of
from model_training.evaluation.evaluate import evaluate
from model_training.evaluation.looking import GrounderLooker, TrueBoxes
from model_training.evaluation.report import REPORT_FILE
from model_training.lifting.outlines import runs_of_mask
from n3d_ros.errors import ConfigurationError, InputError
from training.evaluation.grounders_for_evaluation import SpeakingGrounder, ToldGrounder

WIDTH, HEIGHT = 64, 48


def scene(folder: Path, name: str = "room.jpg", *, depth: str = "npz") -> None:
    """A wall 4 m away with something on the left at 2 m and something on the right at 3 m, seen with f = 64 px."""
    cv2.imwrite(str(folder / name), np.full((HEIGHT, WIDTH, 3), 120, np.uint8))
    metres = np.full((HEIGHT, WIDTH), 4.0)
    metres[20:30, 5:25], metres[15:35, 40:60] = 2.0, 3.0
    stem = name.partition(".")[0]
    if depth == "png":
        cv2.imwrite(str(folder / f"{stem}.png"), np.round(metres * 1000).astype(np.uint16))
    elif depth == "npz":
        intr = np.array([[1.0, 0, 0.5], [0, WIDTH / HEIGHT, 0.5], [0, 0, 1]], np.float32)
        v, u = np.mgrid[:HEIGHT, :WIDTH]
        x, y = ((u + 0.5) / WIDTH - 0.5) * metres, ((v + 0.5) / HEIGHT - 0.5) * metres / (WIDTH / HEIGHT)
        pcd = np.stack([-x, -y, metres, np.ones_like(metres)], axis=-1).astype(np.float16)
        np.savez(folder / f"{stem}.npz", pcd=pcd, intr=intr)


def spatialrgpt(number: int, question: str, answer: str, category: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"q{number}",
        "image_info": {"file_path": "room.jpg", "height": HEIGHT, "width": WIDTH},
        "text_q": question,
        "bbox": [[5, 20, 25, 30], [40, 15, 60, 35]],
        "rle": [],
        "conversations": [{"from": "human", "value": "<image>\n..."}, {"from": "gpt", "value": answer}],
        "qa_info": {"type": "qualitative", "category": category},
    } | changes


def written(folder: Path, *rows: Any, name: str = "bench.jsonl") -> Path:
    path = folder / name
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_regions_of_spatialrgpt_are_lifted_and_answered_about(tmp_path: Path) -> None:
    scene(tmp_path)
    file = written(
        tmp_path,
        spatialrgpt(1, "Is Region [0] behind Region [1]?", "No.", "behind_predicate"),
        spatialrgpt(2, "Is Region [0] to the left of Region [1]?", "Correct, it is.", "left_predicate"),
        spatialrgpt(3, "What is the width of Region [0]?", "Region [0] is 2.0 feet wide.", "width_data"),  # 0.61 m
        spatialrgpt(4, "What is the width of Region [0]?", "It is 3 meters.", "width_data"),
        spatialrgpt(5, "Which is wider, Region [0] or Region [1]?", "Region [1] is wider.", "wide_choice"),
        spatialrgpt(6, "If you are at Region [0], where will you find Region [1]?", "2 o'clock.", "direction"),
    )
    figures = evaluate(TrueBoxes(), BenchmarkCases(file), folder=tmp_path / "report").figures
    classes = figures["answers"]["code"]["classes"]
    told = {name: (one["right"], one["judged"]) for name, one in classes.items()}
    # By hand: behind, left, about 0.6 m wide (and not 3), wider; 1.7 m right and 1 m ahead, 300 degrees: 2 o'clock.
    assert told == {
        "front_behind": (1, 1),
        "left_right": (1, 1),
        "width_height": (1, 2),
        "wide_thin": (1, 1),
        "direction": (1, 1),
    }
    assert "## Answers" in (tmp_path / "report" / REPORT_FILE).read_text()
    assert figures["boxes"] == {}


def test_masks_tell_more_than_rectangles(tmp_path: Path) -> None:
    scene(tmp_path)
    masks = [np.zeros((HEIGHT, WIDTH), bool) for _ in range(2)]
    masks[0][20:30, 5:25], masks[1][15:35, 40:60] = True, True
    rle = [{"size": [HEIGHT, WIDTH], "counts": runs_of_mask(mask)} for mask in masks]
    wide = [[0, 0, 64, 48]] * 2
    file = written(tmp_path, spatialrgpt(1, "Is Region [0] behind Region [1]?", "No.", "behind", bbox=wide, rle=rle))
    (case,) = BenchmarkCases(file).cases()
    assert case.record.mask(2) is not None
    assert np.array_equal(case.record.mask(2), masks[1])
    figures = evaluate(TrueBoxes(), BenchmarkCases(file)).figures
    assert figures["answers"]["code"]["all"]["accuracy"] == 1.0


def test_choices_of_cv_bench_are_taken(tmp_path: Path) -> None:
    (tmp_path / "img").mkdir()
    scene(tmp_path / "img")
    row = {
        "idx": 7,
        "type": "3D",
        "task": "Depth",
        "filename": "img/room.jpg",
        "question": "Which object is closer to the camera taking this photo, the chair (highlighted by a red box) or "
        "the lamp (highlighted by a blue box)?",
        "choices": ["chair", "lamp"],
        "answer": "(B)",
    }
    chair, lamp = (make_detection(name, center=(0, 0, z)) for name, z in (("chair", 3.0), ("lamp", 2.0)))
    file = written(tmp_path, row)
    (case,) = BenchmarkCases(file).cases()
    assert "highlighted" not in case.questions[0].record.question
    grounder = SpeakingGrounder(chair, lamp, says="(A)")
    from model_training.evaluation.running import EvaluationConfig

    figures = evaluate(GrounderLooker(grounder), BenchmarkCases(file), EvaluationConfig(answer_mode="both")).figures
    assert figures["answers"]["code"]["classes"]["depth_order"]["accuracy"] == 1.0
    assert figures["answers"]["model"]["classes"]["depth_order"]["accuracy"] == 0.0
    assert [one.question for one in grounder.requests] == [case.questions[0].record.question]  # nothing else was asked


def test_expressions_of_refcoco_are_found_in_the_image(tmp_path: Path) -> None:
    scene(tmp_path)
    # Left, top, width, height; the thing at 2 m spans 20 x 10 px.
    row = {"ref_id": 3, "file_name": "room.jpg", "sentences": [{"sent": "left thing"}], "bbox": [5, 20, 20, 10]}
    plate = make_detection(
        "thing", center=((15 - 32) / 64 * 2, (25 - 24) / 64 * 2, 2.0005), size=(0.625, 0.3125, 0.001)
    )
    grounder = ToldGrounder(phrases={"left thing": (plate,)})
    figures = evaluate(GrounderLooker(grounder), BenchmarkCases(written(tmp_path, row))).figures["words"]["referring"]
    assert figures["projected_iou_mean"] == pytest.approx(1.0, abs=0.01)
    assert figures["projected_offset_mean"] == pytest.approx(0.0, abs=0.005)
    assert figures["iou_mean"] is None  # no true box in space
    assert figures["counts"]["0.25"]["f1"] is None
    corners = row | {"bbox": [5, 20, 25, 30]}
    (case,) = BenchmarkCases(written(tmp_path, corners), layout="refcoco-corners").cases()
    assert case.record.objects[0].box_2d == (5, 20, 25, 30)


@pytest.mark.parametrize("raw", [True, False])
def test_coco_s_own_box_goes_first(raw: bool) -> None:
    box = {"bbox": [1, 2, 3, 4]}
    more = {"raw_anns": json.dumps(box)} if raw else {"ann_info": box}
    row = row_of({"file_name": "a.jpg", "sentences": ["x"], "bbox": [9, 9, 9, 9], **more}, "refcoco", 0)
    assert row.regions == ((1, 2, 4, 6),)


def test_rows_like_n3d_vlm_s_own_name_their_point_map(tmp_path: Path) -> None:
    scene(tmp_path, depth="")
    (tmp_path / "maps").mkdir()
    scene(tmp_path / "maps")
    row = {
        "image_path": "room.jpg",
        "point_cloud": "maps/room.npz",
        "question": "How far is the chair from the camera?",
        "answer": "3.1 meters",
        "type": "2p_distance",
    }
    (case,) = BenchmarkCases(written(tmp_path, row)).cases()
    assert np.nanmax(case.record.depth_m) == pytest.approx(4.0, abs=0.01)
    camera = case.record.intrinsics
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == pytest.approx((64, 64, 31.5, 23.5))
    assert (case.questions[0].record.value, case.questions[0].record.question_class) == ("3.1", "distance")


def test_other_rows_in_the_same_file_are_another_source(tmp_path: Path) -> None:
    before, after = (
        BenchmarkCases(written(tmp_path, spatialrgpt(1, "How wide is Region [0]?", answer, "width_data"))).identity()
        for answer in ("1.2 meters", "1.3 meters")
    )
    assert before != after


@pytest.mark.parametrize("kind", ["png", "npz"])
def test_depth_lies_beside_the_image_or_elsewhere(tmp_path: Path, kind: str) -> None:
    scene(tmp_path, depth="")
    (tmp_path / "depth").mkdir()
    scene(tmp_path / "depth", depth=kind)
    file = written(tmp_path, {"image": "room.jpg", "question": "How many?", "answer": "2"})
    (case,) = BenchmarkCases(file, depth=tmp_path / "depth").cases()
    assert case.record.depth_m[25, 10] == pytest.approx(2.0, abs=0.01)
    (without,) = BenchmarkCases(file).cases()
    assert not without.record.depth_png


def test_rows_that_cannot_be_read_are_counted_by_reason(tmp_path: Path) -> None:
    scene(tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    good = spatialrgpt(1, "Is Region [0] behind Region [1]?", "No.", "behind")
    rows = [
        good,
        good | {"image_info": {"file_path": "gone.jpg"}},
        good | {"image_info": {"file_path": "broken.jpg"}},
        good | {"image_info": {"file_path": "../room.jpg"}},
        good | {"bbox": [[1, 2, 3]]},
        good | {"text_q": "Is Region [9] near?"},
        good | {"conversations": []},
        {"text_q": "only words"},
    ]
    source = BenchmarkCases(written(tmp_path, *rows))
    assert len(list(source.cases())) == 1
    assert sum(source.skipped().values()) == len(rows) - 1
    told = " ".join(source.skipped())
    assert all(word in told for word in ("gone.jpg", "broken.jpg", "../room.jpg", "Row 5", "Row 7"))


@pytest.mark.parametrize(
    ("text", "message"), [("", "none"), ("{nonsense", "line 1"), ("[]", "none"), ("[1, 2]", "none"), ('"x"', "none")]
)
def test_files_without_rows_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        read_rows(tmp_path / "b.json")


def test_a_list_may_lie_in_an_object(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(json.dumps({"version": 1, "questions": [{"a": 1}]}))
    assert read_rows(tmp_path / "b.json") == [{"a": 1}]


def test_an_unknown_layout_names_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cv-bench"):
        layout_of({"a": 1})
    with pytest.raises(ConfigurationError, match="spatialrgpt"):
        BenchmarkCases(written(tmp_path, {"question": "?", "answer": "1"}), layout="other")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("2p_behind_predicate_inverse", "front_behind"),
        ("2p_height_data_meters", "width_height"),
        ("vertical_distance_data", "horizontal_vertical_distance"),
        ("relative distance", "relative_distance"),
        ("left_choice", "left_right"),
        ("depth comparison", "depth_order"),
        ("something new", "something_new"),
    ],
)
def test_classes_are_known_by_parts_of_their_names(name: str, kind: str) -> None:
    assert class_of(name) == kind


@pytest.mark.parametrize(
    ("question", "answer", "kind", "value"),
    [
        ("Is the alpha behind the bravo?", "Incorrect, the alpha is in front.", "front_behind", ("no", "boolean")),
        ("Is the alpha behind the bravo?", "Indeed, it is.", "front_behind", ("yes", "boolean")),
        ("How tall is the alpha?", "The alpha is 6.56 feet tall.", "width_height", ("1.99949", "number")),
        ("How tall is the alpha?", "Quite tall.", "width_height", ("", "none")),
        ("Where is the bravo?", "It is at 10 o'clock.", "direction", ("10", "direction")),
        ("Where is the bravo?", "Over there.", "direction", ("", "none")),
        ("Which is wider?", "The bravo, not the alpha.", "wide_thin", ("bravo", "text")),
        ("Which is wider?", "mug.", "wide_thin", ("mug", "text")),
        ("How many?", "There are 2.", "count", ("2", "count")),
    ],
)
def test_values_are_read_from_true_answers(question: str, answer: str, kind: str, value: tuple[str, str]) -> None:
    assert value_of(question, answer, kind) == value


def test_depth_of_another_form_is_named(tmp_path: Path) -> None:
    scene(tmp_path, depth="")
    np.savez(tmp_path / "room.npz", other=np.zeros(3))
    source = BenchmarkCases(written(tmp_path, {"image": "room.jpg", "question": "How many?", "answer": "2"}))
    assert list(source.cases()) == []
    (reason,) = source.skipped()
    assert "pcd, depth_m or depth, got other" in reason
