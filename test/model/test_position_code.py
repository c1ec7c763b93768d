"""The 3-D position code against golden tensors, and against numpy written from its description."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")
pytest.importorskip("transformers", reason="the extra [model] is not installed")

from safetensors.torch import load_file  # noqa: E402

from n3d_ros.errors import GroundingError, InputError  # noqa: E402
from n3d_ros.model import position_code as module  # noqa: E402
from n3d_ros.model.position_code import pooled_coordinates, position_code, sinusoid, window_order  # noqa: E402
from tiny_vlm import make_points  # noqa: E402

torch.set_num_threads(1)


def numpy_coordinates(points: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """(gh, gw, 3) pooled coordinates in float64, bin by bin."""
    height, width = points.shape[:2]
    valid = points[..., 3] > 0
    xyz = np.where(valid[..., None], points[..., :3], points[..., :3][valid].astype(np.float64).mean(axis=0))
    pooled = np.empty((*grid, 3))
    for row in range(grid[0]):
        top, bottom = row * height // grid[0], -(-(row + 1) * height // grid[0])
        for column in range(grid[1]):
            left, right = column * width // grid[1], -(-(column + 1) * width // grid[1])
            pooled[row, column] = xyz[top:bottom, left:right].reshape(-1, 3).mean(axis=0)
    return np.round((pooled - pooled.reshape(-1, 3).mean(axis=0).mean()) / 0.001)


def numpy_sinusoid(coordinates: np.ndarray, width: int) -> np.ndarray:
    """(P, width) code in float64, channel by channel."""
    share = width // 3
    code = np.zeros((len(coordinates), width))
    for axis in range(3):
        for channel in range(share):
            angle = coordinates[:, axis].astype(np.float64) / 10000.0 ** (2 * (channel // 2) / share)
            code[:, axis * share + channel] = np.sin(angle) if channel % 2 == 0 else np.cos(angle)
    return code


def agreement(ours: torch.Tensor, expected: np.ndarray) -> tuple[float, float]:
    """Largest difference, and the share of entries that differ."""
    difference = np.abs(ours.numpy().reshape(-1) - expected.reshape(-1))
    return float(difference.max()), float((difference > 0).mean())


def test_the_code_at_the_real_width_is_the_golden_one(shared_data: Path) -> None:
    golden = load_file(shared_data / "golden/n3d/pe1280.safetensors")
    code = sinusoid(golden["coords"][0], 1280)
    assert code.shape == (96, 1280) and code.dtype == torch.float32
    assert (code - golden["pe"][0]).abs().max() <= 1e-3
    assert code[:, 1278:].abs().max() == 0


@pytest.mark.parametrize("width", [1280, 64, 56, 30, 3, 7])
def test_the_code_is_that_of_the_description_at_any_width(width: int) -> None:
    coordinates = np.random.default_rng(width).integers(-3000, 3000, (50, 3)).astype(np.float32)
    code = sinusoid(torch.from_numpy(coordinates), width)
    assert np.abs(code.numpy() - numpy_sinusoid(coordinates, width)).max() < 1e-3


def test_an_odd_share_ends_with_a_sine() -> None:
    code = sinusoid(torch.tensor([[100.0, 200.0, 300.0]]), 64)
    slowest = 10000.0 ** (20 / 21)
    assert code[0, 20].item() == pytest.approx(np.sin(100.0 / slowest), abs=1e-6)
    assert code[0, 63] == 0


@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ((426, 640), (30, 46)),
        ((640, 480), (46, 34)),
        ((640, 640), (46, 46)),
        ((640, 635), (46, 46)),
        ((97, 140), (6, 10)),
    ],
)
def test_coordinates_are_those_of_the_description(size: tuple[int, int], grid: tuple[int, int]) -> None:
    points = make_points(*size)
    worst, share = agreement(pooled_coordinates(points, grid), numpy_coordinates(points.numpy(), grid))
    assert worst <= 1 and share <= 0.005  # a mean at a half may round either way


@pytest.mark.parametrize("short_side", [631, 635, 639])
def test_a_nearly_square_landscape_is_scrambled_as_the_weights_learnt_it(
    short_side: int, caplog: pytest.LogCaptureFixture
) -> None:
    module._warn_of_scramble.cache_clear()
    points = make_points(short_side, 640)
    exchanged = points.numpy().reshape(640, short_side, 4)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            ours = pooled_coordinates(points, (46, 46))
    worst, share = agreement(ours, numpy_coordinates(exchanged, (46, 46)))
    assert worst <= 1 and share <= 0.005
    assert [record.message.count(f"640x{short_side}") for record in caplog.records] == [1]
    assert torch.equal(ours, pooled_coordinates(points.reshape(1, -1, 4), (46, 46)))


def test_the_aligned_code_mends_a_nearly_square_landscape(caplog: pytest.LogCaptureFixture) -> None:
    module._warn_of_scramble.cache_clear()
    points = make_points(635, 640)
    code = position_code(points, (46, 46), 56, "aligned")
    expected = numpy_sinusoid(numpy_coordinates(points.numpy(), (46, 46)).reshape(-1, 3), 56)[window_order((46, 46))]
    assert (np.abs(code.numpy() - expected).max(axis=1) > 1e-2).mean() < 0.01
    assert not caplog.records


def test_portraits_and_squares_are_never_scrambled(caplog: pytest.LogCaptureFixture) -> None:
    module._warn_of_scramble.cache_clear()
    for size in ((640, 635), (640, 640)):
        points = make_points(*size)
        assert torch.equal(pooled_coordinates(points, (46, 46)), pooled_coordinates(points, (46, 46), scramble=False))
    assert not caplog.records


@pytest.mark.parametrize(("size", "grid"), [((426, 640), (30, 46)), ((640, 480), (46, 34)), ((640, 633), (46, 46))])
def test_the_flat_form_of_the_reference_is_the_same(size: tuple[int, int], grid: tuple[int, int]) -> None:
    points = make_points(*size)
    flat = points.reshape(1, -1, 4)
    assert torch.equal(pooled_coordinates(points, grid), pooled_coordinates(flat, grid))


@pytest.mark.parametrize("grid", [(30, 46), (34, 46), (46, 34), (2, 2), (6, 8), (8, 8), (10, 4)])
@pytest.mark.parametrize("window_blocks", [1, 2, 4, 6])
def test_window_order_is_that_of_the_vision_tower(grid: tuple[int, int], window_blocks: int) -> None:
    from transformers.vision_utils import get_vision_window_index

    blocks, _ = get_vision_window_index(
        torch.tensor([[1, *grid]]), spatial_merge_size=2, window_size=28 * window_blocks, patch_size=14
    )
    raster = torch.arange(grid[0] * grid[1]).reshape(grid[0] // 2, 2, grid[1] // 2, 2).transpose(1, 2).reshape(-1, 4)
    assert torch.equal(window_order(grid, window_blocks=window_blocks), raster[blocks].reshape(-1))


def test_the_aligned_code_is_the_reference_code_in_window_order() -> None:
    points = make_points(98, 140)
    reference = position_code(points, (6, 10), 64, "reference")
    assert torch.equal(position_code(points, (6, 10), 64, "aligned"), reference[window_order((6, 10))])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_the_callers_points_stay_as_they_are(dtype: torch.dtype) -> None:
    points = make_points(98, 140).to(dtype)
    before = points.clone()
    coordinates = pooled_coordinates(points, (6, 10))
    assert torch.equal(points.nan_to_num(7.0), before.nan_to_num(7.0))
    assert coordinates.dtype == torch.float32 and torch.equal(coordinates, coordinates.round())


def test_what_invalid_points_hold_does_not_matter() -> None:
    points = make_points(98, 140, invalid=0.3)
    other = points.clone()
    other[points[..., 3] == 0, :3] = torch.tensor([1e30, -torch.inf, torch.nan])
    assert torch.equal(pooled_coordinates(points, (6, 10)), pooled_coordinates(other, (6, 10)))


def test_a_valid_point_that_is_not_finite_is_refused() -> None:
    points = make_points(98, 140)
    points[50, 70] = torch.tensor([0.1, torch.nan, 1.0, 1.0])
    with pytest.raises(InputError, match="1 of .* valid ones are not finite.*channel 3"):
        pooled_coordinates(points, (6, 10))


def test_points_of_which_none_is_valid_are_refused() -> None:
    points = make_points(98, 140)
    points[..., 3] = 0
    with pytest.raises(GroundingError, match="none of 13720 is valid"):
        pooled_coordinates(points, (6, 10))


@pytest.mark.parametrize("shape", [(98, 140, 3), (98, 140), (2, 98, 140, 4), (0, 140, 4), (1, 641, 4), (1, 0, 4)])
def test_points_of_a_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="points: "):
        pooled_coordinates(torch.ones(shape), (6, 10))


def test_a_flat_list_over_a_square_grid_cannot_be_aligned() -> None:
    flat = make_points(635, 640).reshape(1, -1, 4)
    with pytest.raises(InputError, match="does not tell portrait from landscape"):
        position_code(flat, (46, 46), 56, "aligned")


def test_a_mode_without_code_is_refused() -> None:
    with pytest.raises(InputError, match="'reference' or 'aligned', got 'none'"):
        position_code(make_points(28, 28), (2, 2), 56, "none")
