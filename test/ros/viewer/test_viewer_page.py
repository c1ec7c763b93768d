"""The shared part of the page: which handles show which object, and whose click is whose."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from viewer_messages import make_object

pytest.importorskip("viser", reason="needs the extra [view]")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")

from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.ros.viewer import page as module
from n3d_ros.ros.viewer.composing import SceneMoment
from n3d_ros.ros.viewer.page import Page
from n3d_ros.ros.viewer.shown import shown_boxes


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


class Clicks:
    """A page whose boxes can be clicked without a browser."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.boxes: list[Any] = []
        server = MagicMock()
        server.scene.add_box = self._add
        self.page = Page(server, lambda _, key: self.told.append(key))

    def _add(self, *_: Any, **__: Any) -> Any:
        self.boxes.append(MagicMock())
        return self.boxes[-1]

    def show(self, *ids: int) -> None:
        boxes = shown_boxes([make_object(one, center=(float(one), 0.0, 0.0)) for one in ids], RigidTransform.identity())
        self.page.show(SceneMoment(frame_name="map", boxes=boxes))

    def click(self, number: int) -> None:
        (callback,) = self.boxes[number].on_click.call_args.args
        callback(SimpleNamespace(client=SimpleNamespace(client_id=1)))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_a_click_on_what_has_just_gone_tells_of_no_other_object(clock: Clock) -> None:
    clicks = Clicks()
    clicks.show(1)
    clicks.click(0)
    clicks.show(2)
    clicks.click(0)
    clicks.click(1)
    assert clicks.told == ["1", "2"]


def test_handles_are_used_again_after_a_while(clock: Clock) -> None:
    clicks = Clicks()
    for one in range(1, 20):
        clicks.show(one)
        clock.now_s += module.REUSE_AFTER_S
    assert len(clicks.boxes) == 2
