"""A language model's checkpoint as a folder of graphs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import save_file

from n3d_ros.codec.image_patches import PATCH_PX, long_side_size, patch_size
from n3d_ros.codec.input_options import PREPROCESSOR_FILE, read_input_options
from n3d_ros.codec.tokenizer import load_tokenizer
from n3d_ros.errors import ConfigurationError
from n3d_ros.inference.export.folders import Exported, check_image, checked_place, new_folder, versions, write_checked
from n3d_ros.inference.export.operators import parse_version
from n3d_ros.inference.export.quantizing import QuantizedWeight, WeightKind, quantize_decoder
from n3d_ros.inference.export.tracing import trace_of_decoder, trace_of_vision
from n3d_ros.inference.graphs import (
    DECODER,
    EMBEDDING_FILE,
    GOLDENS_FILE,
    SAFE,
    VISION,
    LanguageModelGraphs,
    Progress,
    write_graphs,
)
from n3d_ros.inference.language_model.calibration import CALIBRATION_FILE
from n3d_ros.inference.self_test import USUAL_SIZE, golden_capacity, record_goldens, write_goldens
from n3d_ros.inference.torch_backend import TorchBackend
from n3d_ros.model.card import CARD_FILE
from n3d_ros.model.checkpoint import LoadedModel, load_model
from n3d_ros.model.decoder_graph import DecoderGraph
from n3d_ros.model.split_decoder import AttentionForm
from n3d_ros.model.vision_graph import VisionGraph
from n3d_ros.weights.json_files import CONFIG_FILE
from n3d_ros.weights.permissions import as_umask_says
from n3d_ros.weights.placement import DtypeName, dtype_name
from n3d_ros.whole_files import file_digest

COPIED = (
    CONFIG_FILE,
    PREPROCESSOR_FILE,
    CALIBRATION_FILE,
    CARD_FILE,
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "README.md",
    "LICENSE",
)
"""Files of a checkpoint that a folder of graphs needs too, where they are there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """How a model is exported.

    Args:
        dtype: of weights and cache.
        image: width and height in pixels of the camera whose images alone will be shown; None: any size.
        attention: form of it.
        tensorrt: oldest TensorRT that shall read the graphs.
        weights: of the decoder's attention and MLP; vision tower, embedding, norms and head keep ``dtype``.
    """

    dtype: DtypeName = "float32"
    image: tuple[int, int] | None = None
    attention: AttentionForm = "fused"
    tensorrt: str = "10.3"
    weights: WeightKind = "float"

    def __post_init__(self) -> None:
        """Checks what can be checked before weights are read.

        Raises:
            ConfigurationError: no version of TensorRT, a size that no camera has, or a form that changes nothing.
        """
        parse_version(self.tensorrt)
        if self.image is not None:
            check_image(self.image)
        if self.attention == "safe" and self.dtype == "float32":
            raise ConfigurationError("Attention safe: float32 graphs compute it so already; leave it out.")


class Gate(Protocol):
    """Looks at frames with a model before and after its weights are quantised, and refuses what lost too much."""

    @property
    def made_with(self) -> Mapping[str, str]:
        """What besides rounding had a part in the weights: its version, by name."""
        ...

    def before(self, loaded: LoadedModel, on_progress: Progress) -> None:
        """Looks with the network as it is.

        Args:
            loaded: the model; it may be given other weights that compute the same.
            on_progress: told how far it is, 0 to 1.
        """
        ...

    def after(self, loaded: LoadedModel, folder: Path, on_progress: Progress) -> Mapping[str, float]:
        """Looks once more.

        Args:
            loaded: the model, whose network computes with the rounded weights.
            folder: of its graphs, complete.
            on_progress: told how far it is, 0 to 1.

        Returns:
            What was lost, by name.

        Raises:
            BackendError: too much.
        """
        ...


def export_language_model(
    source: str, out: Path, options: ExportOptions, on_progress: Progress | None = None, gate: Gate | None = None
) -> Exported:
    """Writes a model's graphs whole, or no folder.

    Args:
        source: folder of a checkpoint, hub id or "n3d-nano".
        out: folder to write; one that an export wrote before is replaced.
        options: how.
        on_progress: told how far it is; what it raises ends it.
        gate: of quantised weights; None: they are written unseen.

    Returns:
        What was made.

    Raises:
        ConfigurationError: files that cannot be used, no room, or ``out`` holds something else.
        BackendError: the network cannot be written, its graph computes something else, or the gate refuses it.
    """
    tell = on_progress or (lambda _sentence, _share: None)
    gate = gate if options.weights != "float" else None
    out = checked_place(out)  # before the weights are read, which may take minutes
    parts = 3 if gate is None else 9
    loaded = load_model(source, dtype=options.dtype, device="cpu", on_progress=_from(tell, 0, 1 / parts))
    if gate is not None:
        gate.before(loaded, _from(tell, 1 / 9, 4 / 9))
    with new_folder(out) as folder:
        made = _write(folder, loaded, options, _from(tell, *((1 / 3, 1.0) if gate is None else (4 / 9, 6 / 9))))
        if gate is not None:
            losses = gate.after(loaded, folder, _from(tell, 6 / 9, 1.0))
            assert isinstance(made.graphs, LanguageModelGraphs)
            made_with = {**made.graphs.made_with, **gate.made_with}
            made = replace(made, graphs=replace(made.graphs, losses=dict(losses), made_with=made_with))
            write_graphs(folder, made.graphs)
    tell(f"Exported to {out}", 1.0)
    return Exported(folder=out, graphs=made.graphs, differences=made.differences)


