"""Metric depth of a photograph: a file beside it, or a model's estimate."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from model_training.lifting.cameras import KnownCamera
from model_training.lifting.config import DepthConfig
from model_training.lifting.outlines import decoded, inside
from n3d_ros.errors import CalibrationError, ConfigurationError, GroundingError, InputError
from n3d_ros.geometry.arrays import BoolArray, Float32Array
from n3d_ros.geometry.camera import CameraIntrinsics

if TYPE_CHECKING:  # torch comes with it, and is imported when a model is loaded
    from n3d_ros.depth.model import DepthModel

ENDINGS = (".npz", ".npy", ".png", ".tif", ".tiff")
COLOUR_WORDS = ("_color", "_colour", "_rgb")  # ends of colour images' names whose depth ends in _depth
MAX_FILE_BYTES = 2**30  # of a depth file, and of what is packed in an archive
NEAREST_M, FARTHEST_M = 0.03, 500.0  # of an image's median depth; beyond them its unit is wrong


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageDepth:
    """Depth of an image.

    Args:
        depth_m: (H, W) float32 z-depth, metres, NaN for none, sky included.
        camera: of the image.
        source: file name, or the model's name.
        sky: (H, W) bool; None: unknown.
        notes: sentences on what was guessed or fell back.
    """

    depth_m: Float32Array
    camera: KnownCamera
    source: str
    sky: BoolArray | None = None
    notes: tuple[str, ...] = ()


class DepthSource(Protocol):
    """Tells the depth of images."""

    def depth(self, file_name: str, rgb: NDArray[np.uint8], camera: KnownCamera | None) -> ImageDepth:
        """The depth of an image.

        Args:
            file_name: of the image, relative to the folder of images.
            rgb: (H, W, 3) uint8.
            camera: as far as it is given.

        Returns:
            Depth and camera.

        Raises:
            InputError: there is none, with the rule that it breaks as the reason.
        """
        ...


def depth_source(config: DepthConfig, *, may_estimate_camera: bool = True) -> DepthSource:
    """The source that a configuration names; models are loaded once in a process.

    Args:
        config: where depth comes from.
        may_estimate_camera: whether a model's own estimate of the camera may be used.

    Returns:
        The source.

    Raises:
        ConfigurationError: no such folder or model.
    """
    if config.model:
        return ModelDepth(
            loaded_model(config),
            may_estimate_camera=may_estimate_camera,
            min_confidence=config.min_confidence,
        )
    if not config.folder:
        raise ConfigurationError(
            "depth: no source is named, and lifting needs metres: --depth FOLDER of depth files, or "
            "--depth-model FOLDER_OR_HUB_ID of Depth Anything 3."
        )
    folder = Path(config.folder).expanduser()
    if not folder.is_dir():
        raise ConfigurationError(f"depth folder: there is no folder {folder}.")
    return FileDepth(folder, units_per_m=config.units_per_m, may_estimate_camera=may_estimate_camera)


def check_files_apart(file_names: Iterable[str], config: DepthConfig) -> None:
    """Refuses images of several folders that would all take one depth file, which is right for one of them at most.

    Args:
        file_names: of the images, relative to their folder.
        config: where depth comes from.

    Raises:
        ConfigurationError: there are such images.
    """
    if config.model or not config.folder:
        return
    alike: dict[str, list[str]] = {}
    for name in file_names:
        alike.setdefault(_bare_stem(name), []).append(name)
    source, taken = FileDepth(Path(config.folder).expanduser()), dict[Path, str]()
    for names in alike.values():
        if len({Path(name).parent for name in names}) < 2:
            continue
        for name in names:
            with contextlib.suppress(InputError):  # without a file: told of the image itself
                path = source.path(name)
                first = taken.setdefault(path, name)
                if Path(first).parent != Path(name).parent:
                    raise ConfigurationError(
                        f"depth folder: {first} and {name} would both take {path}. Give each its own: "
                        f"{Path(config.folder, first).parent} and {Path(config.folder, name).parent} are looked in "
                        "first."
                    )


def _bare_stem(file_name: str) -> str:
    """The name of an image without its ending and without the word that says that it is of colour."""
    stem = Path(file_name).stem
    return next((stem.removesuffix(word) for word in COLOUR_WORDS if stem.endswith(word)), stem)


class FileDepth:
    """Depth of files named like the images.

    For ``rooms/0001_color.png`` these are looked for, in ``rooms`` of the folder and in the folder itself:
    ``0001_color``, ``0001_color_depth``, ``0001_depth``, with any of ``ENDINGS``. An archive (as ``n3d depth --format
    npz`` writes it) may hold the camera ``K`` and the ``sky`` too.

    Args:
        folder: of the files.
        units_per_m: of 16-bit images.
        may_estimate_camera: whether cameras that an archive calls estimated may be used.
    """

    def __init__(self, folder: Path, *, units_per_m: float = 1000.0, may_estimate_camera: bool = True) -> None:
        self._folder, self._units, self._may_estimate = folder, units_per_m, may_estimate_camera

    def depth(self, file_name: str, rgb: NDArray[np.uint8], camera: KnownCamera | None) -> ImageDepth:
        """The depth of an image.

        Args:
            file_name: of the image, relative to the folder of images.
            rgb: (H, W, 3) uint8.
            camera: as far as it is given; an archive's own otherwise.

        Returns:
            Depth and camera.

        Raises:
            InputError: no file, a damaged one, one of another size or unit, or no camera.
        """
        path = self.path(file_name)
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise InputError(f"{path.name}: a depth file of more than {MAX_FILE_BYTES >> 20} MB.")
            arrays = _read(path, self._units)
            depth = _metres(arrays["depth_m"], rgb.shape[:2])
            sky = np.asarray(arrays["sky"], dtype=bool) if "sky" in arrays else None
            if sky is not None and sky.shape != depth.shape:
                raise InputError(f"{path.name}: its sky has another size than its depth.")
        except Exception as error:  # of numpy, zipfile, zlib and tokenize: damaged files end in a dozen kinds
            raise InputError(f"{path.name}: {getattr(error, 'message', error)}", reason="depth_broken") from None
        known = camera or self._camera_of(path, arrays, depth.shape)
        if sky is not None:
            depth = np.where(sky, np.float32(np.nan), depth)
        return ImageDepth(depth_m=depth, camera=known, source=path.name, sky=sky)

    def path(self, file_name: str) -> Path:
        """The first file of those that are looked for.

        Args:
            file_name: of the image, relative to the folder of images.

        Returns:
            The depth file.

        Raises:
            InputError: there is none.
        """
        inside(self._folder, file_name)
        name = Path(file_name)
        stems = [name.stem, f"{name.stem}_depth"]
        stems += [f"{name.stem.removesuffix(word)}_depth" for word in COLOUR_WORDS if name.stem.endswith(word)]
        for folder in dict.fromkeys((self._folder / name.parent, self._folder)):
            for stem in reversed(stems):  # the more telling name first: NAME.png may be the colour image itself
                for ending in ENDINGS:
                    path = folder / f"{stem}{ending}"
                    if path.is_file():
                        return path
        raise InputError(
            f"{file_name}: no {stems[-1]} ({', '.join(ENDINGS)}) in {self._folder}.", reason="depth_missing"
        )

    def _camera_of(self, path: Path, arrays: dict[str, Any], hw: tuple[int, ...]) -> KnownCamera:
        """The camera that an archive holds."""
        if "K" not in arrays:
            raise InputError(
                f"{path.name}: nothing tells the camera. Name --camera, --fov or --cameras, or use archives with K.",
                reason="no_camera",
            )
        estimated = bool(np.any(arrays.get("intrinsics_estimated", False)))
        if estimated and not self._may_estimate:
            raise InputError(f"{path.name}: its camera is an estimate, which is not to be used.", reason="no_camera")
        try:
            matrix = np.asarray(arrays["K"], dtype=np.float64)
            intrinsics = CameraIntrinsics.from_matrix(matrix, width=hw[1], height=hw[0])
        except (CalibrationError, ValueError) as error:
            raise InputError(f"{path.name}: {error}", reason="no_camera") from None
        return KnownCamera(intrinsics=intrinsics, source="estimated" if estimated else "depth file")


class ModelDepth:
    """Depth that a model estimates, in metres.

    Args:
        model: Depth Anything 3.
        may_estimate_camera: whether its own estimate of the camera may be used.
        min_confidence: depth of less confidence counts as none.
    """

    def __init__(self, model: DepthModel, *, may_estimate_camera: bool = True, min_confidence: float = 0.0) -> None:
        self._model, self._may_estimate, self._min_confidence = model, may_estimate_camera, min_confidence

    def depth(self, file_name: str, rgb: NDArray[np.uint8], camera: KnownCamera | None) -> ImageDepth:
        """The depth of an image.

        Args:
            file_name: of the image, for messages.
            rgb: (H, W, 3) uint8.
            camera: as far as it is given; the model's estimate otherwise.

        Returns:
            Depth and camera.

        Raises:
            InputError: nothing but sky, or a camera that only an estimate tells, which is not to be used.
            ConfigurationError: the model knows no metres.
        """
        from n3d_ros.depth.views import View

        if camera is None and not (self._model.gives_poses and self._may_estimate):
            raise InputError(
                f"{file_name}: nothing tells the camera. Name --camera, --fov or --cameras, or a depth model that "
                "estimates it (any-view).",
                reason="no_camera",
            )
        given = None if camera is None else camera.intrinsics
        try:
            estimate = self._model.estimate([View(rgb=rgb, intrinsics=given)])
        except GroundingError as error:
            raise InputError(f"{file_name}: {error.message}", reason="sky") from error
        if not estimate.is_metric:
            raise ConfigurationError(
                f"depth model {self._model.name}: its depth is relative, and boxes need metres; name a metric model "
                "beside it (--metric-model depth-anything/DA3METRIC-LARGE) or a metric model alone."
            )
        view = estimate.views[0]
        depth = view.depth_m
        if view.sky is not None:
            depth = np.where(view.sky, np.float32(np.nan), depth)
        if view.confidence is not None and self._min_confidence > 0:
            depth = np.where(view.confidence < self._min_confidence, np.float32(np.nan), depth)
        if camera is None:
            if view.intrinsics is None:
                raise InputError(f"{file_name}: the model estimates no camera.", reason="no_camera")
            camera = KnownCamera(intrinsics=view.intrinsics, source="estimated")
        return ImageDepth(
            depth_m=depth, camera=camera, source=self._model.name, sky=view.sky, notes=tuple(estimate.notes)
        )


@lru_cache(maxsize=1)
def loaded_model(config: DepthConfig) -> DepthModel:
    """The model that a configuration names; kept, so that a process loads it once.

    Args:
        config: that names it.

    Returns:
        The model.
    """
    from n3d_ros.depth.loading import load_depth_model
    from n3d_ros.depth.options import DepthOptions

    options = DepthOptions(process_res=config.resolution)
    return load_depth_model(config.model, metric=config.metric_model or None, device=config.device, options=options)


def _read(path: Path, units_per_m: float) -> dict[str, Any]:
    """The arrays of a depth file; ``depth_m`` among them."""
    if path.suffix == ".npz":
        with path.open("rb") as file:
            with zipfile.ZipFile(file) as packed_arrays:
                packed = sum(entry.file_size for entry in packed_arrays.infolist())
            if packed > MAX_FILE_BYTES:
                raise InputError(f"an archive that unpacks to {packed >> 20} MB")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                if "depth_m" not in archive and "depth_relative" in archive:
                    raise InputError("holds relative depth, and boxes need metres")
                return {name: archive[name] for name in archive.files}
    if path.suffix == ".npy":
        # Mapped, because a damaged header may promise more numbers than memory holds.
        return {"depth_m": np.array(np.load(path, mmap_mode="r", allow_pickle=False))}
    picture = decoded(path.read_bytes(), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.dtype not in (np.uint16, np.float32) or picture.ndim != 2:
        found = "no image" if picture is None else f"{picture.dtype} of shape {picture.shape}"
        raise InputError(f"expected one channel of 16 bits, or of single precision in metres, got {found}")
    factor = units_per_m if picture.dtype == np.uint16 else 1.0
    return {"depth_m": np.asarray(picture, np.float32) / np.float32(factor)}


def _metres(depth: Any, hw: tuple[int, ...]) -> Float32Array:
    """Depth of the image's size with NaN for none, in a unit that can be metres."""
    array = np.asarray(depth)
    if array.shape != tuple(hw) or array.dtype.kind not in "fu":
        raise InputError(
            f"expected depth of {hw[1]}x{hw[0]} px as the image, got {array.dtype} of shape {array.shape}; register "
            "depth to the colour image first"
        )
    metres: Float32Array = array.astype(np.float32)
    metres = np.where(np.isfinite(metres) & (metres > 0), metres, np.float32(np.nan))
    known = metres[np.isfinite(metres)]
    if known.size and not NEAREST_M <= float(np.median(known)) <= FARTHEST_M:
        raise InputError(
            f"its median depth is {float(np.median(known)):g} m: is the unit right (--depth-units, counts per metre)?"
        )
    return metres
