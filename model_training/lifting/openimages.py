"""Annotations of Open Images: boxes as CSV in shares of the image, names of classes as CSV, masks as PNG with a CSV.

https://storage.googleapis.com/openimages/web/download_v7.html, "Data Formats".
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from model_training.lifting.annotations import AnnotatedImage, Annotation2D, Box2D
from model_training.lifting.boxes_2d import checked_box, plain_label
from model_training.lifting.outlines import MaskFile, inside
from model_training.lifting.rejects import Reject, RejectTally
from n3d_ros.errors import ConfigurationError, InputError, N3dError

BOX_COLUMNS = ("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax")
MASK_COLUMNS = ("MaskPath", "ImageID", "LabelName", "BoxXMin", "BoxXMax", "BoxYMin", "BoxYMax")
REMARK_COLUMNS = {"IsGroupOf": "group", "IsDepiction": "depiction", "IsInside": "inside"}
MAX_ROWS = 200_000_000  # ten times the boxes of the training set
SAME_BOX = 0.01  # shares of the image: boxes of the two files are rounded differently
IMAGE_SUFFIX = ".jpg"
CSV_ENCODING = "utf-8-sig"  # spreadsheets put a mark before the first column


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenImagesFiles:
    """The files of one part of Open Images.

    Args:
        boxes: CSV of boxes.
        classes: CSV of classes' names, with a header or without; None: looked for beside the boxes.
        masks: CSV of masks; None: boxes only.
    """

    boxes: Path
    classes: Path | None = None
    masks: Path | None = None

    @property
    def names(self) -> Path:
        """The file of classes' names; a ConfigurationError where none is named and not just one lies beside."""
        return self.classes or _classes_beside(self.boxes)


def read_openimages(
    files: OpenImagesFiles, *, rename: Mapping[str, str], max_images: int = 0
) -> tuple[list[AnnotatedImage], RejectTally]:
    """The images of the files with their annotations; boxes are shares of the image.

    Args:
        files: of one part.
        rename: other words for labels.
        max_images: images taken, from the first on; 0: all.

    Returns:
        Images in the order of their first box; and what was left out.

    Raises:
        InputError: a file cannot be read, or lacks columns.
        ConfigurationError: no file of classes' names.
    """
    tally = RejectTally()
    names = _class_names(files.names)
    found: dict[str, list[Annotation2D]] = {}
    places: dict[tuple[str, str], list[int]] = {}
    for number, row in _rows(files.boxes, BOX_COLUMNS):
        image = row["ImageID"] or ""
        if max_images and len(found) >= max_images and image not in found:
            continue
        one = _annotation(number, row, names, rename, tally)
        kept = found.setdefault(image, []) if image else []
        if one is not None and image:
            places.setdefault((image, row["LabelName"]), []).append(len(kept))
            kept.append(one)
    if files.masks is not None:
        _add_masks(files.masks, found, places, tally)
    images = [
        AnnotatedImage(
            id=image,
            file_name=f"{image}{IMAGE_SUFFIX}",
            width=0,
            height=0,
            annotations=tuple(annotations),
            is_normalized=True,
        )
        for image, annotations in found.items()
    ]
    return images, tally


def _annotation(
    number: int, row: dict[str, str], names: Mapping[str, str], rename: Mapping[str, str], tally: RejectTally
) -> Annotation2D | None:
    """One row; None, and a count, where it is of no use."""
    label = ""
    try:
        inside(Path("images"), row["ImageID"] or "")
        label = plain_label(names.get(row["LabelName"]), rename)
        return Annotation2D(
            id=str(number),
            label=label,
            box_2d=_box(row, ("XMin", "YMin", "XMax", "YMax")),
            remarks=tuple(remark for column, remark in REMARK_COLUMNS.items() if row.get(column) == "1"),
            score=_score(row.get("Confidence")),
        )
    except N3dError as error:
        rule = error.reason if error.reason != InputError.default_reason else "annotation_entry"
        tally.add(
            Reject(rule=rule, image=str(row["ImageID"]), annotation=str(number), label=label, detail=error.message)
        )
        return None


def _add_masks(
    path: Path,
    found: dict[str, list[Annotation2D]],
    places: Mapping[tuple[str, str], list[int]],
    tally: RejectTally,
) -> None:
    """Puts masks to the boxes that they were drawn in."""
    for _number, row in _rows(path, MASK_COLUMNS):
        candidates = places.get((row["ImageID"], row["LabelName"]), ())
        if not candidates:
            continue  # of another image, or of a box that was left out
        try:
            box = _box(row, ("BoxXMin", "BoxYMin", "BoxXMax", "BoxYMax"))
            inside(Path("masks"), row["MaskPath"] or "")
        except N3dError as error:
            tally.add(Reject(rule="mask_broken", image=row["ImageID"], detail=error.message))
            continue
        kept = found[row["ImageID"]]
        for place in candidates:
            if max(abs(a - b) for a, b in zip(kept[place].box_2d, box, strict=True)) < SAME_BOX:
                kept[place] = replace(kept[place], outline=MaskFile(name=row["MaskPath"]))


def _box(row: dict[str, str], columns: tuple[str, str, str, str]) -> Box2D:
    """A box in shares of the image."""
    return checked_box([row[column] for column in columns], 1.0, 1.0, inset="of the image")


def _score(text: str | None) -> float | None:
    """Certainty of a box; boxes that people drew have 1."""
    try:
        value = float(text) if text else 1.0
    except ValueError:
        raise InputError(f"Confidence: expected a number, got {text!r}.") from None
    if not 0 <= value <= 1:
        raise InputError(f"Confidence: expected 0 to 1, got {text!r}.")
    return None if value == 1 else value


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a CSV with a header, by column, and their line; short rows have empty values."""
    with _opened(path) as file:
        reader = csv.DictReader(file, restval="")
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise InputError(f"{path}: expected a CSV with the columns {', '.join(columns)}; no {missing[0]}.")
        for number, row in enumerate(reader, start=2):
            if number > MAX_ROWS:
                raise InputError(f"{path}: more than {MAX_ROWS} rows.")
            yield number, row


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """A CSV to read; an InputError with its name where that fails."""
    try:
        with path.open(encoding=CSV_ENCODING, newline="") as file:
            yield file
    except OSError as error:
        raise InputError(f"{path}: expected a CSV file ({error.strerror or error}).") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a CSV file, and it is damaged ({error}).") from error


def _classes_beside(boxes: Path) -> Path:
    """The file of classes' names in the folder of the boxes."""
    found = sorted(boxes.parent.glob("*class-descriptions*.csv"))
    if len(found) != 1:
        raise ConfigurationError(
            f"{boxes}: boxes name their classes by codes such as /m/01g317, and {len(found)} files "
            "*class-descriptions*.csv lie beside them; name the one with --classes FILE."
        )
    return found[0]


def _class_names(path: Path) -> dict[str, str]:
    """Names by code: two columns, with a header or without."""
    with _opened(path) as file:
        names = {row[0]: row[1] for row in csv.reader(file) if len(row) >= 2 and row[0] != "LabelName"}
    if not names:
        raise InputError(f"{path}: expected rows of a code and a name.")
    return names
