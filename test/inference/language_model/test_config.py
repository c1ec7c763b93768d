"""Settings of the language model: ranges that are kept, and what is imported for them."""

from __future__ import annotations

import importlib
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from n3d_ros.codec.input_options import InputOptions
from n3d_ros.errors import BackendError, ConfigurationError
from n3d_ros.inference.grounder import GroundingRequest
from n3d_ros.inference.language_model.asking import ask_for
from n3d_ros.inference.language_model.config import BACKENDS, LanguageModelConfig
from n3d_ros.inference.language_model.loading import input_options


def test_the_defaults_are_valid() -> None:
    config = LanguageModelConfig()
    assert config.model == ""
    assert config.temperature == 0
    assert config.nouns == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("backend", "jax"),
        ("dtype", "int4"),
        ("position_code", "mine"),
        ("yaw", "some"),
        ("temperature", float("nan")),
        ("temperature", -0.1),
        ("capacity", 100),
        ("kept_images", 0),
        ("top_k", 65),
        ("min_score", 1.5),
    ],
)
def test_values_out_of_range_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"language_model {field}: expected"):
        LanguageModelConfig(**{field: value})  # type: ignore[arg-type]


def test_an_answer_must_leave_room_for_the_prompt() -> None:
    with pytest.raises(ConfigurationError, match="capacity"):
        LanguageModelConfig(max_new_tokens=1024, capacity=1024)


def test_the_standing_prompt_holds_several_phrases() -> None:
    assert LanguageModelConfig(prompt=" mug; red box;; ").nouns == ("mug", "red box")
    with pytest.raises(ConfigurationError, match="at most 16 phrases"):
        LanguageModelConfig(prompt=";".join(f"thing {k}" for k in range(17)))
    with pytest.raises(ConfigurationError, match="characters"):
        LanguageModelConfig(prompt="x" * 600)


@pytest.mark.parametrize("length", [129, 512])
def test_a_standing_prompt_that_is_taken_can_be_asked(length: int) -> None:
    config = LanguageModelConfig(prompt="the " + "x" * (length - 4) + "; ''; mug")
    assert len(config.nouns) == 2
    assert ask_for(GroundingRequest(nouns=config.nouns)).text


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("x" * 513, "1 to 512 characters"),
        (";".join("y" * 500 + str(k) for k in range(5)), "2048 characters together"),
    ],
)
def test_a_standing_prompt_that_could_not_be_asked_is_refused_at_the_start(prompt: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"language_model prompt: .*{message}"):
        LanguageModelConfig(prompt=prompt)


def test_closed_classes_must_be_labels() -> None:
    assert LanguageModelConfig(prompt="x" * 400).nouns
    with pytest.raises(ConfigurationError, match="language_model prompt: Label of a box"):
        LanguageModelConfig(prompt="x" * 400, closed_classes=True)


def test_every_field_says_what_it_means() -> None:
    for field in fields(LanguageModelConfig):
        assert field.metadata["meaning"], field.name


def test_what_the_user_sets_goes_before_what_the_folder_says() -> None:
    stored = InputOptions(long_side=320, normalization="robust")
    options = input_options(LanguageModelConfig(long_side=448), stored)
    assert (options.long_side, options.normalization) == (448, "robust")
    assert input_options(LanguageModelConfig(normalization="mean"), stored).long_side == 320
    assert input_options(LanguageModelConfig(normalization="mean"), stored).normalization == "mean"
    assert input_options(LanguageModelConfig(), stored) == stored


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_every_backend_has_its_loader(name: str) -> None:
    pytest.importorskip("tokenizers", reason="the tokenizer's package comes with the extra [model]")
    module, _, function = BACKENDS[name].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_settings_and_the_grounder_import_no_network(repository: Path) -> None:
    code = (
        "import sys; import n3d_ros.inference.language_model.config; "
        "assert not {'torch', 'transformers', 'tokenizers'} & set(sys.modules); "
        "import n3d_ros.inference.language_model.grounder; "
        "assert not {'torch', 'transformers', 'tokenizers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=repository, timeout=60)


def test_a_missing_package_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from n3d_ros.inference.language_model.grounder import LanguageModelGrounder

    monkeypatch.delitem(sys.modules, "n3d_ros.inference.torch_backend", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BackendError, match=r"package torch, which is not installed.*make setup MODEL=1"):
        LanguageModelGrounder(LanguageModelConfig(model=str(tmp_path)))
