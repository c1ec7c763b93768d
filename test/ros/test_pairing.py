"""Pairing by stamp: nearest, once, newest first, and a reason for every image that finds no partner."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest

from n3d_ros.errors import ConfigurationError, InputError
from n3d_ros.ros.pairing import PairingConfig, RgbdPair, RgbdPairer

MS = 1_000_000
START = 1_000_000 * MS


class Feed:
    """A pairer with a log of what came out and what was dropped."""

    def __init__(self, **config: float) -> None:
        self.drops: list[tuple[str, str]] = []
        self.pairs: list[RgbdPair] = []
        self.pairer = RgbdPairer(PairingConfig(**config), on_drop=lambda *drop: self.drops.append(drop))

    def color(self, ms: float) -> RgbdPair | None:
        return self._keep(self.pairer.add_color(START + round(ms * MS), f"c{ms:g}"))

    def depth(self, ms: float) -> RgbdPair | None:
        return self._keep(self.pairer.add_depth(START + round(ms * MS), f"d{ms:g}"))

    def _keep(self, pair: RgbdPair | None) -> RgbdPair | None:
        if pair is not None:
            self.pairs.append(pair)
        return pair

    @property
    def matched(self) -> list[tuple[str, str]]:
        return [(pair.color, pair.depth) for pair in self.pairs]

    @property
    def reasons(self) -> Counter[str]:
        return Counter(reason for reason, _ in self.drops)


@pytest.mark.parametrize("color_first", [True, False])
def test_equal_stamps_pair_whichever_comes_first(color_first: bool) -> None:
    feed = Feed(slop_s=0.0)
    for ms in (0, 33, 67):
        for add in (feed.color, feed.depth) if color_first else (feed.depth, feed.color):
            add(ms)
    assert feed.matched == [("c0", "d0"), ("c33", "d33"), ("c67", "d67")]
    assert feed.pairs[0].stamp_ns == START and feed.pairs[0].skew_ns == 0
    assert feed.drops == []


def test_the_nearest_of_several_waiting_images_is_taken() -> None:
    feed = Feed(slop_s=0.02)
    feed.depth(0)
    feed.depth(12)
    feed.depth(31)
    assert feed.color(15).depth == "d12"
    assert feed.reasons == {"unpaired_depth": 1}
    assert feed.color(30).depth == "d31"


def test_an_exact_partner_is_preferred_to_a_near_one() -> None:
    feed = Feed(slop_s=0.05)
    feed.color(0)
    feed.color(1)
    assert feed.depth(0).color == "c0"


def test_the_slop_is_inclusive_and_exact_in_nanoseconds() -> None:
    pairer = RgbdPairer(PairingConfig(slop_s=0.02))
    pairer.add_color(START, "c")
    assert pairer.add_depth(START + 20 * MS + 1, "d") is None
    pairer = RgbdPairer(PairingConfig(slop_s=0.02))
    pairer.add_color(START, "c")
    assert pairer.add_depth(START + 20 * MS, "d") is not None


def test_30_hz_colour_with_15_hz_depth_pairs_every_depth_once() -> None:
    feed = Feed(slop_s=0.02)
    events = [(i * 1000 / 30, feed.color) for i in range(60)] + [(i * 1000 / 15 + 4, feed.depth) for i in range(30)]
    for ms, add in sorted(events, key=lambda event: event[0]):
        add(ms)
    assert len(feed.pairs) == 30
    assert {pair.skew_ns for pair in feed.pairs} == {-4 * MS}
    assert feed.reasons == {"unpaired_color": 29}
    assert len({pair.depth for pair in feed.pairs}) == len({pair.color for pair in feed.pairs}) == 30


def test_streams_700_ms_apart_never_pair_and_the_skew_is_told() -> None:
    feed = Feed(slop_s=0.02)
    for i in range(90):
        feed.color(i * 1000 / 30 + 700)
        feed.depth(i * 1000 / 30)
    assert feed.pairs == []
    assert feed.reasons["unpaired_color"] == feed.reasons["unpaired_depth"] == 80
    assert "700 ms apart" in (feed.pairer.explain() or "")
    assert "sync.slop_s = 20 ms" in (feed.pairer.explain() or "")
    assert any("depth image" in sentence and "ms away" in sentence for _, sentence in feed.drops)


def test_jitter_within_the_slop_loses_nothing() -> None:
    rng = np.random.default_rng(3)
    feed = Feed(slop_s=0.016)
    stamps = np.arange(200) * 1000 / 30
    events = [(t + rng.uniform(-3, 3), "color") for t in stamps] + [(t + rng.uniform(-3, 3), "depth") for t in stamps]
    arrivals = sorted(events, key=lambda event: event[0] + rng.uniform(0, 25))
    for ms, kind in arrivals:
        (feed.color if kind == "color" else feed.depth)(ms)
    assert len(feed.pairs) >= 198
    assert max(abs(pair.skew_ns) for pair in feed.pairs) <= 6 * MS
    stamps_out = [pair.stamp_ns for pair in feed.pairs]
    assert stamps_out == sorted(stamps_out)


def test_a_dead_stream_is_named() -> None:
    feed = Feed()
    for i in range(30):
        feed.color(i * 33)
    assert feed.pairs == []
    assert feed.reasons == {"unpaired_color": 20}
    assert "no depth image has come at all" in feed.drops[0][1]
    assert "without any depth image" in (feed.pairer.explain() or "")
    assert "depth topic" in (feed.pairer.explain() or "")


def test_a_stream_that_dies_later_is_named_too() -> None:
    feed = Feed()
    for i in range(5):
        feed.color(i * 33)
        feed.depth(i * 33)
    assert feed.pairer.explain() is None
    for i in range(5, 30):
        feed.depth(i * 33)
    assert "without any colour image" in (feed.pairer.explain() or "")


def test_a_duplicate_is_counted_and_pairs_only_once() -> None:
    feed = Feed()
    feed.color(0)
    feed.color(0)
    assert feed.depth(0) is not None
    assert feed.depth(0) is None
    assert feed.reasons == {"duplicate_color": 1, "duplicate_depth": 1}
    assert len(feed.pairs) == 1


def test_what_is_older_than_a_pair_never_comes_out_after_it() -> None:
    feed = Feed()
    for ms in (0, 33):
        feed.color(ms)
    feed.depth(33)
    assert feed.depth(0) is None
    assert feed.color(20) is None
    assert feed.matched == [("c33", "d33")]
    assert feed.reasons == {"unpaired_color": 1, "late_depth": 1, "late_color": 1}


def test_images_out_of_order_before_any_pair_still_find_partners() -> None:
    feed = Feed(slop_s=0.005)
    feed.color(33)
    feed.color(0)
    assert feed.depth(0).color == "c0"
    assert feed.depth(33).color == "c33"


def test_a_bag_that_starts_again_is_one_jump_and_pairs_at_once() -> None:
    feed = Feed()
    for _ in range(2):
        for i in range(30):
            feed.color(i * 33)
            feed.depth(i * 33)
    assert len(feed.pairs) == 60
    assert feed.reasons == {"time_jumped_back": 1}
    assert "went back by 1.0 s" in feed.drops[0][1]


def test_a_straggler_from_before_the_jump_does_not_spoil_the_new_run() -> None:
    feed = Feed()
    for i in range(30):
        feed.color(i * 33)
        feed.depth(i * 33)
    feed.color(0)
    feed.depth(30 * 33)  # still from the old run
    feed.depth(0)
    feed.color(33)
    feed.depth(33)
    assert feed.matched[-2:] == [("c0", "d0"), ("c33", "d33")]
    assert feed.reasons["time_jumped_back"] == 1


def test_small_steps_back_are_no_jump() -> None:
    feed = Feed(jump_tolerance_s=0.5)
    feed.color(400)
    feed.color(0)
    assert "time_jumped_back" not in feed.reasons
    feed.color(-101)
    assert feed.reasons["time_jumped_back"] == 1


@pytest.mark.parametrize("stamp_ns", [0, -5])
def test_a_zero_stamp_is_refused_by_name(stamp_ns: int) -> None:
    with pytest.raises(InputError, match=r"header\.stamp") as raised:
        RgbdPairer().add_color(stamp_ns, "c")
    assert raised.value.reason == "zero_stamp"


def test_the_queue_is_bounded() -> None:
    feed = Feed(queue_size=3)
    for i in range(10):
        feed.color(i * 33)
    assert feed.depth(6 * 33) is None
    assert feed.depth(7 * 33).color == "c231"
    assert feed.reasons["unpaired_color"] == 7


def test_counters_add_up_over_a_long_mess() -> None:
    rng = np.random.default_rng(11)
    feed = Feed(slop_s=0.01, queue_size=5)
    given = Counter[str]()
    for _ in range(3000):
        kind = "color" if rng.random() < 0.5 else "depth"
        given[kind] += 1
        (feed.color if kind == "color" else feed.depth)(
            float(rng.integers(0, 200_000)) / 10 if rng.random() < 0.01 else given[kind] * 33 + rng.uniform(-8, 8)
        )
    assert feed.pairer.counters == dict(feed.reasons)
    for kind in ("color", "depth"):
        lost = sum(n for reason, n in feed.reasons.items() if reason.endswith(kind))
        assert lost + len(feed.pairs) <= given[kind]
        assert len({getattr(pair, kind) for pair in feed.pairs}) == len(feed.pairs)


def test_clear_forgets_images_but_not_counts() -> None:
    feed = Feed(queue_size=1)
    feed.color(0)
    feed.color(33)
    feed.pairer.clear()
    assert feed.depth(33) is None
    assert feed.pairer.counters == {"unpaired_color": 1}


def test_two_threads_pair_every_image_exactly_once() -> None:
    pairer = RgbdPairer(PairingConfig(slop_s=0.0, queue_size=100))
    pairs: list[RgbdPair] = []
    barrier = threading.Barrier(2)

    def feed(add: object) -> None:
        barrier.wait()
        for i in range(1, 80):
            pair = add(START + i * 33 * MS, i)  # type: ignore[operator]
            if pair is not None:
                pairs.append(pair)

    threads = [threading.Thread(target=feed, args=(add,)) for add in (pairer.add_color, pairer.add_depth)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert all(pair.color == pair.depth for pair in pairs)
    assert len({pair.color for pair in pairs}) == len(pairs)
    lost = pairer.counters
    assert len(pairs) + lost.get("unpaired_color", 0) + lost.get("late_color", 0) == 79


@pytest.mark.parametrize("wrong", [{"slop_s": -1}, {"slop_s": 2}, {"queue_size": 0}, {"jump_tolerance_s": 61}])
def test_values_out_of_range_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        PairingConfig(**wrong)
