"""Results as plain values, for JSON: the same for every run over the same images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from n3d_ros.errors import BagError
from n3d_ros.ros.bag_questions import Answered
from n3d_ros.ros.pipeline import FrameOutcome
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.spatial_answer import ValueType

DECIMALS = 6  # of metres and quaternions in JSON: a micrometre


def outcome_to_dict(outcome: FrameOutcome, objects: Sequence[SceneObject]) -> dict[str, Any]:
    """One frame's result for JSON, without anything that differs from run to run.

    Args:
        outcome: what became of the frame.
        objects: in its output frame.

    Returns:
        Plain values.
    """
    return {
        "stamp_ns": outcome.stamp_ns,
        "frame_id": outcome.output_frame or outcome.frame_id,
        "status": outcome.status.name,
        "message": outcome.message,
        "notes": list(outcome.notes),
        "objects": [object_to_dict(item) for item in objects],
    }


def object_to_dict(item: SceneObject) -> dict[str, Any]:
    """One object for JSON.

    Args:
        item: the object.

    Returns:
        Plain values; None where unknown.
    """
    deviation = np.sqrt(np.maximum(np.diag(item.uncertainty.center_covariance_m2), 0.0))
    return {
        "id": item.id,
        "label": item.label,
        "center_m": _rounded(item.box.center),
        "size_m": _rounded(item.box.size),
        "orientation_xyzw": _rounded(item.box.orientation_xyzw),
        "center_stddev_m": _rounded(deviation),
        "size_stddev_m": _rounded(item.uncertainty.size_stddev_m),
        "yaw_stddev_rad": round(item.uncertainty.yaw_stddev_rad, DECIMALS),
        "score": None if item.score is None else round(item.score, DECIMALS),
        "support_ratio": None if item.support_ratio is None else round(item.support_ratio, DECIMALS),
        "color": item.color,
        "shape": item.shape,
        "observations": item.observations,
        "first_seen_ns": item.first_seen_ns,
    }


def answered_to_dict(answered: Answered) -> dict[str, Any]:
    """A question and its answer for JSON.

    Args:
        answered: both.

    Returns:
        Plain values; None where unknown.
    """
    reply = answered.reply
    return {
        "question": answered.question.text,
        "at_s": answered.question.at_s,
        "status": reply.status.name,
        "answer": reply.sentence or reply.message,
        "value_type": ValueType(reply.value_type).name,
        "value": plain_value(reply.value),
        "value_text": reply.value_text,
        "unit": reply.unit,
        "stamp_ns": reply.stamp_ns,
        "frame_id": reply.frame_id,
        "objects": [{"id": one.id, "label": one.label} for one in reply.objects],
        "steps": list(reply.steps),
    }


def plain_value(value: Any) -> bool | float | str | list[float] | None:
    """The value of an answer for JSON.

    Args:
        value: of a ``SpatialAnswer``.

    Returns:
        The same in plain types, numbers rounded; None when there is none.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return round(float(value), DECIMALS) + 0.0
    return _rounded(value)


def _rounded(values: Any) -> list[float]:
    """Numbers for JSON; -0.0 becomes 0.0."""
    return [round(float(value), DECIMALS) + 0.0 for value in values]


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Writes a JSON file as a whole or not at all.

    Args:
        path: to write.
        document: plain values.

    Raises:
        BagError: it cannot be written.
    """
    write_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a text file as a whole or not at all.

    Args:
        path: to write.
        text: what to write, as UTF-8.

    Raises:
        BagError: it cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise BagError(f"{path}: cannot be written ({error.strerror or error}).") from error
