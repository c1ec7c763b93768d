"""Frames worth a person's time: spread over time, sharp, each showing something new."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from model_training.robots.picking import Candidate, PickConfig, candidate_of, least_change, pick
from n3d_ros.errors import ConfigurationError

SECOND = 1_000_000_000
RNG = np.random.default_rng(5)


def frame_at(seconds: float, *, sharpness: float = 100.0, looks: float | None = None) -> Candidate:
    thumbnail = RNG.uniform(0, 255, (24, 32)) if looks is None else np.full((24, 32), 90.0)
    if looks is not None:
        thumbnail[3, 4] += looks
    return Candidate(stamp_ns=round(seconds * SECOND), sharpness=sharpness, thumbnail=thumbnail.astype(np.float32))


def seconds_of(stamps_ns: tuple[int, ...]) -> list[float]:
    return [stamp / SECOND for stamp in stamps_ns]


def test_one_frame_of_every_stretch_is_picked_and_it_is_the_sharpest() -> None:
    frames = [frame_at(k / 10, sharpness=200.0 if k % 10 == 4 else 100.0) for k in range(50)]
    assert seconds_of(pick(frames, PickConfig(every_s=1.0)).stamps_ns) == [0.4, 1.4, 2.4, 3.4, 4.4]


def test_a_number_of_frames_is_spread_over_the_whole_recording() -> None:
    picked = pick([frame_at(k / 10) for k in range(100)], PickConfig(frames=5))
    assert len(picked.stamps_ns) == 5
    assert [int(seconds // 2) for seconds in seconds_of(picked.stamps_ns)] == [0, 1, 2, 3, 4]


def test_as_many_frames_as_there_are_can_be_had_and_not_more() -> None:
    frames = [frame_at(k / 10) for k in range(7)]
    assert len(pick(frames, PickConfig(frames=7)).stamps_ns) == 7
    with pytest.raises(ConfigurationError, match="7 frames"):
        pick(frames, PickConfig(frames=8))


def test_blurred_frames_are_left_out_and_counted() -> None:
    frames = [frame_at(k / 10, sharpness=10.0 if 10 <= k < 20 else 100.0) for k in range(30)]
    picked = pick(frames, PickConfig(every_s=1.0))
    assert len(picked.stamps_ns) == 2 and picked.left_out == {"blurred": 1}


def test_a_view_that_was_picked_before_is_not_picked_again_even_much_later() -> None:
    frames = [frame_at(0, looks=0), frame_at(1, looks=40), frame_at(2, looks=0), frame_at(3, looks=80)]
    picked = pick(frames, PickConfig(every_s=1.0))
    assert seconds_of(picked.stamps_ns) == [0.0, 1.0, 3.0]
    assert picked.left_out == {"near_duplicate": 1}


def test_frames_may_be_alike_when_change_is_zero() -> None:
    frames = [frame_at(k, looks=0) for k in range(4)]
    assert len(pick(frames, PickConfig(every_s=1.0, least_change=0.0)).stamps_ns) == 4


def test_frames_on_both_sides_of_a_border_are_not_picked_close_together() -> None:
    frames = [frame_at(0.0), frame_at(0.8, sharpness=200), frame_at(0.9, sharpness=200), frame_at(1.5)]
    assert seconds_of(pick(frames, PickConfig(every_s=0.9)).stamps_ns) == [0.8, 1.5]


def test_picking_again_adds_nothing_and_more_often_adds_between() -> None:
    frames = [frame_at(k / 10) for k in range(40)]
    first = pick(frames, PickConfig(every_s=1.0)).stamps_ns
    there = [one for one in frames if one.stamp_ns in first]
    assert pick(frames, PickConfig(every_s=1.0), there).stamps_ns == ()
    more = pick(frames, PickConfig(every_s=0.5), there).stamps_ns
    assert len(more) == 4 and not set(more) & set(first)


def test_pictures_are_picked_as_if_each_were_compared_with_all_in_full() -> None:
    rng = np.random.default_rng(3)
    views = rng.uniform(60, 180, (6, 24, 32))
    frames = []
    for k in range(200):  # few views, again and again, brighter or darker, some with a change near the limit
        picture = views[rng.integers(6)] + rng.uniform(-20, 20)
        picture[rng.integers(24), rng.integers(32)] += rng.choice([0.0, 7.9, 8.1, 30.0])
        frames.append(Candidate(stamp_ns=k * SECOND, sharpness=100.0, thumbnail=picture.astype(np.float32)))
    expected: list[Candidate] = []
    for one in frames:
        if least_change(one.thumbnail, [other.thumbnail for other in expected]) >= 8.0:
            expected.append(one)
    assert 20 < len(expected) < 190
    assert list(pick(frames, PickConfig(every_s=1.0)).stamps_ns) == [one.stamp_ns for one in expected]


def test_no_frame_gives_none() -> None:
    assert pick([], PickConfig()).stamps_ns == ()


def test_noise_and_flicker_are_no_change_and_a_moved_cup_is_one() -> None:
    gray = RNG.integers(60, 180, (24, 32)).repeat(20, axis=0).repeat(20, axis=1)
    noisy = np.clip(gray + RNG.normal(6, 8, gray.shape), 0, 255)  # brighter by 6, with much noise
    moved = gray.copy()
    moved[100:140, 200:230] = 255 - moved[100:140, 200:230]
    base, same, other = (
        candidate_of(np.repeat(image.astype(np.uint8)[..., None], 3, axis=2), 1) for image in (gray, noisy, moved)
    )
    assert least_change(same.thumbnail, [base.thumbnail]) < PickConfig().least_change
    assert least_change(other.thumbnail, [base.thumbnail]) > PickConfig().least_change


def test_a_blurred_picture_has_less_sharpness_than_half() -> None:
    rgb = RNG.integers(0, 255, (120, 160, 3)).astype(np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    blurred = cv2.blur(rgb, (15, 1))
    limit = PickConfig().least_sharpness * candidate_of(rgb, 1).sharpness
    assert candidate_of(np.asarray(blurred, np.uint8), 1).sharpness < limit


@pytest.mark.parametrize("field", ["every_s", "frames", "least_sharpness", "least_change"])
def test_values_out_of_range_are_named(field: str) -> None:
    with pytest.raises(ConfigurationError, match=field):
        PickConfig(**{field: -1})
