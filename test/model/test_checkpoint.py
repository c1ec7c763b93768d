"""Loading: names of two generations, shards, tied heads, every kind of broken folder, memory, and saving."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")
pytest.importorskip("transformers", reason="the extra [model] is not installed")

from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import Qwen2_5_VLForConditionalGeneration  # noqa: E402

from model_training.models.random_model import random_config  # noqa: E402
from n3d_ros.errors import BackendError, CancelledError, ConfigurationError, N3dError  # noqa: E402
from n3d_ros.model import placement as model_placement  # noqa: E402
from n3d_ros.model import weights  # noqa: E402
from n3d_ros.model.card import OwnCard  # noqa: E402
from n3d_ros.model.checkpoint import load_model, resolve_source, save_model  # noqa: E402
from n3d_ros.model.config import build_config  # noqa: E402
from n3d_ros.model.memory import RuntimeRoom  # noqa: E402
from n3d_ros.model.n3d_vlm import N3dVlm  # noqa: E402
from n3d_ros.weights import memory, sources, weight_files  # noqa: E402
from tiny_vlm import make_inputs, tiny_config, tiny_model  # noqa: E402

torch.set_num_threads(1)

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


def old_name(name: str) -> str:
    """The name before transformers 4.52."""
    return name.replace("model.visual.", "visual.").replace("model.language_model.", "model.")


def write(
    folder: Path, model: N3dVlm, *, rename: Callable[[str], str] = lambda name: name, shards: int = 1, **config: Any
) -> Path:
    """A checkpoint folder of a model; names and number of files as asked."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"position_code": "reference", **tiny_config(), **config}))
    state = {rename(name): tensor.clone() for name, tensor in model.state_dict().items()}
    if config.get("tie_word_embeddings"):
        del state["lm_head.weight"]
    if shards == 1:
        save_file(state, folder / WEIGHTS)
        return folder
    names = sorted(state)
    weight_map = {
        name: f"model-{index % shards + 1:05d}-of-{shards:05d}.safetensors" for index, name in enumerate(names)
    }
    for file in set(weight_map.values()):
        save_file({name: state[name] for name in names if weight_map[name] == file}, folder / file)
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    return folder


