"""Annotations in COCO's JSON, and in that of Objects365, which is the same with boxes only and further remarks.

An image's entry may hold "camera" with fx, fy, cx, cy (pixels) and perhaps "up": an addition of ours, for sets whose
cameras are known.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model_training.lifting.annotations import AnnotatedImage, Annotation2D, GivenCamera, camera_of
from model_training.lifting.boxes_2d import checked_box, plain_label
from model_training.lifting.outlines import Outline, Polygons, RunLengths, inside
from model_training.lifting.rejects import Reject, RejectTally
from n3d_ros.errors import InputError, N3dError
from n3d_ros.geometry.camera import MAX_IMAGE_SIDE_PX

MAX_FILE_BYTES = 8 * 2**30  # above Objects365's largest; a file is read whole, and takes several times its size
REMARK_KEYS = {"iscrowd": "group", "isfake": "depiction", "isreflected": "reflection"}
"""Keys that are 1 where an annotation has a remark; the last two are Objects365's."""


def read_coco(
    path: Path, *, rename: Mapping[str, str], max_images: int = 0
) -> tuple[list[AnnotatedImage], RejectTally]:
    """The images of a file with their annotations.

    Args:
        path: JSON with "images", "annotations" and "categories".
        rename: other words for labels.
        max_images: images taken, from the first on; 0: all.

    Returns:
        Images in the order of their entries, those without annotations too; and what was left out.

    Raises:
        InputError: the file cannot be read, or is no such file.
    """
    content = _content(path)
    tally = RejectTally()
    licences = _licences(content.get("licenses"))
    entries = _image_entries(content["images"], max_images, tally)
    labels = _labels(content["categories"], rename)
    found: dict[Any, list[Annotation2D]] = {key: [] for key in entries}
    known = entries.keys() if not max_images else {_key(one.get("id")) for one in content["images"] if _is_map(one)}
    for number, row in enumerate(content["annotations"]):
        key = _key(row.get("image_id")) if _is_map(row) else None
        if key is not None and key not in entries and key in known:
            continue  # of an image that was not asked for
        image = entries.get(key)
        if image is None:
            rule = "unknown_image" if _is_map(row) else "annotation_entry"
            tally.add(Reject(rule=rule, image=str(key), annotation=str(number)))
            continue
        one = _annotation(row, image, labels, tally)
        if one is not None:
            found[key].append(one)
    return [_image(entry, tuple(found[key]), licences) for key, entry in entries.items()], tally


def _content(path: Path) -> dict[str, Any]:
    """The file's object with its three lists."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise InputError(f"{path}: {size >> 20} MB; expected at most {MAX_FILE_BYTES >> 20} MB: split the file.")
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: expected a file of annotations ({error.strerror or error}).") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON, and it is cut off or damaged ({error}).") from error
    names = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(name), list) for name in names):
        raise InputError(f"{path}: expected an object with the lists {', '.join(names)}; is it another format?")
    return content


def _image_entries(rows: list[Any], max_images: int, tally: RejectTally) -> dict[Any, dict[str, Any]]:
    """Entries of images by id."""
    entries: dict[Any, dict[str, Any]] = {}
    names: set[str] = set()
    for number, row in enumerate(rows):
        if max_images and len(entries) >= max_images:
            break
        try:
            checked = _image_entry(row)
        except N3dError as error:
            tally.add(Reject(rule="image_entry", image=f"entry {number}", detail=error.message))
            continue
        if checked["key"] in entries or checked["file_name"] in names:
            tally.add(Reject(rule="image_twice", image=checked["file_name"]))
            continue
        entries[checked["key"]] = checked
        names.add(checked["file_name"])
    return entries


def _image_entry(row: Any) -> dict[str, Any]:
    """What of an image's entry is used, checked."""
    if not _is_map(row) or _key(row.get("id")) is None or not isinstance(row.get("file_name"), str):
        raise InputError(f"expected an id and a file_name, got {str(row)[:200]}.")
    name = row["file_name"].replace("\\", "/")
    inside(Path("images"), name)
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        raise InputError(f"expected a file_name in Unicode, got {name!r}.")
    width, height = (_size(row.get(side)) for side in ("width", "height"))
    return {
        "key": _key(row["id"]),
        "file_name": name,
        "width": width,
        "height": height,
        "licence": row.get("license"),
        "camera": _camera(row.get("camera"), width, height),
    }


