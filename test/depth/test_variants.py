"""The released models: names, licences, and every tensor of every one."""

from __future__ import annotations

import ast
from math import prod
from pathlib import Path

import pytest

from depth_golden import GOLDEN
from n3d_ros.depth.config import NestedConfig
from n3d_ros.depth.variants import VARIANTS, variant_of_hub_id

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")

KEYS = {
    "keys_vits_da3-small.txt": ("da3-small",),
    "keys_vitb_da3-base.txt": ("da3-base",),
    "keys_vitl_da3-large.txt": ("da3-large", "da3-large-1.1"),
    "keys_vitg_da3-giant.txt": ("da3-giant", "da3-giant-1.1"),
    "keys_mono_large.txt": ("da3mono-large",),
    "keys_metric_large.txt": ("da3metric-large",),
    "keys_nested_giant_large.txt": ("da3nested-giant-large", "da3nested-giant-large-1.1"),
}


def released_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Names and sizes in a list of the golden folder."""
    lines = [line.split("\t") for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return {name: ast.literal_eval(shape) for name, shape in lines}


def our_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Names and sizes of our network of that name, made without memory."""
    from n3d_ros.depth.network import build_network

    config = VARIANTS[name].config
    parts = {"": config}
    if isinstance(config, NestedConfig):
        parts = {"da3.": config.any_view, "da3_metric.": config.metric}
    with torch.device("meta"):
        networks = {prefix: build_network(part) for prefix, part in parts.items()}
    return {
        prefix + key: tuple(value.shape)
        for prefix, each in networks.items()
        for key, value in each.state_dict().items()
    }


@pytest.mark.parametrize(("file", "name"), [(file, name) for file, names in KEYS.items() for name in names])
def test_every_tensor_of_a_released_model_has_its_place(file: str, name: str) -> None:
    if not (GOLDEN / file).is_file():
        pytest.skip("the golden lists (a folder 'shared' beside the checkout) are not here")
    released, ours = released_shapes(GOLDEN / file), our_shapes(name)
    gaussians = {key for key in released if "gs_head." in key}
    assert bool(gaussians) == ("giant" in name)
    assert ours == {key: shape for key, shape in released.items() if key not in gaussians}


def test_all_released_names_are_compared() -> None:
    assert sorted(VARIANTS) == sorted(name for names in KEYS.values() for name in names)


def test_small_has_as_many_parameters_as_its_card_says() -> None:
    shapes = our_shapes("da3-small")
    shared = {key: shape for key, shape in shapes.items() if not any(f"2_aux.{k}.2." in key for k in (1, 2, 3))}
    assert sum(prod(shape) for shape in shared.values()) == 34_299_463


def test_what_may_be_used_commercially_is_small_base_and_the_monocular_ones() -> None:
    free = {name for name, variant in VARIANTS.items() if variant.commercial}
    assert free == {"da3-small", "da3-base", "da3mono-large", "da3metric-large"}


def test_models_are_found_by_repository() -> None:
    found = variant_of_hub_id("depth-anything/da3metric-large")
    assert found is not None
    assert found.name == "da3metric-large"
    assert variant_of_hub_id("someone/else") is None
