"""The node measured from outside: frames of a recording, and a short session with the packaged model."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="the ROS side is tested where ROS is")

from bags_for_tests import write_camera_bag
from domains import DOMAIN_ID
from n3d_ros.bench.made_frames import made_frames
from n3d_ros.bench.table import Row
from n3d_ros.cli.speed_node import Session, node_rows, session_rows
from n3d_ros.errors import BagError
from n3d_ros.inference.language_model.config import LanguageModelConfig
from n3d_ros.ros.measuring.bag_frames import bag_frames
from n3d_ros.ros.measuring.observer import Counts, Seen
from node_harness import ros_environment

pytestmark = pytest.mark.ros


def test_counts_since_an_earlier_account_leave_out_what_did_not_grow() -> None:
    before = Counts(received=10, used=4, dropped={"overload": 5, "paced": 1})
    now = Counts(received=30, used=9, dropped={"overload": 20, "paced": 1, "no_depth": 2})
    assert now.since(before) == Counts(received=20, used=5, dropped={"overload": 15, "no_depth": 2})


def test_a_session_becomes_rows_of_latency_stages_rate_and_load() -> None:
    seen = [
        Seen(stamp_ns=1, objects_ms=100.0, markers_ms=110.0, age_at_start_ms=5.0, stage_ms={"assemble": 2.0}),
        Seen(stamp_ns=2, objects_ms=300.0, age_at_start_ms=7.0, stage_ms={"assemble": 4.0, "publish": 1.0}),
        Seen(stamp_ns=3),
    ]
    counts = Counts(received=9, used=2, dropped={"overload": 7})
    session = Session(rate_hz=5.0, seconds=4.0, seen=seen, counts=counts, cpu_share=0.5, memory_bytes=2**20)
    rows = {row.figure.partition(": ")[2]: row for row in session_rows("nano", session)}
    assert rows["image stamp to objects"].p50 == 200.0 and rows["image stamp to objects"].count == 2
    assert rows["image stamp to markers"].count == 1
    assert rows["results per second"].p50 == 0.5 and "7 overload" in rows["results per second"].note
    assert rows["processor"].p50 == 50.0 and rows["memory, peak"].p50 == 1.0
    assert rows["stage assemble"].p50 == 3.0 and rows["stage publish"].count == 1
    assert all(row.figure.startswith("node at 5 Hz") and row.of == "nano" for row in rows.values())


def test_frames_of_a_recording_are_those_the_node_would_see(tmp_path: Path) -> None:
    write_camera_bag(tmp_path / "bag")
    frames = bag_frames(str(tmp_path / "bag"), 3, {})
    assert 2 <= len(frames) <= 3 and "recording" in frames.source
    assert frames.depth_mm.any()


def test_a_recording_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BagError):
        bag_frames(str(tmp_path / "none"), 3, {})


@pytest.mark.timeout(300)
def test_a_node_that_can_use_its_model_is_measured_and_another_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="the extra [model] is not installed")
    ros_environment()
    monkeypatch.setitem(os.environ, "ROS_DOMAIN_ID", str(DOMAIN_ID))
    nano = LanguageModelConfig(model="n3d-nano", device="cpu")
    broken = LanguageModelConfig(model="/no/such/model", device="cpu")
    told: list[str] = []
    rows = node_rows(
        [("nano", nano), ("broken", broken)], made_frames(2), [1.0], 8.0, lambda text, _share: told.append(text)
    )
    of: dict[str, dict[str, Row]] = {"nano": {}, "broken": {}}
    for row in rows:
        of[row.of][row.figure.removeprefix("node at 1 Hz: ")] = row
    assert of["nano"]["image stamp to objects"].count >= 1
    assert of["nano"]["stage ground/decode"].count >= 1 and of["nano"]["stage publish"].count >= 1
    assert of["nano"]["results per second"].p50 > 0
    assert list(of["broken"]) == ["node"] and "cannot be used" in of["broken"]["node"].note
    assert "The node at 1 Hz" in told
