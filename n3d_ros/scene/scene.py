"""Scene: an immutable snapshot of the objects in one frame, and its update from one look.

>>> scene = Scene.empty("map")
>>> scene = scene.updated(result.detections, scene_T_camera=map_T_camera, frame=frame, config=SceneConfig())

A snapshot can be handed to any thread. What left the scene is remembered in ``departed`` for a while, and gets its old
id when it is found again.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from n3d_ros.detection import Detection3D
from n3d_ros.errors import InputError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.scene.association import associate, explained_by_others
from n3d_ros.scene.config import SceneConfig
from n3d_ros.scene.departed import Departed, Departure, come_back, kept_departed, returned
from n3d_ros.scene.fusion import quaternion_product
from n3d_ros.scene.moving import moved
from n3d_ros.scene.objects import SceneObject
from n3d_ros.scene.visibility import Visibility, visibility

__all__ = ["Scene", "SceneConfig", "SceneObject"]

SETTLED_LOOKS = 10  # an object found less often is forgotten sooner, in proportion: it may never have been one
LEFT_PLACES = (Visibility.EMPTY, Visibility.HIDDEN)  # what moved has left its place empty, or a hand is there now


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """The objects known at one moment, in one frame.

    Args:
        frame_id: frame of every box.
        stamp_ns: of the latest look; 0 before the first.
        objects: ascending by id.
        candidates: objects found in too few looks to be reported yet, ascending by id.
        next_id: id of the next new object; 0: one more than the largest used.
        departed: objects that left, newest first.
    """

    frame_id: str
    stamp_ns: int
    objects: tuple[SceneObject, ...] = ()
    candidates: tuple[SceneObject, ...] = ()
    next_id: int = 0
    departed: tuple[Departed, ...] = ()

    def __post_init__(self) -> None:
        """Puts the objects in order and checks that ids are unique.

        Raises:
            InputError: a frame without a name, an id used twice, or one that is still to be given.
        """
        gone = (one.object for one in self.departed)
        ids = [known.id for known in (*self.objects, *self.candidates, *gone)]
        if not self.frame_id or len(set(ids)) < len(ids):
            raise InputError(f"Scene: expected a frame's name and unique ids, got {self.frame_id!r} and {sorted(ids)}.")
        if self.next_id and ids and self.next_id <= max(ids):
            raise InputError(f"Scene.next_id: expected more than {max(ids)}, got {self.next_id}.")
        object.__setattr__(self, "next_id", self.next_id or max(ids, default=0) + 1)
        for name in ("objects", "candidates"):
            object.__setattr__(self, name, tuple(sorted(getattr(self, name), key=lambda known: int(known.id))))

    @classmethod
    def empty(cls, frame_id: str, stamp_ns: int = 0) -> Scene:
        """A scene without objects.

        Args:
            frame_id: frame in which objects will be kept.
            stamp_ns: start; earlier looks are refused.

        Returns:
            The scene.
        """
        return cls(frame_id=frame_id, stamp_ns=stamp_ns)

    def by_id(self, object_id: int) -> SceneObject | None:
        """The reported object with that id.

        Args:
            object_id: as in messages.

        Returns:
            The object, None when there is none.
        """
        return next((known for known in self.objects if known.id == object_id), None)

    def transformed(self, frame_id: str, target_T_scene: RigidTransform) -> Scene:
        """The same scene, expressed in another frame.

        Args:
            frame_id: name of the target frame.
            target_T_scene: from this scene's frame.

        Returns:
            The scene in the target frame.
        """
        gone = [one.object for one in self.departed]
        there = moved((*self.objects, *self.candidates, *gone), target_T_scene)
        first, second = len(self.objects), len(self.objects) + len(self.candidates)
        departed = (replace(one, object=known) for one, known in zip(self.departed, there[second:], strict=True))
        return replace(
            self, frame_id=frame_id, objects=there[:first], candidates=there[first:second], departed=tuple(departed)
        )

    def updated(
        self,
        detections: Sequence[Detection3D],
        *,
        scene_T_camera: RigidTransform,
        frame: RgbdFrame,
        config: SceneConfig,
        complete: bool = True,
    ) -> Scene:
        """The scene after one more look.

        The picture of the scene's own stamp, looked at again (for a request), adds what is found in it; that something
        is not found in it counts once.

        Args:
            detections: what was found, camera optical frame; their order does not matter.
            scene_T_camera: pose of the camera at the frame's stamp.
            frame: the look itself; its depth tells an empty place from a hidden one.
            config: thresholds.
            complete: whether everything was searched for. False when only a phrase was grounded: not being found then
                says nothing, though a place seen empty still does.

        Returns:
            The new snapshot; this one stays as it is.

        Raises:
            InputError: the look is older than the scene (reason ``time_jump``): start again with ``Scene.empty``.
        """
        if frame.stamp_ns < self.stamp_ns:
            raise InputError(
                f"Scene: expected a look at or after {self.stamp_ns} ns, got {frame.stamp_ns} ns. Time jumped back (a "
                "bag that loops, a clock that was set): start a new scene.",
                reason="time_jump",
            )
        look = _in_scene(sorted(detections, key=_reading_order), scene_T_camera)
        known = [*self.objects, *self.candidates]

        @cache
        def place_of(index: int) -> Visibility:
            share = config.visible_share
            return visibility(known[index].box, scene_T_camera=scene_T_camera, frame=frame, visible_share=share)

        is_new_look = frame.stamp_ns > self.stamp_ns
        association = associate(known, look, may_have_left=lambda i: place_of(i) in LEFT_PLACES, config=config)
        replaced = explained_by_others(known, look, association)

        def after_look(i: int, one: SceneObject) -> SceneObject:
            if i in association.pairs:
                return _found_again(one, look[association.pairs[i]], frame.stamp_ns, config)
            if not is_new_look:
                return one
            place = Visibility.EMPTY if replaced[i] and complete else place_of(i)
            return _not_found(one, place, complete=complete)

        after = [after_look(i, one) for i, one in enumerate(known)]
        left = {one.id for one, before in zip(after, known, strict=True) if one.missed > before.missed}
        return self._settled(after, left, [look[index] for index in association.new], frame.stamp_ns, config)

    def _settled(
        self,
        known: Sequence[SceneObject],
        left: Set[int],
        new: Sequence[Detection3D],
        now_ns: int,
        config: SceneConfig,
    ) -> Scene:
        """The snapshot once it is clear who stays, who leaves, who is back and who is new.

        Args:
            known: objects and candidates after the look.
            left: ids of those whose place the look sees empty.
            new: detections of no known object, scene frame.
            now_ns: stamp of the look.
            config: thresholds.

        Returns:
            The new snapshot.
        """
        missing = [Departed(object=one, left_ns=now_ns, how=Departure.EMPTY) for one in known if one.id in left]
        back = returned(new, [*missing, *self.departed], [one for one in known if one.id not in left])
        back_ids = {one.id for one in back.values()}
        stay, leave = _parted([one for one in known if one.id not in back_ids], now_ns, config)
        strangers = [found for n, found in enumerate(new) if n not in back]
        present = _within_limit(
            [
                *stay,
                *(come_back(one, new[n], now_ns) for n, one in back.items()),
                *(SceneObject.first(self.next_id + n, found, now_ns) for n, found in enumerate(strangers)),
            ],
            config.max_objects,
        )
        present_ids = {one.id for one in present}
        crowded = (one for one in stay if one.id not in present_ids)
        leave += [Departed(object=one, left_ns=now_ns, how=Departure.CROWDED_OUT) for one in crowded]
        reported = [one for one in leave if one.object.observations >= config.min_observations]
        return Scene(
            frame_id=self.frame_id,
            stamp_ns=now_ns,
            objects=tuple(one for one in present if one.observations >= config.min_observations),
            candidates=tuple(one for one in present if one.observations < config.min_observations),
            next_id=self.next_id + len(strangers),
            departed=kept_departed((*reported, *self.departed), now_ns, present_ids, config),
        )


def _in_scene(detections: Sequence[Detection3D], scene_T_camera: RigidTransform) -> list[Detection3D]:
    """The detections in the scene's frame; many at once cost a third of ``Detection3D.transformed`` for each."""
    turn = scene_T_camera.orientation_xyzw
    return [
        replace(
            found,
            box=Box3D(
                center=scene_T_camera.rotation @ found.box.center + scene_T_camera.translation,
                size=found.box.size,
                orientation_xyzw=quaternion_product(turn, found.box.orientation_xyzw),
            ),
            uncertainty=None if found.uncertainty is None else found.uncertainty.rotated(scene_T_camera),
        )
        for found in detections
    ]


