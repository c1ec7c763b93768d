"""The trainer on a made-up task: it learns, goes on exactly where it was stopped, and says why it cannot go on."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch (make setup MODEL=1) is not installed")

import torch

from model_training import checkpoints
from model_training.depth.batches import BatchStream
from model_training.depth.initialization import initialize
from model_training.depth.schedule import make_optimizer
from model_training.depth.shards import ShardFolder
from model_training.depth.train_config import DataConfig, OptimizerConfig, TrainConfig
from model_training.depth.trainer import Trainer
from model_training.run_log import RunLog, read_log
from model_training.schedule import WeightMean, rate_share
from n3d_ros.depth.config import NetworkConfig
from n3d_ros.depth.network import build_network
from n3d_ros.errors import ConfigurationError

ANY_VIEW = NetworkConfig(
    embed_dim=32,
    depth=4,
    heads=2,
    img_size=42,
    alt_start=1,
    qknorm_start=1,
    rope_start=1,
    cat_token=True,
    out_layers=(0, 1, 2, 3),
    head="dual",
    features=8,
    out_channels=(8, 8, 8, 8),
    cam_enc=True,
    cam_dec=True,
)
MONOCULAR = replace(
    ANY_VIEW, alt_start=-1, qknorm_start=-1, rope_start=-1, cat_token=False, head="dpt", cam_enc=False, cam_dec=False
)


def small_config(*, steps: int = 6, **changes: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "name": "test-anyview",
        "network": ANY_VIEW,
        "data": DataConfig(resolutions=((28, 42),), views_low=2, views_high=3, tokens_per_batch=36, color_jitter=0),
        "optimizer": OptimizerConfig(steps=steps, warmup_steps=2, learning_rate=2e-3, average=0.9),
        "log_every": 1,
        "checkpoint_every": 2,
        "validation_scenes": 2,
        "validation_views": 2,
    }
    return TrainConfig(**(values | changes))


def weights_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in trainer.network.named_parameters()}


def test_the_any_view_student_learns_the_made_up_task(shards: ShardFolder, tmp_path: Path) -> None:
    config = small_config(steps=24, checkpoint_every=1000)
    assert Trainer(config, tmp_path / "run", shards, shards).run()
    lines = [line for line in read_log(tmp_path / "run") if line["kind"] == "train"]
    assert set(lines[0]) >= {"depth", "ray", "point", "camera", "gradient", "total", "gradient_norm", "rate", "views"}
    early, late = (sum(line["total"] for line in part) / 5 for part in (lines[:5], lines[-5:]))
    assert late < 0.7 * early
    scores = [line for line in read_log(tmp_path / "run") if line["kind"] == "validation"]
    assert [line["step"] for line in scores] == [0, 24] and scores[1]["abs_rel"] < scores[0]["abs_rel"]


@pytest.mark.parametrize("metric", [False, True], ids=["teacher", "metric"])
def test_the_monocular_networks_learn_it_too(shards: ShardFolder, tmp_path: Path, *, metric: bool) -> None:
    from model_training.depth.teacher_losses import MonocularLossConfig

    losses = (
        MonocularLossConfig(align=False, local_depth=0, normal=0, gradient=1)
        if metric
        else MonocularLossConfig(objects=1.0, local_depth=0.5, normal=0.2, align_pixels=64, local_anchors=2)
    )
    data = replace(
        small_config().data, pose_conditioning=0.0, canonical_focal=metric, quarter_turns=0.2 if metric else 0.0
    )
    config = small_config(
        steps=48, stage="monocular", network=MONOCULAR, monocular_losses=losses, data=data, checkpoint_every=1000
    )
    Trainer(config, tmp_path / "run", shards, None).run()
    totals = [line["total"] for line in read_log(tmp_path / "run")]
    assert sum(totals[-16:]) < 0.9 * sum(totals[:16]), totals


def test_a_stopped_run_ends_with_the_very_weights_of_one_that_was_not(shards: ShardFolder, tmp_path: Path) -> None:
    whole = Trainer(small_config(), tmp_path / "whole", shards, None)
    assert whole.run()

    stopped = Trainer(small_config(), tmp_path / "parts", shards, None)
    step = stopped._train_step

    def interrupted(*arguments: Any) -> dict[str, float]:
        if arguments[1] == 2:
            signal.raise_signal(signal.SIGINT)
        return step(*arguments)

    stopped._train_step = interrupted  # type: ignore[method-assign]
    assert not stopped.run() and stopped.step == 3
    again = Trainer(small_config(), tmp_path / "parts", shards, None)
    assert again.run()
    for name, value in weights_of(whole).items():
        assert torch.equal(value, weights_of(again)[name]), name
    assert whole.mean is not None and again.mean is not None
    assert all(torch.equal(value, again.mean.values[name]) for name, value in whole.mean.values.items())
    totals = [[line["total"] for line in read_log(tmp_path / run)] for run in ("whole", "parts")]
    assert totals[0] == totals[1] and len(totals[0]) == 6


def test_a_checkpoint_of_another_configuration_is_refused(shards: ShardFolder, tmp_path: Path) -> None:
    Trainer(small_config(steps=2), tmp_path, shards, None).run()
    with pytest.raises(ConfigurationError, match="another configuration"):
        Trainer(small_config(steps=3), tmp_path, shards, None).run()


def test_a_loss_that_is_no_number_stops_the_run_with_a_sentence_and_keeps_the_checkpoint(
    shards: ShardFolder, tmp_path: Path
) -> None:
    Trainer(small_config(), tmp_path, shards, None).run()
    newest = checkpoints.newest_checkpoint(tmp_path)
    assert newest is not None
    trainer = Trainer(small_config(), tmp_path, shards, None)
    with torch.no_grad():
        next(trainer.network.parameters()).fill_(float("nan"))
    plan, batch = BatchStream(shards, trainer.config.data, seed=0).at(0)
    with pytest.raises(checkpoints.TrainingError, match=rf"Step 0.*{newest.name} is untouched.*learning_rate"):
        trainer._train_step(trainer.model, 0, plan, batch)


def test_only_two_checkpoints_are_kept_and_an_incomplete_one_does_not_count(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        checkpoints.save_checkpoint(tmp_path, step, {"weights": {"a": torch.full((2,), float(step))}}, {})
    (tmp_path / "checkpoint-00000009").mkdir()
    newest = checkpoints.newest_checkpoint(tmp_path)
    assert newest is not None and newest.name == "checkpoint-00000003"
    assert checkpoints.load_pieces(newest, "weights")["a"].tolist() == [3.0, 3.0]
    assert not (tmp_path / "checkpoint-00000001").exists()


def test_tensors_go_to_several_small_files(tmp_path: Path) -> None:
    tensors = {f"t{k}": torch.full((100,), float(k)) for k in range(7)}
    checkpoints.save_in_pieces(tmp_path, "weights", tensors, most_bytes=1000)
    assert len(list(tmp_path.glob("weights-*.safetensors"))) == 4
    found = checkpoints.load_pieces(tmp_path, "weights")
    assert all(torch.equal(found[name], value) for name, value in tensors.items())


def test_the_rate_rises_linearly_and_falls_as_a_cosine() -> None:
    config = OptimizerConfig(steps=110, warmup_steps=10, final_share=0.1)
    assert [rate_share(config, step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert rate_share(config, 60) == pytest.approx(0.55) and rate_share(config, 110) == pytest.approx(0.1)


def test_norms_tokens_and_biases_are_not_decayed_and_backbone_and_camera_decoder_have_their_rates() -> None:
    network = build_network(ANY_VIEW)
    optimizer = make_optimizer(network, OptimizerConfig(learning_rate=1e-3, backbone_share=0.1, camera_share=0.2))
    names = {id(p): name for name, p in network.named_parameters()}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            part = next((p for p in ("backbone.pretrained.", "cam_dec.") if name.startswith(p)), "")
            expected = {"backbone.pretrained.": 1e-4, "cam_dec.": 2e-4, "": 1e-3}[part]
            assert group["peak"] == pytest.approx(expected), name
            if parameter.ndim == 1 or name.endswith(("token", "pos_embed")):
                assert group["weight_decay"] == 0, name


def test_the_mean_of_the_weights_follows_them() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(layer.weight)
    mean = WeightMean(layer, 0.99)
    torch.nn.init.ones_(layer.weight)
    mean.update(layer, 0)
    # Early on the decay is (1 + 0) / (10 + 0).
    assert mean.values["weight"].item() == pytest.approx(0.9)


def test_a_fresh_network_says_depth_about_one_rays_forward_and_no_rotation() -> None:
    network = build_network(ANY_VIEW).eval()
    initialize(network, 0)
    with torch.inference_mode():
        output = network(torch.randn(1, 2, 3, 28, 42), reference_view="first", rays=True)
    assert 0.2 < output.depth.median() < 5
    assert output.rays[..., 2].median() > 0.5 and output.pose_encoding[..., 7:].min() > 0
    other = build_network(ANY_VIEW)
    initialize(other, 0)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters(), strict=True))


def test_a_log_is_cut_back_to_where_a_run_goes_on(tmp_path: Path) -> None:
    log = RunLog(tmp_path, 0)
    for step in (1, 2, 3):
        log.add(step, "train", {"total": step})
    with log.path.open("a") as file:
        file.write('{"step": 4, "ki')
    RunLog(tmp_path, 2)
    assert [line["step"] for line in read_log(tmp_path)] == [1, 2]


@pytest.mark.long
def test_two_processes_share_gradients_and_end_with_the_same_weights(shards: ShardFolder, tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(
        "import sys, torch\nfrom pathlib import Path\n"
        f"sys.path[:0] = {sys.path!r}\n"
        "from training.depth.test_trainer import small_config\n"
        "from model_training.depth.distributed import join_processes, leave_processes\n"
        "from model_training.depth.shards import ShardFolder\nfrom model_training.depth.trainer import Trainer\n"
        "p = join_processes('cpu')\n"
        f"out, data = Path({str(tmp_path)!r}), ShardFolder({str(shards.folder)!r})\n"
        "t = Trainer(small_config(steps=3), out / 'run', data, None, processes=p)\n"
        "assert t.run()\n"
        "total = sum(float(v.double().sum()) for v in t.network.parameters())\n"
        "(out / f'sum{p.rank}').write_text(repr(total))\nleave_processes(p)\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=29528", str(script)]
    subprocess.run(command, check=True, timeout=300)
    assert (tmp_path / "sum0").read_text() == (tmp_path / "sum1").read_text()
