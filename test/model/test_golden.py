"""N3dVlm against tensors of the public reference class, step by step; every case of the golden folder is run.

Values after the vision tower are compared from the golden coordinates: one unit of rounding changes the fastest
channels of the code by up to 1.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")
pytest.importorskip("transformers", reason="the extra [model] is not installed")

from safetensors.torch import load_file  # noqa: E402
from transformers.vision_utils import get_vision_window_index  # noqa: E402

from n3d_ros.model import n3d_vlm  # noqa: E402
from n3d_ros.model.config import build_config  # noqa: E402
from n3d_ros.model.n3d_vlm import N3dVlm  # noqa: E402
from n3d_ros.model.position_code import pooled_coordinates, position_code, sinusoid, window_order  # noqa: E402

torch.set_num_threads(1)

TOLERANCE = 1e-3  # of the README of the golden tensors; measured here: 2e-5
GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden" / "n3d"
RUNS = sorted(f"{file.parent.name}/{file.stem}" for file in GOLDEN.glob("case_*/*.safetensors") if file.stem != "model")


class Run:
    """One golden run, and the model it was made with."""

    def __init__(self, name: str) -> None:
        self.folder = GOLDEN / name.split("/")[0]
        self.golden = load_file(GOLDEN / f"{name}.safetensors")
        self.model = N3dVlm(build_config(json.loads((self.folder / "config.json").read_text()))).eval()
        stored = load_file(self.folder / "model.safetensors")
        missing, extra = self.model.load_state_dict(stored, strict=False)
        assert not extra and set(missing) <= {"lm_head.weight"}  # a tied head need not be stored
        _, rows, columns = self.golden["image_grid_thw"][0].tolist()
        self.grid = (rows, columns)
        self.inputs = {
            key: self.golden[key] for key in ("input_ids", "attention_mask", "image_grid_thw", "point_clouds")
        }
        self.inputs["pixel_values"] = self.golden["pixel_values"].float()

    def use_golden_coordinates(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Feeds the golden coordinates in place of those of the points."""

        def code(points: Any, grid: tuple[int, int], width: int, mode: str, *, window_blocks: int, merge: int) -> Any:
            assert grid == self.grid
            values = sinusoid(self.golden["pe_coords"][0], width)
            return (
                values if mode == "reference" else values[window_order(grid, window_blocks=window_blocks, merge=merge)]
            )

        monkeypatch.setattr(n3d_vlm, "position_code", code)

    def trace(self) -> dict[str, Any]:
        """What passes through the model in one forward, by the names of the golden tensors."""
        seen: dict[str, Any] = {}

        def keep(name: str, module: Any) -> Any:
            return module.register_forward_hook(lambda _module, _inputs, output: seen.__setitem__(name, output))

        def language_inputs(_module: Any, _args: Any, kwargs: dict[str, Any]) -> None:
            seen.update({key: kwargs[key] for key in ("inputs_embeds", "position_ids")})

        visual, language = self.model.model.visual, self.model.model.language_model
        hooks = [
            keep("patch_embed_out", visual.patch_embed),
            keep("block0_out", visual.blocks[0]),
            keep("hidden_post_pe", visual.blocks[-1]),
            keep("merger_out_window_order", visual.merger),
            keep("visual", visual),
            keep("llm_hidden_1", language.layers[0]),
            keep("llm_hidden_final", language.norm),
            language.register_forward_pre_hook(language_inputs, with_kwargs=True),
        ]
        with torch.no_grad():
            seen["logits"] = self.model(**self.inputs).logits
        for hook in hooks:
            hook.remove()
        seen["visual_embeds"] = torch.cat(seen.pop("visual").pooler_output)  # split by image after the hook
        return seen


@pytest.fixture(scope="module", params=RUNS or [pytest.param("none", marks=pytest.mark.skip("no golden tensors here"))])
def run(request: pytest.FixtureRequest) -> Run:
    return Run(request.param)


def test_pooled_coordinates_are_the_golden_ones(run: Run) -> None:
    map_points = run.golden["point_clouds"].reshape(*run.golden["pcd_f16"].shape[:2], 4)
    for points in (run.golden["point_clouds"], map_points):
        difference = (pooled_coordinates(points, run.grid) - run.golden["pe_coords"][0]).abs()
        assert difference.max() <= 1
        assert (difference > 0).float().mean() <= 0.005


def test_the_code_is_the_golden_one(run: Run) -> None:
    golden = run.golden["pe_out"][0]
    assert (sinusoid(run.golden["pe_coords"][0], golden.shape[1]) - golden).abs().max() <= 1e-4
    code = position_code(run.golden["point_clouds"], run.grid, golden.shape[1], "reference")
    assert ((code - golden).abs().amax(dim=1) > 1e-4).float().mean() <= 0.015


