"""Colour and depth images written into a bag as a camera driver would have published them.

Used to bring folders of images and generated scenes into the same form as a recording of a robot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import InputError
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.ros.bag import LATCHED_QOS, SENSOR_QOS, BagWriter, TopicQos
from n3d_ros.ros.conversions import intrinsics_to_camera_info, transform_to_msg
from n3d_ros.ros.image_codec import depth_to_compressed_msg, depth_to_image_msg, rgb_to_compressed_msg, rgb_to_image_msg

TF_QOS = TopicQos(depth=100)  # tf2_ros's own publisher
MILLIMETRE_M = 0.001
JPEG_QUALITY = 88  # artefacts stay below the colour noise of a small camera


@dataclass(frozen=True, slots=True, kw_only=True)
class RgbdTopics:
    """Names under which the images go; those of a RealSense with aligned depth, which many tools know.

    Args:
        color: colour image.
        color_info: its calibration.
        depth: depth registered to it.
        depth_info: its calibration.
    """

    color: str = "/camera/color/image_raw"
    color_info: str = "/camera/color/camera_info"
    depth: str = "/camera/aligned_depth_to_color/image_raw"
    depth_info: str = "/camera/aligned_depth_to_color/camera_info"


class RgbdBagWriter:
    """Writes frames of one camera into a bag.

    Args:
        writer: an open bag.
        intrinsics: of both images.
        frame_id: the camera's optical frame.
        compressed: JPEG and compressedDepth PNG instead of raw images.
        topics: names.
        distortion: lens model and coefficients, as in ``sensor_msgs/CameraInfo``.
    """

    def __init__(
        self,
        writer: BagWriter,
        intrinsics: CameraIntrinsics,
        *,
        frame_id: str,
        compressed: bool = False,
        topics: RgbdTopics | None = None,
        distortion: tuple[str, tuple[float, ...]] = ("plumb_bob", (0.0, 0.0, 0.0, 0.0, 0.0)),
    ) -> None:
        self._writer, self._intrinsics, self._distortion = writer, intrinsics, distortion
        self._frame_id, self._compressed = frame_id, compressed
        names = topics or RgbdTopics()
        self._color = names.color + "/compressed" * compressed
        self._depth = names.depth + "/compressedDepth" * compressed
        self._infos = (names.color_info, names.depth_info)
        image_type = "sensor_msgs/msg/CompressedImage" if compressed else "sensor_msgs/msg/Image"
        for topic in (self._color, self._depth):
            writer.add_topic(topic, image_type, qos=SENSOR_QOS)
        for topic in self._infos:
            writer.add_topic(topic, "sensor_msgs/msg/CameraInfo", qos=SENSOR_QOS)

    def write_frame(
        self, rgb: NDArray[np.uint8], depth: NDArray[Any], stamp_ns: int, *, recorded_ns: int | None = None
    ) -> None:
        """Writes one colour image, its depth and both calibrations.

        Args:
            rgb: (H, W, 3) uint8.
            depth: (H, W) uint16 millimetres with 0 for none, or float metres with NaN for none.
            stamp_ns: when they were taken, nanoseconds.
            recorded_ns: when they arrived; None: at their stamp.

        Raises:
            InputError: sizes differ from the calibration's.
        """
        size = (self._intrinsics.height, self._intrinsics.width)
        if rgb.shape != (*size, 3) or depth.shape != size:
            raise InputError(
                f"Frame at {stamp_ns / 1e9:.3f} s: expected colour {size[1]}x{size[0]} and depth of the same size, got "
                f"{rgb.shape[1]}x{rgb.shape[0]} and {depth.shape[1]}x{depth.shape[0]}."
            )
        metres = depth.astype(np.float64) / 1000 if depth.dtype == np.uint16 else depth
        where: dict[str, Any] = {"stamp_ns": stamp_ns, "frame_id": self._frame_id}
        info = camera_info_msg(self._intrinsics, distortion=self._distortion, **where)
        arrival_ns = stamp_ns if recorded_ns is None else recorded_ns
        for topic in self._infos:
            self._writer.write(topic, arrival_ns, info)
        self._writer.write(self._color, arrival_ns, self._color_msg(rgb, where))
        to_msg = depth_to_compressed_msg if self._compressed else depth_to_image_msg
        self._writer.write(self._depth, arrival_ns, to_msg(metres, **where))

    def _color_msg(self, rgb: NDArray[np.uint8], where: Mapping[str, Any]) -> Any:
        """The colour message."""
        if self._compressed:
            return rgb_to_compressed_msg(rgb, quality=JPEG_QUALITY, **where)
        return rgb_to_image_msg(rgb, **where)


def write_transform(
    writer: BagWriter,
    parent: str,
    child: str,
    parent_T_child: RigidTransform,
    stamp_ns: int,
    *,
    recorded_ns: int | None = None,
    static: bool = False,
) -> None:
    """Writes one transform to /tf or /tf_static.

    Args:
        writer: an open bag.
        parent: name of the frame the child is placed in.
        child: name of the placed frame.
        parent_T_child: takes points of child to parent.
        stamp_ns: when it holds, nanoseconds.
        recorded_ns: when it arrived; None: at its stamp.
        static: to /tf_static, latched.
    """
    from tf2_msgs.msg import TFMessage

    topic = "/tf_static" if static else "/tf"
    if topic not in writer.topics:
        writer.add_topic(topic, "tf2_msgs/msg/TFMessage", qos=LATCHED_QOS if static else TF_QOS)
    message = transform_to_msg(parent_T_child, parent=parent, child=child, stamp_ns=stamp_ns)
    writer.write(topic, stamp_ns if recorded_ns is None else recorded_ns, TFMessage(transforms=[message]))


def camera_info_msg(
    intrinsics: CameraIntrinsics,
    *,
    stamp_ns: int,
    frame_id: str,
    distortion: tuple[str, tuple[float, ...]] = ("plumb_bob", (0.0, 0.0, 0.0, 0.0, 0.0)),
) -> Any:
    """A ``sensor_msgs/CameraInfo`` whose rectified image has the same camera matrix.

    Args:
        intrinsics: of the image.
        stamp_ns: nanoseconds.
        frame_id: the camera's optical frame.
        distortion: lens model and coefficients.

    Returns:
        The message.
    """
    message = intrinsics_to_camera_info(intrinsics, stamp_ns=stamp_ns, frame_id=frame_id)
    message.distortion_model = distortion[0]
    message.d = [float(value) for value in distortion[1]]
    return message


def read_color(path: str) -> NDArray[np.uint8]:
    """A colour image from a file.

    Args:
        path: of a PNG, JPEG or any image OpenCV reads.

    Returns:
        (H, W, 3) uint8, red green blue.

    Raises:
        InputError: it cannot be read as one.
    """
    image = cv2.imread(path, cv2.IMREAD_COLOR)
    if image is None:
        raise InputError(f"{path}: expected a colour image (PNG, JPEG), and it cannot be decoded.")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def read_depth(path: str, unit_m: float | None = None) -> NDArray[Any]:
    """A depth image from a file.

    Args:
        path: a 16-bit image, a float image (TIFF, EXR) or a ``.npy`` array.
        unit_m: metres per count; None: 0.001 for 16-bit images, 1 for floats (REP-118).

    Returns:
        (H, W) uint16 millimetres when the file has just these, else float64 metres, NaN for none.

    Raises:
        InputError: it cannot be read as one.
    """
    try:
        image = np.load(path, allow_pickle=False) if path.endswith(".npy") else cv2.imread(path, cv2.IMREAD_UNCHANGED)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a depth image, got {error}.") from error
    if image is None or image.ndim != 2 or image.dtype not in (np.uint16, np.float32, np.float64):
        form = "nothing that decodes" if image is None else f"{image.shape} {image.dtype}"
        raise InputError(f"{path}: expected a depth image with one channel of 16 bits or floats, got {form}.")
    unit_m = unit_m or (MILLIMETRE_M if image.dtype == np.uint16 else 1.0)
    if image.dtype == np.uint16 and unit_m == MILLIMETRE_M:
        return np.asarray(image)
    metres = image.astype(np.float64) * unit_m
    metres[~(metres > 0) | np.isinf(metres)] = np.nan
    return metres
