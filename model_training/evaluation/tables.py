"""The figures of an evaluation as Markdown tables; "-" stands for what cannot be said, never 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from model_training.evaluation.asked import DISTANCE_BANDS_M, SIZE_BANDS_M, band_order
from model_training.evaluation.detection import ANY_CLASS, BY_CLASS, LEVELS

MOST_CLASSES = 60  # rows; the rest are counted in one line
MOST_NAMES = 8  # of classes that are not there
_MEANINGS = {
    "visible": "visible: boxes along the camera's axes around what is seen (what the model writes; a grounder without "
    "such boxes: around its points, else the hull of its box)",
    "aligned": "aligned: hulls, along the camera's axes, of the whole objects' boxes",
    "oriented": "oriented: whole objects' boxes as they are turned; a round thing's turn about its axis does not count",
    "points": "points: measured points inside a box against the object's points",
}


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table.

    Args:
        header: names of the columns.
        rows: cells.

    Returns:
        Lines.
    """
    lines = [list(header), ["---"] + ["---:"] * (len(header) - 1), *map(list, rows)]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def percent(value: float | None) -> str:
    """A share for a table.

    Args:
        value: 0 to 1; None: cannot be said.

    Returns:
        Such as "61.5".
    """
    return "-" if value is None else f"{100 * value:.1f}"


def decimal(value: float | None, digits: int = 3) -> str:
    """A number for a table.

    Args:
        value: None: cannot be said.
        digits: after the point.

    Returns:
        Text.
    """
    return "-" if value is None else f"{value:.{digits}f}"


def box_tables(figures: Mapping[str, Any], measures: Sequence[str], *, open_classes: bool) -> str:
    """Everything about boxes.

    Args:
        figures: of an evaluation.
        measures: in order.
        open_classes: whether classes mean nothing here.

    Returns:
        Markdown.
    """
    boxes = figures["boxes"]
    if not measures:
        return ""
    kinds = (ANY_CLASS,) if open_classes else (BY_CLASS, ANY_CLASS)
    rows = [[f"{measure}, {kind}", *_prf(boxes[measure]["counts"][kind])] for measure in measures for kind in kinds]
    header = ["boxes, %"] + [f"{name} at {level}" for level in LEVELS for name in ("F1", "P", "R")]
    parts = ["## Boxes", "", table(header, rows), ""]
    by = boxes[measures[0]]["by"]
    if not open_classes:
        parts += [f"### By class ({measures[0]}, at {LEVELS[0]})", "", _class_table(by["class"]), ""]
    for name, bands in (("distance", DISTANCE_BANDS_M), ("size", SIZE_BANDS_M)):
        parts += [f"### By {name} ({measures[0]}, at {LEVELS[0]})", "", _band_table(by[name], bands, kinds), ""]
    parts += ["### How far off", "", _error_table(boxes, measures), ""]
    return "\n".join(parts)


def further_tables(figures: Mapping[str, Any], *, open_classes: bool) -> str:
    """Words, answers, scores and time.

    Args:
        figures: of an evaluation.
        open_classes: whether classes mean nothing here.

    Returns:
        Markdown.
    """
    parts = []
    if figures["words"]:
        parts += ["## Boxes for words", "", _words_table(figures["words"]), ""]
    if figures["answers"]:
        parts += ["## Answers", "", _answer_table(figures["answers"]), ""]
        parts += [f"- {line}" for line in _why_lines(figures["answers"])] + [""]
    if figures["boxes"]:
        parts += [
            "## Scores",
            "",
            *_score_lines(figures["boxes"], (ANY_CLASS,) if open_classes else (BY_CLASS, ANY_CLASS)),
            "",
        ]
    parts += ["## Time", "", _time_table(figures["latency_ms"])]
    return "\n".join(parts)


