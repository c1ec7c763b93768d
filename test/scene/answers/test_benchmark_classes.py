"""Random scenes of true boxes, asked in the classes of N3D-Bench; the truth comes from a few lines of numpy.

The truth is written from the description of the benchmark alone (spec n3d_vlm c and d), in the model's own axes:
x left, y up, z forward, boxes along these axes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from n3d_ros.geometry.arrays import FloatArray
from n3d_ros.scene.query import answer
from n3d_ros.scene.scene import Scene
from n3d_ros.scene.spatial_answer import SpatialAnswer, SpatialQuery
from scene.answers.asking import OPTICAL_T_VIEWER, known, scene_of

NAMES = ("mug", "chair", "lamp", "dog", "sofa", "bottle", "backpack", "bicycle")
ROUNDS = 12  # scenes per class; every template is asked of each
SHARE = 0.98


@dataclass(frozen=True)
class Three:
    """Three things: names, centres and sizes in the model's axes."""

    names: tuple[str, str, str]
    centers: FloatArray
    sizes: FloatArray

    def index(self, got: SpatialAnswer) -> int | None:
        """Which of the three an answer names."""
        found = [k for k, name in enumerate(self.names) if isinstance(got.value, str) and name in got.value.split()]
        return found[0] if len(found) == 1 else None


def three_things(rng: np.random.Generator) -> tuple[Three, Scene]:
    """Random things and the scene with them, in the camera's optical frame (x right, y down, z forward)."""
    a, b, c = rng.choice(NAMES, 3, replace=False)
    centers = np.column_stack([rng.uniform(-2, 2, 3), rng.uniform(-1, 1, 3), rng.uniform(1, 6, 3)])
    sizes = rng.uniform(0.1, 1.5, (3, 3))
    things = Three((str(a), str(b), str(c)), centers, sizes)
    objects = (known(k + 1, name, centers[k] * [-1, -1, 1], sizes[k]) for k, name in enumerate(things.names))
    return things, scene_of(*objects)


Truth = Callable[[Three], Any]
Given = Callable[[Three, SpatialAnswer], Any]


def yes(_: Three, got: SpatialAnswer) -> Any:
    return got.value


def number(_: Three, got: SpatialAnswer) -> Any:
    return round(float(got.value), 9) if isinstance(got.value, float) else None


def word(_: Three, got: SpatialAnswer) -> Any:
    return got.value


def hour(_: Three, got: SpatialAnswer) -> Any:
    return got.clock_hour


def name(things: Three, got: SpatialAnswer) -> Any:
    return things.index(got)


def order(_: Three, got: SpatialAnswer) -> Any:
    return tuple(number - 1 for number in got.object_ids)


def clock(d: FloatArray) -> int:
    """Spec c: theta = atan2(dx, dz) in [0, 360), hour = 12 - floor(theta / 30), 1 to 12."""
    theta = np.degrees(np.arctan2(d[0], d[2])) % 360
    return int(12 - np.floor(theta / 30) - 1) % 12 + 1


def nearest(t: Three) -> int:
    return int(np.argmin(t.centers[:, 2]))


def closer_to_c(t: Three) -> int:
    return int(np.argmin(np.linalg.norm(t.centers[:2] - t.centers[2], axis=1)))


def apart(t: Three, axes: list[int]) -> float:
    return round(float(np.linalg.norm((t.centers[0] - t.centers[1])[axes])), 9)


