"""The model card: where weights come from, what they are exactly, under which licence, and how they are run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import Qwen2_5_VLConfig

from n3d_ros.model.config import PositionCodeChoice, size_name
from n3d_ros.weights.filling import CardFile
from n3d_ros.weights.json_files import read_json
from n3d_ros.weights.memory import MemoryPlan, gigabytes

CARD_FILE = "n3d_model_card.json"  # beside our own weights
N3D_LICENCE = "N3D-VLM itself is Apache-2.0, as its author states."
LICENCES = {
    "3B": (
        "Qwen Research License",
        "RESEARCH ONLY: weights of this shape derive from Qwen2.5-VL-3B, whose licence does not allow commercial use. "
        + N3D_LICENCE,
    ),
    "7B": ("Apache-2.0", "Qwen2.5-VL-7B, which weights of this shape derive from, is Apache-2.0. " + N3D_LICENCE),
    "32B": ("Apache-2.0", "Qwen2.5-VL-32B, which weights of this shape derive from, is Apache-2.0."),
    "72B": ("Qwen License", "Qwen2.5-VL-72B has the Qwen licence, with conditions above 100 million users."),
}
UNKNOWN_LICENCE = (
    "unknown",
    "The shape is of no published model and the folder has no card; ask whoever made the weights.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What is known of a loaded model.

    Args:
        source: as the user named it.
        name: such as "N3D-VLM, 7B shape".
        files: of the weights.
        licence: its name.
        licence_note: what it means, one or two sentences.
        parameters: tied ones counted once.
        weight_bytes: in memory.
        stored_dtype: of the files.
        dtype: in memory.
        device: where they are.
        position_code: the mode.
        position_code_reason: why that mode.
        point_channels: whether points are channels of the patches too.
        notes: of whoever made the weights.
    """

    source: str
    name: str
    files: tuple[CardFile, ...]
    licence: str
    licence_note: str
    parameters: int
    weight_bytes: int
    stored_dtype: str
    dtype: str
    device: str
    position_code: str
    position_code_reason: str
    point_channels: bool = False
    notes: str = ""

    def lines(self) -> list[str]:
        """For a console.

        Returns:
            Lines of text.
        """
        plan = MemoryPlan(parameters=self.parameters, weight_bytes=self.weight_bytes, available_bytes=0, place="")
        rows = [
            ("model", self.name),
            ("source", self.source),
            ("licence", f"{self.licence}. {self.licence_note}".strip()),
            (
                "weights",
                f"{plan.count()} in {self.dtype} (stored {self.stored_dtype}), {gigabytes(self.weight_bytes)} "
                f"on {self.device}",
            ),
            ("3-D code", f"{self.position_code} ({self.position_code_reason})"),
        ]
        rows += [("points", "channels of the image's patches too (point_channels)")] if self.point_channels else []
        rows += [("notes", self.notes)] if self.notes else []
        rows += [
            ("file", f"{file.name}  {gigabytes(file.size_bytes)}  sha256 {file.sha256 or 'not computed'}")
            for file in self.files
        ]
        return [f"{head:9} {text}" for head, text in rows]

    def to_dict(self) -> dict[str, Any]:
        """For JSON.

        Returns:
            The fields.
        """
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCard:
    """What we write beside weights of our own.

    Args:
        name: of the model.
        licence: its name.
        licence_note: what it means.
        notes: how it was made, or that it is random.
    """

    name: str = "N3D-VLM weights made with n3d_ros"
    licence: str = "unknown"
    licence_note: str = ""
    notes: str = ""


def read_own_card(folder: Path) -> OwnCard | None:
    """The card beside our own weights.

    Args:
        folder: of the checkpoint.

    Returns:
        The card; None where there is none.

    Raises:
        ConfigurationError: it is there and cannot be read.
    """
    if not (folder / CARD_FILE).is_file():
        return None
    data = read_json(folder / CARD_FILE)
    known = {key: str(data[key])[:4000] for key in ("name", "licence", "licence_note", "notes") if key in data}
    return OwnCard(**known)


def make_card(
    *,
    source: str,
    folder: Path,
    files: tuple[CardFile, ...],
    config: Qwen2_5_VLConfig,
    choice: PositionCodeChoice,
    plan: MemoryPlan,
    stored_dtype: str,
    dtype: str,
) -> ModelCard:
    """The card of a model that was just loaded.

    Args:
        source: as the user named it.
        folder: of the checkpoint.
        files: of the weights.
        config: of the model.
        choice: of the position code.
        plan: of the memory.
        stored_dtype: of the files.
        dtype: in memory.

    Returns:
        The card.
    """
    own = read_own_card(folder)
    size = size_name(config)
    licence, note = LICENCES.get(size or "", UNKNOWN_LICENCE)
    kind = "Qwen2.5-VL without 3-D code" if choice.mode == "none" else "N3D-VLM"
    return ModelCard(
        source=source,
        name=own.name if own else f"{kind}, {f'{size} shape' if size else 'of a shape of its own'}",
        files=files,
        licence=own.licence if own else licence,
        licence_note=own.licence_note if own else note,
        parameters=plan.parameters,
        weight_bytes=plan.weight_bytes,
        stored_dtype=stored_dtype,
        dtype=dtype,
        device=plan.place,
        position_code=choice.mode,
        position_code_reason=choice.reason,
        point_channels=bool(getattr(config, "point_channels", False)),
        notes=own.notes if own else "",
    )
