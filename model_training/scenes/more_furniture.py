"""Furniture of the rich catalogue: seats, appliances and what stands around."""

from __future__ import annotations

from model_training.scenes.catalogue import Category, Part, Surface
from model_training.scenes.colors import VIVID
from model_training.scenes.more_objects import box, disc, slots

DRAWERS = 4


def _drawers() -> tuple[Part, ...]:
    """Drawer fronts with a handle each."""
    parts = []
    for k in range(DRAWERS):
        bottom, top = 0.05 + 0.235 * k, 0.265 + 0.235 * k
        parts.append(box((-0.47, -0.5, bottom), (0.47, -0.47, top), material="front"))
        middle = (bottom + top) / 2
        parts.append(box((-0.12, -0.53, middle - 0.01), (0.12, -0.5, middle + 0.01), material="knob", solid=False))
    return tuple(parts)


def more_furniture() -> tuple[Category, ...]:
    """All furniture of the rich catalogue that the basic one lacks.

    Returns:
        Catalogue entries.
    """
    washer = (1.0, 1.42)
    return (
        Category(
            name="armchair",
            role="furniture",
            width_m=(0.7, 0.9),
            depth_share=(0.95, 1.05),
            height_m=(0.8, 1.0),
            symmetry="none",
            stands_on=("floor", "wall"),
            variants=(
                (
                    box((-0.5, -0.5, 0.08), (0.5, 0.5, 0.42)),
                    box((-0.5, -0.45, 0.42), (-0.34, 0.5, 0.66)),
                    box((0.34, -0.45, 0.42), (0.5, 0.5, 0.66)),
                    box((-0.34, 0.24, 0.42), (0.34, 0.5, 1)),
                    box((-0.33, -0.48, 0.42), (0.33, 0.24, 0.52), material="cushion"),
                    *(
                        box((x - 0.03, y - 0.03, 0), (x + 0.03, y + 0.03, 0.08), material="leg")
                        for x in (-0.44, 0.44)
                        for y in (-0.44, 0.44)
                    ),
                ),
            ),
            materials=slots(body=(*VIVID, "gray", "brown"), cushion=(*VIVID, "gray"), leg=("walnut", "black")),
            surfaces=(Surface(height=0.52, low=(-0.28, -0.4), high=(0.28, 0.18), clearance=0.4),),
        ),
        Category(
            name="chest of drawers",
            role="furniture",
            width_m=(0.7, 1.1),
            depth_m=(0.4, 0.5),
            height_m=(0.8, 1.1),
            symmetry="none",
            stands_on=("wall",),
            variants=((box((-0.5, -0.47, 0), (0.5, 0.5, 1), texture="wood"), *_drawers()),),
            materials=slots(
                body=("oak", "walnut", "birch", "white", "gray"), front=("oak", "white", "birch"), knob=("steel",)
            ),
            surfaces=(Surface(low=(-0.46, -0.42), high=(0.46, 0.44)),),
        ),
        Category(
            name="refrigerator",
            role="furniture",
            width_m=(0.55, 0.65),
            depth_share=(1.0, 1.1),
            height_m=(1.4, 1.85),
            symmetry="none",
            stands_on=("wall",),
            variants=(
                (
                    box((-0.5, -0.44, 0), (0.5, 0.5, 1)),
                    box((-0.5, -0.5, 0.03), (0.5, -0.45, 0.62)),
                    box((-0.5, -0.5, 0.635), (0.5, -0.45, 1)),
                    box((-0.44, -0.53, 0.4), (-0.39, -0.5, 0.6), material="handle", solid=False),
                    box((-0.44, -0.53, 0.66), (-0.39, -0.5, 0.82), material="handle", solid=False),
                ),
            ),
            materials=slots(body=("white", "steel", "red", "black"), handle=("steel",)),
        ),
        Category(
            name="washing machine",
            role="furniture",
            width_m=(0.58, 0.62),
            depth_share=(1.0, 1.0),
            height_share=(1.42, 1.42),
            symmetry="none",
            stands_on=("wall",),
            variants=(
                (
                    box((-0.5, -0.47, 0), (0.5, 0.5, 1)),
                    disc((0, -0.47, 0.45), 0.62, 0.05, washer, material="ring", solid=False),
                    disc((0, -0.485, 0.45), 0.48, 0.05, washer, material="glass", solid=False),
                    box((-0.46, -0.485, 0.86), (0.46, -0.47, 0.97), material="panel", solid=False),
                    disc((0.3, -0.49, 0.915), 0.09, 0.04, washer, material="ring", solid=False),
                ),
            ),
            materials=slots(body=("white", "gray"), ring=("steel",), glass=("screen",), panel=("gray", "white")),
            surfaces=(Surface(low=(-0.44, -0.4), high=(0.44, 0.44)),),
        ),
        Category(
            name="bench",
            role="furniture",
            width_m=(0.9, 1.3),
            depth_m=(0.3, 0.4),
            height_m=(0.42, 0.48),
            stands_on=("floor", "wall"),
            variants=(
                (
                    box((-0.5, -0.5, 0.88), (0.5, 0.5, 1), texture="wood"),
                    box((-0.44, -0.4, 0), (-0.38, 0.4, 0.88), texture="wood"),
                    box((0.38, -0.4, 0), (0.44, 0.4, 0.88), texture="wood"),
                ),
            ),
            materials=slots(body=("oak", "walnut", "birch", "white", "red")),
            surfaces=(Surface(low=(-0.46, -0.42), high=(0.46, 0.42)),),
        ),
        Category(
            name="suitcase",
            role="furniture",
            width_m=(0.36, 0.48),
            depth_share=(0.5, 0.6),
            height_share=(1.5, 1.65),
            stands_on=("floor", "wall"),
            symmetry="none",
            variants=(
                (
                    box((-0.5, -0.5, 0.05), (0.5, 0.5, 0.86), texture="stripes"),
                    *(
                        Part(kind="ellipsoid", low=(x - 0.07, y - 0.12, 0), high=(x + 0.07, y + 0.12, 0.08),
                             material="wheel", solid=False)
                        for x in (-0.4, 0.4)
                        for y in (-0.34, 0.34)
                    ),
                    box((-0.2, 0.3, 0.86), (-0.17, 0.36, 1), material="handle"),
                    box((0.17, 0.3, 0.86), (0.2, 0.36, 1), material="handle"),
                    box((-0.2, 0.3, 0.97), (0.2, 0.36, 1), material="handle"),
                ),
            ),
            materials=slots(body=VIVID, wheel=("charcoal",), handle=("steel", "charcoal")),
        ),
        Category(
            name="television",
            role="furniture",
            width_m=(0.9, 1.3),
            depth_m=(0.24, 0.32),
            height_share=(0.64, 0.68),
            stands_on=("wall",),
            symmetry="none",
            variants=(
                (
                    box((-0.25, -0.5, 0), (0.25, 0.5, 0.03)),
                    box((-0.05, -0.06, 0.03), (0.05, 0.14, 0.2)),
                    box((-0.5, -0.1, 0.12), (0.5, 0.12, 1)),
                    box((-0.485, -0.13, 0.145), (0.485, -0.1, 0.98), material="screen", texture="screen",
                        solid=False),
                ),
            ),
            materials=slots(body=("black", "gray"), screen=("screen",)),
        ),
    )  # fmt: skip
