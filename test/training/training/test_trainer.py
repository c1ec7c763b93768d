"""Runs: they learn, stop, go on exactly, and refuse what does not fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from model_training import checkpoints
from model_training.examples.config import AugmentConfig, ExampleConfig
from model_training.training.config import DataConfig, LoraConfig, OptimizerConfig, TrainConfig
from model_training.training.release import Facts, write_release
from model_training.training.starting import merge_lora, start_of
from model_training.training.trainer import GroundingTrainer
from n3d_ros.errors import ConfigurationError
from n3d_ros.model import checkpoint
from training.examples.known_records import Known
from training.training.harness import RECORDS, config_of

SOURCE = Known(records=RECORDS)
SMALL = ExampleConfig(long_side=112, questions_per_frame=2, augment=AugmentConfig(color=0.5, depth_dropout=0.5))


def small(start: Path, **changes: Any) -> TrainConfig:
    return config_of(start, examples=SMALL, **changes)


def trainer_of(config: TrainConfig, folder: Path, **changes: Any) -> GroundingTrainer:
    return GroundingTrainer(config, "stage1", folder, start_of(config), (SOURCE,), **changes)


def weights_of(trainer: GroundingTrainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


@pytest.mark.parametrize("accumulate", [1, 2])
def test_an_interrupted_run_repeats_the_uninterrupted_one_bit_by_bit(
    start: Path, tmp_path: Path, accumulate: int
) -> None:
    data = DataConfig(sources=config_of(start).data.sources, frames_per_batch=1, streams=2, accumulate=accumulate)
    config = small(start, data=data, optimizer=OptimizerConfig(steps=5, warmup_steps=2, average=0.9))
    whole = trainer_of(config, tmp_path / "whole")
    assert whole.run()

    def stop_after_third(trainer: GroundingTrainer, _values: dict[str, float]) -> None:
        if trainer.state.global_step == 2:
            trainer.stop_asked = True  # as Ctrl-C does: noticed with the next step

    begun = trainer_of(config, tmp_path / "parts", on_step=stop_after_third)
    assert not begun.run() and begun.state.global_step == 3
    resumed = trainer_of(config, tmp_path / "parts")
    assert resumed.run() and resumed.state.global_step == 5
    assert_same(weights_of(whole), weights_of(resumed))
    assert whole.mean is not None and resumed.mean is not None
    assert_same(whole.mean.values, resumed.mean.values)
    states = [checkpoints.read_state(tmp_path / each / "checkpoint-00000005") for each in ("whole", "parts")]
    assert states[0]["cursors"] == states[1]["cursors"] and states[0]["batches"] == 5 * accumulate
    moments = [
        checkpoints.load_pieces(tmp_path / each / "checkpoint-00000005", "optimizer") for each in ("whole", "parts")
    ]
    assert_same(*moments)


def test_a_checkpoint_holds_no_pickle_and_no_large_file(start: Path, tmp_path: Path) -> None:
    trainer = trainer_of(small(start, optimizer=OptimizerConfig(steps=1)), tmp_path)
    assert trainer.run()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".safetensors", ".json"}
    assert max(path.stat().st_size for path in files) <= checkpoints.MOST_BYTES
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_compact_checkpoint_takes_half_the_room_and_goes_on(start: Path, tmp_path: Path) -> None:
    sizes = []
    for kind in ("exact", "compact"):
        config = small(start, checkpoint=kind, optimizer=OptimizerConfig(steps=4, warmup_steps=1, average=0.9))

        def stop(trainer: GroundingTrainer, _values: dict[str, float]) -> None:
            trainer.stop_asked = trainer.state.global_step == 1

        begun = trainer_of(config, tmp_path / kind, on_step=stop)
        assert not begun.run()
        (folder,) = (tmp_path / kind).glob("checkpoint-*")
        sizes.append(sum(path.stat().st_size for path in folder.glob("*.safetensors")))
        values: list[dict[str, float]] = []
        resumed = trainer_of(config, tmp_path / kind, on_step=lambda _t, v, kept=values: kept.append(v))
        assert resumed.run()
        assert all(value["gradient_norm"] < 100 for value in values) and resumed.mean is not None
    trained = resumed.start.trained
    assert sizes[1] == pytest.approx(6 * trained, rel=0.05) and sizes[0] > 2 * sizes[1]
    weights = checkpoints.load_pieces(tmp_path / "compact" / "checkpoint-00000004", "weights")
    assert all(value.dtype == torch.float32 for value in weights.values())


def test_a_full_disk_is_told_in_a_sentence_and_leaves_nothing_half(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise SafetensorError("No space left on device")

    groups = {"weights": {"a": torch.zeros(2)}}
    kept = checkpoints.save_checkpoint(tmp_path / "run", 1, groups, {})
    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(ConfigurationError, match="No space left .*checkpoint-00000001 is untouched. Make room"):
        checkpoints.save_checkpoint(tmp_path / "run", 2, groups, {})
    assert list((tmp_path / "run").iterdir()) == [kept]

    config, vlm = small(start), start_of(small(start)).model.vlm
    monkeypatch.setattr(checkpoint, "save_file", full)
    facts = Facts(stage="stage1", steps=1, data="x", skipped="nothing", figures={})
    with pytest.raises(ConfigurationError, match="the model cannot be written .No space left"):
        write_release(tmp_path / "out" / "model", vlm, config, start, facts)
    assert not list((tmp_path / "out").iterdir())


def test_a_loss_that_is_no_number_stops_the_run_before_the_weights_change(start: Path, tmp_path: Path) -> None:
    config = small(start, checkpoint_every=1)

    def poison(trainer: GroundingTrainer, _values: dict[str, float]) -> None:
        if trainer.state.global_step == 2:
            with torch.no_grad():
                trainer.start.model.vlm.lm_head.weight[0, 0] = float("nan")

    trainer = trainer_of(config, tmp_path, on_step=poison)
    with pytest.raises(
        checkpoints.TrainingError, match="Step 2: .*answer.* is no number.*checkpoint-00000002 is untouched"
    ):
        trainer.run()
    clean = checkpoints.load_pieces(tmp_path / "checkpoint-00000001", "weights")
    assert all(bool(value.isfinite().all()) for value in clean.values())


def test_a_run_goes_on_with_the_same_configuration_alone(start: Path, tmp_path: Path) -> None:
    config = small(start, optimizer=OptimizerConfig(steps=1))
    assert trainer_of(config, tmp_path).run()
    other = replace(config, optimizer=OptimizerConfig(steps=2, learning_rate=1e-4))
    with pytest.raises(ConfigurationError, match=r"another configuration \(differing: optimizer.learning_rate"):
        trainer_of(other, tmp_path).run()
    harmless = replace(config, log_every=7, data=replace(config.data, workers=2))
    assert trainer_of(harmless, tmp_path).run()  # complete already
    state = json.loads((tmp_path / "checkpoint-00000001" / "state.json").read_text())
    state["cursors"] = state["cursors"] * 2
    (tmp_path / "checkpoint-00000001" / "state.json").write_text(json.dumps(state))
    with pytest.raises(ConfigurationError, match="written by 2 processes"):
        trainer_of(config, tmp_path).run()


def test_accumulated_batches_learn_what_one_large_batch_learns(start: Path, tmp_path: Path) -> None:
    """The answers' loss is one mean over all tokens of a step, however they are divided into batches."""
    plain = ExampleConfig(long_side=112, questions_per_frame=2)
    found = []
    for frames, accumulate in ((4, 1), (1, 4)):
        config = config_of(
            start,
            examples=plain,
            data=DataConfig(
                sources=config_of(start).data.sources, frames_per_batch=frames, streams=1, accumulate=accumulate
            ),
            optimizer=OptimizerConfig(steps=1, warmup_steps=0),
            loss=replace(config_of(start).loss, dense=0.0),
        )
        values: list[dict[str, float]] = []
        trainer = trainer_of(config, tmp_path / str(frames), on_step=lambda _t, v, kept=values: kept.append(v))
        assert trainer.run()
        found.append(values[0])
    assert found[0]["answer"] == pytest.approx(found[1]["answer"], rel=1e-5)
    assert found[0]["gradient_norm"] == pytest.approx(found[1]["gradient_norm"], rel=1e-3)


