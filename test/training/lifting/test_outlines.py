"""Polygons, run lengths and mask files become the pixels that they mean."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from model_training.lifting.boxes_2d import overlaps
from model_training.lifting.outlines import (
    MaskFile,
    Polygons,
    RunLengths,
    outline_of,
    outline_row,
    runs_of_mask,
    runs_of_text,
)
from n3d_ros.errors import InputError


def test_a_pixel_belongs_to_a_polygon_when_its_centre_does() -> None:
    mask = Polygons(rings=((1.0, 1.0, 4.0, 1.0, 4.0, 3.0, 1.0, 3.0),)).mask(6, 5)
    expected = np.zeros((5, 6), bool)
    expected[1:3, 1:4] = True
    assert np.array_equal(mask, expected)


def test_half_pixels_of_a_polygon_count_by_their_centres() -> None:
    mask = Polygons(rings=((0.6, 0.0, 3.4, 0.0, 3.4, 2.0, 0.6, 2.0),)).mask(5, 2)
    assert mask.tolist() == [[False, True, True, False, False]] * 2


def test_a_triangle_covers_half_of_its_square() -> None:
    mask = Polygons(rings=((0.0, 0.0, 100.0, 0.0, 0.0, 100.0),)).mask(100, 100)
    assert mask.sum() == pytest.approx(5000, abs=60)
    assert mask[0, 0]
    assert not mask[99, 99]


def test_rings_are_united_also_where_they_overlap() -> None:
    ring = (0.0, 0.0, 3.0, 0.0, 3.0, 3.0, 0.0, 3.0)
    shifted = (1.0, 1.0, 4.0, 1.0, 4.0, 4.0, 1.0, 4.0)
    assert Polygons(rings=(ring, shifted)).mask(5, 5).sum() == 9 + 9 - 4


def test_a_polygon_beyond_the_image_is_cut() -> None:
    mask = Polygons(rings=((-50.0, -50.0, 50.0, -50.0, 50.0, 50.0, -50.0, 50.0),)).mask(4, 3)
    assert mask.all()


@pytest.mark.parametrize(
    "ring", [(0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 1.0, 2.0), (0.0, 0.0, float("nan"), 1.0, 2.0, 2.0)]
)
def test_what_is_no_polygon_is_refused(ring: tuple[float, ...]) -> None:
    with pytest.raises(InputError):
        Polygons(rings=(ring,))


def test_runs_go_down_the_columns_and_begin_outside() -> None:
    # The example of pycocotools' documentation: M = [0 0 1 1 1 0 1] has the counts [2 3 1 1].
    mask = RunLengths(counts=(2, 3, 1, 1), width=1, height=7).mask(1, 7)
    assert mask[:, 0].tolist() == [False, False, True, True, True, False, True]
    two_columns = RunLengths(counts=(1, 2, 1), width=2, height=2).mask(2, 2)
    assert two_columns.tolist() == [[False, True], [True, False]]


def test_compressed_runs_are_read_as_the_reference_reads_them() -> None:
    # A pair of pycocotools' own tests.
    assert runs_of_text("61X13mN000`0") == [6, 1, 40, 4, 5, 4, 5, 4, 21]
    mask = RunLengths(counts="61X13mN000`0", width=10, height=9).mask(10, 9)
    assert mask.sum() == 1 + 4 + 4 + 4


@pytest.mark.parametrize(
    ("counts", "width"), [((2, 3), 2), ((-1, 5), 2), ("61X13mN000`", 10), ("6\x001", 2), ("o" * 40, 2), ((4,), 3)]
)
def test_damaged_runs_are_refused(counts: tuple[int, ...] | str, width: int) -> None:
    with pytest.raises(InputError):
        RunLengths(counts=counts, width=width, height=2).mask(2, 2)


@given(arrays.arrays(bool, st.tuples(st.integers(1, 8), st.integers(1, 8))))
def test_runs_of_a_mask_give_it_back(mask: np.ndarray) -> None:
    height, width = mask.shape
    outline = RunLengths(counts=tuple(runs_of_mask(mask)), width=width, height=height)
    assert np.array_equal(outline.mask(width, height), mask)
    again = outline_of(outline_row(outline))
    assert isinstance(again, RunLengths)
    assert again.counts == outline.counts


def test_a_mask_file_is_brought_to_the_images_size(tmp_path: Path) -> None:
    small = np.zeros((4, 6), np.uint8)
    small[:2] = 255
    cv2.imwrite(str(tmp_path / "a.png"), small)
    mask = MaskFile(name="a.png").read(tmp_path, 12, 8)
    assert mask.shape == (8, 12)
    assert mask[:4].all()
    assert not mask[4:].any()


@pytest.mark.parametrize("name", ["../a.png", "/etc/passwd", "missing.png", "", "text.png"])
def test_a_mask_file_outside_missing_or_broken_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(InputError):
        MaskFile(name=name).read(tmp_path, 4, 4)


def test_run_lengths_whose_sum_wraps_around_are_refused() -> None:
    counts = (2**62, 2**62, 2**62, 2**62 + 600)  # 600 in 64 bits
    with pytest.raises(InputError, match="add up"):
        RunLengths(counts=counts, width=30, height=20).mask(30, 20)


def test_a_mask_of_more_pixels_than_opencv_takes_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "m.png"), np.ones((2, 2), np.uint8))
    header = bytearray((tmp_path / "m.png").read_bytes())
    header[16:24] = struct.pack(">II", 60_000, 60_000)
    header[29:33] = struct.pack(">I", zlib.crc32(header[12:29]))
    (tmp_path / "m.png").write_bytes(header)
    with pytest.raises(InputError, match="cannot be decoded"):
        MaskFile(name="m.png").read(tmp_path, 30, 20)


def test_a_polygon_partly_outside_is_cut_and_one_outside_is_nothing() -> None:
    partly = Polygons(rings=((-5.0, -5.0, 4.0, -5.0, 4.0, 3.0, -5.0, 3.0),)).mask(30, 20)
    assert partly[:3, :4].all()
    assert partly.sum() == 12
    assert not Polygons(rings=((40.0, 5.0, 50.0, 5.0, 50.0, 9.0),)).mask(30, 20).any()


def test_overlaps_are_those_computed_by_hand() -> None:
    boxes = np.array([[0.0, 0.0, 4.0, 4.0], [2.0, 2.0, 6.0, 6.0], [4.0, 0.0, 8.0, 4.0], [1.0, 1.0, 1.0, 1.0]])
    assert overlaps(boxes, (0.0, 0.0, 4.0, 4.0)) == pytest.approx([1.0, 4 / 28, 0.0, 0.0])
    assert overlaps(boxes[3:], (1.0, 1.0, 1.0, 1.0)) == pytest.approx([0.0])
