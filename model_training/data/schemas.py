"""Rows of Parquet files and records, both ways: one column per field, so that ``datasets`` and pandas read them too."""

from __future__ import annotations

from typing import Any

from model_training.data.arrow import pa
from model_training.data.records import FrameRecord, ObjectRecord, QuestionRecord
from n3d_ros.errors import InputError
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.camera import CameraIntrinsics

BOX = pa.struct(
    [
        ("center", pa.list_(pa.float64(), 3)),
        ("size", pa.list_(pa.float64(), 3)),
        ("orientation_xyzw", pa.list_(pa.float64(), 4)),
    ]
)
OBJECT = pa.struct(
    [
        ("id", pa.int32()),
        ("label", pa.string()),
        ("box", BOX),
        ("visible_box", BOX),
        ("box_2d", pa.list_(pa.float64(), 4)),
        ("color", pa.string()),
        ("material", pa.string()),
        ("shape", pa.string()),
        ("role", pa.string()),
        ("symmetry", pa.string()),
        ("visible_pixels", pa.int32()),
        ("visible_fraction", pa.float64()),
        ("touches_border", pa.bool_()),
        ("supported_by", pa.int32()),
        ("inside_of", pa.int32()),
        ("score", pa.float64()),
    ]
)
CAMERA_FIELDS = ("fx", "fy", "cx", "cy", "width", "height")
FRAMES = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("split", pa.string()),
        ("image", pa.binary()),
        ("depth_png", pa.binary()),
        ("labels_png", pa.binary()),
        *((name, pa.float64()) for name in CAMERA_FIELDS[:4]),
        *((name, pa.int32()) for name in CAMERA_FIELDS[4:]),
        ("up", pa.list_(pa.float64(), 3)),
        ("objects", pa.list_(OBJECT)),
        ("licence", pa.string()),
        ("provenance", pa.string()),
        ("stamp_ns", pa.int64()),
    ]
)
QUESTIONS = pa.schema(
    [
        ("id", pa.string()),
        ("frame_id", pa.string()),
        ("kind", pa.string()),
        ("names", pa.list_(pa.string())),
        ("question", pa.string()),
        ("object_ids", pa.list_(pa.int32())),
        ("question_class", pa.string()),
        ("reasoning", pa.string()),
        ("answer", pa.string()),
        ("value_type", pa.string()),
        ("value", pa.string()),
        ("unit", pa.string()),
        ("viewpoint", pa.string()),
        ("target_box", pa.string()),
    ]
)
_OBJECT_FIELDS = tuple(field.name for field in OBJECT)


def frame_row(record: FrameRecord) -> dict[str, Any]:
    """A row of ``FRAMES``.

    Args:
        record: the frame.

    Returns:
        Values by column.
    """
    row: dict[str, Any] = {
        name: getattr(record, name) for name in FRAMES.names if name not in (*CAMERA_FIELDS, "objects", "up")
    }
    row |= {name: getattr(record.intrinsics, name) for name in CAMERA_FIELDS}
    row["up"] = None if record.up is None else list(record.up)
    row["objects"] = [_object_row(one) for one in record.objects]
    return row


def frame_of(row: dict[str, Any]) -> FrameRecord:
    """The record of a row.

    Args:
        row: values by column, as pyarrow's ``to_pylist`` or ``datasets`` give them.

    Returns:
        The frame.

    Raises:
        InputError: a column is missing, or its values fit no frame.
    """
    try:
        camera = CameraIntrinsics(**{name: row[name] for name in CAMERA_FIELDS})
        up = row["up"]
        rest = {name: row[name] for name in FRAMES.names if name not in (*CAMERA_FIELDS, "objects", "up")}
        objects = tuple(_object_of(one) for one in row["objects"])
    except (KeyError, TypeError) as error:
        raise InputError(f"Frame: expected the columns {', '.join(FRAMES.names)}; wrong or missing: {error}.") from None
    return FrameRecord(**rest, intrinsics=camera, up=None if up is None else (up[0], up[1], up[2]), objects=objects)


def question_row(record: QuestionRecord) -> dict[str, Any]:
    """A row of ``QUESTIONS``.

    Args:
        record: the question.

    Returns:
        Values by column.
    """
    row: dict[str, Any] = {name: getattr(record, name) for name in QUESTIONS.names}
    return row | {"names": list(record.names), "object_ids": list(record.object_ids)}


def question_of(row: dict[str, Any]) -> QuestionRecord:
    """The record of a row.

    Args:
        row: values by column.

    Returns:
        The question.

    Raises:
        InputError: a column is missing, or its values fit no question.
    """
    try:
        values = {name: row[name] for name in QUESTIONS.names}
        return QuestionRecord(**values | {"names": tuple(row["names"]), "object_ids": tuple(row["object_ids"])})
    except (KeyError, TypeError) as error:
        raise InputError(
            f"Question: expected the columns {', '.join(QUESTIONS.names)}; wrong or missing: {error}."
        ) from None


def _object_row(record: ObjectRecord) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(record, name) for name in _OBJECT_FIELDS}
    row |= {name: _box_row(getattr(record, name)) for name in ("box", "visible_box")}
    return row | {"box_2d": None if record.box_2d is None else list(record.box_2d)}


def _object_of(row: dict[str, Any]) -> ObjectRecord:
    values = {name: row[name] for name in _OBJECT_FIELDS}
    values |= {name: _box_of(row[name]) for name in ("box", "visible_box")}
    return ObjectRecord(**values | {"box_2d": None if row["box_2d"] is None else tuple(row["box_2d"])})


def _box_row(box: Box3D | None) -> dict[str, list[float]] | None:
    if box is None:
        return None
    return {name: getattr(box, name).tolist() for name in ("center", "size", "orientation_xyzw")}


def _box_of(row: dict[str, Any] | None) -> Box3D | None:
    return None if row is None else Box3D(**row)
