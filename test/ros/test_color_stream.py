"""Colour images alone: each once, none older than the one before, and time may start anew."""

from __future__ import annotations

import pytest

from n3d_ros.errors import InputError
from n3d_ros.ros.color_stream import ColorStream
from n3d_ros.ros.pairing import PairingConfig

SECOND = 1_000_000_000


def stream() -> tuple[ColorStream, list[str]]:
    reasons: list[str] = []
    config = PairingConfig(jump_tolerance_s=0.5)
    return ColorStream(config, on_drop=lambda reason, _sentence: reasons.append(reason)), reasons


def test_an_image_becomes_a_pair_without_depth_at_once() -> None:
    colors, reasons = stream()
    pair = colors.add_color(SECOND, "image")
    assert pair is not None
    assert (pair.color, pair.depth, pair.stamp_ns, pair.skew_ns) == ("image", None, SECOND, 0)
    assert reasons == []


def test_the_same_stamp_twice_and_an_older_image_are_dropped_by_name() -> None:
    colors, reasons = stream()
    colors.add_color(2 * SECOND, "a")
    assert colors.add_color(2 * SECOND, "b") is None
    assert colors.add_color(2 * SECOND - 10_000_000, "c") is None
    assert reasons == ["duplicate_color", "late_color"]
    assert colors.newest_ns == 2 * SECOND


def test_a_jump_back_begins_anew_with_the_image_that_tells_of_it() -> None:
    colors, reasons = stream()
    colors.add_color(5 * SECOND, "a")
    pair = colors.add_color(SECOND, "b")
    assert pair is not None and pair.color == "b"
    assert reasons == ["time_jumped_back"]
    assert colors.newest_ns == SECOND


def test_an_image_without_a_stamp_is_refused() -> None:
    with pytest.raises(InputError, match=r"header\.stamp") as caught:
        stream()[0].add_color(0, "image")
    assert caught.value.reason == "zero_stamp"


def test_what_was_before_is_forgotten_when_cleared() -> None:
    colors, _ = stream()
    colors.add_color(5 * SECOND, "a")
    colors.clear()
    assert colors.newest_ns is None
    assert colors.add_color(SECOND, "b") is not None
    assert colors.explain() is None
