"""The checkpoint that comes with the package: within its limits, and it finds things that it never saw."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch", reason="torch comes with the extra [model]")

from model_training.examples.sources import SourceConfig, open_source
from n3d_ros.geometry.iou import iou_3d
from n3d_ros.inference.grounder import GroundingRequest
from n3d_ros.inference.language_model.config import LanguageModelConfig
from n3d_ros.inference.language_model.grounder import LanguageModelGrounder
from n3d_ros.model.checkpoint import load_model
from n3d_ros.model.packaged import PACKAGED_FOLDER, PACKAGED_NAME, check_sums

FRAMES = 8
MOST_PARAMETERS, MOST_BYTES = 8_000_000, 16_000_000


def test_it_is_whole_small_and_says_what_it_is() -> None:
    check_sums(PACKAGED_FOLDER)
    assert sum(path.stat().st_size for path in PACKAGED_FOLDER.iterdir()) <= MOST_BYTES
    loaded = load_model(PACKAGED_NAME, device="cpu")
    assert sum(parameter.numel() for parameter in loaded.model.parameters()) <= MOST_PARAMETERS
    assert loaded.model.point_channels
    card = json.loads((PACKAGED_FOLDER / "n3d_model_card.json").read_text(encoding="utf-8"))
    assert card["licence"] == "Apache-2.0" and "stage2" in card["notes"]


def test_it_names_and_places_things_of_scenes_that_it_never_saw(tmp_path: Path) -> None:
    scenes = {
        "kind": "raycast", "split": "validation", "first_scene": 7_000_000, "scenes": FRAMES, "views": 1,
        "scenes_per_shard": FRAMES,
        "tabletop": {"objects": [1, 4], "distance_m": [0.4, 0.9]}, "view": {"sizes": [[320, 240]]},
    }  # fmt: skip
    (tmp_path / "scenes.yaml").write_text(yaml.safe_dump(scenes), encoding="utf-8")
    source = open_source(SourceConfig(generate=str(tmp_path / "scenes.yaml")))
    grounder = LanguageModelGrounder(LanguageModelConfig(model=PACKAGED_NAME, device="cpu"))
    right = objects = boxes = 0
    for record, _ in islice(source.pairs(0), FRAMES):
        found = grounder.ground(record.frame(), GroundingRequest(up=None)).detections
        boxes, objects = boxes + len(found), objects + len(record.objects)
        right += sum(
            any(one.label == said.label and one.box is not None and iou_3d(one.box, said.box) >= 0.25 for said in found)
            for one in record.objects
        )
    grounder.close()
    assert boxes <= 2 * objects
    assert right / objects > 0.3  # by guessing from how such things lie on average: a tenth
