"""Sequences of three layouts are read as what was written; damaged ones say what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from n3d_ros.depth.evaluation.benchmark_settings import BenchmarkSettings, benchmark_settings
from n3d_ros.depth.evaluation.consistency import check_consistency
from n3d_ros.depth.evaluation.reading import read_sequences
from n3d_ros.depth.evaluation.sequence import Sequence, TrueFrame, chosen_frames
from n3d_ros.errors import ConfigurationError, InputError
from n3d_ros.geometry.transforms import RigidTransform
from room_sequences import CAMERA, RoomView, render_room, write_scenes, write_seven_scenes, write_tum

K = (CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy)
WRITERS = {"tum": write_tum, "scenes": write_scenes, "7scenes": write_seven_scenes}
OPTIONS = {"tum": {"intrinsics": K}, "scenes": {}, "7scenes": {"intrinsics": K}}


@pytest.fixture(scope="module")
def views() -> list[RoomView]:
    rendered = render_room(6)
    rendered[0].depth_m[:5, :7] = np.nan
    return rendered


@pytest.mark.parametrize("layout", sorted(WRITERS))
def test_what_was_written_is_read_with_its_layout_found(layout: str, views: list[RoomView], tmp_path: Path) -> None:
    (sequence,) = read_sequences(WRITERS[layout](tmp_path / "data", views), **OPTIONS[layout])
    frames = list(sequence.read())
    assert len(frames) == len(views) and len({frame.name for frame in frames}) == len(views)
    for frame, view in zip(frames, views, strict=True):
        np.testing.assert_array_equal(frame.rgb, view.rgb)
        np.testing.assert_allclose(frame.depth_m, view.depth_m, atol=6e-4)  # half a millimetre; NaN where NaN
        assert frame.intrinsics == CAMERA
        # TUM: stamps of poses are 4 ms later, the nearest one is taken.
        assert frame.world_T_camera.is_close(view.world_T_camera, translation_m=1e-6, rotation_rad=1e-6)


def test_poses_are_interpolated_between_stamps_near_the_image(views: list[RoomView], tmp_path: Path) -> None:
    folder = write_tum(tmp_path / "freiburg3_room", views)
    stamp = 1305031102.0 + 2 / 30
    rows = [f"{stamp + dt:.6f} {x} 0 0 0 0 0 1" for dt, x in ((-0.008, 1.0), (0.002, 2.0))]
    (folder / "groundtruth.txt").write_text("\n".join(rows))
    (sequence,) = read_sequences(folder)
    assert [frame.world_T_camera.translation[0] for frame in sequence.frames] == pytest.approx([1.8], rel=1e-4)
    assert sequence.frames[0].intrinsics.fx == 535.4  # of the camera in the folder's name
    assert any("5 of 6 images" in note for note in sequence.notes)


def test_several_scenes_of_one_folder_are_several_sequences(views: list[RoomView], tmp_path: Path) -> None:
    write_scenes(tmp_path, views[:3], scene="tabletop_000001")
    write_scenes(tmp_path, views[3:], scene="tabletop_000002")
    got = read_sequences(tmp_path)
    assert [(s.name, len(s.frames)) for s in got] == [("tabletop_000001", 3), ("tabletop_000002", 3)]


def test_frames_of_lost_tracking_are_left_out_and_counted(views: list[RoomView], tmp_path: Path) -> None:
    folder = write_seven_scenes(tmp_path / "chess" / "seq-01", views)
    np.savetxt(folder / "frame-000002.pose.txt", np.full((4, 4), np.inf))
    (sequence,) = read_sequences(folder)
    assert sequence.name == "chess/seq-01" and len(sequence.frames) == 5
    assert sequence.notes == ("1 of 6 frames have no finite pose",)


def sequence_of(count: int, views: list[RoomView], tmp_path: Path) -> Sequence:
    (sequence,) = read_sequences(write_scenes(tmp_path / "data", views[:1]))
    return Sequence(name="many", frames=sequence.frames * count)


def test_the_draw_of_frames_is_that_of_the_released_program(views: list[RoomView], tmp_path: Path) -> None:
    many = sequence_of(300, views, tmp_path)
    numbered = Sequence(name="many", frames=tuple(range(300)))  # type: ignore[arg-type]
    kept = chosen_frames(numbered, BenchmarkSettings(max_images=100)).frames
    assert len(kept) == 100 and list(kept) == sorted(kept)
    assert kept == chosen_frames(numbered, BenchmarkSettings(max_images=100)).frames
    # random.seed(42); random.shuffle(list(range(300))); sorted(first 100): its first five.
    assert kept[:5] == (1, 5, 6, 9, 19)
    assert len(chosen_frames(many, benchmark_settings("7scenes")).frames) == 28  # every 11th of 300
    assert chosen_frames(many, BenchmarkSettings(every=11)).notes == ("28 of 300 frames",)


def test_too_few_frames_are_refused(views: list[RoomView], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 2 frames.*every 11"):
        chosen_frames(sequence_of(11, views, tmp_path), benchmark_settings("7scenes"))


def test_images_and_poses_of_other_times_are_refused(views: list[RoomView], tmp_path: Path) -> None:
    folder = write_tum(tmp_path / "data", views, pose_delay_s=100.0)
    with pytest.raises(InputError, match=r"do not overlap in time: images from 1305031102\.000"):
        read_sequences(folder, intrinsics=K)


def test_a_gap_between_stamps_is_refused_with_the_limit(views: list[RoomView], tmp_path: Path) -> None:
    folder = write_tum(tmp_path / "data", views[:2], pose_delay_s=0.0)
    text = (folder / "depth.txt").read_text().replace("\n1305031102.", "\n1305031109.")
    (folder / "depth.txt").write_text(text)
    with pytest.raises(InputError, match=r"within 0\.02 s, found none among 2 images"):
        read_sequences(folder, intrinsics=K)


def test_a_pose_that_is_not_a_number_is_refused_with_its_line(views: list[RoomView], tmp_path: Path) -> None:
    folder = write_tum(tmp_path / "data", views)
    lines = (folder / "groundtruth.txt").read_text().splitlines()
    lines[3] = lines[3].rsplit(" ", 1)[0] + " nan"
    (folder / "groundtruth.txt").write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"groundtruth\.txt, line 4: .*seven finite numbers"):
        read_sequences(folder, intrinsics=K)


def test_an_unknown_camera_is_asked_for(views: list[RoomView], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--intrinsics FX,FY,CX,CY, or one of freiburg1"):
        read_sequences(write_tum(tmp_path / "data", views))


@pytest.mark.parametrize("text", ["1.0", "now rgb/x.png", "", "1.0 ../../etc/passwd", "1.0 /etc/passwd"])
def test_a_damaged_list_is_refused(text: str, views: list[RoomView], tmp_path: Path) -> None:
    folder = write_tum(tmp_path / "data", views)
    (folder / "rgb.txt").write_text(text)
    with pytest.raises(InputError, match=r"rgb\.txt"):
        read_sequences(folder, intrinsics=K)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda truth: truth.pop("camera"), "camera"),
        (lambda truth: truth["world_T_camera"].update(translation=[0, float("nan"), 0]), "finite"),
        (lambda truth: truth["camera"].update(fx=0), "fx"),
    ],
)
def test_a_damaged_truth_is_refused(change: object, message: str, views: list[RoomView], tmp_path: Path) -> None:
    write_scenes(tmp_path, views[:2])
    path = tmp_path / "room_000007_0001_truth.json"
    truth = json.loads(path.read_text())
    change(truth)  # type: ignore[operator]
    path.write_text(json.dumps(truth))
    with pytest.raises(InputError, match=message):
        read_sequences(tmp_path)


def test_images_that_are_none_are_refused(views: list[RoomView], tmp_path: Path) -> None:
    write_scenes(tmp_path, views[:2])
    (tmp_path / "room_000007_0000_color.png").write_bytes(b"no image")
    cv2.imwrite(str(tmp_path / "room_000007_0001_depth.png"), np.zeros((96, 128), np.uint8))
    (sequence,) = read_sequences(tmp_path)
    with pytest.raises(InputError, match="colour image"):
        list(sequence.read())
    with pytest.raises(InputError, match="16 bits, got uint8"):
        list(Sequence(name="", frames=sequence.frames[1:]).read())


def test_images_of_different_size_are_refused(views: list[RoomView], tmp_path: Path) -> None:
    write_scenes(tmp_path, views[:2])
    cv2.imwrite(str(tmp_path / "room_000007_0000_depth.png"), np.full((48, 64), 1000, np.uint16))
    (sequence,) = read_sequences(tmp_path)
    with pytest.raises(InputError, match="128x96, 64x48 and 128x96"):
        list(sequence.read())


def test_folders_without_a_sequence_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no known layout"):
        read_sequences(tmp_path)
    with pytest.raises(InputError, match="expected a folder"):
        read_sequences(tmp_path / "absent")
    with pytest.raises(ConfigurationError, match="expected one of auto, tum"):
        read_sequences(tmp_path, layout="kitti")


def test_options_that_generated_scenes_answer_are_refused(views: list[RoomView], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="hold both"):
        read_sequences(write_scenes(tmp_path, views), intrinsics=K)


# ------------------------------------------------------------------------------------------------------- consistency


def true_frames(views: list[RoomView], factor: float = 1.0) -> list[TrueFrame]:
    return [
        TrueFrame(
            name=str(k),
            rgb=view.rgb,
            depth_m=(factor * view.depth_m).astype(np.float32),
            intrinsics=CAMERA,
            world_T_camera=view.world_T_camera,
        )
        for k, view in enumerate(views)
    ]


def test_true_depth_and_true_poses_agree(views: list[RoomView]) -> None:
    found = check_consistency(true_frames(views))
    assert found.agreement is not None and found.agreement > 0.8 and found.note is None


@pytest.mark.parametrize(("factor", "mend"), [(5.0, "0.2"), (0.2, "5"), (10.0, "0.1"), (0.1, "10")])
def test_a_wrong_depth_factor_is_found_by_the_poses(views: list[RoomView], factor: float, mend: str) -> None:
    with pytest.raises(InputError, match=f"but {mend} times that depth does .*divide --depth-factor by {mend}"):
        check_consistency(true_frames(views, factor))


def test_poses_the_wrong_way_round_are_noted(views: list[RoomView]) -> None:
    turned = [RoomView(v.rgb, v.depth_m, v.world_T_camera.inverse()) for v in views]
    note = check_consistency(true_frames(turned)).note
    assert note is not None and "disagree" in note


def test_views_that_share_nothing_say_nothing(views: list[RoomView]) -> None:
    away = RigidTransform(rotation=np.diag([-1.0, 1, -1]), translation=np.array([0, 0, -50.0]))
    apart = [views[0], RoomView(views[1].rgb, views[1].depth_m, away)]
    assert check_consistency(true_frames(apart)).agreement is None


def test_an_unknown_or_impossible_setting_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected one of hiroom, eth3d, 7scenes"):
        benchmark_settings("kitti")
    with pytest.raises(ConfigurationError, match="at least one voxel"):
        BenchmarkSettings(voxel_m=0.05, truncation_m=0.04)
    with pytest.raises(ConfigurationError, match="max_images: expected 2"):
        BenchmarkSettings(max_images=1)


def test_the_settings_are_the_published_ones() -> None:
    table = {
        name: (s.voxel_m, s.truncation_m, s.max_depth_m, s.threshold_m, s.downsample_m)
        for name in ("hiroom", "eth3d", "7scenes", "scannetpp")
        for s in [benchmark_settings(name)]
    }
    assert table == {
        "hiroom": pytest.approx((0.0078125, 0.04, None, 0.05, 0.0078125)),
        "eth3d": pytest.approx((0.0390625, 0.2, None, 0.25, 0.0390625)),
        "7scenes": pytest.approx((0.0078125, 0.04, None, 0.05, 0.0078125)),
        "scannetpp": pytest.approx((0.02, 0.15, 5.0, 0.05, 0.02)),
    }
    assert all(benchmark_settings(name).points == 1_000_000 for name in table)
