"""A walk of known geometry put together from chunks that each have a frame and a unit of their own."""

from __future__ import annotations

import io
import tracemalloc
import weakref
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from depth_walk import CAMERA, PosedWalkModel, WalkModel, depth_of, view_of, walk
from n3d_ros.depth.similarity import umeyama
from n3d_ros.depth.streaming.options import StreamOptions
from n3d_ros.depth.streaming.stream import ChunkReport, StreamedFrame, stream_depth
from n3d_ros.depth.views import DepthEstimate, PoseSource, ScaleSource, View, ViewDepth
from n3d_ros.errors import CancelledError, InputError

FRAMES = 100
POSES = walk(FRAMES, laps=1)  # 7.2 m long, everything between 1.7 and 6.4 m away
SMALL = StreamOptions(chunk_views=20, overlap_views=10)


def views(count: int = FRAMES, *, posed: bool = False) -> list[View]:
    return [view_of(i, POSES[i] if posed else None) for i in range(count)]


def streamed(model: WalkModel, options: StreamOptions = SMALL, count: int = FRAMES) -> list[StreamedFrame]:
    return list(stream_depth(views(count, posed=isinstance(model, PosedWalkModel)), model, options=options))


def centers(frames: Sequence[StreamedFrame]) -> np.ndarray:  # type: ignore[type-arg]
    return np.array([f.depth.world_T_camera.translation for f in frames if f.depth.world_T_camera is not None])


def drift_m(frames: Sequence[StreamedFrame]) -> float:
    """Largest distance of a position from the truth, metres, after the best similarity of the whole trajectory."""
    truth = np.array([POSES[f.index].translation for f in frames])
    fit = umeyama(centers(frames), truth)
    assert fit is not None
    return float(np.linalg.norm(fit.apply(centers(frames)) - truth, axis=1).max())


def unit(frame: StreamedFrame) -> float:
    """Metres in a frame's unit of depth, the wrong way up: depth over true depth."""
    return float(np.nanmedian(frame.depth.depth_m / depth_of(POSES[frame.index])))


