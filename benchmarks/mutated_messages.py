"""Messages of a camera with faults in them, without end and the same for a seed: for fuzzing the node and its decoders.

``for messages in mutated_messages(seed=1): ...`` gives, each time, what one moment of a camera is: colour, depth and
their calibrations by topic, with one to three faults somewhere.
"""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.ros.conversions import intrinsics_to_camera_info
from n3d_ros.ros.image_codec import (
    depth_to_compressed_msg,
    depth_to_image_msg,
    fill_data,
    rgb_to_compressed_msg,
    rgb_to_image_msg,
)

Messages = dict[str, Any]

INTRINSICS = CameraIntrinsics(fx=60.0, fy=60.0, cx=31.5, cy=23.5, width=64, height=48)
FRAME = "camera_color_optical_frame"
RAW = {"color": "rgb/image", "depth": "depth/image"}
COMPRESSED = {"color": "rgb/image/compressed", "depth": "depth/image/compressedDepth"}
COLOR_INFO, DEPTH_INFO = "rgb/camera_info", "depth/camera_info"

UINT32 = (0, 1, 2, 3, 7, 63, 65, 4096, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1)
FLOATS = (0.0, -0.0, -1.0, 1e-308, 1e308, -1e308, 5e-324, float("nan"), float("inf"), float("-inf"), 60.0, 0.5)
ENCODINGS = (
    *("rgb8", "bgr8", "rgba8", "bgra8", "mono8", "mono16", "rgb16", "bgr16", "8UC1", "8UC3", "16UC1", "16SC1", "32FC1"),
    *("64FC1", "32SC1", "8UC4", "8UC99", "8UC99999999999999999999", "bayer_rggb8", "bayer_gbrg16", "yuv422", "uyvy"),
    *(
        "yuv422_yuy2",
        "nv21",
        "nv24",
        "RGB8",
        "",
        " ",
        "rgb8 ",
        "rgb8\n",
        "\x1b[31mrgb8",
        "%s%n",
        "{}",
        "红",
        "x" * 70_000,
    ),
)
FORMATS = (
    *("jpeg", "png", "rgb8; jpeg compressed bgr8", "bgr8; png compressed", "16UC1; compressedDepth png"),
    *(
        "32FC1; compressedDepth png",
        "16UC1; compressedDepth rvl",
        "32FC1; compressedDepth rvl",
        "16UC1; compressedDepth",
    ),
    *("compressedDepth", "; ;", "", "jpg", "8UC3; compressedDepth png", "gif", "%s", "\x00", "x" * 70_000),
)
FRAME_IDS = ("", "/", "/camera", "map", "../..", "a" * 70_000, "\x1b[2J", "a\nb", "%n", "カメラ", FRAME)
LENSES = ("", "plumb_bob", "rational_polynomial", "equidistant", "fisheye", "none", "thin_prism", "%s", "x" * 5000)
LENGTHS = (0, 1, 3, 4, 5, 8, 12, 14, 1000)
FAULTS_AT_MOST = 3
TIME_JUMP_SHARE = 0.02  # of the moments; each empties the node's memory


def mutated_messages(
    seed: int = 0, *, compressed: bool = False, now_ns: Callable[[], int] = time.time_ns
) -> Iterator[Messages]:
    """Moments of a camera with faults in them.

    Args:
        seed: the same faults for the same seed.
        compressed: JPEG and compressedDepth in place of raw images.
        now_ns: gives the stamps.

    Yields:
        Message by topic (relative, as the node subscribes to it), calibrations first.
    """
    rng = random.Random(seed)
    topics = COMPRESSED if compressed else RAW
    while True:
        messages = good_messages(now_ns(), compressed=compressed)
        for _ in range(rng.randint(1, FAULTS_AT_MOST)):
            message = messages[rng.choice([*topics.values(), *topics.values(), COLOR_INFO, DEPTH_INFO])]
            rng.choice(_FAULTS[type(message)])(message, rng)
        if rng.random() < TIME_JUMP_SHARE:
            _mutate_stamp(rng.choice(list(messages.values())), rng)
        if rng.random() < 0.1:
            del messages[rng.choice(list(messages))]
        yield messages


def good_messages(stamp_ns: int, *, compressed: bool = False) -> Messages:
    """A moment of a camera without a fault: a picture of noise, a wall at 1 m.

    Args:
        stamp_ns: of all four.
        compressed: as for ``mutated_messages``.

    Returns:
        Message by topic.
    """
    rgb = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    depth = np.ones((48, 64), dtype=np.float32)
    info = {"stamp_ns": stamp_ns, "frame_id": FRAME}
    messages: Messages = {name: intrinsics_to_camera_info(INTRINSICS, **info) for name in (COLOR_INFO, DEPTH_INFO)}
    if compressed:
        messages[COMPRESSED["color"]] = rgb_to_compressed_msg(rgb, **info)
        messages[COMPRESSED["depth"]] = depth_to_compressed_msg(depth, **info)
    else:
        messages[RAW["color"]] = rgb_to_image_msg(rgb, **info)
        messages[RAW["depth"]] = depth_to_image_msg(depth, encoding="16UC1", **info)
    return messages


