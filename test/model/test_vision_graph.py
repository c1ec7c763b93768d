"""The vision tower as one graph, against the tower of the loaded model."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")
pytest.importorskip("transformers", reason="the extra [model] is not installed")

import copy  # noqa: E402

from n3d_ros.errors import BackendError  # noqa: E402
from n3d_ros.model.fused import fuse_linears, project_guarded, rotate, swap_halves  # noqa: E402
from n3d_ros.model.half_precision import ScaledLinear  # noqa: E402
from n3d_ros.model.position_code import position_code  # noqa: E402
from n3d_ros.model.tables import vision_tables  # noqa: E402
from n3d_ros.model.vision_graph import VisionGraph, VisionInputs  # noqa: E402
from tiny_vlm import make_points, tiny_model  # noqa: E402

torch.set_num_threads(1)

SHAPES: dict[str, dict[str, Any]] = {
    "as released in small": {},
    "one head of odd width": {"hidden_size": 36, "num_heads": 1, "fullatt_block_indexes": [0, 2]},
    "small windows, full attention first": {"window_size": 56, "fullatt_block_indexes": [0], "depth": 2},
    "windows only": {"fullatt_block_indexes": [], "window_size": 84},
    "full attention only": {"fullatt_block_indexes": [0, 1, 2]},
}


def encode(graph: VisionGraph, pixels: Any, points: Any, grid: tuple[int, int], mode: Any) -> Any:
    """Visual tokens of one image."""
    width, geometry = graph.patch_embed.weight.shape[0], graph.geometry
    code = torch.zeros(len(pixels), width)
    if mode != "none":
        code = position_code(points, grid, width, mode, window_blocks=geometry.window, merge=geometry.merge)
    inputs = VisionInputs.from_tables(vision_tables(grid, geometry), device=torch.device("cpu"), dtype=graph.dtype)
    with torch.inference_mode():
        return graph.encode(pixels, code, inputs)


def reference(model: Any, pixels: Any, points: Any, grid: tuple[int, int]) -> Any:
    """The same from the model's own tower."""
    with torch.no_grad():
        return model.model.visual(pixels, grid_thw=torch.tensor([[1, *grid]]), point_clouds=[points]).pooler_output


@pytest.mark.parametrize("mode", ["reference", "aligned", "none"])
@pytest.mark.parametrize("name", SHAPES)
def test_the_graph_equals_the_tower(name: str, mode: Any) -> None:
    model = tiny_model(1, vision=SHAPES[name])
    model.set_position_code(mode)
    graph = VisionGraph(copy.deepcopy(model).model.visual)
    for grid in ((2, 2), (10, 14), (16, 8), (6, 30)):
        pixels, points = torch.randn(grid[0] * grid[1], 1176), make_points(14 * grid[0], 14 * grid[1])
        expected = reference(model, pixels, points, grid)
        found = encode(graph, pixels, points, grid, mode)
        torch.testing.assert_close(found, expected, atol=1e-5 * float(expected.abs().max()), rtol=0)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.05), (torch.float16, 0.01)])
def test_half_precision_stays_close_to_float32(dtype: Any, tolerance: float) -> None:
    model, grid = tiny_model(2), (10, 14)
    pixels, points = torch.randn(140, 1176), make_points(140, 196)
    expected = reference(model, pixels, points, grid)
    found = encode(VisionGraph(model.to(dtype).model.visual), pixels, points, grid, "reference").float()
    assert (found - expected).norm() < tolerance * expected.norm()


def test_float16_survives_a_block_whose_product_leaves_its_range() -> None:
    model, grid = tiny_model(3), (4, 6)
    with torch.no_grad():
        for block in model.model.visual.blocks:
            block.mlp.up_proj.weight *= 400
            block.mlp.gate_proj.weight *= 400
    pixels, points = torch.randn(24, 1176), make_points(56, 84)
    expected = reference(model, pixels, points, grid)
    found = encode(VisionGraph(model.to(torch.float16).model.visual), pixels, points, grid, "reference").float()
    assert found.isfinite().all()
    assert (found - expected).norm() < 0.05 * expected.norm()


def test_a_guarded_product_of_ordinary_size_is_the_product() -> None:
    x, weight = torch.randn(5, 30), torch.randn(7, 30)
    torch.testing.assert_close(
        project_guarded(x, weight.half()), x.half().float() @ weight.half().float().T, atol=0.02, rtol=1e-3
    )


def test_float16_is_guarded_by_one_product_in_the_class_and_in_the_graphs() -> None:
    linear = ScaledLinear(30, 7).half()
    x = torch.randn(5, 30) * torch.tensor([0.0, 1e-3, 1.0, 1e4, 1e8])[:, None]
    with torch.no_grad():
        assert torch.equal(linear(x), project_guarded(x, linear.weight, linear.bias))
        linear.weight.copy_(torch.eye(7, 30))
        linear.bias.zero_()
        torch.testing.assert_close(linear(x), x[:, :7], rtol=1e-3, atol=1e-6)  # scaled or not, no digit is lost


def test_a_product_may_round_on_its_way_out_as_a_gpu_does() -> None:
    x, cos, sin = torch.randn(3, 4, 8).bfloat16(), torch.randn(3, 1, 8), torch.randn(3, 1, 8)
    rounded = torch.empty_like(x)
    torch.addcmul(x * cos, swap_halves(x), sin, out=rounded)  # what ``rotate`` does on a GPU
    assert torch.equal(rounded, rotate(x, cos, sin))


def test_fused_projections_share_one_storage_and_keep_the_state_dict() -> None:
    model = tiny_model(4)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    graph = VisionGraph(model.model.visual)
    block: Any = graph.blocks[0]
    mlp = model.model.visual.blocks[0].mlp
    assert mlp.gate_proj.weight.data_ptr() == block.mlp.gate_up_weight.data_ptr()
    assert mlp.up_proj.weight.untyped_storage().data_ptr() == block.mlp.gate_up_weight.untyped_storage().data_ptr()
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    again, _ = fuse_linears([mlp.gate_proj, mlp.up_proj])
    assert again.data_ptr() == block.mlp.gate_up_weight.data_ptr()


def test_another_activation_is_refused() -> None:
    model = tiny_model(5)
    model.model.visual.config.hidden_act = "gelu"
    with pytest.raises(BackendError, match="silu"):
        VisionGraph(model.model.visual)
