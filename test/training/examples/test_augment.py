"""Changes of frames keep boxes true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from model_training.examples.augment import augmented, cropped, depends_on_sides, mirrored, with_holes
from model_training.examples.config import AugmentConfig
from model_training.examples.look import Look, look_at
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.camera import project, unproject
from training.examples.known_records import questions_about, tabletop_record


def seen_within(look: Look, object_id: int, box: Box3D) -> float:
    """Share of an object's points that lie in a box, a centimetre of noise allowed."""
    points = unproject(look.frame.depth_m, look.frame.intrinsics)
    assert look.labels is not None
    kept = points[(look.labels == object_id) & np.isfinite(points[..., 2])]
    local = (kept - box.center) @ box.rotation
    return float((np.abs(local) <= np.asarray(box.size) / 2 + 0.01).all(axis=1).mean())


def check_consistent(look: Look) -> None:
    for one in look.objects:
        assert one.box is not None and one.visible_box is not None and one.box_2d is not None
        assert seen_within(look, one.id, one.box) > 0.97
        assert seen_within(look, one.id, one.visible_box) > 0.97
        u, v = project(one.visible_box.center, look.frame.intrinsics)
        left, top, right, bottom = one.box_2d
        assert left < u < right and top < v < bottom
        assert look.labels is not None
        rows, columns = np.nonzero(look.labels == one.id)
        np.testing.assert_allclose((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1), one.box_2d, atol=1.5)


def test_a_mirror_image_has_its_boxes_mirrored() -> None:
    look = look_at(tabletop_record())
    check_consistent(look)
    other = mirrored(look)
    check_consistent(other)
    assert other.objects[0].box is not None and look.objects[0].box is not None
    assert other.objects[0].box.center[0] == pytest.approx(-look.objects[0].box.center[0])
    twice = mirrored(other)
    np.testing.assert_array_equal(twice.frame.rgb, look.frame.rgb)
    np.testing.assert_allclose(twice.objects[0].box.corners, look.objects[0].box.corners, atol=1e-12)


def test_a_crop_changes_the_camera_and_no_box() -> None:
    look = look_at(tabletop_record())
    close = cropped(look, 16, 9, 136, 102)
    assert close is not None
    check_consistent(close)
    assert close.frame.rgb.shape == look.frame.rgb.shape
    assert close.frame.intrinsics.fx == pytest.approx(look.frame.intrinsics.fx * 160 / 136)
    assert close.objects[0].box is look.objects[0].box


def test_a_crop_that_would_cut_an_object_is_not_taken() -> None:
    look = look_at(tabletop_record())
    left = look.objects[0].box_2d
    assert left is not None
    assert cropped(look, int(left[0]) + 3, 9, 100, 75) is None
    unknown = replace(look, objects=(replace(look.objects[0], box_2d=None),))
    assert cropped(unknown, 0, 0, 150, 110) is None


def test_holes_take_depth_away_and_add_none() -> None:
    depth = look_at(tabletop_record()).frame.depth_m
    rng = np.random.default_rng(0)
    for _ in range(5):
        holes = with_holes(depth, rng)
        kept = np.isfinite(holes)
        np.testing.assert_array_equal(holes[kept], depth[kept])
        assert 0.5 <= kept.sum() / np.isfinite(depth).sum() < 1


def test_words_of_sides_forbid_the_mirror() -> None:
    record = tabletop_record()
    detection, category, absent, referring, reasoning = questions_about(record)
    assert [depends_on_sides(each) for each in (detection, category, absent, referring, reasoning)] == [
        False, False, False, True, True,
    ]  # fmt: skip
    look, always = look_at(record), AugmentConfig(flip=1.0)
    kept = augmented(look, [detection, referring], always, np.random.default_rng(0))
    assert kept is look
    assert augmented(look, [detection], always, np.random.default_rng(0)).objects[0] is not look.objects[0]
    shoe = replace(look, objects=(replace(look.objects[0], label="left shoe"), *look.objects[1:]))
    assert augmented(shoe, [detection], always, np.random.default_rng(0)) is shoe


def test_everything_at_once_stays_true_and_follows_from_the_seed() -> None:
    look = look_at(tabletop_record())
    config = AugmentConfig(color=0.8, blur=1.0, crop=1.0, depth_dropout=1.0, flip=1.0)
    question = questions_about(tabletop_record())[:1]
    for seed in range(4):
        changed = augmented(look, question, config, np.random.default_rng(seed))
        check_consistent(changed)
        again = augmented(look, question, config, np.random.default_rng(seed))
        np.testing.assert_array_equal(changed.frame.rgb, again.frame.rgb)
        np.testing.assert_array_equal(changed.frame.depth_m, again.frame.depth_m)
    assert augmented(look, question, AugmentConfig(), np.random.default_rng(0)) is look
