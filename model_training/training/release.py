"""The folder that comes out of a run: what the node loads with ``model:=``, a card for people, and checksums."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from model_training.training.config import TrainConfig
from model_training.training.starting import merge_lora
from n3d_ros.codec.input_options import OPTIONS_KEY, PREPROCESSOR_FILE, stored_options
from n3d_ros.errors import ConfigurationError
from n3d_ros.model.card import LICENCES, UNKNOWN_LICENCE, OwnCard, read_own_card
from n3d_ros.model.checkpoint import save_model
from n3d_ros.model.config import size_name
from n3d_ros.model.n3d_vlm import N3dVlm
from n3d_ros.model.packaged import SUMS_FILE, write_sums
from n3d_ros.whole_files import write_json, write_whole

COPIED = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "generation_config.json",
    PREPROCESSOR_FILE,
)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
CARD = """\
---
license: {licence_id}
library_name: n3d_ros
tags: [3d-grounding, rgbd, robotics]
---
# {name}

{purpose}

| | |
|---|---|
| licence of the weights | {licence} |
| parameters | {parameters:,} |
| numbers | {dtype} |
| position code | {position_code} |
| picture | longer side {long_side} px |
| boxes | {boxes} |
| data | {data} |
| training | {steps} |
| begun with | {start} |
| skipped | {skipped} |

## Use

    ros2 launch n3d_ros n3d.launch.py grounder:=language_model model:=THIS_FOLDER
    n3d eval --data DATA --model THIS_FOLDER --out REPORT    # how good it is on data of yours

`SHA256SUMS` holds the checksum of every file: `sha256sum -c SHA256SUMS`.

## Figures

{figures}

They are teacher-forced: each number is said after the true text before it, in bins of 1000. How many objects are found
is what `n3d eval` measures.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a card says of a run.

    Args:
        stage: "stage1" or "stage2".
        steps: done.
        data: the sources, in words.
        skipped: what was left out, in words.
        figures: scores by column title.
    """

    stage: str
    steps: int
    data: str
    skipped: str
    figures: Mapping[str, Mapping[str, float]]


def write_release(folder: Path, vlm: N3dVlm, config: TrainConfig, source: Path, facts: Facts) -> Path:
    """Writes the folder whole, or leaves the one before untouched.

    Args:
        folder: of the model; one that a release wrote before is replaced.
        vlm: with the weights to write; left as it is.
        config: of the run.
        source: folder it began with, which holds the tokenizer.
        facts: for the card.

    Returns:
        The folder.

    Raises:
        ConfigurationError: the folder holds something else, or there is no room.
    """
    if folder.exists() and not (folder / SUMS_FILE).is_file():
        raise ConfigurationError(f"{folder}: expected no folder, or one of a model before; move it away.")
    partial = folder.with_name(f".{folder.name}.part-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        _write(partial, vlm, config, source, facts)
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
    except (OSError, SafetensorError) as error:
        raise ConfigurationError(
            f"{folder}: the model cannot be written ({error}). Make room and run again."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _write(folder: Path, vlm: N3dVlm, config: TrainConfig, source: Path, facts: Facts) -> None:
    with torch.no_grad():
        rounded = copy.deepcopy(vlm).cpu()
        merge_lora(rounded)
        rounded = rounded.to(DTYPES[config.release]).eval()
    notes = f"{facts.stage}, {facts.steps} steps; data: {facts.data}"
    licence, licence_note = licence_of(config, source, rounded)
    card = OwnCard(name=config.name, licence=licence, licence_note=licence_note, notes=notes)
    for name in COPIED:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    save_model(rounded, folder, card=card)
    _write_preprocessor(folder, config)
    write_whole(folder / "README.md", card_text(rounded, config, facts, card).encode())
    write_sums(folder)


def licence_of(config: TrainConfig, source: Path, vlm: N3dVlm) -> tuple[str, str]:
    """The licence of the weights that come out, and what it means.

    Args:
        config: of the run; names it, or leaves it to the weights it begins with.
        source: folder of those.
        vlm: whose shape tells where weights without a card come from.

    Returns:
        Name and note.
    """
    if config.licence:
        return config.licence, ""
    own = read_own_card(source)
    return (own.licence, own.licence_note) if own else LICENCES.get(size_name(vlm.config) or "", UNKNOWN_LICENCE)


def _write_preprocessor(folder: Path, config: TrainConfig) -> None:
    """The size at which frames were shown, under our own key of the file that released models have too."""
    path = folder / PREPROCESSOR_FILE
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    write_json(path, values | {OPTIONS_KEY: stored_options(config.examples.input_options())})


def card_text(vlm: N3dVlm, config: TrainConfig, facts: Facts, card: OwnCard) -> str:
    """The model card.

    Args:
        vlm: as it is written.
        config: of the run.
        facts: of the run.
        card: with the licence.

    Returns:
        Markdown.
    """
    answers = ", and answers about them" if config.examples.learn_answers else ", also those of a question"
    learnt = "where objects are" + (answers if facts.stage == "stage2" else "")
    target = config.examples.target_box
    boxes = "around what is seen, along the camera's axes" if target == "visible" else "whole objects, turned"
    tokens = f"at most {config.data.tokens_per_batch} tokens and {config.data.frames_per_batch} frames a batch"
    return CARD.format(
        licence_id=card.licence.lower().replace(" ", "-"),
        licence=f"{card.licence}. {card.licence_note}" if card.licence_note else card.licence,
        name=config.name,
        purpose=f"An N3D-VLM model (a Qwen2.5-VL with 3-D positions) that was taught {learnt} by model_training.",
        parameters=sum(parameter.numel() for parameter in vlm.parameters()),
        dtype=config.release,
        position_code=vlm.position_code,
        long_side=config.examples.long_side,
        boxes=boxes,
        data=facts.data,
        steps=f"{facts.stage}: {facts.steps} steps, {tokens}, {config.data.accumulate} batches a step",
        start=Path(config.start_from).name or config.start_from,
        skipped=facts.skipped,
        figures=figures_table(facts.figures),
    )


def figures_table(figures: Mapping[str, Mapping[str, float]]) -> str:
    """A Markdown table with one column per title and one row per score.

    Args:
        figures: scores by column title.

    Returns:
        Lines.
    """
    if not figures:
        return "None were taken."
    titles = list(figures)
    names = dict.fromkeys(name for title in titles for name in figures[title])
    rows = [f"| | {' | '.join(titles)} |", "|---|" + "---|" * len(titles)]
    for name in names:
        cells = [figures[title].get(name) for title in titles]
        rows.append(f"| {name} | {' | '.join('' if cell is None else f'{cell:.4g}' for cell in cells)} |")
    return "\n".join(rows)
