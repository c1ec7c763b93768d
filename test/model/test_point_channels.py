"""Points as channels of the patches: what they hold, where they enter, and that nothing changes without them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from n3d_ros.errors import ConfigurationError, InputError
from n3d_ros.model.checkpoint import load_model, save_model
from n3d_ros.model.n3d_vlm import N3dVlm
from n3d_ros.model.point_channels import CELLS, PLACE_VALUES, POINT_VALUES, RELIEF_UNIT, point_values
from n3d_ros.model.position_code import position_code, position_codes
from n3d_ros.model.tables import vision_tables
from n3d_ros.model.vision_graph import VisionGraph, VisionInputs
from tiny_vlm import make_inputs, make_points, tiny_model

NAME = "model.visual.patch_embed.points.weight"
RELIEF = slice(0, 3 * CELLS**2)
SHARE = slice(3 * CELLS**2, 4 * CELLS**2)
CENTER = slice(4 * CELLS**2, 4 * CELLS**2 + 3)
PLACE = slice(4 * CELLS**2 + 3, None)


def flat(height: int, width: int, depth: float = 1.5) -> torch.Tensor:
    """A wall facing the camera at one depth, everywhere valid."""
    points = torch.zeros(height, width, 4)
    points[..., 0] = torch.linspace(1, 0, width)
    points[..., 2], points[..., 3] = depth, 1
    return points


def model_with_points(seed: int = 0) -> N3dVlm:
    """A tiny model whose points matter."""
    return tiny_model(seed, position_code="aligned", point_channels=True)


def graph_tokens(model: N3dVlm, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Visual tokens of the inputs' one image by the graph."""
    tower = model.model.visual
    graph = VisionGraph(tower)
    _, rows, columns = inputs["image_grid_thw"][0].tolist()
    points, grid = inputs["point_clouds"][0], (rows, columns)
    tables = vision_tables(grid, graph.geometry)
    code = position_code(
        points, grid, tower.config.hidden_size, "aligned", window_blocks=graph.geometry.window, merge=graph.merge
    )
    values = point_values(points[None], grid)[0]
    made = VisionInputs.from_tables(tables, device=torch.device("cpu"), dtype=torch.float32)
    return graph.encode(inputs["pixel_values"], code, made, values)


def test_a_wall_has_no_relief_in_depth_and_its_patches_lie_at_its_depth() -> None:
    values = point_values(flat(56, 84)[None], (4, 6))[0]
    assert values.shape == (24, POINT_VALUES)
    relief = values[:, RELIEF].view(24, 3, CELLS, CELLS)
    assert relief[:, 2].abs().max() < 1e-4
    assert (relief[:, 0].diff(dim=2) < 0).all(), "x falls from left to right within a patch"
    assert torch.allclose(values[:, SHARE], torch.ones(24, CELLS**2))
    assert torch.allclose(values[:, CENTER][:, 2], torch.tensor(0.5))


def test_patches_stand_in_blocks_as_the_colours_do() -> None:
    centers = point_values(flat(56, 84)[None], (4, 6))[0, :, CENTER][:, 0]
    columns = (1 - (centers + 1)) * 84 / 14  # about which column of patches each is, and a half
    assert columns[:8].floor().tolist() == [0, 1, 0, 1, 2, 3, 2, 3]


def test_each_patch_tells_its_place_in_the_picture_whatever_lies_there() -> None:
    places = point_values(torch.zeros(2, 56, 84, 4), (4, 6))[:, :, PLACE]
    assert places.shape == (2, 24, PLACE_VALUES) and torch.equal(places[0], places[1])
    first, last = places[0, 0], places[0, -1]
    assert first[:2].tolist() == pytest.approx([1 / 6 - 1, 1 / 4 - 1])
    assert last[:2].tolist() == pytest.approx([1 - 1 / 6, 1 - 1 / 4])
    assert first[2] == pytest.approx(math.sin(math.pi * (1 / 6 - 1)), abs=1e-6)
    assert first[-1] == pytest.approx(math.cos(8 * math.pi * (1 / 4 - 1)), abs=1e-6)
    assert places[0, :8, 0].tolist() == pytest.approx([c / 3 + 1 / 6 - 1 for c in (0, 1, 0, 1, 2, 3, 2, 3)], abs=1e-6)


def test_a_step_of_the_relief_unit_is_asinh_of_one() -> None:
    points = flat(28, 28)
    points[:, :, 2] = 1.0
    points[:14, :7, 2] -= RELIEF_UNIT
    points[:14, 7:14, 2] += RELIEF_UNIT
    relief = point_values(points[None], (2, 2))[0, 0, RELIEF].view(3, CELLS, CELLS)
    assert relief[2, 0, 0] == pytest.approx(-0.8814, abs=1e-3)
    assert relief[2, 0, -1] == pytest.approx(0.8814, abs=1e-3)


def test_what_is_invalid_counts_for_nothing_but_its_share() -> None:
    points = flat(28, 28)
    points[:14, :14, 3] = 0
    points[:14, :14, :3] = torch.nan
    points[20, 20] = torch.tensor([torch.inf, torch.nan, 1e30, 0.0])
    values = point_values(points[None], (2, 2))[0]
    assert values.isfinite().all()
    assert (values[0, : PLACE.start] == 0).all()
    assert values[3, SHARE].min() == pytest.approx(0.75)
    assert values[3, CENTER][2] == pytest.approx(0.5, abs=1e-5)


