"""The tokenizer of small models: one token per field of a box line, one per known word, bytes for the rest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from model_training.models.stand_in_tokenizer import NOUNS, QUESTIONS
from model_training.nano.vocabulary import QUESTION_WORDS, label_words, whole_words
from n3d_ros.codec.box_code import BINS
from n3d_ros.codec.tokenizer import QWEN_SPECIAL_TOKENS, Tokenizer, bpe_document, load_tokenizer
from n3d_ros.codec.tokenizer_files import byte_of_character
from n3d_ros.codec.tokenizer_splits import FIELDS, STANDING_TEXTS
from n3d_ros.whole_files import write_json

HEADS = 64  # boxes of a list whose beginning (``bbox_7=Bbox``) is one token; as many as are asked for by default
LEARNT_PIECES = 512  # of words that are not known whole: bytes and their merges, learnt from the known words
MIN_PAIRS = 2  # times that two pieces must stand together to be joined
_CHARACTER_OF = {byte: character for character, byte in byte_of_character().items()}


def write_nano_tokenizer(folder: str | Path) -> Tokenizer:
    """The tokenizer, also written to a folder as ``tokenizer.json`` and ``tokenizer_config.json``.

    The same code and packages write the same bytes. Ids: 0 to 999 the bins ``,0`` to ``,999``, then the heads of lines,
    standing texts, two digits, words, learnt pieces with all bytes, special tokens.

    Args:
        folder: is made if it does not exist.

    Returns:
        The tokenizer, as ``load_tokenizer`` reads it.
    """
    learnt, merges = _learnt_pieces()
    pieces = [_characters(piece) for piece in _known_pieces()]
    vocabulary = {piece: token for token, piece in enumerate(dict.fromkeys([*pieces, *learnt]))}
    added = {text: len(vocabulary) + place for place, text in enumerate(QWEN_SPECIAL_TOKENS)}
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    write_json(target / "tokenizer.json", bpe_document(vocabulary, merges, added, split=FIELDS))
    write_json(target / "tokenizer_config.json", _settings())
    return load_tokenizer(target)


def _known_pieces() -> Iterator[str]:
    """The pieces that are one token each, bins first."""
    yield from (f",{number}" for number in range(BINS))
    yield from (f"bbox_{index}=Bbox" for index in range(HEADS))
    yield from STANDING_TEXTS
    yield from (f"{number:02d}" for number in range(100))
    yield from (f" {number}" for number in range(100))
    yield from whole_words()


def _settings() -> dict[str, Any]:
    """What ``tokenizer_config.json`` says, for tools that read it."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_prefix_space": False,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": 4096,
        "split_special_tokens": False,
    }


def _characters(text: str) -> str:
    """A piece of text in the characters of the byte-level alphabet."""
    return "".join(_CHARACTER_OF[byte] for byte in text.encode())


def _corpus() -> Iterator[str]:
    """Words whose beginnings and ends are worth a token of their own, the commoner ones more often."""
    words: Iterable[str] = (*label_words(), *NOUNS, *QUESTION_WORDS)
    for word in words:
        yield f" {word} {word}s {word}ing ({word}"
    yield from QUESTIONS


def _learnt_pieces() -> tuple[list[str], list[list[str]]]:
    """All bytes and what was learnt to be joined, in the byte-level alphabet; and the merges in their order."""
    from tokenizers import Regex, models, normalizers, pre_tokenizers, trainers
    from tokenizers import Tokenizer as Bpe

    bpe = Bpe(models.BPE())
    bpe.normalizer = normalizers.NFC()
    cut = pre_tokenizers.Split(Regex(FIELDS.pattern), behavior="isolated")
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=LEARNT_PIECES,
        min_frequency=MIN_PAIRS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[],
        show_progress=False,
    )
    bpe.train_from_iterator(_corpus(), trainer)
    model = json.loads(bpe.to_str())["model"]
    merges = [pair.split(" ") if isinstance(pair, str) else list(pair) for pair in model["merges"]]
    return [piece for piece, _ in sorted(model["vocab"].items(), key=lambda item: int(item[1]))], merges
