"""Prepared scenes on disk, resumed preparation, RGB-D recordings, generated scenes, configuration files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from model_training.depth.prepare_config import PrepareConfig
from model_training.depth.recordings import recorded
from model_training.depth.shards import ShardFolder, prepare
from model_training.depth.view_set import ViewSet, millimetres
from model_training.yaml_config import read_yaml
from n3d_ros.errors import ConfigurationError
from training.depth.conftest import made_up_scene, made_up_scenes, small_prepare

CONFIGS = Path(__file__).resolve().parents[3] / "model_training" / "depth" / "configs"


def test_scenes_come_back_as_they_were_written(shards: ShardFolder) -> None:
    assert len(shards) == 5 and shards.shape == (3, 28, 42)
    for number in (0, 3, 4):
        scene, expected = shards.scene(number), made_up_scene(number)
        assert scene.name == expected.name
        for field in ("rgb", "depth_mm", "sky", "objects", "intrinsics", "world_T_camera"):
            assert np.array_equal(getattr(scene, field), getattr(expected, field)), field
    assert np.array_equal(np.isnan(shards.scene(0).depth_m), shards.scene(0).sky)


def test_packed_scenes_are_small_and_exact_but_for_colours(shards: ShardFolder, tmp_path: Path) -> None:
    assert prepare(small_prepare(encoding="packed"), tmp_path / "packed", made_up_scenes) == 5
    folder = ShardFolder(tmp_path / "packed")
    assert len(folder) == 5 and folder.shape == shards.shape
    for number in (0, 3, 4):
        scene, expected = folder.scene(number), shards.scene(number)
        assert scene.name == expected.name
        assert np.abs(scene.rgb.astype(int) - expected.rgb).max() <= 6
        for field in ("depth_mm", "sky", "objects", "intrinsics", "world_T_camera"):
            assert np.array_equal(getattr(scene, field), getattr(expected, field)), field
    sizes = [sum(path.stat().st_size for path in each.paths) for each in (folder, shards)]
    assert sizes[0] < sizes[1] / 2


@pytest.mark.long
def test_several_processes_prepare_the_same_scenes(shards: ShardFolder, tmp_path: Path) -> None:
    assert prepare(small_prepare(), tmp_path / "parallel", made_up_scenes, workers=2) == 5
    for path in shards.paths:
        assert path.read_bytes() == (tmp_path / "parallel" / path.name).read_bytes()


def test_a_shard_that_is_not_whole_is_named(shards: ShardFolder, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    shutil.copytree(shards.folder, cut)
    shard = cut / shards.paths[1].name
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(ConfigurationError, match=f"{shard.name}: not a whole shard"):
        len(ShardFolder(cut))


def test_prepared_files_are_not_their_owners_alone(shards: ShardFolder) -> None:
    mask = os.umask(0o022)
    os.umask(mask)
    assert all(path.stat().st_mode & 0o777 == 0o666 & ~mask for path in shards.paths)


def test_depth_without_a_number_becomes_zero_millimetres() -> None:
    depth = np.array([1.2345, np.nan, np.inf, -1.0, 70.0], np.float32)
    assert millimetres(depth).tolist() == [1234, 0, 0, 0, 0]


def test_stopped_preparation_goes_on_without_making_again_what_is_there(tmp_path: Path) -> None:
    asked: list[int] = []

    def stopping(config: PrepareConfig, first: int, count: int) -> Iterator[ViewSet]:
        asked.append(first)
        for number in range(first, first + count):
            if number == 3 and len(asked) == 2:
                raise KeyboardInterrupt
            yield made_up_scene(number)

    with pytest.raises(KeyboardInterrupt):
        prepare(small_prepare(), tmp_path, stopping)
    assert len(ShardFolder(tmp_path)) == 2 and not list(tmp_path.glob("*.part"))
    done: list[tuple[int, int]] = []
    assert prepare(small_prepare(), tmp_path, stopping, lambda *state: done.append(state)) == 5
    assert asked == [0, 2, 2, 4] and done[0] == (2, 5) and done[-1] == (5, 5)
    assert ShardFolder(tmp_path).scene(3).name == "wall_3"


def test_a_folder_begun_with_another_configuration_is_refused(tmp_path: Path) -> None:
    prepare(small_prepare(), tmp_path, made_up_scenes)
    with pytest.raises(ConfigurationError, match="another configuration"):
        prepare(small_prepare(first_seed=9), tmp_path, made_up_scenes)


def test_an_empty_folder_says_what_makes_shards(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="prepare"):
        ShardFolder(tmp_path)


def test_labels_stand_beside_the_shards(shards: ShardFolder) -> None:
    assert not shards.has_labels
    with pytest.raises(ConfigurationError, match="teach"):
        shards.labels_mm(0)
    for shard in range(len(shards.paths)):
        count = len(shards.shard_range(shard))
        shards.write_labels(shard, np.full((count, 3, 28, 42), 100 + shard, np.uint16))
    assert shards.has_labels and shards.labels_mm(3)[0, 0, 0] == 101


def write_tum_recording(folder: Path, frames: int) -> None:
    """A recording in TUM's layout: the camera moves along x before a wall 2 m away."""
    (folder / "rgb").mkdir(parents=True)
    (folder / "depth").mkdir()
    lines: dict[str, list[str]] = {"rgb.txt": [], "depth.txt": [], "groundtruth.txt": []}
    for k in range(frames):
        stamp = f"{k / 10:.6f}"
        cv2.imwrite(str(folder / f"rgb/{stamp}.png"), np.full((48, 64, 3), 20 * k, np.uint8))
        cv2.imwrite(str(folder / f"depth/{stamp}.png"), np.full((48, 64), 10_000, np.uint16))
        lines["rgb.txt"].append(f"{stamp} rgb/{stamp}.png")
        lines["depth.txt"].append(f"{stamp} depth/{stamp}.png")
        lines["groundtruth.txt"].append(f"{stamp} {0.1 * k} 0 0 0 0 0 1")
    for name, text in lines.items():
        (folder / name).write_text("\n".join(text) + "\n")


