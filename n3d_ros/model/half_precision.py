"""What keeps float16 from overflowing: the weights were trained in bfloat16, whose numbers reach further.

Three places meet numbers beyond 65504 in Qwen2.5-VL: the product inside the SwiGLU, what the down projection makes of
it, and the residual stream those are added to. All three are held in float32, products with float16 weights in between:

* the activation returns float32, and with it the product;
* the down projection scales each row into float16's range by a power of two, multiplies, and scales back in float32;
* the residual stream becomes float32 by adding that, and each norm returns to the dtype of its weights.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLRMSNorm

from n3d_ros.model.fused import project_scaled
from n3d_ros.model.n3d_vlm import N3dVlm


class FullPrecisionActivation(torch.nn.Module):
    """An activation that computes and returns float32.

    Args:
        activation: without parameters.
    """

    def __init__(self, activation: torch.nn.Module) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """The activation.

        Args:
            states: any shape.

        Returns:
            The same shape, float32.
        """
        return self.activation(states.float())


class ScaledLinear(torch.nn.Linear):
    """A float16 projection from float32 to float32 that does not overflow."""

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """The projection.

        Args:
            states: (..., in) float32.

        Returns:
            (..., out) float32.
        """
        return project_scaled(states, self.weight, self.bias)


class ReturningNorm(Qwen2_5_VLRMSNorm):
    """A norm of the float32 residual stream that returns the dtype of its weights."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """The normalised states.

        Args:
            hidden_states: (..., D) any floating dtype.

        Returns:
            (..., D) in the dtype of the weights.
        """
        return super().forward(hidden_states.float()).to(self.weight.dtype)


def guard_half_precision(model: N3dVlm) -> None:
    """Makes a model with float16 weights hold in float32 what would overflow. Weights and names stay as they are.

    Args:
        model: changed in place.
    """
    modules: list[Any] = [module for module in model.modules() if hasattr(module, "down_proj")]
    for mlp in modules:
        mlp.act_fn = FullPrecisionActivation(mlp.act_fn)
        mlp.down_proj.__class__ = ScaledLinear
    for module in model.modules():
        if isinstance(module, Qwen2_5_VLRMSNorm):
            module.__class__ = ReturningNorm