def _size(value: Any) -> int:
    """A side in pixels; 0 where it is not stated."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= MAX_IMAGE_SIDE_PX:
        raise InputError(f"expected a side of 1 to {MAX_IMAGE_SIDE_PX} px, got {value!r}.")
    return int(value)


def _camera(row: Any, width: int, height: int) -> GivenCamera | None:
    return None if row is None else camera_of({"width": width, "height": height, **row} if _is_map(row) else row)


def _labels(rows: list[Any], rename: Mapping[str, str]) -> dict[Any, str]:
    """Labels by category; what has no word is missing."""
    labels = {}
    for row in rows:
        if _is_map(row) and _key(row.get("id")) is not None:
            with contextlib.suppress(InputError):
                labels[_key(row["id"])] = plain_label(row.get("name"), rename)
    return labels


def _annotation(
    row: dict[str, Any], image: dict[str, Any], labels: Mapping[Any, str], tally: RejectTally
) -> Annotation2D | None:
    """One annotation; None, and a count, where it is of no use."""
    name, label = str(row.get("id", "")), labels.get(_key(row.get("category_id")), "")
    try:
        if not label:
            raise InputError(f"category {row.get('category_id')!r} has no name.", reason="unknown_label")
        return Annotation2D(
            id=name,
            label=label,
            box_2d=checked_box(_corners(row.get("bbox")), image["width"], image["height"]),
            outline=_outline(row.get("segmentation")),
            remarks=tuple(remark for key, remark in REMARK_KEYS.items() if row.get(key) in (1, True)),
            score=_score(row.get("score")),
        )
    except N3dError as error:
        rule = error.reason if error.reason != InputError.default_reason else "annotation_entry"
        tally.add(Reject(rule=rule, image=image["file_name"], annotation=name, label=label, detail=error.message))
        return None


def _corners(bbox: Any) -> Any:
    """Left, top, right, bottom of COCO's left, top, width, height."""
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(_is_number(value) for value in bbox):
        raise InputError(f"bbox: expected four numbers, got {str(bbox)[:100]}.", reason="box_not_finite")
    left, top, width, height = bbox
    return left, top, left + width, top + height


def _outline(segmentation: Any) -> Outline | None:
    """The outline of "segmentation": polygons, run lengths, or none."""
    try:
        if isinstance(segmentation, dict):
            height, width = segmentation["size"]
            counts = segmentation["counts"]
            runs = counts if isinstance(counts, str) else tuple(int(value) for value in counts)
            return RunLengths(counts=runs, width=int(width), height=int(height))
        # Annotators' tools leave rings of one or two corners behind; they hold no pixel.
        rings = [ring for ring in segmentation or () if len(ring) >= 6]
        return Polygons(rings=tuple(tuple(float(value) for value in ring) for ring in rings)) if rings else None
    except (KeyError, TypeError, ValueError, OverflowError) as error:  # an InputError is a ValueError too
        raise InputError(f"segmentation: {error}", reason="mask_broken") from None


def _score(value: Any) -> float | None:
    if value is None:
        return None
    if not _is_number(value) or not 0 <= value <= 1:
        raise InputError(f"score: expected 0 to 1, got {value!r}.")
    return float(value)


def _licences(rows: Any) -> dict[Any, str]:
    """Licences in words by id."""
    if not isinstance(rows, list):
        return {}
    words = {
        _key(row.get("id")): " ".join(str(row[key]) for key in ("name", "url") if row.get(key))
        for row in rows
        if _is_map(row)
    }
    return {key: text.encode("utf-8", "replace").decode() for key, text in words.items()}  # JSON may hold halves


def _image(entry: dict[str, Any], annotations: tuple[Annotation2D, ...], licences: dict[Any, str]) -> AnnotatedImage:
    return AnnotatedImage(
        id=str(entry["key"]),
        file_name=entry["file_name"],
        width=entry["width"],
        height=entry["height"],
        annotations=annotations,
        licence=licences.get(_key(entry["licence"]), ""),
        camera=entry["camera"],
    )


def _key(value: Any) -> int | str | None:
    """An id that can be looked up; None for what is none."""
    return value if isinstance(value, (int, str)) and not isinstance(value, bool) else None


def _is_map(value: Any) -> bool:
    return isinstance(value, dict)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
