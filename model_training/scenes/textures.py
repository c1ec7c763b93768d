"""Procedural textures: small pictures made from noise and stripes, multiplied into an object's paint."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from model_training.scenes.colors import COLOR_NAMES, Rgb, draw_paint

Picture = NDArray[np.uint8]
SIDE_PX = 128  # enough at the sizes objects have in an image
FLOOR_PX = 512


def _smooth_noise(rng: np.random.Generator, height: int, width: int, cells: tuple[int, int]) -> NDArray[np.float32]:
    """(height, width) float32 in about -1 to 1, varying over ``cells`` (rows, columns)."""
    coarse = rng.standard_normal((max(cells[0], 2), max(cells[1], 2))).astype(np.float32)
    fine: NDArray[np.float32] = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    return fine


def _painted(shade: NDArray[np.float32], paint: Rgb) -> Picture:
    """The paint, brightened and darkened by ``shade`` (1: as it is)."""
    picture = np.clip(shade[..., None] * (np.asarray(paint, np.float32) * 255), 0, 255)
    painted: Picture = picture.astype(np.uint8)
    return painted


def plain(paint: Rgb, rng: np.random.Generator) -> Picture:
    """Paint with a faint unevenness."""
    return _painted(1 + 0.015 * _smooth_noise(rng, 32, 32, (6, 6)), paint)


def _canvas(paint: Rgb, rng: np.random.Generator) -> Picture:
    """The plain paint at full size, to draw on."""
    canvas: Picture = np.ascontiguousarray(cv2.resize(plain(paint, rng), (SIDE_PX, SIDE_PX)), np.uint8)
    return canvas


def wood(paint: Rgb, rng: np.random.Generator) -> Picture:
    """Grain along the picture's width."""
    grain = _smooth_noise(rng, 256, 256, (90, 3)) * 0.05 + _smooth_noise(rng, 256, 256, (22, 3)) * 0.06
    strength = 1.0 if max(paint) - min(paint) > 0.1 else 0.35  # painted boards show less of it
    return _painted(1 + strength * grain.astype(np.float32), paint)


def stripes(paint: Rgb, rng: np.random.Generator) -> Picture:
    """A few darker or lighter bands of the same paint."""
    rows = np.arange(SIDE_PX)[:, None] / SIDE_PX
    band = (np.sin(2 * np.pi * rows * rng.integers(2, 5)) > 0.75).astype(np.float32)
    shade = 1 + band * float(rng.choice([-0.3, 0.3])) + np.zeros((1, SIDE_PX), np.float32)
    return _painted(shade.astype(np.float32), paint)


def _accent(paint: Rgb, rng: np.random.Generator) -> tuple[int, int, int]:
    """A second colour that differs from the paint, 0 to 255."""
    other = draw_paint(str(rng.choice(COLOR_NAMES)), rng)
    if sum(abs(a - b) for a, b in zip(other, paint, strict=True)) < 0.5:
        other = (1.0, 1.0, 1.0) if sum(paint) < 1.5 else (0.1, 0.1, 0.15)
    r, g, b = (int(255 * c) for c in other)
    return r, g, b


