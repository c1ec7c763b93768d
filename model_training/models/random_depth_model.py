"""Folders of depth models with random weights in the released layout: for tests, loading and speed, not for depth.

``python -m model_training.models.random_depth_model FOLDER --size tiny`` writes config.json and model.safetensors. The
same seed gives the same weights. Tensors go to the file one by one, so memory stays small whatever the size. Numbers
are drawn so that what comes out looks plausible: depth of a few units, a field of view of about 60 degrees, no sky.
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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from n3d_ros.depth.config import NestedConfig, NetworkConfig
from n3d_ros.depth.variants import MONOCULAR_LARGE, SMALL, VARIANTS
from n3d_ros.errors import ConfigurationError, N3dError

logger = logging.getLogger(__name__)

TINY_ANY_VIEW = replace(
    SMALL,
    embed_dim=48,
    depth=6,
    heads=3,
    img_size=70,
    alt_start=2,
    qknorm_start=2,
    rope_start=2,
    out_layers=(2, 3, 4, 5),
    features=16,
    out_channels=(8, 16, 24, 24),
)
TINY_MONOCULAR = replace(
    MONOCULAR_LARGE,
    embed_dim=48,
    depth=4,
    heads=3,
    img_size=70,
    out_layers=(0, 1, 2, 3),
    features=16,
    out_channels=(8, 16, 24, 24),
)
TINY: Mapping[str, NetworkConfig | NestedConfig] = {
    "tiny": TINY_ANY_VIEW,
    "tiny-mono": TINY_MONOCULAR,
    "tiny-metric": TINY_MONOCULAR,
    "tiny-nested": NestedConfig(any_view=TINY_ANY_VIEW, metric=TINY_MONOCULAR),
}
SIZES = (*TINY, *VARIANTS)
SPREAD = 0.02  # of tokens and tables, and of norms around one and biases around zero
LAYER_SCALE = 0.3  # about what trained layers add
DEPTH_UNITS = 2.0  # what depth lies around
FOV_RAD = 1.05
SKY_LOGIT = -3.0
LICENCE = "random weights, no licence needed"


def write_random_depth_model(
    folder: str | Path, variant: str | NetworkConfig | NestedConfig = "tiny", seed: int = 0, *, gaussians: bool = False
) -> Path:
    """A new folder with a model of random weights.

    Args:
        folder: to make; may exist empty. It appears when it is complete.
        variant: a name in ``SIZES``, or a shape.
        seed: everything drawn by chance follows from it.
        gaussians: whether a few tensors of a Gaussian head are written too, as the giant releases have them.

    Returns:
        The folder.

    Raises:
        ConfigurationError: the folder is not empty, or there is no such size.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"{folder} exists and is not an empty folder; name another one or remove it first")
    name, config = _named(variant)
    partial = folder.absolute().with_name(f".{folder.absolute().name}.partial-{os.getpid()}")
    partial.mkdir(parents=True)
    try:
        shapes = tensor_shapes(config)
        if gaussians:
            inner = "model.da3." if isinstance(config, NestedConfig) else "model."
            shapes[f"{inner}gs_head.images_merger.0.weight"] = (32, 3, 3, 3)
            shapes[f"{inner}gs_head.images_merger.0.bias"] = (32,)
        _write_weights(partial / "model.safetensors", shapes, seed)
        from n3d_ros.depth.saving import write_config

        extra: dict[str, Any] = {} if name in VARIANTS else {"licence": LICENCE}
        if name == "tiny-metric":
            extra["is_metric"] = True
        write_config(partial, name, config, **extra)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def tensor_shapes(config: NetworkConfig | NestedConfig) -> dict[str, tuple[int, ...]]:
    """The tensors of a released file of some shape.

    Args:
        config: of one network or a pair.

    Returns:
        Names as stored, shared ones once, and their sizes; in the order of the network.
    """
    import torch

    from n3d_ros.depth.network import build_network
    from n3d_ros.depth.stored_names import ANY_VIEW, METRIC, PREFIX

    parts = {ANY_VIEW: config.any_view, METRIC: config.metric} if isinstance(config, NestedConfig) else {"": config}
    with torch.device("meta"):
        networks = {prefix: build_network(part) for prefix, part in parts.items()}
    return {
        PREFIX + prefix + name: tuple(parameter.shape)
        for prefix, network in networks.items()
        for name, parameter in network.named_parameters()
    }


