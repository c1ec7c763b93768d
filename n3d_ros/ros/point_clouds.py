"""Point clouds as messages: one coloured point per pixel, in the order of the image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import Float32Array
from n3d_ros.geometry.camera import CameraIntrinsics, unproject
from n3d_ros.ros.conversions import make_header
from n3d_ros.ros.image_codec import fill_data

FIELDS = ("x", "y", "z", "rgb")  # float32 each; rgb holds 0x00RRGGBB in its bits, as PCL and RViz read it
POINT_BYTES = 4 * len(FIELDS)


def points_to_msg(
    depth_m: Float32Array, rgb: NDArray[np.uint8], intrinsics: CameraIntrinsics, *, stamp_ns: int, frame_id: str
) -> Any:
    """An organised cloud: the point of pixel (u, v) is at row v and column u, NaN where there is no depth.

    Args:
        depth_m: (H, W) float32 z-depth in metres, NaN for none.
        rgb: (H, W, 3) uint8, registered to it.
        intrinsics: of both.
        stamp_ns: of the image, nanoseconds.
        frame_id: the camera's optical frame, in which the points are.

    Returns:
        ``sensor_msgs/PointCloud2`` with fields x, y, z (metres) and rgb.

    Raises:
        InputError: depth and colour differ in size.
    """
    from sensor_msgs.msg import PointCloud2, PointField

    height, width = depth_m.shape
    if rgb.shape != (height, width, 3):
        raise InputError(f"Point cloud: expected colour of {width}x{height} px as depth has, got {rgb.shape}.")
    points = np.empty((height, width, len(FIELDS)), dtype="<f4")
    points[..., :3] = unproject(depth_m, intrinsics)
    red, green, blue = (rgb[..., i].astype("<u4") for i in range(3))
    points[..., 3] = (red << 16 | green << 8 | blue).view("<f4")
    message = PointCloud2(header=make_header(stamp_ns, frame_id))
    message.height, message.width = height, width
    message.fields = [
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1) for i, name in enumerate(FIELDS)
    ]
    message.is_bigendian, message.is_dense = False, False
    message.point_step, message.row_step = POINT_BYTES, POINT_BYTES * width
    fill_data(message, points)
    return message
