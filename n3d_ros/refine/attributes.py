"""Words for what an object looks like: basic colour terms and simple shapes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from n3d_ros.detection import SHADES
from n3d_ros.errors import InputError
from n3d_ros.refine.fit import FittedBox
from n3d_ros.refine.noise import KINECT_V1, DepthNoise
from n3d_ros.refine.view import FloatArray, finite_points, thinned

COLOR_WORDS: tuple[str, ...] = (
    "red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "brown", "black", "grey", "white",
)  # fmt: skip
"""The basic colour terms of Berlin and Kay, with cyan, which cameras show more often than speech names it."""

SHAPE_WORDS: tuple[str, ...] = ("box", "cylinder", "ball", "bowl", "flat", "object")
"""What ``shape_word`` returns; "object" where no simple shape fits."""

COLOR_POINTS = 800
"""Pixels of an object that ``color_name`` looks at; more do not change a word."""
_MIN_COLOR_POINTS = 8

# Hue in degrees where a colour begins; reds wrap around.
_HUE_STARTS = (14.0, 43.0, 63.0, 165.0, 195.0, 255.0, 295.0, 335.0)
_HUE_WORDS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "red")
_CODE = {word: code for code, word in enumerate(COLOR_WORDS)}
_HUE_CODES = np.array([_CODE[word] for word in _HUE_WORDS])

_BLACK_VALUE = 50.0  # of 255: darker than this, hue is noise
_WHITE_SHARE = 0.72  # of the object's bright end: grey that is nearly as bright is white in shadow
_WHITE_VALUE = 150.0  # of 255: a white thing's bright end reaches this under usual exposure
_CHROMA_GREY = 34.0  # of 255, max - min of the channels: colour casts of lamps and auto white balance stay below
_SATURATION_GREY = 0.20
_COOL_SATURATION_GREY = 0.30  # between hue 195 and 285: white things under skylight or a cold lamp look bluish
_COOL_HUES = (195.0, 285.0)
_HIGHLIGHT_VALUE = 235.0
_PALE_SATURATION = 0.45  # below it light red is pink
_BROWN_VALUE = 150.0  # of 255: dark orange is brown
_FIRST_SHARE = 0.38  # the leading colour must hold this share of the pixels, else there are too many colours to name
_SECOND_SHARE = 0.28  # and a second one this much to be named too


def color_name(rgb: ArrayLike) -> str | None:
    """The colour word for an object, two words ("red and white") when two colours share it, None when neither.

    Shading changes brightness more than hue, so bright and dark parts of one colour count together; bright colourless
    highlights do not count on coloured objects.

    Args:
        rgb: (N, 3) uint8, the object's pixels.

    Returns:
        A word of ``COLOR_WORDS``, "a and b" with the larger first, or None (fewer than 8 pixels, or many colours).

    Raises:
        InputError: not (N, 3) uint8.
    """
    pixels = np.asarray(rgb)
    if pixels.ndim != 2 or pixels.shape[1] != 3 or pixels.dtype != np.uint8:
        raise InputError(f"color_name: expected (N, 3) uint8, got {pixels.shape} {pixels.dtype}.")
    if len(pixels) < _MIN_COLOR_POINTS:
        return None
    kept = np.ascontiguousarray(thinned(pixels, COLOR_POINTS))
    counts = np.bincount(_color_codes(kept), minlength=len(COLOR_WORDS) + 1)[: len(COLOR_WORDS)]
    return _words(counts)


def _color_codes(pixels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """(N,) index into COLOR_WORDS per pixel; one past the end for highlights that say nothing."""
    hsv = cv2.cvtColor(pixels[None].astype(np.float32), cv2.COLOR_RGB2HSV)[0]
    hue, saturation, value = hsv[:, 0], hsv[:, 1], hsv[:, 2]
    codes = _HUE_CODES[np.searchsorted(_HUE_STARTS, hue, side="right")]
    warm = (hue >= 8) & (hue < 48)
    codes = np.where(warm & (value < _BROWN_VALUE) & (saturation < 0.85), _CODE["brown"], codes)
    red = (codes == _CODE["red"]) | ((hue < 20) & (codes == _CODE["orange"]))
    codes = np.where(red & (saturation < _PALE_SATURATION) & (value > 170), _CODE["pink"], codes)
    colorless = (saturation * value < _CHROMA_GREY) | (saturation < _SATURATION_GREY)
    cool = (hue >= _COOL_HUES[0]) & (hue < _COOL_HUES[1])
    colorless |= cool & (saturation < _COOL_SATURATION_GREY)
    dark = (value < _BLACK_VALUE) | (colorless & (value < 1.3 * _BLACK_VALUE))
    colorless &= ~dark
    if colorless.mean() < 0.25:  # mostly coloured: what shines white is a reflection
        highlight = colorless & (value > _HIGHLIGHT_VALUE)
    else:
        highlight = np.zeros(len(value), dtype=bool)
    bright = _percentile(value[colorless], 90.0)
    white = (value >= _WHITE_SHARE * bright) if bright >= _WHITE_VALUE else np.zeros(len(value), dtype=bool)
    codes = np.where(colorless, np.where(white, _CODE["white"], _CODE["grey"]), codes)
    codes = np.where(dark, _CODE["black"], codes)
    result: NDArray[np.intp] = np.where(highlight, len(COLOR_WORDS), codes).astype(np.intp)
    return result


def _percentile(values: NDArray[np.floating], percent: float) -> float:
    """A percentile between its two neighbours, 0 of no values; ``numpy.percentile`` spends 50 us on its checks."""
    if not values.size:
        return 0.0
    at = percent / 100.0 * (values.size - 1)
    below = int(at)
    above = min(below + 1, values.size - 1)
    ordered = np.partition(values, (below, above))
    low, high = float(ordered[below]), float(ordered[above])
    return low + (high - low) * (at - below)


def _words(counts: NDArray[np.intp]) -> str | None:
    """One or two words for the counts per colour, shades of the leading colour joined to it."""
    total = int(counts.sum())
    if total == 0:
        return None
    order = np.argsort(-counts, kind="stable")
    first: str = COLOR_WORDS[int(order[0])]
    others = [(COLOR_WORDS[k], int(counts[k])) for k in order[1:].tolist() if counts[k]]
    own = int(counts[order[0]]) + sum(count for word, count in others if frozenset((first, word)) in SHADES)
    if own < _FIRST_SHARE * total:
        return None
    apart = [(word, count) for word, count in others if frozenset((first, word)) not in SHADES]
    if apart:
        second = apart[0][0]
        share = sum(count for word, count in apart if word == second or frozenset((second, word)) in SHADES)
        if share >= _SECOND_SHARE * total:
            return f"{first} and {second}"
    return first


_FLAT_HEIGHT_SHARE = 0.25  # of the shorter horizontal side
_FLAT_HEIGHT_M = 0.015
_BOWL_WIDTH = 1.15  # times its height: narrower open round things are cups, called cylinders
_PLANE_SHARE = 0.8  # of the points that must lie on the faces of a box


def shape_word(points: ArrayLike, fitted: FittedBox, *, noise: DepthNoise = KINECT_V1) -> str:
    """A word of ``SHAPE_WORDS`` for an object, from what its points agree with physically.

    Ball and cylinder come from the fit (residuals of spheres and circles against corners); a bowl is round and lower
    inside than its rim; flat is low against its width; a box has its points on its faces; all else is an object.

    Args:
        points: (N, 3) metres, the object's points in the camera optical frame.
        fitted: the box fitted to them, in the same frame.
        noise: the depth camera's noise.

    Returns:
        The word.

    Raises:
        InputError: points of another shape.
    """
    kept = thinned(finite_points(points), 600)
    if len(kept) == 0 or fitted.status != "fitted":
        return "object"
    box = fitted.box
    local = box.local(kept)
    scatter = noise.at(float(np.linalg.norm(box.center)))
    width, height = float(box.size[:2].min()), float(box.size[2])
    is_round = fitted.solid == "cylinder" or (fitted.solid == "box" and fitted.rim_fill < 0.9)
    if is_round and width > _BOWL_WIDTH * height and _is_hollow(local, box.size, scatter):
        return "bowl"
    if height < _FLAT_HEIGHT_SHARE * width or (height < _FLAT_HEIGHT_M and fitted.solid == "box"):
        return "flat"
    if fitted.solid != "box":
        return "ball" if fitted.solid == "ball" else "cylinder"
    camera = -box.center @ box.rotation
    return "box" if _share_on_faces(local, camera, box.size / 2, scatter) >= _PLANE_SHARE else "object"


def _is_hollow(local: FloatArray, size: FloatArray, scatter: float) -> bool:
    """Whether what is highest lies around the outside and the middle lies below it."""
    radius = np.square(local[:, :2] / (size[:2] / 2)).sum(axis=1)
    middle = radius < 0.7**2
    if middle.sum() < 6:
        return False
    elevation = local[:, 2]
    high, rim = _percentile(elevation, 85.0), _percentile(elevation, 95.0)
    if _percentile(radius[elevation >= high], 50.0) < 0.75**2:
        return False
    return rim - _percentile(elevation[middle], 50.0) > max(0.2 * float(size[2]), 0.008, 4 * scatter)


def _share_on_faces(local: FloatArray, camera: FloatArray, half: FloatArray, scatter: float) -> float:
    """Share of points near the planes of faces that face the camera."""
    side = np.where(camera > half, 1.0, np.where(camera < -half, -1.0, np.nan))
    if np.isnan(side).all():
        return 0.0
    gap = np.fmin.reduce(np.abs(local.T - (side * half)[:, None]), axis=0)
    return float((gap < 3.0 * scatter + 0.003 + 0.04 * float(half.min())).mean())
