"""config.json of a checkpoint: a model of ours or not, its shape, and which position code its weights expect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import Qwen2_5_VLConfig

from n3d_ros.errors import ConfigurationError
from n3d_ros.model.position_code import POSITION_CODES, PositionCode

CONFIG_FILE = "config.json"
MODEL_TYPE = "qwen2_5_vl"
POSITION_CODE_KEY = "position_code"
MAX_JSON_BYTES = 64 << 20  # the index of a 72B model has 0.1 MB

# Published repositories whose config.json does not say what their weights were trained with.
KNOWN_POSITION_CODES: Mapping[str, PositionCode] = {"yuxinhk/n3d-vlm": "reference"}
STOCK_PREFIX = "qwen/qwen2.5-vl-"

# Keys that steer transformers rather than describe the model, or that other tools left behind. The dtype is chosen when
# weights are loaded; here it would give a new model parts of two dtypes.
IGNORED_KEYS = frozenset(
    {
        "attn_implementation",
        "_attn_implementation",
        "auto_map",
        "transformers_version",
        "pcd_pe_embedding_size",
        "seed",
        "dtype",
        "torch_dtype",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionCodeChoice:
    """Which position code a checkpoint is run with, and why.

    Args:
        mode: one of ``POSITION_CODES``.
        reason: where that was read, as a part of a sentence.
        assumed: whether nothing said it.
    """

    mode: PositionCode
    reason: str
    assumed: bool = False


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Args:
        file: of at most 64 MiB.

    Returns:
        The object.

    Raises:
        ConfigurationError: the file is absent, too long, not JSON, or not an object.
    """
    try:
        size = file.stat().st_size
        if size > MAX_JSON_BYTES:
            raise ConfigurationError(f"{file}: expected at most {MAX_JSON_BYTES} bytes of JSON, got {size}.")
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"{file}: there is no such file; name the folder of a complete checkpoint.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{file}: cannot be read as JSON ({error}); copy or download it again.") from error
    if not isinstance(data, dict):
        raise ConfigurationError(f"{file}: expected a JSON object, got {type(data).__name__}.")
    return data


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a folder, known to describe a Qwen2.5-VL model without quantised weights.

    Args:
        folder: of the checkpoint.

    Returns:
        The object as it stands in the file.

    Raises:
        ConfigurationError: no readable file, or a model of another kind.
    """
    file = folder / CONFIG_FILE
    data = read_json(file)
    kind = data.get("model_type")
    if kind is None and isinstance(data.get("vision_config"), dict) and isinstance(data.get("text_config"), dict):
        kind = MODEL_TYPE  # arguments of a configuration, without a name; what they build is checked tensor by tensor
    if kind != MODEL_TYPE:
        raise ConfigurationError(
            f"{file}: expected a model_type of {MODEL_TYPE!r} (N3D-VLM or Qwen2.5-VL), got {kind!r} "
            f"(architectures {data.get('architectures')!r}); name the folder of such a model."
        )
    if data.get("quantization_config"):
        method = data["quantization_config"]
        method = method.get("quant_method", "unknown") if isinstance(method, dict) else method
        raise ConfigurationError(
            f"{file}: the weights are quantised ({method}); expected bfloat16, float16 or float32. Name the model they "
            "were made from."
        )
    return data


def build_config(data: Mapping[str, Any], *, name: str = CONFIG_FILE) -> Qwen2_5_VLConfig:
    """The configuration for transformers, out of the flat layout of older releases or the nested one of newer ones.

    Args:
        data: of ``read_config``; keys of others (training seeds and the like) do no harm.
        name: of the file, for errors.

    Returns:
        The configuration; its shapes fit each other.

    Raises:
        ConfigurationError: values of a wrong type, or numbers that do not fit each other.
    """
    kept = _without_ignored(json.loads(json.dumps(data)))  # a copy: transformers changes nested dictionaries in place
    try:
        config = Qwen2_5_VLConfig(**kept)
        problems = _shape_problems(config)
    except Exception as error:  # whatever transformers makes of a broken file
        raise ConfigurationError(f"{name}: not a configuration of Qwen2.5-VL: {_first_lines(error)}") from error
    if problems:
        raise ConfigurationError(f"{name}: {'; '.join(problems)}.")
    return config


def choose_position_code(
    data: Mapping[str, Any], *, hub_id: str | None, override: PositionCode | None = None
) -> PositionCodeChoice:
    """Which position code the weights are run with: as asked, as config.json says, as known of the repository.

    N3D-VLM's own class adds the code to any weights of Qwen2.5-VL, and its config.json is a stock one: where nothing
    else is known, ``reference`` is assumed.

    Args:
        data: of ``read_config``.
        hub_id: "owner/name" the weights came from, if they came from the hub.
        override: what the caller asked for.

    Returns:
        The choice.

    Raises:
        ConfigurationError: an unknown word.
    """
    if override is not None:
        return PositionCodeChoice(mode=_known_mode(override, "position_code"), reason="asked for")
    if data.get(POSITION_CODE_KEY) is not None:
        mode = _known_mode(data[POSITION_CODE_KEY], f"{CONFIG_FILE}: {POSITION_CODE_KEY}")
        return PositionCodeChoice(mode=mode, reason=f"set in {CONFIG_FILE}")
    known = (hub_id or "").lower()
    if known in KNOWN_POSITION_CODES:
        return PositionCodeChoice(mode=KNOWN_POSITION_CODES[known], reason=f"known of {hub_id}")
    if known.startswith(STOCK_PREFIX):
        return PositionCodeChoice(mode="none", reason=f"{hub_id} is a stock model")
    return PositionCodeChoice(
        mode="reference", reason=f"assumed, since {CONFIG_FILE} has no {POSITION_CODE_KEY!r}", assumed=True
    )


def size_name(config: Qwen2_5_VLConfig) -> str | None:
    """Which published size of Qwen2.5-VL a model has the shape of.

    Args:
        config: of the model.

    Returns:
        "3B", "7B", "32B", "72B", or None.
    """
    text = config.text_config
    shapes = {(2048, 36): "3B", (3584, 28): "7B", (5120, 64): "32B", (8192, 80): "72B"}
    return shapes.get((text.hidden_size, text.num_hidden_layers))


def _without_ignored(data: dict[str, Any]) -> dict[str, Any]:
    """The keys that describe the model, at each level."""
    return {
        key: _without_ignored(value) if isinstance(value, dict) else value
        for key, value in data.items()
        if key not in IGNORED_KEYS
    }


def _known_mode(word: object, where: str) -> PositionCode:
    for mode in POSITION_CODES:
        if word == mode:
            return mode
    raise ConfigurationError(f"{where}: expected one of {', '.join(POSITION_CODES)}, got {word!r}.")


def _shape_problems(config: Qwen2_5_VLConfig) -> list[str]:
    """What does not fit in the numbers of a configuration, one part of a sentence each."""
    text, vision = config.text_config, config.vision_config
    problems = []
    for name, owner, heads in (("text", text, text.num_attention_heads), ("vision", vision, vision.num_heads)):
        if heads < 1 or owner.hidden_size % heads:
            problems.append(f"the {name} hidden_size {owner.hidden_size} is no multiple of its {heads} heads")
    if text.num_key_value_heads < 1 or text.num_attention_heads % text.num_key_value_heads:
        problems.append(
            f"{text.num_attention_heads} heads are no multiple of {text.num_key_value_heads} key/value heads"
        )
    if problems:
        return problems
    sections = (text.rope_parameters or {}).get("mrope_section", [16, 24, 24])
    head = text.hidden_size // text.num_attention_heads
    if 2 * sum(sections) != head:
        problems.append(f"mrope_section {list(sections)} must sum to half the head size, {head // 2}")
    if vision.out_hidden_size != text.hidden_size:
        problems.append(
            f"the vision out_hidden_size {vision.out_hidden_size} must be the text hidden_size {text.hidden_size}"
        )
    if vision.window_size // vision.spatial_merge_size // vision.patch_size < 1:
        problems.append(
            f"window_size {vision.window_size} holds no block of {vision.spatial_merge_size}x{vision.patch_size} px"
        )
    if not 1 <= vision.depth <= 1000 or not 1 <= text.num_hidden_layers <= 1000:
        problems.append(f"{vision.depth} vision and {text.num_hidden_layers} text layers are outside 1 to 1000")
    return problems


def _first_lines(error: Exception) -> str:
    """The beginning of an error of transformers, which may be long."""
    return " ".join(str(error).split())[:400]
