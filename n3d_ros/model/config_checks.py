"""What config.json says, looked at before anything is built from it: kinds, ranges, and numbers that fit each other.

The file is input from elsewhere, and a number in it decides how much is built. Nothing here needs transformers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

# The largest that is published, 72B, has 80 layers, a width of 8192 and 152,064 tokens.
MAX_LAYERS = 256
_MAX_WIDTH = 1 << 17
_MAX_INNER = 1 << 20
_MAX_HEADS = 1024
_MAX_VOCABULARY = 1 << 22
_MAX_TOKEN_ID = (1 << 31) - 1
_MAX_LENGTH = 1 << 31  # positions; nothing is built per position
_MAX_WINDOW_PX = 1 << 16
_MAX_VALUE_CHARACTERS = 60  # of a value, in a sentence

# Whole numbers: least and most that is accepted.
_TEXT_COUNTS: Mapping[str, tuple[int, int]] = {
    "vocab_size": (1, _MAX_VOCABULARY),
    "hidden_size": (1, _MAX_WIDTH),
    "intermediate_size": (1, _MAX_INNER),
    "num_hidden_layers": (1, MAX_LAYERS),
    "num_attention_heads": (1, _MAX_HEADS),
    "num_key_value_heads": (1, _MAX_HEADS),
    "max_position_embeddings": (1, _MAX_LENGTH),
    "max_window_layers": (0, _MAX_LENGTH),
    "sliding_window": (1, _MAX_LENGTH),
}
# Images are cut for the released tower: 14 px, 2 frames, 2x2 patches to a token. Weights of others have no input here.
# Two of the names are those of the released files alone.
_VISION_COUNTS: Mapping[str, tuple[int, int]] = {
    "depth": (1, MAX_LAYERS),
    "hidden_size": (1, _MAX_WIDTH),
    "intermediate_size": (1, _MAX_INNER),
    "num_heads": (1, _MAX_HEADS),
    "in_channels": (3, 3),
    "in_chans": (3, 3),
    "patch_size": (14, 14),
    "spatial_patch_size": (14, 14),
    "spatial_merge_size": (2, 2),
    "temporal_patch_size": (2, 2),
    "window_size": (1, _MAX_WINDOW_PX),
    "out_hidden_size": (1, _MAX_WIDTH),
    "tokens_per_second": (1, 1000),
}
_IMAGE_TOKENS = (
    "image_token_id",
    "video_token_id",
    "vision_token_id",
    "vision_start_token_id",
    "vision_end_token_id",
)
_TEXT_TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id")
_MAX_ENDS = 64  # ids under eos_token_id

# Numbers: above the first, up to the second.
_TEXT_NUMBERS: Mapping[str, tuple[float, float]] = {
    "rms_norm_eps": (1e-12, 0.1),  # far less is lost beside float32 numbers
    "rope_theta": (1.0, 1e15),  # at 1 all frequencies are one
}
_SWITCHES = ("tie_word_embeddings", "use_sliding_window", "use_cache", "point_channels")
_ACTIVATION = "silu"
_NULL_IS_FINE = frozenset(
    {"num_key_value_heads", "max_window_layers", "sliding_window", "use_sliding_window", *_TEXT_TOKENS}
)

# What reaches transformers, which sets every key it is handed on its configuration, its own methods' names too, and
# makes tables as long as some of them say.
_TEXT_KEYS = (
    frozenset(_TEXT_COUNTS)
    | frozenset(_TEXT_NUMBERS)
    | frozenset(_SWITCHES)
    | frozenset(_TEXT_TOKENS)
    | {"hidden_act", "initializer_range", "attention_dropout", "layer_types", "rope_parameters", "rope_scaling"}
)
_VISION_KEYS = frozenset(_VISION_COUNTS) - {"in_chans", "spatial_patch_size"} | {
    "hidden_act",
    "initializer_range",
    "fullatt_block_indexes",
    "rope_parameters",
}
_OUTER_KEYS = frozenset(_IMAGE_TOKENS) | {"tie_word_embeddings", "position_code", "point_channels"}
_ROPE_KEYS = frozenset({"type", "rope_type", "rope_theta", "mrope_section"})
_LAYER_TYPES = ("full_attention", "sliding_attention")
_TEXT_ROPES = ("default", "mrope")
_VISION_ROPES = ("default", "axial")  # two names of one thing


def described(data: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What describes the model in a config.json, in the nested layout, and what is wrong with it.

    Args:
        data: the whole object, flat or nested; it is not changed.

    Returns:
        Arguments of the configuration without the keys of others, and parts of a sentence about values of a wrong kind
        or out of range. Where there are any, the arguments are not to be used.
    """
    text, vision = data.get("text_config"), data.get("vision_config")
    for name, part in (("text_config", text), ("vision_config", vision)):
        if part is not None and not isinstance(part, Mapping):
            return {}, [f"{name}: expected an object, got {_shown(part)}"]
    outer = {key: value for key, value in data.items() if key in _OUTER_KEYS}
    ends = {key: data[key] for key in _TEXT_TOKENS if key in data}  # files exist that have them outside alone
    inner = ends | {key: value for key, value in (data if text is None else text).items() if key in _TEXT_KEYS}
    tower = {key: value for key, value in (vision or {}).items() if key in _VISION_KEYS}
    problems = [
        *_outer_problems(outer),
        *_text_problems(inner),
        *_vision_problems({**tower, **{key: value for key, value in (vision or {}).items() if key in _VISION_COUNTS}}),
    ]
    if not problems:
        for part in (inner, tower):
            for key in {"rope_parameters", "rope_scaling"} & part.keys():
                part[key] = {name: value for name, value in (part[key] or {}).items() if name in _ROPE_KEYS} or None
    return {**outer, "text_config": inner, "vision_config": tower}, problems


