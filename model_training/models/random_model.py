"""Checkpoint folders of the released layout with random weights: for tests, loading times and speed, not for answers.

``python -m model_training.models.random_model FOLDER --size tiny`` writes configuration, sharded weights, tokenizer,
processor settings and a card. Tensors go to the file in slices, so memory stays small whatever the size. The same seed
gives the same weights in every layout and at every shard size. Needs numpy, tqdm and, for the stand-in tokenizer,
tokenizers; torch only in ``random_state``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import math
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from model_training.models.qwen_layout import (
    LAYOUTS,
    SIZES,
    layout_name,
    nested_config,
    parameter_count,
    random_config,
    tensor_shapes,
)
from n3d_ros.errors import ConfigurationError, N3dError

__all__ = ["DTYPES", "main", "random_config", "random_state", "write_random_model"]

logger = logging.getLogger(__name__)

# Name in the configuration -> name in a safetensors header.
DTYPES: dict[str, str] = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}
POSITION_CODES = ("reference", "aligned", "none")
DEFAULT_SHARD_BYTES = 4_000_000_000  # the released folders have shards of about this size
# Numbers drawn at once: 64 MiB as float32. Part of what a seed means; do not change it.
SLICE_NUMBERS = 1 << 24
# Spread of norms around one and of biases around zero: enough for a test to see one that was left out.
SMALL_SPREAD = 0.02
PROGRESS_FROM_BYTES = 200_000_000
INDEX_FILE = "model.safetensors.index.json"

# Files of the released folders beside weights and tokenizer; the values are those of Qwen's image processor.
PREPROCESSOR = {
    "min_pixels": 3136,
    "max_pixels": 12845056,
    "patch_size": 14,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "image_processor_type": "Qwen2VLImageProcessor",
    "processor_class": "Qwen2_5_VLProcessor",
}
SPECIAL_TOKENS: dict[str, str] = {
    "bos_token_id": "<|endoftext|>",
    "eos_token_id": "<|im_end|>",
    "vision_start_token_id": "<|vision_start|>",
    "vision_end_token_id": "<|vision_end|>",
    "vision_token_id": "<|vision_pad|>",
    "image_token_id": "<|image_pad|>",
    "video_token_id": "<|video_pad|>",
}
CARD = """\
---
license: apache-2.0
---
# Random weights, answers mean nothing

{parameters:,} parameters of the shape "{size}", drawn by chance with seed {seed}, {dtype}, layout "{layout}",
position code "{position_code}". The tokenizer is a stand-in. For tests of loading and for speed alone: no weight in
this folder was trained.
"""


def write_random_model(
    folder: str | Path,
    *,
    size: str = "tiny",
    position_code: str | None = "reference",
    dtype: str = "bfloat16",
    seed: int = 0,
    layout: str = "old",
    shard_bytes: int = DEFAULT_SHARD_BYTES,
    **overrides: Any,
) -> dict[str, Any]:
    """The configuration that was written to the new folder, with the weights and everything else a checkpoint holds.

    Args:
        folder: folder to make; may exist empty. It appears when it is complete.
        size: a name in ``SIZES``.
        position_code: value of that key of config.json; None: the key is left out, as in the released folder.
        dtype: a name in ``DTYPES``.
        seed: everything drawn by chance follows from it.
        layout: "old" or "new" names.
        shard_bytes: a shard is closed when the next tensor would exceed this; one tensor is never split.
        **overrides: keys of the configuration to replace, as for ``random_config``.

    Returns:
        The values of config.json.
    """
    folder = Path(folder)
    _check_request(folder, position_code, dtype, layout, shard_bytes)
    config = random_config(size, **overrides)
    _check_space(folder, parameter_count(config) * _item_bytes(dtype))
    partial = folder.absolute().with_name(f".{folder.absolute().name}.partial-{os.getpid()}")
    partial.mkdir(parents=True)
    try:
        config |= _write_tokenizer(partial, config)
        config["torch_dtype"] = dtype
        if position_code is not None:
            config["position_code"] = position_code
        written = config if layout == "old" else nested_config(config)
        _write_json(partial / "config.json", written)
        _write_json(partial / "generation_config.json", _generation_config(config))
        _write_json(partial / "preprocessor_config.json", PREPROCESSOR)
        names = {"size": size, "seed": seed, "dtype": dtype, "layout": layout, "position_code": position_code}
        card = CARD.format(parameters=parameter_count(config), **names)
        (partial / "README.md").write_text(card, encoding="utf-8")
        _write_weights(partial, config, dtype, seed, layout, shard_bytes)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return written


def random_state(config: Mapping[str, Any], *, seed: int = 0, dtype: str = "bfloat16", device: str = "cpu") -> Any:
    """Random tensors by their name in the new layout, made on the device itself; needs torch.

    The spread is that of ``write_random_model``, the numbers are others: each device draws its own. With tied
    embeddings there is no ``lm_head.weight``, as in a folder.

    Args:
        config: flat, from ``random_config``.
        seed: the same seed on the same device gives the same tensors.
        dtype: a name in ``DTYPES``.
        device: as torch names it.

    Returns:
        dict[str, torch.Tensor].
    """
    import torch

    if dtype not in DTYPES:
        raise ConfigurationError(f"dtype is one of {', '.join(DTYPES)}, not {dtype!r}")
    state = {}
    for name, shape in tensor_shapes(config).items():
        generator = torch.Generator(device=device).manual_seed(_seed_of(seed, name))
        tensor = torch.empty(shape, dtype=getattr(torch, dtype), device=device)
        mean, deviation = _distribution(name, shape)
        state[name] = tensor.normal_(mean, deviation, generator=generator)
    return state


# ------------------------------------------------------------------------------------------------------------- requests


def _check_request(folder: Path, position_code: str | None, dtype: str, layout: str, shard_bytes: int) -> None:
    """Nothing; raises ConfigurationError for what cannot be written."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"{folder} exists and is not an empty folder; name another one or remove it first")
    if position_code is not None and position_code not in POSITION_CODES:
        raise ConfigurationError(f"position_code is one of {', '.join(POSITION_CODES)}, not {position_code!r}")
    if dtype not in DTYPES:
        raise ConfigurationError(f"dtype is one of {', '.join(DTYPES)}, not {dtype!r}")
    if layout not in LAYOUTS:
        raise ConfigurationError(f"layout is one of {', '.join(LAYOUTS)}, not {layout!r}")
    if shard_bytes < 1:
        raise ConfigurationError(f"a shard holds at least one byte, not {shard_bytes}")


