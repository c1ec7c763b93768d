"""What things are made of: a word people use, how it shines, and what its surface looks like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The surface of a material.

    Args:
        specular: brightness of highlights, 0 to 1.
        shininess: their sharpness, 0 to 1.
        textures: pictures one of which is put on otherwise plain parts; empty: plain.
    """

    specular: float
    shininess: float
    textures: tuple[str, ...] = ()


FINISHES: Mapping[str, Finish] = MappingProxyType(
    {
        "plastic": Finish(specular=0.3, shininess=0.4),
        "metal": Finish(specular=0.7, shininess=0.7, textures=("brushed", "plain")),
        "ceramic": Finish(specular=0.55, shininess=0.8, textures=("plain", "plain", "bands", "dots")),
        "glass": Finish(specular=0.8, shininess=0.9),
        "wood": Finish(specular=0.12, shininess=0.2, textures=("wood",)),
        "cardboard": Finish(specular=0.03, shininess=0.1, textures=("fibres",)),
        "paper": Finish(specular=0.03, shininess=0.1),
        "fabric": Finish(specular=0.01, shininess=0.05, textures=("weave", "checks", "plush")),
        "rubber": Finish(specular=0.1, shininess=0.2),
        "wicker": Finish(specular=0.05, shininess=0.1),
        "leaves": Finish(specular=0.1, shininess=0.3),
        "fruit": Finish(specular=0.2, shininess=0.4, textures=("speckles",)),
        "wax": Finish(specular=0.2, shininess=0.3),
    }
)
"""Every material by its word."""

PAINT_MATERIAL: Mapping[str, str] = MappingProxyType(
    {"oak": "wood", "walnut": "wood", "birch": "wood", "steel": "metal", "leaf": "leaves", "cardboard": "cardboard"}
)
"""Materials that a paint tells, for categories that may be made of them."""

MADE_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "box": ("cardboard", "plastic", "wood"), "carton": ("cardboard",), "cereal box": ("cardboard",),
        "parcel": ("cardboard",), "book": ("paper",), "can": ("metal",), "jar": ("glass", "ceramic"),
        "bottle": ("plastic", "glass"), "mug": ("ceramic", "metal"), "cup": ("plastic", "paper", "ceramic"),
        "bowl": ("ceramic", "plastic", "metal", "wood"), "plate": ("ceramic", "plastic"),
        "ball": ("rubber", "plastic", "fabric"), "apple": ("fruit",), "orange": ("fruit",), "pear": ("fruit",),
        "banana": ("fruit",), "vase": ("ceramic", "glass"), "plant": ("leaves",), "lamp": ("fabric", "paper"),
        "monitor": ("plastic",), "laptop": ("metal", "plastic"), "keyboard": ("plastic",),
        "teapot": ("ceramic", "metal"), "jug": ("ceramic", "plastic"), "pan": ("metal",), "cooking pot": ("metal",),
        "tray": ("wood", "plastic"), "candle": ("wax",), "phone": ("glass", "plastic"), "remote control": ("plastic",),
        "speaker": ("wood", "plastic"), "clock": ("plastic", "metal"), "picture frame": ("wood", "plastic"),
        "tissue box": ("cardboard",), "toy car": ("plastic", "metal"), "teddy bear": ("fabric",), "hat": ("fabric",),
        "basket": ("wicker",), "crate": ("wood",), "camera": ("plastic", "metal"), "backpack": ("fabric",),
        "table": ("wood", "plastic"), "desk": ("wood",), "chair": ("wood", "plastic"), "stool": ("wood", "plastic"),
        "shelf": ("wood",), "cabinet": ("wood",), "sofa": ("fabric",), "floor lamp": ("fabric", "paper"),
        "potted plant": ("leaves",), "bin": ("plastic", "metal"), "armchair": ("fabric",),
        "chest of drawers": ("wood",), "refrigerator": ("metal",), "washing machine": ("metal",), "bench": ("wood",),
        "suitcase": ("plastic", "fabric"), "television": ("plastic",),
    }
)  # fmt: skip
"""What each category may be made of; the first is the usual one."""


UNSAID = frozenset({"fruit", "leaves"})
"""Surfaces that nobody names as a material: no one says "the fruit apple"."""


def spoken(material: str) -> str:
    """The word for a material in sentences.

    Args:
        material: a key of ``FINISHES``.

    Returns:
        The word; empty where people name none.
    """
    return "" if material in UNSAID else material


def possible_materials(category: str, paint: str) -> tuple[str, ...]:
    """What a category in a paint may be made of; the first is the usual one.

    Args:
        category: its name.
        paint: the paint of its first slot.

    Returns:
        Keys of ``FINISHES``.
    """
    told = PAINT_MATERIAL.get(paint, "")
    return (told,) if told in MADE_OF[category] else MADE_OF[category]
