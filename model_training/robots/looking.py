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
from scipy.optimize import linear_sum_assignment

from model_training.data.pictures import depth_to_millimetres, encode_jpeg, encode_png
from model_training.robots.level import CAMERA_UP
from model_training.robots.picking import Candidate, candidate_of
from model_training.robots.work_folder import FoundFrame, FoundObject, name_of
from n3d_ros.detection import Detection3D, SupportSurface
from n3d_ros.errors import N3dError
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.boxes import Box3D
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
SAME_THING_SHARE = 0.5  # of the larger box's diagonal: boxes of one thing lie closer
UPRIGHT_KINDS = ("floor", "table", "shelf")


@dataclass(slots=True)
class Dropped:
    """What of the recording could not be used.

    Args:
        counts: images, by reason.
        why: one sentence per reason, of its first image.
        where: seconds into the recording of the first few images, by reason.
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
        first_number: number of the first thing.
        own_numbers: numbers that a recording's boxes came with, by stamp, in the order of the detections.
    """

    def __init__(
        self, start_ns: int, first_number: int = 1, own_numbers: Mapping[int, Sequence[int]] | None = None
    ) -> None:
        self._start_ns = start_ns
        self._next = first_number
        self._own = own_numbers or {}
        self._numbers: dict[int, int] = {}

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
        )

    def _objects(self, look: BagLook) -> list[tuple[FoundObject, Detection3D]]:
        """The objects of a look with their numbers; the label is that of the thing in the node's scene."""
        detections = look.outcome.detections
        own = self._own.get(look.outcome.stamp_ns, ())
        labels = [one.label for one in detections]
        if len(own) == len(detections) and len(set(own)) == len(own) and all(0 < number < 60_000 for number in own):
            numbers = list(own)
        else:
            things = _followed(look)
            numbers = [self._number(thing) for thing in things]
            names = {known.id: known.label for known in look.objects}
            labels = [label if thing is None else names[thing] for thing, label in zip(things, labels, strict=True)]
        return [
            (_found(number, label, one), one) for number, label, one in zip(numbers, labels, detections, strict=True)
        ]

    def _number(self, thing: int | None) -> int:
        """The number of a thing of the scene; a new one for what was not followed."""
        number = None if thing is None else self._numbers.get(thing)
        if number is None:
            number, self._next = self._next, self._next + 1
            if thing is not None:
                self._numbers[thing] = number
        return number


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


def _followed(look: BagLook) -> list[int | None]:
    """Of each detection the id of the scene's object that it was taken for; None where none is near."""
    outcome = look.outcome
    found: list[int | None] = [None] * len(outcome.detections)
    if outcome.output_T_camera is None or not look.objects or not outcome.detections:
        return found
    camera_T_output = outcome.output_T_camera.inverse()
    known = [one.box.transformed(camera_T_output) for one in look.objects]
    cost = np.array([[_apart(one.box, other) for other in known] for one in outcome.detections])
    for row, column in zip(*linear_sum_assignment(cost), strict=True):
        if cost[row, column] <= SAME_THING_SHARE:
            found[int(row)] = look.objects[int(column)].id
    return found


def _apart(one: Box3D, other: Box3D) -> float:
    """Distance of two centres, as a share of the larger diagonal."""
    reach = max(float(np.linalg.norm(one.size)), float(np.linalg.norm(other.size)))
    return float(np.linalg.norm(one.center - other.center)) / reach


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
