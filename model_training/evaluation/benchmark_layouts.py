"""Questions of public benchmarks, row by row, as they are asked here.

Facts of the layouts: SpatialRGPT-Bench (github.com/AnjieCheng/SpatialRGPT, llava/eval/eval_spatial.py: id, image_info,
text_q with "Region [0]", bbox, rle, conversations, qa_info), CV-Bench (huggingface.co/datasets/nyu-visionx/CV-Bench:
filename, task, question, choices, answer "(A)"), RefCOCO as rows (huggingface.co/datasets/jxu124/refcoco: file_name,
sentences, bbox, split), and rows as N3D-VLM's demo writes its own (image_path, question, point_cloud).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from model_training.evaluation.overlap import Rectangle
from n3d_ros.errors import InputError
from n3d_ros.scene.comparison import spoken_value
from n3d_ros.scene.spatial_answer import ValueType

REGION_NAMES = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel")
"""Words that stand for regions, which have numbers and no names: "Region [0]" is asked for as "the alpha"."""

_REGION = re.compile(r"(?:\bthe\s+)?\bregion\s*\[(\d+)\]", re.IGNORECASE)
_MARKED = re.compile(r"\s*\(highlighted by [^)]*\)", re.IGNORECASE)
_SENTENCE = re.compile(r"[^.?!]*\?")
_AGREES = re.compile(r"^(?:correct|indeed|yes|true|right|that's right|affirmative)\b", re.IGNORECASE)
_DENIES = re.compile(r"^(?:incorrect|no|not|false|wrong|actually,? no|in fact)\b", re.IGNORECASE)

CLASS_WORDS: Mapping[str, str] = MappingProxyType({
    "relative_dist": "relative_distance", "vertical": "horizontal_vertical_distance",
    "horizontal": "horizontal_vertical_distance", "direction": "direction", "left": "left_right",
    "right": "left_right", "behind": "front_behind", "front": "front_behind", "above": "above_below",
    "below": "above_below", "wide": "wide_thin", "thin": "wide_thin", "tall": "tall_short", "short": "tall_short",
    "big": "big_small", "small": "big_small", "furthest": "furthest", "order": "depth_order", "depth": "depth_order",
    "width": "width_height", "height": "width_height", "distance": "distance",
})  # fmt: skip
"""Beginning of a word in a benchmark's own class name -> the class it is told by; the first that fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkRow:
    """A question of a benchmark.

    Args:
        id: of the row.
        image: name of the image's file.
        question: in words; "" for expressions.
        expressions: to find, instead of a question.
        value: the true value, see ``QuestionRecord.value``.
        value_type: its kind.
        question_class: as the tables name it.
        choices: to choose from.
        regions: rectangles in the image, pixels, named by ``REGION_NAMES`` or, for expressions, what they mean.
        run_lengths: masks of the regions, as COCO writes them; empty: none.
        depth: name of a file with the image's depth; "": found by the image's name.
    """

    id: str
    image: str
    question: str = ""
    expressions: tuple[str, ...] = ()
    value: str = ""
    value_type: str = "none"
    question_class: str = ""
    choices: tuple[str, ...] = ()
    regions: tuple[Rectangle, ...] = ()
    run_lengths: tuple[Mapping[str, Any], ...] = ()
    depth: str = ""


def row_of(values: Mapping[str, Any], layout: str, number: int) -> BenchmarkRow:
    """A row of a benchmark's file.

    Args:
        values: of the row.
        layout: a key of ``LAYOUTS``.
        number: of the row, where it has no id.

    Returns:
        The question.

    Raises:
        InputError: a key is missing or holds something else.
    """
    try:
        return LAYOUTS[layout](values, number)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        reason = error.message if isinstance(error, InputError) else f"wrong or missing: {error}"
        raise InputError(f"Row {number} ({layout}): {reason}.") from error


def layout_of(values: Mapping[str, Any]) -> str:
    """The layout that a row has.

    Args:
        values: of a row.

    Returns:
        A key of ``LAYOUTS``.

    Raises:
        InputError: none fits.
    """
    keys = set(values)
    for layout, needed in _NEEDED.items():
        if needed <= keys:
            return layout
    told = "; ".join(f"{layout}: {', '.join(sorted(needed))}" for layout, needed in _NEEDED.items())
    raise InputError(
        f"Benchmark: expected rows with the keys of a known layout ({told}), got {', '.join(sorted(keys))}."
    )


def is_row(values: Mapping[str, Any]) -> bool:
    """Whether a mapping is a row, and not what holds the rows.

    Args:
        values: of a file.

    Returns:
        True where some layout fits it.
    """
    return any(needed <= set(values) for needed in _NEEDED.values())


def class_of(name: str) -> str:
    """The class of a question by a benchmark's own name for it.

    Args:
        name: such as "2p_behind_predicate_inverse" or "width_data".

    Returns:
        A class of the benchmark of N3D-VLM, or the name itself.
    """
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    return next((kind for word, kind in CLASS_WORDS.items() if f"_{word}" in f"_{plain}"), plain)


