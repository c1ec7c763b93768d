"""View sets as compressed bytes: about a sixth of the plain arrays, for shards that have to be carried.

Colour is JPEG of quality 95, everything else is exact. All views of a scene stand one below the other in each picture.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model_training.depth.view_set import ViewSet
from n3d_ros.errors import InputError

JPEG_QUALITY = 95
SKY, OBJECTS = 1, 2  # bits of the mask picture


def _encoded(ending: str, picture: NDArray[Any], *options: int) -> NDArray[np.uint8]:
    """The bytes of a picture file."""
    done, data = cv2.imencode(ending, picture, options)
    if not done:
        raise InputError(f"Could not encode a picture of shape {picture.shape} as {ending}.")
    return np.asarray(data, np.uint8).ravel()


def _decoded(data: NDArray[np.uint8], views: int) -> NDArray[Any]:
    """(V, H, W, ...) of a picture file."""
    picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if picture is None or picture.shape[0] % views:
        raise InputError("A packed scene cannot be read: its bytes are damaged; prepare the shard again.")
    return np.asarray(picture).reshape(views, -1, *picture.shape[1:])


def packed(views: ViewSet) -> dict[str, NDArray[np.uint8]]:
    """Colour, depth and masks of a scene as bytes.

    Args:
        views: of the scene.

    Returns:
        Bytes by name: "rgb", "depth_mm", "masks".
    """
    masks = views.sky.astype(np.uint8) * SKY + views.objects.astype(np.uint8) * OBJECTS
    width = views.rgb.shape[2]
    bgr = np.ascontiguousarray(views.rgb[..., ::-1]).reshape(-1, width, 3)
    return {
        "rgb": _encoded(".jpg", bgr, cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY),
        "depth_mm": _encoded(".png", views.depth_mm.reshape(-1, width)),
        "masks": _encoded(".png", masks.reshape(-1, width)),
    }


def unpacked(
    name: str, data: dict[str, NDArray[np.uint8]], intrinsics: NDArray[np.float64], world_T_camera: NDArray[np.float64]
) -> ViewSet:
    """The scene that ``packed`` encoded; colours are as JPEG keeps them.

    Args:
        name: of the scene.
        data: bytes by name.
        intrinsics: (V, 4).
        world_T_camera: (V, 4, 4).

    Returns:
        The views.
    """
    count = len(intrinsics)
    masks = _decoded(data["masks"], count)
    return ViewSet(
        name=name,
        rgb=np.ascontiguousarray(_decoded(data["rgb"], count)[..., ::-1]),
        depth_mm=_decoded(data["depth_mm"], count),
        sky=(masks & SKY) > 0,
        objects=(masks & OBJECTS) > 0,
        intrinsics=intrinsics,
        world_T_camera=world_T_camera,
    )
