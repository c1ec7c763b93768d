"""Lifting where the truth is known: generated scenes exported as COCO, lifted, and compared with their visible boxes.

``python -m model_training.lifting`` prints the 3-D IoU by depth, mask and class. Masks are those of the
renderer, and the same grown and shrunk by two pixels: as far as people's outlines and segmenters are off.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from model_training.data.pictures import depth_to_millimetres, encode_png, mask_box
from model_training.data.records import FrameRecord, ObjectRecord
from model_training.lifting.coco import read_coco
from model_training.lifting.config import DepthConfig, LiftConfig
from model_training.lifting.lift import Tools, lift_image
from model_training.lifting.outlines import runs_of_mask
from n3d_ros.geometry.arrays import BoolArray, Float32Array
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.iou import iou_3d
from n3d_ros.whole_files import write_json, write_whole

DEPTHS = ("true", "noisy")
MASK_ERRORS_PX = (0, 2, -2)
ANNOTATION_FILE = "instances.json"
GOOD_IOU = (0.25, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrueFrame:
    """A frame whose truth is known.

    Args:
        record: with the noisy depth of a sensor, and true boxes.
        true_depth_m: (H, W) float32, metres.
    """

    record: FrameRecord
    true_depth_m: Float32Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How well boxes of one kind were recovered.

    Args:
        objects: with a true visible box.
        ious: of those that were lifted, by label.
        oriented: IoU of the fitted box with the whole object's, where one was fitted.
        rejects: objects and images that were left out, by rule.
    """

    objects: int
    ious: dict[str, tuple[float, ...]]
    oriented: tuple[float, ...]
    rejects: dict[str, int]

    @property
    def all(self) -> tuple[float, ...]:
        """Every IoU."""
        return tuple(value for values in self.ious.values() for value in values)

    @property
    def median(self) -> float:
        """Median 3-D IoU of what was lifted; 0 when nothing was."""
        return float(np.median(self.all)) if self.all else 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        values = np.asarray(self.all or (0.0,))
        return {
            "objects": self.objects,
            "lifted": len(self.all),
            "median_iou": round(self.median, 4),
            "tenth_percentile": round(float(np.quantile(values, 0.1)), 4),
            **{f"share_above_{limit:g}": round(float((values >= limit).mean()), 4) for limit in GOOD_IOU},
            "median_iou_of_oriented": round(float(np.median(self.oriented)), 4) if self.oriented else None,
            "by_class": {
                label: {"lifted": len(ious), "median_iou": round(float(np.median(ious)), 4)}
                for label, ious in sorted(self.ious.items())
            },
            "rejects": self.rejects,
        }


def true_frames(scenes: int, *, views: int = 2, room_share: float = 0.3, split: str = "validation") -> list[TrueFrame]:
    """Frames of generated scenes with their depth before noise.

    Args:
        scenes: how many.
        views: frames of each.
        room_share: of scenes that are rooms, the others are tabletops.
        split: whose seeds are used.

    Returns:
        Frames.
    """
    from model_training.scenes.dataset import SceneDatasetConfig, scene_spec
    from model_training.scenes.generate import generate_frames
    from model_training.scenes.records import frame_record
    from model_training.scenes.render import SceneRenderer

    config = SceneDatasetConfig(split=split, scenes=scenes, views=views, rooms=room_share)
    frames = []
    for number in range(scenes):
        spec = scene_spec(config, number)
        with SceneRenderer(spec.camera) as renderer:
            frames += [
                TrueFrame(record=frame_record(frame, split=split), true_depth_m=frame.clean_depth_m)
                for frame in generate_frames(spec, renderer)
            ]
    return frames


def export_coco(folder: Path, frames: Sequence[TrueFrame], *, depth: str = "noisy", mask_error_px: int = 0) -> Path:
    """Frames as COCO: images, depth as 16-bit images, masks as run lengths, cameras with the images.

    Args:
        folder: to write into: ``images``, ``depth`` and ``instances.json``.
        frames: to write.
        depth: "true" or "noisy".
        mask_error_px: by how much masks are grown, or shrunk where it is below 0.

    Returns:
        The file of annotations.
    """
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories = {label: place for place, label in enumerate(sorted({one.label for one in _objects(frames)}), start=1)}
    for number, frame in enumerate(frames, start=1):
        record, camera = frame.record, frame.record.intrinsics
        write_whole(folder / "images" / f"{number:06d}.jpg", record.image)
        metres = depth_to_millimetres(frame.true_depth_m) if depth == "true" else None
        png = record.depth_png if metres is None else encode_png(metres)
        write_whole(folder / "depth" / f"{number:06d}.png", png)
        numbers = {name: getattr(camera, name) for name in ("fx", "fy", "cx", "cy", "width", "height")}
        size = {"width": camera.width, "height": camera.height}
        given = {**numbers, "up": None if record.up is None else list(record.up)}
        entries.append({"id": number, "file_name": f"{number:06d}.jpg", "camera": given, **size})
        for one in record.objects:
            mask = _with_error(record.mask(one.id), mask_error_px)
            box = None if mask is None else mask_box(mask)
            if mask is None or box is None:
                continue
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": categories[one.label],
                    "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                    "segmentation": {"counts": runs_of_mask(mask), "size": [camera.height, camera.width]},
                    "iscrowd": 0,
                    "object": one.id,
                }
            )
    path = folder / ANNOTATION_FILE
    named = [{"id": place, "name": label} for label, place in categories.items()]
    write_json(path, {"images": entries, "annotations": annotations, "categories": named})
    return path


