"""What ``n3d depth`` says: how far it is, what it found, and the summary for programs."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from n3d_ros.cli.console import plain, progress, size_text
from n3d_ros.scene.answers.wording import counted

if TYPE_CHECKING:
    from n3d_ros.depth.files.records import FrameRecord
    from n3d_ros.depth.files.run_folder import RunFolder
    from n3d_ros.depth.files.session import DepthSession
    from n3d_ros.depth.files.sources import FrameSource
    from n3d_ros.depth.model import DepthModel
    from n3d_ros.depth.streaming.stream import ChunkReport

LINE_EVERY_S = 5.0  # where standard error is no terminal
NOTES_SHOWN = 8
SECONDS_DIGITS = 3


def say(line: str) -> None:
    """A line on standard error, beside the results.

    Args:
        line: may hold what came from files.
    """
    print(plain(line, 2000), file=sys.stderr, flush=True)


def loading_lines(should_stop: Callable[[], bool]) -> Callable[[str, float], None]:
    """Takes the progress of loading a model.

    Args:
        should_stop: once true, loading ends.

    Returns:
        Prints a line now and then.
    """
    from n3d_ros.ros.loading import LoadingProgress

    return LoadingProgress(say, should_stop, "the depth model")


def tell_start(source: FrameSource, folder: RunFolder) -> None:
    """Says what is about to be done.

    Args:
        source: the input.
        folder: opened.
    """
    from n3d_ros.depth.files.run_folder import Found

    count = "frames" if source.count is None else counted(source.count, "frame")
    say(f"{source.kind}: {count}")
    if folder.found is Found.UNFINISHED:
        say(f"{folder.path} holds an unfinished run of the same command: frames that are done are not computed again")
    if folder.found is Found.OTHER_SETTINGS:
        say(f"{folder.path} held results of other settings or of another input; they go, everything is computed anew")


def tell_complete(path: Path) -> None:
    """Says that there is nothing to do.

    Args:
        path: of the results.
    """
    print(f"{path} is complete: the same input, model and settings. --force computes it anew.")


class FrameProgress:
    """How far the frames are: a bar on a terminal, a line now and then elsewhere. Use it as a context manager.

    Args:
        total: frames, None when unknown.
        mode: how they are seen.
    """

    def __init__(self, total: int | None, mode: str) -> None:
        self._total, self._mode = total, mode
        self._is_terminal = sys.stderr.isatty()
        self._bar: Any = None
        self._done = 0
        self._told_s = time.monotonic()

    def __enter__(self) -> FrameProgress:
        """Shows the bar.

        Returns:
            Itself.
        """
        if self._is_terminal:
            self._bar = progress(self._total, f"depth ({self._mode})", unit=" frames")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the bar."""
        if self._bar is not None:
            self._bar.close()

    def advance(self, record: FrameRecord) -> None:
        """One frame is done.

        Args:
            record: of it.
        """
        self._done += 1
        if self._bar is not None:
            self._bar.set_postfix_str(record.camera.name[-24:], refresh=False)
            self._bar.update(1)
        elif time.monotonic() - self._told_s >= LINE_EVERY_S:
            self._told_s = time.monotonic()
            say(f"depth: {self._done} of {self._total or '?'} frames")

    def chunk(self, report: ChunkReport) -> None:
        """One chunk is done.

        Args:
            report: of it.
        """
        where = "taken from disk" if report.from_disk else "estimated"
        line = f"chunk {report.number}: frames {report.first_frame} to {report.first_frame + report.views - 1} {where}"
        if self._bar is not None:
            self._bar.set_description_str(f"depth (chunk {report.number})", refresh=True)
        else:
            say(line)


def finish(
    session: DepthSession,
    *,
    source: FrameSource,
    model: DepthModel,
    mode: str,
    seconds: float,
    interrupted: int | None,
) -> int:
    """Writes what is made of all frames, and says what came of it.

    Args:
        session: with the frames that are done.
        source: the input.
        model: that was asked.
        mode: how frames were seen.
        seconds: that the frames took.
        interrupted: exit code after Ctrl-C; None when everything was read.

    Returns:
        The exit code.
    """
    from n3d_ros.depth.files.scene_files import SUMMARY_FILE, summary_document, write_scene_files
    from n3d_ros.whole_files import write_json

    path = session.folder.path
    if interrupted is not None:
        session.folder.save()
        total = "" if source.count is None else f" of {source.count}"
        say(f"n3d: interrupted; {len(session.records)}{total} frames are done. The same command goes on from here.")
        return interrupted
    records = session.in_order
    all_notes = [*source.notes, *_nothing_found(session), *_frame_notes(records)]
    files: tuple[str, ...] = ()
    if records:
        world, z_is_up = world_of(source, records)
        files, more = write_scene_files(path, records, session.choices, world=world, z_is_up=z_is_up)
        all_notes += more
    facts = {
        "input": dict(source.identity),
        "model": {"name": model.name, "device": model.device, "facts": list(model.facts())},
        "views": mode,
        "settings": dict(session.folder.settings),
        "png_unit_relative": session.folder.relative_unit,
        "frames_of_earlier_run": session.reused,
        "frames_computed": session.computed,
        "frames_without_depth": dict(session.without_depth),
        "seconds": round(seconds, SECONDS_DIGITS),
        "frames_per_second": round(session.computed / seconds, SECONDS_DIGITS) if seconds else None,
    }
    write_json(path / SUMMARY_FILE, summary_document(records, files=files, notes=all_notes, facts=facts))
    everything = (*files, SUMMARY_FILE, *(name for record in records for name in record.files))
    session.folder.finish(everything)
    _tell(session, model, all_notes, seconds, everything)
    return 0 if records else 1


