"""Checks that central values share: an array is what its field promises, and stays so."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import InputError

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]


def frozen_array(value: Any, *, shape: tuple[int | None, ...], dtype: Any, name: str, finite: bool = True) -> Any:
    """A read-only array of ``dtype`` whose shape matches ``shape`` (None: any length).

    The array is copied unless it already has the dtype and is read-only or owns fresh memory; the caller's own
    array is never made read-only behind its back.

    Args:
        value: anything ``numpy.asarray`` takes.
        shape: expected lengths per axis, None for any.
        dtype: wanted dtype.
        name: the field's name, for the message.
        finite: whether NaN and infinity are refused.

    Returns:
        The array, C-contiguous and read-only.

    Raises:
        InputError: wrong number of axes, wrong lengths, or a value that is not finite.
    """
    array = np.asarray(value, dtype=dtype)
    if array.ndim != len(shape) or any(want not in (None, got) for want, got in zip(shape, array.shape, strict=True)):
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        raise InputError(f"{name}: expected shape {wanted}, got {array.shape}.")
    if finite and array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{name}: expected finite numbers, got {int((~np.isfinite(array)).sum())} that are not.")
    if array.flags.writeable or not array.flags.c_contiguous:
        array = np.array(array, dtype=dtype, order="C", copy=True)
        array.flags.writeable = False
    return array


def finite_float(value: float, *, name: str, minimum: float | None = None, exclusive: bool = False) -> float:
    """``value`` as a finite Python float, at least ``minimum`` (above it when ``exclusive``).

    Args:
        value: the number.
        name: the field's name with its unit, for the message.
        minimum: lower bound, None for none.
        exclusive: whether the bound itself is refused.

    Returns:
        The number as a float.

    Raises:
        InputError: not finite, or below the bound.
    """
    number = float(value)
    if not np.isfinite(number):
        raise InputError(f"{name}: expected a finite number, got {number}.")
    if minimum is not None and (number < minimum or (exclusive and number == minimum)):
        raise InputError(f"{name}: expected {'more than' if exclusive else 'at least'} {minimum}, got {number}.")
    return number
