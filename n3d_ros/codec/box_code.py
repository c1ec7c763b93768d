"""BoxCode: a box in the model's own alphabet, seven integers of 0 to 999, and the way to metres and back.

============  =======================  ==================================================================
field         value of bin b           meaning
============  =======================  ==================================================================
u, v          b / 1000                 the centre's place in the image, fractions of width and height
depth         b 2.0 / 1000             depth of the centre above the nearest point, in mean distances
angle         -2 pi + b 4 pi / 1000    turn about the model's up axis; 500 is none
size_x/y/z    b 0.625 / 1000           full size along the box's axes, in mean distances
============  =======================  ==================================================================

A mean distance is ``1 / normalization.scale_per_m`` metres. The origin is N3D-VLM's ``pcd.py`` and ``demo.py``: a bin's
value is its lower end, numbers are cut off, not rounded, except u and v.

**Pixels.** The model counts from the image's corner, so the first pixel's centre is at u = 0.5 / width (its point maps
show it: ``z K^-1 [(u + 0.5) / W, (v + 0.5) / H, 1]`` gives them back). Our intrinsics count from the first pixel's
centre. Hence ``u_px = u * width - 0.5``, here and nowhere else.

**Axes.** Boxes in metres are in the camera optical frame. At angle 0 a box's own axes are the frame's: size_x is width,
size_y height, size_z depth. The model turns about its up axis, which is the optical -y: a model angle is the opposite
turn about optical +y.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from n3d_ros.codec.label_bytes import writable_label
from n3d_ros.codec.model_input import DecodeContext
from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import FloatArray, finite_float
from n3d_ros.geometry.boxes import Box3D
from n3d_ros.geometry.camera import project
from n3d_ros.geometry.point_map import PointNormalization
from n3d_ros.geometry.transforms import MODEL_T_OPTICAL, matrix_to_quaternion, rotation_about_axis

BINS = 1000
DEPTH_RANGE = 2.0  # mean distances; demo.py, world_max
SIZE_RANGE = 0.625  # mean distances; demo.py, scale_max
ANGLE_MIN_RAD = -2 * math.pi  # pcd.py, angle_min
ANGLE_RANGE_RAD = 4 * math.pi
BIN_TOLERANCE = 2e-3  # bins; a decoded value is a bin's lower end and must encode to itself after float32 arithmetic
EMPTY_SIZE_BINS = 0.5  # a size of bin 0 lies between 0 and 1 steps; a box needs a size above zero
MAX_LABEL_CHARACTERS = 320  # that are read; written are MAX_LABEL_BYTES (label_bytes.py) and what the last token brings
CODE_FIELDS = ("u", "v", "depth", "angle", "size_x", "size_y", "size_z")

MODEL_UP = (0.0, 1.0, 0.0)  # the model's y axis
BOX_SYMMETRIES: tuple[FloatArray, ...] = tuple(
    matrix
    for order in ((0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (2, 1, 0), (1, 0, 2))
    for signs in ((sx, sy, sz) for sx in (1.0, -1.0) for sy in (1.0, -1.0) for sz in (1.0, -1.0))
    if np.linalg.det(matrix := np.eye(3)[list(order)] * np.array(signs)) > 0
)
"""The 24 rotations that take a box's axes to each other: the same box, its sizes in another order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxCode:
    """A labelled box as the model writes it.

    Args:
        label: what it is; one line, at most ``MAX_LABEL_CHARACTERS``, without ``=Bbox(``.
        u: bin of the centre's column, 0 to 999 as all below.
        v: bin of the centre's row.
        depth: bin of the centre's depth.
        angle: bin of the turn about up; 500 is none.
        size_x: bin of the width.
        size_y: bin of the height.
        size_z: bin of the depth.
    """

    label: str
    u: int
    v: int
    depth: int
    angle: int
    size_x: int
    size_y: int
    size_z: int

    def __post_init__(self) -> None:
        """Checks the label and every bin.

        Raises:
            InputError: a bin that is no integer of 0 to 999, or a label that could not be written in a line.
        """
        object.__setattr__(self, "label", checked_label(self.label))
        for name in CODE_FIELDS:
            value = getattr(self, name)
            if isinstance(value, bool) or int(value) != value or not 0 <= value < BINS:
                raise InputError(f"BoxCode.{name}: expected an integer of 0 to {BINS - 1}, got {value!r}.")
            object.__setattr__(self, name, int(value))

    @property
    def bins(self) -> tuple[int, ...]:
        """The seven integers in the order of ``CODE_FIELDS``."""
        return tuple(getattr(self, name) for name in CODE_FIELDS)

    @property
    def saturated(self) -> tuple[str, ...]:
        """Fields at an end of their range, so that the true value may lie beyond: depth, sizes, and u, v at a border.

        A size or depth of bin 999 was most likely clipped. The angle never saturates: it goes round.
        """
        last = BINS - 1
        ends = {"u": (0, last), "v": (0, last), "depth": (0, last)}
        return tuple(name for name in CODE_FIELDS if name != "angle" and getattr(self, name) in ends.get(name, (last,)))


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricBox:
    """A box between code and metres, as N3D-VLM publishes its results: image fractions and metric lengths.

    Args:
        label: what it is.
        u: the centre's column as a fraction of the width, from the image's corner.
        v: the centre's row as a fraction of the height, from the image's corner.
        depth_m: z of the centre, metres.
        angle_rad: turn about the model's up axis, radians.
        size_m: full width, height and depth, metres; 0 is possible.
    """

    label: str
    u: float
    v: float
    depth_m: float
    angle_rad: float
    size_m: tuple[float, float, float]

    def __post_init__(self) -> None:
        """Checks that all numbers are finite and sizes not negative."""
        object.__setattr__(self, "label", checked_label(self.label))
        for name in ("u", "v", "depth_m", "angle_rad"):
            object.__setattr__(self, name, finite_float(getattr(self, name), name=f"MetricBox.{name}"))
        sizes = tuple(finite_float(size, name="MetricBox.size_m", minimum=0) for size in self.size_m)
        if len(sizes) != 3:
            raise InputError(f"MetricBox.size_m: expected three lengths, got {len(sizes)}.")
        object.__setattr__(self, "size_m", sizes)


