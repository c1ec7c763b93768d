"""The command ``n3d train``: from a configuration to a run with its log, its report and its model."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from model_training import checkpoints
from model_training.data.records import FrameRecord
from model_training.examples.left_out import BrokenOnes, reasons_and_advice
from model_training.examples.sources import SourceConfig, describe, open_source
from model_training.run_log import RunLog, read_log
from model_training.schedule import released_weights
from model_training.training.batches import sources_of
from model_training.training.config import TrainConfig
from model_training.training.release import Facts, write_release
from model_training.training.report import write_report, write_samples
from model_training.training.starting import Start, start_of
from model_training.training.trainer import GroundingTrainer
from model_training.training.validation import readable_pairs, validation_examples, validation_scores
from model_training.yaml_config import to_json
from n3d_ros.cli.console import on_stop_signal
from n3d_ros.depth.files.run_lock import only_run_in
from n3d_ros.errors import ConfigurationError, N3dError
from n3d_ros.whole_files import write_json

logger = logging.getLogger(__name__)

MODEL_FOLDER, TENSORBOARD_FOLDER, CONFIG_FILE = "model", "tensorboard", "config.json"
SAMPLE_FRAMES = 6


class Run:
    """A run in its folder: what is beside the trainer's own steps.

    Args:
        config: everything that decides it.
        stage: "stage1" or "stage2".
        folder: of the run.
        device: "cpu" or "cuda".
    """

    def __init__(self, config: TrainConfig, stage: str, folder: Path, *, device: str) -> None:
        if not config.data.sources:
            raise ConfigurationError("data sources: expected at least one; give --data FOLDER or name it in the YAML.")
        self.config, self.stage, self.folder, self.device = config, stage, folder, device
        self.sources = sources_of(config, stage)
        self.validation = tuple(open_source(source) for source in config.data.validation)
        self.start: Start = start_of(config)
        self._validates = bool(self.validation) and not config.sharded
        self._broken = BrokenOnes()
        self._log: RunLog | None = None
        self._board: Any = None
        self._bar: Any = None
        self._sums: dict[str, float] = {}
        self._count = 0
        self.trainer = GroundingTrainer(
            config, stage, folder, self.start, self.sources, device=device, on_step=self._after_step
        )

    def train(self, until: int | None = None) -> bool:
        """Trains to the end, or until Ctrl-C; then writes the report, and at the end the model.

        Args:
            until: the step to end at, with a model, though the configuration has more; None: its last.

        Returns:
            Whether it came to the end.
        """
        self.trainer.last_step = min(until or self.config.optimizer.steps, self.config.optimizer.steps)
        with only_run_in(self.folder) if self._writes else contextlib.nullcontext():
            first = self._begin()
            try:
                with on_stop_signal(self._ask_to_stop):
                    ended = self.trainer.run()
            finally:
                if self._bar is not None:
                    self._bar.close()
            if self._writes:
                self._finish(release=ended)
        logger.debug("Began at step %d.", first)
        return ended

    def release_now(self) -> None:
        """Writes report and model from the newest checkpoint; the run stays as it is and can go on.

        Raises:
            ConfigurationError: the folder holds no checkpoint, or one of another configuration.
        """
        if not self._writes:
            return
        with only_run_in(self.folder):
            self.trainer.load()
            self._finish(release=True)

    @property
    def _writes(self) -> bool:
        return bool(self.trainer.args.process_index == 0)

    def _begin(self) -> int:
        """Opens log, TensorBoard and progress bar; the step the run goes on from."""
        found = self.trainer.found()  # refused before a line of its folder is changed
        first = 0 if found is None else int(found[1]["step"])
        if first > self.trainer.last_step:
            raise ConfigurationError(
                f"--until {self.trainer.last_step}: the run stands at step {first} already; name a later step, or take "
                "--release-now for a model of what there is."
            )
        if not self._writes:
            return first
        checkpoints.remove_abandoned(self.folder)
        write_json(self.folder / CONFIG_FILE, json.loads(to_json(self.config)))
        self._log = RunLog(self.folder, -1 if found is None else first)
        self._board = _board(self.folder / TENSORBOARD_FOLDER, first)
        self._bar = tqdm(total=self.trainer.last_step, initial=first, unit="step", disable=None)
        if first == 0:
            self._validate(0)
        self.trainer.speed.read()
        return first

    def _after_step(self, trainer: GroundingTrainer, values: dict[str, float]) -> None:
        """Progress, and log and validation when their time has come."""
        step, config = int(trainer.state.global_step), self.config
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1
        if self._bar is not None:
            self._bar.update()
            self._bar.set_postfix(loss=f"{values['answer']:.3f}", refresh=False)
        if step % config.log_every == 0 or step == 1:
            means = {name: value / self._count for name, value in self._sums.items()}
            self._note(step, "train", means | trainer.speed.read())
            self._sums, self._count = {}, 0
        if step >= self.trainer.last_step or (config.validate_every and step % config.validate_every == 0):
            if self._writes:
                self._validate(step)
            if trainer.args.world_size > 1:
                torch.distributed.barrier()
            trainer.speed.read()

    def _note(self, step: int, kind: str, values: dict[str, float]) -> None:
        if self._log is not None:
            self._log.add(step, kind, values)
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)
            self._board.flush()

    def _validate(self, step: int) -> None:
        """Adds the scores of the weights that would be released to the log."""
        if not self._validates:
            return
        skipped: Counter[str] = Counter()
        examples = validation_examples(
            self.validation,
            self.config.examples,
            self.config.mix(self.stage),
            self.start.tokenizer,
            self.config.validation_frames,
            skipped=skipped,
            broken=self._broken,
        )
        with released_weights(self.start.model.vlm, self.trainer.mean):
            scores = validation_scores(
                self.start.model,
                examples,
                self.start.tokenizer,
                self.trainer.args.device,
                half=self.config.precision == "bfloat16",
            )
        if not scores:
            reasons, advice = reasons_and_advice(skipped)
            logger.warning("Nothing is validated: no frame gives an example (%s). %s", reasons or "no frames", advice)
            self._validates = False
            return
        self._note(step, "validation", scores)

    def _finish(self, *, release: bool) -> None:
        """Report, and where it is due the model, which the node's own grounder then looks at some frames with."""
        step = int(self.trainer.state.global_step)
        lines = [line for line in read_log(self.folder, until=step) if line["kind"] == "validation"]
        figures = {
            f"step {line['step']}": {k: v for k, v in line.items() if k not in ("kind", "step")}
            for line in (lines[:1] + lines[-1:] if len(lines) > 1 else lines)
        }
        facts = Facts(
            stage=self.stage,
            steps=step,
            data="; ".join(source.about for source in self.sources),
            skipped=describe(self.trainer.skipped),
            figures=figures,
        )
        if release:
            model = self.folder / MODEL_FOLDER
            with released_weights(self.start.model.vlm, self.trainer.mean):
                write_release(model, self._whole_network(), self.config, self.start.folder, facts)
            self._write_samples(model)
        write_report(
            self.folder,
            self.config,
            facts,
            json.dumps(json.loads(to_json(self.config)), indent=1),
            complete=facts.steps >= self.config.optimizer.steps,
        )

    def _write_samples(self, model: Path) -> None:
        """Pictures of what the model finds; a run is not lost for want of them."""
        pairs = readable_pairs(self.validation, Counter(), self._broken)
        try:
            records = list(islice((frame for frame, _ in pairs if _is_readable(frame)), SAMPLE_FRAMES))
            if records:
                write_samples(self.folder, model, records, self.config, self.device)
        except (ImportError, N3dError) as error:
            logger.warning("No sample pictures: %s", error)

    def _whole_network(self) -> Any:
        """The network with all its weights in this process; divided ones are read back from the last checkpoint."""
        if not self.config.sharded:
            return self.start.model.vlm
        from model_training.training.state import WEIGHTS, load_trained

        newest = checkpoints.newest_checkpoint(self.folder)
        assert newest is not None  # the last step wrote one
        whole = start_of(self.config).model
        load_trained(whole, checkpoints.load_pieces(newest, WEIGHTS), newest, sharded=False)
        return whole.vlm

    def _ask_to_stop(self) -> None:
        """Lets the step finish and a checkpoint follow; a second Ctrl-C kills."""
        self.trainer.stop_asked = True


