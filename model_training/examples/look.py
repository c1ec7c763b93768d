"""Look: a frame decoded, with its objects, as augmentation changes it and as answers are made from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_training.data.records import FrameRecord, ObjectRecord
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.boxes import Box3D


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """A frame and what is in it.

    Args:
        id: of the record.
        frame: colour, depth, camera.
        objects: ascending by id.
        labels: (H, W) uint16 object ids per pixel, 0 for none; None: unknown.
        is_complete: whether what is not among the objects is not there.
    """

    id: str
    frame: RgbdFrame
    objects: tuple[ObjectRecord, ...]
    labels: NDArray[np.uint16] | None
    is_complete: bool = True

    def by_id(self, object_id: int) -> ObjectRecord | None:
        """The object of that id, None when there is none.

        Args:
            object_id: as in ``objects``.

        Returns:
            The object.
        """
        return next((one for one in self.objects if one.id == object_id), None)


def look_at(record: FrameRecord) -> Look:
    """A record decoded; nothing of it stays in the record.

    Args:
        record: the frame.

    Returns:
        Its look.

    Raises:
        InputError: broken images.
    """
    # A copy of the record keeps the decoded pixels, so that a shard held in memory stays as small as its file.
    fresh = FrameRecord(**{name: getattr(record, name) for name in record.__dataclass_fields__})
    return Look(
        id=record.id,
        frame=fresh.frame(),
        objects=record.objects,
        labels=fresh.labels,
        is_complete=record.is_complete,
    )


def target_box(record: ObjectRecord, kind: str) -> Box3D | None:
    """The box of an object that answers are made of.

    Args:
        record: the object.
        kind: "visible" or "full"; where the wanted one is unknown, the other stands for it.

    Returns:
        The box, camera optical frame, metres; None: neither is known, or its centre is not in front of the camera.
    """
    wanted, other = (record.visible_box, record.box) if kind == "visible" else (record.box, record.visible_box)
    found = wanted if wanted is not None else other
    return found if found is not None and found.center[2] > 0 else None