def _check_space(folder: Path, wanted: int) -> None:
    """Nothing; raises ConfigurationError when the disk has too little room."""
    existing = next(path for path in [folder.absolute(), *folder.absolute().parents] if path.exists())
    free = shutil.disk_usage(existing).free
    if wanted > free:
        raise ConfigurationError(
            f"the weights take {wanted / 1e9:.1f} GB and {existing} has {free / 1e9:.1f} GB free; name another disk"
        )


def _item_bytes(dtype: str) -> int:
    """Bytes of one number."""
    return 4 if dtype == "float32" else 2


# ---------------------------------------------------------------------------------------------------------- small files


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Nothing; writes the value with an end of line."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_tokenizer(folder: Path, config: Mapping[str, Any]) -> dict[str, int]:
    """The configuration's token ids in the stand-in tokenizer, whose files are in the folder afterwards."""
    from model_training.models.stand_in_tokenizer import DEFAULT_VOCAB_SIZE, train_stand_in_tokenizer

    # The embedding may have more rows than the tokenizer has ids; Qwen's has too.
    train_stand_in_tokenizer(folder, vocab_size=min(config["vocab_size"], DEFAULT_VOCAB_SIZE))
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    special = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    largest = max(*vocabulary.values(), *special.values())
    if largest >= config["vocab_size"]:
        raise ConfigurationError(f"vocab_size {config['vocab_size']} is too small: the tokenizer has id {largest}")
    # The released folders hold the same vocabulary in this older form too.
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in tokenizer["model"]["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
    return {key: special[token] for key, token in SPECIAL_TOKENS.items() if token in special}


def _generation_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Ends of a text; greedy, so that speed is compared on equal terms."""
    end, pad = config["eos_token_id"], config["bos_token_id"]
    return {"bos_token_id": pad, "pad_token_id": pad, "eos_token_id": [end, pad], "do_sample": False}


# -------------------------------------------------------------------------------------------------------------- weights


def _write_weights(
    folder: Path, config: Mapping[str, Any], dtype: str, seed: int, layout: str, shard_bytes: int
) -> None:
    """Nothing; writes all shards and their index."""
    shapes = tensor_shapes(config)
    shards = list(_shards(shapes, _item_bytes(dtype), shard_bytes))
    total = sum(math.prod(shape) for shape in shapes.values()) * _item_bytes(dtype)
    weight_map: dict[str, str] = {}
    with tqdm(
        total=total,
        unit="B",
        unit_scale=True,
        desc="random weights",
        disable=None if total > PROGRESS_FROM_BYTES else True,
    ) as bar:
        for number, names in enumerate(shards, start=1):
            file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
            entries = {name: shapes[name] for name in names}
            with (folder / file).open("wb") as stream:
                _write_shard(stream, entries, dtype, seed, layout, bar.update)
            weight_map |= {layout_name(name, layout): file for name in names}
    _write_json(folder / INDEX_FILE, {"metadata": {"total_size": total}, "weight_map": weight_map})


def _shards(shapes: Mapping[str, tuple[int, ...]], item_bytes: int, shard_bytes: int) -> Iterator[list[str]]:
    """Names of the tensors of each shard, in order."""
    names: list[str] = []
    filled = 0
    for name, shape in shapes.items():
        length = math.prod(shape) * item_bytes
        if names and filled + length > shard_bytes:
            yield names
            names, filled = [], 0
        names.append(name)
        filled += length
    yield names


def _write_shard(
    stream: BinaryIO,
    shapes: Mapping[str, tuple[int, ...]],
    dtype: str,
    seed: int,
    layout: str,
    on_bytes: Callable[[int], object],
) -> None:
    """Nothing; writes one file of the safetensors format: length of the header, header, tensors."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    begin = 0
    for name, shape in shapes.items():
        end = begin + math.prod(shape) * _item_bytes(dtype)
        entry = {"dtype": DTYPES[dtype], "shape": list(shape), "data_offsets": [begin, end]}
        header[layout_name(name, layout)] = entry
        begin = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    stream.write(len(text).to_bytes(8, "little") + text)
    for name, shape in shapes.items():
        for values in _slices(name, shape, seed):
            data = _encode(values, dtype).tobytes()
            stream.write(data)
            on_bytes(len(data))


def _slices(name: str, shape: tuple[int, ...], seed: int) -> Iterator[npt.NDArray[np.float32]]:
    """The numbers of a tensor, (n,) float32, flat and in order, at most ``SLICE_NUMBERS`` at once."""
    generator = np.random.default_rng(_seed_of(seed, name))
    mean, deviation = _distribution(name, shape)
    left = math.prod(shape)
    while left:
        values = generator.standard_normal(min(left, SLICE_NUMBERS), dtype=np.float32)
        values *= np.float32(deviation)
        values += np.float32(mean)
        left -= len(values)
        yield values


def _seed_of(seed: int, name: str) -> int:
    """Seed of one tensor, below 2**63: other tensors can come and go without changing it."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "little") >> 1


def _distribution(name: str, shape: tuple[int, ...]) -> tuple[float, float]:
    """Mean and standard deviation of a tensor's numbers.

    Weights keep the size of what passes through them (one over the root of the inputs), so that no half precision
    overflows at any depth and the most likely token is not a tie.
    """
    if name.endswith(".bias"):
        return 0.0, SMALL_SPREAD
    if len(shape) == 1:
        return 1.0, SMALL_SPREAD
    return 0.0, 1.0 / math.sqrt(math.prod(shape[1:]))


def _encode(values: npt.NDArray[np.float32], dtype: str) -> npt.NDArray[Any]:
    """The numbers as they stand in the file, little endian; bfloat16 as uint16, rounded to the nearest even."""
    if dtype == "float32":
        return values.astype("<f4", copy=False)
    if dtype == "float16":
        return values.astype("<f2")
    bits = values.view(np.uint32)
    # The usual rounding carry; the numbers are finite, so it cannot run into infinity or NaN.
    return ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype("<u2")


# --------------------------------------------------------------------------------------------------------- command line


def parse_bytes(text: str) -> int:
    """Number of bytes of a text such as "500MB", "2GB" or "1000000".

    Args:
        text: digits with an optional unit kB, MB or GB (powers of 1000).

    Returns:
        At least 0.
    """
    units = {"GB": 10**9, "MB": 10**6, "KB": 10**3, "B": 1}
    upper = text.strip().upper()
    unit = next((name for name in units if upper.endswith(name)), "")
    try:
        return int(float(upper.removesuffix(unit)) * units.get(unit, 1))
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"a size such as 500MB or 2GB is expected, not {text!r}") from None


def main(argv: Sequence[str] | None = None) -> int:
    """Writes a folder.

    Args:
        argv: arguments; None: those of this process.

    Returns:
        Exit code: 0 when the folder is written, 1 with a sentence otherwise.
    """
    parser = argparse.ArgumentParser(
        prog="python -m model_training.models.random_model", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("folder", help="folder to make")
    parser.add_argument("--size", choices=SIZES, default="tiny", help="shape of the network")
    parser.add_argument(
        "--position-code", choices=[*POSITION_CODES, "unset"], default="reference", help="key of config.json"
    )
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16", help="of the weights")
    parser.add_argument("--seed", type=int, default=0, help="the same seed, the same weights")
    parser.add_argument("--layout", choices=LAYOUTS, default="old", help="names as released, or as written today")
    parser.add_argument("--shard-size", type=parse_bytes, default=DEFAULT_SHARD_BYTES, help="such as 500MB or 2GB")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        write_random_model(
            args.folder,
            size=args.size,
            position_code=None if args.position_code == "unset" else args.position_code,
            dtype=args.dtype,
            seed=args.seed,
            layout=args.layout,
            shard_bytes=args.shard_size,
        )
    except (N3dError, OSError) as error:
        logger.error("%s", error)
        return 1
    logger.info("%s: random weights of the shape %s; answers mean nothing.", args.folder, args.size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