def _from(tell: Progress, begin: float, end: float) -> Progress:
    """The same listener, told of a part of the whole."""
    return lambda sentence, done: tell(sentence, begin + (end - begin) * done)


def grid_of(folder: Path, image: tuple[int, int]) -> tuple[int, int]:
    """The patches that a camera's image becomes.

    Args:
        folder: of the checkpoint, which says how long the longer side is.
        image: width and height in pixels.

    Returns:
        Rows and columns.
    """
    options = read_input_options(folder)
    shown = long_side_size(*image, options.long_side)
    width, height = patch_size(*shown, min_pixels=options.min_pixels, max_pixels=options.max_pixels)
    return height // PATCH_PX, width // PATCH_PX


def _write(folder: Path, loaded: LoadedModel, options: ExportOptions, tell: Progress) -> Exported:
    """All files of the folder."""
    decoder = DecoderGraph(loaded.model.model.language_model, loaded.model.lm_head)
    tower = VisionGraph(loaded.model.model.visual)
    grid = None if options.image is None else grid_of(loaded.folder, options.image)
    dtype = dtype_name(decoder.dtype)
    quantized = quantize_decoder(decoder, options.weights)
    differences = _write_graphs(
        folder, tower, decoder, quantized, grid, options, lambda text, done: tell(text, 0.7 * done)
    )
    tell("Keeping what the network says, for self-tests", 0.7)
    _write_goldens(folder, loaded, options, lambda text, done: tell(text, 0.7 + 0.2 * done))
    tell("Writing the embedding and checksums", 0.9)
    save_file({"embedding": decoder.embedding.weight.detach().clone()}, folder / EMBEDDING_FILE)
    as_umask_says(folder / EMBEDDING_FILE)
    for name in COPIED:
        if (loaded.folder / name).is_file():
            shutil.copyfile(loaded.folder / name, folder / name)
    graphs = LanguageModelGraphs(
        name=loaded.card.name,
        source=loaded.card.source,
        made_with=versions(),
        dtype=dtype,
        licence=f"{loaded.card.licence}. {loaded.card.licence_note}".strip(),
        attention=options.attention,
        position_code=loaded.position_code,
        image_token=int(loaded.config.image_token_id),
        vocab_size=decoder.vocab_size,
        layers=len(decoder.layers),
        cache_width=decoder.cache_width,
        head_dim=decoder.head_dim,
        rope_theta=decoder.rotary.theta,
        rope_sections=decoder.rotary.sections,
        vision_width=tower.width,
        vision_head_dim=tower.geometry.head_dim,
        vision_window=tower.geometry.window,
        vision_merge=tower.geometry.merge,
        vision_theta=tower.geometry.theta,
        point_channels=tower.point_embed is not None,
        grid=grid,
        weights=options.weights,
        weights_files={file.name: file.sha256 for file in loaded.card.files if file.sha256},
        files={file.name: file_digest(file) for file in sorted(folder.iterdir()) if file.name != CALIBRATION_FILE},
    )
    write_graphs(folder, graphs)
    return Exported(folder=folder, graphs=graphs, differences=differences)


def _write_graphs(
    folder: Path,
    tower: VisionGraph,
    decoder: DecoderGraph,
    quantized: Mapping[str, QuantizedWeight],
    grid: tuple[int, int] | None,
    options: ExportOptions,
    tell: Progress,
) -> dict[str, float]:
    """The graphs, in half precision in the safe form too; how far each is from its network, where that can be run."""
    forms: tuple[AttentionForm, ...] = (options.attention,)
    if options.attention == "fused" and decoder.dtype != torch.float32:
        forms = ("fused", "safe")
    differences: dict[str, float] = {}
    for number, form in enumerate(forms):
        for place, name in enumerate((VISION, DECODER)):
            tell(f"Writing {name}.onnx, and running it beside the network", (number + place / 2) / len(forms))
            if name == VISION:
                tracing = trace_of_vision(tower, grid, form)
            else:
                tracing = replace(trace_of_decoder(decoder, form), quantized=quantized)
            file = folder / f"{name}.onnx"
            own = file if number == 0 else file.with_name(f"{name}{SAFE}.onnx")
            difference = write_checked(
                tracing,
                own,
                dtype=dtype_name(decoder.dtype),
                tensorrt=options.tensorrt,
                weights_of=None if number == 0 else file,
            )
            if difference is not None:
                differences[own.stem] = difference
    return differences


def _write_goldens(folder: Path, loaded: LoadedModel, options: ExportOptions, tell: Progress) -> None:
    """What PyTorch says, computed in the dtype of the graphs."""
    tokenizer, shown = load_tokenizer(loaded.folder), read_input_options(loaded.folder)
    size = USUAL_SIZE if options.image is None else options.image
    backend = TorchBackend(loaded, capacity=golden_capacity(tokenizer, shown, size))
    yaw = "zero" if loaded.position_code == "reference" else "free"
    goldens = record_goldens(backend, tokenizer, shown, yaw=yaw, size=size, on_progress=tell)
    write_goldens(folder / GOLDENS_FILE, goldens)
