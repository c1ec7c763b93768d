"""A recording through the node's own pipeline, twice: once to choose frames, once to find boxes in those chosen.

::

    bag -> BagPass -> pairs -> candidates -> pick          (images only)
    bag -> BagPass -> picked pairs -> FramePipeline -> FoundFrame
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from model_training.data.pictures import depth_to_millimetres, encode_jpeg, encode_png
from model_training.robots.following import Numbers, followed
from model_training.robots.level import CAMERA_UP
from model_training.robots.picking import Candidate, candidate_of
from model_training.robots.work_folder import FoundFrame, FoundObject, name_of
from n3d_ros.detection import Detection3D, SupportSurface
from n3d_ros.errors import N3dError
from n3d_ros.frame import RgbdFrame
from n3d_ros.inference.depth_source import DepthSource
from n3d_ros.inference.grounder import Grounder
from n3d_ros.ros.bag import BagMessage, BagReader
from n3d_ros.ros.bag_pass import BagListeners, BagLook, BagPass
from n3d_ros.ros.camera_topics import CameraTopics
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.image_codec import compressed_to_rgb, image_to_rgb
from n3d_ros.ros.outcomes import FrameOutcome
from n3d_ros.ros.pairing import RgbdPair

JPEG_QUALITY = 95  # of kept pictures: image_transport's own; the recording's pictures are seldom better
UPRIGHT_KINDS = ("floor", "table", "shelf")


@dataclass(slots=True)
class Dropped:
    """What of the recording could not be used.

    Args:
        counts: images, by reason.
        why: one sentence per reason, of its first image.
        where: seconds into the recording of each image, by reason.
    """

    counts: Counter[str] = field(default_factory=Counter)
    why: dict[str, str] = field(default_factory=dict)
    where: dict[str, list[float]] = field(default_factory=dict)

    def add(self, reason: str, sentence: str, seconds: float) -> None:
        """Counts an image.

        Args:
            reason: short key.
            sentence: about it.
            seconds: into the recording.
        """
        self.counts[reason] += 1
        self.why.setdefault(reason, sentence)
        self.where.setdefault(reason, []).append(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bag:
    """An open recording and what looks at it.

    Args:
        reader: an open bag.
        topics: the camera's.
        grounder: finds the objects; closed by the caller.
        config: the node's settings.
        depth_source: finds depth; None: the bag's depth images.
        tell: told of each message that was handled, for progress.
        should_stop: asked after each message.
    """

    reader: BagReader
    topics: CameraTopics
    grounder: Grounder
    config: NodeConfig
    depth_source: DepthSource | None = None
    tell: Callable[[BagMessage], None] = lambda _message: None
    should_stop: Callable[[], bool] = lambda: False

    def walk(
        self, dropped: Dropped, *, wants: Callable[[RgbdPair], bool], look: Callable[[BagLook], None] | None = None
    ) -> tuple[str, bool]:
        """One pass.

        Args:
            dropped: what gives no result is counted here.
            wants: asked of each pair whether the grounder is to look at it.
            look: told what came of each such pair.

        Returns:
            What is wrong with the bag, "" when nothing is; and whether the pass was stopped.
        """
        start = self.reader.start_ns

        def drop(reason: str, sentence: str, recorded_ns: int) -> None:
            dropped.add(reason, sentence, max(0, recorded_ns - start) / 1e9)

        listeners = BagListeners(look=(look,) if look else (), drop=(drop,), handled=(self.tell,))
        every_pair = replace(self.config, continuous_rate_hz=0.0)  # frames are picked here, not paced
        bag_pass = BagPass(
            self.reader, self.topics, self.grounder, every_pair, listeners, (), self.depth_source, wants=wants
        )
        bag_pass.run(should_stop=self.should_stop)
        return bag_pass.damage, bag_pass.interrupted


def candidates_of(
    bag: Bag, dropped: Dropped, *, only: Collection[int] | None = None
) -> tuple[list[Candidate], str, bool]:
    """The frames of a recording that may be picked: with depth, calibration and a picture that can be read.

    Args:
        bag: the recording.
        dropped: the others are counted here.
        only: stamps that come into question; None: all.

    Returns:
        Candidates in the recording's order, what is wrong with the bag, and whether it was stopped.
    """
    found: list[Candidate] = []

    def consider(pair: RgbdPair) -> bool:
        if only is not None and pair.stamp_ns not in only:
            return False
        if pair.color_info is None:
            sentence = "No CameraInfo had come for the colour image; name its topic with --color-info."
            dropped.add("missing_camera_info", sentence, max(0, pair.stamp_ns - bag.reader.start_ns) / 1e9)
            return False
        try:
            found.append(candidate_of(_picture(pair.color), pair.stamp_ns))
        except N3dError as error:
            dropped.add(error.reason, error.message, max(0, pair.stamp_ns - bag.reader.start_ns) / 1e9)
        return False

    damage, stopped = bag.walk(dropped, wants=consider)
    return found, damage, stopped


def _picture(message: Any) -> Any:
    """(H, W, 3) uint8 of a colour message, raw or compressed."""
    return image_to_rgb(message) if hasattr(message, "encoding") else compressed_to_rgb(message)


class Finder:
    """Makes found frames of looks, with numbers that stay with a thing.

    Args:
        start_ns: stamp that frames' names count from.
        known: frames of earlier runs, whose numbers go on.
        own_numbers: numbers that a recording's boxes came with, by stamp, in the order of the detections.
        boxes_by: what finds the boxes.
    """

    def __init__(
        self,
        start_ns: int,
        known: Sequence[FoundFrame] = (),
        own_numbers: Mapping[int, Sequence[int]] | None = None,
        boxes_by: str = "",
    ) -> None:
        self._boxes_by = boxes_by
        self._start_ns = start_ns
        self._numbers = Numbers(known)
        self._own = own_numbers or {}

    def frame(self, look: BagLook) -> FoundFrame | None:
        """The found frame of a look.

        Args:
            look: what came of a pair.

        Returns:
            The frame; None when the look has no result.
        """
        outcome, frame = look.outcome, look.outcome.frame
        if not outcome.is_ok or frame is None:
            return None
        up, source = up_of(outcome)
        objects = self._objects(look)
        return FoundFrame(
            name=name_of(outcome.stamp_ns, self._start_ns),
            stamp_ns=outcome.stamp_ns,
            frame_id=outcome.frame_id,
            intrinsics=frame.intrinsics,
            up=up,
            up_source=source,
            objects=tuple(sorted((one for one, _ in objects), key=lambda one: one.number)),
            image=encode_jpeg(frame.rgb, JPEG_QUALITY),
            depth_png=encode_png(depth_to_millimetres(frame.depth_m)),
            masks_png=_masks(frame, objects),
            boxes_by=self._boxes_by,
            **_fixed(outcome),
        )

    def _objects(self, look: BagLook) -> list[tuple[FoundObject, Detection3D]]:
        """The objects of a look with their numbers; the label is that of the thing in the node's scene."""
        detections = look.outcome.detections
        own = self._own.get(look.outcome.stamp_ns, ())
        labels = [one.label for one in detections]
        if len(own) == len(detections) and len(set(own)) == len(own) and all(0 < number < 60_000 for number in own):
            numbers = list(own)
        else:
            things = followed(look)
            numbers = self._numbers.of(look, things)
            names = {known.id: known.label for known in look.objects}
            labels = [label if thing is None else names[thing] for thing, label in zip(things, labels, strict=True)]
        return [
            (_found(number, label, one), one) for number, label, one in zip(numbers, labels, detections, strict=True)
        ]


