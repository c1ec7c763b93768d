"""The released models: their shapes, where they are on the hub, and what their licences allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from n3d_ros.depth.config import NestedConfig, NetworkConfig

APACHE, NON_COMMERCIAL = "Apache-2.0", "CC BY-NC 4.0"
OWNER = "depth-anything"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One released model.

    Args:
        name: as config.json says it, such as "da3-small".
        config: its shape.
        licence: of the weights.
        hub_id: of its repository.
        note: what a user should know of it; empty when nothing.
    """

    name: str
    config: NetworkConfig | NestedConfig
    licence: str
    hub_id: str
    note: str = ""

    @property
    def commercial(self) -> bool:
        """Whether the weights may be used commercially."""
        return self.licence == APACHE


SMALL = NetworkConfig(
    embed_dim=384,
    depth=12,
    heads=6,
    alt_start=4,
    qknorm_start=4,
    rope_start=4,
    cat_token=True,
    out_layers=(5, 7, 9, 11),
    head="dual",
    features=64,
    out_channels=(48, 96, 192, 384),
    cam_enc=True,
    cam_dec=True,
)
BASE = replace(SMALL, embed_dim=768, heads=12, features=128, out_channels=(96, 192, 384, 768))
LARGE = replace(
    SMALL,
    embed_dim=1024,
    depth=24,
    heads=16,
    alt_start=8,
    qknorm_start=8,
    rope_start=8,
    out_layers=(11, 15, 19, 23),
    features=256,
    out_channels=(256, 512, 1024, 1024),
)
GIANT = replace(
    LARGE,
    embed_dim=1536,
    depth=40,
    heads=24,
    ffn="swiglu",
    alt_start=13,
    qknorm_start=13,
    rope_start=13,
    out_layers=(19, 27, 33, 39),
)
MONOCULAR_LARGE = NetworkConfig(
    embed_dim=1024,
    depth=24,
    heads=16,
    out_layers=(4, 11, 17, 23),
    head="dpt",
    features=256,
    out_channels=(256, 512, 1024, 1024),
)
NESTED_GIANT_LARGE = NestedConfig(any_view=GIANT, metric=MONOCULAR_LARGE)

METRIC_NAMES = ("da3metric-large",)  # the same shape as da3mono-large, whose depth is relative
_DEPRECATED = "superseded by the -1.1 release, which was trained again after a bug"

_ALL = (
    Variant(name="da3-small", config=SMALL, licence=APACHE, hub_id=f"{OWNER}/DA3-SMALL"),
    Variant(name="da3-base", config=BASE, licence=APACHE, hub_id=f"{OWNER}/DA3-BASE"),
    Variant(name="da3-large", config=LARGE, licence=NON_COMMERCIAL, hub_id=f"{OWNER}/DA3-LARGE", note=_DEPRECATED),
    Variant(name="da3-large-1.1", config=LARGE, licence=NON_COMMERCIAL, hub_id=f"{OWNER}/DA3-LARGE-1.1"),
    Variant(name="da3-giant", config=GIANT, licence=NON_COMMERCIAL, hub_id=f"{OWNER}/DA3-GIANT", note=_DEPRECATED),
    Variant(name="da3-giant-1.1", config=GIANT, licence=NON_COMMERCIAL, hub_id=f"{OWNER}/DA3-GIANT-1.1"),
    Variant(name="da3mono-large", config=MONOCULAR_LARGE, licence=APACHE, hub_id=f"{OWNER}/DA3MONO-LARGE"),
    Variant(name="da3metric-large", config=MONOCULAR_LARGE, licence=APACHE, hub_id=f"{OWNER}/DA3METRIC-LARGE"),
    Variant(
        name="da3nested-giant-large",
        config=NESTED_GIANT_LARGE,
        licence=NON_COMMERCIAL,
        hub_id=f"{OWNER}/DA3NESTED-GIANT-LARGE",
        note=_DEPRECATED,
    ),
    Variant(
        name="da3nested-giant-large-1.1",
        config=NESTED_GIANT_LARGE,
        licence=NON_COMMERCIAL,
        hub_id=f"{OWNER}/DA3NESTED-GIANT-LARGE-1.1",
    ),
)
VARIANTS: Mapping[str, Variant] = {variant.name: variant for variant in _ALL}


def variant_of_hub_id(hub_id: str) -> Variant | None:
    """The released model in a repository.

    Args:
        hub_id: "owner/name".

    Returns:
        The variant; None for other repositories.
    """
    return next((variant for variant in _ALL if variant.hub_id.lower() == hub_id.lower()), None)
