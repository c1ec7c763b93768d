"""Which runtime takes a model: the fastest that its files and this machine allow, and the next one where that fails.

::

    exported graphs    tensorrt -> torch with CUDA graphs -> onnx -> torch on the CPU
    weights            torch with CUDA graphs -> torch on the CPU

Torch needs the weights that graphs were made of, and takes them only where they are on this machine. Every step down is
logged with its reason, and stands among the model's facts.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from n3d_ros.errors import BackendError, ConfigurationError
from n3d_ros.inference.graphs import LanguageModelGraphs, has_graphs, read_graphs
from n3d_ros.inference.language_model.calibration import read_calibration
from n3d_ros.inference.language_model.config import LanguageModelConfig
from n3d_ros.inference.language_model.engine_loading import load_tensorrt
from n3d_ros.inference.language_model.loading import (
    Progress,
    Runtime,
    check_settings,
    load_onnx,
    load_torch,
    missing_package,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One runtime that may take the model.

    Args:
        name: for people.
        load: loads it.
        why_not: why it is not even tried; empty: it is.
    """

    name: str
    load: Callable[[Progress], Runtime]
    why_not: str = ""


def load_fitting(config: LanguageModelConfig, on_progress: Progress) -> Runtime:
    """The runtime that this machine and the model's files allow.

    Args:
        config: the settings.
        on_progress: told how far loading is.

    Returns:
        The runtime; among its facts what stands above it on the ladder, and why that was left.

    Raises:
        ConfigurationError: the model's files, or the settings, are not usable.
        BackendError: no runtime can take it.
    """
    left: list[str] = []
    errors: list[BackendError | ConfigurationError] = []
    for rung in ladder(config):
        if rung.why_not:
            left.append(f"not {rung.name}: {rung.why_not}")
            logger.info("Language model: %s", left[-1])
            continue
        try:
            runtime = rung.load(on_progress)
        except (BackendError, ConfigurationError) as error:
            if isinstance(error, ConfigurationError) and error.reason != "out_of_memory":
                raise
            # What it holds on to, weights among them, would take the next one's memory.
            error.__traceback__ = error.__cause__ = error.__context__ = None
            gc.collect()
            errors.append(error)
            left.append(f"not {rung.name}: {error.message}")
            logger.warning("Language model: %s", left[-1])
            continue
        return replace(runtime, facts=(*runtime.facts, *(f"{'note':9} {each}" for each in left)))
    if len(errors) == 1:
        raise errors[0]
    # Too little memory for the first is what the settings can mend.
    kind = ConfigurationError if errors and isinstance(errors[0], ConfigurationError) else BackendError
    raise kind(f"No runtime can take {config.model}: {' '.join(left)}", reason=errors[-1].reason if errors else None)


def ladder(config: LanguageModelConfig) -> Iterator[Rung]:
    """The runtimes that may take a model, the fastest first.

    Args:
        config: the settings.

    Yields:
        Rungs.

    Raises:
        ConfigurationError: no such device, or a folder of graphs that cannot be read.
        BackendError: torch is not installed.
    """
    try:
        from n3d_ros.weights.placement import choose_device
    except ImportError as error:
        raise missing_package(error) from error
    has_gpu = choose_device(config.device).type == "cuda"
    may_use_cpu = config.device in ("auto", "cpu")
    folder = Path(config.model).expanduser()
    if not has_graphs(folder):
        if has_gpu:
            yield Rung(name="PyTorch on the GPU", load=_with(load_torch, config))
        if may_use_cpu:
            yield Rung(name="PyTorch on the CPU", load=_with(load_torch, replace(config, device="cpu")))
        return
    graphs = read_graphs(folder, LanguageModelGraphs)
    check_settings(folder, graphs, config)
    why_not = why_no_weights(graphs)
    if has_gpu:
        yield Rung(name="TensorRT", load=_with(load_tensorrt, config))
        yield Rung(name="PyTorch on the GPU", load=_in_their_place(config, folder, graphs), why_not=why_not)
    yield Rung(name="ONNX Runtime", load=_with(load_onnx, config))
    if may_use_cpu:
        slow = replace(config, device="cpu")
        yield Rung(name="PyTorch on the CPU", load=_in_their_place(slow, folder, graphs), why_not=why_not)


def weights_of(graphs: LanguageModelGraphs) -> str:
    """The weights that graphs were made of, where they can be read without a network.

    Args:
        graphs: what they are.

    Returns:
        The model as users name it; empty where it is not here.
    """
    from n3d_ros.model.packaged import PACKAGED_NAME

    if graphs.source == PACKAGED_NAME:
        return graphs.source
    folder = Path(graphs.source).expanduser()
    return str(folder) if folder.is_absolute() and folder.is_dir() else ""


def why_no_weights(graphs: LanguageModelGraphs) -> str:
    """Why PyTorch cannot compute what graphs do.

    Args:
        graphs: what they are.

    Returns:
        A few words; empty where it can.
    """
    if graphs.weights != "float":
        return f"PyTorch does not run weights in {graphs.weights}"
    return "" if weights_of(graphs) else f"the weights of {graphs.source} are not on this machine"


def load_weights_of(graphs: LanguageModelGraphs, config: LanguageModelConfig, on_progress: Progress) -> Runtime:
    """The very weights that graphs were made of, in PyTorch and in the graphs' precision.

    Args:
        graphs: what they are; ``why_no_weights`` says nothing against it.
        config: the settings; model, dtype and position code are the graphs'.
        on_progress: told how far loading is.

    Returns:
        The runtime.

    Raises:
        BackendError: they are others by now, or cannot be loaded.
    """
    named = replace(config, model=weights_of(graphs), dtype=graphs.dtype, position_code=graphs.position_code)
    try:
        return load_torch(named, on_progress, expected=graphs.weights_files)
    except ConfigurationError as error:  # of a folder that the user did not name
        raise BackendError(error.message, reason=error.reason) from error


def _with(
    load: Callable[[LanguageModelConfig, Progress], Runtime], config: LanguageModelConfig
) -> Callable[[Progress], Runtime]:
    return lambda on_progress: load(config, on_progress)


def _in_their_place(
    config: LanguageModelConfig, folder: Path, graphs: LanguageModelGraphs
) -> Callable[[Progress], Runtime]:
    """Loads weights in the place of their graphs, whose calibration stays."""
    return lambda on_progress: replace(
        load_weights_of(graphs, config, on_progress), calibration=read_calibration(folder)
    )
