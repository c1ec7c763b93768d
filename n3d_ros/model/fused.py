"""Weights that are read by one multiplication instead of several, and the multiplications themselves.

Query, key and value projections have one input; so have the gate and up projections. One product over all their rows
reads memory in one go. The modules' own parameters become views of the common storage, so nothing is held twice and the
state dict stays as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

ONEDNN_ROWS = range(1, 65)
"""Rows for which a float32 product on the CPU goes to oneDNN, which reads the weight once whatever the number of rows.
11264 x 2048 on two Zen 3 cores, milliseconds of MKL and oneDNN: 4.9 and 3.5 for 1 row, 20 and 6.3 for 4, 19 and 7.0 for
8, 20 and 9.2 for 16, 26 and 13 for 32; about equal at 128, MKL ahead beyond (torch 2.13, MKL 2024.2, oneDNN 3.12)."""
TRANSPOSED_ROWS = range(2, 129)
"""Where there is no oneDNN: rows for which MKL is faster at W x^T than at x W^T (6.1 for 4 rows, 8.9 for 8)."""
FP16_ROW_LIMIT = 2.0**6
"""Largest magnitude that enters a guarded float16 product: sums of 18944 products with weights stay below 65504."""


def fuse_linears(linears: Sequence[nn.Linear]) -> tuple[Tensor, Tensor | None]:
    """The weights and biases of layers with one input, one below the other in one storage.

    The layers keep working: their parameters are views from then on. Layers that are fused already are left as they
    are. Move a model to its device and type before; a later move parts the views from what is returned here.

    Args:
        linears: layers of equal input width, dtype and device, all with or all without bias.

    Returns:
        Weight (sum of outputs, input) and bias (sum of outputs,) or None.
    """
    weight = _fuse([linear.weight for linear in linears])
    biases = [linear.bias for linear in linears if linear.bias is not None]
    return weight, _fuse(biases) if biases else None


def _fuse(parameters: Sequence[nn.Parameter]) -> Tensor:
    """One tensor over all parameters, which become views of it."""
    with torch.no_grad():
        rows = [parameter.shape[0] for parameter in parameters]
        if _stand_together(parameters):
            first = parameters[0].data
            return first.as_strided((sum(rows), *first.shape[1:]), first.stride(), first.storage_offset())
        fused = torch.cat([parameter.data for parameter in parameters])
        for parameter, part in zip(parameters, fused.split(rows), strict=True):
            parameter.data = part
        if fused.is_cuda:
            torch.cuda.empty_cache()  # the old blocks are too small for the next layer's: give them back now
        return fused


def _stand_together(parameters: Sequence[nn.Parameter]) -> bool:
    """Whether each parameter begins in memory where the one before it ends, in one storage."""
    storage = parameters[0].untyped_storage().data_ptr()
    offset = parameters[0].storage_offset()
    for parameter in parameters:
        if parameter.untyped_storage().data_ptr() != storage or parameter.storage_offset() != offset:
            return False
        offset += parameter.numel()
    return parameters[0].untyped_storage().nbytes() >= offset * parameters[0].element_size()


def project(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x weight^T + bias``, in the order of operands that this device computes fastest.

    Args:
        x: (S, I).
        weight: (O, I) of the same dtype.
        bias: (O,) or None.

    Returns:
        (S, O).
    """
    if x.device.type != "cpu" or x.dtype != torch.float32 or torch.is_grad_enabled() or torch.compiler.is_compiling():
        return functional.linear(x, weight, bias)
    rows = x.shape[0]
    if rows in ONEDNN_ROWS and has_onednn():
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    if rows in TRANSPOSED_ROWS:
        product = torch.mm(weight, x.t()).t()
        return product.contiguous() if bias is None else product + bias
    return functional.linear(x, weight, bias)


@lru_cache(maxsize=1)
def has_onednn() -> bool:
    """Whether torch's product through oneDNN is there and right; it is what ``torch.compile`` emits, and not public.

    Returns:
        False when the product is missing or gives something else than the plain one.
    """
    try:
        x, weight, bias = torch.ones(2, 16), torch.arange(48.0).reshape(3, 16) / 48, torch.arange(3.0)
        product = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return torch.allclose(product, functional.linear(x, weight, bias))
    except (AttributeError, NotImplementedError, RuntimeError):
        return False


