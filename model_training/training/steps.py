"""What happens before and after each step of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

if TYPE_CHECKING:
    from model_training.training.trainer import GroundingTrainer


class StepCallback(TrainerCallback):
    """Numbers are checked before a step is taken; after it come the mean, the log, checkpoints and the end.

    Args:
        trainer: whose steps they are.
    """

    def __init__(self, trainer: GroundingTrainer) -> None:
        self._trainer = trainer

    def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
        """Stops at what is no number."""
        self._trainer.check_numbers()

    def on_optimizer_step(self, _args: Any, state: Any, *_: Any, **__: Any) -> None:
        """Takes the new weights into the mean."""
        trainer = self._trainer
        if trainer.mean is not None:
            trainer.mean.update(trainer.start.model.vlm, state.global_step)

    def on_step_end(self, _args: Any, state: Any, control: Any, **_: Any) -> Any:
        """What the Trainer is to do next."""
        trainer = self._trainer
        if trainer.on_step is not None:
            trainer.on_step(trainer, trainer.step_values())
        if trainer.is_last_step or state.global_step % trainer.config.checkpoint_every == 0:
            control.should_save = True
        if trainer.is_last_step:
            control.should_training_stop = True
        return control
