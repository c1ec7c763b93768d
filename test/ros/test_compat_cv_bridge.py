"""Our image conversions give what cv_bridge gives, where it imports (it breaks under numpy 2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from n3d_ros.ros import image_codec

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def bridge() -> Any:
    try:
        import cv_bridge
    except Exception as error:  # built against numpy 1, it fails in many ways
        pytest.skip(f"cv_bridge does not import here: {error!r}")
    made = cv_bridge.CvBridge()
    try:
        made.cv2_to_imgmsg(np.zeros((2, 2, 3), np.uint8), "bgr8")
    except Exception as error:
        pytest.skip(f"cv_bridge imports but does not work here: {error!r}")
    return made


@pytest.mark.parametrize(
    "encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "mono8", "bayer_rggb8", "bayer_grbg8", "yuv422"]
)
def test_colour_agrees(bridge: Any, encoding: str) -> None:
    channels = {"mono8": 1, "rgba8": 4, "bgra8": 4, "yuv422": 2}.get(encoding, 1 if encoding.startswith("bayer") else 3)
    shape = (24, 32) if channels == 1 else (24, 32, channels)
    pixels = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    message = bridge.cv2_to_imgmsg(pixels, encoding="passthrough")
    message.encoding = encoding
    theirs = bridge.imgmsg_to_cv2(message, desired_encoding="rgb8")
    assert np.abs(image_codec.image_to_rgb(message).astype(int) - theirs).max() <= 1


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_depth_agrees(bridge: Any, encoding: str) -> None:
    depth = np.random.default_rng(1).uniform(0.3, 9, (24, 32)).astype(np.float32)
    message = image_codec.depth_to_image_msg(depth, encoding=encoding, stamp_ns=1, frame_id="cam")  # type: ignore[arg-type]
    theirs = bridge.imgmsg_to_cv2(message, desired_encoding="passthrough")
    unit = 0.001 if encoding == "16UC1" else 1.0
    assert np.allclose(image_codec.image_to_depth_m(message), theirs * unit, rtol=1e-6)


def test_what_we_write_it_reads(bridge: Any) -> None:
    rgb = np.random.default_rng(2).integers(0, 255, (24, 32, 3), np.uint8)
    message = image_codec.rgb_to_image_msg(rgb, stamp_ns=1, frame_id="cam")
    assert np.array_equal(bridge.imgmsg_to_cv2(message, desired_encoding="rgb8"), rgb)
