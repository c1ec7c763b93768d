"""Images to network size and camera matrices with them: against the released input code's results, and by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from n3d_ros.depth.options import RESIZE_METHODS
from n3d_ros.depth.preprocess import (
    ImageMap,
    camera_intrinsics,
    network_hw,
    network_matrix,
    normalized,
    prepare,
)
from n3d_ros.errors import InputError
from n3d_ros.geometry.camera import CameraIntrinsics

MATRIX_TOLERANCE = 1e-4  # pixels; the golden matrices are float32, and the table is rounded to five decimals
# Pixels are equal with the OpenCV that made them; other releases round single pixels the other way.
PIXEL_TOLERANCE = 1e-6 if cv2.__version__.startswith("5.") else 2.5 / 255 / 0.224


class Golden:
    """What the released input code makes of some images."""

    def __init__(self, folder: Path) -> None:
        safetensors = pytest.importorskip("safetensors.numpy", reason="the extra [model] is not installed")
        self.arrays: Mapping[str, NDArray[Any]] = safetensors.load_file(folder / "run.safetensors")
        self.config = json.loads((folder / "config.json").read_text())


@pytest.fixture(scope="module")
def golden(shared_data: Path) -> Golden:
    return Golden(shared_data / "golden/da3/case_preprocess")


@pytest.mark.parametrize("run", range(6))
def test_images_and_matrices_are_those_of_the_released_code(golden: Golden, run: int) -> None:
    facts = golden.config["runs"][str(run)]
    prepared = prepare([golden.arrays[f"{run}.input_uint8"]], process_res=facts["process_res"], method=facts["method"])
    assert prepared.images[0].shape == (3, *facts["out_hw"])
    assert np.abs(prepared.images[0] - golden.arrays[f"{run}.out"]).max() <= PIXEL_TOLERANCE
    matrix = prepared.maps[0].matrix_to_network(golden.arrays[f"{run}.K_in"])
    assert np.abs(matrix - golden.arrays[f"{run}.K_out"]).max() < MATRIX_TOLERANCE


def test_images_of_two_sizes_are_cropped_as_the_released_code_does(golden: Golden) -> None:
    facts = golden.config["mixed"]
    prepared = prepare(
        [golden.arrays["mixed.input_a"], golden.arrays["mixed.input_b"]],
        process_res=facts["process_res"],
        method=facts["method"],
    )
    assert list(prepared.images.shape) == facts["out_shape"]
    assert np.abs(prepared.images - golden.arrays["mixed.out"]).max() <= PIXEL_TOLERANCE
    for image_map, before, after in zip(
        prepared.maps, golden.arrays["mixed.K_in"], golden.arrays["mixed.K_out"], strict=True
    ):
        assert np.abs(image_map.matrix_to_network(before) - after).max() < MATRIX_TOLERANCE


def test_every_camera_size_and_method_comes_to_the_released_size_and_matrix(golden: Golden) -> None:
    table = golden.config["size_table_504"]
    assert len(table) == 64
    for row in table:
        camera_hw = (row["h"], row["w"])
        assert network_hw(camera_hw, process_res=504, method=row["method"]) == (row["out_h"], row["out_w"]), row
        image = np.zeros((*camera_hw, 3), dtype=np.uint8)
        image_map = prepare([image], process_res=504, method=row["method"]).maps[0]
        fx, fy, cx, cy = row["K_in"]
        matrix = image_map.matrix_to_network([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        found = [matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]]
        assert np.abs(np.array(found) - row["K_out"]).max() < MATRIX_TOLERANCE, row


@pytest.mark.parametrize(
    ("camera_hw", "expected"),
    [
        ((480, 640), (378, 504)),
        ((720, 1280), (280, 504)),
        ((800, 1280), (322, 504)),  # 315 lies between 308 and 322: a tie goes up
        ((376, 1241), (154, 504)),
        ((640, 640), (504, 504)),
        ((640, 480), (504, 378)),
        ((5, 1000), (14, 504)),  # never less than one patch
        ((1, 1), (504, 504)),
    ],
)
def test_sizes_at_504_by_hand(camera_hw: tuple[int, int], expected: tuple[int, int]) -> None:
    assert network_hw(camera_hw, process_res=504, method="upper_bound_resize") == expected


def test_colours_are_normalised_by_channel() -> None:
    image = np.zeros((2, 3, 3), dtype=np.uint8)
    image[0, 1] = (255, 128, 0)
    planes = normalized(image)
    assert planes.dtype == np.float32
    assert planes[:, 0, 1] == pytest.approx([(1 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, -0.406 / 0.225])


def test_the_principal_point_moves_with_pixel_borders_and_not_with_centres() -> None:
    camera = CameraIntrinsics(fx=400, fy=410, cx=319.5, cy=239.5, width=640, height=480)  # the exact centre
    image_map = prepare([np.zeros((480, 640, 3), np.uint8)], process_res=504, method="upper_bound_resize").maps[0]
    matrix = network_matrix(camera, image_map)
    assert (matrix[0, 2], matrix[1, 2]) == pytest.approx((252, 189))  # the centre of the network's image, as it has it
    assert (matrix[0, 0], matrix[1, 1]) == pytest.approx((400 * 504 / 640, 410 * 378 / 480))


@given(
    height=st.integers(14, 3000),
    width=st.integers(14, 3000),
    method=st.sampled_from(RESIZE_METHODS),
    crop=st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_the_way_to_the_network_and_back_is_exact(height: int, width: int, method: str, crop: tuple[int, int]) -> None:
    try:
        seen = network_hw((height, width), process_res=98, method=method)
    except InputError:
        return  # too thin for cropping, which is tested below
    whole = ImageMap(camera_hw=(height, width), resized_hw=seen, crop_yx=(0, 0), network_hw=seen)
    image_map = whole.centre_cropped((max(1, seen[0] - crop[0]), max(1, seen[1] - crop[1])))
    camera = CameraIntrinsics(fx=300, fy=310, cx=0.4 * width, cy=0.6 * height, width=width, height=height)
    back = camera_intrinsics(network_matrix(camera, image_map), image_map)
    assert np.allclose(back.matrix, camera.matrix, rtol=1e-9, atol=1e-9)


def test_a_crop_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="less than one patch"):
        prepare([np.zeros((10, 1000, 3), np.uint8)], process_res=504, method="upper_bound_crop")


def test_a_thin_image_does_not_ask_for_all_memory() -> None:
    with pytest.raises(InputError, match="use upper_bound_resize"):
        prepare([np.zeros((2, 16000, 3), np.uint8)], process_res=504, method="lower_bound_resize")


def test_a_huge_image_is_made_small() -> None:
    prepared = prepare([np.zeros((6000, 8000, 3), np.uint8)], process_res=56, method="upper_bound_resize")
    assert prepared.images.shape == (1, 3, 42, 56)


def test_one_colour_stays_one_colour() -> None:
    prepared = prepare([np.full((99, 131, 3), 77, np.uint8)], process_res=98, method="upper_bound_resize")
    assert (np.ptp(prepared.images, axis=(2, 3)) == 0).all()


def test_nothing_to_prepare_is_refused() -> None:
    with pytest.raises(InputError, match="got none"):
        prepare([], process_res=98, method="upper_bound_resize")
