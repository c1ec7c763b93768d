"""Cases of a benchmark's file: its questions, its images, and depth that lies beside them."""

from __future__ import annotations

import itertools
import json
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model_training.data.pictures import depth_to_millimetres, encode_png
from model_training.data.records import FrameRecord, ObjectRecord, QuestionRecord
from model_training.evaluation.benchmark_layouts import LAYOUTS, REGION_NAMES, BenchmarkRow, is_row, layout_of, row_of
from model_training.evaluation.cases import AskedQuestion, Case
from model_training.evaluation.contents import contents_digest
from model_training.lifting.outlines import RunLengths, inside
from n3d_ros.errors import CalibrationError, ConfigurationError, InputError
from n3d_ros.geometry.camera import CameraIntrinsics

MAX_FILE_BYTES = 2**30
MAX_ROWS = 2_000_000
POINT_MAP = "pcd"
"""Key of N3D-VLM's point maps: (H, W, 4), x left, y up, z forward in metres, and whether a pixel is valid."""


class BenchmarkCases:
    """One case per row of a file.

    Args:
        path: JSON (a list, or an object with one) or JSON lines.
        layout: a key of ``LAYOUTS``, or "auto".
        images: folder that image names begin in; None: the file's.
        depth: folder with the depth of the images; None: that of the images.
        fov_deg: horizontal view of images whose camera nothing tells, degrees.
    """

    measures: tuple[str, ...] = ()
    open_classes: bool = True

    def __init__(
        self,
        path: Path,
        *,
        layout: str = "auto",
        images: Path | None = None,
        depth: Path | None = None,
        fov_deg: float = 60.0,
    ) -> None:
        if layout not in ("auto", *LAYOUTS):
            raise ConfigurationError(f"--layout: expected auto, {', '.join(LAYOUTS)}, got {layout!r}.")
        if not 5 <= fov_deg <= 170:
            raise ConfigurationError(f"--fov: expected 5 to 170 degrees, got {fov_deg}.")
        self._path, self._fov_deg = path, fov_deg
        self._images = images or path.parent
        self._depth = depth or self._images
        self._rows = read_rows(path)
        self._layout = layout_of(self._rows[0]) if layout == "auto" else layout
        self._skipped = Counter[str]()
        self.name = f"{path.name} ({self._layout})"

    def identity(self) -> Mapping[str, Any]:
        """The file and its contents, folders and layout."""
        return {
            "benchmark": str(self._path.resolve()),
            "contents": contents_digest([self._path]),
            "rows": len(self._rows),
            "layout": self._layout,
            "images": str(self._images.resolve()),
            "depth": str(self._depth.resolve()),
            "fov_deg": self._fov_deg,
        }

    def count(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def cases(self, *, images: bool = True) -> Iterator[Case]:  # noqa: ARG002
        """A case per row; rows that cannot be read are counted and left out.

        Args:
            images: they are read in any case, since they tell the size.

        Yields:
            Cases.
        """
        self._skipped.clear()
        for number, values in enumerate(self._rows):
            case = self._case_or_none(values, number)
            if case is not None:
                yield case

    def skipped(self) -> Mapping[str, int]:
        """Rows that could not be read, by reason."""
        return self._skipped

    def _case_or_none(self, values: Mapping[str, Any], number: int) -> Case | None:
        """The case of a row; None, and a count, where it cannot be read."""
        try:
            return self._case(row_of(values, self._layout, number), number)
        except (InputError, CalibrationError) as error:
            self._skipped[error.message] += 1
            return None

    def _case(self, row: BenchmarkRow, number: int) -> Case:
        """The frame and the question of a row."""
        frame_id = f"{number:06d}-{_plain(row.id)}"
        image, picture = _read_image(self._images, row.image)
        height, width = picture.shape[:2]
        depth_m, camera = self._depth_of(row, width, height)
        masks = _masks(row, width, height)
        objects = tuple(_objects(row, masks))
        record = FrameRecord(
            id=frame_id,
            source="benchmark",
            split="held_out",
            image=image,
            depth_png=b"" if depth_m is None else encode_png(depth_to_millimetres(depth_m)),
            intrinsics=camera,
            objects=objects,
            labels_png=encode_png(_labels(masks, width, height)) if masks else b"",
        )
        question = QuestionRecord(
            id=f"{frame_id}-q",
            frame_id=frame_id,
            kind="referring" if row.expressions else "reasoning",
            names=row.expressions,
            question=row.question,
            object_ids=tuple(one.id for one in objects),
            question_class=row.question_class,
            value=row.value,
            value_type=row.value_type,
        )
        return Case(record=record, questions=(AskedQuestion(record=question, choices=row.choices),))

    def _depth_of(
        self, row: BenchmarkRow, width: int, height: int
    ) -> tuple[NDArray[np.float32] | None, CameraIntrinsics]:
        """Depth of an image in metres, None without, and its camera."""
        camera = _camera_of_fov(self._fov_deg, width, height)
        path = _depth_path(self._depth, row)
        if path is None:
            return None, camera
        depth, matrix = _read_depth(path)
        if matrix is not None:
            camera = CameraIntrinsics.from_matrix(matrix, width=1, height=1).resized(width, height)
        if depth.shape != (height, width):
            depth = np.asarray(cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST), np.float32)
        return np.where(np.isfinite(depth) & (depth > 0), depth, np.nan).astype(np.float32), camera


