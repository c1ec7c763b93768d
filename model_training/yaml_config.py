"""Configurations as YAML files: every key is a field of a frozen dataclass, and nothing else is accepted."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from n3d_ros.errors import ConfigurationError

Config = TypeVar("Config")


def read_yaml(path: str | Path, kind: type[Config]) -> Config:
    """The configuration that a file holds.

    Args:
        path: a YAML file with one mapping.
        kind: the dataclass to make.

    Returns:
        The configuration; keys that the file leaves out have their default.

    Raises:
        ConfigurationError: no such file, not a mapping, an unknown key or a value of the wrong type.
    """
    try:
        values: Any = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path}: expected a readable YAML file ({error}).") from error
    if not isinstance(values, Mapping):
        raise ConfigurationError(f"{path}: expected keys and values, got {type(values).__name__}.")
    return from_mapping(values, kind, str(path))


def from_mapping(values: Mapping[str, Any], kind: type[Config], where: str) -> Config:
    """The dataclass that a mapping describes; nested dataclasses from nested mappings, lists become tuples.

    Args:
        values: by field name.
        kind: the dataclass to make.
        where: for messages.

    Returns:
        The configuration.

    Raises:
        ConfigurationError: an unknown key or a value of the wrong type.
    """
    hints = get_type_hints(kind)
    names = [entry.name for entry in dataclasses.fields(kind)]  # type: ignore[arg-type]
    unknown = sorted(set(map(str, values)) - set(names))
    if unknown:
        raise ConfigurationError(f"{where}: unknown key {unknown[0]!r}; known: {', '.join(names)}.")
    made: dict[str, Any] = {}
    for name, value in values.items():
        if dataclasses.is_dataclass(hints[name]):
            if not isinstance(value, Mapping):
                raise ConfigurationError(f"{where} {name}: expected keys and values, got {value!r}.")
            made[name] = from_mapping(value, hints[name], f"{where} {name}")
        else:
            made[name] = _tupled(value)
            if not _fits(made[name], hints[name]):
                raise ConfigurationError(f"{where} {name}: expected {_words(hints[name])}, got {value!r}.")
    try:
        return kind(**made)
    except TypeError as error:
        raise ConfigurationError(f"{where}: {error}.") from error


def _tupled(value: Any) -> Any:
    """Lists as tuples, at every depth."""
    return tuple(_tupled(item) for item in value) if isinstance(value, list) else value


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a plain type, or of a tuple of such; what is neither is left to the dataclass."""
    kind, parts = get_origin(hint), get_args(hint)
    if kind in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if kind is tuple:
        if not isinstance(value, tuple):
            return False
        kinds = parts[:1] * len(value) if parts[1:] == (...,) else parts
        return len(value) == len(kinds) and all(map(_fits, value, kinds))
    if hint in (int, float):
        return isinstance(value, int if hint is int else (int, float)) and not isinstance(value, bool)
    return isinstance(value, hint) if hint in (str, bool, NoneType) else True


def _words(hint: Any) -> str:
    """What a person calls a type."""
    return getattr(hint, "__name__", str(hint)) if get_origin(hint) is None else str(hint).replace("tuple", "list")


def to_json(config: Any) -> str:
    """The configuration as one line of JSON with sorted keys: equal for equal configurations.

    Args:
        config: a dataclass.

    Returns:
        JSON.
    """
    return json.dumps(dataclasses.asdict(config), sort_keys=True)
