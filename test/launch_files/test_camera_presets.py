"""The camera presets are complete and consistent, and can be changed by prefix and by topic."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from n3d_ros.errors import ConfigurationError
from n3d_ros.ros.camera_presets import (
    INPUT_TOPICS,
    TRANSPORT_ENDINGS,
    CameraPreset,
    camera_preset,
    load_camera_presets,
)

PRESETS = load_camera_presets()
CAMERAS = [preset for preset in PRESETS.values() if preset.name != "generic"]


def inputs_of(preset: CameraPreset) -> list[str]:
    """The node's inputs that this camera has: one whose depth a model finds has colour alone."""
    is_colour_only = preset.parameters.get("depth_source") == "model"
    return [topic for topic in INPUT_TOPICS if topic.startswith("rgb/") or not is_colour_only]


def test_the_cameras_promised_are_there() -> None:
    assert set(PRESETS) == {"realsense", "zed", "oak", "orbbec", "azure_kinect", "webcam", "generic"}


@pytest.mark.parametrize("preset", CAMERAS, ids=lambda preset: preset.name)
def test_a_preset_names_every_input_and_the_compressed_form_of_its_images(preset: CameraPreset) -> None:
    endings = {topic: ending for topic, ending in TRANSPORT_ENDINGS.items() if topic in inputs_of(preset)}
    expected = {*inputs_of(preset), *(topic + ending for topic, ending in endings.items())}
    assert set(preset.remappings) == expected
    for topic, ending in endings.items():
        assert preset.remappings[topic + ending] == preset.remappings[topic] + ending


@pytest.mark.parametrize("preset", CAMERAS, ids=lambda preset: preset.name)
def test_a_preset_has_valid_names_below_its_prefix_and_says_how_to_start_the_driver(preset: CameraPreset) -> None:
    for target in preset.remappings.values():
        assert re.fullmatch(r"(/[A-Za-z_]\w*)+", target)
        assert target.startswith(preset.prefix + "/")
    assert re.fullmatch(r"\w+", preset.frame)
    assert preset.launch.startswith(("ros2 launch ", "ros2 run "))
    assert preset.title
    assert preset.notes


@pytest.mark.parametrize("preset", CAMERAS, ids=lambda preset: preset.name)
def test_colour_and_depth_have_calibrations_beside_them(preset: CameraPreset) -> None:
    for image, info in (("rgb/image", "rgb/camera_info"), ("depth/image", "depth/camera_info")):
        if image not in inputs_of(preset):
            continue
        assert preset.remappings[info] == preset.remappings[image].rpartition("/")[0] + "/camera_info"


@pytest.mark.parametrize("preset", CAMERAS, ids=lambda preset: preset.name)
def test_the_documentation_covers_the_preset(preset: CameraPreset, repository: Path) -> None:
    text = (repository / "docs" / "cameras.md").read_text()
    assert f"camera:={preset.name}" in text
    assert preset.launch in text
    assert all(preset.remappings[topic] in text for topic in inputs_of(preset) if topic.endswith("/image"))


def test_a_prefix_takes_the_place_of_the_presets_own() -> None:
    moved = camera_preset("orbbec").with_prefix("/left")
    assert moved.remappings["rgb/image"] == "/left/color/image_raw"
    assert camera_preset("azure_kinect").with_prefix("k4a").remappings["rgb/image"] == "/k4a/rgb/image_raw"
    assert camera_preset("orbbec").with_prefix("") == camera_preset("orbbec")


def test_a_topic_named_by_its_compressed_form_gives_both() -> None:
    named = camera_preset("generic").with_topics({"rgb/image": "/a/b/compressed", "depth/camera_info": ""})
    assert dict(named.remappings) == {"rgb/image": "/a/b", "rgb/image/compressed": "/a/b/compressed"}


def test_a_camera_without_depth_is_told_to_the_node_as_such() -> None:
    assert camera_preset("webcam").parameters == {"depth_source": "model"}


def test_an_unknown_camera_or_input_is_refused_with_what_there_is() -> None:
    with pytest.raises(ConfigurationError, match="realsense"):
        camera_preset("pinhole")
    with pytest.raises(ConfigurationError, match="rgb/camera_info"):
        camera_preset("generic").with_topics({"rgb/info": "/x"})


@pytest.mark.parametrize("content", ["", "cameras: 3", "cameras:\n  x: 3", "a: [", "cameras:\n  x:\n    remappings: 3"])
def test_a_file_of_another_form_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "cameras.yaml"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match="cameras"):
        load_camera_presets(path)
