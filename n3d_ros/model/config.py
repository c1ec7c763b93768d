"""config.json of a checkpoint: a model of ours or not, its shape, and which position code its weights expect."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import Qwen2_5_VLConfig

from n3d_ros.errors import ConfigurationError
from n3d_ros.model.config_checks import described, misfits
from n3d_ros.model.position_code import POSITION_CODES, PositionCode
from n3d_ros.weights.json_files import CONFIG_FILE, MAX_CONFIG_BYTES, read_json

MODEL_TYPE = "qwen2_5_vl"
POSITION_CODE_KEY = "position_code"

# Published repositories whose config.json does not say what their weights were trained with.
KNOWN_POSITION_CODES: Mapping[str, PositionCode] = {"yuxinhk/n3d-vlm": "reference"}
STOCK_PREFIX = "qwen/qwen2.5-vl-"


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
    data = read_json(file, limit=MAX_CONFIG_BYTES)
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
    kept, problems = described(data)
    config = None
    if not problems:
        try:
            config = Qwen2_5_VLConfig(**copy.deepcopy(kept))  # transformers changes nested dictionaries in place
        except Exception as error:  # whatever transformers makes of a broken file
            problems = [_first_lines(error)]
    if config is None:
        raise ConfigurationError(f"{name}: not a configuration of Qwen2.5-VL: {'; '.join(problems)}.")
    problems = misfits(config.text_config, config.vision_config, _image_tokens(config, data))
    if problems:
        raise ConfigurationError(f"{name}: {'; '.join(problems)}.")
    return config


def choose_position_code(
    data: Mapping[str, Any],
    *,
    hub_id: str | None,
    stock_name: str | None = None,
    override: PositionCode | None = None,
) -> PositionCodeChoice:
    """Which position code the weights are run with: as asked, as config.json says, as known of the repository.

    N3D-VLM's own class adds the code to any weights of Qwen2.5-VL, and its config.json is a stock one: where nothing
    else is known, ``reference`` is assumed.

    Args:
        data: of ``read_config``.
        hub_id: "owner/name" the weights came from, if they came from the hub.
        stock_name: of ``stock_name``; None: the folder does not say that it is a stock model.
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
    if not known and stock_name is not None:
        return PositionCodeChoice(mode="none", reason=f"its README is that of the stock model {stock_name}")
    return PositionCodeChoice(
        mode="reference",
        reason=f"assumed, since {CONFIG_FILE} has no {POSITION_CODE_KEY!r}: if these are stock weights, set "
        'language_model.position_code to "none"',
        assumed=True,
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


def _image_tokens(config: Qwen2_5_VLConfig, data: Mapping[str, Any]) -> dict[str, int | None]:
    """Ids that images are written with, and that of videos where the file has one: no video is ever written."""
    return {
        "image_token_id": config.image_token_id,
        "vision_start_token_id": config.vision_start_token_id,
        "vision_end_token_id": config.vision_end_token_id,
        "video_token_id": data.get("video_token_id"),
    }


def _known_mode(word: object, where: str) -> PositionCode:
    for mode in POSITION_CODES:
        if word == mode:
            return mode
    raise ConfigurationError(f"{where}: expected one of {', '.join(POSITION_CODES)}, got {word!r}.")


def _first_lines(error: Exception) -> str:
    """The beginning of an error of transformers, which may be long."""
    return " ".join(str(error).split())[:400]
