"""The files of a tokenizer, read with suspicion: bounded, and every damage told with the file's name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from n3d_ros.codec.tokenizer_splits import QWEN, SPLITS, Split
from n3d_ros.errors import ConfigurationError

MAX_FILE_BYTES = 64 * 2**20  # Qwen's tokenizer.json has about 11 MB
_OTHER_OPTIONS = ("continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "fuse_unk")
MAX_TOKENS = 1_000_000  # ids are below this; Qwen2.5-VL has 152064 rows


def read_document(
    document: Mapping[str, Any], source: str
) -> tuple[dict[str, int], list[list[str]], dict[int, str], Split]:
    """What of a ``tokenizer.json`` decides the ids; all else must be Qwen2's layout.

    Only this is handed to the package ``tokenizers``, which can end the process over other settings.

    Args:
        document: the file's content.
        source: where it comes from, for messages.

    Returns:
        Ordinary pieces to ids, merges, contents of the added tokens by id, and how text is cut.

    Raises:
        ConfigurationError: naming the file and what is wrong.
    """
    entries = document.get("added_tokens") or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigurationError(f"{source}: added_tokens: expected a list of objects with id and content.")
    added = added_tokens(((entry.get("id"), entry.get("content")) for entry in entries), source)
    model = document.get("model")
    split = _known_split(document)
    _check_layout(document, model if isinstance(model, dict) else {}, split, source)
    assert isinstance(model, dict)  # it is BPE
    vocabulary, merges = model.get("vocab"), model.get("merges")
    if not isinstance(vocabulary, dict) or not isinstance(merges, list):
        raise ConfigurationError(f"{source}: model: expected an object vocab and a list merges.")
    special = set(added.values())
    ordinary = {text: token for text, token in vocabulary.items() if text not in special}
    check_vocabulary(ordinary, added, source)
    pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in merges]
    return ordinary, _checked_merges(enumerate(pairs), ordinary, f"{source}: merge"), added, split


def _cutting_steps(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The steps by which a document cuts text; none where they cannot be read."""
    cut = document.get("pre_tokenizer")
    steps = cut.get("pretokenizers") if isinstance(cut, dict) and cut.get("type") == "Sequence" else None
    return steps if isinstance(steps, list) and all(isinstance(step, dict) for step in steps) else []


def _known_split(document: Mapping[str, Any]) -> Split:
    """The split that a document names; Qwen2's, which the checks then miss, where it names none that is known."""
    steps = _cutting_steps(document)
    pattern = steps[0].get("pattern") if steps else None
    regex = pattern.get("Regex") if isinstance(pattern, dict) else None
    return SPLITS.get(regex, QWEN) if isinstance(regex, str) else QWEN


def _check_layout(document: Mapping[str, Any], model: Mapping[str, Any], split: Split, source: str) -> None:
    """Refuses settings by which the tokenizer would cut text otherwise than Qwen2's, or ours for small models."""
    normalizer, steps = document.get("normalizer"), _cutting_steps(document)
    whole = {"type": "Split", "pattern": {"Regex": split.pattern}, "behavior": "Isolated", "invert": False}
    layout = {
        "model.type BPE": model.get("type", "BPE" if model else None) == "BPE",
        "no prefix, suffix or other options of BPE": not any(model.get(name) for name in _OTHER_OPTIONS)
        and bool(model.get("ignore_merges")) == split.whole_pieces,
        "normalizer NFC": isinstance(normalizer, dict) and normalizer.get("type") == "NFC",
        "pre_tokenizer Split by Qwen2's pattern, then ByteLevel": len(steps) == 2
        and all(steps[0].get(name) == value for name, value in whole.items())
        and steps[1].get("type") == "ByteLevel"
        and not steps[1].get("add_prefix_space", True)
        and not steps[1].get("use_regex", True),
    }
    wrong = [name for name, is_so in layout.items() if not is_so]
    if wrong:
        raise ConfigurationError(
            f"{source}: expected a tokenizer in Qwen2's layout, which has {'; '.join(wrong)}; this one has not. "
            "Give the folder of a Qwen2.5-VL or N3D-VLM checkpoint."
        )


def added_tokens(entries: Iterable[tuple[Any, Any]], source: str) -> dict[int, str]:
    """The added tokens, each id and each content once.

    Args:
        entries: id and content of each.
        source: where they come from, for messages.

    Returns:
        Contents by id.

    Raises:
        ConfigurationError: naming the file and what is wrong.
    """
    added: dict[int, str] = {}
    contents: set[str] = set()
    for token, content in entries:
        if not _is_id(token):
            raise ConfigurationError(
                f"{source}: added token {str(content)[:40]!r}: expected an id of 0 to {MAX_TOKENS - 1}, got "
                f"{repr(token)[:40]}."
            )
        if not isinstance(content, str) or not content or has_surrogate(content):
            raise ConfigurationError(f"{source}: added token {token}: expected a text, got {repr(content)[:40]}.")
        if token in added or content in contents:
            raise ConfigurationError(f"{source}: added token {content[:40]!r} ({token}): expected once, got it twice.")
        added[token] = content
        contents.add(content)
    return added


