"""From the settings to a runtime that is ready: weights, tokenizer, calibration. Nothing heavy is imported before."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from n3d_ros.codec.tokenizer import Tokenizer, load_tokenizer
from n3d_ros.errors import BackendError, ConfigurationError
from n3d_ros.inference.backend import InferenceBackend
from n3d_ros.inference.language_model.calibration import DEFAULT_CALIBRATION, Calibration, read_calibration
from n3d_ros.inference.language_model.config import BACKENDS, LanguageModelConfig
from n3d_ros.inference.replay_backend import ReplayBackend
from n3d_ros.inference.replay_records import REPLAY_FILE, read_records

Progress = Callable[[str, float], None]
"""Told a sentence and the share done, 0 to 1; it may raise to stop."""

_WEIGHTS_SHARE = 0.9  # of the time of loading
_USUAL_LENGTH = 600  # tokens of a 640x480 image, a prompt and some boxes, for which short steps are recorded on a GPU


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Runtime:
    """All that is needed to ask a model.

    Args:
        backend: computes.
        tokenizer: of the model.
        calibration: of its confidence.
        position_code: "reference", "aligned" or "none".
        facts: what the model is, in lines for people.
    """

    backend: InferenceBackend
    tokenizer: Tokenizer
    calibration: Calibration = DEFAULT_CALIBRATION
    position_code: str = "reference"
    facts: tuple[str, ...] = ()


def load_runtime(config: LanguageModelConfig, on_progress: Progress | None = None) -> Runtime:
    """The runtime that the settings name.

    Args:
        config: the settings.
        on_progress: told how far loading is.

    Returns:
        The runtime; the caller closes its backend.

    Raises:
        ConfigurationError: no model is named, or its files are not usable.
        BackendError: a package is missing, or the device failed.
    """
    if not config.model:
        raise ConfigurationError(
            "Parameter model: expected a folder or a hub id such as yuxinhk/N3D-VLM for the language model, got an "
            'empty string. Set it, or set grounder to "geometric".'
        )
    module, _, function = BACKENDS[config.backend].partition(":")
    load = getattr(importlib.import_module(module), function)
    runtime: Runtime = load(config, on_progress or (lambda _sentence, _share: None))
    return runtime


def load_torch(config: LanguageModelConfig, on_progress: Progress) -> Runtime:
    """The model in PyTorch.

    Args:
        config: the settings.
        on_progress: told how far loading is.

    Returns:
        The runtime.

    Raises:
        ConfigurationError: the model's files are not usable.
        BackendError: a package is missing, or the device failed.
    """
    try:
        from n3d_ros.inference.torch_backend import TorchBackend
        from n3d_ros.model.checkpoint import load_model, resolve_source
    except ImportError as error:
        raise BackendError(
            f"The language model needs the package {error.name}, which is not installed. Run "
            "`pip install 'n3d_ros[model]'`, or `make setup MODEL=1` in a checkout."
        ) from error
    tokenizer = load_tokenizer(resolve_source(config.model))  # first: it costs little and names a wrong folder
    loaded = load_model(
        config.model,
        dtype=config.dtype,  # type: ignore[arg-type]  # the config checks the choices
        device=config.device,
        position_code=None if config.position_code == "auto" else config.position_code,  # type: ignore[arg-type]
        on_progress=lambda sentence, share: on_progress(sentence, _WEIGHTS_SHARE * share),
        memory_limit_bytes=int(config.memory_limit_gb * 1e9) or None,
    )
    _check_tokenizer(tokenizer, loaded.config)
    on_progress("Building the runtime", _WEIGHTS_SHARE)
    graphs: Any = config.cuda_graphs
    backend = TorchBackend(loaded, capacity=config.capacity, cuda_graphs=graphs, compile=config.compile)
    backend.warm_up(min(_USUAL_LENGTH, config.capacity))
    return Runtime(
        backend=backend,
        tokenizer=tokenizer,
        calibration=read_calibration(loaded.folder),
        position_code=loaded.position_code,
        facts=tuple(loaded.card.lines()),
    )


def load_replay(config: LanguageModelConfig, on_progress: Progress) -> Runtime:
    """Recorded answers from a folder with a tokenizer and ``replay.json``.

    Args:
        config: the settings; ``model`` is the folder.
        on_progress: told how far loading is.

    Returns:
        The runtime.

    Raises:
        ConfigurationError: the files are missing or not usable.
    """
    folder = Path(config.model)
    on_progress(f"Reading recorded answers of {folder}", 0.0)
    tokenizer = load_tokenizer(folder)
    records = read_records(folder / REPLAY_FILE)
    return Runtime(
        backend=ReplayBackend(tokenizer, records, capacity=config.capacity),
        tokenizer=tokenizer,
        calibration=read_calibration(folder),
        facts=(f"{folder}: {len(records)} recorded answers, no model",),
    )


def _check_tokenizer(tokenizer: Tokenizer, model_config: Any) -> None:
    """Refuses a tokenizer whose image token is not the model's: images would be read as words."""
    if tokenizer.image_pad != int(model_config.image_token_id):
        raise ConfigurationError(
            f"Tokenizer: expected <|image_pad|> to be token {model_config.image_token_id}, as config.json says, got "
            f"{tokenizer.image_pad}. Take both from the same checkpoint."
        )
