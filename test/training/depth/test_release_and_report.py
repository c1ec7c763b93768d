"""What comes out: a folder that the package loads, scores with known answers, labels, pictures, the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("torch", reason="torch (make setup MODEL=1) is not installed")

import torch

from model_training.curves import curves, diagram, smoothed
from model_training.depth.__main__ import main
from model_training.depth.guesses import guess_of, mean_depth, truth_of
from model_training.depth.initialization import initialize
from model_training.depth.metrics import SceneGuess, direction_errors_deg, score
from model_training.depth.release import write_release
from model_training.depth.report import CURVES
from model_training.depth.shards import ShardFolder
from model_training.depth.starting import take_over
from model_training.depth.teach import labels_of
from model_training.yaml_config import to_json
from n3d_ros.depth.checkpoint import LoadedNetwork, load_network
from n3d_ros.depth.network import build_network
from n3d_ros.geometry.transforms import RigidTransform, rotation_about_axis
from training.depth.conftest import made_up_scene
from training.depth.test_trainer import ANY_VIEW, MONOCULAR, small_config

FACTS = {"purpose": "A test.", "inputs": "28x42", "data": "walls", "steps": "0"}


def released(folder: Path, dtype: str = "float32") -> torch.nn.Module:
    network = build_network(ANY_VIEW)
    initialize(network, 4)
    figures = {"before": {"delta1": 0.25, "scenes": 3}, "after": {"delta1": 0.75, "scenes": 3}}
    write_release(
        folder,
        network,
        name="test-anyview",
        dtype=dtype,
        licence="Apache-2.0",
        is_metric=False,
        facts=FACTS,
        figures=figures,
    )
    return network.eval()


def test_a_released_folder_loads_and_computes_the_same(tmp_path: Path) -> None:
    network = released(tmp_path / "model")
    loaded = load_network(tmp_path / "model", device="cpu")
    assert isinstance(loaded, LoadedNetwork) and loaded.source.licence == "Apache-2.0" and not loaded.is_metric
    images = torch.randn(1, 2, 3, 28, 42)
    with torch.inference_mode():
        ours, theirs = (n(images, reference_view="first", rays=True) for n in (network, loaded.network))
    for name in ("depth", "confidence", "rays", "pose_encoding"):
        assert torch.allclose(getattr(ours, name), getattr(theirs, name), atol=1e-6), name


def test_the_card_tells_hash_licence_and_figures(tmp_path: Path) -> None:
    import hashlib

    released(tmp_path / "model", "float16")
    card = (tmp_path / "model" / "README.md").read_text()
    sha256 = hashlib.sha256((tmp_path / "model" / "model.safetensors").read_bytes()).hexdigest()
    assert sha256 in card and "license: apache-2.0" in card and "| delta1 | 0.250 | 0.750 |" in card


def test_a_network_begins_with_whatever_fits_of_another(tmp_path: Path) -> None:
    given = released(tmp_path / "model")
    network = build_network(MONOCULAR)
    initialize(network, 5)
    taken = take_over(network, tmp_path / "model")
    assert 0 < taken < len(list(network.parameters()))
    name = "backbone.pretrained.blocks.0.attn.qkv.weight"
    assert torch.equal(dict(network.named_parameters())[name], dict(given.named_parameters())[name])
    initialize(network, 6)
    assert take_over(network, tmp_path / "model", ("backbone.",)) < taken
    assert not torch.equal(dict(network.named_parameters())[name], dict(given.named_parameters())[name])


def test_a_perfect_guess_in_another_frame_and_scale_scores_perfectly() -> None:
    truth = truth_of(made_up_scene(0))
    assert truth.world_T_camera is not None
    moved = RigidTransform(rotation=rotation_about_axis((1, 0, 2), 0.7), translation=np.array([1.0, 2, 3]))
    poses = [moved @ RigidTransform(rotation=p.rotation, translation=3 * p.translation) for p in truth.world_T_camera]
    depth = np.nan_to_num(truth.depth_m * 3, nan=1.0)
    scores = score([SceneGuess(depth=depth, world_T_camera=poses, fov_rad=truth.fov_rad)], [truth])
    assert scores.delta1 == 1 and scores.abs_rel == pytest.approx(0, abs=1e-5) and scores.delta1_raw == 0
    assert scores.rotation_deg == pytest.approx(0, abs=1e-4) and scores.translation_deg == pytest.approx(0, abs=1e-4)
    assert scores.auc30 == 1 and scores.pairs == 3 and scores.fov_deg == 0


def test_directions_count_their_sign() -> None:
    def at(x: float, z: float) -> RigidTransform:
        return RigidTransform(rotation=np.eye(3), translation=np.array([x, 0.0, z]))

    truth = [at(0, 0), at(1, 0)]
    assert direction_errors_deg([at(0, 0), at(-2, 0)], truth).tolist() == pytest.approx([180])
    assert direction_errors_deg([at(0, 0), at(1, 1)], truth).tolist() == pytest.approx([45])
    assert direction_errors_deg([at(0, 0), at(0, 0)], truth).tolist() == [90]


def test_the_mean_depth_is_the_geometric_mean_where_depth_is_known(shards: ShardFolder) -> None:
    depth = mean_depth(shards, 2, (28, 42))
    known = np.concatenate([shards.scene(number).depth_m[:, 20, 10] for number in (0, 1)])
    assert depth[20, 10] == pytest.approx(np.exp(np.log(known).mean()), rel=1e-4)


def test_metric_depth_is_scaled_by_the_focal_length_over_300() -> None:
    network = build_network(MONOCULAR).eval()
    initialize(network, 1)
    scene = made_up_scene(1)
    relative = guess_of(network, scene, canonical_focal=False, device="cpu").depth
    metric = guess_of(network, scene, canonical_focal=True, device="cpu").depth
    assert np.allclose(metric, relative * 40 / 300, rtol=1e-5)


def test_labels_are_the_teachers_depth_in_measured_millimetres() -> None:
    rng = np.random.default_rng(0)
    relative = rng.uniform(1, 2, (20, 20)).astype(np.float32)
    relative[0] = np.nan
    measured = relative * 2 + np.float32(0.5)
    measured[5:] = np.nan
    label, share = labels_of(relative, measured, rng)
    assert share == 1.0 and not label[0].any()
    assert np.abs(label[1:] - (relative[1:] * 2 + 0.5) * 1000).max() <= 1
    empty, nothing = labels_of(relative, np.full_like(measured, np.nan), rng)
    assert nothing is None and not empty.any()


def test_a_running_mean_looks_back_only() -> None:
    assert smoothed(np.array([1.0, 3, 5, 7]), 2).tolist() == [1, 2, 4, 6]


def test_diagrams_survive_one_point_and_no_point_and_draw_rising_values_upwards() -> None:
    assert diagram("one", [3], [1.0]).shape == diagram("none", [], []).shape
    rising = diagram("rising", [0, 1], [0.0, 1.0])
    drawn = np.argwhere(rising[..., 0].astype(int) - rising[..., 2] > 80)  # the curve is blue, everything else grey
    left, right = drawn[drawn[:, 1].argmin()], drawn[drawn[:, 1].argmax()]
    assert left[0] > right[0]
    assert curves([{"step": 1, "kind": "train", "total": 2.0}], CURVES).ndim == 3


def test_the_command_line_trains_labels_and_evaluates(shards: ShardFolder, tmp_path: Path) -> None:
    config = tmp_path / "train.yaml"
    config.write_text(yaml.safe_dump(json.loads(to_json(small_config(steps=1)))))
    run = ["train", "--config", str(config), "--data", str(shards.folder), "--out", str(tmp_path / "run")]
    assert main([*run, "--validation", str(shards.folder), "--device", "cpu"]) == 0
    assert {"log.jsonl", "curves.png", "samples.png", "model"} <= {p.name for p in (tmp_path / "run").iterdir()}
    model = str(tmp_path / "run" / "model")
    scored = [
        "evaluate",
        "--model",
        model,
        "--data",
        str(shards.folder),
        "--out",
        str(tmp_path / "scores"),
        "--size",
        "28",
        "28",
        "--scenes",
        "2",
    ]
    assert main([*scored, "--blind", str(shards.folder), "--device", "cpu"]) == 0
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text())
    assert 0 <= scores["test-anyview"]["delta1"] <= 1 and "without eyes" in scores
    assert main(["teach", "--model", model, "--data", str(shards.folder), "--device", "cpu"]) == 2

    from model_training.models.random_depth_model import write_random_depth_model

    teacher = write_random_depth_model(tmp_path / "teacher", "tiny-mono")
    assert main(["teach", "--model", str(teacher), "--data", str(shards.folder), "--device", "cpu"]) == 0
    assert ShardFolder(shards.folder).has_labels


def test_a_wrong_configuration_ends_with_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "prepare.yaml"
    config.write_text("sources: 1\n")
    assert main(["prepare", "--config", str(config), "--out", str(tmp_path / "out")]) == 2
    assert "unknown key 'sources'" in capsys.readouterr().err
