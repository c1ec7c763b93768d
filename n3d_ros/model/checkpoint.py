"""From a folder or a hub id to a model that runs: checked whole, then read tensor by tensor to where it is used.

::

    folder = resolve_source(source)                     a folder, or a download the user named
    files, config                                       every header and name checked, nothing allocated yet
    model on the meta device                            shapes without memory
    MemoryPlan.check                                    what it takes, what there is
    weights, block by block, in the wanted dtype        at most 64 MiB beside the weights themselves

Old names (``visual.*``, ``model.layers.*``) and new ones (``model.visual.*``, ``model.language_model.*``) are both read.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from safetensors.torch import save_file
from transformers import Qwen2_5_VLConfig

from n3d_ros.errors import BackendError, ConfigurationError, N3dError
from n3d_ros.model.card import CARD_FILE, LICENCES, UNKNOWN_LICENCE, CardFile, ModelCard, OwnCard, make_card
from n3d_ros.model.config import CONFIG_FILE, build_config, choose_position_code, read_config, size_name
from n3d_ros.model.half_precision import guard_half_precision
from n3d_ros.model.memory import MemoryPlan, available_bytes, gigabytes, place_name
from n3d_ros.model.n3d_vlm import N3dVlm
from n3d_ros.model.position_code import PositionCode
from n3d_ros.model.weight_files import (
    DTYPES,
    INDEX_FILE,
    SINGLE_FILE,
    StoredTensor,
    StreamReader,
    WeightFile,
    find_weight_files,
    listing,
)

logger = logging.getLogger(__name__)

Progress: TypeAlias = Callable[[str, float], None]
DtypeName: TypeAlias = Literal["auto", "bfloat16", "float16", "float32"]

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
HUB_PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.jinja", "README*", "LICENSE*"]
OLD_NAMES = (  # prefix on disk in releases before transformers 4.52, prefix in memory; the first that fits is taken
    ("model.visual.", "model.visual."),
    ("model.language_model.", "model.language_model."),
    ("visual.", "model.visual."),
    ("model.", "model.language_model."),
)
COMPUTED = re.compile(r"\brotary(_pos)?_emb\.(original_)?inv_freq$")  # tables that some releases stored; made here
HEAD, EMBEDDINGS = "lm_head.weight", "model.language_model.embed_tokens.weight"
SHARD_BYTES = 5_000_000_000  # as published models are cut
READING_BEGINS, READING_ENDS = 0.05, 0.98  # of the progress


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedModel:
    """A model and what is known of it.

    Args:
        model: in evaluation mode, on its device.
        config: its configuration.
        position_code: the mode it runs in.
        card: to be shown.
        folder: of the checkpoint; the tokenizer lies there too.
    """

    model: N3dVlm
    config: Qwen2_5_VLConfig
    position_code: PositionCode
    card: ModelCard
    folder: Path


def load_model(
    source: str | Path,
    *,
    dtype: DtypeName = "auto",
    device: str = "auto",
    position_code: PositionCode | None = None,
    on_progress: Progress | None = None,
    memory_limit_bytes: int | None = None,
    hashes: bool = True,
) -> LoadedModel:
    """The model of a checkpoint: N3D-VLM as released, stock Qwen2.5-VL, or ours.

    Args:
        source: a folder, or the id "owner/name" of a repository on the hub.
        dtype: of the weights; "auto" takes the checkpoint's on a GPU, and float32 on the CPU where that fits.
        device: "cpu", "cuda", "cuda:1"; "auto" takes a GPU if there is one.
        position_code: a mode instead of what the checkpoint says.
        on_progress: called with a sentence and the share done, 0 to 1.
        memory_limit_bytes: most that the weights may take, on top of what the device has.
        hashes: whether the card gets each file's sha256; made while the weights are read.

    Returns:
        The model and its card.

    Raises:
        ConfigurationError: files that are absent, damaged or of another kind of model, or too little memory.
        BackendError: the device failed.
    """
    tell = on_progress or (lambda _sentence, _share: None)
    tell(f"Looking for {source}", 0.0)
    folder = resolve_source(source)
    data = read_config(folder)
    choice = choose_position_code(data, hub_id=hub_id_of(source), override=position_code)
    config = build_config(data, name=str(folder / CONFIG_FILE))
    config.position_code = choice.mode
    files = find_weight_files(folder)

    tell("Checking names and shapes", 0.02)
    model = _without_weights(config)
    targets = _targets(model, files, folder)
    where = choose_device(device)
    stored = _stored_dtype(files)
    kind = _choose_dtype(dtype, where, stored, model, memory_limit_bytes)
    plan = _memory_plan(model, kind, where, memory_limit_bytes)
    logger.info("%s: %s.", source, plan.sentence())
    plan.check()
    if choice.assumed:
        logger.warning(
            "%s: position code 'reference' %s. Put \"position_code\": \"reference\", \"aligned\" or \"none\" (stock weights) "
            "into it, or set the parameter position_code.", source, choice.reason,
        )  # fmt: skip

    card_files = _fill(model, files, targets, kind, where, tell, hashes=hashes)
    if kind == torch.float16:
        guard_half_precision(model)
    card = make_card(
        source=str(source), folder=folder, files=card_files, config=config, choice=choice, plan=plan,
        stored_dtype=_word(stored), dtype=_word(kind),
    )  # fmt: skip
    tell(f"Loaded {card.name}", 1.0)
    return LoadedModel(model=model.eval(), config=config, position_code=choice.mode, card=card, folder=folder)


def resolve_source(source: str | Path) -> Path:
    """The folder of a checkpoint: the one named, or the local copy of a repository on the hub, downloaded if need be.

    Args:
        source: a folder, or "owner/name".

    Returns:
        The folder.

    Raises:
        ConfigurationError: no such folder and no such repository, or no connection.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise ConfigurationError(f"model: expected the folder of a checkpoint, got the file {folder}; name its folder.")
    name = hub_id_of(source)
    if name is None:
        raise ConfigurationError(
            f"model: there is no folder {folder}; name the folder of a checkpoint, or a hub id 'owner/name'."
        )
    return _download(name)


