"""The pairs that our pairer makes are those of message_filters' approximate synchroniser, where it imports."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from n3d_ros.ros.pairing import PairingConfig, RgbdPairer

pytestmark = pytest.mark.ros

SLOP_S = 0.012
PERIOD_NS = 33_333_333


@dataclass
class _Header:
    stamp: Any


@dataclass
class _Image:
    header: _Header
    stamp_ns: int = field(default=0)


@pytest.fixture(scope="module")
def message_filters() -> Any:
    return pytest.importorskip("message_filters", reason="message_filters is not installed: nothing to compare with")


def image(stamp_ns: int) -> _Image:
    from rclpy.time import Time

    return _Image(header=_Header(stamp=Time(nanoseconds=stamp_ns).to_msg()), stamp_ns=stamp_ns)


def arrivals(seed: int, *, lost: float) -> list[tuple[str, int]]:
    """Two 30 Hz streams with jitter of 4 ms, some images lost, in order of their stamps."""
    chance = random.Random(seed)
    streams = [
        (name, 1_000_000_000 + k * PERIOD_NS + chance.randrange(-4_000_000, 4_000_000))
        for name in ("color", "depth")
        for k in range(60)
        if chance.random() >= lost
    ]
    return sorted(streams, key=lambda entry: entry[1])


@pytest.mark.parametrize("lost", [0.0, 0.2], ids=["all arrive", "a fifth is lost"])
@pytest.mark.parametrize("seed", range(5))
def test_the_same_images_are_paired(message_filters: Any, seed: int, lost: float) -> None:
    theirs: list[tuple[int, int]] = []
    color, depth = message_filters.SimpleFilter(), message_filters.SimpleFilter()
    synchroniser = message_filters.ApproximateTimeSynchronizer([color, depth], 10, SLOP_S)
    synchroniser.registerCallback(lambda a, b: theirs.append((a.stamp_ns, b.stamp_ns)))
    pairer = RgbdPairer(PairingConfig(slop_s=SLOP_S, queue_size=10))
    ours: list[tuple[int, int]] = []
    for name, stamp_ns in arrivals(seed, lost=lost):
        (color if name == "color" else depth).signalMessage(image(stamp_ns))
        pair = pairer.add_color(stamp_ns, None) if name == "color" else pairer.add_depth(stamp_ns, None)
        if pair is not None:
            ours.append((pair.color_stamp_ns, pair.depth_stamp_ns))
    assert len(ours) >= 30
    assert ours == theirs