def _fixed(outcome: FrameOutcome) -> dict[str, Any]:
    """Where the camera was in the scene's fixed frame; nothing where tf knows none."""
    if outcome.scene is None or outcome.scene.frame_id == outcome.frame_id:
        return {}
    return {"fixed_frame": outcome.scene.frame_id, "fixed_T_camera": outcome.scene_T_camera}


def up_of(outcome: FrameOutcome) -> tuple[tuple[float, float, float], str]:
    """The vertical of a frame, and what told it.

    Args:
        outcome: an OK outcome.

    Returns:
        (3,) unit vector, camera optical frame, and one of ``UP_SOURCES``.
    """
    vector, source = CAMERA_UP, "picture"
    level = sorted((one for one in outcome.surfaces if one.kind in UPRIGHT_KINDS), key=_area, reverse=True)
    if outcome.up_camera is not None:
        vector, source = outcome.up_camera, "tf"
    elif level:
        vector, source = level[0].normal, "surface"
    x, y, z = (float(value) for value in vector / np.linalg.norm(vector))
    return (x, y, z), source


def _area(surface: SupportSurface) -> float:
    """How large a surface's outline is, square metres: the area of a plane polygon."""
    outline = surface.outline
    return abs(float(np.cross(outline, np.roll(outline, -1, axis=0)).sum(axis=0) @ surface.normal)) / 2


def _found(number: int, label: str, one: Detection3D) -> FoundObject:
    """A detection under its number."""
    return FoundObject(
        number=number,
        label=label,
        box=one.box,
        score=one.score,
        support_ratio=one.support_ratio,
        color=one.color or "",
        shape=one.shape or "",
        has_mask=one.mask is not None,
    )


def _masks(frame: RgbdFrame, objects: Sequence[tuple[FoundObject, Detection3D]]) -> bytes:
    """PNG bytes of the numbers of the objects whose pixels the grounder marked; empty when it marked none."""
    if not any(one.mask is not None for _, one in objects):
        return b""
    labels = np.zeros(frame.depth_m.shape, np.uint16)
    for known, one in objects:
        if one.mask is not None:
            labels[one.mask] = known.number
    return encode_png(labels)
