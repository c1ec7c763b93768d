"""Depth as pictures for people: one colour scale for a whole input, with its legend, beside the photo.

The colours are viridis, even to the eye and readable in grey: near is bright. Sky is grey, no depth nearly black.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from n3d_ros.depth.views import ViewDepth
from n3d_ros.errors import InputError
from n3d_ros.geometry.arrays import BoolArray, Float32Array

RgbArray = NDArray[np.uint8]

SKY_RGB = (168, 170, 174)
NONE_RGB = (24, 24, 26)
BACKGROUND_RGB = (250, 250, 250)
INK_RGB = (30, 30, 34)
NEAR_SHARE, FAR_SHARE = 0.01, 0.99  # quantiles of the first frames: single odd pixels do not set the range
RANGE_MARGIN = 1.05
LOG_RATIO = 6.0  # far to near: from here on the scale is logarithmic, or all that is near has one colour
MAX_PANEL_PX, MIN_PANEL_PX = 960, 240  # of the longer side
MIN_WIDTH_PX = 480  # of a preview: room for its title
TILE_WIDTH_PX, TILE_HEIGHT_PX, MAX_TILES, COLUMNS = 640, 400, 24, 4
LEGEND_PX, TEXT_PX, GAP_PX = 96, 14, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ColorRange:
    """Which depth has which colour, for a whole input.

    Args:
        near: brightest, above 0.
        far: darkest, above near.
        is_metric: in metres; otherwise in the model's own unit.
    """

    near: float
    far: float
    is_metric: bool

    def __post_init__(self) -> None:
        """Checks the range.

        Raises:
            InputError: not 0 < near < far.
        """
        if not (0 < self.near < self.far and math.isfinite(self.far)):
            raise InputError(f"Range of colours: expected 0 < near < far, got {self.near:g} to {self.far:g}.")

    @property
    def is_logarithmic(self) -> bool:
        """Whether equal steps of colour are equal ratios of depth."""
        return self.far > LOG_RATIO * self.near

    @classmethod
    def of(cls, depths: Sequence[Float32Array], *, is_metric: bool) -> ColorRange:
        """The range that shows some frames well.

        Args:
            depths: (H, W) each, NaN for none.
            is_metric: their unit.

        Returns:
            From their nearest to their farthest percent.
        """
        values = np.concatenate([depth[np.isfinite(depth)][:: max(1, depth.size // 100_000)] for depth in depths])
        if not len(values):
            return cls(near=0.5, far=10.0, is_metric=is_metric)
        near, far = (float(value) for value in np.quantile(values, [NEAR_SHARE, FAR_SHARE]))
        return cls(near=near / RANGE_MARGIN, far=far * RANGE_MARGIN, is_metric=is_metric)

    def position(self, depth: Any) -> Any:
        """Where depth lies in the range.

        Args:
            depth: numbers.

        Returns:
            0 at far to 1 at near, not limited; NaN stays.
        """
        if self.is_logarithmic:
            return np.log(self.far / np.asarray(depth)) / math.log(self.far / self.near)
        return (self.far - np.asarray(depth)) / (self.far - self.near)

    def ticks(self, wanted: int = 6) -> list[float]:
        """Round numbers within the range for its legend.

        Args:
            wanted: about how many.

        Returns:
            Increasing; the ends of the range where no round number lies within.
        """
        if self.is_logarithmic:
            decades = range(math.floor(math.log10(self.near)), math.ceil(math.log10(self.far)) + 1)
            few = self.far > 200 * self.near
            candidates = [factor * 10.0**decade for decade in decades for factor in ((1, 3) if few else (1, 2, 5))]
        else:
            rough = (self.far - self.near) / wanted
            decade = 10.0 ** math.floor(math.log10(rough))
            step = next(factor * decade for factor in (1, 2, 2.5, 5, 10) if factor * decade >= rough)
            candidates = [step * i for i in range(math.ceil(self.near / step), math.floor(self.far / step) + 1)]
        inside = [value for value in candidates if self.near <= value <= self.far]
        return inside or [self.near, self.far]


def colored(depth: Float32Array, sky: BoolArray | None, scale: ColorRange) -> RgbArray:
    """Depth in colours.

    Args:
        depth: (H, W), NaN for none.
        sky: (H, W); None when not known.
        scale: what the colours mean.

    Returns:
        (H, W, 3) uint8.
    """
    known = np.isfinite(depth)
    with np.errstate(invalid="ignore"):
        levels = np.clip(scale.position(np.where(known, depth, scale.far)), 0, 1)
    rgb: RgbArray = _palette()[np.rint(levels * 255).astype(np.uint8)]
    rgb[~known] = NONE_RGB
    if sky is not None:
        rgb[sky] = SKY_RGB
    return rgb


def preview(view: ViewDepth, rgb: RgbArray, scale: ColorRange, *, title: str) -> RgbArray:
    """The photo, the depth beside it in colours, and what the colours mean.

    Args:
        view: of the image.
        rgb: (H, W, 3) uint8, of the same size.
        scale: of the whole input.
        title: above the picture.

    Returns:
        (h, w, 3) uint8.
    """
    width, height = _panel_size(rgb.shape[1], rgb.shape[0])
    smaller = height < rgb.shape[0]
    photo = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_NEAREST)
    depth = cv2.resize(colored(view.depth_m, view.sky, scale), (width, height), interpolation=cv2.INTER_NEAREST)
    top = TEXT_PX + 2 * GAP_PX
    legend_height = max(height, 160)
    total = max(2 * width + 3 * GAP_PX + LEGEND_PX, MIN_WIDTH_PX)
    canvas = Image.new("RGB", (total, top + legend_height + GAP_PX), BACKGROUND_RGB)
    canvas.paste(Image.fromarray(np.asarray(photo)), (GAP_PX, top))
    canvas.paste(Image.fromarray(np.asarray(depth)), (width + 2 * GAP_PX, top))
    ImageDraw.Draw(canvas).text(
        (GAP_PX, GAP_PX), _fitting_text(title, total - 2 * GAP_PX), fill=INK_RGB, font=_font(TEXT_PX)
    )
    _draw_legend(canvas, (2 * width + 3 * GAP_PX, top), legend_height, scale, with_sky=view.sky is not None)
    return np.asarray(canvas)


def contact_sheet(pictures: Sequence[RgbArray], titles: Sequence[str]) -> RgbArray:
    """Small previews side by side.

    Args:
        pictures: (h, w, 3) uint8 each.
        titles: one for each.

    Returns:
        (h, w, 3) uint8.

    Raises:
        InputError: no picture.
    """
    if not pictures:
        raise InputError("Contact sheet: expected at least one picture.")
    tile_w = TILE_WIDTH_PX
    sizes = [_tile_size(p.shape[1], p.shape[0]) for p in pictures]
    tile_h = max(size[1] for size in sizes) + TEXT_PX + GAP_PX
    columns = min(COLUMNS, math.ceil(math.sqrt(len(pictures) / 2)) + (len(pictures) > 1))
    rows = math.ceil(len(pictures) / columns)
    size = (columns * (tile_w + GAP_PX) + GAP_PX, rows * (tile_h + GAP_PX) + GAP_PX)
    canvas = Image.new("RGB", size, BACKGROUND_RGB)
    draw = ImageDraw.Draw(canvas)
    for i, (picture, title, (width, height)) in enumerate(zip(pictures, titles, sizes, strict=True)):
        x, y = GAP_PX + (i % columns) * (tile_w + GAP_PX), GAP_PX + (i // columns) * (tile_h + GAP_PX)
        draw.text((x, y), _fitting_text(title, tile_w), fill=INK_RGB, font=_font(TEXT_PX))
        small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        canvas.paste(Image.fromarray(np.asarray(small)), (x, y + TEXT_PX + GAP_PX // 2))
    return np.asarray(canvas)


def picture_bytes(rgb: RgbArray) -> bytes:
    """A picture as PNG.

    Args:
        rgb: (H, W, 3) uint8.

    Returns:
        The file's bytes.
    """
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, format="PNG", compress_level=4)
    return stream.getvalue()


def _draw_legend(
    canvas: Image.Image, corner: tuple[int, int], height: int, scale: ColorRange, *, with_sky: bool
) -> None:
    """A bar of the colours with numbers, near at the bottom; below it what is grey and black."""
    draw, (x, y) = ImageDraw.Draw(canvas), corner
    font = _font(TEXT_PX)
    line = TEXT_PX + 6
    draw.text((x, y), "metres" if scale.is_metric else "relative", fill=INK_RGB, font=font)
    first, last = y + line + 4, y + height - line * (1 + with_sky) - 8
    bar = _palette()[np.linspace(0, 255, last - first).round().astype(np.uint8)]
    canvas.paste(Image.fromarray(np.repeat(bar[:, None], 18, axis=1)), (x, first))
    for value in scale.ticks(max(2, (last - first) // 50)):
        at = first + float(scale.position(value)) * (last - first - 1)
        draw.line([(x + 18, at), (x + 23, at)], fill=INK_RGB)
        draw.text((x + 27, at - TEXT_PX / 2 - 1), f"{value:.6g}", fill=INK_RGB, font=font)
    swatches = [("no depth", NONE_RGB), *([("sky", SKY_RGB)] if with_sky else [])]
    for i, (word, color) in enumerate(swatches):
        top = last + 8 + i * line
        draw.rectangle([x, top, x + 18, top + TEXT_PX], fill=color)
        draw.text((x + 27, top - 1), word, fill=INK_RGB, font=font)


@cache
def _palette() -> RgbArray:
    """(256, 3): viridis, dark to bright."""
    ramp = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_VIRIDIS)
    palette: RgbArray = np.ascontiguousarray(ramp[:, 0, ::-1]).astype(np.uint8)
    return palette


def _panel_size(width: int, height: int) -> tuple[int, int]:
    """The size of an image in a preview, as people can look at it."""
    longest = max(width, height)
    factor = min(max(longest, MIN_PANEL_PX), MAX_PANEL_PX) / longest
    return max(1, round(width * factor)), max(1, round(height * factor))


def _tile_size(width: int, height: int) -> tuple[int, int]:
    """The size of a preview on a contact sheet; never larger than it is."""
    factor = min(1.0, TILE_WIDTH_PX / width, TILE_HEIGHT_PX / height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def _fitting_text(text: str, width: int) -> str:
    """As much of a line as fits."""
    font = _font(TEXT_PX)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."


@cache
def _font(size: int) -> Any:
    """Pillow's own font; its bitmap font where Pillow is older than 10.1 and takes no size."""
    try:
        return ImageFont.load_default(size=size)
    except TypeError:
        return ImageFont.load_default()
