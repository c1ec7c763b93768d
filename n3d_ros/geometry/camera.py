"""Pinhole cameras, lens distortion, and the way between pixels and metres.

Pixel centres lie at integer coordinates: (u, v) = (0, 0) is the centre of the first pixel. Lens models are those of
``sensor_msgs/CameraInfo``; their formulas are OpenCV's (calib3d documentation, "Detailed Description" and fisheye).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from n3d_ros.errors import CalibrationError
from n3d_ros.geometry.arrays import Float32Array, FloatArray, frozen_array

MAX_IMAGE_SIDE_PX = 16384  # above any sensor on a robot; a message that claims more is corrupt
UNDISTORT_STEPS = 20  # Newton steps; five suffice for ordinary lenses
UNDISTORT_TOLERANCE = 1e-9  # of normalised image coordinates: 1e-6 px at f = 1000 px

COEFFICIENT_COUNTS: dict[str, tuple[int, ...]] = {
    "none": (0,),
    "plumb_bob": (4, 5),
    "rational_polynomial": (8,),
    "equidistant": (4,),
}
"""Coefficients that each lens model takes: k1 k2 p1 p2 [k3], k1 k2 p1 p2 k3 k4 k5 k6, and k1 k2 k3 k4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraIntrinsics:
    """A pinhole camera without distortion.

    Args:
        fx: focal length along x, pixels, above 0.
        fy: focal length along y, pixels, above 0.
        cx: principal point, pixels from the centre of the first pixel.
        cy: principal point, pixels from the centre of the first pixel.
        width: image width, pixels.
        height: image height, pixels.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def __post_init__(self) -> None:
        """Checks every number.

        Raises:
            CalibrationError: zero, negative or non-finite focal lengths, or sizes that no image has.
        """
        numbers = (self.fx, self.fy, self.cx, self.cy)
        if not all(np.isfinite(numbers)) or self.fx <= 0 or self.fy <= 0:
            raise CalibrationError(
                f"Camera matrix: expected finite numbers with fx, fy above 0 px, got fx={self.fx}, fy={self.fy}, "
                f"cx={self.cx}, cy={self.cy}. An uncalibrated driver sends zeros: calibrate it or fill CameraInfo.k."
            )
        if not (0 < self.width <= MAX_IMAGE_SIDE_PX and 0 < self.height <= MAX_IMAGE_SIDE_PX):
            raise CalibrationError(
                f"Image size: expected 1 to {MAX_IMAGE_SIDE_PX} px a side, got {self.width}x{self.height}."
            )

    @classmethod
    def from_matrix(cls, matrix: ArrayLike, *, width: int, height: int) -> CameraIntrinsics:
        """The camera of a 3x3 (or 3x4) matrix.

        Args:
            matrix: (3, 3) or (3, 4); the last column of a projection matrix is ignored.
            width: pixels.
            height: pixels.

        Returns:
            The intrinsics.

        Raises:
            CalibrationError: wrong shape, or numbers no camera can have.
        """
        k = np.asarray(matrix, dtype=np.float64)
        if k.shape not in ((3, 3), (3, 4)):
            raise CalibrationError(f"Camera matrix: expected shape (3, 3) or (3, 4), got {k.shape}.")
        return cls(
            fx=float(k[0, 0]), fy=float(k[1, 1]), cx=float(k[0, 2]), cy=float(k[1, 2]), width=width, height=height
        )

    @property
    def matrix(self) -> FloatArray:
        """(3, 3) float64 camera matrix, pixels."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])

    def resized(self, width: int, height: int) -> CameraIntrinsics:
        """The camera of the same view resampled to another size.

        The image's *borders* are what stays fixed, half a pixel outside the outermost centres; hence the halves.

        Args:
            width: pixels.
            height: pixels.

        Returns:
            The intrinsics of the resized image.
        """
        sx, sy = width / self.width, height / self.height
        return CameraIntrinsics(
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=(self.cx + 0.5) * sx - 0.5,
            cy=(self.cy + 0.5) * sy - 0.5,
            width=width,
            height=height,
        )

    def subsampled(self, step: int) -> CameraIntrinsics:
        """The camera of ``image[::step, ::step]``: every step-th pixel, kept where it was.

        Args:
            step: 1 or more.

        Returns:
            The intrinsics of the subsampled image.
        """
        return CameraIntrinsics(
            fx=self.fx / step,
            fy=self.fy / step,
            cx=self.cx / step,
            cy=self.cy / step,
            width=-(-self.width // step),
            height=-(-self.height // step),
        )

    def cropped(self, x0: int, y0: int, width: int, height: int) -> CameraIntrinsics:
        """The camera of a part of the image.

        Args:
            x0: first column kept.
            y0: first row kept.
            width: columns kept.
            height: rows kept.

        Returns:
            The intrinsics of the part.

        Raises:
            CalibrationError: the part leaves the image.
        """
        if x0 < 0 or y0 < 0 or x0 + width > self.width or y0 + height > self.height:
            raise CalibrationError(
                f"Crop {width}x{height} at ({x0}, {y0}) leaves the {self.width}x{self.height} image."
            )
        return CameraIntrinsics(fx=self.fx, fy=self.fy, cx=self.cx - x0, cy=self.cy - y0, width=width, height=height)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distortion:
    """A lens model on normalised image coordinates (x/z, y/z).

    Args:
        model: one of ``COEFFICIENT_COUNTS``.
        coefficients: as many numbers as the model takes, in OpenCV's order.
    """

    model: str = "none"
    coefficients: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Checks the model's name and the number of coefficients.

        Raises:
            CalibrationError: unknown model, wrong count or non-finite coefficients.
        """
        if self.model not in COEFFICIENT_COUNTS:
            known = ", ".join(COEFFICIENT_COUNTS)
            raise CalibrationError(f"Distortion model: expected one of {known}, got {self.model!r}.")
        coefficients = tuple(float(c) for c in self.coefficients)
        if len(coefficients) not in COEFFICIENT_COUNTS[self.model] or not all(np.isfinite(coefficients)):
            counts = " or ".join(str(n) for n in COEFFICIENT_COUNTS[self.model])
            raise CalibrationError(
                f"Distortion {self.model}: expected {counts} finite coefficients, got {list(coefficients)}."
            )
        object.__setattr__(self, "coefficients", coefficients)

    @property
    def is_identity(self) -> bool:
        """Whether the lens changes nothing; an all-zero equidistant lens is a fisheye, which does."""
        return self.model != "equidistant" and not any(self.coefficients)

    def distort(self, xy: ArrayLike) -> NDArray[np.float64]:
        """Where the lens images points that a pinhole would image at ``xy``.

        Args:
            xy: (..., 2) normalised coordinates.

        Returns:
            (..., 2) float64 normalised coordinates.
        """
        points = np.asarray(xy, dtype=np.float64)
        if self.is_identity:
            return points
        if self.model == "equidistant":
            return self._distort_equidistant(points)
        return self._distort_polynomial(points)

    def undistort(self, xy: ArrayLike) -> NDArray[np.float64]:
        """Where a pinhole would image what the lens images at ``xy``: the inverse of ``distort`` by Newton steps.

        Args:
            xy: (..., 2) normalised coordinates as seen.

        Returns:
            (..., 2) float64; NaN where the lens model has no inverse (outside its valid field of view).
        """
        seen = np.asarray(xy, dtype=np.float64)
        if self.is_identity:
            return seen
        points = seen.copy()
        if self.model == "equidistant":  # start from the angle itself, or a wide field diverges
            radius = np.linalg.norm(seen, axis=-1, keepdims=True)
            points = seen * np.where(radius > 1e-8, np.tan(np.minimum(radius, 1.5)) / np.maximum(radius, 1e-8), 1.0)
        with np.errstate(all="ignore"):  # points outside the field of view run off, and end as NaN below
            for _ in range(UNDISTORT_STEPS):
                points = points - self._newton_step(points, seen)
            error = np.abs(self.distort(points) - seen).max(axis=-1, keepdims=True)
            # A polynomial has further branches behind its turning point; light only takes the one through the axis.
            same_side = (points * seen).sum(axis=-1, keepdims=True) >= 0
            _, det = self._jacobian(points)
        return np.where((error < UNDISTORT_TOLERANCE) & same_side & (det > 0)[..., None], points, np.nan)

    def _newton_step(self, points: FloatArray, seen: FloatArray) -> FloatArray:
        """(..., 2) correction towards ``distort(points) == seen``."""
        residual = self.distort(points) - seen
        (dx, dy), det = self._jacobian(points)
        step_x = (residual[..., 0] * dy[..., 1] - residual[..., 1] * dy[..., 0]) / det
        step_y = (residual[..., 1] * dx[..., 0] - residual[..., 0] * dx[..., 1]) / det
        return np.stack([step_x, step_y], axis=-1)

    def _jacobian(self, points: FloatArray) -> tuple[tuple[FloatArray, FloatArray], FloatArray]:
        """Central differences of ``distort`` along x and along y, each (..., 2), and their determinant (...)."""
        h = 1e-6
        along_x, along_y = np.array([h, 0.0]), np.array([0.0, h])
        dx = (self.distort(points + along_x) - self.distort(points - along_x)) / (2 * h)
        dy = (self.distort(points + along_y) - self.distort(points - along_y)) / (2 * h)
        return (dx, dy), dx[..., 0] * dy[..., 1] - dx[..., 1] * dy[..., 0]

    def _distort_polynomial(self, points: FloatArray) -> FloatArray:
        """(..., 2) plumb_bob and rational_polynomial: radial quotient and tangential terms."""
        k1, k2, p1, p2, k3, k4, k5, k6 = (*self.coefficients, 0.0, 0.0, 0.0, 0.0)[:8]
        x, y = points[..., 0], points[..., 1]
        r2 = x * x + y * y
        radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
        xd = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        yd = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        return np.stack([xd, yd], axis=-1)

    def _distort_equidistant(self, points: FloatArray) -> FloatArray:
        """(..., 2) fisheye model: the image radius is a polynomial of the angle from the axis."""
        k1, k2, k3, k4 = self.coefficients
        radius = np.linalg.norm(points, axis=-1, keepdims=True)
        theta = np.arctan(radius)
        t2 = theta * theta
        distorted = theta * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))
        scaled: FloatArray = points * np.where(radius > 1e-8, distorted / np.maximum(radius, 1e-8), 1.0)
        return scaled


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CameraModel:
    """A real camera: matrix, lens, and the rectified view that goes with it, as in ``sensor_msgs/CameraInfo``.

    Args:
        intrinsics: of the raw, distorted image (K).
        distortion: the lens (D).
        rectification: (3, 3) rotation from the camera's to the rectified view's axes (R).
        rectified: intrinsics of the rectified image (P without its last column); K itself when None.
    """

    intrinsics: CameraIntrinsics
    distortion: Distortion = field(default_factory=Distortion)
    rectification: FloatArray = field(default_factory=lambda: np.eye(3))
    rectified: CameraIntrinsics | None = None

    def __post_init__(self) -> None:
        """Checks the rectification and fills in the rectified camera."""
        rotation = frozen_array(self.rectification, shape=(3, 3), dtype=np.float64, name="CameraModel.rectification")
        object.__setattr__(self, "rectification", rotation)
        if self.rectified is None:
            object.__setattr__(self, "rectified", self.intrinsics)

    @property
    def rectified_intrinsics(self) -> CameraIntrinsics:
        """The pinhole of the rectified image."""
        assert self.rectified is not None  # filled in by __post_init__
        return self.rectified

    @property
    def needs_rectification(self) -> bool:
        """Whether a raw image of this camera differs from its rectified one."""
        return not (
            self.distortion.is_identity
            and np.allclose(self.rectification, np.eye(3), atol=1e-9)
            and self.rectified_intrinsics == self.intrinsics
        )

    def rectification_map(self) -> tuple[Float32Array, Float32Array]:
        """For every rectified pixel, where to look in the raw image.

        Returns:
            Two (H, W) float32 arrays of the rectified size: raw columns and raw rows, pixels.
        """
        target = self.rectified_intrinsics
        rays = pixel_rays(target) @ self.rectification  # row vectors times R is R^T applied: back to camera axes
        seen = self.distortion.distort(rays[..., :2] / rays[..., 2:])
        k = self.intrinsics
        map_u = (seen[..., 0] * k.fx + k.cx).astype(np.float32)
        map_v = (seen[..., 1] * k.fy + k.cy).astype(np.float32)
        return map_u, map_v


def pixel_rays(intrinsics: CameraIntrinsics) -> FloatArray:
    """The viewing ray of every pixel, scaled to z = 1.

    Args:
        intrinsics: the camera.

    Returns:
        (H, W, 3) float64 (x/z, y/z, 1), optical frame.
    """
    x = (np.arange(intrinsics.width) - intrinsics.cx) / intrinsics.fx
    y = (np.arange(intrinsics.height) - intrinsics.cy) / intrinsics.fy
    rays = np.ones((intrinsics.height, intrinsics.width, 3))
    rays[..., 0], rays[..., 1] = x[None, :], y[:, None]
    return rays


def project(points: ArrayLike, intrinsics: CameraIntrinsics) -> NDArray[np.float64]:
    """Pixels at which the camera sees points.

    Args:
        points: (..., 3) metres, optical frame.
        intrinsics: the camera.

    Returns:
        (..., 2) float64 pixels (u, v); NaN for points at or behind the camera. Pixels may lie outside the image.
    """
    xyz = np.asarray(points, dtype=np.float64)
    z = np.where(xyz[..., 2] > 0, xyz[..., 2], np.nan)
    u = intrinsics.fx * xyz[..., 0] / z + intrinsics.cx
    v = intrinsics.fy * xyz[..., 1] / z + intrinsics.cy
    return np.stack([u, v], axis=-1)


def unproject(depth_m: ArrayLike, intrinsics: CameraIntrinsics) -> Float32Array:
    """Point map in the camera optical frame.

    Args:
        depth_m: (H, W) z-depth in metres (not ray length), NaN where unknown.
        intrinsics: of the same size as the depth.

    Returns:
        (H, W, 3) float32 metres, NaN where depth is.

    Raises:
        CalibrationError: the depth is not of the camera's size.
    """
    depth = np.asarray(depth_m, dtype=np.float32)
    if depth.shape != (intrinsics.height, intrinsics.width):
        raise CalibrationError(
            f"Depth is {depth.shape[1]}x{depth.shape[0]} px but the camera {intrinsics.width}x{intrinsics.height}."
            if depth.ndim == 2
            else f"Depth: expected an (H, W) array, got shape {depth.shape}."
        )
    x = ((np.arange(intrinsics.width) - intrinsics.cx) / intrinsics.fx).astype(np.float32)
    y = ((np.arange(intrinsics.height) - intrinsics.cy) / intrinsics.fy).astype(np.float32)
    xyz = np.empty((*depth.shape, 3), dtype=np.float32)
    np.multiply(depth, x[None, :], out=xyz[..., 0])
    np.multiply(depth, y[:, None], out=xyz[..., 1])
    xyz[..., 2] = depth
    return xyz
