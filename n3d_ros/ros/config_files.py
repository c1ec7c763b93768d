"""The node's settings from parameter files and single values, for commands that work without a node."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from n3d_ros.errors import ConfigurationError
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.parameters import DECLARED_BY_ROS, build_config, parameter_specs

OWN_SECTIONS = ("**", "*", "n3d")  # of a parameter file: what they hold is meant for the node
DECLARED_BY_PREFIX = ("qos_overrides.", "diagnostic_updater.")  # parameters that libraries declare on the node


def config_from_files(files: Sequence[Path], values: Mapping[str, str] | None = None) -> NodeConfig:
    """The node's settings from parameter files and single values, as the node itself would take them.

    Args:
        files: parameter files (YAML), later ones win.
        values: by dotted name, as text.

    Returns:
        The settings.

    Raises:
        ConfigurationError: a file cannot be read, or a value is refused.
    """
    merged: dict[str, Any] = {}
    for path in files:
        merged.update(_parameters_of(path))
    for name, text in (values or {}).items():
        merged[name] = _value_of(name, text)
    _refuse_unknown(values or {}, "")
    return build_config(NodeConfig(), merged)


def _value_of(name: str, text: str) -> Any:
    """The value that a text stands for, as on the command line of a node."""
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"Parameter {name}: expected a value as in YAML, got {text!r}.") from error


def _refuse_unknown(names: Iterable[str], where: str) -> None:
    """Refuses parameters the node does not have: a setting that is mistyped would be ignored without a word."""
    known = [*(spec.name for spec in parameter_specs(NodeConfig())), *DECLARED_BY_ROS]
    for name in names:
        if name not in known and not name.startswith(DECLARED_BY_PREFIX):
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "config/n3d.yaml lists all."
            raise ConfigurationError(f"{where}The node has no parameter {name!r}; {hint}")


def _parameters_of(path: Path) -> dict[str, Any]:
    """The parameters in a file, of whichever nodes it names."""
    import yaml

    flat: dict[str, Any] = {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        for node, section in content.items():
            parameters = _flattened(section.get("ros__parameters", {}))
            if str(node).rpartition("/")[2] in OWN_SECTIONS:
                _refuse_unknown(parameters, f"{path}: ")
            flat.update(parameters)
    except (OSError, yaml.YAMLError, AttributeError) as error:
        raise ConfigurationError(f"{path}: expected a ROS parameter file ({error}).") from error
    return flat


def _flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested parameters by their dotted names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(_flattened(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
