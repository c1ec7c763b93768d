"""Basic colour words and the paints drawn for them.

The eleven words are those most languages agree on (Berlin and Kay, Basic Color Terms, 1969). Each word owns boxes in
HSV that lie well inside what people call by it; borderline hues are left out, so that a truth label is never
disputable.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

Rgb = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class HsvRange:
    """A box in HSV.

    Args:
        hue_deg: lower and upper hue, degrees; lower may be negative for red.
        saturation: lower and upper, 0 to 1.
        value: lower and upper, 0 to 1.
    """

    hue_deg: tuple[float, float]
    saturation: tuple[float, float]
    value: tuple[float, float]


COLOR_RANGES: dict[str, HsvRange] = {
    "red": HsvRange(hue_deg=(-7, 5), saturation=(0.78, 0.95), value=(0.62, 0.85)),
    "orange": HsvRange(hue_deg=(20, 28), saturation=(0.82, 0.97), value=(0.88, 1.0)),
    "yellow": HsvRange(hue_deg=(48, 56), saturation=(0.72, 0.92), value=(0.86, 1.0)),
    "green": HsvRange(hue_deg=(105, 145), saturation=(0.55, 0.85), value=(0.38, 0.68)),
    "blue": HsvRange(hue_deg=(208, 226), saturation=(0.68, 0.92), value=(0.52, 0.85)),
    "purple": HsvRange(hue_deg=(270, 288), saturation=(0.5, 0.75), value=(0.42, 0.68)),
    "pink": HsvRange(hue_deg=(325, 342), saturation=(0.32, 0.5), value=(0.9, 1.0)),
    "brown": HsvRange(hue_deg=(18, 28), saturation=(0.55, 0.72), value=(0.3, 0.46)),
    "black": HsvRange(hue_deg=(0, 360), saturation=(0.0, 0.12), value=(0.06, 0.12)),
    "white": HsvRange(hue_deg=(0, 360), saturation=(0.0, 0.03), value=(0.86, 0.94)),
    "gray": HsvRange(hue_deg=(0, 360), saturation=(0.0, 0.05), value=(0.4, 0.56)),
}
COLOR_NAMES: tuple[str, ...] = tuple(COLOR_RANGES)
VIVID: tuple[str, ...] = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "black")

# Materials that are not a free choice of the object, by name; they have no colour word of their own.
MATERIAL_PAINTS: dict[str, Rgb] = {
    "oak": (0.72, 0.54, 0.34),
    "walnut": (0.42, 0.28, 0.18),
    "birch": (0.86, 0.76, 0.6),
    "steel": (0.62, 0.63, 0.65),
    "soil": (0.2, 0.14, 0.1),
    "leaf": (0.18, 0.42, 0.16),
    "screen": (0.05, 0.06, 0.09),
    "paper": (0.95, 0.93, 0.88),
    "shade": (0.96, 0.92, 0.8),
    "cardboard": (0.7, 0.54, 0.36),
    "charcoal": (0.1, 0.1, 0.11),
}
MATERIAL_WORDS: dict[str, str] = {
    "oak": "brown", "walnut": "brown", "birch": "brown", "steel": "gray", "soil": "brown", "leaf": "green",
    "screen": "black", "paper": "white", "shade": "white", "cardboard": "brown", "charcoal": "black",
}  # fmt: skip


def draw_paint(word: str, rng: np.random.Generator) -> Rgb:
    """A paint that people call ``word``: red, green, blue, each 0 to 1.

    Args:
        word: a colour word, or a material's name.
        rng: source of chance.

    Returns:
        The paint; materials vary by a few percent in brightness.
    """
    if word in MATERIAL_PAINTS:
        r, g, b = (float(c * rng.uniform(0.94, 1.05)) for c in MATERIAL_PAINTS[word])
        return min(r, 1.0), min(g, 1.0), min(b, 1.0)
    box = COLOR_RANGES[word]
    hue, saturation, value = (float(rng.uniform(*limits)) for limits in (box.hue_deg, box.saturation, box.value))
    return colorsys.hsv_to_rgb((hue / 360.0) % 1.0, saturation, value)
