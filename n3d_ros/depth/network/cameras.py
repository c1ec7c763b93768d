"""Cameras in and out of the network: given poses to camera tokens, camera features to poses."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from n3d_ros.depth.config import CAMERA_BLOCKS, CAMERA_HEADS
from n3d_ros.depth.network.layers import EPS, Block, Mlp

ENCODING = 9  # numbers of a pose encoding


class CameraEncoder(nn.Module):
    """Pose encodings to the tokens that take the place of class tokens.

    Args:
        channels: of a token.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            *(Block(channels, CAMERA_HEADS, eps=EPS, hidden=4 * channels) for _ in range(CAMERA_BLOCKS))
        )
        self.token_norm = nn.LayerNorm(channels, eps=EPS)
        self.trunk_norm = nn.LayerNorm(channels, eps=EPS)
        self.pose_branch = Mlp(ENCODING, channels // 2, channels)

    def forward(self, encoding: torch.Tensor) -> torch.Tensor:
        """One token per view; the views of a scene attend to each other.

        Args:
            encoding: (B, S, 9) of ``encode_pose``, float32.

        Returns:
            (B, S, C) float32.
        """
        return self.trunk_norm(self.trunk(self.token_norm(self.pose_branch(encoding))))


class CameraDecoder(nn.Module):
    """Camera features to pose encodings.

    Args:
        channels: of a feature.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, channels), nn.ReLU()
        )
        self.fc_t = nn.Linear(channels, 3)
        self.fc_qvec = nn.Linear(channels, 4)
        self.fc_fov = nn.Sequential(nn.Linear(channels, 2), nn.ReLU())

    def forward(self, feature: torch.Tensor) -> torch.Tensor:
        """The encoding of each view's camera.

        Args:
            feature: (B, S, channels) float32.

        Returns:
            (B, S, 9) for ``decode_pose``.
        """
        hidden = self.backbone(feature)
        return torch.cat([self.fc_t(hidden), self.fc_qvec(hidden), F.relu(self.fc_fov[0](hidden))], dim=-1)
