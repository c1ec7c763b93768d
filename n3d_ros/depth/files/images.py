"""Images from files, as the models take them: eight bits, red green blue, upright."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from n3d_ros.errors import InputError
from n3d_ros.geometry.camera import MAX_IMAGE_SIDE_PX

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".gif")
MIN_SIDE_PX = 14  # one patch of the networks
MAX_PIXELS = 100_000_000  # above any camera on a robot; refused before it is decoded
SIXTEEN_BIT_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
DEPTH_HINT = "If it holds depth, it is no picture: give the colour image."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """An image from a file.

    Args:
        rgb: (H, W, 3) uint8, red green blue, upright as the EXIF orientation says.
        notes: sentences on what was changed to get there.
    """

    rgb: NDArray[np.uint8]
    notes: tuple[str, ...] = ()


def read_picture(path: Path) -> Picture:
    """The image of a file.

    Args:
        path: of anything that Pillow reads.

    Returns:
        The picture; transparent parts lie over white, sixteen bits become eight.

    Raises:
        InputError: no such file, no image, cut off, or too small or large for the models.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is checked here
            with Image.open(path) as image:
                _check_size(path, image.size)
                return _upright_rgb(image)
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is nothing of that name.") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: {error}") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow raises for damaged files
        if isinstance(error, InputError):
            raise
        why = str(error).strip().rstrip(".") or type(error).__name__
        raise InputError(f"{path}: expected an image (JPEG, PNG ...), and it cannot be decoded ({why}).") from error


def is_image(path: Path) -> bool:
    """Whether a file is an image by its content.

    Args:
        path: of any file.

    Returns:
        Whether Pillow knows its header.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path):
                return True
    except Image.DecompressionBombError:
        return True
    except (OSError, SyntaxError, ValueError):
        return False


def images_of_folder(folder: Path) -> list[Path]:
    """The images in a folder, by their endings, in the order of the numbers in their names.

    Args:
        folder: looked at without its subfolders; hidden files are left out.

    Returns:
        Paths.

    Raises:
        InputError: it holds none.
    """
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
    if not found:
        inner = sorted(path.name for path in folder.iterdir() if path.is_dir())[:5]
        hint = f" Its folders {', '.join(inner)} are not looked into; name one of them." if inner else ""
        raise InputError(f"{folder}: holds no images ({', '.join(IMAGE_SUFFIXES)}).{hint}")
    return sorted(found, key=lambda path: natural_key(path.name))


def natural_key(name: str) -> list[tuple[int, int | str]]:
    """A key that sorts image2 before image10.

    Args:
        name: of a file.

    Returns:
        Text and numbers in turn.
    """
    return [(1, int(part)) if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def _check_size(path: Path, size: tuple[int, int]) -> None:
    """Refuses what the networks cannot take, before it is decoded."""
    width, height = size
    if min(size) < MIN_SIDE_PX:
        raise InputError(f"{path}: {width}x{height} px; the models need at least {MIN_SIDE_PX} px a side.")
    if max(size) > MAX_IMAGE_SIDE_PX or width * height > MAX_PIXELS:
        raise InputError(
            f"{path}: {width}x{height} px; expected at most {MAX_IMAGE_SIDE_PX} px a side and {MAX_PIXELS / 1e6:.0f} "
            "million pixels: make it smaller first."
        )


def _upright_rgb(image: Image.Image) -> Picture:
    """Eight bits, three channels, turned as EXIF says."""
    notes = []
    if getattr(image, "n_frames", 1) > 1:
        notes.append("it holds several images: the first one is taken")
    orientation = image.getexif().get(0x0112, 1)
    upright = ImageOps.exif_transpose(image) if orientation != 1 else image
    if orientation != 1:
        notes.append(f"turned upright as its EXIF orientation {orientation} says; a calibration must be of that image")
    if upright.mode in SIXTEEN_BIT_MODES or upright.mode == "F":
        return Picture(rgb=_eight_bits(upright, notes), notes=tuple(notes))
    if upright.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in upright.info:
        notes.append("its transparent parts are taken as white")
        layers = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", layers.size, (255, 255, 255, 255)), layers)
    return Picture(rgb=np.asarray(upright.convert("RGB"), dtype=np.uint8), notes=tuple(notes))


def _eight_bits(image: Image.Image, notes: list[str]) -> NDArray[np.uint8]:
    """Grey of sixteen bits or floats as brightness; the whole range of the format is used, not that of the image."""
    values = np.asarray(image, dtype=np.float64)
    top = 65535.0
    if image.mode == "F":
        top = 1.0 if float(np.nanmax(values, initial=0.0)) <= 1.0 else 255.0
        notes.append(f"floating point grey taken as brightness from 0 to {top:g}. {DEPTH_HINT}")
    else:
        notes.append(f"16-bit grey taken as brightness from 0 to 65535. {DEPTH_HINT}")
    grey = np.clip(np.rint(np.nan_to_num(values) * (255.0 / top)), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2))
