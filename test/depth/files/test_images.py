"""Images from files, with everything that files of images do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from n3d_ros.depth.files.images import images_of_folder, is_image, read_picture
from n3d_ros.errors import InputError

RGB = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)


def test_a_png_is_read_as_it_is(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert (picture.rgb == RGB).all() and picture.notes == ()


@pytest.mark.parametrize(("orientation", "turn"), [(3, 2), (6, -1), (8, 1)])
def test_a_photo_is_turned_upright_as_exif_says(tmp_path: Path, orientation: int, turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(RGB).save(tmp_path / "a.png", exif=exif)
    picture = read_picture(tmp_path / "a.png")
    assert (picture.rgb == np.rot90(RGB, turn)).all()
    assert "EXIF orientation" in picture.notes[0] and "calibration" in picture.notes[0]


def test_transparent_parts_are_white_whatever_colour_they_hide(tmp_path: Path) -> None:
    rgba = np.dstack([RGB, np.full((40, 60), 255, np.uint8)])
    rgba[:10, :, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert (picture.rgb[:10] == 255).all() and (picture.rgb[10:] == RGB[10:]).all()
    assert "white" in picture.notes[0]


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1"])
def test_other_kinds_of_images_become_three_channels(tmp_path: Path, mode: str) -> None:
    Image.fromarray(RGB).convert(mode).save(tmp_path / "a.tif")
    assert read_picture(tmp_path / "a.tif").rgb.shape == (40, 60, 3)


def test_sixteen_bit_grey_is_scaled_by_its_format_and_hinted_to_be_depth(tmp_path: Path) -> None:
    grey = np.full((20, 30), 32768, dtype=np.uint16)
    grey[0] = 65535
    Image.fromarray(grey).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert (picture.rgb[0] == 255).all() and (picture.rgb[1:] == 128).all(), "one range for all images of a folder"
    assert "16-bit grey" in picture.notes[0] and "depth" in picture.notes[0]


def test_files_that_are_no_images_are_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    Image.fromarray(RGB).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:900])
    Image.fromarray(RGB[:10]).save(tmp_path / "tiny.png")
    for name, words in {
        "text.jpg": "cannot be decoded",
        "cut.jpg": "cannot be decoded",
        "tiny.png": "at least 14 px",
        "none.png": "nothing of that name",
    }.items():
        with pytest.raises(InputError, match=words):
            read_picture(tmp_path / name)


def test_an_image_of_absurd_size_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (20000, 20)).save(tmp_path / "wide.png")
    with pytest.raises(InputError, match="16384"):
        read_picture(tmp_path / "wide.png")


def test_images_of_a_folder_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("img10.png", "img2.PNG", "img1.jpg", ".hidden.png", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in images_of_folder(tmp_path)] == ["img1.jpg", "img2.PNG", "img10.png"]


def test_an_empty_folder_says_where_images_may_be(tmp_path: Path) -> None:
    (tmp_path / "left").mkdir()
    with pytest.raises(InputError, match="holds no images .* left"):
        images_of_folder(tmp_path)


def test_an_image_is_known_by_its_content(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "photo", format="JPEG")
    (tmp_path / "b.png").write_text("text")
    assert is_image(tmp_path / "photo") and not is_image(tmp_path / "b.png")
