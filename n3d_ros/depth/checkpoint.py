"""From a folder or a hub id to a depth network that runs: the released layout, config.json and model.safetensors.

Everything is checked before a weight is read, and weights go block by block to where they are used. Projections and
feed-forwards of the backbone take the dtype asked for; everything else (norms, tokens, position tables, camera encoder
and decoder, heads) stays float32, as in the reference. Nothing else than safetensors is opened.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch

from n3d_ros.depth.config import NestedConfig, NetworkConfig
from n3d_ros.depth.identity import UNKNOWN_LICENCE, identify, read_depth_config
from n3d_ros.depth.network import DepthNetwork, build_network
from n3d_ros.depth.stored_names import ANY_VIEW, METRIC, left_aside, network_name
from n3d_ros.weights.filling import (
    CardFile,
    Match,
    Progress,
    match_tensors,
    materialise,
    read_weights,
    telling_of_memory,
)
from n3d_ros.weights.json_files import CONFIG_FILE
from n3d_ros.weights.memory import MemoryPlan, available_bytes, gigabytes, place_name
from n3d_ros.weights.placement import DtypeName, choose_device, choose_dtype
from n3d_ros.weights.sources import hub_id_of, resolve_source
from n3d_ros.weights.weight_files import WeightFile, find_weight_files, listing

logger = logging.getLogger(__name__)

DOWNLOADED = 0.5  # of the progress, where the files come from the hub; the rest is reading
WORKING_SIDE = 504  # pixels of the longer side, for what computing takes
_HALF = re.compile(r"backbone\.pretrained\.blocks\.\d+\.(attn\.(qkv|proj)|mlp\.\w+)\.(weight|bias)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where weights come from, and what is known of them.

    Args:
        name: of the released model, else as config.json says it.
        source: as the user named it.
        folder: of the files.
        licence: of the weights; "unknown" where nothing says it.
        note: a sentence on the model; empty when there is nothing to say.
        files: of the weights.
        left_aside: tensors in the files that no network here has.
        plan: memory that the weights take.
    """

    name: str
    source: str
    folder: Path
    licence: str
    note: str
    files: tuple[CardFile, ...]
    left_aside: int
    plan: MemoryPlan

    def facts(self) -> tuple[str, ...]:
        """What a user may want to know.

        Returns:
            Sentences: files with their hashes, licence, size.
        """
        file_facts = [
            f"{file.name}, {gigabytes(file.size_bytes)}" + (f", sha256 {file.sha256}" if file.sha256 else "")
            for file in self.files
        ]
        return (
            f"{self.name} of {self.source}",
            f"licence {self.terms()}",
            *([self.note] if self.note else []),
            self.plan.count(),
            *file_facts,
        )

    def terms(self) -> str:
        """The licence, and what it means for a user where it does not say so itself.

        Returns:
            Such as "CC BY-NC 4.0, NOT for commercial use".
        """
        if self.licence.startswith("CC BY-NC"):
            return f"{self.licence}, NOT for commercial use"
        return f"{self.licence}: ask whoever made it" if self.licence == UNKNOWN_LICENCE else self.licence


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedNetwork:
    """A network with its weights, in evaluation mode.

    Args:
        network: on its device.
        source: where its weights come from.
        is_metric: whether its depth, times the focal length over 300 pixels, is in metres.
        device: where it is.
        dtype: of the backbone's projections.
    """

    network: DepthNetwork
    source: Source
    is_metric: bool
    device: torch.device
    dtype: torch.dtype

    @property
    def name(self) -> str:
        """Of the released model, else as config.json says it."""
        return self.source.name


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedPair:
    """The two networks of a nested model.

    Args:
        any_view: depth, confidence and poses.
        metric: what makes them metric.
    """

    any_view: LoadedNetwork
    metric: LoadedNetwork

    @property
    def name(self) -> str:
        """Of the released model, else as config.json says it."""
        return self.any_view.source.name

    @property
    def source(self) -> Source:
        """Where the weights of both come from."""
        return self.any_view.source


Config: TypeAlias = NetworkConfig | NestedConfig


