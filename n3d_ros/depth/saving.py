"""From a network to a folder of the released layout: config.json and model.safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from n3d_ros.depth.config import NestedConfig, NetworkConfig, released_config
from n3d_ros.depth.network import DepthNetwork
from n3d_ros.depth.stored_names import ANY_VIEW, METRIC, PREFIX
from n3d_ros.weights.json_files import CONFIG_FILE
from n3d_ros.weights.permissions import as_umask_says
from n3d_ros.weights.weight_files import SINGLE_FILE
from n3d_ros.whole_files import write_json


def save_network(
    network: DepthNetwork | tuple[DepthNetwork, DepthNetwork],
    folder: Path,
    *,
    model_name: str,
    **extra: Any,
) -> None:
    """Writes a network as a folder of the released layout.

    Args:
        network: with its weights; a pair is written as a nested model.
        folder: made if need be; files of a former checkpoint in it are replaced.
        model_name: of config.json; a released name promises the released shape.
        **extra: further keys of config.json, such as licence and is_metric.
    """
    parts = {ANY_VIEW: network[0], METRIC: network[1]} if isinstance(network, tuple) else {"": network}
    configs = [part.config for part in parts.values()]
    config: NetworkConfig | NestedConfig = (
        configs[0] if len(configs) == 1 else NestedConfig(any_view=configs[0], metric=configs[1])
    )
    tensors = {
        PREFIX + prefix + name: parameter.detach().to("cpu").clone(memory_format=torch.contiguous_format)
        for prefix, part in parts.items()
        for name, parameter in part.named_parameters()  # names each shared one once
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / SINGLE_FILE, metadata={"format": "pt"})
    as_umask_says(folder / SINGLE_FILE)
    write_config(folder, model_name, config, **extra)


def write_config(folder: Path, model_name: str, config: NetworkConfig | NestedConfig, **extra: Any) -> None:
    """Writes config.json as released folders have it.

    Args:
        folder: that exists.
        model_name: of the model.
        config: its shape.
        **extra: further keys.
    """
    data = {"model_name": model_name, "config": released_config(config), **extra}
    write_json(folder / CONFIG_FILE, data)
