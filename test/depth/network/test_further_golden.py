"""Shapes that no golden file has, against samples of what the public reference gives with the same drawn weights.

SwiGLU, a camera token that goes in before a global block, heads of 64, normalisation and rotation that begin in
different blocks, two to six views, and the nested model from images to metres. ``golden/further_networks.npz`` holds
200 values and the largest magnitude of each output; it was made with the reference's code of December 2025 in float32
on one thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")

from depth_seeded import seeded_cameras, seeded_images, seeded_state  # noqa: E402
from n3d_ros.depth.config import NetworkConfig  # noqa: E402
from n3d_ros.depth.nested import reference_alignment  # noqa: E402
from n3d_ros.depth.network import DepthNetwork, build_network  # noqa: E402
from n3d_ros.depth.network.pose_encoding import decode_pose  # noqa: E402

TOLERANCE = 2e-5  # of the largest magnitude of an output
GOLDEN = Path(__file__).parents[1] / "golden" / "further_networks.npz"
SWIGLU = NetworkConfig(
    embed_dim=96,
    depth=8,
    heads=3,
    ffn="swiglu",
    alt_start=3,
    qknorm_start=3,
    rope_start=3,
    cat_token=True,
    out_layers=(3, 4, 6, 7),
    head="dual",
    features=32,
    out_channels=(24, 48, 96, 96),
    cam_enc=True,
    cam_dec=True,
)
WIDE = NetworkConfig(
    embed_dim=128,
    depth=8,
    heads=2,
    alt_start=2,
    qknorm_start=3,
    rope_start=4,
    cat_token=True,
    out_layers=(1, 4, 5, 7),
    head="dual",
    features=32,
    out_channels=(16, 32, 64, 64),
    cam_enc=True,
    cam_dec=True,
)
MONO = NetworkConfig(
    embed_dim=64,
    depth=5,
    heads=1,
    out_layers=(0, 1, 3, 4),
    head="dpt",
    features=16,
    out_channels=(8, 16, 32, 32),
)
NETWORKS = {"swiglu": (SWIGLU, 11), "wide": (WIDE, 12), "mono": (MONO, 13)}
RUNS = {  # views, height, width, seed
    "swiglu_1": (1, 70, 98, 21),
    "swiglu_2_posed": (2, 56, 42, 22),
    "swiglu_5": (5, 42, 56, 23),
    "swiglu_4_posed": (4, 42, 42, 24),
    "wide_6": (6, 28, 84, 25),
    "wide_2": (2, 42, 42, 26),
    "wide_3_posed": (3, 28, 84, 27),
}
NESTED_RUNS = {"nested_3": (3, 56, 84, 31), "nested_1": (1, 70, 56, 32), "nested_3_posed": (3, 42, 84, 33)}


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    with np.load(GOLDEN, allow_pickle=False) as stored:
        return dict(stored)


def network_of(name: str) -> DepthNetwork:
    config, seed = NETWORKS[name]
    network = build_network(config).eval()
    network.load_state_dict(seeded_state({key: value.shape for key, value in network.state_dict().items()}, seed))
    return network


def given_cameras(label: str, views: int, height: int, width: int, seed: int) -> dict[str, Any]:
    if "posed" not in label:
        return {}
    w2c, matrices = seeded_cameras(views, height, width, seed + 1)
    return {"extrinsics_w2c": w2c, "intrinsics": matrices}


def assert_equal(golden: dict[str, Any], name: str, value: Any) -> None:
    values = np.asarray(value, dtype=np.float64).ravel()
    stored = golden[name]
    chosen = np.linspace(0, len(values) - 1, min(len(values), 200)).astype(int)
    assert len(stored) == len(chosen) + 1
    assert np.abs(values).max() == pytest.approx(stored[-1], rel=TOLERANCE)
    assert np.abs(values[chosen] - stored[:-1]).max() <= TOLERANCE * stored[-1], name


@pytest.mark.parametrize("label", RUNS)
def test_shapes_beside_the_golden_ones_give_what_the_reference_gives(golden: dict[str, Any], label: str) -> None:
    views, height, width, seed = RUNS[label]
    cameras = given_cameras(label, views, height, width, seed)
    with torch.inference_mode():
        seen = network_of(label.split("_")[0])(seeded_images(views, height, width, seed), rays=True, **cameras)
        w2c, matrices = decode_pose(seen.pose_encoding, (height, width))
    for name in ("depth", "confidence", "rays", "ray_confidence"):
        assert_equal(golden, f"{label}.{name}", getattr(seen, name))
    assert_equal(golden, f"{label}.extrinsics", w2c)
    assert_equal(golden, f"{label}.intrinsics", matrices)


def test_sky_and_depth_of_single_views_are_those_of_the_reference(golden: dict[str, Any]) -> None:
    with torch.inference_mode():
        seen = network_of("mono")(seeded_images(2, 56, 42, 28))
    assert_equal(golden, "mono_2.depth", seen.depth)
    assert_equal(golden, "mono_2.sky", seen.sky)


@pytest.mark.parametrize("label", NESTED_RUNS)
def test_the_nested_model_gives_the_metres_of_the_reference(golden: dict[str, Any], label: str) -> None:
    views, height, width, seed = NESTED_RUNS[label]
    images = seeded_images(views, height, width, seed)
    with torch.inference_mode():
        seen = network_of("swiglu")(images, **given_cameras(label, views, height, width, seed))
        metric = network_of("mono")(images)
        w2c, matrices = decode_pose(seen.pose_encoding, (height, width))
    nested = reference_alignment(
        relative=seen.depth[0].numpy(),
        confidence=seen.confidence[0].numpy(),
        w2c=w2c[0].double().numpy(),
        matrices=matrices[0].double().numpy(),
        metric_network=metric.depth[0].numpy(),
        sky_score=metric.sky[0].numpy(),
    )
    assert nested.scale == pytest.approx(float(golden[f"{label}.scale"][0]), rel=TOLERANCE)
    assert_equal(golden, f"{label}.depth", nested.depth)
    assert_equal(golden, f"{label}.confidence", nested.confidence)
    assert_equal(golden, f"{label}.extrinsics", nested.w2c)
