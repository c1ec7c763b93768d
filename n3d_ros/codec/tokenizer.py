"""The language model's tokenizer: text to ids and back, with text from users kept apart from special tokens.

It is a byte-level BPE in Qwen2's layout. Only the package ``tokenizers`` is needed; a folder holds either
``tokenizer.json`` or ``vocab.json`` and ``merges.txt``, as published checkpoints do.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from n3d_ros.errors import BackendError, ConfigurationError

QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen2 cuts text into pieces before merging: among others, every digit stands alone (Qwen2's tokenizer.json)."""

QWEN_SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>",
    "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>",
    "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
    "<tool_call>", "</tool_call>",
    "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>",
)  # fmt: skip
"""Qwen2.5's added tokens in the order of their ids, which follow the ordinary vocabulary (151643 onwards there)."""

MAX_FILE_BYTES = 128 * 2**20  # Qwen's tokenizer.json has about 11 MB


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

    def __init__(self, document: Mapping[str, Any], *, source: str = "tokenizer.json") -> None:
        tokenizers = _package()
        added = {int(entry["id"]): str(entry["content"]) for entry in document.get("added_tokens", ())}
        # Without added tokens none can be found in a text, whatever a user types: they are placed by id alone.
        plain = {**document, "added_tokens": []}
        try:
            self._bpe = tokenizers.Tokenizer.from_str(json.dumps(plain))
        except Exception as error:  # the package raises bare Exception
            raise ConfigurationError(
                f"{source}: expected a tokenizer as the package tokenizers {tokenizers.__version__} writes it: {error}"
            ) from error
        self._bpe.no_padding()
        self._bpe.no_truncation()
        self._pieces = _pieces(self._bpe.get_vocab(with_added_tokens=False), added)
        self.special_ids = frozenset(added)
        ids = {content: token for token, content in added.items()}
        names = {
            "im_start": "<|im_start|>",
            "im_end": "<|im_end|>",
            "vision_start": "<|vision_start|>",
            "vision_end": "<|vision_end|>",
            "image_pad": "<|image_pad|>",
            "end_of_text": "<|endoftext|>",
        }
        missing = [content for content in names.values() if content not in ids]
        if missing:
            raise ConfigurationError(
                f"{source}: expected the special tokens of Qwen2.5-VL, not found: {', '.join(missing)}. "
                "Give the folder of a Qwen2.5-VL or N3D-VLM checkpoint."
            )
        for name, content in names.items():
            setattr(self, name, ids[content])

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
        """
        whole = text.encode("utf-8", "replace").decode("utf-8") if _has_surrogate(text) else text
        return list(self._bpe.encode(whole, add_special_tokens=False).ids)

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
        document = _read_json(path / "tokenizer.json")
        return Tokenizer(document, source=str(path / "tokenizer.json"))
    if (path / "vocab.json").is_file() and (path / "merges.txt").is_file():
        return Tokenizer(_document_of_parts(path), source=str(path / "vocab.json"))
    raise ConfigurationError(
        f"{path}: expected tokenizer.json, or vocab.json and merges.txt, found neither. "
        "Copy the tokenizer's files of the checkpoint into this folder."
    )


def bpe_document(vocabulary: Mapping[str, int], merges: list[list[str]], added: Mapping[str, int]) -> dict[str, Any]:
    """The content of a ``tokenizer.json`` in Qwen2's layout: NFC, Qwen's split, byte-level BPE.

    Args:
        vocabulary: ordinary pieces, bytes written as the byte-level alphabet's characters, to ids.
        merges: pairs of pieces, the first merge first.
        added: special tokens to ids.

    Returns:
        A document that can be written as JSON.
    """
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": QWEN_SPLIT}, "behavior": "Isolated", "invert": False}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": token, "content": text, **flags} for text, token in added.items()],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
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
            "ignore_merges": False,
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


def _has_surrogate(text: str) -> bool:
    """Whether a text holds half of a surrogate pair, which no UTF-8 can carry."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def _byte_of_character() -> dict[str, int]:
    """The byte behind each character of the byte-level alphabet.

    GPT-2's table: printable Latin-1 characters stand for themselves, the other bytes for U+0100 onwards in their order.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(byte): byte for byte in printable}
    others = [byte for byte in range(256) if byte not in set(printable)]
    table.update({chr(0x100 + place): byte for place, byte in enumerate(others)})
    return table


def _pieces(vocabulary: Mapping[str, int], added: Mapping[int, str]) -> list[bytes]:
    """The bytes of every id; empty where there is none."""
    byte_of = _byte_of_character()
    pieces = [b""] * (max([*vocabulary.values(), *added, -1]) + 1)
    for text, token in vocabulary.items():
        known = all(character in byte_of for character in text)
        pieces[token] = bytes(byte_of[character] for character in text) if known else text.encode()
    for token, text in added.items():
        pieces[token] = text.encode()
    return pieces


def _document_of_parts(folder: Path) -> dict[str, Any]:
    """The document of a folder with ``vocab.json`` and ``merges.txt``."""
    vocabulary = _read_json(folder / "vocab.json")
    lines = _read_text(folder / "merges.txt").splitlines()
    # The first line may be "#version: 0.2"; later lines may begin with "#" as merges of that character.
    start = 1 if lines and lines[0].startswith("#version") else 0
    merges = [line.split(" ") for line in lines[start:] if line]
    if any(len(pair) != 2 for pair in merges):
        raise ConfigurationError(f"{folder / 'merges.txt'}: expected two pieces a line, separated by one blank.")
    settings = folder / "tokenizer_config.json"
    decoder = _read_json(settings).get("added_tokens_decoder", {}) if settings.is_file() else {}
    added = {str(entry["content"]): int(token) for token, entry in decoder.items()}
    if not added:
        first = max(vocabulary.values(), default=-1) + 1
        added = {content: first + place for place, content in enumerate(QWEN_SPECIAL_TOKENS)}
    ordinary = {text: token for text, token in vocabulary.items() if text not in added}
    return bpe_document(ordinary, merges, added)


def _read_text(path: Path) -> str:
    """A file's text, within bounds."""
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ConfigurationError(f"{path}: expected at most {MAX_FILE_BYTES} bytes, got {path.stat().st_size}.")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: expected UTF-8 text: {error}") from error


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a file."""
    try:
        content = json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{path}: expected JSON, which ends or breaks at line {error.lineno}.") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path}: expected a JSON object, got {type(content).__name__}.")
    return content
