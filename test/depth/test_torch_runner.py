"""Networks behind the boundary: what goes in arrives, what comes out is told apart, failures have a name."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")

from depth_scene import camera_at  # noqa: E402
from model_training.models.random_depth_model import (  # noqa: E402
    TINY_ANY_VIEW,
    TINY_MONOCULAR,
    write_random_depth_model,
)
from n3d_ros.depth import torch_runner  # noqa: E402
from n3d_ros.depth.loading import load_depth_model  # noqa: E402
from n3d_ros.depth.network import NetworkOutput, build_network  # noqa: E402
from n3d_ros.depth.network.pose_encoding import encode_pose  # noqa: E402
from n3d_ros.depth.options import DepthOptions  # noqa: E402
from n3d_ros.depth.poses import stacked_w2c  # noqa: E402
from n3d_ros.depth.torch_runner import TorchRunner  # noqa: E402
from n3d_ros.depth.views import View  # noqa: E402
from n3d_ros.errors import BackendError  # noqa: E402

torch.set_num_threads(1)

HW = (56, 84)
POSES = stacked_w2c([camera_at(0), camera_at(0.4, 0.1, 0.2, yaw_rad=0.1)])
MATRIX = np.array([[80.0, 0, 42], [0, 82.0, 28], [0, 0, 1]])
OFF_CENTRE = np.array([[80.0, 0, 45], [0, 82.0, 26], [0, 0, 1]])


@dataclass
class Scripted:
    """A network that says of two views what it is told to.

    Args:
        rays_of: cameras (w2c, matrix) whose rays it gives; None for rays that no camera has.
        failure: raised in its place.
    """

    rays_of: Any = None
    failure: Exception | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, images: Any, **options: Any) -> NetworkOutput:
        self.asked.append({"images": images, **options})
        if self.failure is not None:
            raise self.failure
        views = images.shape[1]
        depth = torch.ones(1, views, *HW)
        w2c, matrices = torch.tensor(POSES)[None], torch.tensor(np.stack([MATRIX] * views))[None]
        rays, confidence = self._rays() if options.get("rays") else (None, None)
        return NetworkOutput(
            depth=depth, confidence=2 * depth, pose_encoding=encode_pose(w2c, matrices, HW), rays=rays,
            ray_confidence=confidence,
        )  # fmt: skip

    def _rays(self) -> tuple[Any, Any]:
        rows, columns = HW[0] * 8 // 14, HW[1] * 8 // 14
        u, v = np.meshgrid((np.arange(columns) + 0.5) * HW[1] / columns, (np.arange(rows) + 0.5) * HW[0] / rows)
        pixels = np.stack([u, v, np.ones_like(u)], axis=-1)
        rays = np.random.default_rng(0).normal(size=(len(POSES), rows, columns, 6))
        if self.rays_of is not None:
            for ray, w2c in zip(rays, POSES, strict=True):
                ray[..., :3] = pixels @ np.linalg.inv(OFF_CENTRE).T @ w2c[:3, :3]
                ray[..., 3:] = -w2c[:3, :3].T @ w2c[:3, 3]
        return torch.tensor(rays, dtype=torch.float32)[None], torch.full((1, len(POSES), rows, columns), 2.0)


def runner_of(network: Any, **changes: Any) -> TorchRunner:
    config = replace(TINY_ANY_VIEW, **changes)
    return TorchRunner(network, config=config, name="scripted", device=torch.device("cpu"))


def noise(views: int = 2) -> Any:
    return np.random.default_rng(5).normal(size=(views, 3, *HW)).astype(np.float32)


def random_network(config: Any) -> Any:
    torch.manual_seed(0)
    network = build_network(config).eval()
    for name, parameter in network.named_parameters():
        if not parameter.any() or "gamma" in name:  # tokens and tables begin at zero, layers at next to nothing
            torch.nn.init.normal_(parameter, std=0.5)
    return network


def test_given_cameras_reach_the_network_and_options_too() -> None:
    network = Scripted()
    runner_of(network).run(
        noise(), options=DepthOptions(reference_view="first"), w2c=POSES, matrices=np.stack([MATRIX] * 2)
    )
    asked = network.asked[0]
    assert asked["images"].shape == (1, 2, 3, *HW)
    assert np.allclose(asked["extrinsics_w2c"][0], POSES, atol=1e-6)
    assert np.allclose(asked["intrinsics"][0, 1], MATRIX)
    assert asked["reference_view"] == "first"
    assert asked["rays"] is False


def test_cameras_come_from_the_decoder() -> None:
    found = runner_of(Scripted()).run(noise(), options=DepthOptions())
    assert found.w2c is not None
    assert found.matrices is not None
    assert np.allclose(found.w2c, POSES, atol=1e-5)
    assert np.allclose(found.matrices[0], MATRIX, atol=1e-3)
    assert found.depth.shape == (2, *HW)
    assert found.sky is None
    assert found.notes == ()


def test_cameras_from_rays_know_an_off_centre_principal_point() -> None:
    found = runner_of(Scripted(rays_of=POSES)).run(noise(), options=DepthOptions(pose_method="rays"))
    assert found.w2c is not None
    assert found.matrices is not None
    assert np.allclose(found.w2c, POSES, atol=1e-4)
    assert np.allclose(found.matrices[1], OFF_CENTRE, atol=0.01)
    assert found.notes == ()


def test_the_released_factorisation_does_not_and_is_a_choice() -> None:
    found = runner_of(Scripted(rays_of=POSES)).run(noise(), options=DepthOptions(pose_method="rays_reference"))
    assert found.matrices is not None
    assert not np.allclose(found.matrices[1], OFF_CENTRE, atol=0.5)


def test_rays_of_no_camera_give_way_to_the_decoder_and_say_so() -> None:
    found = runner_of(Scripted()).run(noise(), options=DepthOptions(pose_method="rays"))
    assert found.w2c is not None
    assert np.allclose(found.w2c, POSES, atol=1e-5)
    assert len(found.notes) == 1
    assert "No camera from the rays of views 0, 1" in found.notes[0]


def test_a_pose_that_is_none_is_left_out() -> None:
    class Overflowed(Scripted):
        def __call__(self, images: Any, **options: Any) -> NetworkOutput:
            output = super().__call__(images, **options)
            assert output.pose_encoding is not None
            output.pose_encoding[0, 1, 3:7] = 0  # a quaternion of length zero
            return output

    found = runner_of(Overflowed()).run(noise(), options=DepthOptions())
    assert found.w2c is not None
    assert np.isfinite(found.w2c[0]).all()
    assert np.isnan(found.w2c[1]).all()


def test_single_views_are_rows_of_the_batch_and_do_not_see_each_other() -> None:
    runner = TorchRunner(random_network(TINY_MONOCULAR), config=TINY_MONOCULAR, name="mono", device=torch.device("cpu"))
    images = noise(3)
    together = runner.run(images, options=DepthOptions())
    alone = runner.run(images[1:2], options=DepthOptions())
    assert together.depth.shape == (3, *HW)
    assert together.sky is not None
    assert alone.sky is not None
    assert np.allclose(together.depth[1], alone.depth[0], rtol=1e-4)
    assert np.allclose(together.sky[1], alone.sky[0], atol=1e-4)
    assert together.w2c is None
    assert together.confidence is None
    assert not runner.takes_poses


def test_views_of_one_scene_see_each_other() -> None:
    runner = TorchRunner(random_network(TINY_ANY_VIEW), config=TINY_ANY_VIEW, name="any", device=torch.device("cpu"))
    images = noise(3)
    together, alone = (runner.run(part, options=DepthOptions()) for part in (images, images[1:2]))
    assert not np.allclose(together.depth[1], alone.depth[0], rtol=1e-4)
    assert together.confidence is not None
    assert together.confidence.min() >= 1
    assert runner.takes_poses


def test_the_same_images_give_the_same_bits() -> None:
    runner = TorchRunner(random_network(TINY_ANY_VIEW), config=TINY_ANY_VIEW, name="any", device=torch.device("cpu"))
    a, b = (runner.run(noise(), options=DepthOptions()) for _ in range(2))
    assert np.array_equal(a.depth, b.depth)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_network_runs_repeatably_in_the_precision_it_was_loaded_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: Any
) -> None:
    used: list[tuple[Any, Any]] = []

    def noted(device: Any, precision: Any) -> AbstractContextManager[None]:
        used.append((device, precision))
        return nullcontext()

    monkeypatch.setattr(torch_runner, "repeating", noted)
    folder = write_random_depth_model(tmp_path / "tiny", "tiny-mono")
    model = load_depth_model(folder, device="cpu", dtype=dtype, options=DepthOptions(process_res=56))
    model.estimate([View(rgb=np.zeros((56, 56, 3), np.uint8))])
    assert used == [(torch.device("cpu"), getattr(torch, dtype))]


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (torch.OutOfMemoryError("tried to allocate 9 GiB"), "out of memory on cpu with 2 views of 84x56 px; use fewer"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out of memory on cpu with 2 views"),
        (RuntimeError("device-side assert"), "failed on cpu with 2 views of 84x56 px: device-side assert"),
    ],
)
def test_failures_say_what_was_tried(failure: Exception, sentence: str) -> None:
    with pytest.raises(BackendError, match=sentence):
        runner_of(Scripted(failure=failure)).run(noise(), options=DepthOptions())


def test_a_closed_network_says_so() -> None:
    runner = runner_of(Scripted())
    runner.close()
    with pytest.raises(BackendError, match="closed"):
        runner.run(noise(), options=DepthOptions())
