"""Recordings: what is written reads back by other libraries, and damage is told and survived."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import yaml
from mcap.reader import make_reader
from n3d_msgs.msg import Object3D, Object3DArray
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

from bags_for_tests import CAMERA, START_NS, write_camera_bag
from n3d_ros.errors import BagError
from n3d_ros.ros.bag import LATCHED_QOS, SENSOR_QOS, BagReader, BagWriter, TopicQos, copy_topics, type_hash
from n3d_ros.ros.message_types import message_definition, split_type_name, type_name

STORAGES = ("mcap", "sqlite3")


def write_strings(path: Path, count: int = 3, **options: object) -> Path:
    with BagWriter(path, **options) as writer:  # type: ignore[arg-type]
        for i in range(count):
            writer.write("/words", START_NS + i, String(data=f"word {i} " * 100))
    return path


def write_and_raise(path: Path, error: BaseException) -> None:
    writer = BagWriter(path)
    writer.__enter__()
    writer.write("/words", START_NS, String(data="x"))
    writer.__exit__(type(error), error, None)


def stamps_until_it_breaks(reader: BagReader) -> list[int]:
    stamps = []
    with contextlib.suppress(BagError):
        for message in reader.messages():
            stamps.append(message.stamp_ns)  # noqa: PERF401 (what came before the error counts)
    return stamps


@pytest.mark.parametrize("storage", STORAGES)
def test_messages_come_back_in_order_and_unchanged(tmp_path: Path, storage: str) -> None:
    write_strings(tmp_path / "bag", 5, storage=storage)
    with BagReader(tmp_path / "bag") as reader:
        messages = list(reader.messages())
        assert [message.stamp_ns for message in messages] == [START_NS + i for i in range(5)]
        assert messages[3].deserialize().data.startswith("word 3")
        assert reader.message_count == 5 and reader.duration_ns == 4


@pytest.mark.parametrize("storage", STORAGES)
def test_rosbags_reads_our_own_messages_by_the_stored_definitions_alone(tmp_path: Path, storage: str) -> None:
    found = Object3DArray(objects=[Object3D(id=7, label="red box")])
    found.header.frame_id = "map"
    found.objects[0].size.x = 0.25
    with BagWriter(tmp_path / "bag", storage=storage) as writer:
        writer.write("/n3d/objects", START_NS, found)
    with AnyReader([tmp_path / "bag"]) as reader:  # no type store is given: it must take the definitions from the bag
        connection, stamp_ns, raw = next(iter(reader.messages()))
        message = reader.deserialize(raw, connection.msgtype)
    assert stamp_ns == START_NS and connection.msgtype == "n3d_msgs/msg/Object3DArray"
    assert message.header.frame_id == "map"  # type: ignore[attr-defined]
    assert message.objects[0].label == "red box" and message.objects[0].size.x == 0.25  # type: ignore[attr-defined]


def test_the_mcap_library_reads_schemas_and_a_summary(tmp_path: Path) -> None:
    write_camera_bag(tmp_path / "bag")
    with (tmp_path / "bag" / "bag.mcap").open("rb") as file:
        summary = make_reader(file, validate_crcs=True).get_summary()
        assert summary is not None and summary.statistics is not None
        names = {schema.name for schema in summary.schemas.values()}
        assert {"sensor_msgs/msg/Image", "tf2_msgs/msg/TFMessage"} <= names
        assert {schema.encoding for schema in summary.schemas.values()} == {"ros2msg"}
        assert summary.statistics.message_count == 6 * 5
    with (tmp_path / "bag" / "bag.mcap").open("rb") as file:
        images = [m.data for s, c, m in make_reader(file).iter_messages(topics=["/camera/color/image_raw"])]
    assert len(images) == 6 and all(len(image) > CAMERA.width * CAMERA.height * 3 for image in images)


def test_metadata_names_latched_topics_so_that_ros2_bag_offers_them_again(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/tf_static", "tf2_msgs/msg/TFMessage", qos=LATCHED_QOS)
        writer.add_topic("/image", "sensor_msgs/msg/Image", qos=SENSOR_QOS)
        writer.write("/image", START_NS, Image())
    content = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert content["storage_identifier"] == "mcap" and content["relative_file_paths"] == ["bag.mcap"]
    topics = {item["topic_metadata"]["name"]: item["topic_metadata"] for item in content["topics_with_message_count"]}
    # rmw's own numbers: durability 1 is transient local and 2 volatile; reliability 1 is reliable and 2 best effort
    static, image = (yaml.safe_load(topics[name]["offered_qos_profiles"])[0] for name in ("/tf_static", "/image"))
    assert (static["durability"], static["reliability"]) == (1, 1)
    assert (image["durability"], image["reliability"]) == (2, 2)


@pytest.mark.parametrize("storage", STORAGES)
def test_qualities_of_service_survive_a_round_trip(tmp_path: Path, storage: str) -> None:
    with BagWriter(tmp_path / "bag", storage=storage) as writer:
        writer.add_topic("/a", "std_msgs/msg/String", qos=TopicQos(reliability="best_effort", depth=3))
        writer.add_topic("/b", "std_msgs/msg/String", qos=LATCHED_QOS)
        writer.write("/a", START_NS, String())
    with BagReader(tmp_path / "bag") as reader:
        assert reader.topics["/a"].qos == TopicQos(reliability="best_effort", depth=3)
        assert reader.topics["/b"].qos.is_latched


@pytest.mark.parametrize(
    "name",
    ["sensor_msgs/msg/Image", "n3d_msgs/msg/Object3DArray", "tf2_msgs/msg/TFMessage", "n3d_msgs/msg/FrameReport"],
)
def test_type_hashes_are_those_of_the_installed_packages(name: str) -> None:
    package, message = split_type_name(name)
    for prefix in os.environ["AMENT_PREFIX_PATH"].split(os.pathsep):
        path = Path(prefix, "share", package, "msg", f"{message}.json")
        if path.is_file():
            break
    else:
        pytest.skip("this distribution installs no type descriptions")
    expected = json.loads(path.read_text())["type_hashes"][0]["hash_string"]
    assert type_hash(name, message_definition(name)) == expected


def test_definitions_hold_every_inner_type_once() -> None:
    text = message_definition("n3d_msgs/msg/Object3DArray")
    parts = [line.removeprefix("MSG: ") for line in text.splitlines() if line.startswith("MSG: ")]
    assert len(parts) == len(set(parts))
    assert {
        "n3d_msgs/Object3D",
        "std_msgs/Header",
        "geometry_msgs/PoseWithCovariance",
        "builtin_interfaces/Time",
    } <= set(parts)
    assert type_name(Image()) == "sensor_msgs/msg/Image"


def test_an_existing_bag_is_not_replaced_unless_forced(tmp_path: Path) -> None:
    write_strings(tmp_path / "bag")
    with pytest.raises(BagError, match="exists already"):
        BagWriter(tmp_path / "bag")
    write_strings(tmp_path / "bag", 1, force=True)
    with BagReader(tmp_path / "bag") as reader:
        assert reader.message_count == 1


def test_force_does_not_replace_a_folder_that_is_no_bag(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    with pytest.raises(BagError, match="no rosbag2 folder"):
        BagWriter(tmp_path / "thesis", force=True)
    assert (tmp_path / "thesis" / "chapter.tex").exists()


def test_a_folder_with_metadata_of_something_else_is_no_bag(tmp_path: Path) -> None:
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "metadata.yaml").write_text("title: years of work\n")
    with pytest.raises(BagError, match="no rosbag2 folder"):
        BagWriter(tmp_path / "book", force=True)


def leave_part(path: Path, repository: Path) -> Path:
    """What a recording in another process, killed on the way, leaves of a bag."""
    code = "import os, sys\nfrom n3d_ros.ros.bag import BagWriter\nBagWriter(sys.argv[1]).__enter__()\nos._exit(9)\n"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(repository), os.environ.get("PYTHONPATH", "")])}
    subprocess.run([sys.executable, "-c", code, str(path)], env=environment, timeout=60, check=False)
    return path.with_name(path.name + ".part")


def test_what_a_killed_recording_left_is_replaced_only_when_forced(tmp_path: Path, repository: Path) -> None:
    part = leave_part(tmp_path / "bag", repository)
    with pytest.raises(BagError, match=r"bag\.part is there.*--force"):
        write_strings(tmp_path / "bag")
    assert (part / "bag" / "bag.mcap").is_file()
    write_strings(tmp_path / "bag", force=True)
    assert not part.exists()


@pytest.mark.parametrize("force", [False, True])
def test_a_part_folder_that_is_no_unfinished_bag_is_never_deleted(tmp_path: Path, force: bool) -> None:
    for place in ("kitchen.part", "garage.part/garage"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "precious.txt").write_text("years of work")
    for name in ("kitchen", "garage"):
        with pytest.raises(BagError, match="is there"):
            write_strings(tmp_path / name, force=force)
    assert len(list(tmp_path.rglob("precious.txt"))) == 2


def test_no_bag_is_written_into_a_bag(tmp_path: Path) -> None:
    write_strings(tmp_path / "bag")
    with pytest.raises(BagError, match="is a recording"):
        BagWriter(tmp_path / "bag" / "results" / "annotated")


def test_a_discarded_bag_leaves_nothing_and_keeps_what_was_there(tmp_path: Path) -> None:
    write_strings(tmp_path / "bag")
    with BagWriter(tmp_path / "bag", force=True) as writer:
        writer.write("/words", START_NS, String(data="x"))
        writer.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]
    with BagReader(tmp_path / "bag") as reader:
        assert reader.message_count == 3


def test_a_failing_writer_leaves_a_part_folder_and_no_bag(tmp_path: Path) -> None:
    write_and_raise(tmp_path / "bag", RuntimeError())
    assert not (tmp_path / "bag").exists() and (tmp_path / "bag.part").is_dir()
    write_strings(tmp_path / "bag")  # the rest of the failed one is not in the way
    assert not (tmp_path / "bag.part").exists()


def test_an_interrupted_writer_leaves_a_whole_bag(tmp_path: Path) -> None:
    write_and_raise(tmp_path / "bag", KeyboardInterrupt())
    with BagReader(tmp_path / "bag") as reader:
        assert reader.message_count == 1 and reader.damage is None


def test_a_cut_off_mcap_gives_what_can_be_read_and_then_an_error(tmp_path: Path) -> None:
    path = tmp_path / "bag"
    with BagWriter(path, compress=False) as writer:
        for i in range(8):
            noise = np.random.default_rng(i).integers(0, 256, 400_000, dtype=np.uint8).tobytes()
            message = Image(height=400, width=1000, step=1000, encoding="mono8")
            message.data.frombytes(noise)
            writer.write("/image", START_NS + i, message)
    content = (path / "bag.mcap").read_bytes()
    (tmp_path / "cut.mcap").write_bytes(content[: int(0.8 * len(content))])
    with BagReader(tmp_path / "cut.mcap") as reader:
        assert reader.damage is not None and reader.message_count is None
        read = stamps_until_it_breaks(reader)
        with pytest.raises(BagError, match=r"cut off or damaged: \d+ messages could be read"):
            list(reader.messages())
    assert 3 <= len(read) < 8 and read == sorted(read)


def test_a_destroyed_chunk_inside_an_mcap_is_noticed(tmp_path: Path) -> None:
    write_camera_bag(tmp_path / "bag")
    file = tmp_path / "bag" / "bag.mcap"
    content = bytearray(file.read_bytes())
    chunk = content.index(b"\x28\xb5\x2f\xfd")  # where zstd data begin (RFC 8878)
    content[chunk : chunk + 200] = bytes(200)
    file.write_bytes(bytes(content))
    with BagReader(tmp_path / "bag") as reader, pytest.raises(BagError, match="damaged"):
        list(reader.messages())


def test_a_bag_without_metadata_is_read_by_its_files(tmp_path: Path) -> None:
    write_strings(tmp_path / "bag")
    (tmp_path / "bag" / "metadata.yaml").unlink()
    with BagReader(tmp_path / "bag") as reader:
        assert reader.message_count == 3


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.mcap", b""), ("b.mcap", b"\x89MCAP0\r\n"), ("c.db3", b"no database"), ("d.mcap", b"\x00" * 500)],
)
def test_files_that_are_no_recordings_are_refused_with_a_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BagError, match=name), BagReader(tmp_path / name) as reader:
        list(reader.messages())


def test_a_missing_bag_and_an_empty_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="nothing of that name"):
        BagReader(tmp_path / "none").__enter__()
    with pytest.raises(BagError, match="there is none in it"):
        BagReader(tmp_path).__enter__()


def test_unknown_topics_are_answered_with_what_the_bag_holds(tmp_path: Path) -> None:
    write_strings(tmp_path / "bag")
    with (
        BagReader(tmp_path / "bag") as reader,
        pytest.raises(BagError, match="/words  std_msgs/msg/String  3 messages"),
    ):
        list(reader.messages(["/sounds"]))


def test_bytes_that_are_another_message_do_not_deserialise(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/info", "sensor_msgs/msg/CameraInfo")
        writer.write("/info", START_NS, b"\x00\x01\x00\x00" + b"\xff" * 20)
    with BagReader(tmp_path / "bag") as reader:
        message = next(iter(reader.messages()))
        with pytest.raises(BagError, match="24 bytes are no sensor_msgs/msg/CameraInfo"):
            message.deserialize()


def test_types_that_are_not_installed_can_be_read_and_copied_raw(tmp_path: Path) -> None:
    definition = "float64 value\nstring unit\n"
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/foreign", "somebody_msgs/msg/Reading", definition=definition)
        writer.write("/foreign", START_NS, b"\x00\x01\x00\x00payload")
    with BagReader(tmp_path / "bag") as reader, BagWriter(tmp_path / "copy") as writer:
        assert copy_topics(reader, writer, ["/foreign"]) == 1
    with BagReader(tmp_path / "copy") as reader:
        message = next(iter(reader.messages()))
        assert message.data == b"\x00\x01\x00\x00payload" and message.topic.definition == definition
        with pytest.raises(BagError, match="not installed"):
            message.deserialize()


def test_several_files_of_one_bag_are_read_as_one(tmp_path: Path) -> None:
    for i in range(2):
        with BagWriter(tmp_path / f"part{i}") as writer:
            writer.write("/words", START_NS + 10 * i, String(data=str(i)))
            writer.write("/words", START_NS + 10 * i + 1, String(data=str(i)))
    whole = tmp_path / "whole"
    whole.mkdir()
    for i in range(2):
        (tmp_path / f"part{i}" / f"part{i}.mcap").rename(whole / f"whole_{i}.mcap")
    with BagReader(whole) as reader:
        assert [m.stamp_ns - START_NS for m in reader.messages()] == [0, 1, 10, 11]
        assert reader.topics["/words"].message_count == 4


def test_time_windows_include_their_start_and_exclude_their_end(tmp_path: Path) -> None:
    write_strings(tmp_path / "bag", 5)
    with BagReader(tmp_path / "bag") as reader:
        stamps = [m.stamp_ns - START_NS for m in reader.messages(start_ns=START_NS + 1, stop_ns=START_NS + 3)]
    assert stamps == [1, 2]


def test_raw_bytes_need_a_topic_that_was_added(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        with pytest.raises(BagError, match="was not added"):
            writer.write("/info", START_NS, b"raw")
        writer.write("/info", START_NS, CameraInfo())
        with pytest.raises(BagError, match="added"):
            writer.add_topic("/info", "sensor_msgs/msg/CameraInfo")


def test_a_killed_writer_leaves_a_part_whose_messages_can_be_read(tmp_path: Path, repository: Path) -> None:
    code = (
        "import os, signal, sys\nfrom sensor_msgs.msg import Image\nfrom n3d_ros.ros.bag import BagWriter\n"
        "writer = BagWriter(sys.argv[1]).__enter__()\n"
        "for i in range(40):\n"
        "    image = Image(height=100, width=1000, step=1000, encoding='mono8')\n"
        "    image.data.frombytes(os.urandom(100_000))\n"
        "    writer.write('/image', i, image)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = os.pathsep.join([str(repository), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", code, str(tmp_path / "bag")]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, timeout=60, check=False)
    assert not (tmp_path / "bag").exists()
    with BagReader(tmp_path / "bag.part" / "bag" / "bag.mcap") as reader:
        assert reader.damage is not None
        assert len(stamps_until_it_breaks(reader)) >= 20


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_bag_may_be_written_from_another_thread_as_recorders_do(tmp_path: Path, storage: str) -> None:
    with BagWriter(tmp_path / "bag", storage=storage) as writer, ThreadPoolExecutor(1) as other:
        other.submit(writer.write, "/words", 1, String(data="from there")).result()
        writer.write("/words", 2, String(data="from here"))
    with BagReader(tmp_path / "bag") as reader:
        assert [message.deserialize().data for message in reader.messages()] == ["from there", "from here"]
