"""Which model the files of a folder are: its shape, name and licence, from config.json and the repository they are of.

Files of a release that supersedes another may bear the older one's name; only the repository tells them apart.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from n3d_ros.depth.config import NestedConfig, NetworkConfig, network_config_of
from n3d_ros.depth.variants import METRIC_NAMES, VARIANTS, Variant, variant_of_hub_id
from n3d_ros.errors import ConfigurationError
from n3d_ros.weights.json_files import CONFIG_FILE, MAX_CONFIG_BYTES, read_json
from n3d_ros.weights.sources import hub_id_of
from n3d_ros.weights.weight_files import listing

logger = logging.getLogger(__name__)

UNKNOWN_LICENCE = "unknown"

Config: TypeAlias = NetworkConfig | NestedConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What is known of a model before its weights are read.

    Args:
        name: of the released model, else as config.json says it.
        config: its shape.
        licence: of the weights; "unknown" where nothing says it.
        note: a sentence on the model; empty when there is nothing to say.
        is_metric: whether its depth, times the focal length over 300 pixels, is in metres.
    """

    name: str
    config: Config
    licence: str
    note: str
    is_metric: bool


def identify(data: Mapping[str, Any], folder: Path, source: str | Path) -> Identity:
    """The model of a folder.

    Args:
        data: of ``read_depth_config``.
        folder: of the files, for messages.
        source: as the user named it: a hub id, or a folder, which may lie in the hub's cache.

    Returns:
        Of a released name the released shape and licence; of another what config.json says.

    Raises:
        ConfigurationError: neither a released name nor a description of a network.
    """
    named = VARIANTS.get(data["model_name"].lower())
    if named is None:
        return Identity(
            name=data["model_name"],
            config=_described(data, folder),
            licence=str(data.get("licence", UNKNOWN_LICENCE)),
            note="",
            is_metric=data.get("is_metric") is True,
        )
    _warn_of_contradiction(data, named, folder)
    hub_id = hub_id_of(source)
    held = variant_of_hub_id(hub_id) if hub_id else None
    is_certain = held is not None and held.config == named.config
    variant = held if held is not None and is_certain else named
    return Identity(
        name=variant.name,
        config=variant.config,
        licence=variant.licence,
        note=variant.note if is_certain or not variant.note else f"unless they are of it, {variant.note}",
        is_metric=variant.name in METRIC_NAMES or data.get("is_metric") is True,
    )


def read_depth_config(folder: Path) -> dict[str, Any]:
    """config.json of a folder, known to be of a depth model.

    Args:
        folder: of the checkpoint.

    Returns:
        The object as it stands in the file.

    Raises:
        ConfigurationError: no readable file, or a model of another kind.
    """
    data = read_json(folder / CONFIG_FILE, limit=MAX_CONFIG_BYTES)
    if not isinstance(data.get("model_name"), str):
        found = f"model_type {data['model_type']!r}" if "model_type" in data else f"the keys {listing(sorted(data))}"
        raise ConfigurationError(
            f"{folder / CONFIG_FILE}: expected a model_name, as Depth Anything 3 has it ({', '.join(VARIANTS)}), got "
            f"{found}; name the folder of such a model."
        )
    return data


def _described(data: Mapping[str, Any], folder: Path) -> Config:
    """The shape that the embedded part of config.json describes."""
    embedded = data.get("config")
    if not isinstance(embedded, dict):
        raise ConfigurationError(
            f"{folder / CONFIG_FILE}: {data['model_name']!r} is none of {', '.join(VARIANTS)}; for a model of its "
            "own, expected an object 'config' with net, head and, for several views, cam_enc and cam_dec."
        )
    return network_config_of(embedded, name=str(folder / CONFIG_FILE))


def _warn_of_contradiction(data: Mapping[str, Any], variant: Variant, folder: Path) -> None:
    """Says where the embedded part of a released name describes another shape."""
    embedded = data.get("config")
    if not isinstance(embedded, dict):
        return
    try:
        told = network_config_of(embedded)
    except ConfigurationError:
        return  # released files say it in more than one way; the name decides, as in the reference
    if told != variant.config:
        logger.warning("%s: the embedded config differs from %s; the name decides.", folder, variant.name)