def hub_id_of(source: str | Path) -> str | None:
    """The hub id in what a user named.

    Args:
        source: of ``load_model``.

    Returns:
        "owner/name"; None when it is a folder that exists, or looks like a path.
    """
    text = str(source)
    if isinstance(source, Path) or Path(text).expanduser().exists() or not HUB_ID.fullmatch(text):
        return None
    return text


def choose_device(device: str) -> torch.device:
    """The device of that name.

    Args:
        device: "auto", "cpu", "cuda" or "cuda:i".

    Returns:
        The device, with its number.

    Raises:
        ConfigurationError: there is no such device.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        device = "cuda:0" if count else "cpu"
    if device == "cpu":
        return torch.device("cpu")
    match = re.fullmatch(r"cuda(?::(\d{1,3}))?", device)
    if match is None:
        raise ConfigurationError(f"device: expected auto, cpu, cuda or cuda:<number>, got {device!r}.")
    index = int(match[1] or 0)
    if index >= count:
        raise ConfigurationError(
            f"device: {device} was asked for and {f'{count} GPUs are' if count else 'no GPU is'} visible to torch "
            f"{torch.__version__}; choose cpu or auto, or install torch for your GPU."
        )
    return torch.device("cuda", index)


def save_model(model: N3dVlm, folder: Path, *, card: OwnCard | None = None, shard_bytes: int = SHARD_BYTES) -> None:
    """Writes a model as a checkpoint of ours: config.json with its position code, safetensors, and a card.

    The tokenizer's files are the caller's to copy.

    Args:
        model: with its weights.
        folder: made if need be; files of a former checkpoint in it are replaced.
        card: what to say of the weights; by default the licence that their shape implies.
        shard_bytes: largest file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in [*folder.glob("model*.safetensors"), folder / INDEX_FILE]:
        old.unlink(missing_ok=True)
    tied = model.lm_head.weight is model.model.language_model.embed_tokens.weight
    tensors = {name: tensor for name, tensor in model.state_dict().items() if not (tied and name == HEAD)}
    shards = _shards(tensors, shard_bytes)
    names = [f"model-{number:05d}-of-{len(shards):05d}.safetensors" for number in range(1, len(shards) + 1)]
    names = [SINGLE_FILE] if len(shards) == 1 else names
    for name, shard in zip(names, shards, strict=True):
        save_file({key: _own_memory(tensors[key]) for key in shard}, folder / name, metadata={"format": "pt"})
    if len(shards) > 1:
        total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        weight_map = {key: name for name, shard in zip(names, shards, strict=True) for key in shard}
        _write_json(folder / INDEX_FILE, {"metadata": {"total_size": total}, "weight_map": weight_map})
    licence, note = LICENCES.get(size_name(model.config) or "", UNKNOWN_LICENCE)
    _write_json(folder / CARD_FILE, asdict(card or OwnCard(licence=licence, licence_note=note)))
    _write_json(folder / CONFIG_FILE, _saved_config(model))  # last: without it the folder is no checkpoint


