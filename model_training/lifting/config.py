"""What can be set about lifting. Every threshold tells what it refuses and why it stands where it stands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from model_training.data.records import SPLITS
from model_training.lifting.boxes_2d import plain_words
from n3d_ros.errors import CalibrationError, ConfigurationError
from n3d_ros.geometry.camera import CameraIntrinsics
from n3d_ros.settings import check, number

SMOOTHINGS = (1, 3, 5)  # what OpenCV's median of single precision takes


@dataclass(frozen=True, slots=True, kw_only=True)
class PointConfig:
    """Which of a mask's pixels are the object's own.

    Args:
        jump_m: neighbouring pixels whose depths differ by more than this, and what a slanted surface adds, belong to
            different surfaces; sensors resolve a few millimetres within a metre, things stand centimetres apart.
        steepest: slope of the steepest surface that still counts as one, metres of depth per metre across: 6 is 80
            degrees off the line of sight, beyond which depth cameras see nothing.
        min_part_share: a connected part with less of the mask's measured pixels is flying pixels or a glimpse of
            something else.
        min_part_px: but a part of so many pixels counts however large the mask is: a table's leg is a small share.
        reach_share: a further part belongs to the object when the gap in depth to its main part is at most this share
            of that part's width or height: the far arm of a chair does, the wall behind it does not.
        nearer_share: a nearer part becomes the main part when it has at least this share of the largest one's pixels:
            masks swallow what is seen through holes and beside a loose outline, and that lies behind.
        fill_px: pixels of the mask this near to the object's own get their depth from there: sensors lose a pixel or
            two along outlines, which a mask does not.
        smooth_px: side of the median that takes a sensor's noise out of depth before extents are taken: 1 (none), 3, 5.
        border_px: outlines are off by this much: within it, depth beyond what the mask's inside shows is not the
            object's.
        border_slope: but for what a surface may still rise or fall over that width, metres of depth per metre across:
            4 is a table top seen from 14 degrees above it.
        min_inner_share: of the object's pixels that must lie farther inside; with less it is a thin thing, and its
            border is all there is.
        trim_share: of the points left outside on either side along the line of sight, where noise is largest.
        trim_across_share: likewise along the image's axes, where a mask is more exact than depth.
    """

    jump_m: float = number(0.02, "gap in depth between surfaces", minimum=0.001, maximum=1.0, unit="m")
    steepest: float = number(6.0, "steepest slope of one surface", minimum=1.0, maximum=50.0)
    min_part_share: float = number(0.04, "smallest part that counts", minimum=0.0, maximum=0.5)
    min_part_px: int = number(40, "part that counts however large the mask", minimum=1, maximum=100_000, unit="px")
    reach_share: float = number(1.0, "gap to a further part, of the main part's width", minimum=0.0, maximum=5.0)
    nearer_share: float = number(0.5, "size of a nearer part that becomes the main one", minimum=0.05, maximum=1.0)
    fill_px: int = number(
        2, "width of the border whose depth is taken from beside it", minimum=0, maximum=20, unit="px"
    )
    smooth_px: int = number(5, "side of the median against noise", minimum=1, maximum=5, unit="px")
    border_px: int = number(4, "how far outlines are off", minimum=0, maximum=20, unit="px")
    border_slope: float = number(4.0, "slope of surfaces that end at an outline", minimum=0.0, maximum=50.0)
    min_inner_share: float = number(0.3, "share of pixels away from the outline", minimum=0.0, maximum=1.0)
    trim_share: float = number(0.001, "points left out along the line of sight", minimum=0.0, maximum=0.1)
    trim_across_share: float = number(0.0002, "points left out across it", minimum=0.0, maximum=0.1)

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if self.smooth_px not in SMOOTHINGS:
            raise ConfigurationError(f"points smooth_px: expected one of {SMOOTHINGS}, got {self.smooth_px!r}.")
        check(self, "points")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterConfig:
    """Which lifted boxes are believed.

    Args:
        keep_groups: whether boxes of several things (crowds, group-of) are lifted as one; they are not one object.
        min_score: labels of less certainty, where they have any.
        min_box_px: shorter side of the 2-D box: below it the outline's error of a pixel or two is a tenth of the size.
        max_box_share: of the image that a 2-D box covers: what fills the image is a room or a backdrop.
        max_duplicate_iou: two boxes of one label that overlap more are one thing annotated twice.
        min_mask_px: pixels of the mask.
        min_mask_box_iou: overlap of the mask's own 2-D box and the annotated one: less means that the mask shows
            something else, or a part.
        min_depth_share: of the mask that has depth: with less, extents are those of what happened to be measured.
        max_sky_share: of the mask in the sky, which has no distance.
        min_points: pixels with the object's own depth: fewer leave extents to noise.
        min_own_share: of the mask's measured pixels that belong to the object: with less, a gap in depth runs through
            the mask and it is unclear what is meant.
        min_depth_m: nearer things are a sensor's error.
        max_depth_m: farther depth is an estimate of little worth, and 16 bits of millimetres end at 65 m.
        min_size_m: longest side of the box: below it a box is noise.
        max_size_m: longest side: above it a box is a building, or leaked into the background.
        max_depth_ratio: the box's depth over its larger side across: more means that background came along.
        max_scene_share: of the scene's depth (from the 2nd to the 98th percentile) that a box may reach through:
            more means the same; only for scenes at least ``min_scene_m`` deep.
        min_scene_m: flat scenes, looked at from above, say nothing about depth.
        max_border_share: of the 2-D box's outline that the image's border cuts: what is mostly outside has no size.
        class_sizes: longest side from and to, metres, by label (as renamed): a mug of 3 m is wrong; labels not named
            are not judged.
        class_aspects: largest ratio of the longest side and the one after it, by label.
    """

    keep_groups: bool = False
    min_score: float = number(0.3, "least certainty of a label", minimum=0.0, maximum=1.0)
    min_box_px: float = number(12.0, "shorter side of the 2-D box", minimum=1.0, maximum=1000.0, unit="px")
    max_box_share: float = number(0.9, "share of the image that a box covers", minimum=0.01, maximum=1.0)
    max_duplicate_iou: float = number(0.9, "overlap of one thing annotated twice", minimum=0.1, maximum=1.0)
    min_mask_px: int = number(100, "pixels of the mask", minimum=1, maximum=1_000_000, unit="px")
    min_mask_box_iou: float = number(0.6, "agreement of mask and box", minimum=0.0, maximum=1.0)
    min_depth_share: float = number(0.5, "share of the mask with depth", minimum=0.0, maximum=1.0)
    max_sky_share: float = number(0.2, "share of the mask in the sky", minimum=0.0, maximum=1.0)
    min_points: int = number(60, "pixels with the object's own depth", minimum=4, maximum=1_000_000)
    min_own_share: float = number(0.6, "share of measured pixels that are the object's", minimum=0.0, maximum=1.0)
    min_depth_m: float = number(0.1, "nearest depth", minimum=0.0, maximum=10.0, unit="m")
    max_depth_m: float = number(60.0, "farthest depth", minimum=0.1, maximum=65.0, unit="m")
    min_size_m: float = number(0.01, "longest side, at least", minimum=0.0, maximum=10.0, unit="m")
    max_size_m: float = number(20.0, "longest side, at most", minimum=0.01, maximum=1000.0, unit="m")
    max_depth_ratio: float = number(5.0, "depth of a box over its larger side across", minimum=0.5, maximum=100.0)
    max_scene_share: float = number(0.7, "share of the scene's depth", minimum=0.05, maximum=1.0)
    min_scene_m: float = number(2.0, "depth of scenes that can be judged by it", minimum=0.0, maximum=100.0, unit="m")
    max_border_share: float = number(0.4, "share of the outline at the image's border", minimum=0.0, maximum=1.0)
    class_sizes: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    class_aspects: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks the ranges and the tables.

        Raises:
            ConfigurationError: a value outside its range.
        """
        check(self, "filters")
        for label, size in self.class_sizes.items():
            if not (_is_pair(size) and 0 <= size[0] < size[1]):
                raise ConfigurationError(f"filters class_sizes {label}: expected [from, to] in metres, got {size!r}.")
        for label, aspect in self.class_aspects.items():
            if not _is_number(aspect) or aspect < 1:
                raise ConfigurationError(f"filters class_aspects {label}: expected 1 or more, got {aspect!r}.")
        for name in ("class_sizes", "class_aspects"):
            _check_labels(f"filters {name}", getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthConfig:
    """Where depth comes from.

    Args:
        folder: of depth files named like the images; "" with a model.
        units_per_m: what one metre is in 16-bit images; archives and arrays are in metres.
        model: a Depth Anything 3 model, a folder or a hub id, that any image's depth is estimated by; "" with files.
        metric_model: the metric model beside an any-view one, which makes its depth metric.
        device: where the model runs: "auto", "cpu", "cuda", "cuda:1".
        resolution: longer side of the image in the network, a multiple of 14.
        min_confidence: depth of less confidence counts as none; comparable within one model only; 0: all counts.
    """

    folder: str = ""
    units_per_m: float = number(1000.0, "counts per metre of 16-bit images", minimum=1.0, maximum=1e5)
    model: str = ""
    metric_model: str = ""
    device: str = "auto"
    resolution: int = number(504, "longer side in the network", minimum=56, maximum=1932, unit="px")
    min_confidence: float = number(0.0, "least confidence of depth", minimum=0.0, maximum=1000.0)

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            ConfigurationError: two sources, or a value outside its range.
        """
        check(self, "depth")
        if self.folder and self.model:
            raise ConfigurationError("depth: a folder of depth files and a model are named; keep one.")
        if self.metric_model and not self.model:
            raise ConfigurationError("depth metric_model: it stands beside a model, and none is named.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraConfig:
    """Where intrinsics come from where neither annotations nor depth files hold them.

    Args:
        intrinsics: fx, fy, cx, cy in pixels and the width and height they belong to; () when unknown. Images of
            another size and the same shape have them in proportion.
        horizontal_fov_deg: field of view of all images, for pinhole cameras looking straight ahead; 0: unknown.
        file: JSON with ``{file name: {"fx", "fy", "cx", "cy", "width", "height"[, "up"]}}``; "" without.
        estimated: whether a depth model's own estimate of the camera may be used.
    """

    intrinsics: tuple[float, ...] = ()
    horizontal_fov_deg: float = number(0.0, "field of view of all images", minimum=0.0, maximum=170.0, unit="deg")
    file: str = ""
    estimated: bool = True

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            ConfigurationError: another count than six, or a value outside its range.
        """
        check(self, "camera")
        if self.intrinsics and not _are_intrinsics(self.intrinsics):
            raise ConfigurationError(
                f"camera intrinsics: expected fx, fy, cx, cy, width, height in pixels, got {self.intrinsics}."
            )
        if self.intrinsics and self.horizontal_fov_deg:
            raise ConfigurationError("camera: intrinsics and horizontal_fov_deg are both named; keep one.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskConfig:
    """Where masks come from where annotations have none.

    Args:
        folder: of mask images that annotations name (OpenImages); "" without.
        segmenter: a SAM 2 model, a folder or a hub id, prompted with the 2-D boxes; "": annotations without outline
            are refused.
        device: where it runs: "auto", "cpu", "cuda", "cuda:1".
        min_score: masks that the segmenter itself believes less in are refused.
    """

    folder: str = ""
    segmenter: str = ""
    device: str = "auto"
    min_score: float = number(0.6, "least overlap that the segmenter expects", minimum=0.0, maximum=1.0)

    def __post_init__(self) -> None:
        """Checks the ranges."""
        check(self, "masks")


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftConfig:
    """How annotated photographs become frames with 3-D boxes.

    Args:
        depth: where depth comes from.
        camera: where intrinsics come from.
        masks: where masks come from.
        points: which pixels are an object's own.
        filters: which boxes are believed.
        split: of all frames: "train", "validation" or "held_out".
        images_per_shard: images whose frames go into one file, at most; of fewer than twenty times as many images, a
            twentieth goes into each, but not fewer than ten.
        max_images: images taken, from the first on; 0: all.
        max_side_px: frames are made smaller until their longer side has this many pixels; 0: they keep their size.
        oriented: whether oriented boxes of whole objects are fitted where the up direction is known. They guess at what
            is hidden, and other sources' boxes are true: off unless somebody wants them.
        colors: whether colour words are read off the pixels.
        rename: other words for labels, by label as the file has it, in lower case and with spaces for "_"; an
            empty word leaves the label out.
        licence: of images whose file states none.
        examples_per_rule: rejected ones kept as pictures, of each rule and shard.
    """

    depth: DepthConfig = field(default_factory=DepthConfig)
    camera: CameraConfig = field(default_factory=CameraConfig)
    masks: MaskConfig = field(default_factory=MaskConfig)
    points: PointConfig = field(default_factory=PointConfig)
    filters: FilterConfig = field(default_factory=FilterConfig)
    split: str = field(default="train", metadata={"choices": SPLITS})
    images_per_shard: int = number(200, "images of one shard", minimum=1, maximum=100_000)
    max_images: int = number(0, "images taken; 0: all", minimum=0, maximum=100_000_000)
    max_side_px: int = number(1280, "longer side of frames; 0: as they are", minimum=0, maximum=16384, unit="px")
    oriented: bool = False
    colors: bool = True
    rename: Mapping[str, str] = field(default_factory=dict)
    licence: str = ""
    examples_per_rule: int = number(3, "pictures of rejected ones, of each rule and shard", minimum=0, maximum=100)

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            ConfigurationError: a value outside its range.
        """
        check(self, "lifting")
        _check_labels("lifting rename", self.rename)
        for old, new in self.rename.items():
            if not _is_word(old) or not _is_word(new):
                raise ConfigurationError(f"lifting rename: expected words by words, got {old!r}: {new!r}.")


def _check_labels(name: str, table: Mapping[str, Any]) -> None:
    """Refuses labels that none is ever compared with: "Coffee_Cup" is looked up as "coffee cup"."""
    for label in table:
        plain = plain_words(label) if _is_word(label) else ""
        if label != plain:
            raise ConfigurationError(
                f"{name}: expected labels in lower case with spaces, got {label!r}, not {plain!r}."
            )


def _are_intrinsics(values: tuple[float, ...]) -> bool:
    """Whether a camera has these numbers."""
    if len(values) != 6 or not all(_is_number(value) and value > 0 for value in values):
        return False
    fx, fy, cx, cy, width, height = values
    try:
        CameraIntrinsics(fx=fx, fy=fy, cx=cx, cy=cy, width=int(width), height=int(height))
    except CalibrationError:
        return False
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_word(value: Any) -> bool:
    return isinstance(value, str)


def _is_pair(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2 and all(map(_is_number, value))
