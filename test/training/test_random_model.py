"""Folders with random weights: the released layout, the same weights by the same seed, the true shapes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_training.models import random_model
from model_training.models.qwen_layout import (
    LAYOUTS,
    SIZES,
    layout_name,
    nested_config,
    parameter_count,
    random_config,
    tensor_shapes,
)
from model_training.models.random_model import main, parse_bytes, write_random_model
from n3d_ros.errors import ConfigurationError, N3dError

pytest.importorskip("tokenizers", reason="the stand-in tokenizer needs the package tokenizers")

# Read off the released checkpoints' sizes: 3.75 and 8.29 thousand million parameters.
PARAMETERS = {"3b": 3_754_622_976, "7b": 8_292_166_656}


def read_weights(folder: Path) -> dict[str, bytes]:
    """Bytes of every tensor by its name in the file, read with nothing but the format's definition."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.glob("*.safetensors")):
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        body = data[8 + length :]
        header.pop("__metadata__")
        assert sum(entry["data_offsets"][1] - entry["data_offsets"][0] for entry in header.values()) == len(body)
        found |= {name: body[slice(*entry["data_offsets"])] for name, entry in header.items()}
    return found


def test_a_folder_holds_all_that_a_released_one_holds(tmp_path: Path) -> None:
    write_random_model(tmp_path / "model", shard_bytes=400_000)
    names = {path.name for path in (tmp_path / "model").iterdir()}
    shards = {name for name in names if name.endswith(".safetensors")}
    assert len(shards) > 1
    assert all(name.endswith(f"-of-{len(shards):05d}.safetensors") for name in shards)
    assert names - shards == {
        "config.json", "generation_config.json", "preprocessor_config.json", "model.safetensors.index.json",
        "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "README.md",
    }  # fmt: skip
    assert "answers mean nothing" in (tmp_path / "model/README.md").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_index_names_the_file_of_every_tensor(tmp_path: Path) -> None:
    write_random_model(tmp_path / "model", shard_bytes=400_000)
    index = json.loads((tmp_path / "model/model.safetensors.index.json").read_text(encoding="utf-8"))
    weights = read_weights(tmp_path / "model")
    assert set(index["weight_map"]) == set(weights)
    assert index["metadata"]["total_size"] == sum(map(len, weights.values()))
    assert set(index["weight_map"].values()) == {path.name for path in (tmp_path / "model").glob("*.safetensors")}


def test_token_ids_are_those_of_the_tokenizer_beside_them(tmp_path: Path) -> None:
    config = write_random_model(tmp_path / "model")
    tokenizer = json.loads((tmp_path / "model/tokenizer.json").read_text(encoding="utf-8"))
    special = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    assert config["image_token_id"] == special["<|image_pad|>"]
    assert config["vision_start_token_id"] == special["<|vision_start|>"]
    assert config["eos_token_id"] == special["<|im_end|>"]
    assert max(special.values()) < config["vocab_size"]


def test_the_same_seed_gives_the_same_weights_in_every_layout_and_shard_size(tmp_path: Path) -> None:
    write_random_model(tmp_path / "a", seed=5, layout="new", shard_bytes=100_000)
    write_random_model(tmp_path / "b", seed=5, layout="old")
    write_random_model(tmp_path / "c", seed=6, layout="old")
    new, old, other = (read_weights(tmp_path / name) for name in "abc")
    assert {layout_name(name, "old"): data for name, data in new.items()} == old
    assert all(old[name] != data for name, data in other.items())


