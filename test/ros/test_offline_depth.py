"""A bag of colour alone through the node's pipeline: a model's depth gives what the depth camera gave."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bags_for_tests import BLOCK_CENTER_MAP, START_NS, map_T_camera, render, write_camera_bag
from n3d_ros.cli.main import main
from n3d_ros.inference.depth_source import ColorView, FoundDepth
from n3d_ros.ros.bag import BagReader
from n3d_ros.ros.bag_questions import BagQuestion
from n3d_ros.ros.camera_topics import find_camera_topics
from n3d_ros.ros.config import NodeConfig
from n3d_ros.ros.offline import OfflineSummary, run_bag
from n3d_ros.ros.parameters import build_config
from ros.test_offline import RedGrounder
from scripted_depth import FACTS, ScriptedDepth


def true_depth(views: Sequence[ColorView]) -> tuple[FoundDepth, ...]:
    """What is really there, from the moment of the image."""
    shift_m = 0.005 * round((views[0].stamp_ns - START_NS) / 1e8)
    return (FoundDepth(depth_m=render(map_T_camera(shift_m))[1].astype(np.float32)),)


def run(bag: Path, output: Path, *, by_model: bool, **options: Any) -> OfflineSummary:
    settings = {"output_frame": "map", "depth_source": "model" if by_model else "camera"}
    with BagReader(bag) as reader:
        return run_bag(
            reader,
            output,
            topics=find_camera_topics(reader, with_depth=not by_model),
            grounder=RedGrounder(),
            depth_source=ScriptedDepth(find=true_depth) if by_model else None,
            config=build_config(NodeConfig(), settings),
            **options,
        )


@pytest.mark.parametrize("compressed", [False, True])
def test_every_colour_image_gives_the_objects_that_a_depth_camera_would(tmp_path: Path, compressed: bool) -> None:
    bag = write_camera_bag(tmp_path / "bag", compressed=compressed)
    by_camera = run(bag, tmp_path / "camera", by_model=False)
    question = BagQuestion(text="where is the red block?")
    by_model = run(bag, tmp_path / "model", by_model=True, questions=(question,))
    assert by_model.frames_ok == by_camera.frames_ok == 6
    pairs = zip(by_camera.latest, by_model.latest, strict=True)
    for expected, found in pairs:
        assert found.id == expected.id
        np.testing.assert_allclose(found.box.center, expected.box.center, atol=2e-3)
    assert np.linalg.norm(by_model.latest[0].box.center - BLOCK_CENTER_MAP) < 0.06
    assert by_model.answers[0].reply.status.name == "OK"
    assert by_model.facts == ("depth: scripted on cpu", *FACTS)
    document = json.loads((tmp_path / "model" / "objects.json").read_text())
    assert document["topics"]["depth"] == ""
    assert "depth" in document["timing"]["frames"][0]["stages_ms"]


def test_the_command_runs_a_real_model_of_random_weights_over_a_bag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="needs the packages of the extra [model]")
    from model_training.models.random_depth_model import write_random_depth_model

    bag, model = write_camera_bag(tmp_path / "bag", frames=2), tmp_path / "nested"
    write_random_depth_model(model, "tiny-nested")
    command = ["run", str(bag), "-o", str(tmp_path / "out"), "--no-bag", "--depth-model", str(model)]
    options = ["-p", "depth_model.resolution:=112", "-p", "depth_model.device:=cpu", "-p", "depth.max_m:=1000.0"]
    assert main([*command, *options]) == 0
    said = capsys.readouterr().out
    assert "depth found by a model" in said
    assert "2 of 2 frames with a result" in said
    assert "depth: " in said and "licence" in said.lower()


def test_the_command_refuses_a_model_without_metres(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="needs the packages of the extra [model]")
    from model_training.models.random_depth_model import write_random_depth_model

    bag, model = write_camera_bag(tmp_path / "bag", frames=1), write_random_depth_model(tmp_path / "any", "tiny")
    assert main(["run", str(bag), "-o", str(tmp_path / "out"), "--depth-model", str(model)]) == 1
    assert "depth_model.metric_model" in capsys.readouterr().err
