"""A frame as found and its lines in labels.txt, put together: the boxes a person means."""

from __future__ import annotations

import difflib
import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from model_training.data.records import FrameRecord
from model_training.robots.frame_images import check_images
from model_training.robots.label_file import (
    NEW,
    Fault,
    FrameLabels,
    LabelFile,
    LabelLine,
    Pixel,
    Rename,
    written_label,
)
from model_training.robots.level import BoxWords, LevelAxes
from model_training.robots.work_folder import FoundFrame, FoundObject, WorkFolder
from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.camera import CameraIntrinsics, project, unproject
from n3d_ros.refine.refine import RefineConfig, refine_box

MIN_SIZE_CM, MAX_SIZE_CM = 0.3, 2000.0  # the height of a plate, and a lorry; sizes in metres fall below
MAX_PLACE_CM = 6500.0  # depth images in millimetres end here
NEAREST_M = 0.02  # of a box's middle, before the camera
SPACING_PX = 3.0  # between neighbouring points of a surface that is seen at a slant
DEPTH_WINDOW_PX = 4  # around a pixel that a person points at, where that one has no depth


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EditedObject:
    """One object as a person means it.

    Args:
        id: its number in the frame.
        label: words.
        box: camera optical frame.
        found: what the node found; None: a person added it.
        is_moved: whether the box is another one than was found.
    """

    id: int
    label: str
    box: Box3D
    found: FoundObject | None
    is_moved: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EditedFrame:
    """One frame as a person means it.

    Args:
        found: as it was found.
        status: one of ``STATUSES``.
        objects: those that are kept.
        changes: how many objects were changed, by kind: "added", "left_out", "renamed", "moved", "refitted".
        by_hand: whether any of its own lines was changed, other than by "rename:" for all frames.
        notes: sentences: what was asked for and could not be done.
    """

    found: FoundFrame
    status: str
    objects: tuple[EditedObject, ...]
    changes: Counter[str]
    by_hand: bool = False
    notes: tuple[str, ...] = ()


class Renames:
    """What the "rename:" lines say of an object.

    Args:
        listed: the lines.
    """

    def __init__(self, listed: Sequence[Rename]) -> None:
        self._numbers = {one.number: one for one in listed if one.number is not None}
        self._labels = {one.label: one for one in listed if one.number is None}

    def target(self, number: int, label: str) -> tuple[bool, str]:
        """Whether an object stays, and its label then; a line for its number counts more than one for its label.

        Args:
            number: its number.
            label: as it was written first.

        Returns:
            Both.
        """
        line = self._numbers.get(number) or self._labels.get(label)
        if line is None:
            return True, label
        return line.target is not None, line.target or label


def rename_faults(labels: LabelFile, found: Sequence[FoundFrame]) -> list[Fault]:
    """The "rename:" lines that name nothing that was found: misspelt ones.

    Args:
        labels: the file.
        found: every frame.

    Returns:
        Faults.
    """
    known = {written_label(one.label) for frame in found for one in frame.objects}
    numbers = {one.number for frame in found for one in frame.objects}
    faults = []
    for line in labels.renames:
        if line.number is not None and line.number not in numbers:
            faults.append(Fault(line=line.line, message=f"#{line.number}: no box of that number was found."))
        elif line.number is None and line.label not in known:
            near = difflib.get_close_matches(line.label, known, n=1)
            meant = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(known)[:20])}."
            faults.append(Fault(line=line.line, message=f"nothing was found as {line.label!r}. {meant}"))
    return faults