def project_guarded(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``project`` for inputs that float16 cannot hold: rows are scaled down before the product and up after it.

    Args:
        x: (S, I) float32 when ``weight`` is float16, else of the weight's dtype.
        weight: (O, I).
        bias: (O,) or None.

    Returns:
        (S, O), float32 for float16 weights, else of the weight's dtype.
    """
    return project_scaled(x, weight, bias) if weight.dtype == torch.float16 else project(x, weight, bias)


def project_scaled(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x weight^T + bias`` with rows brought below ``FP16_ROW_LIMIT`` by a power of two, which changes no digit.

    Args:
        x: (..., I) float32.
        weight: (O, I).
        bias: (O,) or None.

    Returns:
        (..., O) float32.
    """
    largest = x.abs().amax(dim=-1, keepdim=True)
    scale = torch.exp2(torch.ceil(torch.log2(largest / FP16_ROW_LIMIT))).clamp(min=1.0)
    product = functional.linear((x / scale).to(weight.dtype), weight).float() * scale
    return product if bias is None else product + bias.float()


def add_projection(x: Tensor, inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x + inputs weight^T + bias``. On a GPU the product adds into ``x`` itself: one kernel, and no rounding between.

    Args:
        x: (S, O) in the residual dtype; may hold the result afterwards.
        inputs: (S, I) as for ``project_guarded``.
        weight: (O, I).
        bias: (O,) or None.

    Returns:
        (S, O) in the residual dtype.
    """
    plain = torch.is_grad_enabled() or torch.compiler.is_compiling()
    if x.is_cuda and bias is None and x.dtype == weight.dtype and not plain:
        return x.addmm_(inputs, weight.t())
    return x + project_guarded(inputs, weight, bias)


def residual_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which sums of layers are kept: float32 where weights are float16, whose range they leave.

    Args:
        dtype: of the weights.

    Returns:
        float32 for float16, else the same.
    """
    return torch.float32 if dtype == torch.float16 else dtype


class RmsNorm(nn.Module):
    """Root mean square norm with float32 inside, from the residual dtype to that of the weights.

    Args:
        norm: a norm of transformers, with ``weight`` and ``variance_epsilon``.
        dtype: of the result.
    """

    def __init__(self, norm: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight: Tensor
        self.register_buffer("weight", norm.weight.data.to(residual_dtype(dtype)), persistent=False)
        self.eps = float(norm.variance_epsilon)
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        """The normalised rows.

        Args:
            x: (S, D) in the residual dtype.

        Returns:
            (S, D) in the dtype of the weights.
        """
        if torch.compiler.is_exporting():  # in the form that runtimes know and replace by one kernel
            wide = x.float()
            spread = torch.sqrt(wide.pow(2).mean(dim=-1, keepdim=True) + self.eps)
            return (wide / spread * self.weight).to(self.dtype)
        return functional.rms_norm(x, (x.shape[-1],), self.weight, self.eps).to(self.dtype)


class GatedMlp(nn.Module):
    """``down(silu(gate x) * up x)`` with gate and up in one product, and float32 between for float16 weights.

    Args:
        mlp: an MLP of transformers with ``gate_proj``, ``up_proj`` and ``down_proj``.
    """

    def __init__(self, mlp: nn.Module) -> None:
        super().__init__()
        weight, bias = fuse_linears([mlp.gate_proj, mlp.up_proj])
        self.gate_up_weight: Tensor
        self.gate_up_bias: Tensor | None
        self.register_buffer("gate_up_weight", weight, persistent=False)
        self.register_buffer("gate_up_bias", bias, persistent=False)
        self.down: nn.Linear = mlp.down_proj

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        """The block's output, added to what goes past it.

        Args:
            x: (S, D) in the dtype of the weights.
            residual: (S, D) in the residual dtype; may hold the result afterwards.

        Returns:
            (S, D) in the residual dtype.
        """
        both = project(x, self.gate_up_weight, self.gate_up_bias)
        gate, up = both.to(residual_dtype(both.dtype)).chunk(2, dim=-1)
        return add_projection(residual, functional.silu(gate) * up, self.down.weight, self.down.bias)


def swap_halves(x: Tensor) -> Tensor:
    """The second half of the channels before the first. With signed sines this is the rotation's other operand.

    Args:
        x: (..., D).

    Returns:
        (..., D).
    """
    half = x.shape[-1] // 2
    return torch.cat([x[..., half:], x[..., :half]], dim=-1)


def rotate(x: Tensor, cos: Tensor, signed_sin: Tensor) -> Tensor:
    """Rotary position encoding, in float32 and rounded once.

    Args:
        x: (S, heads, D) in any dtype.
        cos: (S, 1, D) or (S, heads, D) float32.
        signed_sin: likewise, the first half of the channels negated.

    Returns:
        (S, heads, D) in the dtype of ``x``.
    """
    if x.is_cuda and not torch.is_grad_enabled() and not torch.compiler.is_compiling():
        rounded = torch.empty_like(x, memory_format=torch.contiguous_format)
        return torch.addcmul(x * cos, swap_halves(x), signed_sin, out=rounded)  # rounds on its way out: no cast
    return torch.addcmul(x * cos, swap_halves(x), signed_sin).to(x.dtype)


def signed(sin: Tensor) -> Tensor:
    """Sines with the first half of the channels negated, as ``rotate`` takes them.

    Args:
        sin: (S, D) float32.

    Returns:
        (S, 1, D) float32.
    """
    half = sin.shape[-1] // 2
    return torch.cat([-sin[:, :half], sin[:, half:]], dim=-1)[:, None]
