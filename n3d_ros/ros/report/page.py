"""The page: everything of a report put into one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from numpy.typing import NDArray

from n3d_ros.ros.annotated_image import annotated_image, with_boxes
from n3d_ros.ros.bag_questions import Answered
from n3d_ros.ros.offline import OfflineSummary
from n3d_ros.ros.overlay import display_color
from n3d_ros.ros.pictures import PictureObject, jpeg_bytes
from n3d_ros.ros.report.facts import BagFacts, per_second, stage_rows
from n3d_ros.ros.report.material import ObjectTrack, ReportMaterial
from n3d_ros.ros.report.picture_choice import KeptImage
from n3d_ros.ros.report.timeline import timeline_of
from n3d_ros.ros.report_pictures import picture_objects, up_direction
from n3d_ros.ros.top_down import top_down_picture

TEMPLATE = "report.html"
MAX_PAGE_BYTES = 10_000_000
QUALITIES = (82, 60, 35)  # of the pictures: a page that would be too large gets poorer ones, then fewer
MAX_OBJECTS = 200  # rows
OPEN_OBJECTS = 25  # of these that are not folded away
MAX_ANSWERS = 200
MAX_STEPS = 40  # of an answer
MAX_TEXT_CHARS = 2000
MAX_VALUE_CHARS = 80
MAX_LABELS = 24  # named in the words for a picture
LISTED_SHARE = 10  # objects seen in less than one look of so many are not drawn in the map


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportInput:
    """What a report tells of.

    Args:
        bag: facts about the recording.
        summary: of the run.
        material: collected on the way.
        settings: parameters that are not at their default.
        versions: what it was made with.
        made: when.
    """

    bag: BagFacts
    summary: OfflineSummary
    material: ReportMaterial
    settings: Mapping[str, str]
    versions: Mapping[str, str]
    made: datetime


def report_page(report: ReportInput) -> str:
    """The page.

    Args:
        report: what to tell.

    Returns:
        HTML of at most ``MAX_PAGE_BYTES`` bytes in UTF-8, without a reference to anything outside it. What is too
        much gets poorer pictures, then fewer, then answers without their steps, then fewer answers.
    """
    source = files(__package__).joinpath("templates").joinpath(TEMPLATE).read_text("utf-8")
    template = _environment().from_string(source)
    context, images = _context(report), report.material.pictures.images()
    quality_index = 0
    while True:
        quality = QUALITIES[min(quality_index, len(QUALITIES) - 1)]
        pictures = _pictures(images, report.material, quality)
        page = template.render(**context, **_scene_pictures(report, quality), pictures=pictures)
        page = page.encode("utf-8", "replace").decode("utf-8")
        if len(page.encode("utf-8")) <= MAX_PAGE_BYTES or not (images or _has_text_to_spare(context)):
            return page
        if not images:
            context = _with_less_text(context)
        if quality_index >= len(QUALITIES) - 1:
            images = images[::2] if len(images) > 1 else []
        quality_index += 1


def _has_text_to_spare(context: Mapping[str, Any]) -> bool:
    """Whether ``_with_less_text`` would find anything to leave out."""
    return len(context["answers"]) > 1 or any(one["steps"] for one in context["answers"])


def _with_less_text(context: Mapping[str, Any]) -> dict[str, Any]:
    """The same without the steps of the answers or, when there are none, with half of the answers."""
    answers, left_out = context["answers"], context["answers_left_out"]
    if any(one["steps"] for one in answers):
        return {**context, "answers": [{**one, "steps": ()} for one in answers]}
    kept = answers[: len(answers) // 2]
    return {**context, "answers": kept, "answers_left_out": left_out + len(answers) - len(kept)}


def _environment() -> Environment:
    """Jinja with everything escaped: labels, topics and questions come from outside."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["cut"] = _cut
    return environment


def _cut(text: object, limit: int = MAX_TEXT_CHARS) -> str:
    """Text from outside: without characters that steer, and not without end."""
    words = "".join(one if one.isprintable() or one == "\n" else "\N{REPLACEMENT CHARACTER}" for one in str(text))
    return words if len(words) <= limit else words[:limit] + "\N{HORIZONTAL ELLIPSIS}"


def _context(report: ReportInput) -> dict[str, Any]:
    """What the template tells, without pictures."""
    summary, material = report.summary, report.material
    tracks = sorted(material.tracks.values(), key=lambda track: (-track.looks, track.latest.id))
    answers = summary.answers[:MAX_ANSWERS]
    return {
        "bag": report.bag,
        "summary": summary,
        "settings": report.settings,
        "versions": report.versions,
        "made": report.made.strftime("%Y-%m-%d %H:%M:%S %Z").strip(),
        "camera": material.camera,
        "image_size": material.image_size,
        "notes": sorted(material.notes.items(), key=lambda item: -item[1])[:20],
        "median_ms": float(np.median(material.total_ms)) if material.total_ms else None,
        "rate": per_second(summary.frames, summary.seconds),
        "stages": stage_rows(material),
        "dropped": sorted(summary.dropped.items(), key=lambda item: -item[1]),
        "objects": [_object_row(track, material) for track in tracks[:MAX_OBJECTS]],
        "open_objects": OPEN_OBJECTS,
        "objects_left_out": max(0, len(tracks) - MAX_OBJECTS),
        "timeline": timeline_of(material, answers),
        "answers": [_answer_card(i, one, material) for i, one in enumerate(answers, start=1)],
        "answers_left_out": max(0, len(summary.answers) - MAX_ANSWERS),
        "max_page_mb": MAX_PAGE_BYTES // 1_000_000,
    }


