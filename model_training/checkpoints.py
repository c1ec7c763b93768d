"""Checkpoints of a run: weights and optimizer as safetensors, everything else as JSON, complete or not there at all."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from model_training.processes import is_running
from n3d_ros.errors import ConfigurationError, N3dError
from n3d_ros.weights.permissions import as_umask_says

PREFIX = "checkpoint-"
STATE_FILE = "state.json"
MOST_BYTES = 15_000_000  # of one file: small enough for machines from which only small ones can be copied
PARTIAL = re.compile(rf"\.{PREFIX}\d+\.part-(?P<process>\d+)", re.ASCII)  # of a checkpoint that is being written
KEPT = 2  # the newest, and one before it should the disk fail


class TrainingError(N3dError):
    """A run that cannot go on."""


def save_in_pieces(folder: Path, stem: str, tensors: Mapping[str, Tensor], most_bytes: int = MOST_BYTES) -> None:
    """Writes tensors to STEM-00000.safetensors and so on, none larger than asked unless one tensor is.

    Args:
        folder: exists.
        stem: beginning of the file names.
        tensors: by name.
        most_bytes: of one file.
    """
    piece: dict[str, Tensor] = {}
    number = size = 0
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        bytes_ = tensor.numel() * tensor.element_size()
        if piece and size + bytes_ > most_bytes:
            _save(piece, folder / f"{stem}-{number:05d}.safetensors")
            piece, size, number = {}, 0, number + 1
        piece[name] = tensor
        size += bytes_
    _save(piece, folder / f"{stem}-{number:05d}.safetensors")


def load_pieces(folder: Path, stem: str) -> dict[str, Tensor]:
    """The tensors that ``save_in_pieces`` wrote.

    Args:
        folder: the folder.
        stem: beginning of the file names.

    Returns:
        Tensors by name.
    """
    found: dict[str, Tensor] = {}
    for path in _pieces(folder, stem):
        found.update(load_file(path))
    return found


def has_pieces(folder: Path, stem: str) -> bool:
    """Whether ``save_in_pieces`` wrote any tensor there.

    Args:
        folder: the folder.
        stem: beginning of the file names.

    Returns:
        False where there were none to write.
    """
    return bool(_pieces(folder, stem))


def _pieces(folder: Path, stem: str) -> list[Path]:
    """The files of ``save_in_pieces``, in their order."""
    return sorted(folder.glob(f"{stem}-*.safetensors"))


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: Mapping[int, str]) -> dict[str, Tensor]:
    """Moments of every parameter under "moment/parameter".

    Args:
        optimizer: AdamW.
        names: parameter name by ``id``.

    Returns:
        Tensors by name; none before the first step.
    """
    return {
        f"{key}/{names[id(parameter)]}": value
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], names: Mapping[int, str]) -> None:
    """Puts saved moments back.

    Args:
        optimizer: made as the saved one was.
        tensors: of ``optimizer_tensors``.
        names: parameter name by ``id``.
    """
    by_parameter: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        key, parameter = name.split("/", 1)
        by_parameter.setdefault(parameter, {})[key] = value
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            saved = by_parameter.get(names[id(parameter)])
            if saved is not None:
                optimizer.state[parameter] = {key: value.to(parameter.device) for key, value in saved.items()}


def own_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, each shared one under its first name only."""
    tensors = dict(module.named_parameters())
    return tensors | {name: value for name, value in module.named_buffers() if name in module.state_dict()}


def newest_checkpoint(run: Path) -> Path | None:
    """The newest complete checkpoint of a run, or None.

    Args:
        run: folder of the run.

    Returns:
        Its folder.
    """
    complete = [path for path in run.glob(f"{PREFIX}[0-9]*") if (path / STATE_FILE).exists()]
    return max(complete, key=lambda path: int(path.name.removeprefix(PREFIX)), default=None)


