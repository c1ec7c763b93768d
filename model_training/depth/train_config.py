"""Everything that decides a training run, read from one YAML file."""

from __future__ import annotations

from dataclasses import dataclass, field

from model_training.depth.losses import StudentLossConfig
from model_training.depth.teacher_losses import MonocularLossConfig
from n3d_ros.depth.config import PATCH, NetworkConfig
from n3d_ros.errors import ConfigurationError
from n3d_ros.settings import check, number

STAGES = ("any_view", "monocular")
NEVER = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """How batches are drawn from prepared shards.

    Args:
        resolutions: (height, width) pairs, multiples of 14; one is drawn for each batch. The first is the base.
        views_low: fewest views of a sample.
        views_high: most views of a sample at the base resolution; at others the same number of tokens.
        tokens_per_batch: patches of all views of a batch; the number of samples follows from it.
        pose_conditioning: chance that a batch's poses and calibration are given to the network.
        color_jitter: 0: none; 1: brightness, contrast and saturation by up to a half, noise of 8 grey levels.
        quarter_turns: chance that all views of a sample are turned by 90 or 270 degrees; the paper has 0.05 for the
            metric student.
        canonical_focal: depth is learnt as a camera of 300 px focal length sees it (metric student).
        labels_from_step: from this step on the teacher's labels take the place of measured depth; -1: never.
        labels_share: share of the batches that do so; the paper's metric student has 0.8.
        workers: threads that make batches ahead; 0: made when needed.
    """

    resolutions: tuple[tuple[int, int], ...] = ((84, 112),)
    views_low: int = number(2, "fewest views of a sample", minimum=1, maximum=64)
    views_high: int = number(4, "most views of a sample", minimum=1, maximum=64)
    tokens_per_batch: int = number(1200, "patches of a batch", minimum=1, maximum=10_000_000)
    pose_conditioning: float = number(0.2, "chance of given poses", minimum=0, maximum=1)
    color_jitter: float = number(0.5, "strength of colour changes", minimum=0, maximum=1)
    quarter_turns: float = number(0.0, "chance of a quarter turn", minimum=0, maximum=1)
    canonical_focal: bool = False
    labels_from_step: int = number(NEVER, "first step with the teacher's labels", minimum=NEVER, maximum=2**31)
    labels_share: float = number(1.0, "share of batches with labels", minimum=0, maximum=1)
    workers: int = number(0, "threads that make batches", minimum=0, maximum=64)

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            ConfigurationError: sides that are no multiples of 14, or a range that is none.
        """
        check(self, "data")
        sides = [side for pair in self.resolutions for side in pair]
        if not sides or any(len(pair) != 2 for pair in self.resolutions) or any(s < PATCH or s % PATCH for s in sides):
            raise ConfigurationError(f"data resolutions: expected pairs of multiples of 14, got {self.resolutions}.")
        if self.views_low > self.views_high:
            raise ConfigurationError(f"data views_low {self.views_low} is above views_high {self.views_high}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """AdamW with a linear warm-up and a cosine to ``final_share`` of the rate.

    Args:
        steps: of the whole run; the cosine ends there.
        warmup_steps: of rising rate.
        learning_rate: at its peak, of heads and camera parts.
        backbone_share: the backbone's rate as a share of it; the paper's metric student has 0.1.
        camera_share: the camera decoder's rate as a share of it. Its features are not normalised: at the rate of a
            small network's other parts its ReLUs die within some hundred steps, and every camera becomes the same.
        final_share: rate at the end as a share of the peak.
        weight_decay: of matrices; norms, biases, tokens and tables have none.
        beta1: of AdamW.
        beta2: of AdamW.
        clip_norm: gradients longer than this are shortened to it.
        average: decay of the running mean of the weights that is validated and released; 0: the weights themselves.
    """

    steps: int = number(1000, "of the whole run", minimum=1, maximum=100_000_000)
    warmup_steps: int = number(50, "of rising rate", minimum=0, maximum=10_000_000)
    learning_rate: float = number(2e-4, "peak rate", minimum=0, maximum=1)
    backbone_share: float = number(1.0, "the backbone's share of the rate", minimum=0, maximum=10)
    camera_share: float = number(1.0, "the camera decoder's share of the rate", minimum=0, maximum=10)
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
        name: of the model, written to config.json and the model card.
        stage: "any_view" (depth, confidence, rays, cameras) or "monocular" (teacher, monocular and metric student).
        licence: of the weights that come out, for the model card.
        seed: everything drawn follows from it.
        network: its shape.
        start_from: folder of a model whose tensors of equal name and shape are taken over; empty: random weights.
        start_without: beginnings of names of tensors that are not taken over, such as "cam_dec.".
        data: how batches are drawn.
        optimizer: how weights move.
        any_view_losses: weights of the losses of stage any_view.
        monocular_losses: weights of the losses of stage monocular.
        precision: "float32" or "bfloat16" (activations; weights and their means stay float32).
        log_every: steps between lines of the log.
        validate_every: steps between validations; 0: only before and after.
        checkpoint_every: steps between checkpoints.
        validation_scenes: scenes looked at in a validation.
        validation_views: views of each of them.
    """

    name: str
    stage: str = field(default="any_view", metadata={"choices": STAGES})
    licence: str = "Apache-2.0"
    seed: int = number(0, "everything drawn follows from it", minimum=0, maximum=2**31)
    network: NetworkConfig
    start_from: str = ""
    start_without: tuple[str, ...] = ()
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    any_view_losses: StudentLossConfig = field(default_factory=StudentLossConfig)
    monocular_losses: MonocularLossConfig = field(default_factory=MonocularLossConfig)
    precision: str = field(default="float32", metadata={"choices": ("float32", "bfloat16")})
    log_every: int = number(20, "steps between lines of the log", minimum=1, maximum=1_000_000)
    validate_every: int = number(0, "steps between validations", minimum=0, maximum=10_000_000)
    checkpoint_every: int = number(500, "steps between checkpoints", minimum=1, maximum=10_000_000)
    validation_scenes: int = number(64, "scenes of a validation", minimum=1, maximum=100_000)
    validation_views: int = number(4, "views of each of them", minimum=1, maximum=64)

    def __post_init__(self) -> None:
        """Checks every field, and that the network can do what the stage trains.

        Raises:
            ConfigurationError: it cannot.
        """
        check(self, "train")
        wanted = "dual" if self.stage == "any_view" else "dpt"
        if self.network.head != wanted:
            raise ConfigurationError(
                f"train network head: stage {self.stage} needs {wanted!r}, got {self.network.head!r}."
            )
        if self.data.pose_conditioning > 0 and self.stage == "any_view" and not self.network.cam_enc:
            raise ConfigurationError(
                "data pose_conditioning: a network without cam_enc takes no poses; set it to 0 or cam_enc to true."
            )
