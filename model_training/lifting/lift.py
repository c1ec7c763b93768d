"""One annotated image to one frame with 3-D boxes: mask, depth, points, box, rules."""

from __future__ import annotations

from dataclasses import dataclass

from model_training.data.records import FrameRecord
from model_training.lifting.rejects import Reject


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lifted:
    """What became of an image.

    Args:
        record: the frame; None where nothing of the image was believed.
        rejects: what was left out, the image itself or annotations of it.
    """

    record: FrameRecord | None
    rejects: tuple[Reject, ...] = ()
