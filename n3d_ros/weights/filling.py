"""Stored tensors into the parameters of a model: by name, checked as a whole, then copied block by block.

::

    match = match_tensors(wanted, files, name_of)       which stored tensor goes where
    match.refuse(...)                                   one error that names all that does not fit
    places = materialise(model, dtype_of, device)       memory instead of shapes
    read_weights(places, files, ...)                    every block to its place, hashes in passing
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import torch

from n3d_ros.errors import BackendError, ConfigurationError
from n3d_ros.weights.json_files import CONFIG_FILE
from n3d_ros.weights.memory import gigabytes, place_name
from n3d_ros.weights.weight_files import DTYPES, StoredTensor, StreamReader, WeightFile, listing

logger = logging.getLogger(__name__)

Progress: TypeAlias = Callable[[str, float], None]

SHOWN_NAMES = 12  # of each kind, in an error
LOGGED_NAMES = 1000  # of each kind, in the log; a damaged file may name any number
READING_BEGINS, READING_ENDS = 0.05, 0.98  # of the progress


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFile:
    """One file of the weights.

    Args:
        name: without its folder.
        size_bytes: of the file.
        sha256: 64 hex digits; None when it was not asked for.
    """

    name: str
    size_bytes: int
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Which stored tensor goes where, and what does not fit.

    Args:
        targets: stored name to parameter.
        problems: of each kind (missing, extra, misshapen, stored twice) the names.
        expected: how many tensors the model has, shared ones counted once.
    """

    targets: Mapping[str, torch.nn.Parameter]
    problems: Mapping[str, list[str]] = field(default_factory=dict)
    expected: int = 0

    def refuse_misfits(self, folder: Path, *, hint: str) -> None:
        """Raises an error that names what does not fit, if anything does not.

        Args:
            folder: of the checkpoint.
            hint: what the reason may be.

        Raises:
            ConfigurationError: something is missing, extra, misshapen or stored twice.
        """
        if not any(self.problems.values()):
            return
        for kind, names in self.problems.items():
            if len(names) > SHOWN_NAMES:
                logger.error("%s: %d %s tensors: %s", folder, len(names), kind, listing(names, most=LOGGED_NAMES))
        told = "; ".join(
            f"{len(names)} {kind}: {listing(names, most=SHOWN_NAMES)}" for kind, names in self.problems.items() if names
        )
        most = max(len(names) for names in self.problems.values())
        logged = "" if most <= SHOWN_NAMES else f"; the log names {'all' if most <= LOGGED_NAMES else 'more'}"
        raise ConfigurationError(
            f"{folder}: the weights do not fit {CONFIG_FILE} ({self.expected} tensors expected). {told}. "
            f"{hint}{logged}."
        )


def match_tensors(
    wanted: Mapping[str, torch.nn.Parameter], files: Iterable[WeightFile], name_of: Callable[[str], str | None]
) -> Match:
    """Which stored tensor goes where. Of names that share one parameter, one suffices; the first is named if none is.

    Args:
        wanted: every name of every parameter, shared ones under all their names.
        files: of the checkpoint.
        name_of: the name in memory of a name on disk; None: the tensor is left aside.

    Returns:
        The targets, and every tensor that is missing, extra, misshapen or stored twice.
    """
    targets: dict[str, torch.nn.Parameter] = {}
    found: dict[str, str] = {}
    extra, misshapen, twice = [], [], []
    for tensor in (tensor for file in files for tensor in file.tensors):
        name = name_of(tensor.name)
        if name is None:
            continue
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
    had = {id(wanted[name]) for name in found if name in wanted}
    absent: dict[int, str] = {}
    for name, parameter in wanted.items():
        if id(parameter) not in had:
            absent.setdefault(id(parameter), name)
    problems = {"missing": sorted(absent.values()), "extra": extra, "misshapen": misshapen, "stored twice": twice}
    return Match(targets=targets, problems=problems, expected=len({id(parameter) for parameter in wanted.values()}))


def materialise(
    model: torch.nn.Module, dtype_of: Callable[[str], torch.dtype], device: torch.device
) -> dict[int, torch.Tensor]:
    """Exchanges each parameter on the meta device for memory, shared ones once.

    The memory is that of ordinary tensors, whatever the mode in which a model is loaded: tensors made in inference mode
    cannot be learnt from, and do not tell when they change.

    Args:
        model: changed in place; its buffers are left as they are.
        dtype_of: the dtype for a parameter, by its name.
        device: where the memory is.

    Returns:
        The former parameter's id to the new one's data.
    """
    former: list[torch.nn.Parameter] = []  # kept alive meanwhile, so that their ids stay theirs
    new: dict[int, torch.nn.Parameter] = {}
    for prefix, module in model.named_modules():
        for leaf, parameter in module._parameters.items():
            if parameter is None:
                continue
            if id(parameter) not in new:
                former.append(parameter)
                dtype = dtype_of(f"{prefix}.{leaf}" if prefix else leaf)
                with torch.inference_mode(mode=False):
                    new[id(parameter)] = torch.nn.Parameter(torch.empty(parameter.shape, dtype=dtype, device=device))
            module._parameters[leaf] = new[id(parameter)]
    return {key: parameter.data for key, parameter in new.items()}


def read_weights(
    places: Mapping[str, torch.Tensor],
    files: list[WeightFile],
    device: torch.device,
    tell: Progress,
    *,
    hashes: bool,
    shared_hint: str = "which is the same tensor in this model; download the files again.",
) -> tuple[CardFile, ...]:
    """Reads the weights of a checkpoint to their places.

    Args:
        places: stored name to memory.
        files: of the checkpoint.
        device: where the places are.
        tell: called with a sentence and the share done.
        hashes: whether the files' sha256 are wanted.
        shared_hint: what to say of two stored tensors that share a place and differ.

    Returns:
        What the files are.

    Raises:
        ConfigurationError: a file is damaged, or does not fit the dtype.
    """
    receiver = _Receiver(places, files, tell, shared_hint)
    cards = []
    with StreamReader(pinned=device.type == "cuda", hashed=hashes).closing() as reader:
        for file in files:
            digest = reader.read(file, receiver.take)
            receiver.finish(file)
            cards.append(CardFile(name=file.path.name, size_bytes=file.size_bytes, sha256=digest))
    return tuple(cards)


@contextmanager
def telling_of_memory(device: torch.device) -> Iterator[None]:
    """Turns memory that runs out while a model is loaded into an error that says so.

    Args:
        device: where the weights go.

    Yields:
        None.

    Raises:
        BackendError: the device ran out of memory.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        raise BackendError(
            f"{place_name(device)}: out of memory while the weights were loaded: {str(error).split('.')[0]}. Something "
            "else took it meanwhile; free memory or choose a smaller dtype.",
            reason="out_of_memory",
        ) from error


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, on a GPU or on the host."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in str(error)


class _Receiver:
    """Takes blocks of stored tensors to their places, and tells how far reading has come."""

    def __init__(
        self, places: Mapping[str, torch.Tensor], files: Iterable[WeightFile], tell: Progress, shared_hint: str
    ) -> None:
        self._places = places
        self._tell = tell
        self._shared_hint = shared_hint
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
                    f"{tensor.name} differs from {self._owners[place.data_ptr()]}, {self._shared_hint}"
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
