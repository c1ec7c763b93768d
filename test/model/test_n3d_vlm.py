"""N3dVlm beyond the golden case: other shapes, several images, training, threads, half precision."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")
pytest.importorskip("transformers", reason="the extra [model] is not installed")

from transformers import Qwen2_5_VLForConditionalGeneration  # noqa: E402

from n3d_ros.errors import ConfigurationError, InputError  # noqa: E402
from n3d_ros.model.config import build_config  # noqa: E402
from n3d_ros.model.half_precision import guard_half_precision  # noqa: E402
from n3d_ros.model.n3d_vlm import N3dVlm  # noqa: E402
from tiny_vlm import make_inputs, make_points, tiny_config, tiny_model  # noqa: E402

torch.set_num_threads(1)

MROPE = {"type": "mrope", "mrope_section": [16, 24, 24]}
SHAPES: dict[str, dict[str, Any]] = {
    "as the golden case": {},
    "odd share per axis": {"vision": {"hidden_size": 64}},
    "tied head": {"tie_word_embeddings": True},
    "windows of 56 px": {"vision": {"window_size": 56, "fullatt_block_indexes": [0, 2]}},
    "windows of 168 px, full attention first": {"vision": {"window_size": 168, "fullatt_block_indexes": [0]}},
    "windows everywhere": {"vision": {"fullatt_block_indexes": []}},
    "last block with windows": {"vision": {"depth": 4, "fullatt_block_indexes": [0, 1, 2]}},
    "one block": {"vision": {"depth": 1, "fullatt_block_indexes": [0], "num_heads": 7}},
    "one key/value head": {"text": {"num_key_value_heads": 1, "hidden_size": 96, "num_attention_heads": 4}},
}


def stock_logits(model: N3dVlm, inputs: dict[str, Any], mode: str) -> torch.Tensor:
    """Logits of transformers' own class with the same weights, and a code written in numpy put before its merger."""
    stock = Qwen2_5_VLForConditionalGeneration(model.config).eval()
    stock.load_state_dict(model.state_dict(), strict=True)
    width = model.config.vision_config.hidden_size
    window = model.config.vision_config.window_size // 14
    codes = []
    for points, (_, rows, columns) in zip(inputs["point_clouds"], inputs["image_grid_thw"].tolist(), strict=True):
        code = numpy_code(points.numpy().astype(np.float64), rows, columns, width)
        codes.append(code if mode == "reference" else in_window_order(code, rows, columns, window))
    added = torch.from_numpy(np.concatenate(codes)).float()
    if mode != "none":
        stock.model.visual.merger.register_forward_pre_hook(lambda _module, args: (args[0] + added,))
    kinds = (inputs["input_ids"] == stock.config.image_token_id).int()
    rest = {key: value for key, value in inputs.items() if key != "point_clouds"}
    with torch.no_grad():
        return stock(**rest, mm_token_type_ids=kinds).logits