def same(one: Sequence[StreamedFrame], other: Sequence[StreamedFrame]) -> bool:
    """Whether two runs agree to the last bit."""
    return len(one) == len(other) and all(
        a.index == b.index
        and (a.segment, a.scale, a.scale_source, a.notes) == (b.segment, b.scale, b.scale_source, b.notes)
        and np.array_equal(a.depth.depth_m, b.depth.depth_m, equal_nan=True)
        and np.array_equal(a.depth.confidence, b.depth.confidence)  # type: ignore[arg-type]
        and np.array_equal(a.depth.sky, b.depth.sky)  # type: ignore[arg-type]
        and a.depth.intrinsics == b.depth.intrinsics
        and np.array_equal(a.depth.world_T_camera.matrix, b.depth.world_T_camera.matrix)  # type: ignore[union-attr]
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("is_metric", [False, True])
@pytest.mark.parametrize(("size", "overlap"), [(20, 10), (20, 1), (7, 3), (100, 50), (99, 50)])
def test_exact_chunks_give_the_exact_walk_in_one_unit(size: int, overlap: int, is_metric: bool) -> None:
    frames = streamed(WalkModel(POSES, is_metric=is_metric), StreamOptions(chunk_views=size, overlap_views=overlap))
    assert [f.index for f in frames] == list(range(FRAMES))
    assert {f.segment for f in frames} == {0}
    assert drift_m(frames) < 1e-6
    assert np.ptp([unit(f) for f in frames]) < 1e-5 * unit(frames[0])


@pytest.mark.parametrize(
    ("noise", "is_metric", "options", "bound_m"),
    [
        ({"depth_noise": 0.02}, False, SMALL, 0.06),  # measured 0.039
        ({"depth_noise": 0.02}, False, StreamOptions(), 0.03),  # 0.015
        ({"depth_noise": 0.02, "pose_noise_m": 0.01}, False, SMALL, 0.08),  # 0.051
        ({"depth_noise": 0.02, "pose_noise_m": 0.01}, True, SMALL, 0.11),  # 0.075
    ],
)
def test_noise_drifts_by_a_percent_of_the_way(
    noise: dict[str, float], is_metric: bool, options: StreamOptions, bound_m: float
) -> None:
    assert drift_m(streamed(WalkModel(POSES, is_metric=is_metric, **noise), options)) < bound_m


def test_metric_estimates_keep_their_metres_and_relative_ones_that_of_the_first_chunk() -> None:
    metric = streamed(WalkModel(POSES, is_metric=True, depth_noise=0.02))
    assert all(f.scale == 1 and f.scale_source is ScaleSource.METRIC_MODEL for f in metric)
    relative = streamed(WalkModel(POSES))
    assert relative[0].scale == 1
    assert len({round(f.scale, 3) for f in relative}) > 5  # each chunk came in a unit of its own


def test_a_chunk_whose_depth_contradicts_its_poses_is_not_laid_on_the_one_before() -> None:
    class Lying(WalkModel):
        def estimate(self, views: Sequence[View], **more: object) -> DepthEstimate:
            estimate = super().estimate(views)
            if len(self.calls) == 1:
                return estimate
            twice = [replace(v, depth_m=v.depth_m * np.float32(2)) for v in estimate.views]
            return replace(estimate, views=tuple(twice))  # depth and poses no longer fit each other

    frames = streamed(Lying(POSES, is_metric=True), count=30)
    assert {f.segment for f in frames} == {0, 1}
    assert any("differ by" in note for note in frames[-1].notes)


def test_frames_of_sky_only_begin_a_new_segment_and_say_so() -> None:
    frames = streamed(WalkModel(POSES, sky=frozenset(range(40, 52))))
    assert [f.index for f in frames] == list(range(FRAMES))
    assert [f.segment for f in frames] == sorted(f.segment for f in frames)
    assert {f.segment for f in frames} == {0, 1}
    assert any("segment 1 begins" in note and "sky" in note for f in frames for note in f.notes)
    for segment in (0, 1):
        assert drift_m([f for f in frames if f.segment == segment]) < 1e-6


def test_a_chunk_that_the_model_gives_up_on_has_no_depth_and_the_film_goes_on() -> None:
    frames = streamed(WalkModel(POSES, blind=frozenset([45])))
    empty = [f for f in frames if np.isnan(f.depth.depth_m).all()]
    assert [f.index for f in frames] == list(range(FRAMES))
    assert {f.index for f in empty} >= {45}
    assert all(f.depth.world_T_camera is None and any("nothing but sky" in n for n in f.notes) for f in empty)
    assert frames[-1].segment > 0


def test_notes_that_number_views_tell_which_frames_these_are() -> None:
    class Noting(WalkModel):
        def estimate(self, views: Sequence[View], **more: object) -> DepthEstimate:
            return replace(super().estimate(views), notes=("View 3 shows one colour.", "Depth is relative."))

    frames = streamed(Noting(POSES), count=30)
    assert frames[0].notes == ("View 3 shows one colour.", "Depth is relative.")
    assert frames[-1].notes[0] == "frames 10 to 29 as views 0 to 19: View 3 shows one colour."
    assert frames[-1].notes[1] == "Depth is relative."


def test_metres_are_taken_over_by_a_chunk_without_and_never_lost_to_one_before() -> None:
    class Changing(WalkModel):
        first_metric = True

        def estimate(self, views: Sequence[View], **more: object) -> DepthEstimate:
            self.is_metric = (len(self.calls) == 0) is self.first_metric
            return super().estimate(views)

    taken = streamed(Changing(POSES), count=30)
    assert {f.segment for f in taken} == {0}
    assert {f.scale_source for f in taken} == {ScaleSource.METRIC_MODEL}
    assert unit(taken[-1]) == pytest.approx(1, rel=1e-5)
    assert any("taken over" in note for note in taken[-1].notes)
    later = Changing(POSES)
    later.first_metric = False
    begun = streamed(later, count=30)
    assert [f.scale_source.value for f in begun] == ["relative"] * 15 + ["metric_model"] * 15
    assert unit(begun[-1]) == pytest.approx(1, rel=1e-5)
    assert begun[-1].segment == 1


def test_given_poses_stay_to_the_last_bit_and_only_the_unit_of_depth_is_fitted() -> None:
    frames = streamed(PosedWalkModel(POSES))
    assert all(f.depth.world_T_camera is POSES[f.index] for f in frames)
    assert {f.segment for f in frames} == {0}
    assert np.ptp([unit(f) for f in frames]) < 1e-5 * unit(frames[0])


def test_single_view_models_pass_through_as_they_are() -> None:
    class Single(WalkModel):
        def _view(self, *given: object) -> ViewDepth:
            view = super()._view(*given)  # type: ignore[arg-type]
            return replace(view, world_T_camera=None, pose_source=PoseSource.NONE, confidence=None)

    frames = streamed(Single(POSES, is_metric=True), count=45)
    assert {f.segment for f in frames} == {0} and not any(f.notes for f in frames)
    assert all(unit(f) == pytest.approx(1, rel=1e-6) for f in frames)


def test_a_second_run_takes_finished_chunks_from_disk_and_gives_the_same(tmp_path: Path) -> None:
    model = WalkModel(POSES, depth_noise=0.02)
    fresh = list(stream_depth(views(45), model, options=SMALL))
    first = list(stream_depth(views(45), WalkModel(POSES, depth_noise=0.02), options=SMALL, work_folder=tmp_path))
    never = WalkModel(POSES, fail_at=0)
    assert same(fresh, first)
    assert same(first, list(stream_depth(views(45), never, options=SMALL, work_folder=tmp_path)))


def test_an_interrupted_run_goes_on_where_it_stopped_with_the_same_result(tmp_path: Path) -> None:
    whole = list(stream_depth(views(60), WalkModel(POSES, depth_noise=0.02), options=SMALL))
    broken = WalkModel(POSES, depth_noise=0.02, fail_at=3)
    with pytest.raises(KeyboardInterrupt):
        list(stream_depth(views(60), broken, options=SMALL, work_folder=tmp_path))
    again = WalkModel(POSES, depth_noise=0.02)
    reports: list[ChunkReport] = []
    after = list(stream_depth(views(60), again, options=SMALL, work_folder=tmp_path, on_progress=reports.append))
    assert same(whole, after)
    assert [r.from_disk for r in reports] == [True] * 3 + [False] * 2
    assert len(again.calls) == 2


DAMAGES = [
    "half",
    "empty",
    "another program's",
    "a flipped bit",
    "a left-over part",
    "arrays of half size",
    "a huge claim",
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_chunk_is_made_again(tmp_path: Path, damage: str) -> None:
    whole = list(stream_depth(views(40), WalkModel(POSES), options=SMALL, work_folder=tmp_path))
    file = tmp_path / "chunk_000001.npz"
    content = bytearray(file.read_bytes())
    if damage == "half":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "another program's":
        np.savez(file, depth=np.ones(3))
    elif damage == "a flipped bit":
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    elif damage == "arrays of half size":
        arrays = dict(np.load(file))
        np.savez(file, **{n: a[::2, ::2] if a.ndim == 2 else a for n, a in arrays.items()})
    elif damage == "a huge claim":
        arrays = dict(np.load(file))
        name = next(name for name in arrays if name.endswith("_depth_m"))
        del arrays[name]
        np.savez(file, **arrays)
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**5)})
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(f"{name}.npy", header.getvalue())
    else:
        file.rename(tmp_path / "chunk_000001.npz.part")
    again = WalkModel(POSES)
    assert same(whole, list(stream_depth(views(40), again, options=SMALL, work_folder=tmp_path)))
    assert len(again.calls) == 1


