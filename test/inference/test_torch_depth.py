"""A depth model as the node's source: metres that are right, poses handed on, models without a scale refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depth_scene import ExactAnyView, ExactMetric, Room, camera_at
from n3d_ros.depth.model import DepthModel
from n3d_ros.errors import BackendError, ConfigurationError, GroundingError, N3dError
from n3d_ros.inference.depth_config import DepthModelConfig
from n3d_ros.inference.depth_source import ColorView, create_depth_source
from n3d_ros.inference.torch_depth import ModelDepth

ROOM = Room([camera_at(0.0), camera_at(0.3), camera_at(0.6, yaw_rad=0.1)])
UNIT = 2.5  # of the network, metres


def model_of(room: Room, *, metric: bool = True) -> DepthModel:
    return DepthModel(
        name="exact",
        device="cpu",
        any_view=ExactAnyView(room, unit=UNIT),
        single=ExactMetric(room) if metric else None,
        single_is_metric=metric,
        options=room.options,
        facts=("licence: CC BY-NC 4.0",),
    )


def color_views(room: Room, count: int, *, posed: bool = False) -> list[ColorView]:
    reference_T_room = room.poses[0].inverse()
    return [
        ColorView(
            rgb=view.rgb,
            intrinsics=room.camera_of(i),
            stamp_ns=1,
            frame_id=f"camera_{i}",
            reference_T_camera=reference_T_room @ room.poses[i] if posed else None,
        )
        for i, view in enumerate(room.views()[:count])
    ]


def test_one_view_is_found_in_metres_by_the_cameras_own_focal_length() -> None:
    (found,) = ModelDepth(model_of(ROOM)).find(color_views(ROOM, 1))
    np.testing.assert_allclose(found.depth_m, ROOM.true_depth(0), rtol=0.02)
    assert found.facts["is_metric"] == 1.0
    assert {"network", "metric_network"} <= set(found.stage_ms)


def test_several_views_without_poses_get_estimated_ones_in_the_first_cameras_frame() -> None:
    found = ModelDepth(model_of(ROOM)).find(color_views(ROOM, 3))
    places = [one.reference_T_camera for one in found]
    assert places[1] is not None and places[2] is not None
    assert places[1].translation == pytest.approx([0.3, 0.0, 0.0], abs=0.02)
    assert places[2].translation == pytest.approx([0.6, 0.0, 0.0], abs=0.03)


def test_poses_are_given_to_the_model_when_every_view_has_one_and_not_estimated_then() -> None:
    for posed in (color_views(ROOM, 3, posed=True), [*color_views(ROOM, 2, posed=True), color_views(ROOM, 3)[2]]):
        has_all = posed[2].reference_T_camera is not None
        found = ModelDepth(model_of(ROOM)).find(posed)
        np.testing.assert_allclose(found[1].depth_m, ROOM.true_depth(1), rtol=0.02)
        assert (found[2].reference_T_camera is None) == has_all


def test_a_model_without_metres_is_refused_with_what_to_add_unless_somebody_brings_the_scale() -> None:
    relative = model_of(ROOM, metric=False)
    with pytest.raises(ConfigurationError, match=r"depth_model\.metric_model"):
        ModelDepth(relative)
    (found,) = ModelDepth(relative, must_be_metric=False).find(color_views(ROOM, 1))
    assert found.facts["is_metric"] == 0.0


def test_further_cameras_that_tf_places_give_metres_to_a_model_that_has_none() -> None:
    source = ModelDepth(model_of(ROOM, metric=False), has_cameras=True)
    found = source.find(color_views(ROOM, 2, posed=True))
    np.testing.assert_allclose(found[0].depth_m, ROOM.true_depth(0), rtol=0.02)
    assert source.facts()[-1] == "scale: metres, by the distances between the cameras, where tf places them all"
    for alone in (color_views(ROOM, 1), color_views(ROOM, 2)):
        with pytest.raises(GroundingError, match="no scale"):
            source.find(alone)


def test_a_model_of_single_views_gets_no_metres_from_further_cameras() -> None:
    room = ROOM
    single = DepthModel(name="mono", device="cpu", single=ExactMetric(room), options=room.options)
    with pytest.raises(ConfigurationError, match=r"depth_model\.metric_model"):
        ModelDepth(single, has_cameras=True)


def test_an_image_whose_scale_cannot_be_told_gives_no_depth() -> None:
    class Unsure:
        name, device, gives_metres, gives_poses = "unsure", "cpu", True, True

        def estimate(self, views: Any, **_options: Any) -> Any:
            return model_of(ROOM, metric=False).estimate(views)

    with pytest.raises(GroundingError, match="no scale"):
        ModelDepth(Unsure()).find(color_views(ROOM, 1))  # type: ignore[arg-type]


def test_the_licence_and_what_makes_the_scale_are_told() -> None:
    facts = ModelDepth(model_of(ROOM)).facts()
    assert facts[0] == "licence: CC BY-NC 4.0"
    assert "focal length" in facts[-1]


def test_a_closed_source_says_so() -> None:
    source = ModelDepth(model_of(ROOM))
    source.close()
    with pytest.raises(BackendError, match="closed"):
        source.find(color_views(ROOM, 1))


@pytest.mark.parametrize("source", ["model", "fused"])
def test_without_the_name_of_a_model_the_setting_is_asked_for(source: str) -> None:
    with pytest.raises(ConfigurationError, match=r"depth_model\.model"):
        create_depth_source(source, DepthModelConfig())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"resolution": 500}, "490 or 504"),
        ({"resolution": 28}, "56 to 1932 px"),
        ({"cameras": "left; /rear"}, "'/rear'"),
        ({"cameras": "left; left"}, "different names"),
        ({"cameras": "left; " + 65 * "x"}, "64 characters"),
        ({"dtype": "int8"}, "float32"),
        ({"min_confidence": -1.0}, "0 to 1000"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        DepthModelConfig(**changes)


def test_further_cameras_are_read_from_one_text() -> None:
    assert DepthModelConfig(cameras=" left; rear/cam ;").camera_names == ("left", "rear/cam")


# ------------------------------------------------------------------------------------------------------ real files


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    pytest.importorskip("torch", reason="needs the packages of the extra [model]")
    from model_training.models.random_depth_model import write_random_depth_model

    root, made = tmp_path_factory.mktemp("depth_models"), dict[str, Path]()

    def folder(size: str) -> Path:
        if size not in made:
            made[size] = write_random_depth_model(root / size, size)
        return made[size]

    return folder


def config_of(model: Path, **changes: Any) -> DepthModelConfig:
    return replace(DepthModelConfig(model=str(model), device="cpu", resolution=112), **changes)


@pytest.mark.parametrize(("any_view", "metric"), [("tiny-nested", ""), ("tiny", "tiny-metric"), ("tiny-metric", "")])
def test_released_files_load_and_give_depth_in_the_cameras_pixels(
    folders: Callable[[str], Path], any_view: str, metric: str
) -> None:
    told: list[tuple[str, float]] = []
    config = config_of(folders(any_view), metric_model=str(folders(metric)) if metric else "")
    source = create_depth_source("model", config, on_progress=lambda *step: told.append(step))
    (found,) = source.find(color_views(ROOM, 1))
    assert found.depth_m.shape == (120, 160)
    assert found.facts["is_metric"] == 1.0
    assert (found.depth_m[np.isfinite(found.depth_m)] > 0).all()
    again = source.find(color_views(ROOM, 1))[0]
    np.testing.assert_array_equal(found.depth_m, again.depth_m)
    assert told and told[-1][1] <= 1.0
    assert any("licence" in fact.lower() for fact in source.facts())
    source.close()


@pytest.mark.parametrize("size", ["tiny", "tiny-mono"])
def test_a_relative_model_alone_is_refused_and_as_filler_welcome(folders: Callable[[str], Path], size: str) -> None:
    with pytest.raises(ConfigurationError, match=r"depth_model\.metric_model"):
        create_depth_source("model", config_of(folders(size)))
    fused = create_depth_source("fused", config_of(folders(size)))
    assert fused.needs_sensor
    fused.close()


def test_beside_further_cameras_only_a_model_that_sees_them_together_loads_without_metres(
    folders: Callable[[str], Path],
) -> None:
    def load(size: str) -> Any:
        return create_depth_source("model", replace(config_of(folders(size)), cameras="left"))

    source = load("tiny")
    assert "between the cameras" in source.facts()[-1]
    source.close()
    with pytest.raises(ConfigurationError, match=r"depth_model\.metric_model"):
        load("tiny-mono")


@pytest.mark.parametrize("damage", ["nothing there", "cut off", "another kind"])
def test_files_that_cannot_be_used_are_refused_in_words(
    folders: Callable[[str], Path], tmp_path: Path, damage: str
) -> None:
    model = tmp_path / "model"
    if damage == "cut off":
        shutil.copytree(folders("tiny-nested"), model)
        weights = model / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    elif damage == "another kind":
        model.mkdir()
        (model / "config.json").write_text('{"model_type": "qwen2_5_vl"}')
    with pytest.raises(N3dError) as caught:
        create_depth_source("model", config_of(model))
    assert str(model) in caught.value.message
