"""What lifting came to: objects, sizes and distances by class, rejects by rule, as JSON and as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model_training.data.folder import REPORTS
from model_training.data.records import FrameRecord
from model_training.lifting.rejects import RULES, RejectTally
from n3d_ros.whole_files import read_json, write_json

SIZES_KEPT = 100  # per class and shard: medians need no more, and files stay small
SUMMARY = "lifting.json"
SHOWN_CLASSES = 40


class LiftStatistics:
    """Counts of frames and objects, and some sizes of each class."""

    def __init__(self) -> None:
        self.images = 0
        self.frames = 0
        self.counts: Counter[str] = Counter()
        self.cameras: Counter[str] = Counter()
        self.sizes: dict[str, list[list[float]]] = {}

    def add(self, record: FrameRecord, camera: str) -> None:
        """Counts a frame.

        Args:
            record: the frame.
            camera: who knows its camera.
        """
        self.frames += 1
        self.cameras[camera] += 1
        for one in record.objects:
            self.counts[one.label] += 1
            kept = self.sizes.setdefault(one.label, [])
            if one.visible_box is not None and len(kept) < SIZES_KEPT:
                kept.append([round(float(v), 4) for v in (*one.visible_box.size, one.visible_box.center[2])])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "images": self.images,
            "frames": self.frames,
            "objects": dict(sorted(self.counts.items())),
            "cameras": dict(sorted(self.cameras.items())),
            "sizes_m": dict(sorted(self.sizes.items())),
        }

    def add_dict(self, values: dict[str, Any]) -> None:
        """Adds what another one counted.

        Args:
            values: as ``to_dict`` gives them.
        """
        self.images += values["images"]
        self.frames += values["frames"]
        self.counts.update(values["objects"])
        self.cameras.update(values["cameras"])
        for label, sizes in values["sizes_m"].items():
            self.sizes.setdefault(label, []).extend(sizes)


def shard_report_path(folder: Path, number: int) -> Path:
    """Where the report of a shard is.

    Args:
        folder: of the data set.
        number: of the shard.

    Returns:
        The path.
    """
    return folder / REPORTS / f"lifting_{number:05d}.json"


def merged_report(folder: Path, shards: Iterable[int], reading: RejectTally) -> tuple[LiftStatistics, RejectTally]:
    """What all shards came to; written to ``reports/lifting.json`` too.

    Args:
        folder: of the data set.
        shards: those that are there.
        reading: what was left out as annotations were read.

    Returns:
        Statistics and rejects.
    """
    statistics, tally = LiftStatistics(), RejectTally()
    tally.add_dict(reading.to_dict())
    for number in shards:
        found = read_json(shard_report_path(folder, number))
        if found is not None:
            statistics.add_dict(found["statistics"])
            tally.add_dict(found["rejects"])
    summary = statistics.to_dict()
    del summary["sizes_m"]
    rules = {rule: RULES.get(rule, "") for rule in tally.by_rule}
    write_json(
        folder / REPORTS / SUMMARY,
        {**summary, "classes": class_rows(statistics, tally), "rejects": tally.to_dict(), "rules": rules},
    )
    return statistics, tally


def class_rows(statistics: LiftStatistics, tally: RejectTally) -> list[dict[str, Any]]:
    """Classes, the most frequent first.

    Args:
        statistics: of accepted ones.
        tally: of rejected ones.

    Returns:
        Label, accepted, rejected, median width, height, depth and distance in metres.
    """
    rows = []
    for label in sorted(statistics.counts.keys() | tally.by_label.keys()):
        sizes = np.asarray(statistics.sizes.get(label) or np.empty((0, 4)))
        medians = np.median(sizes, axis=0).round(3).tolist() if len(sizes) else [None] * 4
        accepted = statistics.counts[label]
        rejected = tally.by_label.get(label, Counter()).total()
        names = ("width_m", "height_m", "depth_m", "distance_m")
        rows.append(
            {"label": label, "accepted": accepted, "rejected": rejected, **dict(zip(names, medians, strict=True))}
        )
    return sorted(rows, key=lambda row: -(row["accepted"] + row["rejected"]))


def table(statistics: LiftStatistics, tally: RejectTally) -> str:
    """Both as text for people.

    Args:
        statistics: of accepted ones.
        tally: of rejected ones.

    Returns:
        Lines.
    """
    rows = class_rows(statistics, tally)
    lines = [
        f"{statistics.images} images, {statistics.frames} frames, {statistics.counts.total()} objects lifted, "
        f"{sum(tally.by_rule.values())} rejects",
        "",
        f"{'class':24}{'lifted':>8}{'rejected':>10}   median width x height x depth, distance (m)",
    ]
    for row in rows[:SHOWN_CLASSES]:
        medians = [row[name] for name in ("width_m", "height_m", "depth_m", "distance_m")]
        sizes = "" if medians[0] is None else "   {:.2f} x {:.2f} x {:.2f}, {:.2f}".format(*medians)
        lines.append(f"{row['label'][:23]:24}{row['accepted']:>8}{row['rejected']:>10}{sizes}")
    if len(rows) > SHOWN_CLASSES:
        lines.append(f"... and {len(rows) - SHOWN_CLASSES} classes more in {REPORTS}/{SUMMARY}")
    return "\n".join([*lines, *_rule_lines(tally.by_rule.most_common())])


def _rule_lines(rules: Sequence[tuple[str, int]]) -> list[str]:
    """Rules that left something out, the busiest first."""
    if not rules:
        return []
    shown = [f"{rule:24}{count:>8}   {RULES.get(rule, '')}" for rule, count in rules]
    return ["", f"{'left out by rule':24}{'count':>8}   because", *shown]
