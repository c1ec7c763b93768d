"""Which generated scenes are for training, for validation and held out: by seed, and by what stands together.

Two rules make the held-out split a test of more than memory. Seeds: every split owns a range, so no scene is in two of
them. Combinations: of all pairs of categories a fixed few percent are held out; training and validation scenes never
show such a pair together, every held-out frame shows at least one. Both rules follow from constants here and from
names alone, so they hold on every machine, for every generator, and for categories added later.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType

from model_training.data.records import SPLITS
from n3d_ros.errors import InputError

SEED_RANGES: Mapping[str, range] = MappingProxyType(
    {
        "train": range(1_000_000_000),
        "validation": range(1_000_000_000, 1_100_000_000),
        "held_out": range(1_100_000_000, 1_200_000_000),
    }
)
"""Seeds of each split: more than can be rendered, and all below 2^31, which every random generator takes."""

HELD_OUT_PERCENT = 3.0
"""Share of the pairs: of 45 categories 30 pairs or so. Much more, and training scenes could hardly be filled."""

_SALT = "held-out pairs, 1"  # another number here is another test: results would not compare
_STEPS = 100_000


def split_of_seed(seed: int) -> str:
    """The split that owns a seed.

    Args:
        seed: of a generated scene.

    Returns:
        One of ``SPLITS``.

    Raises:
        InputError: no split owns it.
    """
    for name, seeds in SEED_RANGES.items():
        if seed in seeds:
            return name
    raise InputError(f"Scene seed: expected 0 to {SEED_RANGES['held_out'][-1]}, got {seed}.")


def seed_of(split: str, number: int) -> int:
    """The seed of a split's scene.

    Args:
        split: one of ``SPLITS``.
        number: 0, 1, ... within the split.

    Returns:
        The seed.

    Raises:
        InputError: an unknown split, or a number beyond its range.
    """
    if split not in SEED_RANGES:
        raise InputError(f"Split: expected one of {', '.join(SPLITS)}, got {split!r}.")
    seeds = SEED_RANGES[split]
    if not 0 <= number < len(seeds):
        raise InputError(f"Scene number of {split}: expected 0 to {len(seeds) - 1}, got {number}.")
    return seeds[number]


@lru_cache(maxsize=100_000)  # asked for every pair of every scene
def is_held_out_pair(first: str, second: str) -> bool:
    """Whether two categories are never seen together in training; the order does not matter.

    Args:
        first: a category.
        second: another one; a category and itself are never held out.

    Returns:
        The verdict of a hash of the two names.
    """
    if first == second:
        return False
    text = "\n".join((_SALT, *sorted((first, second))))
    drawn = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % _STEPS
    return drawn < HELD_OUT_PERCENT / 100 * _STEPS


def held_out_pairs(names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The pairs among some categories that are held out.

    Args:
        names: categories, as often as they come.

    Returns:
        Pairs in alphabetical order.
    """
    return tuple(pair for pair in itertools.combinations(sorted(set(names)), 2) if is_held_out_pair(*pair))


def shows_held_out_pair(names: Iterable[str]) -> bool:
    """Whether a frame with objects of these categories belongs to the held-out split.

    Args:
        names: categories of the objects.

    Returns:
        True when at least one pair is held out.
    """
    return bool(held_out_pairs(names))
