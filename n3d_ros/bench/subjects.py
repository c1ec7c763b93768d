"""Runtimes to be measured: a model by name, what computes it, and what a step of it must read."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from n3d_ros.bench.process import forget_peak, resident_bytes
from n3d_ros.bench.step_bytes import StepBytes, checkpoint_step_bytes, graph_step_bytes
from n3d_ros.bench.torch_device import device_of, used_on_device
from n3d_ros.errors import ConfigurationError, N3dError
from n3d_ros.inference.graphs import LanguageModelGraphs, has_graphs, read_graphs
from n3d_ros.inference.language_model.config import BACKENDS, LanguageModelConfig
from n3d_ros.inference.language_model.grounder import LanguageModelGrounder
from n3d_ros.inference.language_model.loading import Runtime, load_runtime

UNMEASURED = ("replay",)  # backends that compute nothing
Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A runtime to be measured.

    Args:
        title: what the table calls the model.
        config: the settings; ``model`` is a path, a hub id or a packaged model.
        checkpoint: the weights that transformers can load; empty: ``model`` holds graphs.
    """

    title: str
    config: LanguageModelConfig
    checkpoint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """A runtime that is loaded.

    Args:
        name: model and backend, for the table.
        wanted: what it was made of.
        runtime: computes; closed with the grounder.
        grounder: over the runtime.
        step: bytes that a step of one token reads; None: not known.
        load_s: seconds of loading.
        host_bytes: most that loading added to the process's memory; NaN where the kernel does not say.
        device_bytes: that loading added to the used memory of a GPU; NaN on the CPU.
    """

    name: str
    wanted: Wanted
    runtime: Runtime
    grounder: LanguageModelGrounder
    step: StepBytes | None
    load_s: float
    host_bytes: float
    device_bytes: float


def check_backend(name: str) -> None:
    """Refuses a backend that is none, or computes nothing.

    Args:
        name: as the user has it.

    Raises:
        ConfigurationError: with those there are.
    """
    known = [backend for backend in BACKENDS if backend not in UNMEASURED]
    if name not in known:
        raise ConfigurationError(f"--backend: expected one of {', '.join(known)}, got {name!r}.")


def titled(models: Sequence[str]) -> list[str]:
    """What the table calls models: a folder's own name, with a number where two have the same.

    Args:
        models: as the user names them.

    Returns:
        One title each.
    """
    return numbered([Path(model).expanduser().name or model for model in models])


def numbered(names: Sequence[str]) -> list[str]:
    """Names that are all different.

    Args:
        names: any.

    Returns:
        The same, with a number where two are equal.
    """
    return [f"{name} ({names[: i + 1].count(name)})" if names.count(name) > 1 else name for i, name in enumerate(names)]


def load_subject(wanted: Wanted, on_progress: Progress | None = None) -> Subject:
    """Loads a runtime.

    Args:
        wanted: which.
        on_progress: told how far it is.

    Returns:
        The runtime; the caller closes its grounder.

    Raises:
        ConfigurationError: no such model, or files that are not usable.
        BackendError: a package is missing, or the device failed.
    """
    config = replace(wanted.config, kept_images=1)
    device = device_of(config.device)
    is_anew = forget_peak()
    host, on_device, begin = resident_bytes(), used_on_device(device), time.monotonic()
    runtime = load_runtime(config, on_progress)
    load_s = time.monotonic() - begin
    grounder = LanguageModelGrounder(config, runtime=runtime)
    backend = runtime.backend
    return Subject(
        name=f"{wanted.title}, {backend.name} {backend.dtype}",
        wanted=wanted,
        runtime=runtime,
        grounder=grounder,
        step=step_bytes_of(config.model, backend.dtype),
        load_s=load_s,
        host_bytes=max(0.0, resident_bytes(peak=True) - host) if is_anew else math.nan,
        device_bytes=max(0.0, used - on_device) if math.isfinite(used := used_on_device(device)) else math.nan,
    )


def step_bytes_of(model: str, dtype: str) -> StepBytes | None:
    """What a step of one token of a model reads.

    Args:
        model: as the user names it.
        dtype: of the runtime's weights.

    Returns:
        None where its files do not tell.
    """
    folder = Path(model).expanduser()
    try:
        if has_graphs(folder):
            graphs = read_graphs(folder, LanguageModelGraphs)
            return graph_step_bytes(folder, layers=graphs.layers, cache_width=graphs.cache_width, dtype=graphs.dtype)
        from n3d_ros.model.checkpoint import resolve_source
        from n3d_ros.model.config import build_config, read_config

        shape = build_config(read_config(resolve_source(model, weights=False)), name=model)
        return checkpoint_step_bytes(shape.text_config.to_dict(), dtype)
    except (N3dError, KeyError, OSError):
        return None
