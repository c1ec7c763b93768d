"""Real frames whose every pixel's object is known: read from small files, and scored as the independent scorer does."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from builders import make_detection
from model_training.evaluation.evaluate import evaluate
from model_training.evaluation.looking import GrounderLooker, TrueBoxes
from model_training.evaluation.osd import OsdCases, frame_names, osd_record
from model_training.evaluation.report import REPORT_FILE
from n3d_ros.errors import ConfigurationError, InputError
from n3d_ros.inference.grounder import create_grounder
from training.evaluation.grounders_for_evaluation import ToldGrounder


def write_frame(folder: Path, name: str, *, object_at_m: float = 1.0) -> None:
    """A table 1.2 m away with one thing of 20 x 30 px, and one too small to be asked for."""
    depth, labels = np.full((48, 64), 1200, np.uint16), np.ones((48, 64), np.uint8)
    depth[10:30, 20:50], labels[10:30, 20:50] = round(1000 * object_at_m), 2
    depth[40:44, 5:9], labels[40:44, 5:9] = 1100, 3
    depth[:5], labels[:5] = 0, 0
    cv2.imwrite(str(folder / f"{name}_color.png"), np.full((48, 64, 3), 90, np.uint8))
    cv2.imwrite(str(folder / f"{name}_depth.png"), depth)
    cv2.imwrite(str(folder / f"{name}_label.png"), labels)


def test_a_frame_holds_the_objects_that_are_large_enough(tmp_path: Path) -> None:
    write_frame(tmp_path, "learn3")
    record = osd_record(tmp_path, "learn3", focal_px=60.0)
    (one,) = record.objects
    assert (one.id, one.box_2d, one.visible_pixels) == (2, (20.0, 10.0, 50.0, 30.0), 600)
    assert one.visible_box is not None
    assert one.visible_box.center[2] == pytest.approx(1.0)
    assert one.visible_box.size[0] == pytest.approx(29 / 60)  # from centre to centre of the first and last pixel
    assert record.depth_m[20, 30] == pytest.approx(1.0)
    assert np.isnan(record.depth_m[0, 0])


def test_frames_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("learn10", "learn2"):
        write_frame(tmp_path, name)
    assert frame_names(tmp_path) == ("learn2", "learn10")
    with pytest.raises(ConfigurationError, match="none there"):
        frame_names(tmp_path / "elsewhere")


def test_a_frame_with_a_missing_or_broken_file_is_counted_and_left_out(tmp_path: Path) -> None:
    for name in ("learn1", "learn2", "learn3"):
        write_frame(tmp_path, name)
    (tmp_path / "learn1_label.png").unlink()
    (tmp_path / "learn2_depth.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="learn1_label"):
        osd_record(tmp_path, "learn1")
    figures = evaluate(GrounderLooker(ToldGrounder()), OsdCases(tmp_path)).figures
    assert figures["frames"] == 1
    assert sum(figures["skipped"].values()) == 2


def test_other_frames_of_the_same_names_are_another_source(tmp_path: Path) -> None:
    write_frame(tmp_path, "learn1")
    before = OsdCases(tmp_path).identity()
    assert OsdCases(tmp_path).identity() == before
    write_frame(tmp_path, "learn1", object_at_m=0.9)
    assert OsdCases(tmp_path).identity() != before


def test_boxes_are_scored_by_points(tmp_path: Path) -> None:
    write_frame(tmp_path, "learn3")
    around = make_detection("thing", center=(0.05, -0.06, 1.0), size=(0.6, 0.5, 0.1))
    figures = evaluate(GrounderLooker(ToldGrounder(around)), OsdCases(tmp_path, focal_px=60.0), folder=tmp_path / "r")
    counts = figures.figures["boxes"]["points"]["counts"]["class-agnostic"]
    assert (counts["0.5"]["hits"], counts["0.5"]["truths"], counts["0.5"]["found"]) == (1, 1, 1)
    text = (tmp_path / "r" / REPORT_FILE).read_text()
    assert "points, class-agnostic" in text
    assert "class-aware |" not in text  # everything is called "object"


def test_true_boxes_of_what_is_seen_are_perfect(tmp_path: Path) -> None:
    write_frame(tmp_path, "learn3")
    figures = evaluate(TrueBoxes(), OsdCases(tmp_path)).figures
    assert figures["boxes"]["visible"]["counts"]["class-agnostic"]["0.5"]["f1"] == 1.0
    assert figures["boxes"]["points"]["counts"]["class-agnostic"]["0.5"]["f1"] == 1.0


def test_figures_are_those_of_the_independent_scorer(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("learn2", "learn28", "learn37"):
        for kind in ("color", "depth", "label"):
            file = f"{name}_{kind}.png"
            (tmp_path / file).write_bytes((shared_data / "realdata" / "osd" / file).read_bytes())
    out = tmp_path / "report"
    figures = evaluate(GrounderLooker(create_grounder("geometric")), OsdCases(tmp_path), folder=out).figures
    lines = [json.loads(line) for line in (out / "found.jsonl").read_text().splitlines()]
    boxes = {line["frame"]: [one["box"] for one in line["found"]["objects"]] for line in lines}
    boxes["learn2"] = boxes["learn2"][1:]  # so that not all is well
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    spec = importlib.util.spec_from_file_location("scorer", shared_data / "tools" / "score_osd.py")
    assert spec is not None
    assert spec.loader is not None
    scorer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scorer)
    monkeypatch.setattr("sys.argv", ["score", str(tmp_path / "boxes.json"), "--frames", str(tmp_path)])
    scorer.main()
    theirs = capsys.readouterr().out.splitlines()[1]  # at 0.5
    ours = figures["boxes"]["points"]["counts"]["class-agnostic"]["0.5"]
    hits, found, truths = ours["hits"] - 1, ours["found"] - 1, ours["truths"]
    assert f"({hits} of {truths} objects, {found} boxes, 3 frames)" in theirs
