"""What a depth network is built from, and how config.json of a released folder says it. numpy and torch are not needed.

A config.json holds a ``model_name`` and an embedded ``config`` of four parts (net, head, cam_enc, cam_dec). For the
released names the shapes are known (``n3d_ros.depth.variants``); networks of other names are built from the embedded
part, which for them also says what the released ones leave to the name: width, depth, heads, feed-forward, table size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

from n3d_ros.errors import ConfigurationError

HeadKind: TypeAlias = Literal["dual", "dpt"]
FeedForward: TypeAlias = Literal["mlp", "swiglu"]

PATCH = 14  # pixels; sides of images are multiples of it
OFF = -1  # alt_start, qknorm_start and rope_start of a plain DINOv2
LEVELS = 4  # features that a head takes, one from each of the out layers
CAMERA_HEADS = 16  # of the camera encoder's blocks, at every width
CAMERA_BLOCKS = 4
# Far above the largest release (40 blocks, 24 heads, width 1536, 518 pixels), far below what takes minutes to refuse.
_MOST = {"depth": 128, "heads": 128, "embed_dim": 8192, "features": 8192, "out_channels": 8192, "img_size": 4096}

# Width, blocks, heads, feed-forward of the DINOv2 backbones that released configurations name.
BACKBONES: Mapping[str, tuple[int, int, int, FeedForward]] = {
    "vits": (384, 12, 6, "mlp"),
    "vitb": (768, 12, 12, "mlp"),
    "vitl": (1024, 24, 16, "mlp"),
    "vitg": (1536, 40, 24, "swiglu"),
}
_HEADS: Mapping[str, HeadKind] = {"DualDPT": "dual", "DPT": "dpt"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """The shape of one network.

    Args:
        embed_dim: channels of a token.
        depth: blocks.
        heads: of the attention.
        ffn: feed-forward of the blocks: "mlp" (GELU) or "swiglu".
        img_size: pixels of the square image that the positional table is for.
        alt_start: first block of the alternation: from it on odd blocks attend over all views, even ones inside each;
            the camera token is put in before it. -1: no alternation and no camera token.
        qknorm_start: first block that normalises queries and keys; -1: none.
        rope_start: first block that rotates queries and keys; -1: none.
        cat_token: whether features are the last local output beside the current one.
        out_layers: blocks after which the head takes a feature, rising.
        head: "dual" gives depth, confidence, rays; "dpt" gives depth and sky.
        features: channels inside the head.
        out_channels: channels of the four levels before they become ``features``.
        cam_enc: whether given poses can be encoded.
        cam_dec: whether poses are estimated.
    """

    embed_dim: int
    depth: int
    heads: int
    ffn: FeedForward = "mlp"
    img_size: int = 518
    alt_start: int = OFF
    qknorm_start: int = OFF
    rope_start: int = OFF
    cat_token: bool = False
    out_layers: tuple[int, ...]
    head: HeadKind
    features: int
    out_channels: tuple[int, ...]
    cam_enc: bool = False
    cam_dec: bool = False

    def __post_init__(self) -> None:
        """Checks that the numbers fit each other.

        Raises:
            ConfigurationError: they do not; all problems are named.
        """
        problems = [*_range_problems(self), *_fit_problems(self)]
        if problems:
            raise ConfigurationError(f"Depth network: {'; '.join(problems)}.")

    @property
    def feature_dim(self) -> int:
        """Channels of a feature as the head takes it."""
        return self.embed_dim * (2 if self.cat_token else 1)

    @property
    def grid(self) -> int:
        """Rows and columns of the positional table."""
        return self.img_size // PATCH

    @property
    def swiglu_hidden(self) -> int:
        """Hidden width of the SwiGLU: two thirds of 4 times the width, rounded up to a multiple of 8."""
        return (int(self.embed_dim * 4 * 2 / 3) + 7) // 8 * 8

    @property
    def gives_poses(self) -> bool:
        """Whether it takes several views together and estimates their cameras."""
        return self.cam_dec


@dataclass(frozen=True, slots=True, kw_only=True)
class NestedConfig:
    """Two networks that see the same images: the second makes the first one's depth metric.

    Args:
        any_view: depth, confidence, poses.
        metric: depth for a focal length of 300 pixels, sky.
    """

    any_view: NetworkConfig
    metric: NetworkConfig


def released_config(config: NetworkConfig | NestedConfig) -> dict[str, Any]:
    """The ``config`` part of a config.json, complete enough to build the network from.

    Args:
        config: any.

    Returns:
        Objects, lists, numbers and words; ``network_config_of`` reads them.
    """
    if isinstance(config, NestedConfig):
        return {"anyview": released_config(config.any_view), "metric": released_config(config.metric)}
    shape = (config.embed_dim, config.depth, config.heads, config.ffn)
    named = [name for name, backbone in BACKBONES.items() if backbone == shape and config.img_size == 518]
    size = {"embed_dim": config.embed_dim, "depth": config.depth, "num_heads": config.heads, "ffn": config.ffn}
    net = {
        "name": named[0] if named else "custom",
        **({} if named else {**size, "img_size": config.img_size}),
        "out_layers": list(config.out_layers),
        "alt_start": config.alt_start,
        "qknorm_start": config.qknorm_start,
        "rope_start": config.rope_start,
        "cat_token": config.cat_token,
    }
    head = {
        "__object__": {"name": next(name for name, kind in _HEADS.items() if kind == config.head)},
        "dim_in": config.feature_dim,
        "output_dim": 2 if config.head == "dual" else 1,
        "features": config.features,
        "out_channels": list(config.out_channels),
    }
    return {
        "net": net,
        "head": head,
        **({"cam_enc": {"dim_out": config.embed_dim}} if config.cam_enc else {}),
        **({"cam_dec": {"dim_in": 2 * config.embed_dim}} if config.cam_dec else {}),
    }


def network_config_of(data: Mapping[str, Any], *, name: str = "config") -> NetworkConfig | NestedConfig:
    """The network that the ``config`` part of a config.json describes.

    Args:
        data: of that part.
        name: of the file, for errors.

    Returns:
        Its shape.

    Raises:
        ConfigurationError: something is missing, of another kind, or does not fit.
    """
    try:
        if "anyview" in data or "metric" in data:
            return NestedConfig(any_view=_single(data["anyview"]), metric=_single(data["metric"]))
        return _single(data)
    except ConfigurationError as error:
        raise ConfigurationError(f"{name}: {error}") from None
    except KeyError as error:
        raise ConfigurationError(
            f"{name}: not a configuration of a depth network: {error} is missing; expected net, head and, for models "
            "of several views, cam_enc and cam_dec."
        ) from None
    except (TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError(f"{name}: not a configuration of a depth network: {error}.") from None


def _single(data: Mapping[str, Any]) -> NetworkConfig:
    """One network's configuration; KeyError, TypeError and the like where the file is another one."""
    net, head = data["net"], data["head"]
    known = BACKBONES.get(str(net.get("name")))
    if known is None:
        known = (net["embed_dim"], net["depth"], net["num_heads"], net.get("ffn", "mlp"))
    word = str((head.get("__object__") or {}).get("name"))
    config = NetworkConfig(
        embed_dim=known[0],
        depth=known[1],
        heads=known[2],
        ffn=known[3],
        img_size=net.get("img_size", 518),
        alt_start=net.get("alt_start", OFF),
        qknorm_start=net.get("qknorm_start", OFF),
        rope_start=net.get("rope_start", OFF),
        cat_token=net.get("cat_token", False),
        out_layers=tuple(net["out_layers"]),
        head=_HEADS[word] if word in _HEADS else "dual" if head["output_dim"] == 2 else "dpt",
        features=head["features"],
        out_channels=tuple(head["out_channels"]),
        cam_enc=data.get("cam_enc") is not None,
        cam_dec=data.get("cam_dec") is not None,
    )
    expected = {
        "head.dim_in": (head.get("dim_in"), config.feature_dim),
        "cam_enc.dim_out": ((data.get("cam_enc") or {}).get("dim_out"), config.embed_dim),
        "cam_dec.dim_in": ((data.get("cam_dec") or {}).get("dim_in"), 2 * config.embed_dim),
    }
    wrong = [f"{key} is {got}, expected {want}" for key, (got, want) in expected.items() if got not in (None, want)]
    if wrong:
        raise ConfigurationError("; ".join(wrong))
    return config


