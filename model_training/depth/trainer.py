"""The training loop: from step to step, log, validation, checkpoint, and back to exactly where it was stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from model_training import checkpoints
from model_training.depth.batches import BatchPlan, BatchStream
from model_training.depth.distributed import Processes, synchronised
from model_training.depth.guesses import network_scores
from model_training.depth.initialization import initialize
from model_training.depth.schedule import make_optimizer
from model_training.depth.shards import ShardFolder
from model_training.depth.stages import ObjectHead, any_view_step, monocular_step
from model_training.depth.starting import take_over
from model_training.depth.targets import Batch
from model_training.depth.train_config import TrainConfig
from model_training.run_log import RunLog
from model_training.schedule import WeightMean, rate_share, released_weights, set_rate
from model_training.yaml_config import to_json
from n3d_ros.cli.console import on_stop_signal
from n3d_ros.depth.network import build_network
from n3d_ros.errors import ConfigurationError

WEIGHTS, MOMENTS, MEANS, RANDOM, EXTRA = "weights", "optimizer", "mean", "random", "training_only"


class Model(nn.Module):
    """A network with its losses as one module, so that several processes can share its gradients.

    Args:
        config: of the run.
        network: what is released in the end.
    """

    def __init__(self, config: TrainConfig, network: nn.Module) -> None:
        super().__init__()
        self.config, self.network = config, network
        wants_objects = config.stage == "monocular" and config.monocular_losses.objects > 0
        self.object_head = ObjectHead(config.network.embed_dim) if wants_objects else None

    def forward(self, batch: Batch, plan: BatchPlan, generator: torch.Generator) -> dict[str, Tensor]:
        """The losses of a batch.

        Args:
            batch: on the network's device.
            plan: of the batch.
            generator: source of chance.

        Returns:
            Losses by name, with "total".
        """
        if self.config.stage == "any_view":
            return any_view_step(self.config, self.network, batch, plan)
        return monocular_step(self.config, self.network, batch, plan, generator, self.object_head)


class Trainer:
    """One run. ``run()`` goes on from the newest checkpoint in its folder, or begins.

    Args:
        config: everything that decides the run.
        folder: of the run: log, checkpoints.
        data: prepared scenes to learn from.
        validation: prepared scenes that are never learnt; None: no validation.
        device: as torch names it.
        processes: of the run; None: this one alone.
    """

    def __init__(
        self,
        config: TrainConfig,
        folder: Path,
        data: ShardFolder,
        validation: ShardFolder | None,
        *,
        device: str = "cpu",
        processes: Processes | None = None,
    ) -> None:
        self.config, self.folder, self.data, self.validation = config, folder, data, validation
        self.device = torch.device(device)
        self.processes = processes or Processes()
        self.step = 0
        self._stop = False
        network = build_network(config.network)
        initialize(network, config.seed)
        self._freeze_unused(network)
        if config.start_from:
            take_over(network, config.start_from, config.start_without)
        self.model = Model(config, network).to(self.device)
        self.network = network
        self.optimizer = make_optimizer(self.model, config.optimizer)
        self.mean = WeightMean(network, config.optimizer.average) if config.optimizer.average > 0 else None
        self._generator = torch.Generator().manual_seed(config.seed + self.processes.rank)
        self._parameters = [p for p in self.model.parameters() if p.requires_grad]
        self._names = {id(p): name for name, p in self.model.named_parameters()}

    @staticmethod
    def _freeze_unused(network: nn.Module) -> None:
        """Three of the ray head's four levels are in the released files and in no computation."""
        for name, parameter in network.named_parameters():
            level = name.partition("_aux.")[2].partition(".")[0]
            is_norm = ".output_conv2_aux." in name and name.split(".")[-2] == "2"
            if ("output_conv1_aux" in name or "output_conv2_aux" in name) and level != "3" and not is_norm:
                parameter.requires_grad_(requires_grad=False)

    # ------------------------------------------------------------------------------------------------------ checkpoints

    def resume(self) -> int:
        """Steps done: those of the newest checkpoint, whose whole state is taken over, or 0.

        Returns:
            The step to go on with.

        Raises:
            ConfigurationError: the checkpoint is of another configuration.
        """
        folder = checkpoints.newest_checkpoint(self.folder)
        if folder is None:
            return 0
        state = checkpoints.read_state(folder)
        if state["config"] != to_json(self.config):
            raise ConfigurationError(
                f"{folder} was written with another configuration; name a new run folder, or take the old one."
            )
        self.network.load_state_dict(checkpoints.load_pieces(folder, WEIGHTS), strict=False)
        if self.model.object_head is not None:
            self.model.object_head.load_state_dict(checkpoints.load_pieces(folder, EXTRA))
        checkpoints.load_optimizer(self.optimizer, checkpoints.load_pieces(folder, MOMENTS), self._names)
        if self.mean is not None:
            saved = checkpoints.load_pieces(folder, MEANS)
            self.mean.values = {name: value.to(self.device) for name, value in saved.items()}
        if self.processes.count == 1:
            self._generator.set_state(checkpoints.load_pieces(folder, RANDOM)["generator"])
        self.step = int(state["step"])
        return self.step

    def save(self) -> Path:
        """Writes a checkpoint of the present state.

        Returns:
            Its folder.
        """
        groups: dict[str, Mapping[str, Tensor]] = {
            WEIGHTS: checkpoints.own_tensors(self.network),
            MOMENTS: checkpoints.optimizer_tensors(self.optimizer, self._names),
            MEANS: {} if self.mean is None else self.mean.values,
            RANDOM: {"generator": self._generator.get_state()},
            EXTRA: {} if self.model.object_head is None else self.model.object_head.state_dict(),
        }
        return checkpoints.save_checkpoint(self.folder, self.step, groups, {"config": to_json(self.config)})

    # ------------------------------------------------------------------------------------------------------------- loop

    def run(self) -> bool:
        """Trains to the end, or until Ctrl-C or a signal to end.

        Returns:
            Whether the run is complete; either way a checkpoint is written.

        Raises:
            TrainingError: the loss or a gradient is no number.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        first, last = self.resume(), self.config.optimizer.steps
        log = None
        if self.processes.is_first:
            checkpoints.remove_abandoned(self.folder)
            log = RunLog(self.folder, first)
        if first == 0 and log is not None:
            self._validate(log)
        stream = BatchStream(self.data, self.config.data, seed=self.config.seed, rank=self.processes.rank)
        bar = tqdm(total=last, initial=first, unit="step", disable=None if self.processes.is_first else True)
        shared = synchronised(self.model, self.processes, self.device)
        with bar, on_stop_signal(self._ask_to_stop):
            for step, plan, batch in stream.steps(first, last):
                values = self._train_step(shared, step, plan, batch)
                self.step = step + 1
                bar.update()
                if log is not None:
                    self._note(log, bar, values, plan)
                if self._stop:
                    break
        if self.processes.is_first and self.step > first:
            self.save()
        return self.step == last

    def _train_step(self, shared: nn.Module, step: int, plan: BatchPlan, batch: Batch) -> dict[str, float]:
        """One step; the losses, the gradient's length and the rate as numbers."""
        share = rate_share(self.config.optimizer, step)
        set_rate(self.optimizer, share)
        self.optimizer.zero_grad(set_to_none=True)
        with self._precision():
            losses = shared(batch.to(self.device), plan, self._generator)
        losses["total"].backward()
        length = float(nn.utils.clip_grad_norm_(self._parameters, self.config.optimizer.clip_norm))
        values = {name: float(value.detach()) for name, value in losses.items()}
        checkpoints.check_numbers(self.folder, step, values, length)
        self.optimizer.step()
        if self.mean is not None:
            self.mean.update(self.network, step)
        return values | {"gradient_norm": length, "rate": share * self.config.optimizer.learning_rate}

    def _note(self, log: RunLog, bar: Any, values: Mapping[str, float], plan: BatchPlan) -> None:
        """Log, validation and checkpoint, each when its time has come."""
        config = self.config
        if self.step % config.log_every == 0 or self.step == 1:
            facts = {"height": plan.height, "views": len(plan.views[0]), "samples": len(plan.scenes)}
            log.add(self.step, "train", {**values, **facts})
            bar.set_postfix(loss=f"{values['total']:.4f}")
        last = self.step == config.optimizer.steps
        if last or (config.validate_every and self.step % config.validate_every == 0):
            self._validate(log)
        if self.step % config.checkpoint_every == 0 and not last:
            self.save()

    def _validate(self, log: RunLog) -> None:
        """Adds the scores of the present weights (their mean, where there is one) to the log."""
        if self.validation is None:
            return
        with released_weights(self.network, self.mean):
            scores = network_scores(
                self.network,
                self.validation,
                scenes=self.config.validation_scenes,
                views=self.config.validation_views,
                size=self.config.data.resolutions[0],
                canonical_focal=self.config.data.canonical_focal,
                device=self.device,
            )
        log.add(self.step, "validation", scores.to_dict())

    def _precision(self) -> contextlib.AbstractContextManager[object]:
        """Autocast to bfloat16 where it is asked for."""
        wanted = self.config.precision == "bfloat16"
        context: contextlib.AbstractContextManager[object] = torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=wanted
        )
        return context

    def _ask_to_stop(self) -> None:
        """Lets the step finish and a checkpoint follow; a second Ctrl-C kills."""
        self._stop = True
