"""The stored tensors of a language model into its parameters: their names of two generations, tied heads, tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from n3d_ros.model.n3d_vlm import N3dVlm
from n3d_ros.weights import filling
from n3d_ros.weights.filling import CardFile, Progress, materialise, read_weights, telling_of_memory
from n3d_ros.weights.weight_files import WeightFile

RENAMED = (  # prefix on disk, prefix in memory; the first that fits is taken. The last two: before transformers 4.52
    ("model.visual.", "model.visual."),
    ("model.language_model.", "model.language_model."),
    ("visual.", "model.visual."),
    ("model.", "model.language_model."),
)
COMPUTED = re.compile(r"\brotary(_pos)?_emb\.(original_)?inv_freq$")  # tables that some releases stored; made here
HEAD = "lm_head.weight"
TIED_HINT = (
    "while config.json says that they are one (tie_word_embeddings); set tie_word_embeddings to false if the weights "
    "were trained apart."
)


def _model_name(stored: str) -> str | None:
    """The name in memory of a tensor's name on disk; None for tables."""
    if COMPUTED.search(stored):
        return None
    for old, new in RENAMED:
        if stored.startswith(old):
            return new + stored[len(old) :]
    return stored


def match_tensors(model: N3dVlm, files: Iterable[WeightFile], folder: Path) -> Mapping[str, torch.nn.Parameter]:
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
    match = filling.match_tensors(dict(model.named_parameters(remove_duplicate=False)), files, _model_name)
    hint = "config.json and the weights do not belong together, or the copy is not complete"
    if match.problems["missing"] == [HEAD]:
        hint = "if the head shares the embeddings, set tie_word_embeddings to true in config.json"
    match.refuse_misfits(folder, hint=hint)
    return match.targets


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
    with telling_of_memory(device):
        memory = materialise(model, lambda _name: dtype, device)
        _make_tables(model, device)
        places = {name: memory[id(target)] for name, target in targets.items()}
        return read_weights(places, files, device, tell, hashes=hashes, shared_hint=TIED_HINT)


def _make_tables(model: N3dVlm, device: torch.device) -> None:
    """Makes tables that are computed (rotary frequencies) anew by their modules, in float32."""
    for module in model.modules():
        if module._buffers:
            fresh = type(module)(module.config)
            for leaf in module._buffers:
                module._buffers[leaf] = fresh._buffers[leaf].to(device)