def misfits(text: Any, vision: Any, tokens: Mapping[str, int | None]) -> list[str]:
    """What does not fit in the numbers of a configuration, each of which is in its range.

    Args:
        text: attributes of the language model's part, with what transformers fills in.
        vision: of the tower's part.
        tokens: ids that images are written with, by their name.

    Returns:
        Parts of a sentence.
    """
    problems = []
    for name, owner, heads in (("text", text, text.num_attention_heads), ("vision", vision, vision.num_heads)):
        if owner.hidden_size % heads:
            problems.append(f"the {name} hidden_size {owner.hidden_size} is no multiple of its {heads} heads")
    if text.num_attention_heads % text.num_key_value_heads:
        problems.append(
            f"{text.num_attention_heads} heads are no multiple of {text.num_key_value_heads} key/value heads"
        )
    return problems or [*_rotary_misfits(text, vision), *_layer_misfits(text, vision), *_token_misfits(text, tokens)]


def _rotary_misfits(text: Any, vision: Any) -> Iterator[str]:
    """What does not fit in the sizes of the heads."""
    sections = (text.rope_parameters or {}).get("mrope_section", [16, 24, 24])
    head, vision_head = text.hidden_size // text.num_attention_heads, vision.hidden_size // vision.num_heads
    if 2 * sum(sections) != head:
        yield f"mrope_section {list(sections)} must sum to half the head size, {head / 2:g}"
    if vision_head % 4:
        yield f"the vision head size {vision_head} must be a multiple of 4, half of it for rows and half for columns"
    if vision.out_hidden_size != text.hidden_size:
        yield f"the vision out_hidden_size {vision.out_hidden_size} must be the text hidden_size {text.hidden_size}"


def _layer_misfits(text: Any, vision: Any) -> Iterator[str]:
    """What does not fit in the lists of layers and the windows."""
    if vision.window_size // vision.spatial_merge_size // vision.patch_size < 1:
        yield f"window_size {vision.window_size} holds no block of {vision.spatial_merge_size}x{vision.patch_size} px"
    beyond = [index for index in vision.fullatt_block_indexes if index >= vision.depth]
    if beyond:
        yield f"fullatt_block_indexes: expected numbers below the vision depth {vision.depth}, got {_shown(beyond)}"
    if text.layer_types is not None and len(text.layer_types) != text.num_hidden_layers:
        yield f"layer_types: expected one for each of {text.num_hidden_layers} layers, got {len(text.layer_types)}"


def _token_misfits(text: Any, tokens: Mapping[str, int | None]) -> Iterator[str]:
    """What does not fit in the ids of tokens."""
    given = {name: token for name, token in tokens.items() if token is not None}
    for name, token in given.items():
        if token >= text.vocab_size:
            yield f"{name}: expected an id of the vocabulary, below {text.vocab_size}, got {token}"
    if text.pad_token_id is not None and text.pad_token_id >= text.vocab_size:
        yield f"pad_token_id: expected an id of the vocabulary, below {text.vocab_size}, got {text.pad_token_id}"
    if len(set(given.values())) < len(given):
        yield f"{', '.join(given)}: expected different ids, got {', '.join(map(str, given.values()))}"


