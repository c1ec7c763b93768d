"""A comparison for people: what differs, the worst first, the same thing in many images as one row."""

from __future__ import annotations

import math
from dataclasses import dataclass

from n3d_ros.ros.golden.comparing import ComparedCase, Comparison, Difference
from n3d_ros.scene.answers.wording import counted

KINDS = ("image", "status", "frame", "missing", "extra", "label", "answer", "overlap", "centre", "size", "yaw", "score")
"""Kinds of differences, the gravest first."""
MAX_CELL_CHARS = 60
HEADER = ("what", "of", "expected", "found", "times", "worst at")


@dataclass(slots=True)
class _Group:
    """The same kind of difference of things with one name."""

    worst: Difference
    case: ComparedCase
    count: int = 1


def rows_of(comparison: Comparison) -> list[list[str]]:
    """Rows for a table under ``HEADER``.

    Args:
        comparison: to tell.

    Returns:
        The worst first: by kind where something is or is not so, then by how many times the tolerance it is off.
    """
    groups: dict[tuple[str, str], _Group] = {}
    for case in comparison.cases:
        for one in case.differences:
            key = (one.kind, one.subject)
            group = groups.get(key)
            if group is None:
                groups[key] = _Group(one, case)
                continue
            group.count += 1
            if one.badness > group.worst.badness:
                group.worst, group.case = one, case
    ordered = sorted(groups.values(), key=_rank)
    return [_row(group) for group in ordered]


def _rank(group: _Group) -> tuple[float, int, int, str]:
    """Sorts the worst first."""
    worst = group.worst
    return (-worst.badness, KINDS.index(worst.kind), -group.count, worst.subject)


def _row(group: _Group) -> list[str]:
    """Cells of a group."""
    worst, at_s = group.worst, group.case.at_s
    where = "" if at_s is None else f"{at_s:.3f} s"
    return [
        worst.kind,
        *(one_line(text) for text in (worst.subject, worst.expected, worst.found)),
        str(group.count),
        where,
    ]


def one_line(text: str, limit: int = MAX_CELL_CHARS) -> str:
    """Words from outside as they may stand on a terminal: one line, printable, short.

    Args:
        text: any.
        limit: characters.

    Returns:
        The text, cut with dots where it is longer.
    """
    shown = "".join(character if character.isprintable() else " " for character in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def verdict(comparison: Comparison) -> str:
    """One line that says how it ended.

    Args:
        comparison: to tell.

    Returns:
        Such as "Same: 32 images with 250 objects and 3 answers as expected."
    """
    images = [case for case in comparison.cases if case.group == "images"]
    answers = len(comparison.cases) - len(images)
    objects = sum(case.compared for case in images)
    shown = f"{counted(len(images), 'image')} with {counted(objects, 'object')}" if images else ""
    said = counted(answers, "answer") if answers or not images else ""
    what = " and ".join(filter(None, (shown, said)))
    if not images:
        what += " (the golden file holds no image)"
    if comparison.is_same:
        return f"Same: {what} as expected."
    failed = sum(bool(case.differences) for case in comparison.cases)
    worst = max((one.badness for case in comparison.cases for one in case.differences), default=0.0)
    beyond = f", the worst {worst:.1f} times its tolerance" if math.isfinite(worst) else ""
    return f"Differs: {counted(comparison.differences, 'difference')} in {failed} of {what}{beyond}."
