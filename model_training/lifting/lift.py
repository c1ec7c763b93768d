"""One annotated image to one frame with 3-D boxes: mask, depth, points, box, rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from model_training.data.pictures import mask_box
from model_training.data.records import FrameRecord, ObjectRecord
from model_training.lifting.annotations import AnnotatedImage, Annotation2D, Box2D
from model_training.lifting.boxes_2d import checked_box
from model_training.lifting.cameras import known_camera, read_cameras
from model_training.lifting.config import LiftConfig
from model_training.lifting.depths import DepthSource, ImageDepth, depth_source, loaded_model
from model_training.lifting.frames import Photograph, frame_of_objects, read_photograph
from model_training.lifting.masks import Segmenter, masks_of, segmenter_of
from model_training.lifting.packed_mask import PackedMask
from model_training.lifting.points import OwnPoints, own_points, seen_box
from model_training.lifting.rejects import RULES, Reject
from model_training.lifting.rules import annotation_fault, box_fault, duplicates, mask_fault, points_fault
from model_training.lifting.sam2 import load_sam2
from n3d_ros.errors import ConfigurationError, InputError, N3dError
from n3d_ros.geometry.arrays import BoolArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.refine.attributes import color_name
from n3d_ros.refine.fit import fit_box

SCENE_QUANTILES = (0.02, 0.98)
LEAST_SUPPORT = 0.2  # of a fitted box's surface; the same as refine.refine believes
WORDS_OF_RECORDS = {"grey": "gray"}  # generated scenes say gray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lifted:
    """What became of an image.

    Args:
        record: the frame; None where nothing of the image was believed.
        rejects: what was left out, the image itself or annotations of it.
        rejected_boxes: 2-D boxes of rejected annotations, by annotation; for pictures.
    """

    record: FrameRecord | None
    rejects: tuple[Reject, ...] = ()
    rejected_boxes: dict[str, tuple[float, float, float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tools:
    """What is loaded once and used for every image.

    Args:
        images: folder of images.
        config: how images are lifted.
        depth: source of depth.
        segmenter: finds masks in boxes; None without.
    """

    images: Path
    config: LiftConfig
    depth: DepthSource
    segmenter: Segmenter | None = None

    @classmethod
    def of(cls, images: Path, config: LiftConfig) -> Tools:
        """The tools that a configuration names.

        Args:
            images: folder of images.
            config: how images are lifted.

        Returns:
            Loaded tools.

        Raises:
            ConfigurationError: no such folder, file or model.
        """
        check_sources(images, config)
        depth = depth_source(config.depth, may_estimate_camera=config.camera.estimated)
        return cls(images=images, config=config, depth=depth, segmenter=segmenter_of(config.masks))


def forget_models() -> None:
    """Gives back the memory of loaded models, where other processes do the work."""
    loaded_model.cache_clear()
    load_sam2.cache_clear()


def check_sources(images: Path, config: LiftConfig) -> None:
    """Looks for what a configuration names besides models, before anything is begun.

    Args:
        images: folder of images.
        config: how they are lifted.

    Raises:
        ConfigurationError: no such folder, no file of cameras, or no source of depth.
    """
    if not images.is_dir():
        raise ConfigurationError(f"--images: there is no folder {images}.")
    if config.masks.folder and not Path(config.masks.folder).expanduser().is_dir():
        raise ConfigurationError(f"--masks: there is no folder {config.masks.folder}.")
    if config.camera.file:
        read_cameras(config.camera.file)
    if not config.depth.model:
        depth_source(config.depth)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiftedObject:
    """An annotation that was believed.

    Args:
        annotation: as given, its box in pixels.
        mask: of the image's size.
        touches_border: whether the mask reaches the image's border.
        box_2d: around the mask, pixels from the image's corner.
        box: along the camera's axes, around what is seen, metres.
        oriented: the fitted box; None without.
        color: word, or "".
        shape: word, or "".
    """

    annotation: Annotation2D
    mask: PackedMask
    touches_border: bool
    box_2d: Box2D | None
    box: Box3D
    oriented: Box3D | None
    color: str
    shape: str


def lift_image(image: AnnotatedImage, tools: Tools) -> Lifted:
    """The frame of an annotated image.

    Args:
        image: with its annotations.
        tools: what is loaded.

    Returns:
        The frame and what was left out of it; bad input ends in a reject, never in an error.
    """
    rejects = _Rejects(image)
    if not image.annotations:
        return rejects.ended("no_annotations", "")
    try:
        photograph = read_photograph(image, tools.images)
        height, width = photograph.rgb.shape[:2]
        sized = image.in_pixels(width, height)
        camera = known_camera(image, width, height, tools.config.camera)
        depth = tools.depth.depth(image.file_name, photograph.rgb, camera)
    except ConfigurationError:
        raise  # it would be the same for every image
    except N3dError as error:
        return rejects.ended(error.reason if error.reason in RULES else "image_broken", error.message)
    objects = _objects(sized.annotations, photograph, depth, tools, rejects)
    if not objects:
        return rejects.ended("nothing_lifted", f"{len(image.annotations)} annotations")
    record = frame_of_objects(
        image,
        photograph,
        depth,
        [(_record(place + 1, one), one.mask) for place, one in enumerate(objects)],
        tools.config,
        annotations={str(place + 1): one.annotation.id for place, one in enumerate(objects)},
    )
    return Lifted(record=record, rejects=tuple(rejects.all), rejected_boxes=rejects.boxes)


def _objects(
    annotations: Sequence[Annotation2D], photograph: Photograph, depth: ImageDepth, tools: Tools, rejects: _Rejects
) -> list[LiftedObject]:
    """The annotations of an image that are believed."""
    kept = _believed_annotations(annotations, photograph, tools.config, rejects)
    masks = masks_of(kept, photograph.rgb, tools.config.masks, tools.segmenter)
    known = depth.depth_m[np.isfinite(depth.depth_m)]
    scene = tuple(np.quantile(known, SCENE_QUANTILES).tolist()) if known.size else (0.0, 0.0)
    objects = []
    for one, mask in zip(kept, masks, strict=True):
        if isinstance(mask, InputError):
            rejects.add(one, mask.reason, mask.message)
            continue
        lifted = _object(one, mask, photograph, depth, (scene[0], scene[1]), tools.config, rejects)
        if lifted is not None:
            objects.append(lifted)
    return objects


def _believed_annotations(
    annotations: Sequence[Annotation2D], photograph: Photograph, config: LiftConfig, rejects: _Rejects
) -> list[Annotation2D]:
    """Annotations whose boxes, labels and remarks are in order."""
    height, width = photograph.rgb.shape[:2]
    kept = []
    for one in annotations:
        try:
            whole = replace(one, box_2d=checked_box(one.box_2d, width, height))
        except InputError as error:
            rejects.add(one, error.reason, error.message)
            continue
        fault = annotation_fault(whole, width, height, config.filters)
        if fault is None:
            kept.append(whole)
        else:
            rejects.add(whole, *fault)
    repeated = duplicates(kept, config.filters)
    for place in sorted(repeated):
        rejects.add(kept[place], "duplicate", "an earlier annotation of that label has the same box")
    return [one for place, one in enumerate(kept) if place not in repeated]


def _object(
    one: Annotation2D,
    mask: BoolArray,
    photograph: Photograph,
    depth: ImageDepth,
    scene_m: tuple[float, float],
    config: LiftConfig,
    rejects: _Rejects,
) -> LiftedObject | None:
    """One annotation lifted; None, and a reject, where a rule is broken."""
    fault = mask_fault(mask, one, config.filters)
    if fault is not None:
        rejects.add(one, *fault)
        return None
    camera = depth.camera.intrinsics
    found = own_points(depth.depth_m, mask, camera, config.points)
    sky = 0.0 if depth.sky is None else float(depth.sky[mask].mean())
    fault = points_fault(found, sky, config.filters)
    if fault is not None or found is None:
        rejects.add(one, *(fault or ("no_depth", "")))
        return None
    box = seen_box(found.points, config.points)
    fault = box_fault(box, one.label, scene_m, config.filters)
    if fault is not None:
        rejects.add(one, *fault)
        return None
    oriented, shape = _oriented(found, depth, config)
    words = color_name(photograph.rgb[found.pixels]) if config.colors else None
    color = "" if words is None or " " in words else WORDS_OF_RECORDS.get(words, words)
    return LiftedObject(
        annotation=one,
        mask=PackedMask.of(mask),
        touches_border=any(bool(line.any()) for line in (mask[0], mask[-1], mask[:, 0], mask[:, -1])),
        box_2d=mask_box(mask),
        box=box,
        oriented=oriented,
        color=color,
        shape=shape,
    )


def _oriented(found: OwnPoints, depth: ImageDepth, config: LiftConfig) -> tuple[Box3D | None, str]:
    """The gravity-aligned box that points suggest for the whole object, and the shape that it was completed by."""
    up = depth.camera.up
    if not config.oriented or up is None:
        return None, ""
    fitted = fit_box(found.points, up)
    if fitted.support_ratio < LEAST_SUPPORT:
        return None, ""
    return fitted.box, {"cylinder": "cylinder", "lying_cylinder": "cylinder", "ball": "ball"}.get(fitted.solid, "")


def _record(object_id: int, one: LiftedObject) -> ObjectRecord:
    return ObjectRecord(
        id=object_id,
        label=one.annotation.label,
        box=one.oriented,
        visible_box=one.box,
        box_2d=one.box_2d,
        color=one.color,
        shape=one.shape,
        touches_border=one.touches_border,
        score=one.annotation.score,
    )


class _Rejects:
    """Rejects of one image.

    Args:
        image: that they are of.
    """

    def __init__(self, image: AnnotatedImage) -> None:
        self._image = image
        self.all: list[Reject] = []
        self.boxes: dict[str, tuple[float, float, float, float]] = {}

    def add(self, one: Annotation2D, rule: str, detail: str) -> None:
        """Notes that an annotation is left out."""
        known = rule if rule in RULES else "annotation_entry"
        self.all.append(
            Reject(rule=known, image=self._image.file_name, annotation=one.id, label=one.label, detail=detail)
        )
        self.boxes[one.id] = one.box_2d

    def ended(self, rule: str, detail: str) -> Lifted:
        """The image itself is left out."""
        self.all.append(Reject(rule=rule, image=self._image.file_name, detail=detail))
        return Lifted(record=None, rejects=tuple(self.all), rejected_boxes=self.boxes)
