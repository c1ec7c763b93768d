"""The language model's tokenizer: text to ids and back, with text from users kept apart from special tokens.

It is a byte-level BPE in Qwen2's layout. Only the package ``tokenizers`` is needed; a folder holds either
``tokenizer.json`` or ``vocab.json`` and ``merges.txt``, as published checkpoints do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from n3d_ros.codec.box_code import BINS
from n3d_ros.codec.tokenizer_files import (
    byte_of_character,
    has_surrogate,
    read_document,
    read_json,
    read_parts,
)
from n3d_ros.codec.tokenizer_splits import QWEN, Split
from n3d_ros.errors import BackendError, ConfigurationError

QWEN_SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>",
    "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>",
    "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
    "<tool_call>", "</tool_call>",
    "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>",
)  # fmt: skip
"""Qwen2.5's added tokens in the order of their ids, which follow the ordinary vocabulary (151643 onwards there)."""

_NAMES = {
    "im_start": "<|im_start|>",
    "im_end": "<|im_end|>",
    "vision_start": "<|vision_start|>",
    "vision_end": "<|vision_end|>",
    "image_pad": "<|image_pad|>",
    "end_of_text": "<|endoftext|>",
}
_PROBE = "bbox_0=Bbox(a,1)\n<|im_end|> \u00e9\u4f60"  # must come back; no letter in it changes by normalisation

_Result = TypeVar("_Result")


class Tokenizer:
    """Text to token ids and back.

    Args:
        document: the content of a ``tokenizer.json``.
        source: where it comes from, for messages.
    """

    im_start: int
    """Id of ``<|im_start|>``: begins a turn."""
    im_end: int
    """Id of ``<|im_end|>``: ends a turn."""
    vision_start: int
    """Id of ``<|vision_start|>``."""
    vision_end: int
    """Id of ``<|vision_end|>``."""
    image_pad: int
    """Id of ``<|image_pad|>``: stands once per visual token."""
    end_of_text: int
    """Id of ``<|endoftext|>``."""
    split: Split
    """How text is cut into pieces."""
    bin_ids: tuple[int, ...] | None
    """Ids of ``,0`` to ``,999``: a box's numbers, one token each; None where numbers are written digit by digit."""

    def __init__(self, document: Mapping[str, Any], *, source: str = "tokenizer.json") -> None:
        tokenizers = _package()
        self._source = source
        vocabulary, merges, added, self.split = read_document(document, source)
        # Without added tokens none can be found in a text, whatever a user types: they are placed by id alone.
        plain = bpe_document(vocabulary, merges, {}, split=self.split)
        self._bpe = _guarded(
            lambda: tokenizers.Tokenizer.from_str(json.dumps(plain)),
            f"{source}: expected a tokenizer that the package tokenizers {tokenizers.__version__} can read",
        )
        self._pieces = _pieces(vocabulary, added)
        self.special_ids = frozenset(added)
        ids = {content: token for token, content in added.items()}
        missing = [content for content in _NAMES.values() if content not in ids]
        if missing:
            raise ConfigurationError(
                f"{source}: expected the special tokens of Qwen2.5-VL, not found: {', '.join(missing)}. "
                "Give the folder of a Qwen2.5-VL or N3D-VLM checkpoint."
            )
        for name, content in _NAMES.items():
            setattr(self, name, ids[content])
        if self.decode(self.encode(_PROBE)) != _PROBE:
            raise ConfigurationError(f"{source}: expected a text to come back from its tokens; the file is damaged.")
        self.bin_ids = self._bin_ids() if self.split.bins_are_tokens else None

    @property
    def vocab_size(self) -> int:
        """One more than the largest id. A model may have more rows (padding) that mean nothing."""
        return len(self._pieces)

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """The ids that end an answer."""
        return (self.im_end, self.end_of_text)

    def encode(self, text: str) -> list[int]:
        """The ids of a text, in which special tokens are ordinary characters.

        Args:
            text: any text; lone surrogates become "?". It is brought to NFC form.

        Returns:
            Token ids, none of them special.

        Raises:
            ConfigurationError: the tokenizer's file is damaged.
        """
        whole = text.encode("utf-8", "replace").decode("utf-8") if has_surrogate(text) else text
        encoded = _guarded(
            lambda: self._bpe.encode(whole, add_special_tokens=False).ids,
            f"{self._source}: expected any text to have tokens; the file is damaged",
        )
        return list(encoded)

    def decode(self, token_ids: Iterable[int], *, keep_special: bool = False) -> str:
        """The text of some ids; bytes that are no UTF-8 become U+FFFD.

        Args:
            token_ids: ids; those the vocabulary does not have are left out.
            keep_special: whether special tokens appear as their names instead of being left out.

        Returns:
            The text.
        """
        kept = (token for token in token_ids if keep_special or token not in self.special_ids)
        return b"".join(self.piece(token) for token in kept).decode("utf-8", "replace")

    def piece(self, token_id: int) -> bytes:
        """The bytes one id stands for.

        Args:
            token_id: an id.

        Returns:
            Its bytes; the name of a special token; nothing for an id the vocabulary does not have.
        """
        return self._pieces[token_id] if 0 <= token_id < len(self._pieces) else b""

    def _bin_ids(self) -> tuple[int, ...]:
        """The ids of a box's numbers, known to be one token each."""
        ids = [self.encode(f",{number}") for number in range(BINS)]
        split = next((number for number, tokens in enumerate(ids) if len(tokens) != 1), None)
        if split is not None:
            raise ConfigurationError(
                f"{self._source}: expected one token for each of ,0 to ,{BINS - 1}, got "
                f"{len(ids[split])} for ',{split}'. Take the tokenizer of the checkpoint."
            )
        return tuple(tokens[0] for tokens in ids)


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """The tokenizer of a checkpoint's folder.

    Args:
        folder: holds ``tokenizer.json``, or ``vocab.json`` and ``merges.txt`` (and, where ids are not Qwen2.5's order,
            ``tokenizer_config.json`` with the added tokens).

    Returns:
        The tokenizer.

    Raises:
        ConfigurationError: no such files, or not Qwen2.5-VL's kind.
        BackendError: the package ``tokenizers`` is missing.
    """
    path = Path(folder)
    if (path / "tokenizer.json").is_file():
        document = read_json(path / "tokenizer.json")
        return Tokenizer(document, source=str(path / "tokenizer.json"))
    if (path / "vocab.json").is_file() and (path / "merges.txt").is_file():
        vocabulary, merges, special = read_parts(path)
        added = {content: token for token, content in special.items()}
        if not added:
            first = max(vocabulary.values(), default=-1) + 1
            added = {content: first + place for place, content in enumerate(QWEN_SPECIAL_TOKENS)}
        return Tokenizer(bpe_document(vocabulary, merges, added), source=str(path / "vocab.json"))
    raise ConfigurationError(
        f"{path}: expected tokenizer.json, or vocab.json and merges.txt, found neither. "
        "Copy the tokenizer's files of the checkpoint into this folder."
    )


