"""What the image's border cuts off is uncertain along the way out, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from builders import make_box
from n3d_ros.detection import BoxUncertainty
from n3d_ros.refine.truncation import cut_sides, widened_for_cuts

CERTAIN = BoxUncertainty(center_covariance_m2=np.eye(3) * 1e-6, size_stddev_m=np.full(3, 0.002), yaw_stddev_rad=0.01)


def mask(rows: slice, columns: slice) -> np.ndarray:
    image = np.zeros((48, 64), dtype=bool)
    image[rows, columns] = True
    return image


@pytest.mark.parametrize(
    ("rows", "columns", "side"),
    [
        (slice(10, 20), slice(0, 8), (-1, 0, 0)),
        (slice(10, 20), slice(50, 64), (1, 0, 0)),
        (slice(0, 9), slice(10, 20), (0, -1, 0)),
        (slice(40, 48), slice(10, 20), (0, 1, 0)),
    ],
)
def test_the_side_of_the_cut_is_named(rows: slice, columns: slice, side: tuple[int, int, int]) -> None:
    assert cut_sides(mask(rows, columns)).tolist() == [list(side)]


def test_an_object_inside_the_image_is_not_cut() -> None:
    assert len(cut_sides(mask(slice(10, 20), slice(10, 20)))) == 0
    assert len(cut_sides(mask(slice(0, 0), slice(0, 0)))) == 0


def test_a_corner_that_touches_the_border_is_no_cut() -> None:
    image = mask(slice(10, 40), slice(10, 30))
    image[38:40, 0:10] = True
    assert len(cut_sides(image)) == 0


def test_a_corner_object_is_cut_on_two_sides() -> None:
    assert len(cut_sides(mask(slice(40, 48), slice(56, 64)))) == 2


def test_only_the_way_out_becomes_uncertain() -> None:
    box = make_box(size=(0.1, 0.2, 0.3))
    wide = widened_for_cuts(CERTAIN, box, [[1.0, 0, 0]])
    np.testing.assert_allclose(wide.size_stddev_m, [np.hypot(0.002, 0.05), 0.002, 0.002])
    np.testing.assert_allclose(np.diag(wide.center_covariance_m2), [1e-6 + 0.025**2, 1e-6, 1e-6])


def test_a_turned_box_is_uncertain_along_the_axis_that_leads_out() -> None:
    box = make_box(size=(0.1, 0.2, 0.3), angle_rad=np.pi / 2)
    wide = widened_for_cuts(CERTAIN, box, [[1.0, 0, 0]])
    assert wide.size_stddev_m[1] == pytest.approx(np.hypot(0.002, 0.1))
    assert wide.center_covariance_m2[0, 0] == pytest.approx(1e-6 + 0.05**2)


def test_without_a_cut_nothing_changes() -> None:
    assert widened_for_cuts(CERTAIN, make_box(), np.zeros((0, 3))) is CERTAIN
