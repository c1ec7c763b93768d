"""FusedDepth over scripted models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from builders import make_intrinsics
from depth.filling.scenes_for_filling import HEIGHT, WIDTH, true_depth, with_hole
from n3d_ros.depth.filling import FillingConfig
from n3d_ros.depth.scaling import RELATIVE_NOTE
from n3d_ros.depth.single_view import MONOCULAR_NOTE
from n3d_ros.errors import BackendError, CancelledError, GroundingError
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.inference.depth_config import DepthModelConfig
from n3d_ros.inference.depth_fusion import FusedDepth, load_fused_depth
from n3d_ros.inference.depth_source import ColorView, FoundDepth, PixelSource

HOLE = (slice(80, 110), slice(110, 150))
POSE = RigidTransform(rotation=np.eye(3), translation=np.array([0.5, 0.0, 0.0]))


@dataclass
class ScriptedModel:
    """A DepthSource that knows the truth, in a unit of its own."""

    unit: float = 1.0
    facts_found: Mapping[str, float] = field(default_factory=dict)
    sky: np.ndarray | None = None
    pose: RigidTransform | None = None
    error: Exception | None = None
    notes: tuple[str, ...] = ("scripted",)
    name: str = "scripted"
    device: str = "cpu"
    needs_sensor: bool = False
    closed: bool = False
    passes: int = 0

    def find(
        self, views: Sequence[ColorView], *, is_cancelled: Callable[[], bool] | None = None
    ) -> tuple[FoundDepth, ...]:
        if self.error is not None:
            raise self.error
        self.passes += 1
        depth = (true_depth() * self.unit).astype(np.float32)
        found = FoundDepth(
            depth_m=depth, sky=self.sky, reference_T_camera=self.pose, facts=dict(self.facts_found), notes=self.notes
        )
        return (found,) * len(views)

    def facts(self) -> tuple[str, ...]:
        return ("a scripted model",)

    def close(self) -> None:
        self.closed = True


RELATIVE = {"is_metric": 0.0}


def make_view(sensor_m: np.ndarray | None) -> ColorView:
    """A view of the scene with some sensor depth."""
    return ColorView(
        rgb=np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        intrinsics=make_intrinsics(WIDTH, HEIGHT),
        stamp_ns=1,
        frame_id="camera",
        sensor_depth_m=sensor_m,
    )


def test_holes_are_filled_and_the_rest_is_the_sensors() -> None:
    sensor = (with_hole(true_depth(), HOLE) * 1.01).astype(np.float32)
    (found,) = FusedDepth(ScriptedModel()).find([make_view(sensor)])
    measured = np.isfinite(sensor)
    np.testing.assert_array_equal(found.depth_m[measured], sensor[measured])
    np.testing.assert_allclose(found.depth_m[HOLE], 1.01 * true_depth()[HOLE], rtol=0.01)
    assert found.source is not None and (found.source[HOLE] == PixelSource.MODEL).all()


def test_a_model_without_a_scale_takes_the_cameras() -> None:
    model = ScriptedModel(unit=0.37, facts_found=RELATIVE)
    (found,) = FusedDepth(model).find([make_view(with_hole(true_depth(), HOLE))])
    np.testing.assert_allclose(found.depth_m[HOLE], true_depth()[HOLE], rtol=0.01)
    assert found.facts["fill_scale"] == pytest.approx(1 / 0.37, rel=1e-3)


def test_a_colour_camera_beside_it_takes_the_scale_too() -> None:
    """One pass has one unit, for depth and for the positions of cameras."""
    model = ScriptedModel(unit=0.25, facts_found=RELATIVE, pose=POSE)
    first, beside = FusedDepth(model).find([make_view(with_hole(true_depth(), HOLE)), make_view(None)])
    np.testing.assert_allclose(beside.depth_m, true_depth(), rtol=0.01)
    assert beside.source is not None and (beside.source == PixelSource.MODEL).all()
    assert beside.reference_T_camera is not None and first.reference_T_camera is not None
    np.testing.assert_allclose(beside.reference_T_camera.translation, [2.0, 0.0, 0.0], rtol=1e-3)
    assert model.passes == 1


def test_a_monocular_model_gives_cameras_beside_the_depth_camera_no_scale() -> None:
    """Each of its views has a unit of its own, so the first one's would be a wrong scale in silence."""
    model = ScriptedModel(unit=0.25, facts_found=RELATIVE)
    _, beside = FusedDepth(model).find([make_view(with_hole(true_depth(), HOLE)), make_view(None)])
    assert np.isnan(beside.depth_m).all()
    assert any("no scale of its own" in note for note in beside.notes)


def test_depth_that_took_the_cameras_scale_is_not_called_relative_any_more() -> None:
    model = ScriptedModel(unit=0.25, facts_found=RELATIVE, notes=(MONOCULAR_NOTE, RELATIVE_NOTE, "other"))
    (found,) = FusedDepth(model).find([make_view(with_hole(true_depth(), HOLE))])
    assert found.facts["is_metric"] == 1.0 and found.notes == ("other",)


