"""What is made small: the answers' tokens, and what the dense head says of the image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_training.examples.dense_targets import BOX_VALUES
from model_training.examples.packing import IGNORED
from model_training.training.config import LossConfig
from n3d_ros.codec.box_code import BINS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learnt:
    """The places of a batch at which a token is learnt.

    Args:
        rows: (L,) int64 of each place.
        columns: (L,) int64 of the token before it, whose state predicts it.
        targets: (L,) int64 the tokens.
        slots: (L,) int8 their parts of a box.
        bins: (L,) int16 the numbers that begin there, -1 for none.
    """

    rows: Tensor
    columns: Tensor
    targets: Tensor
    slots: Tensor
    bins: Tensor


def learnt_places(labels: Tensor, slots: Tensor, bins: Tensor) -> Learnt:
    """Where a batch has something to learn.

    Args:
        labels: (B, S) int64, -100 where nothing is learnt.
        slots: (B, S) int8.
        bins: (B, S) int16.

    Returns:
        The places; within a question the state before a token is always that question's own.
    """
    rows, places = (labels != IGNORED).nonzero(as_tuple=True)
    return Learnt(
        rows=rows,
        columns=places - 1,
        targets=labels[rows, places],
        slots=slots[rows, places],
        bins=bins[rows, places],
    )


def answer_losses(logits: Tensor, learnt: Learnt, bin_ids: Tensor | None, sigma_bins: float) -> Tensor:
    """(L,) float32 loss of each token, 0 where it is predicted as well as its target allows.

    Args:
        logits: (L, V).
        learnt: the places.
        bin_ids: (1000,) int64 tokens of the numbers; None: numbers are written digit by digit.
        sigma_bins: spread of a number's soft target, bins; 0: one bin alone.

    Returns:
        Cross entropies; those of soft targets less their entropy.
    """
    losses = functional.cross_entropy(logits.float(), learnt.targets, reduction="none")
    if sigma_bins <= 0 or bin_ids is None:
        return losses
    places = (learnt.bins >= 0).nonzero(as_tuple=True)[0]
    true = learnt.bins[places].float()
    bins = torch.arange(BINS, device=logits.device, dtype=torch.float32)
    # A normal distribution around the true bin, cut at the ends of the range.
    target = (-0.5 * ((bins[None] - true[:, None]) / sigma_bins) ** 2).softmax(dim=-1)
    predicted = logits[places].float().log_softmax(dim=-1)[:, bin_ids]
    soft = -(target * (predicted - target.clamp_min(1e-30).log())).sum(dim=-1)
    return losses.index_put((places,), soft)


class DenseHead(nn.Module):
    """What each visual token shows; used in training alone, never released.

    Args:
        channels: of a visual token.
        config: width.
        classes: how many.
    """

    def __init__(self, channels: int, config: LossConfig, classes: int) -> None:
        super().__init__()
        self.config, self.classes = config, classes
        self.norm = nn.LayerNorm(channels)
        self.hidden = nn.Linear(channels, config.dense_width)
        self.output = nn.Linear(config.dense_width, 1 + classes + BOX_VALUES)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Objectness (T,), class (T, classes) and box (T, 6) of visual tokens.

        Args:
            tokens: (T, channels).

        Returns:
            Logits, logits and fractions of the bins' range.
        """
        values = self.output(functional.gelu(self.hidden(self.norm(tokens.to(self.norm.weight.dtype))))).float()
        return values[:, 0], values[:, 1 : 1 + self.classes], values[:, 1 + self.classes :]

    def losses(
        self, tokens: Tensor, classes: Tensor, boxes: Tensor, known: Tensor, weights: Tensor
    ) -> dict[str, Tensor]:
        """The head's losses: of objectness the mean over tokens, of class and box the mean over objects.

        Args:
            tokens: (T, channels).
            classes: (T,) int64, -1 where there is no object.
            boxes: (T, 6) float32.
            known: (T,) bool, False where nothing is learnt.
            weights: (T,) float32 one over the tokens of the object there.

        Returns:
            "dense_object", "dense_class", "dense_box"; 0 where the batch has nothing of the kind.
        """
        objectness, kinds, places = self(tokens)
        is_object = (classes >= 0) & known
        share = weights * is_object
        objects, any_known = share.sum().clamp_min(1), known.sum().clamp_min(1)
        there = functional.binary_cross_entropy_with_logits(objectness, is_object.float(), reduction="none")
        # Every token goes through, so that processes and shapes never depend on what a batch shows.
        kind = functional.cross_entropy(kinds, classes.clamp_min(0), reduction="none")
        place = functional.smooth_l1_loss(places, boxes, beta=0.05, reduction="none").mean(dim=-1)
        return {
            "dense_object": (there * known).sum() / any_known,
            "dense_class": (kind * share).sum() / objects,
            "dense_box": (place * share).sum() / objects,
        }

    def weighted(self, losses: dict[str, Tensor]) -> Tensor:
        """The head's losses as one.

        Args:
            losses: of ``losses``.

        Returns:
            Their weighted sum.
        """
        config = self.config
        shares = {"dense_object": config.dense_object, "dense_class": config.dense_class, "dense_box": config.dense_box}
        return config.dense * sum(
            (share * losses[name] for name, share in shares.items()), losses["dense_box"].new_zeros(())
        )