def test_chunks_of_other_settings_models_or_images_are_made_again(tmp_path: Path) -> None:
    def calls(
        *,
        count: int = 30,
        name: str = "walk",
        settings: str = "",
        options: StreamOptions = SMALL,
        model_options: str = "",
        files: tuple[str, ...] = (),
    ) -> int:
        model = WalkModel(POSES, name=name, options=model_options, files=files)
        list(stream_depth(views(count), model, options=options, work_folder=tmp_path, fingerprint=settings))
        return len(model.calls)

    assert calls() == 2
    assert calls() == 0
    assert calls(model_options="process_res 252") == 2
    assert calls(files=("sha256 another",)) == 2
    assert calls(settings="process_res 252") == 2
    assert calls(settings="process_res 252", name="another") == 2
    assert calls(settings="process_res 252", name="another", count=29) == 1
    assert calls(settings="process_res 252", name="another", options=StreamOptions(chunk_views=10, overlap_views=2)) > 2


def test_chunk_files_hold_no_pickle(tmp_path: Path) -> None:
    list(stream_depth(views(25), WalkModel(POSES), options=SMALL, work_folder=tmp_path))
    for file in tmp_path.iterdir():
        with np.load(file, allow_pickle=False) as arrays:
            assert all(arrays[name].dtype.kind in "ufb" for name in arrays)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["chunk_000000.npz", "chunk_000001.npz"]


