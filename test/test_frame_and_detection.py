"""The central values: what they refuse, and that they cannot be changed."""

from __future__ import annotations

import numpy as np
import pytest

from builders import make_detection, make_frame, make_intrinsics
from n3d_ros.detection import BoxUncertainty, SupportSurface
from n3d_ros.errors import InputError, N3dError, StatusCode, TransformError
from n3d_ros.geometry import RigidTransform
from n3d_ros.geometry.transforms import rotation_about_axis
from n3d_ros.inference.grounder import GroundingRequest, create_grounder


@pytest.mark.parametrize("depth", [0.0, -1.0, np.inf], ids=["zero", "negative", "infinite"])
def test_a_frame_refuses_invalid_depth_that_is_not_nan(depth: float) -> None:
    image = np.ones((48, 64), dtype=np.float32)
    image[3, 4] = depth
    with pytest.raises(InputError, match="NaN"):
        make_frame(depth_m=image)


def test_a_frame_without_any_depth_is_a_frame() -> None:
    assert make_frame(depth_m=np.nan).valid_depth_share == 0.0


def test_a_frame_refuses_images_of_different_sizes() -> None:
    with pytest.raises(InputError, match=r"\(48, 64, 3\)"):
        make_frame(rgb=np.zeros((24, 32, 3), dtype=np.uint8))
    with pytest.raises(InputError, match="frame_id"):
        make_frame(frame_id="")


def test_a_frame_does_not_share_the_callers_arrays() -> None:
    rgb = np.zeros((48, 64, 3), dtype=np.uint8)
    frame = make_frame(rgb=rgb)
    rgb[:] = 255
    assert frame.rgb.max() == 0 and not frame.rgb.flags.writeable


def test_a_frames_points_lie_on_its_rays() -> None:
    points = make_frame(depth_m=2.0, intrinsics=make_intrinsics()).point_map()
    np.testing.assert_allclose(points.xyz[0, 0], [-31.5 / 60 * 2, -23.5 / 60 * 2, 2.0], rtol=1e-6)


def test_a_detection_moves_with_its_uncertainty() -> None:
    uncertainty = BoxUncertainty(
        center_covariance_m2=np.diag([1e-4, 0, 0]), size_stddev_m=np.full(3, 0.01), yaw_stddev_rad=0.1
    )
    turn = RigidTransform(rotation=rotation_about_axis([0, 0, 1], np.pi / 2), translation=np.array([1.0, 0, 0]))
    moved = make_detection(center=(1, 0, 0), uncertainty=uncertainty).transformed(turn)
    np.testing.assert_allclose(moved.box.center, [1, 1, 0], atol=1e-12)
    assert moved.uncertainty is not None
    np.testing.assert_allclose(moved.uncertainty.center_covariance_m2, np.diag([0, 1e-4, 0]), atol=1e-18)


@pytest.mark.parametrize("changes", [{"score": 1.1}, {"support_ratio": -0.1}, {"point_count": -1}, {"label": ""}])
def test_a_detection_refuses_numbers_out_of_range(changes: dict[str, float]) -> None:
    with pytest.raises(InputError):
        make_detection(**changes)


def test_an_uncertainty_must_be_a_covariance() -> None:
    lopsided = np.array([[1.0, 2, 0], [0, 1, 0], [0, 0, 1]])
    with pytest.raises(InputError, match="symmetric"):
        BoxUncertainty(center_covariance_m2=lopsided, size_stddev_m=np.zeros(3), yaw_stddev_rad=0.0)


def test_height_is_measured_along_the_surface_normal() -> None:
    table = SupportSurface(normal=np.array([0.0, -1, 0]), offset_m=0.5, kind="table", outline=np.zeros((0, 3)))
    np.testing.assert_allclose(table.height_m(np.array([[0, 0.5, 1], [0, 0.2, 1]])), [0.0, 0.3])
    with pytest.raises(InputError, match="kind"):
        SupportSurface(normal=np.array([0.0, -1, 0]), offset_m=0.5, kind="cloud", outline=np.zeros((0, 3)))


@pytest.mark.parametrize("changes", [{"phrase": " "}, {"phrase": "x" * 513}, {"max_objects": 0}, {"up": np.zeros(3)}])
def test_a_request_out_of_bounds_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InputError):
        GroundingRequest(**changes)  # type: ignore[arg-type]


def test_an_unknown_grounder_is_refused_with_the_names_known() -> None:
    with pytest.raises(N3dError, match="geometric"):
        create_grounder("crystal_ball")


def test_every_error_carries_a_code_and_a_reason() -> None:
    error = TransformError("no way from a to b")
    assert (error.code, error.reason, str(error)) == (StatusCode.NO_TRANSFORM, "no_transform", "no way from a to b")
    assert InputError("x", code=StatusCode.INVALID_REQUEST, reason="y").code is StatusCode.INVALID_REQUEST