def _download(name: str) -> Path:
    """The snapshot of a repository; without a connection when it is complete already."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, allow_patterns=HUB_PATTERNS, local_files_only=True))
        read_config(folder)
        find_weight_files(folder)
    except (LocalEntryNotFoundError, ConfigurationError, ValueError, OSError):
        logger.info("%s: downloading from the hub.", name)
    else:
        return folder
    try:
        return Path(snapshot_download(name, allow_patterns=HUB_PATTERNS))
    except (HfHubHTTPError, LocalEntryNotFoundError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigurationError(
            f"model: there is no folder {name!r} here, and the repository of that id cannot be had from the hub: {reason} "
            "Check the name and the connection, or download it elsewhere and name the folder."
        ) from error


def _without_weights(config: Qwen2_5_VLConfig) -> N3dVlm:
    """The model on the meta device: shapes and no memory."""
    try:
        with torch.device("meta"):
            return N3dVlm(config)
    except N3dError:
        raise
    except Exception as error:  # numbers that no check of ours has met
        raise ConfigurationError(
            f"{CONFIG_FILE}: no model can be made from it: {' '.join(str(error).split())[:400]}"
        ) from error


def _model_name(stored: str) -> str:
    """The name in memory of a tensor's name on disk."""
    for old, new in OLD_NAMES:
        if stored.startswith(old):
            return new + stored[len(old) :]
    return stored


def _targets(model: N3dVlm, files: Iterable[WeightFile], folder: Path) -> dict[str, torch.nn.Parameter]:
    """Stored name to parameter, for all that is to be read. Raises an error that names all that does not fit."""
    wanted = dict(model.named_parameters(remove_duplicate=False))
    tied = wanted[HEAD] is wanted[EMBEDDINGS]
    targets: dict[str, torch.nn.Parameter] = {}
    found: dict[str, str] = {}
    extra, misshapen, twice = [], [], []
    for tensor in (tensor for file in files for tensor in file.tensors if not COMPUTED.search(tensor.name)):
        name = _model_name(tensor.name)
        if name not in wanted:
            extra.append(tensor.name)
        elif tensor.shape != tuple(wanted[name].shape) or tensor.dtype not in DTYPES:
            expected = f"expected {tuple(wanted[name].shape)} of {'/'.join(DTYPES)}"
            misshapen.append(f"{tensor.name} {tensor.shape} {tensor.dtype} ({expected})")
        elif name in found:
            twice.append(f"{found[name]} and {tensor.name}")
        else:
            targets[tensor.name] = wanted[name]
        found.setdefault(name, tensor.name)
    absent = sorted(name for name in wanted if name not in found and not (tied and name in (HEAD, EMBEDDINGS)))
    if tied and HEAD not in found and EMBEDDINGS not in found:
        absent.append(EMBEDDINGS)
    _refuse(folder, model, {"missing": absent, "extra": extra, "misshapen": misshapen, "stored twice": twice})
    return targets


