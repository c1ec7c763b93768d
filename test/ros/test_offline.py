"""A bag through the node's pipeline without DDS: results, determinism, the annotated bag, damage and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image

from bags_for_tests import BLOCK_CENTER_MAP, FRAME_ID, START_NS, block, map_T_camera, write_camera_bag
from n3d_ros.detection import Detection3D
from n3d_ros.errors import BagError, ConfigurationError, GroundingError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry import Box3D
from n3d_ros.inference.grounder import GroundingRequest, GroundingResult
from n3d_ros.ros.annotated_bag import MARKERS, OBJECTS, REPORT
from n3d_ros.ros.bag import BagReader, BagWriter
from n3d_ros.ros.camera_topics import find_camera_topics
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.config_files import config_from_files
from n3d_ros.ros.offline import OfflineSummary, look_clearness, run_bag
from n3d_ros.ros.parameters import build_config
from n3d_ros.ros.report_pictures import write_outcome_pictures


class RedGrounder:
    """Puts a box around the red pixels."""

    name = "red"
    device = "cpu"

    def __init__(self, fail_at: int | None = None) -> None:
        self.looks, self.fail_at = 0, fail_at
        self.focal_px: list[float] = []

    def ground(
        self,
        frame: RgbdFrame,
        request: GroundingRequest,
        *,
        on_detection: Callable[[Detection3D], None] | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> GroundingResult:
        self.looks += 1
        self.focal_px.append(frame.intrinsics.fx)
        if self.looks == self.fail_at:
            raise GroundingError("A frame that cannot be grounded.")
        red = frame.rgb[..., 0].astype(int) - frame.rgb[..., 1] > 60
        points = frame.point_map().xyz[red]
        center = points.mean(axis=0)
        found = Detection3D(label="red block", color="red", box=Box3D.axis_aligned(center, np.ptp(points, axis=0)))
        return GroundingResult(detections=(found,), stage_ms={"look": 1.0})

    def close(self) -> None:
        pass


def run(bag: Path, output: Path, grounder: RedGrounder | None = None, **options: Any) -> OfflineSummary:
    options.setdefault("config", build_config(NodeConfig(), {"output_frame": "map"}))
    with BagReader(bag) as reader:
        topics = find_camera_topics(reader)
        return run_bag(reader, output, topics=topics, grounder=grounder or RedGrounder(), **options)


def results(output: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((output / "objects.json").read_text())
    return document


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_every_pair_of_the_bag_gives_the_object_in_the_fixed_frame(
    tmp_path: Path, compressed: bool, storage: str
) -> None:
    bag = write_camera_bag(tmp_path / "bag", compressed=compressed, storage=storage)
    summary = run(bag, tmp_path / "out")
    assert (summary.frames, summary.frames_ok, summary.dropped) == (6, 6, {})
    frames = results(tmp_path / "out")["frames"]
    assert [frame["stamp_ns"] - START_NS for frame in frames] == [i * 100_000_000 for i in range(6)]
    for frame in frames:
        assert frame["frame_id"] == "map" and len(frame["objects"]) == 1
        # the red pixels show the near and the upper side only, so their middle lies up to half a side off
        assert np.linalg.norm(np.array(frame["objects"][0]["center_m"]) - BLOCK_CENTER_MAP) < 0.06
    assert {frame["objects"][0]["id"] for frame in frames} == {1}


@pytest.mark.parametrize("place", [".", "results", "deeper/results"])
def test_results_are_not_written_into_a_recording(tmp_path: Path, place: str) -> None:
    bag = write_camera_bag(tmp_path / "bag", frames=2)
    for source in (bag, write_camera_bag(tmp_path / "other", frames=2)):
        with pytest.raises(BagError, match=r"bag is a recording"):
            run(source, bag / place, force=True)
    (bag / "metadata.yaml").unlink()
    with pytest.raises(BagError, match="lies in the recording that is read"):
        run(bag, bag / place, force=True)
    assert [path.name for path in bag.iterdir()] == ["bag.mcap"]


def test_the_bag_that_is_read_is_not_replaced_by_its_results(tmp_path: Path) -> None:
    bag = write_camera_bag(tmp_path / "annotated", frames=2)
    for source in (bag, bag / "annotated.mcap"):
        with pytest.raises(BagError, match="would be replaced"):
            run(source, tmp_path, force=True)
    with BagReader(bag) as reader:
        assert reader.message_count == 10


def test_each_image_is_read_with_the_calibration_of_its_own_stamp(tmp_path: Path) -> None:
    bag = write_camera_bag(tmp_path / "bag", frames=3)
    with BagReader(bag) as reader, BagWriter(tmp_path / "zoomed") as writer:
        infos = {name for name in reader.topics if name.endswith("camera_info")}
        for name, topic in reader.topics.items():
            writer.add_topic(name, topic.type, qos=topic.qos, definition=topic.definition)
        for number, message in enumerate(reader.messages(infos)):
            info = message.deserialize()
            info.k[0] = info.p[0] = 150.0 + number // 2  # the camera zooms
            writer.write(message.topic.name, START_NS, info)
        for message in reader.messages(set(reader.topics) - infos):
            writer.write(message.topic.name, message.stamp_ns, message.data)
    grounder = RedGrounder()
    assert run(tmp_path / "zoomed", tmp_path / "out", grounder).frames_ok == 3
    assert grounder.focal_px == [150, 151, 152]


def test_two_runs_differ_only_in_their_times(tmp_path: Path) -> None:
    bag = write_camera_bag(tmp_path / "bag")
    documents = []
    for name in ("first", "second"):
        run(bag, tmp_path / name)
        documents.append(results(tmp_path / name))
    assert all(document.pop("timing")["frames"] for document in documents)
    assert json.dumps(documents[0]) == json.dumps(documents[1])


def test_the_annotated_bag_holds_what_the_node_would_have_published(tmp_path: Path) -> None:
    bag = write_camera_bag(tmp_path / "bag")
    run(bag, tmp_path / "out")
    with BagReader(tmp_path / "out" / "annotated") as reader:
        counts = {name: topic.message_count for name, topic in reader.topics.items()}
        assert counts[OBJECTS] == counts[MARKERS] == counts[REPORT] == 6
        assert counts["/tf"] == 6 and "/camera/color/image_raw" not in counts
        first = next(iter(reader.messages([OBJECTS])))
        message, report = first.deserialize(), next(iter(reader.messages([REPORT]))).deserialize()
        assert message.header.frame_id == "map" and message.objects[0].label == "red block"
        assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == START_NS == first.stamp_ns
        assert report.backend == "red" and report.frames_used == 1 and report.object_count == 1


def test_images_are_copied_unchanged_when_asked_for(tmp_path: Path) -> None:
    bag = write_camera_bag(tmp_path / "bag")
    run(bag, tmp_path / "out", include_images=True)
    with BagReader(bag) as first, BagReader(tmp_path / "out" / "annotated") as second:
        for name in first.topics:
            assert [m.data for m in first.messages([name])] == [m.data for m in second.messages([name])]


def test_a_frame_that_fails_is_counted_and_the_next_one_is_processed(tmp_path: Path) -> None:
    bag = write_camera_bag(tmp_path / "bag")
    summary = run(bag, tmp_path / "out", RedGrounder(fail_at=3))
    assert summary.frames_ok == 5 and summary.dropped == {"no_depth": 1}
    assert summary.why["no_depth"] == "A frame that cannot be grounded."
    statuses = [frame["status"] for frame in results(tmp_path / "out")["frames"]]
    assert statuses == ["OK", "OK", "NO_DEPTH", "OK", "OK", "OK"]


def test_a_cut_off_bag_gives_results_up_to_the_cut_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "bag"
    write_camera_bag(path, frames=60, compress=False)
    content = (path / "bag.mcap").read_bytes()
    (tmp_path / "cut.mcap").write_bytes(content[: int(0.7 * len(content))])
    summary = run(tmp_path / "cut.mcap", tmp_path / "out")
    assert 0 < summary.frames_ok < 60 and "cut off or damaged" in summary.damage
    assert results(tmp_path / "out")["damage"] == summary.damage


def test_a_corrupt_message_costs_one_frame(tmp_path: Path) -> None:
    bag = write_camera_bag(tmp_path / "bag")
    with BagReader(bag) as reader, BagWriter(tmp_path / "worse") as writer:
        for topic in reader.topics.values():
            writer.add_topic(topic.name, topic.type, qos=topic.qos, definition=topic.definition)
        broken = 0
        for message in reader.messages():
            is_first_color = message.topic.name == "/camera/color/image_raw" and (broken := broken + 1) == 1
            writer.write(message.topic.name, message.stamp_ns, message.data[:40] if is_first_color else message.data)
    summary = run(tmp_path / "worse", tmp_path / "out")
    assert summary.frames_ok == 5 and summary.dropped["bad_message"] == 1


def test_stopping_early_keeps_what_was_found(tmp_path: Path) -> None:
    bag = write_camera_bag(tmp_path / "bag")
    grounder = RedGrounder()
    summary = run(bag, tmp_path / "out", grounder, should_stop=lambda: grounder.looks == 2)
    assert summary.interrupted and len(results(tmp_path / "out")["frames"]) == 2


def test_pictures_of_the_clearest_frame_are_written(tmp_path: Path) -> None:
    summary = run(write_camera_bag(tmp_path / "bag"), tmp_path / "out")
    assert summary.best is not None
    paths = write_outcome_pictures(tmp_path / "out", *summary.best, title="A block")
    assert paths is not None and all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_a_clear_look_shows_what_was_seen_all_along() -> None:
    assert look_clearness([10, 10, 9], 10) == 3
    assert look_clearness([10, 10, 9, 1, 1], 10) == 1
    assert look_clearness([], 10) == 0


def test_topics_are_found_by_type_and_encoding_whatever_they_are_called(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        for name, encoding, size in (
            ("/k4a/ir/image", "mono16", (64, 48)),
            ("/k4a/rgb/picture", "bgra8", (64, 48)),
            ("/k4a/depth_to_rgb/image_raw", "16UC1", (64, 48)),
            ("/k4a/depth/image_raw", "16UC1", (32, 24)),
            ("/k4a/labels/mask", "mono8", (64, 48)),
        ):
            image = Image(encoding=encoding, width=size[0], height=size[1], step=0)
            image.header.frame_id = "depth" if size[0] == 32 else "rgb"
            writer.write(name, START_NS, image)
        for name, frame_id, width in (("/k4a/rgb/camera_info", "rgb", 64), ("/k4a/depth/camera_info", "depth", 32)):
            info = CameraInfo(width=width, height=width * 3 // 4)
            info.header.frame_id = frame_id
            writer.write(name, START_NS, info)
    with BagReader(tmp_path / "bag") as reader:
        topics = find_camera_topics(reader)
        assert (topics.color, topics.depth) == ("/k4a/rgb/picture", "/k4a/depth_to_rgb/image_raw")
        assert topics.color_info == topics.depth_info == "/k4a/rgb/camera_info"
        named = find_camera_topics(reader, {"depth": "/k4a/depth/image_raw"})
        assert (named.depth, named.depth_info) == ("/k4a/depth/image_raw", "/k4a/depth/camera_info")


def test_compressed_topics_choose_the_transport_of_the_node(tmp_path: Path) -> None:
    with BagReader(write_camera_bag(tmp_path / "bag", compressed=True)) as reader:
        topics = find_camera_topics(reader)
    assert topics.parameters == {"rgb.transport": "compressed", "depth.transport": "compressedDepth"}
    assert topics.remappings["rgb/image/compressed"] == "/camera/color/image_raw/compressed"
    assert topics.remappings["depth/image/compressedDepth"].endswith("/image_raw/compressedDepth")


def test_a_bag_without_depth_is_refused_with_a_list_of_what_it_holds(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        writer.write("/camera/image", START_NS, Image(encoding="rgb8"))
    with (
        BagReader(tmp_path / "bag") as reader,
        pytest.raises(BagError, match=r"name one with --depth\. The bag holds:\n  /camera/image"),
    ):
        find_camera_topics(reader)


def test_parameter_files_and_values_reach_the_settings_as_in_the_node(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("/**:\n  ros__parameters:\n    max_objects: 5\n    sync:\n      slop_s: 0.05\n")
    config = config_from_files([tmp_path / "a.yaml"], {"output_frame": "map", "max_objects": "7"})
    assert config.pipeline.max_objects == 7 and config.pipeline.output_frame == "map" and config.sync.slop_s == 0.05
    with pytest.raises(ConfigurationError):
        config_from_files([], {"max_objects": "many"})


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("outputframe", "map", "no parameter 'outputframe'; did you mean output_frame?"),
        ("nonsense", "1", r"no parameter 'nonsense'; config/n3d.yaml lists all"),
        ("max_objects", "[1", r"Parameter max_objects: expected a value as in YAML, got '\[1'"),
    ],
)
def test_a_mistyped_parameter_is_refused(name: str, text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        config_from_files([], {name: text})


def test_a_mistyped_parameter_in_a_file_is_refused_and_other_nodes_may_have_their_own(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(
        "camera_driver:\n  ros__parameters:\n    enable_infra: true\n"
        "/robot/n3d:\n  ros__parameters:\n    max_objects: 5\n    use_sim_time: true\n"
        "    qos_overrides:\n      /rgb/image:\n        subscription:\n          reliability: reliable\n"
    )
    assert config_from_files([tmp_path / "good.yaml"]).pipeline.max_objects == 5
    (tmp_path / "bad.yaml").write_text("/**:\n  ros__parameters:\n    sinc:\n      slop_s: 0.05\n")
    with pytest.raises(ConfigurationError, match=r"bad\.yaml: .*'sinc.slop_s'; did you mean sync\.slop_s"):
        config_from_files([tmp_path / "bad.yaml"])


def test_the_block_lies_where_the_test_says(tmp_path: Path) -> None:
    box = block().transformed(map_T_camera().inverse())
    assert box.center[2] == pytest.approx(1.1410, abs=1e-3) and FRAME_ID.endswith("optical_frame")


class TalkingRed(RedGrounder):
    """The same, of open vocabulary, with boxes that are fitted later."""

    open_vocabulary = True
    facts = ("model: red",)

    def __init__(self) -> None:
        super().__init__()
        self.nouns: list[tuple[str, ...]] = []

    def ground(self, frame: RgbdFrame, request: GroundingRequest, **callbacks: Any) -> GroundingResult:
        self.nouns.append(request.nouns)
        result = super().ground(frame, request, **callbacks)
        return replace(result, raw_detections=result.detections)


def test_a_model_looks_for_the_standing_prompt_at_the_rate_that_is_set_and_is_named(tmp_path: Path) -> None:
    bag = write_camera_bag(tmp_path / "bag")
    values = {"language_model.prompt": "red block; mug", "continuous_rate_hz": 5.0, "output_frame": "map"}
    grounder = TalkingRed()
    summary = run(bag, tmp_path / "out", grounder, config=build_config(NodeConfig(), values))
    assert grounder.nouns == [("red block", "mug")] * 3
    assert (summary.frames_ok, summary.dropped) == (3, {"paced": 3})
    assert (summary.backend, summary.facts) == ("red on cpu", ("model: red",))
    assert results(tmp_path / "out")["model"] == ["model: red"]