def test_a_recording_becomes_sets_of_thinned_out_frames_with_their_calibration(tmp_path: Path) -> None:
    write_tum_recording(tmp_path / "tum", 9)
    config = PrepareConfig(
        source="rgbd",
        folder=str(tmp_path / "tum"),
        intrinsics=(50.0, 50.0, 31.5, 23.5),
        views=2,
        height=28,
        width=28,
        frame_step=2,
        scenes=10,
    )
    sets = list(recorded(config, 0, 10))
    # Frames 0 2 4 6 8: two sets of two, the last frame is left over.
    assert [s.name for s in sets] == ["tum_0000", "tum_0001"]
    assert sets[1].world_T_camera[:, 0, 3].tolist() == pytest.approx([0.4, 0.6])
    assert set(np.unique(sets[0].depth_mm)) == {2000} and sets[0].rgb[1].mean() == pytest.approx(40)
    # 64x48 is scaled by 28/48 and cropped in the middle.
    assert sets[0].intrinsics[0, :2].tolist() == pytest.approx([50 * 37 / 64, 50 * 28 / 48])
    assert prepare(config, tmp_path / "out", recorded) == 2


def test_generated_views_are_seeded_posed_and_turned_no_further_than_asked(tmp_path: Path) -> None:
    pytest.importorskip("mujoco", reason="generating scenes needs the package mujoco")
    from model_training.depth.generated import generate, turn_deg
    from n3d_ros.geometry.transforms import RigidTransform

    config = PrepareConfig(scenes=1, views=3, height=42, width=56, widest_turn_deg=30)
    try:
        first, again = next(generate(config, 0, 1)), next(generate(config, 0, 1))
    except ConfigurationError as error:
        pytest.skip(f"no off-screen OpenGL: {error}")
    assert np.array_equal(first.rgb, again.rgb) and np.array_equal(first.depth_mm, again.depth_mm)
    poses = [RigidTransform(rotation=m[:3, :3], translation=m[:3, 3]) for m in first.world_T_camera]
    assert all(0 < turn_deg(poses[0], pose) <= 30 for pose in poses[1:])
    assert first.objects.any() and (first.depth_mm[first.objects] > 0).all()


def test_every_key_of_the_shipped_files_is_known_and_documented() -> None:
    from model_training.depth.train_config import TrainConfig

    files = sorted(CONFIGS.glob("*.yaml"))
    assert len(files) >= 6
    for path in files:
        read_yaml(path, PrepareConfig if path.name.startswith("prepare") else TrainConfig)
        bare = [line for line in path.read_text().splitlines() if ":" in line and "#" not in line]
        assert [line for line in bare if not line.rstrip().endswith(":")] == [], path.name


@pytest.mark.parametrize(
    ("text", "message"),
    [("scens: 3", "unknown key 'scens'"), ("[1]", "keys and values"), ("scenes: 0", "expected 1 to"), ("a: [", "YAML")],
)
def test_a_wrong_file_is_refused_with_its_reason(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        read_yaml(path, PrepareConfig)


def test_a_shard_that_was_removed_is_made_again(tmp_path: Path) -> None:
    prepare(small_prepare(), tmp_path, made_up_scenes)
    before = (tmp_path / "shard_00001.safetensors").read_bytes()
    shutil.move(tmp_path / "shard_00001.safetensors", tmp_path / "elsewhere")
    prepare(small_prepare(), tmp_path, made_up_scenes)
    assert (tmp_path / "shard_00001.safetensors").read_bytes() == before