def _is_readable(frame: FrameRecord) -> bool:
    """Whether its images can be decoded."""
    try:
        frame.frame()
    except N3dError:
        return False
    return True


def with_folders(config: TrainConfig, data: list[str], validation: list[str]) -> TrainConfig:
    """The configuration with the command line's folders in place of its own.

    Args:
        config: as read.
        data: folders to learn from; none: the configuration's own sources.
        validation: folders to be scored on; none: the configuration's own.

    Returns:
        The configuration.
    """
    changes: dict[str, Any] = {}
    if data:
        changes["sources"] = tuple(SourceConfig(folder=each) for each in data)
    if validation:
        changes["validation"] = tuple(SourceConfig(folder=each) for each in validation)
    return replace(config, data=replace(config.data, **changes)) if changes else config


def chosen_device(name: str) -> str:
    """Where a run takes place.

    Args:
        name: "auto", "cpu" or "cuda".

    Returns:
        "cpu" or "cuda".

    Raises:
        ConfigurationError: a GPU is asked for and there is none.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError(
            "--device cuda: torch finds no GPU here; install its CUDA build, or take --device cpu."
        )
    return name


def begin_folder(folder: Path, resume: str) -> None:
    """Refuses to go on where a new run is wanted, and to begin where there is something else.

    Args:
        folder: of the run.
        resume: "auto" goes on where there is a checkpoint; "never" wants a new run.

    Raises:
        ConfigurationError: it does not fit.
    """
    if resume == "never" and checkpoints.newest_checkpoint(folder) is not None:
        raise ConfigurationError(f"{folder}: holds a run already; name another folder, or go on with --resume auto.")
    found = [] if not folder.is_dir() else sorted(path.name for path in folder.iterdir())
    strangers = [name for name in found if not name.endswith(".part")]  # another process may just be writing its first
    if strangers and not _is_run(folder):
        raise ConfigurationError(f"{folder}: expected a new folder or one of a run, got one with {strangers[0]}.")


def check_release(config: TrainConfig, folder: Path) -> None:
    """Refuses a release where there is nothing to release, before a model is loaded or a folder made.

    Args:
        config: of the run.
        folder: of the run.

    Raises:
        ConfigurationError: no checkpoint, or divided weights without the launcher that they need.
    """
    checkpoints.checkpoint_to_release(folder)
    if config.sharded and not is_launched():
        raise ConfigurationError(f"{folder}: its weights are divided; start this with torchrun, as the run was.")


def _is_run(folder: Path) -> bool:
    """Whether a folder is a run's. A model's has a file of the same name, which would be written over."""
    try:
        values = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(values, dict) and {"examples", "optimizer"} <= values.keys()


def is_launched() -> bool:
    """Whether torchrun or accelerate started several processes."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def _board(folder: Path, first: int) -> Any:
    """TensorBoard's writer; None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.info("TensorBoard is not installed; the log is in log.jsonl alone.")
        return None
    return SummaryWriter(str(folder), purge_step=first + 1 if first else None)
