"""Colour and shape words."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from numpy.typing import NDArray

from n3d_ros.errors import InputError
from n3d_ros.refine import COLOR_WORDS, SHAPE_WORDS, color_name, fit_box, shape_word
from refine.refine_raycast import Camera, Solid, object_points, render

PAINTS = {
    "red": (200, 25, 30),
    "orange": (240, 140, 20),
    "yellow": (240, 210, 30),
    "green": (40, 150, 50),
    "cyan": (20, 190, 200),
    "blue": (30, 60, 190),
    "purple": (120, 40, 170),
    "pink": (240, 130, 180),
    "brown": (110, 65, 35),
    "black": (20, 20, 22),
    "grey": (120, 122, 120),
    "white": (235, 235, 232),
}


def shaded(paint: tuple[int, int, int], count: int = 2000, low: float = 0.65, seed: int = 0) -> NDArray[np.uint8]:
    """Pixels of one paint in light and shadow, with camera noise."""
    rng = np.random.default_rng(seed)
    light = rng.uniform(low, 1.0, (count, 1))
    return np.clip(np.array(paint) * light + rng.normal(0, 4, (count, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("word", list(PAINTS))
def test_every_colour_word_is_found_under_shading_and_noise(word: str) -> None:
    assert color_name(shaded(PAINTS[word], low=0.75)) == word


def test_all_colour_words_are_tested() -> None:
    assert set(PAINTS) == set(COLOR_WORDS)


@pytest.mark.parametrize("word", ["red", "green", "blue"])
def test_highlights_do_not_make_a_coloured_object_white(word: str) -> None:
    pixels = np.concatenate([shaded(PAINTS[word], 1600), np.full((350, 3), 252, np.uint8)])
    assert color_name(pixels) == word


def test_a_white_object_half_in_shadow_is_white() -> None:
    assert color_name(shaded(PAINTS["white"], low=0.7)) == "white"


def test_two_large_colours_are_both_named_the_larger_first() -> None:
    pixels = np.concatenate([shaded(PAINTS["red"], 1200), shaded(PAINTS["white"], 800)])
    assert color_name(pixels) == "red and white"


def test_a_small_label_does_not_name_a_second_colour() -> None:
    assert color_name(np.concatenate([shaded(PAINTS["blue"], 1700), shaded(PAINTS["yellow"], 300)])) == "blue"


def test_many_colours_have_no_name() -> None:
    parts = ["red", "yellow", "green", "blue", "white", "black"]
    assert color_name(np.concatenate([shaded(PAINTS[word], 300) for word in parts])) is None


def test_too_few_pixels_have_no_name() -> None:
    assert color_name(np.zeros((3, 3), np.uint8)) is None


def test_pixels_of_another_type_are_refused() -> None:
    with pytest.raises(InputError, match="uint8"):
        color_name(np.zeros((30, 3), np.float32))


def test_a_darker_light_keeps_the_word() -> None:
    for hue in (0.33, 0.6, 0.75):
        bright = tuple(int(255 * c) for c in colorsys.hsv_to_rgb(hue, 0.8, 0.9))
        dim = tuple(int(255 * c) for c in colorsys.hsv_to_rgb(hue, 0.8, 0.45))
        assert color_name(shaded(bright)) == color_name(shaded(dim))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "size", "word"),
    [
        ("box", (0.15, 0.1, 0.12), "box"),
        ("box", (0.2, 0.15, 0.025), "flat"),
        ("cylinder", (0.08, 0.08, 0.13), "cylinder"),
        ("cylinder", (0.2, 0.2, 0.02), "flat"),
        ("lying", (0.18, 0.08, 0.08), "cylinder"),
        ("ball", (0.11, 0.11, 0.11), "ball"),
        ("bowl", (0.18, 0.18, 0.09), "bowl"),
    ],
)
def test_shapes_are_named_from_noisy_views(kind: str, size: tuple[float, float, float], word: str) -> None:
    rng = np.random.default_rng(7)
    words = []
    for seed in range(8):
        camera = Camera(distance=rng.uniform(0.5, 1.2), pitch=rng.uniform(0.55, 1.0))
        solid = Solid(kind=kind, size=size, position=(0, 0), yaw=rng.uniform(-3, 3))
        depth, label = render([solid], camera, seed=seed)
        points = object_points(depth, label, 0)
        words.append(shape_word(points, fit_box(points, camera.up, support_height_m=camera.support_height)))
    assert words.count(word) >= 7, words
    assert set(words) <= set(SHAPE_WORDS)


def test_a_heap_without_faces_is_an_object() -> None:
    points = np.random.default_rng(0).normal(0, 1, (3000, 3)) * [0.06, 0.03, 0.06] + [0, 0, 1.0]
    assert shape_word(points, fit_box(points, [0.0, -1.0, 0.0])) == "object"