def random_values(name: str, shape: tuple[int, ...], seed: int) -> npt.NDArray[np.float32]:
    """The numbers of a tensor.

    Args:
        name: as stored.
        shape: its sizes.
        seed: of the folder.

    Returns:
        float32 of that shape.
    """
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    mean, deviation = _distribution(name, shape)
    values = generator.standard_normal(shape, dtype=np.float32) * np.float32(deviation) + mean
    return np.asarray(values, dtype=np.float32)


def _named(variant: str | NetworkConfig | NestedConfig) -> tuple[str, NetworkConfig | NestedConfig]:
    """Name for config.json, and shape."""
    if not isinstance(variant, str):
        return "random", variant
    if variant in TINY:
        return variant, TINY[variant]
    if variant in VARIANTS:
        return variant, VARIANTS[variant].config
    raise ConfigurationError(f"size: expected one of {', '.join(SIZES)}, got {variant!r}")


def _distribution(name: str, shape: tuple[int, ...]) -> tuple[npt.NDArray[np.float32] | np.float32, float]:
    """Mean and standard deviation of a tensor's numbers: weights keep the size of what passes through them."""
    means: dict[str, Sequence[float]] = {
        "cam_dec.fc_qvec.bias": (0, 0, 0, 1),
        "cam_dec.fc_fov.0.bias": (FOV_RAD * 0.75, FOV_RAD),
        "sky_output_conv2.2.bias": (SKY_LOGIT,),
        "head.scratch.output_conv2.2.bias": (math.log(DEPTH_UNITS), 0.0)[: shape[0]],
    }
    for end, mean in means.items():
        if name.endswith(end) and len(mean) == shape[0]:
            return np.asarray(mean, np.float32), SPREAD
    if name.endswith(("cam_dec.fc_t.weight", "cam_dec.fc_qvec.weight", "cam_dec.fc_fov.0.weight", "conv2.2.weight")):
        return np.float32(0), 0.1 / math.sqrt(math.prod(shape[1:]))
    if name.endswith((".bias", "_token", "pos_embed")):
        return np.float32(0), SPREAD
    if name.endswith(".gamma"):
        return np.float32(LAYER_SCALE), SPREAD
    if len(shape) == 1:
        return np.float32(1), SPREAD
    return np.float32(0), 1 / math.sqrt(math.prod(shape[1:]))


def _write_weights(file: Path, shapes: Mapping[str, tuple[int, ...]], seed: int) -> None:
    """Writes one file of the safetensors format: length of the header, header, tensors."""
    sizes = {name: 4 * math.prod(shape) for name, shape in shapes.items()}
    free = shutil.disk_usage(file.parent).free
    if sum(sizes.values()) > free:
        raise ConfigurationError(f"the weights take {sum(sizes.values()) / 1e9:.1f} GB, {free / 1e9:.1f} GB are free")
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    for (name, shape), (begin, end) in zip(shapes.items(), _spans(sizes.values()), strict=True):
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for name, shape in shapes.items():
            stream.write(random_values(name, shape, seed).astype("<f4", copy=False).tobytes())


def _spans(sizes: Any) -> Iterator[tuple[int, int]]:
    """Begin and end of things that lie one after the other."""
    begin = 0
    for size in sizes:
        yield begin, begin + size
        begin += size


def main(argv: Sequence[str] | None = None) -> int:
    """Writes a folder.

    Args:
        argv: arguments; None: those of this process.

    Returns:
        Exit code: 0 when the folder is written, 1 with a sentence otherwise.
    """
    parser = argparse.ArgumentParser(
        prog="python -m model_training.models.random_depth_model", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("folder", help="folder to make")
    parser.add_argument("--size", choices=SIZES, default="tiny", help="shape of the network")
    parser.add_argument("--nested", action="store_true", help="the tiny any-view and the tiny metric network together")
    parser.add_argument("--seed", type=int, default=0, help="the same seed, the same weights")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    size = "tiny-nested" if args.nested and args.size == "tiny" else args.size
    try:
        if args.nested and not isinstance(_named(size)[1], NestedConfig):
            raise ConfigurationError(f"--nested: expected tiny or a nested size, got {size}")
        write_random_depth_model(args.folder, size, args.seed)
    except (N3dError, OSError) as error:
        logger.error("%s", error)
        return 1
    logger.info("%s: random weights of the shape %s; their depth means nothing.", args.folder, size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