def logits_of(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(**make_inputs([(6, 8)], seed=3)).logits


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes the tensors of a single file."""
    state = load_file(folder / WEIGHTS)
    change(state)
    save_file(state, folder / WEIGHTS)


@pytest.fixture(scope="module")
def model() -> N3dVlm:
    return tiny_model(1)


@pytest.mark.parametrize("rename", [lambda name: name, old_name], ids=["new names", "old names"])
@pytest.mark.parametrize("shards", [1, 3])
def test_names_of_both_generations_and_shards_load_the_same(
    tmp_path: Path, model: N3dVlm, rename: Callable[[str], str], shards: int
) -> None:
    loaded = load_model(write(tmp_path, model, rename=rename, shards=shards), device="cpu")
    assert torch.equal(logits_of(loaded.model), logits_of(model))
    assert loaded.position_code == "reference" and loaded.folder == tmp_path
    assert len(loaded.card.files) == shards
    for file in loaded.card.files:
        assert file.sha256 == hashlib.sha256((tmp_path / file.name).read_bytes()).hexdigest()


def test_hashes_may_be_left_out(tmp_path: Path, model: N3dVlm) -> None:
    loaded = load_model(write(tmp_path, model), device="cpu", hashes=False)
    assert [file.sha256 for file in loaded.card.files] == [None]


@pytest.mark.parametrize("stored", [False, True])
def test_a_tied_head_loads_with_and_without_its_own_copy(tmp_path: Path, stored: bool) -> None:
    tied = tiny_model(2, tie_word_embeddings=True)
    folder = write(tmp_path, tied, tie_word_embeddings=True)
    if stored:
        rewrite(folder, lambda state: state.update({"lm_head.weight": tied.lm_head.weight.detach().clone()}))
    loaded = load_model(folder, device="cpu").model
    assert loaded.lm_head.weight is loaded.model.language_model.embed_tokens.weight
    assert torch.equal(logits_of(loaded), logits_of(tied))


def test_a_head_that_differs_from_the_embeddings_it_is_tied_to_is_refused(tmp_path: Path) -> None:
    tied = tiny_model(2, tie_word_embeddings=True)
    folder = write(tmp_path, tied, tie_word_embeddings=True)
    rewrite(folder, lambda state: state.update({"lm_head.weight": torch.zeros_like(tied.lm_head.weight)}))
    with pytest.raises(ConfigurationError, match="differs from .*tie_word_embeddings to false"):
        load_model(folder, device="cpu")


def test_stored_tables_of_frequencies_are_left_aside(tmp_path: Path, model: N3dVlm) -> None:
    folder = write(tmp_path, model)
    rewrite(folder, lambda state: state.update({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.zeros(6)}))
    assert torch.equal(logits_of(load_model(folder, device="cpu").model), logits_of(model))


@pytest.mark.parametrize(
    ("dtype", "expected"), [("auto", torch.float32), ("bfloat16", torch.bfloat16), ("float16", torch.float16)]
)
def test_weights_take_the_dtype_and_tables_stay_float32(
    tmp_path: Path, model: N3dVlm, dtype: Any, expected: Any
) -> None:
    folder = write(tmp_path, model)
    rewrite(folder, lambda state: state.update({name: tensor.bfloat16() for name, tensor in state.items()}))
    loaded = load_model(folder, device="cpu", dtype=dtype)
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {expected}
    assert not any(tensor.is_meta for tensor in [*loaded.model.parameters(), *loaded.model.buffers()])
    fresh = dict(model.named_buffers())
    for name, buffer in loaded.model.named_buffers():
        assert buffer.dtype == torch.float32 and torch.equal(buffer, fresh[name]), name
    assert (loaded.card.dtype, loaded.card.stored_dtype) == (str(expected).removeprefix("torch."), "bfloat16")
    assert logits_of(loaded.model).isfinite().all()


def test_every_tensor_that_does_not_fit_is_named_in_one_error(tmp_path: Path, model: N3dVlm) -> None:
    folder = write(tmp_path, model, rename=old_name)

    def spoil(state: dict[str, Any]) -> None:
        for name in ("visual.blocks.0.attn.qkv.bias", "model.norm.weight"):
            del state[name]
        state["visual.pcd_pe.mlp.weight"] = torch.zeros(3)
        state["model.layers.1.mlp.up_proj.weight"] = torch.zeros(5, 48)
        state["visual.merger.ln_q.weight"] = torch.zeros(56, dtype=torch.int8)
        state["model.language_model.layers.0.input_layernorm.weight"] = torch.ones(48)

    rewrite(folder, spoil)
    with pytest.raises(ConfigurationError) as caught:
        load_model(folder, device="cpu")
    for part in (
        "2 missing: model.language_model.norm.weight, model.visual.blocks.0.attn.qkv.bias",
        "1 extra: visual.pcd_pe.mlp.weight",
        "2 misshapen: ",
        "model.layers.1.mlp.up_proj.weight (5, 48) F32 (expected (64, 48)",
        "visual.merger.ln_q.weight (56,) I8",
        "1 stored twice: ",
    ):
        assert part in caught.value.message


def test_many_missing_tensors_are_counted_and_the_first_named(tmp_path: Path, model: N3dVlm) -> None:
    folder = write(tmp_path, model)
    rewrite(folder, lambda state: [state.pop(name) for name in list(state) if "language_model" in name])
    with pytest.raises(ConfigurationError, match=r"26 missing: .* and 14 more"):
        load_model(folder, device="cpu")


def test_a_missing_head_hints_at_tied_embeddings(tmp_path: Path, model: N3dVlm) -> None:
    folder = write(tmp_path, model)
    rewrite(folder, lambda state: state.pop("lm_head.weight"))
    with pytest.raises(ConfigurationError, match="1 missing: lm_head.weight.*set tie_word_embeddings to true"):
        load_model(folder, device="cpu")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def spoil_header(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[20:30] = b"\xff" * 10
    file.write_bytes(data)


def spoil_offsets(file: Path) -> None:
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    first = next(name for name in header if name != "__metadata__")
    header[first]["data_offsets"] = [0, 10**15]
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (cut, "cut short: .* bytes, the header promises"),
        (lambda file: file.write_bytes(file.read_bytes() + b"x"), "too long"),
        (lambda file: file.write_bytes(b""), "not a whole safetensors file: 0 bytes"),
        (lambda file: file.write_bytes(b"\xff" * 1000), "not a whole safetensors file"),
        (lambda file: file.write_bytes(b"<html><body>Not found</body></html>"), "not a whole safetensors file"),
        (lambda file: file.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0"), "git lfs pull"),
        (lambda file: file.write_bytes(struct.pack("<Q", 9) + b"[1, 2, 3]"), "damaged"),
        (lambda file: file.write_bytes(struct.pack("<Q", 7) + b'{"a":1}'), "damaged"),
        (spoil_header, "header is damaged"),
        (spoil_offsets, "header is damaged"),
        (lambda file: file.unlink(), "2 files that .* names are not there: model-00002-of-00002"),
    ],
)  # fmt: skip
def test_a_damaged_shard_is_named(tmp_path: Path, model: N3dVlm, spoil: Callable[[Path], None], sentence: str) -> None:
    folder = write(tmp_path, model, shards=2)
    spoil(folder / "model-00002-of-00002.safetensors")
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        load_model(folder, device="cpu")
    assert "model-00002-of-00002.safetensors" in caught.value.message


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("../elsewhere.safetensors", "plain name of a file in the same folder"),
        ("/etc/passwd", "plain name"),
        ("sub/model.safetensors", "plain name"),
        ("..\\x.safetensors", "plain name"),
        ("..", "only .safetensors"),
        ("model.bin", "only .safetensors files are read"),
        (7, "plain name"),
        ("model-00009-of-00002.safetensors", "not there: model-00009-of-00002"),
    ],
)
def test_an_index_that_names_files_it_must_not_is_refused(
    tmp_path: Path, model: N3dVlm, target: Any, sentence: str
) -> None:
    folder = write(tmp_path, model, shards=2)
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"]["lm_head.weight"] = target
    (folder / INDEX).write_text(json.dumps(index))
    with pytest.raises(ConfigurationError, match=sentence):
        load_model(folder, device="cpu")


def test_an_index_that_promises_tensors_its_files_lack_is_refused(tmp_path: Path, model: N3dVlm) -> None:
    folder = write(tmp_path, model, shards=2)
    index = json.loads((folder / INDEX).read_text())
    files = sorted(set(index["weight_map"].values()))
    index["weight_map"] = {name: files[1 - files.index(file)] for name, file in index["weight_map"].items()}
    (folder / INDEX).write_text(json.dumps(index))
    with pytest.raises(
        ConfigurationError, match="promises .* tensors that are not in their files: .* do not belong together"
    ):
        load_model(folder, device="cpu")


@pytest.mark.parametrize("index", [{}, {"weight_map": {}}, {"weight_map": [1]}])
def test_an_index_without_a_map_is_refused(tmp_path: Path, model: N3dVlm, index: Any) -> None:
    folder = write(tmp_path, model, shards=2)
    (folder / INDEX).write_text(json.dumps(index))
    with pytest.raises(ConfigurationError, match="expected an object 'weight_map'"):
        load_model(folder, device="cpu")


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["pytorch_model.bin"], "only safetensors are read, found pytorch_model.bin.*can run code"),
        (["model.pt", "other.pth"], "only safetensors are read"),
        (["adapter_model.safetensors"], "found adapter_model.safetensors.*merge an adapter"),
        ([], "no weights: expected model.safetensors"),
    ],
)
def test_a_folder_without_readable_weights_says_what_it_holds(tmp_path: Path, names: list[str], sentence: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(tiny_config()))
    for name in names:
        (tmp_path / name).write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(ConfigurationError, match=sentence):
        load_model(tmp_path, device="cpu")


def test_a_file_that_shrinks_while_it_is_read_is_told(
    tmp_path: Path, model: N3dVlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path, model)
    whole = weight_files.read_header(folder / WEIGHTS)
    cut(folder / WEIGHTS)
    monkeypatch.setattr(weight_files, "read_header", lambda _path: whole)
    with pytest.raises(ConfigurationError, match="became shorter while it was read"):
        load_model(folder, device="cpu")


def test_a_file_of_the_hubs_cache_is_compared_with_its_published_hash(tmp_path: Path, model: N3dVlm) -> None:
    folder = write(tmp_path / "snapshot", model)
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    good = blobs / hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    shutil.move(folder / WEIGHTS, good)
    (folder / WEIGHTS).symlink_to(good)
    assert load_model(folder, device="cpu").card.files[0].sha256 == good.name
    bad = good.rename(blobs / ("0" * 64))
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).symlink_to(bad)
    with pytest.raises(ConfigurationError, match="damaged: its sha256 is .* published as 0000"):
        load_model(folder, device="cpu")


def test_progress_rises_from_nothing_to_all(tmp_path: Path, model: N3dVlm) -> None:
    told: list[tuple[str, float]] = []
    load_model(
        write(tmp_path, model, shards=3), device="cpu", on_progress=lambda text, share: told.append((text, share))
    )
    shares = [share for _, share in told]
    assert shares == sorted(shares) and shares[0] == 0.0 and shares[-1] == 1.0
    assert any("Reading weights" in text for text, _ in told) and len(told) < 110


def test_what_progress_raises_ends_the_loading(tmp_path: Path, model: N3dVlm) -> None:
    class StopError(Exception):
        pass

    def stop(_text: str, share: float) -> None:
        if share > 0.3:
            raise StopError

    with pytest.raises(StopError):
        load_model(write(tmp_path, model), device="cpu", on_progress=stop)


def test_memory_is_stated_and_a_model_that_does_not_fit_is_refused_with_figures(
    tmp_path: Path, model: N3dVlm, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write(tmp_path, model)
    with caplog.at_level(logging.INFO):
        load_model(folder, device="cpu")
    assert any(
        "parameters, 1.1 MB of weights;" in record.message and "free on the host" in record.message
        for record in caplog.records
    )
    with pytest.raises(
        ConfigurationError, match=r"does not fit: it needs .* \(1.1 MB of weights, and headroom\), 50.0 MB are free"
    ) as caught:
        load_model(folder, device="cpu", memory_limit_bytes=50_000_000)
    assert caught.value.reason == "out_of_memory"


def test_the_cpu_keeps_the_stored_dtype_where_float32_does_not_fit(
    tmp_path: Path, model: N3dVlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path, model)
    rewrite(folder, lambda state: state.update({name: tensor.bfloat16() for name, tensor in state.items()}))
    monkeypatch.setattr(memory, "HEADROOM_BYTES", 0)
    loaded = load_model(folder, device="cpu", memory_limit_bytes=600_000)
    assert loaded.card.dtype == "bfloat16"
    monkeypatch.setattr(memory, "host_available_bytes", lambda: 600_000)
    assert load_model(folder, device="cpu").card.dtype == "bfloat16"


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "cuda:x", "", "cuda:-1"])
def test_a_device_that_is_not_there_is_refused(tmp_path: Path, model: N3dVlm, device: str) -> None:
    with pytest.raises(ConfigurationError, match="^device: "):
        load_model(write(tmp_path, model), device=device)


def test_an_unknown_dtype_is_refused(tmp_path: Path, model: N3dVlm) -> None:
    with pytest.raises(ConfigurationError, match="dtype: expected auto, bfloat16, float16, float32, got 'int8'"):
        load_model(write(tmp_path, model), device="cpu", dtype="int8")  # type: ignore[arg-type]


def test_weights_that_float16_cannot_hold_are_refused(tmp_path: Path, model: N3dVlm) -> None:
    folder = write(tmp_path, model)
    rewrite(folder, lambda state: state["lm_head.weight"].fill_(1e6))
    with pytest.raises(ConfigurationError, match="lm_head.weight holds numbers beyond 65504.*bfloat16"):
        load_model(folder, device="cpu", dtype="float16")


def test_a_mode_that_is_assumed_is_warned_about(
    tmp_path: Path, model: N3dVlm, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write(tmp_path, model)
    config = json.loads((folder / "config.json").read_text())
    del config["position_code"]
    (folder / "config.json").write_text(json.dumps(config))
    with caplog.at_level(logging.WARNING):
        assert load_model(folder, device="cpu").position_code == "reference"
    assert "assumed, since config.json has no 'position_code'" in caplog.text
    caplog.clear()
    loaded = load_model(folder, device="cpu", position_code="none")
    assert loaded.model.position_code == "none" and loaded.config.position_code == "none" and not caplog.records


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("/nowhere/at/all", "there is no folder /nowhere/at/all"),
        ("./relative/folder", "there is no folder"),
        ("~/no-such-folder-here", "there is no folder"),
        ("justaname", "there is no folder justaname"),
        ("a/b/c", "there is no folder"),
        ("owner/na me", "there is no folder"),
        ("../x", "there is no folder"),
    ],
)
def test_what_is_no_folder_and_no_hub_id_never_meets_the_network(
    source: str, sentence: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")  # nothing beside it but what this test put there
    monkeypatch.setattr(sources, "_download", lambda name: pytest.fail(f"downloads {name}"))
    with pytest.raises(ConfigurationError, match=sentence):
        resolve_source(source)


def test_a_file_instead_of_its_folder_is_refused(tmp_path: Path, model: N3dVlm) -> None:
    with pytest.raises(ConfigurationError, match="got the file .*model.safetensors; name its folder"):
        resolve_source(write(tmp_path, model) / WEIGHTS)


def test_a_hub_id_is_taken_from_the_cache_first_and_else_downloaded(
    tmp_path: Path, model: N3dVlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    asked: list[dict[str, Any]] = []
    cached: list[Path] = []

    def snapshot(name: str, **options: Any) -> str:
        asked.append({"name": name, **options})
        if options.get("local_files_only") and not cached:
            raise LocalEntryNotFoundError("not in the cache")
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    write(tmp_path, model)
    assert resolve_source("owner/name") == tmp_path
    assert [bool(each.get("local_files_only")) for each in asked] == [True, False]
    assert not any(pattern.endswith((".bin", ".pt", ".py")) for pattern in asked[-1]["allow_patterns"])
    cached.append(tmp_path)
    asked.clear()
    assert resolve_source("owner/name") == tmp_path
    assert len(asked) == 1
    (tmp_path / WEIGHTS).unlink()  # a download that was broken off: completed
    resolve_source("owner/name")
    assert len(asked) == 3


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_download_tells_how_far_it_is_and_stops_when_the_listener_raises(
    tmp_path: Path, model: N3dVlm, monkeypatch: pytest.MonkeyPatch, wrapped: bool
) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    updates: list[int] = []

    def snapshot(name: str, **options: Any) -> str:
        if options.get("local_files_only"):
            raise LocalEntryNotFoundError("not in the cache")
        with options["tqdm_class"](total=0, unit="B", unit_scale=True, desc="bytes") as bar:
            bar.total = 16_000_000_000
            for step in range(1000):
                updates.append(step)
                try:
                    bar.update(16_000_000)
                except CancelledError as error:
                    if wrapped:
                        raise OSError("the transfer broke") from error
                    raise
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    write(tmp_path, model)
    told: list[tuple[str, float]] = []
    resolve_source("owner/name", on_progress=lambda sentence, share: told.append((sentence, share)))
    assert told[0] == ("Downloading owner/name", 0.0)
    assert told[-1][0].startswith("Downloading owner/name (15.9")
    assert told[-1][1] == pytest.approx(1, abs=0.01)
    assert 90 < len(told) < 110
    told.clear()
    load_model("owner/name", device="cpu", on_progress=lambda sentence, share: told.append((sentence, share)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0

    def stop(_sentence: str, share: float) -> None:
        if share > 0.3:
            raise CancelledError("enough")

    updates.clear()
    with pytest.raises(CancelledError, match="enough"):
        resolve_source("owner/name", on_progress=stop)
    assert len(updates) < 400


def test_configuration_and_tokenizer_come_without_the_weights(
    tmp_path: Path, model: N3dVlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda _name, **options: [asked.append(options), str(tmp_path)][1]
    )
    write(tmp_path, model)
    resolve_source("owner/name", weights=False)
    assert [bool(each.get("local_files_only")) for each in asked] == [True, False]  # no tokenizer was there yet
    assert not any("safetensors" in pattern for each in asked for pattern in each["allow_patterns"])
    (tmp_path / "tokenizer.json").write_text("{}")
    resolve_source("owner/name", weights=False)
    assert len(asked) == 3


README = "---\nlicense: apache-2.0\n{front}---\n\n# {title}\n\nSee N2D.\n"


@pytest.mark.parametrize(
    ("title", "front", "code"),
    [
        ("Qwen2.5-VL-7B-Instruct", "", "none"),
        ("Qwen2.5-VL-7B-Instruct", "base_model:\n- Qwen/Qwen2.5-VL-7B-Instruct\n", "reference"),
        ("My model", "", "reference"),
        ("N3D-VLM, from Qwen2.5-VL-7B-Instruct", "", "reference"),
    ],
)
def test_only_a_readme_of_a_stock_model_makes_a_folder_one(
    tmp_path: Path, model: N3dVlm, title: str, front: str, code: str
) -> None:
    folder = write(tmp_path, model, position_code=None)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"_name_or_path": "Qwen/Qwen2.5-VL-7B-Instruct"}))
    (folder / "README.md").write_text(README.format(title=title, front=front))
    loaded = load_model(folder, device="cpu")
    assert loaded.position_code == code
    line = next(line for line in loaded.card.lines() if line.startswith("3-D code"))
    assert ("README" in line) == (code == "none")
    assert ('set language_model.position_code to "none"' in line) == (code == "reference")


def test_every_tensor_that_does_not_fit_is_named_in_the_log(
    tmp_path: Path, model: N3dVlm, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write(tmp_path, model)
    state = dict(load_file(folder / WEIGHTS))
    lost = [name for name in state if ".mlp." in name]
    save_file({name: tensor for name, tensor in state.items() if name not in lost}, folder / WEIGHTS)
    with pytest.raises(ConfigurationError, match="more.*the log names all") as caught:
        load_model(folder, device="cpu")
    assert len(lost) > 12
    assert len(caught.value.message) < 2500
    logged = " ".join(record.message for record in caplog.records if record.levelno == logging.ERROR)
    assert all(name.split(".", 1)[-1] in logged for name in lost)


def test_caches_and_computing_are_counted_before_anything_is_loaded(
    tmp_path: Path, model: N3dVlm, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write(tmp_path, model)
    room = RuntimeRoom(caches=3, capacity=2048, long_side=640)
    with caplog.at_level(logging.INFO):
        load_model(folder, device="cpu", room=room)
    assert any("of caches, about" in record.message and "for computing" in record.message for record in caplog.records)
    text = model.config.text_config
    width = text.num_key_value_heads * (text.hidden_size // text.num_attention_heads)
    assert room.cache_bytes(model.config, 4) == 3 * 2 * text.num_hidden_layers * 2048 * width * 4
    plan = model_placement.memory_plan(model, torch.float32, torch.device("cpu"), None, room)
    without = plan.weight_bytes + memory.HEADROOM_BYTES + plan.cache_bytes // 2
    with pytest.raises(ConfigurationError, match=r"of weights, .* of caches, about .*kept_images") as caught:
        load_model(folder, device="cpu", room=room, memory_limit_bytes=without)
    assert caught.value.reason == "out_of_memory"
    load_model(folder, device="cpu", memory_limit_bytes=without)


def test_the_room_for_known_shapes_is_that_of_the_documentation() -> None:
    shape = build_config(random_config("7b"))
    room = RuntimeRoom(caches=1, capacity=2048, long_side=640)
    assert room.cache_bytes(shape, 2) == pytest.approx(117e6, rel=0.01)
    assert 0.3e9 < room.working_bytes(shape) < 1e9


def test_a_folder_of_the_hubs_cache_is_known_by_its_repository(tmp_path: Path, model: N3dVlm) -> None:
    stock = write(tmp_path / "models--Qwen--Qwen2.5-VL-3B-Instruct" / "snapshots" / "0123", model, position_code=None)
    loaded = load_model(stock, device="cpu")
    assert loaded.position_code == "none"
    assert loaded.card.position_code_reason == "Qwen/Qwen2.5-VL-3B-Instruct is a stock model"


def test_a_hub_that_cannot_be_reached_says_both_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def snapshot(name: str, **options: Any) -> str:
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    with pytest.raises(ConfigurationError, match="no folder 'owner/name' here.*no connection.*download it elsewhere"):
        resolve_source("owner/name")


@pytest.mark.parametrize("mode", ["aligned", "reference", "none"])
@pytest.mark.parametrize("tied", [False, True])
def test_a_saved_model_comes_back_the_same(tmp_path: Path, mode: Any, tied: bool) -> None:
    model = tiny_model(5, tie_word_embeddings=tied)
    model.set_position_code(mode)
    save_model(
        model, tmp_path / "new", shard_bytes=100_000, card=OwnCard(name="small", licence="Apache-2.0", notes="random")
    )
    loaded = load_model(tmp_path / "new", device="cpu")
    assert loaded.position_code == mode
    assert torch.equal(logits_of(loaded.model), logits_of(model))
    assert (loaded.card.name, loaded.card.licence, loaded.card.notes) == ("small", "Apache-2.0", "random")
    assert len(loaded.card.files) > 3
    save_model(loaded.model, tmp_path / "new")  # over the former one: its shards and index are gone
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["config.json", WEIGHTS, "n3d_model_card.json"]
    assert torch.equal(logits_of(load_model(tmp_path / "new", device="cpu").model), logits_of(model))


def test_what_we_save_loads_into_the_stock_class(tmp_path: Path) -> None:
    model = tiny_model(5)
    model.set_position_code("none")
    save_model(model, tmp_path)
    stock = Qwen2_5_VLForConditionalGeneration.from_pretrained(tmp_path).eval()
    inputs = make_inputs([(6, 8)], seed=3)
    del inputs["point_clouds"]
    kinds = (inputs["input_ids"] == stock.config.image_token_id).int()
    with torch.no_grad():
        assert torch.equal(stock(**inputs, mm_token_type_ids=kinds).logits, logits_of(model))


def test_a_model_whose_weights_share_memory_is_saved_whole(tmp_path: Path) -> None:
    model = tiny_model(5)
    attention = model.model.language_model.layers[0].self_attn
    joined = torch.cat([attention.q_proj.weight.detach(), attention.k_proj.weight.detach()])
    attention.q_proj.weight = torch.nn.Parameter(joined[: len(attention.q_proj.weight)])
    attention.k_proj.weight = torch.nn.Parameter(joined[len(attention.q_proj.weight) :])
    save_model(model, tmp_path)
    assert torch.equal(logits_of(load_model(tmp_path, device="cpu").model), logits_of(model))


def test_the_golden_checkpoint_loads_as_it_is(shared_data: Path) -> None:
    folder = shared_data / "golden/n3d/case_a"
    golden = load_file(folder / "portrait.safetensors")
    loaded = load_model(folder, device="cpu", position_code="reference")
    with torch.no_grad():
        logits = loaded.model(
            input_ids=golden["input_ids"], attention_mask=golden["attention_mask"], point_clouds=golden["point_clouds"],
            pixel_values=golden["pixel_values"].float(), image_grid_thw=golden["image_grid_thw"],
        ).logits  # fmt: skip
    assert (logits - golden["logits"]).abs().max() < 1e-3


PEAK = """
import sys, resource, torch
torch.set_num_threads(1)
from n3d_ros.model.checkpoint import load_model
import n3d_ros.model.n3d_vlm
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
loaded = load_model(sys.argv[1], device="cpu", dtype=sys.argv[2])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(before * 1024, peak * 1024, loaded.card.weight_bytes)
"""


def test_loading_takes_little_more_memory_than_the_weights(tmp_path: Path, repository: Path) -> None:
    config = tiny_config(text={"vocab_size": 500_000})
    with torch.device("meta"):
        shapes = N3dVlm(build_config(config)).state_dict()
    save_file({name: torch.zeros(tensor.shape) for name, tensor in shapes.items()}, tmp_path / WEIGHTS)
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path), "float32"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    before, peak, size = map(int, done.stdout.split())
    assert size > 190_000_000
    assert peak - before < 1.1 * size + 64_000_000  # the two reading buffers weigh more here than in a real model


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["auto", "float16"])
def test_a_gpu_gets_the_weights_and_no_more(tmp_path: Path, dtype: Any) -> None:
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    config = tiny_config(text={"vocab_size": 2_000_000})
    with torch.device("meta"):
        shapes = N3dVlm(build_config(config)).state_dict()
    state = {name: torch.randn(tensor.shape).mul(0.05).bfloat16() for name, tensor in shapes.items()}
    save_file(state, tmp_path / WEIGHTS)
    (tmp_path / "config.json").write_text(json.dumps(config))
    torch.cuda.reset_peak_memory_stats()
    held = torch.cuda.memory_allocated()
    loaded = load_model(tmp_path, device="cuda", dtype=dtype)
    assert torch.cuda.max_memory_allocated() - held < 1.1 * loaded.card.weight_bytes + 64_000_000
    assert loaded.card.dtype == ("bfloat16" if dtype == "auto" else dtype)
    for name, parameter in loaded.model.named_parameters():
        assert torch.equal(parameter.cpu(), state[name].to(parameter.dtype)), name
    assert all(buffer.is_cuda for buffer in loaded.model.buffers())
    inputs = {key: value.cuda() if torch.is_tensor(value) else value for key, value in make_inputs([(6, 8)]).items()}
    with torch.no_grad():
        assert loaded.model(**inputs).logits.isfinite().all()


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory. Tried to"), RuntimeError("can't allocate memory: you"), MemoryError()],
)
def test_memory_that_runs_out_midway_is_told(
    tmp_path: Path, model: N3dVlm, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> Any:
        raise error

    folder = write(tmp_path, model)
    monkeypatch.setattr(weights, "materialise", fail)
    with pytest.raises(BackendError, match="the host: out of memory while the weights were loaded") as caught:
        load_model(folder, device="cpu")
    assert caught.value.reason == "out_of_memory"


def test_all_errors_of_loading_are_typed(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(tiny_config(text={"vocab_size": 2**62})))
    (tmp_path / WEIGHTS).write_bytes(struct.pack("<Q", 2) + b"{}")
    with pytest.raises(N3dError):
        load_model(tmp_path, device="cpu")


def test_headers_with_changed_bytes_are_read_or_refused_with_a_sentence(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    save_file({"a": torch.ones(3, 4), "b": torch.zeros(2, dtype=torch.bfloat16)}, tmp_path / WEIGHTS)
    original = (tmp_path / WEIGHTS).read_bytes()
    refused = 0
    for _ in range(400):
        data = bytearray(original)
        for _ in range(int(torch.randint(1, 4, (1,), generator=generator))):
            place = int(torch.randint(0, len(data) - 52, (1,), generator=generator))
            data[place] = int(torch.randint(0, 256, (1,), generator=generator))
        (tmp_path / WEIGHTS).write_bytes(data)
        try:
            weight_files.read_header(tmp_path / WEIGHTS)
        except ConfigurationError as error:
            refused += WEIGHTS in error.message
    assert refused > 200
