"""The real language model in the real node: random weights through torch, recorded answers, broken folders.

Random weights find nothing of sense; what is tested is the way there and back, and that nothing ends the node.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("n3d_msgs", reason="needs the built interface package")
pytest.importorskip("torch", reason="needs the packages of the extra [model]")
pytest.importorskip("tokenizers", reason="needs the packages of the extra [model]")

from n3d_msgs.srv import Locate, SpatialQuery

from model_harness import grounding_status, node_with, set_parameter
from model_training.models.random_model import write_random_model
from model_training.models.stand_in_tokenizer import train_stand_in_tokenizer
from n3d_ros.errors import StatusCode
from n3d_ros.inference.replay_records import REPLAY_FILE, ReplayRecord, write_records
from n3d_ros.ros.loading import model_from_config
from node_harness import wait_until

SMALL = {
    "language_model__max_new_tokens": 64,
    "language_model__max_answer_tokens": 32,
    "request__max_frame_age_s": 60.0,
}
TWO_MUGS = "bbox_0=Bbox(mug,400,500,500,500,100,100,100)\nbbox_1=Bbox(mug,600,500,500,500,100,100,100)\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny"
    write_random_model(path, size="tiny")
    return path


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(folder, tmp_path / "model")
    return tmp_path / "model"


def test_random_weights_load_find_answer_and_leave_with_the_node(folder: Path) -> None:
    with node_with(make_model=model_from_config, model=str(folder), language_model__device="cpu", **SMALL) as (
        node,
        client,
    ):
        assert wait_until(lambda: not node._models.loading, 60.0)
        assert not node._models.trouble, node._models.trouble
        client.wait_connected()
        deadline = time.monotonic() + 60.0
        while not client.heard["reports"] and time.monotonic() < deadline:  # best effort may lose a pair
            client.publish(client.messages())
            wait_until(lambda: bool(client.heard["reports"]), 3.0)
        report = client.heard["reports"][-1]
        assert (report.backend, report.device[:3]) == ("language_model", "cpu")
        assert wait_until(lambda: str(folder) in str(grounding_status(client))), "the model card is shown"
        located = client.call(client.locate, Locate.Request(phrase="mug"), 60.0)
        assert located.status.code in (StatusCode.OK, StatusCode.NOT_FOUND), located.status.message
        set_parameter(client, "answer_mode", "both")
        answered = client.call(client.query, SpatialQuery.Request(question="Is there a mug?"), 60.0)
        assert answered.status.code in (StatusCode.OK, StatusCode.TIMEOUT), answered.status.message
        assert "language model" in answered.status.message, answered.status.message


def test_recorded_answers_go_through_the_whole_product(tmp_path: Path) -> None:
    train_stand_in_tokenizer(tmp_path)
    write_records([ReplayRecord(answer=TWO_MUGS)], tmp_path / REPLAY_FILE)
    parameters: dict[str, Any] = {"model": str(tmp_path), "language_model__backend": "replay"}
    with node_with(make_model=model_from_config, language_model__refine=False, **parameters) as (node, client):
        assert wait_until(lambda: not node._models.loading, 30.0)
        assert not node._models.trouble, node._models.trouble
        client.wait_connected()
        assert [one.label for one in client.send_good().objects] == ["mug", "mug"]
        located = client.call(client.locate, Locate.Request(phrase="mug"))
        assert [one.label for one in located.objects] == ["mug", "mug"]
        count = client.call(client.query, SpatialQuery.Request(question="How many mugs are there?"))
        assert count.value.number == 2.0, count.sentence


def break_shard(folder: Path) -> None:
    shard = sorted(folder.glob("*.safetensors"))[-1]
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])


def remove_shard(folder: Path) -> None:
    sorted(folder.glob("*.safetensors"))[-1].unlink()


def name_another_kind(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "llama", "architectures": ["LlamaModel"]}))


def remove_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "vocab.json", "merges.txt"):
        (folder / name).unlink(missing_ok=True)


@pytest.mark.parametrize("fault", [break_shard, remove_shard, name_another_kind, remove_tokenizer, shutil.rmtree])
def test_a_folder_that_is_broken_is_named_and_the_node_goes_on_without(copy: Path, fault: Any) -> None:
    fault(copy)
    with node_with(make_model=model_from_config, model=str(copy), language_model__device="cpu") as (node, client):
        assert wait_until(lambda: not node._models.loading, 60.0)
        client.wait_connected()
        assert [one.label for one in client.send_good().objects] == ["red block"]
        message = client.call(client.locate, Locate.Request(phrase="red block")).status.message
        assert "cannot be used; the block grounder is in use" in message
        assert "Error:" not in message, "an error of ours, in a sentence"
        assert wait_until(lambda: "cannot be used" in getattr(grounding_status(client), "message", ""))


def test_a_model_that_does_not_fit_is_refused_with_the_figure(folder: Path) -> None:
    with node_with(make_model=model_from_config, model=str(folder), language_model__memory_limit_gb=1e-6) as (node, _):
        assert wait_until(lambda: not node._models.loading, 60.0)
        assert "GB" in node._models.trouble or "MB" in node._models.trouble or "kB" in node._models.trouble, (
            node._models.trouble
        )