def test_what_the_camera_alone_measured_is_not_called_relative() -> None:
    """Where a model without a scale cannot be aligned, all depth is the sensor's, and that is metres."""
    little = np.full((HEIGHT, WIDTH), np.nan, np.float32)
    little[60:64, 60:64] = 1.0
    (found,) = FusedDepth(ScriptedModel(facts_found=RELATIVE, notes=(RELATIVE_NOTE,))).find([make_view(little)])
    assert found.facts["is_metric"] == 1.0
    assert not any("elative" in note for note in found.notes)


def test_a_metric_models_depth_beside_the_depth_camera_stays_its_own() -> None:
    _, beside = FusedDepth(ScriptedModel(pose=POSE)).find([make_view(true_depth()), make_view(None)])
    np.testing.assert_array_equal(beside.depth_m, true_depth())
    assert beside.reference_T_camera is POSE


def test_without_an_alignment_a_camera_beside_it_has_no_depth() -> None:
    """The sensor sees too little to say what the model's unit is: a scale would be made up."""
    little = np.full((HEIGHT, WIDTH), np.nan, np.float32)
    little[60:64, 60:64] = 1.0
    first, beside = FusedDepth(ScriptedModel(facts_found=RELATIVE, pose=POSE)).find(
        [make_view(little), make_view(None)]
    )
    np.testing.assert_array_equal(first.depth_m, little)
    assert np.isnan(beside.depth_m).all() and beside.reference_T_camera is None
    assert any("no scale of its own" in note for note in beside.notes)


@pytest.mark.parametrize("sensor", [None, np.full((HEIGHT, WIDTH), np.nan, np.float32)])
def test_a_blind_sensor_leaves_a_metric_models_depth(sensor: np.ndarray | None) -> None:
    (found,) = FusedDepth(ScriptedModel()).find([make_view(sensor)])
    np.testing.assert_array_equal(found.depth_m, true_depth())
    assert any("all depth is the model's" in note for note in found.notes)


def test_a_blind_sensor_and_a_model_without_a_scale_give_an_error() -> None:
    with pytest.raises(GroundingError, match="metric_model"):
        FusedDepth(ScriptedModel(facts_found=RELATIVE)).find([make_view(None)])


def test_sky_of_the_model_does_not_remove_what_the_sensor_measured() -> None:
    sky = np.ones((HEIGHT, WIDTH), np.bool_)
    sky[60:] = False
    (found,) = FusedDepth(ScriptedModel(sky=sky)).find([make_view(true_depth())])
    np.testing.assert_array_equal(found.depth_m, true_depth())


def test_notes_and_facts_of_the_model_are_kept() -> None:
    model = ScriptedModel(facts_found={"agreement": 0.9})
    source = FusedDepth(model)
    (found,) = source.find([make_view(true_depth())])
    assert found.stage_ms["fill"] > 0
    assert "scripted" in found.notes and found.facts["agreement"] == 0.9
    assert "a scripted model" in source.facts() and source.needs_sensor
    assert "scripted" in source.name and source.device == "cpu"


def test_a_failing_model_is_an_error_of_its_own() -> None:
    with pytest.raises(BackendError, match="out of memory"):
        FusedDepth(ScriptedModel(error=BackendError("out of memory"))).find([make_view(true_depth())])


def test_it_stops_when_asked_to() -> None:
    with pytest.raises(CancelledError):
        FusedDepth(ScriptedModel()).find([make_view(true_depth())], is_cancelled=lambda: True)


def test_closing_it_closes_the_model() -> None:
    model = ScriptedModel()
    FusedDepth(model).close()
    assert model.closed


def test_a_network_of_random_weights_fills_nothing_unless_told_to_believe_anything(tmp_path: Path) -> None:
    """From files to depth, with the thresholds of the settings."""
    pytest.importorskip("torch", reason="needs the extra [model]")
    from model_training.models.random_depth_model import write_random_depth_model

    write_random_depth_model(tmp_path / "model", "tiny", 0)
    config = DepthModelConfig(model=str(tmp_path / "model"), resolution=112, device="cpu")
    credulous = FillingConfig(
        max_fit_error=1.0, max_local_error=1.0, max_correction=1.0, edge_jump=1.0, min_confidence=0.0
    )
    sensor = with_hole(true_depth(), HOLE)
    counts = []
    for each in (config, replace(config, fill=credulous)):
        source = load_fused_depth(each)
        (found,) = source.find([make_view(sensor)])
        counts.append(np.count_nonzero(found.source == PixelSource.MODEL))
        np.testing.assert_array_equal(found.depth_m[np.isfinite(sensor)], sensor[np.isfinite(sensor)])
        source.close()
    assert counts[0] == 0 < counts[1]