def _object_row(track: ObjectTrack, material: ReportMaterial) -> dict[str, Any]:
    """One object for the table."""
    item = track.latest
    seconds = [(moment - material.start_ns) / 1e9 for moment in (track.spans[0][0], track.spans[-1][1])]
    return {
        "id": item.id,
        "label": item.label,
        "color": _css_color(item.color, item.id),
        "size_cm": " \u00d7 ".join(f"{100 * length:.1f}" for length in item.box.size),
        "center_m": ", ".join(f"{value + 0.0:.3f}" for value in np.round(item.box.center, 3)),
        "frame_id": track.frame_id,
        "from_s": seconds[0],
        "to_s": seconds[1],
        "looks": track.looks,
        "gaps": len(track.spans) - 1,
        "score": item.score,
    }


def _css_color(word: str | None, key: int) -> str:
    """The colour in which an object is drawn, for CSS."""
    red, green, blue = (round(255 * channel) for channel in display_color(word, key))
    return f"rgb({red} {green} {blue})"


def _answer_card(number: int, answered: Answered, material: ReportMaterial) -> dict[str, Any]:
    """One question with its answer."""
    reply = answered.reply
    value = reply.value_text if len(reply.value_text) <= MAX_VALUE_CHARS else ""  # a longer one repeats the sentence
    return {
        "number": number,
        "text": answered.question.text,
        "at_s": (answered.recorded_ns - material.start_ns) / 1e9,
        "status": reply.status.name,
        "is_ok": reply.status.name == "OK",
        "sentence": reply.sentence or reply.message,
        "value": value,
        "steps": reply.steps[:MAX_STEPS],
        "objects": [
            {"id": one.id, "label": one.label, "color": _css_color(one.color, one.id)}
            for one in reply.objects[:MAX_LABELS]
        ],
    }


def _pictures(images: Sequence[KeptImage], material: ReportMaterial, quality: int) -> list[dict[str, Any]]:
    """The images of single looks."""
    return [
        {
            "src": _data_url(with_boxes(one.rgb, one.intrinsics, one.objects), quality),
            "width": one.intrinsics.width,
            "height": one.intrinsics.height,
            "at_s": (one.recorded_ns - material.start_ns) / 1e9,
            "alt": _named(one.objects),
            "count": len(one.objects),
            "change": one.change,
        }
        for one in images
    ]


def _scene_pictures(report: ReportInput, quality: int) -> dict[str, Any]:
    """The clearest image and the map; None where there is none."""
    best = report.summary.best
    if best is None or best[0].frame is None or best[0].output_T_camera is None:
        return {"clearest": None, "map": None}
    outcome, objects = best
    frame, output_T_camera = outcome.frame, outcome.output_T_camera
    if frame is None or output_T_camera is None:
        return {"clearest": None, "map": None}
    camera_T_output = output_T_camera.inverse()
    seen = {item.id: item for item in objects}
    if outcome.output_frame != outcome.frame_id:  # a frame that does not move: what other looks showed is there, too
        enough = len(report.material.looks_ns) / LISTED_SHARE
        for track in report.material.tracks.values():
            if track.frame_id == outcome.output_frame and track.looks >= enough:
                seen.setdefault(track.latest.id, track.latest)
    shown = picture_objects(
        [(item.id, item.label, item.color, item.box.transformed(camera_T_output)) for item in seen.values()]
    )
    here = [item for item in shown if item.number in {one.id for one in objects}]
    image = annotated_image(frame, here)
    above = top_down_picture(
        shown,
        up=up_direction(outcome.up_camera, outcome.surfaces),
        intrinsics=frame.intrinsics,
        surfaces=outcome.surfaces,
        frame=frame,
        title="The scene from above",
        subtitle=f"{len(shown)} objects; measured points and camera of the clearest image",
    )
    return {
        "clearest": _figure(image, quality, _named(here)),
        "map": _figure(above, quality, _named(shown)),
    }


def _figure(image: NDArray[np.uint8], quality: int, alt: str) -> dict[str, Any]:
    """A picture for the template."""
    return {"src": _data_url(image, quality), "width": image.shape[1], "height": image.shape[0], "alt": alt}


def _data_url(image: NDArray[np.uint8], quality: int) -> str:
    """A picture within the page."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg_bytes(image, quality)).decode("ascii")


def _named(objects: Sequence[PictureObject]) -> str:
    """The objects of a picture in words, for those who do not see it."""
    names = [f"{item.label} {item.number}, {item.distance_m:.2f} m away" for item in objects[:MAX_LABELS]]
    more = [f"and {len(objects) - MAX_LABELS} more"] if len(objects) > MAX_LABELS else []
    return "; ".join([*names, *more]) or "no objects"
