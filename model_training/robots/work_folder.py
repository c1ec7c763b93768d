"""WORK: the folder between the two steps, with what the node found, unrounded, and what a person corrects.

::

    WORK/labels.txt           the file to edit
    WORK/pictures/NAME.jpg    the frames with numbered boxes; look.html shows them
    WORK/frames/NAME.json     camera, up and boxes as found; NAME.jpg, NAME.depth.png, NAME.masks.png the images
    WORK/work.json            which recording, and which frames labels.txt was given

NAME is the time after the recording's first image, seconds. A frame's JSON is written last: a frame that has one is
whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from model_training.data.records import FrameRecord
from model_training.robots.label_file import FILE_NAME
from n3d_ros.errors import InputError
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.whole_files import read_json, write_json, write_whole

FORMAT, VERSION = "n3d robot labels", 1
WORK_FILE, FRAMES, PICTURES, CONTROL = "work.json", "frames", "pictures", "control"
FRAME_NAME = re.compile(r"\d{4,}\.\d{3}$")
UP_SOURCES = ("tf", "surface", "picture")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoundObject:
    """One object as it was found.

    Args:
        number: in its frame, and of the same thing in other frames, as far as it could be followed.
        label: words.
        box: camera optical frame.
        score: 0 to 1; None: unknown.
        support_ratio: share of its visible surface that points back; None: unknown.
        color: colour word, "" when unknown.
        shape: shape word, "" when unknown.
        has_mask: whether its pixels are marked in the frame's masks.
    """

    number: int
    label: str
    box: Box3D
    score: float | None = None
    support_ratio: float | None = None
    color: str = ""
    shape: str = ""
    has_mask: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundFrame:
    """One frame as it was found.

    Args:
        name: seconds into the recording.
        stamp_ns: of the colour image.
        frame_id: the camera's optical frame in the recording.
        intrinsics: of the rectified images.
        up: (3,) unit vector against gravity, camera optical frame, from ``up_source``.
        up_source: "tf"; "surface": a table or floor that was found; "picture": nothing told it, the picture's up.
        objects: by number.
        fixed_frame: a frame of tf in which things that stand still stay where they are; "": none is known.
        fixed_T_camera: where the camera was in it; None: unknown.
        image: JPEG bytes.
        depth_png: 16-bit PNG bytes, millimetres.
        masks_png: 16-bit PNG bytes of object numbers, empty without masks.
        boxes_by: what found the boxes; a folder's frames may be looked at by several. "": the recording's.
    """

    name: str
    stamp_ns: int
    frame_id: str
    intrinsics: CameraIntrinsics
    up: tuple[float, float, float]
    up_source: str
    objects: tuple[FoundObject, ...]
    fixed_frame: str = ""
    fixed_T_camera: RigidTransform | None = None
    image: bytes = b""
    depth_png: bytes = b""
    masks_png: bytes = b""
    boxes_by: str = ""

    @property
    def seconds(self) -> float:
        """Into the recording."""
        return float(self.name)

    def record(self, *, source: str = "bag", split: str = "train") -> FrameRecord:
        """The frame without objects, as a record, which decodes and checks its images.

        Args:
            source: of the record.
            split: of the record.

        Returns:
            The record; ``labels_png`` holds the masks as found.
        """
        return FrameRecord(
            id=self.name,
            source=source,
            split=split,
            image=self.image,
            depth_png=self.depth_png,
            intrinsics=self.intrinsics,
            up=self.up,
            labels_png=self.masks_png,
            stamp_ns=self.stamp_ns,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Which recording the frames are of.

    Args:
        name: of the bag.
        digest: of topics, counts and times, so that another one of that name is told apart.
        grounder: what found the boxes.
        color: topic.
        depth: topic; "" where a model found depth.
        start_ns: stamp of its first colour image, from which names count.
        duration_s: of the bag.
    """

    name: str
    digest: str
    grounder: str
    color: str
    depth: str
    start_ns: int
    duration_s: float

    @property
    def told(self) -> str:
        """Which it is, for people."""
        return f"{self.name!r} ({self.color} with {self.depth or 'no depth'}, {self.duration_s:.1f} s)"


