"""Masks in an eighth of their size: a crowded photograph has a hundred of them, each as large as itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from n3d_ros.geometry.arrays import BoolArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PackedMask:
    """A mask with one bit for each pixel.

    Args:
        bits: (H, ceil(W / 8)) uint8, rows of ``numpy.packbits``.
        width: pixels.
        count: of its pixels.
    """

    bits: NDArray[np.uint8]
    width: int
    count: int

    @classmethod
    def of(cls, mask: BoolArray) -> PackedMask:
        """A mask, packed.

        Args:
            mask: (H, W) bool.

        Returns:
            The same in an eighth of the memory.
        """
        return cls(bits=np.packbits(mask, axis=1), width=mask.shape[1], count=int(np.count_nonzero(mask)))

    def unpacked(self) -> BoolArray:
        """The mask as it was.

        Returns:
            (H, W) bool, made anew with every call.
        """
        mask: BoolArray = np.unpackbits(self.bits, axis=1, count=self.width).view(np.bool_)
        return mask
