"""Nouns that name the same: one and several of a thing, and other names for one kind of thing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

_GROUPS = (
    "sofa couch settee", "television tv telly television_set tv_set", "monitor screen display",
    "refrigerator fridge", "phone telephone smartphone mobile cellphone cell_phone",
    "bin dustbin wastebasket trashcan trash_can garbage_can rubbish_bin waste_basket", "bicycle bike",
    "motorcycle motorbike", "carpet rug", "cupboard cabinet", "backpack rucksack", "stove cooker", "tap faucet",
    "torch flashlight", "eraser rubber", "jug pitcher", "bucket pail", "trolley cart", "stroller pram",
    "glasses spectacles", "cat kitty pussycat", "dog doggy", "car automobile", "truck lorry", "trainers sneakers",
)  # fmt: skip
"""Names for one kind of thing; a name of two words has "_" between them. The very word always goes before them."""

IRREGULAR = {
    "knives": "knife",
    "shelves": "shelf",
    "leaves": "leaf",
    "loaves": "loaf",
    "people": "person",
    "dice": "die",
    "tomatoes": "tomato",
    "potatoes": "potato",
    "tvs": "tv",
    "buses": "bus",
    "mice": "mouse",
    "lenses": "lens",
    "lens": "lens",
    "bookshelves": "bookshelf",
    "men": "man",
    "women": "woman",
    "children": "child",
    "feet": "foot",
    "geese": "goose",
    "sheep": "sheep",
}


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, lower case, without punctuation.

    Args:
        text: any text.

    Returns:
        Words of letters (of any script) and digits, apostrophes dropped.
    """
    return tuple(re.findall(r"[^\W_]+", text.lower().replace("'", "").replace("\u2019", "")))


def singular(word: str) -> str:
    """The singular of an English noun, by its ending; words that are no plural stay.

    Args:
        word: lower case.

    Returns:
        The singular; for rare words not always the dictionary's, yet always the same for both numbers.
    """
    if word in IRREGULAR:
        return IRREGULAR[word]
    if len(word) <= 3 or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("xes", "shes", "ches", "sses", "zes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") else word


SAME_NAMES: Mapping[tuple[str, ...], str] = MappingProxyType({
    tuple(singular(word) for word in name.split("_")): group.split()[0]
    for group in _GROUPS
    for name in group.split()
})  # fmt: skip
"""Name of one or two words -> the word that stands for all of its kind."""
