"""The report of an evaluation: Markdown for people, JSON for comparing, pictures to look at."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from model_training.evaluation.asked import asked_objects
from model_training.evaluation.cases import CaseSource
from model_training.evaluation.comparing import compared
from model_training.evaluation.found import Found
from model_training.evaluation.pictures import Picture, case_picture, reliability_picture
from model_training.evaluation.running import EvaluationConfig, limited
from model_training.evaluation.scoring import FORMAT, VERSION, Evaluation, FrameScore
from model_training.evaluation.tables import box_tables, explanation, further_tables, in_short
from n3d_ros.errors import ConfigurationError
from n3d_ros.whole_files import START_AGAIN, whole_file, write_json

REPORT_FILE, JSON_FILE = "report.md", "evaluation.json"
PICTURES_EACH = 3  # best, worst and random cases
PICTURE_SETS = ("best", "worst", "random")
REPORT_FILES = (
    REPORT_FILE,
    JSON_FILE,
    "scores.jpg",
    *(f"{kind}_{number}.jpg" for kind in PICTURE_SETS for number in range(1, PICTURES_EACH + 1)),
)
"""Everything that a report may consist of."""
_LEGEND = (
    "In the pictures, green boxes are true. Found ones are blue where one overlaps a true box by 0.25, whatever it is "
    "called, and red elsewhere; a green box without a blue one was missed. Things that count neither way are gray."
)
_JPEG_QUALITY = 88


def write_report(
    folder: Path,
    evaluation: Evaluation,
    source: CaseSource,
    config: EvaluationConfig,
    lines: Mapping[str, Mapping[str, Any]],
    about: Mapping[str, Any],
    *,
    against: Mapping[str, Any] | None = None,
) -> Path:
    """Writes evaluation.json, report.md and the pictures.

    Args:
        folder: exists.
        evaluation: the figures.
        source: read once more for the pictures.
        config: of the run.
        lines: of its journal.
        about: what was evaluated, by whom, and how.
        against: the JSON of an earlier report to compare with; None: none.

    Returns:
        Path of the Markdown.

    Raises:
        ConfigurationError: a file cannot be written.
    """
    pictures = _case_pictures(folder, evaluation, source, config, lines)
    boxes = evaluation.figures["boxes"]
    scores = boxes[source.measures[0]]["calibration"] if source.measures else {}
    if any(one["bins"] for one in scores.values()):
        panels = [reliability_picture(one["bins"], kind) for kind, one in scores.items()]
        write_picture(folder / "scores.jpg", np.hstack(panels).astype(np.uint8))
        pictures["scores"] = ["scores.jpg"]
    document = {"format": FORMAT, "version": VERSION, "about": dict(about), "figures": dict(evaluation.figures)}
    write_json(folder / JSON_FILE, document)
    text = markdown(evaluation, about, pictures, measures=source.measures, open_classes=source.open_classes)
    if against is not None:
        text += f"\n{compared(document, against)}\n"
    with whole_file(folder / REPORT_FILE, advice=START_AGAIN) as file:
        file.write(text.encode())
    return folder / REPORT_FILE


def read_report(path: Path) -> dict[str, Any]:
    """The JSON of a report.

    Args:
        path: of evaluation.json, or of its folder.

    Returns:
        Its content.

    Raises:
        ConfigurationError: there is none, or it is something else.
    """
    file = path / JSON_FILE if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file}: expected {JSON_FILE} of an earlier evaluation ({error}).") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("version") != VERSION:
        raise ConfigurationError(f"{file}: expected format {FORMAT!r}, version {VERSION}, of `n3d eval`.")
    return content


def markdown(
    evaluation: Evaluation,
    about: Mapping[str, Any],
    pictures: Mapping[str, Sequence[str]],
    *,
    measures: Sequence[str],
    open_classes: bool,
) -> str:
    """The report as Markdown.

    Args:
        evaluation: the figures.
        about: what was evaluated.
        pictures: names of the files by kind.
        measures: the first one is told in detail.
        open_classes: whether classes mean nothing here.

    Returns:
        Text.
    """
    figures = evaluation.figures
    parts = ["# Evaluation", ""]
    parts += [f"- {name}: {_words(value)}" for name, value in about.items() if value not in ([], {}, "")]
    parts += ["", *_counts(figures), ""]
    parts += ["## In short", "", in_short(figures, measures, open_classes=open_classes), ""]
    parts += ["## How to read the tables", "", explanation(measures), ""]
    parts += [box_tables(figures, measures, open_classes=open_classes)]
    parts += [further_tables(figures, open_classes=open_classes), ""]
    if any(pictures.get(kind) for kind in PICTURE_SETS):
        parts += [_LEGEND, ""]
    for kind in (*PICTURE_SETS, "scores"):
        if pictures.get(kind):
            parts += [f"## Pictures: {kind}", "", *(f"![{kind}]({name})\n" for name in pictures[kind])]
    return "\n".join(parts).rstrip() + "\n"


def _counts(figures: Mapping[str, Any]) -> list[str]:
    """What there was, and what could not be used."""
    splits = ", ".join(f"{name} {count}" for name, count in figures["splits"].items())
    lines = [f"- frames: {figures['frames']} ({splits}), objects asked for: {figures['objects_asked_for']}"]
    if "train" in figures["splits"]:
        lines.append("- **frames of the split train: figures of a model that was trained on them say little**")
    if figures["frames_labelled_in_part"]:
        lines.append(
            f"- frames labelled in part: {figures['frames_labelled_in_part']}; boxes on nothing known count neither way"
        )
    if figures["rejected_lines"]:
        lines.append(f"- lines or boxes that could not be read or used: {figures['rejected_lines']}")
    if figures["looks_cut_short"]:
        lines.append(f"- looks cut short, by time or by the length of the list: {figures['looks_cut_short']}")
    lines += [f"- not looked at, {count} frames: {why}" for why, count in figures["problems"].items()]
    lines += [f"- left out, {count}: {why}" for why, count in figures["skipped"].items()]
    return lines


def chosen_frames(frames: Sequence[FrameScore]) -> dict[str, list[FrameScore]]:
    """The frames that are shown: those with the best and worst F1, and some by chance, the same each time.

    Args:
        frames: all that were scored.

    Returns:
        By kind; a frame is shown once only.
    """
    told = [one for one in frames if one.f1 is not None]
    by_f1 = sorted(told, key=lambda one: (one.f1 or 0.0, one.asked, one.id))
    best = by_f1[::-1][:PICTURES_EACH]
    worst = [one for one in by_f1 if one not in best][:PICTURES_EACH]
    rest = sorted(
        (one for one in frames if one not in best and one not in worst),
        key=lambda one: hashlib.sha256(one.id.encode()).hexdigest(),
    )
    return {"best": best, "worst": worst, "random": rest[:PICTURES_EACH]}


def write_picture(path: Path, picture: Picture) -> None:
    """Writes a JPEG whole or not at all.

    Args:
        path: ends in .jpg.
        picture: BGR.

    Raises:
        ConfigurationError: it cannot be encoded or written.
    """
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise ConfigurationError(f"{path.name}: a picture of shape {picture.shape} cannot be encoded.")
    with whole_file(path, advice=START_AGAIN) as file:
        file.write(np.asarray(data).tobytes())


def _case_pictures(
    folder: Path,
    evaluation: Evaluation,
    source: CaseSource,
    config: EvaluationConfig,
    lines: Mapping[str, Mapping[str, Any]],
) -> dict[str, list[str]]:
    """Writes the pictures of the chosen frames; names of the files by kind."""
    chosen = chosen_frames(evaluation.frames)
    wanted = {one.id: (kind, number, one) for kind, ones in chosen.items() for number, one in enumerate(ones)}
    names: dict[str, dict[int, str]] = {kind: {} for kind in chosen}
    for case in limited(source, config) if wanted else ():
        record = case.record
        if record.id not in wanted:
            continue
        kind, number, score = wanted[record.id]
        found = Found.from_dict(lines[record.id]["found"])
        if found.problem:
            continue  # its image may be the very thing that cannot be read
        asked, ignored = asked_objects(record, [one.record for one in case.questions], config.asked_for)
        f1 = "-" if score.f1 is None else f"{score.f1:.2f}"
        title = f"{record.id}: F1 {f1}, {score.asked} objects, {score.found} boxes"
        measure = source.measures[0] if source.measures else "visible"
        picture = case_picture(record, found.objects, asked, ignored, title, measure)
        names[kind][number] = f"{kind}_{number + 1}.jpg"
        write_picture(folder / names[kind][number], picture)
    return {kind: [some[number] for number in sorted(some)] for kind, some in names.items()}


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_words(one)}" for name, one in value.items())
    return "; ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
