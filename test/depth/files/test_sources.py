"""Frames of images, folders and videos."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from n3d_ros.depth.files.opening import file_source, kind_of
from n3d_ros.depth.files.sources import FOLDER, IMAGE, RECORDING, VIDEO, ImageFiles, Thinning, unique_names
from n3d_ros.depth.files.videos import VideoFile
from n3d_ros.errors import InputError

SIZE = (64, 48)


def write_images(folder: Path, count: int) -> list[Path]:
    paths = []
    for i in range(count):
        paths.append(folder / f"image{i}.png")
        Image.new("RGB", SIZE, (10 * i, 0, 0)).save(paths[-1])
    return paths


def write_video(path: Path, frames: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, SIZE)
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no video")
    for i in range(frames):
        writer.write(np.full((SIZE[1], SIZE[0], 3), 10 * i % 256, dtype=np.uint8))
    writer.release()
    return path


def test_inputs_are_known_by_their_content(tmp_path: Path) -> None:
    (image,) = write_images(tmp_path, 1)
    bag = tmp_path / "bag"
    bag.mkdir()
    (bag / "a.mcap").touch()
    assert kind_of(image) == IMAGE and kind_of(tmp_path) == FOLDER and kind_of(bag) == RECORDING
    assert kind_of(write_video(tmp_path / "film.avi", 2)) == VIDEO


def test_what_is_not_there_or_empty_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(InputError, match="nothing of that name"):
        kind_of(tmp_path / "none.jpg")
    with pytest.raises(InputError, match="is empty"):
        kind_of(tmp_path / "empty.jpg")


def test_a_file_of_another_kind_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(InputError, match="no image, and OpenCV cannot open it as a video"):
        file_source([tmp_path / "notes.txt"], Thinning())


def test_images_are_thinned_and_named_after_their_files(tmp_path: Path) -> None:
    source = file_source(write_images(tmp_path, 7), Thinning(every=2, max_frames=3))
    frames = list(source.frames())
    assert source.count == 3 and [frame.name for frame in frames] == ["image0", "image2", "image4"]
    assert [frame.index for frame in frames] == [0, 1, 2] and frames[2].rgb[0, 0, 0] == 40


def test_an_image_among_others_that_cannot_be_read_is_left_out_and_said(tmp_path: Path) -> None:
    write_images(tmp_path, 2)
    (tmp_path / "image1.png").write_text("broken")
    source = file_source([tmp_path], Thinning())
    assert [frame.name for frame in source.frames()] == ["image0"]
    assert "left out" in source.notes[0] and "image1.png" in source.notes[0]


def test_images_none_of_which_can_be_read_are_an_error(tmp_path: Path) -> None:
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        path.write_text("broken")
    with pytest.raises(InputError, match="None of the 2 images"):
        list(ImageFiles(paths).frames())


def test_several_inputs_are_images_only(tmp_path: Path) -> None:
    images = write_images(tmp_path, 2)
    with pytest.raises(InputError, match="is no image; expected several images, or one folder"):
        file_source([*images, tmp_path], Thinning())


def test_names_are_different_whatever_the_files_are_called() -> None:
    paths = [Path("a/x.png"), Path("b/x.png"), Path("x.jpg"), Path("y.png")]
    names = unique_names(paths)
    assert len(set(names)) == 4 and names[3] == "y"


def test_a_video_gives_its_frames_with_their_times(tmp_path: Path) -> None:
    source = VideoFile(write_video(tmp_path / "film.avi", 9), thinning=Thinning(every=4))
    frames = list(source.frames())
    assert source.count == 3 and [frame.name for frame in frames] == ["frame000000", "frame000004", "frame000008"]
    assert [frame.stamp_ns for frame in frames] == [0, 400_000_000, 800_000_000]
    assert np.allclose([frame.rgb.mean() for frame in frames], [0, 40, 80], atol=3)


def test_a_video_is_read_again_from_its_beginning(tmp_path: Path) -> None:
    source = VideoFile(write_video(tmp_path / "film.avi", 4))
    first, second = list(source.frames()), list(source.frames())
    assert len(first) == 4 and all((a.rgb == b.rgb).all() for a, b in zip(first, second, strict=True))


def test_a_video_that_is_cut_off_gives_what_is_there(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "film.avi", 30)
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    source = VideoFile(cut)
    frames = list(source.frames())
    assert 0 < len(frames) < 30
    assert source.total in (0, len(frames)) or "the video ends after" in source.notes[0]


def test_a_video_without_a_frame_is_refused(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "film.avi", 3)
    (tmp_path / "head.avi").write_bytes(whole.read_bytes()[:200])
    with pytest.raises(InputError, match="head.avi"):
        VideoFile(tmp_path / "head.avi")


def test_thinning_takes_one_and_more() -> None:
    with pytest.raises(InputError, match="1 and more"):
        Thinning(every=0)
    assert Thinning(every=3).count(7) == 3 and Thinning(max_frames=2).count(7) == 2
