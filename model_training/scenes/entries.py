"""The entries of the catalogue: shapes of revolution, part lists, sizes and paints."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from model_training.scenes.catalogue import Category, Part, Profile, Surface
from model_training.scenes.colors import VIVID
from model_training.scenes.more_furniture import more_furniture
from model_training.scenes.more_objects import more_objects

# --- profiles: (radius, height), from the axis at the bottom along the outside and back ------------------------------
CAN: Profile = ((0, 0), (0.9, 0), (1, 0.03), (1, 0.95), (0.9, 1), (0.84, 1), (0.84, 0.975), (0, 0.975))
JAR: Profile = ((0, 0), (0.94, 0), (1, 0.04), (1, 0.7), (0.82, 0.82), (0.82, 1), (0, 1))
BOTTLE: Profile = (
    (0, 0),
    (0.92, 0),
    (1, 0.03),
    (1, 0.56),
    (0.96, 0.64),
    (0.7, 0.74),
    (0.42, 0.81),
    (0.36, 0.87),
    (0.36, 0.93),
    (0, 0.93),
)
BOTTLE_SLIM: Profile = ((0, 0), (0.95, 0), (1, 0.02), (1, 0.68), (0.9, 0.78), (0.45, 0.9), (0.42, 0.94), (0, 0.94))
MUG: Profile = ((0, 0), (0.92, 0), (1, 0.05), (1, 1), (0.88, 1), (0.88, 0.09), (0, 0.09))
CUP: Profile = ((0, 0), (0.68, 0), (0.7, 0.03), (1, 1), (0.93, 1), (0.64, 0.08), (0, 0.08))
BOWL: Profile = (
    (0, 0),
    (0.45, 0),
    (0.48, 0.06),
    (0.7, 0.22),
    (0.88, 0.5),
    (0.97, 0.8),
    (1, 1),
    (0.94, 1),
    (0.9, 0.8),
    (0.8, 0.52),
    (0.63, 0.29),
    (0.4, 0.17),
    (0, 0.15),
)
PLATE: Profile = ((0, 0), (0.6, 0), (0.66, 0.25), (1, 0.85), (0.985, 1), (0.62, 0.45), (0, 0.42))
VASE: Profile = (
    (0, 0),
    (0.55, 0),
    (0.6, 0.03),
    (0.9, 0.22),
    (1, 0.42),
    (0.88, 0.62),
    (0.55, 0.84),
    (0.52, 0.92),
    (0.66, 1),
    (0.58, 1),
    (0.45, 0.92),
    (0.48, 0.84),
    (0.5, 0.7),
    (0, 0.68),
)
POT: Profile = ((0, 0), (0.7, 0), (0.95, 0.82), (1, 0.84), (1, 1), (0.9, 1), (0.88, 0.86), (0, 0.86))
SHADE: Profile = ((0, 0), (1, 0), (0.62, 1), (0, 1))
BIN: Profile = ((0, 0), (0.78, 0), (0.8, 0.02), (1, 1), (0.95, 1), (0.74, 0.04), (0, 0.04))
PEAR: Profile = ((0, 0), (0.5, 0.02), (0.92, 0.2), (1, 0.36), (0.85, 0.55), (0.5, 0.78), (0.3, 0.92), (0, 1))


def _legs(thickness_x: float, thickness_y: float, top: float, material: str = "frame") -> tuple[Part, ...]:
    """Four upright legs in the corners of the unit box, from the floor to ``top``."""
    parts = []
    for sx in (-1, 1):
        for sy in (-1, 1):
            x = (sx * 0.5, sx * (0.5 - thickness_x))
            y = (sy * 0.5, sy * (0.5 - thickness_y))
            parts.append(Part(kind="box", low=(min(x), min(y), 0), high=(max(x), max(y), top), material=material))
    return tuple(parts)


def _boards(count: int, thickness: float) -> tuple[Part, ...]:
    """Level boards of a shelf between its sides."""
    heights = np.linspace(0.03, 1.0, count)
    return tuple(
        Part(kind="box", low=(-0.47, -0.5, float(h - thickness)), high=(0.47, 0.5, float(h)), texture="wood")
        for h in heights
    )


def _shelf_surfaces(count: int, thickness: float) -> tuple[Surface, ...]:
    """Places on the boards of ``_boards``; the top board is open."""
    heights = np.linspace(0.03, 1.0, count)
    gap = float(heights[1] - heights[0]) - thickness
    inner = tuple(Surface(height=float(h), low=(-0.44, -0.46), high=(0.44, 0.42), clearance=gap) for h in heights[:-1])
    return (*inner, Surface(height=1.0, low=(-0.44, -0.46), high=(0.44, 0.42)))


def _leaves(count: int, low: float, high: float) -> tuple[Part, ...]:
    """A crown of leaves: tilted ellipsoids around the axis, over a core."""
    crown = [
        Part(kind="ellipsoid", low=(-0.32, -0.32, low + 0.12), high=(0.32, 0.32, high), material="leaf", solid=False)
    ]
    for k in range(count):
        angle = 2 * np.pi * k / count
        x, y = 0.27 * np.cos(angle), 0.27 * np.sin(angle)
        z = low + 0.05 + (high - low - 0.35) * ((k * 0.618) % 1.0)
        crown.append(
            Part(
                kind="ellipsoid",
                low=(x - 0.22, y - 0.08, z),
                high=(x + 0.22, y + 0.08, z + 0.3),
                material="leaf",
                tilt_deg=28.0,
                turn_deg=float(np.degrees(angle)),
                solid=False,
            )
        )
    return tuple(crown)


WOODS = ("oak", "walnut", "birch")
BODY_LABEL: Mapping[str, tuple[str, ...]] = MappingProxyType({"body": VIVID, "lid": ("white", "black", "red", "blue")})


def all_entries() -> tuple[Category, ...]:
    """The basic categories."""
    body = MappingProxyType({"body": VIVID})
    return (
        Category(
            name="box",
            width_m=(0.08, 0.22),
            depth_share=(0.45, 1.0),
            height_share=(0.3, 1.1),
            stackable=True,
            lies=0.1,
            variants=((Part(kind="box"),), (Part(kind="box", texture="stripes"),)),
            density=250,
            materials=body,
        ),
        Category(
            name="carton",
            width_m=(0.06, 0.1),
            depth_share=(0.65, 1.0),
            height_m=(0.16, 0.26),
            lies=0.25,
            density=500,
            variants=((Part(kind="box", texture="print"),),),
            materials=body,
        ),
        Category(
            name="cereal box",
            width_m=(0.15, 0.2),
            depth_m=(0.045, 0.075),
            height_m=(0.22, 0.31),
            lies=0.4,
            variants=((Part(kind="box", texture="print"),),),
            density=180,
            stackable=True,
            materials=body,
        ),
        Category(
            name="parcel",
            width_m=(0.16, 0.32),
            depth_share=(0.6, 0.95),
            height_share=(0.3, 0.7),
            stackable=True,
            variants=(
                (
                    Part(kind="box"),
                    Part(
                        kind="box", low=(-0.5005, -0.08, 0.0), high=(0.5005, 0.08, 1.003), material="tape", solid=False
                    ),
                ),
            ),
            materials=MappingProxyType({"body": ("cardboard",), "tape": ("birch",)}),
            density=200,
        ),
        Category(
            name="book",
            shape="flat",
            width_m=(0.13, 0.22),
            depth_share=(1.25, 1.5),
            height_m=(0.012, 0.05),
            symmetry="half_turn",
            variants=(
                (
                    Part(kind="box", low=(-0.5, -0.5, 0.0), high=(0.5, 0.5, 0.08), texture="print"),
                    Part(kind="box", low=(-0.49, -0.48, 0.08), high=(0.48, 0.48, 0.92), material="pages"),
                    Part(kind="box", low=(-0.5, -0.5, 0.08), high=(-0.485, 0.5, 0.92)),
                    Part(kind="box", low=(-0.5, -0.5, 0.92), high=(0.5, 0.5, 1.0), texture="print"),
                ),
            ),
            materials=MappingProxyType({"body": VIVID, "pages": ("paper",)}),
            stackable=True,
            density=700,
        ),
        Category(
            name="can",
            shape="cylinder",
            width_m=(0.052, 0.085),
            height_m=(0.08, 0.16),
            symmetry="round",
            lies=0.15,
            variants=((Part(kind="lathe", profile=CAN, texture="label"),), (Part(kind="lathe", profile=CAN),)),
            density=900,
            materials=body,
            stackable=True,
        ),
        Category(
            name="jar",
            shape="cylinder",
            width_m=(0.06, 0.1),
            height_m=(0.08, 0.15),
            symmetry="round",
            density=900,
            variants=(
                (
                    Part(kind="lathe", profile=JAR, high=(0.5, 0.5, 0.86), texture="label"),
                    Part(kind="cylinder", low=(-0.44, -0.44, 0.84), high=(0.44, 0.44, 1.0), material="lid"),
                ),
            ),
            materials=BODY_LABEL,
        ),
        Category(
            name="bottle",
            shape="cylinder",
            width_m=(0.06, 0.09),
            height_m=(0.19, 0.3),
            symmetry="round",
            lies=0.2,
            variants=(
                (
                    Part(kind="lathe", profile=BOTTLE, texture="label"),
                    Part(kind="cylinder", low=(-0.2, -0.2, 0.9), high=(0.2, 0.2, 1.0), material="lid"),
                ),
                (
                    Part(kind="lathe", profile=BOTTLE_SLIM, texture="label"),
                    Part(kind="cylinder", low=(-0.24, -0.24, 0.92), high=(0.24, 0.24, 1.0), material="lid"),
                ),
            ),
            density=800,
            materials=BODY_LABEL,
        ),
        Category(
            name="mug",
            shape="cylinder",
            width_m=(0.105, 0.13),
            depth_share=(0.72, 0.72),
            height_share=(0.72, 0.9),
            symmetry="none",
            variants=(
                (
                    Part(kind="lathe", profile=MUG, low=(-0.5, -0.5, 0), high=(0.22, 0.5, 1)),
                    Part(kind="ring", low=(0.1, -0.07, 0.2), high=(0.5, 0.07, 0.8), solid=False),
                ),
            ),
            density=900,
            holds=True,
            materials=body,
        ),
        Category(
            name="cup",
            shape="cylinder",
            width_m=(0.07, 0.095),
            height_share=(1.0, 1.4),
            symmetry="round",
            density=600,
            variants=((Part(kind="lathe", profile=CUP),),),
            materials=body,
        ),
        Category(
            name="bowl",
            shape="bowl",
            width_m=(0.13, 0.22),
            height_share=(0.38, 0.5),
            symmetry="round",
            holds=True,
            density=900,
            variants=((Part(kind="lathe", profile=BOWL),),),
            materials=body,
        ),
        Category(
            name="plate",
            shape="flat",
            width_m=(0.18, 0.27),
            height_share=(0.09, 0.13),
            symmetry="round",
            density=1200,
            variants=((Part(kind="lathe", profile=PLATE),),),
            materials=body,
        ),
        Category(
            name="ball",
            shape="ball",
            width_m=(0.06, 0.13),
            symmetry="round",
            density=200,
            variants=((Part(kind="ellipsoid"),), (Part(kind="ellipsoid", texture="stripes"),)),
            materials=body,
        ),
        Category(
            name="apple",
            shape="ball",
            width_m=(0.065, 0.085),
            height_share=(0.88, 0.96),
            symmetry="round",
            density=600,
            variants=((Part(kind="ellipsoid"),),),
            materials=MappingProxyType({"body": ("red", "green")}),
        ),
        Category(
            name="orange",
            shape="ball",
            width_m=(0.065, 0.09),
            symmetry="round",
            density=600,
            variants=((Part(kind="ellipsoid"),),),
            materials=MappingProxyType({"body": ("orange",)}),
        ),
        Category(
            name="vase",
            shape="cylinder",
            width_m=(0.09, 0.15),
            height_share=(1.5, 2.1),
            symmetry="round",
            density=900,
            variants=((Part(kind="lathe", profile=VASE),),),
            materials=body,
        ),
        Category(
            name="plant",
            shape="cylinder",
            width_m=(0.16, 0.24),
            height_share=(1.2, 1.6),
            symmetry="round",
            density=500,
            variants=(
                (
                    Part(kind="lathe", profile=POT, low=(-0.32, -0.32, 0), high=(0.32, 0.32, 0.42)),
                    Part(
                        kind="cylinder", low=(-0.27, -0.27, 0.3), high=(0.27, 0.27, 0.38), material="soil", solid=False
                    ),
                    *_leaves(7, 0.38, 1.0),
                ),
            ),
            materials=MappingProxyType(
                {"leaf": ("leaf",), "body": ("orange", "white", "gray", "brown"), "soil": ("soil",)}
            ),
            stands_on=("table", "shelf"),
        ),
        Category(
            name="lamp",
            width_m=(0.2, 0.28),
            height_share=(1.5, 1.9),
            symmetry="round",
            shape="cylinder",
            density=500,
            variants=(
                (
                    Part(kind="cylinder", low=(-0.3, -0.3, 0), high=(0.3, 0.3, 0.05), material="frame"),
                    Part(kind="cylinder", low=(-0.04, -0.04, 0.05), high=(0.04, 0.04, 0.62), material="frame"),
                    Part(kind="lathe", profile=SHADE, low=(-0.5, -0.5, 0.6), high=(0.5, 0.5, 1)),
                ),
            ),
            materials=MappingProxyType({"body": ("white", "yellow", "red", "blue"), "frame": ("steel", "black")}),
        ),
        Category(
            name="monitor",
            width_m=(0.46, 0.58),
            depth_m=(0.16, 0.2),
            height_share=(0.74, 0.8),
            symmetry="none",
            density=250,
            variants=(
                (
                    Part(kind="box", low=(-0.22, -0.5, 0), high=(0.22, 0.5, 0.03)),
                    Part(kind="box", low=(-0.05, 0.05, 0.03), high=(0.05, 0.25, 0.5)),
                    Part(kind="box", low=(-0.5, -0.16, 0.24), high=(0.5, 0.06, 1.0)),
                    Part(
                        kind="box",
                        low=(-0.485, -0.18, 0.27),
                        high=(0.485, -0.16, 0.98),
                        material="screen",
                        texture="screen",
                        solid=False,
                    ),
                ),
            ),
            materials=MappingProxyType({"body": ("black", "gray", "white"), "screen": ("screen",)}),
            stands_on=("table",),
        ),
        Category(
            name="laptop",
            width_m=(0.29, 0.35),
            depth_share=(0.9, 0.98),
            height_share=(0.6, 0.66),
            symmetry="none",
            density=600,
            variants=(
                (
                    Part(kind="box", low=(-0.5, -0.5, 0), high=(0.5, 0.25, 0.07)),
                    Part(kind="box", low=(-0.44, -0.2, 0.07), high=(0.44, 0.18, 0.075), material="screen", solid=False),
                    Part(kind="box", low=(-0.5, 0.33, 0.0), high=(0.5, 0.37, 1.0), tilt_deg=0),
                    Part(kind="box", low=(-0.5, 0.2, 0.0), high=(0.5, 0.37, 0.06)),
                    Part(
                        kind="box",
                        low=(-0.47, 0.325, 0.1),
                        high=(0.47, 0.33, 0.96),
                        material="screen",
                        texture="screen",
                        solid=False,
                    ),
                ),
            ),
            materials=MappingProxyType({"body": ("gray", "black", "white"), "screen": ("screen",)}),
            stands_on=("table",),
        ),
        Category(
            name="keyboard",
            shape="flat",
            width_m=(0.36, 0.45),
            depth_m=(0.12, 0.16),
            height_m=(0.018, 0.03),
            density=600,
            variants=(
                (
                    Part(kind="box", high=(0.5, 0.5, 0.7)),
                    *(
                        Part(
                            kind="box",
                            low=(-0.47, -0.42 + 0.22 * r, 0.7),
                            high=(0.47, -0.25 + 0.22 * r, 1.0),
                            material="keys",
                        )
                        for r in range(4)
                    ),
                ),
            ),
            materials=MappingProxyType({"body": ("black", "white", "gray"), "keys": ("charcoal", "white")}),
            stands_on=("table",),
        ),
        Category(
            name="pear",
            shape="ball",
            width_m=(0.065, 0.08),
            height_share=(1.25, 1.5),
            symmetry="round",
            density=600,
            lies=1.0,
            variants=((Part(kind="lathe", profile=PEAR),),),
            materials=MappingProxyType({"body": ("yellow", "green")}),
        ),
        # --- furniture -----------------------------------------------------------------------------------------------
        Category(
            name="table",
            role="furniture",
            width_m=(1.0, 1.6),
            depth_m=(0.65, 0.9),
            height_m=(0.7, 0.76),
            stands_on=("floor",),
            variants=(
                (
                    Part(kind="box", low=(-0.5, -0.5, 0.95), high=(0.5, 0.5, 1), texture="wood"),
                    *_legs(0.045, 0.075, 0.95),
                ),
                (
                    Part(kind="box", low=(-0.5, -0.5, 0.95), high=(0.5, 0.5, 1), texture="wood"),
                    Part(kind="box", low=(-0.46, -0.42, 0.84), high=(0.46, 0.42, 0.95), material="frame"),
                    *_legs(0.06, 0.1, 0.95),
                ),
            ),
            materials=MappingProxyType(
                {"body": (*WOODS, "white", "gray"), "frame": ("steel", "walnut", "black", "white")}
            ),
            surfaces=(Surface(low=(-0.46, -0.44), high=(0.46, 0.44)),),
        ),
        Category(
            name="desk",
            role="furniture",
            width_m=(1.1, 1.5),
            depth_m=(0.6, 0.75),
            height_m=(0.71, 0.75),
            stands_on=("wall",),
            variants=(
                (
                    Part(kind="box", low=(-0.5, -0.5, 0.96), high=(0.5, 0.5, 1), texture="wood"),
                    Part(kind="box", low=(-0.5, -0.46, 0), high=(-0.47, 0.46, 0.96), texture="wood"),
                    Part(kind="box", low=(0.2, -0.46, 0.0), high=(0.5, 0.46, 0.96), texture="wood"),
                    Part(kind="box", low=(0.22, -0.47, 0.5), high=(0.48, -0.46, 0.9), material="front"),
                    Part(kind="box", low=(0.22, -0.47, 0.06), high=(0.48, -0.46, 0.46), material="front"),
                ),
            ),
            materials=MappingProxyType({"body": (*WOODS, "white"), "front": ("white", "gray", "birch")}),
            symmetry="none",
            surfaces=(Surface(low=(-0.46, -0.42), high=(0.46, 0.42)),),
        ),
        Category(
            name="chair",
            role="furniture",
            width_m=(0.4, 0.48),
            depth_share=(1.0, 1.1),
            height_m=(0.82, 0.95),
            symmetry="none",
            stands_on=("floor",),
            variants=(
                (
                    Part(kind="box", low=(-0.5, -0.5, 0.48), high=(0.5, 0.5, 0.53)),
                    *_legs(0.09, 0.09, 0.48),
                    Part(kind="box", low=(-0.5, 0.42, 0.53), high=(-0.41, 0.5, 1), material="frame"),
                    Part(kind="box", low=(0.41, 0.42, 0.53), high=(0.5, 0.5, 1), material="frame"),
                    Part(kind="box", low=(-0.41, 0.43, 0.68), high=(0.41, 0.49, 0.98)),
                ),
                (
                    Part(kind="box", low=(-0.5, -0.5, 0.46), high=(0.5, 0.5, 0.55)),
                    *_legs(0.08, 0.08, 0.46),
                    Part(kind="box", low=(-0.5, 0.4, 0.55), high=(0.5, 0.5, 1)),
                ),
            ),
            materials=MappingProxyType({"body": (*VIVID, "oak"), "frame": ("steel", "walnut", "black")}),
            surfaces=(Surface(height=0.53, low=(-0.4, -0.4), high=(0.4, 0.3), clearance=0.3),),
        ),
        Category(
            name="stool",
            role="furniture",
            shape="cylinder",
            width_m=(0.32, 0.4),
            height_m=(0.42, 0.65),
            symmetry="quarter_turn",
            stands_on=("floor",),
            variants=(
                (
                    Part(kind="cylinder", low=(-0.5, -0.5, 0.9), high=(0.5, 0.5, 1.0)),
                    *(
                        Part(kind="box", low=(x - 0.05, y - 0.05, 0), high=(x + 0.05, y + 0.05, 0.9), material="frame")
                        for x in (-0.27, 0.27)
                        for y in (-0.27, 0.27)
                    ),
                ),
            ),
            materials=MappingProxyType({"body": (*VIVID, "oak"), "frame": ("steel", "walnut")}),
            surfaces=(Surface(low=(-0.3, -0.3), high=(0.3, 0.3)),),
        ),
        Category(
            name="shelf",
            role="furniture",
            width_m=(0.7, 1.1),
            depth_m=(0.28, 0.38),
            height_m=(1.2, 1.8),
            stands_on=("wall",),
            symmetry="none",
            variants=(
                (
                    Part(kind="box", low=(-0.5, -0.5, 0), high=(-0.47, 0.5, 1), texture="wood"),
                    Part(kind="box", low=(0.47, -0.5, 0), high=(0.5, 0.5, 1), texture="wood"),
                    Part(kind="box", low=(-0.47, 0.47, 0), high=(0.47, 0.5, 1), texture="wood"),
                    *_boards(5, 0.018),
                ),
            ),
            materials=MappingProxyType({"body": (*WOODS, "white")}),
            surfaces=_shelf_surfaces(5, 0.018),
        ),
        Category(
            name="cabinet",
            role="furniture",
            width_m=(0.6, 1.0),
            depth_m=(0.36, 0.48),
            height_m=(0.7, 1.0),
            stands_on=("wall",),
            variants=(
                (
                    Part(kind="box", texture="wood", low=(-0.5, -0.47, 0), high=(0.5, 0.5, 1)),
                    Part(kind="box", low=(-0.485, -0.495, 0.06), high=(-0.01, -0.47, 0.96), material="front"),
                    Part(kind="box", low=(0.01, -0.495, 0.06), high=(0.485, -0.47, 0.96), material="front"),
                    Part(kind="box", low=(-0.05, -0.5, 0.6), high=(-0.03, -0.495, 0.75), material="knob"),
                    Part(kind="box", low=(0.03, -0.5, 0.6), high=(0.05, -0.495, 0.75), material="knob"),
                ),
            ),
            materials=MappingProxyType(
                {"body": (*WOODS, "white"), "front": ("white", "birch", "gray"), "knob": ("steel",)}
            ),
            symmetry="none",
            surfaces=(Surface(low=(-0.46, -0.42), high=(0.46, 0.44)),),
        ),
        Category(
            name="sofa",
            role="furniture",
            width_m=(1.4, 1.9),
            depth_m=(0.8, 0.95),
            height_m=(0.75, 0.88),
            stands_on=("wall",),
            symmetry="none",
            variants=(
                (
                    Part(kind="box", low=(-0.5, -0.5, 0.05), high=(0.5, 0.5, 0.35)),
                    Part(kind="box", low=(-0.5, -0.5, 0.35), high=(-0.4, 0.5, 0.7)),
                    Part(kind="box", low=(0.4, -0.5, 0.35), high=(0.5, 0.5, 0.7)),
                    Part(kind="box", low=(-0.4, 0.22, 0.35), high=(0.4, 0.5, 1.0)),
                    Part(kind="box", low=(-0.395, -0.48, 0.35), high=(-0.005, 0.22, 0.52)),
                    Part(kind="box", low=(0.005, -0.48, 0.35), high=(0.395, 0.22, 0.52)),
                    *_legs(0.04, 0.06, 0.05),
                ),
            ),
            materials=MappingProxyType({"body": ("gray", "blue", "green", "red", "brown"), "frame": ("walnut",)}),
        ),
        Category(
            name="floor lamp",
            role="furniture",
            shape="cylinder",
            width_m=(0.32, 0.42),
            height_m=(1.35, 1.65),
            symmetry="round",
            stands_on=("wall",),
            variants=(
                (
                    Part(kind="cylinder", low=(-0.38, -0.38, 0), high=(0.38, 0.38, 0.02), material="frame"),
                    Part(kind="cylinder", low=(-0.035, -0.035, 0.02), high=(0.035, 0.035, 0.82), material="frame"),
                    Part(kind="lathe", profile=SHADE, low=(-0.5, -0.5, 0.8), high=(0.5, 0.5, 1)),
                ),
            ),
            materials=MappingProxyType({"body": ("shade", "white", "red"), "frame": ("steel", "black")}),
        ),
        Category(
            name="potted plant",
            role="furniture",
            shape="cylinder",
            width_m=(0.4, 0.6),
            height_share=(1.5, 2.1),
            symmetry="round",
            stands_on=("floor", "wall"),
            variants=(
                (
                    Part(kind="lathe", profile=POT, low=(-0.32, -0.32, 0), high=(0.32, 0.32, 0.34)),
                    Part(
                        kind="cylinder", low=(-0.27, -0.27, 0.25), high=(0.27, 0.27, 0.3), material="soil", solid=False
                    ),
                    Part(kind="cylinder", low=(-0.03, -0.03, 0.3), high=(0.03, 0.03, 0.6), material="soil"),
                    *_leaves(11, 0.36, 1.0),
                ),
            ),
            materials=MappingProxyType(
                {"leaf": ("leaf",), "body": ("white", "gray", "orange", "black"), "soil": ("soil",)}
            ),
        ),
        Category(
            name="bin",
            role="furniture",
            shape="cylinder",
            width_m=(0.24, 0.32),
            height_share=(1.1, 1.4),
            symmetry="round",
            stands_on=("floor", "wall"),
            variants=((Part(kind="lathe", profile=BIN),),),
            holds=True,
            materials=MappingProxyType({"body": ("gray", "black", "blue", "white", "green")}),
        ),
    )


BASIC: tuple[Category, ...] = all_entries()
RICH: tuple[Category, ...] = (*BASIC, *more_objects(), *more_furniture())
CATALOGUE: Mapping[str, Category] = MappingProxyType({entry.name: entry for entry in RICH})
"""Every category by name."""


def categories(role: str, place: str | None = None, *, rich: bool = False) -> tuple[Category, ...]:
    """The categories of a role, in catalogue order.

    Args:
        role: "object" or "furniture".
        place: only those that stand there ("table", "shelf", "floor", "wall"); None: all.
        rich: whether those of the rich catalogue count, too.

    Returns:
        The entries.
    """
    entries = RICH if rich else BASIC
    return tuple(c for c in entries if c.role == role and (place is None or place in c.stands_on))
