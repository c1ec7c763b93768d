"""A whole network: images and, where known, cameras in; depth and what else it gives out.

Shapes: B scenes, S views of one scene, H x W pixels (multiples of 14), ph x pw patches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import nn

from n3d_ros.depth.config import PATCH, NetworkConfig
from n3d_ros.depth.network.backbone import Backbone
from n3d_ros.depth.network.cameras import CameraDecoder, CameraEncoder
from n3d_ros.depth.network.heads import DualHead, HeadOutput, MonocularHead
from n3d_ros.depth.network.pose_encoding import encode_pose
from n3d_ros.depth.network.reference_view import ReferenceView
from n3d_ros.errors import InputError

HEAD_VIEWS = 8  # go through the head at once, where nothing is learnt: bounds memory and changes no result


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkOutput:
    """What a network says of some views. All float32.

    Args:
        depth: (B, S, H, W), above 0, in the network's own unit.
        confidence: (B, S, H, W), above 1; None for monocular networks.
        sky: (B, S, H, W), 0 and more, about 1 in the sky; None for any-view networks.
        rays: (B, S, 8 ph, 8 pw, 6): direction in the world, not of unit length, then origin; None unless asked for.
        ray_confidence: (B, S, 8 ph, 8 pw), above 1; None unless asked for.
        pose_encoding: (B, S, 9) for ``decode_pose``; None for monocular networks.
        features: (B, S, ph * pw, C) for each layer asked for, normalised, views in the order of the input.
    """

    depth: torch.Tensor
    confidence: torch.Tensor | None = None
    sky: torch.Tensor | None = None
    rays: torch.Tensor | None = None
    ray_confidence: torch.Tensor | None = None
    pose_encoding: torch.Tensor | None = None
    features: tuple[torch.Tensor, ...] = ()


class DepthNetwork(nn.Module):
    """Depth Anything 3 in one of its sizes.

    Args:
        config: its shape.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config)
        self.head = DualHead(config) if config.head == "dual" else MonocularHead(config)
        self.cam_dec = CameraDecoder(2 * config.embed_dim) if config.cam_dec else None
        self.cam_enc = CameraEncoder(config.embed_dim) if config.cam_enc else None

    def forward(
        self,
        images: torch.Tensor,
        *,
        extrinsics_w2c: torch.Tensor | None = None,
        intrinsics: torch.Tensor | None = None,
        reference_view: ReferenceView = "saddle_balanced",
        rays: bool = False,
        keep_features: Sequence[int] = (),
    ) -> NetworkOutput:
        """What the network says of some views.

        Args:
            images: (B, S, 3, H, W) float32, normalised with ImageNet's mean and deviation.
            extrinsics_w2c: (B, S, 4, 4), world to camera, scaled as the network was trained; with ``intrinsics``.
            intrinsics: (B, S, 3, 3) in pixels of these images; with ``extrinsics_w2c``.
            reference_view: rule for choosing it, where no poses are given and there are three views or more.
            rays: whether ray maps are wanted.
            keep_features: blocks whose output is wanted.

        Returns:
            Depth and what else the network gives, in the order of the views.

        Raises:
            InputError: sides that are no multiples of 14, half a camera, or what this network does not do.
        """
        image_hw = self._checked(images, extrinsics_w2c, intrinsics, rays=rays, keep=keep_features)
        tokens = None
        if self.cam_enc is not None and extrinsics_w2c is not None and intrinsics is not None:
            tokens = self.cam_enc(encode_pose(extrinsics_w2c.float(), intrinsics.float(), image_hw))
        features = self.backbone(
            images.float(), camera_tokens=tokens, reference_view=reference_view, keep=keep_features
        )
        head = self._run_head([level.flatten(0, 1) for level in features.levels], image_hw, rays=rays)
        maps = {
            entry.name: None if value is None else value.unflatten(0, tuple(images.shape[:2]))
            for entry in fields(HeadOutput)
            for value in (getattr(head, entry.name),)
        }
        pose = None if self.cam_dec is None else self.cam_dec(features.camera)
        return NetworkOutput(**maps, pose_encoding=pose, features=features.kept)

    def _run_head(self, levels: Sequence[torch.Tensor], image_hw: tuple[int, int], *, rays: bool) -> HeadOutput:
        """The head over all views; a few at a time where no gradient is wanted."""
        views = len(levels[0])
        if torch.is_grad_enabled() or views <= HEAD_VIEWS:
            return self.head(levels, image_hw, rays=rays)
        parts = [
            self.head([level[begin : begin + HEAD_VIEWS] for level in levels], image_hw, rays=rays)
            for begin in range(0, views, HEAD_VIEWS)
        ]
        names = [entry.name for entry in fields(HeadOutput) if getattr(parts[0], entry.name) is not None]
        return HeadOutput(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})

    def _checked(
        self,
        images: torch.Tensor,
        extrinsics: torch.Tensor | None,
        intrinsics: torch.Tensor | None,
        *,
        rays: bool,
        keep: Sequence[int],
    ) -> tuple[int, int]:
        """The images' height and width, when everything fits."""
        if images.ndim != 5 or images.shape[2] != 3 or images.shape[3] % PATCH or images.shape[4] % PATCH:
            raise InputError(
                f"Depth network: expected images of (scenes, views, 3, height, width) with sides of a multiple of "
                f"{PATCH}, got {tuple(images.shape)}; prepare them with n3d_ros.depth.preprocess."
            )
        views = tuple(images.shape[:2])
        if not all(images.shape):
            raise InputError(f"Depth network: expected at least one view with pixels, got {tuple(images.shape)}.")
        if (extrinsics is None) != (intrinsics is None):
            raise InputError("Depth network: extrinsics and intrinsics are given together or not at all.")
        for name, given, side in (("extrinsics_w2c", extrinsics, 4), ("intrinsics", intrinsics, 3)):
            if given is not None and tuple(given.shape) != (*views, side, side):
                raise InputError(f"{name}: expected {(*views, side, side)}, got {tuple(given.shape)}.")
        if extrinsics is not None and self.cam_enc is None:
            raise InputError("Depth network: this one takes no camera poses; ask without them.")
        if rays and self.config.head != "dual":
            raise InputError("Depth network: this one gives no rays; use an any-view model.")
        wrong = [layer for layer in keep if not 0 <= layer < self.config.depth]
        if wrong:
            raise InputError(f"keep_features: expected blocks 0 to {self.config.depth - 1}, got {wrong}.")
        return images.shape[3], images.shape[4]


def build_network(config: NetworkConfig) -> DepthNetwork:
    """A network without its weights.

    Args:
        config: its shape.

    Returns:
        In training mode, as torch initialises it, on torch's current device: within ``torch.device("meta")`` it takes
        no memory.
    """
    return DepthNetwork(config)