def _is_id(value: Any) -> bool:
    """Whether a value of a file may be a token's id."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_TOKENS


def check_vocabulary(vocabulary: Mapping[str, Any], added: Mapping[int, str], source: str) -> None:
    """Refuses ids out of range or of two tokens, and a vocabulary that cannot write every byte.

    Args:
        vocabulary: ordinary pieces to ids.
        added: contents of the special tokens by id.
        source: where they come from, for messages.

    Raises:
        ConfigurationError: naming the file and what is wrong.
    """
    owners: dict[int, str] = dict(added)
    for text, token in vocabulary.items():
        if not _is_id(token):
            raise ConfigurationError(
                f"{source}: token {text[:40]!r}: expected an id of 0 to {MAX_TOKENS - 1}, got {repr(token)[:40]}."
            )
        if owners.setdefault(token, text) != text:
            raise ConfigurationError(
                f"{source}: id {token}: expected one token, got {text[:40]!r} and {owners[token][:40]!r}."
            )
    missing = sum(character not in vocabulary for character in byte_of_character())
    if missing:
        raise ConfigurationError(
            f"{source}: expected a token for each of 256 bytes (byte-level BPE), {missing} are missing. "
            "Give the folder of a Qwen2.5-VL or N3D-VLM checkpoint."
        )


def read_parts(folder: Path) -> tuple[dict[str, int], list[list[str]], dict[int, str]]:
    """The content of ``vocab.json``, ``merges.txt`` and, where there is one, ``tokenizer_config.json``.

    Args:
        folder: holds them.

    Returns:
        Ordinary pieces to ids, merges, and contents of the added tokens by id, empty where no file tells them.

    Raises:
        ConfigurationError: naming the file and what is wrong.
    """
    vocabulary = read_json(folder / "vocab.json")
    settings = folder / "tokenizer_config.json"
    decoder = read_json(settings).get("added_tokens_decoder") or {} if settings.is_file() else {}
    if not isinstance(decoder, dict) or not all(isinstance(entry, dict) for entry in decoder.values()):
        raise ConfigurationError(f"{settings}: added_tokens_decoder: expected an object of objects with content.")
    added = added_tokens(((_number(token), entry.get("content")) for token, entry in decoder.items()), str(settings))
    special = set(added.values())
    ordinary = {text: token for text, token in vocabulary.items() if text not in special}
    check_vocabulary(ordinary, added, str(folder / "vocab.json"))
    return ordinary, _merges(folder / "merges.txt", ordinary), added


def byte_of_character() -> dict[str, int]:
    """The byte behind each character of the byte-level alphabet.

    GPT-2's table: printable Latin-1 characters stand for themselves, the other bytes for U+0100 onwards in their order.

    Returns:
        Bytes by character.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(byte): byte for byte in printable}
    others = [byte for byte in range(256) if byte not in set(printable)]
    table.update({chr(0x100 + place): byte for place, byte in enumerate(others)})
    return table


def has_surrogate(text: str) -> bool:
    """Whether a text holds half of a surrogate pair, which no UTF-8 can carry.

    Args:
        text: any.

    Returns:
        True if so.
    """
    return any("\ud800" <= character <= "\udfff" for character in text)


def _merges(path: Path, vocabulary: Mapping[str, int]) -> list[list[str]]:
    """The pairs of a ``merges.txt``, each of tokens that the vocabulary has."""
    lines = [line.removesuffix("\r") for line in _read_text(path).split("\n")]
    # The first line may be "#version: 0.2"; later lines may begin with "#" as merges of that character.
    start = 1 if lines[0].startswith("#version") else 0
    pairs = ((number, line.split(" ")) for number, line in enumerate(lines[start:], start=start + 1) if line)
    return _checked_merges(pairs, vocabulary, f"{path}: line")


def _checked_merges(pairs: Iterable[tuple[int, Any]], vocabulary: Mapping[str, int], where: str) -> list[list[str]]:
    """The pairs, if each is of two tokens that the vocabulary has, which together are a third."""
    merges = []
    for number, pair in pairs:
        is_pair = isinstance(pair, list) and len(pair) == 2 and all(isinstance(piece, str) and piece for piece in pair)
        if not is_pair or not {*pair, "".join(pair)} <= vocabulary.keys():
            raise ConfigurationError(
                f"{where} {number}: expected two tokens of the vocabulary, separated by one blank, which together are "
                f"a third, got {repr(pair)[:60]}."
            )
        merges.append(pair)
    return merges


def _number(text: str) -> int | None:
    """The id that a JSON object's key names; None where it is no plain number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _read_text(path: Path) -> str:
    """A file's text, within bounds."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ConfigurationError(f"{path}: expected at most {MAX_FILE_BYTES} bytes, got {size}.")
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: expected UTF-8 text: {error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a file.

    Args:
        path: of the file.

    Returns:
        The object.

    Raises:
        ConfigurationError: naming the file and what is wrong.
    """
    try:
        content = json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{path}: expected JSON, which ends or breaks at line {error.lineno}.") from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, thousands of brackets
        raise ConfigurationError(f"{path}: expected JSON of a tokenizer: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path}: expected a JSON object, got {type(content).__name__}.")
    return content
