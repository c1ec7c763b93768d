"""Folders of images become bags: every pixel arrives, mismatches are refused with the file's name."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from n3d_ros.cli import main as cli
from n3d_ros.cli.bag_from_images import camera_pose, matched_files, read_intrinsics
from n3d_ros.errors import ConfigurationError, InputError
from n3d_ros.ros.bag import BagReader
from n3d_ros.ros.camera_topics import find_camera_topics

INTRINSICS = "60,60,31.5,23.5"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Pairs 1, 2 and 10; the red channel and the depth tell which is which."""
    for number in (1, 2, 10):
        color = np.zeros((48, 64, 3), dtype=np.uint8)
        color[..., 2] = 10 * number  # OpenCV writes blue, green, red
        cv2.imwrite(str(tmp_path / f"shot{number}_color.png"), color)
        depth = np.full((48, 64), 1000 + number, dtype=np.uint16)
        depth[0] = 0
        cv2.imwrite(str(tmp_path / f"shot{number}_depth.png"), depth)
    return tmp_path


def convert(images: Path, *options: str, name: str = "bag") -> tuple[int, Path]:
    arguments = ["bag-from-images", "--color", str(images / "*_color.png"), "--depth", str(images / "*_depth.png")]
    if "--intrinsics" not in options:
        arguments += ["--intrinsics", INTRINSICS]
    return cli.main([*arguments, "-o", str(images / name), *options]), images / name


def test_images_arrive_in_the_order_of_their_numbers_with_every_pixel(images: Path) -> None:
    code, bag = convert(images, "--rate", "4")
    assert code == 0
    with BagReader(bag) as reader:
        topics = find_camera_topics(reader)
        colors = [m.deserialize() for m in reader.messages([topics.color])]
        depths = [m.deserialize() for m in reader.messages([topics.depth])]
        info = next(iter(reader.messages([topics.color_info]))).deserialize()
    assert [message.data[0] for message in colors] == [10, 20, 100]
    assert [message.header.stamp.nanosec for message in colors] == [0, 250_000_000, 500_000_000]
    values = [np.frombuffer(message.data, np.uint16).reshape(48, 64) for message in depths]
    assert [int(value[5, 5]) for value in values] == [1001, 1002, 1010] and not values[0][0].any()
    assert list(info.k) == [60, 0, 31.5, 0, 60, 23.5, 0, 0, 1] and info.header == colors[0].header


def test_depth_in_another_unit_becomes_millimetres(images: Path) -> None:
    code, bag = convert(images, "--depth-unit", "0.0002")
    with BagReader(bag) as reader:
        depth = next(iter(reader.messages(["/camera/aligned_depth_to_color/image_raw"]))).deserialize()
    assert code == 0 and depth.encoding == "16UC1"
    assert np.frombuffer(depth.data, np.uint16).reshape(48, 64)[5, 5] == 200  # 1001 counts of 0.2 mm


@pytest.mark.parametrize("unit", [["--depth-unit", "1"], []], ids=["told", "by default"])
def test_float_depth_from_arrays_is_taken_in_metres(images: Path, unit: list[str]) -> None:
    for number in (1, 2, 10):
        (images / f"shot{number}_depth.png").unlink()
        np.save(images / f"shot{number}_depth.npy", np.full((48, 64), 1.5, dtype=np.float32))
    arguments = ["--color", str(images / "*_color.png"), "--depth", str(images / "*_depth.npy")]
    arguments += ["--intrinsics", INTRINSICS, *unit, "-o", str(images / "bag")]
    assert cli.main(["bag-from-images", *arguments]) == 0
    with BagReader(images / "bag") as reader:
        depth = next(iter(reader.messages(["/camera/aligned_depth_to_color/image_raw"]))).deserialize()
    assert np.frombuffer(depth.data, np.uint16)[0] == 1500


def test_compressed_sqlite_bags_can_be_made_too(images: Path) -> None:
    code, bag = convert(images, "--compressed", "--storage", "sqlite3")
    with BagReader(bag) as reader:
        assert code == 0 and find_camera_topics(reader).color_compressed
    assert (bag / "bag.db3").is_file()


