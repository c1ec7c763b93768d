"""Facts about a bag and a run as rows for a page: what was recorded, what it took, what was left out."""

from __future__ import annotations

import math
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import numpy as np

from n3d_ros.ros.bag import BagReader
from n3d_ros.ros.camera_topics import CameraTopics
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.golden.writing import changed_settings, package_version
from n3d_ros.ros.report.material import ReportMaterial

ROLES = {"color": "colour", "color_info": "its calibration", "depth": "depth", "depth_info": "its calibration"}
MAX_TOPICS = 60
MAX_VALUE_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRow:
    """One topic of the bag.

    Args:
        name: full name.
        type: of its messages.
        count: of messages; empty when unknown.
        role: what it was used for; empty: nothing.
    """

    name: str
    type: str
    count: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BagFacts:
    """What a bag is.

    Args:
        name: of its folder or file.
        began: date and time, UTC; empty when its stamps are no dates.
        duration_s: from the first message to the last.
        topics: those that were used first.
        topics_left_out: number of topics without a row.
    """

    name: str
    began: str
    duration_s: float
    topics: tuple[TopicRow, ...]
    topics_left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRow:
    """How long a step of a look took.

    Args:
        name: of the step.
        depth: 0: a step; 1: a part of the step before.
        median_ms: half of the looks took less.
        p95_ms: 95 of 100 looks took less.
        max_ms: the longest.
        median_share: of the longest bar, percent.
        p95_share: of the longest bar, percent.
    """

    name: str
    depth: int
    median_ms: float
    p95_ms: float
    max_ms: float
    median_share: float
    p95_share: float


def bag_facts(reader: BagReader, topics: CameraTopics) -> BagFacts:
    """What a bag is.

    Args:
        reader: an open bag.
        topics: the camera's topics.

    Returns:
        The facts.
    """
    roles = {getattr(topics, role): text for role, text in ROLES.items() if getattr(topics, role)}
    rows = [
        TopicRow(
            name=name,
            type=topic.type,
            count="" if topic.message_count is None else str(topic.message_count),
            role=roles.get(name, "transforms" if topic.type.endswith("TFMessage") else ""),
        )
        for name, topic in reader.topics.items()
    ]
    rows.sort(key=lambda row: (not row.role, row.name))
    return BagFacts(
        name=reader.path.name,
        began=_date(reader.start_ns),
        duration_s=reader.duration_ns / 1e9,
        topics=tuple(rows[:MAX_TOPICS]),
        topics_left_out=max(0, len(rows) - MAX_TOPICS),
    )


def _date(stamp_ns: int) -> str:
    """Date and time of a stamp, where it can be one: simulated clocks begin at zero."""
    if stamp_ns < 86_400 * 365 * 10**9:
        return ""
    try:
        return datetime.fromtimestamp(stamp_ns // 10**9, tz=timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return ""


def stage_rows(material: ReportMaterial) -> tuple[StageRow, ...]:
    """How long the steps took, the whole first.

    Args:
        material: of the report.

    Returns:
        Rows in the order of the steps; empty when there was no look.
    """
    if not material.total_ms:
        return ()
    named: list[tuple[str, int, Sequence[float]]] = [("whole look", 0, material.total_ms)]
    for name, durations in material.stages_ms.items():
        parent, _, part = name.partition("/")
        named.append((part or parent, 1 if part else 0, durations))
    longest = max(float(np.percentile(values, 95)) for _, _, values in named) or 1.0
    rows = []
    for name, depth, values in named:
        median, p95 = (float(value) for value in np.percentile(values, [50, 95]))
        rows.append(
            StageRow(
                name=name,
                depth=depth,
                median_ms=median,
                p95_ms=p95,
                max_ms=max(values),
                median_share=round(100 * median / longest, 1),
                p95_share=round(100 * p95 / longest, 1),
            )
        )
    return tuple(rows)


def versions() -> dict[str, str]:
    """What the report was made with.

    Returns:
        Versions by name.
    """
    import cv2

    return {
        "n3d_ros": package_version() or "not installed",
        "Python": sys.version.split()[0],
        "NumPy": np.__version__,
        "OpenCV": cv2.__version__,
        "system": f"{platform.system()} {platform.machine()}",
    }


def settings_of(config: NodeConfig) -> dict[str, str]:
    """Parameters that are not at their default.

    Args:
        config: the node's settings.

    Returns:
        Values in words, by name.
    """
    return {name: _short(value) for name, value in changed_settings(config).items()}


def _short(value: Any) -> str:
    """A value in words, cut where it is long."""
    text = str(value)
    return text if len(text) <= MAX_VALUE_CHARS else text[:MAX_VALUE_CHARS] + "..."


def per_second(count: int, seconds: float) -> float:
    """A rate.

    Args:
        count: of anything.
        seconds: in which it happened.

    Returns:
        Per second; NaN when no time passed.
    """
    return count / seconds if seconds > 0 else math.nan
