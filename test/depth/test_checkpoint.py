"""Loading depth models: released layouts of all ages, every kind of broken folder, precisions."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")

from safetensors.torch import load_file, save_file  # noqa: E402

from depth_golden import GOLDEN, deviation, golden_config  # noqa: E402
from model_training.models.random_depth_model import TINY_ANY_VIEW, write_random_depth_model  # noqa: E402
from n3d_ros.depth.checkpoint import LoadedNetwork, LoadedPair, load_network  # noqa: E402
from n3d_ros.depth.network import DepthNetwork, build_network  # noqa: E402
from n3d_ros.depth.network.repeating import repeating  # noqa: E402
from n3d_ros.depth.saving import save_network  # noqa: E402
from n3d_ros.errors import ConfigurationError  # noqa: E402

torch.set_num_threads(1)

WEIGHTS = "model.safetensors"
SHARED = "model.head.scratch.output_conv2_aux.{}.2.weight"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_depth_model(tmp_path_factory.mktemp("models") / "tiny", "tiny", 4)


def changed(released: Path, folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of a folder with other tensors."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text((released / "config.json").read_text())
    state = load_file(released / WEIGHTS)
    change(state)
    save_file(state, folder / WEIGHTS)
    return folder


def load(folder: Path, **options: Any) -> LoadedNetwork:
    loaded = load_network(folder, device="cpu", **options)
    assert isinstance(loaded, LoadedNetwork)
    return loaded


def look(network: DepthNetwork) -> tuple[Any, ...]:
    """What a network says of two random views: depth, confidence, rays, cameras."""
    images = torch.randn(1, 2, 3, 56, 70, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        output = network(images, rays=True)
    return output.depth, output.confidence, output.rays, output.pose_encoding


def same(first: tuple[Any, ...], second: tuple[Any, ...]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_the_shared_norm_is_stored_once_and_used_at_every_level(released: Path) -> None:
    stored = load_file(released / WEIGHTS)
    network = load(released).network
    levels = network.head.scratch.output_conv2_aux
    assert [SHARED.format(level) in stored for level in range(4)] == [True, False, False, False]
    assert all(level["2"] is levels[0]["2"] for level in levels)
    assert torch.equal(levels[3]["2"].weight, stored[SHARED.format(0)])
    assert not torch.equal(levels[3]["2"].weight, torch.ones_like(levels[3]["2"].weight))


def test_a_file_that_stores_the_shared_norm_four_times_loads_the_same(released: Path, tmp_path: Path) -> None:
    def repeat(state: dict[str, Any]) -> None:
        for level in (1, 2, 3):
            for leaf in ("weight", "bias"):
                name = SHARED.replace("weight", leaf)
                state[name.format(level)] = state[name.format(0)].clone()

    assert same(look(load(changed(released, tmp_path, repeat)).network), look(load(released).network))


def test_copies_of_the_shared_norm_that_differ_are_refused(released: Path, tmp_path: Path) -> None:
    folder = changed(released, tmp_path, lambda state: state.update({SHARED.format(3): torch.zeros(32)}))
    with pytest.raises(ConfigurationError, match=r"output_conv2_aux.3.2.weight differs from .*the same tensor"):
        load(folder)


def test_names_of_older_files_load_the_same(released: Path, tmp_path: Path) -> None:
    renamed = (
        ("model.backbone.", "model.net."),
        ("model.cam_enc", "model.all_heads.camera_cond_head"),
        ("model.cam_dec.backbone", "model.all_heads.camera_head.more_mlps"),
        ("model.cam_dec.fc_qvec", "model.all_heads.camera_head.fc_rot"),
        ("model.cam_dec", "model.all_heads.camera_head"),
        ("_aux.", "_ray."),
        ("camera_token", "camera_token_extra"),
        ("model.", "module."),
    )

    def age(state: dict[str, Any]) -> None:
        for name in list(state):
            old = name
            for today, former in renamed:
                old = old.replace(today, former, 1)
            state[old] = state.pop(name)
        assert not any(name.startswith("model.") for name in state)

    assert same(look(load(changed(released, tmp_path, age)).network), look(load(released).network))


def test_older_names_of_the_sky_convolution_load(tmp_path: Path) -> None:
    metric = write_random_depth_model(tmp_path / "metric", "tiny-metric")

    def age(state: dict[str, Any]) -> None:
        for name in [name for name in state if ".sky_output_conv2." in name]:
            state[name.replace("sky_output_conv2", "output_conv2_additional.sky_mask")] = state.pop(name)

    old = load(changed(metric, tmp_path / "old", age))
    assert old.is_metric
    assert torch.equal(
        old.network.head.scratch.sky_output_conv2[0].weight,
        load(metric).network.head.scratch.sky_output_conv2[0].weight,
    )


def test_names_without_prefix_load_too(released: Path, tmp_path: Path) -> None:
    def strip(state: dict[str, Any]) -> None:
        for name in list(state):
            state[name.removeprefix("model.")] = state.pop(name)

    assert same(look(load(changed(released, tmp_path, strip)).network), look(load(released).network))


def test_gaussians_are_left_aside_by_name_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_random_depth_model(tmp_path / "giant", "tiny", gaussians=True)
    with caplog.at_level(logging.INFO):
        loaded = load(folder)
    assert loaded.source.left_aside == 2
    assert "model.gs_head.images_merger.0.bias" in caplog.text


def test_a_nested_folder_gives_two_networks_and_the_second_is_metric(tmp_path: Path) -> None:
    folder = write_random_depth_model(tmp_path / "nested", "tiny-nested", gaussians=True)
    loaded = load_network(folder, device="cpu")
    assert isinstance(loaded, LoadedPair)
    stored = load_file(folder / WEIGHTS)
    parts = ((loaded.any_view, "da3", False), (loaded.metric, "da3_metric", True))
    for part, prefix, metric in parts:
        assert part.is_metric is metric
        for name, value in part.network.named_parameters():
            assert torch.equal(value, stored[f"model.{prefix}.{name}"])
    assert loaded.source.left_aside == 2


def test_missing_extra_and_misshapen_tensors_are_named_in_one_error(released: Path, tmp_path: Path) -> None:
    def spoil(state: dict[str, Any]) -> None:
        del state["model.backbone.pretrained.norm.weight"]
        state["model.head.extra"] = torch.zeros(3)
        state["model.cam_dec.fc_t.bias"] = torch.zeros(4)

    with pytest.raises(ConfigurationError) as caught:
        load(changed(released, tmp_path, spoil))
    text = str(caught.value)
    assert "1 missing: backbone.pretrained.norm.weight" in text
    assert "1 extra: model.head.extra" in text
    assert "1 misshapen: model.cam_dec.fc_t.bias (4,) F32 (expected (3,)" in text
    assert "'tiny'" in text


def test_weights_of_another_size_are_refused(released: Path, tmp_path: Path) -> None:
    folder = changed(released, tmp_path, lambda _state: None)
    (folder / "config.json").write_text(json.dumps({"model_name": "da3-small"}))
    with pytest.raises(ConfigurationError, match="do not fit config.json .*names 'da3-small'"):
        load(folder)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-100]), "cut short"),
        (lambda file: file.write_bytes(file.read_bytes()[:40]), "not a whole safetensors file"),
        (lambda file: file.write_bytes(b""), "not a whole safetensors file"),
        (lambda file: file.write_text("version https://git-lfs.github.com/spec/v1\n"), "Git LFS pointer"),
        (lambda file: file.write_bytes(b"PK\x03\x04" + b"\0" * 500), "not a whole safetensors file"),
        (lambda file: file.rename(file.with_name("pytorch_model.bin")), "only safetensors are read"),
        (lambda file: file.unlink(), "no weights"),
    ],
)
def test_files_of_a_wrong_kind_are_told_apart(
    released: Path, tmp_path: Path, spoil: Callable[[Path], object], sentence: str
) -> None:
    folder = changed(released, tmp_path, lambda _state: None)
    spoil(folder / WEIGHTS)
    with pytest.raises(ConfigurationError, match=sentence):
        load(folder)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"model_type": "qwen2_5_vl"}', "expected a model_name.*got model_type 'qwen2_5_vl'"),
        ('{"hidden_size": 3}', "expected a model_name.*the keys hidden_size"),
        ('{"model_name": 5}', "expected a model_name"),
        ('{"model_name": "mine"}', "expected an object 'config'"),
        ('{"model_name": "mine", "config": {"net": {}}}', "not a configuration of a depth network"),
        ("[]", "expected a JSON object"),
        ("{", "cannot be read as JSON"),
    ],
)
def test_a_configuration_of_another_model_is_refused(
    released: Path, tmp_path: Path, content: str, sentence: str
) -> None:
    folder = changed(released, tmp_path, lambda _state: None)
    (folder / "config.json").write_text(content)
    with pytest.raises(ConfigurationError, match=sentence):
        load(folder)


def test_a_folder_without_configuration_is_refused(released: Path, tmp_path: Path) -> None:
    folder = changed(released, tmp_path, lambda _state: None)
    (folder / "config.json").unlink()
    with pytest.raises(ConfigurationError, match="there is no such file"):
        load(folder)


def test_a_name_that_is_no_folder_and_no_repository_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="there is no folder no-such-model"):
        load_network("no-such-model", device="cpu")


def test_a_hub_id_is_taken_from_the_cache(released: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked: list[dict[str, Any]] = []

    def snapshot(name: str, **options: Any) -> str:
        asked.append({"name": name, **options})
        return str(released)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    loaded = load_network("depth-anything/DA3-TINY", device="cpu")
    assert loaded.source.source == "depth-anything/DA3-TINY"
    assert [each["name"] for each in asked] == ["depth-anything/DA3-TINY"]
    assert asked[0]["local_files_only"]


def test_progress_rises_and_files_are_hashed(released: Path) -> None:
    told: list[tuple[str, float]] = []
    loaded = load(released, on_progress=lambda sentence, share: told.append((sentence, share)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert told[-1] == ("Loaded tiny", 1.0)
    digest = hashlib.sha256((released / WEIGHTS).read_bytes()).hexdigest()
    assert [file.sha256 for file in loaded.source.files] == [digest]
    assert any(digest in fact for fact in loaded.source.facts())
    assert load(released, hashes=False).source.files[0].sha256 is None


def test_too_little_memory_is_told_before_anything_is_read(released: Path) -> None:
    with pytest.raises(ConfigurationError, match="The model does not fit: it needs .* are free"):
        load(released, memory_limit_bytes=1 << 20)


def test_a_network_loaded_in_inference_mode_runs_and_learns_like_another(released: Path) -> None:
    with torch.inference_mode():
        network = load(released).network
    assert same(look(network), look(load(released).network))
    network.requires_grad_(True)(torch.zeros(1, 1, 3, 56, 70)).depth.mean().backward()
    assert network.backbone.pretrained.cls_token.grad is not None


def test_a_licence_that_forbids_or_is_not_known_is_said(tmp_path: Path) -> None:
    with torch.device("cpu"):
        network = build_network(TINY_ANY_VIEW)
    save_network(network, tmp_path / "own", model_name="own", licence="CC BY-NC 4.0")
    assert "licence CC BY-NC 4.0, NOT for commercial use" in load(tmp_path / "own").source.facts()
    save_network(network, tmp_path / "other", model_name="own")
    assert "licence unknown: ask whoever made it" in load(tmp_path / "other").source.facts()
    save_network(network, tmp_path / "free", model_name="own", licence="Apache-2.0")
    assert "licence Apache-2.0" in load(tmp_path / "free").source.facts()


def test_what_is_saved_loads_the_same_and_stores_shared_tensors_once(released: Path, tmp_path: Path) -> None:
    network = load(released).network
    save_network(network, tmp_path / "again", model_name="mine")
    assert set(load_file(tmp_path / "again" / WEIGHTS)) == set(load_file(released / WEIGHTS))
    assert same(look(load(tmp_path / "again").network), look(network))


def test_a_released_name_decides_over_a_contradicting_description(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    description = {"net": {"name": "vitb", "out_layers": [5, 7, 9, 11], "alt_start": 4, "qknorm_start": 4,
                           "rope_start": 4, "cat_token": True},
                   "head": {"dim_in": 1536, "output_dim": 2, "features": 128, "out_channels": [96, 192, 384, 768]},
                   "cam_enc": {"dim_out": 768}, "cam_dec": {"dim_in": 1536}}  # fmt: skip
    (folder / "config.json").write_text(json.dumps({"model_name": "da3-small", "config": description}))
    save_file({"x": torch.zeros(1)}, folder / WEIGHTS)
    with pytest.raises(ConfigurationError, match="missing: .*extra: x"):
        load(folder)
    assert "the name decides" in caplog.text


# ------------------------------------------------------------------------------------------------------------ precision

# Share of the largest number; measured: 5e-3 and 7e-3, 6e-4 and 1.1e-3.
PRECISION = {"bfloat16": {"depth": 0.01, "rays": 0.02}, "float16": {"depth": 0.002, "rays": 0.004}}


@pytest.fixture(scope="module")
def golden_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    case = GOLDEN / "case_anyview_a"
    if not case.is_dir():
        pytest.skip("the golden tensors (a folder 'shared' beside the checkout) are not here")
    network = build_network(golden_config(case.name))
    network.load_state_dict(load_file(case / "state_dict.safetensors"))
    folder = tmp_path_factory.mktemp("golden")
    save_network(network, folder, model_name="golden")
    return folder


def golden_look(folder: Path, dtype: str, device: str = "cpu") -> tuple[LoadedNetwork, dict[str, Any]]:
    """What the golden network says of its golden input in a precision."""
    golden = load_file(GOLDEN / "case_anyview_a" / "run_v3_first.safetensors")
    loaded = load_network(folder, device=device, dtype=dtype)  # type: ignore[arg-type]
    assert isinstance(loaded, LoadedNetwork)
    with torch.inference_mode(), repeating(loaded.device, loaded.dtype):
        output = loaded.network(golden["input.images"].to(device), reference_view="first", rays=True)
    found = {"depth": output.depth.cpu(), "rays": output.rays.cpu(), "golden": golden["out.depth"]}
    return loaded, found


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_stays_near_float32(golden_folder: Path, dtype: str) -> None:
    _, exact = golden_look(golden_folder, "float32")
    loaded, half = golden_look(golden_folder, dtype)
    for name, tolerance in PRECISION[dtype].items():
        assert half[name].dtype == torch.float32
        assert 0 < deviation(half[name], exact[name]) < tolerance
    assert str(loaded.dtype) == f"torch.{dtype}"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_only_projections_of_the_backbone_are_half(released: Path, dtype: Any) -> None:
    network = load(released, dtype=dtype).network
    half = {name for name, value in network.named_parameters() if value.dtype != torch.float32}
    blocks = TINY_ANY_VIEW.depth
    assert len(half) == blocks * 8  # weight and bias of qkv, proj, fc1, fc2
    assert all(name.startswith("backbone.pretrained.blocks.") and "norm" not in name for name in half)


def test_auto_is_float32_on_the_cpu_and_an_unknown_precision_is_refused(released: Path) -> None:
    assert load(released).dtype == torch.float32
    with pytest.raises(ConfigurationError, match="dtype: expected auto"):
        load(released, dtype="int8")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_same_input_gives_the_same_bits(released: Path, dtype: Any) -> None:
    network = load(released, dtype=dtype).network
    assert same(look(network), look(network))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("bfloat16", 0.01), ("float16", 0.003)])
def test_a_gpu_gives_what_the_reference_gives_twice_the_same(golden_folder: Path, dtype: str, tolerance: float) -> None:
    _, first = golden_look(golden_folder, dtype, "cuda")
    _, second = golden_look(golden_folder, dtype, "cuda")
    assert deviation(first["depth"], first["golden"]) < tolerance
    assert torch.equal(first["depth"], second["depth"])
