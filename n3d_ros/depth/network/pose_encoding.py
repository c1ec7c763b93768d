"""Nine numbers for a camera: where it is, how it is turned, how wide it sees.

(t, quaternion xyzw, field of view across the height, across the width) of the camera-to-world transform; the
principal point is the centre of the image. Matrices given and taken are world-to-camera, OpenCV axes; K is in pixels
of the image whose size is named.
"""

from __future__ import annotations

import torch

LEAST_TANGENT = 1e-6  # of half a field of view, where the network says 0


def encode_pose(w2c: torch.Tensor, intrinsics: torch.Tensor, image_hw: tuple[int, int]) -> torch.Tensor:
    """The encoding of some cameras.

    Args:
        w2c: (..., 4, 4) or (..., 3, 4), world to camera.
        intrinsics: (..., 3, 3), pixels.
        image_hw: of the image.

    Returns:
        (..., 9).
    """
    rotation, center = _inverted(w2c[..., :3, :3], w2c[..., :3, 3])
    fov_h = 2 * torch.atan(image_hw[0] / 2 / intrinsics[..., 1, 1])
    fov_w = 2 * torch.atan(image_hw[1] / 2 / intrinsics[..., 0, 0])
    return torch.cat([center, quaternion_of(rotation), torch.stack([fov_h, fov_w], dim=-1)], dim=-1)


def decode_pose(encoding: torch.Tensor, image_hw: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """The cameras of some encodings.

    Args:
        encoding: (..., 9); the quaternion need not be of unit length.
        image_hw: of the image.

    Returns:
        World to camera (..., 3, 4), and K (..., 3, 3) in pixels.
    """
    rotation, translation = _inverted(rotation_of(encoding[..., 3:7]), encoding[..., :3])
    tangent = torch.tan(encoding[..., 7:9] / 2).clamp(min=LEAST_TANGENT)
    center = torch.tensor([image_hw[0] / 2, image_hw[1] / 2], dtype=encoding.dtype, device=encoding.device)
    fy, fx = (center / tangent).unbind(-1)
    zero, one = torch.zeros_like(fx), torch.ones_like(fx)
    rows = (fx, zero, center[1].expand_as(fx), zero, fy, center[0].expand_as(fx), zero, zero, one)
    intrinsics = torch.stack(rows, dim=-1).unflatten(-1, (3, 3))
    return torch.cat([rotation, translation[..., None]], dim=-1), intrinsics


def rotation_of(quaternion: torch.Tensor) -> torch.Tensor:
    """The rotation of a quaternion.

    Args:
        quaternion: (..., 4) xyzw, of any length but zero.

    Returns:
        (..., 3, 3).
    """
    x, y, z, w = quaternion.unbind(-1)
    scale = 2 / quaternion.square().sum(-1)
    rows = (
        1 - scale * (y * y + z * z), scale * (x * y - z * w), scale * (x * z + y * w),
        scale * (x * y + z * w), 1 - scale * (x * x + z * z), scale * (y * z - x * w),
        scale * (x * z - y * w), scale * (y * z + x * w), 1 - scale * (x * x + y * y),
    )  # fmt: skip
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def quaternion_of(rotation: torch.Tensor) -> torch.Tensor:
    """The unit quaternion of a rotation, from whichever of its four numbers is largest (Shepperd 1978).

    Args:
        rotation: (..., 3, 3).

    Returns:
        (..., 4) xyzw with w >= 0.
    """
    m = rotation
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    # Column k is four times the k-th number times all of them.
    yx, xy = m[..., 1, 0], m[..., 0, 1]
    zx, xz = m[..., 2, 0], m[..., 0, 2]
    zy, yz = m[..., 2, 1], m[..., 1, 2]
    products = torch.stack(
        [
            torch.stack([1 + xx - yy - zz, yx + xy, xz + zx, zy - yz], dim=-1),
            torch.stack([yx + xy, 1 - xx + yy - zz, zy + yz, xz - zx], dim=-1),
            torch.stack([xz + zx, zy + yz, 1 - xx - yy + zz, yx - xy], dim=-1),
            torch.stack([zy - yz, xz - zx, yx - xy, 1 + xx + yy + zz], dim=-1),
        ],
        dim=-2,
    )
    largest = products.diagonal(dim1=-2, dim2=-1).argmax(-1)
    row = products.gather(-2, largest[..., None, None].expand(*largest.shape, 1, 4)).squeeze(-2)
    unit = row / row.norm(dim=-1, keepdim=True)
    return torch.where(unit[..., 3:] < 0, -unit, unit)


def _inverted(rotation: torch.Tensor, translation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The inverse of a rigid transform."""
    back = rotation.transpose(-1, -2)
    return back, -(back @ translation[..., None]).squeeze(-1)
