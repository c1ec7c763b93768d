"""Which frames of corrected folders go where: recordings of one time, such as of two cameras, are split together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from model_training.data.records import SPLITS
from model_training.robots.editing import EditedFrame
from model_training.robots.label_file import COMPLETE, SKIP, UNCHECKED
from model_training.robots.time_split import SplitConfig, at_one_time, split_by_time
from model_training.robots.work_folder import WorkFolder

NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One frame to write.

    Args:
        work: its folder.
        edited: what a person made of it.
        split: where it goes; "": not known yet.
    """

    work: WorkFolder
    edited: EditedFrame
    split: str = ""


def plan_of(
    edits: Sequence[tuple[WorkFolder, list[EditedFrame]]], split: SplitConfig, *, only_checked: bool = False
) -> tuple[list[Planned], Counter[str]]:
    """Which frame goes where.

    Two cameras of a robot see the same things at the same time: recordings that overlap in time are split as one.

    Args:
        edits: frames of each folder in order of time.
        split: shares.
        only_checked: leave out frames that nobody has checked.

    Returns:
        Frames by split, and how many are left out, by reason.
    """
    left_out: Counter[str] = Counter()
    used: list[Planned] = []
    for work, frames in edits:
        left_out["deleted"] += len(work.names()) - len(frames)
        for one in frames:
            reason = _unused(one, only_checked=only_checked)
            if reason:
                left_out[reason] += 1
            else:
                used.append(Planned(work=work, edited=one))
    splits = _splits(used, [work for work, _ in edits], split)
    plan = [replace(one, split=name) for one, name in zip(used, splits, strict=True) if name]
    left_out["between two splits"] += len(used) - len(plan)
    return sorted(plan, key=lambda one: SPLITS.index(one.split)), +left_out


def _splits(used: Sequence[Planned], works: Sequence[WorkFolder], config: SplitConfig) -> list[str | None]:
    """The split of each frame, those of recordings of one time in their common order."""
    splits: list[str | None] = [None] * len(used)
    for together in at_one_time([_span_ns(one) for one in works]):
        paths = {works[k].path for k in together}
        own = sorted((one.edited.found.stamp_ns, k) for k, one in enumerate(used) if one.work.path in paths)
        seconds = [(stamp_ns - own[0][0]) / NANOSECONDS for stamp_ns, _ in own]
        for (_, k), name in zip(own, split_by_time(seconds, config), strict=True):
            splits[k] = name
    return splits


def _span_ns(work: WorkFolder) -> tuple[int, int]:
    """First and last moment of a recording, nanoseconds."""
    begin = work.recording.start_ns
    return begin, begin + round(work.recording.duration_s * NANOSECONDS)


def _unused(one: EditedFrame, *, only_checked: bool) -> str:
    """Why a frame is not used; empty when it is."""
    if one.status == SKIP:
        return "skipped"
    if only_checked and one.status == UNCHECKED:
        return "unchecked"
    return "" if one.objects or one.status == COMPLETE else "without a box"
