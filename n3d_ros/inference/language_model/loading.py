"""From the settings to a runtime that is ready: weights, tokenizer, calibration. Nothing heavy is imported before."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from n3d_ros.codec.input_options import InputOptions, read_input_options
from n3d_ros.codec.tokenizer import Tokenizer, load_tokenizer
from n3d_ros.errors import BackendError, ConfigurationError
from n3d_ros.inference.backend import InferenceBackend
from n3d_ros.inference.language_model.calibration import DEFAULT_CALIBRATION, Calibration, read_calibration
from n3d_ros.inference.language_model.config import BACKENDS, LanguageModelConfig
from n3d_ros.inference.replay_backend import ReplayBackend
from n3d_ros.inference.replay_records import REPLAY_FILE, read_records

if TYPE_CHECKING:
    from n3d_ros.inference.graphs import LanguageModelGraphs
    from n3d_ros.weights.memory import MemoryPlan

Progress = Callable[[str, float], None]
"""Told a sentence and the share done, 0 to 1; it may raise to stop."""

_WEIGHTS_SHARE = 0.9  # of the time of loading
_GENERATION_FILE = "generation_config.json"
_TOKEN_KEYS = {
    "image_token_id": "image_pad",
    "vision_start_token_id": "vision_start",
    "vision_end_token_id": "vision_end",
}
"""Key of config.json and the special token that it means."""
USUAL_LENGTH = 600  # tokens of a 640x480 image, a prompt and some boxes, for which short steps are recorded on a GPU


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Runtime:
    """All that is needed to ask a model.

    Args:
        backend: computes.
        tokenizer: of the model.
        calibration: of its confidence.
        position_code: "reference", "aligned" or "none".
        options: how frames are shown to the model, as its folder says.
        facts: what the model is, in lines for people.
    """

    backend: InferenceBackend
    tokenizer: Tokenizer
    calibration: Calibration = DEFAULT_CALIBRATION
    position_code: str = "reference"
    options: InputOptions = field(default_factory=InputOptions)
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
            "Parameter model: expected a folder, a hub id such as yuxinhk/N3D-VLM, or n3d-nano for the language model, "
            'got an empty string. Set it, or set grounder to "geometric".'
        )
    module, _, function = BACKENDS[config.backend].partition(":")
    load = getattr(importlib.import_module(module), function)
    runtime: Runtime = load(config, on_progress or (lambda _sentence, _share: None))
    return runtime


def load_torch(
    config: LanguageModelConfig, on_progress: Progress, *, expected: Mapping[str, str] | None = None
) -> Runtime:
    """The model in PyTorch.

    Args:
        config: the settings.
        on_progress: told how far loading is.
        expected: sha256 that files of the weights must have, by name; None: any.

    Returns:
        The runtime.

    Raises:
        ConfigurationError: the model's files are not usable.
        BackendError: a package is missing, or the device failed.
    """
    try:
        from n3d_ros.inference.graphs import has_graphs
        from n3d_ros.inference.torch_backend import TorchBackend
        from n3d_ros.model.checkpoint import load_model, resolve_source
        from n3d_ros.model.memory import RuntimeRoom
    except ImportError as error:
        raise missing_package(error) from error
    on_progress(f"Looking for {config.model}", 0.0)
    if has_graphs(Path(config.model).expanduser()):
        raise ConfigurationError(
            f"model: {config.model} holds exported graphs, which PyTorch does not run; set language_model.backend to "
            "auto or onnx, or name the weights they were made of."
        )
    # First what is small: a wrong folder, or a tokenizer of another model, is named before anything large is fetched.
    folder = resolve_source(
        config.model, on_progress=lambda sentence, _share: on_progress(sentence, 0.0), weights=False
    )
    tokenizer = load_tokenizer(folder)
    check_tokenizer(tokenizer, folder)
    stored = read_input_options(folder)
    options = input_options(config, stored)
    loaded = load_model(
        config.model,
        dtype=config.dtype,  # type: ignore[arg-type]  # the config checks the choices
        device=config.device,
        position_code=None if config.position_code == "auto" else config.position_code,  # type: ignore[arg-type]
        on_progress=lambda sentence, share: on_progress(sentence, _WEIGHTS_SHARE * share),
        memory_limit_bytes=int(config.memory_limit_gb * 1e9) or None,
        room=RuntimeRoom(caches=config.kept_images, capacity=config.capacity, long_side=options.long_side),
    )
    found = {file.name: file.sha256 for file in loaded.card.files}
    if expected and any(found.get(name) != digest for name, digest in expected.items()):
        raise BackendError(
            f"{config.model}: its weights are not those that the graphs were made of; export them again."
        )
    on_progress("Building the runtime", _WEIGHTS_SHARE)
    graphs: Any = config.cuda_graphs
    backend = TorchBackend(loaded, capacity=config.capacity, cuda_graphs=graphs, compile=config.compile)
    backend.warm_up(min(USUAL_LENGTH, config.capacity), caches=config.kept_images)
    return Runtime(
        backend=backend,
        tokenizer=tokenizer,
        calibration=read_calibration(loaded.folder),
        position_code=loaded.position_code,
        options=stored,
        facts=(*loaded.card.lines(), f"{'images':9} {options.long_side} px long", *backend.notes),
    )


def load_onnx(config: LanguageModelConfig, on_progress: Progress) -> Runtime:
    """A model's exported graphs in ONNX Runtime.

    Args:
        config: the settings; ``model`` is a folder that ``n3d export`` wrote.
        on_progress: told how far loading is.

    Returns:
        The runtime.

    Raises:
        ConfigurationError: the model's files are not usable.
        BackendError: a package is missing, or the device failed.
    """
    try:
        from n3d_ros.inference.graphs import LanguageModelGraphs, check_files, read_graphs
        from n3d_ros.inference.onnx_backend import OnnxBackend, check_device
        from n3d_ros.inference.onnx_session import choose_runtime_device
    except ImportError as error:
        raise missing_package(error) from error
    folder = Path(config.model).expanduser()
    on_progress(f"Looking for graphs in {folder}", 0.0)
    graphs = read_graphs(folder, LanguageModelGraphs)
    device = choose_runtime_device(config.device)
    check_device(graphs, device)
    opened = open_graphs(folder, graphs, config, device)
    check_files(folder, graphs.files, lambda sentence, share: on_progress(sentence, share * _WEIGHTS_SHARE))
    on_progress("Building the runtime", _WEIGHTS_SHARE)
    backend = OnnxBackend(folder, graphs, capacity=config.capacity, device=device)
    unused = [
        name for name, value in (("compile", config.compile), ("cuda_graphs", config.cuda_graphs == "on")) if value
    ]
    notes = [f"{'note':9} language_model.{name} is not for ONNX Runtime; it runs without" for name in unused]
    return replace(opened, backend=backend, facts=(*opened.facts, *notes))


def check_settings(folder: Path, graphs: LanguageModelGraphs, config: LanguageModelConfig) -> None:
    """Refuses settings that graphs are not made for, whatever would run them.

    Args:
        folder: of the graphs.
        graphs: what they are.
        config: the settings.

    Raises:
        ConfigurationError: naming the setting.
    """
    for name, wanted, made in (
        ("dtype", config.dtype, graphs.dtype),
        ("position_code", config.position_code, graphs.position_code),
    ):
        if wanted not in ("auto", made):
            raise ConfigurationError(
                f"language_model.{name}: expected auto or {made}, which the graphs of {folder} are made with, got "
                f"{wanted}; export the model anew, or name its weights."
            )


def open_graphs(folder: Path, graphs: LanguageModelGraphs, config: LanguageModelConfig, device: Any) -> Runtime:
    """All that is needed beside a runtime of exported graphs, when the settings are for them.

    Args:
        folder: of the graphs.
        graphs: what they are.
        config: the settings.
        device: torch device where they go.

    Returns:
        A runtime that lacks its backend.

    Raises:
        ConfigurationError: settings that the graphs are not made for, or files that are not usable.
        BackendError: too little memory.
    """
    check_settings(folder, graphs, config)
    tokenizer, stored = load_tokenizer(folder), read_input_options(folder)
    check_tokenizer(tokenizer, folder)
    options = input_options(config, stored)
    memory_plan_of_graphs(folder, graphs, config, device, options.long_side).check()
    absent: Any = None  # the caller fills it in
    return Runtime(
        backend=absent,
        tokenizer=tokenizer,
        calibration=read_calibration(folder),
        position_code=graphs.position_code,
        options=stored,
        facts=(*graphs.lines(), f"{'images':9} {options.long_side} px long"),
    )


def memory_plan_of_graphs(
    folder: Path, graphs: LanguageModelGraphs, config: LanguageModelConfig, device: Any, long_side: int
) -> MemoryPlan:
    """What exported graphs take, and what there is.

    Args:
        folder: of the graphs.
        graphs: what they are.
        config: with the caches and a limit.
        device: torch device where they go.
        long_side: longer side of the images, pixels.

    Returns:
        The plan.
    """
    from n3d_ros.model.config import build_config, read_config
    from n3d_ros.model.memory import RuntimeRoom
    from n3d_ros.model.placement import CACHE_ADVICE
    from n3d_ros.weights.memory import MemoryPlan, available_bytes, place_name

    shape = build_config(read_config(folder), name=str(folder))
    room = RuntimeRoom(caches=config.kept_images, capacity=config.capacity, long_side=long_side)
    itemsize = 4 if graphs.dtype == "float32" else 2
    weights = [folder / name for name in graphs.files if name.endswith((".data", ".safetensors"))]
    weight_bytes = sum(file.stat().st_size for file in weights if file.is_file())  # a missing one is named later
    return MemoryPlan(
        parameters=weight_bytes // itemsize,
        weight_bytes=weight_bytes,
        available_bytes=available_bytes(device, limit_bytes=int(config.memory_limit_gb * 1e9) or None),
        place=place_name(device),
        cache_bytes=room.cache_bytes(shape, itemsize),
        working_bytes=room.working_bytes(shape),
        advice=CACHE_ADVICE,
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
        options=read_input_options(folder),
        facts=(f"{folder}: {len(records)} recorded answers, no model",),
    )


def input_options(config: LanguageModelConfig, stored: InputOptions) -> InputOptions:
    """How frames are shown to a model: as the user set it, else as its folder says.

    Args:
        config: the settings.
        stored: of the folder.

    Returns:
        The options.
    """
    normalization = stored.normalization if config.normalization == "auto" else config.normalization
    return replace(stored, long_side=config.long_side or stored.long_side, normalization=normalization)


def check_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Refuses a tokenizer that is not the model's: images would be read as words, or answers as other words.

    Args:
        tokenizer: of the folder.
        folder: of the checkpoint, with config.json and, where there is one, generation_config.json.

    Raises:
        ConfigurationError: it has more ids than the model has rows, or other ids for what config.json names.
    """
    from n3d_ros.model.config import build_config, read_config
    from n3d_ros.weights.json_files import CONFIG_FILE, read_json

    data = read_config(folder)
    rows = int(build_config(data, name=str(folder / CONFIG_FILE)).text_config.vocab_size)
    problems = []
    if tokenizer.vocab_size > rows:
        problems.append(f"expected at most {rows} ids, as many as the model has rows, got {tokenizer.vocab_size}")
    given = {**_part(data, "text_config"), **data}
    for key, word in _TOKEN_KEYS.items():
        token = getattr(tokenizer, word)
        if given.get(key) is not None and given[key] != token:
            problems.append(f"expected <|{word}|> to be token {given[key]}, as {key} says, got {token}")
    generation = folder / _GENERATION_FILE
    ends = (read_json(generation) if generation.is_file() else {}).get("eos_token_id", given.get("eos_token_id"))
    wanted = ends if isinstance(ends, list) else [] if ends is None else [ends]
    if wanted and not set(wanted) & set(tokenizer.eos_ids):
        problems.append(
            f"expected an answer to end with one of tokens {wanted}, as eos_token_id says, got "
            f"{list(tokenizer.eos_ids)}"
        )
    if problems:
        raise ConfigurationError(
            f"Tokenizer of {folder}: {'; '.join(problems)}. Take tokenizer and {CONFIG_FILE} from the same checkpoint."
        )


def missing_package(error: ImportError) -> BackendError:
    """What to do about a package that does not import.

    Args:
        error: of the import.

    Returns:
        The error to raise.
    """
    return BackendError(
        f"The language model needs the package {error.name}, which is not installed. Run "
        "`pip install 'n3d_ros[model]'`, or `make setup MODEL=1` in a checkout."
    )


def _part(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An object within an object; empty where there is none."""
    part = data.get(key)
    return part if isinstance(part, dict) else {}