def test_at_zero_the_network_is_the_one_without_point_channels() -> None:
    plain, inputs = tiny_model(position_code="aligned"), make_inputs([(4, 6)])
    more = model_with_points()
    missing = more.load_state_dict(plain.state_dict(), strict=False)
    assert missing.missing_keys == [NAME]
    with torch.no_grad():
        more.get_parameter(NAME).zero_()
        assert torch.equal(plain(**inputs).logits, more(**inputs).logits)


@pytest.mark.parametrize("part", [slice(0, PLACE.start), PLACE], ids=["points", "place"])
@pytest.mark.parametrize("sizes", [[(4, 6)], [(4, 6), (4, 6)], [(4, 6), (6, 4)]])
def test_points_and_place_reach_the_logits(sizes: list[tuple[int, int]], part: slice) -> None:
    model, inputs = model_with_points(), make_inputs(sizes)
    with torch.no_grad():
        before = model(**inputs).logits
        model.get_parameter(NAME)[:, part].zero_()
        assert not torch.allclose(before, model(**inputs).logits, atol=1e-3)


@pytest.mark.parametrize("sizes", [[(4, 6), (4, 6), (4, 6)], [(4, 6), (6, 4), (6, 6)]])
def test_images_are_the_same_together_and_alone(sizes: list[tuple[int, int]]) -> None:
    tower, inputs = model_with_points().model.visual, make_inputs(sizes)
    grids, points = inputs["image_grid_thw"], inputs["point_clouds"]
    pixels = inputs["pixel_values"].split([rows * columns for rows, columns in sizes])
    with torch.no_grad():
        together = tower(torch.cat(pixels), grids, point_clouds=points).pooler_output
        alone = [
            tower(pixels[k], grids[k : k + 1], point_clouds=points[k : k + 1]).pooler_output for k in range(len(sizes))
        ]
    assert torch.allclose(torch.cat(list(together)), torch.cat([torch.cat(list(one)) for one in alone]), atol=1e-4)


def test_codes_of_one_size_are_those_of_each_image() -> None:
    points = torch.stack([make_points(60, 80, seed) for seed in range(3)])
    together = position_codes(points, (4, 6), 48, window_blocks=2)
    alone = [position_code(single, (4, 6), 48, "aligned", window_blocks=2) for single in points]
    assert torch.allclose(together, torch.stack(alone), atol=2e-3)


def test_codes_of_one_size_name_an_image_without_points() -> None:
    points = torch.stack([make_points(60, 80), torch.zeros(60, 80, 4)])
    with pytest.raises(Exception, match="valid"):
        position_codes(points, (4, 6), 48)


def test_the_graph_gives_the_towers_tokens() -> None:
    model, inputs = model_with_points(), make_inputs([(6, 10)])
    with torch.no_grad():
        expected = model.model.visual(
            inputs["pixel_values"], inputs["image_grid_thw"], point_clouds=inputs["point_clouds"]
        ).pooler_output
        assert torch.allclose(graph_tokens(model, inputs), expected, atol=2e-4)


def test_without_a_position_code_the_points_still_enter() -> None:
    model, inputs = tiny_model(position_code="none", point_channels=True), make_inputs([(4, 6)])
    with torch.no_grad():
        before = model(**inputs).logits
        inputs["point_clouds"][0][..., 2] += 0.3
        assert not torch.allclose(before, model(**inputs).logits, atol=1e-3)


def test_neither_code_nor_channels_is_a_network_without_depth() -> None:
    model, inputs = tiny_model(position_code="none"), make_inputs([(4, 6)])
    with torch.no_grad():
        before = model(**inputs).logits
        inputs["point_clouds"][0][..., 2] += 0.3
        assert torch.equal(before, model(**inputs).logits)
        assert model(**{**inputs, "point_clouds": None}).logits.shape == before.shape


def test_a_flat_list_of_points_is_refused() -> None:
    model, inputs = model_with_points(), make_inputs([(4, 6)])
    flat_points = inputs["point_clouds"][0].reshape(1, -1, 4)
    with pytest.raises(InputError, match="flat"):
        model(**{**inputs, "point_clouds": flat_points})


def test_a_saved_model_comes_back_with_its_point_channels(tmp_path: Path) -> None:
    model, inputs = model_with_points(), make_inputs([(4, 6)])
    save_model(model, tmp_path)
    loaded = load_model(tmp_path, dtype="float32", device="cpu")
    assert loaded.model.point_channels and loaded.card.point_channels
    assert any("point_channels" in line for line in loaded.card.lines())
    with torch.no_grad():
        assert torch.equal(model(**inputs).logits, loaded.model(**inputs).logits)


@pytest.mark.parametrize("has_layer", [True, False])
def test_config_and_weights_must_agree_about_point_channels(tmp_path: Path, has_layer: bool) -> None:
    save_model(model_with_points() if has_layer else tiny_model(position_code="aligned"), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["point_channels"] = not has_layer
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigurationError, match="patch_embed"):
        load_model(tmp_path, device="cpu")


def test_point_channels_is_true_or_false(tmp_path: Path) -> None:
    save_model(tiny_model(), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "point_channels": "yes"}))
    with pytest.raises(ConfigurationError, match="point_channels"):
        load_model(tmp_path, device="cpu")
