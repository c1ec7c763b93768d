"""The page's texts as HTML. Whatever came from outside is escaped: labels and answers may hold anything."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from n3d_ros.ros.viewer.report_window import ReportSummary
from n3d_ros.ros.viewer.shown import ShownBox, shortened

MAX_ANSWER_CHARS = 1200
MAX_STEPS = 30
MAX_OBJECTS = 40
GREEN, ORANGE, RED, GREY = "#2b8a3e", "#d9730d", "#c92a2a", "#868e96"
LEVELS = {0: ("OK", GREEN), 1: ("WARN", ORANGE), 2: ("ERROR", RED), 3: ("STALE", GREY)}
STATES = {"active": GREEN, "inactive": ORANGE, "unconfigured": ORANGE, "finalized": RED}
NOT_WRONG = ("NOT_FOUND", "AMBIGUOUS", "NOT_UNDERSTOOD")  # answers, if not the hoped-for ones


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeHealth:
    """How the node is.

    Args:
        name: full name.
        state: of its life cycle; empty: it does not answer.
        level: worst of its diagnostics, 0 to 3; None: none came.
        sentences: what its diagnostics say that is not OK.
        report: figures of its reports.
        quiet_s: since its newest objects; None: none came.
        is_stale: whether that is longer than usual.
        trouble: what the page itself could not do, such as a camera it cannot read.
    """

    name: str
    state: str = ""
    level: int | None = None
    sentences: tuple[str, ...] = ()
    report: ReportSummary = field(default_factory=ReportSummary)
    quiet_s: float | None = None
    is_stale: bool = False
    trouble: str = ""


def escaped(text: str, limit: int = MAX_ANSWER_CHARS) -> str:
    """Text from outside, to stand in HTML.

    Args:
        text: anything.
        limit: most characters.

    Returns:
        One line in which nothing is markup.
    """
    return html.escape(shortened(text, limit), quote=True)


def badge(text: str, color: str) -> str:
    """A word on coloured ground.

    Args:
        text: shown, escaped here.
        color: CSS colour of ours.

    Returns:
        HTML.
    """
    style = f"background:{color};color:white;border-radius:0.6em;padding:0.05em 0.6em;font-weight:600;font-size:0.85em"
    return f'<span style="{style}">{escaped(text, 40)}</span>'


def health_html(health: NodeHealth) -> str:
    """The node's state and figures.

    Args:
        health: how it is.

    Returns:
        HTML.
    """
    lines = [f'<div style="margin-bottom:0.4em"><b>{escaped(health.name, 100)}</b> {_badges(health)}</div>']
    if not health.state:
        lines.append(
            _note("This node does not answer. Start it with <code>n3d start</code>; ROS_DOMAIN_ID must be the same.")
        )
    elif health.is_stale and health.quiet_s is not None:
        lines.append(_note(f"Nothing new for {health.quiet_s:.0f} s: what is shown is old.", ORANGE))
    lines += [_note(escaped(sentence, 240), ORANGE) for sentence in health.sentences[:3]]
    if health.trouble:
        lines.append(_note(escaped(health.trouble, 400), ORANGE))
    return _block("".join(lines) + _table(_report_rows(health.report)))


def _badges(health: NodeHealth) -> str:
    """State and level in colour."""
    shown = [badge(health.state or "absent", STATES.get(health.state, RED if not health.state else GREY))]
    if health.level is not None and health.state:
        shown.append(badge(*LEVELS.get(health.level, LEVELS[3])))
    return " ".join(shown)


def _report_rows(report: ReportSummary) -> Iterable[tuple[str, str]]:
    """Names and figures."""
    if not report.received and not report.status:
        return
    yield "rate", f"{report.rate_hz:.1f} Hz"
    if report.age_ms is not None:
        yield "image to result", f"{report.age_ms[0]:.0f} ms p50, {report.age_ms[1]:.0f} ms p95"
    if report.total_ms is not None:
        yield "processing", f"{report.total_ms[0]:.0f} ms p50, {report.total_ms[1]:.0f} ms p95"
    yield "image pairs", f"{report.received} came, {report.used} used"
    drops = ", ".join(f"{escaped(reason, 60)} {count}" for reason, count in report.drops)
    yield "dropped", drops or "none"
    if report.status not in ("", "OK"):
        yield "last image", f"{escaped(report.status)}: {escaped(report.message, 300)}"
    if report.backend:
        yield "found by", escaped(report.backend, 80)


def answer_html(answer: Mapping[str, Any], question: str) -> str:
    """A question with its answer.

    Args:
        answer: as ``query_response_to_dict`` gives it.
        question: what was asked.

    Returns:
        HTML.
    """
    status = str(answer["status"])
    color = GREEN if answer["success"] else ORANGE if status in NOT_WRONG else RED
    sentence = answer["sentence"] or answer["message"] or "No answer."
    parts = [_asked(question), f'<div class="n3d-answer" style="{_CARD}border-left:4px solid {color}">']
    parts.append(f'<div style="font-weight:600">{escaped(sentence)}</div>')
    if answer["message"] and answer["message"] not in sentence:
        parts.append(_note(escaped(answer["message"], 600)))
    steps = "".join(f"<li>{escaped(step, 300)}</li>" for step in list(answer["steps"])[:MAX_STEPS])
    if steps:
        parts.append(f'<ol style="margin:0.4em 0 0 0;padding-left:1.4em;opacity:0.85;font-size:0.92em">{steps}</ol>')
    foot = [badge(status, color)]
    if answer.get("image_age_s") is not None and answer["image_age_s"] >= 0:  # below: a bag that starts again
        foot.append(f"image {answer['image_age_s']:.2f} s old")
    if answer.get("latency_ms") is not None:
        foot.append(f"answered in {answer['latency_ms']:.0f} ms")
    parts.append(f'<div style="margin-top:0.4em;opacity:0.8;font-size:0.85em">{" · ".join(foot)}</div></div>')
    return _block("".join(parts))


def waiting_html(question: str, stage: str) -> str:
    """A question that is not answered yet.

    Args:
        question: what was asked.
        stage: what is being done.

    Returns:
        HTML.
    """
    return _block(_asked(question) + _note(escaped(stage, 200) + " …"))


def failed_html(question: str, sentence: str) -> str:
    """A question that could not be put.

    Args:
        question: what was asked.
        sentence: why.

    Returns:
        HTML.
    """
    return _block(_asked(question) + f'<div style="{_CARD}border-left:4px solid {RED}">{escaped(sentence)}</div>')


def object_html(shown: ShownBox, distance_m: float | None) -> str:
    """What an object is, after a click on it.

    Args:
        shown: the object.
        distance_m: from the camera; None: unknown.

    Returns:
        HTML.
    """
    rows = [] if distance_m is None else [("from the camera", f"{distance_m:.2f} m")]
    x, y, z = shown.box.center
    rows += [("position", f"{x:.2f}, {y:.2f}, {z:.2f} m")]
    rows += [(escaped(name, 40), escaped(text, 80)) for name, text in shown.facts]
    title = f'<div style="font-weight:600">{_swatch(shown.color)} {escaped(shown.title)}</div>'
    return _block(f'<div class="n3d-object" style="{_CARD}">{title}{_table(rows)}</div>')


def objects_html(boxes: Sequence[ShownBox], distances_m: Mapping[str, float]) -> str:
    """The list of objects.

    Args:
        boxes: what is shown.
        distances_m: from the camera, by key.

    Returns:
        HTML, nearest first.
    """
    if not boxes:
        return _block(_note("No objects."))
    ordered = sorted(boxes, key=lambda one: distances_m.get(one.key, float("inf")))
    rows = []
    for one in ordered[:MAX_OBJECTS]:
        size = dict(one.facts).get("size", "")
        away = f"{distances_m[one.key]:.2f} m" if one.key in distances_m else ""
        cells = f"<td>{_swatch(one.color)} {escaped(one.title)}</td><td>{escaped(size)}</td>"
        rows.append(f'<tr>{cells}<td style="text-align:right">{away}</td></tr>')
    more = f"<tr><td>and {len(boxes) - MAX_OBJECTS} more</td></tr>" if len(boxes) > MAX_OBJECTS else ""
    return _block(f'<table style="width:100%;border-spacing:0 0.1em">{"".join(rows)}{more}</table>')


_CARD = "padding:0.5em 0.8em;margin:0.3em 0;border-radius:0.4em;background:rgba(128,128,128,0.12);"


def _swatch(color: tuple[int, int, int]) -> str:
    """A little square in an object's colour."""
    red, green, blue = color
    style = f"display:inline-block;width:0.8em;height:0.8em;border-radius:0.2em;background:rgb({red},{green},{blue})"
    return f'<span style="{style}"></span>'


def _asked(question: str) -> str:
    """The question above its answer."""
    return f'<div style="opacity:0.7;font-style:italic">{escaped(question, 300)}</div>'


def _note(markup: str, color: str = "inherit") -> str:
    """A small line; the text is HTML already."""
    return f'<div style="color:{color};font-size:0.92em;margin:0.2em 0">{markup}</div>'


def _table(rows: Iterable[tuple[str, str]]) -> str:
    """Names and values; both are HTML already."""
    cells = "".join(
        f'<tr><td style="opacity:0.7;padding-right:1em;white-space:nowrap;vertical-align:top">{name}</td>'
        f"<td>{text}</td></tr>"
        for name, text in rows
    )
    return f'<table style="border-spacing:0">{cells}</table>' if cells else ""


def _block(markup: str) -> str:
    """A part of the panel."""
    return f'<div style="padding:0 0.8em;font-size:0.82em;line-height:1.45;overflow-wrap:anywhere">{markup}</div>'
