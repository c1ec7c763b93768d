"""The timeline of a report as places in a drawing: when each object was seen, what was dropped, what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from n3d_ros.ros.bag_questions import Answered
from n3d_ros.ros.overlay import display_color
from n3d_ros.ros.report.material import ObjectTrack, ReportMaterial

WIDTH = 1000.0  # of the drawing's time axis, in its own units
ROW_HEIGHT = 22.0
TOP = 26.0  # room for the marks of questions
MAX_ROWS = 40  # objects seen most often; the others are counted
MIN_BAR = 2.0  # width that can be seen
MAX_TICKS = 500  # of dropped images that are drawn one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A time in which an object was seen without a gap.

    Args:
        x: left end.
        width: of the bar.
        title: in words.
    """

    x: float
    width: float
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One object.

    Args:
        number: its id.
        label: words.
        color: CSS colour.
        y: upper edge.
        bars: when it was seen.
    """

    number: int
    label: str
    color: str
    y: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A moment.

    Args:
        x: where.
        title: in words.
        text: beside it.
    """

    x: float
    title: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The whole drawing.

    Args:
        width: of the time axis.
        height: of everything.
        rows: one per object.
        left_out: number of objects without a row.
        drops: dropped images.
        drops_y: upper edge of their row; 0: none.
        questions: what was asked.
        ticks: seconds.
    """

    width: float
    height: float
    rows: tuple[Row, ...]
    left_out: int
    drops: tuple[Mark, ...]
    drops_y: float
    questions: tuple[Mark, ...]
    ticks: tuple[Mark, ...]


def timeline_of(material: ReportMaterial, answers: Sequence[Answered]) -> Timeline:
    """The drawing.

    Args:
        material: of the report.
        answers: in the order in which they are numbered on the page.

    Returns:
        The timeline.
    """
    ranked = sorted(material.tracks.values(), key=lambda track: (-track.looks, track.latest.id))
    shown = sorted(ranked[:MAX_ROWS], key=lambda track: (track.spans[0][0], track.latest.id))
    rows = tuple(_row(track, TOP + i * ROW_HEIGHT, material) for i, track in enumerate(shown))
    end = TOP + len(rows) * ROW_HEIGHT
    drops_y = end + 6 if material.drops else 0.0
    return Timeline(
        width=WIDTH,
        height=end + (ROW_HEIGHT + 6 if material.drops else 0) + 24,
        rows=rows,
        left_out=len(ranked) - len(shown),
        drops=_drops(material),
        drops_y=drops_y,
        questions=tuple(
            Mark(x=_x(one.recorded_ns, material), title=one.question.text, text=str(i + 1))
            for i, one in enumerate(answers)
        ),
        ticks=_ticks(material.duration_ns / 1e9),
    )


def _x(recorded_ns: int, material: ReportMaterial) -> float:
    """Where a moment is drawn."""
    share = (recorded_ns - material.start_ns) / material.duration_ns
    return round(WIDTH * min(max(share, 0.0), 1.0), 1)


def _row(track: ObjectTrack, y: float, material: ReportMaterial) -> Row:
    """The row of an object; spans too near to be told apart are one bar."""
    merged: list[tuple[int, int]] = []
    for start, end in track.spans:
        if merged and _x(start, material) - _x(merged[-1][1], material) < 1.0:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    item = track.latest
    red, green, blue = (round(255 * channel) for channel in display_color(item.color, item.id))
    bars = tuple(
        Bar(
            x=min(_x(start, material), WIDTH - MIN_BAR),
            width=round(max(MIN_BAR, _x(end, material) - _x(start, material)), 1),
            title=f"{item.label} {item.id}: {_seconds(start, material)} to {_seconds(end, material)}",
        )
        for start, end in merged
    )
    return Row(number=item.id, label=item.label, color=f"rgb({red} {green} {blue})", y=y, bars=bars)


def _seconds(recorded_ns: int, material: ReportMaterial) -> str:
    """A moment in words."""
    return f"{(recorded_ns - material.start_ns) / 1e9:.2f} s"


def _drops(material: ReportMaterial) -> tuple[Mark, ...]:
    """Dropped images, those too near to be told apart as one."""
    marks: dict[float, Mark] = {}
    for recorded_ns, reason in material.drops:
        x = _x(recorded_ns, material)
        marks.setdefault(x, Mark(x=x, title=f"{reason} at {_seconds(recorded_ns, material)}"))
    every = max(1, -(-len(marks) // MAX_TICKS))
    return tuple(marks.values())[::every]


def _ticks(duration_s: float) -> tuple[Mark, ...]:
    """Round times, five to ten of them."""
    steps = [base * 10**power for power in range(-3, 6) for base in (1, 2, 5)]
    step = next((step for step in steps if duration_s / step <= 10), steps[-1])
    count = int(duration_s / step) + 1
    return tuple(
        Mark(x=round(WIDTH * i * step / duration_s, 1), title="", text=f"{i * step:g} s") for i in range(min(count, 12))
    )
