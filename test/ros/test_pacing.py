"""How many images a second are looked at without being asked for."""

from __future__ import annotations

from n3d_ros.ros.pacing import Pacer

MILLISECOND = 1_000_000


def looked_at(stamps_ms: list[float], rate_hz: float) -> list[float]:
    pacer = Pacer()
    return [stamp for stamp in stamps_ms if pacer.is_due(round(stamp * MILLISECOND), rate_hz)]


def test_without_a_rate_every_image_is_due() -> None:
    assert looked_at([0, 1, 2, 3], 0.0) == [0, 1, 2, 3]


def test_a_rate_takes_every_third_image_of_a_jittering_camera() -> None:
    assert looked_at([0, 33, 67, 98, 133, 167, 197], 10.0) == [0, 98, 197]


def test_after_a_jump_back_or_a_reset_the_next_image_is_due() -> None:
    assert looked_at([1000, 10, 20], 1.0) == [1000, 10]
    pacer = Pacer()
    assert pacer.is_due(0, 1.0)
    pacer.reset()
    assert pacer.is_due(1, 1.0)
