"""InputOptions: how a frame is shown to a model, and what its checkpoint says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from n3d_ros.codec.image_patches import LONG_SIDE_PX, MAX_PIXELS, MIN_PIXELS
from n3d_ros.codec.tokenizer_files import read_json
from n3d_ros.errors import ConfigurationError, InputError

PREPROCESSOR_FILE = "preprocessor_config.json"  # beside the weights
OPTIONS_KEY = "n3d"  # of our own object in it; the released models' files have none
NORMALIZATIONS = ("mean", "robust")
MAX_LONG_SIDE_PX = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOptions:
    """How a frame is shown to the model. The defaults are what the released weights learnt.

    Args:
        long_side: pixels of the picture's and the point map's longer side.
        normalization: "mean" as the reference, or "robust" against points that are no part of the scene.
        min_pixels: least area of the picture as it is cut into patches.
        max_pixels: largest area of the picture as it is cut into patches.
    """

    long_side: int = LONG_SIDE_PX
    normalization: str = "mean"
    min_pixels: int = MIN_PIXELS
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        """Checks ranges.

        Raises:
            InputError: a value outside its range or an unknown normalisation.
        """
        if not 28 <= self.long_side <= MAX_LONG_SIDE_PX:
            raise InputError(f"InputOptions.long_side: expected 28 to {MAX_LONG_SIDE_PX} px, got {self.long_side}.")
        if self.normalization not in NORMALIZATIONS:
            raise InputError(
                f"InputOptions.normalization: expected {' or '.join(NORMALIZATIONS)}, got {self.normalization!r}."
            )
        if not MIN_PIXELS <= self.min_pixels <= self.max_pixels <= MAX_PIXELS:
            raise InputError(
                f"InputOptions: expected {MIN_PIXELS} <= min_pixels <= max_pixels <= {MAX_PIXELS}, "
                f"got {self.min_pixels} and {self.max_pixels}."
            )


def read_input_options(folder: Path) -> InputOptions:
    """How frames are to be shown to the model of a folder, as it says itself.

    Args:
        folder: of the checkpoint; without ``preprocessor_config.json``, or without our object in it, the options are
            those that the released weights learnt.

    Returns:
        The options.

    Raises:
        ConfigurationError: the file is damaged, or says something that is unknown or out of range.
    """
    file = folder / PREPROCESSOR_FILE
    stored = read_json(file).get(OPTIONS_KEY) if file.is_file() else None
    return InputOptions() if stored is None else _checked(stored, file)


def stored_options(options: InputOptions) -> dict[str, Any]:
    """What stands under ``OPTIONS_KEY`` in ``preprocessor_config.json``.

    Args:
        options: of a model.

    Returns:
        Plain values.
    """
    return asdict(options)


def _checked(stored: object, file: Path) -> InputOptions:
    """The options of a file."""
    known = {entry.name: type(entry.default) for entry in fields(InputOptions)}
    if not isinstance(stored, Mapping) or not set(stored) <= known.keys():
        found = sorted(set(stored) - known.keys()) if isinstance(stored, Mapping) else repr(stored)[:40]
        raise ConfigurationError(f"{file}: {OPTIONS_KEY}: expected an object of {', '.join(known)}, got {found}.")
    for name, value in stored.items():
        if type(value) is not known[name]:
            raise ConfigurationError(
                f"{file}: {OPTIONS_KEY}.{name}: expected {known[name].__name__}, got {repr(value)[:40]}."
            )
    try:
        return InputOptions(**stored)
    except InputError as error:
        raise ConfigurationError(f"{file}: {OPTIONS_KEY}: {error.message}") from error