def numpy_code(points: np.ndarray, rows: int, columns: int, width: int) -> np.ndarray:
    """(P, D) code in raster order, from its description, for maps whose sides are multiples of the grid."""
    valid = points[..., 3] > 0
    xyz = np.where(valid[..., None], points[..., :3], points[..., :3][valid].mean(axis=0))
    tall, wide = points.shape[0] // rows, points.shape[1] // columns
    means = xyz.reshape(rows, tall, columns, wide, 3).mean(axis=(1, 3)).reshape(-1, 3)
    whole = np.rint((means - means.mean(axis=0).mean()) / 0.001)
    share = width // 3
    k = np.arange(share)
    angles = whole[:, :, None] / 10000.0 ** (2 * (k // 2) / share)
    code = np.where(k % 2 == 0, np.sin(angles), np.cos(angles)).reshape(len(whole), -1)
    return np.pad(code, ((0, 0), (0, width - 3 * share)))


def in_window_order(code: np.ndarray, rows: int, columns: int, window: int) -> np.ndarray:
    """The code window by window, block by block, patch by patch, by nested loops."""
    order = [
        row * columns + column
        for window_row in range(0, rows, window)
        for window_column in range(0, columns, window)
        for block_row in range(window_row, min(window_row + window, rows), 2)
        for block_column in range(window_column, min(window_column + window, columns), 2)
        for row in (block_row, block_row + 1)
        for column in (block_column, block_column + 1)
    ]
    return code[order]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", ["reference", "aligned", "none"])
def test_it_is_the_stock_class_with_the_code_before_its_merger(shape: str, mode: Any) -> None:
    model = tiny_model(3, **SHAPES[shape])
    model.set_position_code(mode)
    inputs = make_inputs([(10, 14), (12, 6)], seed=1)
    with torch.no_grad():
        ours = model(**inputs).logits
    expected = stock_logits(model, inputs, mode)
    # float64 and float32 means may round a coordinate either way: most places agree closely, none is far off
    assert (ours - expected).abs().amax(dim=-1).median() < 1e-3
    assert torch.equal(ours.argmax(dim=-1), expected.argmax(dim=-1)) or (ours - expected).abs().max() < 0.1


def test_the_modes_differ() -> None:
    model = tiny_model(3)
    inputs = make_inputs([(10, 14)])
    logits = []
    for mode in ("reference", "aligned", "none"):
        model.set_position_code(mode)
        with torch.no_grad():
            logits.append(model(**inputs).logits)
    assert min((logits[a] - logits[b]).abs().max() for a, b in ((0, 1), (0, 2), (1, 2))) > 0.01


def test_several_images_of_different_sizes_are_as_each_alone() -> None:
    model = tiny_model(4)
    sizes = [(10, 14), (12, 6), (8, 8), (2, 2)]
    together = make_inputs(sizes, seed=5)
    with torch.no_grad():
        every = model.model.get_image_features(
            together["pixel_values"], together["image_grid_thw"], point_clouds=together["point_clouds"]
        ).pooler_output
        begin = 0
        for index, (rows, columns) in enumerate(sizes):
            alone = model.model.get_image_features(
                together["pixel_values"][begin : begin + rows * columns], together["image_grid_thw"][index : index + 1],
                point_clouds=together["point_clouds"][index : index + 1],
            ).pooler_output[0]  # fmt: skip
            assert (every[index] - alone).abs().max() < 1e-5
            begin += rows * columns


def test_a_padded_batch_of_prompts_is_as_each_alone() -> None:
    model = tiny_model(4)
    one, two = make_inputs([(6, 8)], seed=1, text=4), make_inputs([(8, 4)], seed=2, text=9)
    longest = max(one["input_ids"].shape[1], two["input_ids"].shape[1])
    pad = lambda ids, value: torch.nn.functional.pad(ids, (longest - ids.shape[1], 0), value=value)  # noqa: E731
    both = {
        "input_ids": torch.cat([pad(each["input_ids"], 0) for each in (one, two)]),
        "attention_mask": torch.cat([pad(each["attention_mask"], 0) for each in (one, two)]),
        "pixel_values": torch.cat([one["pixel_values"], two["pixel_values"]]),
        "image_grid_thw": torch.cat([one["image_grid_thw"], two["image_grid_thw"]]),
        "point_clouds": one["point_clouds"] + two["point_clouds"],
    }
    with torch.no_grad():
        batch = model(**both).logits[:, -1]
        alone = torch.cat([model(**each).logits[:, -1] for each in (one, two)])
    assert (batch - alone).abs().max() < 1e-3


@pytest.mark.parametrize("use_cache", [True, False])
def test_generation_with_images_then_text_only_leaves_nothing_behind(use_cache: bool) -> None:
    model = tiny_model(6)
    image = make_inputs([(6, 8)])
    text = {"input_ids": torch.arange(10, 30)[None], "attention_mask": torch.ones(1, 20, dtype=torch.long)}
    options = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None, "pad_token_id": 0, "use_cache": use_cache}
    first = model.generate(**text, **options)
    with_image = model.generate(**image, **options)
    assert torch.equal(model.generate(**text, **options), first)
    assert torch.equal(model.generate(**image, **options), with_image)
    assert with_image.shape[1] == image["input_ids"].shape[1] + 6


def test_generation_refuses_arguments_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="point_cloud"):
        tiny_model().generate(**make_inputs([(2, 2)]), point_cloud=[])


def test_image_tokens_get_three_dimensional_positions_without_being_asked() -> None:
    model = tiny_model(6)
    inputs = make_inputs([(6, 8)])
    kinds = (inputs["input_ids"] == model.config.image_token_id).int()
    with torch.no_grad():
        assert torch.equal(model(**inputs).logits, model(**inputs, mm_token_type_ids=kinds).logits)


def test_calls_of_several_threads_do_not_meet() -> None:
    model = tiny_model(7)
    cases = [make_inputs([(6, 8)], seed=seed) for seed in range(4)]
    with torch.no_grad():
        alone = [model(**case, position_ids=positions(case)).logits for case in cases]
    differences: list[float] = []

    def work(index: int) -> None:
        with torch.no_grad():
            for _ in range(5):
                again = model(**cases[index], position_ids=positions(cases[index])).logits
                differences.append(float((again - alone[index]).abs().max()))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(differences) == 20 and max(differences) < 1e-5


def positions(case: dict[str, Any]) -> torch.Tensor:
    """Positions given by the caller, since the parent keeps those it computes on itself."""
    return torch.arange(case["input_ids"].shape[1])[None, None].expand(3, 1, -1)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_reach_every_weight_and_are_those_without_checkpointing(checkpointing: bool) -> None:
    model = tiny_model(8).train()
    inputs = make_inputs([(6, 8), (4, 4)])
    model(**inputs, labels=inputs["input_ids"]).loss.backward()
    expected = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    assert all(gradient.isfinite().all() and gradient.abs().max() > 0 for gradient in expected.values())
    if checkpointing:
        model.zero_grad()
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable({"use_reentrant": False})
        model(**inputs, labels=inputs["input_ids"], use_cache=False).loss.backward()
        for name, parameter in model.named_parameters():
            assert torch.allclose(parameter.grad, expected[name], atol=1e-5), name


