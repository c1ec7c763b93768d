"""A generated scene as a bag: images, calibration and tf as the generator has them, the truth beside it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco", reason="scenes are rendered with mujoco (requirements/scenes.txt)")

from model_training.scenes import CAMERAS, SceneSpec, generate_sequence
from model_training.scenes_bag import FIRST_STAMP_NS, TRUTH_FILE, write_scene_bag
from n3d_ros.ros.bag import BagReader
from n3d_ros.ros.bag_pass import load_transforms
from n3d_ros.ros.camera_topics import find_camera_topics
from n3d_ros.ros.conversions import stamp_to_ns
from n3d_ros.ros.image_codec import compressed_depth_to_depth_m


@pytest.fixture(scope="module")
def spec() -> SceneSpec:
    return SceneSpec(kind="tabletop", seed=3, camera=CAMERAS["small"], object_count=(3, 4))


def test_a_scene_bag_holds_what_the_generator_made(spec: SceneSpec, tmp_path: Path) -> None:
    frames = list(generate_sequence(spec, 0.4, 10.0))
    write_scene_bag(frames, tmp_path / "bag")
    with BagReader(tmp_path / "bag") as reader:
        topics = find_camera_topics(reader)
        depths = [message.deserialize() for message in reader.messages([topics.depth])]
        transforms = load_transforms(reader)
    assert [stamp_to_ns(message.header.stamp) - FIRST_STAMP_NS for message in depths] == [
        0,
        10**8,
        2 * 10**8,
        3 * 10**8,
    ]
    for made, message in zip(frames, depths, strict=True):
        np.testing.assert_allclose(compressed_depth_to_depth_m(message), made.frame.depth_m, atol=0.00051)
        pose = transforms.lookup("map", message.header.frame_id, stamp_to_ns(message.header.stamp))
        assert pose.is_close(made.world_T_camera, translation_m=1e-6, rotation_rad=1e-6)
    truth = json.loads((tmp_path / "bag" / TRUTH_FILE).read_text())
    assert truth["frames"] == 4 and truth["frame_id"] == "map"
    assert SceneSpec.from_json(json.dumps(truth["spec"])) == spec
    ids = {item.object_id for frame in frames for item in frame.truth}
    assert {item["id"] for item in truth["objects"]} == ids


def test_the_same_seed_gives_the_same_recording(spec: SceneSpec, tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_scene_bag(generate_sequence(spec, 0.2, 10.0), tmp_path / name / "bag")
    files = [(tmp_path / name / "bag" / "bag.mcap").read_bytes() for name in ("first", "second")]
    assert files[0] == files[1]