def compared(folder: Path, frames: Sequence[TrueFrame], config: LiftConfig) -> Agreement:
    """What lifting makes of an export, beside the truth.

    Args:
        folder: as ``export_coco`` wrote it.
        frames: the same ones.
        config: how images are lifted; depth comes from the folder.

    Returns:
        The agreement.
    """
    images, tally = read_coco(folder / ANNOTATION_FILE, rename={})
    origin = {
        str(row["id"]): row["object"]
        for row in json.loads((folder / ANNOTATION_FILE).read_text(encoding="utf-8"))["annotations"]
    }
    tools = Tools.of(folder / "images", replace(config, depth=DepthConfig(folder=str(folder / "depth"))))
    ious: dict[str, list[float]] = defaultdict(list)
    oriented: list[float] = []
    for image, frame in zip(images, frames, strict=True):
        lifted = lift_image(image, tools)
        tally.add_all(lifted.rejects)
        if lifted.record is None:
            continue
        names = json.loads(lifted.record.provenance)["annotations"]
        for one in lifted.record.objects:
            truth = frame.record.by_id(origin[names[str(one.id)]])
            if truth is not None and truth.visible_box is not None and one.visible_box is not None:
                ious[truth.label].append(iou_3d(one.visible_box, truth.visible_box))
                oriented += _whole_iou(one.box, truth)
    return Agreement(
        objects=sum(one.visible_box is not None for one in _objects(frames)),
        ious={label: tuple(values) for label, values in ious.items()},
        oriented=tuple(oriented),
        rejects=dict(tally.by_rule.most_common()),
    )


def validate(frames: Sequence[TrueFrame], config: LiftConfig, folder: Path) -> dict[str, Agreement]:
    """Lifting with true and noisy depth, with exact masks and with masks that are off.

    Args:
        frames: to lift.
        config: how; oriented boxes are fitted whatever it says.
        folder: for the exports.

    Returns:
        Agreements by name, such as "noisy depth, masks grown by 2 px".
    """
    found = {}
    for depth in DEPTHS:
        for error in MASK_ERRORS_PX:
            part = folder / f"{depth}_{error}"
            export_coco(part, frames, depth=depth, mask_error_px=error)
            found[_name(depth, error)] = compared(part, frames, replace(config, oriented=True))
    return found


def _name(depth: str, error: int) -> str:
    how = "exact masks" if not error else f"masks {'grown' if error > 0 else 'shrunk'} by {abs(error)} px"
    return f"{depth} depth, {how}"


def _objects(frames: Sequence[TrueFrame]) -> Iterator[ObjectRecord]:
    for frame in frames:
        yield from frame.record.objects


def _with_error(mask: BoolArray | None, error_px: int) -> BoolArray | None:
    """The mask grown or shrunk."""
    if mask is None or not error_px:
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(error_px) + 1,) * 2)
    change = cv2.dilate if error_px > 0 else cv2.erode
    return np.asarray(change(mask.astype(np.uint8), kernel)) > 0


def _whole_iou(fitted: Box3D | None, truth: ObjectRecord) -> list[float]:
    """Overlap of the fitted box and the whole object's, for objects that are seen whole."""
    seen_whole = truth.visible_fraction is not None and truth.visible_fraction > 0.9 and not truth.touches_border
    return [iou_3d(fitted, truth.box)] if fitted is not None and truth.box is not None and seen_whole else []


def table_of(found: dict[str, Agreement]) -> str:
    """All agreements as lines, and the classes of noisy depth with exact masks.

    Args:
        found: of ``validate``.

    Returns:
        Text.
    """
    lines = [f"{'':34}{'lifted':>12}{'median':>8}{'10 %':>7}{'>=0.25':>8}{'>=0.5':>7}"]
    for name, one in found.items():
        row = one.to_dict()
        lines.append(
            f"{name:34}{row['lifted']:>6} of{row['objects']:>4}{row['median_iou']:>7.3f}{row['tenth_percentile']:>7.2f}"
            f"{row['share_above_0.25']:>8.3f}{row['share_above_0.5']:>7.3f}"
        )
    noisy = found[_name("noisy", 0)].to_dict()
    lines += ["", "noisy depth, exact masks, by class: lifted, median IoU"]
    rows = sorted(noisy["by_class"].items(), key=lambda item: item[1]["median_iou"])
    lines += [f"  {label:24}{row['lifted']:>5}{row['median_iou']:>8.3f}" for label, row in rows]
    lines += ["", f"left out: {noisy['rejects']}"]
    lines += [f"fitted oriented box against the whole object's: {noisy['median_iou_of_oriented']}"]
    return "\n".join(lines)
