"""Depth Anything 3 as exported graphs: the depth of torch, for what they are made for; all else refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")
pytest.importorskip("onnxscript", reason="the extra [model] is not installed")

from model_training.models.random_depth_model import write_random_depth_model  # noqa: E402
from n3d_ros.depth.model import DepthModel  # noqa: E402
from n3d_ros.depth.options import DepthOptions  # noqa: E402
from n3d_ros.depth.views import View  # noqa: E402
from n3d_ros.errors import BackendError, ConfigurationError, InputError  # noqa: E402
from n3d_ros.geometry.camera import CameraIntrinsics  # noqa: E402
from n3d_ros.geometry.transforms import RigidTransform  # noqa: E402
from n3d_ros.inference.depth_loading import load_depth  # noqa: E402
from n3d_ros.inference.export.depth import DepthExportOptions, export_depth_model  # noqa: E402
from n3d_ros.inference.graphs import NOT_MADE_FOR, DepthGraphs  # noqa: E402

pytestmark = pytest.mark.timeout(300)

OPTIONS = DepthOptions(process_res=112)
CAMERA = CameraIntrinsics(fx=150, fy=150, cx=79.5, cy=59.5, width=160, height=120)
KINDS: dict[str, dict[str, Any]] = {
    "tiny": {},
    "tiny, three views": {"views": 3},
    "tiny, two with poses": {"views": 2, "poses": True},
    "tiny-mono": {},
    "tiny-metric": {},
    "tiny-nested": {"views": 2},
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("depth_models")
    return {
        size: write_random_depth_model(root / size, size, seed=7)
        for size in ("tiny", "tiny-mono", "tiny-metric", "tiny-nested")
    }


@pytest.fixture(scope="module")
def exported(weights: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of graphs per kind."""
    root = tmp_path_factory.mktemp("depth_graphs")
    for kind, options in KINDS.items():
        made = export_depth_model(
            str(weights[kind.split(",")[0]]),
            root / kind,
            DepthExportOptions(image=(160, 120), resolution=112, **options),
        )
        assert isinstance(made.graphs, DepthGraphs)
        assert made.graphs.network_hw == (84, 112)
        assert all(difference < 1e-4 for difference in made.differences.values())
    return {kind: root / kind for kind in KINDS}


def views(count: int = 1, *, posed: bool = False, camera: CameraIntrinsics = CAMERA) -> list[View]:
    generator = np.random.default_rng(2)
    return [
        View(
            rgb=generator.integers(0, 255, (camera.height, camera.width, 3), dtype=np.uint8),
            intrinsics=camera,
            world_T_camera=RigidTransform(rotation=np.eye(3), translation=np.array([0.3 * index, 0.02, 0]))
            if posed
            else None,
        )
        for index in range(count)
    ]


def loaded(source: Path, **more: Any) -> DepthModel:
    return load_depth(source, device="cpu", options=more.pop("options", OPTIONS), **more)


@pytest.mark.parametrize("kind", KINDS)
def test_graphs_give_the_depth_and_cameras_of_torch(
    weights: dict[str, Path], exported: dict[str, Path], kind: str
) -> None:
    seen = views(KINDS[kind].get("views", 1), posed=KINDS[kind].get("poses", False))
    models = [loaded(folder) for folder in (exported[kind], weights[kind.split(",")[0]])]
    assert [model.gives_metres for model in models] == [models[1].gives_metres] * 2
    found, expected = (model.estimate(seen) for model in models)
    assert found.scale_source is expected.scale_source
    assert found.scale == pytest.approx(expected.scale, rel=1e-3)
    for one, other in zip(found.views, expected.views, strict=True):
        np.testing.assert_allclose(one.depth_m, other.depth_m, rtol=1e-3)
        if other.confidence is not None:
            assert one.confidence is not None
            np.testing.assert_allclose(one.confidence, other.confidence, rtol=1e-3)
        if other.world_T_camera is not None:
            assert one.world_T_camera is not None
            np.testing.assert_allclose(one.world_T_camera.matrix, other.world_T_camera.matrix, atol=1e-3)
    assert any("made with" in fact for fact in models[0].facts())
    models[0].close()
    with pytest.raises(BackendError, match="closed"):
        models[0].estimate(seen)


def test_a_pair_of_graphs_is_metric(weights: dict[str, Path], exported: dict[str, Path]) -> None:
    found = loaded(exported["tiny"], metric=exported["tiny-metric"]).estimate(views())
    expected = loaded(weights["tiny"], metric=weights["tiny-metric"]).estimate(views())
    assert found.is_metric and expected.is_metric
    np.testing.assert_allclose(found.views[0].depth_m, expected.views[0].depth_m, rtol=1e-3)


@pytest.mark.parametrize(
    ("kind", "seen", "options", "named"),
    [
        ("tiny", views(camera=replace(CAMERA, height=90)), OPTIONS, "made for 112x84 px .* this one has 112x70"),
        ("tiny", views(), DepthOptions(process_res=56), "made for 112x84 px"),
        ("tiny, three views", views(2), OPTIONS, "made for 3 at a time, got 2"),
        ("tiny, two with poses", views(2), OPTIONS, "made with them"),
        ("tiny", views(), DepthOptions(process_res=112, pose_method="rays"), "no ray maps"),
        ("tiny, three views", views(3), DepthOptions(process_res=112, reference_view="first"), "saddle_balanced"),
    ],
)
def test_what_a_graph_is_not_made_for_is_refused_with_what_to_do(
    exported: dict[str, Path], kind: str, seen: list[View], options: DepthOptions, named: str
) -> None:
    with pytest.raises(InputError, match=named) as caught:
        loaded(exported[kind], options=options).estimate(seen)
    assert "load the model's weights in its place" in caught.value.message
    assert caught.value.reason == NOT_MADE_FOR


def test_what_cannot_be_exported_or_loaded_is_refused(
    weights: dict[str, Path], exported: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="sees every view by itself"):
        export_depth_model(str(weights["tiny-mono"]), tmp_path / "a", DepthExportOptions(image=(160, 120), views=2))
    assert not (tmp_path / "a").exists()
    for wrong in ({"views": 0}, {"views": 99}, {"poses": True}, {"resolution": 100}, {"image": (0, 5)}):
        with pytest.raises(ConfigurationError):
            DepthExportOptions(**{"image": (160, 120), **wrong})
    with pytest.raises(ConfigurationError, match="weights or exported graphs for both"):
        loaded(exported["tiny"], metric=weights["tiny-metric"])
    with pytest.raises(ConfigurationError, match="metric one such as"):
        loaded(exported["tiny"], metric=exported["tiny-mono"])
    with pytest.raises(ConfigurationError, match="--dtype float16"):
        loaded(exported["tiny"], dtype="float16")