# class: (question, what is read off the answer, truth); A, B, C are the things
CLASSES: dict[str, list[tuple[str, Given, Truth]]] = {
    "left/right": [
        ("Is the A to the left of the B?", yes, lambda t: t.centers[0, 0] > t.centers[1, 0]),
        ("Is the A on the right side of the B?", yes, lambda t: t.centers[0, 0] < t.centers[1, 0]),
        ("Is the A left or right of the B?", word, lambda t: "left" if t.centers[0, 0] > t.centers[1, 0] else "right"),
        ("Which one is further left, the A or the B?", name, lambda t: int(np.argmax(t.centers[:2, 0]))),
        ("Does the A appear on the left-hand side of the B?", yes, lambda t: t.centers[0, 0] > t.centers[1, 0]),
    ],
    "left/right from the opposite side": [
        ("For someone facing the camera, is the A left of the B?", yes, lambda t: t.centers[0, 0] < t.centers[1, 0]),
        ("From the opposite side, is the A to the right of the B?", yes, lambda t: t.centers[0, 0] > t.centers[1, 0]),
        ("Is the A behind the B when seen from the opposite side?", yes, lambda t: t.centers[0, 2] < t.centers[1, 2]),
    ],
    "front/behind": [
        ("Is the A in front of the B?", yes, lambda t: t.centers[0, 2] < t.centers[1, 2]),
        ("Is the A behind the B?", yes, lambda t: t.centers[0, 2] > t.centers[1, 2]),
        ("Which is closer to the camera, the A or the B?", name, lambda t: int(np.argmin(t.centers[:2, 2]))),
    ],
    "above/below": [
        ("Is the A above the B?", yes, lambda t: t.centers[0, 1] > t.centers[1, 1]),
        ("Is the A below the B?", yes, lambda t: t.centers[0, 1] < t.centers[1, 1]),
        ("Which is higher, the A or the B?", name, lambda t: int(np.argmax(t.centers[:2, 1]))),
    ],
    "wide/thin": [
        ("Is the A wider than the B?", yes, lambda t: t.sizes[0, 0] > t.sizes[1, 0]),
        ("Is the A thinner than the B?", yes, lambda t: t.sizes[0, 0] < t.sizes[1, 0]),
        ("Which one is wider, the A or the B?", name, lambda t: int(np.argmax(t.sizes[:2, 0]))),
    ],
    "tall/short": [
        ("Is the A taller than the B?", yes, lambda t: t.sizes[0, 1] > t.sizes[1, 1]),
        ("Does the A have a smaller height compared to the B?", yes, lambda t: t.sizes[0, 1] < t.sizes[1, 1]),
        ("Which is shorter, the A or the B?", name, lambda t: int(np.argmin(t.sizes[:2, 1]))),
    ],
    "big/small": [
        ("Is the A bigger than the B?", yes, lambda t: t.sizes[0].prod() > t.sizes[1].prod()),
        ("Is the A smaller than the B?", yes, lambda t: t.sizes[0].prod() < t.sizes[1].prod()),
        ("Who is larger, the A or the B?", name, lambda t: int(np.argmax(t.sizes[:2].prod(axis=1)))),
    ],
    "distance": [
        ("How far is the A from the B?", number, lambda t: apart(t, [0, 1, 2])),
        ("What is the distance between the A and the B?", number, lambda t: apart(t, [0, 1, 2])),
        ("How far apart are the A and the B?", number, lambda t: apart(t, [0, 1, 2])),
    ],
    "horizontal and vertical distance": [
        ("What is the horizontal distance between the A and the B?", number, lambda t: apart(t, [0, 2])),
        ("What is the vertical distance between the A and the B?", number, lambda t: apart(t, [1])),
        ("How far is the A from the B horizontally?", number, lambda t: apart(t, [0, 2])),
        ("How far apart are the A and the B vertically?", number, lambda t: apart(t, [1])),
    ],
    "width, height, depth": [
        ("How wide is the A?", number, lambda t: round(t.sizes[0, 0], 9)),
        ("What is the height of the A?", number, lambda t: round(t.sizes[0, 1], 9)),
        ("How deep is the A?", number, lambda t: round(t.sizes[0, 2], 9)),
        ("Give me the width of the A.", number, lambda t: round(t.sizes[0, 0], 9)),
    ],
    "clock direction": [
        ("At what o'clock is the B from the A?", hour, lambda t: clock(t.centers[1] - t.centers[0])),
        ("If you are at the A, at what o'clock is the B?", hour, lambda t: clock(t.centers[1] - t.centers[0])),
        ("If you are at the A, where will you find the B?", hour, lambda t: clock(t.centers[1] - t.centers[0])),
        ("In which clock direction is the B from the A?", hour, lambda t: clock(t.centers[1] - t.centers[0])),
    ],
    "relative distance": [
        ("Which is closer to the C, the A or the B?", name, closer_to_c),
        ("Is the A closer to the C than the B?", yes, lambda t: closer_to_c(t) == 0),
        ("Which one is farther from the C, the A or the B?", name, lambda t: 1 - closer_to_c(t)),
    ],
    "depth order": [
        ("What is the depth order of the A, the B and the C?", order, lambda t: tuple(np.argsort(t.centers[:, 2]))),
        ("Sort the A, the B and the C from nearest to farthest.", order, lambda t: tuple(np.argsort(t.centers[:, 2]))),
        ("List all objects from farthest to nearest.", order, lambda t: tuple(np.argsort(-t.centers[:, 2]))),
    ],
    "furthest and nearest": [
        ("Which object is the furthest away?", name, lambda t: int(np.argmax(t.centers[:, 2]))),
        ("What is the nearest object?", name, nearest),
        ("Which object is closest to the camera?", name, nearest),
        ("Which of the A, the B and the C is the farthest?", name, lambda t: int(np.argmax(t.centers[:, 2]))),
    ],
}  # fmt: skip


def asked(rng: np.random.Generator, template: str, given: Given, truth: Truth) -> Iterator[tuple[str, Any, Any, str]]:
    """The question in words, what was answered, what is true, and the answer's text, for each of many scenes."""
    for _ in range(ROUNDS):
        things, scene = three_things(rng)
        words = template
        for letter, called in zip("ABC", things.names, strict=True):
            words = words.replace(f"the {letter}", f"the {called}")
        got = answer(scene, SpatialQuery(text=words, viewpoint=OPTICAL_T_VIEWER, open_vocabulary=True))
        yield words, given(things, got), truth(things), got.text


@pytest.mark.parametrize("kind", CLASSES)
def test_true_boxes_give_true_answers(kind: str) -> None:
    rng = np.random.default_rng(20260110)
    rows = [row for template in CLASSES[kind] for row in asked(rng, *template)]
    wrong = [row for row in rows if row[1] != row[2]]
    assert len(wrong) <= (1 - SHARE) * len(rows), f"{len(wrong)} of {len(rows)} wrong, first: {wrong[:3]}"
