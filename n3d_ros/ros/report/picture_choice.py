"""Which images of a bag a report shows: some evenly over its time, and those at which most changed.

Of each equal part of the bag the clearest look is kept: neither a pan over an empty wall nor a flicker is shown where
there is something better. The images are kept small: only these few are in memory at any time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.ros.annotated_image import resized
from n3d_ros.ros.bag_pass import BagLook
from n3d_ros.ros.offline import look_clearness
from n3d_ros.ros.pictures import PictureObject
from n3d_ros.ros.report_pictures import picture_objects

PICTURE_WIDTH = 800  # pixels: two beside each other on a wide screen, with labels that can be read
MIN_CHANGE = 2  # objects that came or went, from which a look shows a change


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeptImage:
    """One image of a look.

    Args:
        recorded_ns: when.
        rgb: (H, ``PICTURE_WIDTH``, 3) uint8.
        intrinsics: of it.
        objects: to draw.
        change: how many objects came or went at it.
        clearness: how good it is to show.
    """

    recorded_ns: int
    rgb: NDArray[np.uint8]
    intrinsics: CameraIntrinsics
    objects: tuple[PictureObject, ...]
    change: int
    clearness: int


class PictureChoice:
    """Keeps the images worth showing.

    Args:
        start_ns: when the bag begins.
        duration_ns: of the bag.
        evenly: number of equal parts of which the clearest look each is kept.
        changes: number of looks at which most changed.
    """

    def __init__(self, start_ns: int, duration_ns: int, *, evenly: int, changes: int) -> None:
        self._start_ns, self._duration_ns = start_ns, duration_ns
        self._evenly, self._changes = evenly, changes
        self._parts: dict[int, KeptImage] = {}
        self._changed: list[KeptImage] = []
        self._looks = 0

    def offer(self, look: BagLook, change: int) -> None:
        """Keeps the image of a look if it is worth more than those that are kept.

        Args:
            look: an OK look.
            change: how many objects came or went at it.
        """
        self._looks += 1
        part = int(self._evenly * (look.recorded_ns - self._start_ns) / self._duration_ns)
        part = min(max(part, 0), self._evenly - 1)
        clearness = look_clearness([item.observations for item in look.objects], self._looks)
        best = self._parts.get(part)
        is_clearest = best is None or clearness > best.clearness
        # everything is new at the first look: that is no change
        is_change = self._looks > 1 and change >= MIN_CHANGE and self._is_among_the_most(change)
        if not is_clearest and not is_change:
            return
        image = _kept(look, change, clearness)
        if image is None:
            return
        if is_clearest:
            self._parts[part] = image
        if is_change:
            self._changed = sorted([*self._changed, image], key=lambda one: -one.change)[: self._changes]

    def _is_among_the_most(self, change: int) -> bool:
        """Whether no more than a few looks changed as much."""
        return len(self._changed) < self._changes or change > self._changed[-1].change

    def images(self) -> list[KeptImage]:
        """What is worth showing.

        Returns:
            In order of time, each look once.
        """
        chosen = {id(image): image for image in (*self._parts.values(), *self._changed)}
        by_time = {image.recorded_ns: image for image in chosen.values()}
        return [by_time[key] for key in sorted(by_time)]


def _kept(look: BagLook, change: int, clearness: int) -> KeptImage | None:
    """The image of a look, small, with what is to be drawn on it; None when there is none."""
    outcome = look.outcome
    if outcome.frame is None or outcome.output_T_camera is None:
        return None
    rgb, intrinsics = resized(outcome.frame, PICTURE_WIDTH)
    camera_T_output = outcome.output_T_camera.inverse()
    found = [(item.id, item.label, item.color, item.box.transformed(camera_T_output)) for item in look.objects]
    return KeptImage(
        recorded_ns=look.recorded_ns,
        rgb=rgb,
        intrinsics=intrinsics,
        objects=tuple(picture_objects(found)),
        change=change,
        clearness=clearness,
    )
