"""A folder of exported graphs: what ``n3d export`` writes, and what runtimes of graphs read.

::

    n3d_graphs.json      what the graphs are, made with what, and the files' checksums
    vision.onnx .data    the vision tower: structure and weights
    decoder.onnx .data   the language model over a cache
    vision_safe.onnx decoder_safe.onnx    in half precision: the same with attention in float32, the same weights
    goldens.safetensors  what the network says of a drawn scene, for self-tests
    embedding.safetensors
    config.json tokenizer.json ...    as in the checkpoint

A file that lacks a byte is named as such instead of answering nonsense.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from n3d_ros.errors import ConfigurationError
from n3d_ros.weights.json_files import CONFIG_FILE, MAX_CONFIG_BYTES, read_json
from n3d_ros.whole_files import file_digest, write_json

GRAPHS_FILE = "n3d_graphs.json"
FORMAT = 1
VISION, DECODER = "vision", "decoder"
EMBEDDING_FILE = "embedding.safetensors"
GOLDENS_FILE = "goldens.safetensors"
SAFE = "_safe"
"""Behind the name of a graph in its safe form, which reads the weights of the other one."""

NOT_MADE_FOR = "not_made_for"
"""Reason of the error about an image of a size or number that graphs are not made for."""

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedGraphs:
    """What every folder of graphs says of itself.

    Args:
        name: of the model, for people.
        source: where its weights came from, as the user named it.
        made_with: versions of what made the graphs, by name.
        dtype: of the weights: "float32", "float16" or "bfloat16".
        licence: of the weights, with what it means for users.
        files: sha256 of every file of the folder but this description, and calibration.json, which `n3d calibrate`
            replaces.
    """

    KIND: ClassVar[str] = ""

    name: str
    source: str
    made_with: dict[str, str]
    dtype: str
    licence: str
    files: dict[str, str]

    def required(self) -> tuple[str, ...]:
        """Files that the runtime reads.

        Returns:
            Their names.
        """
        return ()

    def size_text(self) -> str:
        """Which images the graphs take.

        Returns:
            A few words.
        """
        return ""

    def lines(self) -> tuple[str, ...]:
        """For a console.

        Returns:
            Lines of text.
        """
        versions = ", ".join(f"{name} {version}" for name, version in self.made_with.items())
        return (
            f"{'model':9} {self.name} of {self.source}",
            f"{'graphs':9} {self.dtype}, {self.size_text()}",
            f"{'licence':9} {self.licence}",
            f"{'made with':9} {versions}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModelGraphs(ExportedGraphs):
    """What exported graphs of a language model are.

    Args:
        attention: form of it, "fused" or "safe".
        position_code: "reference", "aligned" or "none".
        image_token: id that stands for a visual token.
        vocab_size: rows of logits.
        layers: of the language model.
        cache_width: channels of a cache row in one layer, keys and values.
        head_dim: channels per head of the language model.
        rope_theta: base of its rotary frequencies.
        rope_sections: how many frequencies follow each position axis.
        vision_width: channels of the vision tower.
        vision_head_dim: channels per head of it.
        vision_window: side of an attention window, merged tokens.
        vision_merge: side of a merged token, patches.
        vision_theta: base of its rotary frequencies.
        point_channels: whether it takes point values.
        grid: rows and columns of patches that the vision graph is made for; None: any.
        weights: of the decoder's projections: "float" (as ``dtype`` says), "int8", "int4" or "fp8".
        weights_files: sha256 of the weights that the graphs were made of, by file; empty in graphs of before.
        losses: what boxes and answers lost by that, see ``model_training.evaluation.weights_gate``; empty where
            nothing is quantised, or nothing was measured.
    """

    KIND: ClassVar[str] = "language_model"

    attention: str
    position_code: str
    image_token: int
    vocab_size: int
    layers: int
    cache_width: int
    head_dim: int
    rope_theta: float
    rope_sections: tuple[int, ...]
    vision_width: int
    vision_head_dim: int
    vision_window: int
    vision_merge: int
    vision_theta: float
    point_channels: bool
    grid: tuple[int, int] | None
    weights: str = "float"
    losses: dict[str, float] = field(default_factory=dict)
    weights_files: dict[str, str] = field(default_factory=dict)

    def lines(self) -> tuple[str, ...]:
        """For a console.

        Returns:
            Lines of text.
        """
        told = ", ".join(f"{name} {value:.3g}" for name, value in self.losses.items()) or "not measured"
        return (*ExportedGraphs.lines(self), *((f"{'losses':9} {told}",) if self.weights != "float" else ()))

    def required(self) -> tuple[str, ...]:
        """Files that the runtime reads.

        Returns:
            Their names.
        """
        return (*_with_data(f"{VISION}.onnx", f"{DECODER}.onnx"), EMBEDDING_FILE, CONFIG_FILE)

    @property
    def has_safe_form(self) -> bool:
        """Whether the same graphs are there in the safe form too."""
        return all(f"{name}{SAFE}.onnx" in self.files for name in (VISION, DECODER))

    def size_text(self) -> str:
        """Which images the graphs take.

        Returns:
            A few words.
        """
        images = "any image size" if self.grid is None else f"{self.grid[1]}x{self.grid[0]} patches"
        weights = "" if self.weights == "float" else f"{self.weights} weights in the language model, "
        return f"{weights}{images}, attention {self.attention}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthGraphs(ExportedGraphs):
    """What exported graphs of a depth model are.

    Args:
        network_hw: height and width of the images in the network, pixels.
        views: that an any-view network sees together; 1 for a network of single views.
        takes_poses: whether the cameras' poses are inputs.
        any_view: file of the any-view network; empty: there is none.
        single: file of the network of single views; empty: there is none.
        single_is_metric: whether that one's depth, times the focal length over 300 pixels, is in metres.
    """

    KIND: ClassVar[str] = "depth"

    network_hw: tuple[int, int]
    views: int
    takes_poses: bool
    any_view: str
    single: str
    single_is_metric: bool

    def required(self) -> tuple[str, ...]:
        """Files that the runtime reads.

        Returns:
            Their names.
        """
        return _with_data(*(name for name in (self.any_view, self.single) if name))

    def size_text(self) -> str:
        """Which images the graphs take.

        Returns:
            A few words.
        """
        views = f", {self.views} views at a time" if self.views > 1 else ""
        return f"{self.network_hw[1]}x{self.network_hw[0]} px{views}{' with poses' if self.takes_poses else ''}"


def _with_data(*graphs: str) -> tuple[str, ...]:
    """Graphs and the files of their weights."""
    return tuple(name for graph in graphs for name in (graph, str(Path(graph).with_suffix(".data"))))


GraphsT = TypeVar("GraphsT", bound=ExportedGraphs)


def has_graphs(folder: Path) -> bool:
    """Whether a folder is one of exported graphs.

    Args:
        folder: any.

    Returns:
        True where the description is there.
    """
    try:
        return (folder / GRAPHS_FILE).is_file()
    except OSError:  # no name that a folder can have, or no right to look
        return False


def write_graphs(folder: Path, graphs: ExportedGraphs) -> None:
    """Writes the description, by which the folder becomes one of graphs.

    Args:
        folder: with all other files.
        graphs: what they are.
    """
    write_json(folder / GRAPHS_FILE, {"format": FORMAT, "kind": graphs.KIND, **asdict(graphs)})


def read_graphs(folder: Path, kind: type[GraphsT]) -> GraphsT:
    """What the graphs of a folder are.

    Args:
        folder: that ``n3d export`` wrote.
        kind: of graphs that is wanted.

    Returns:
        Its description.

    Raises:
        ConfigurationError: no such folder, or a description of another kind or version.
    """
    file = folder / GRAPHS_FILE
    if not file.is_file():
        raise ConfigurationError(
            f"{folder}: expected a folder of exported graphs, there is no {GRAPHS_FILE}; make one with "
            "`n3d export MODEL --out FOLDER` and name it."
        )
    data = read_json(file, limit=MAX_CONFIG_BYTES)
    found = (data.pop("kind", None), data.pop("format", None))
    if found != (kind.KIND, FORMAT):
        raise ConfigurationError(
            f"{file}: expected graphs of kind {kind.KIND} in format {FORMAT}, got {found[0]!r:.40} in {found[1]!r:.40};"
            " name another folder, or export the model again with this version of n3d_ros."
        )
    try:
        graphs = kind(**data)
    except TypeError as error:
        raise ConfigurationError(f"{file}: {error}; export the model again.") from error
    return _checked(graphs, file)


def kind_of(folder: Path) -> type[ExportedGraphs]:
    """What kind of graphs a folder holds.

    Args:
        folder: that ``n3d export`` wrote.

    Returns:
        The class of their description; that of language models where there is none to read.
    """
    file = folder / GRAPHS_FILE
    data = read_json(file, limit=MAX_CONFIG_BYTES) if file.is_file() else {}
    return DepthGraphs if data.get("kind") == DepthGraphs.KIND else LanguageModelGraphs


def check_files(folder: Path, files: Mapping[str, str], on_progress: Progress | None = None) -> None:
    """Holds the files of a folder against their checksums.

    Args:
        folder: of the graphs.
        files: sha256 by name.
        on_progress: told how far it is.

    Raises:
        ConfigurationError: a file is missing, or another one.
    """
    sizes = {name: _size(folder / name) for name in files}
    total, done = max(sum(sizes.values()), 1), 0
    for name, wanted in files.items():
        if on_progress is not None:
            on_progress(f"Checking {name}", done / total)
        if (found := file_digest(folder / name)) != wanted:
            raise ConfigurationError(
                f"{folder / name}: expected sha256 {wanted[:16]}..., got {found[:16]}...; export the model again."
            )
        done += sizes[name]


def _size(file: Path) -> int:
    if not file.is_file():
        raise ConfigurationError(f"{file}: expected this file of exported graphs, it is not there; export again.")
    return file.stat().st_size


_PLAIN: Mapping[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}
_WORDS: Mapping[str, tuple[str, ...]] = {
    "dtype": ("float32", "float16", "bfloat16"),
    "attention": ("fused", "safe"),
    "position_code": ("reference", "aligned", "none"),
    "weights": ("float", "int8", "int4", "fp8"),
}


def _checked(graphs: GraphsT, file: Path) -> GraphsT:
    """The description with lists as tuples, when every value is of its kind."""
    values = {entry.name: _value(entry, getattr(graphs, entry.name), file) for entry in fields(graphs)}
    for name in values["files"]:
        if Path(name).name != name:
            raise ConfigurationError(f"{file}: files: expected names without folders, got {name!r:.60}.")
    checked = type(graphs)(**values)
    if absent := sorted(set(checked.required()) - set(checked.files)):
        raise ConfigurationError(f"{file}: files: expected a checksum of {', '.join(absent)}; export the model again.")
    return checked


def _value(entry: Field[Any], value: Any, file: Path) -> Any:
    """One value, when it is of its field's kind."""
    kind = str(entry.type)
    if kind in _PLAIN:
        is_right = isinstance(value, _PLAIN[kind]) and isinstance(value, bool) == (kind == "bool")
        is_right = is_right and (kind not in ("int", "float") or value > 0)
    elif kind == "dict[str, float]":
        is_right = isinstance(value, dict) and all(
            type(number) in (int, float) and math.isfinite(number) for number in value.values()
        )
    elif kind.startswith("dict"):
        is_right = isinstance(value, dict) and all(isinstance(word, str) for word in value.values())
    elif value is None:
        is_right = kind.endswith("None")
    else:
        is_right = isinstance(value, list) and all(type(number) is int and number > 0 for number in value)
        is_right = is_right and ("..." in kind or len(value) == 2)
        value = tuple(value) if is_right else value
    if not is_right or value not in _WORDS.get(entry.name, (value,)):
        wanted = " or ".join(_WORDS.get(entry.name, (kind,)))
        raise ConfigurationError(f"{file}: {entry.name}: expected {wanted}, got {value!r:.60}; export the model again.")
    return value