def read_rows(path: Path) -> list[Mapping[str, Any]]:
    """The rows of a benchmark's file.

    Args:
        path: JSON or JSON lines.

    Returns:
        One mapping per row, at least one.

    Raises:
        ConfigurationError: no such file, or it holds no rows.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigurationError(f"{path}: expected at most {MAX_FILE_BYTES} bytes.")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: expected a text file with JSON ({error}).") from error
    try:
        content = json.loads(text)
    except ValueError:
        content = _lines(path, text)
    if isinstance(content, Mapping):
        lists = [one for one in content.values() if isinstance(one, list) and any(isinstance(row, dict) for row in one)]
        content = lists[0] if lists and not is_row(content) else [content]
    if not isinstance(content, list):
        content = []
    rows = [row for row in itertools.islice(content, MAX_ROWS) if isinstance(row, Mapping)]
    if not rows:
        raise ConfigurationError(f"{path}: expected rows with keys and values, found none.")
    return rows


def _lines(path: Path, text: str) -> list[Any]:
    """JSON lines; one that cannot be read is named."""
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise ConfigurationError(f"{path}, line {number}: expected JSON ({error}).") from error
    return rows


def _objects(row: BenchmarkRow, masks: list[NDArray[np.bool_]]) -> Iterator[ObjectRecord]:
    """The regions of a row as objects with a 2-D box."""
    for number, rectangle in enumerate(row.regions, start=1):
        label = row.expressions[number - 1] if row.expressions else REGION_NAMES[number - 1]
        pixels = int(masks[number - 1].sum()) if masks else 0
        yield ObjectRecord(id=number, label=label, box_2d=rectangle, visible_pixels=pixels)


def _masks(row: BenchmarkRow, width: int, height: int) -> list[NDArray[np.bool_]]:
    """(H, W) bool per region; none where the row has none for each."""
    if len(row.run_lengths) != len(row.regions):
        return []
    found = []
    for values in row.run_lengths:
        high, wide = (int(one) for one in values["size"])
        counts = values["counts"]
        lengths = RunLengths(counts=counts if isinstance(counts, str) else tuple(counts), width=wide, height=high)
        found.append(lengths.mask(width, height))
    return found


def _labels(masks: list[NDArray[np.bool_]], width: int, height: int) -> NDArray[np.uint16]:
    """(H, W) numbers of the regions; where two meet, the smaller one is in front."""
    labels = np.zeros((height, width), np.uint16)
    for index in sorted(range(len(masks)), key=lambda k: -int(masks[k].sum())):
        labels[masks[index]] = index + 1
    return labels


def _read_image(folder: Path, name: str) -> tuple[bytes, NDArray[Any]]:
    """An image's bytes and pixels; names that data sets write with folders of their own are tried without them."""
    inside(folder, name)
    paths = [folder / name, folder / Path(name).name]
    path = next((one for one in paths if one.is_file()), None)
    if path is None or path.stat().st_size > MAX_FILE_BYTES:
        raise InputError(f"images: there is no {name} in {folder}" if path is None else f"{name}: too large")
    data = path.read_bytes()
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if picture is None:
        raise InputError(f"{name}: expected an image, and it cannot be decoded")
    return data, np.asarray(picture)