def bpe_document(
    vocabulary: Mapping[str, int], merges: list[list[str]], added: Mapping[str, int], *, split: Split = QWEN
) -> dict[str, Any]:
    """The content of a ``tokenizer.json`` in Qwen2's layout: NFC, a known split, byte-level BPE.

    Args:
        vocabulary: ordinary pieces, bytes written as the byte-level alphabet's characters, to ids.
        merges: pairs of pieces, the first merge first.
        added: special tokens to ids.
        split: how text is cut.

    Returns:
        A document that can be written as JSON.
    """
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    cut = {"type": "Split", "pattern": {"Regex": split.pattern}, "behavior": "Isolated", "invert": False}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": token, "content": text, **flags} for text, token in added.items()],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [cut, byte_level]},
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": split.whole_pieces,
            "vocab": dict(vocabulary),
            "merges": merges,
        },
    }


def _package() -> Any:
    """The package ``tokenizers``; a BackendError where it is not installed."""
    try:
        import tokenizers
    except ImportError as error:
        raise BackendError(
            "The language model needs the package tokenizers, which is not installed. "
            "Run `pip install tokenizers`, or `make setup MODEL=1` in a checkout."
        ) from error
    return tokenizers


def _pieces(vocabulary: Mapping[str, int], added: Mapping[int, str]) -> list[bytes]:
    """The bytes of every id; empty where there is none."""
    byte_of = byte_of_character()
    pieces = [b""] * (max([*vocabulary.values(), *added, -1]) + 1)
    for text, token in vocabulary.items():
        known = all(character in byte_of for character in text)
        pieces[token] = bytes(byte_of[character] for character in text) if known else text.encode()
    for token, text in added.items():
        pieces[token] = text.encode()
    return pieces


def _guarded(call: Callable[[], _Result], expected: str) -> _Result:
    """What a call of the package ``tokenizers`` gives; a ConfigurationError with these words where it fails."""
    try:
        return call()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the package raises bare Exception, and where it panics something outside of it
        raise ConfigurationError(f"{expected}: {str(error)[:200]}") from error
