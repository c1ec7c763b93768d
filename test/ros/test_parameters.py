"""Parameters from config dataclasses, and the shipped parameter file held to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from n3d_ros.errors import ConfigurationError
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.parameter_file import HEADING, yaml_text
from n3d_ros.ros.parameters import build_config, parameter_specs


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """Inner settings.

    Args:
        speed_m: how fast it is,
            on two lines.
        names: some names.
    """

    speed_m: float = field(default=1.0, metadata={"minimum": 0.0, "maximum": 2.0, "unit": "m"})
    names: tuple[str, ...] = ("a", "b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    """Outer settings.

    Args:
        inner: nested.
        mode: which one.
        count: how many.
        other: named in full.
    """

    inner: Inner = field(default_factory=Inner)
    mode: str = field(default="fast", metadata={"choices": ("fast", "exact"), "live": True})
    count: int = field(default=3, metadata={"minimum": 1})
    other: bool = field(default=False, metadata={"name": "elsewhere.other"})


def test_each_field_becomes_a_parameter_with_its_dotted_name_and_docstring() -> None:
    specs = {spec.name: spec for spec in parameter_specs(Outer())}
    assert list(specs) == ["inner.speed_m", "inner.names", "mode", "count", "elsewhere.other"]
    assert specs["inner.speed_m"].description == "how fast it is, on two lines."
    assert specs["inner.speed_m"].allowed == "a number from 0.0 to 2.0 m"
    assert specs["mode"].live
    assert not specs["count"].live


def test_values_reach_the_nested_config() -> None:
    config = build_config(Outer(), {"inner.speed_m": 2, "inner.names": ["c"], "elsewhere.other": True, "unknown": 1})
    assert config.inner == Inner(speed_m=2.0, names=("c",))
    assert config.other
    assert isinstance(config.inner.speed_m, float)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("inner.speed_m", 2.5, "a number from 0.0 to 2.0 m"),
        ("inner.speed_m", float("nan"), "a number"),
        ("inner.speed_m", True, "a number"),
        ("inner.names", "c", "a list"),
        ("mode", "slow", "one of 'fast', 'exact'"),
        ("count", 0, "a whole number of at least 1"),
        ("count", 1.5, "a whole number"),
        ("elsewhere.other", 1, "true or false"),
    ],
)
def test_a_refusal_names_parameter_value_and_what_is_allowed(name: str, value: Any, allowed: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build_config(Outer(), {name: value})
    assert name in caught.value.message
    assert allowed in caught.value.message
    assert (f"{value!r}") in caught.value.message


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def test_the_shipped_file_has_exactly_the_declared_parameters_with_their_defaults(repository: Path) -> None:
    text = (repository / "config" / "n3d.yaml").read_text(encoding="utf-8")
    written = _flat(yaml.safe_load(text)["/**"]["ros__parameters"])
    declared = {
        spec.name: list(spec.default) if spec.is_list else spec.default for spec in parameter_specs(NodeConfig())
    }
    assert written == declared
    assert {name: type(value) for name, value in written.items()} == {
        name: type(value) for name, value in declared.items()
    }
    assert text == HEADING + yaml_text(parameter_specs(NodeConfig())), (
        "run `python -m n3d_ros.ros.parameter_file > config/n3d.yaml`"
    )


def test_every_parameter_is_described_and_named_once() -> None:
    specs = parameter_specs(NodeConfig())
    assert len({spec.name for spec in specs}) == len(specs)
    assert [spec.name for spec in specs if len(spec.description) < 10] == []


def test_every_default_is_allowed() -> None:
    for spec in parameter_specs(NodeConfig()):
        assert spec.check(spec.default) == spec.default


def test_auto_takes_the_model_when_one_is_named_else_geometry() -> None:
    assert NodeConfig().chosen_grounder == "geometric"
    assert build_config(NodeConfig(), {"model": "yuxinhk/N3D-VLM"}).chosen_grounder == "language_model"
    assert build_config(NodeConfig(), {"model": "x", "grounder": "geometric"}).chosen_grounder == "geometric"


def test_what_concerns_the_model_is_named_and_said_to_be_live() -> None:
    specs = {spec.name: spec for spec in parameter_specs(NodeConfig())}
    assert {"model", "grounder", "answer_mode", "continuous_rate_hz", "language_model.prompt"} <= set(specs)
    assert all(specs[name].live for name in ("model", "answer_mode", "continuous_rate_hz", "language_model.prompt"))


def test_a_standing_prompt_of_too_many_things_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at most 16 phrases"):
        build_config(NodeConfig(), {"language_model.prompt": ";".join("abcdefghijklmnopqrstuvwxyz")})
