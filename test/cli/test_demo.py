"""The main job end to end, with real processes over real DDS: a short bag in; boxes, pictures, answers, a bag out."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from bags_for_tests import BLOCK_CENTER_MAP, BLOCK_SIDE_M, START_NS, write_camera_bag
from domains import REPLAY_DOMAIN_ID
from n3d_ros.cli import main as cli
from n3d_ros.ros.bag import BagReader
from n3d_ros.ros.demo import topics_to_replay


@pytest.fixture(autouse=True)
def own_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(REPLAY_DOMAIN_ID))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``n3d demo`` leaves after a bag of one and a half seconds."""
    folder = tmp_path_factory.mktemp("demo")
    bag = write_camera_bag(folder / "bag", frames=15, compressed=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_DOMAIN_ID", str(REPLAY_DOMAIN_ID))
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        code = cli.main(["demo", str(bag), "--out", str(folder / "out"), "--ask", "red box"])
    log = (folder / "out" / "node.log").read_text()
    assert code == 0, log
    assert "Traceback" not in log
    return folder / "out"


def test_the_block_is_found_where_it_is(output: Path) -> None:
    document = json.loads((output / "results.json").read_text())
    assert document["images"] == 15 and document["images_answered"] >= 3
    seen = max(document["objects"], key=lambda item: item["seen_in"])
    assert seen["frame_id"] == "map" and "red" in seen["label"]
    assert np.linalg.norm(np.array(seen["center_m"]) - BLOCK_CENTER_MAP) < 0.02
    np.testing.assert_allclose(sorted(seen["size_m"]), [BLOCK_SIDE_M] * 3, atol=0.03)


def test_both_questions_were_answered(output: Path) -> None:
    answers = {item["service"]: item for item in json.loads((output / "results.json").read_text())["answers"]}
    located = answers["locate"]["response"]
    assert answers["locate"]["text"] == "red box" and located["status"] == "OK"
    assert np.linalg.norm(np.array(located["objects"][0]["center_m"]) - BLOCK_CENTER_MAP) < 0.02
    assert answers["query"]["response"]["success"] and answers["query"]["response"]["sentence"]


def test_the_pictures_are_there(output: Path) -> None:
    for name in ("boxes.png", "top_down.png"):
        assert (output / name).read_bytes().startswith(b"\x89PNG")


def test_the_recording_holds_images_and_results_in_the_time_of_the_bag(output: Path) -> None:
    with BagReader(output / "bag") as reader:
        assert reader.damage is None and (output / "bag" / "metadata.yaml").is_file()
        assert reader.topics["/camera/color/image_raw/compressed"].message_count == 15
        objects = [message.deserialize() for message in reader.messages(["/n3d/objects"])]
        assert {"/n3d/markers", "/n3d/frame_report", "/tf"} <= set(reader.topics)
        assert reader.start_ns >= START_NS and reader.end_ns < START_NS + 5 * 10**9
    stamps = [message.header.stamp.sec * 10**9 + message.header.stamp.nanosec for message in objects]
    assert stamps == sorted(stamps) and all(START_NS <= stamp < START_NS + 1.5e9 for stamp in stamps)


def test_a_node_that_does_not_start_is_told_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("N3D_NODE_MODULE", "no_such_module")
    bag = write_camera_bag(tmp_path / "bag", frames=2)
    assert cli.main(["demo", str(bag), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "The node did not come up" in error and "No module named no_such_module" in error
    assert not (tmp_path / "out" / "bag").exists()


def test_results_in_a_recording_of_a_running_node_are_not_replayed(tmp_path: Path) -> None:
    bag, out = write_camera_bag(tmp_path / "bag", frames=2), tmp_path / "out"
    assert cli.main(["run", str(bag), "-o", str(out), "--images"]) == 0
    with BagReader(out / "annotated") as reader:
        assert "/n3d/objects" in reader.topics
        replayed = topics_to_replay(reader)
    assert not any(name.startswith("/n3d") for name in replayed)
    assert {"/camera/color/image_raw", "/tf"} <= set(replayed)


@pytest.mark.parametrize("out", [".", "bag", "bag/results"])
def test_the_demo_touches_no_bag_that_is_not_its_own(
    tmp_path: Path, out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_camera_bag(tmp_path / "bag", frames=2)
    other = write_camera_bag(tmp_path / "other", frames=2)
    for source in (tmp_path / "bag", other):
        assert cli.main(["demo", str(source), "--out", str(tmp_path / out)]) == 1
        assert "choose another folder" in capsys.readouterr().err
    with BagReader(tmp_path / "bag") as reader:
        assert reader.message_count == 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bag", "other"]


def test_a_node_that_fails_to_become_active_is_noticed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "helpless_node.py").write_text(
        "import sys\nfrom n3d_ros.errors import BackendError\nfrom n3d_ros.ros.node import main\n"
        "def make(config):\n    raise BackendError('No engine for this machine.')\n"
        "sys.exit(main(make_grounder=make))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("N3D_NODE_MODULE", "helpless_node")
    monkeypatch.setattr("n3d_ros.ros.demo.READY_TIMEOUT_S", 60.0)
    bag, begin = write_camera_bag(tmp_path / "bag", frames=2), time.monotonic()
    assert cli.main(["demo", str(bag), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "did not become active, it is unconfigured" in error and "No engine for this machine." in error
    assert time.monotonic() - begin < 55, "not at the end of the time to come up"
    assert not (tmp_path / "out" / "bag.part").exists()
