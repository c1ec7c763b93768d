"""From camera images to what the networks see, and the geometry of the way back.

The sizes, interpolations and roundings are those with which the released models were trained and tested: one resize to
the working resolution, a second one (or a crop) to multiples of the patch. The aspect ratio changes by up to half a
patch, so the two axes have factors of their own.

Two conventions of pixel coordinates meet here. In this package the centre of the first pixel is (0, 0); in the
networks' camera matrices its corner is, so that the principal point of a centred camera is (W / 2, H / 2) and resizing
is a product. ``network_matrix`` and ``ImageMap`` are the only places that know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from n3d_ros.depth.options import PATCH_PX
from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import Float32Array, FloatArray
from n3d_ros.geometry.camera import CameraIntrinsics

MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)  # of ImageNet, red green blue, 0 to 1
STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)
MAX_PROCESSED_PX = 2016 * 2016  # 20736 tokens; a thin image scaled by its shorter side would ask for all memory


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageMap:
    """Where the network's pixels lie in the camera's image: resized by two factors, then cropped.

    In corner coordinates (first pixel from 0 to 1) x_network = x_camera * resized / camera - crop, along each axis.

    Args:
        camera_hw: height and width of the camera's image, pixels.
        resized_hw: of the image resized, before any crop.
        crop_yx: rows and columns cut off at the top and at the left.
        network_hw: of the image that the network sees.
    """

    camera_hw: tuple[int, int]
    resized_hw: tuple[int, int]
    crop_yx: tuple[int, int]
    network_hw: tuple[int, int]

    @property
    def factors_yx(self) -> tuple[float, float]:
        """Network pixels per camera pixel, down and across."""
        return self.resized_hw[0] / self.camera_hw[0], self.resized_hw[1] / self.camera_hw[1]

    @property
    def is_cropped(self) -> bool:
        """Whether some camera pixels are not seen by the network."""
        return self.resized_hw != self.network_hw

    @property
    def seen_share(self) -> float:
        """Share of the camera's image that the network sees."""
        return (self.network_hw[0] * self.network_hw[1]) / (self.resized_hw[0] * self.resized_hw[1])

    def centre_cropped(self, hw: tuple[int, int]) -> ImageMap:
        """This map with less of the image.

        Args:
            hw: rows and columns kept around the centre.

        Returns:
            The map of the smaller image.
        """
        (height, width), (top, left) = self.network_hw, self.crop_yx
        crop = (top + (height - hw[0]) // 2, left + (width - hw[1]) // 2)
        return ImageMap(camera_hw=self.camera_hw, resized_hw=self.resized_hw, crop_yx=crop, network_hw=hw)

    def matrix_to_network(self, matrix: ArrayLike) -> FloatArray:
        """The camera matrix of the network's image.

        Args:
            matrix: (3, 3) of the camera's image, corner coordinates.

        Returns:
            (3, 3) float64, corner coordinates.
        """
        scaled = np.array(matrix, dtype=np.float64)
        scaled[:2] *= np.array(self.factors_yx[::-1])[:, None]
        scaled[0, 2] -= self.crop_yx[1]
        scaled[1, 2] -= self.crop_yx[0]
        return scaled

    def matrix_to_camera(self, matrix: ArrayLike) -> FloatArray:
        """The camera matrix of the camera's image: undoes ``matrix_to_network``.

        Args:
            matrix: (3, 3) of the network's image, corner coordinates.

        Returns:
            (3, 3) float64, corner coordinates.
        """
        full = np.array(matrix, dtype=np.float64)
        full[0, 2] += self.crop_yx[1]
        full[1, 2] += self.crop_yx[0]
        full[:2] /= np.array(self.factors_yx[::-1])[:, None]
        return full


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """Images of one size, ready for a network.

    Args:
        images: (S, 3, H, W) float32, red green blue, normalised with ImageNet's mean and deviation.
        maps: where each lies in its camera's image.
    """

    images: Float32Array
    maps: tuple[ImageMap, ...]


def prepare(images: Sequence[NDArray[np.uint8]], *, process_res: int, method: str) -> Prepared:
    """The network's input for some images; of different sizes they are cropped around the centre to the smallest.

    Args:
        images: each (H, W, 3) uint8, red green blue.
        process_res: working resolution, pixels, a multiple of 14.
        method: one of ``options.RESIZE_METHODS``.

    Returns:
        The images and their geometry.

    Raises:
        InputError: no images, or one that is too thin for the method.
    """
    if not images:
        raise InputError("Depth: expected one image or more, got none.")
    resized = [_resized(image, process_res, method) for image in images]
    common = (min(image.shape[0] for image, _ in resized), min(image.shape[1] for image, _ in resized))
    maps = tuple(image_map.centre_cropped(common) for _, image_map in resized)
    batch = np.empty((len(images), 3, *common), dtype=np.float32)
    for target, (image, whole), part in zip(batch, resized, maps, strict=True):
        top, left = part.crop_yx[0] - whole.crop_yx[0], part.crop_yx[1] - whole.crop_yx[1]
        target[:] = normalized(image[top : top + common[0], left : left + common[1]])
    return Prepared(images=batch, maps=maps)


def network_hw(camera_hw: tuple[int, int], *, process_res: int, method: str) -> tuple[int, int]:
    """The size at which the network sees an image of a camera.

    Args:
        camera_hw: height and width of the camera's image.
        process_res: working resolution, pixels.
        method: one of ``options.RESIZE_METHODS``.

    Returns:
        Height and width, multiples of 14.
    """
    return _plan(camera_hw, process_res, method)[1].network_hw


def network_matrix(camera: CameraIntrinsics, image_map: ImageMap) -> FloatArray:
    """The camera matrix of the network's image, in its corner coordinates.

    Args:
        camera: of the camera's image.
        image_map: how that became the network's.

    Returns:
        (3, 3) float64.
    """
    corner = camera.matrix
    corner[:2, 2] += 0.5
    return image_map.matrix_to_network(corner)


def camera_intrinsics(matrix: ArrayLike, image_map: ImageMap) -> CameraIntrinsics:
    """The calibration of the camera's image that a camera matrix of the network's image means.

    Args:
        matrix: (3, 3), corner coordinates of the network's image.
        image_map: how the camera's image became the network's.

    Returns:
        The calibration at camera resolution.

    Raises:
        CalibrationError: numbers that no camera has.
    """
    full = image_map.matrix_to_camera(matrix)
    full[:2, 2] -= 0.5
    return CameraIntrinsics.from_matrix(full, width=image_map.camera_hw[1], height=image_map.camera_hw[0])


def normalized(image: NDArray[np.uint8]) -> Float32Array:
    """An image as the backbones learnt to see it.

    Args:
        image: (H, W, 3) uint8, red green blue.

    Returns:
        (3, H, W) float32.
    """
    # One table per channel: the same float32 arithmetic as on the pixels, done 256 times.
    table = ((np.arange(256, dtype=np.float32) / np.float32(255))[None] - MEAN[:, None]) / STD[:, None]
    planes = np.empty((3, *image.shape[:2]), dtype=np.float32)
    for channel in range(3):
        np.take(table[channel], image[..., channel], out=planes[channel])
    return planes


def _plan(camera_hw: tuple[int, int], process_res: int, method: str) -> tuple[tuple[int, int], ImageMap]:
    """The size after the first resize, and the whole geometry."""
    height, width = camera_hw
    side = max(camera_hw) if method.startswith("upper_bound") else min(camera_hw)
    scale = process_res / side
    # Python's round goes to the even number at ties, and so do the released sizes.
    first = camera_hw if side == process_res else (max(1, round(height * scale)), max(1, round(width * scale)))
    if method.endswith("_crop"):
        kept = (first[0] // PATCH_PX * PATCH_PX, first[1] // PATCH_PX * PATCH_PX)
        if not min(kept):
            raise InputError(
                f"Depth: an image of {width}x{height} px is {first[1]}x{first[0]} px at resolution {process_res}, less "
                f"than one patch of {PATCH_PX} px, so {method} leaves nothing; use a resize method."
            )
        whole = ImageMap(camera_hw=camera_hw, resized_hw=first, crop_yx=(0, 0), network_hw=first)
        plan = whole.centre_cropped(kept)
    else:
        last = (_nearest_multiple(first[0]), _nearest_multiple(first[1]))
        plan = ImageMap(camera_hw=camera_hw, resized_hw=last, crop_yx=(0, 0), network_hw=last)
    if first[0] * first[1] > MAX_PROCESSED_PX:
        raise InputError(
            f"Depth: an image of {width}x{height} px would be {first[1]}x{first[0]} px with {method} at resolution "
            f"{process_res}, above {MAX_PROCESSED_PX} px in all; use upper_bound_resize or a lower resolution."
        )
    return first, plan


def _nearest_multiple(length: int) -> int:
    """The multiple of the patch next to a length, the larger one at a tie, at least one patch."""
    down = length // PATCH_PX * PATCH_PX
    return max(down if length - down < PATCH_PX / 2 else down + PATCH_PX, PATCH_PX)


def _resized(image: NDArray[np.uint8], process_res: int, method: str) -> tuple[NDArray[np.uint8], ImageMap]:
    """The image at the network's size, before views are brought to a common one."""
    hw = (image.shape[0], image.shape[1])
    first, plan = _plan(hw, process_res, method)
    longest = max(hw) if method.startswith("upper_bound") else min(hw)
    current = image
    if first != hw:
        current = _scaled(current, first, grows=process_res > longest)
    if not method.endswith("_crop") and plan.resized_hw != first:
        grows = plan.resized_hw[0] > first[0] or plan.resized_hw[1] > first[1]
        current = _scaled(current, plan.resized_hw, grows=grows)
    (top, left), (height, width) = plan.crop_yx, plan.network_hw
    return current[top : top + height, left : left + width], plan


def _scaled(image: NDArray[np.uint8], hw: tuple[int, int], *, grows: bool) -> NDArray[np.uint8]:
    """An image resized as the released code does: cubic upwards, averages downwards."""
    scaled = cv2.resize(image, (hw[1], hw[0]), interpolation=cv2.INTER_CUBIC if grows else cv2.INTER_AREA)
    return np.asarray(scaled, dtype=np.uint8)
