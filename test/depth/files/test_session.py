"""From results to a folder of files: whole files, going on where it was, nothing relative called metres."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from n3d_ros import whole_files
from n3d_ros.depth.files.frame_files import OutputChoices
from n3d_ros.depth.files.records import read_record, write_record
from n3d_ros.depth.files.results import FrameResult, single_results, streamed_results, together_results, within_lens
from n3d_ros.depth.files.run_folder import STATE_FILE, Found, RunFolder
from n3d_ros.depth.files.scene_files import write_scene_files
from n3d_ros.depth.files.session import DepthSession
from n3d_ros.depth.files.sources import SourceFrame
from n3d_ros.depth.streaming.options import StreamOptions
from n3d_ros.depth.views import PoseSource, ScaleSource
from n3d_ros.errors import CancelledError, ConfigurationError
from n3d_ros.geometry.camera import CameraIntrinsics
from ramp_model import RampModel, ramp

H, W = 48, 64
CAMERA = CameraIntrinsics(fx=50, fy=50, cx=31.5, cy=23.5, width=W, height=H)
ALL = OutputChoices(max_points=5000)
SOURCE, SETTINGS = {"file": "a"}, {"model": "m", "range": (1, 2)}


def frames(count: int, *, calibrated: bool = True, blue: tuple[int, ...] = ()) -> list[SourceFrame]:
    colors = [(0, 0, 255) if i in blue else (10 * i, 20, 30) for i in range(count)]
    return [
        SourceFrame(
            index=i,
            name=f"f{i}",
            rgb=np.full((H, W, 3), colors[i], np.uint8),
            intrinsics=CAMERA if calibrated else None,
        )
        for i in range(count)
    ]


def opened(path: Path, settings: dict[str, object] | None = None, *, force: bool = False) -> RunFolder:
    folder = RunFolder(path, SOURCE, SETTINGS if settings is None else settings)
    folder.open(force=force)
    return folder


def work(
    path: Path, count: int = 3, *, model: RampModel | None = None, choices: OutputChoices = ALL, **options: object
) -> DepthSession:
    session = DepthSession(folder=opened(path), choices=choices, frames=count)
    session.folder.save()
    found = together_results(
        iter(frames(count, **options)), model or RampModel(), skip=session.is_done, is_cancelled=lambda: False
    )
    session.write_all(found)
    return session


def names(path: Path) -> set[str]:
    return {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}


def test_metric_frames_have_files_in_metres(tmp_path: Path) -> None:
    pytest.importorskip("trimesh")
    session = work(tmp_path)
    counts = cv2.imread(str(tmp_path / "depth/f1.png"), cv2.IMREAD_UNCHANGED)
    known = np.isfinite(ramp(H, W))
    assert np.abs(counts[known] / 1000 - ramp(H, W)[known]).max() <= 0.0006 and (counts[~known] == 0).all()
    assert not any("relative" in name for name in names(tmp_path))
    files, notes = write_scene_files(tmp_path, session.in_order, ALL, world="optical", z_is_up=False)
    assert set(files) == {"cameras.json", "trajectory.tum", "scene.ply", "scene.glb", "contact_sheet.png"} and not notes
    assert json.loads((tmp_path / "cameras.json").read_text())["unit"] == "m"


def test_relative_frames_say_so_in_every_name(tmp_path: Path) -> None:
    pytest.importorskip("trimesh")
    session = work(tmp_path, calibrated=False)
    files, _ = write_scene_files(tmp_path, session.in_order, ALL, world="optical", z_is_up=False)
    assert {"scene_relative.glb", "scene_relative.ply", "trajectory_relative.tum"} <= set(files)
    assert json.loads((tmp_path / "cameras.json").read_text())["unit"] == "relative"
    assert not (tmp_path / "depth").exists() and not (tmp_path / "arrays").exists()
    counts = cv2.imread(str(tmp_path / "depth_relative/f0.png"), cv2.IMREAD_UNCHANGED)
    assert np.isclose(counts[-1, 0] * session.folder.relative_unit, 1.0, rtol=1e-3)
    assert b"relative, not metres" in (tmp_path / "scene_relative.ply").read_bytes()[:300]


def test_all_previews_share_one_scale_of_colours(tmp_path: Path) -> None:
    session = work(tmp_path)
    assert list(session.folder.ranges) == [True]
    scale = session.folder.ranges[True]
    assert 0.8 < scale.near < 1.1 and 3.3 < scale.far < 4.3


def test_a_range_that_was_named_is_taken(tmp_path: Path) -> None:
    session = work(tmp_path, choices=OutputChoices(formats=("preview",), color_range=(0.5, 9.0)))
    assert (session.folder.ranges[True].near, session.folder.ranges[True].far) == (0.5, 9.0)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"formats": ("png", "gif")}, "gif"),
        ({"formats": ()}, "at least one"),
        ({"max_points": 0}, "max-points"),
        ({"png_unit": -1.0}, "png-unit"),
        ({"color_range": (3.0, 1.0)}, "NEAR < FAR"),
    ],
)
def test_choices_out_of_range_are_refused(wanted: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        OutputChoices(**wanted)  # type: ignore[arg-type]


def test_the_cloud_of_all_frames_keeps_its_limit_and_its_places(tmp_path: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    session = work(tmp_path, choices=OutputChoices(formats=("ply",), max_points=2000))
    write_scene_files(tmp_path, session.in_order, session.choices, world="optical", z_is_up=False)
    points = np.asarray(trimesh.load(tmp_path / "scene.ply").vertices)
    assert 1000 < len(points) <= 2000
    assert points[:, 2].min() > 0.99 and points[:, 2].max() < 4.01


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path) -> None:
    model = RampModel()
    stop_at = 2

    def results(session: DepthSession, is_cancelled: Callable[[], bool]) -> None:
        session.folder.save()
        session.write_all(
            single_results(iter(frames(5)), model, skip=session.is_done, is_cancelled=is_cancelled), wait=1
        )

    first = DepthSession(folder=opened(tmp_path), choices=ALL, frames=5)
    results(first, lambda: len(model.asked) >= stop_at)
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path) if "f0" in name}
    assert len(first.records) == 2 and not list(tmp_path.rglob("*.part"))
    second = DepthSession(folder=opened(tmp_path), choices=ALL, frames=5)
    assert second.folder.found is Found.UNFINISHED
    results(second, lambda: False)
    assert len(model.asked) == 5, "two and three, none twice"
    assert (second.reused, second.computed, len(second.records)) == (2, 3, 5)
    assert before == {name: (tmp_path / name).read_bytes() for name in before}
    assert second.folder.ranges == first.folder.ranges


def test_what_was_computed_before_a_stop_is_written(tmp_path: Path) -> None:
    model = RampModel()

    def stop(calls: int) -> None:
        if calls == 3:
            raise CancelledError("asked to stop")

    model.before = stop
    session = DepthSession(folder=opened(tmp_path), choices=ALL, frames=5)
    with pytest.raises(CancelledError):
        session.write_all(
            single_results(iter(frames(5)), model, skip=session.is_done, is_cancelled=lambda: False), wait=8
        )
    assert len(session.records) == 3 and (tmp_path / "depth/f2.png").is_file()


def test_a_frame_one_of_whose_files_has_gone_is_computed_again(tmp_path: Path) -> None:
    work(tmp_path, 1)
    (tmp_path / "preview/f0.png").unlink()
    again = work(tmp_path, 1)
    assert again.computed == 1 and (tmp_path / "preview/f0.png").is_file()


def test_a_finished_run_is_known_and_leaves_nothing_behind(tmp_path: Path) -> None:
    session = work(tmp_path)
    session.folder.finish(tuple(name for record in session.in_order for name in record.files))
    assert opened(tmp_path).found is Found.COMPLETE and not (tmp_path / ".work").exists()


def test_other_settings_remove_their_files_and_no_others(tmp_path: Path) -> None:
    session = work(tmp_path)
    session.folder.finish(tuple(name for record in session.in_order for name in record.files))
    (tmp_path / "depth/mine.png").write_text("the user's own")
    other = opened(tmp_path, {"model": "other"})
    assert other.found is Found.OTHER_SETTINGS and names(tmp_path) == {"depth/mine.png"}


def test_unfinished_results_of_other_settings_go_too(tmp_path: Path) -> None:
    work(tmp_path)
    opened(tmp_path, {"model": "other"})
    assert names(tmp_path) == set()


def test_the_results_of_another_input_are_not_touched_without_force(tmp_path: Path) -> None:
    work(tmp_path)
    other = RunFolder(tmp_path, {"file": "b"}, SETTINGS)
    with pytest.raises(ConfigurationError, match="another input.*--force"):
        other.open(force=False)
    assert (tmp_path / "depth/f0.png").is_file()
    other.open(force=True)
    assert not (tmp_path / "depth").exists()


def test_a_state_that_was_edited_reaches_nothing_outside(tmp_path: Path) -> None:
    precious, out = tmp_path / "precious.txt", tmp_path / "out"
    precious.write_text("kept")
    session = work(out)
    session.folder.finish(("../precious.txt", "depth/f0.png"))
    opened(out, {"model": "other"})
    assert precious.read_text() == "kept" and not (out / "depth/f0.png").exists()


def test_a_state_that_cannot_be_read_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).write_text("{ broken")
    with pytest.raises(ConfigurationError, match="--force"):
        opened(tmp_path)


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    whole_files.write_whole(tmp_path / "a.bin", b"old")
    monkeypatch.setattr(whole_files.os, "fsync", full)
    with pytest.raises(ConfigurationError, match="No space left on device"):
        whole_files.write_whole(tmp_path / "a.bin", b"new and longer")
    assert (tmp_path / "a.bin").read_bytes() == b"old" and names(tmp_path) == {"a.bin"}


def test_a_folder_in_the_place_of_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        whole_files.write_whole(tmp_path / "a.png", b"x")


def test_a_frame_of_nothing_but_sky_is_left_out_and_the_others_go_on(tmp_path: Path) -> None:
    session = DepthSession(folder=opened(tmp_path), choices=ALL, frames=3)
    found = single_results(
        iter(frames(3, blue=(1,))),
        RampModel(),
        skip=session.is_done,
        is_cancelled=lambda: False,
        on_nothing=session.leave_out,
    )
    session.write_all(found)
    assert [record.camera.name for record in session.in_order] == ["f0", "f2"]
    assert session.without_depth == {"f1": "Nothing but sky."}


def test_single_images_have_no_common_world(tmp_path: Path) -> None:
    pytest.importorskip("trimesh")
    choices = OutputChoices(frames_share_world=False, max_points=1000)
    session = DepthSession(folder=opened(tmp_path), choices=choices, frames=2)
    session.write_all(
        single_results(iter(frames(2)), RampModel(), skip=session.is_done, is_cancelled=lambda: False), wait=1
    )
    files, _ = write_scene_files(tmp_path, session.in_order, choices, world="optical", z_is_up=False)
    assert {"clouds/f0.glb", "clouds/f1.ply"} <= names(tmp_path)
    assert "scene.glb" not in files and "trajectory.tum" not in files
    assert all(record.camera.pose_source == PoseSource.NONE.value for record in session.in_order)


def test_a_sequence_goes_through_in_chunks_and_resumes_from_disk(tmp_path: Path) -> None:
    model, chunks = RampModel(), []

    def stream(session: DepthSession, is_cancelled: Callable[[], bool]) -> None:
        session.folder.save()
        session.write_all(
            streamed_results(
                iter(frames(10)),
                model,
                skip=session.is_done,
                is_cancelled=is_cancelled,
                options=StreamOptions(chunk_views=4, overlap_views=2),
                work_folder=session.folder.work / "chunks",
                fingerprint="x",
                on_chunk=chunks.append,
            )
        )

    first = DepthSession(folder=opened(tmp_path), choices=ALL, frames=10)
    with pytest.raises(CancelledError):
        stream(first, lambda: len(model.asked) >= 2)
    done = len(model.asked)
    second = DepthSession(folder=opened(tmp_path), choices=ALL, frames=10)
    stream(second, lambda: False)
    assert len(second.records) == 10 and len(model.asked) == 4 and done == 2
    assert [report.from_disk for report in chunks] == [False, False, True, True, False, False]
    centers = np.array([record.camera.world_T_camera.translation[0] for record in second.in_order])
    assert (np.diff(centers) >= -1e-6).all()


def test_parts_that_could_not_be_put_together_get_files_of_their_own(tmp_path: Path) -> None:
    pytest.importorskip("trimesh")
    session = DepthSession(folder=opened(tmp_path), choices=ALL, frames=4)
    estimate = RampModel().estimate([frame.view for frame in frames(4)])
    results = [
        FrameResult(frame=f, view=v, scale_source=ScaleSource.METRIC_MODEL, scale=1.0, segment=i // 2)
        for i, (f, v) in enumerate(zip(frames(4), estimate.views, strict=True))
    ]
    session.write_all(iter(results))
    files, notes = write_scene_files(tmp_path, session.in_order, ALL, world="optical", z_is_up=False)
    assert {"scene.glb", "scene_part2.glb", "trajectory.tum", "trajectory_part2.tum"} <= set(files)
    assert "2 parts" in notes[0]


def test_relative_depth_is_not_placed_among_poses_in_metres(tmp_path: Path) -> None:
    session = DepthSession(folder=opened(tmp_path), choices=ALL, frames=2)
    estimate = RampModel().estimate([frame.view for frame in frames(2)])
    views = [replace(view, pose_source=PoseSource.GIVEN) for view in estimate.views]
    session.write_all(
        FrameResult(frame=f, view=v, scale_source=ScaleSource.RELATIVE, scale=1.0)
        for f, v in zip(frames(2), views, strict=True)
    )
    files, notes = write_scene_files(tmp_path, session.in_order, ALL, world="frame map", z_is_up=True)
    assert "trajectory.tum" in files and not any("scene" in name for name in files)
    assert "poses are in metres and depth is not" in notes[0]
    assert json.loads((tmp_path / "cameras.json").read_text())["unit"] == "m"


def test_what_the_lens_did_not_see_has_no_depth() -> None:
    valid = np.ones((H, W), bool)
    valid[:, :5] = False
    frame = SourceFrame(index=0, name="f", rgb=np.zeros((H, W, 3), np.uint8), intrinsics=CAMERA, valid=valid)
    view = within_lens(RampModel().estimate([frame.view]).views[0], frame)
    assert np.isnan(view.depth_m[:, :5]).all() and not view.sky[:, :5].any() and np.isfinite(view.depth_m[-1, 5:]).all()


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    record = work(tmp_path, 2).in_order[1]
    write_record(tmp_path / "r.npz", record)
    back = read_record(tmp_path / "r.npz")
    assert back is not None and back.facts() == record.facts() and (back.cloud.xyz == record.cloud.xyz).all()
    assert back.camera.intrinsics == record.camera.intrinsics
    assert back.camera.world_T_camera.is_close(record.camera.world_T_camera)
    (tmp_path / "r.npz").write_bytes((tmp_path / "r.npz").read_bytes()[:200])
    assert read_record(tmp_path / "r.npz") is None, "a broken record is none"