def world_of(source: FrameSource, records: Sequence[FrameRecord]) -> tuple[str, bool]:
    """What positions are given in.

    Args:
        source: the input.
        records: frames that are done.

    Returns:
        In words, and whether its z axis points up.
    """
    frame = getattr(getattr(source, "bag", None), "still_frame", None)
    if frame is not None and any(record.camera.pose_source == "given" for record in records):
        return f"frame {frame}", True
    return "optical frame of the first camera: x right, y down, z forward", False


def _nothing_found(session: DepthSession) -> list[str]:
    """One sentence on frames without depth."""
    if not session.without_depth:
        return []
    name, why = next(iter(session.without_depth.items()))
    return [f"{counted(len(session.without_depth), 'frame')} without depth and without files; the first, {name}: {why}"]


def _frame_notes(records: Sequence[FrameRecord]) -> list[str]:
    """The sentences of the frames, each kind once with the number of frames."""
    alike: dict[str, list[str]] = {}  # sentences that differ in their numbers alone
    for record in records:
        for note in record.notes:
            alike.setdefault(re.sub(r"[\d.,]+", "#", note), []).append(note)
    lines = [
        notes[0]
        if len(notes) == len(records) and len(set(notes)) == 1
        else f"{notes[0]} ({counted(len(notes), 'frame')})"
        for notes in alike.values()
    ]
    far = sum(record.too_far or 0 for record in records)
    near = sum(record.too_near or 0 for record in records)
    if far:
        lines.append(
            f"16-bit depth images: {far} pixels lie beyond their range and are 0 (none) there; a larger --png-unit "
            "holds them, and npz holds everything"
        )
    if near:
        lines.append(f"16-bit depth images: {near} pixels are nearer than half a count and are 0 (none) there")
    return lines


def _tell(session: DepthSession, model: DepthModel, notes: Sequence[str], seconds: float, files: Sequence[str]) -> None:
    """Prints what came of it."""
    records = session.in_order
    print("Found by:")
    for fact in model.facts():
        print(f"  {plain(fact, 300)}")
    for note in notes[:NOTES_SHOWN]:
        print(f"note: {plain(note, 500)}")
    if len(notes) > NOTES_SHOWN:
        print(f"and {len(notes) - NOTES_SHOWN} more notes in summary.json")
    print(scale_sentence(records, gives_metres=model.gives_metres, gives_poses=model.gives_poses))
    rate = session.computed / seconds if seconds else 0.0
    again = f", {session.reused} were there already" if session.reused else ""
    size = sum((session.folder.path / name).stat().st_size for name in files)
    print(
        f"{counted(len(records), 'frame')} in {seconds:.1f} s ({rate:.2f} frames/s{again}); "
        f"{len(files)} files, {size_text(size)}, in {session.folder.path}/"
    )


def _missing(records: Sequence[FrameRecord], *, gives_metres: bool, gives_poses: bool) -> str:
    """What would give metres, of what is not there."""
    cameras = [record.camera for record in records]
    is_calibrated = all(camera.intrinsics is not None and not camera.intrinsics_estimated for camera in cameras)
    if gives_metres:
        return "the notes say why" if is_calibrated else "the metric model needs a calibration (--intrinsics)"
    if not gives_poses:
        return "this model knows none (--model depth-anything/DA3METRIC-LARGE, with --intrinsics, does)"
    needed = "--metric MODEL" if is_calibrated else "--metric MODEL and --intrinsics"
    if any(camera.pose_source == "given" for camera in cameras):
        return f"the given poses tell none, as the notes say ({needed} would)"
    return f"nothing here knows metres ({needed}, or a recording with tf, give them)"


def scale_sentence(records: Sequence[FrameRecord], *, gives_metres: bool, gives_poses: bool) -> str:
    """What the numbers mean, in one sentence.

    Args:
        records: frames that are done.
        gives_metres: whether there was a metric model.
        gives_poses: whether the model sees several images together.

    Returns:
        A sentence.
    """
    metric = [record for record in records if record.is_metric]
    if not records:
        return "No frame gave a result."
    if not metric:
        return f"Scale: RELATIVE, not metres: {_missing(records, gives_metres=gives_metres, gives_poses=gives_poses)}."
    known = [record.depth_quantiles for record in metric if record.depth_quantiles is not None]
    near, far = min(one[0] for one in known), max(one[2] for one in known)
    sources = {"poses": "from the given camera poses", "metric_model": "from the metric model"}
    how = " and ".join(sorted({sources[record.camera.scale_source] for record in metric}))
    guessed = any(record.camera.intrinsics_estimated for record in metric)
    focal = (
        "; the focal length is the model's estimate, and the scale as good as that (--intrinsics)" if guessed else ""
    )
    part = (
        f", for {len(metric)} of {len(records)} frames; the others are RELATIVE" if len(metric) < len(records) else ""
    )
    return f"Scale: metres {how}, {near:.2f} to {far:.2f} m{part}{focal}."