def printed(paint: Rgb, rng: np.random.Generator) -> Picture:
    """A package or book cover: a picture block and lines like text, over at most a quarter of the area."""
    picture = _canvas(paint, rng)
    accent = _accent(paint, rng)
    x, y = (int(v) for v in rng.integers(16, 50, 2))
    w, h = (int(v) for v in rng.integers(28, 56, 2))
    if rng.random() < 0.5:
        cv2.rectangle(picture, (x, y), (x + w, y + h), accent, -1)
    else:
        cv2.circle(picture, (x + w // 2, y + h // 2), min(w, h) // 2, accent, -1)
    for k in range(int(rng.integers(2, 5))):
        row, end = 92 + 8 * k, int(rng.integers(60, 116))
        cv2.line(picture, (14, row), (end, row), accent, 2)
    return picture


def label(paint: Rgb, rng: np.random.Generator) -> Picture:
    """A band around a can or bottle: the paint stays the larger part."""
    picture = _canvas(paint, rng)
    accent = _accent(paint, rng)
    top = int(rng.integers(54, 70))
    cv2.rectangle(picture, (0, top), (SIDE_PX, top + int(rng.integers(16, 30))), accent, -1)
    for x in range(8, SIDE_PX, 32):
        cv2.line(picture, (x, top + 7), (x + 18, top + 7), tuple(int(255 * c) for c in paint), 2)
    return picture


def screen(paint: Rgb, rng: np.random.Generator) -> Picture:
    """A dark display with faint windows."""
    picture = _canvas(paint, rng)
    for _ in range(int(rng.integers(0, 4))):
        x, y = (int(v) for v in rng.integers(4, 70, 2))
        tone = tuple(int(v) for v in rng.integers(20, 90, 3))
        cv2.rectangle(picture, (x, y), (x + int(rng.integers(20, 54)), y + int(rng.integers(14, 44))), tone, -1)
    return picture


def planks(paint: Rgb, rng: np.random.Generator) -> Picture:
    """Floor boards with grain and dark joints."""
    shade = 1 + 0.06 * _smooth_noise(rng, FLOOR_PX, FLOOR_PX, (160, 6))
    board = FLOOR_PX // 8
    for row in range(8):
        shade[row * board : (row + 1) * board] *= rng.uniform(0.88, 1.08)
        shade[row * board : row * board + 2] *= 0.6
        joint = int(rng.integers(0, FLOOR_PX))
        shade[row * board : (row + 1) * board, joint : joint + 2] *= 0.65
    return _painted(shade.astype(np.float32), paint)


def tiles(paint: Rgb, rng: np.random.Generator) -> Picture:
    """Square tiles with light joints."""
    shade = 1 + 0.03 * _smooth_noise(rng, FLOOR_PX, FLOOR_PX, (40, 40))
    step = FLOOR_PX // 4
    for k in range(4):
        shade[k * step : k * step + 4] = 1.25
        shade[:, k * step : k * step + 4] = 1.25
    return _painted(shade.astype(np.float32), paint)


def carpet(paint: Rgb, rng: np.random.Generator) -> Picture:
    """Fine short pile."""
    shade = (
        1 + 0.09 * rng.standard_normal((FLOOR_PX, FLOOR_PX)) + 0.05 * _smooth_noise(rng, FLOOR_PX, FLOOR_PX, (60, 60))
    )
    return _painted(shade.astype(np.float32), paint)


def weave(paint: Rgb, rng: np.random.Generator) -> Picture:
    """Threads over and under each other: cloth, wicker."""
    threads = int(rng.integers(10, 24))
    phase = np.arange(SIDE_PX) / SIDE_PX * threads * 2 * np.pi
    over = np.sign(np.sin(phase / 2))[:, None] * np.sign(np.sin(phase / 2))[None]
    shade = 1 + 0.1 * np.where(over > 0, np.sin(phase)[:, None], np.sin(phase)[None]) - 0.06 * (over > 0)
    return _painted(shade.astype(np.float32), paint)


def checks(paint: Rgb, rng: np.random.Generator) -> Picture:
    """Cloth with crossing darker bands."""
    bands = (np.sin(np.arange(SIDE_PX) / SIDE_PX * 2 * np.pi * int(rng.integers(2, 6))) > 0.3).astype(np.float32)
    strength = float(rng.choice([-0.16, 0.14]))
    return _painted(1 + strength * (bands[:, None] + bands[None]), paint)


def plush(paint: Rgb, rng: np.random.Generator) -> Picture:
    """Short fur."""
    shade = 1 + 0.1 * rng.standard_normal((SIDE_PX, SIDE_PX)) + 0.06 * _smooth_noise(rng, SIDE_PX, SIDE_PX, (20, 20))
    return _painted(shade.astype(np.float32), paint)


def brushed(paint: Rgb, rng: np.random.Generator) -> Picture:
    """Metal with fine scratches along the width."""
    shade = 1 + 0.05 * _smooth_noise(rng, SIDE_PX, SIDE_PX, (SIDE_PX, 3)) + 0.08 * _smooth_noise(
        rng, SIDE_PX, SIDE_PX, (4, 2)
    )  # fmt: skip
    return _painted(shade.astype(np.float32), paint)


def bands(paint: Rgb, rng: np.random.Generator) -> Picture:
    """Glazed rings of a second colour near rim and foot."""
    picture = _canvas(paint, rng)
    accent = _accent(paint, rng)
    for top in (int(rng.integers(6, 30)), int(rng.integers(90, 112))):
        cv2.rectangle(picture, (0, top), (SIDE_PX, top + int(rng.integers(3, 10))), accent, -1)
    return picture


def dots(paint: Rgb, rng: np.random.Generator) -> Picture:
    """Dots of a second colour on at most a sixth of the area."""
    picture = _canvas(paint, rng)
    accent, step = _accent(paint, rng), int(rng.integers(24, 40))
    for row, y in enumerate(range(step // 2, SIDE_PX, step)):
        for x in range(step // 2 * (row % 2), SIDE_PX, step):
            cv2.circle(picture, (x, y), max(step // 5, 3), accent, -1, cv2.LINE_AA)
    return picture


def fibres(paint: Rgb, rng: np.random.Generator) -> Picture:
    """Cardboard: faint ribs and specks."""
    ribs = 0.02 * np.sin(np.arange(SIDE_PX) * 0.9)[:, None]
    shade = (
        1 + ribs + 0.03 * rng.standard_normal((SIDE_PX, SIDE_PX)) + 0.03 * _smooth_noise(rng, SIDE_PX, SIDE_PX, (5, 5))
    )
    return _painted(shade.astype(np.float32), paint)


def speckles(paint: Rgb, rng: np.random.Generator) -> Picture:
    """Skin of fruit: blotches and small specks."""
    shade = 1 + 0.07 * _smooth_noise(rng, SIDE_PX, SIDE_PX, (6, 6))
    shade = np.where(rng.random((SIDE_PX, SIDE_PX)) < 0.01, shade * 0.75, shade)
    return _painted(shade.astype(np.float32), paint)


def picture(paint: Rgb, rng: np.random.Generator) -> Picture:
    """A framed picture: sky, land and a few shapes."""
    canvas = _canvas(paint, rng)
    horizon = int(rng.integers(50, 90))
    cv2.rectangle(canvas, (0, horizon), (SIDE_PX, SIDE_PX), _accent(paint, rng), -1)
    for _ in range(int(rng.integers(1, 5))):
        x, y = (int(v) for v in rng.integers(10, 118, 2))
        cv2.circle(canvas, (x, y), int(rng.integers(5, 22)), _accent(paint, rng), -1, cv2.LINE_AA)
    return canvas


def parquet(paint: Rgb, rng: np.random.Generator) -> Picture:
    """Short boards in squares, turned by turns."""
    shade = 1 + 0.05 * _smooth_noise(rng, FLOOR_PX, FLOOR_PX, (60, 60))
    cell, boards = FLOOR_PX // 8, 4
    for row in range(8):
        for column in range(8):
            block = shade[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell]
            block = block if (row + column) % 2 else block.T
            for k in range(boards):
                part = block[k * cell // boards : (k + 1) * cell // boards]
                part *= rng.uniform(0.86, 1.08)
                part[:1] *= 0.7
    return _painted(shade.astype(np.float32), paint)


def concrete(paint: Rgb, rng: np.random.Generator) -> Picture:
    """Cloudy grey with pores."""
    shade = 1 + 0.06 * _smooth_noise(rng, FLOOR_PX, FLOOR_PX, (9, 9)) + 0.04 * _smooth_noise(
        rng, FLOOR_PX, FLOOR_PX, (70, 70)
    )  # fmt: skip
    shade = np.where(rng.random((FLOOR_PX, FLOOR_PX)) < 0.004, shade * 0.7, shade)
    level = float(np.mean(paint))
    return _painted(shade.astype(np.float32), (level, level, level * 0.98))


def marble(paint: Rgb, rng: np.random.Generator) -> Picture:
    """Light stone with dark veins."""
    field = _smooth_noise(rng, FLOOR_PX, FLOOR_PX, (7, 7)) + 0.4 * _smooth_noise(rng, FLOOR_PX, FLOOR_PX, (30, 30))
    veins = np.exp(-((field / 0.06) ** 2))
    r, g, b = (0.55 + 0.4 * c for c in paint)
    return _painted((1 - 0.3 * veins).astype(np.float32), (r, g, b))


def plaster(paint: Rgb, rng: np.random.Generator) -> Picture:
    """Rough paint."""
    shade = 1 + 0.03 * _smooth_noise(rng, FLOOR_PX, FLOOR_PX, (130, 130)) + 0.03 * _smooth_noise(
        rng, FLOOR_PX, FLOOR_PX, (6, 6)
    )  # fmt: skip
    return _painted(shade.astype(np.float32), paint)


def bricks(paint: Rgb, rng: np.random.Generator) -> Picture:
    """Courses of bricks with light joints, painted over or not."""
    shade = 1 + 0.05 * _smooth_noise(rng, FLOOR_PX, FLOOR_PX, (100, 100))
    high, wide = FLOOR_PX // 16, FLOOR_PX // 8
    for row in range(16):
        shift = wide // 2 * (row % 2)
        for column in range(-1, 8):
            left = column * wide + shift
            block = shade[row * high : (row + 1) * high, max(left, 0) : max(left + wide, 0)]
            block *= rng.uniform(0.85, 1.05)
            block[:, :2] *= 1.12
        shade[row * high : row * high + 2] *= 1.12
    bare = (0.62, 0.33, 0.25) if rng.random() < 0.4 else paint
    return _painted(shade.astype(np.float32), bare)


def wallpaper(paint: Rgb, rng: np.random.Generator) -> Picture:
    """Upright stripes or a grid of small marks."""
    across = np.arange(FLOOR_PX) / FLOOR_PX * 2 * np.pi
    wave = np.sin(across * int(rng.integers(6, 20)))
    marks = (wave[None] > 0.6) & (wave[:, None] > 0.6)
    dark = marks if rng.random() < 0.5 else np.broadcast_to(wave[None] > 0, marks.shape)
    return _painted((1 - 0.13 * dark).astype(np.float32), paint)


def boards(paint: Rgb, rng: np.random.Generator) -> Picture:
    """Upright panels with dark joints."""
    shade = 1 + 0.02 * _smooth_noise(rng, FLOOR_PX, FLOOR_PX, (6, 160))
    for x in range(0, FLOOR_PX, FLOOR_PX // int(rng.integers(8, 20))):
        shade[:, x : x + 2] *= 0.75
    return _painted(shade.astype(np.float32), paint)


TEXTURES: dict[str, Callable[[Rgb, np.random.Generator], Picture]] = {
    "plain": plain,
    "wood": wood,
    "stripes": stripes,
    "print": printed,
    "label": label,
    "screen": screen,
    "planks": planks,
    "tiles": tiles,
    "carpet": carpet,
    "weave": weave,
    "checks": checks,
    "plush": plush,
    "brushed": brushed,
    "bands": bands,
    "dots": dots,
    "fibres": fibres,
    "speckles": speckles,
    "picture": picture,
    "parquet": parquet,
    "concrete": concrete,
    "marble": marble,
    "plaster": plaster,
    "bricks": bricks,
    "wallpaper": wallpaper,
    "boards": boards,
}
"""Makers by name: (paint, rng) -> (H, W, 3) uint8."""