def test_every_step_of_a_forward_is_the_golden_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.use_golden_coordinates(monkeypatch)
    seen = run.trace()
    golden = {"hidden_post_pe": run.golden["hidden_pre_pe"] + run.golden["pe_out"][0], **run.golden}
    for name in (
        "patch_embed_out", "block0_out", "hidden_post_pe", "merger_out_window_order", "visual_embeds", "inputs_embeds",
        "llm_hidden_1", "llm_hidden_final", "logits",
    ):  # fmt: skip
        if name in golden:  # some runs leave some out
            assert seen[name].shape == golden[name].shape, name
            assert (seen[name] - golden[name]).abs().max() <= TOLERANCE, name
    assert torch.equal(seen["position_ids"][-3:], golden["position_ids"])


def test_states_before_the_code_are_the_golden_ones(run: Run) -> None:
    run.model.set_position_code("none")
    try:
        seen = run.trace()
    finally:
        run.model.set_position_code("reference")
    assert (seen["hidden_post_pe"] - run.golden["hidden_pre_pe"]).abs().max() <= TOLERANCE


def test_positions_and_windows_are_the_golden_ones(run: Run) -> None:
    vision = run.model.config.vision_config
    kinds = (run.golden["input_ids"] == run.model.config.image_token_id).int()
    positions, deltas = run.model.model.get_rope_index(
        run.golden["input_ids"],
        kinds,
        image_grid_thw=run.golden["image_grid_thw"],
        attention_mask=run.golden["attention_mask"],
    )
    assert torch.equal(positions, run.golden["position_ids"])
    assert torch.equal(deltas, run.golden["rope_deltas"])
    index, lengths = get_vision_window_index(
        run.golden["image_grid_thw"], spatial_merge_size=2, window_size=vision.window_size, patch_size=vision.patch_size
    )
    assert torch.equal(index, run.golden["window_index"])
    assert torch.equal(lengths.long(), torch.unique_consecutive(run.golden["cu_window_seqlens"]).long())
    ours = window_order(run.grid, window_blocks=vision.window_size // 28).reshape(-1, 4)[:, 0]
    rows, columns = ours // run.grid[1] // 2, ours % run.grid[1] // 2
    assert torch.equal(rows * (run.grid[1] // 2) + columns, run.golden["window_index"])


@pytest.mark.parametrize(
    ("mode", "name"), [("aligned", "control_aligned_pe_last_logits"), ("none", "control_no_pe_last_logits")]
)
def test_the_negative_controls_are_the_golden_ones(
    run: Run, mode: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.use_golden_coordinates(monkeypatch)
    run.model.set_position_code(mode)
    try:
        with torch.no_grad():
            last = run.model(**run.inputs).logits[:, -1]
    finally:
        run.model.set_position_code("reference")
    assert (last - run.golden[name]).abs().max() <= TOLERANCE
    assert (last - run.golden["logits"][:, -1]).abs().max() > 10 * TOLERANCE  # and it is a control: it differs


@pytest.mark.parametrize("use_cache", [True, False])
def test_greedy_tokens_are_the_golden_ones_from_the_points_on(run: Run, use_cache: bool) -> None:
    generated = run.model.generate(
        **run.inputs, max_new_tokens=16, do_sample=False, use_cache=use_cache, eos_token_id=None, pad_token_id=0,
        return_dict_in_generate=True, output_logits=True,
    )  # fmt: skip
    assert torch.equal(generated.sequences[0, -16:], run.golden["greedy_ids"])
    logits = torch.stack(generated.logits)[:, 0]
    margins = logits.topk(2, dim=-1).values
    assert (margins[:, 0] - margins[:, 1] - run.golden["greedy_margin"]).abs().max() <= 0.02
    assert (logits - run.golden["greedy_logits"]).abs().max() <= 0.02  # a coordinate may have rounded the other way


@pytest.mark.parametrize("use_cache", [True, False])
def test_greedy_logits_are_the_golden_ones_from_the_coordinates_on(
    run: Run, use_cache: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.use_golden_coordinates(monkeypatch)
    generated = run.model.generate(
        **run.inputs, max_new_tokens=16, do_sample=False, use_cache=use_cache, eos_token_id=None, pad_token_id=0,
        return_dict_in_generate=True, output_logits=True,
    )  # fmt: skip
    assert torch.equal(generated.sequences[0, -16:], run.golden["greedy_ids"])
    assert (torch.stack(generated.logits)[:, 0] - run.golden["greedy_logits"]).abs().max() <= TOLERANCE
