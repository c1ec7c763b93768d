"""The same depth network as written straight from its description: what ours is measured beside.

Functions over a dictionary of the same weights. All tables are made in each call, all four levels of the ray branch
are computed whether rays are wanted or not, maps are enlarged before their 1x1 convolution, features are copied into
maps. Attention is torch's own fused one, as in ours: the comparison is about the network, not about attention.
float32, one scene, poses not given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812

from n3d_ros.depth.config import NetworkConfig

Weights: TypeAlias = Mapping[str, torch.Tensor]
EPS = 1e-5


def straight_network(weights: Weights, config: NetworkConfig, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """What the network says of at most two views.

    Args:
        weights: by name, of ``DepthNetwork.state_dict``.
        config: shape of the network.
        images: (S, 3, H, W) float32, normalised, S at most 2.

    Returns:
        depth (S, H, W); confidence, rays, ray_confidence and pose of any-view networks; sky of monocular ones.
    """
    levels, camera = _backbone(weights, config, images)
    image_hw = (images.shape[-2], images.shape[-1])
    if config.head == "dpt":
        return _monocular_head(weights, levels, image_hw)
    found = _dual_head(weights, levels, image_hw)
    hidden = camera
    for layer in (0, 2):
        hidden = F.relu(_linear(weights, f"cam_dec.backbone.{layer}", hidden))
    parts = [_linear(weights, f"cam_dec.{name}", hidden) for name in ("fc_t", "fc_qvec", "fc_fov.0")]
    return {**found, "pose": torch.cat([parts[0], parts[1], F.relu(parts[2])], dim=-1)}


# ------------------------------------------------------------------------------------------------------------- backbone


def _backbone(weights: Weights, config: NetworkConfig, images: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Four features (S, P, C'), and the camera feature (S, C')."""
    name = "backbone.pretrained."
    views, (rows, columns) = len(images), (images.shape[-2] // 14, images.shape[-1] // 14)
    patches = F.conv2d(images, weights[f"{name}patch_embed.proj.weight"], weights[f"{name}patch_embed.proj.bias"], 14)
    tokens = torch.cat([weights[f"{name}cls_token"].expand(views, -1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
    stream = tokens + _positions(weights[f"{name}pos_embed"], rows, columns)
    local, levels, camera = stream, [], stream[:, 0]
    for index in range(config.depth):
        if index == config.alt_start:
            stream = stream.clone()
            camera_token = weights[f"{name}camera_token"]
            stream[:1, 0], stream[1:, 0] = camera_token[:, 0], camera_token[:, 1]
        everywhere = 0 <= config.alt_start <= index and index % 2 == 1
        positions = _token_positions(views, rows, columns, everywhere=everywhere)
        turned = positions if 0 <= config.rope_start <= index else None
        if everywhere:
            joined = stream.reshape(1, -1, stream.shape[-1])
            stream = _block(weights, f"{name}blocks.{index}.", config, joined, turned).reshape(stream.shape)
        else:
            stream = local = _block(weights, f"{name}blocks.{index}.", config, stream, turned)
        if index in config.out_layers:
            normed = _norm(weights, f"{name}norm", stream, EPS)
            feature = torch.cat([local, normed], dim=-1) if config.cat_token else normed
            levels.append(feature[:, 1:])
            camera = torch.cat([local[:, 0], stream[:, 0]], dim=-1) if config.cat_token else stream[:, 0]
    return levels, camera


def _block(
    weights: Weights, name: str, config: NetworkConfig, stream: torch.Tensor, positions: torch.Tensor | None
) -> torch.Tensor:
    """One transformer block over sequences (B, N, C)."""
    batch, count, channels = stream.shape
    normed = _norm(weights, f"{name}norm1", stream, 1e-6)
    qkv = _linear(weights, f"{name}attn.qkv", normed).reshape(batch, count, 3, config.heads, -1).permute(2, 0, 3, 1, 4)
    query, key, value = qkv[0], qkv[1], qkv[2]
    if f"{name}attn.q_norm.weight" in weights:
        query, key = _norm(weights, f"{name}attn.q_norm", query, EPS), _norm(weights, f"{name}attn.k_norm", key, EPS)
    if positions is not None:
        query, key = _rotate(query, positions), _rotate(key, positions)
    mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(batch, count, channels)
    stream = stream + weights[f"{name}ls1.gamma"] * _linear(weights, f"{name}attn.proj", mixed)
    normed = _norm(weights, f"{name}norm2", stream, 1e-6)
    if config.ffn == "mlp":
        hidden = F.gelu(_linear(weights, f"{name}mlp.fc1", normed))
        added = _linear(weights, f"{name}mlp.fc2", hidden)
    else:
        gate, up = _linear(weights, f"{name}mlp.w12", normed).chunk(2, dim=-1)
        added = _linear(weights, f"{name}mlp.w3", F.silu(gate) * up)
    return stream + weights[f"{name}ls2.gamma"] * added


def _positions(table: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """The positional table at a size."""
    side = round((table.shape[1] - 1) ** 0.5)
    if rows == columns == side:
        return table
    grid = table[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    scale = ((rows + 0.1) / side, (columns + 0.1) / side)
    grid = F.interpolate(grid, scale_factor=scale, mode="bicubic", align_corners=False)
    return torch.cat([table[:, :1], grid.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)


def _token_positions(views: int, rows: int, columns: int, *, everywhere: bool) -> torch.Tensor:
    """(N or S * N, 2) rows and columns of tokens."""
    grid = torch.cartesian_prod(torch.arange(1, rows + 1), torch.arange(1, columns + 1))
    one = torch.cat([torch.zeros(1, 2), torch.ones_like(grid) if everywhere else grid])
    return one.repeat(views, 1) if everywhere else one


def _rotate(states: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """(B, heads, N, D) turned by row in the first half of the channels, by column in the second."""
    halves = []
    for axis, part in enumerate(states.chunk(2, dim=-1)):
        width = part.shape[-1]
        angles = positions[:, axis, None].float() * 100.0 ** -(torch.arange(0, width, 2) / width)
        angles = torch.cat([angles, angles], dim=-1)
        first, second = part.chunk(2, dim=-1)
        halves.append(part * angles.cos() + torch.cat([-second, first], dim=-1) * angles.sin())
    return torch.cat(halves, dim=-1)


# ---------------------------------------------------------------------------------------------------------------- heads


def _dual_head(weights: Weights, levels: list[torch.Tensor], image_hw: tuple[int, int]) -> dict[str, torch.Tensor]:
    """Depth, confidence, rays, ray confidence."""
    maps = _level_maps(weights, levels, image_hw, coded=True)
    fine = _conv(weights, "output_conv1", _chain(weights, maps, "")[-1])
    fine = _coded(F.interpolate(fine, image_hw, mode="bilinear", align_corners=True), image_hw)
    logits = _conv(weights, "output_conv2.2", F.relu(_conv(weights, "output_conv2.0", fine)))
    rays = torch.zeros(0)
    for level, path in enumerate(_chain(weights, maps, "_aux")):  # the last one is what is used
        for layer in range(5):
            path = _conv(weights, f"output_conv1_aux.{level}.{layer}", path)
        hidden = _conv(weights, f"output_conv2_aux.{level}.0", _coded(path, image_hw)).permute(0, 2, 3, 1)
        hidden = F.relu(_norm(weights, f"head.scratch.output_conv2_aux.{level}.2", hidden, EPS)).permute(0, 3, 1, 2)
        rays = _conv(weights, f"output_conv2_aux.{level}.5", hidden).permute(0, 2, 3, 1)
    return {
        "depth": logits[:, 0].exp(),
        "confidence": logits[:, 1].exp() + 1,
        "rays": rays[..., :6],
        "ray_confidence": rays[..., 6].exp() + 1,
    }


def _monocular_head(weights: Weights, levels: list[torch.Tensor], image_hw: tuple[int, int]) -> dict[str, torch.Tensor]:
    """Depth and sky."""
    maps = _level_maps(weights, levels, image_hw, coded=False)
    fine = _conv(weights, "output_conv1", _chain(weights, maps, "")[-1])
    fine = F.interpolate(fine, image_hw, mode="bilinear", align_corners=True)
    ends = [
        _conv(weights, f"{name}.2", F.relu(_conv(weights, f"{name}.0", fine)))[:, 0]
        for name in ("output_conv2", "sky_output_conv2")
    ]
    return {"depth": ends[0].exp(), "sky": F.relu(ends[1])}


def _level_maps(
    weights: Weights, levels: list[torch.Tensor], image_hw: tuple[int, int], *, coded: bool
) -> list[torch.Tensor]:
    """Four maps, fine to coarse."""
    rows, columns = image_hw[0] // 14, image_hw[1] // 14
    maps = []
    for level, tokens in enumerate(levels):
        normed = _norm(weights, "head.norm", tokens, EPS) if coded else tokens
        grid = normed.permute(0, 2, 1).reshape(len(tokens), -1, rows, columns)
        grid = F.conv2d(grid, weights[f"head.projects.{level}.weight"], weights[f"head.projects.{level}.bias"])
        grid = _coded(grid, image_hw) if coded else grid
        name = f"head.resize_layers.{level}"
        if level < 2:
            stride = 4 - 2 * level
            grid = F.conv_transpose2d(grid, weights[f"{name}.weight"], weights[f"{name}.bias"], stride=stride)
        elif level == 3:
            grid = F.conv2d(grid, weights[f"{name}.weight"], weights[f"{name}.bias"], stride=2, padding=1)
        maps.append(F.conv2d(grid, weights[f"head.scratch.layer{level + 1}_rn.weight"], padding=1))
    return maps


def _chain(weights: Weights, maps: list[torch.Tensor], suffix: str) -> list[torch.Tensor]:
    """What comes out of each fusion, coarse to fine."""
    found: list[torch.Tensor] = []
    for level in (4, 3, 2, 1):
        name = f"refinenet{level}{suffix}"
        path = maps[3] if level == 4 else found[-1] + _residual(weights, f"{name}.resConfUnit1", maps[level - 1])
        path = _residual(weights, f"{name}.resConfUnit2", path)
        size = maps[level - 2].shape[-2:] if level > 1 else [2 * side for side in path.shape[-2:]]
        path = F.interpolate(path, [int(side) for side in size], mode="bilinear", align_corners=True)
        found.append(_conv(weights, f"{name}.out_conv", path))
    return found


def _residual(weights: Weights, name: str, maps: torch.Tensor) -> torch.Tensor:
    """Two convolutions beside the identity."""
    return maps + _conv(weights, f"{name}.conv2", F.relu(_conv(weights, f"{name}.conv1", F.relu(maps))))


def _coded(maps: torch.Tensor, image_hw: tuple[int, int]) -> torch.Tensor:
    """The maps with a tenth of the code of their pixels."""
    channels, height, width = maps.shape[1:]
    aspect = image_hw[1] / image_hw[0]
    diagonal = (aspect**2 + 1) ** 0.5
    omega = 100.0 ** -(torch.arange(channels // 4, dtype=torch.float64) / (channels // 4))
    code = []
    for reach, count, shape in ((aspect, width, (1, width)), (1.0, height, (height, 1))):
        end = reach / diagonal * (count - 1) / count
        angles = torch.linspace(-end, end, count, dtype=torch.float64).reshape(1, *shape) * omega[:, None, None]
        code += [angles.sin().expand(-1, height, width), angles.cos().expand(-1, height, width)]
    return maps + 0.1 * torch.cat(code).float()


def _conv(weights: Weights, name: str, maps: torch.Tensor) -> torch.Tensor:
    """A convolution of the head that keeps the size."""
    weight = weights[f"head.scratch.{name}.weight"]
    return F.conv2d(maps, weight, weights[f"head.scratch.{name}.bias"], padding=weight.shape[-1] // 2)


def _linear(weights: Weights, name: str, states: torch.Tensor) -> torch.Tensor:
    """A projection."""
    return F.linear(states, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _norm(weights: Weights, name: str, states: torch.Tensor, eps: float) -> torch.Tensor:
    """A layer norm over the last axis."""
    return F.layer_norm(states, states.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)
