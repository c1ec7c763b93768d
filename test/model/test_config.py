"""config.json in the layouts that are published, and what is said of those that cannot be used."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra [model] is not installed")
pytest.importorskip("transformers", reason="the extra [model] is not installed")

from n3d_ros.errors import ConfigurationError
from n3d_ros.model.config import build_config, choose_position_code, read_config, size_name
from n3d_ros.weights.json_files import MAX_CONFIG_BYTES
from tiny_vlm import tiny_config

# The flat layout of the published repositories: text keys at the top, an old rope_scaling, vision keys of their time.
FLAT_7B: dict[str, Any] = {
    "architectures": ["Qwen2_5_VLForConditionalGeneration"], "attention_dropout": 0.0, "bos_token_id": 151643,
    "eos_token_id": 151645, "vision_start_token_id": 151652, "vision_end_token_id": 151653, "vision_token_id": 151654,
    "image_token_id": 151655, "video_token_id": 151656, "hidden_act": "silu", "hidden_size": 3584,
    "initializer_range": 0.02, "intermediate_size": 18944, "max_position_embeddings": 128000, "max_window_layers": 28,
    "model_type": "qwen2_5_vl", "num_attention_heads": 28, "num_hidden_layers": 28, "num_key_value_heads": 4,
    "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": False,
    "torch_dtype": "bfloat16", "transformers_version": "4.41.2", "use_cache": True, "use_sliding_window": False,
    "vision_config": {
        "depth": 32, "hidden_act": "silu", "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16,
        "in_chans": 3, "out_hidden_size": 3584, "patch_size": 14, "spatial_merge_size": 2, "spatial_patch_size": 14,
        "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31], "tokens_per_second": 2, "temporal_patch_size": 2,
    },
    "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}, "vocab_size": 152064,
}  # fmt: skip


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """The same in the layout of newer releases."""
    top = {"architectures", "model_type", "vision_config", "torch_dtype", "transformers_version"}
    outer = {key: value for key, value in flat.items() if key in top or key.endswith("token_id")}
    text = {key: value for key, value in flat.items() if key not in outer}
    text["rope_parameters"] = {"rope_type": "default", "rope_theta": text.pop("rope_theta"), **text.pop("rope_scaling")}
    text["rope_parameters"].pop("type", None)
    return {**outer, "tie_word_embeddings": flat["tie_word_embeddings"], "text_config": text}


@pytest.mark.parametrize("layout", [lambda flat: flat, nested], ids=["flat", "nested"])
@pytest.mark.parametrize(
    "rope", [{"type": "mrope"}, {"type": "default", "rope_type": "default"}, {"rope_type": "mrope"}], ids=str
)
def test_the_published_layouts_are_read(layout: Any, rope: dict[str, str]) -> None:
    flat = {**FLAT_7B, "rope_scaling": {**rope, "mrope_section": [16, 24, 24]}}
    config = build_config(layout(flat))
    text, vision = config.text_config, config.vision_config
    assert (text.hidden_size, text.num_hidden_layers, text.num_key_value_heads, text.vocab_size) == (
        3584,
        28,
        4,
        152064,
    )
    assert text.rope_parameters["rope_theta"] == 1e6 and text.rope_parameters["mrope_section"] == [16, 24, 24]
    assert text.rope_parameters["rope_type"] == "default"
    assert (vision.hidden_size, vision.depth, list(vision.fullatt_block_indexes)) == (1280, 32, [7, 15, 23, 31])
    assert (config.image_token_id, config.vision_start_token_id) == (151655, 151652)
    assert not config.tie_word_embeddings and text.sliding_window is None
    assert size_name(config) == "7B"


@pytest.mark.parametrize(
    ("top", "inner", "tied"),
    [(True, None, True), (False, None, False), (None, True, True), (True, True, True), (None, None, False)],
)
def test_tied_embeddings_are_found_at_either_level(top: bool | None, inner: bool | None, tied: bool) -> None:
    data = tiny_config()
    del data["tie_word_embeddings"]
    if top is not None:
        data["tie_word_embeddings"] = top
    if inner is not None:
        data["text_config"]["tie_word_embeddings"] = inner
    assert build_config(data).tie_word_embeddings is tied


def test_keys_of_others_do_no_harm_and_the_file_stays_as_read() -> None:
    data = tiny_config(
        seed=20, pcd_pe_embedding_size=56, unheard_of={"a": 1}, dtype="bfloat16", attn_implementation="x"
    )
    before = json.dumps(data)
    config = build_config(data)
    assert json.dumps(data) == before
    assert config.vision_config.hidden_size == 56 and config.dtype is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, "expected .* 'qwen2_5_vl'.*'llama'.*LlamaFor"),
        ({"model_type": "qwen2_vl"}, "got 'qwen2_vl'"),
        ({}, "got None"),
        ({**FLAT_7B, "quantization_config": {"quant_method": "awq"}}, r"quantised \(awq\)"),
        ([1, 2], "expected a JSON object, got list"),
    ],
)  # fmt: skip
def test_another_kind_of_model_is_refused_by_name(tmp_path: Path, content: Any, sentence: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(ConfigurationError, match=sentence):
        read_config(tmp_path)


@pytest.mark.parametrize("text", ["", "{", '{"a": ', "\x00\x01", "[" * 100_000])
def test_a_file_that_is_not_json_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ConfigurationError, match="cannot be read as JSON"):
        read_config(tmp_path)


def test_a_folder_without_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="config.json: there is no such file"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"text": {"num_attention_heads": 5, "rope_scaling": None}}, "48 is no multiple of its 5 heads"),
        ({"text": {"num_key_value_heads": 3}}, "4 heads are no multiple of 3"),
        ({"vision": {"num_heads": 3}}, "vision hidden_size 56 is no multiple of its 3 heads"),
        ({"vision": {"out_hidden_size": 50}}, "out_hidden_size 50 must be the text hidden_size 48"),
        ({"text": {"rope_scaling": {"mrope_section": [16, 24, 24], "type": "mrope"}}}, "sum to half the head size, 6"),
        ({"vision": {"window_size": 14}}, "window_size 14 holds no block"),
        ({"vision": {"depth": 100_000_000}}, "vision depth: expected a whole number of 1 to 256"),
        ({"text": {"hidden_size": "many", "rope_scaling": None, "num_attention_heads": 4}}, "not a configuration"),
        ({"vision_config": [1]}, "not a configuration"),
    ],
)  # fmt: skip
def test_numbers_that_do_not_fit_are_named(overrides: dict[str, Any], sentence: str) -> None:
    data = tiny_config()
    for part in ("text", "vision"):
        data[f"{part}_config"] |= overrides.get(part, {})
    data |= {key: value for key, value in overrides.items() if key not in ("text", "vision")}
    with pytest.raises(ConfigurationError, match=sentence):
        build_config(data)


NAN, INF, NO_NUMBER = float("nan"), float("inf"), "7"
HOSTILE: list[tuple[str, str, list[Any]]] = [
    ("text", "num_hidden_layers", [0, -1, 10**7, 10**9, 10**400, True, NO_NUMBER, 2.0, NAN, None, [2]]),
    ("text", "vocab_size", [0, 2**62, 320.0, NO_NUMBER]),
    ("text", "hidden_size", [0, -48, 10**9, "many"]),
    ("text", "num_attention_heads", [0, -4, 10**9]),
    ("text", "num_key_value_heads", [0, -2, True]),
    ("text", "rope_theta", [0, 1, -1e6, NAN, INF, -INF, 10**400, NO_NUMBER, True, None]),
    ("text", "rms_norm_eps", [0, -1e-6, NAN, INF, 5, 1e-300, "small"]),
    ("text", "hidden_act", ["exec", "gelu", None, 3, ["silu"]]),
    ("text", "rope_scaling", [{"rope_theta": NAN}, {"rope_theta": 0}, {"mrope_section": [6]}, {"mrope_section": "2"},
                              {"mrope_section": [2, 2, -2]}, {"mrope_section": [2, 2.0, 2]}, {"type": "yarn"}, [1], 5]),
    ("text", "layer_types", ["full_attention", [1, 2], ["full_attention"], ["full_attention", "none"]]),
    ("text", "eos_token_id", [-1, "</s>", [1, None], [1] * 1000, True]),
    ("text", "pad_token_id", [320, -2, 1.5]),
    ("text", "tie_word_embeddings", ["false", 0, None]),
    ("vision", "depth", [0, -1, 10**7, 10**9, True, NO_NUMBER, 3.0]),
    ("vision", "num_heads", [0, -2, 10**9, 28]),
    ("vision", "hidden_size", [0, 10**9, "x"]),
    ("vision", "hidden_act", ["exec"]),
    ("vision", "patch_size", [0, 16, [14, 14], "14"]),
    ("vision", "in_chans", [1, "3"]),
    ("vision", "spatial_merge_size", [0, 1, 10**9]),
    ("vision", "window_size", [0, -112, 10**9, "x"]),
    ("vision", "fullatt_block_indexes", [[99], [3], [-1], [True], ["1"], 1, None, [0, 10**9]]),
    ("vision", "rope_parameters", [{"rope_theta": 0}, {"rope_theta": NAN}, {"rope_type": "linear"}, "axial"]),
    ("", "image_token_id", [320, 10**9, -1, True, "302", None, 300]),
    ("", "vision_start_token_id", [320, -1, 301]),
    ("", "video_token_id", [320, 302]),
    ("", "tie_word_embeddings", ["false", 1]),
    ("", "text_config", [[1], "x", 5]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [(part, key, value) for part, key, values in HOSTILE for value in values],
    ids=lambda value: str(value)[:24],
)
def test_hostile_values_are_refused_by_name(part: str, key: str, value: Any) -> None:
    data = tiny_config()
    (data[f"{part}_config"] if part else data)[key] = value
    with pytest.raises(ConfigurationError) as caught:
        build_config(data)
    assert re.search(f"{key}|mrope_section", caught.value.message) or "multiple" in caught.value.message
    assert re.search("expected|must|multiple", caught.value.message)
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(("part", "key"), [("text", "num_hidden_layers"), ("vision", "depth")])
def test_nothing_is_built_from_numbers_out_of_range(part: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # transformers makes a list as long as there are layers: 10^7 of them took it most of a minute and 1 GB.
    monkeypatch.setattr("n3d_ros.model.config.Qwen2_5_VLConfig", lambda **_: pytest.fail("built before it was checked"))
    for count in (10**7, 10**9):
        with pytest.raises(ConfigurationError, match=f"{key}: expected a whole number of 1 to 256, got {count}"):
            build_config(tiny_config(**{part: {key: count}}))


@pytest.mark.parametrize("part", ["", "text", "vision"])
def test_keys_that_steer_transformers_do_not_reach_it(part: str) -> None:
    data = tiny_config()
    # Each broke or filled something: a table of labels of that length, methods overwritten, heads taken as others.
    odd = {"num_labels": 10**9, "to_dict": 1, "get_text_config": 1, "id2label": {"x": 1}, "head_dim": 5, "dtype": "x"}
    (data[f"{part}_config"] if part else data).update({**odd, "quantization_config": {"quant_method": "awq"}})
    config = build_config(data)
    assert config.to_dict() == build_config(tiny_config()).to_dict()


def test_a_flat_file_is_held_to_the_same_bounds() -> None:
    for key, value in {"num_hidden_layers": 10**9, "rope_theta": NAN, "hidden_act": "exec", "vocab_size": 2}.items():
        with pytest.raises(ConfigurationError, match=f"{key}|image_token_id"):
            build_config({**FLAT_7B, key: value})
    with pytest.raises(ConfigurationError, match=r"vision depth: expected a whole number of 1 to 256, got 1000000000"):
        build_config({**FLAT_7B, "vision_config": {**FLAT_7B["vision_config"], "depth": 10**9}})


def test_an_activation_that_no_weights_have_gets_a_sentence() -> None:
    with pytest.raises(ConfigurationError, match="hidden_act: expected 'silu', as all released .*, got 'exec'"):
        build_config(tiny_config(text={"hidden_act": "exec"}))


def test_the_ends_of_a_text_are_found_outside_of_the_text_part() -> None:
    data = tiny_config(eos_token_id=[5, 6])
    del data["text_config"]["eos_token_id"]
    assert build_config(data).text_config.eos_token_id == [5, 6]


def test_a_pipe_a_device_or_a_folder_is_no_configuration(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    os.mkfifo(file)
    with pytest.raises(ConfigurationError, match="expected a regular file"):
        read_config(tmp_path)
    file.unlink()
    file.symlink_to("/dev/zero")
    with pytest.raises(ConfigurationError, match="expected a regular file"):
        read_config(tmp_path)
    file.unlink()
    file.mkdir()
    with pytest.raises(ConfigurationError, match="expected a regular file"):
        read_config(tmp_path)


def test_a_file_behind_a_link_is_read(tmp_path: Path) -> None:
    (tmp_path / "blob").write_text(json.dumps(FLAT_7B))
    (tmp_path / "config.json").symlink_to(tmp_path / "blob")
    assert read_config(tmp_path) == FLAT_7B


def test_a_configuration_too_long_to_be_one_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**FLAT_7B, "padding": "x" * MAX_CONFIG_BYTES}))
    with pytest.raises(ConfigurationError, match=f"expected at most {MAX_CONFIG_BYTES} bytes of JSON"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("data", "hub_id", "override", "mode", "reason"),
    [
        ({}, None, None, "reference", "assumed, since config.json has no 'position_code'"),
        ({}, "someone/else", None, "reference", "assumed"),
        ({}, "yuxinhk/N3D-VLM", None, "reference", "known of yuxinhk/N3D-VLM"),
        ({}, "Qwen/Qwen2.5-VL-7B-Instruct", None, "none", "stock"),
        ({}, "Qwen/Qwen2.5-VL-7B-Instruct", "reference", "reference", "asked for"),
        ({"position_code": "aligned"}, None, None, "aligned", "set in config.json"),
        ({"position_code": "aligned"}, "yuxinhk/N3D-VLM", "none", "none", "asked for"),
    ],
)
def test_the_position_code_is_chosen_by_rule(
    data: dict[str, Any], hub_id: str | None, override: Any, mode: str, reason: str
) -> None:
    choice = choose_position_code(data, hub_id=hub_id, override=override)
    assert choice.mode == mode and reason in choice.reason
    assert choice.assumed is (reason.startswith("assumed"))


def test_an_unknown_position_code_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="config.json: position_code: expected one of .* got 'rastered'"):
        choose_position_code({"position_code": "rastered"}, hub_id=None)
