"""The bare part of the speed measurement: loads runtimes, lets them take turns, and gives the rows of the table."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from n3d_ros.bench.answers import TRANSFORMERS, Answerer, TransformersAnswerer, answer_in_turn, answer_rows
from n3d_ros.bench.failures import FAILURES, Dropped, reason_of
from n3d_ros.bench.frames import BenchFrames
from n3d_ros.bench.looks import energy_rows, look_in_turn, look_rows
from n3d_ros.bench.power import meters
from n3d_ros.bench.process import forget_peak, resident_bytes
from n3d_ros.bench.subjects import Subject, Wanted, check_backend, load_subject, numbered, titled
from n3d_ros.bench.table import Row
from n3d_ros.bench.torch_device import bandwidth, device_of, gpu_name, nominal_bandwidth, used_on_device
from n3d_ros.errors import BackendError, GroundingError, InputError, N3dError
from n3d_ros.frame import RgbdFrame
from n3d_ros.inference.graphs import has_graphs
from n3d_ros.inference.language_model.config import LanguageModelConfig

LEAST_FRAMES = 2  # of the latest image the computation is kept
Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured.

    Args:
        models: as users name them.
        backends: of each; "auto" is the fastest that files and machine allow. Graphs are made of weights for "onnx".
        device: where all of them compute.
        dtype: of the weights.
        repeats: looks and answers at each frame, after one that warms up.
        transformers: whether ``generate`` is measured beside checkpoints.
    """

    models: tuple[str, ...]
    backends: tuple[str, ...] = ("auto",)
    device: str = "auto"
    dtype: str = "auto"
    repeats: int = 3
    transformers: bool = True


def check_plan(plan: Plan) -> None:
    """Refuses what cannot be measured, before anything is loaded.

    Args:
        plan: what is to be measured.

    Raises:
        ConfigurationError: an unknown backend or device, or a setting out of its range.
    """
    for backend in plan.backends:
        check_backend(backend)
    for model in plan.models:
        LanguageModelConfig(model=model, device=plan.device, dtype=plan.dtype)
    device_of(plan.device)


@contextmanager
def planned(plan: Plan, tell: Progress) -> Iterator[tuple[list[Wanted], list[Row]]]:
    """The runtimes of a plan; graphs are made of checkpoints where they are asked for, and removed after the body.

    Args:
        plan: what is to be measured.
        tell: told how far it is.

    Yields:
        Runtimes to load, and rows about those that cannot be.
    """
    with tempfile.TemporaryDirectory(prefix="n3d_speed_") as folder:
        wanted: list[Wanted] = []
        rows: list[Row] = []
        for model, title in zip(plan.models, titled(plan.models), strict=True):
            for backend in plan.backends:
                config = LanguageModelConfig(model=model, backend=backend, device=plan.device, dtype=plan.dtype)
                checkpoint = "" if has_graphs(Path(model).expanduser()) else model
                if backend == "onnx" and checkpoint:
                    out = Path(folder) / str(len(wanted))
                    try:
                        _export(model, out, plan, lambda text, _share: tell(text, 0.0))
                    except FAILURES as error:
                        rows.append(Row(figure="whole frame", of=f"{title}, {backend}", note=reason_of(error)))
                        continue
                    config, checkpoint = replace(config, model=str(out)), ""
                wanted.append(Wanted(title=title, config=config, checkpoint=checkpoint))
        yield wanted, rows


def _export(model: str, out: Path, plan: Plan, tell: Progress) -> None:
    """A checkpoint as graphs."""
    try:
        from n3d_ros.inference.export.language_model import ExportOptions, export_language_model
    except ImportError as error:
        raise BackendError(f"Graphs are made with {error.name}, which is not installed.") from error
    dtype = "float32" if plan.dtype == "auto" else plan.dtype
    export_language_model(model, out, ExportOptions(dtype=dtype), tell)  # type: ignore[arg-type]  # checked


def measure_bare(
    wanted: Sequence[Wanted], frames: BenchFrames, plan: Plan, tell: Progress
) -> tuple[list[tuple[str, Wanted]], list[Row]]:
    """All figures that need no node.

    Args:
        wanted: runtimes; loaded here and closed at the end.
        frames: two at least.
        plan: what is to be measured.
        tell: told how far it is.

    Returns:
        The runtimes that could be loaded and did not fail, each with its name in the table, and the rows.

    Raises:
        N3dError: none could be loaded, all failed, or the frames cannot be used.
    """
    if len(frames) < LEAST_FRAMES:
        raise InputError(f"{frames.source}: expected at least {LEAST_FRAMES} images with depth, got {len(frames)}.")
    subjects: list[Subject] = []
    failed: list[tuple[Wanted, BaseException]] = []
    tell("Measuring the memory's bandwidth", 0.0)
    limit, rows = bandwidth_rows(device_of(plan.device))  # before loading: its arrays are no part of what models take
    with ExitStack() as stack:
        for one in wanted:
            try:
                subject = load_subject(one, lambda text, _share: tell(text, 0.0))
            except FAILURES as error:
                failed.append((one, error))
                continue
            stack.callback(subject.grounder.close)
            subjects.append(subject)
        if not subjects:
            raise _as_ours(failed[0][1]) if failed else BackendError("None of the models could be made ready.")
        subjects = [
            replace(subject, name=name)
            for subject, name in zip(subjects, numbered([one.name for one in subjects]), strict=True)
        ]
        rows += [
            Row(figure="whole frame", of=f"{one.title}, {one.config.backend}", note=reason_of(error))
            for one, error in failed
        ]
        dropped = Dropped()
        rows += bare_rows(subjects, frames, plan, limit, tell, dropped)
        return [(one.name, one.wanted) for one in subjects if one.name not in dropped], rows


