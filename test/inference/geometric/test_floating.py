"""What hangs over free space belongs to what stands below it; what is carried or hidden below does not."""

from __future__ import annotations

import pytest

from inference.geometric.raycasting import Box, Cylinder, View, look_at, owners
from n3d_ros.inference.geometric import segment

BASE = Cylinder(at=(0, 0, 0), radius=0.07, height=0.02, rgb=(60, 60, 60))
SHADE = Cylinder(at=(0, 0, 0.16), radius=0.08, height=0.12, rgb=(200, 60, 60))


def labels_of(view: View) -> list[set[int]]:
    """Which labels each thing carries."""
    found = segment(view.frame.depth_m, view.frame.rgb, view.frame.intrinsics, view.up)
    return [set(shares) for shares in owners(view, found.labels)]


@pytest.mark.parametrize("pitch_deg", [20.0, 30.0, 40.0])
def test_a_lamp_without_a_visible_stalk_is_one_object(pitch_deg: float) -> None:
    base, shade = labels_of(look_at([BASE, SHADE], pitch_deg=pitch_deg))
    assert len(shade) == 1
    assert base == shade


def test_what_stands_beside_the_gap_is_not_joined() -> None:
    other = Box(at=(0.0, 0.25, 0), size=(0.1, 0.1, 0.1), rgb=(30, 160, 30))
    base, shade, beside = labels_of(look_at([BASE, SHADE, other], pitch_deg=30.0))
    assert base == shade
    assert not beside & shade


def test_a_box_carried_by_a_broad_one_stays_an_object_of_its_own() -> None:
    lower = Box(at=(0, 0, 0), size=(0.16, 0.2, 0.12))
    upper = Box(at=(0, 0, 0.12), size=(0.2, 0.26, 0.08), rgb=(30, 160, 30))
    below, above = labels_of(look_at([lower, upper], pitch_deg=25.0))
    assert below and above
    assert not below & above


def test_a_box_whose_foot_is_hidden_by_another_is_not_joined_to_it() -> None:
    tall = Box(at=(0.12, 0, 0), size=(0.1, 0.12, 0.3))
    front = Box(at=(-0.02, 0, 0), size=(0.1, 0.24, 0.14), rgb=(30, 160, 30))
    behind, before = labels_of(look_at([tall, front], pitch_deg=25.0))
    assert behind and before
    assert not behind & before
