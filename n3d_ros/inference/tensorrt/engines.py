"""From a folder of exported graphs to an engine that has passed its self-test, and from the cache to a runtime."""

from __future__ import annotations

import json
import logging
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from n3d_ros.codec.input_options import InputOptions, read_input_options
from n3d_ros.codec.tokenizer import load_tokenizer
from n3d_ros.errors import BackendError, ConfigurationError
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
    check_files,
    kind_of,
    read_graphs,
)
from n3d_ros.inference.self_test import failures, measure, read_goldens
from n3d_ros.inference.tensorrt import api
from n3d_ros.inference.tensorrt.api import Engine
from n3d_ros.inference.tensorrt.backend import TensorRtBackend
from n3d_ros.inference.tensorrt.building import build_in_child
from n3d_ros.inference.tensorrt.job import BuildJob
from n3d_ros.inference.tensorrt.known_bad import warnings_about
from n3d_ros.inference.tensorrt.machine import Machine, choose_gpu, this_machine
from n3d_ros.inference.tensorrt.profiles import Profile, decoder_profiles, vision_profiles
from n3d_ros.inference.tensorrt.session import Arena, OwnStream
from n3d_ros.inference.tensorrt.store import (
    ENGINE_REASON,
    EngineKey,
    EngineRecord,
    EngineStore,
    StoredEngine,
    graphs_fact,
)
from n3d_ros.weights.placement import choose_device
from n3d_ros.whole_files import file_digest

logger = logging.getLogger(__name__)

DEFAULT_CAPACITY = 2048
MACHINE_FACTS = ("tensorrt", "gpu", "compute_capability", "multiprocessors", "driver")
_ROOM = 1.3  # of the weights: a plan, and what is written beside it
_TEST_SHARE = 0.1  # of the time of a build


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What an engine is built for, and how.

    Args:
        capacity: longest sequence, tokens; as ``language_model.capacity``.
        long_side: longer side of the images, pixels; 0: as the model's folder says.
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
        """How frames are shown to the model.

        Returns:
            As its folder says, with the image size that the engine is for.
        """
        stored = read_input_options(self.folder)
        return replace(stored, long_side=self.options.long_side or stored.long_side)

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
            return measure(backend, load_tokenizer(self.folder), self.input_options(), goldens, tell)
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


def build_engine(
    target: Target, store: EngineStore, on_progress: Progress | None = None, *, again: bool = False
) -> StoredEngine:
    """Builds an engine and keeps it, once its numbers are those of the network.

    Args:
        target: what to build, and for which machine.
        store: the cache.
        on_progress: told how far it is; what it raises ends the build.
        again: whether one that is there already is built anew.

    Returns:
        The entry of the cache.

    Raises:
        BackendError: TensorRT fails, or computes something else than the network in every form there is.
        ConfigurationError: files that cannot be used, or no room.
    """
    tell = on_progress or (lambda _sentence, _share: None)
    key = target.key()
    if not again:
        try:
            return store.checked(key)
        except BackendError as error:
            logger.info("An engine is built: %s", error.message)
    if GOLDENS_FILE not in target.about.files:
        raise ConfigurationError(
            f"{target.folder}: expected {GOLDENS_FILE}, against which engines are tested; export the model again."
        )
    check_files(target.folder, target.about.files, lambda text, done: tell(text, 0.02 * done))
    notes = list(warnings_about(target.machine, target.about.dtype))
    for note in notes:
        logger.warning(note)
    with store.building() as staging:
        _check_room(target, staging)
        began = time.time()
        forms = target.forms()
        for number, (form, suffix) in enumerate(forms):
            share = (0.02 + 0.98 * number / len(forms), 0.98 / len(forms))
            tell_form = _part(tell, *share)
            _build_plans(target, staging, suffix, store, _part(tell_form, 0.0, 1.0 - _TEST_SHARE))
            found = target.measured(staging, _part(tell_form, 1.0 - _TEST_SHARE, _TEST_SHARE))
            bad = target.failures(found)
            if not bad:
                record = _record(target, key, staging, form, time.time() - began, found, tuple(notes))
                entry = store.keep(staging, key, record)
                tell("The engine is ready", 1.0)
                return entry
            notes.append(f"the {form} form computes something else than the network: {'; '.join(bad[:4])}")
            logger.warning("TensorRT %s: %s.", target.machine.tensorrt, notes[-1])
    raise BackendError(
        f"TensorRT {target.machine.tensorrt} computes something else than {target.about.name} on this machine, so no "
        f"engine is kept: {'; '.join(notes[-len(forms) :])}. {_advice(target.about)}",
        reason=ENGINE_REASON,
    )


