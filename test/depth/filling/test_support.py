"""Edges of depth, and masks without their borders."""

from __future__ import annotations

import numpy as np

from depth.filling.scenes_for_filling import BOX, blurred, true_depth
from n3d_ros.depth.filling.support import edges, shrunk


def test_a_step_is_an_edge_on_both_sides() -> None:
    found = edges(true_depth(), 0.04)
    assert found[60, 58:62].all() and found[60, 98:102].all()
    assert not found[60, 70:90].any()


def test_a_steep_floor_is_no_edge() -> None:
    floor = true_depth()[70:, :50]
    assert not edges(floor, 0.04)[3:-3].any()


def test_invented_depth_between_foreground_and_background_is_edge_throughout() -> None:
    soft = blurred(true_depth())
    column = np.abs(soft[55, 92:108] - true_depth()[55, 92:108]) > 0.05 * true_depth()[55, 92:108]
    assert column.sum() >= 2
    assert edges(soft, 0.04)[55, 92:108][column].all()


def test_missing_depth_is_no_edge() -> None:
    depth = true_depth()
    depth[BOX] = np.nan
    found = edges(depth, 0.04)
    assert not found[BOX].any()


def test_a_mask_loses_its_rim_but_not_at_the_image_border() -> None:
    mask = np.ones((6, 6), np.bool_)
    mask[2, 2] = False
    kept = shrunk(mask)
    assert not kept[1:4, 1:4].any() and kept[0].all() and kept[5].all()
