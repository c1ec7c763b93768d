import itertools
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import model_training.scenes
from model_training.data.records import FrameRecord
from model_training.data.split import held_out_pairs, split_of_seed
from model_training.scenes import SceneSpec, dataset
from model_training.scenes.dataset import PlaceConfig, SceneDatasetConfig, ViewConfig, scene_records, scene_spec
from model_training.scenes.records import RecordConfig
from model_training.yaml_config import read_yaml
from n3d_ros.errors import BackendError, ConfigurationError

CONFIGS = sorted((Path(model_training.scenes.__file__).parent / "configs").glob("*.yaml"))
SMALL = SceneDatasetConfig(scenes=3, scenes_per_shard=2, views=2, view=ViewConfig(sizes=((160, 120),)))


def loose(record: FrameRecord) -> list[str]:
    return [one.label for one in record.objects if one.role == "object"]


@pytest.fixture(scope="module")
def records(renderer) -> list[FrameRecord]:
    return list(scene_records(SMALL, 0))


def test_a_shard_made_twice_is_the_same(records):
    again = list(scene_records(SMALL, 0))
    assert [one.id for one in again] == [one.id for one in records]
    for first, second in zip(records, again, strict=True):
        assert (first.image, first.depth_png, first.labels_png) == (second.image, second.depth_png, second.labels_png)
        assert first.provenance == second.provenance


def test_shards_hold_every_scene_once_with_unique_ids(renderer, records):
    rest = list(scene_records(SMALL, 1))
    ids = [one.id for one in [*records, *rest]]
    assert len(set(ids)) == len(ids) == 6
    numbers = [number for shard in range(SMALL.shards) for number in SMALL.scene_numbers(shard)]
    assert numbers == list(range(3))
    with pytest.raises(ConfigurationError, match="0 to 1"):
        SMALL.scene_numbers(2)


def test_a_record_tells_what_it_can_be_made_from_again(records):
    for record in records:
        source = json.loads(record.provenance)
        spec = SceneSpec.from_json(json.dumps(source["spec"]))
        assert spec == scene_spec(SMALL, spec.seed)
        assert split_of_seed(spec.seed) == record.split == "train"


def test_cameras_differ_between_scenes_within_their_limits():
    config = replace(SMALL, view=ViewConfig(sizes=((160, 120), (120, 160)), focal=(0.8, 1.0), center_offset=0.05))
    cameras = [scene_spec(config, number).camera for number in range(30)]
    assert {(c.width, c.height) for c in cameras} == {(160, 120), (120, 160)}
    focals = np.array([c.fx / c.width for c in cameras])
    assert focals.min() >= 0.8 and focals.max() <= 1.0 and np.ptp(focals) > 0.1
    shifts = np.array([(c.cx - (c.width - 1) / 2) / c.width for c in cameras])
    assert np.abs(shifts).max() <= 0.05 and np.ptp(shifts) > 0.02


def test_the_share_of_rooms_and_the_noise_models_are_drawn():
    specs = [scene_spec(replace(SMALL, rooms=0.5), number) for number in range(60)]
    assert 15 < sum(spec.kind == "room" for spec in specs) < 45
    assert {spec.depth_noise for spec in specs} == {"structured_light", "active_stereo", "time_of_flight"}


def test_frames_with_too_few_objects_are_left_out_and_counted(renderer):
    skipped: Counter[str] = Counter()
    config = replace(SMALL, least_objects=50)
    assert not list(scene_records(config, 0, skipped))
    assert skipped == {"too few objects in view": 4}


def test_a_scene_that_fails_is_counted_and_the_others_are_made(renderer, monkeypatch, records):
    original = dataset.generate_frames

    def fails_first(spec, renderer):
        if spec.seed == 0:
            raise BackendError("the physics exploded", reason="physics_unstable")
        return original(spec, renderer)

    monkeypatch.setattr(dataset, "generate_frames", fails_first)
    skipped: Counter[str] = Counter()
    made = list(scene_records(SMALL, 0, skipped))
    assert [one.id for one in made] == [one.id for one in records[2:]]
    assert skipped == {"scene failed: physics_unstable": 2}


def test_held_out_frames_show_a_pair_that_training_never_does(renderer):
    config = replace(
        SMALL,
        split="held_out",
        scenes=4,
        scenes_per_shard=4,
        tabletop=PlaceConfig(objects=(3, 6), distance_m=(1.2, 1.7)),
    )
    made = list(scene_records(config, 0))
    assert made
    assert all(held_out_pairs(loose(record)) and record.split == "held_out" for record in made)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configurations_are_read(path):
    config = read_yaml(path, SceneDatasetConfig)
    spec = scene_spec(config, config.first_scene)
    assert split_of_seed(spec.seed) == config.split
    assert config.shards >= 2


def test_shipped_training_sets_share_no_scene():
    by_kind: dict[str, list[range]] = {}
    for path in CONFIGS:
        config = read_yaml(path, SceneDatasetConfig)
        if config.split == "train" and path.stem != "trial":
            by_kind.setdefault(config.kind, []).append(range(config.first_scene, config.first_scene + config.scenes))
    for ranges in by_kind.values():
        ends = sorted((r.start, r.stop) for r in ranges)
        assert all(stop <= start for (_, stop), (start, _) in itertools.pairwise(ends))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"kind": "unreal"}, "kind"),
        ({"split": "test"}, "split"),
        ({"noise": ("sonar",)}, "noise"),
        ({"noise": ()}, "noise"),
        ({"clutter": (0.8, 0.2)}, "clutter"),
        ({"views": 0}, "views"),
        ({"split": "held_out", "first_scene": 100_000_000}, "seeds"),
    ],
)
def test_what_no_data_set_can_be_is_refused_by_name(change, named):
    with pytest.raises(ConfigurationError, match=named):
        replace(SMALL, **change)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: ViewConfig(sizes=()), "sizes"),
        (lambda: ViewConfig(sizes=((8, 8),)), "32"),
        (lambda: ViewConfig(focal=(1.0, 0.5)), "focal"),
        (lambda: PlaceConfig(objects=(5, 2)), "objects"),
        (lambda: RecordConfig(jpeg_quality=0), "jpeg_quality"),
    ],
)
def test_parts_of_a_configuration_are_refused_by_name(make, named):
    with pytest.raises(ConfigurationError, match=named):
        make()
