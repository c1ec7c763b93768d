"""Streams over real networks of random weights: what they say is noise, yet every frame comes out, twice the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")

from model_training.models.random_depth_model import write_random_depth_model  # noqa: E402
from n3d_ros.depth.loading import load_depth_model  # noqa: E402
from n3d_ros.depth.options import DepthOptions  # noqa: E402
from n3d_ros.depth.streaming.options import StreamOptions  # noqa: E402
from n3d_ros.depth.streaming.stream import ChunkReport, StreamedFrame, stream_depth  # noqa: E402
from n3d_ros.depth.views import View  # noqa: E402
from n3d_ros.geometry.camera import CameraIntrinsics  # noqa: E402

torch.set_num_threads(1)

FRAMES = 11
CAMERA = CameraIntrinsics(fx=90, fy=90, cx=47.5, cy=35.5, width=96, height=72)
CHUNKS = StreamOptions(chunk_views=5, overlap_views=2)


def sequence() -> list[View]:
    """A picture that drifts past, so that neighbours look alike."""
    wide = np.random.default_rng(0).integers(0, 255, (72, 96 + 4 * FRAMES, 3), dtype=np.uint8)
    return [View(rgb=wide[:, 4 * i : 4 * i + 96], intrinsics=CAMERA) for i in range(FRAMES)]


def same(one: list[StreamedFrame], other: list[StreamedFrame]) -> bool:
    return all(
        a.index == b.index
        and a.segment == b.segment
        and np.array_equal(a.depth.depth_m, b.depth.depth_m, equal_nan=True)
        and (a.depth.world_T_camera is None) == (b.depth.world_T_camera is None)
        and (
            a.depth.world_T_camera is None
            or np.array_equal(a.depth.world_T_camera.matrix, b.depth.world_T_camera.matrix)  # type: ignore[union-attr]
        )
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("size", ["tiny", "tiny-nested", "tiny-metric", "tiny-mono"])
def test_every_frame_comes_out_in_order_and_a_second_run_estimates_nothing(size: str, tmp_path: Path) -> None:
    folder = write_random_depth_model(tmp_path / "model", size, seed=3)
    model = load_depth_model(folder, device="cpu", options=DepthOptions(process_res=70))
    reports: list[ChunkReport] = []
    first = list(stream_depth(sequence(), model, options=CHUNKS, work_folder=tmp_path / "work"))
    again = list(
        stream_depth(sequence(), model, options=CHUNKS, work_folder=tmp_path / "work", on_progress=reports.append)
    )
    model.close()
    assert [f.index for f in first] == list(range(FRAMES))
    assert all(f.depth.depth_m.shape == (72, 96) for f in first)
    assert all((f.depth.world_T_camera is not None) == model.gives_poses for f in first)
    assert [f.segment for f in first] == sorted(f.segment for f in first)
    assert all(r.from_disk for r in reports) and same(first, again)