def checked_label(label: str) -> str:
    """A label that can stand in a box line: blanks at its ends left out, every run of blanks as one.

    Args:
        label: words.

    Returns:
        The words.

    Raises:
        InputError: nothing is left, too long, or it looks like the beginning of a box.
    """
    words = " ".join(label.split())
    if not words or len(words) > MAX_LABEL_CHARACTERS or "=Bbox(" in words:
        raise InputError(
            f"Label of a box: expected 1 to {MAX_LABEL_CHARACTERS} characters without '=Bbox(', got {words[:40]!r}."
        )
    return words


def code_to_metric(code: BoxCode, normalization: PointNormalization) -> MetricBox:
    """The numbers behind a code, each the lower end of its bin, as the reference decodes them.

    Args:
        code: the box.
        normalization: of its scene, in the model's axes.

    Returns:
        Fractions and metres.
    """
    scale = normalization.scale_per_m
    size_x, size_y, size_z = (step * SIZE_RANGE / BINS / scale for step in (code.size_x, code.size_y, code.size_z))
    return MetricBox(
        label=code.label,
        u=code.u / BINS,
        v=code.v / BINS,
        depth_m=code.depth * DEPTH_RANGE / BINS / scale + float(normalization.offset_m[2]),
        angle_rad=ANGLE_MIN_RAD + code.angle / BINS * ANGLE_RANGE_RAD,
        size_m=(size_x, size_y, size_z),
    )


def metric_to_code(
    box: MetricBox,
    normalization: PointNormalization,
    *,
    zero_sizes: Literal["keep", "raise"] = "keep",
    round_uv: bool = True,
) -> BoxCode:
    """The code of fractions and metres: the inverse of ``code_to_metric``, clipped to what the format holds.

    Args:
        box: fractions and metres.
        normalization: of its scene, in the model's axes.
        zero_sizes: "raise" makes a size of bin 0 bin 1, as the reference does for its training data on request.
        round_uv: whether u and v are rounded; cut off otherwise. The reference rounds them on request and leaves them
            fractions of bins otherwise, which its format does not have.

    Returns:
        The code; ``saturated`` says what was clipped.
    """
    scale = normalization.scale_per_m
    least = 1 if zero_sizes == "raise" else 0
    place = _round if round_uv else _cut
    sizes = [max(least, _cut(size * scale / SIZE_RANGE)) for size in box.size_m]
    return BoxCode(
        label=box.label,
        u=place(box.u),
        v=place(box.v),
        depth=_cut((box.depth_m - float(normalization.offset_m[2])) * scale / DEPTH_RANGE),
        angle=_cut((box.angle_rad - ANGLE_MIN_RAD) / ANGLE_RANGE_RAD),
        size_x=sizes[0],
        size_y=sizes[1],
        size_z=sizes[2],
    )


def metric_center(box: MetricBox, context: DecodeContext) -> FloatArray:
    """The centre in the camera optical frame.

    Args:
        box: fractions and metres.
        context: of its frame.

    Returns:
        (3,) float64 metres, optical.
    """
    camera = context.intrinsics
    u_px, v_px = box.u * camera.width - 0.5, box.v * camera.height - 0.5
    ray = np.array([(u_px - camera.cx) / camera.fx, (v_px - camera.cy) / camera.fy, 1.0])
    center: FloatArray = ray * box.depth_m
    return center


