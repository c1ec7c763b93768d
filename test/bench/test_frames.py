"""Frames to measure with: made ones are the same everywhere, and all survive the way to another process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from n3d_ros.bench.frames import BenchFrames
from n3d_ros.bench.made_frames import made_frames
from n3d_ros.errors import InputError
from n3d_ros.geometry.camera import unproject


@pytest.fixture(scope="module")
def made() -> BenchFrames:
    return made_frames(2)


def test_made_frames_are_the_same_each_time_and_differ_from_one_another(made: BenchFrames) -> None:
    again = made_frames(2)
    assert np.array_equal(made.rgb, again.rgb) and np.array_equal(made.depth_mm, again.depth_mm)
    assert not np.array_equal(made.rgb[0], made.rgb[1])
    assert np.array_equal(made_frames(1).depth_mm[0], made.depth_mm[0])


def test_most_of_a_made_frame_is_a_plane_with_things_nearer_than_it(made: BenchFrames) -> None:
    points = np.asarray(unproject(made.depth_m[0], made.intrinsics), dtype=np.float64)
    assert 0.4 < np.median(points[200:280, 280:360, 2]) < 1.2
    corner = points[380:470, 20:120].reshape(-1, 3)  # of the table, without boxes
    normal = np.linalg.svd(corner - corner.mean(axis=0))[2][2]
    heights = (points.reshape(-1, 3) - corner.mean(axis=0)) @ normal
    heights *= -np.sign(normal @ corner.mean(axis=0))  # up is towards the camera
    assert np.mean(np.abs(heights) < 0.01) > 0.4
    assert 0.01 < np.mean(heights > 0.02) < 0.3


def test_frames_survive_the_way_to_another_process(made: BenchFrames, tmp_path: Path) -> None:
    made.save(tmp_path / "frames.npz")
    loaded = BenchFrames.load(tmp_path / "frames.npz")
    assert np.array_equal(loaded.rgb, made.rgb) and np.array_equal(loaded.depth_mm, made.depth_mm)
    assert loaded.intrinsics == made.intrinsics and loaded.source == made.source


def test_holes_stay_holes_and_frames_of_another_camera_are_left_out(made: BenchFrames) -> None:
    first, second = made.rgbd_frames()
    depth = np.array(first.depth_m)
    depth[:5] = np.nan
    other = replace(second, intrinsics=replace(second.intrinsics, fx=600.0))
    kept = BenchFrames.of_frames([replace(first, depth_m=depth), other], "a test")
    assert len(kept) == 1 and not kept.depth_mm[0, :5].any() and np.isnan(kept.depth_m[0, :5]).all()


def test_no_frame_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="my bag: expected at least one image"):
        BenchFrames.of_frames([], "my bag")
