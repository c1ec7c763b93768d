"""Devices in words, and their failures as errors that say what helps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch

from n3d_ros.errors import BackendError


class HasCaches(Protocol):
    """What keeps caches of a fixed size."""

    capacity: int

    def slot_bytes(self) -> int:
        """Memory of one cache."""
        ...


def device_in_words(device: torch.device) -> str:
    """A device as people know it.

    Args:
        device: any.

    Returns:
        Such as "cuda:0 (NVIDIA H200)" or "cpu (2 threads)".
    """
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"cpu ({torch.get_num_threads()} threads)"


@contextmanager
def failures_told(what: str, device: torch.device, caches: HasCaches | None = None) -> Iterator[None]:
    """Turns the device's failures into errors that say what helps.

    Args:
        what: is done there.
        device: where.
        caches: whose size is told where memory ran out; None: nobody's.

    Yields:
        Nothing.

    Raises:
        BackendError: the device failed.
    """
    try:
        yield
    except RuntimeError as error:
        text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if isinstance(error, torch.cuda.OutOfMemoryError) or "allocate memory" in text or "out of memory" in text:
            cache = ""
            if caches is not None:
                cache = f" A cache of {caches.capacity} tokens takes {caches.slot_bytes() / 2**20:.0f} MiB."
            raise BackendError(
                f"Not enough memory for {what}{_memory_in_words(device)}.{cache} Lower `language_model.capacity`, use "
                "smaller images or load the weights in a smaller dtype (`language_model.dtype`).",
                reason="out_of_memory",
            ) from error
        raise BackendError(f"{what[0].upper()}{what[1:]} failed on {device}: {text}") from error


def _memory_in_words(device: torch.device) -> str:
    """Free and total memory of a GPU."""
    if device.type != "cuda":
        return ""
    free, total = torch.cuda.mem_get_info(device)
    return f" ({free / 2**30:.1f} of {total / 2**30:.1f} GiB are free on {device})"
