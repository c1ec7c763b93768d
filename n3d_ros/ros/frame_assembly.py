"""From a colour and a depth message to one ``RgbdFrame``: decoded, rectified, registered, checked.

Rules, in the order they apply:

1. **Decode** by message type (raw or compressed) and encoding; sizes are checked before memory is taken.
2. **Subsample** images above ``image.max_processing_pixels`` by whole steps, so that a 4K camera works; calibrations
   follow.
3. **Rectify.** ``rgb.rectified`` is "true", "false" or "auto": with auto, an image is taken as rectified when a part of
   its topic's name is "rect" or "rectified" (``image_rect_color``, ``color/rect/image``), as image_proc names its
   results. A rectified image has the camera matrix P, another one has K and D and is straightened here. Depth that
   shares the colour camera shares its state too, unless its own topic says "rect".
4. **Register.** Depth of the colour image's size and frame, with no calibration or the same, is registered already. So
   is depth of another frame when both calibrations agree and tf does not separate the frames. Otherwise it is
   projected into the colour camera, which takes both calibrations and, between different frames, tf; else it is
   refused as "unregistered_depth".
5. **Check.** Without an explicit ``depth.unit_m``, a median depth beyond any depth camera means another unit than
   REP-118's and is refused; outside ``depth.min_m`` to ``depth.max_m`` depth is none; a frame without any depth raises
   ``GroundingError`` here, so that no grounder needs to.

Colour alone, whose depth a model finds, goes the same way as far as it goes: ``FrameAssembler.color_view``.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import (
    CalibrationError,
    ConfigurationError,
    GroundingError,
    InputError,
    StatusCode,
    TransformError,
)
from n3d_ros.frame import RgbdFrame
from n3d_ros.geometry.arrays import BoolArray, Float32Array
from n3d_ros.geometry.camera import CameraIntrinsics, CameraModel
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.inference.depth_source import ColorView
from n3d_ros.ros.conversions import camera_info_to_model, clean_frame_id, stamp_to_ns
from n3d_ros.ros.image_codec import (
    MAX_IMAGE_PIXELS,
    RawDepth,
    compressed_to_raw_depth,
    compressed_to_rgb,
    depth_in_metres,
    image_to_raw_depth,
    image_to_rgb,
)
from n3d_ros.ros.registration import rectify_depth, rectify_rgb, register_depth

logger = logging.getLogger(__name__)

MAX_PLAUSIBLE_MEDIAN_M = 100.0  # metres: beyond every depth camera; millimetres called metres give 300 and more
MIN_PLAUSIBLE_MEDIAN_M = 0.02  # metres: nearer than any camera measures; metres called millimetres give 0.001 to 0.01
MEDIAN_STEP = 4  # every fourth row and column is enough for a median
SAME_FOCAL_SHARE = 2e-3  # cameras whose focal lengths differ by less and ...
SAME_CENTER_PX = 0.5  # ... whose centres differ by less see the same pixels
SAME_PLACE_M = 1e-4  # frames nearer than this and ...
SAME_PLACE_RAD = 1e-4  # ... turned by less are one place: a tenth of a pixel at f = 1000 px
RECTIFIED_TOPIC = re.compile(r"(^|[/_])rect(ified)?([/_]|$)")
RECTIFIED_CHOICES = ("auto", "true", "false")

TransformLookup = Callable[[str, str, int], RigidTransform]
"""target, source, stamp in nanoseconds to ``target_T_source``; raises ``TransformError``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameConfig:
    """How messages become frames.

    Args:
        color_rectified: whether colour images are rectified; "auto": when their topic's name says "rect".
        depth_rectified: whether depth images are rectified; "auto": when their topic's name says "rect", or as colour
            when they share its camera.
        depth_unit_m: metres per unit of depth; 0: by encoding (16UC1 millimetres, 32FC1 metres).
        depth_min_m: nearer depth counts as none, metres.
        depth_max_m: farther depth counts as none, metres.
        max_image_pixels: images with more pixels are refused.
        max_processing_pixels: images with more pixels are subsampled by a whole step.
    """

    color_rectified: str = field(
        default="auto", metadata={"name": "rgb.rectified", "choices": RECTIFIED_CHOICES, "live": True}
    )
    depth_rectified: str = field(
        default="auto", metadata={"name": "depth.rectified", "choices": RECTIFIED_CHOICES, "live": True}
    )
    depth_unit_m: float = field(
        default=0.0, metadata={"name": "depth.unit_m", "unit": "m", "minimum": 0.0, "maximum": 10.0, "live": True}
    )
    depth_min_m: float = field(
        default=0.1, metadata={"name": "depth.min_m", "unit": "m", "minimum": 0.0, "maximum": 1000.0, "live": True}
    )
    depth_max_m: float = field(
        default=10.0, metadata={"name": "depth.max_m", "unit": "m", "minimum": 0.01, "maximum": 1000.0, "live": True}
    )
    max_image_pixels: int = field(
        default=MAX_IMAGE_PIXELS,
        metadata={"name": "image.max_pixels", "unit": "px", "minimum": 1, "maximum": 100_000_000},
    )
    max_processing_pixels: int = field(
        default=1280 * 720,
        metadata={"name": "image.max_processing_pixels", "unit": "px", "minimum": 4096, "maximum": 100_000_000},
    )

    def __post_init__(self) -> None:
        """Checks ranges and that they fit together.

        Raises:
            ConfigurationError: a value out of its range, named as the ROS parameter is.
        """
        for name, choice in (("rgb.rectified", self.color_rectified), ("depth.rectified", self.depth_rectified)):
            if choice not in RECTIFIED_CHOICES:
                raise ConfigurationError(f"{name}: expected one of {', '.join(RECTIFIED_CHOICES)}, got {choice!r}.")
        if not 0 <= self.depth_unit_m <= 10:
            raise ConfigurationError(f"depth.unit_m: expected 0 (by encoding) to 10 m, got {self.depth_unit_m}.")
        if not 0 <= self.depth_min_m < self.depth_max_m <= 1000:
            raise ConfigurationError(
                "depth.min_m, depth.max_m: expected 0 <= min < max <= 1000 m, "
                f"got {self.depth_min_m} and {self.depth_max_m}."
            )
        if self.max_image_pixels < 1 or self.max_processing_pixels < 4096:
            raise ConfigurationError(
                "image.max_pixels, image.max_processing_pixels: expected at least 1 and 4096 px, "
                f"got {self.max_image_pixels} and {self.max_processing_pixels}."
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Color:
    """The rectified colour image.

    Args:
        rgb: (H, W, 3) uint8.
        model: its calibration, subsampled as the image is.
        size: of the image as it came (width, height), pixels.
        stamp_ns: when it was taken.
        frame_id: its optical frame.
    """

    rgb: NDArray[np.uint8]
    model: CameraModel
    size: tuple[int, int]
    stamp_ns: int
    frame_id: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Depth:
    """Rectified depth in its own camera.

    Args:
        depth_m: (H, W) float32 metres.
        camera: the rectified pinhole; None when unknown, because no calibration came and colour's does not fit.
        frame_id: its optical frame.
        size: of the image as it came (width, height), pixels.
    """

    depth_m: Float32Array
    camera: CameraIntrinsics | None
    frame_id: str
    size: tuple[int, int]


class FrameAssembler:
    """Makes frames from messages; see the module's rules. Used by one thread at a time.

    Args:
        config: units, limits and what is rectified.
        color_topic: resolved name of the colour topic, which "auto" looks at.
        depth_topic: resolved name of the depth topic, which "auto" looks at.
    """

    def __init__(self, config: FrameConfig | None = None, *, color_topic: str = "", depth_topic: str = "") -> None:
        self._config = config or FrameConfig()
        self._color_rectified = _is_rectified(self._config.color_rectified, color_topic)
        self._depth_rectified = _is_rectified(self._config.depth_rectified, depth_topic)
        self._depth_follows_color = self._config.depth_rectified == "auto" and not self._depth_rectified
        self._said: set[str] = set()

    def assemble(
        self, color_msg: Any, depth_msg: Any, color_info: Any, depth_info: Any, lookup: TransformLookup
    ) -> RgbdFrame:
        """The frame of a colour and a depth image.

        Args:
            color_msg: ``sensor_msgs/Image`` or ``CompressedImage``.
            depth_msg: ``sensor_msgs/Image`` or ``CompressedImage`` (compressedDepth).
            color_info: ``sensor_msgs/CameraInfo`` of the colour image.
            depth_info: that of the depth image; None when there is none, which registered depth does not need.
            lookup: transforms, asked only when depth is to be registered.

        Returns:
            The frame, with the colour image's stamp and frame.

        Raises:
            InputError: messages that do not fit; ``reason`` says which check failed. Encodings raise its subclass
                EncodingError, calibrations CalibrationError.
            GroundingError: not one pixel has depth in range.
        """
        color = self._color(color_msg, color_info)
        depth_m = self._sensor_depth(color, depth_msg, depth_info, lookup)
        for array in (color.rgb, depth_m):
            array.flags.writeable = False  # both are ours or views of the message; so the frame need not copy them
        return RgbdFrame(
            rgb=color.rgb,
            depth_m=depth_m,
            intrinsics=color.model.rectified_intrinsics,
            stamp_ns=color.stamp_ns,
            frame_id=color.frame_id,
        )

    def color_view(
        self,
        color_msg: Any,
        color_info: Any,
        *,
        depth_msg: Any = None,
        depth_info: Any = None,
        lookup: TransformLookup | None = None,
    ) -> ColorView:
        """A colour image whose depth is to be found, with what a depth camera measured if there is one.

        Args:
            color_msg: as in ``assemble``.
            color_info: as in ``assemble``.
            depth_msg: as in ``assemble``; None: there is no depth camera.
            depth_info: as in ``assemble``.
            lookup: as in ``assemble``; None only without ``depth_msg``.

        Returns:
            The view; a depth image that holds nothing leaves ``sensor_depth_m`` None.

        Raises:
            InputError: as in ``assemble``.
        """
        color = self._color(color_msg, color_info)
        sensor_depth_m = None
        if depth_msg is not None and lookup is not None:
            with suppress(GroundingError):
                sensor_depth_m = self._sensor_depth(color, depth_msg, depth_info, lookup)
        return ColorView(
            rgb=color.rgb,
            intrinsics=color.model.rectified_intrinsics,
            stamp_ns=color.stamp_ns,
            frame_id=color.frame_id,
            sensor_depth_m=sensor_depth_m,
            valid=self._seen_by_lens(color.model),
        )

    @property
    def config(self) -> FrameConfig:
        """Units, limits and what is rectified."""
        return self._config

    # ---------------------------------------------------------------------------------------------------------- colour

    def _color(self, msg: Any, info: Any) -> _Color:
        """The rectified picture, its subsampled calibration, and the size it came in."""
        stamp_ns, frame_id = _checked_header(msg)
        limit = self._config.max_image_pixels
        rgb = compressed_to_rgb(msg, max_pixels=limit) if _is_compressed(msg) else image_to_rgb(msg, max_pixels=limit)
        size = rgb.shape[1], rgb.shape[0]
        if info is None:
            raise CalibrationError(
                "No CameraInfo has come for the colour image: remap rgb/camera_info to the topic beside the image.",
                reason="missing_camera_info",
            )
        model = _fitted(camera_info_to_model(info), size, what="rgb/camera_info")
        step = self._step(size)
        rgb, model = _subsampled_rgb(rgb, step), _subsampled(model, step)
        if not self._color_rectified:
            rgb = rectify_rgb(rgb, model)
        return _Color(rgb=rgb, model=model, size=size, stamp_ns=stamp_ns, frame_id=frame_id)

    def _seen_by_lens(self, model: CameraModel) -> BoolArray | None:
        """Where the rectified image has picture; None: everywhere."""
        if self._color_rectified or not model.needs_rectification:
            return None
        raw = model.intrinsics
        return np.isfinite(rectify_depth(np.ones((raw.height, raw.width), dtype=np.float32), model))

    # ----------------------------------------------------------------------------------------------------------- depth

    def _sensor_depth(self, color: _Color, msg: Any, info: Any, lookup: TransformLookup) -> Float32Array:
        """What the depth camera measured, in the pixels of the rectified colour image."""
        depth = self._depth(msg, info, color.model, color.size, color.frame_id)
        camera = color.model.rectified_intrinsics
        depth_m = self._registered(depth, camera, color.size, color.frame_id, color.stamp_ns, lookup)
        if not np.isfinite(depth_m).any():
            raise GroundingError(
                f"Depth registered to {color.frame_id!r} holds nothing: no measurement falls into the colour image. "
                "Does tf between the two cameras fit them?",
                reason="no_depth",
            )
        return depth_m

    def _depth(
        self, msg: Any, info: Any, color_model: CameraModel, color_size: tuple[int, int], color_frame: str
    ) -> _Depth:
        """The depth in its own rectified camera, checked and limited to its range."""
        limit = self._config.max_image_pixels
        decode = compressed_to_raw_depth if _is_compressed(msg) else image_to_raw_depth
        raw = decode(msg, max_pixels=limit)
        size = raw.shape[1], raw.shape[0]
        frame_id = clean_frame_id(msg.header.frame_id)
        step = self._step(size)
        model: CameraModel | None
        if info is not None:
            model = _subsampled(_fitted(camera_info_to_model(info), size, what="depth/camera_info"), step)
        else:  # registered depth is published beside the colour image's calibration, often without its own
            model = color_model if size == color_size and frame_id in ("", color_frame) else None
        depth_m = self._metres(raw[::step, ::step], msg)
        if model is None:
            return _Depth(depth_m=depth_m, camera=None, frame_id=frame_id, size=size)
        rectified = self._depth_rectified
        if self._depth_follows_color and size == color_size and _same_lens(model, color_model):
            rectified = self._color_rectified
        if not rectified:
            depth_m = rectify_depth(depth_m, model)
        return _Depth(depth_m=depth_m, camera=model.rectified_intrinsics, frame_id=frame_id, size=size)

    def _metres(self, raw: RawDepth, msg: Any) -> Float32Array:
        """Metres within range; refuses an implausible unit and an image without any depth."""
        config = self._config
        depth_m = depth_in_metres(raw, config.depth_unit_m or None)
        known = np.isfinite(depth_m)
        measured = int(np.count_nonzero(known))
        if measured and not config.depth_unit_m:
            _check_unit(depth_m, str(getattr(msg, "encoding", "") or msg.format))
        if measured:
            outside = ~((depth_m >= config.depth_min_m) & (depth_m <= config.depth_max_m))
            np.copyto(depth_m, np.float32(np.nan), where=outside)
            if not outside.all():
                return depth_m
            raise GroundingError(
                f"Depth image: all {measured} measurements lie outside depth.min_m = {config.depth_min_m} m to "
                f"depth.max_m = {config.depth_max_m} m; widen the range, or check depth.unit_m.",
                reason="no_depth",
            )
        raise GroundingError(
            "Depth image: not one pixel holds depth (all are 0 or NaN). Is the projector on, and the scene neither too "
            "near nor behind glass?",
            reason="no_depth",
        )

    def _registered(
        self,
        depth: _Depth,
        camera: CameraIntrinsics,
        color_size: tuple[int, int],
        color_frame: str,
        stamp_ns: int,
        lookup: TransformLookup,
    ) -> Float32Array:
        """Depth in the pixels of the rectified colour image."""
        if depth.camera is None:
            raise _unregistered(depth, color_size, color_frame, "and no depth/camera_info has come to register it with")
        same_pixels = _same_camera(depth.camera, camera)
        if depth.frame_id in ("", color_frame):
            if same_pixels:
                return depth.depth_m
            if not depth.frame_id:
                raise _unregistered(depth, color_size, color_frame, "and its frame_id is empty")
            return register_depth(depth.depth_m, depth.camera, camera, RigidTransform.identity())
        try:
            color_T_depth = lookup(color_frame, depth.frame_id, stamp_ns)
        except TransformError as error:
            if same_pixels:
                self._say_once(
                    f"Depth in frame {depth.frame_id!r} has the calibration of colour in {color_frame!r} and tf does "
                    f"not connect them: taken as registered. ({error.message})"
                )
                return depth.depth_m
            raise _unregistered(
                depth,
                color_size,
                color_frame,
                f"and tf cannot say how they lie: {error.message}",
                StatusCode.NO_TRANSFORM,
            ) from error
        if same_pixels and color_T_depth.is_close(
            RigidTransform.identity(), translation_m=SAME_PLACE_M, rotation_rad=SAME_PLACE_RAD
        ):
            return depth.depth_m
        return register_depth(depth.depth_m, depth.camera, camera, color_T_depth)

    def _step(self, size: tuple[int, int]) -> int:
        return max(1, math.ceil(math.sqrt(size[0] * size[1] / self._config.max_processing_pixels)))

    def _say_once(self, sentence: str) -> None:
        if sentence not in self._said and len(self._said) < 100:
            self._said.add(sentence)
            logger.warning(sentence)


def _is_compressed(msg: Any) -> bool:
    return not hasattr(msg, "encoding")


def _is_rectified(choice: str, topic: str) -> bool:
    return choice == "true" or (choice == "auto" and RECTIFIED_TOPIC.search(topic.lower()) is not None)


def _checked_header(msg: Any) -> tuple[int, str]:
    """Stamp and frame of the colour image."""
    stamp_ns, frame_id = stamp_to_ns(msg.header.stamp), clean_frame_id(msg.header.frame_id)
    if stamp_ns <= 0:
        raise InputError(
            f"Colour image: header.stamp is {stamp_ns}; expected the time it was taken. Its driver must fill it (under "
            "simulation: is use_sim_time set, and /clock published?).",
            reason="zero_stamp",
        )
    if not frame_id:
        raise InputError(
            "Colour image: header.frame_id is empty; expected the name of the camera's optical frame. Set the driver's "
            "frame_id.",
            reason="empty_frame_id",
        )
    return stamp_ns, frame_id


def _fitted(model: CameraModel, size: tuple[int, int], *, what: str) -> CameraModel:
    """The calibration at the image's own size, when a whole image was resized evenly."""
    own = model.intrinsics.width, model.intrinsics.height
    if own == size:
        return model
    if own[0] * size[1] != own[1] * size[0]:
        raise CalibrationError(
            f"{what} is for {own[0]}x{own[1]} px, but the image has {size[0]}x{size[1]}, and no even scaling explains "
            "that: remap it to the topic beside the image, or calibrate this camera mode.",
            reason="calibration_size_mismatch",
        )
    return CameraModel(
        intrinsics=model.intrinsics.resized(*size),
        distortion=model.distortion,
        rectification=model.rectification,
        rectified=model.rectified_intrinsics.resized(*size),
    )


def _subsampled(model: CameraModel, step: int) -> CameraModel:
    if step == 1:
        return model
    return CameraModel(
        intrinsics=model.intrinsics.subsampled(step),
        distortion=model.distortion,
        rectification=model.rectification,
        rectified=model.rectified_intrinsics.subsampled(step),
    )


def _subsampled_rgb(rgb: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Every step-th pixel, averaged over its surroundings; the odd window keeps it where it was."""
    if step == 1:
        return rgb
    window = step + 1 - step % 2
    return np.ascontiguousarray(cv2.blur(rgb, (window, window))[::step, ::step])


def _check_unit(depth_m: Float32Array, encoding: str) -> None:
    sample = depth_m[::MEDIAN_STEP, ::MEDIAN_STEP]
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        sample = depth_m[np.isfinite(depth_m)]
    median = float(np.median(sample))
    if median > MAX_PLAUSIBLE_MEDIAN_M:
        hint = "that looks like millimetres: set depth.unit_m to 0.001"
    elif median < MIN_PLAUSIBLE_MEDIAN_M:
        hint = "that looks like a larger unit: set depth.unit_m to what one unit is, in metres"
    else:
        return
    raise InputError(
        f"Depth image: {encoding[:64]} gives a median depth of {median:.4g} m, expected {MIN_PLAUSIBLE_MEDIAN_M} to "
        f"{MAX_PLAUSIBLE_MEDIAN_M:.0f} m; {hint}.",
        reason="implausible_depth_unit",
    )


def _same_lens(a: CameraModel, b: CameraModel) -> bool:
    return a.distortion == b.distortion and _same_camera(a.intrinsics, b.intrinsics)


def _same_camera(a: CameraIntrinsics, b: CameraIntrinsics) -> bool:
    return (
        (a.width, a.height) == (b.width, b.height)
        and abs(a.fx - b.fx) <= SAME_FOCAL_SHARE * b.fx
        and abs(a.fy - b.fy) <= SAME_FOCAL_SHARE * b.fy
        and abs(a.cx - b.cx) <= SAME_CENTER_PX
        and abs(a.cy - b.cy) <= SAME_CENTER_PX
    )


def _unregistered(
    depth: _Depth, color_size: tuple[int, int], color_frame: str, why: str, code: StatusCode = StatusCode.BAD_INPUT
) -> InputError:
    return InputError(
        f"Depth is not registered to colour: depth {depth.size[0]}x{depth.size[1]} px in frame {depth.frame_id!r}, "
        f"colour {color_size[0]}x{color_size[1]} px in frame {color_frame!r}, {why}. Let the driver align depth "
        "(align_depth, depth_registered) and subscribe to that topic, or publish depth/camera_info and tf "
        "between the two frames.",
        code=code,
        reason="unregistered_depth",
    )
