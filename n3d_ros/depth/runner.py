"""The boundary between estimating depth and the networks: arrays in, arrays out. numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from n3d_ros.depth.options import DepthOptions
from n3d_ros.geometry.arrays import Float32Array, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkViews:
    """What a network says of some views, in its own pixels and unit.

    Args:
        depth: (S, H, W) float32.
        confidence: (S, H, W) float32, 1 and more; None for networks of single views.
        sky: (S, H, W) float32 score; None for any-view networks.
        w2c: (S, 4, 4) float64 estimated world-to-camera matrices, NaN for views without one; None for networks of
            single views.
        matrices: (S, 3, 3) float64 estimated camera matrices, corner coordinates of the network's image, NaN likewise.
        notes: sentences about cameras that could not be estimated.
    """

    depth: Float32Array
    confidence: Float32Array | None = None
    sky: Float32Array | None = None
    w2c: FloatArray | None = None
    matrices: FloatArray | None = None
    notes: tuple[str, ...] = ()


class DepthRunner(Protocol):
    """Runs one network. Made, used and closed in one thread."""

    @property
    def takes_poses(self) -> bool:
        """Whether it can be told where the cameras are."""
        ...

    def run(
        self,
        images: Float32Array,
        *,
        options: DepthOptions,
        w2c: FloatArray | None = None,
        matrices: FloatArray | None = None,
    ) -> NetworkViews:
        """What the network says of the images.

        Args:
            images: (S, 3, H, W) float32, normalised.
            options: the reference view and the pose method.
            w2c: (S, 4, 4) float64 given poses, normalised as networks take them; None without.
            matrices: (S, 3, 3) float64 camera matrices of these images, corner coordinates; with ``w2c`` only.

        Returns:
            Depth, and what else the network gives.

        Raises:
            BackendError: too little memory, or the network failed.
        """
        ...

    def close(self) -> None:
        """Frees memory."""
        ...
