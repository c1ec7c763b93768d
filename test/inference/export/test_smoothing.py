"""Factors that ModelOpt finds move between parameters and change nothing else."""

from __future__ import annotations

import sys
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")
pytest.importorskip("transformers", reason="the extra [model] is not installed")

from n3d_ros.errors import BackendError  # noqa: E402
from n3d_ros.inference.export import smoothing  # noqa: E402
from n3d_ros.inference.export.quantizing import quantize  # noqa: E402
from n3d_ros.inference.export.smoothing import SeenInputs, modelopt_version, smooth  # noqa: E402
from n3d_ros.inference.export.tracing import trace_of_decoder  # noqa: E402
from n3d_ros.model.decoder_graph import DecoderGraph  # noqa: E402
from tiny_vlm import tiny_model  # noqa: E402

SHAPE = {"hidden_size": 256, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 384}


def logits_of(model: Any, watch: bool = False) -> tuple[Any, SeenInputs | None]:
    """What the language model makes of drawn numbers, and what its projections saw."""
    decoder = DecoderGraph(model.model.language_model, model.lm_head)
    tracing = trace_of_decoder(decoder)
    random = torch.Generator().manual_seed(2)
    drawn = {
        name: value if "mask" in name or not value.is_floating_point() else torch.randn(value.shape, generator=random)
        for name, value in {**tracing.inputs, **tracing.listed}.items()
    }
    seen = SeenInputs(decoder) if watch else None
    with torch.no_grad():
        logits = tracing.module(*(drawn[name] for name in tracing.inputs), [drawn[name] for name in tracing.listed])[0]
    if seen is not None:
        seen.close()
    return logits, seen


def test_factors_change_the_weights_and_not_what_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    random = torch.Generator().manual_seed(4)

    def drawn(linears: Any, rows: Any) -> Any:
        assert rows.shape[1] == linears[0].weight.shape[1] and len(rows) == 5
        return torch.rand(rows.shape[1], generator=random) + 0.5

    monkeypatch.setattr(smoothing, "_factors", drawn)
    model = tiny_model(text=SHAPE)
    before, seen = logits_of(model, watch=True)
    assert seen is not None
    weight = model.model.language_model.layers[1].mlp.down_proj.weight.clone()
    smooth(model.model.language_model, seen)
    after, _ = logits_of(model)
    assert not torch.equal(model.model.language_model.layers[1].mlp.down_proj.weight, weight)
    assert (after - before).abs().max() < 1e-4 * before.abs().max()


def test_a_model_that_saw_nothing_is_refused() -> None:
    model = tiny_model(text=SHAPE)
    seen = SeenInputs(DecoderGraph(model.model.language_model, model.lm_head))
    with pytest.raises(BackendError, match="expected frames that the model looks at"):
        smooth(model.model.language_model, seen)


def test_a_modelopt_that_fails_is_named_with_the_way_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modelopt", None)
    model = tiny_model(text=SHAPE)
    _, seen = logits_of(model, watch=True)
    assert seen is not None
    with pytest.raises(BackendError, match="cannot quantise this model: .*--quantizer round"):
        smooth(model.model.language_model, seen)


@pytest.mark.skipif(modelopt_version() is None, reason="nvidia-modelopt is not installed")
def test_modelopt_finds_factors_under_which_rounding_does_less_harm() -> None:
    torch.manual_seed(0)
    rows = torch.randn(512, 256) * torch.logspace(-2, 2, 256)[torch.randperm(256)]
    linear = torch.nn.Linear(256, 64, bias=False)
    with torch.no_grad():
        exact = linear(rows)
        factors = smoothing._factors([linear], rows)
        plain = rows @ quantize(linear.weight, "int4").dequantized().t()
        eased = (rows * factors) @ quantize(linear.weight / factors, "int4").dequantized().t()
    assert (eased - exact).norm() < 0.9 * (plain - exact).norm()
