"""Lifting recovers the visible boxes of generated scenes, also with a sensor's depth and masks that are off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model_training.lifting.config import LiftConfig
from model_training.lifting.validation import TrueFrame, compared, export_coco, table_of, true_frames, validate

pytest.importorskip("mujoco")


@pytest.fixture(scope="module")
def frames() -> list[TrueFrame]:
    return true_frames(3)


def test_visible_boxes_are_recovered(frames: list[TrueFrame], tmp_path: Path) -> None:
    found = validate(frames, LiftConfig(), tmp_path)
    medians = {name: one.median for name, one in found.items()}
    # On 80 scenes (some 700 objects) they are 0.03 to 0.1 higher; three scenes vary by that.
    assert medians["true depth, exact masks"] > 0.8
    assert medians["noisy depth, exact masks"] > 0.72
    assert medians["noisy depth, masks grown by 2 px"] > 0.5
    assert medians["noisy depth, masks shrunk by 2 px"] > 0.5
    noisy = found["noisy depth, exact masks"]
    assert len(noisy.all) >= 0.85 * noisy.objects
    assert np.mean(np.asarray(noisy.all) >= 0.25) > 0.9
    assert "noisy depth, exact masks" in table_of(found)


def test_boxes_of_scrambled_depth_do_not_agree(frames: list[TrueFrame], tmp_path: Path) -> None:
    # The measure itself: with the depth of another frame the boxes must be wrong.
    export_coco(tmp_path, frames[:2])
    names = [tmp_path / "depth" / f"{number:06d}.png" for number in (1, 2)]
    first, second = (name.read_bytes() for name in names)
    names[0].write_bytes(second)
    names[1].write_bytes(first)
    assert compared(tmp_path, frames[:2], LiftConfig()).median < 0.3
