"""A recording of a red block, a grounder that finds it by its colour, and the folder to correct that comes of both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bags_for_tests import block, map_T_camera, write_camera_bag
from model_training.robots.first_step import FirstStep, take_first_step
from model_training.robots.looking import Bag
from model_training.robots.picking import PickConfig
from n3d_ros.detection import Detection3D
from n3d_ros.frame import RgbdFrame
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult
from n3d_ros.ros.bag import BagReader
from n3d_ros.ros.camera_topics import find_camera_topics
from n3d_ros.ros.config import NodeConfig

EVERY_FRAME = PickConfig(every_s=0.1, least_change=0.0)


class BlockGrounder:
    """Knows the block's true box in the map, and marks its red pixels; what it was asked is kept."""

    name = "block"
    device = "cpu"

    def __init__(self) -> None:
        self.stamps_ns: list[int] = []

    def ground(self, frame: RgbdFrame, request: GroundingRequest, **_: Any) -> GroundingResult:
        self.stamps_ns.append(frame.stamp_ns)
        mask = frame.rgb[..., 0].astype(int) - frame.rgb[..., 1] > 60
        camera_T_map = map_T_camera(0.005 * len(self.stamps_ns)).inverse()
        found = Detection3D(
            label="red block", color="red", shape="box", score=0.75, box=block().transformed(camera_T_map), mask=mask
        )
        return GroundingResult(detections=(found,))

    def close(self) -> None:
        pass


Look = Callable[..., FirstStep]


@pytest.fixture
def look() -> Look:
    """Takes the first step over a bag into a folder."""

    def take(bag: Path, out: Path, config: PickConfig = EVERY_FRAME, **options: Any) -> FirstStep:
        recorded = options.pop("recorded", None)
        with BagReader(bag) as reader:
            grounder = options.pop("grounder", None) or BlockGrounder()
            if recorded is not None:
                grounder = recorded = recorded(reader)
            opened = Bag(
                reader=reader,
                topics=find_camera_topics(reader),
                grounder=grounder,
                config=NodeConfig(),
                **options,
            )
            return take_first_step(opened, out, config, recorded=recorded)

    return take


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """Six images of the block, a tenth of a second apart."""
    return write_camera_bag(tmp_path / "desk", frames=6)


@pytest.fixture
def labels(bag: Path, look: Look, tmp_path: Path) -> Path:
    """The folder to correct: six frames with the block."""
    return look(bag, tmp_path / "labels").work.path


Edit = Callable[[Path, str, str], None]


@pytest.fixture
def edit() -> Edit:
    """Replaces words of labels.txt in its first place, as a person does in an editor."""

    def replace(folder: Path, before: str, after: str) -> None:
        path = folder / "labels.txt"
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.write_text(text.replace(before, after, 1), encoding="utf-8")

    return replace
