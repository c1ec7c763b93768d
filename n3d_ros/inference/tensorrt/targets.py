"""What engines are built of and for: the graphs of a language or depth model, sizes, and a machine."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from n3d_ros.codec.input_options import InputOptions, read_input_options
from n3d_ros.codec.tokenizer import load_tokenizer
from n3d_ros.errors import ConfigurationError
from n3d_ros.inference.depth_self_test import depth_failures, measure_depth
from n3d_ros.inference.graphs import (
    DECODER,
    EMBEDDING_FILE,
    GOLDENS_FILE,
    SAFE,
    VISION,
    DepthGraphs,
    ExportedGraphs,
    LanguageModelGraphs,
    Progress,
    kind_of,
    read_graphs,
)
from n3d_ros.inference.self_test import PREFIXES, failures, measure, measure_text, read_goldens
from n3d_ros.inference.tensorrt import api
from n3d_ros.inference.tensorrt.api import Engine
from n3d_ros.inference.tensorrt.backend import TensorRtBackend
from n3d_ros.inference.tensorrt.machine import Machine, choose_gpu, this_machine
from n3d_ros.inference.tensorrt.profiles import Profile, buckets, decoder_profiles, vision_profiles
from n3d_ros.inference.tensorrt.session import Arena, OwnStream, current_gpu
from n3d_ros.inference.tensorrt.store import (
    EngineKey,
    graphs_fact,
)
from n3d_ros.weights.placement import choose_device

DEFAULT_CAPACITY = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What an engine is built for, and how.

    Args:
        capacity: longest sequence, tokens; as ``language_model.capacity``.
        long_side: longer side of the largest images, pixels; those of the model's folder fit always.
        device: "auto", "cuda" or "cuda:i".
        workspace_gb: most memory that a kernel may take for itself; 0: TensorRT decides.
        level: how long is looked for fast kernels, 0 to 5; None: TensorRT's own.
        uses_timing_cache: whether what is known of kernels' speed is used and kept.
    """

    capacity: int = DEFAULT_CAPACITY
    long_side: int = 0
    device: str = "auto"
    workspace_gb: float = 0.0
    level: int | None = None
    uses_timing_cache: bool = True

    def __post_init__(self) -> None:
        """Checks ranges.

        Raises:
            ConfigurationError: naming the option, what is allowed and the value.
        """
        if not 512 <= self.capacity <= 32_768:
            raise ConfigurationError(f"Capacity: expected 512 to 32768 tokens, got {self.capacity}.")
        if not 0.0 <= self.workspace_gb <= 1024.0:
            raise ConfigurationError(f"Workspace: expected 0 to 1024 GB, got {self.workspace_gb}.")
        if self.level is not None and not 0 <= self.level <= 5:
            raise ConfigurationError(f"Level: expected 0 to 5, got {self.level}.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Target(ABC):
    """Graphs and the machine on which engines of them are built or looked for.

    Args:
        folder: of the graphs.
        options: for which they are built.
        trt: the module tensorrt.
        device: the GPU.
        machine: what an engine depends on.
    """

    folder: Path
    options: EngineOptions
    trt: Any
    device: torch.device
    machine: Machine

    @property
    @abstractmethod
    def about(self) -> ExportedGraphs:
        """What the graphs are."""

    @abstractmethod
    def profiles(self) -> dict[str, tuple[Profile, ...]]:
        """For which sizes each graph is built.

        Returns:
            By graph, without ``.onnx``; empty for a graph of one size.
        """

    @abstractmethod
    def sizes(self) -> dict[str, str]:
        """For what it is built, in words of the key.

        Returns:
            By name.
        """

    @abstractmethod
    def measured(self, plans: Path, tell: Progress) -> dict[str, float]:
        """The self-test of some plans.

        Args:
            plans: their folder.
            tell: told how far it is.

        Returns:
            What was measured.
        """

    @abstractmethod
    def failures(self, found: Mapping[str, float]) -> list[str]:
        """What plans do not reach.

        Args:
            found: of ``measured``.

        Returns:
            Sentences; empty where they pass.
        """

    def forms(self) -> tuple[tuple[str, str], ...]:
        """Forms of attention to try in turn.

        Returns:
            Each with what stands behind the graphs' names in it.
        """
        return (("as exported", ""),)

    def key(self) -> EngineKey:
        """Everything an engine depends on.

        Returns:
            The key.
        """
        files = self.about.files
        sizes = {name: [(each.name, dict(each.dimensions)) for each in of] for name, of in self.profiles().items()}
        return EngineKey(
            facts={
                "graphs": graphs_fact(files, [name for name in files if name.endswith(".onnx")]),
                "weights": graphs_fact(files, [name for name in files if name.endswith((".data", EMBEDDING_FILE))]),
                "goldens": files.get(GOLDENS_FILE, ""),
                "profiles": json.dumps(sizes, sort_keys=True),
                **self.sizes(),
                "precision": self.about.dtype,
                "n3d_ros": version("n3d_ros"),
                **self.machine.facts(),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LanguageModelTarget(Target):
    """The graphs of a language model.

    Args:
        graphs: what they are.
    """

    graphs: LanguageModelGraphs

    @property
    def about(self) -> ExportedGraphs:
        """What the graphs are."""
        return self.graphs

    def input_options(self) -> InputOptions:
        """The largest images that the engine is for.

        Returns:
            As the model's folder says, which the self-test shows, or larger where that is wanted.
        """
        stored = read_input_options(self.folder)
        return replace(stored, long_side=max(self.options.long_side, stored.long_side))

    def profiles(self) -> dict[str, tuple[Profile, ...]]:
        """For which sizes each graph is built.

        Returns:
            By graph.
        """
        return {
            VISION: vision_profiles(self.graphs, self.input_options()),
            DECODER: decoder_profiles(self.options.capacity),
        }

    def sizes(self) -> dict[str, str]:
        """The longest sequence and the image size that it is built for.

        Returns:
            By name.
        """
        return {"capacity": str(self.options.capacity), "long_side": str(self.input_options().long_side)}

    def forms(self) -> tuple[tuple[str, str], ...]:
        """Forms of attention to try in turn.

        Returns:
            The exported one, and the safe one where it is there.
        """
        own = (self.graphs.attention, "")
        return (own, ("safe", SAFE)) if self.graphs.has_safe_form else (own,)

    def measured(self, plans: Path, tell: Progress) -> dict[str, float]:
        """The self-test of some plans.

        Args:
            plans: their folder.
            tell: told how far it is.

        Returns:
            What was measured.
        """
        goldens = read_goldens(self.folder / GOLDENS_FILE)
        backend = self.runtime(plans, cuda_graphs=True)
        try:
            found = measure(backend, load_tokenizer(self.folder), read_input_options(self.folder), goldens, tell)
            # Every bucket has profiles and kernels of its own; behind a mask a short text says the same in each.
            for rows in buckets(self.options.capacity)[1:]:
                backend.least_rows = rows
                found |= measure_text(backend, goldens, PREFIXES[0], f"rows{rows}")
            return found
        finally:
            backend.close()

    def failures(self, found: Mapping[str, float]) -> list[str]:
        """What plans do not reach.

        Args:
            found: of ``measured``.

        Returns:
            Sentences; empty where they pass.
        """
        return failures(found, self.graphs.dtype)

    def runtime(self, plans: Path, *, cuda_graphs: bool) -> TensorRtBackend:
        """Some plans, loaded.

        Args:
            plans: their folder.
            cuda_graphs: whether short steps are recorded.

        Returns:
            The runtime.
        """
        return TensorRtBackend(
            self.folder,
            plans,
            self.graphs,
            self.trt,
            capacity=self.options.capacity,
            device=self.device,
            cuda_graphs=cuda_graphs,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DepthTarget(Target):
    """The graphs of a depth model.

    Args:
        graphs: what they are.
    """

    graphs: DepthGraphs

    @property
    def about(self) -> ExportedGraphs:
        """What the graphs are."""
        return self.graphs

    def names(self) -> tuple[str, ...]:
        """The graphs that there are.

        Returns:
            Without ``.onnx``.
        """
        return tuple(Path(name).stem for name in (self.graphs.any_view, self.graphs.single) if name)

    def profiles(self) -> dict[str, tuple[Profile, ...]]:
        """Depth graphs are of one size.

        Returns:
            By graph, nothing.
        """
        return dict.fromkeys(self.names(), ())

    def sizes(self) -> dict[str, str]:
        """The images that it is built for.

        Returns:
            By name.
        """
        return {"images": self.graphs.size_text()}

    def measured(self, plans: Path, tell: Progress) -> dict[str, float]:
        """The self-test of some plans.

        Args:
            plans: their folder.
            tell: told how far it is.

        Returns:
            What was measured.
        """
        found: dict[str, float] = {}
        for number, name in enumerate(self.names()):
            tell(f"Self-test: {name}", number / len(self.names()))
            session = depth_session(self, plans, name)
            found |= measure_depth(session, self.graphs, name, self.folder / GOLDENS_FILE, device=self.device)
        return found

    def failures(self, found: Mapping[str, float]) -> list[str]:
        """What plans do not reach.

        Args:
            found: of ``measured``.

        Returns:
            Sentences; empty where they pass.
        """
        return depth_failures(found, self.graphs.dtype)


def depth_session(target: DepthTarget, plans: Path, name: str) -> OwnStream:
    """A depth engine on a stream of its own, beside the language model's.

    Args:
        target: whose it is.
        plans: folder of the engines.
        name: of the graph.

    Returns:
        The session.

    Raises:
        BackendError: TensorRT cannot load it.
    """
    with current_gpu(target.device):
        engine = Engine(target.trt, plans / f"{name}.plan")
    return OwnStream(engine, Arena({name: engine}, target.device), device=target.device)


def find_target(folder: Path, options: EngineOptions) -> Target:
    """The graphs of a folder on this machine.

    Args:
        folder: that ``n3d export`` wrote.
        options: what engines are for.

    Returns:
        The target; no file of weights was looked at yet.

    Raises:
        BackendError: no TensorRT, or no GPU.
        ConfigurationError: no folder of exported graphs.
    """
    kind = kind_of(folder)
    graphs = read_graphs(folder, kind)
    trt = api.import_tensorrt()
    device = choose_gpu(choose_device(options.device))
    shared: dict[str, Any] = {
        "folder": folder,
        "options": options,
        "trt": trt,
        "device": device,
        "machine": this_machine(str(trt.__version__), device),
    }
    if isinstance(graphs, DepthGraphs):
        return DepthTarget(graphs=graphs, **shared)
    assert isinstance(graphs, LanguageModelGraphs)
    return LanguageModelTarget(graphs=graphs, **shared)


def find_language_model(folder: Path, options: EngineOptions) -> LanguageModelTarget:
    """The graphs of a language model on this machine.

    Args:
        folder: that ``n3d export`` wrote.
        options: what engines are for.

    Returns:
        The target.

    Raises:
        BackendError: no TensorRT, or no GPU.
        ConfigurationError: no folder of a language model's graphs.
    """
    read_graphs(folder, LanguageModelGraphs)
    target = find_target(folder, options)
    assert isinstance(target, LanguageModelTarget)
    return target
