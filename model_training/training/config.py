"""Everything that decides a training run, read from one YAML file."""

from __future__ import annotations

from dataclasses import dataclass, field

from model_training.examples.config import ExampleConfig
from model_training.examples.example import Mix
from model_training.examples.sources import SourceConfig, source_configs
from n3d_ros.errors import ConfigurationError
from n3d_ros.settings import check, number

STAGES = ("stage1", "stage2")
LAYERS_TO_WRAP = ("Qwen2_5_VLDecoderLayer", "N3dVisionBlock")  # units that FSDP gathers at once


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Where frames come from, and how many make a batch.

    Args:
        sources: a list of sources with weights and steps (``examples.sources.SourceConfig``): a curriculum. `--data`
            on the command line takes their place.
        validation: a source that is never learnt from, for the errors per slot and the sample pictures; `--validation`
            takes its place. Empty: none.
        frames_per_batch: most frames of a batch on each process. Small early: steps count for more than samples.
        tokens_per_batch: most tokens of a batch, padding included; bounds memory where frames have many questions.
        accumulate: batches whose gradients are added up to one step.
        workers: processes that make batches ahead; 0: made when needed. About one per core beside the training's own.
        streams: into which the order of the data is divided, a multiple of workers; with it the order stays the same
            for any number of workers that divides it.
        replay: in stage 2, the chance that a question asks for boxes alone, so that localisation is not forgotten.
    """

    sources: tuple[SourceConfig, ...] = ()
    validation: tuple[SourceConfig, ...] = ()
    frames_per_batch: int = number(8, "most frames of a batch", minimum=1, maximum=4096)
    tokens_per_batch: int = number(16_384, "most tokens of a batch", unit="tokens", minimum=64, maximum=4_000_000)
    accumulate: int = number(1, "batches of a step", minimum=1, maximum=4096)
    workers: int = number(0, "processes that make batches", minimum=0, maximum=256)
    streams: int = number(8, "parts of the data's order", minimum=1, maximum=256)
    replay: float = number(0.3, "share of localisation in stage 2", minimum=0, maximum=1)

    def __post_init__(self) -> None:
        """Checks every field, and makes sources of mappings.

        Raises:
            ConfigurationError: a value outside its range, or streams that cannot be shared out.
        """
        check(self, "data")
        object.__setattr__(self, "sources", source_configs(self.sources, "data sources"))
        object.__setattr__(self, "validation", source_configs(self.validation, "data validation"))
        if self.workers and self.streams % self.workers:
            raise ConfigurationError(
                f"data streams: expected a multiple of workers ({self.workers}), got {self.streams}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LossConfig:
    """What is made small.

    Args:
        sigma_bins: spread of the soft targets of a box's numbers, in bins: a bin next to the true one is less wrong
            than a far one. 0: the true bin alone. Needs a tokenizer with one token per bin.
        dense: weight of the dense head's losses together. Its losses make a small model look at the image; 0 for
            models that have learnt that already.
        dense_object: share of objectness in it.
        dense_class: share of the class.
        dense_box: share of the box.
        dense_width: channels of the head's hidden layer.
    """

    sigma_bins: float = number(0.0, "spread of soft targets", unit="bins", minimum=0, maximum=100)
    dense: float = number(1.0, "weight of the dense head", minimum=0, maximum=100)
    dense_object: float = number(1.0, "share of objectness", minimum=0, maximum=100)
    dense_class: float = number(1.0, "share of the class", minimum=0, maximum=100)
    dense_box: float = number(5.0, "share of the box", minimum=0, maximum=100)
    dense_width: int = number(256, "hidden channels of the head", minimum=8, maximum=8192)

    def __post_init__(self) -> None:
        """Checks every field."""
        check(self, "loss")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraConfig:
    """Low-rank additions to the matrices of the language model, so that a large model fits one card.

    Args:
        rank: of the additions; 0: no LoRA, all weights are trained.
        alpha: their scale is alpha / rank.
        dropout: chance that an input of an addition is left out.
        vision: whether the vision tower's own weights are trained beside them.
    """

    rank: int = number(0, "of the additions", minimum=0, maximum=1024)
    alpha: float = number(16.0, "scale times rank", minimum=0, maximum=4096)
    dropout: float = number(0.0, "chance of left-out inputs", minimum=0, maximum=0.9)
    vision: bool = False

    def __post_init__(self) -> None:
        """Checks every field."""
        check(self, "lora")


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """AdamW with a linear warm-up and a cosine to ``final_share`` of the rate.

    Args:
        steps: of the whole run; the cosine ends there.
        warmup_steps: of rising rate.
        learning_rate: at its peak. About 1e-3 for a model of some millions of weights from scratch, 1e-5 for released
            ones, 1e-4 for LoRA.
        vision_share: the vision tower's rate as a share of it.
        final_share: rate at the end as a share of the peak.
        weight_decay: of matrices; norms, biases and embeddings have none.
        beta1: of AdamW.
        beta2: of AdamW.
        clip_norm: gradients longer than this are shortened to it.
        average: decay of the running mean of the weights that is validated and released; 0: the weights themselves.
    """

    steps: int = number(1000, "of the whole run", minimum=1, maximum=100_000_000)
    warmup_steps: int = number(50, "of rising rate", minimum=0, maximum=10_000_000)
    learning_rate: float = number(1e-3, "peak rate", minimum=0, maximum=1)
    vision_share: float = number(1.0, "the vision tower's share of the rate", minimum=0, maximum=10)
    final_share: float = number(0.01, "rate at the end, share of the peak", minimum=0, maximum=1)
    weight_decay: float = number(0.05, "of matrices", minimum=0, maximum=10)
    beta1: float = number(0.9, "of AdamW", minimum=0, maximum=0.9999)
    beta2: float = number(0.98, "of AdamW", minimum=0, maximum=0.99999)
    clip_norm: float = number(1.0, "longest gradient", minimum=1e-6, maximum=1e6)
    average: float = number(0.0, "decay of the mean of the weights", minimum=0, maximum=0.99999)

    def __post_init__(self) -> None:
        """Checks every field."""
        check(self, "optimizer")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """One training run.

    Args:
        name: of the model, for its card.
        start_from: folder or hub id of the model to begin with: released, n3d-nano, the last stage's, or random weights
            with a tokenizer. Its tokenizer and its shape are kept. `--start` takes its place.
        licence: of the weights that come out, for the card; empty: that of the weights it starts from, which may forbid
            more than the data's.
        position_code: of the model that comes out: "aligned" for weights that learn anew; "" keeps the start's own.
        seed: everything drawn follows from it.
        examples: how frames and questions become examples.
        data: where frames come from.
        loss: what is made small.
        optimizer: how weights move.
        lora: additions in place of training all weights.
        precision: "float32", or "bfloat16" for activations (weights stay as they are held).
        weights: how weights are held while they are trained: "float32", or "bfloat16" for frozen ones beside LoRA.
        release: numbers of the released file: "float32", "bfloat16" or "float16".
        gradient_checkpointing: activations are computed again in the backward pass: less memory, a third more time.
        sharded: weights, gradients and optimizer are divided among the processes of torchrun (FSDP).
        log_every: steps between lines of the log.
        validate_every: steps between validations; 0: only at the end.
        validation_frames: frames of a validation.
        checkpoint_every: steps between checkpoints.
        checkpoint: "exact" goes on bit by bit; "compact" holds 6 bytes per weight in place of 12 or 16, for machines
            from which little can be copied: weights, and AdamW's second moments as bfloat16; its first moments and the
            running mean begin anew, which a run makes up for in some tens of steps. Where a run ends, the mean is
            kept, too.
    """

    name: str
    start_from: str = ""
    licence: str = ""
    position_code: str = field(default="", metadata={"choices": ("", "reference", "aligned", "none")})
    seed: int = number(0, "everything drawn follows from it", minimum=0, maximum=2**31)
    examples: ExampleConfig = field(default_factory=ExampleConfig)
    data: DataConfig = field(default_factory=DataConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)
    precision: str = field(default="float32", metadata={"choices": ("float32", "bfloat16")})
    weights: str = field(default="float32", metadata={"choices": ("float32", "bfloat16")})
    release: str = field(default="bfloat16", metadata={"choices": ("float32", "bfloat16", "float16")})
    gradient_checkpointing: bool = False
    sharded: bool = False
    log_every: int = number(20, "steps between lines of the log", minimum=1, maximum=1_000_000)
    validate_every: int = number(0, "steps between validations", minimum=0, maximum=10_000_000)
    validation_frames: int = number(64, "frames of a validation", minimum=1, maximum=100_000)
    checkpoint_every: int = number(500, "steps between checkpoints", minimum=1, maximum=10_000_000)
    checkpoint: str = field(default="exact", metadata={"choices": ("exact", "compact")})

    def __post_init__(self) -> None:
        """Checks every field, and that what is asked for goes together.

        Raises:
            ConfigurationError: it does not.
        """
        check(self, "train")
        if self.sharded and self.optimizer.average > 0:
            raise ConfigurationError("train sharded: no running mean of divided weights is kept; set average to 0.")
        if self.weights == "bfloat16" and self.lora.rank == 0:
            raise ConfigurationError(
                "train weights: bfloat16 loses the small steps of training; take float32 with precision: bfloat16, or "
                "LoRA, whose own weights are float32."
            )

    def mix(self, stage: str) -> Mix:
        """Which questions a stage asks.

        Args:
            stage: one of ``STAGES``.

        Returns:
            Kinds and shares.
        """
        return Mix(stage="localisation" if stage == "stage1" else "reasoning", replay=self.data.replay)
