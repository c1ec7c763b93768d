"""The model in training: the node's own network with its losses as one module."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from model_training.examples.packing import visible
from model_training.training.config import LossConfig
from model_training.training.losses import DenseHead, Learnt, answer_losses, learnt_places
from n3d_ros.model.n3d_vlm import N3dVlm

DENSE_PARTS = ("classes", "boxes", "known", "weights")


class TrainedModel(nn.Module):
    """A model with its losses, so that several processes share its gradients.

    Args:
        vlm: what is released in the end.
        config: of the losses.
        classes: of the dense head.
        bin_ids: tokens of a box's numbers; None: digit by digit.
    """

    def __init__(self, vlm: N3dVlm, config: LossConfig, *, classes: int, bin_ids: tuple[int, ...] | None) -> None:
        super().__init__()
        self.vlm, self.settings = vlm, config
        width = vlm.config.vision_config.out_hidden_size
        self.dense = DenseHead(width, config, classes) if config.dense > 0 else None
        self.register_buffer(
            "bin_ids", None if bin_ids is None else torch.tensor(bin_ids, dtype=torch.int64), persistent=False
        )

    def forward(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Sums of losses of a batch.

        Args:
            batch: of ``examples.packing``, on the model's device.

        Returns:
            "answer": the sum over all tokens that are learnt; "tokens": how many; the dense head's means; and "dense",
            their weighted sum, where there is a head.
        """
        learnt = learnt_places(batch["labels"], batch["slots"], batch["bins"])
        logits, visual = self.logits(batch, learnt)
        losses = answer_losses(logits, learnt, self.bin_ids, self.settings.sigma_bins)
        result = {"answer": losses.sum(), "tokens": losses.new_tensor(float(len(losses)))}
        if self.dense is not None:
            dense = self.dense.losses(visual, *(batch[f"dense_{name}"] for name in DENSE_PARTS))
            result |= dense
            result["dense"] = self.dense.weighted(dense)
        return result

    def logits(self, batch: dict[str, Any], learnt: Learnt) -> tuple[Tensor, Tensor]:
        """What the model says at the places that are learnt, and its visual tokens.

        The head sees those places alone: with a large vocabulary all logits would take more memory than the model.

        Args:
            batch: of ``examples.packing``.
            learnt: the places.

        Returns:
            (L, V) logits and (T, channels) visual tokens.
        """
        model = self.vlm.model
        vision = model.get_image_features(
            batch["pixel_values"], batch["image_grid_thw"], point_clouds=batch["point_clouds"]
        )
        visual = torch.cat(list(vision.pooler_output))
        words = model.language_model.embed_tokens(batch["input_ids"])
        is_image = batch["input_ids"] == self.vlm.config.image_token_id
        embeddings = words.masked_scatter(is_image[..., None].expand_as(words), visual.to(words.dtype))
        states = model.language_model(
            inputs_embeds=embeddings,
            position_ids=batch["position_ids"],
            attention_mask=visible(batch["part"]),
            use_cache=False,
        ).last_hidden_state
        return self.vlm.lm_head(states[learnt.rows, learnt.columns]), visual

    def work_of(self, batch: dict[str, Any]) -> float:
        """About how many multiplications and additions a forward and backward pass of a batch takes, times two.

        Args:
            batch: of ``examples.packing``.

        Returns:
            Floating-point operations: six per weight and token (Kaplan et al. 2020), attention's own products added.
        """
        vision, text = self.vlm.config.vision_config, self.vlm.config.text_config
        patches = int(batch["pixel_values"].shape[0])
        rows, length = batch["input_ids"].shape
        blocks = sum(p.numel() for p in self.vlm.model.visual.blocks.parameters())
        merger = sum(p.numel() for p in self.vlm.model.visual.merger.parameters())
        layers = sum(p.numel() for p in self.vlm.model.language_model.layers.parameters())
        head = self.vlm.lm_head.weight.numel()
        learnt = int((batch["labels"] != -100).sum())
        per_image = [int(g.prod()) for g in batch["image_grid_thw"]]
        attention = 12 * vision.depth * vision.hidden_size * sum(n * n for n in per_image)
        attention += 12 * text.num_hidden_layers * text.hidden_size * rows * length * length
        return float(6 * (blocks * patches + merger * patches / 4 + layers * rows * length + head * learnt) + attention)