def test_memory_does_not_grow_with_the_sequence(tmp_path: Path) -> None:
    def peak_bytes(count: int) -> int:
        tracemalloc.start()
        try:
            model = WalkModel(POSES, depth_noise=0.02)
            frames = (view_of(i) for i in range(count))
            assert (
                sum(1 for _ in stream_depth(frames, model, options=SMALL, work_folder=tmp_path / str(count))) == count
            )
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak_bytes(100) < 1.05 * peak_bytes(40)


def test_no_more_is_held_than_one_chunk_and_one_overlap() -> None:
    images: list[weakref.ref[np.ndarray]] = []  # type: ignore[type-arg]
    results: list[weakref.ref[np.ndarray]] = []  # type: ignore[type-arg]
    most_images = most_results = 0

    def count() -> None:
        nonlocal most_images, most_results
        most_images = max(most_images, sum(r() is not None for r in images))
        most_results = max(most_results, sum(r() is not None for r in results))

    class Counted(WalkModel):
        def _view(self, *given: object) -> ViewDepth:
            view = super()._view(*given)  # type: ignore[arg-type]
            assert view.confidence is not None
            results.append(weakref.ref(view.confidence))  # goes on into the moved view, where depth is made anew
            return view

    def frames() -> Iterator[View]:
        for i in range(60):
            view = view_of(i)
            images.append(weakref.ref(view.rgb))
            yield view
            del view
            count()

    for frame in stream_depth(frames(), Counted(POSES, on_estimate=count), options=SMALL):
        count()
        del frame
    assert len(images) == 60 and len(results) == 100
    assert most_images <= SMALL.chunk_views + 1
    assert most_results <= SMALL.chunk_views + SMALL.overlap_views


def test_nothing_is_pulled_before_it_is_due() -> None:
    pulled = 0

    def frames() -> Iterator[View]:
        nonlocal pulled
        for i in range(FRAMES):
            pulled += 1
            yield view_of(i)

    stream = stream_depth(frames(), WalkModel(POSES), options=SMALL)
    assert pulled == 0
    assert next(stream).index == 0
    assert pulled == 21


def test_progress_tells_each_chunk_before_its_frames() -> None:
    reports: list[ChunkReport] = []
    seen = 0
    for frame in stream_depth(views(), WalkModel(POSES), options=SMALL, on_progress=reports.append):
        assert reports[-1].first_frame <= frame.index < reports[-1].first_frame + reports[-1].views
        seen += 1
    assert seen == FRAMES and len(reports) == 9 and reports[-1].is_last
    assert reports[0].points == 0 and all(r.points > 1000 and r.residual < 1e-5 for r in reports[1:])


def test_stopping_leaves_finished_chunks_on_disk(tmp_path: Path) -> None:
    model = WalkModel(POSES)
    with pytest.raises(CancelledError, match="kept"):
        list(
            stream_depth(
                views(), model, options=SMALL, work_folder=tmp_path, is_cancelled=lambda: len(model.calls) == 2
            )
        )
    assert len(list(tmp_path.glob("chunk_*.npz"))) == 2


def test_no_frames_give_no_frames() -> None:
    assert streamed(WalkModel(POSES), count=0) == []


def test_a_model_that_forgets_a_view_is_found_out() -> None:
    class Forgetful(WalkModel):
        def estimate(self, views: Sequence[View], **more: object) -> DepthEstimate:
            estimate = super().estimate(views)
            return replace(estimate, views=estimate.views[:-1])

    with pytest.raises(InputError, match="expected 20 results"):
        streamed(Forgetful(POSES))


def test_the_walk_has_structure_near_and_far() -> None:
    depth = np.stack([depth_of(pose) for pose in POSES])
    assert depth.shape == (FRAMES, CAMERA.height, CAMERA.width)
    assert 0.3 < depth.min() < 1.9 and 4 < depth.max() < 9