# --------------------------------------------------------------------------------------------------------- the faults


def _mutate_frame(message: Any, rng: random.Random) -> None:
    message.header.frame_id = rng.choice(FRAME_IDS)


def _mutate_stamp(message: Any, rng: random.Random) -> None:
    message.header.stamp.sec = rng.choice((0, 1, -1, -(2**31), 2**31 - 1, message.header.stamp.sec - 3600))
    message.header.stamp.nanosec = rng.choice((0, 999_999_999, 10**9, 2**32 - 1))


def _mutate_data(message: Any, rng: random.Random) -> None:
    """Cuts, lengthens, empties or changes the payload."""
    content = bytearray(message.data)
    kind = rng.randrange(5)
    if kind == 0:
        content = content[: rng.randrange(len(content) + 1)]
    elif kind == 1:
        content += rng.randbytes(rng.choice((1, 7, 4096, 100_000)))
    elif kind == 2:
        content = bytearray()
    elif kind == 3:
        content = bytearray(rng.randbytes(len(content)))
    else:
        for _ in range(rng.randint(1, 20)):
            if content:
                content[rng.randrange(len(content))] = rng.randrange(256)
    del message.data[:]
    fill_data(message, bytes(content))


def _mutate_image_size(message: Any, rng: random.Random) -> None:
    for name in rng.sample(("width", "height", "step"), rng.randint(1, 3)):
        setattr(message, name, rng.choice((*UINT32, getattr(message, name) * 2, getattr(message, name) + 1)))


def _mutate_encoding(message: Any, rng: random.Random) -> None:
    message.encoding = rng.choice(ENCODINGS)


def _mutate_endianness(message: Any, rng: random.Random) -> None:
    message.is_bigendian = rng.choice((0, 1, 255))


def _mutate_matrix(message: Any, rng: random.Random) -> None:
    matrix = getattr(message, rng.choice("kpr"))
    for _ in range(rng.choice((1, 1, 3, len(matrix)))):
        matrix[rng.randrange(len(matrix))] = rng.choice(FLOATS)


def _mutate_lens(message: Any, rng: random.Random) -> None:
    message.distortion_model = rng.choice(LENSES)
    message.d = [rng.choice(FLOATS) for _ in range(rng.choice(LENGTHS))]


def _mutate_calibrated_size(message: Any, rng: random.Random) -> None:
    for name in rng.sample(("width", "height", "binning_x", "binning_y"), rng.randint(1, 4)):
        setattr(message, name, rng.choice(UINT32))


def _mutate_region(message: Any, rng: random.Random) -> None:
    for name in ("x_offset", "y_offset", "width", "height"):
        setattr(message.roi, name, rng.choice(UINT32))
    message.roi.do_rectify = rng.random() < 0.5


def _mutate_format(message: Any, rng: random.Random) -> None:
    message.format = rng.choice(FORMATS)


def _claim_size(message: Any, rng: random.Random) -> None:
    """Writes another size into the payload's own header: a bomb, or a size that the data does not fill."""
    content = bytearray(message.data)
    width, height = rng.choice(UINT32), rng.choice(UINT32)
    png, jpeg = content.find(b"IHDR"), max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2"))
    if png >= 0 and len(content) >= png + 12:
        struct.pack_into(">II", content, png + 4, width, height)
    elif jpeg >= 0 and len(content) >= jpeg + 9:
        struct.pack_into(">HH", content, jpeg + 5, height & 0xFFFF, width & 0xFFFF)
    elif len(content) >= 20:
        struct.pack_into("<II", content, 12, width, height)  # RVL, behind the twelve bytes of compressedDepth
    del message.data[:]
    fill_data(message, bytes(content))


def _mutate_depth_header(message: Any, rng: random.Random) -> None:
    """The twelve bytes before the payload of compressedDepth: a number and two floats."""
    content = bytearray(message.data)
    if len(content) >= 12:
        values = [rng.choice((0.0, -1.0, 3e38, float("nan"), float("inf"))) for _ in range(2)]
        struct.pack_into("<iff", content, 0, rng.choice((0, 1, -1, 2**31 - 1)), *values)
        del message.data[:]
        fill_data(message, bytes(content))


_FAULTS: dict[type, tuple[Callable[[Any, random.Random], None], ...]] = {
    Image: (_mutate_image_size, _mutate_image_size, _mutate_encoding, _mutate_data, _mutate_endianness, _mutate_frame),
    CompressedImage: (
        _mutate_data,
        _mutate_data,
        _claim_size,
        _claim_size,
        _mutate_format,
        _mutate_depth_header,
        _mutate_frame,
    ),
    CameraInfo: (_mutate_matrix, _mutate_matrix, _mutate_lens, _mutate_calibrated_size, _mutate_region, _mutate_frame),
}