def _reading_order(detection: Detection3D) -> tuple[float | str, ...]:
    """A key that orders detections by what they are, so that ids do not depend on the order in which they come."""
    center = np.round(detection.box.center, 9).tolist()
    return (center[2], center[0], center[1], detection.label, *detection.box.size.tolist())


def _found_again(known: SceneObject, seen: Detection3D, stamp_ns: int, config: SceneConfig) -> SceneObject:
    """The object with the detection counted."""
    return known.seen_again(seen, stamp_ns, smoothing=config.smoothing, drift_m_per_sqrt_s=config.drift_m_per_sqrt_s)


def _not_found(known: SceneObject, place: Visibility, *, complete: bool) -> SceneObject:
    """The object after a look that did not find it; a look that cannot see its place changes nothing."""
    if place is Visibility.EMPTY:
        return replace(known, missed=known.missed + 1)
    if place is Visibility.OCCUPIED:
        return replace(known, missed=0, undetected=known.undetected + complete)
    return known


def _parted(
    objects: Sequence[SceneObject], now_ns: int, config: SceneConfig
) -> tuple[list[SceneObject], list[Departed]]:
    """The objects that stay, and those that leave."""
    stay, leave = list[SceneObject](), list[Departed]()
    for one in objects:
        how = _why_gone(one, now_ns, config)
        if how is None:
            stay.append(one)
        else:
            leave.append(Departed(object=one, left_ns=now_ns, how=how))
    return stay, leave


def _why_gone(known: SceneObject, now_ns: int, config: SceneConfig) -> Departure | None:
    """Why to forget an object: its place is empty, it was overlooked more often than found, or unseen for too long."""
    if known.missed >= config.max_missed_visible:
        return Departure.EMPTY
    if known.undetected > max(known.observations, config.max_missed_visible):
        return Departure.OVERLOOKED
    patience_s = config.forget_after_s * min(1.0, known.observations / SETTLED_LOOKS)
    return Departure.UNSEEN if (now_ns - known.last_seen_ns) * 1e-9 > patience_s else None


def _within_limit(objects: list[SceneObject], limit: int) -> list[SceneObject]:
    """At most ``limit`` objects: those seen last, then those seen most often, then the oldest."""
    ranked = sorted(objects, key=lambda one: (-one.last_seen_ns, -one.observations, one.id))
    return ranked[:limit]