def test_an_image_without_points_is_refused_unless_the_mode_has_no_code() -> None:
    model = tiny_model()
    inputs = make_inputs([(6, 8)])
    del inputs["point_clouds"]
    with pytest.raises(InputError, match="without point_clouds"):
        model(**inputs)
    model.set_position_code("none")
    assert model(**inputs).logits.isfinite().all()


def test_points_for_another_number_of_images_are_refused() -> None:
    inputs = make_inputs([(6, 8), (4, 4)])
    inputs["point_clouds"] = inputs["point_clouds"][:1]
    with pytest.raises(InputError, match="per image, got 1"):
        tiny_model()(**inputs)


def test_a_stack_of_points_is_taken_like_a_list() -> None:
    model = tiny_model(9)
    inputs = make_inputs([(6, 8), (6, 8)])
    stacked = {**inputs, "point_clouds": torch.stack(inputs["point_clouds"])}
    with torch.no_grad():
        assert torch.equal(model(**inputs).logits, model(**stacked).logits)


def test_a_word_that_is_no_position_code_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="reference, aligned, none, got 'sideways'"):
        N3dVlm(build_config(tiny_config(position_code="sideways")))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.25), (torch.float16, 0.03)])
def test_half_precision_is_close_to_full(dtype: torch.dtype, tolerance: float) -> None:
    model = tiny_model(10, scale=0.7)
    inputs = make_inputs([(10, 14)])
    with torch.no_grad():
        full = model(**inputs).logits
        for parameter in model.parameters():  # as loading does: tables of frequencies stay float32
            parameter.data = parameter.data.to(dtype)
        if dtype == torch.float16:
            guard_half_precision(model)
        half = model(**inputs).logits
    assert half.dtype == dtype
    assert (half.float() - full).abs().max() < tolerance * full.abs().max()
    assert (half.float() - full).abs().mean() < 0.1 * tolerance * full.abs().max()


def test_float16_does_not_overflow_where_bfloat16_would_not() -> None:
    inputs = make_inputs([(6, 8)])
    results = {}
    for guarded in (False, True):
        model = tiny_model(11, scale=0.7)
        with torch.no_grad():
            for (
                name,
                parameter,
            ) in model.named_parameters():  # products inside the SwiGLU beyond 65504, as in real weights
                parameter.mul_(300.0 if "up_proj.weight" in name or "gate_proj.weight" in name else 1.0)
            full = model(**inputs).logits
            for parameter in model.parameters():
                parameter.data = parameter.data.half()
            if guarded:
                guard_half_precision(model)
            results[guarded] = model(**inputs).logits.float()
    assert not results[False].isfinite().all()
    assert (results[True] - full).abs().max() < 0.05 * full.abs().max()


@pytest.mark.parametrize(
    ("vision", "text", "tied", "count", "tensors"),
    [
        (
            {"out_hidden_size": 2048, "hidden_size": 1280, "num_heads": 16, "depth": 32, "intermediate_size": 3420},
            {"hidden_size": 2048, "num_hidden_layers": 36, "num_attention_heads": 16, "num_key_value_heads": 2,
             "intermediate_size": 11008, "vocab_size": 151936, "rope_scaling": MROPE},
            True, 3_754_622_976, 824,
        ),
        (
            {"out_hidden_size": 3584, "hidden_size": 1280, "num_heads": 16, "depth": 32, "intermediate_size": 3420},
            {"hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
             "intermediate_size": 18944, "vocab_size": 152064, "rope_scaling": MROPE},
            False, 8_292_166_656, 729,
        ),
    ],
    ids=["3B", "7B"],
)  # fmt: skip
def test_the_published_sizes_have_the_published_tensors(
    vision: dict[str, Any], text: dict[str, Any], tied: bool, count: int, tensors: int
) -> None:
    with torch.device("meta"):
        model = N3dVlm(build_config(tiny_config(vision=vision, text=text, tie_word_embeddings=tied)))
    parameters = dict(model.named_parameters())
    assert sum(parameter.numel() for parameter in parameters.values()) == count
    assert len(parameters) == tensors
    assert parameters["model.visual.merger.mlp.0.weight"].shape == (5120, 5120)
    assert parameters["model.visual.blocks.31.attn.qkv.bias"].shape == (3840,)
    assert parameters["model.visual.patch_embed.proj.weight"].shape == (1280, 3, 2, 14, 14)
    assert (
        parameters["model.language_model.layers.0.self_attn.k_proj.weight"].shape[0]
        == 128 * text["num_key_value_heads"]
    )
    assert ("lm_head.weight" in parameters) is not tied


def test_points_of_double_precision_are_taken() -> None:
    model = tiny_model(12)
    inputs = make_inputs([(6, 8)])
    inputs["point_clouds"] = [make_points(84, 112, 3).double()]
    single = {**inputs, "point_clouds": [inputs["point_clouds"][0].float()]}
    with torch.no_grad():
        assert torch.equal(model(**inputs).logits, model(**single).logits)
