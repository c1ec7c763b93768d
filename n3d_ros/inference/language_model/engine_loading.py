"""From the settings to a runtime of TensorRT engines: taken from the cache, or built where that is wanted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from n3d_ros.errors import BackendError, ConfigurationError
from n3d_ros.inference.language_model.config import LanguageModelConfig
from n3d_ros.inference.language_model.loading import USUAL_LENGTH, Progress, Runtime, missing_package, open_graphs

_BUILD_SHARE = 0.7  # of the time of loading, where an engine is checked, or built, first


def load_tensorrt(config: LanguageModelConfig, on_progress: Progress) -> Runtime:
    """A model's exported graphs as TensorRT engines.

    Args:
        config: the settings; ``model`` is a folder that ``n3d export`` wrote.
        on_progress: told how far loading, and building where that is wanted, is.

    Returns:
        The runtime.

    Raises:
        ConfigurationError: the model's files are not usable.
        BackendError: no TensorRT, no GPU, no engine that has passed its self-test, or too little memory.
    """
    try:
        from n3d_ros.inference.graphs import check_files
        from n3d_ros.inference.tensorrt.engines import build_engine
        from n3d_ros.inference.tensorrt.store import ENGINE_REASON, EngineStore
        from n3d_ros.inference.tensorrt.targets import EngineOptions, find_language_model
    except ImportError as error:
        raise missing_package(error) from error
    folder = Path(config.model).expanduser()
    on_progress(f"Looking for an engine of {folder}", 0.0)
    options = EngineOptions(capacity=config.capacity, long_side=config.long_side, device=config.device)
    target = find_language_model(folder, options)
    opened = open_graphs(folder, target.graphs, config, target.device)
    # The node removes no engine that the user keeps.
    store = EngineStore(Path(config.engine_cache) if config.engine_cache else None, limit_gb=0)
    small = {name: digest for name, digest in target.graphs.files.items() if not name.endswith((".onnx", ".data"))}
    check_files(folder, small)  # the engine itself is held against its own checksums
    if config.build_engine:
        try:  # the one that is there, where one is
            entry = build_engine(target, store, lambda text, done: on_progress(text, _BUILD_SHARE * done))
        except ConfigurationError as failure:  # no room, or graphs of before: another runtime may take them
            raise BackendError(failure.message, reason=ENGINE_REASON) from failure
    else:
        on_progress("Checking the engine", 0.1)
        entry = store.checked(target.key())
    record = entry.record
    assert record is not None
    on_progress("Loading the engine", _BUILD_SHARE)
    backend = target.runtime(entry.folder, cuda_graphs=config.cuda_graphs != "off")
    try:
        backend.warm_up(min(USUAL_LENGTH, config.capacity), caches=config.kept_images)
    except BaseException:
        backend.close()
        raise
    unused = [f"{'note':9} language_model.compile is for PyTorch alone"] if config.compile else []
    return replace(
        opened,
        backend=backend,
        facts=(
            *opened.facts,
            f"{'engine':9} {record.form} attention, {target.machine.in_words()}",
            *(f"{'note':9} {note}" for note in (*record.notes, *backend.notes)),
            *unused,
        ),
    )
