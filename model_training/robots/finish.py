"""The second step: from corrected folders to data sets. Every line is checked before anything is written.

::

    OUT/train, OUT/validation, OUT/held_out    a data set each, so that none can be trained on by mistake
    OUT/from_bag.json, contact_sheet.jpg       what came of it, and a look at it
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_training.data.folder import DatasetFolder
from model_training.data.pictures import encode_jpeg
from model_training.data.records import SPLITS, FrameRecord
from model_training.robots.editing import EditedFrame, edited_frames
from model_training.robots.label_file import COMPLETE, UNCHECKED, Fault, LabelFileError
from model_training.robots.label_reading import read_labels
from model_training.robots.pictures import QUALITY, control_picture
from model_training.robots.plan import Planned, plan_of
from model_training.robots.records import Origin, robot_record
from model_training.robots.split_folders import created
from model_training.robots.time_split import SplitConfig
from model_training.robots.work_folder import CONTROL, FRAME_NAME, WorkFolder
from n3d_ros.depth.files.preview import MAX_TILES, contact_sheet
from n3d_ros.depth.files.run_lock import only_run_in
from n3d_ros.errors import ConfigurationError, InputError
from n3d_ros.whole_files import write_json, write_whole

OnFrame = Callable[[str, int, int], None]
REPORT_FILE, SHEET_FILE = "from_bag.json", "contact_sheet.jpg"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishConfig:
    """How corrected frames become a data set.

    Args:
        split: which frames train and which test.
        only_checked: leave out frames that nobody has checked.
        frames_per_shard: of the data set's files.
        licence: of the images; "": made here.
    """

    split: SplitConfig = field(default_factory=SplitConfig)
    only_checked: bool = False
    frames_per_shard: int = 256
    licence: str = ""

    def __post_init__(self) -> None:
        """Checks the size of a shard.

        Raises:
            ConfigurationError: below one.
        """
        if self.frames_per_shard < 1:
            raise ConfigurationError(f"frames_per_shard: expected 1 or more, got {self.frames_per_shard}.")


@dataclass(kw_only=True)
class Finished:
    """What the second step came to.

    Args:
        path: of the folder that holds the data sets.
        datasets: the data set of each split that has frames.
        frames: number of them, by split.
        objects: boxes, by label.
        without_points: boxes that too few measured points show for a visible box.
        statuses: frames that are used, by how far a person is with them.
        teach_to_find: frames of the split "train" that are marked complete.
        changes: what was changed, in boxes, by kind.
        left_out: frames that are not used, by reason.
        notes: sentences: what was asked for and could not be done.
        edited_unchecked: frames of which lines were changed and that are still marked as unchecked.
        there_before: whether all of it had been made before.
    """

    path: Path
    datasets: Mapping[str, DatasetFolder]
    frames: Counter[str] = field(default_factory=Counter)
    objects: Counter[str] = field(default_factory=Counter)
    without_points: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    teach_to_find: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    edited_unchecked: int = 0
    there_before: bool = False

    def records(self, *, images: bool = True) -> Iterator[FrameRecord]:
        """Every frame that was written, split by split.

        Args:
            images: False leaves the images out.

        Yields:
            Frames, as they are read back.
        """
        for dataset in self.datasets.values():
            yield from dataset.frames(images=images)


def finish(
    works: Sequence[Path],
    out: Path,
    config: FinishConfig,
    *,
    force: bool = False,
    on_frame: OnFrame = lambda _phase, _done, _total: None,
) -> Finished:
    """Writes the data sets of one or several corrected folders, and pictures for control.

    Args:
        works: folders of the first step, each of another recording.
        out: folder for the data sets, one for each split.
        config: how.
        force: replace data sets made here before.
        on_frame: told what is done, with how many frames, and of how many.

    Returns:
        What came of it.

    Raises:
        LabelFileError: lines that cannot be used, all of them; nothing is written then.
        InputError: folders that cannot be read, or nothing to write.
        ConfigurationError: the place is taken, another run writes there, or it cannot be written.
    """
    folders = _opened(works)
    edits = _checked([(one, *_edits_of(one, on_frame)) for one in folders])
    plan, left_out = plan_of(edits, config.split, only_checked=config.only_checked)
    if not plan:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items()) or "labels.txt lists none"
        raise InputError(f"No frame is left for the data set ({reasons}). Mark frames as checked or complete.")
    frames = Counter(one.split for one in plan)
    shards = {split: -(-frames[split] // config.frames_per_shard) for split in SPLITS if frames[split]}
    with ExitStack() as stack:
        for path in dict.fromkeys(one.resolve() for one in (out, *works)):
            stack.enter_context(only_run_in(path))
        datasets = created(out, _values(folders, config), shards, force=force)
        missing = {split: dataset.missing("frames") for split, dataset in datasets.items()}
        _write(datasets, plan, config, missing, on_frame)
        _remove_old_controls(folders, plan)
        done = Finished(path=out, datasets=datasets, left_out=left_out, there_before=not any(missing.values()))
        _count(done, plan, edits)
        _report(done, plan)
        return done


def _opened(paths: Sequence[Path]) -> list[WorkFolder]:
    """The folders, each of another recording."""
    folders = [WorkFolder.open(path) for path in paths]
    seen: dict[str, Path] = {}
    for one in folders:
        if one.recording.digest in seen:
            raise InputError(
                f"{one.path} and {seen[one.recording.digest]} are of one recording, {one.recording.name!r}; finish one "
                "of them."
            )
        seen[one.recording.digest] = one.path
    return folders


def _edits_of(work: WorkFolder, on_frame: OnFrame) -> tuple[list[EditedFrame], list[Fault]]:
    """The frames of a folder as a person means them, and what is wrong with its lines."""
    labels, faults = read_labels(work.labels)
    return edited_frames(work, labels, faults, partial(on_frame, "checking")), faults


def _checked(
    edits: Sequence[tuple[WorkFolder, list[EditedFrame], list[Fault]]],
) -> list[tuple[WorkFolder, list[EditedFrame]]]:
    """The edits, where no line has a fault; else one error about all of them."""
    errors = [LabelFileError(str(work.labels), faults) for work, _, faults in edits if faults]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise InputError("\n".join(one.message for one in errors), reason=LabelFileError.default_reason)
    return [(work, frames) for work, frames, _ in edits]


def _values(folders: Sequence[WorkFolder], config: FinishConfig) -> dict[str, Any]:
    """What decides the content, as plain values."""
    return {
        "recordings": [
            {
                "bag": one.recording.name,
                "digest": one.recording.digest,
                "labels_sha256": hashlib.sha256(one.labels.read_bytes()).hexdigest(),
            }
            for one in folders
        ],
        "split": {name: getattr(config.split, name) for name in ("validation", "held_out", "gap_s")},
        "only_checked": config.only_checked,
        "licence": config.licence,
    }


def _write(
    datasets: Mapping[str, DatasetFolder],
    plan: Sequence[Planned],
    config: FinishConfig,
    missing: Mapping[str, Sequence[int]],
    on_frame: OnFrame,
) -> None:
    """Writes the shards that are missing."""
    size = config.frames_per_shard
    parts: list[tuple[DatasetFolder, int, Sequence[Planned]]] = []
    for split, dataset in datasets.items():
        own = [one for one in plan if one.split == split]
        parts += [(dataset, number, own[number * size : (number + 1) * size]) for number in missing[split]]
    total, done = sum(len(part) for _, _, part in parts), 0

    def records(part: Sequence[Planned]) -> Iterator[FrameRecord]:
        nonlocal done
        for one in part:
            yield _record(one, config.licence)
            done += 1
            on_frame("writing", done, total)

    for dataset, number, part in parts:
        dataset.write_frames(number, records(part))


def _record(one: Planned, licence: str) -> FrameRecord:
    """The record of a frame; its picture for control is written beside the labels."""
    found = one.work.get(one.edited.found.name)
    origin = Origin(recording=one.work.recording, licence=licence)
    record = robot_record(one.edited, found, origin, split=one.split)
    labels = record.labels
    if labels is not None:
        picture = control_picture(found, one.edited, labels)
        write_whole(one.work.path / CONTROL / f"{found.name}.jpg", encode_jpeg(picture, QUALITY))
    return record


def _remove_old_controls(folders: Sequence[WorkFolder], plan: Sequence[Planned]) -> None:
    """Removes pictures for control of frames that an earlier data set had and this one has not."""
    used = {(one.work.path, one.edited.found.name) for one in plan}
    for work in folders:
        for picture in (work.path / CONTROL).glob("*.jpg"):
            if FRAME_NAME.match(picture.stem) and (work.path, picture.stem) not in used:
                picture.unlink(missing_ok=True)


def _count(done: Finished, plan: Sequence[Planned], edits: Sequence[tuple[WorkFolder, list[EditedFrame]]]) -> None:
    """Counts what the data set holds, as it is read back, and what a person changed."""
    for record in done.records(images=False):
        done.frames[record.split] += 1
        for one in record.objects:
            done.objects[one.label] += 1
            done.without_points += one.visible_box is None
    done.statuses.update(one.edited.status for one in plan)
    done.teach_to_find = sum(one.split == "train" and one.edited.status == COMPLETE for one in plan)
    done.edited_unchecked = sum(one.edited.by_hand for one in plan if one.edited.status == UNCHECKED)
    for work, frames in edits:
        for frame in frames:
            done.changes.update(frame.changes)
            done.notes += [f"{work.labels}, {note}" for note in frame.notes]


def _report(done: Finished, plan: Sequence[Planned]) -> None:
    """What came of it as JSON, and a sheet of pictures from all over it."""
    folder = done.path
    values: dict[str, Any] = {
        name: dict(getattr(done, name)) for name in ("frames", "objects", "statuses", "changes", "left_out")
    }
    write_json(folder / REPORT_FILE, values | {"without_points": done.without_points, "notes": done.notes})
    shown = [plan[k] for k in np.linspace(0, len(plan) - 1, min(len(plan), MAX_TILES)).astype(int)]
    pictures = [(_control(one), one.edited.found.name) for one in shown]
    known = [(picture, name) for picture, name in pictures if picture is not None]
    if known:
        sheet = contact_sheet([picture for picture, _ in known], [name for _, name in known])
        write_whole(folder / SHEET_FILE, encode_jpeg(sheet, QUALITY))


def _control(one: Planned) -> NDArray[np.uint8] | None:
    """The picture for control that was written; None when somebody removed it."""
    import cv2

    data = one.work.path / CONTROL / f"{one.edited.found.name}.jpg"
    picture = cv2.imread(str(data), cv2.IMREAD_COLOR) if data.exists() else None
    return None if picture is None else np.ascontiguousarray(picture[..., ::-1], dtype=np.uint8)