def in_short(figures: Mapping[str, Any], measures: Sequence[str], *, open_classes: bool) -> str:
    """The outcome in a few sentences.

    Args:
        figures: of an evaluation.
        measures: the first one is told.
        open_classes: whether classes mean nothing here.

    Returns:
        Markdown, one line per subject.
    """
    lines = []
    if measures:
        boxes = figures["boxes"][measures[0]]
        any_class, by_class = (boxes["counts"][kind][str(LEVELS[0])] for kind in (ANY_CLASS, BY_CLASS))
        line = (
            f"boxes: {any_class['hits']} of {any_class['truths']} objects were found "
            f"({percent(any_class['recall'])} %) by {any_class['found']} boxes, of which "
            f"{percent(any_class['precision'])} % are on an object: F1 {percent(any_class['f1'])} %"
        )
        if not open_classes:
            line += f"; {by_class['hits']} of them by the right name: F1 {percent(by_class['f1'])} %"
        lines.append(f"{line} ({measures[0]}, at {LEVELS[0]})")
        if boxes["errors"]["offset_m_median"] is not None:
            lines.append(
                f"half of the boxes near an object are within {boxes['errors']['offset_m_median']:.3f} m of it"
            )
    for kind, one in figures["words"].items():
        lines.append(f"words, {kind}: Proj. IoU {decimal(one['projected_iou_mean'])} of {one['targets']} objects")
    for mode, answers in figures["answers"].items():
        told = ", ".join(
            f"{name} {percent(one['accuracy'])} % of {one['judged']}" for name, one in answers["groups"].items()
        )
        lines.append(f"answers, {mode}: right are {told}")
    return "\n".join(f"- {line}." for line in lines)


def explanation(measures: Sequence[str]) -> str:
    """What the words of the tables mean.

    Args:
        measures: that were used.

    Returns:
        Sentences.
    """
    lines = []
    if measures:
        lines += [
            "at 0.25, at 0.5: a box is right where its IoU with a true box (the volume that they share over the volume "
            "that they fill together) is at least so much; an object has one box, and every other one on it is wrong",
            "P, precision: the share of the boxes that are right; R, recall: the share of the objects that were found; "
            'F1: the harmonic mean of both; "-": cannot be said',
        ]
    lines += [_MEANINGS[measure] for measure in measures]
    lines += [
        "class-aware: a box must be called as its object is, in the same words; class-agnostic: anything counts",
        "offset: distance of two boxes' centres; in the image: of the projected box's and the true rectangle's, in "
        "image sizes",
        "code: answers that the node's code computes from the boxes found; model: answers in the model's own words",
        "calibration error: how far scores are from the share of boxes that is right; 0 is best",
        "numeric answers are right within 25 %, clock directions by the hour, all others exactly; an object that was "
        "not found makes an answer wrong",
    ]
    return "\n".join(f"- {line}." for line in lines)


def _prf(counts: Mapping[str, Any]) -> list[str]:
    return [percent(counts[str(level)][name]) for level in LEVELS for name in ("f1", "precision", "recall")]


def _class_table(by: Mapping[str, Any]) -> str:
    aware, agnostic = by[BY_CLASS], by[ANY_CLASS]
    known = [name for name in aware if aware[name]["truths"]]
    strange = [name for name in aware if not aware[name]["truths"]]
    names = sorted(known, key=lambda name: (-aware[name]["truths"], -aware[name]["found"], name))
    rows = [
        [
            name,
            str(aware[name]["truths"]),
            str(aware[name]["found"]),
            *(percent(aware[name][key]) for key in ("f1", "precision", "recall")),
            percent(agnostic.get(name, {}).get("recall")),
        ]
        for name in names[:MOST_CLASSES]
    ]
    text = table(["class", "objects", "boxes", "F1", "P", "R", "R by any name"], rows)
    if len(names) > MOST_CLASSES:
        text += f"\n\n{len(names) - MOST_CLASSES} classes more, in evaluation.json."
    if strange:
        boxes = sum(aware[name]["found"] for name in strange)
        told = ", ".join(sorted(strange, key=lambda name: (-aware[name]["found"], name))[:MOST_NAMES])
        text += f"\n\n{boxes} boxes have names that nothing there has: {told}{', ...' * (len(strange) > MOST_NAMES)}."
    return text


