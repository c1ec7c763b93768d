"""Holes as depth cameras have them, cut into depth that is known; and a stand-in for a network's depth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

Depth = NDArray[np.float32]
Mask = NDArray[np.bool_]
NOTHING_M = 12.0  # where a generated scene holds nothing, a network still says something

BLOB_SHARE = (0.08, 0.20)  # of the image: reflections and sunlight
OBJECT_COUNT = (1, 4)  # objects that give no depth at all: glass, black plastic, mirrors
OBJECT_MARGIN_PX = 5  # the hole around such an object is larger than it, by the sensor's window
BAND_PX = (8, 24)  # the shadow beside an object's edge: f b (1/z - 1/z') pixels
BAND_STEP = 0.05  # relative step of depth that casts one


def blobs(depth_m: Depth, ids: NDArray[np.int32], rng: np.random.Generator) -> Mask:
    """Random blobs that cover a share of the image drawn from ``BLOB_SHARE``."""
    noise = cv2.GaussianBlur(rng.standard_normal(ids.shape), (0, 0), 0.04 * max(ids.shape))
    return np.asarray(noise > np.quantile(noise, 1 - rng.uniform(*BLOB_SHARE)), np.bool_) & np.isfinite(depth_m)


def objects(depth_m: Depth, ids: NDArray[np.int32], rng: np.random.Generator) -> Mask:
    """A few whole objects, with a margin."""
    numbers, counts = np.unique(ids[ids > 0], return_counts=True)
    usable = numbers[(counts > 300) & (counts < 0.1 * ids.size)]
    if not len(usable):
        return np.zeros(ids.shape, np.bool_)
    chosen = rng.permutation(usable)[: rng.integers(OBJECT_COUNT[0], OBJECT_COUNT[1] + 1)]
    side = 2 * OBJECT_MARGIN_PX + 1
    grown = cv2.dilate(np.isin(ids, chosen).astype(np.uint8), np.ones((side, side), np.uint8))
    return grown.astype(np.bool_) & np.isfinite(depth_m)


def edge_bands(depth_m: Depth, ids: NDArray[np.int32], rng: np.random.Generator) -> Mask:  # noqa: ARG001
    """A band of the background at the left of each step in depth."""
    filled = np.nan_to_num(depth_m, nan=NOTHING_M)
    near_right = np.zeros(depth_m.shape, np.bool_)
    near_right[:, :-1] = filled[:, :-1] > filled[:, 1:] * (1 + BAND_STEP)
    width = int(rng.integers(*BAND_PX))
    kernel = np.ones((3, 2 * width + 1), np.uint8)
    kernel[:, :width] = 0  # a pixel is in the band when a step lies at its right, within the width
    return cv2.dilate(near_right.astype(np.uint8), kernel).astype(np.bool_) & np.isfinite(depth_m)


HOLES: Mapping[str, Callable[[Depth, NDArray[np.int32], np.random.Generator], Mask]] = MappingProxyType(
    {"blobs": blobs, "objects": objects, "edge bands": edge_bands}
)
"""Kinds of holes by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """True depth with the errors that a monocular network makes, in place of one.

    Args:
        log_scale: deviation of the log of the unknown scale.
        shift_m: deviation of the unknown shift, metres.
        bias: deviation of a smooth field of log depth.
        bias_px: its deviation as a blur, at an image of 640 pixels; several objects wide.
        surface_bias: deviation of the log depth of each object as a whole: networks place whole things wrongly.
        blur_px: deviation of the blur across edges, at 640 pixels: a network works at 504 and is upsampled.
        noise: deviation of fine noise of log depth, and its own grain of 2 pixels.
        inverse: whether scale and shift act on inverse depth, as in networks of relative inverse depth.
    """

    log_scale: float = 0.3
    shift_m: float = 0.15
    bias: float = 0.03
    bias_px: float = 60.0
    surface_bias: float = 0.01
    blur_px: float = 1.5
    noise: float = 0.004
    inverse: bool = False

    def of(self, depth_m: Depth, ids: NDArray[np.int32], rng: np.random.Generator) -> Depth:
        """Such a network's depth.

        Args:
            depth_m: (H, W) true depth, metres, NaN for nothing.
            ids: (H, W) which object.
            rng: source of chance.

        Returns:
            (H, W) float32, everywhere above 0, in a unit of its own.
        """
        pixel = max(depth_m.shape) / 640
        log_depth = np.log(np.nan_to_num(depth_m, nan=NOTHING_M))
        log_depth = log_depth + _field(rng, depth_m.shape, self.bias_px * pixel) * self.bias
        log_depth += (rng.standard_normal(int(ids.max()) + 1) * self.surface_bias)[ids]
        log_depth += _field(rng, depth_m.shape, 2 * pixel) * self.noise
        depth = cv2.GaussianBlur(np.exp(log_depth), (0, 0), self.blur_px * pixel)
        scale, shift = np.exp(rng.standard_normal() * self.log_scale), rng.standard_normal() * self.shift_m
        if self.inverse:
            depth = 1 / np.maximum(scale / depth + shift, 0.02)
        else:
            depth = np.maximum(scale * depth + shift, 0.05)
        return np.asarray(depth, np.float32)


def _field(rng: np.random.Generator, shape: tuple[int, ...], blur_px: float) -> NDArray[np.float64]:
    """A smooth field of deviation 1, drawn small and enlarged where it is very smooth."""
    step = max(int(blur_px / 4), 1)
    small = rng.standard_normal((shape[0] // step + 2, shape[1] // step + 2))
    field = cv2.GaussianBlur(small, (0, 0), max(blur_px / step, 0.3), borderType=cv2.BORDER_REFLECT)
    field = cv2.resize(field, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(field / field.std(), np.float64)
