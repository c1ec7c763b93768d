import pytest

from model_training.data.records import SPLITS
from model_training.data.split import (
    HELD_OUT_PERCENT,
    SEED_RANGES,
    held_out_pairs,
    is_held_out_pair,
    seed_of,
    shows_held_out_pair,
    split_of_seed,
)
from model_training.scenes.entries import CATALOGUE
from n3d_ros.errors import InputError

OBJECTS = sorted(name for name, category in CATALOGUE.items() if category.role == "object")


def test_every_seed_belongs_to_one_split():
    assert set(SEED_RANGES) == set(SPLITS)
    for split, seeds in SEED_RANGES.items():
        for seed in (seeds[0], seeds[len(seeds) // 2], seeds[-1]):
            assert split_of_seed(seed) == split
            assert sum(seed in other for other in SEED_RANGES.values()) == 1


def test_the_number_of_a_scene_counts_within_its_split():
    for split in SPLITS:
        assert [split_of_seed(seed_of(split, number)) for number in (0, 7, 1_000_000)] == [split] * 3
        assert seed_of(split, 7) - seed_of(split, 0) == 7


@pytest.mark.parametrize(
    "ask",
    [lambda: split_of_seed(-1), lambda: split_of_seed(2**31), lambda: seed_of("test", 0), lambda: seed_of("train", -1)],
)
def test_seeds_of_no_split_are_refused(ask):
    with pytest.raises(InputError):
        ask()


def test_a_few_percent_of_the_catalogues_pairs_are_held_out_and_enough_to_test_on():
    pairs = held_out_pairs(OBJECTS)
    possible = len(OBJECTS) * (len(OBJECTS) - 1) / 2
    assert 0.5 * HELD_OUT_PERCENT < 100 * len(pairs) / possible < 2 * HELD_OUT_PERCENT
    assert len({name for pair in pairs for name in pair}) > len(OBJECTS) / 3  # not a few odd categories


def test_pairs_are_the_same_whichever_way_round():
    for first in OBJECTS:
        for second in OBJECTS:
            assert is_held_out_pair(first, second) == is_held_out_pair(second, first)
        assert not is_held_out_pair(first, first)


def test_which_pairs_are_held_out_never_changes():
    # Moving a pair between training and test would make results of before and after incomparable.
    assert held_out_pairs(["apple", "book", "bowl", "camera", "can", "cereal box", "cup", "plate", "tray"]) == PAIRS
    assert shows_held_out_pair([*PAIRS[0], "box"])
    assert not shows_held_out_pair(["box", "box"])


PAIRS = (
    ("apple", "camera"),
    ("apple", "cup"),
    ("book", "tray"),
    ("bowl", "cereal box"),
    ("camera", "can"),
    ("camera", "tray"),
    ("cereal box", "plate"),
)
