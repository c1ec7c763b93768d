"""Which runtime takes a model, and what is said where one does not."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")

from n3d_ros.errors import BackendError, ConfigurationError  # noqa: E402
from n3d_ros.inference.graphs import LanguageModelGraphs  # noqa: E402
from n3d_ros.inference.language_model import ladder as module  # noqa: E402
from n3d_ros.inference.language_model.config import LanguageModelConfig  # noqa: E402
from n3d_ros.inference.language_model.ladder import Rung, ladder, load_fitting, weights_of  # noqa: E402
from n3d_ros.inference.language_model.loading import Runtime  # noqa: E402


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("n3d_ros.weights.placement.choose_device", lambda _device: torch.device("cuda", 0))


def runtime(**more: Any) -> Runtime:
    parts: dict[str, Any] = {"backend": None, "tokenizer": None, "facts": ("a fact",), **more}
    return Runtime(**parts)


def rungs(monkeypatch: pytest.MonkeyPatch, *of: Rung) -> None:
    monkeypatch.setattr(module, "ladder", lambda _config: iter(of))


def failing(text: str) -> Any:
    def load(_progress: Any) -> Runtime:
        raise BackendError(text, reason="out_of_memory")

    return load


def names(config: LanguageModelConfig) -> list[str]:
    return [rung.name for rung in ladder(config)]


def test_weights_go_to_the_gpu_and_then_to_the_cpu(on_gpu: None) -> None:
    assert names(LanguageModelConfig(model="n3d-nano")) == ["PyTorch on the GPU", "PyTorch on the CPU"]


def test_a_device_that_was_named_is_not_left(on_gpu: None) -> None:
    assert names(LanguageModelConfig(model="n3d-nano", device="cuda")) == ["PyTorch on the GPU"]


def test_without_a_gpu_there_is_one_rung_for_weights() -> None:
    assert names(LanguageModelConfig(model="n3d-nano", device="cpu")) == ["PyTorch on the CPU"]


def test_the_first_that_loads_is_taken_and_the_others_stand_among_its_facts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rungs(
        monkeypatch,
        Rung(name="A", load=failing("A is broken.")),
        Rung(name="B", load=lambda _progress: pytest.fail("B is not tried"), why_not="no weights"),
        Rung(name="C", load=lambda _progress: runtime()),
        Rung(name="D", load=lambda _progress: pytest.fail("D is not needed")),
    )
    found = load_fitting(LanguageModelConfig(model="m"), lambda *_: None)
    assert found.facts == ("a fact", "note      not A: A is broken.", "note      not B: no weights")
    assert [record.message for record in caplog.records] == ["Language model: not A: A is broken."]


def test_where_none_loads_every_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rungs(monkeypatch, Rung(name="A", load=failing("A is broken.")), Rung(name="B", load=failing("B is full.")))
    with pytest.raises(BackendError, match=r"No runtime can take m: not A: A is broken\. not B: B is full\.") as told:
        load_fitting(LanguageModelConfig(model="m"), lambda *_: None)
    assert told.value.reason == "out_of_memory"


def test_one_reason_alone_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    rungs(monkeypatch, Rung(name="A", load=failing("A is broken.")))
    with pytest.raises(BackendError, match=r"^A is broken\.$"):
        load_fitting(LanguageModelConfig(model="m"), lambda *_: None)


def test_too_little_memory_is_a_reason_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_progress: Any) -> Runtime:
        raise ConfigurationError("The model does not fit.", reason="out_of_memory")

    rungs(monkeypatch, Rung(name="A", load=full), Rung(name="B", load=lambda _progress: runtime()))
    found = load_fitting(LanguageModelConfig(model="m"), lambda *_: None)
    assert found.facts[-1] == "note      not A: The model does not fit."


def test_graphs_go_by_their_files_and_settings(on_gpu: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "has_graphs", lambda _folder: True)

    def of(**more: Any) -> list[Rung]:
        values = {"source": "n3d-nano", "dtype": "float32", "position_code": "aligned", "weights": "float", **more}
        monkeypatch.setattr(module, "read_graphs", lambda *_: graphs_of(**values))
        return list(ladder(LanguageModelConfig(model=str(tmp_path))))

    assert [rung.why_not for rung in of()] == ["", "", "", ""]
    assert [rung.why_not for rung in of(source="owner/model")][1::2] == [
        "the weights of owner/model are not on this machine"
    ] * 2
    assert [rung.why_not for rung in of(weights="int4")][1::2] == ["PyTorch does not run weights in int4"] * 2
    monkeypatch.setattr(
        module, "read_graphs", lambda *_: graphs_of(source="n3d-nano", dtype="float32", position_code="none")
    )
    with pytest.raises(ConfigurationError, match=r"language_model\.dtype: expected auto or float32"):
        list(ladder(LanguageModelConfig(model=str(tmp_path), dtype="float16")))


def test_what_is_wrong_with_the_folder_of_the_weights_is_a_reason_to_go_on(
    on_gpu: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def incomplete(*_: Any, expected: Any) -> Runtime:
        assert expected == {"model.safetensors": "00"}
        raise ConfigurationError("shard 2 is missing")

    given = graphs_of(source="n3d-nano", dtype="float32", position_code="none", weights="float")
    monkeypatch.setattr(module, "has_graphs", lambda _folder: True)
    monkeypatch.setattr(module, "read_graphs", lambda *_: replace(given, weights_files={"model.safetensors": "00"}))
    monkeypatch.setattr(module, "load_torch", incomplete)
    monkeypatch.setattr(module, "load_tensorrt", lambda *_: failing("no engine")(None))
    monkeypatch.setattr(module, "load_onnx", lambda *_: runtime())
    found = load_fitting(LanguageModelConfig(model=str(tmp_path)), lambda *_: None)
    assert [fact.split(": ")[1] for fact in found.facts[1:]] == ["no engine", "shard 2 is missing"]


def test_settings_that_are_wrong_are_no_reason_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(_progress: Any) -> Runtime:
        raise ConfigurationError("dtype: expected float32")

    rungs(monkeypatch, Rung(name="A", load=wrong), Rung(name="B", load=lambda _progress: runtime()))
    with pytest.raises(ConfigurationError, match="expected float32"):
        load_fitting(LanguageModelConfig(model="m"), lambda *_: None)


def test_what_failed_holds_no_memory_while_the_next_one_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    import weakref

    class Weights:
        def __init__(self) -> None:
            self.again = self  # as a backend whose parts call it

    held: list[Any] = []

    def fail(_progress: Any) -> Runtime:
        weights = Weights()
        held.append(weakref.ref(weights))
        raise BackendError("A is full.")

    def load(_progress: Any) -> Runtime:
        assert held[0]() is None
        return runtime()

    rungs(monkeypatch, Rung(name="A", load=fail), Rung(name="B", load=load))
    load_fitting(LanguageModelConfig(model="m"), lambda *_: None)


@pytest.mark.parametrize(("source", "found"), [("n3d-nano", True), ("owner/model", False), ("models/mine", False)])
def test_weights_are_taken_only_where_they_are_at_hand(source: str, found: bool, tmp_path: Path) -> None:
    assert bool(weights_of(graphs_of(source))) is found
    assert weights_of(graphs_of(str(tmp_path))) == str(tmp_path)
    assert weights_of(graphs_of(str(tmp_path / "gone"))) == ""


def graphs_of(source: str, **more: Any) -> LanguageModelGraphs:
    values: dict[str, Any] = {entry.name: 1 for entry in fields(LanguageModelGraphs)}
    return LanguageModelGraphs(**{**values, "source": source, **more})