def _depth_path(folder: Path, row: BenchmarkRow) -> Path | None:
    """The file with the depth of an image; None: there is none."""
    names = [row.depth, Path(row.depth).name] if row.depth else []
    image = Path(row.image)
    stems = (image.with_suffix(""), Path(image.stem), Path(f"{image.stem}_depth"))
    names += [f"{stem}{ending}" for stem in stems for ending in (".npz", ".png") if f"{stem}{ending}" != row.image]
    for name in names:
        path = inside(folder, name)
        if path.is_file():
            return path
    return None


def _read_depth(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
    """Depth in metres and the camera matrix as fractions of the image, None where the file has none."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"{path.name}: expected at most {MAX_FILE_BYTES} bytes")
        if path.suffix == ".png":
            picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
            if picture is None or picture.dtype != np.uint16 or picture.ndim != 2:
                raise InputError(f"{path.name}: expected one channel of 16 bits in millimetres")
            return np.asarray(picture, np.float32) / np.float32(1000), None
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_FILE_BYTES:
                raise InputError(f"{path.name}: expected at most {MAX_FILE_BYTES} bytes unpacked")
        with np.load(path, allow_pickle=False) as arrays:
            return _depth_of_arrays(path, {name: arrays[name] for name in arrays.files})
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path.name}: expected depth ({getattr(error, 'message', error)})") from error


def _depth_of_arrays(path: Path, arrays: dict[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
    matrix = arrays.get("intr")
    if POINT_MAP in arrays:
        points = np.asarray(arrays[POINT_MAP], np.float32)
        if points.ndim != 3 or points.shape[2] != 4:
            raise InputError(f"{path.name}: expected {POINT_MAP} (H, W, 4), got {points.shape}")
        depth = np.where(points[..., 3] > 0, points[..., 2], np.float32(np.nan))
    else:
        name = next((one for one in ("depth_m", "depth") if one in arrays), None)
        if name is None or np.asarray(arrays[name]).ndim != 2:
            raise InputError(
                f"{path.name}: expected {POINT_MAP}, depth_m or depth, got {', '.join(arrays) or 'nothing'}"
            )
        depth = np.asarray(arrays[name], np.float32)
        if "K" in arrays and matrix is None:
            height, width = depth.shape
            own = CameraIntrinsics.from_matrix(arrays["K"], width=width, height=height).resized(1, 1)
            return depth, own.matrix
    if matrix is None:
        return depth, None
    # N3D-VLM's matrix counts from the image's corner, in images; here the corner lies half a pixel before the centre.
    normalized = np.array(matrix, np.float64)
    normalized[:2, 2] -= 0.5
    return depth, normalized


def _camera_of_fov(fov_deg: float, width: int, height: int) -> CameraIntrinsics:
    focal = width / 2 / np.tan(np.radians(fov_deg) / 2)
    return CameraIntrinsics(
        fx=float(focal), fy=float(focal), cx=(width - 1) / 2, cy=(height - 1) / 2, width=width, height=height
    )


def _plain(text: str) -> str:
    """Letters and digits, as ids have them."""
    return "".join(one if one.isascii() and one.isalnum() else "-" for one in text)[:80]
