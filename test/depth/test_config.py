"""Shapes of depth networks: what fits together, and how config.json says it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from model_training.models.random_depth_model import TINY_ANY_VIEW, TINY_MONOCULAR
from n3d_ros.depth.config import NestedConfig, NetworkConfig, network_config_of, released_config
from n3d_ros.depth.variants import BASE, GIANT, MONOCULAR_LARGE, NESTED_GIANT_LARGE, SMALL
from n3d_ros.errors import ConfigurationError

# As the file of DA3-BASE has it.
DA3_BASE: dict[str, Any] = {
    "__object__": {"path": "depth_anything_3.model.da3", "name": "DepthAnything3Net", "args": "as_params"},
    "net": {
        "__object__": {"path": "depth_anything_3.model.dinov2.dinov2", "name": "DinoV2", "args": "as_params"},
        "name": "vitb",
        "out_layers": [5, 7, 9, 11],
        "alt_start": 4,
        "qknorm_start": 4,
        "rope_start": 4,
        "cat_token": True,
    },
    "head": {
        "__object__": {"path": "depth_anything_3.model.dualdpt", "name": "DualDPT", "args": "as_params"},
        "dim_in": 1536,
        "output_dim": 2,
        "features": 128,
        "out_channels": [96, 192, 384, 768],
    },
    "cam_enc": {"__object__": {"name": "CameraEnc"}, "dim_out": 768},
    "cam_dec": {"__object__": {"name": "CameraDec"}, "dim_in": 1536},
}


def test_the_released_description_of_base_is_base() -> None:
    assert network_config_of(DA3_BASE) == BASE


@pytest.mark.parametrize(
    "config",
    [SMALL, BASE, GIANT, MONOCULAR_LARGE, TINY_ANY_VIEW, TINY_MONOCULAR, NESTED_GIANT_LARGE],
    ids=["small", "base", "giant", "mono", "tiny", "tiny mono", "nested"],
)
def test_what_is_written_is_read_back(config: NetworkConfig | NestedConfig) -> None:
    assert network_config_of(released_config(config)) == config


def test_released_shapes_are_written_by_their_backbones_name() -> None:
    assert released_config(SMALL)["net"]["name"] == "vits"
    assert "embed_dim" not in released_config(SMALL)["net"]
    assert released_config(TINY_ANY_VIEW)["net"]["embed_dim"] == TINY_ANY_VIEW.embed_dim


def test_the_hidden_width_of_the_giants_feed_forward_is_the_released_one() -> None:
    assert GIANT.swiglu_hidden == 4096


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"out_layers": (5, 7, 9)}, "out_layers: expected 4 rising numbers below depth"),
        ({"out_layers": (5, 7, 9, 12)}, "out_layers"),
        ({"out_layers": (7, 5, 9, 11)}, "out_layers"),
        ({"out_channels": (48, 96)}, "out_channels: expected 4"),
        ({"heads": 7}, "embed_dim 384: expected a multiple"),
        ({"img_size": 500}, "img_size: expected a multiple of 14"),
        ({"features": 60}, "features, out_channels"),
        ({"cat_token": False}, "cat_token: expected true with the dual head"),
        ({"alt_start": 12}, "alt_start: expected -1 or 1 to 11"),
        ({"alt_start": -1}, "alt_start: expected a block with a camera encoder"),
        ({"embed_dim": 0}, "embed_dim: expected whole numbers"),
        ({"depth": 129}, "depth: expected whole numbers from 1 to 128, got 129"),
        ({"heads": 129}, "heads: expected whole numbers from 1 to 128"),
        ({"embed_dim": 8208}, "embed_dim: expected whole numbers from 1 to 8192"),
        ({"features": 8200}, "features: expected whole numbers from 1 to 8192"),
        ({"out_channels": (48, 96, 192, 8200)}, "out_channels: expected whole numbers from 1 to 8192"),
        ({"img_size": 14 * 293}, "img_size: expected whole numbers from 1 to 4096"),
        ({"depth": "12"}, "depth: expected whole numbers"),
        ({"ffn": "relu"}, "ffn: expected one of mlp, swiglu"),
        ({"head": "other"}, "head: expected one of dual, dpt"),
        ({"cam_enc": 1}, "cam_enc: expected true or false"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        replace(SMALL, **change)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"net": None}, "not a configuration of a depth network"),
        ({"head": {}}, "'output_dim' is missing|'features' is missing"),
        ({"net": {"name": "vitx"}}, "'embed_dim' is missing"),
        ({"head": {**DA3_BASE["head"], "dim_in": 1000}}, "head.dim_in is 1000, expected 1536"),
        ({"cam_dec": {"dim_in": 3}}, "cam_dec.dim_in is 3, expected 1536"),
        ({"cam_enc": {"dim_out": 3}}, "cam_enc.dim_out is 3, expected 768"),
        ({"head": {**DA3_BASE["head"], "out_channels": 5}}, "not a configuration of a depth network"),
        ({"anyview": DA3_BASE}, "'metric' is missing"),
    ],
)
def test_a_description_that_is_damaged_is_refused_by_name(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=f"here.json: .*({sentence})"):
        network_config_of({**DA3_BASE, **change}, name="here.json")
