"""Colour and depth messages with holes become frames without, when a model fills them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="needs ROS 2 messages")

from builders import make_intrinsics
from n3d_ros.errors import GroundingError
from n3d_ros.geometry.transform_buffer import TransformBuffer
from n3d_ros.inference.depth_fusion import FusedDepth
from n3d_ros.inference.depth_source import FUSED, FoundDepth, PixelSource
from n3d_ros.inference.timing import Stages
from n3d_ros.ros.depth_step import FrameMaker, MadeFrame
from n3d_ros.ros.frame_assembly import FrameConfig
from n3d_ros.ros.image_codec import depth_to_image_msg
from ros.test_pipeline import FRAME, SECOND, make_pair
from scripted_depth import ScriptedDepth

CAMERA = make_intrinsics()
HOLE = (slice(20, 30), slice(20, 34))


def floor_m() -> np.ndarray:
    """(48, 64) float32: depth that grows from 1 to 2.4 m, as a floor does upwards in the image."""
    rows = np.linspace(2.4, 1.0, CAMERA.height, dtype=np.float32)[:, None]
    return np.broadcast_to(rows, (CAMERA.height, CAMERA.width)).copy()


def made(measured_m: np.ndarray) -> MadeFrame:
    """The frame of a pair with this depth, beside a relative model that sees the floor in a unit of its own."""
    message = depth_to_image_msg(measured_m, stamp_ns=SECOND, frame_id=FRAME)
    relative = FoundDepth(depth_m=(0.3 * floor_m()).astype(np.float32), facts={"is_metric": 0.0})
    frames = FrameMaker(FrameConfig(), kind=FUSED)
    frames.source = FusedDepth(ScriptedDepth(find=lambda views: (relative,) * len(views)))
    return frames.frame_of(replace(make_pair(), depth=message), TransformBuffer().lookup, Stages())


def test_a_hole_is_filled_and_the_mask_says_so() -> None:
    measured = floor_m()
    measured[HOLE] = np.nan
    frame = made(measured)
    np.testing.assert_allclose(frame.frame.depth_m, floor_m(), rtol=0.01)
    assert frame.depth is not None and frame.depth.found.source is not None
    assert (frame.depth.found.source[HOLE] == PixelSource.MODEL).all()
    outside = np.isfinite(measured)
    np.testing.assert_allclose(frame.frame.depth_m[outside], measured[outside], atol=6e-4, err_msg="whole millimetres")


def test_a_reading_out_of_range_is_a_hole_too() -> None:
    """Some drivers report their farthest distance where they see nothing."""
    measured = floor_m()
    measured[HOLE] = 50.0
    np.testing.assert_allclose(made(measured).frame.depth_m[HOLE], floor_m()[HOLE], rtol=0.01)


def test_a_depth_image_without_any_depth_leaves_no_scale_and_says_so() -> None:
    with pytest.raises(GroundingError, match="no scale of its own"):
        made(np.full_like(floor_m(), np.nan))
