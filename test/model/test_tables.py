"""Window and rotary tables made with numpy, against transformers' own and the golden tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from n3d_ros.errors import InputError
from n3d_ros.model.tables import TextRotary, VisionGeometry, vision_tables

GEOMETRIES = (
    VisionGeometry(),
    VisionGeometry(window=2, head_dim=28),
    VisionGeometry(window=3, head_dim=32, theta=500.0),
    VisionGeometry(window=16, head_dim=12),
)
GRIDS = ((2, 2), (2, 14), (8, 8), (10, 14), (16, 24), (34, 46), (46, 34), (30, 18))


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=lambda geometry: f"window{geometry.window}")
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_windows_are_those_of_transformers(grid: tuple[int, int], geometry: VisionGeometry) -> None:
    torch = pytest.importorskip("torch", reason="the extra [model] is not installed")
    vision_utils = pytest.importorskip("transformers.vision_utils", reason="the extra [model] is not installed")
    tables = vision_tables(grid, geometry)
    index, bounds = vision_utils.get_vision_window_index(
        torch.tensor([[1, *grid]]), spatial_merge_size=2, window_size=28 * geometry.window, patch_size=14
    )
    np.testing.assert_array_equal(tables.window_index, index.numpy())
    np.testing.assert_array_equal(tables.window_bounds, bounds.numpy())
    np.testing.assert_array_equal(tables.reverse_index, torch.argsort(index).numpy())


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=lambda geometry: f"window{geometry.window}")
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_vision_angles_are_those_of_transformers(grid: tuple[int, int], geometry: VisionGeometry) -> None:
    torch = pytest.importorskip("torch", reason="the extra [model] is not installed")
    pytest.importorskip("transformers", reason="the extra [model] is not installed")
    from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLVisionConfig
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLVisionRotaryEmbedding
    from transformers.vision_utils import get_vision_position_ids

    config = Qwen2_5_VLVisionConfig(
        hidden_size=geometry.head_dim * 2,
        num_heads=2,
        rope_parameters={"rope_type": "axial", "rope_theta": geometry.theta},
    )
    positions = get_vision_position_ids(torch.tensor([[1, *grid]]), 2)
    cos, sin = Qwen2_5_VLVisionRotaryEmbedding(config)(torch.zeros(1), positions)
    tables = vision_tables(grid, geometry)
    order = (4 * tables.window_index[:, None] + np.arange(4)).reshape(-1)
    np.testing.assert_allclose(tables.cos, cos.numpy()[order], atol=5e-6)
    np.testing.assert_allclose(tables.sin, sin.numpy()[order], atol=5e-6)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_every_patch_has_one_place_in_the_padded_windows(grid: tuple[int, int]) -> None:
    tables = vision_tables(grid, VisionGeometry())
    patches = grid[0] * grid[1]
    assert tables.is_patch.sum() == patches
    np.testing.assert_array_equal(tables.gather.reshape(-1)[tables.scatter], np.arange(patches))
    window_of_patch = np.searchsorted(tables.window_bounds, np.arange(patches), side="right") - 1
    np.testing.assert_array_equal(tables.scatter // tables.gather.shape[1], window_of_patch)
    padding = tables.gather[~tables.is_patch]
    assert ((padding >= 0) & (padding < patches)).all()


def test_windows_are_the_golden_ones(shared_data: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy", reason="the extra [model] is not installed")
    for file in sorted((shared_data / "golden" / "n3d").glob("case_a/*scape.safetensors")) + sorted(
        (shared_data / "golden" / "n3d").glob("case_a/portrait.safetensors")
    ):
        golden = safetensors.load_file(file)
        rows, columns = golden["image_grid_thw"][0, 1:].tolist()
        tables = vision_tables((rows, columns), VisionGeometry(head_dim=28))
        np.testing.assert_array_equal(tables.window_index, golden["window_index"])
        np.testing.assert_array_equal(tables.window_bounds, np.unique(golden["cu_window_seqlens"]))


def test_the_same_size_gives_the_same_tables_and_nobody_may_write_them() -> None:
    tables = vision_tables((34, 46), VisionGeometry())
    assert vision_tables((34, 46), VisionGeometry()) is tables
    for name in ("window_index", "reverse_index", "gather", "scatter", "is_patch", "cos", "sin"):
        assert not getattr(tables, name).flags.writeable, name


@pytest.mark.parametrize("grid", [(0, 2), (3, 4), (4, 5), (-2, 2)])
def test_a_grid_without_whole_tokens_is_refused(grid: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="multiples of 2"):
        vision_tables(grid, VisionGeometry())


@pytest.mark.parametrize("sections", [(16, 24, 24), (4, 4, 4), (1, 5, 2)])
def test_text_angles_are_those_of_transformers(sections: tuple[int, int, int]) -> None:
    torch = pytest.importorskip("torch", reason="the extra [model] is not installed")
    pytest.importorskip("transformers", reason="the extra [model] is not installed")
    from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLTextConfig
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLRotaryEmbedding

    head_dim = 2 * sum(sections)
    config = Qwen2_5_VLTextConfig(
        hidden_size=2 * head_dim,
        num_attention_heads=2,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6, "mrope_section": list(sections)},
    )
    positions = np.random.default_rng(0).integers(0, 700, (3, 50))
    cos, sin = Qwen2_5_VLRotaryEmbedding(config)(torch.zeros(1), torch.from_numpy(positions)[:, None])
    ours = TextRotary(head_dim=head_dim, theta=1e6, sections=sections).tables(positions)
    np.testing.assert_allclose(ours[0], cos[0].numpy(), atol=1e-4)  # an angle of 700 rad is known to 6e-5 in float32
    np.testing.assert_allclose(ours[1], sin[0].numpy(), atol=1e-4)


def test_sections_must_fill_half_a_head() -> None:
    with pytest.raises(InputError, match="half a head"):
        TextRotary(head_dim=128, theta=1e6, sections=(16, 24, 16))