def _outer_problems(outer: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the keys that stand outside of both parts."""
    yield from _count_problems(outer, dict.fromkeys(_IMAGE_TOKENS, (0, _MAX_TOKEN_ID)), "")
    yield from _switch_problems(outer)


def _text_problems(text: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the language model's part, key by key."""
    yield from _count_problems(text, _TEXT_COUNTS, "")
    yield from _switch_problems(text)
    yield from _activation_problems(text, "")
    yield from _number_problems(text, tuple(_TEXT_NUMBERS), "")
    for name in _TEXT_TOKENS:
        yield from _text_token_problems(name, text.get(name))
    for name in ("rope_parameters", "rope_scaling"):
        yield from _rope_problems(text.get(name), name, _TEXT_ROPES)
    types = text.get("layer_types")
    if types is not None and not (isinstance(types, list) and all(kind in _LAYER_TYPES for kind in types)):
        yield f"layer_types: expected a list of {' and '.join(_LAYER_TYPES)}, got {_shown(types)}"


def _vision_problems(vision: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the tower's part, key by key."""
    yield from _count_problems(vision, _VISION_COUNTS, "vision ")
    yield from _activation_problems(vision, "vision ")
    yield from _rope_problems(vision.get("rope_parameters"), "vision rope_parameters", _VISION_ROPES)
    full = vision.get("fullatt_block_indexes", [])
    if not isinstance(full, list) or not all(_is_count(index) and index >= 0 for index in full):
        yield f"fullatt_block_indexes: expected a list of whole numbers from 0, got {_shown(full)}"


def _count_problems(part: Mapping[str, Any], ranges: Mapping[str, tuple[int, int]], where: str) -> Iterator[str]:
    """Whole numbers that are none or out of range."""
    for name, (low, high) in ranges.items():
        if name not in part or (part[name] is None and name in _NULL_IS_FINE):
            continue
        if not _is_count(part[name]) or not low <= part[name] <= high:
            wanted = f"{low}" if low == high else f"a whole number of {low} to {high}"
            yield f"{where}{name}: expected {wanted}, got {_shown(part[name])}"


def _number_problems(part: Mapping[str, Any], names: tuple[str, ...], where: str) -> Iterator[str]:
    """Numbers that are none, not finite or out of range."""
    for name in names:
        low, high = _TEXT_NUMBERS[name]
        if name in part and not (_is_number(part[name]) and low < part[name] <= high):
            yield f"{where}{name}: expected a number above {low:g}, at most {high:g}, got {_shown(part[name])}"


def _switch_problems(part: Mapping[str, Any]) -> Iterator[str]:
    """Words or numbers where true or false belongs."""
    for name in _SWITCHES:
        value = part.get(name, False)
        if not isinstance(value, bool) and not (value is None and name in _NULL_IS_FINE):
            yield f"{name}: expected true or false, got {_shown(value)}"


def _activation_problems(part: Mapping[str, Any], where: str) -> Iterator[str]:
    """Another activation than that of all released weights."""
    if part.get("hidden_act", _ACTIVATION) != _ACTIVATION:
        found = _shown(part["hidden_act"])
        yield f"{where}hidden_act: expected {_ACTIVATION!r}, as all released weights have it, got {found}"


def _text_token_problems(name: str, value: Any) -> Iterator[str]:
    """Ids of the ends of a text that are none; one, several, or null."""
    least = -1 if name == "pad_token_id" else 0  # -1: none
    ids = value if isinstance(value, list) and name == "eos_token_id" else [] if value is None else [value]
    if len(ids) > _MAX_ENDS or not all(_is_count(token) and least <= token <= _MAX_TOKEN_ID for token in ids):
        yield f"{name}: expected the id of a token, got {_shown(value)}"


def _rope_problems(rope: Any, where: str, kinds: tuple[str, ...]) -> Iterator[str]:
    """What is wrong with an object about rotary positions."""
    if rope is None:
        return
    if not isinstance(rope, Mapping):
        yield f"{where}: expected an object, got {_shown(rope)}"
        return
    for name in ("type", "rope_type"):
        if name in rope and rope[name] not in kinds:
            yield f"{where}: {name}: expected {' or '.join(map(repr, kinds))}, got {_shown(rope[name])}"
    yield from _number_problems(rope, ("rope_theta",), f"{where}: ")
    sections = rope.get("mrope_section", [0, 0, 0])
    if (
        not isinstance(sections, list)
        or len(sections) != 3
        or not all(_is_count(length) and 0 <= length <= _MAX_WIDTH for length in sections)
    ):
        yield f"{where}: mrope_section: expected three whole numbers from 0, got {_shown(sections)}"


def _is_count(value: object) -> bool:
    """Whether a value of JSON is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    """Whether a value of JSON is a finite number; Python reads NaN and Infinity too."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def _shown(value: object) -> str:
    """A value as a sentence shows it."""
    if isinstance(value, (list, tuple)):
        value = list(value)[:10]
    elif isinstance(value, Mapping):
        return "an object"
    text = repr(value)
    return text if len(text) <= _MAX_VALUE_CHARACTERS else text[: _MAX_VALUE_CHARACTERS - 3] + "..."