def _refuse(folder: Path, model: N3dVlm, problems: Mapping[str, list[str]]) -> None:
    """Raises an error that names what does not fit, if anything does not."""
    if not any(problems.values()):
        return
    told = "; ".join(f"{len(names)} {kind}: {listing(names)}" for kind, names in problems.items() if names)
    hint = "config.json and the weights do not belong together, or the copy is not complete"
    if problems["missing"] == [HEAD]:
        hint = "if the head shares the embeddings, set tie_word_embeddings to true in config.json"
    raise ConfigurationError(
        f"{folder}: the weights do not fit {CONFIG_FILE} ({len(dict(model.named_parameters()))} tensors expected). {told}. {hint}."
    )


def _stored_dtype(files: Iterable[WeightFile]) -> torch.dtype:
    """The dtype that most of the bytes have."""
    sizes: dict[str, int] = {}
    for tensor in (tensor for file in files for tensor in file.tensors):
        sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.end - tensor.begin
    return DTYPES[max(sizes, key=lambda word: sizes[word])]


def _choose_dtype(
    wanted: DtypeName, device: torch.device, stored: torch.dtype, model: N3dVlm, limit_bytes: int | None
) -> torch.dtype:
    """The dtype to hold the weights in."""
    dtypes = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
    if wanted in dtypes:
        return dtypes[wanted]
    if wanted != "auto":
        raise ConfigurationError(f"dtype: expected auto, {', '.join(dtypes)}, got {wanted!r}.")
    stored = torch.float32 if stored == torch.float64 else stored
    if device.type == "cuda":
        old = stored == torch.bfloat16 and not torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.float16 if old else stored
    if stored != torch.float32 and not _memory_plan(model, torch.float32, device, limit_bytes).fits:
        logger.warning("float32, which the CPU computes fastest, does not fit; keeping %s.", _word(stored))
        return stored
    return torch.float32


def _memory_plan(model: N3dVlm, dtype: torch.dtype, device: torch.device, limit_bytes: int | None) -> MemoryPlan:
    """What the weights take in that dtype there."""
    count = sum(parameter.numel() for parameter in model.parameters())
    free = available_bytes(device, limit_bytes=limit_bytes)
    return MemoryPlan(
        parameters=count, weight_bytes=count * dtype.itemsize, available_bytes=free, place=place_name(device)
    )


def _fill(
    model: N3dVlm,
    files: list[WeightFile],
    targets: Mapping[str, torch.nn.Parameter],
    dtype: torch.dtype,
    device: torch.device,
    tell: Progress,
    *,
    hashes: bool,
) -> tuple[CardFile, ...]:
    """Gives the model memory and the weights of the files; says what the files are."""
    try:
        places = _materialise(model, dtype, device)
        receiver = _Receiver({name: places[id(target)] for name, target in targets.items()}, files, tell)
        cards = []
        with StreamReader(pinned=device.type == "cuda", hashed=hashes).closing() as reader:
            for file in files:
                digest = reader.read(file, receiver.take)
                receiver.finish(file)
                cards.append(CardFile(name=file.path.name, size_bytes=file.size_bytes, sha256=digest))
    except torch.OutOfMemoryError as error:
        raise BackendError(
            f"{place_name(device)}: out of memory while the weights were loaded: {str(error).split('.')[0]}. Something else "
            "took it meanwhile; free memory or choose a smaller dtype.",
            reason="out_of_memory",
        ) from error
    return tuple(cards)