def _band_table(by: Mapping[str, Any], bands: Sequence[float], kinds: Sequence[str]) -> str:
    rows = []
    for band in [*band_order(bands), "unknown"]:
        counts = [by[kind].get(band) for kind in kinds]
        if any(counts):
            first = next(one for one in counts if one)
            rows.append(
                [band, str(first["truths"])]
                + [percent(one[key]) if one else "-" for one in counts for key in ("f1", "precision", "recall")]
            )
    header = [f"{name} {kind}" for kind in kinds for name in ("F1", "P", "R")]
    return table(["from the camera" if bands == DISTANCE_BANDS_M else "longest side", "objects", *header], rows)


def _error_table(boxes: Mapping[str, Any], measures: Sequence[str]) -> str:
    rows = []
    for measure in measures:
        errors = boxes[measure]["errors"]
        rows.append(
            [
                measure,
                f"{errors['pairs']} of {errors['asked']}",
                decimal(errors["iou_mean"]),
                decimal(errors["iou_mean_of_asked"]),
                decimal(errors["offset_m_mean"]),
                decimal(errors["offset_m_median"]),
                decimal(errors["projected_iou_mean"]),
                decimal(errors["projected_offset_mean"]),
            ]
        )
    header = ["boxes", "pairs", "IoU", "IoU, missing as 0", "offset m", "median m", "image IoU", "image offset"]
    return table(header, rows)


def _words_table(words: Mapping[str, Any]) -> str:
    rows = [
        [
            kind,
            str(one["questions"]),
            str(one["targets"]),
            str(one["refused"]),
            *(percent(one["counts"][str(level)]["f1"]) for level in LEVELS),
            decimal(one["projected_iou_mean"]),
            decimal(one["projected_offset_mean"]),
            decimal(one["iou_mean"]),
            decimal(one["offset_m_mean"]),
        ]
        for kind, one in words.items()
    ]
    header = ["words", "asked", "objects", "not understood", *(f"F1 at {level} %" for level in LEVELS)]
    return table([*header, "Proj. IoU", "Proj. offset", "3-D IoU", "3-D offset m"], rows)


def _answer_table(answers: Mapping[str, Any]) -> str:
    modes = list(answers)
    classes = {name: one["group"] for mode in modes for name, one in answers[mode]["classes"].items()}
    groups = sorted(set(classes.values()))
    rows = []
    for group in groups:
        rows += [
            [name, group, *_answer_cells([answers[mode]["classes"].get(name) for mode in modes])]
            for name in sorted(name for name, of in classes.items() if of == group)
        ]
        rows.append([f"**all {group}**", group, *_answer_cells([answers[mode]["groups"].get(group) for mode in modes])])
    header = [cell for mode in modes for cell in (f"right, {mode} %", "of")]
    return table(["question class", "kind", *header], rows)


def _answer_cells(cells: Sequence[Mapping[str, Any] | None]) -> list[str]:
    return [text for one in cells for text in ((percent(one["accuracy"]), str(one["judged"])) if one else ("-", "0"))]


def _why_lines(answers: Mapping[str, Any]) -> list[str]:
    lines = []
    for mode, one in answers.items():
        for words, key in (("wrong because", "wrong_because"), ("not judged because", "not_judged_because")):
            if one["all"][key]:
                told = ", ".join(f"{why} {count}" for why, count in one["all"][key].items())
                lines.append(f"{mode}, {words}: {told}")
    return lines


def _score_lines(boxes: Mapping[str, Any], kinds: Sequence[str]) -> list[str]:
    lines = []
    for measure, one in boxes.items():
        for kind, found in one["calibration"].items():
            if found["boxes"] and kind in kinds:
                lines.append(
                    f"- {measure}, {kind}: {found['boxes']} boxes, {found['correct']} right; expected calibration "
                    f"error {found['ece']:.3f}, Brier {found['brier']:.3f}"
                )
    return lines or ["- No box has a score."]


def _time_table(latency: Mapping[str, Any]) -> str:
    rows = [[name, str(one["count"]), decimal(one["p50"], 1), decimal(one["p95"], 1)] for name, one in latency.items()]
    return table(["what", "count", "p50 ms", "p95 ms"], rows)


def _cell(text: str) -> str:
    """Text that stays within its cell, whatever names a model writes."""
    return " ".join(text.replace("|", "\\|").split())