@dataclass(frozen=True, kw_only=True)
class WorkFolder:
    """A folder with frames of one recording.

    Args:
        path: of the folder.
        recording: which.
        listed: names of the frames that labels.txt was given; a person may have deleted some there.
    """

    path: Path
    recording: Recording
    listed: tuple[str, ...] = field(default=())

    @property
    def labels(self) -> Path:
        """The file to edit."""
        return self.path / FILE_NAME

    @classmethod
    def open(cls, path: Path) -> WorkFolder:
        """The folder that the first step has made.

        Args:
            path: of the folder.

        Returns:
            The folder.

        Raises:
            InputError: there is none, or it is of another version.
        """
        about = read_json(path / WORK_FILE)
        if about is None:
            raise InputError(
                f"{path}: expected a folder made by `n3d dataset from-bag BAG --out {path}`; it has no {WORK_FILE} "
                "that can be read."
            )
        if about.get("format") != FORMAT or about.get("version") != VERSION:
            raise InputError(
                f"{path / WORK_FILE}: expected format {FORMAT!r}, version {VERSION}, got {about.get('format')!r}, "
                f"version {about.get('version')!r}."
            )
        try:
            recording = Recording(**{one.name: about["recording"][one.name] for one in fields(Recording)})
            listed = tuple(str(name) for name in about["listed"])
        except (KeyError, TypeError) as error:
            raise InputError(f"{path / WORK_FILE}: wrong or missing: {error}.") from error
        return cls(path=path, recording=recording, listed=listed)

    @classmethod
    def begin(cls, path: Path, recording: Recording) -> WorkFolder:
        """The folder for a recording's frames: a new one, or the one that was begun.

        Args:
            path: of the folder.
            recording: which.

        Returns:
            The folder.

        Raises:
            InputError: it holds frames of another recording, or other files.
        """
        if (path / WORK_FILE).exists():
            there = cls.open(path)
            if there.recording.digest != recording.digest:
                raise InputError(
                    f"{path} holds frames of the recording {there.recording.told}, and this is another one, "
                    f"{recording.told}. Choose another folder; `--finish` takes several at once."
                )
            return there
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InputError(f"{path}: expected a new or an empty folder, or one of this recording; choose another.")
        made = cls(path=path, recording=recording)
        made.save()
        return made

    def save(self) -> None:
        """Writes work.json."""
        about = {"format": FORMAT, "version": VERSION, "recording": asdict(self.recording), "listed": list(self.listed)}
        write_json(self.path / WORK_FILE, about)

    def names(self) -> tuple[str, ...]:
        """Names of the frames that are there, whole, in order of time."""
        found = [path.name.removesuffix(".json") for path in (self.path / FRAMES).glob("*.json")]
        return tuple(sorted((name for name in found if FRAME_NAME.match(name)), key=float))

    def put(self, frame: FoundFrame) -> None:
        """Writes a frame.

        Args:
            frame: with its images.
        """
        base = self.path / FRAMES
        write_whole(base / f"{frame.name}.jpg", frame.image)
        write_whole(base / f"{frame.name}.depth.png", frame.depth_png)
        if frame.masks_png:
            write_whole(base / f"{frame.name}.masks.png", frame.masks_png)
        write_json(base / f"{frame.name}.json", _frame_values(frame))

    def get(self, name: str, *, images: bool = True) -> FoundFrame:
        """A frame that was written.

        Args:
            name: one of ``names``.
            images: whether its images are read too.

        Returns:
            The frame.

        Raises:
            InputError: its files cannot be read, or were changed by hand.
        """
        base = self.path / FRAMES
        values = read_json(base / f"{name}.json")
        try:
            if values is None:
                raise ValueError("it is no JSON")
            files = {"image": f"{name}.jpg", "depth_png": f"{name}.depth.png"}
            files |= {"masks_png": f"{name}.masks.png"} if values["masks"] else {}
            if not images:
                return _frame_of(values, {})
            return _frame_of(values, {field: (base / file).read_bytes() for field, file in files.items()})
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise InputError(
                f"{base / name}.json and the images beside it: expected what the first step wrote ({error}). Delete "
                "the frame's files there and give the first step's command again."
            ) from error


def name_of(stamp_ns: int, start_ns: int) -> str:
    """A frame's name: seconds after the recording's first image, to the millisecond.

    Args:
        stamp_ns: of the frame.
        start_ns: of the first image; a stamp before it counts as that.

    Returns:
        Such as "0012.500".
    """
    return f"{max(stamp_ns - start_ns, 0) / 1e9:08.3f}"


def _frame_values(frame: FoundFrame) -> dict[str, Any]:
    """A frame as plain values; Python writes floats so that they are read back the same."""
    return {
        "name": frame.name,
        "stamp_ns": frame.stamp_ns,
        "frame_id": frame.frame_id,
        "camera": asdict(frame.intrinsics),
        "up": list(frame.up),
        "up_source": frame.up_source,
        "fixed_frame": frame.fixed_frame,
        "fixed_T_camera": None if frame.fixed_T_camera is None else frame.fixed_T_camera.matrix.tolist(),
        "masks": bool(frame.masks_png),
        "boxes_by": frame.boxes_by,
        "objects": [_object_values(one) for one in frame.objects],
    }


def _object_values(one: FoundObject) -> dict[str, Any]:
    """An object as plain values."""
    values = {each.name: getattr(one, each.name) for each in fields(one) if each.name != "box"}
    box = {name: getattr(one.box, name).tolist() for name in ("center", "size", "orientation_xyzw")}
    return values | {"box": box}


def _frame_of(values: Mapping[str, Any], images: Mapping[str, bytes]) -> FoundFrame:
    """The frame of plain values."""
    a, b, c = (float(value) for value in values["up"])
    pose = None if values["fixed_T_camera"] is None else np.array(values["fixed_T_camera"], np.float64)
    return FoundFrame(
        name=str(values["name"]),
        stamp_ns=int(values["stamp_ns"]),
        frame_id=str(values["frame_id"]),
        intrinsics=CameraIntrinsics(**values["camera"]),
        up=(a, b, c),
        up_source=str(values["up_source"]),
        objects=tuple(_objects_of(values["objects"])),
        fixed_frame=str(values["fixed_frame"]),
        boxes_by=str(values.get("boxes_by", "")),
        fixed_T_camera=None if pose is None else RigidTransform(rotation=pose[:3, :3], translation=pose[:3, 3]),
        **images,
    )


def _objects_of(listed: Iterable[Mapping[str, Any]]) -> Iterable[FoundObject]:
    """The objects of plain values."""
    for values in listed:
        box = {name: np.array(numbers, np.float64) for name, numbers in values["box"].items()}
        yield FoundObject(**{**values, "box": Box3D(**box)})