def _range_problems(config: NetworkConfig) -> list[str]:
    """Values of another kind, or out of range."""
    problems = []
    for entry in fields(config):
        value = getattr(config, entry.name)
        least = OFF if entry.name.endswith("_start") else 0 if entry.name == "out_layers" else 1
        most = _MOST.get(entry.name, _MOST["depth"])  # the others are numbers of blocks
        if entry.name in ("cat_token", "cam_enc", "cam_dec"):
            problems += [] if isinstance(value, bool) else [f"{entry.name}: expected true or false, got {value!r}"]
        elif entry.name in ("ffn", "head"):
            words = ("mlp", "swiglu") if entry.name == "ffn" else ("dual", "dpt")
            problems += [] if value in words else [f"{entry.name}: expected one of {', '.join(words)}, got {value!r}"]
        else:
            numbers = value if isinstance(value, tuple) else (value,)
            if not all(isinstance(each, int) and least <= each <= most for each in numbers):
                problems.append(f"{entry.name}: expected whole numbers from {least} to {most}, got {value!r}")
    return problems


def _fit_problems(config: NetworkConfig) -> list[str]:
    """Numbers that contradict each other; empty where ``_range_problems`` has some."""
    if _range_problems(config):
        return []
    layers, problems = config.out_layers, []
    if len(layers) != LEVELS or list(layers) != sorted(set(layers)) or layers[-1] >= config.depth:
        problems.append(f"out_layers: expected {LEVELS} rising numbers below depth ({config.depth}), got {layers}")
    if len(config.out_channels) != LEVELS:
        problems.append(f"out_channels: expected {LEVELS} numbers, got {config.out_channels}")
    if config.embed_dim % config.heads or config.embed_dim // config.heads % 4:
        problems.append(f"embed_dim {config.embed_dim}: expected a multiple of 4 times heads ({config.heads})")
    if config.img_size % PATCH:
        problems.append(f"img_size: expected a multiple of {PATCH}, got {config.img_size}")
    if config.features % 8 or any(each % 4 for each in config.out_channels):
        problems.append("features, out_channels: expected multiples of 8 and of 4")
    if config.head == "dual" and not config.cat_token:
        problems.append("cat_token: expected true with the dual head")
    if config.alt_start == 0 or config.alt_start >= config.depth:
        problems.append(f"alt_start: expected -1 or 1 to {config.depth - 1}, got {config.alt_start}")
    if (config.cam_enc or config.cam_dec) and config.alt_start == OFF:
        problems.append("alt_start: expected a block with a camera encoder or decoder, got -1")
    if config.cam_dec and not config.cat_token:
        problems.append("cat_token: expected true with a camera decoder")
    if config.cam_enc and config.embed_dim % CAMERA_HEADS:
        problems.append(f"embed_dim {config.embed_dim}: expected a multiple of {CAMERA_HEADS} with a camera encoder")
    return problems