def load_engine(
    target: LanguageModelTarget, store: EngineStore, *, cuda_graphs: bool = True, on_progress: Progress | None = None
) -> tuple[TensorRtBackend, EngineRecord]:
    """The runtime of the engine that the cache has for a target.

    Args:
        target: which graphs, sizes and machine.
        store: the cache.
        cuda_graphs: whether short steps are recorded.
        on_progress: told how far it is.

    Returns:
        The runtime and what is known of its engine.

    Raises:
        BackendError: there is none, it is damaged, or TensorRT cannot load it.
        ConfigurationError: the embedding cannot be read.
    """
    tell = on_progress or (lambda _sentence, _share: None)
    tell("Checking the engine", 0.1)
    entry = store.checked(target.key())
    assert entry.record is not None
    tell("Loading the engine", 0.5)
    return target.runtime(entry.folder, cuda_graphs=cuda_graphs), entry.record


def measure_engine(target: Target, store: EngineStore, on_progress: Progress | None = None) -> dict[str, float]:
    """The self-test of the engine that the cache has for a target, once more.

    Args:
        target: which graphs, sizes and machine.
        store: the cache.
        on_progress: told how far it is.

    Returns:
        What was measured.

    Raises:
        BackendError: there is none, it is damaged, or TensorRT cannot run it.
    """
    return target.measured(store.checked(target.key()).folder, on_progress or (lambda _sentence, _share: None))


def _build_plans(target: Target, staging: Path, suffix: str, store: EngineStore, tell: Progress) -> None:
    """Builds every graph of one form."""
    timing = ""
    if target.options.uses_timing_cache:
        facts = target.machine.facts()
        timing = str(store.timing_cache({name: facts[name] for name in MACHINE_FACTS}))
    graphs = target.profiles()
    # Of the time, by what a graph has to be built for.
    weights = {name: 1 + len(profiles) for name, profiles in graphs.items()}
    begin, whole = 0.0, sum(weights.values())
    for name, profiles in graphs.items():
        job = BuildJob(
            graph=str((target.folder / f"{name}{suffix}.onnx").resolve()),
            plan=str(staging / f"{name}.plan"),
            profiles=tuple(profile.dimensions for profile in profiles),
            workspace_bytes=int(target.options.workspace_gb * 2**30),
            timing_cache=timing,
            level=target.options.level,
        )
        build_in_child(job, _part(tell, begin, weights[name] / whole, prefix=f"{name}: "))
        begin += weights[name] / whole


def _record(
    target: Target,
    key: EngineKey,
    staging: Path,
    form: str,
    took_s: float,
    found: Mapping[str, float],
    notes: tuple[str, ...],
) -> EngineRecord:
    """What is to be known of an engine that was built."""
    plans = sorted(staging.glob("*.plan"))
    return EngineRecord(
        name=target.about.name,
        source=str(target.folder),
        facts=dict(key.facts),
        form=form,
        files={plan.name: file_digest(plan) for plan in plans},
        bytes=sum(plan.stat().st_size for plan in plans),
        built=time.time(),
        build_s=round(took_s, 1),
        self_test={name: round(value, 6) for name, value in found.items()},
        notes=notes,
    )


def _check_room(target: Target, staging: Path) -> None:
    """Refuses a build that the disk has no room for, before minutes have passed."""
    weights = sum((target.folder / name).stat().st_size for name in target.about.files if name.endswith(".data"))
    free = shutil.disk_usage(staging).free
    if free < _ROOM * weights:
        raise ConfigurationError(
            f"{staging.parent}: expected {_ROOM * weights / 1e9:.1f} GB free for an engine, got {free / 1e9:.1f} GB; "
            "make room (`n3d engine clean`), or name another cache."
        )


def _advice(graphs: ExportedGraphs) -> str:
    if graphs.dtype != "float32":
        return "Take another TensorRT, export in float32, or use ONNX Runtime or PyTorch."
    return "Take another TensorRT, or use ONNX Runtime or PyTorch."


def _part(tell: Progress, begin: float, share: float, prefix: str = "") -> Callable[[str, float], None]:
    """Progress within a part of the whole."""
    return lambda text, done: tell(prefix + text, begin + share * done)