def test_a_calibration_file_gives_camera_and_lens(images: Path) -> None:
    (images / "camera.yaml").write_text(
        "image_width: 64\nimage_height: 48\ndistortion_model: plumb_bob\n"
        "camera_matrix: {rows: 3, cols: 3, data: [61, 0, 30, 0, 62, 20, 0, 0, 1]}\n"
        "distortion_coefficients: {rows: 1, cols: 5, data: [0.1, 0, 0, 0, 0]}\n"
    )
    code, bag = convert(images, "--intrinsics", str(images / "camera.yaml"))
    with BagReader(bag) as reader:
        info = next(iter(reader.messages(["/camera/color/camera_info"]))).deserialize()
    assert code == 0 and (info.k[0], info.k[4], info.k[2]) == (61, 62, 30) and list(info.d) == [0.1, 0, 0, 0, 0]
    with pytest.raises(ConfigurationError, match="for images of 64x48, the images have 640x480"):
        read_intrinsics(str(images / "camera.yaml"), width=640, height=480)


def test_the_camera_pose_looks_along_x_and_down() -> None:
    pose = camera_pose(0.9, 30.0)
    assert pose.translation.tolist() == [0, 0, 0.9]
    np.testing.assert_allclose(pose.rotate([0, 0, 1]), [np.cos(np.pi / 6), 0, -0.5], atol=1e-12)
    np.testing.assert_allclose(pose.rotate([1, 0, 0]), [0, -1, 0], atol=1e-12)  # the image's right is the robot's right


def test_a_static_transform_is_latched(images: Path) -> None:
    code, bag = convert(images, "--camera-height", "1.2", "--camera-pitch", "20")
    with BagReader(bag) as reader:
        assert code == 0 and reader.topics["/tf_static"].qos.is_latched


def test_missing_partners_are_refused(images: Path) -> None:
    (images / "shot2_depth.png").unlink()
    with pytest.raises(InputError, match="as many depth as colour images, got 3 .* and 2"):
        matched_files(str(images / "*_color.png"), str(images / "*_depth.png"))
    (images / "shot2_color.png").rename(images / "shot3_color.png")
    (images / "shot10_color.png").unlink()
    with pytest.raises(InputError, match="shot3_color.png would be paired with .*shot10_depth.png"):
        matched_files(str(images / "*_color.png"), str(images / "*_depth.png"))
    with pytest.raises(InputError, match="no file matches"):
        matched_files(str(images / "*.jpg"), str(images / "*_depth.png"))


def test_images_of_another_size_are_refused_and_leave_no_bag(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(images / "shot2_depth.png"), np.ones((24, 32), dtype=np.uint16))
    code, bag = convert(images)
    assert code == 1 and not bag.exists()
    assert "shot2_depth.png: expected 64x48" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"not an image"])
def test_files_that_are_no_images_are_named(images: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    (images / "shot10_color.png").write_bytes(content)
    assert convert(images)[0] == 1
    assert "shot10_color.png: expected a colour image" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [("--rate", "0"), ("--rate", "nan"), ("--depth-unit", "-1"), ("--start-time", "0"), ("--intrinsics", "1,2,3")],
)
def test_options_out_of_range_are_refused(images: Path, options: tuple[str, str]) -> None:
    code, bag = convert(images, *options)
    assert code == 1 and not bag.exists()


def test_the_real_frames_become_a_bag_without_loss(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "realdata" / "osd"
    arguments = ["--color", str(folder / "learn1?_color.png"), "--depth", str(folder / "learn1?_depth.png")]
    arguments += ["--intrinsics", "525,525,319.5,239.5", "-o", str(tmp_path / "osd"), "--rate", "5"]
    assert cli.main(["bag-from-images", *arguments]) == 0
    with BagReader(tmp_path / "osd") as reader:
        depths = [m.deserialize() for m in reader.messages(["/camera/aligned_depth_to_color/image_raw"])]
    assert len(depths) == 10
    for i in (0, 9):
        expected = cv2.imread(str(folder / f"learn{10 + i}_depth.png"), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(np.frombuffer(depths[i].data, np.uint16).reshape(480, 640), expected)