def load_network(
    source: str | Path,
    *,
    device: str = "auto",
    dtype: DtypeName = "auto",
    on_progress: Progress | None = None,
    memory_limit_bytes: int | None = None,
    hashes: bool = True,
) -> LoadedNetwork | LoadedPair:
    """The network of a checkpoint: a released Depth Anything 3, or one of ours.

    Args:
        source: a folder, or the id "owner/name" of a repository on the hub.
        device: "cpu", "cuda", "cuda:1"; "auto" takes a GPU if there is one.
        dtype: of the backbone's projections; "auto" is float32 on the CPU and bfloat16 on a GPU (float16 where it
            lacks bfloat16).
        on_progress: called with a sentence and the share done, 0 to 1.
        memory_limit_bytes: most that the weights may take, on top of what the device has.
        hashes: whether the files' sha256 are made while they are read.

    Returns:
        One network, or the two of a nested model.

    Raises:
        ConfigurationError: files that are absent, damaged or of another kind of model, or too little memory.
        BackendError: the device failed.
    """
    tell = on_progress or (lambda _sentence, _share: None)
    tell(f"Looking for {source}", 0.0)
    folder = resolve_source(
        source, check_complete=_check_complete, on_progress=lambda text, share: tell(text, DOWNLOADED * share)
    )
    begun = DOWNLOADED if hub_id_of(source) == str(source) else 0.0
    further: Progress = lambda text, share: tell(text, begun + (1 - begun) * share)  # noqa: E731
    further("Checking names and shapes", 0.02)
    identity = identify(read_depth_config(folder), folder, source)
    files = find_weight_files(folder)
    networks = _without_weights(identity.config)
    match = _matched(networks, files, folder, identity.name)
    aside = _left_aside(files, folder)
    where = choose_device(device)
    kind = _choose_dtype(dtype, where)
    plan = _memory_plan(networks, kind, where, memory_limit_bytes)
    logger.info("%s: %s.", source, plan.sentence())
    plan.check()
    with telling_of_memory(where):
        stored = _places(networks, match, kind, where)
        cards = read_weights(stored, files, where, further, hashes=hashes)
    known = Source(
        name=identity.name,
        source=str(source),
        folder=folder,
        licence=identity.licence,
        note=identity.note,
        files=cards,
        left_aside=aside,
        plan=plan,
    )
    loaded = [
        LoadedNetwork(
            network=network.eval().requires_grad_(False),  # noqa: FBT003
            source=known,
            is_metric=identity.is_metric or prefix == METRIC,
            device=where,
            dtype=kind,
        )
        for prefix, network in networks.items()
    ]
    further(f"Loaded {known.name}", 1.0)
    return loaded[0] if len(loaded) == 1 else LoadedPair(any_view=loaded[0], metric=loaded[1])


def _check_complete(folder: Path) -> None:
    """Raises where configuration or weights are not there yet."""
    read_depth_config(folder)
    find_weight_files(folder)


def _without_weights(config: Config) -> dict[str, DepthNetwork]:
    """The networks on the meta device, by their prefix in the file."""
    with torch.device("meta"):
        if isinstance(config, NestedConfig):
            return {ANY_VIEW: build_network(config.any_view), METRIC: build_network(config.metric)}
        return {"": build_network(config)}


def _matched(networks: Mapping[str, DepthNetwork], files: Sequence[WeightFile], folder: Path, name: str) -> Match:
    """Which stored tensor goes where, when all fit."""
    wanted = {
        prefix + key: parameter
        for prefix, network in networks.items()
        for key, parameter in network.named_parameters(remove_duplicate=False)
    }
    match = match_tensors(wanted, files, network_name)
    match.refuse_misfits(folder, hint=f"{CONFIG_FILE} names {name!r}: weights of another model, or a copy cut short")
    return match


def _left_aside(files: Sequence[WeightFile], folder: Path) -> int:
    """How many stored tensors no network here has; they are expected all the same."""
    aside = left_aside(tensor.name for file in files for tensor in file.tensors)
    if aside:
        logger.info("%s: left aside, not computed here: %s.", folder, listing(aside, most=3))
    return len(aside)


def _places(
    networks: Mapping[str, DepthNetwork], match: Match, dtype: torch.dtype, device: torch.device
) -> dict[str, torch.Tensor]:
    """Memory for the networks' parameters, by the names of the stored tensors that go there."""
    places = {
        key: place
        for network in networks.values()
        for key, place in materialise(network, _dtype_rule(dtype), device).items()
    }
    return {name: places[id(target)] for name, target in match.targets.items()}


def _choose_dtype(wanted: DtypeName, device: torch.device) -> torch.dtype:
    """The dtype of the backbone's projections; the reference runs them in bfloat16 on every GPU that has it."""
    stored = torch.float32 if device.type == "cpu" else torch.bfloat16
    return choose_dtype(wanted, device, stored, lambda _dtype: True)


def _dtype_rule(dtype: torch.dtype) -> Any:
    """The dtype of a parameter by its name."""
    return lambda name: dtype if _HALF.search(name) else torch.float32


def _memory_plan(
    networks: Mapping[str, DepthNetwork], dtype: torch.dtype, device: torch.device, limit_bytes: int | None
) -> MemoryPlan:
    """What the weights take, what computing one view takes about, and what there is."""
    rule = _dtype_rule(dtype)
    parameters = [item for network in networks.values() for item in network.named_parameters()]
    features = max(network.config.features for network in networks.values())
    return MemoryPlan(
        parameters=sum(parameter.numel() for _, parameter in parameters),
        weight_bytes=sum(parameter.numel() * rule(name).itemsize for name, parameter in parameters),
        available_bytes=available_bytes(device, limit_bytes=limit_bytes),
        place=place_name(device),
        working_bytes=4 * 2 * WORKING_SIDE**2 * features,
    )