def decode_box(code: BoxCode, context: DecodeContext) -> Box3D:
    """The box in the camera optical frame.

    A size of bin 0, which means less than one step, becomes half a step.

    Args:
        code: the box as the model wrote it.
        context: of its frame.

    Returns:
        The box, metres.
    """
    metric = code_to_metric(code, context.normalization)
    step_m = SIZE_RANGE / BINS / context.normalization.scale_per_m
    size = np.maximum(metric.size_m, EMPTY_SIZE_BINS * step_m)
    turn = optical_rotation(metric.angle_rad)
    return Box3D(center=metric_center(metric, context), size=size, orientation_xyzw=matrix_to_quaternion(turn))


def encode_box(
    label: str,
    box: Box3D,
    context: DecodeContext,
    *,
    yaw: Literal["free", "zero"] = "free",
    zero_sizes: Literal["keep", "raise"] = "keep",
    round_uv: bool = True,
) -> BoxCode:
    """The code of a box, as near as the format allows.

    The format knows turns about the camera's vertical alone. "free" takes the box's own sizes and the turn nearest to
    its orientation: of the 24 ways to name a box's axes the one that needs the least tilt, then the least turn, so that
    the angle is within 45 degrees. A box that stands tilted in the camera frame (a camera that looks down) loses its
    tilt. "zero" takes angle 0 and the box along the camera's axes that encloses it, which is how the released model's
    training boxes were made.

    Args:
        label: what it is; the code has it as an answer can hold it, see ``writable_label``.
        box: in the camera optical frame, metres.
        context: of its frame.
        yaw: "free" or "zero".
        zero_sizes: see ``metric_to_code``.
        round_uv: see ``metric_to_code``.

    Returns:
        The code; ``saturated`` says what was clipped.

    Raises:
        InputError: the centre is not in front of the camera, or a label that cannot be written.
    """
    if not box.center[2] > 0:
        raise InputError(f"encode_box: expected a centre in front of the camera, got z = {box.center[2]:.3f} m.")
    camera = context.intrinsics
    u_px, v_px = project(box.center, camera)
    angle, size = nearest_upright(box) if yaw == "free" else (0.0, np.ptp(box.corners, axis=0))
    metric = MetricBox(
        label=writable_label(label),
        u=(float(u_px) + 0.5) / camera.width,
        v=(float(v_px) + 0.5) / camera.height,
        depth_m=float(box.center[2]),
        angle_rad=angle,
        size_m=(float(size[0]), float(size[1]), float(size[2])),
    )
    return metric_to_code(metric, context.normalization, zero_sizes=zero_sizes, round_uv=round_uv)


def optical_rotation(angle_rad: float) -> FloatArray:
    """The rotation in the optical frame of a turn about the model's up axis.

    Args:
        angle_rad: the model's angle, radians.

    Returns:
        (3, 3) float64: the box's axes as columns; at 0 they are the frame's.
    """
    axes = MODEL_T_OPTICAL.rotation
    turn: FloatArray = axes.T @ rotation_about_axis(MODEL_UP, angle_rad) @ axes
    return turn


def nearest_upright(box: Box3D) -> tuple[float, FloatArray]:
    """The turn about the model's up axis nearest to a box's orientation, and the sizes in the order that goes with it.

    Nearest in the sense of the smallest rotation between the two: the largest trace of ``turn^T R``.

    Args:
        box: in the camera optical frame.

    Returns:
        Model angle in radians within [-pi/4, pi/4] unless the box is tilted, and (3,) sizes in metres.
    """
    best: tuple[float, float, FloatArray] | None = None
    for symmetry in BOX_SYMMETRIES:
        q = box.rotation @ symmetry
        # The trace of turn(a)^T q about y is q11 + cos(a) (q00 + q22) + sin(a) (q02 - q20): a maximum in closed form.
        cosine, sine = q[0, 0] + q[2, 2], q[0, 2] - q[2, 0]
        fit, about_y = q[1, 1] + math.hypot(cosine, sine), math.atan2(sine, cosine)
        if best is None or (round(fit, 9), -round(abs(about_y), 9)) > (round(best[0], 9), -round(abs(best[1]), 9)):
            best = (fit, about_y, np.abs(symmetry.T) @ box.size)
    assert best is not None  # there are 24
    return -best[1] + 0.0, best[2]


def _cut(fraction: float) -> int:
    """The bin of a share of the range, cut off and clipped."""
    return _clip(math.floor(_clip_real(fraction) * BINS + BIN_TOLERANCE))


def _round(fraction: float) -> int:
    """The bin whose lower end is nearest to a share of the range, clipped."""
    return _clip(round(_clip_real(fraction) * BINS))


def _clip(number: int) -> int:
    """The nearest bin."""
    return min(max(number, 0), BINS - 1)


def _clip_real(fraction: float) -> float:
    """A share of the range, brought near it so that no number is too large for an integer."""
    return min(max(fraction, -1.0), 2.0)