def test_low_rank_additions_alone_are_trained_and_merge_exactly(start: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="peft comes with the extra [train]")
    config = small(
        start,
        lora=LoraConfig(rank=4, alpha=8.0),
        loss=replace(config_of(start).loss, dense=0.0),
        optimizer=OptimizerConfig(steps=2, warmup_steps=0, learning_rate=0.02),
    )
    trainer = trainer_of(config, tmp_path)
    assert 0 < trainer.start.trained < 0.4 * trainer.start.parameters
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    assert trainer.run()
    changed = {name for name, value in trainer.model.named_parameters() if not torch.equal(value, before[name])}
    assert changed and all("lora_" in name for name in changed)
    saved = checkpoints.load_pieces(tmp_path / "checkpoint-00000002", "weights")
    assert saved.keys() == changed | {name for name in saved if "lora_" in name}
    resumed = trainer_of(config, tmp_path)
    assert resumed.run()
    assert_same(weights_of(trainer), weights_of(resumed))

    vlm = trainer.start.model.vlm.eval()
    ids = torch.tensor([[5, 9, 300, 12]])
    with torch.no_grad():
        expected = vlm(input_ids=ids).logits
        count = merge_lora(vlm)
        merged = vlm(input_ids=ids).logits
    assert count == 7 * vlm.config.text_config.num_hidden_layers
    torch.testing.assert_close(merged, expected, rtol=1e-4, atol=1e-4)
    assert not [name for name, _ in vlm.named_parameters() if "lora" in name or "base_layer" in name]


def test_what_does_not_go_together_is_refused(start: Path) -> None:
    with pytest.raises(ConfigurationError, match="sigma_bins: expected 0"):
        start_of(small(start, loss=replace(config_of(start).loss, sigma_bins=3.0)))
    with pytest.raises(ConfigurationError, match="train weights: bfloat16"):
        small(start, weights="bfloat16")
    with pytest.raises(ConfigurationError, match="train sharded"):
        small(start, sharded=True, optimizer=OptimizerConfig(average=0.5))
    with pytest.raises(ConfigurationError, match="streams: expected a multiple of workers"):
        DataConfig(workers=3, streams=8)


def test_gradient_checkpointing_and_half_precision_train_too(start: Path, tmp_path: Path) -> None:
    values: list[dict[str, float]] = []
    for name, changes in (
        ("plain", {}),
        ("again", {"gradient_checkpointing": True}),
        ("half", {"precision": "bfloat16"}),
    ):
        config = small(start, optimizer=OptimizerConfig(steps=1, warmup_steps=0), **changes)
        assert trainer_of(config, tmp_path / name, on_step=lambda _t, v: values.append(v)).run()
    plain, again, half = values
    assert again["total"] == pytest.approx(plain["total"], rel=1e-6)
    assert again["gradient_norm"] == pytest.approx(plain["gradient_norm"], rel=1e-4)
    assert half["total"] == pytest.approx(plain["total"], rel=0.02)
