"""A network of Depth Anything 3 in PyTorch, behind the boundary of ``n3d_ros.depth.runner``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from n3d_ros.depth.config import NetworkConfig
from n3d_ros.depth.network.pose_encoding import decode_pose
from n3d_ros.depth.network.repeating import repeating
from n3d_ros.depth.options import DepthOptions
from n3d_ros.depth.poses import checked_w2c
from n3d_ros.depth.ray_pose import RayMethod, camera_from_rays
from n3d_ros.depth.runner import NetworkViews
from n3d_ros.depth.view_results import named
from n3d_ros.errors import BackendError, GroundingError, InputError
from n3d_ros.geometry.arrays import Float32Array, FloatArray

if TYPE_CHECKING:
    from n3d_ros.depth.network import NetworkOutput

RAY_METHODS = {"rays": RayMethod.QR, "rays_reference": RayMethod.QL}


class TorchRunner:
    """Runs one network with torch.

    Args:
        network: an n3d_ros.depth.network.DepthNetwork with its weights, on its device.
        config: its shape.
        name: for messages.
        device: where it is.
        dtype: of its backbone's projections.
    """

    def __init__(
        self,
        network: Any,
        *,
        config: NetworkConfig,
        name: str,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._network: Any = network
        self._config, self._name, self._device, self._dtype = config, name, device, dtype

    @property
    def takes_poses(self) -> bool:
        """Whether it can be told where the cameras are."""
        return self._config.cam_enc

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
        if self._network is None:
            raise BackendError(f"{self._name}: the network is closed; load the model again.")
        hw = (images.shape[2], images.shape[3])
        if not self._config.gives_poses:  # a network of single views: each is a batch row of its own
            with self._at_work(len(images), hw):
                output = self._network(self._tensor(images)[:, None], extrinsics_w2c=None, intrinsics=None)
                return NetworkViews(depth=_numpy(output.depth)[:, 0], sky=_optional(output.sky, column=True))
        with self._at_work(len(images), hw):
            output = self._network(
                self._tensor(images)[None],
                extrinsics_w2c=None if w2c is None else self._tensor(w2c)[None],
                intrinsics=None if matrices is None else self._tensor(matrices)[None],
                reference_view=options.reference_view,
                rays=options.pose_method in RAY_METHODS,
            )
            poses, cameras = (_numpy(part)[0] for part in decode_pose(output.pose_encoding.float(), hw))
        found = usable_cameras(poses, cameras)
        notes: tuple[str, ...] = ()
        if options.pose_method in RAY_METHODS:
            notes = _replace_by_rays(found, output, hw, RAY_METHODS[options.pose_method])
        return NetworkViews(
            depth=_numpy(output.depth)[0],
            confidence=_optional(output.confidence),
            w2c=found[0],
            matrices=found[1],
            notes=notes,
        )

    def close(self) -> None:
        """Frees memory."""
        self._network = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _tensor(self, array: Float32Array | FloatArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).to(self._device)

    @contextmanager
    def _at_work(self, views: int, hw: tuple[int, int]) -> Iterator[None]:
        """The context in which the network runs: without gradients, with one result for one input."""
        try:
            with torch.inference_mode(), repeating(self._device, self._dtype):
                yield
        except (RuntimeError, MemoryError) as error:
            what = f"{views} views of {hw[1]}x{hw[0]} px"
            if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in str(error):
                raise BackendError(
                    f"{self._name}: out of memory on {self._device} with {what}; use fewer views (max_views, "
                    f"batch_views), a lower resolution, a smaller model or dtype bfloat16. {_short(error)}",
                    reason="out_of_memory",
                ) from error
            raise BackendError(
                f"{self._name}: the network failed on {self._device} with {what}: {_short(error)}"
            ) from error


def usable_cameras(w2c: Float32Array, matrices: Float32Array) -> tuple[FloatArray, FloatArray]:
    """Estimated cameras as far as they are cameras.

    Args:
        w2c: (S, 3, 4) world to camera, as a network says.
        matrices: (S, 3, 3) in pixels.

    Returns:
        (S, 4, 4) and (S, 3, 3) float64, NaN where they are none.
    """
    poses, cameras = np.full((len(w2c), 4, 4), np.nan), np.full((len(w2c), 3, 3), np.nan)
    for view, (pose, camera) in enumerate(zip(w2c, matrices, strict=True)):
        if np.isfinite(camera).all():
            cameras[view] = camera
        try:
            poses[view] = checked_w2c(pose[None])[0]
        except InputError:  # a quaternion of zero, or an overflow of half precision
            continue
    return poses, cameras


def _replace_by_rays(
    found: tuple[FloatArray, FloatArray], output: NetworkOutput, hw: tuple[int, int], method: RayMethod
) -> tuple[str, ...]:
    """Writes the cameras that the ray maps describe over those of the camera decoder; says where there are none."""
    if output.rays is None or output.ray_confidence is None:
        return ("The network gave no ray maps: cameras come from its camera decoder.",)
    failed: list[int] = []
    why = ""
    for view, (rays, confidence) in enumerate(
        zip(_numpy(output.rays)[0], _numpy(output.ray_confidence)[0], strict=True)
    ):
        try:
            camera = camera_from_rays(rays, confidence, hw, method=method)
        except (GroundingError, InputError) as error:
            failed.append(view)
            why = why or error.message
            continue
        found[0][view], found[1][view] = camera.w2c, camera.intrinsics
    if not failed:
        return ()
    return (f"No camera from the rays of {named(failed)}, so the camera decoder's is taken. {why}",)


def _numpy(tensor: Tensor) -> Float32Array:
    array: Float32Array = tensor.detach().float().cpu().numpy()
    return array


def _optional(tensor: Tensor | None, *, column: bool = False) -> Float32Array | None:
    """A (1, S, H, W) tensor without its first axis, or an (S, 1, H, W) one without its second."""
    if tensor is None:
        return None
    return _numpy(tensor)[:, 0] if column else _numpy(tensor)[0]


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
