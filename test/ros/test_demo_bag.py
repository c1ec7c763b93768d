"""The bag that is shipped: small, complete, and its objects are found where they truly are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from n3d_ros.inference.grounder import create_grounder
from n3d_ros.ros.bag import BagReader
from n3d_ros.ros.bag_pass import load_transforms
from n3d_ros.ros.camera_topics import find_camera_topics
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.offline import run_bag
from n3d_ros.ros.parameters import build_config

MAX_BYTES = 6_000_000
CENTER_TOLERANCE_M = 0.02


@pytest.fixture
def bag(repository: Path) -> Path:
    return repository / "demo" / "tabletop"


def test_the_shipped_bag_is_small_and_complete(bag: Path) -> None:
    assert sum(path.stat().st_size for path in bag.iterdir()) < MAX_BYTES
    with BagReader(bag) as reader:
        topics = find_camera_topics(reader)
        assert reader.damage is None and topics.color_compressed and topics.depth_compressed
        assert {reader.topics[name].message_count for name in topics.all} == {32}
        assert reader.topics["/tf_static"].qos.is_latched
        transforms = load_transforms(reader)
        assert transforms.can_transform("map", "camera_color_optical_frame", reader.start_ns)


def test_the_unoccluded_objects_of_the_shipped_bag_are_found_where_they_are(bag: Path, tmp_path: Path) -> None:
    truth = json.loads((bag / "truth.json").read_text())
    clear = [item for item in truth["objects"] if item["role"] == "object" and item["frames_unoccluded"] > 20]
    config = build_config(NodeConfig(), {"output_frame": "map"})
    grounder = create_grounder("geometric")
    with BagReader(bag) as reader:
        topics = find_camera_topics(reader)
        run_bag(reader, tmp_path, topics=topics, grounder=grounder, config=config, write_bag=False)
    grounder.close()
    last = json.loads((tmp_path / "objects.json").read_text())["frames"][-1]
    centers = np.array([item["center_m"] for item in last["objects"]])
    missed = [
        f"{item['color']} {item['category']}"
        for item in clear
        if np.linalg.norm(centers - np.array(item["center_m"]), axis=1).min() > CENTER_TOLERANCE_M
    ]
    assert len(clear) >= 4 and len(missed) <= 1, missed
