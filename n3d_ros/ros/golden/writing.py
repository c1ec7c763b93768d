"""A run as a golden file: rounded numbers, one object a line, so that a diff shows what changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from n3d_ros.errors import BagError, StatusCode
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.ros.bag import BagReader
from n3d_ros.ros.bag_pass import TF_TYPE
from n3d_ros.ros.bag_questions import Answered
from n3d_ros.ros.camera_topics import CameraTopics
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.golden.expected import (
    FORMAT,
    VERSION,
    ExpectedAnswer,
    ExpectedImage,
    ExpectedObject,
    Golden,
    RecordingIdentity,
    Tolerances,
)
from n3d_ros.ros.offline import OfflineSummary
from n3d_ros.ros.parameters import parameter_specs
from n3d_ros.ros.plain_results import plain_value, write_text

LENGTH_DECIMALS = 4  # of metres: a tenth of a millimetre
TURN_DECIMALS = 5  # of quaternions: a hundred-thousandth moves the end of a metre by 0.02 mm
SCORE_DECIMALS = 3
UNKNOWN_YAW_RAD = 0.5  # standard deviation from which the yaw is a guess: round things have pi / sqrt(3)
ROUND_SHAPES = ("cylinder", "bowl", "ball")
SQUARE_SHARE = 0.15  # level sides that differ by less: a round thing that stands
FACES_SHOWN = 0.8  # support ratio from which the points show the faces of a box, and so its yaw
WITHOUT_EFFECT = (
    "autostart",
    "tf.",
    "language_model.device",
    "language_model.memory_limit_gb",
    "language_model.cuda_graphs",
    "language_model.compile",
    "depth_model.device",
)
"""Beginnings of the names of parameters that do not change what is found."""


def golden_of(
    summary: OfflineSummary,
    *,
    recording: RecordingIdentity,
    config: NodeConfig,
    tolerances: Mapping[str, float] | None = None,
) -> Golden:
    """What a run found, as what later runs are expected to find.

    Args:
        summary: of the run.
        recording: the bag.
        config: the node's settings.
        tolerances: to keep in the file; None: the defaults.

    Returns:
        The golden file's content.
    """
    return Golden(
        package_version=package_version(),
        recording=recording,
        backend=summary.backend.partition(" on ")[0],
        settings=changed_settings(config),
        tolerances=asdict(Tolerances.of(tolerances or {})),
        images=tuple(map(image_of, summary.looks)),
        answers=tuple(map(answer_of, summary.answers)),
    )


def image_of(look: Mapping[str, Any]) -> ExpectedImage:
    """A processed pair as it is compared, rounded as in the file.

    Args:
        look: one of ``OfflineSummary.looks``.

    Returns:
        The image.
    """
    return ExpectedImage(
        stamp_ns=look["stamp_ns"],
        frame_id=look["frame_id"],
        status=look["status"],
        objects=tuple(map(_object_of, look["objects"])),
    )


def _object_of(item: Mapping[str, Any]) -> ExpectedObject:
    """An object as it is compared."""
    box = _box_of(item["center_m"], item["size_m"], item["orientation_xyzw"])
    return ExpectedObject(
        label=item["label"],
        # Twice: a rounded quaternion is not of length 1, and what the file holds is read and normalised once more.
        box=_box_of(box.center, box.size, box.orientation_xyzw),
        score=None if item["score"] is None else round(item["score"], SCORE_DECIMALS),
        any_yaw=item["yaw_stddev_rad"] > UNKNOWN_YAW_RAD or _may_be_round(item, box),
    )


def _may_be_round(item: Mapping[str, Any], box: Box3D) -> bool:
    """Whether a thing may look the same however it is turned about its z axis.

    It stands, is as wide as deep, and is known to be round, or its points do not lie on the faces of the box.
    """
    width, depth = box.size[:2]
    support = item["support_ratio"]
    looks_round = item["shape"] in ROUND_SHAPES or (support is not None and support < FACES_SHOWN)
    return looks_round and bool(abs(width - depth) < SQUARE_SHARE * max(width, depth))


def _box_of(center: ArrayLike, size: ArrayLike, orientation_xyzw: ArrayLike) -> Box3D:
    """A box of rounded numbers; no length is rounded to nothing."""
    return Box3D(
        center=np.array(_rounded(center, LENGTH_DECIMALS)),
        size=np.maximum(_rounded(size, LENGTH_DECIMALS), 10.0**-LENGTH_DECIMALS),
        orientation_xyzw=np.array(_rounded(orientation_xyzw, TURN_DECIMALS)),
    )


def answer_of(answered: Answered) -> ExpectedAnswer:
    """An answer as it is compared, rounded as in the file.

    Args:
        answered: question and reply.

    Returns:
        The answer.
    """
    reply = answered.reply
    value = plain_value(reply.value)
    if isinstance(value, float):
        value = round(value, LENGTH_DECIMALS) + 0.0
    elif isinstance(value, list):
        value = _rounded(value, LENGTH_DECIMALS)
    return ExpectedAnswer(
        question=answered.question,
        status=StatusCode(reply.status).name,
        value=value,
        unit=reply.unit,
        objects=tuple(one.label for one in reply.objects),
        answer=reply.sentence or reply.message,
    )


def identity_of(reader: BagReader, topics: CameraTopics) -> RecordingIdentity:
    """Which recording this is.

    Args:
        reader: an open bag.
        topics: the camera's topics in it.

    Returns:
        Its identity; the same for a copy under another name, except for the name.
    """
    roles = {
        "color": topics.color,
        "color_info": topics.color_info,
        "depth": topics.depth,
        "depth_info": topics.depth_info,
    }
    names = [name for name in roles.values() if name in reader.topics]
    names += [name for name, topic in reader.topics.items() if topic.type == TF_TYPE]
    counts = {name: reader.topics[name].message_count or 0 for name in sorted(set(names))}
    types = [(name, reader.topics[name].type, count) for name, count in counts.items()]
    text = json.dumps([types, reader.start_ns, reader.end_ns], ensure_ascii=True)
    return RecordingIdentity(
        name=reader.path.name,
        duration_s=round(reader.duration_ns / 1e9, 3),
        topics={role: name for role, name in roles.items() if name},
        messages=counts,
        digest="sha256:" + hashlib.sha256(text.encode()).hexdigest(),
    )


def changed_settings(config: NodeConfig) -> dict[str, Any]:
    """Parameters that change what is found and are not at their default.

    Args:
        config: the node's settings.

    Returns:
        Values by name.
    """
    usual = {spec.name: spec.default for spec in parameter_specs(NodeConfig())}
    return {
        spec.name: list(spec.default) if isinstance(spec.default, tuple) else spec.default
        for spec in parameter_specs(config)
        if spec.default != usual[spec.name] and not spec.name.startswith(WITHOUT_EFFECT)
    }


def package_version() -> str:
    """The version that is installed.

    Returns:
        Such as "0.1.0"; empty in a checkout that is not installed.
    """
    try:
        return version("n3d_ros")
    except PackageNotFoundError:
        return ""


def write_golden(path: Path, golden: Golden) -> None:
    """Writes a golden file as a whole or not at all.

    Args:
        path: to write.
        golden: what to write.

    Raises:
        BagError: it cannot be written.
    """
    if path.is_dir():
        raise BagError(f"{path} is a folder; expected the name of a file for the golden values.")
    write_text(path, golden_text(golden))


def golden_text(golden: Golden) -> str:
    """The text of a golden file: JSON, one object or answer a line.

    Args:
        golden: what to write.

    Returns:
        Text that ends in a newline.
    """
    head = {
        "format": FORMAT,
        "version": VERSION,
        "n3d_ros": golden.package_version,
        "bag": {
            "name": golden.recording.name,
            "duration_s": golden.recording.duration_s,
            "topics": dict(golden.recording.topics),
            "messages": dict(golden.recording.messages),
            "digest": golden.recording.digest,
        },
        "found_by": golden.backend,
        "settings": dict(golden.settings),
        "tolerances": dict(golden.tolerances),
    }
    lines = json.dumps(head, indent=1, ensure_ascii=False, allow_nan=False).removesuffix("\n}")
    frames = ",\n".join(map(_image_text, golden.images))
    answers = ",\n".join("  " + _line(_answer_dict(one)) for one in golden.answers)
    text = f'{lines},\n "frames": {_block(frames)},\n "questions": {_block(answers)}\n}}\n'
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _block(lines: str) -> str:
    """A list of lines in brackets."""
    return f"[\n{lines}\n ]" if lines else "[]"


def _image_text(image: ExpectedImage) -> str:
    """One image: a line for itself, and one for each object."""
    head = {"stamp_ns": image.stamp_ns, "frame_id": image.frame_id, "status": image.status}
    objects = ",\n".join("   " + _line(_object_dict(one)) for one in image.objects)
    listed = f"[\n{objects}\n  ]" if objects else "[]"
    return f'  {_line(head).removesuffix("}")}, "objects": {listed}}}'


def _object_dict(item: ExpectedObject) -> dict[str, Any]:
    """One object in plain values."""
    return {
        "label": item.label,
        "center_m": _rounded(item.box.center, LENGTH_DECIMALS),
        "size_m": _rounded(item.box.size, LENGTH_DECIMALS),
        "orientation_xyzw": _rounded(item.box.orientation_xyzw, TURN_DECIMALS),
        **({"any_yaw": True} if item.any_yaw else {}),
        **({} if item.score is None else {"score": item.score}),
    }


def _answer_dict(answer: ExpectedAnswer) -> dict[str, Any]:
    """One question in plain values."""
    at = {} if answer.question.at_s is None else {"at_s": answer.question.at_s}
    return {
        "ask": answer.question.text,
        **at,
        "status": answer.status,
        "value": answer.value,
        "unit": answer.unit,
        "objects": None if answer.objects is None else list(answer.objects),
        "answer": answer.answer,
    }


def _line(document: Mapping[str, Any]) -> str:
    """JSON on one line."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def _rounded(values: ArrayLike, decimals: int) -> list[float]:
    """Numbers as they stand in the file; -0.0 becomes 0.0."""
    return [round(float(value), decimals) + 0.0 for value in np.asarray(values)]
