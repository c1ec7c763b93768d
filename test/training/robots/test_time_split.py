"""Splits by time: neighbours are never on both sides of a border."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_training.robots.time_split import FEWEST_FRAMES, SplitConfig, at_one_time, split_by_time
from n3d_ros.errors import ConfigurationError


def test_the_beginning_trains_and_the_end_tests() -> None:
    splits = split_by_time([float(k) for k in range(20)], SplitConfig(validation=0.2, held_out=0.1, gap_s=0.5))
    assert splits == ["train"] * 14 + ["validation"] * 4 + ["held_out"] * 2


def test_frames_near_a_border_are_left_out_of_the_earlier_split() -> None:
    splits = split_by_time([float(k) for k in range(30)], SplitConfig(validation=0.1, gap_s=2.0))
    assert splits == ["train"] * 25 + [None, None] + ["validation"] * 3


@given(
    st.lists(st.floats(0, 100), min_size=FEWEST_FRAMES, max_size=60),
    st.floats(0, 0.45),
    st.floats(0, 0.45),
    st.floats(0, 5),
)
def test_frames_of_two_splits_lie_further_apart_than_the_gap(
    times: list[float], validation: float, held_out: float, gap_s: float
) -> None:
    seconds = sorted(times)
    splits = split_by_time(seconds, SplitConfig(validation=validation, held_out=held_out, gap_s=gap_s))
    assert len(splits) == len(seconds)
    known = [(at, split) for at, split in zip(seconds, splits, strict=True) if split]
    for k, (at, split) in enumerate(known):
        assert all(later - at > gap_s for later, other in known[k + 1 :] if other != split)


def test_a_recording_of_less_than_ten_gaps_all_trains() -> None:
    seconds = [k / 10 for k in range(40)]
    assert split_by_time(seconds, SplitConfig(gap_s=0.4)) == ["train"] * 40
    assert split_by_time(seconds, SplitConfig(gap_s=0.35)).count("validation") == 8


def test_few_frames_all_train() -> None:
    assert split_by_time([0.0, 10.0, 20.0], SplitConfig()) == ["train"] * 3


def test_shares_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="together"):
        SplitConfig(validation=0.5, held_out=0.5)


def test_recordings_of_one_time_go_together() -> None:
    assert at_one_time([(50, 60), (0, 10), (10, 30), (25, 28), (31, 40)]) == [[1, 2, 3], [4], [0]]
    assert at_one_time([]) == []