class _Receiver:
    """Takes blocks of stored tensors to their places, and tells how far reading has come."""

    def __init__(self, places: Mapping[str, torch.Tensor], files: Iterable[WeightFile], tell: Progress) -> None:
        self._places = places
        self._tell = tell
        self._owners: dict[int, str] = {}
        self._total = sum(file.size_bytes for file in files)
        self._file_begin = 0
        self._shown = -1.0

    def take(self, tensor: StoredTensor, start: int, block: torch.Tensor) -> None:
        """Copies one block; where two stored tensors share a place (a tied head that is stored too), compares."""
        place = self._places.get(tensor.name)
        if place is not None:
            there = place.view(-1)[start : start + len(block)]
            if self._owners.setdefault(place.data_ptr(), tensor.name) == tensor.name:
                there.copy_(block)
                _refuse_overflow(there, block, tensor)
            elif not torch.equal(there, block.to(there.device, there.dtype)):
                raise ConfigurationError(
                    f"{tensor.name} differs from {self._owners[place.data_ptr()]}, while {CONFIG_FILE} says that they are one "
                    "(tie_word_embeddings); set tie_word_embeddings to false if the weights were trained apart."
                )
        self._show(self._file_begin + tensor.begin + start * block.element_size())

    def finish(self, file: WeightFile) -> None:
        """Goes on to the next file."""
        self._file_begin += file.size_bytes

    def _show(self, done: int) -> None:
        """Tells the progress, at most a hundred times."""
        share = done / self._total
        if share >= self._shown + 0.01:
            self._shown = share
            sentence = f"Reading weights ({gigabytes(done)} of {gigabytes(self._total)})"
            self._tell(sentence, READING_BEGINS + share * (READING_ENDS - READING_BEGINS))


def _refuse_overflow(there: torch.Tensor, block: torch.Tensor, tensor: StoredTensor) -> None:
    """Refuses weights that float16 cannot hold."""
    if there.dtype == torch.float16 and block.dtype != torch.float16 and not bool(there.isfinite().all()):
        raise ConfigurationError(
            f"{tensor.name} holds numbers beyond 65504, which float16 cannot hold; load it in bfloat16."
        )


def _materialise(model: N3dVlm, dtype: torch.dtype, device: torch.device) -> dict[int, torch.Tensor]:
    """Exchanges each parameter on the meta device for memory, tied ones once; id of the former one to the new one's data.

    Tables that are computed (rotary frequencies) are made anew by their modules, in float32.
    """
    former: dict[int, torch.nn.Parameter] = {}  # keeps the former ones alive, so that their ids stay theirs
    new: dict[int, torch.nn.Parameter] = {}
    for module in model.modules():
        for leaf, parameter in module._parameters.items():
            if parameter is None:
                continue
            if id(parameter) not in new:
                former[id(parameter)] = parameter
                new[id(parameter)] = torch.nn.Parameter(torch.empty(parameter.shape, dtype=dtype, device=device))
            module._parameters[leaf] = new[id(parameter)]
        if module._buffers:
            fresh = type(module)(module.config)
            for leaf in module._buffers:
                module._buffers[leaf] = fresh._buffers[leaf].to(device)
    return {key: parameter.data for key, parameter in new.items()}


def _shards(tensors: Mapping[str, torch.Tensor], shard_bytes: int) -> list[list[str]]:
    """The names in groups of at most that many bytes, or of one tensor that is larger."""
    shards: list[list[str]] = [[]]
    used = 0
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        if shards[-1] and used + size > shard_bytes:
            shards.append([])
            used = 0
        shards[-1].append(name)
        used += size
    return shards


def _own_memory(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor alone in its memory, as the file format wants it; runtimes may have joined several."""
    alone = tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if alone else tensor.clone(memory_format=torch.contiguous_format)


def _saved_config(model: N3dVlm) -> dict[str, object]:
    """config.json: what transformers would write, so that its own class reads it too, and the position code."""
    data = model.config.to_dict()
    data |= {"architectures": ["Qwen2_5_VLForConditionalGeneration"], "position_code": model.position_code}
    data["dtype"] = _word(model.lm_head.weight.dtype)
    return json.loads(json.dumps(data, default=str))


def _write_json(file: Path, data: object) -> None:
    """Writes it whole or not at all."""
    part = file.with_name(file.name + ".part")
    part.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    os.replace(part, file)


def _word(dtype: torch.dtype) -> str:
    """Such as "bfloat16"."""
    return str(dtype).removeprefix("torch.")
