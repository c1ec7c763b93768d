"""Golden tensors of the public reference: tiny depth networks with their weights, found beside the checkout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from n3d_ros.depth.config import NetworkConfig

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden" / "da3"
TOLERANCE = 2e-5  # of each tensor's largest number, as the README of the golden tensors suggests; measured: 4e-6


def golden_runs() -> list[str]:
    """Names "case/run" of all runs of networks; none where the data is not here."""
    return sorted(
        f"{file.parent.name}/{file.stem}"
        for file in GOLDEN.glob("case_*/run_*.safetensors")
        if (file.parent / "state_dict.safetensors").is_file()
    )


def golden_config(case: str) -> NetworkConfig:
    """The shape of a case's network."""
    data: dict[str, Any] = json.loads((GOLDEN / case / "config.json").read_text())
    dual = data["head"]["type"] == "DualDPT"
    return NetworkConfig(
        embed_dim=data["embed_dim"],
        depth=data["depth"],
        heads=data["num_heads"],
        ffn=data["ffn"],
        img_size=data.get("img_size", 518),
        alt_start=data["alt_start"],
        qknorm_start=data["qknorm_start"],
        rope_start=data["rope_start"],
        cat_token=data["cat_token"],
        out_layers=tuple(data["out_layers"]),
        head="dual" if dual else "dpt",
        features=data["head"]["features"],
        out_channels=tuple(data["head"]["out_channels"]),
        cam_enc=dual,
        cam_dec=dual,
    )


def deviation(ours: Any, golden: Any) -> float:
    """Largest difference of two tensors, relative to the largest golden number."""
    assert tuple(ours.shape) == tuple(golden.shape)
    return float((ours - golden).abs().max() / golden.abs().max().clamp(min=1e-12))
