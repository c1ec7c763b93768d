"""ROS messages to the package's types and back.

Messages are read by their fields alone (rclpy's or a bag reader's); message classes are imported where messages are
made. Stamps are nanoseconds, quaternions x y z w, lengths metres.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from n3d_ros.detection import BoxUncertainty, Detection3D
from n3d_ros.errors import CalibrationError, InputError, StatusCode, TransformError
from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.camera import CameraIntrinsics, CameraModel, Distortion
from n3d_ros.geometry.transform_buffer import TransformBuffer
from n3d_ros.geometry.transforms import RigidTransform
from n3d_ros.ros.plain_text import plain

NANOSECONDS = 1_000_000_000
MAX_STAMP_NS = (2**31) * NANOSECONDS - 1  # builtin_interfaces/Time counts seconds in an int32
TILT_STDDEV_RAD = 0.02  # boxes are upright by construction; what is left is the error of the vertical, about 1 degree
FOCAL_SHARES = (0.02, 200.0)  # focal length in image sides: fields of view from 175 degrees down to 0.3 degrees
MAX_CENTER_SHARE = 10.0  # distance of the optical axis from the image's corner, in image sides; crops move it outside
MAX_POSE_VALUE = 1e9  # metres of a pose: beyond the moon; larger numbers overflow when they are multiplied
MAX_TEXT = 512  # characters of a label or name taken from outside


# -------------------------------------------------------------------------------------------------- stamps and headers


def stamp_to_ns(stamp: Any) -> int:
    """Nanoseconds of a ``builtin_interfaces/Time``.

    Args:
        stamp: with the fields sec and nanosec.

    Returns:
        Nanoseconds since the clock's epoch; 0 for an unset stamp.
    """
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def ns_to_stamp(stamp_ns: int) -> Any:
    """A ``builtin_interfaces/Time``.

    Args:
        stamp_ns: nanoseconds, 0 or more.

    Returns:
        The message.

    Raises:
        InputError: negative, or beyond what the message can hold.
    """
    from builtin_interfaces.msg import Time

    message = Time()
    fill_stamp(message, stamp_ns)
    return message


def fill_stamp(stamp: Any, stamp_ns: int) -> None:
    """Writes a stamp into a message's field.

    Args:
        stamp: ``builtin_interfaces/Time`` to fill.
        stamp_ns: nanoseconds, 0 or more.

    Raises:
        InputError: negative, or beyond what the message can hold.
    """
    if not 0 <= stamp_ns <= MAX_STAMP_NS:
        raise InputError(f"Stamp: expected 0 to {MAX_STAMP_NS} ns, got {stamp_ns}.", reason="bad_stamp")
    stamp.sec, stamp.nanosec = divmod(int(stamp_ns), NANOSECONDS)


def fill_header(header: Any, stamp_ns: int, frame_id: str) -> None:
    """Writes stamp and frame into a message's header.

    Args:
        header: ``std_msgs/Header`` to fill.
        stamp_ns: nanoseconds.
        frame_id: the frame's name.
    """
    fill_stamp(header.stamp, stamp_ns)
    header.frame_id = frame_id


def make_header(stamp_ns: int, frame_id: str) -> Any:
    """A ``std_msgs/Header``.

    Args:
        stamp_ns: nanoseconds.
        frame_id: the frame's name.

    Returns:
        The message.
    """
    from std_msgs.msg import Header

    header = Header()
    fill_header(header, stamp_ns, frame_id)
    return header


def clean_frame_id(frame_id: Any) -> str:
    """A frame's name as tf2 knows it: without the leading slash of ROS 1.

    Args:
        frame_id: the name as it came.

    Returns:
        The name; empty when unset.
    """
    return str(frame_id)[:MAX_TEXT].removeprefix("/")


# ------------------------------------------------------------------------------------------------------------- cameras

LENS_NAMES: Mapping[str, str] = {
    "plumb_bob": "plumb_bob",
    "brown_conrady": "plumb_bob",
    "rational_polynomial": "rational_polynomial",
    "equidistant": "equidistant",
    "fisheye": "equidistant",
    "kannala_brandt": "equidistant",
    "kannala_brandt4": "equidistant",
    "none": "none",
}
"""Lens names seen in CameraInfo.distortion_model, in lower case with underscores, and the model they mean."""


def camera_info_to_model(msg: Any) -> CameraModel:
    """The camera of a ``sensor_msgs/CameraInfo``, for images of the size it is published with.

    K, P and the region of interest refer to the full sensor; the region is cut out first, then binned. Binned pixels
    are taken as averages, so that borders (not pixel centres) stay where they are. Without P, K serves as P; without
    R, the identity. The baseline in P (its last column) does not concern a single camera.

    Args:
        msg: ``sensor_msgs/CameraInfo`` or anything with its fields.

    Returns:
        The camera model of the image after region of interest and binning.

    Raises:
        CalibrationError: K is zero or not finite, the lens model is unknown, or the numbers do not fit together.
    """
    width, height = int(msg.width), int(msg.height)
    full = _plausible(_numbers(msg.k, 9, "k").reshape(3, 3), width, height, "k")
    projection = _numbers(msg.p, 12, "p").reshape(3, 4)
    rectified = full
    if projection.any():
        rectified = _plausible(projection, width, height, "p")
    return CameraModel(
        intrinsics=_cut_and_binned(full, msg),
        distortion=lens_to_distortion(str(msg.distortion_model), msg.d),
        rectification=_rectification(msg),
        rectified=_cut_and_binned(rectified, msg),
    )


def lens_to_distortion(name: str, coefficients: Iterable[float]) -> Distortion:
    """The lens of CameraInfo's name and coefficients.

    Trailing zeros do not count, so a plumb_bob lens may come with 8 numbers and a rational one with 14. Without a
    name, the number of coefficients decides, as in OpenCV.

    Args:
        name: ``CameraInfo.distortion_model``.
        coefficients: ``CameraInfo.d``.

    Returns:
        The lens.

    Raises:
        CalibrationError: an unknown model, or coefficients that it does not have (thin prism, tilted sensor).
    """
    d = np.asarray(list(coefficients)[:64], dtype=np.float64)
    if not np.isfinite(d).all():
        raise CalibrationError(
            f"CameraInfo.d: expected finite numbers, got {d.tolist()}; calibrate the camera again.",
            reason="bad_distortion",
        )
    key = name.strip().lower().replace(" ", "_").replace("-", "_")
    model = LENS_NAMES.get(key)
    if key in ("", "unknown", "pinhole"):
        model = "plumb_bob" if d.size <= 5 else "rational_polynomial"
    if model is None:
        raise CalibrationError(
            f"CameraInfo.distortion_model: expected one of {', '.join(LENS_NAMES)}, got {name[:64]!r}; "
            "publish rectified images with image_proc and set rgb.rectified to 'true'.",
            reason="unknown_distortion",
        )
    return _fitted_lens(model, d)


def _fitted_lens(model: str, d: FloatArray) -> Distortion:
    """The lens with exactly as many coefficients as its model takes."""
    used = int(np.flatnonzero(d)[-1]) + 1 if d.any() else 0
    if model == "equidistant":
        if d.size < 4:
            raise CalibrationError(
                f"CameraInfo.d: an equidistant lens takes 4 coefficients, got {d.size}.", reason="bad_distortion"
            )
        needed = 4
    elif used == 0 or model == "none":
        model, needed = "none", 0
    elif used <= 5:  # the first five are the same in both models
        model, needed = "plumb_bob", 5
    else:
        model, needed = "rational_polynomial", 8
    if used > needed:
        raise CalibrationError(
            f"CameraInfo.d: {used} coefficients other than zero, but lens {model!r} takes {needed}; thin-prism and "
            "tilt terms are not known here. Publish rectified images, or calibrate with 8 coefficients or fewer.",
            reason="unknown_distortion",
        )
    padded = np.zeros(needed)
    padded[: min(used, needed)] = d[: min(used, needed)]
    return Distortion(model=model, coefficients=tuple(padded.tolist()))


def _numbers(values: Any, count: int, name: str) -> FloatArray:
    numbers = np.asarray(values, dtype=np.float64).reshape(-1)
    if numbers.size != count or not np.isfinite(numbers).all():
        raise CalibrationError(
            f"CameraInfo.{name}: expected {count} finite numbers, got {numbers[:16].tolist()}; "
            "calibrate the camera, or fix what its driver publishes."
        )
    return numbers


def _plausible(matrix: FloatArray, width: int, height: int, name: str) -> CameraIntrinsics:
    """The camera of a matrix, unless its field of view or centre is one that no camera has."""
    camera = CameraIntrinsics.from_matrix(matrix, width=width, height=height)
    shares = (camera.fx / width, camera.fy / height)
    offsets = (abs(camera.cx) / width, abs(camera.cy) / height)
    if min(shares) < FOCAL_SHARES[0] or max(shares) > FOCAL_SHARES[1] or max(offsets) > MAX_CENTER_SHARE:
        raise CalibrationError(
            f"CameraInfo.{name}: fx={camera.fx:.6g}, fy={camera.fy:.6g}, cx={camera.cx:.6g}, cy={camera.cy:.6g} px "
            f"cannot belong to an image of {width}x{height} px; calibrate the camera, or fix what its driver publishes."
        )
    return camera


def _rectification(msg: Any) -> FloatArray:
    rotation = _numbers(msg.r, 9, "r").reshape(3, 3)
    if not rotation.any():
        return np.eye(3)
    is_bounded = np.abs(rotation).max() <= 2  # before products of it are taken, which could overflow
    if not is_bounded or np.abs(rotation.T @ rotation - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0:
        raise CalibrationError(f"CameraInfo.r: expected a rotation or zeros, got {rotation.tolist()}.")
    return rotation


def _cut_and_binned(full: CameraIntrinsics, msg: Any) -> CameraIntrinsics:
    """The part of the sensor that the image shows, at the resolution at which it shows it."""
    camera, roi = full, msg.roi
    if roi.width and roi.height:
        camera = camera.cropped(int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height))
    bin_x, bin_y = max(1, int(msg.binning_x)), max(1, int(msg.binning_y))
    if bin_x > camera.width or bin_y > camera.height:
        raise CalibrationError(
            f"CameraInfo.binning: {bin_x}x{bin_y} is more than the image of {camera.width}x{camera.height} px."
        )
    if bin_x == bin_y == 1:
        return camera
    # Rows and columns that do not fill a whole bin are dropped by the sensor.
    camera = camera.cropped(0, 0, camera.width // bin_x * bin_x, camera.height // bin_y * bin_y)
    return camera.resized(camera.width // bin_x, camera.height // bin_y)


def model_to_camera_info(model: CameraModel, *, stamp_ns: int, frame_id: str) -> Any:
    """A ``sensor_msgs/CameraInfo`` without region of interest or binning.

    Args:
        model: the camera.
        stamp_ns: that of the image, nanoseconds.
        frame_id: the camera's optical frame.

    Returns:
        The message.
    """
    from sensor_msgs.msg import CameraInfo

    msg = CameraInfo()
    fill_header(msg.header, stamp_ns, frame_id)
    msg.width, msg.height = model.intrinsics.width, model.intrinsics.height
    lens = model.distortion
    # Consumers index D: a camera without distortion is a plumb_bob of zeros, as drivers publish it.
    msg.distortion_model = "plumb_bob" if lens.model == "none" else lens.model
    msg.d = list(lens.coefficients) if lens.coefficients else [0.0] * 5
    msg.k = model.intrinsics.matrix.reshape(-1).tolist()
    msg.r = model.rectification.reshape(-1).tolist()
    msg.p = np.hstack([model.rectified_intrinsics.matrix, np.zeros((3, 1))]).reshape(-1).tolist()
    return msg


def intrinsics_to_camera_info(intrinsics: CameraIntrinsics, *, stamp_ns: int, frame_id: str) -> Any:
    """A ``sensor_msgs/CameraInfo`` of a pinhole camera.

    Args:
        intrinsics: the camera.
        stamp_ns: that of the image, nanoseconds.
        frame_id: the camera's optical frame.

    Returns:
        The message.
    """
    return model_to_camera_info(CameraModel(intrinsics=intrinsics), stamp_ns=stamp_ns, frame_id=frame_id)


# ---------------------------------------------------------------------------------------------- poses and transforms


def _xyz(vector: Any) -> FloatArray:
    return np.array([vector.x, vector.y, vector.z], dtype=np.float64)


def _xyzw(quaternion: Any) -> FloatArray:
    return np.array([quaternion.x, quaternion.y, quaternion.z, quaternion.w], dtype=np.float64)


def fill_xyz(vector: Any, xyz: ArrayLike) -> None:
    """Writes three numbers into a ``Point`` or ``Vector3``.

    Args:
        vector: message to fill.
        xyz: (3,).
    """
    vector.x, vector.y, vector.z = (float(number) for number in np.asarray(xyz, dtype=np.float64))


def fill_xyzw(quaternion: Any, orientation_xyzw: ArrayLike) -> None:
    """Writes a quaternion into a ``geometry_msgs/Quaternion``.

    Args:
        quaternion: message to fill.
        orientation_xyzw: (4,) x y z w.
    """
    numbers = np.asarray(orientation_xyzw, dtype=np.float64)
    quaternion.x, quaternion.y, quaternion.z, quaternion.w = (float(number) for number in numbers)


def pose_to_transform(pose: Any) -> RigidTransform:
    """``frame_T_pose`` of a ``geometry_msgs/Pose``.

    Args:
        pose: with position and orientation.

    Returns:
        The transform that takes points relative to the pose to the frame it is given in.

    Raises:
        InputError: numbers that no pose of a robot has.
    """
    values = np.abs([*_xyzw(pose.orientation), *_xyz(pose.position)])
    if not np.all(values <= MAX_POSE_VALUE):
        raise InputError(f"Expected a unit quaternion and metres up to {MAX_POSE_VALUE:g}, got {values.max():g}.")
    return RigidTransform.from_quaternion(_xyzw(pose.orientation), _xyz(pose.position))


def transform_to_pose(transform: RigidTransform) -> Any:
    """A ``geometry_msgs/Pose``.

    Args:
        transform: ``frame_T_pose``.

    Returns:
        The message.
    """
    from geometry_msgs.msg import Pose

    pose = Pose()
    fill_xyz(pose.position, transform.translation)
    fill_xyzw(pose.orientation, transform.orientation_xyzw)
    return pose


def pose_to_box(pose: Any, size: Any) -> Box3D:
    """The oriented box of a pose and a size.

    Args:
        pose: ``geometry_msgs/Pose`` of its centre and axes.
        size: ``geometry_msgs/Vector3``, full lengths, metres.

    Returns:
        The box, in the frame of the pose.
    """
    return Box3D(center=_xyz(pose.position), size=_xyz(size), orientation_xyzw=_xyzw(pose.orientation))


def fill_pose_of_box(pose: Any, box: Box3D) -> None:
    """Writes a box's centre and axes into a ``geometry_msgs/Pose``.

    Args:
        pose: message to fill.
        box: the box.
    """
    fill_xyz(pose.position, box.center)
    fill_xyzw(pose.orientation, box.orientation_xyzw)


def msg_to_transform(msg: Any) -> RigidTransform:
    """``parent_T_child`` of a ``geometry_msgs/Transform`` or ``TransformStamped``.

    Args:
        msg: the message; parent is ``header.frame_id``, child ``child_frame_id``.

    Returns:
        The transform that takes points of the child to the parent.
    """
    transform = getattr(msg, "transform", msg)
    return RigidTransform.from_quaternion(_xyzw(transform.rotation), _xyz(transform.translation))


def transform_to_msg(parent_T_child: RigidTransform, *, parent: str, child: str, stamp_ns: int) -> Any:
    """A ``geometry_msgs/TransformStamped``.

    Args:
        parent_T_child: takes points of the child to the parent.
        parent: name of the parent frame.
        child: name of the child frame.
        stamp_ns: when it holds, nanoseconds.

    Returns:
        The message.
    """
    from geometry_msgs.msg import TransformStamped

    msg = TransformStamped()
    fill_header(msg.header, stamp_ns, parent)
    msg.child_frame_id = child
    fill_xyz(msg.transform.translation, parent_T_child.translation)
    fill_xyzw(msg.transform.rotation, parent_T_child.orientation_xyzw)
    return msg


def store_tf_message(msg: Any, buffer: TransformBuffer, *, static: bool = False) -> tuple[str, ...]:
    """Puts the transforms of a ``tf2_msgs/TFMessage`` into a buffer; a bad one does not keep the others out.

    Args:
        msg: the message.
        buffer: where they go.
        static: whether they came on /tf_static and hold for all times.

    Returns:
        One sentence per transform that was refused (zero quaternion, empty or equal frame names).
    """
    refused: list[str] = []
    for transform in msg.transforms:
        parent, child = clean_frame_id(transform.header.frame_id), clean_frame_id(transform.child_frame_id)
        try:
            stamp_ns = stamp_to_ns(transform.header.stamp)
            buffer.set_transform(parent, child, stamp_ns, msg_to_transform(transform), static=static)
        except (InputError, TransformError) as error:
            refused.append(f"tf from {child!r} to {parent!r} is ignored: {error.message}")
    return tuple(refused)


# ------------------------------------------------------------------------------------------------- objects: n3d_msgs


class LocatedObject(Protocol):
    """What an object message is made from: a ``Detection3D``, or an object of the scene, which adds id and history."""

    @property
    def label(self) -> str:
        """What it is, in words."""

    @property
    def box(self) -> Box3D:
        """Where it is."""

    @property
    def score(self) -> float | None:
        """Belief, 0 to 1."""

    @property
    def support_ratio(self) -> float | None:
        """Share of its visible surface backed by points."""

    @property
    def color(self) -> str | None:
        """Colour word."""

    @property
    def shape(self) -> str | None:
        """Shape word."""

    @property
    def uncertainty(self) -> BoxUncertainty | None:
        """How far the box may be off."""


def object_to_msg(found: LocatedObject, *, up: ArrayLike | None = None) -> Any:
    """An ``n3d_msgs/Object3D`` of a detection (id 0: not tracked) or of an object of the scene.

    Args:
        found: the object; id, observations, first_seen_ns and last_seen_ns are taken when it has them.
        up: (3,) the vertical in the frame of the box, about which its yaw is uncertain; None: unknown.

    Returns:
        The message; what is unknown is NaN or zero as the interface says.
    """
    from n3d_msgs.msg import Object3D

    msg = Object3D()
    msg.id = int(getattr(found, "id", 0))
    msg.label = found.label
    msg.score = _or_nan(found.score)
    msg.support_ratio = _or_nan(found.support_ratio)
    fill_pose_of_box(msg.pose.pose, found.box)
    fill_xyz(msg.size, found.box.size)
    fill_xyz(msg.size_stddev, [np.nan] * 3 if found.uncertainty is None else found.uncertainty.size_stddev_m)
    if found.uncertainty is not None:
        msg.pose.covariance = pose_covariance(found.uncertainty, up).reshape(-1).tolist()
    words = {"color": found.color, "shape": found.shape}
    msg.attributes = [_key_value(key, word) for key, word in words.items() if word]
    msg.observations = int(getattr(found, "observations", 0))
    fill_stamp(msg.first_seen, int(getattr(found, "first_seen_ns", 0)))
    fill_stamp(msg.last_seen, int(getattr(found, "last_seen_ns", 0)))
    return msg


def msg_to_detection(msg: Any) -> Detection3D:
    """The detection of an ``n3d_msgs/Object3D``, in the frame of the message that carries it.

    Args:
        msg: the object.

    Returns:
        The detection; without label it is called "object"; id and history are not part of it.

    Raises:
        InputError: a pose or size that no box has.
    """
    words = {str(item.key): str(item.value) for item in msg.attributes}
    return Detection3D(
        label=str(msg.label) or "object",
        box=pose_to_box(msg.pose.pose, msg.size),
        score=_or_none(msg.score),
        support_ratio=_or_none(msg.support_ratio),
        color=words.get("color"),
        shape=words.get("shape"),
        uncertainty=_msg_to_uncertainty(msg),
    )


def pose_covariance(uncertainty: BoxUncertainty, up: ArrayLike | None = None) -> FloatArray:
    """The covariance of a pose as ``geometry_msgs/PoseWithCovariance`` has it.

    The yaw's variance lies about the vertical, with ``TILT_STDDEV_RAD`` about the two axes across it. Without a
    vertical, the larger of the two goes to all three axes, which claims too little rather than too much.

    Args:
        uncertainty: in the frame of the pose.
        up: (3,) the vertical in that frame, None when unknown.

    Returns:
        (6, 6) float64: x y z (square metres), rotations about the frame's fixed axes (square radians).
    """
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = uncertainty.center_covariance_m2
    tilt = TILT_STDDEV_RAD**2
    yaw = max(uncertainty.yaw_stddev_rad**2, tilt)
    if up is None:
        covariance[3:, 3:] = yaw * np.eye(3)
    else:
        axis = np.asarray(up, dtype=np.float64) / np.linalg.norm(np.asarray(up, dtype=np.float64))
        covariance[3:, 3:] = tilt * np.eye(3) + (yaw - tilt) * np.outer(axis, axis)
    return covariance


def _msg_to_uncertainty(msg: Any) -> BoxUncertainty | None:
    covariance = np.asarray(msg.pose.covariance, dtype=np.float64).reshape(6, 6)
    size_stddev = _xyz(msg.size_stddev)
    if not covariance.any() or not np.isfinite(size_stddev).all():
        return None
    yaw_variance = float(np.linalg.eigvalsh(covariance[3:, 3:])[-1])
    return BoxUncertainty(
        center_covariance_m2=(covariance[:3, :3] + covariance[:3, :3].T) / 2,
        size_stddev_m=size_stddev,
        yaw_stddev_rad=float(np.sqrt(max(yaw_variance, 0.0))),
    )


def objects_to_msg(found: Iterable[LocatedObject], *, stamp_ns: int, frame_id: str, up: ArrayLike | None = None) -> Any:
    """An ``n3d_msgs/Object3DArray``.

    Args:
        found: the objects, all in one frame.
        stamp_ns: that of the image, nanoseconds.
        frame_id: the frame of the boxes.
        up: (3,) the vertical in that frame, None when unknown.

    Returns:
        The message.
    """
    from n3d_msgs.msg import Object3DArray

    msg = Object3DArray()
    fill_header(msg.header, stamp_ns, frame_id)
    msg.objects = [object_to_msg(item, up=up) for item in found]
    return msg


def status_to_msg(code: StatusCode, message: str = "") -> Any:
    """An ``n3d_msgs/Status``.

    Args:
        code: how it ended.
        message: one sentence, empty when there is nothing to say.

    Returns:
        The message.
    """
    from n3d_msgs.msg import Status

    status = Status()
    status.code, status.message = int(code), plain(message)
    return status


def frame_report_to_msg(
    *,
    stamp_ns: int,
    frame_id: str,
    code: StatusCode = StatusCode.OK,
    message: str = "",
    stage_ms: Mapping[str, float],
    total_ms: float | None = None,
    age_at_start_ms: float | None = None,
    age_at_publish_ms: float | None = None,
    frames_received: int = 0,
    frames_used: int = 0,
    frames_dropped: Mapping[str, int],
    object_count: int = 0,
    backend: str = "",
    device: str = "",
) -> Any:
    """An ``n3d_msgs/FrameReport``.

    Args:
        stamp_ns: that of the colour image, nanoseconds.
        frame_id: that of the colour image.
        code: how this frame ended.
        message: why, in one sentence.
        stage_ms: milliseconds per step, in the order they ran.
        total_ms: begin of processing to publication, None when nothing was published.
        age_at_start_ms: clock minus stamp when processing began, None when unknown.
        age_at_publish_ms: clock minus stamp at publication, None when unknown.
        frames_received: image pairs so far.
        frames_used: image pairs processed so far.
        frames_dropped: drops so far, by reason.
        object_count: objects found in this frame.
        backend: name of the grounder.
        device: where it runs.

    Returns:
        The message.
    """
    from n3d_msgs.msg import FrameReport, StageTime

    report = FrameReport()
    fill_header(report.header, max(0, stamp_ns), frame_id)
    report.status = status_to_msg(code, message)
    report.stages = [StageTime(name=name, duration_ms=float(ms)) for name, ms in stage_ms.items()]
    report.total_ms, report.age_at_start_ms = _or_nan(total_ms), _or_nan(age_at_start_ms)
    report.age_at_publish_ms = _or_nan(age_at_publish_ms)
    report.frames_received, report.frames_used = frames_received, frames_used
    report.frames_dropped = counts_to_msgs(frames_dropped)
    report.object_count, report.backend, report.device = object_count, backend, device
    return report


def counts_to_msgs(counts: Mapping[str, int]) -> list[Any]:
    """``n3d_msgs/NamedCount`` for each count above zero.

    Args:
        counts: how often each thing happened.

    Returns:
        The messages, in the order of the mapping.
    """
    from n3d_msgs.msg import NamedCount

    return [NamedCount(name=name, count=int(count)) for name, count in counts.items() if count > 0]


def _key_value(key: str, value: str) -> Any:
    from diagnostic_msgs.msg import KeyValue

    return KeyValue(key=key, value=value)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(np.clip(value, 0.0, 1.0))


# ---------------------------------------------------------------------------------------------- objects: vision_msgs


def objects_to_vision_msg(
    found: Sequence[LocatedObject], *, stamp_ns: int, frame_id: str, up: ArrayLike | None = None
) -> Any:
    """A ``vision_msgs/Detection3DArray``, where that package is installed.

    Each detection has one hypothesis whose class_id is the label itself: viewers read the first without asking
    whether there is one. A score that is not known is 0, since the message cannot say "unknown".

    Args:
        found: the objects, all in one frame.
        stamp_ns: that of the image, nanoseconds.
        frame_id: the frame of the boxes.
        up: (3,) the vertical in that frame, None when unknown.

    Returns:
        The message.

    Raises:
        ConfigurationError: vision_msgs is not installed.
    """
    from n3d_ros.ros.compat.vision_msgs import message_classes

    classes = message_classes()
    msg = classes.Detection3DArray()
    fill_header(msg.header, stamp_ns, frame_id)
    for item in found:
        detection, result = classes.Detection3D(), classes.ObjectHypothesisWithPose()
        fill_header(detection.header, stamp_ns, frame_id)
        detection.id = str(getattr(item, "id", "") or "")
        fill_pose_of_box(detection.bbox.center, item.box)
        fill_xyz(detection.bbox.size, item.box.size)
        result.hypothesis.class_id = item.label
        result.hypothesis.score = 0.0 if item.score is None else float(item.score)
        fill_pose_of_box(result.pose.pose, item.box)
        if item.uncertainty is not None:
            result.pose.covariance = pose_covariance(item.uncertainty, up).reshape(-1).tolist()
        detection.results.append(result)
        msg.detections.append(detection)
    return msg
