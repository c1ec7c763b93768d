"""From a folder of exported graphs to an engine that has passed its self-test, and from the cache to a runtime."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from n3d_ros.errors import BackendError, ConfigurationError
from n3d_ros.inference.graphs import (
    GOLDENS_FILE,
    ExportedGraphs,
    Progress,
    check_files,
)
from n3d_ros.inference.tensorrt.building import build_in_child
from n3d_ros.inference.tensorrt.job import BuildJob
from n3d_ros.inference.tensorrt.known_bad import warnings_about
from n3d_ros.inference.tensorrt.store import (
    ENGINE_REASON,
    EngineKey,
    EngineRecord,
    EngineStore,
    StoredEngine,
)
from n3d_ros.inference.tensorrt.targets import Target
from n3d_ros.whole_files import file_digest

logger = logging.getLogger(__name__)

MACHINE_FACTS = ("tensorrt", "gpu", "compute_capability", "multiprocessors", "driver")
_ROOM = 1.3  # of the weights: a plan, and what is written beside it
_TEST_SHARE = 0.1  # of the time of a build


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
        timing = str(store.timing_cache({name: facts[name] for name in MACHINE_FACTS}).resolve())
    graphs = target.profiles()
    # Of the time, by what a graph has to be built for.
    weights = {name: 1 + len(profiles) for name, profiles in graphs.items()}
    begin, whole = 0.0, sum(weights.values())
    for name, profiles in graphs.items():
        job = BuildJob(
            graph=str((target.folder / f"{name}{suffix}.onnx").resolve()),
            plan=str((staging / f"{name}.plan").resolve()),
            profiles=tuple(profile.dimensions for profile in profiles),
            workspace_bytes=int(target.options.workspace_gb * 2**30),
            timing_cache=timing,
            level=target.options.level,
            gpu=target.device.index or 0,
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
