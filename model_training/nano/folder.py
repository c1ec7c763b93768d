"""An untrained model as a folder that the trainer starts from and the node loads."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from model_training.nano.shapes import SHAPES, Shape, nano_config
from model_training.nano.tokenizer import write_nano_tokenizer
from n3d_ros.codec.input_options import OPTIONS_KEY, PREPROCESSOR_FILE, InputOptions, stored_options
from n3d_ros.codec.tokenizer import Tokenizer
from n3d_ros.errors import ConfigurationError
from n3d_ros.whole_files import write_json

LICENCE = "Apache-2.0"
IMAGE_PROCESSOR = {
    "patch_size": 14,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "image_processor_type": "Qwen2VLImageProcessor",
    "processor_class": "Qwen2_5_VLProcessor",
}
"""What other tools read of ``preprocessor_config.json``; ours read the object ``n3d`` in it."""


def write_untrained(
    folder: str | Path,
    shape: str | Shape = "nano",
    *,
    seed: int = 0,
    depth: bool = True,
    long_side: int | None = None,
    normalization: str = "mean",
) -> dict[str, Any]:
    """Writes a model with first weights: configuration, float32 weights, tokenizer, input size, card.

    Args:
        folder: new, or empty. It appears when it is whole.
        shape: a name of ``SHAPES``, or a shape.
        seed: of the weights.
        depth: False: the same network without depth and its channels, for comparison.
        long_side: of the images, pixels; None: the shape's.
        normalization: "mean" or "robust", of the points.

    Returns:
        What config.json says.

    Raises:
        ConfigurationError: the folder holds something, or an unknown shape.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigurationError(f"{target}: expected a new or an empty folder; name another one or remove it first.")
    if isinstance(shape, str) and shape not in SHAPES:
        raise ConfigurationError(f"shape: expected one of {', '.join(SHAPES)}, got {shape!r}.")
    chosen = SHAPES[shape] if isinstance(shape, str) else shape
    options = InputOptions(long_side=long_side or chosen.long_side, normalization=normalization)
    part = target.absolute().with_name(f".{target.absolute().name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a run that was stopped
    try:
        tokenizer = write_nano_tokenizer(part)
        config = _write_model(part, tokenizer, chosen, seed=seed, depth=depth)
        ends = [tokenizer.im_end, tokenizer.end_of_text]
        write_json(part / "generation_config.json", {"eos_token_id": ends, "pad_token_id": tokenizer.end_of_text})
        write_json(part / PREPROCESSOR_FILE, {**IMAGE_PROCESSOR, OPTIONS_KEY: stored_options(options)})
        part.replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return config


def _write_model(part: Path, tokenizer: Tokenizer, shape: Shape, *, seed: int, depth: bool) -> dict[str, Any]:
    """Configuration, weights and card; the configuration's values."""
    from model_training.nano.first_weights import initialise
    from n3d_ros.model.card import OwnCard
    from n3d_ros.model.checkpoint import save_model
    from n3d_ros.model.config import build_config
    from n3d_ros.model.n3d_vlm import N3dVlm

    config = nano_config(tokenizer, shape, depth=depth)
    model = N3dVlm(build_config(config)).float()
    initialise(model, tokenizer, seed=seed)
    notes = f"First weights, drawn with seed {seed}: answers mean nothing before training."
    save_model(model, part, card=OwnCard(name="n3d-nano, untrained", licence=LICENCE, notes=notes))
    return config