def test_two_folders_of_one_seed_are_the_same_byte_for_byte(tmp_path: Path) -> None:
    for name in "ab":
        write_random_model(tmp_path / name, seed=5)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_slices_join_to_the_whole_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(random_model._slices("x.weight", (40, 30), 1)))
    monkeypatch.setattr(random_model, "SLICE_NUMBERS", 256)
    parts = list(random_model._slices("x.weight", (40, 30), 1))
    assert [len(part) for part in parts] == [256, 256, 256, 256, 176]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_weights_keep_the_size_of_what_passes_and_norms_stay_near_one() -> None:
    (weights,) = random_model._slices("model.x.weight", (300, 400), 1)
    (norm,) = random_model._slices("model.norm.weight", (400,), 1)
    (bias,) = random_model._slices("model.x.bias", (400,), 1)
    assert weights.std() == pytest.approx(400**-0.5, rel=0.02)
    assert norm.mean() == pytest.approx(1.0, abs=0.01)
    assert abs(bias.mean()) < 0.01
    assert bias.std() > 0.01


def test_bfloat16_is_rounded_as_torch_rounds() -> None:
    torch = pytest.importorskip("torch", reason="compares with torch's own rounding")
    values = np.random.default_rng(0).standard_normal(20_000, dtype=np.float32)
    ties = np.array([1.00390625, 1.01171875, -1.00390625, 0.0], np.float32)  # half way between two bfloat16
    values = np.concatenate([values, ties])
    expected = torch.from_numpy(values).to(torch.bfloat16).view(torch.uint16).numpy()
    np.testing.assert_array_equal(random_model._encode(values, "bfloat16"), expected)


