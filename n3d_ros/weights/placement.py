"""On which device and in which dtype a model is held."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from typing import Literal, TypeAlias

import torch

from n3d_ros.errors import ConfigurationError
from n3d_ros.weights.weight_files import DTYPES, WeightFile

logger = logging.getLogger(__name__)

DtypeName: TypeAlias = Literal["auto", "bfloat16", "float16", "float32"]


def choose_device(device: str) -> torch.device:
    """The device of that name.

    Args:
        device: "auto", "cpu", "cuda" or "cuda:i".

    Returns:
        The device, with its number.

    Raises:
        ConfigurationError: there is no such device.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        device = "cuda:0" if count else "cpu"
    if device == "cpu":
        return torch.device("cpu")
    match = re.fullmatch(r"cuda(?::(\d{1,3}))?", device)
    if match is None:
        raise ConfigurationError(f"device: expected auto, cpu, cuda or cuda:<number>, got {device!r}.")
    index = int(match[1] or 0)
    if index >= count:
        raise ConfigurationError(
            f"device: {device} was asked for and {f'{count} GPUs are' if count else 'no GPU is'} visible to torch "
            f"{torch.__version__}; choose cpu or auto, or install torch for your GPU."
        )
    return torch.device("cuda", index)


def dtype_name(dtype: torch.dtype) -> str:
    """The dtype's name without its package.

    Args:
        dtype: any.

    Returns:
        Such as "bfloat16".
    """
    return str(dtype).removeprefix("torch.")


def stored_dtype(files: Iterable[WeightFile]) -> torch.dtype:
    """The dtype that most of the bytes of some files have.

    Args:
        files: with floating tensors.

    Returns:
        The dtype.
    """
    sizes: dict[str, int] = {}
    for tensor in (tensor for file in files for tensor in file.tensors):
        sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.end - tensor.begin
    return DTYPES[max(sizes, key=lambda word: sizes[word])]


def choose_dtype(
    wanted: DtypeName, device: torch.device, stored: torch.dtype, fits: Callable[[torch.dtype], bool]
) -> torch.dtype:
    """The dtype to hold weights in.

    Args:
        wanted: its name; "auto" is that of the files on a GPU, and float32 on the CPU where that fits.
        device: where they will be.
        stored: of the files.
        fits: whether the model in such a dtype fits the device.

    Returns:
        The dtype.

    Raises:
        ConfigurationError: an unknown word.
    """
    dtypes = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
    if wanted in dtypes:
        return dtypes[wanted]
    if wanted != "auto":
        raise ConfigurationError(f"dtype: expected auto, {', '.join(dtypes)}, got {wanted!r}.")
    stored = torch.float32 if stored == torch.float64 else stored
    if device.type == "cuda":
        old = stored == torch.bfloat16 and not torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.float16 if old else stored
    if stored != torch.float32 and not fits(torch.float32):
        logger.warning("float32, which the CPU computes fastest, does not fit; keeping %s.", dtype_name(stored))
        return stored
    return torch.float32