def checkpoint_to_release(run: Path) -> Path:
    """The newest complete checkpoint of a run of which a model is wanted.

    Args:
        run: folder of the run.

    Returns:
        Its folder.

    Raises:
        ConfigurationError: the run has none.
    """
    newest = newest_checkpoint(run)
    if newest is None:
        raise ConfigurationError(f"{run}: expected a run with a checkpoint, got none to make a model of.")
    return newest


def remove_abandoned(run: Path) -> int:
    """Removes checkpoints that killed processes left half-written; to be called before this process writes its own.

    Args:
        run: folder of the run; may be missing.

    Returns:
        How many there were.
    """
    removed = 0
    for partial in sorted(run.glob(f".{PREFIX}*")):
        found = PARTIAL.fullmatch(partial.name)
        if found is None or partial.is_symlink() or not partial.is_dir():
            continue
        process = int(found["process"])
        if process == os.getpid() or not is_running(process):
            shutil.rmtree(partial, ignore_errors=True)
            removed += 1
    return removed


def save_checkpoint(
    run: Path,
    step: int,
    groups: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    *,
    files: Mapping[str, str] | None = None,
) -> Path:
    """Writes a checkpoint and removes old ones; a stopped write leaves the one before untouched.

    Args:
        run: folder of the run.
        step: steps done.
        groups: tensors by group and name.
        state: what JSON holds.
        files: further texts by file name.

    Returns:
        The new folder.

    Raises:
        ConfigurationError: it cannot be written; nothing of it is left, and the one before is untouched.
    """
    folder = run / f"{PREFIX}{step:08d}"
    partial = run / f".{folder.name}.part-{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for stem, tensors in groups.items():
            if tensors:
                save_in_pieces(partial, stem, tensors)
        for name, text in (files or {}).items():
            (partial / name).write_text(text, encoding="utf-8")
        (partial / STATE_FILE).write_text(json.dumps({"step": step, **state}, indent=1) + "\n", encoding="utf-8")
        for path in partial.iterdir():
            _reach_disk(path)  # a rename may reach the disk before the content does
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        newest = newest_checkpoint(run)
        kept = f"{newest.name} is untouched" if newest else "there is none yet"
        raise ConfigurationError(
            f"{folder}: the checkpoint cannot be written ({error}); {kept}. Make room, and give the same command again."
        ) from error
    others = sorted(path for path in run.glob(f"{PREFIX}[0-9]*") if path != folder)
    for old in others[: -(KEPT - 1)]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def read_state(folder: Path) -> dict[str, Any]:
    """What a checkpoint's JSON holds.

    Args:
        folder: of the checkpoint.

    Returns:
        The values.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    try:
        values: dict[str, Any] = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{folder}: not a checkpoint ({error}); remove it to begin anew.") from error
    return values


def check_numbers(run: Path, step: int, losses: Mapping[str, float], length: float) -> None:
    """Stops a run before its optimizer takes in what is no number, and with it the next checkpoint.

    Args:
        run: folder of the run.
        step: that is to be taken.
        losses: by name, with "total".
        length: of the gradient.

    Raises:
        TrainingError: the total or the gradient is NaN or infinite.
    """
    if math.isfinite(losses["total"]) and math.isfinite(length):
        return
    bad = [name for name, value in losses.items() if not math.isfinite(value)] or ["the gradient"]
    newest = newest_checkpoint(run)
    kept = f"the checkpoint {newest.name} is untouched" if newest else "there is no checkpoint yet"
    raise TrainingError(
        f"Step {step}: {', '.join(bad)} is no number, so the run stops; {kept}. Lower optimizer.learning_rate or "
        "clip_norm, lengthen warmup_steps, or train in float32, in a new run folder."
    )


def _save(piece: dict[str, Tensor], path: Path) -> None:
    """Writes tensors to a file that others may read, too."""
    save_file(piece, path)
    as_umask_says(path)


def _reach_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
