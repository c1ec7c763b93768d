"""vision_msgs where it is installed, and a clear word where it is not."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from builders import make_detection
from n3d_ros.detection import BoxUncertainty
from n3d_ros.errors import ConfigurationError
from n3d_ros.ros import conversions
from n3d_ros.ros.compat import vision_msgs


def stand_in() -> ModuleType:
    """Classes with the fields of vision_msgs 4.1, for machines without it."""
    geometry = importlib.import_module("geometry_msgs.msg")
    module = ModuleType("vision_msgs.msg")
    header = importlib.import_module("std_msgs.msg").Header

    def hypothesis() -> SimpleNamespace:
        return SimpleNamespace(hypothesis=SimpleNamespace(class_id="", score=0.0), pose=geometry.PoseWithCovariance())

    def detection() -> SimpleNamespace:
        bbox = SimpleNamespace(center=geometry.Pose(), size=geometry.Vector3())
        return SimpleNamespace(header=header(), results=[], bbox=bbox, id="")

    module.ObjectHypothesisWithPose = hypothesis  # type: ignore[attr-defined]
    module.Detection3D = detection  # type: ignore[attr-defined]
    module.Detection3DArray = lambda: SimpleNamespace(header=header(), detections=[])  # type: ignore[attr-defined]
    return module


@pytest.fixture(params=["stand-in", "vision_msgs"])
def installed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "vision_msgs":
        pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not installed")
    else:
        monkeypatch.setitem(sys.modules, "vision_msgs", ModuleType("vision_msgs"))
        monkeypatch.setitem(sys.modules, "vision_msgs.msg", stand_in())


@pytest.mark.ros
@pytest.mark.usefixtures("installed")
def test_every_detection_has_a_hypothesis_with_the_label_itself() -> None:
    uncertainty = BoxUncertainty(
        center_covariance_m2=np.eye(3) * 1e-4, size_stddev_m=np.full(3, 0.01), yaw_stddev_rad=0.1
    )
    found = [make_detection("red box", score=0.8, uncertainty=uncertainty), make_detection("cup")]
    assert vision_msgs.is_available()
    message = conversions.objects_to_vision_msg(found, stamp_ns=5_000_000_006, frame_id="map", up=[0, 0, 1])
    assert (message.header.stamp.sec, message.header.frame_id) == (5, "map")
    assert [len(detection.results) for detection in message.detections] == [1, 1]
    first, second = message.detections
    assert (first.results[0].hypothesis.class_id, first.results[0].hypothesis.score) == ("red box", 0.8)
    assert (second.results[0].hypothesis.class_id, second.results[0].hypothesis.score) == ("cup", 0.0)
    assert (first.bbox.center.position.z, first.bbox.size.y) == (1.0, 0.2)
    assert first.results[0].pose.covariance[35] == pytest.approx(0.01)
    assert first.header.frame_id == "map"


def test_without_it_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vision_msgs", None)
    monkeypatch.setitem(sys.modules, "vision_msgs.msg", None)
    assert not vision_msgs.is_available()
    with pytest.raises(ConfigurationError, match="vision-msgs") as raised:
        vision_msgs.message_classes()
    assert raised.value.reason == "no_vision_msgs"
