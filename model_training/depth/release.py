"""The folder that comes out of training: config.json, model.safetensors with the released names, and a model card."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from n3d_ros.depth.network import DepthNetwork
from n3d_ros.depth.saving import save_network
from n3d_ros.weights.weight_files import SINGLE_FILE

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
CARD = """\
---
license: {licence_id}
---
# {name}

{purpose}

| | |
|---|---|
| licence of the weights | {licence} |
| parameters | {parameters:,} |
| input | {inputs} |
| data | {data} |
| steps | {steps} |
| sha256 of model.safetensors | `{sha256}` |

Load it with `n3d_ros.depth.checkpoint.load_network(FOLDER)`; depth is right up to one factor for
all views of a scene unless the model is a metric one.

## Figures on scenes that training never saw

{figures}
"""


def figures_table(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """A Markdown table with one column per model and one row per score.

    Args:
        figures: scores by column title.

    Returns:
        Lines.
    """
    if not figures:
        return "None were taken."
    titles = list(figures)
    rows = [f"| | {' | '.join(titles)} |", "|---|" + "---|" * len(titles)]
    for name in figures[titles[0]]:
        cells = [figures[title].get(name, float("nan")) for title in titles]
        shown = [str(cell) if isinstance(cell, int) else f"{cell:.3f}" for cell in cells]
        if any(cell != "nan" for cell in shown):
            rows.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join(rows)


def write_release(
    folder: Path,
    network: DepthNetwork,
    *,
    name: str,
    dtype: str,
    licence: str,
    is_metric: bool,
    facts: Mapping[str, str],
    figures: Mapping[str, Mapping[str, Any]],
) -> str:
    """Writes a folder of the released layout with a model card.

    Args:
        folder: made if missing; its three files are replaced.
        network: with the weights to write; left as it is.
        name: model_name of config.json; one that no released model has.
        dtype: of the file: "float32", "bfloat16" or "float16".
        licence: of the weights.
        is_metric: whether depth times the focal length over 300 px is in metres.
        facts: "purpose", "inputs", "data" and "steps" in words, for the card.
        figures: scores by column title, for the card.

    Returns:
        sha256 of the weights file.
    """
    rounded = copy.deepcopy(network).to(DTYPES[dtype])
    save_network(rounded, folder, model_name=name, licence=licence, is_metric=is_metric)
    sha256 = hashlib.sha256((folder / SINGLE_FILE).read_bytes()).hexdigest()
    card = CARD.format(
        licence_id=licence.lower(),
        licence=licence,
        name=name,
        parameters=sum(parameter.numel() for parameter in rounded.parameters()),
        sha256=sha256,
        figures=figures_table(figures),
        **facts,
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
    return sha256
