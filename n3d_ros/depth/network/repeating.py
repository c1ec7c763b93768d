"""How torch computes while a network runs: one result for one input, and float32 that is float32.

cuDNN may choose another algorithm from run to run, and by default rounds float32 convolutions to the 10 bits of
TensorFloat-32. What says so holds for the whole process: other convolutions on a GPU run under it meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch

_CUDNN = threading.RLock()  # two that change the settings in turn would put back each other's


@contextmanager
def repeating(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """The same input gives the same bits. On a GPU one network after the other runs under it.

    Args:
        device: where the network is; only cuDNN has settings.
        dtype: of the backbone's projections. With float32, convolutions are of full precision too; with half precision
            the float32 heads use TensorFloat-32 where the process allows it, as torch does by default.

    Yields:
        None.
    """
    if device.type != "cuda":
        yield
        return
    with _CUDNN, ExitStack() as stack:
        stack.enter_context(_setting(torch.backends.cudnn, "benchmark", value=False))
        stack.enter_context(_setting(torch.backends.cudnn, "deterministic", value=True))
        if dtype == torch.float32:
            stack.enter_context(_without_tf32())
        yield


def _without_tf32() -> AbstractContextManager[None]:
    """Convolutions of full precision, through whichever of torch's two switches the process uses."""
    try:
        _ = torch.backends.cudnn.allow_tf32
    except RuntimeError:  # the process uses the newer one, and torch refuses a mix
        return _setting(torch.backends.cudnn.conv, "fp32_precision", value="ieee")  # type: ignore[attr-defined, unused-ignore]
    return _setting(torch.backends.cudnn, "allow_tf32", value=False)


@contextmanager
def _setting(owner: Any, name: str, *, value: object) -> Iterator[None]:
    """Another value, and the former one again afterwards."""
    former = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, former)
