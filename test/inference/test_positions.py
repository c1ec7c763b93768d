"""Positions of tokens: against the golden runs of the reference, and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from n3d_ros.errors import InputError
from n3d_ros.inference.positions import next_position, prompt_positions, text_positions

IMAGE = 302  # the golden runs' image token


@pytest.mark.parametrize("run", ["landscape", "portrait"])
def test_positions_equal_those_of_the_reference(shared_data: Path, run: str) -> None:
    numpy_files = pytest.importorskip("safetensors.numpy", reason="the golden tensors are safetensors")
    golden = numpy_files.load_file(shared_data / "golden" / "n3d" / "case_a" / f"{run}.safetensors")
    ids = golden["input_ids"][0]
    rows, columns = golden["image_grid_thw"][0, 1:].tolist()
    positions = prompt_positions(ids, grids=[(rows, columns)], image_token=IMAGE)
    assert np.array_equal(positions, golden["position_ids"][:, 0])
    assert next_position(positions) - len(ids) == int(golden["rope_deltas"][0, 0])


def test_text_alone_counts() -> None:
    positions = prompt_positions(np.array([5, 6, 7]), image_token=IMAGE)
    assert np.array_equal(positions, np.tile([0, 1, 2], (3, 1)))
    assert next_position(positions) == 3


def test_two_images_follow_each_other() -> None:
    ids = np.array([1, IMAGE, IMAGE, 2, IMAGE, IMAGE, IMAGE, IMAGE, 3, 4])
    positions = prompt_positions(ids, grids=[(2, 4), (4, 4)], image_token=IMAGE)
    expected = [
        [0, 1, 1, 3, 4, 4, 4, 4, 6, 7],  # one place in time per image, text goes on behind its largest position
        [0, 1, 1, 3, 4, 4, 5, 5, 6, 7],
        [0, 1, 2, 3, 4, 5, 4, 5, 6, 7],
    ]
    assert positions.tolist() == expected


def test_an_image_right_behind_another_and_at_the_end() -> None:
    ids = np.array([IMAGE, IMAGE])
    positions = prompt_positions(ids, grids=[(2, 2), (2, 2)], image_token=IMAGE)
    assert positions.tolist() == [[0, 1], [0, 1], [0, 1]]


@pytest.mark.parametrize(
    ("ids", "grids"),
    [([1, IMAGE], []), ([1, 2], [(2, 2)]), ([IMAGE, 1, IMAGE], [(2, 4)]), ([IMAGE] * 3, [(2, 4)])],
)
def test_image_tokens_that_make_up_no_image_are_refused(ids: list[int], grids: list[tuple[int, int]]) -> None:
    with pytest.raises(InputError):
        prompt_positions(np.array(ids), grids=grids, image_token=IMAGE)


def test_text_goes_on_from_any_position() -> None:
    assert text_positions(7, 2).tolist() == [[7, 8]] * 3
    assert text_positions(7, 0).shape == (3, 0)
