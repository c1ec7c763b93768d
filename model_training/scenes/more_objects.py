"""Loose things of the rich catalogue: kitchenware, toys, electronics and containers of several parts.

Shapes repeat the plain ones on purpose (a basket beside a bin, a hat beside a bowl): what tells them apart is what
people would name, a handle, a face, wheels.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from model_training.scenes.catalogue import Category, Part, Profile
from model_training.scenes.colors import VIVID

TEAPOT: Profile = ((0, 0), (0.5, 0), (0.72, 0.1), (0.98, 0.36), (1, 0.48), (0.9, 0.7), (0.5, 0.92), (0, 1))
JUG: Profile = ((0, 0), (0.8, 0), (0.98, 0.2), (1, 0.36), (0.72, 0.74), (0.84, 1), (0.76, 1), (0.64, 0.74), (0, 0.6))
PAN: Profile = ((0, 0), (0.84, 0), (0.88, 0.06), (1, 1), (0.95, 1), (0.82, 0.14), (0, 0.14))
COOKING_POT: Profile = ((0, 0), (0.96, 0), (1, 0.04), (1, 1), (0.95, 1), (0.95, 0.07), (0, 0.07))
HAT: Profile = ((0, 0), (1, 0), (1, 0.05), (0.66, 0.07), (0.62, 0.14), (0.6, 0.7), (0.5, 0.92), (0.3, 1), (0, 1))
BASKET: Profile = ((0, 0), (0.84, 0), (0.86, 0.03), (1, 1), (0.93, 1), (0.8, 0.06), (0, 0.06))

Slots = Mapping[str, tuple[str, ...]]


def slots(**paints: tuple[str, ...]) -> Slots:
    """Paints by slot; the first slot names the object's colour.

    Args:
        **paints: words per slot.

    Returns:
        A read-only mapping.
    """
    return MappingProxyType(paints)


def box(low: tuple[float, float, float], high: tuple[float, float, float], **more: Any) -> Part:
    """A box between two corners in unit coordinates.

    Args:
        low: lower corner.
        high: upper corner.
        **more: fields of ``Part``.

    Returns:
        The part.
    """
    return Part(kind="box", low=low, high=high, **more)


def around(
    kind: str, center: tuple[float, float, float], extent: tuple[float, float, float], shares: tuple[float, float],
    **more: Any,
) -> Part:  # fmt: skip
    """A part about a centre, its extent in object widths along all three axes, so that round things stay round.

    Args:
        kind: of the part.
        center: unit coordinates.
        extent: along x, y, z before the part's own turn, in widths of the object.
        shares: the object's depth and height over its width, which must be fixed for it.
        **more: fields of ``Part``.

    Returns:
        The part.
    """
    half = (extent[0] / 2, extent[1] / 2 / shares[0], extent[2] / 2 / shares[1])
    low = (center[0] - half[0], center[1] - half[1], center[2] - half[2])
    high = (center[0] + half[0], center[1] + half[1], center[2] + half[2])
    return Part(kind=kind, low=low, high=high, **more)


def disc(
    center: tuple[float, float, float], diameter: float, thickness: float, shares: tuple[float, float], **more: Any
) -> Part:
    """A cylinder with its axis along y: dials, wheels, lenses.

    Args:
        center: unit coordinates.
        diameter: in widths.
        thickness: in widths.
        shares: as for ``around``.
        **more: fields of ``Part``.

    Returns:
        The part.
    """
    extent = (diameter, diameter, thickness)
    return around("cylinder", center, extent, shares, tilt_deg=90.0, turn_deg=90.0, **more)


def _fixed(name: str, width_m: tuple[float, float], shares: tuple[float, float], *parts: Part, **more: Any) -> Category:
    """A category of one variant whose proportions do not vary."""
    return Category(
        name=name,
        width_m=width_m,
        depth_share=(shares[0], shares[0]),
        height_share=(shares[1], shares[1]),
        variants=(parts,),
        **more,
    )


def kitchenware() -> tuple[Category, ...]:
    """Things of the kitchen.

    Returns:
        Catalogue entries.
    """
    pot = (0.62, 0.62)
    return (
        _fixed(
            "teapot",
            (0.2, 0.26),
            pot,
            Part(kind="lathe", profile=TEAPOT, low=(-0.3, -0.5, 0), high=(0.32, 0.5, 0.88)),
            around("ellipsoid", (0.01, 0, 0.93), (0.08, 0.08, 0.08), pot),
            around("ellipsoid", (-0.38, 0, 0.55), (0.1, 0.09, 0.34), pot, tilt_deg=-48.0, solid=False),
            around("ring", (0.36, 0, 0.46), (0.26, 0.06, 0.34), pot, solid=False),
            symmetry="none",
            shape="",
            density=900,
            materials=slots(body=VIVID),
        ),
        _fixed(
            "jug",
            (0.15, 0.19),
            (0.72, 1.35),
            Part(kind="lathe", profile=JUG, low=(-0.5, -0.5, 0), high=(0.22, 0.5, 1)),
            Part(kind="ring", low=(0.02, -0.07, 0.24), high=(0.5, 0.07, 0.86), solid=False),
            symmetry="none",
            shape="cylinder",
            density=900,
            materials=slots(body=VIVID),
        ),
        _fixed(
            "pan",
            (0.38, 0.46),
            (0.58, 0.11),
            Part(kind="lathe", profile=PAN, low=(-0.5, -0.5, 0), high=(0.08, 0.5, 1)),
            box((0.05, -0.05, 0.6), (0.5, 0.05, 0.95), material="handle"),
            symmetry="none",
            shape="bowl",
            density=1500,
            materials=slots(body=("black", "gray", "red"), handle=("black", "walnut")),
            stands_on=("table",),
        ),
        _fixed(
            "cooking pot",
            (0.24, 0.32),
            (0.76, 0.5),
            Part(kind="lathe", profile=COOKING_POT, low=(-0.38, -0.5, 0), high=(0.38, 0.5, 1)),
            box((-0.5, -0.14, 0.72), (-0.36, 0.14, 0.82), material="handle", solid=False),
            box((0.36, -0.14, 0.72), (0.5, 0.14, 0.82), material="handle", solid=False),
            shape="bowl",
            holds=True,
            density=900,
            materials=slots(body=("steel", "red", "blue", "black", "white"), handle=("black",)),
        ),
        _fixed(
            "banana",
            (0.16, 0.2),
            (0.36, 0.2),
            *(
                around(
                    "ellipsoid",
                    (0.19 * k, -0.28 + 0.13 * k * k, 0.5),
                    (0.34, 0.2 - 0.03 * abs(k), 0.2 - 0.03 * abs(k)),
                    (0.36, 0.2),
                    turn_deg=24.0 * k,
                )
                for k in (-2, -1, 0, 1, 2)
            ),
            symmetry="none",
            shape="",
            density=700,
            materials=slots(body=("yellow",)),
        ),
        Category(
            name="tray",
            shape="flat",
            width_m=(0.32, 0.45),
            depth_share=(0.6, 0.75),
            height_m=(0.03, 0.045),
            variants=(
                (
                    box((-0.5, -0.5, 0), (0.5, 0.5, 0.25)),
                    box((-0.5, -0.5, 0.25), (-0.47, 0.5, 1)),
                    box((0.47, -0.5, 0.25), (0.5, 0.5, 1)),
                    box((-0.47, -0.5, 0.25), (0.47, -0.46, 1)),
                    box((-0.47, 0.46, 0.25), (0.47, 0.5, 1)),
                ),
            ),
            holds=True,
            density=500,
            materials=slots(body=("oak", "black", "white", "red", "gray")),
            stands_on=("table",),
        ),
        _fixed(
            "candle",
            (0.06, 0.09),
            (1.0, 1.5),
            Part(kind="cylinder", high=(0.5, 0.5, 0.88)),
            Part(kind="cylinder", low=(-0.03, -0.03, 0.88), high=(0.03, 0.03, 0.94), material="wick"),
            Part(kind="ellipsoid", low=(-0.09, -0.09, 0.9), high=(0.09, 0.09, 1), material="flame"),
            symmetry="round",
            shape="cylinder",
            density=800,
            materials=slots(body=("white", "red", "yellow", "purple"), wick=("black",), flame=("orange",)),
        ),
    )


def household() -> tuple[Category, ...]:
    """Electronics, toys, clothes and containers.

    Returns:
        Catalogue entries.
    """
    car, bear = (0.48, 0.42), (0.7, 1.25)
    return (
        Category(
            name="phone",
            shape="flat",
            width_m=(0.065, 0.08),
            depth_share=(2.0, 2.15),
            height_m=(0.008, 0.011),
            density=1500,
            variants=(
                (
                    Part(kind="box"),
                    box((-0.46, -0.48, 1), (0.46, 0.48, 1.03), material="screen", texture="screen", solid=False),
                ),
            ),
            materials=slots(body=("black", "white", "blue", "red"), screen=("screen",)),
        ),
        Category(
            name="remote control",
            shape="flat",
            width_m=(0.045, 0.06),
            depth_share=(3.2, 4.0),
            height_m=(0.018, 0.026),
            density=800,
            variants=(
                (
                    box((-0.5, -0.5, 0), (0.5, 0.5, 0.85)),
                    *(
                        box((x - 0.1, y - 0.03, 0.85), (x + 0.1, y + 0.03, 1), material="keys", solid=False)
                        for x in (-0.28, 0.0, 0.28)
                        for y in (-0.3, -0.18, -0.06, 0.06, 0.18)
                    ),
                    Part(kind="cylinder", low=(-0.16, 0.3, 0.85), high=(0.16, 0.4, 1), material="red", solid=False),
                ),
            ),
            materials=slots(body=("black", "gray", "white"), keys=("gray",), red=("red",)),
        ),
        _fixed(
            "speaker",
            (0.12, 0.2),
            (0.9, 1.6),
            box((-0.5, -0.46, 0), (0.5, 0.5, 1)),
            disc((0, -0.46, 0.32), 0.74, 0.06, (0.9, 1.6), material="cone", solid=False),
            disc((0, -0.47, 0.32), 0.26, 0.07, (0.9, 1.6), material="dome", solid=False),
            disc((0, -0.46, 0.76), 0.4, 0.06, (0.9, 1.6), material="cone", solid=False),
            symmetry="none",
            density=400,
            materials=slots(body=("black", "oak", "walnut", "white"), cone=("charcoal",), dome=("steel", "white")),
        ),
        _fixed(
            "clock",
            (0.11, 0.18),
            (0.4, 1.12),
            disc((0, 0, 0.55), 1.0, 0.38, (0.4, 1.12)),
            disc((0, -0.47, 0.55), 0.86, 0.03, (0.4, 1.12), material="face", solid=False),
            box((-0.015, -0.53, 0.55), (0.015, -0.5, 0.85), material="hand", solid=False),
            box((-0.0, -0.53, 0.535), (0.24, -0.5, 0.565), material="hand", solid=False),
            box((-0.36, -0.4, 0), (0.36, 0.4, 0.16)),
            symmetry="none",
            shape="cylinder",
            density=500,
            materials=slots(body=VIVID, face=("white", "paper"), hand=("black",)),
        ),
        Category(
            name="picture frame",
            width_m=(0.15, 0.26),
            depth_share=(0.3, 0.36),
            height_share=(0.75, 1.3),
            symmetry="none",
            density=600,
            variants=(
                (
                    box((-0.5, -0.5, 0), (0.5, -0.3, 1)),
                    box((-0.42, -0.54, 0.08), (0.42, -0.5, 0.92), material="picture", texture="picture", solid=False),
                    box((-0.06, -0.3, 0), (0.06, 0.5, 0.08)),
                    box((-0.06, -0.3, 0.08), (0.06, 0.0, 0.6)),
                ),
            ),
            materials=slots(body=("oak", "walnut", "black", "white", "red"), picture=("white", "blue", "green")),
        ),
        Category(
            name="tissue box",
            width_m=(0.2, 0.25),
            depth_share=(0.5, 0.56),
            height_share=(0.55, 0.7),
            density=150,
            variants=(
                (
                    box((-0.5, -0.5, 0), (0.5, 0.5, 0.62), texture="print"),
                    Part(
                        kind="ellipsoid",
                        low=(-0.2, -0.14, 0.45),
                        high=(0.12, 0.14, 1),
                        material="tissue",
                        tilt_deg=18,
                    ),
                    Part(
                        kind="ellipsoid",
                        low=(-0.08, -0.1, 0.5),
                        high=(0.2, 0.16, 0.92),
                        material="tissue",
                        tilt_deg=-22,
                        solid=False,
                    ),
                ),
            ),
            materials=slots(body=("blue", "green", "pink", "purple", "yellow"), tissue=("white",)),
        ),
        _fixed(
            "toy car",
            (0.14, 0.24),
            car,
            box((-0.5, -0.46, 0.22), (0.5, 0.46, 0.6)),
            box((-0.28, -0.4, 0.6), (0.3, 0.4, 1.0)),
            box((-0.29, -0.34, 0.64), (0.31, 0.34, 0.93), material="glass", solid=False),
            *(disc((x, y, 0.25), 0.21, 0.07, car, material="tyre") for x in (-0.3, 0.3) for y in (-0.42, 0.42)),
            symmetry="none",
            density=500,
            materials=slots(body=VIVID, glass=("screen",), tyre=("charcoal",)),
        ),
        _fixed(
            "teddy bear",
            (0.18, 0.28),
            bear,
            around("ellipsoid", (0, 0.05, 0.29), (0.62, 0.55, 0.72), bear),
            around("ellipsoid", (0, 0, 0.76), (0.54, 0.5, 0.52), bear),
            *(around("ellipsoid", (x, 0.02, 0.94), (0.2, 0.12, 0.2), bear) for x in (-0.21, 0.21)),
            around("ellipsoid", (0, -0.36, 0.71), (0.22, 0.18, 0.18), bear, material="nose", solid=False),
            *(around("ellipsoid", (x, -0.1, 0.42), (0.2, 0.24, 0.44), bear, solid=False) for x in (-0.36, 0.36)),
            *(around("ellipsoid", (x, -0.3, 0.1), (0.24, 0.42, 0.24), bear) for x in (-0.24, 0.24)),
            symmetry="none",
            shape="",
            density=100,
            materials=slots(body=("brown", "birch", "pink", "white"), nose=("birch", "charcoal")),
        ),
        Category(
            name="hat",
            shape="bowl",
            width_m=(0.24, 0.34),
            depth_share=(0.95, 1.0),
            height_share=(0.38, 0.5),
            symmetry="round",
            density=100,
            variants=(
                (
                    Part(kind="lathe", profile=HAT),
                    Part(
                        kind="cylinder",
                        low=(-0.316, -0.316, 0.12),
                        high=(0.316, 0.316, 0.28),
                        material="band",
                        solid=False,
                    ),
                ),
            ),
            materials=slots(body=VIVID, band=("black", "white", "walnut")),
            stands_on=("table",),
        ),
        Category(
            name="basket",
            shape="cylinder",
            width_m=(0.2, 0.3),
            height_share=(0.5, 0.8),
            symmetry="round",
            holds=True,
            density=150,
            variants=((Part(kind="lathe", profile=BASKET, texture="weave"),),),
            materials=slots(body=("birch", "oak", "white", "gray")),
            stands_on=("table", "shelf"),
        ),
        Category(
            name="crate",
            width_m=(0.22, 0.34),
            depth_share=(0.65, 0.85),
            height_share=(0.4, 0.6),
            holds=True,
            density=250,
            variants=(
                (
                    box((-0.5, -0.5, 0), (0.5, 0.5, 0.06), texture="wood"),
                    *(
                        box(low, high, texture="wood")
                        for z in (0.06, 0.4, 0.74)
                        for low, high in (
                            ((-0.5, -0.5, z), (-0.46, 0.5, z + 0.26)),
                            ((0.46, -0.5, z), (0.5, 0.5, z + 0.26)),
                            ((-0.46, -0.5, z), (0.46, -0.46, z + 0.26)),
                            ((-0.46, 0.46, z), (0.46, 0.5, z + 0.26)),
                        )
                    ),
                    *(box((x, y, 0.06), (x + 0.05, y + 0.06, 1.0)) for x in (-0.46, 0.41) for y in (-0.46, 0.4)),
                ),
            ),
            materials=slots(body=("oak", "birch", "walnut")),
            stands_on=("table",),
        ),
        _fixed(
            "camera",
            (0.11, 0.15),
            (0.75, 0.72),
            box((-0.5, -0.1, 0), (0.5, 0.5, 0.82)),
            box((-0.18, -0.06, 0.82), (0.18, 0.4, 1)),
            disc((0.04, -0.28, 0.42), 0.5, 0.36, (0.75, 0.72), material="lens"),
            disc((0.04, -0.49, 0.42), 0.36, 0.03, (0.75, 0.72), material="glass", solid=False),
            Part(kind="cylinder", low=(0.3, 0.05, 0.82), high=(0.42, 0.2, 0.9), material="lens", solid=False),
            symmetry="none",
            density=700,
            materials=slots(body=("black", "gray", "red"), lens=("charcoal",), glass=("screen",)),
        ),
        _fixed(
            "backpack",
            (0.28, 0.36),
            (0.62, 1.3),
            box((-0.5, -0.1, 0), (0.5, 0.5, 0.78)),
            Part(kind="ellipsoid", low=(-0.5, -0.1, 0.55), high=(0.5, 0.5, 0.96)),
            box((-0.38, -0.5, 0.06), (0.38, -0.1, 0.45), material="pocket"),
            Part(kind="ring", low=(-0.14, 0.22, 0.88), high=(0.14, 0.34, 1), material="strap"),
            symmetry="none",
            density=120,
            materials=slots(body=VIVID, pocket=(*VIVID, "gray"), strap=("charcoal",)),
            stands_on=("table",),
        ),
    )


def more_objects() -> tuple[Category, ...]:
    """All loose things of the rich catalogue that the basic one lacks.

    Returns:
        Catalogue entries.
    """
    return (*kitchenware(), *household())