class FrameEditor:
    """Applies the lines of one frame.

    Args:
        found: the frame, with its images.
        renames: for all frames.
        faults: what is wrong with lines is added here.
    """

    def __init__(self, found: FoundFrame, renames: Renames, faults: list[Fault]) -> None:
        self._found, self._renames, self._faults = found, renames, faults
        self._axes = LevelAxes.of(found.up)
        self._by_number = {one.number: one for one in found.objects}
        self._record: FrameRecord = found.record()
        self._points: FloatArray | None = None
        self._changes: Counter[str] = Counter()
        self._notes: list[str] = []
        self._by_hand = False

    def apply(self, labels: FrameLabels) -> EditedFrame:
        """The frame as a person means it.

        Args:
            labels: its lines.

        Returns:
            The frame; lines with faults are left out of it.
        """
        kept = [made for one in labels.objects if (made := self._object(one)) is not None]
        listed = {one.number for one in labels.objects}
        deleted = sum(number not in listed for number in self._by_number)
        self._changes["left_out"] += deleted
        self._by_hand |= deleted > 0
        numbers = itertools.count(max([0, *self._by_number]) + 1)
        objects = [one if one.id else replace(one, id=next(numbers)) for one in kept]
        return EditedFrame(
            found=self._found,
            status=labels.status,
            objects=tuple(objects),
            changes=+self._changes,
            by_hand=self._by_hand,
            notes=tuple(self._notes),
        )

    def _object(self, line: LabelLine) -> EditedObject | None:
        """The object of a line; None when it is left out or has a fault."""
        try:
            return self._added(line) if line.number is None else self._corrected(line, line.number)
        except InputError as error:
            self._faults.append(Fault(line=line.line, message=error.message))
            return None

    def _corrected(self, line: LabelLine, number: int) -> EditedObject | None:
        """A box that was found, as its line has it now."""
        known = self._by_number.get(number)
        if known is None:
            there = ", ".join(map(str, sorted(self._by_number))) or "none"
            raise InputError(
                f"frame {self._found.name} has no box of number {number} (it has {there}); a box that you add has the "
                f"number '{NEW}'."
            )
        first = written_label(known.label)
        self._by_hand |= not line.keep or line.label != first or line.refit
        stays, label = self._renames.target(number, first) if line.label == first else (True, line.label)
        if not (line.keep and stays):
            self._changes["left_out"] += 1
            return None
        if isinstance(line.place_cm, Pixel):
            raise InputError("place: a pixel is for a box that you add.")
        told = self._axes.told(known.box)
        _check_words(line.words, told)
        box = self._axes.edited(known.box, line.words)
        self._changes["renamed"] += label != first
        self._changes["moved"] += box is not known.box
        self._by_hand |= box is not known.box
        if box is not known.box:
            check_seen(box, self._found.intrinsics)
        if line.refit:
            box = self._refitted(box, line)
        return EditedObject(id=number, label=label, box=box, found=known, is_moved=box is not known.box)

    def _added(self, line: LabelLine) -> EditedObject | None:
        """A box that a person adds; its id is given later."""
        if not line.keep:
            return None
        _check_words(line.words, None)
        if isinstance(line.place_cm, Pixel):
            box = self._axes.behind(self._surface(line.place_cm), line.words)
        else:
            box = self._axes.new_box(line.words)
        check_seen(box, self._found.intrinsics)
        if line.refit:
            box = self._refitted(box, line)
        self._changes["added"] += 1
        self._by_hand = True
        return EditedObject(id=0, label=line.label, box=box, found=None, is_moved=True)

    def _refitted(self, box: Box3D, line: LabelLine) -> Box3D:
        """The box fitted to the points around it, or as it is with a note."""
        if self._points is None:
            points = unproject(self._record.depth_m, self._found.intrinsics).reshape(-1, 3)
            self._points = points[np.isfinite(points[:, 2])].astype(np.float64)
        # Pixels of a small picture lie far apart: cells that are to touch have to be as large.
        spacing_m = SPACING_PX * float(np.linalg.norm(box.center)) / self._found.intrinsics.fx
        cell_m = min(max(RefineConfig().cell_m, spacing_m), 1.0)
        fitted = refine_box(box, self._points, self._axes.up, config=RefineConfig(cell_m=cell_m))
        if fitted.status == "fitted":
            self._changes["refitted"] += 1
            if self._found.up_source == "picture":
                note = "fitted as if the picture's up were the vertical, which nothing tells"
                self._notes.append(f"line {line.line} ({line.label}): {note}.")
            return fitted.box
        self._notes.append(f"line {line.line} ({line.label}): not fitted, taken as written. {fitted.reason}")
        return box

    def _surface(self, pixel: Pixel) -> FloatArray:
        """(3,) metres: what is seen at a pixel."""
        camera = self._found.intrinsics
        u, v = round(pixel.u), round(pixel.v)
        if not (0 <= u < camera.width and 0 <= v < camera.height):
            raise InputError(
                f"place: pixel {pixel.u:g} {pixel.v:g} lies outside the picture of {camera.width}x{camera.height} px."
            )
        reach = DEPTH_WINDOW_PX
        around = self._record.depth_m[max(v - reach, 0) : v + reach + 1, max(u - reach, 0) : u + reach + 1]
        own = float(self._record.depth_m[v, u])
        if not np.isfinite(around).any():
            raise InputError(
                f"place: no depth was measured within {reach} px of pixel {pixel.u:g} {pixel.v:g}; point at another "
                "place of the thing, or give its place in cm."
            )
        depth_m = own if math.isfinite(own) else float(np.nanmedian(around))
        return depth_m * np.array([(pixel.u - camera.cx) / camera.fx, (pixel.v - camera.cy) / camera.fy, 1.0])