def value_of(question: str, answer: str, kind: str) -> tuple[str, str]:
    """The true value in a true answer's words.

    Args:
        question: in words.
        answer: the true answer.
        kind: class of the question.

    Returns:
        Value and value type, as ``QuestionRecord`` has them; "" where no value can be read.
    """
    text = answer.strip()
    if kind == "direction":
        hour = re.search(r"\b(\d{1,2})\s*o\W?clock", text, re.IGNORECASE) or re.fullmatch(r"\s*(\d{1,2})\s*\.?", text)
        return (hour[1], "direction") if hour else ("", "none")
    said = spoken_value(text)
    if said.value_type is ValueType.NUMBER and not isinstance(said.value, (bool, str)):
        return f"{said.value:.6g}", "number"
    if re.match(r"(?:is|are|does|do|can|could|would|has|have)\b", question.strip(), re.IGNORECASE):
        if _AGREES.match(text):
            return "yes", "boolean"
        if _DENIES.match(text):
            return "no", "boolean"
    if said.value_type is ValueType.BOOLEAN:
        return ("yes" if said.value else "no"), "boolean"
    if kind in ("width_height", "distance", "horizontal_vertical_distance"):
        return "", "none"
    if said.value_type is ValueType.COUNT:
        return f"{said.value:g}" if isinstance(said.value, float) else str(said.value), "count"
    return _named(text), "text"


def _named(text: str) -> str:
    """The region that an answer names first; else its words."""
    found = re.search(rf"\b(?:{'|'.join(REGION_NAMES)})\b", text, re.IGNORECASE)
    return found[0].lower() if found else text.rstrip(".")


def _spatialrgpt(values: Mapping[str, Any], number: int) -> BenchmarkRow:
    """SpatialRGPT-Bench: regions by number, a true answer in words."""
    kind = class_of(str(values["qa_info"]["category"]))
    question = _with_names(str(values["text_q"]))
    turns = [turn["value"] for turn in values["conversations"] if turn["from"] != "human"]
    value, value_type = value_of(question, _with_names(str(turns[0])), kind)
    return BenchmarkRow(
        id=str(values.get("id", number)),
        image=str(values["image_info"]["file_path"]),
        question=question,
        value=value,
        value_type=value_type,
        question_class=kind,
        regions=tuple(_rectangle(one) for one in values["bbox"]),
        run_lengths=tuple(values.get("rle") or ()),
    )


def _cv_bench(values: Mapping[str, Any], number: int) -> BenchmarkRow:
    """CV-Bench: multiple choice; no boxes are drawn into images here, so words about their colours are left out."""
    asked = _SENTENCE.findall(_MARKED.sub("", str(values["question"])))
    task = str(values.get("task", ""))
    kinds = {"depth": "depth_order", "distance": "relative_distance"}
    return BenchmarkRow(
        id=str(values.get("idx", number)),
        image=str(values["filename"]),
        question=asked[-1].strip() if asked else str(values["question"]),
        value=str(values["answer"]).strip("() "),
        value_type="text",
        question_class=kinds.get(task.lower(), task.lower() or "choice"),
        choices=tuple(_MARKED.sub("", str(one)) for one in values["choices"]),
    )


def _refcoco(values: Mapping[str, Any], number: int) -> BenchmarkRow:
    """RefCOCO as rows: sentences that mean one box; COCO's own boxes are left, top, width, height."""
    annotation = values.get("ann_info") or (json.loads(values["raw_anns"]) if values.get("raw_anns") else None)
    left, top, width, height = (float(one) for one in (annotation or values)["bbox"])
    return _referring(values, number, (left, top, left + width, top + height))


def _refcoco_corners(values: Mapping[str, Any], number: int) -> BenchmarkRow:
    """The same with boxes as left, top, right, bottom."""
    return _referring(values, number, _rectangle(values["bbox"]))


def _referring(values: Mapping[str, Any], number: int, rectangle: Rectangle) -> BenchmarkRow:
    sentences = values["sentences"]
    first = sentences[0]
    words = str(first.get("raw") or first["sent"]) if isinstance(first, Mapping) else str(first)
    return BenchmarkRow(
        id=str(values.get("ref_id", number)),
        image=str(values["file_name"]),
        expressions=(words,),
        question_class="referring",
        regions=(rectangle,),
    )


def _n3d(values: Mapping[str, Any], number: int) -> BenchmarkRow:
    """Rows like those of N3D-VLM: image, question, answer, type, and the point map's file."""
    question = str(values["question"])
    kind = class_of(str(values.get("type", "")))
    choices = tuple(str(one) for one in values.get("choices") or ())
    value, value_type = (str(values["answer"]), "text") if choices else value_of(question, str(values["answer"]), kind)
    return BenchmarkRow(
        id=str(values.get("id", number)),
        image=str(values.get("image") or values["image_path"]),
        question=question,
        value=value,
        value_type=value_type,
        question_class=kind,
        choices=choices,
        depth=str(values.get("point_cloud") or values.get("depth") or ""),
    )


def _with_names(text: str) -> str:
    """The text with a name for each region."""

    def name(found: re.Match[str]) -> str:
        number = int(found[1])
        if number >= len(REGION_NAMES):
            raise InputError(f"expected at most {len(REGION_NAMES)} regions, got region {number}")
        return f"the {REGION_NAMES[number]}"

    return _REGION.sub(name, text.replace("<image>", "").strip())


def _rectangle(values: Sequence[Any]) -> Rectangle:
    left, top, right, bottom = (float(one) for one in values)
    return left, top, right, bottom


LAYOUTS: Mapping[str, Callable[[Mapping[str, Any], int], BenchmarkRow]] = MappingProxyType(
    {
        "spatialrgpt": _spatialrgpt,
        "cv-bench": _cv_bench,
        "refcoco": _refcoco,
        "refcoco-corners": _refcoco_corners,
        "n3d": _n3d,
    }
)
"""Layout and what reads a row of it."""

_NEEDED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "spatialrgpt": frozenset({"text_q", "qa_info", "image_info", "conversations"}),
        "cv-bench": frozenset({"question", "choices", "answer", "filename"}),
        "refcoco": frozenset({"sentences", "file_name", "bbox"}),
        "n3d": frozenset({"question", "answer"}),
    }
)
