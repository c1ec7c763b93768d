"""Two evaluations side by side: every figure that both have, and what changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from model_training.evaluation.detection import ANY_CLASS, BY_CLASS, LEVELS
from model_training.evaluation.tables import decimal, percent, table

MOST_CLASSES = 30


def compared(now: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """The figures of two evaluations and their differences.

    Args:
        now: the document of this evaluation.
        before: that of another.

    Returns:
        Markdown, with a warning where the two were not made on the same frames in the same way.
    """
    mine, theirs = dict(_rows(now["figures"])), dict(_rows(before["figures"]))
    rows = []
    for name, (value, is_share) in mine.items():
        if name in theirs:
            other = theirs[name][0]
            change = None if value is None or other is None else value - other
            told = percent if is_share else decimal
            signed = "-" if change is None else ("+" if change >= 0 else "") + told(change)
            rows.append([name, told(other), told(value), signed])
    lines = ["## Compared", "", f"Before: {_named(before)}; now: {_named(now)}.", ""]
    lines += [f"**Not the same {what}: differences may come from that.**\n" for what in _unlike(now, before)]
    return "\n".join([*lines, table(["figure", "before", "now", "change"], rows)])


def _rows(figures: Mapping[str, Any]) -> Iterator[tuple[str, tuple[float | None, bool]]]:
    """Name, value and whether it is a share, of every figure worth comparing."""
    for measure, boxes in figures["boxes"].items():
        for kind in (BY_CLASS, ANY_CLASS):
            for level in map(str, LEVELS):
                for name, key in (("F1", "f1"), ("P", "precision"), ("R", "recall")):
                    yield f"{measure}, {kind}, {name} at {level} %", (boxes["counts"][kind][level][key], True)
        for key in ("iou_mean_of_asked", "offset_m_median", "projected_iou_mean", "projected_offset_mean"):
            yield f"{measure}, {key}", (boxes["errors"][key], False)
        for kind, calibration in boxes["calibration"].items():
            yield f"{measure}, {kind}, calibration error", (calibration["ece"], False)
    for kind, words in figures["words"].items():
        for key in ("projected_iou_mean", "projected_offset_mean", "iou_mean", "offset_m_mean"):
            yield f"words, {kind}, {key}", (words[key], False)
    for mode, answers in figures["answers"].items():
        for name, one in {**answers["groups"], **answers["classes"]}.items():
            yield f"answers, {mode}, {name} %", (one["accuracy"], True)
    first = next(iter(figures["boxes"].values()), None)
    if first is not None:
        classes = sorted(first["by"]["class"][BY_CLASS].items(), key=lambda item: (-item[1]["truths"], item[0]))
        for name, counts in classes[:MOST_CLASSES]:
            yield f"class {name}, F1 %", (counts["f1"], True)
    for name, times in figures["latency_ms"].items():
        yield f"{name}, p50 ms", (times["p50"], False)


def _named(document: Mapping[str, Any]) -> str:
    about = document["about"]
    return f"{about.get('boxes by', '?')} on {about.get('evaluated on', '?')} ({document['figures']['frames']} frames)"


def _placeless(about: Mapping[str, Any]) -> dict[str, Any]:
    """The same without where the data lay."""
    data = about.get("data")
    return dict(about) | {"data": {k: v for k, v in data.items() if k != "data"} if isinstance(data, Mapping) else data}


def _unlike(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """What differs besides the figures."""
    mine, theirs = _placeless(now["about"]), _placeless(before["about"])
    unlike = [word for word in ("data", "settings") if mine.get(word) != theirs.get(word)]
    return unlike + (["number of frames"] if now["figures"]["frames"] != before["figures"]["frames"] else [])
