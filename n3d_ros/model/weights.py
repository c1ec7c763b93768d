"""Stored tensors into the parameters of a model: by name, checked as a whole, then copied block by block."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import torch

from n3d_ros.errors import BackendError, ConfigurationError
from n3d_ros.model.card import CardFile
from n3d_ros.model.config import CONFIG_FILE
from n3d_ros.model.memory import gigabytes, place_name
from n3d_ros.model.n3d_vlm import N3dVlm
from n3d_ros.model.weight_files import DTYPES, StoredTensor, StreamReader, WeightFile, listing

logger = logging.getLogger(__name__)

Progress: TypeAlias = Callable[[str, float], None]

RENAMED = (  # prefix on disk, prefix in memory; the first that fits is taken. The last two: before transformers 4.52
    ("model.visual.", "model.visual."),
    ("model.language_model.", "model.language_model."),
    ("visual.", "model.visual."),
    ("model.", "model.language_model."),
)
COMPUTED = re.compile(r"\brotary(_pos)?_emb\.(original_)?inv_freq$")  # tables that some releases stored; made here
HEAD, EMBEDDINGS = "lm_head.weight", "model.language_model.embed_tokens.weight"
SHOWN_NAMES = 12  # of each kind, in an error
LOGGED_NAMES = 5000  # in the log; a 72B model has some 1300 tensors, a damaged file may name any number
READING_BEGINS, READING_ENDS = 0.05, 0.98  # of the progress


def _model_name(stored: str) -> str:
    """The name in memory of a tensor's name on disk."""
    for old, new in RENAMED:
        if stored.startswith(old):
            return new + stored[len(old) :]
    return stored


def match_tensors(model: N3dVlm, files: Iterable[WeightFile], folder: Path) -> dict[str, torch.nn.Parameter]:
    """Which stored tensor goes where.

    Args:
        model: with its shapes.
        files: of the checkpoint.
        folder: for errors.

    Returns:
        Stored name to parameter.

    Raises:
        ConfigurationError: names every tensor that is missing, extra, misshapen or stored twice.
    """
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
    for kind, names in problems.items():
        if len(names) > SHOWN_NAMES:
            logger.error("%s: %d %s tensors: %s", folder, len(names), kind, listing(names, most=LOGGED_NAMES))
    told = "; ".join(
        f"{len(names)} {kind}: {listing(names, most=SHOWN_NAMES)}" for kind, names in problems.items() if names
    )
    hint = "config.json and the weights do not belong together, or the copy is not complete"
    if problems["missing"] == [HEAD]:
        hint = "if the head shares the embeddings, set tie_word_embeddings to true in config.json"
    raise ConfigurationError(
        f"{folder}: the weights do not fit {CONFIG_FILE} ({len(dict(model.named_parameters()))} tensors expected). "
        f"{told}. {hint}{'; the log names all' if any(len(n) > SHOWN_NAMES for n in problems.values()) else ''}."
    )


def fill(
    model: N3dVlm,
    files: list[WeightFile],
    targets: Mapping[str, torch.nn.Parameter],
    dtype: torch.dtype,
    device: torch.device,
    tell: Progress,
    *,
    hashes: bool,
) -> tuple[CardFile, ...]:
    """Gives a model memory and the weights of its files.

    Args:
        model: on the meta device; changed in place.
        files: of the checkpoint.
        targets: of ``match_tensors``.
        dtype: to hold the weights in.
        device: where.
        tell: called with a sentence and the share done.
        hashes: whether the files' sha256 are wanted.

    Returns:
        What the files are.

    Raises:
        ConfigurationError: a file is damaged, or does not fit the dtype.
        BackendError: the device ran out of memory.
    """
    try:
        places = _materialise(model, dtype, device)
        receiver = _Receiver({name: places[id(target)] for name, target in targets.items()}, files, tell)
        cards = []
        with StreamReader(pinned=device.type == "cuda", hashed=hashes).closing() as reader:
            for file in files:
                digest = reader.read(file, receiver.take)
                receiver.finish(file)
                cards.append(CardFile(name=file.path.name, size_bytes=file.size_bytes, sha256=digest))
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        raise BackendError(
            f"{place_name(device)}: out of memory while the weights were loaded: {str(error).split('.')[0]}. Something "
            "else took it meanwhile; free memory or choose a smaller dtype.",
            reason="out_of_memory",
        ) from error
    return tuple(cards)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, on a GPU or on the host."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in str(error)


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
                    f"{tensor.name} differs from {self._owners[place.data_ptr()]}, while {CONFIG_FILE} says that they "
                    "are one (tie_word_embeddings); set tie_word_embeddings to false if the weights were trained apart."
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
    """Exchanges each parameter on the meta device for memory, tied ones once; the former's id to the new one's data.

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