def bare_rows(
    subjects: Sequence[Subject], frames: BenchFrames, plan: Plan, limit: float, tell: Progress, dropped: Dropped
) -> list[Row]:
    """All figures that need no node.

    Args:
        subjects: loaded runtimes.
        frames: two at least.
        plan: what is to be measured.
        limit: bytes per second that the memory gives.
        tell: told how far it is.
        dropped: takes the runtimes that fail.

    Returns:
        Rows.

    Raises:
        BackendError: all runtimes failed at looking.
        GroundingError: no frame has usable depth.
    """
    shown, device = frames.rgbd_frames(), device_of(plan.device)
    total = 2 * (plan.repeats + 1) * len(shown)
    done = 0

    def advance(what: str) -> None:
        nonlocal done
        done += 1
        tell(what, done / total)

    is_anew = forget_peak()
    times = look_in_turn(subjects, shown, plan.repeats, lambda: advance("Looking at frames"), dropped)
    memory = _memory_row(len(subjects), is_anew=is_anew)
    if not times:
        raise BackendError(f"All runtimes failed. {dropped.rows[0].of}: {dropped.rows[0].note}")
    if not any(of.frame_ms for of in times.values()):
        raise GroundingError("None of the frames has depth that a model could use.")
    note = f"{frames.source}; {plan.repeats} looks at each, in turn"
    rows = [*load_rows(subjects), *look_rows(times, note), memory]
    answerers = _answerers([one for one in subjects if one.name not in dropped], shown, dropped)
    theirs, skipped = _transformers_beside(answerers, plan)
    answer_in_turn(answerers, theirs, plan.repeats, lambda: advance("Writing answers"), dropped)
    answerers = [one for one in answerers if one.name not in dropped]
    rows += answer_rows(answerers, [one for one in theirs if one.name not in dropped], limit)
    rows += [*skipped, *dropped.rows]
    if device.type == "cuda":
        rows.append(Row(figure="memory of the GPU in use", p50=used_on_device(device) / 2**20, unit="MiB",
                        note="of everything on it, at the end"))  # fmt: skip
    tell("Measuring power", 1.0)
    gpu = (device.index or 0) if device.type == "cuda" else None
    left = [one for one in subjects if one.name not in dropped]
    return [*rows, *energy_rows(left, shown, meters(gpu=gpu))]


def _answerers(subjects: Sequence[Subject], shown: Sequence[RgbdFrame], dropped: Dropped) -> list[Answerer]:
    """Of each runtime that can be asked."""
    answerers: list[Answerer] = []
    for subject in subjects:
        with dropped.catching(subject.name, "answer alone"):
            answerers.append(Answerer(subject, shown))
    return answerers


def _memory_row(count: int, *, is_anew: bool) -> Row:
    """The most that this process held while runtimes looked."""
    figure = "memory of the process, peak"
    if not is_anew:
        return Row(figure=figure, note="this kernel does not let a peak begin anew")
    note = f"while {count} runtimes, all loaded, looked at frames" if count > 1 else "while it looked at frames"
    return Row(figure=figure, p50=resident_bytes(peak=True) / 2**20, unit="MiB", note=note)


def _as_ours(error: BaseException) -> N3dError:
    """An error that is told in a sentence."""
    return error if isinstance(error, N3dError) else BackendError(reason_of(error))


def load_rows(subjects: Sequence[Subject]) -> list[Row]:
    """What loading took.

    Args:
        subjects: loaded runtimes.

    Returns:
        Rows.
    """
    rows = [
        Row(figure="loading", of=one.name, p50=one.load_s, unit="s", note=f"on {one.runtime.backend.device}")
        for one in subjects
    ]
    for figure, part in (("memory, loading", "host_bytes"), ("memory of the GPU, loading", "device_bytes")):
        rows += [
            Row(figure=figure, of=one.name, p50=value / 2**20, unit="MiB", note="most that was added meanwhile")
            for one in subjects
            if (value := getattr(one, part)) == value
        ]
    return rows


def bandwidth_rows(device: Any) -> tuple[float, list[Row]]:
    """What the memory gives.

    Args:
        device: torch device where models compute.

    Returns:
        Bytes per second of reading, as measured, or NaN; and the rows, with the data sheet's beside them where the GPU
        is known.
    """
    try:
        speed = bandwidth(device)
    except FAILURES as error:
        return math.nan, [Row(figure="memory bandwidth, read", note=reason_of(error))]
    rows = [
        Row(figure=f"memory bandwidth, {name}", p50=value / 1e9, unit="GB/s", note=f"measured in this run on {device}")
        for name, value in speed.items()
    ]
    known = nominal_bandwidth(gpu_name(device))
    if known is not None:
        rows.append(Row(figure="memory bandwidth, data sheet", p50=known / 1e9, unit="GB/s", note="for comparison"))
    return speed["read"], rows


def _transformers_beside(answerers: Sequence[Answerer], plan: Plan) -> tuple[list[TransformersAnswerer], list[Row]]:
    """``generate`` over each checkpoint's weights, once, and rows about models beside which it cannot be."""
    theirs: list[TransformersAnswerer] = []
    rows = []
    for title in dict.fromkeys(one.subject.wanted.title for one in answerers):
        of = [one for one in answerers if one.subject.wanted.title == title and one.subject.wanted.checkpoint]
        why = "" if of else "exported graphs, which transformers does not run; name the weights too"
        why = why if plan.transformers else "not asked for"
        if not why:
            try:
                theirs.append(TransformersAnswerer(of[0]))
            except FAILURES as error:
                why = reason_of(error)
        rows += [Row(figure="answer alone", of=f"{title}, {TRANSFORMERS}", note=why)] if why else []
    return theirs, rows