def _check_words(words: BoxWords, told: BoxWords | None) -> None:
    """Nothing; an InputError for a number that no person can mean, where it is not the one that was told."""
    before_size = (None, None, None) if told is None else told.size_cm
    for value, before in zip(words.size_cm, before_size, strict=True):
        if value != before and not MIN_SIZE_CM <= value <= MAX_SIZE_CM:
            hint = " Sizes are in cm: 0.1 m is 10." if 0 < value < MIN_SIZE_CM else ""
            raise InputError(f"size: expected {MIN_SIZE_CM:g} to {MAX_SIZE_CM:g} cm, got {value:g}.{hint}")
    before_place = (None, None, None) if told is None else told.place_cm
    for value, before in zip(words.place_cm, before_place, strict=True):
        if value != before and abs(value) > MAX_PLACE_CM:
            raise InputError(f"place: expected cm within {MAX_PLACE_CM:g}, got {value:g}.")


def check_seen(box: Box3D, camera: CameraIntrinsics) -> None:
    """Refuses a box that the camera cannot see.

    Args:
        box: camera optical frame.
        camera: of the picture.

    Raises:
        InputError: its middle lies behind the camera, or all of it beside the picture.
    """
    if box.center[2] < NEAREST_M:
        raise InputError(
            f"the box lies behind the camera (its middle is {100 * box.center[2]:.0f} cm before the lens); check the "
            "sign of 'ahead', and that places are in cm."
        )
    before = box.corners[box.corners[:, 2] >= NEAREST_M]
    pixels = project(np.vstack([before, box.center]), camera)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    if high[0] < 0 or high[1] < 0 or low[0] > camera.width - 1 or low[1] > camera.height - 1:
        u, v = project(box.center[None], camera)[0]
        raise InputError(
            f"the box lies outside the picture: its middle is at column {u:.0f}, row {v:.0f} of "
            f"{camera.width}x{camera.height} px; check right, ahead and up."
        )


def edited_frames(
    work: WorkFolder, labels: LabelFile, faults: list[Fault], on_frame: Callable[[int, int], None]
) -> list[EditedFrame]:
    """Every frame of a folder as a person means it, without images; skipped ones too.

    Args:
        work: the folder.
        labels: what its labels.txt says.
        faults: what is wrong with lines is added here.
        on_frame: told how many frames are done, and of how many: boxes to fit take a while.

    Returns:
        Frames in order of time; one whose heading was deleted is not among them.
    """
    found = {name: work.get(name, images=False) for name in work.names()}
    faults += rename_faults(labels, list(found.values()))
    renames = Renames(labels.renames)
    edited = []
    for count, lines in enumerate(labels.frames, start=1):
        on_frame(count, len(labels.frames))
        if lines.name not in found:
            near = difflib.get_close_matches(lines.name, found, n=1)
            meant = f" Did you mean {near[0]}?" if near else ""
            message = f"{work.path} holds no frame {lines.name!r}.{meant}"
            faults.append(Fault(line=lines.line, message=message))
            continue
        whole = work.get(lines.name)
        check_images(work, whole)
        one = FrameEditor(whole, renames, faults).apply(lines)
        edited.append(replace(one, found=found[lines.name]))
    return sorted(edited, key=lambda one: one.found.seconds)
