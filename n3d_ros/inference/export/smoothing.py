"""Weights made easier to round, by NVIDIA ModelOpt's AWQ: channels that matter on the user's frames get finer codes.

A projection's inputs are multiplied by factors and its weights divided by them, which changes nothing but what rounding
does. ModelOpt (``awq_lite``) finds the factors from inputs that were seen; they go into what comes before the
projection, so that no graph has anything more to compute::

    norm1 * s      [query; key; value] / s
    norm2 * s      [gate; up] / s
    up * s         down / s                    (outputs of the up projection)

The output projection of attention is left as it is: several query heads read one value head, so that its factors have
no place to go.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.metadata
import importlib.util
import io
import warnings
from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from n3d_ros.errors import BackendError
from n3d_ros.inference.export.quantizing import block_size
from n3d_ros.model.decoder_graph import DecoderGraph

PACKAGE = "nvidia-modelopt"
ROWS_PER_CALL, ROWS = 64, 1024  # inputs that are kept of each layer: of one forward, and in all


def modelopt_version() -> str | None:
    """Which ModelOpt is installed.

    Returns:
        Its version; None: none.
    """
    if importlib.util.find_spec("modelopt") is None:
        return None
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(PACKAGE)
    return "unknown"


class SeenInputs:
    """What reaches a decoder's projections while it works; watches until closed.

    Args:
        decoder: whose norms are watched.
    """

    def __init__(self, decoder: DecoderGraph) -> None:
        self._kept: defaultdict[str, list[Tensor]] = defaultdict(list)
        self._hooks = [
            norm.register_forward_hook(self._keeper(f"{number}.{name}"))
            for number, layer in enumerate(decoder.layers)
            for name, norm in (("norm1", layer.norm1), ("norm2", layer.norm2))
        ]

    def _keeper(self, name: str) -> Any:
        """Keeps some rows of every output of a norm, until there are enough."""

        def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            room = ROWS - sum(len(rows) for rows in self._kept[name])
            chosen = torch.linspace(0, len(output) - 1, min(len(output), ROWS_PER_CALL, max(room, 0))).long()
            self._kept[name].append(output.detach()[chosen].float().clone())

        return keep

    def rows(self, layer: int, norm: str) -> Tensor:
        """What a norm gave.

        Args:
            layer: its number.
            norm: "norm1" or "norm2".

        Returns:
            (R, h) float32; empty before anything was seen.
        """
        kept = self._kept[f"{layer}.{norm}"]
        return torch.cat(kept) if kept else torch.empty(0)

    def close(self) -> None:
        """Watches no longer."""
        for hook in self._hooks:
            hook.remove()


def smooth(language_model: Any, seen: SeenInputs) -> None:
    """Moves factors between the parameters of a language model, which computes the same as before but for rounding.

    Args:
        language_model: the text model of transformers, changed in place.
        seen: inputs of its layers.

    Raises:
        BackendError: ModelOpt failed, or nothing was seen.
    """
    with torch.inference_mode(mode=False), torch.no_grad():
        for number, layer in enumerate(language_model.layers):
            attention, mlp = layer.self_attn, layer.mlp
            first, second = seen.rows(number, "norm1"), seen.rows(number, "norm2")
            if not len(first) or not len(second):
                raise BackendError("Quantising with ModelOpt: expected frames that the model looks at, none was used.")
            gate, up = (
                functional.linear(second, one.weight.float(), _bias(one)) for one in (mlp.gate_proj, mlp.up_proj)
            )
            factors = _factors([mlp.down_proj], functional.silu(gate) * up)
            _multiply_outputs(mlp.up_proj, factors)
            _divide_inputs([mlp.down_proj], factors)
            for norm, linears, rows in (
                (layer.post_attention_layernorm, [mlp.gate_proj, mlp.up_proj], second),
                (layer.input_layernorm, [attention.q_proj, attention.k_proj, attention.v_proj], first),
            ):
                factors = _factors(linears, rows)
                norm.weight.mul_(factors)
                _divide_inputs(linears, factors)


def _bias(linear: nn.Linear) -> Tensor | None:
    return None if linear.bias is None else linear.bias.float()


def _multiply_outputs(linear: nn.Linear, factors: Tensor) -> None:
    linear.weight.mul_(factors[:, None])
    if linear.bias is not None:
        linear.bias.mul_(factors)


def _divide_inputs(linears: list[nn.Linear], factors: Tensor) -> None:
    for linear in linears:
        linear.weight.div_(factors)


def _factors(linears: list[nn.Linear], rows: Tensor) -> Tensor:
    """(K,) by which the inputs of some projections are multiplied, as ModelOpt finds them on (R, K) inputs."""
    weight = torch.cat([linear.weight.float() for linear in linears])
    alone = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    alone.weight.copy_(weight)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from modelopt.torch import quantization

            config = copy.deepcopy(quantization.INT4_AWQ_CFG)
            _set_block(config, block_size(weight.shape[1]))
            found = quantization.quantize(nn.Sequential(alone), config, forward_loop=lambda module: module(rows))
            factors: Tensor = found[0].input_quantizer.pre_quant_scale.detach().float().clone()
    except Exception as error:  # of a package that changes from version to version
        raise BackendError(
            f"ModelOpt {modelopt_version()} cannot quantise this model: {' '.join(str(error).split())[:300]}; leave it "
            "out with --quantizer round."
        ) from error
    return factors


def _set_block(config: Any, block: int) -> None:
    """Writes the size of blocks into ModelOpt's configuration, wherever it has one."""
    parts = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    for part in parts:
        if isinstance(part, dict) and "block_sizes" in part:
            part["block_sizes"] = {**part["block_sizes"], -1: block}
        else:
            _set_block(part, block)
