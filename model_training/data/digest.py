"""Configurations that decide what a data set holds: as plain values, as a digest, and what differs between two."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from n3d_ros.errors import ConfigurationError

FORMAT = "n3d_dataset"
VERSION = 1
DIFFERENCES_NAMED = 5
LONGEST_VALUE = 80  # characters of a value in a message


def plain_values(config: Any) -> dict[str, Any]:
    """A configuration as JSON holds it: tuples are lists, paths and the like are text.

    Args:
        config: a dataclass or a mapping.

    Returns:
        A new mapping.
    """
    values = (
        dataclasses.asdict(config)
        if dataclasses.is_dataclass(config) and not isinstance(config, type)
        else dict(config)
    )
    plain: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return plain


def digest_of(kind: str, config: Mapping[str, Any], shards: int) -> str:
    """SHA-256 of what decides the content."""
    text = json.dumps([FORMAT, VERSION, kind, shards, config], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def check_same(
    folder: Path, there: Mapping[str, Any], wanted: Mapping[str, Any], *, anew: str = "Name a new folder"
) -> None:
    """Nothing; a ConfigurationError names what differs, and says ``anew``: how to begin with what is wanted."""
    before, now = _flat(there), _flat(wanted)
    differing = [key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]
    if differing:
        named = "; ".join(
            f"{key}: {_short(before.get(key))} there, {_short(now.get(key))} now"
            for key in differing[:DIFFERENCES_NAMED]
        )
        raise ConfigurationError(
            f"{folder} was begun with another configuration ({named}). {anew}, or give the configuration that it "
            "was begun with: two data sets are never mixed."
        )


def _short(value: Any) -> str:
    """A value for a message: a vocabulary may have hundreds of names."""
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."


def _flat(values: Any, name: str = "") -> dict[str, Any]:
    """Leaves of nested mappings by dotted name."""
    if not isinstance(values, Mapping):
        return {name: values}
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{name}.{key}" if name else str(key))
    return found
