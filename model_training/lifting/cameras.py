"""The camera of a photograph, from whoever knows it; what nobody knows is refused, not guessed."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from model_training.lifting.annotations import AnnotatedImage, GivenCamera, camera_of
from model_training.lifting.config import CameraConfig
from n3d_ros.errors import ConfigurationError, InputError, N3dError
from n3d_ros.geometry.camera import CameraIntrinsics

MAX_FILE_BYTES = 512 * 2**20  # a few million cameras
SAME_SHAPE = 0.01  # of the ratio of width and height: images made smaller round their sides


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KnownCamera:
    """A camera and who knows it.

    Args:
        intrinsics: of the image's size.
        source: "annotations", "camera file", "given", "field of view", "depth file" or "estimated".
        up: unit vector against gravity in the optical frame; None: unknown.
    """

    intrinsics: CameraIntrinsics
    source: str
    up: tuple[float, float, float] | None = None


def known_camera(image: AnnotatedImage, width: int, height: int, config: CameraConfig) -> KnownCamera | None:
    """The camera of an image as far as it is given.

    Args:
        image: with its annotations' own camera.
        width: of the image itself, pixels.
        height: of the image itself, pixels.
        config: what else is known.

    Returns:
        The camera for the image's size; None where depth has to tell.

    Raises:
        InputError: the camera given is of an image of another shape; the reason is "no_camera".
    """
    if image.camera is not None:
        return _of_size(image.camera, width, height, "annotations")
    if config.file:
        listed = read_cameras(config.file).get(image.file_name)
        if listed is not None:
            return _of_size(listed, width, height, "camera file")
    if config.intrinsics:
        fx, fy, cx, cy, w, h = config.intrinsics
        return _of_size(GivenCamera(fx=fx, fy=fy, cx=cx, cy=cy, width=int(w), height=int(h)), width, height, "given")
    if config.horizontal_fov_deg:
        focal = width / 2 / math.tan(math.radians(config.horizontal_fov_deg) / 2)
        middle = ((width - 1) / 2, (height - 1) / 2)
        intrinsics = CameraIntrinsics(fx=focal, fy=focal, cx=middle[0], cy=middle[1], width=width, height=height)
        return KnownCamera(intrinsics=intrinsics, source="field of view")
    return None


@lru_cache(maxsize=2)
def read_cameras(path: str) -> dict[str, GivenCamera]:
    """Cameras by file name; read once in a process.

    Args:
        path: JSON, ``{file name: {"fx", "fy", "cx", "cy", "width", "height"[, "up"]}}``.

    Returns:
        Cameras.

    Raises:
        ConfigurationError: the file cannot be read, or an entry is no camera.
    """
    try:
        file = Path(path).expanduser()
        if file.stat().st_size > MAX_FILE_BYTES:
            raise ConfigurationError(f"{path}: expected at most {MAX_FILE_BYTES >> 20} MB of cameras.")
        content = json.loads(file.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path}: expected a file of cameras ({error.strerror or error}).") from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: expected JSON, and it is damaged ({error}).") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path}: expected cameras by file name, got a {type(content).__name__}.")
    cameras = {}
    for name, row in content.items():
        try:
            cameras[name] = camera_of(row)
        except N3dError as error:  # noqa: PERF203  the message must name the entry
            raise ConfigurationError(f"{path}, {name}: {error.message}") from error
    return cameras


def _of_size(camera: GivenCamera, width: int, height: int, source: str) -> KnownCamera:
    """The camera of the same view in another size."""
    intrinsics = camera.intrinsics()
    if abs(width * camera.height / (height * camera.width) - 1) > SAME_SHAPE:
        raise InputError(
            f"The camera ({source}) is of {camera.width}x{camera.height} px, the image of {width}x{height}: another "
            "shape, so it was cropped or turned, and the numbers do not hold.",
            reason="no_camera",
        )
    if (width, height) != (camera.width, camera.height):
        intrinsics = intrinsics.resized(width, height)
    return KnownCamera(intrinsics=intrinsics, source=source, up=camera.up)
