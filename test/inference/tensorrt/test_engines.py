"""From graphs to an engine that has passed its self-test, with a stand-in that can be told to compute wrongly."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

for name in ("torch", "transformers", "onnxscript", "onnxruntime"):
    pytest.importorskip(name, reason="the extra [model] is not installed")

from n3d_ros.cli.main import main  # noqa: E402
from n3d_ros.errors import BackendError, CancelledError, ConfigurationError  # noqa: E402
from n3d_ros.inference.language_model.config import LanguageModelConfig  # noqa: E402
from n3d_ros.inference.language_model.loading import load_runtime  # noqa: E402
from n3d_ros.inference.tensorrt.engines import (  # noqa: E402
    build_engine,
    measure_engine,
)
from n3d_ros.inference.tensorrt.store import ENGINE_FILE, EngineStore  # noqa: E402
from n3d_ros.inference.tensorrt.targets import EngineOptions, find_target  # noqa: E402

pytestmark = pytest.mark.timeout(300)

OPTIONS = EngineOptions(capacity=600)


def loaded(target: Any, store: EngineStore) -> tuple[Any, Any]:
    """The runtime of the engine that the cache has, and what is known of it."""
    entry = store.checked(target.key())
    return target.runtime(entry.folder, cuda_graphs=True), entry.record


Put = Callable[..., Any]


def test_an_engine_is_built_tested_kept_and_loaded(nano_graphs: Path, tmp_path: Path, with_standin: Put) -> None:
    with_standin()
    store, target = EngineStore(tmp_path), find_target(nano_graphs, EngineOptions(capacity=1600))
    with pytest.raises(BackendError, match="No engine is built of these graphs for this machine") as absent:
        loaded(target, store)
    assert absent.value.reason == "engine"
    told: list[float] = []
    entry = build_engine(target, store, lambda _text, share: told.append(share))
    assert told == sorted(told) and told[-1] == 1.0 and len(told) > 20
    assert entry.record is not None and entry.record.form == "fused" and not entry.record.notes
    assert set(entry.record.files) == {"vision.plan", "decoder.plan"}
    assert entry.record.self_test["text1472_steps_same_choice"] == 1.0
    assert entry.record.self_test["box_mm"] < 0.1
    assert [path.name for path in store.folder.iterdir() if path.is_dir()] == [entry.folder.name]  # nothing is left
    backend, record = loaded(target, store)
    assert (backend.name, backend.capacity, record) == ("tensorrt", 1600, entry.record)
    backend.close()
    assert measure_engine(target, store)["vision_cosine"] == pytest.approx(1.0)


def test_what_is_there_is_not_built_again_unless_it_is_asked_for_or_damaged(
    nano_graphs: Path, tmp_path: Path, with_standin: Put
) -> None:
    with_standin()
    store, target = EngineStore(tmp_path), find_target(nano_graphs, OPTIONS)
    first = build_engine(target, store)
    assert first.record is not None
    assert build_engine(target, store).record == first.record
    anew = build_engine(target, store, again=True)
    assert anew.record is not None and anew.record.built > first.record.built
    plan = anew.folder / "decoder.plan"
    plan.write_bytes(plan.read_bytes()[:-1] + b"?")
    with pytest.raises(BackendError, match=r"decoder\.plan is not the file that was tested"):
        loaded(target, store)
    build_engine(target, store)
    loaded(target, store)[0].close()


def test_fused_attention_that_computes_wrongly_is_built_again_in_the_safe_form(
    half_graphs: Path, tmp_path: Path, with_standin: Put, caplog: pytest.LogCaptureFixture
) -> None:
    with_standin("11.2.0.10", "wrong_fused")
    store, target = EngineStore(tmp_path), find_target(half_graphs, OPTIONS)
    entry = build_engine(target, store)
    assert entry.record is not None and entry.record.form == "safe"
    assert "4826" in entry.record.notes[0] and "TensorRT 11.0 to 11.4.0" in entry.record.notes[1]
    assert "the fused form computes something else than the network: vision_cosine" in entry.record.notes[2]
    assert "fused form" in caplog.text
    loaded(target, store)[0].close()


@pytest.mark.parametrize("graphs", ["nano_graphs", "half_graphs"])
def test_an_engine_that_computes_wrongly_in_every_form_is_refused(
    graphs: str, request: pytest.FixtureRequest, tmp_path: Path, with_standin: Put
) -> None:
    with_standin(mode="wrong")
    store, target = EngineStore(tmp_path), find_target(request.getfixturevalue(graphs), OPTIONS)
    with pytest.raises(BackendError, match="something else than .* on this machine, so no engine is kept"):
        build_engine(target, store)
    assert store.entries() == []


def test_an_engine_of_another_machine_is_not_loaded(nano_graphs: Path, tmp_path: Path, with_standin: Put) -> None:
    with_standin()
    store = EngineStore(tmp_path)
    build_engine(find_target(nano_graphs, OPTIONS), store)
    for facts, expected in (
        ({"version": "10.7.0.23"}, r"tensorrt 10\.3\.0\.26, here 10\.7\.0\.23"),
        ({"driver": "575.1"}, r"driver 540\.4\.0, here 575\.1"),
        ({"multiprocessors": 14}, "multiprocessors 16, here 14"),
        ({"jetpack": "R36.5"}, r"jetpack R36\.4\.3, here R36\.5"),
    ):
        with_standin(**facts)
        with pytest.raises(BackendError, match=f"There is one for something else: .*{expected}"):
            loaded(find_target(nano_graphs, OPTIONS), store)


def test_other_sizes_and_other_weights_are_other_engines(
    nano_graphs: Path, half_graphs: Path, tmp_path: Path, with_standin: Put
) -> None:
    with_standin()
    store = EngineStore(tmp_path)
    target = find_target(nano_graphs, OPTIONS)
    build_engine(target, store)
    for options in (EngineOptions(capacity=700), EngineOptions(capacity=600, long_side=448)):
        with pytest.raises(BackendError, match="for something else: .*profiles"):
            loaded(find_target(nano_graphs, options), store)
    larger = build_engine(find_target(nano_graphs, EngineOptions(capacity=600, long_side=448)), store)
    assert larger.record is not None and larger.record.self_test["vision_cosine"] > 0.9999
    smaller = find_target(nano_graphs, EngineOptions(capacity=600, long_side=112))
    assert smaller.key().digest == target.key().digest  # smaller images fit the same engine
    with pytest.raises(BackendError, match=r"run `n3d engine build FOLDER` once \(minutes\)\.$"):
        loaded(find_target(half_graphs, OPTIONS), store)
    changed = json.loads((nano_graphs / "n3d_graphs.json").read_text())
    changed["files"]["decoder.data"] = "0" * 64
    copy = tmp_path / "other"
    shutil.copytree(nano_graphs, copy)
    (copy / "n3d_graphs.json").write_text(json.dumps(changed))
    assert find_target(copy, OPTIONS).key().digest != target.key().digest


def test_a_build_that_is_stopped_or_crashes_leaves_nothing(
    nano_graphs: Path, tmp_path: Path, with_standin: Put
) -> None:
    with_standin()
    store, target = EngineStore(tmp_path), find_target(nano_graphs, OPTIONS)

    def stop(_text: str, share: float) -> None:
        if share > 0.3:
            raise CancelledError("enough")

    with pytest.raises(CancelledError):
        build_engine(target, store, stop)
    with_standin(mode="crash")
    with pytest.raises(BackendError, match="ended by SIGSEGV"):
        build_engine(target, store)
    assert not [path for path in store.folder.iterdir() if path.is_dir()]


def test_damaged_graphs_and_graphs_without_goldens_are_refused_before_minutes_pass(
    nano_graphs: Path, tmp_path: Path, with_standin: Put
) -> None:
    with_standin(mode="crash")
    copy = tmp_path / "graphs"
    shutil.copytree(nano_graphs, copy)
    (copy / "vision.data").write_bytes(b"0")
    store = EngineStore(tmp_path / "cache")
    with pytest.raises(ConfigurationError, match=r"vision\.data: expected sha256"):
        build_engine(find_target(copy, OPTIONS), store)
    about = json.loads((nano_graphs / "n3d_graphs.json").read_text())
    del about["files"]["goldens.safetensors"]
    (copy / "n3d_graphs.json").write_text(json.dumps(about))
    with pytest.raises(ConfigurationError, match=r"expected goldens\.safetensors.*export the model again"):
        build_engine(find_target(copy, OPTIONS), store)


def test_no_room_is_told_before_it_is_built(
    nano_graphs: Path, tmp_path: Path, with_standin: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_standin(mode="crash")
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: full)
    with pytest.raises(ConfigurationError, match="GB free for an engine, got 0.0 GB"):
        build_engine(find_target(nano_graphs, OPTIONS), EngineStore(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"capacity": 100}, "Capacity: expected 512 to 32768 tokens, got 100"),
        ({"workspace_gb": float("nan")}, "Workspace: expected 0 to 1024 GB, got nan"),
        ({"level": 6}, "Level: expected 0 to 5, got 6"),
    ],
)
def test_options_outside_their_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        EngineOptions(**options)


# ------------------------------------------------------------------------------------------- behind the settings


def config_of(folder: Path, cache: Path, **more: Any) -> LanguageModelConfig:
    return LanguageModelConfig(model=str(folder), engine_cache=str(cache), capacity=600, max_new_tokens=256, **more)


def test_the_settings_load_an_engine_and_build_it_only_where_that_is_wanted(
    nano_graphs: Path, tmp_path: Path, with_standin: Put
) -> None:
    with_standin()
    with pytest.raises(BackendError, match="No engine is built"):
        load_runtime(config_of(nano_graphs, tmp_path, backend="tensorrt"))
    assert not (tmp_path / "engines").exists()
    told: list[float] = []
    wanted = config_of(nano_graphs, tmp_path, backend="tensorrt", build_engine=True)
    runtime = load_runtime(wanted, lambda _text, share: told.append(share))
    assert told == sorted(told) and len(told) > 20
    assert runtime.backend.name == "tensorrt"
    assert any("fused attention, Orin (8.7, 16 SM), TensorRT 10.3.0.26" in fact for fact in runtime.facts)
    runtime.backend.close()
    (entry,) = EngineStore(tmp_path).entries()
    built = (entry.folder / ENGINE_FILE).read_text()
    load_runtime(wanted).backend.close()
    assert (entry.folder / ENGINE_FILE).read_text() == built


def test_with_auto_the_engine_is_taken_and_else_the_next_runtime_with_the_reason(
    nano_graphs: Path, tmp_path: Path, with_standin: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU is pretended where the ladder asks for one; what it then loads finds none, but for the stand-in."""
    import torch

    from n3d_ros.inference.language_model import ladder

    monkeypatch.setattr("n3d_ros.weights.placement.choose_device", lambda _device: torch.device("cuda", 0))
    monkeypatch.setattr("n3d_ros.inference.tensorrt.targets.choose_device", lambda _device: torch.device("cpu"))
    with_standin()
    config = config_of(nano_graphs, tmp_path)
    names = [rung.name for rung in ladder.ladder(config)]
    assert names == ["TensorRT", "PyTorch on the GPU", "ONNX Runtime", "PyTorch on the CPU"]

    def no_cuda(_config: Any, _progress: Any, **_more: Any) -> Any:
        raise BackendError("the weights failed on cuda:0: no kernel image")

    monkeypatch.setattr(ladder, "load_torch", no_cuda)
    fallen = load_runtime(config)
    assert fallen.backend.name == "onnx"
    assert any("not TensorRT: No engine is built" in fact for fact in fallen.facts)
    assert any("not PyTorch on the GPU: the weights failed on cuda:0" in fact for fact in fallen.facts)
    fallen.backend.close()
    build_engine(find_target(nano_graphs, OPTIONS), EngineStore(tmp_path))
    taken = load_runtime(config)
    assert taken.backend.name == "tensorrt" and not any("not " in fact for fact in taken.facts[-2:])
    taken.backend.close()


def test_every_bucket_of_an_engine_is_tested(nano_graphs: Path, tmp_path: Path, with_standin: Put) -> None:
    with_standin()
    entry = build_engine(find_target(nano_graphs, EngineOptions(capacity=1100)), EngineStore(tmp_path))
    assert entry.record is not None
    assert entry.record.self_test["rows1100_steps_same_choice"] == 1.0
    assert not any(name.startswith("text1472") for name in entry.record.self_test)


def test_the_command_says_when_an_engine_was_there_already(
    nano_graphs: Path, tmp_path: Path, with_standin: Put, capsys: pytest.CaptureFixture[str]
) -> None:
    with_standin()
    command = ["engine", "build", str(nano_graphs), "--capacity", "600", "--cache", str(tmp_path)]
    told = []
    for _ in range(2):
        assert main(command) == 0
        told.append(capsys.readouterr().out)
    assert "there already" not in told[0] and "Orin (8.7, 16 SM), TensorRT 10.3.0.26" in told[0]
    assert "it was there already; --again builds it anew" in told[1]
