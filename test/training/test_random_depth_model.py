"""Folders with random weights: complete, the same for the same seed, and loadable."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")

from safetensors.torch import load_file  # noqa: E402

from model_training.models.random_depth_model import TINY, main, write_random_depth_model  # noqa: E402
from n3d_ros.depth.checkpoint import LoadedNetwork, LoadedPair, load_network  # noqa: E402
from n3d_ros.depth.network.pose_encoding import decode_pose  # noqa: E402
from n3d_ros.errors import ConfigurationError  # noqa: E402

torch.set_num_threads(1)


@pytest.mark.parametrize("size", TINY)
def test_every_tiny_folder_loads_and_gives_plausible_depth(tmp_path: Path, size: str) -> None:
    loaded = load_network(write_random_depth_model(tmp_path / "model", size), device="cpu")
    assert loaded.name == size
    pair = isinstance(loaded, LoadedPair)
    assert pair == (size == "tiny-nested")
    for part in (loaded.any_view, loaded.metric) if isinstance(loaded, LoadedPair) else (loaded,):
        with torch.inference_mode():
            output = part.network(torch.randn(1, 2, 3, 56, 70))
        assert float(output.depth.min()) > 0.5
        assert float(output.depth.max()) < 8
        if output.sky is not None:
            assert float(output.sky.max()) < 0.3
        if output.pose_encoding is not None:
            w2c, _ = decode_pose(output.pose_encoding, (56, 70))
            assert torch.allclose(w2c[..., :3].det(), torch.ones(1, 2), atol=1e-5)
            assert float(output.pose_encoding[..., 7:].min()) > 0.3


def test_metric_folders_say_so(tmp_path: Path) -> None:
    for size, metric in (("tiny", False), ("tiny-mono", False), ("tiny-metric", True)):
        loaded = load_network(write_random_depth_model(tmp_path / size, size), device="cpu")
        assert isinstance(loaded, LoadedNetwork)
        assert loaded.is_metric is metric


def test_the_same_seed_gives_the_same_file_and_another_another(tmp_path: Path) -> None:
    files = [
        (write_random_depth_model(tmp_path / name, "tiny-mono", seed) / "model.safetensors").read_bytes()
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert files[0] == files[1] != files[2]


def test_the_layout_is_the_released_one(tmp_path: Path) -> None:
    folder = write_random_depth_model(tmp_path / "model", "tiny")
    names = set(load_file(folder / "model.safetensors"))
    assert all(name.startswith("model.") for name in names)
    assert "model.head.scratch.output_conv2_aux.0.2.weight" in names
    assert "model.head.scratch.output_conv2_aux.3.2.weight" not in names
    assert set(json.loads((folder / "config.json").read_text())["config"]) == {"net", "head", "cam_enc", "cam_dec"}


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(ConfigurationError, match="not an empty folder"):
        write_random_depth_model(tmp_path)
    with pytest.raises(ConfigurationError, match="size: expected one of tiny"):
        write_random_depth_model(tmp_path / "new", "huge")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_command_writes_a_folder(tmp_path: Path) -> None:
    assert main([str(tmp_path / "pair"), "--nested", "--seed", "3"]) == 0
    assert (tmp_path / "pair" / "config.json").is_file()
    assert main([str(tmp_path / "pair")]) == 1
    assert main([str(tmp_path / "other"), "--size", "da3-small", "--nested"]) == 1
