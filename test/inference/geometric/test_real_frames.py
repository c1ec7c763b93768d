"""A regression bound on real Kinect frames; the figures themselves come from benchmarks/score_real_frames.py."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

FRAMES = (2, 15, 19, 23, 28, 30, 33, 37, 41, 43)  # boxes, stacked, occluded, cylinders and bowls
F1_FLOOR = 0.95  # 1.00 when written


def test_objects_of_real_frames_are_found(
    shared_data: Path, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in FRAMES:
        for kind in ("color", "depth", "label"):
            shutil.copy(shared_data / "realdata" / "osd" / f"learn{number}_{kind}.png", tmp_path)
    spec = importlib.util.spec_from_file_location("score", repository / "benchmarks" / "score_real_frames.py")
    assert spec is not None
    assert spec.loader is not None
    score = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(score)
    score.main([str(tmp_path), "--scorer", str(shared_data / "tools" / "score_osd.py")])
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["f1_0.75"] >= F1_FLOOR, summary
