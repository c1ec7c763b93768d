r"""A small tokenizer of Qwen's kind, trained here on text made here, for tests, random models and small trainings.

Qwen's own cannot be shipped. This one cuts text the same way, has one token per digit and the same special tokens, and
writes a box line with the same pieces: ``bbox``, ``_``, digits, ``=B``, ``box``, ``(``..., ``,`` and ``)\n``.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from n3d_ros.codec.prompts import (
    CODE_SCHEMA,
    LOCATE_FIRST,
    SYSTEM_TEXT,
    detection_text,
    grounding_text,
    referring_text,
)
from n3d_ros.codec.tokenizer import QWEN_SPECIAL_TOKENS, Tokenizer, bpe_document, load_tokenizer
from n3d_ros.codec.tokenizer_splits import QWEN_SPLIT
from n3d_ros.errors import InputError

DEFAULT_VOCAB_SIZE = 1024
SEED = 7
BYTES = 256
CORPUS_LINES = 6000


def _words(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


NOUNS = _words(
    """
    chair table couch sofa bench stool desk shelf bookshelf cabinet drawer wardrobe bed pillow blanket lamp
    mirror curtain carpet door window clock vase plant flower pot picture frame candle box basket bin bucket
    bag backpack suitcase umbrella cup mug glass bottle bowl plate dish spoon fork knife pan kettle toaster
    oven microwave sink fridge refrigerator tray jar can carton sponge towel soap brush napkin apple banana
    orange tangerine lemon pear peach grape melon tomato potato carrot onion pepper cucumber broccoli bread
    cake cookie sandwich pizza egg cheese person man woman child boy girl baby dog cat bird horse cow sheep
    bear duck fish rabbit car bus truck van bicycle motorcycle train boat airplane balloon wheel tyre helmet
    glove shoe boot sock hat cap jacket shirt trousers dress tie scarf belt watch ring laptop keyboard mouse
    monitor screen television remote phone tablet camera printer speaker headphones microphone cable charger
    plug socket book notebook magazine newspaper pen pencil marker eraser ruler scissors stapler tape folder
    envelope paper card hammer screwdriver wrench pliers drill saw nail screw bolt nut ladder rope chain pipe
    hose valve pump motor robot gripper arm conveyor pallet crate barrel cone sign fence wall floor ceiling
    stairs railing pillar column beam brick stone rock tree bush grass leaf branch ball bat racket skateboard
    surfboard kite puzzle doll toy block lego guitar piano drum violin wheelchair stroller cart trolley wagon
    tractor crane tent traffic light hydrant mailbox statue fountain bridge tower house roof chimney cereal
    detergent shampoo toothbrush toothpaste medicine bandage syringe thermometer scale battery flashlight
    lighter
    """
)
ADJECTIVES = _words(
    """
    red green blue yellow white black grey brown orange pink purple small large big tall short wide thin round
    wooden metal plastic glass left right open closed empty full upper lower front back nearest furthest
    """
)
QUESTIONS = (
    "What is the height of the {a}?",
    "What is the width of the {a}?",
    "How far is the {a} from the {b}?",
    "How far away is the {a} from the camera?",
    "Is the {a} to the left of the {b}?",
    "Is the {a} behind the {b} as seen from the opposite side?",
    "Which is closer to the camera, the {a} or the {b}?",
    "If you are at the {a}, where will you find the {b}?",
    "What is the distance between the {a} and the {b}?",
    "Where is the {a}?",
    "How many {a}s are on the {b}?",
    "The 3D bbox of {a} is [2.15, 1.19, 17.7]. The 2D bbox of {b} is [0.39, 0.41, 0.06]. ",
    "The {a} is 0.91 meters in height. The {b} is in front of the {a}, above it and wider than the {b}.",
    "<think>1. The 3D center coordinate of {a} is [2.15, 1.19, 17.7]. 2. We can calculate the direction. </think>",
    "{a} will find {b} around the 11 o'clock direction. That is False. That is True. Yes. No.",
)


def train_stand_in_tokenizer(folder: str | Path, *, vocab_size: int = DEFAULT_VOCAB_SIZE) -> Tokenizer:
    """The trained tokenizer, also written to a folder as ``tokenizer.json`` and ``tokenizer_config.json``.

    Two trainings of one size write the same bytes.

    Args:
        folder: is made if it does not exist.
        vocab_size: all ids, the 256 bytes and the 22 special tokens included.

    Returns:
        The tokenizer, as ``load_tokenizer`` reads it.

    Raises:
        InputError: a size below what bytes and special tokens take, or above what the text yields.
    """
    least = BYTES + len(QWEN_SPECIAL_TOKENS)
    if vocab_size < least:
        raise InputError(f"Stand-in tokenizer: expected a vocabulary of at least {least}, got {vocab_size}.")
    vocabulary, merges = _train(vocab_size - len(QWEN_SPECIAL_TOKENS))
    if len(vocabulary) + len(QWEN_SPECIAL_TOKENS) != vocab_size:
        most = len(vocabulary) + len(QWEN_SPECIAL_TOKENS)
        raise InputError(f"Stand-in tokenizer: expected a vocabulary of at most {most}, got {vocab_size}.")
    added = {text: len(vocabulary) + place for place, text in enumerate(QWEN_SPECIAL_TOKENS)}
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    document = bpe_document(vocabulary, merges, added)
    (target / "tokenizer.json").write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")
    settings = {
        "tokenizer_class": "Qwen2Tokenizer",
        "add_prefix_space": False,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": 32768,
        "split_special_tokens": False,
    }
    (target / "tokenizer_config.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")
    return load_tokenizer(target)


def corpus(lines: int = CORPUS_LINES, seed: int = SEED) -> Iterator[str]:
    """Lines of text like those the model reads and writes, always the same.

    Args:
        lines: how many.
        seed: of the choices.

    Yields:
        One text at a time.
    """
    choice = random.Random(seed)

    def name() -> str:
        words = [choice.choice(ADJECTIVES)] * (choice.random() < 0.3) + [choice.choice(NOUNS)]
        return " ".join([*words, choice.choice(NOUNS)] if choice.random() < 0.2 else words)

    yield f"system\n{SYSTEM_TEXT}\nuser\nassistant\n{CODE_SCHEMA}{LOCATE_FIRST}"
    for line in range(lines):
        kind = line % 8
        if kind < 5:
            yield _box_text(choice, name())
        elif kind == 5:
            yield choice.choice(QUESTIONS).format(a=name(), b=name())
        elif kind == 6:
            yield choice.choice((f" {name()}", f"{name()} and {name()}", f"({name()}", f"'{name()}'"))
        else:
            names = [name() for _ in range(choice.randint(1, 3))]
            yield choice.choice((grounding_text(names), referring_text(names), detection_text()))


def _box_text(choice: random.Random, label: str) -> str:
    """A box line whose ``=Bbox`` is cut as Qwen's merges cut it, so that the whole never becomes one piece."""
    numbers = ",".join(str(choice.randrange(1000)) for _ in range(7))
    return f"bbox_{choice.randrange(40)}=B\nbox\n({label},{numbers})\n"


def _train(size: int) -> tuple[dict[str, int], list[list[str]]]:
    """Vocabulary and merges of a byte-level BPE with ``size`` pieces, ids in the order of learning."""
    from tokenizers import Regex, models, normalizers, pre_tokenizers, trainers
    from tokenizers import Tokenizer as Bpe

    bpe = Bpe(models.BPE())
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=size, min_frequency=2, initial_alphabet=alphabet, special_tokens=[], show_progress=False
    )
    bpe.train_from_iterator(corpus(), trainer)
    model = json.loads(bpe.to_str())["model"]
    merges = [pair.split(" ") if isinstance(pair, str) else list(pair) for pair in model["merges"]]
    vocabulary = dict(sorted(model["vocab"].items(), key=lambda item: int(item[1])))
    return vocabulary, merges
