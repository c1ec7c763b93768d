"""From folders to a depth model, with random weights in the released layout."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")

from model_training.models.random_depth_model import write_random_depth_model  # noqa: E402
from n3d_ros.depth import pose_scale  # noqa: E402
from n3d_ros.depth.loading import load_depth_model  # noqa: E402
from n3d_ros.depth.options import DepthOptions  # noqa: E402
from n3d_ros.depth.views import DepthEstimate, PoseSource, ScaleSource, View  # noqa: E402
from n3d_ros.errors import ConfigurationError  # noqa: E402
from n3d_ros.geometry.camera import CameraIntrinsics  # noqa: E402
from n3d_ros.geometry.transforms import RigidTransform  # noqa: E402

torch.set_num_threads(1)

OPTIONS = DepthOptions(process_res=112)
CAMERA = CameraIntrinsics(fx=150, fy=150, cx=79.5, cy=59.5, width=160, height=120)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("depth_models")
    sizes = ("tiny", "tiny-metric", "tiny-mono", "tiny-nested")
    return {size: write_random_depth_model(root / size, size, seed=7) for size in sizes}


def views(count: int = 1, *, focal_factor: float = 1.0, step_m: float | None = None) -> list[View]:
    generator = np.random.default_rng(2)
    camera = replace(CAMERA, fx=CAMERA.fx * focal_factor, fy=CAMERA.fy * focal_factor)
    poses = [
        None if step_m is None else RigidTransform(rotation=np.eye(3), translation=np.array([i * step_m, 0, 0]))
        for i in range(count)
    ]
    return [
        View(rgb=generator.integers(0, 255, (120, 160, 3), dtype=np.uint8), intrinsics=camera, world_T_camera=pose)
        for pose in poses
    ]


def test_an_any_view_model_gives_relative_depth_confidence_and_poses(folders: dict[str, Path]) -> None:
    model = load_depth_model(folders["tiny"], device="cpu", options=OPTIONS)
    assert (model.name, model.device, model.gives_poses, model.gives_metres) == ("tiny", "cpu", True, False)
    estimate = model.estimate(views(3))
    assert estimate.scale_source is ScaleSource.RELATIVE
    for view in estimate.views:
        assert view.depth_m.shape == (120, 160)
        assert view.confidence is not None
        assert view.confidence.min() >= 1
        assert view.sky is None
        assert view.pose_source is PoseSource.ESTIMATED
    assert estimate.views[0].world_T_camera is not None
    assert estimate.views[0].world_T_camera.is_close(RigidTransform.identity(), translation_m=1e-6, rotation_rad=1e-6)


def test_two_posed_views_scale_with_the_distance_between_them(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pose_scale, "MIN_PARALLAX", 0.0)  # a network of random weights puts its cameras anywhere
    model = load_depth_model(folders["tiny"], device="cpu", options=OPTIONS)
    near, far = (model.estimate(views(2, step_m=step)) for step in (0.5, 1.5))
    assert near.scale_source is far.scale_source is ScaleSource.POSES
    assert far.scale == pytest.approx(3 * near.scale, rel=1e-4)
    for a, b in zip(near.views, far.views, strict=True):
        assert np.allclose(b.depth_m, 3 * a.depth_m, rtol=1e-4)


def test_a_metric_model_gives_metres_in_proportion_to_the_focal_length(folders: dict[str, Path]) -> None:
    model = load_depth_model(folders["tiny-metric"], device="cpu", options=OPTIONS)
    assert (model.gives_poses, model.gives_metres) == (False, True)
    once, twice = (model.estimate(views(2, focal_factor=factor)) for factor in (1.0, 2.0))
    assert once.scale_source is ScaleSource.METRIC_MODEL
    for a, b in zip(once.views, twice.views, strict=True):
        assert a.sky is not None
        assert a.confidence is None
        assert np.allclose(b.depth_m, 2 * a.depth_m, rtol=1e-5, equal_nan=True)


def test_the_same_weights_without_the_metric_mark_are_relative(folders: dict[str, Path]) -> None:
    model = load_depth_model(folders["tiny-mono"], device="cpu", options=OPTIONS)
    assert model.estimate(views()).scale_source is ScaleSource.RELATIVE


@pytest.mark.parametrize("nested", [True, False])
def test_pairs_from_one_folder_and_from_two_give_metres(folders: dict[str, Path], nested: bool) -> None:
    told: list[tuple[str, float]] = []
    model = load_depth_model(
        folders["tiny-nested" if nested else "tiny"],
        metric=None if nested else folders["tiny-metric"],
        device="cpu",
        options=OPTIONS,
        on_progress=lambda sentence, share: told.append((sentence, share)),
    )
    assert model.name == ("tiny-nested" if nested else "tiny + tiny-metric")
    assert (model.gives_poses, model.gives_metres) == (True, True)
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert (min(shares), max(shares)) == (0, 1)
    once, twice = (model.estimate(views(2, focal_factor=factor)) for factor in (1.0, 2.0))
    assert once.scale_source is ScaleSource.METRIC_MODEL
    assert twice.scale == pytest.approx(2 * once.scale, rel=1e-4)
    assert np.allclose(twice.views[1].depth_m, 2 * once.views[1].depth_m, rtol=1e-4, equal_nan=True)


def test_cameras_can_come_from_rays(folders: dict[str, Path]) -> None:
    options = replace(OPTIONS, pose_method="rays")
    estimate = load_depth_model(folders["tiny"], device="cpu", options=options).estimate(views(2))
    assert any("rays" in note for note in estimate.notes)  # those of random weights are no camera's, which is said
    assert all(view.world_T_camera is not None for view in estimate.views)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_what_the_cpu_gives_and_the_same_every_time(folders: dict[str, Path]) -> None:
    def on(device: str, dtype: Literal["float32", "bfloat16"]) -> DepthEstimate:
        model = load_depth_model(
            folders["tiny"], metric=folders["tiny-metric"], device=device, dtype=dtype, options=OPTIONS
        )
        return model.estimate(views(3))

    cpu, gpu, again, half = on("cpu", "float32"), on("cuda", "float32"), on("cuda", "float32"), on("cuda", "bfloat16")
    for a, b, c, d in zip(cpu.views, gpu.views, again.views, half.views, strict=True):
        assert np.allclose(a.depth_m, b.depth_m, rtol=2e-3, equal_nan=True)
        assert np.array_equal(b.depth_m, c.depth_m, equal_nan=True)
        assert np.allclose(a.depth_m, d.depth_m, rtol=0.1, equal_nan=True)


def test_facts_name_files_licence_and_numbers(folders: dict[str, Path]) -> None:
    facts = " ".join(load_depth_model(folders["tiny"], metric=folders["tiny-metric"], device="cpu").facts())
    for word in ("model.safetensors", "licence", "parameters", "float32 on cpu", "tiny-metric"):
        assert word in facts


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        ("tiny-nested", "tiny-metric", "has its metric network already"),
        ("tiny", "tiny-mono", "got tiny and tiny-mono"),
        ("tiny", "tiny", "got tiny and tiny"),
        ("tiny", "tiny-nested", "got tiny and tiny-nested"),
        ("tiny-metric", "tiny-metric", "got tiny-metric and"),
        ("tiny-mono", "tiny-metric", "got tiny-mono and"),
    ],
)
def test_models_that_are_no_pair_are_refused(folders: dict[str, Path], first: str, second: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        load_depth_model(folders[first], metric=folders[second], device="cpu")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no folder"):
        load_depth_model(tmp_path / "nowhere")


def test_what_ends_the_loading_comes_through(folders: dict[str, Path]) -> None:
    class StoppedError(Exception):
        pass

    def stop(_sentence: str, share: float) -> None:
        if share > 0.5:
            raise StoppedError

    with pytest.raises(StoppedError):
        load_depth_model(folders["tiny"], metric=folders["tiny-metric"], device="cpu", on_progress=stop)


def test_without_torch_everything_but_loading_is_there_and_says_what_to_install(repository: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "import n3d_ros.depth.model, n3d_ros.depth.preprocess, n3d_ros.depth.nested, n3d_ros.depth.output\n"
        "from n3d_ros.depth.loading import load_depth_model\n"
        "load_depth_model('depth-anything/DA3-SMALL')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, check=False)
    assert "ConfigurationError: depth model: torch is not installed" in done.stderr
    assert "[model]" in done.stderr
