"""Replies made of scenes: what was found, and what a question comes to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from n3d_ros.detection import Detection3D
from n3d_ros.errors import QueryError, StatusCode
from n3d_ros.ros.asks import Reply
from n3d_ros.ros.outcomes import Placement
from n3d_ros.scene.asked import not_found
from n3d_ros.scene.moving import moved
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.phrases import Phrase, Selection, select, vocabulary
from n3d_ros.scene.scene import Scene
from n3d_ros.scene.spatial_answer import SpatialAnswer, ValueType

MAX_NAMED = 8  # objects that a sentence names


def shown_reply(text: str, scene: Scene, place: Placement, objects: Sequence[SceneObject]) -> Reply:
    """The reply that lists objects of a scene.

    Args:
        text: the phrase that was looked for; empty: everything.
        scene: the scene, in its own frame.
        place: where the answer wants it.
        objects: of the scene.

    Returns:
        OK, or NOT_FOUND with what there is instead.
    """
    shown = moved(objects, place.target_T_scene)
    names = ", ".join(one.label for one in shown[:MAX_NAMED])
    if shown:
        status, message, sentence = StatusCode.OK, "", f"Found {len(shown)}: {names}."
    else:
        status = StatusCode.NOT_FOUND
        sentence = message = not_found(text, scene.transformed(place.frame_id, place.target_T_scene))
    return Reply(
        status=status,
        message=message,
        sentence=sentence,
        objects=shown,
        frame_id=place.frame_id,
        stamp_ns=scene.stamp_ns,
        up=place.up,
        value=float(len(shown)),
        value_type=int(ValueType.COUNT),
        value_text=str(len(shown)),
        unit="1",
    )


def said_reply(result: SpatialAnswer, seen: Scene, place: Placement, *further: Scene) -> Reply:
    """The reply that gives an answer.

    Args:
        result: the answer.
        seen: the scene it rests on, in the answer's frame.
        place: that frame.
        *further: other scenes in that frame, which objects of the answer may be from.

    Returns:
        Sentence, value, steps and the objects that the steps name.
    """
    known = {one.id: one for scene in (*further[::-1], seen) for one in _everything(scene)}
    return Reply(
        status=result.status,
        message="" if result.status is StatusCode.OK else result.text,
        objects=tuple(known[one] for one in result.object_ids if one in known),
        frame_id=place.frame_id,
        stamp_ns=seen.stamp_ns,
        up=place.up,
        sentence=result.text,
        value=result.value,
        value_type=int(result.value_type),
        value_text=result.value_text,
        unit=result.unit,
        clock_hour=result.clock_hour,
        steps=tuple(result.steps),
    )


def meant_by(text: str, scene: Scene, *, open_vocabulary: bool) -> Selection[SceneObject]:
    """The objects of a scene that a phrase means.

    Args:
        text: the phrase.
        scene: in any frame.
        open_vocabulary: whether the objects are called what they are.

    Returns:
        The objects, with notes.

    Raises:
        QueryError: the phrase names nothing, or nothing that is known here (code ``NOT_UNDERSTOOD``).
    """
    phrase = Phrase.parse(text)
    if phrase is None:
        raise QueryError(f"No word of {text[:64]!r} names anything to look for.")
    meant = select(phrase, scene.objects)
    if not meant.is_understood and not open_vocabulary:
        raise QueryError(
            f"Phrase {text[:64]!r}: {phrase.noun!r} is not known; the objects here are told by colour and shape only. "
            f"{vocabulary()}"
        )
    return meant


def match_pairs(detections: Sequence[Detection3D], scene: Scene) -> list[tuple[Detection3D, SceneObject]]:
    """The scene's object that each detection became: the nearest one seen at the scene's stamp, if it is there at all.

    Of several detections of one object (a whole and pieces of it), only the first counts.

    Args:
        detections: in the scene's frame, the ones the scene was just updated with, best first.
        scene: the scene after that update.

    Returns:
        Pairs in the order of the detections, each object once; also candidates, which the scene does not report yet:
        what was asked for and is seen now is told.
    """
    seen = [one for one in (*scene.objects, *scene.candidates) if one.last_seen_ns == scene.stamp_ns]
    matched: dict[int, tuple[Detection3D, SceneObject]] = {}
    for detection in detections:
        distances = [float(np.linalg.norm(one.box.center - detection.box.center)) for one in seen]
        nearest = seen[int(np.argmin(distances))] if seen else None
        if nearest is not None and min(distances) <= np.linalg.norm(nearest.box.size) / 2:
            matched.setdefault(nearest.id, (detection, nearest))
    return list(matched.values())


def _everything(scene: Scene) -> tuple[SceneObject, ...]:
    """Objects that left, and those that are there, which count for more."""
    return (*(one.object for one in reversed(scene.departed)), *scene.candidates, *scene.objects)
