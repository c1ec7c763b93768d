"""Which view is the reference, in whose frame cameras are estimated; only where no poses are given.

From three views on, one is chosen by the class tokens half-way and put first; the others keep their order. What comes
out is put back into the order of the input.

Shapes: B scenes, S views, N tokens, C channels.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import torch

from n3d_ros.errors import ConfigurationError

ReferenceView: TypeAlias = Literal["saddle_balanced", "first", "middle", "saddle_sim_range"]
REFERENCE_VIEWS: tuple[ReferenceView, ...] = get_args(ReferenceView)
LEAST_VIEWS = 3  # with fewer, the first is the reference
_TINY = 1e-8


def choose_reference(class_tokens: torch.Tensor, how: ReferenceView) -> torch.Tensor:
    """The reference view of each scene.

    "saddle_balanced", the default of the released models, takes the view that is neither extreme nor plain in three
    respects. "first" is what their published figures were made with. "saddle_sim_range" is there for parity: where all
    views resemble each other, the two most alike tie: the reference leaves that to rounding, here the first is taken.

    Args:
        class_tokens: (B, S, C) float32.
        how: the rule.

    Returns:
        (B,) int64.

    Raises:
        ConfigurationError: an unknown rule.
    """
    batch, views = class_tokens.shape[:2]
    if how in ("first", "middle"):
        return torch.full((batch,), 0 if how == "first" else views // 2, device=class_tokens.device)
    if how not in REFERENCE_VIEWS:
        raise ConfigurationError(f"Reference view: expected one of {', '.join(REFERENCE_VIEWS)}, got {how!r}.")
    lengths = class_tokens.norm(dim=-1)
    units = class_tokens / lengths[..., None]
    alike = units @ units.transpose(1, 2)  # (B, S, S)
    if how == "saddle_sim_range":
        # Exactly symmetric and exactly 0 against itself, so that the two views that tie are equal and the first wins.
        others = 1 - torch.eye(views, device=alike.device, dtype=alike.dtype)
        without_self = (alike + alike.transpose(1, 2)) / 2 * others
        return (without_self.amax(-1) - without_self.amin(-1)).argmax(-1)
    measures = torch.stack([(alike.sum(-1) - 1) / (views - 1), lengths, units.var(-1)])  # (3, B, S)
    low, high = measures.amin(-1, keepdim=True), measures.amax(-1, keepdim=True)
    return ((measures - low) / (high - low + _TINY) - 0.5).abs().sum(0).argmin(-1)


def reference_first(reference: torch.Tensor, views: int) -> torch.Tensor:
    """The order with the reference in front.

    Args:
        reference: (B,) of ``choose_reference``.
        views: S.

    Returns:
        (B, S) int64: which view of the input stands at each place.
    """
    places = torch.arange(views, device=reference.device)[None]
    shifted = torch.where(places <= reference[:, None], places - 1, places)
    return torch.where(places == 0, reference[:, None], shifted)


def input_order(reference: torch.Tensor, views: int) -> torch.Tensor:
    """The inverse of ``reference_first``.

    Args:
        reference: (B,) of ``choose_reference``.
        views: S.

    Returns:
        (B, S) int64: at which place each view of the input stands.
    """
    numbers = torch.arange(views, device=reference.device)[None]
    places = torch.where(numbers < reference[:, None], numbers + 1, numbers)
    return torch.where(numbers == reference[:, None], torch.zeros_like(numbers), places)


def take_views(tokens: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """The views in another order.

    Args:
        tokens: (B, S, ...).
        order: (B, S) int64.

    Returns:
        The same shape.
    """
    scenes = torch.arange(len(order), device=order.device)[:, None]
    return tokens[scenes, order]
