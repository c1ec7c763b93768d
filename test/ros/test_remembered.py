"""Images of the last seconds: which are kept, for how long, in how much memory, and what is said of others."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import pytest

pytest.importorskip("sensor_msgs", reason="needs ROS 2 messages")

from n3d_ros.errors import QueryError, StatusCode
from n3d_ros.ros.config import MemoryConfig
from n3d_ros.ros.pairing import RgbdPair
from n3d_ros.ros.remembered import FrameMemory

SECOND = 1_000_000_000
MEGABYTE = 1_000_000


def pair_at(second: float) -> RgbdPair:
    stamp_ns = round(second * SECOND)
    image = SimpleNamespace(data=bytes(MEGABYTE // 2))
    return RgbdPair(color=image, depth=image, color_stamp_ns=stamp_ns, depth_stamp_ns=stamp_ns)


def memory_of(*seconds: float, **settings: float) -> FrameMemory:
    memory = FrameMemory(lambda: MemoryConfig(**settings))
    for second in seconds:
        memory.add(pair_at(second))
    return memory


def seconds_of(memory: FrameMemory) -> list[float]:
    return [round(stamp_ns / SECOND, 3) for stamp_ns in memory.stamps_ns]


def test_the_image_nearest_to_a_moment_is_found() -> None:
    memory = memory_of(1, 2, 3)
    assert memory.at(round(2.4 * SECOND)).stamp_ns == 2 * SECOND
    assert memory.at(round(2.6 * SECOND)).stamp_ns == 3 * SECOND


@pytest.mark.parametrize("second", [0.0, 4.5])
def test_a_moment_without_image_is_refused_with_the_range_that_is_kept(second: float) -> None:
    memory = memory_of(1.5, 2, 3)
    assert not memory.has(round(second * SECOND))
    with pytest.raises(QueryError, match=r"3 are, from 1\.500 s to 3\.000 s") as refused:
        memory.at(round(second * SECOND))
    assert refused.value.code is StatusCode.NO_SUCH_MOMENT


def test_an_empty_memory_says_which_parameters_make_it_so() -> None:
    memory = memory_of(1, 2, frames_s=0.0)
    with pytest.raises(QueryError, match="memory.frames_s"):
        memory.at(SECOND)
    memory = memory_of(1, 2)
    memory.clear()
    assert seconds_of(memory) == []


def test_images_are_kept_at_the_set_rate_for_the_set_time() -> None:
    memory = memory_of(*(n / 30 for n in range(300)), frames_s=2.0, rate_hz=5.0)
    kept = seconds_of(memory)
    assert kept[0] >= 9.967 - 2.0
    assert 10 <= len(kept) <= 11
    assert all(0.18 <= later - sooner <= 0.22 for sooner, later in pairwise(kept))


def test_within_little_memory_the_whole_time_is_kept_with_wider_gaps() -> None:
    memory = memory_of(*(n / 10 for n in range(101)), frames_s=10.0, rate_hz=10.0, max_mb=12.0)
    kept = seconds_of(memory)
    assert len(kept) <= 12
    assert memory.total_bytes <= 12 * MEGABYTE
    assert (kept[0], kept[-1]) == (0.0, 10.0)
    assert max(later - sooner for sooner, later in pairwise(kept)) <= 2.0, "a gap answers nothing"


def test_what_does_not_fit_at_all_is_not_kept() -> None:
    assert seconds_of(memory_of(1, 2, 3, max_mb=0.5)) == []
