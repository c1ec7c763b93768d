"""Earlier snapshots, bounded, and a code for moments that are not remembered."""

from __future__ import annotations

import pytest

from n3d_ros.errors import InputError, QueryError, StatusCode
from n3d_ros.scene.config import HistoryConfig
from n3d_ros.scene.history import SceneHistory
from n3d_ros.scene.scene import Scene

SECOND = 1_000_000_000


def remembered(*seconds: float, **settings: float) -> SceneHistory:
    history = SceneHistory(config=HistoryConfig(**settings))  # type: ignore[arg-type]
    for second in seconds:
        history = history.added(Scene.empty("map", stamp_ns=round(second * SECOND)))
    return history


def test_the_nearest_snapshot_answers_for_a_moment() -> None:
    history = remembered(1, 2, 3)
    assert history.at(round(2.2 * SECOND)).stamp_ns == 2 * SECOND
    assert history.at(round(2.7 * SECOND)).stamp_ns == 3 * SECOND
    assert history.at(4 * SECOND).stamp_ns == 3 * SECOND


@pytest.mark.parametrize("second", [0.4, 9.0, 5.0])
def test_a_moment_far_from_all_snapshots_is_refused_with_its_code(second: float) -> None:
    with pytest.raises(QueryError, match="reaches from 1.000 s to 8.000 s") as caught:
        remembered(1, 2, 8, max_gap_s=0.5).at(round(second * SECOND))
    assert caught.value.code is StatusCode.NO_SUCH_MOMENT


def test_before_its_first_snapshot_a_history_knows_nothing_though_a_gap_of_as_long_is_bridged() -> None:
    history = remembered(10, 14, max_gap_s=5.0)
    assert history.at(12 * SECOND + 1).stamp_ns == 14 * SECOND
    assert history.at(round(9.6 * SECOND)).stamp_ns == 10 * SECOND
    with pytest.raises(QueryError, match=r"reaches from 10\.000 s to 14\.000 s"):
        history.at(8 * SECOND)


def test_an_empty_history_says_so() -> None:
    with pytest.raises(QueryError, match="yet") as caught:
        SceneHistory().at(0)
    assert caught.value.code is StatusCode.NO_SUCH_MOMENT
    assert SceneHistory().newest is None


def test_snapshots_are_dropped_by_age() -> None:
    assert [s.stamp_ns // SECOND for s in remembered(1, 2, 3, 4, max_age_s=1.5).scenes] == [3, 4]


def test_a_full_history_thins_its_older_half() -> None:
    history = remembered(*range(1, 200), max_scenes=20)
    assert len(history.scenes) <= 20
    assert history.scenes[0].stamp_ns == SECOND, "the beginning is still there"
    assert [s.stamp_ns // SECOND for s in history.scenes[-5:]] == [195, 196, 197, 198, 199]


def test_the_same_moment_again_replaces_its_snapshot() -> None:
    assert len(remembered(1, 1, 1).scenes) == 1


def test_adding_leaves_the_former_history_as_it_was() -> None:
    before = remembered(1)
    before.added(Scene.empty("map", stamp_ns=2 * SECOND))
    assert len(before.scenes) == 1


def test_time_that_jumps_back_is_refused_with_its_reason() -> None:
    with pytest.raises(InputError) as caught:
        remembered(2, 1)
    assert caught.value.reason == "time_jump"
