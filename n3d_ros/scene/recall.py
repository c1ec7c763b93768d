"""An image of the past looked at again: what it shows, under the ids that its objects have, for one answer only.

What is known now is not changed by it. An object counts as known when it was remembered at that time, is in the scene
now, or left it since, and the box found overlaps its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from n3d_ros.detection import Detection3D
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.scene.association import associate
from n3d_ros.scene.config import SceneConfig
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.scene import Scene


def recalled(
    detections: Sequence[Detection3D],
    *,
    scene_T_camera: RigidTransform,
    frame_id: str,
    stamp_ns: int,
    then: Scene | None,
    now: Scene | None,
    next_id: int,
    config: SceneConfig,
) -> Scene:
    """The scene of an image of the past, looked at again.

    Args:
        detections: what the new look at it found, camera optical frame.
        scene_T_camera: pose of the camera at its stamp.
        frame_id: of the scene.
        stamp_ns: of the image.
        then: the scene as it was remembered for that time; None when nothing is.
        now: the present scene; None when there is none.
        next_id: id of the first object that is not known.
        config: thresholds.

    Returns:
        What was remembered then, with what the look found as this image shows it; ``next_id`` is moved on.
    """
    before = then if then is not None and then.frame_id == frame_id and then.stamp_ns <= stamp_ns else None
    present = now if now is not None and now.frame_id == frame_id else None
    known = _known(before, present)
    seen = [found.transformed(scene_T_camera) for found in detections]
    pairs = associate(known, seen, may_have_left=lambda _: False, config=config).pairs
    shown = {known[i].id: _as_seen(known[i], seen[j], stamp_ns) for i, j in pairs.items()}
    strangers = [found for j, found in enumerate(seen) if j not in pairs.values()]
    new = [SceneObject.first(next_id + n, found, stamp_ns) for n, found in enumerate(strangers)]
    remembered = () if before is None else before.objects
    unseen = [one for one in remembered if one.id not in shown]
    present_ids = {one.id for one in (*shown.values(), *unseen)}
    departed = () if before is None else tuple(one for one in before.departed if one.object.id not in present_ids)
    return Scene(
        frame_id=frame_id,
        stamp_ns=stamp_ns,
        objects=(*shown.values(), *new, *unseen),
        departed=departed,
        next_id=max([next_id + len(new), *(one + 1 for one in present_ids), *(one.object.id + 1 for one in departed)]),
    )


def _known(then: Scene | None, now: Scene | None) -> list[SceneObject]:
    """Every object known then, now or meanwhile, each once, as it was nearest to then."""
    known: dict[int, SceneObject] = {}
    for scene in (then, now):
        if scene is not None:
            _add(known, (*scene.objects, *scene.candidates))
            _add(known, (one.object for one in scene.departed))
    return list(known.values())


def _add(known: dict[int, SceneObject], objects: Iterable[SceneObject]) -> None:
    for one in objects:
        known.setdefault(one.id, one)


def _as_seen(known: SceneObject, seen: Detection3D, stamp_ns: int) -> SceneObject:
    """A known object as this image shows it."""
    fresh = SceneObject.first(known.id, seen, stamp_ns)
    return replace(
        known,
        box=fresh.box,
        uncertainty=fresh.uncertainty,
        score=seen.score,
        support_ratio=seen.support_ratio,
        first_seen_ns=min(known.first_seen_ns, stamp_ns),
        last_seen_ns=stamp_ns,
    )
