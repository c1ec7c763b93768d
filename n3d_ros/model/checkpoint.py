"""From a folder or a hub id to a model that runs: checked whole, then read tensor by tensor to where it is used.

::

    folder = resolve_source(source)                     a folder, or a download the user named
    files, config                                       every header and name checked, nothing allocated yet
    model on the meta device                            shapes without memory
    MemoryPlan.check                                    what it takes, what there is
    weights, block by block, in the wanted dtype        at most 64 MiB beside the weights themselves

Old names (``visual.*``, ``model.layers.*``) and new ones (``model.visual.*``, ``model.language_model.*``) are both
read.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import Qwen2_5_VLConfig

from n3d_ros.errors import ConfigurationError, N3dError
from n3d_ros.model.card import CARD_FILE, LICENCES, UNKNOWN_LICENCE, ModelCard, OwnCard, make_card
from n3d_ros.model.config import build_config, choose_position_code, read_config, size_name
from n3d_ros.model.half_precision import guard_half_precision
from n3d_ros.model.memory import RuntimeRoom
from n3d_ros.model.n3d_vlm import N3dVlm
from n3d_ros.model.packaged import packaged_folder
from n3d_ros.model.placement import memory_plan
from n3d_ros.model.position_code import PositionCode
from n3d_ros.model.stock import stock_name
from n3d_ros.model.weights import HEAD, fill, match_tensors
from n3d_ros.weights import sources
from n3d_ros.weights.filling import Progress
from n3d_ros.weights.json_files import CONFIG_FILE
from n3d_ros.weights.permissions import as_umask_says
from n3d_ros.weights.placement import DtypeName, choose_device, choose_dtype, dtype_name, stored_dtype
from n3d_ros.weights.sources import hub_id_of
from n3d_ros.weights.weight_files import INDEX_FILE, SINGLE_FILE, find_weight_files
from n3d_ros.whole_files import write_json

__all__ = ["LoadedModel", "load_model", "resolve_source", "save_model"]

logger = logging.getLogger(__name__)

DOWNLOADED = 0.5  # of the progress, where the files come from the hub; the rest is reading
SHARD_BYTES = 5_000_000_000  # as published models are cut
TOKENIZER_FILES = ("tokenizer.json", "vocab.json")


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


def resolve_source(source: str | Path, *, on_progress: Progress | None = None, weights: bool = True) -> Path:
    """The folder of a checkpoint: the one named, the packaged one, or a repository's local copy, downloaded if need be.

    Args:
        source: a folder, "n3d-nano" for the checkpoint that comes with the package, or "owner/name" on the hub.
        on_progress: told a sentence and the share done while something is downloaded; what it raises ends that.
        weights: False for configuration and tokenizer alone, which are small.

    Returns:
        The folder.

    Raises:
        ConfigurationError: no such folder and no such repository, or no connection.
    """
    if (packaged := packaged_folder(source)) is not None:
        return packaged
    check = _check_complete if weights else _check_small_files
    return sources.resolve_source(source, check_complete=check, on_progress=on_progress, weights=weights)


def load_model(
    source: str | Path,
    *,
    dtype: DtypeName = "auto",
    device: str = "auto",
    position_code: PositionCode | None = None,
    on_progress: Progress | None = None,
    memory_limit_bytes: int | None = None,
    hashes: bool = True,
    room: RuntimeRoom | None = None,
) -> LoadedModel:
    """The model of a checkpoint: N3D-VLM as released, stock Qwen2.5-VL, or ours.

    Args:
        source: a folder, "n3d-nano", or the id "owner/name" of a repository on the hub.
        dtype: of the weights; "auto" takes the checkpoint's on a GPU, and float32 on the CPU where that fits.
        device: "cpu", "cuda", "cuda:1"; "auto" takes a GPU if there is one.
        position_code: a mode instead of what the checkpoint says.
        on_progress: called with a sentence and the share done, 0 to 1.
        memory_limit_bytes: most that the weights may take, on top of what the device has.
        hashes: whether the card gets each file's sha256; made while the weights are read.
        room: what a runtime will need besides the weights, to be stated and checked with them; None: nothing.

    Returns:
        The model and its card.

    Raises:
        ConfigurationError: files that are absent, damaged or of another kind of model, or too little memory.
        BackendError: the device failed.
    """
    tell = on_progress or (lambda _sentence, _share: None)
    tell(f"Looking for {source}", 0.0)
    folder = resolve_source(source, on_progress=lambda sentence, share: tell(sentence, DOWNLOADED * share))
    data = read_config(folder)
    choice = choose_position_code(data, hub_id=hub_id_of(source), stock_name=stock_name(folder), override=position_code)
    config = build_config(data, name=str(folder / CONFIG_FILE))
    config.position_code = choice.mode
    files = find_weight_files(folder)

    begun = DOWNLOADED if hub_id_of(source) == str(source) else 0.0  # shares never fall, downloaded or kept
    tell = _further(tell, begun)
    tell("Checking names and shapes", 0.02)
    model = _without_weights(config)
    targets = match_tensors(model, files, folder)
    where = choose_device(device)
    stored = stored_dtype(files)
    kind = choose_dtype(
        dtype, where, stored, lambda each: memory_plan(model, each, where, memory_limit_bytes, room).fits
    )
    plan = memory_plan(model, kind, where, memory_limit_bytes, room)
    logger.info("%s: %s.", source, plan.sentence())
    plan.check()
    if choice.assumed:
        logger.warning(
            "%s: position code 'reference' %s.", source, choice.reason,
        )  # fmt: skip

    card_files = fill(model, files, targets, kind, where, tell, hashes=hashes)
    config.dtype = kind
    if kind == torch.float16:
        guard_half_precision(model)
    card = make_card(
        source=str(source), folder=folder, files=card_files, config=config, choice=choice, plan=plan,
        stored_dtype=dtype_name(stored), dtype=dtype_name(kind),
    )  # fmt: skip
    tell(f"Loaded {card.name}", 1.0)
    return LoadedModel(model=model.eval(), config=config, position_code=choice.mode, card=card, folder=folder)


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
        as_umask_says(folder / name)
    if len(shards) > 1:
        total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        weight_map = {key: name for name, shard in zip(names, shards, strict=True) for key in shard}
        write_json(folder / INDEX_FILE, {"metadata": {"total_size": total}, "weight_map": weight_map})
    licence, note = LICENCES.get(size_name(model.config) or "", UNKNOWN_LICENCE)
    write_json(folder / CARD_FILE, asdict(card or OwnCard(licence=licence, licence_note=note)))
    write_json(folder / CONFIG_FILE, _saved_config(model))  # last: without it the folder is no checkpoint


def _check_complete(folder: Path) -> None:
    """Raises where configuration or weights are not there yet."""
    read_config(folder)
    find_weight_files(folder)


def _check_small_files(folder: Path) -> None:
    """Raises where configuration or tokenizer are not there yet."""
    read_config(folder)
    if not any((folder / file).is_file() for file in TOKENIZER_FILES):
        raise ConfigurationError(f"{folder}: no tokenizer yet.")


def _further(tell: Progress, begun: float) -> Progress:
    """The same listener, told shares of what remains."""
    return lambda sentence, share: tell(sentence, begun + (1 - begun) * share)


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
    """config.json: what transformers would write, so that its own class reads it too, and what is ours."""
    data = model.config.to_dict()
    data |= {"architectures": ["Qwen2_5_VLForConditionalGeneration"], "position_code": model.position_code}
    data["point_channels"] = model.point_channels
    data["dtype"] = dtype_name(model.lm_head.weight.dtype)
    return json.loads(json.dumps(data, default=str))