@pytest.mark.parametrize("present", ["a file", "a folder with a file"])
def test_nothing_is_overwritten(tmp_path: Path, present: str) -> None:
    target = tmp_path / "model"
    kept = target if present == "a file" else target / "mine.txt"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine")
    with pytest.raises(ConfigurationError, match="not an empty folder"):
        write_random_model(target)
    assert kept.read_text() == "mine"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    write_random_model(tmp_path / "model")
    assert (tmp_path / "model/config.json").is_file()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": "70b"}, "tiny, small, 3b, 7b"),
        ({"position_code": "both"}, "reference, aligned, none"),
        ({"dtype": "int8"}, "bfloat16, float16, float32"),
        ({"layout": "gguf"}, "old, new"),
        ({"shard_bytes": 0}, "at least one byte"),
        ({"vocab_size": 200}, "at least"),
    ],
)
def test_requests_that_cannot_be_met_name_what_can(tmp_path: Path, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(N3dError, match=message):
        write_random_model(tmp_path / "model", **wrong)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_too_small_is_named_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = argparse.Namespace(total=10**9, used=0, free=10**9)
    monkeypatch.setattr(random_model.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ConfigurationError, match=r"16\.6 GB.*1\.0 GB free"):
        write_random_model(tmp_path / "model", size="7b")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_half_way_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(random_model, "_write_weights", fail)
    with pytest.raises(OSError, match="no space"):
        write_random_model(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_the_key_of_the_position_code_is_there_only_on_request(tmp_path: Path) -> None:
    assert write_random_model(tmp_path / "a", position_code="aligned")["position_code"] == "aligned"
    assert "position_code" not in write_random_model(tmp_path / "b", position_code=None)


def test_the_command_writes_a_folder_and_refuses_to_write_it_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arguments = [str(tmp_path / "model"), "--size", "tiny", "--dtype", "float32", "--position-code", "none"]
    assert main([*arguments, "--layout", "new", "--shard-size", "1MB", "--seed", "3"]) == 0
    config = json.loads((tmp_path / "model/config.json").read_text(encoding="utf-8"))
    assert (config["position_code"], config["torch_dtype"]) == ("none", "float32")
    assert len(list((tmp_path / "model").glob("*.safetensors"))) == 2
    assert main(arguments) == 1
    assert "not an empty folder" in caplog.text


@pytest.mark.parametrize(
    ("text", "expected"), [("5GB", 5 * 10**9), ("500MB", 5 * 10**8), ("1.5kB", 1500), ("12", 12), (" 12 b ", 12)]
)
def test_sizes_of_shards_are_read_with_their_units(text: str, expected: int) -> None:
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "GB", "big", "1e999GB", "nan"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="500MB"):
        parse_bytes(text)


@pytest.mark.parametrize("size", sorted(PARAMETERS))
def test_the_released_sizes_have_their_number_of_parameters(size: str) -> None:
    assert parameter_count(random_config(size)) == PARAMETERS[size]


def test_the_sizes_for_tests_are_as_small_as_they_should_be() -> None:
    assert parameter_count(random_config("tiny")) * 4 < 3_000_000
    assert 100_000_000 < parameter_count(random_config("small")) < 200_000_000


def test_overrides_replace_single_keys_of_the_image_tower() -> None:
    config = random_config("3b", num_hidden_layers=2, vision_config={"depth": 3, "fullatt_block_indexes": [2]})
    assert config["vision_config"]["hidden_size"] == 1280
    assert config["vision_config"]["depth"] == 3
    assert len(tensor_shapes(config)) == 1 + 3 * 12 + 5 + 1 + 2 * 12 + 1
    assert random_config("3b")["vision_config"]["depth"] == 32


@pytest.fixture(scope="module")
def transformers_model() -> Any:
    """The class of transformers whose names and shapes are the other source."""
    pytest.importorskip("torch", reason="the extra [model] is not installed")
    transformers = pytest.importorskip("transformers", reason="the extra [model] is not installed")
    return transformers.Qwen2_5_VLForConditionalGeneration


@pytest.mark.parametrize("size", sorted(SIZES))
@pytest.mark.parametrize("layout", LAYOUTS)
def test_names_and_shapes_are_those_of_transformers(transformers_model: Any, size: str, layout: str) -> None:
    import torch

    config = random_config(size)
    read = transformers_model.config_class(**(config if layout == "old" else nested_config(config)))
    with torch.device("meta"):
        model = transformers_model(read)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    assert shapes == tensor_shapes(config)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("tied", [True, False])
def test_transformers_loads_every_tensor_by_its_name(
    transformers_model: Any, tmp_path: Path, layout: str, tied: bool
) -> None:
    import torch

    overrides = {"tie_word_embeddings": tied}
    write_random_model(tmp_path / "model", dtype="float32", layout=layout, shard_bytes=400_000, **overrides)
    model, report = transformers_model.from_pretrained(
        tmp_path / "model", dtype=torch.float32, output_loading_info=True, local_files_only=True
    )
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert not report["mismatched_keys"]
    weights = read_weights(tmp_path / "model")
    for name, parameter in model.named_parameters():
        expected = np.frombuffer(weights[layout_name(name, layout)], np.float32)
        np.testing.assert_array_equal(parameter.detach().numpy().ravel(), expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_our_loader_takes_every_layout_and_precision(tmp_path: Path, layout: str, dtype: str) -> None:
    torch = pytest.importorskip("torch", reason="the extra [model] is not installed")
    from n3d_ros.model.checkpoint import load_model

    write_random_model(tmp_path / "model", position_code="aligned", dtype=dtype, layout=layout, shard_bytes=400_000)
    loaded = load_model(tmp_path / "model", device="cpu", dtype=dtype)
    assert loaded.position_code == "aligned"
    assert {str(parameter.dtype) for parameter in loaded.model.parameters()} == {f"torch.{dtype}"}
    weights = read_weights(tmp_path / "model")
    for name, parameter in loaded.model.named_parameters():
        raw = parameter.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        assert raw == weights[layout_name(name, layout)], name


def test_tensors_for_a_device_have_every_name_and_the_same_spread() -> None:
    torch = pytest.importorskip("torch", reason="the extra [model] is not installed")
    config = random_config("tiny")
    state = random_model.random_state(config, seed=1, dtype="float32")
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == tensor_shapes(config)
    name = "model.language_model.layers.0.mlp.up_proj.weight"
    assert float(state[name].std()) == pytest.approx(64**-0.5, rel=0.05)
    assert float(state["model.language_model.norm.weight"].mean()) == pytest.approx(1.0, abs=0.02)
    again = random_model.random_state(config, seed=1, dtype="float32")
    assert all(torch.equal(state[name], again[name]) for name in state)
    assert not torch.equal(state[name], random_model.random_state(config, seed=2, dtype="float32")[name])
