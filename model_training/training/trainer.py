"""GroundingTrainer: transformers' Trainer with our losses, order of data and checkpoints.

Of the Trainer are the loop, devices, mixed precision, gradient accumulation and clipping, DDP and FSDP (through
Accelerate). Its own checkpoints hold pickled files and its resumption reads all former data again; both are replaced.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer
from transformers.trainer_callback import PrinterCallback

from model_training import checkpoints
from model_training.examples.left_out import BrokenOnes
from model_training.examples.loader import META, batch_loader
from model_training.examples.sources import Source
from model_training.examples.stream import Cursor
from model_training.schedule import WeightMean, rate_share
from model_training.training import state as saved
from model_training.training.batches import batches_of
from model_training.training.config import TrainConfig
from model_training.training.settings import make_optimizer, trainer_arguments
from model_training.training.speed import Speed, peak_of
from model_training.training.starting import Start
from model_training.training.steps import StepCallback
from n3d_ros.errors import ConfigurationError

logger = logging.getLogger(__name__)

TRAINER_STATE = "trainer_state.json"  # what transformers' Trainer reads of its own

OnStep = Callable[["GroundingTrainer", dict[str, float]], None]


class GroundingTrainer(Trainer):
    """One run.

    Args:
        config: everything that decides it.
        stage: "stage1" or "stage2".
        folder: of the run: checkpoints.
        start: model and tokenizer.
        sources: opened, in the order of ``config.data.sources``.
        device: "cpu" or "cuda".
        on_step: called after each step with its values, on every process.
    """

    optimizer: Any
    lr_scheduler: Any

    def __init__(
        self,
        config: TrainConfig,
        stage: str,
        folder: Path,
        start: Start,
        sources: tuple[Source, ...],
        *,
        device: str = "cpu",
        on_step: OnStep | None = None,
    ) -> None:
        self.config, self.stage, self.folder, self.start, self.sources = config, stage, folder, start, sources
        self.on_step = on_step
        self.last_step = config.optimizer.steps
        """At which a run ends, with a checkpoint; below the configuration's steps it can go on later."""
        self.stop_asked = False
        self.is_last_step = False
        """Whether the step in hand is the last one now: of the run, or because someone asked to stop."""
        self.skipped: Counter[str] = Counter()
        self._broken = BrokenOnes()
        self._cursors: dict[int, Cursor] = {}
        self._batches = 0
        self._sums: dict[str, Tensor] = {}
        self._items = torch.tensor(1.0)
        self._length: Any = float("nan")
        super().__init__(
            model=start.model, args=trainer_arguments(config, folder, device), callbacks=[StepCallback(self)]
        )
        self.remove_callback(PrinterCallback)
        average = config.optimizer.average
        self.mean = WeightMean(start.model.vlm, average) if average > 0 else None  # on the device by now
        # compute_loss divides by all tokens of a step; the second is its name in transformers before 5.23.
        self.loss_is_scaled_for_ga = self.model_accepts_loss_kwargs = True
        self.speed = Speed(peak=peak_of(self.args.device), processes=self.args.world_size)

    # --------------------------------------------------------------------------------------------------------- data

    def get_train_dataloader(self) -> Any:
        """The batches of this process, from where the run stands on.

        Returns:
            A loader without end.
        """
        data = self.config.data
        batches = batches_of(
            self.config,
            self.stage,
            self.sources,
            self.start.folder,
            rank=self.args.process_index,
            processes=self.args.world_size,
            first=self._batches,
            cursors=self._cursors,
        )
        return batch_loader(batches, streams=data.streams, workers=data.workers, pinned=self.args.device.type == "cuda")

    def get_batch_samples(
        self, epoch_iterator: Iterator[dict[str, Any]], num_batches: int, device: torch.device
    ) -> tuple[list[dict[str, Any]], Tensor]:
        """The batches of a step; notes where the data stand behind them and how many tokens all processes learn.

        Args:
            epoch_iterator: of the loader.
            num_batches: of the step.
            device: of the training.

        Returns:
            Batches, and how many tokens they all learn.
        """
        begun = time.perf_counter()
        batches = [next(epoch_iterator) for _ in range(num_batches)]
        self.speed.waited(time.perf_counter() - begun)
        tokens = 0
        for batch in batches:
            meta = batch.pop(META)
            self._cursors[meta["stream"]] = Cursor.from_json(meta["cursor"])
            self._batches = meta["number"] + 1
            self.skipped.update(meta["skipped"])
            self._broken.tell(meta["broken"])
            tokens += int((batch["labels"] != -100).sum())
            self.speed.add(
                self.start.model.work_of(batch), tokens=meta["tokens"], frames=meta["frames"], samples=meta["turns"]
            )
        # One message tells all processes how many tokens there are and whether one of them was asked to stop.
        counts = torch.tensor([float(tokens), float(self.stop_asked)], device=device)
        if self.args.world_size > 1:
            torch.distributed.all_reduce(counts)
        self._items = counts[0].clamp_min(1)
        self.is_last_step = bool(counts[1] > 0) or self.state.global_step + 1 >= self.last_step
        self._sums = {}
        return batches, self._items

    # -------------------------------------------------------------------------------------------------------- steps

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *_: Any, **__: Any) -> Tensor:
        """The loss of a batch: its share of the mean over all tokens that the step learns, and the dense head's.

        Args:
            model: as it is trained.
            inputs: the batch, on the device.

        Returns:
            A scalar; its gradients add up to the step's.
        """
        losses: Mapping[str, Tensor] = model(inputs)
        # DDP and FSDP average gradients over processes, while the answers' loss is a sum over them.
        answer = losses["answer"] / self._items * self.args.world_size
        total = answer
        if "dense" in losses:
            total = total + losses["dense"] / self.config.data.accumulate
        parts = {name: value / self.config.data.accumulate for name, value in losses.items() if name[:5] == "dense"}
        for name, value in {"answer": answer, "total": total, **parts}.items():
            self._sums[name] = self._sums.get(name, torch.zeros((), device=value.device)) + value.detach()
        return total

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        self._length = super()._get_grad_norm(model, grad_norm=grad_norm)
        return self._length

    def check_numbers(self) -> None:
        """Stops before the optimizer takes in what is no number."""
        values = {name: float(value) for name, value in self._sums.items()}
        checkpoints.check_numbers(self.folder, self.state.global_step, values, float(self._length))

    def step_values(self) -> dict[str, float]:
        """The losses of the step just done, its rate and its gradient's length.

        Returns:
            By name.
        """
        names, sums = list(self._sums), torch.stack(list(self._sums.values()))
        if self.args.world_size > 1:  # of all processes, as their gradients are
            torch.distributed.all_reduce(sums)
            sums /= self.args.world_size
        values = dict(zip(names, sums.tolist(), strict=True))
        peak = self.config.optimizer.learning_rate
        share = rate_share(self.config.optimizer, self.state.global_step - 1)
        return values | {"gradient_norm": float(self._length), "rate": share * peak}

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW in groups by rate and by decay.

        Args:
            model: as it is trained; None: the run's own.

        Returns:
            The optimizer.
        """
        if self.optimizer is None:
            self.optimizer = make_optimizer(self.model if model is None else model, self.config)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Warm-up and cosine.

        Args:
            num_training_steps: not used; the configuration has it.
            optimizer: to be steered; None: the run's own.

        Returns:
            The scheduler.
        """
        del num_training_steps
        if self.lr_scheduler is None:
            settings = self.config.optimizer
            target = self.optimizer if optimizer is None else optimizer
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(target, lambda step: rate_share(settings, step))
        return self.lr_scheduler

    # -------------------------------------------------------------------------------------------------- checkpoints

    def found(self) -> tuple[Path, dict[str, Any]] | None:
        """The checkpoint that the run goes on from, and what its JSON holds.

        Returns:
            The newest in the folder; None: the run begins.

        Raises:
            ConfigurationError: the checkpoint is of another configuration or another number of processes.
        """
        newest = checkpoints.newest_checkpoint(self.folder)
        if newest is None:
            return None
        values = self._settled_state(newest)
        if len(values["cursors"]) != self.args.world_size:
            raise ConfigurationError(
                f"{newest}: written by {len(values['cursors'])} processes, whose data it divides; got "
                f"{self.args.world_size}. Start as many."
            )
        return newest, values

    def _settled_state(self, checkpoint: Path) -> dict[str, Any]:
        """What a checkpoint's JSON holds; a ConfigurationError where it is of another configuration."""
        values = checkpoints.read_state(checkpoint)
        saved.check_settled(values["config"], self.config, self.stage, checkpoint)
        return values

    def run(self) -> bool:
        """Goes on from the newest checkpoint in the folder, or begins.

        Returns:
            Whether it came to the last step.
        """
        found = self.found()
        if found is None:
            self.train()
        else:
            newest, values = found
            if int(values["step"]) >= self.last_step:
                self.load()
                return True
            mine = values["cursors"][self.args.process_index]
            self._cursors = {int(stream): Cursor.from_json(cursor) for stream, cursor in mine.items()}
            self._batches = int(values["batches"])
            self.skipped.update(values["skipped"])
            self.train(resume_from_checkpoint=str(newest))
        return self.state.global_step >= self.last_step

    def load(self) -> None:
        """Takes weights, their mean, the step and what was left out from the newest checkpoint, and learns nothing.

        Raises:
            ConfigurationError: the folder holds none, or one of another configuration.
        """
        newest = checkpoints.checkpoint_to_release(self.folder)
        values = self._settled_state(newest)
        if self.mean is not None and not checkpoints.has_pieces(newest, saved.MEANS):
            logger.warning("%s is compact: its own weights are released, not their running mean.", newest)
        if not self.config.sharded:  # divided weights are read back when they are released
            self._load_from_checkpoint(str(newest), self.model)
        self.state.global_step = int(values["step"])
        self.skipped.update(values["skipped"])

    def save(self) -> None:
        """Writes a checkpoint of the present state; every process must call it."""
        sharded = self.config.sharded
        groups: dict[str, Mapping[str, Tensor]] = {
            saved.WEIGHTS: saved.trained_tensors(self.model, sharded=sharded),
            saved.MOMENTS: saved.moments(self.model, self._plain_optimizer(), sharded=sharded),
            saved.MEANS: saved.mean_tensors(self.mean),
            saved.RANDOM: saved.random_tensors(self.args.device),
        }
        if self.config.checkpoint == "compact":
            # Of a run that is over nothing moves any more; where one ends, its running mean is what is released, now or
            # once more.
            over = self.state.global_step >= self.config.optimizer.steps
            groups[saved.MOMENTS] = {} if over else saved.compacted(groups[saved.MOMENTS])
            groups[saved.MEANS] = groups[saved.MEANS] if self.state.global_step >= self.last_step else {}
        mine = {str(stream): cursor.to_json() for stream, cursor in sorted(self._cursors.items())}
        every: list[Any] = [mine]
        if self.args.world_size > 1:
            every = [None] * self.args.world_size
            torch.distributed.all_gather_object(every, mine)
        if not self.args.should_save:
            return
        step = self.state.global_step
        values = {
            "config": saved.settled(self.config, self.stage),
            "batches": self._batches,
            "cursors": every,
            "schedule": {name: v for name, v in self.lr_scheduler.state_dict().items() if name != "lr_lambdas"},
            "random": saved.random_values(),
            "skipped": dict(self.skipped),
        }
        own = json.dumps(asdict(self.state), indent=1, sort_keys=True) + "\n"
        checkpoints.save_checkpoint(self.folder, step, groups, values, files={TRAINER_STATE: own})

    def _plain_optimizer(self) -> torch.optim.Optimizer:
        """The optimizer without Accelerate's wrapper."""
        inner: torch.optim.Optimizer = getattr(self.optimizer, "optimizer", self.optimizer)
        return inner

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        del model, trial
        self.save()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        folder = Path(resume_from_checkpoint)
        tensors = checkpoints.load_pieces(folder, saved.WEIGHTS)
        target = self.model if model is None else model
        saved.load_trained(target, tensors, folder, sharded=self.config.sharded and model is not None)
        if self.mean is not None:
            means = checkpoints.load_pieces(folder, saved.MEANS)
            self.mean = WeightMean(self.start.model.vlm, self.config.optimizer.average)
            self.mean.values |= {name: value.to(self.args.device) for name, value in means.items()}

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        folder = Path(checkpoint)
        tensors = saved.expanded(checkpoints.load_pieces(folder, saved.MOMENTS))
        saved.load_moments(self.model, self._plain_optimizer(), tensors, sharded=self.config.sharded)
        schedule = checkpoints.read_state(folder)["schedule"]
        self.lr_scheduler.load_state_dict({**schedule, "lr_lambdas": [None] * len(self.lr_scheduler.lr_lambdas)})
        for group, rate in zip(self._plain_optimizer().param_groups, schedule["_last_lr"], strict=True):
            group["lr"] = rate

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None and self.args.world_size == 1:
            folder = Path(checkpoint)
            values = checkpoints.read_state(folder)["random"]
            saved.restore_random(checkpoints.load_pieces(folder, saved.RANDOM), values, self.args.device)
