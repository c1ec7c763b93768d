"""The commands ``train`` and ``evaluate``: a run with its report and model, and the scores of any model."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from model_training.curves import curves
from model_training.depth.distributed import join_processes, leave_processes
from model_training.depth.guesses import blind_scores, guess_of, looked_at, mean_depth, network_scores, truth_of
from model_training.depth.release import figures_table, write_release
from model_training.depth.report import CURVES, sample_sheet
from model_training.depth.shards import ShardFolder
from model_training.depth.train_config import TrainConfig
from model_training.depth.trainer import Trainer
from model_training.run_log import read_log
from model_training.schedule import released_weights
from model_training.yaml_config import read_yaml
from n3d_ros.depth.checkpoint import LoadedNetwork, load_network
from n3d_ros.errors import ConfigurationError

logger = logging.getLogger(__name__)

MODEL_FOLDER = "model"
SAMPLE_SCENES, SAMPLE_VIEWS = 3, 3
BLIND_SCENES = 200
STOPPED = 130


def train(options: argparse.Namespace) -> int:
    """Runs or resumes a training, then writes its report and its model.

    Args:
        options: of the command line.

    Returns:
        0; 130 when it was stopped.
    """
    config = read_yaml(options.config, TrainConfig)
    device = ("cuda" if torch.cuda.is_available() else "cpu") if options.device == "auto" else options.device
    if options.threads:
        torch.set_num_threads(options.threads)
    processes = join_processes(device)
    try:
        where = f"cuda:{processes.local_rank}" if device == "cuda" else device
        validation = ShardFolder(options.validation) if options.validation else None
        data = ShardFolder(options.data)
        trainer = Trainer(config, options.out, data, validation, device=where, processes=processes)
        complete = trainer.run()
        if processes.is_first:
            write_report(trainer, options.out)
            if complete:
                folder = options.out / MODEL_FOLDER
                release(trainer, folder, options.dtype)
                logger.info("%s: the model, with its card.", folder)
    finally:
        leave_processes(processes)
    if not complete:
        logger.info("Stopped at step %d; run the same command again to go on.", trainer.step)
    return 0 if complete else STOPPED


def write_report(trainer: Trainer, folder: Path) -> None:
    """Writes curves.png and, with validation scenes, samples.png.

    Args:
        trainer: after its run.
        folder: of the run.
    """
    cv2.imwrite(str(folder / "curves.png"), curves(read_log(folder), CURVES))
    if trainer.validation is not None:
        with released_weights(trainer.network, trainer.mean):
            _write_samples(
                trainer.network,
                trainer.validation,
                folder,
                size=trainer.config.data.resolutions[0],
                canonical_focal=trainer.config.data.canonical_focal,
                device=trainer.device,
            )


def _write_samples(
    network: nn.Module,
    data: ShardFolder,
    folder: Path,
    *,
    size: tuple[int, int],
    canonical_focal: bool,
    device: torch.device | str,
) -> None:
    """samples.png: some views beside the truth."""
    sets = list(looked_at(data, SAMPLE_SCENES, SAMPLE_VIEWS, size))
    training = network.training
    network.eval()
    guesses = [guess_of(network, each, canonical_focal=canonical_focal, device=device) for each in sets]
    network.train(training)
    sheet = sample_sheet([each.rgb for each in sets], guesses, [truth_of(each) for each in sets])
    cv2.imwrite(str(folder / "samples.png"), sheet)


def _figures(lines: list[dict[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """First and last validation of a run."""
    scored = [{k: v for k, v in line.items() if k != "kind"} for line in lines if line["kind"] == "validation"]
    if not scored:
        return {}
    return {"before": scored[0], "after": scored[-1]}


def release(trainer: Trainer, folder: Path, dtype: str) -> str:
    """Writes the run's model in the released layout.

    Args:
        trainer: after its run.
        folder: of the model.
        dtype: of the file.

    Returns:
        sha256 of the weights.
    """
    config = trainer.config
    several = config.stage == "any_view"
    learnt = "depth, confidence, rays and camera poses of several views" if several else "depth and sky of single views"
    metric = config.data.canonical_focal
    unit = (
        "Depth times f / 300, f the focal length in processed pixels, is in metres." if metric else "Depth is relative."
    )
    sizes = ", ".join(f"{width}x{height}" for height, width in dict.fromkeys(config.data.resolutions))
    begun = f"the weights of {Path(config.start_from).name}" if config.start_from else "random weights"
    with released_weights(trainer.network, trainer.mean):
        return write_release(
            folder,
            trainer.network,
            name=config.name,
            dtype=dtype,
            licence=config.licence,
            is_metric=metric,
            facts={
                "purpose": f"A Depth Anything 3 network that gives {learnt}. {unit} Trained by model_training.depth.",
                "inputs": f"trained at {sizes} px; other sizes are outside what it has seen",
                "data": f"{len(trainer.data)} scenes of {trainer.data.shape[0]} views ({_source_of(trainer.data)})",
                "steps": f"{trainer.step} of {config.data.tokens_per_batch} patches each, begun with {begun}",
            },
            figures=_figures(read_log(trainer.folder)),
        )


def _source_of(data: ShardFolder) -> str:
    """In words, from the folder's index."""
    index = data.folder / "index.json"
    values = json.loads(index.read_text(encoding="utf-8")) if index.exists() else {}
    if values.get("source") == "scenes":
        first = values["first_seed"]
        return f"generated {values['kind']} scenes, seeds {first} to {first + len(data) - 1}"
    return f"recordings in {Path(values.get('folder', '?')).name}"


def evaluate(options: argparse.Namespace) -> int:
    """Scores a model on shards and writes scores.json and samples.png.

    Args:
        options: of the command line.

    Returns:
        0.

    Raises:
        ConfigurationError: a nested pair, which is scored by ``n3d depth eval``.
    """
    loaded = load_network(options.model, device=options.device)
    if not isinstance(loaded, LoadedNetwork):
        raise ConfigurationError(f"{options.model}: a nested pair; score it with `n3d depth eval`, or name one part.")
    data = ShardFolder(options.data)
    size = (options.size[0], options.size[1]) if options.size else (data.shape[1], data.shape[2])
    options.out.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Mapping[str, Any]] = {
        loaded.name: network_scores(
            loaded.network,
            data,
            scenes=options.scenes,
            views=options.views,
            size=size,
            canonical_focal=loaded.is_metric,
            device=loaded.device,
        ).to_dict()
    }
    if options.blind:
        depth = mean_depth(ShardFolder(options.blind), BLIND_SCENES, size)
        blind = blind_scores(depth, data, scenes=options.scenes, views=options.views, size=size)
        figures["without eyes"] = {k: v for k, v in blind.to_dict().items() if np.isfinite(v)}
    (options.out / "scores.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    _write_samples(loaded.network, data, options.out, size=size, canonical_focal=loaded.is_metric, device=loaded.device)
    logger.info("%s", figures_table(figures))
    return 0
