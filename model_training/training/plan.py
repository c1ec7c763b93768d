"""What a run would train, before it does: weights, tokens, memory, speed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from model_training.examples.loader import META
from model_training.training.batches import batches_of, sources_of
from model_training.training.config import TrainConfig
from model_training.training.starting import Start, start_of

LOOKED_AT = 4  # batches
ADAM_BYTES = 8  # two moments in float32
GRADIENT_BYTES = 4
ACTIVATIONS_PER_LAYER = (
    34  # bytes per token and channel in 16 bits without checkpointing (Korthikanti et al. 2022, 4.1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run in numbers.

    Args:
        parameters: of the model.
        trained: of them and of the dense head.
        frames: of a batch on average.
        turns: questions of a batch on average.
        tokens: of a batch on average, without padding.
        padding: share of a batch's places that are padding.
        work: operations of a batch, forward and backward.
        weight_bytes: weights, gradients and moments.
        activation_bytes: about, of the largest batch looked at.
        batch_ms: to make a batch in one process.
        data: the sources, in words.
    """

    parameters: int
    trained: int
    frames: float
    turns: float
    tokens: float
    padding: float
    work: float
    weight_bytes: int
    activation_bytes: int
    batch_ms: float
    data: str

    def lines(self, config: TrainConfig, stage: str, out: Path) -> list[str]:
        """For a console.

        Args:
            config: of the run.
            stage: of the run.
            out: folder of the run.

        Returns:
            Lines.
        """
        per_step = self.tokens * config.data.accumulate
        total = self.weight_bytes + self.activation_bytes
        rows = [
            ("run", f"{stage}, {config.optimizer.steps} steps, into {out}"),
            ("model", f"{config.start_from}: {self.parameters:,} weights, {self.trained:,} trained (dense head with)"),
            ("data", self.data),
            ("step", f"{config.data.accumulate} batches of {self.frames:.1f} frames, {self.turns:.1f} questions"),
            ("tokens", f"{per_step:,.0f} a step on each process, {self.padding:.0%} padding beside"),
            ("work", f"{self.work * config.data.accumulate / 1e12:.3g} TFLOP a step on each process"),
            (
                "memory",
                f"about {total / 1e9:.2f} GB: {self.weight_bytes / 1e9:.2f} for weights, gradients and moments, "
                f"{self.activation_bytes / 1e9:.2f} for activations",
            ),
            ("input", f"{self.batch_ms:.0f} ms a batch in one process; {config.data.workers} workers"),
        ]
        return [f"{name:8} {text}" for name, text in rows]


def plan_of(config: TrainConfig, stage: str) -> Plan:
    """The plan of a run; loads the model and makes some batches, and trains nothing.

    Args:
        config: of the run.
        stage: "stage1" or "stage2".

    Returns:
        The plan.
    """
    start = start_of(config)
    sources = sources_of(config, stage)
    loader = iter(batches_of(config, stage, sources, start.folder))
    frames = turns = tokens = places = 0
    work, most, spent = 0.0, 0, 0.0
    for _ in range(LOOKED_AT):
        begun = time.perf_counter()
        batch = next(loader)
        spent += time.perf_counter() - begun
        meta = batch.pop(META)
        frames, turns, tokens = frames + meta["frames"], turns + meta["turns"], tokens + meta["tokens"]
        places += batch["input_ids"].numel()
        work += start.model.work_of(batch)
        most = max(most, _activations(start, config, batch["input_ids"].numel(), batch["pixel_values"].shape[0]))
    held = sum(p.numel() * p.element_size() for p in start.model.parameters())
    return Plan(
        parameters=start.parameters,
        trained=start.trained,
        frames=frames / LOOKED_AT,
        turns=turns / LOOKED_AT,
        tokens=tokens / LOOKED_AT,
        padding=1 - tokens / max(places, 1),
        work=work / LOOKED_AT,
        weight_bytes=held + start.trained * (ADAM_BYTES + GRADIENT_BYTES),
        activation_bytes=most,
        batch_ms=1e3 * spent / LOOKED_AT,
        data="; ".join(source.about for source in sources),
    )


def _activations(start: Start, config: TrainConfig, tokens: int, patches: int) -> int:
    """About how many bytes a batch's activations take in the backward pass."""
    vision, text = start.model.vlm.config.vision_config, start.model.vlm.config.text_config
    per_token = text.num_hidden_layers * text.hidden_size
    per_patch = vision.depth * vision.hidden_size
    size = 2 if config.gradient_checkpointing else ACTIVATIONS_PER_LAYER
    wide = 1 if config.precision == "bfloat16" else 2
    return int((tokens * per_token + patches * per_patch) * size * wide)


def describe_device(device: str) -> str:
    """A device in words.

    Args:
        device: "cpu" or "cuda".

    Returns:
        Its name.
    """
    if device == "cuda":
        return str(torch.cuda.get_device_name())
    return f"CPU, {torch.get_num_threads()} threads"
